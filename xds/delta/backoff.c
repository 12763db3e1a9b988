#include "xds/delta/backoff.h"

uint32_t agw_delta_backoff_ms(struct agw_delta_backoff *b, enum agw_delta_end end, bool answered,
                              uint64_t lived_ms, uint32_t random)
{
    bool good = answered && lived_ms >= AGW_DELTA_BACKOFF_GOOD_MS;
    if (good)
        b->next_ms = 0;
    if (good && end == AGW_DELTA_END_CLEAN)
        return 0;
    uint32_t ms = b->next_ms ? b->next_ms : AGW_DELTA_BACKOFF_MIN_MS;
    b->next_ms = ms < AGW_DELTA_BACKOFF_MAX_MS / 2 ? ms * 2 : AGW_DELTA_BACKOFF_MAX_MS;
    return ms / 2 + (uint32_t)((uint64_t)random * (ms - ms / 2 + 1) >> 32);
}
