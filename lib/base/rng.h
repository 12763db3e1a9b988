/* Random numbers. agw_rng is fast and for load spreading only; agw_random is from the kernel, for keys and
 * ids. Threads: a struct agw_rng belongs to one thread; agw_random may be called on any. */
#ifndef AGW_BASE_RNG_H
#define AGW_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

struct agw_rng {
    uint64_t s[4]; /* xoshiro256** */
};

void agw_rng_init(struct agw_rng *r, uint64_t seed);
uint64_t agw_rng_next(struct agw_rng *r);
uint32_t agw_rng_below(struct agw_rng *r, uint32_t bound); /* uniform in [0, bound), bound > 0 */

/* Fills |out|; aborts if the kernel gives none. */
void agw_random(void *out, size_t n);
/* 36 characters and NUL: a random UUID (RFC 9562 version 4). */
void agw_random_uuid(char out[37]);

#endif
