/* When keys that were fetched may be used, and when to ask for them again. Pure: a clock comes in.
 *
 * Ownership: a plain value, zeroed but for |fresh_ms|. Threads: any, one at a time. */
#ifndef AGW_KEYS_AGE_H
#define AGW_KEYS_AGE_H

#include <stdbool.h>
#include <stdint.h>

#define AGW_KEYS_FRESH_MS_MIN 10000u    /* whatever a control plane says: more often helps nobody */
#define AGW_KEYS_FRESH_MS_MAX 86400000u /* a key that was withdrawn is taken a day longer at most */
#define AGW_KEYS_STALE_MS 3600000u      /* keys outlive their time by this while the issuer is down */
#define AGW_KEYS_RETRY_MS 3000u         /* from a failure to the next try */
#define AGW_KEYS_UNKNOWN_MS 10000u      /* between tries for keys that tokens name: anybody may send such */

struct agw_keys_age {
    uint32_t fresh_ms;
    bool have, tried, failed, asked; /* |failed|: the last try; |asked|: for unknown keys, ever */
    uint64_t got_ms, tried_ms, asked_ms;
};

/* Within the limits above. */
uint32_t agw_keys_fresh_ms(uint64_t ms);
/* They may be used at |now_ms|. */
bool agw_keys_good(const struct agw_keys_age *a, uint64_t now_ms);
/* A try is due: there are none, they grow old, or lack the one asked for (|unknown|). */
bool agw_keys_due(const struct agw_keys_age *a, uint64_t now_ms, bool unknown);
/* A try has begun; it has ended. */
void agw_keys_trying(struct agw_keys_age *a, uint64_t now_ms, bool unknown);
void agw_keys_tried(struct agw_keys_age *a, uint64_t now_ms, bool good);

#endif
