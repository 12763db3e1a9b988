#include "keys/age.h"

uint32_t agw_keys_fresh_ms(uint64_t ms)
{
    return ms < AGW_KEYS_FRESH_MS_MIN   ? AGW_KEYS_FRESH_MS_MIN
           : ms > AGW_KEYS_FRESH_MS_MAX ? AGW_KEYS_FRESH_MS_MAX
                                        : (uint32_t)ms;
}

bool agw_keys_good(const struct agw_keys_age *a, uint64_t now_ms)
{
    uint64_t until = a->got_ms + a->fresh_ms + (a->failed ? AGW_KEYS_STALE_MS : 0);
    return a->have && now_ms < until;
}

bool agw_keys_due(const struct agw_keys_age *a, uint64_t now_ms, bool unknown)
{
    if (!a->tried)
        return true;
    if (a->failed)
        return now_ms >= a->tried_ms + AGW_KEYS_RETRY_MS;
    if (unknown && (!a->asked || now_ms >= a->asked_ms + AGW_KEYS_UNKNOWN_MS))
        return true;
    /* before they are too old, so that no request waits */
    return now_ms >= a->got_ms + a->fresh_ms - a->fresh_ms / 5;
}

void agw_keys_trying(struct agw_keys_age *a, uint64_t now_ms, bool unknown)
{
    a->tried = true;
    a->tried_ms = now_ms;
    if (!unknown)
        return;
    a->asked = true;
    a->asked_ms = now_ms;
}

void agw_keys_tried(struct agw_keys_age *a, uint64_t now_ms, bool good)
{
    a->tried_ms = now_ms;
    a->failed = !good;
    if (!good)
        return;
    a->have = true;
    a->got_ms = now_ms;
}
