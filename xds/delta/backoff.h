/* How long to wait before the next stream: doubling with jitter, from 10 ms to 15 s. Pure: time and chance
 * are arguments. Threads: one. */
#ifndef AGW_XDS_DELTA_BACKOFF_H
#define AGW_XDS_DELTA_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

/* Soon enough that a restarted control plane finds us before anybody looks, rare enough that one that is away
 * for long costs nothing. */
#define AGW_DELTA_BACKOFF_MIN_MS 10
#define AGW_DELTA_BACKOFF_MAX_MS 15000

struct agw_delta_backoff {
    uint32_t next_ms; /* 0: nothing has failed */
};

enum agw_delta_end {
    AGW_DELTA_END_CLEAN,  /* the server ended the stream with OK, or is going away and said so */
    AGW_DELTA_END_FAILED, /* anything else */
};

/* A stream that lived this long and brought a response was good: what was wrong before is over. A server that
 * answers and closes is waited for like one that fails. */
#define AGW_DELTA_BACKOFF_GOOD_MS 1000

/* The stream (or the attempt at one) has ended after |lived_ms|: milliseconds to wait. |answered|: it brought
 * a response. |random|: any 32 bits; half of the time is fixed, half is chance. */
uint32_t agw_delta_backoff_ms(struct agw_delta_backoff *b, enum agw_delta_end end, bool answered,
                              uint64_t lived_ms, uint32_t random);

#endif
