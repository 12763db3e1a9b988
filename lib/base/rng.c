#include "base/rng.h"

#include <errno.h>
#include <sys/random.h>
#include <sys/types.h>
#include "base/check.h"

static uint64_t splitmix(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void agw_rng_init(struct agw_rng *r, uint64_t seed)
{
    for (int i = 0; i < 4; i++)
        r->s[i] = splitmix(&seed);
}

static inline uint64_t rotl(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

uint64_t agw_rng_next(struct agw_rng *r)
{
    uint64_t *s = r->s, result = rotl(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

uint32_t agw_rng_below(struct agw_rng *r, uint32_t bound)
{
    agw_check(bound > 0);
    uint64_t m = (agw_rng_next(r) >> 32) * bound;
    if (agw_unlikely((uint32_t)m < bound)) { /* multiply-shift, with the biased low part drawn again */
        uint32_t floor = -bound % bound;
        while ((uint32_t)m < floor)
            m = (agw_rng_next(r) >> 32) * bound;
    }
    return (uint32_t)(m >> 32);
}

void agw_random(void *out, size_t n)
{
    unsigned char *at = out;
    while (n) {
        ssize_t k = getrandom(at, n, 0);
        agw_check(k > 0 || (k < 0 && errno == EINTR));
        if (k > 0) {
            at += k;
            n -= (size_t)k;
        }
    }
}

void agw_random_uuid(char out[37])
{
    static const char hex[16] = "0123456789abcdef";
    unsigned char b[16];
    agw_random(b, sizeof(b));
    b[6] = (b[6] & 0x0f) | 0x40;
    b[8] = (b[8] & 0x3f) | 0x80;
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *out++ = '-';
        *out++ = hex[b[i] >> 4];
        *out++ = hex[b[i] & 15];
    }
    *out = 0;
}
