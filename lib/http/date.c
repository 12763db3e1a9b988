#include "http/date.h"
#include "base/err.h"
#include "base/clock.h"

#define DATE_SIZE 30 /* with NUL */

int agw_headers_add_date(struct agw_headers *h, uint64_t wall_ns)
{
    static _Thread_local uint64_t made_s;
    static _Thread_local char text[DATE_SIZE];
    uint64_t now_s = wall_ns / AGW_NS_PER_S;
    if (agw_headers_get(h, AGW_HDR_DATE))
        return 0;
    if (now_s != made_s || !text[0]) {
        agw_clock_http(wall_ns, text);
        made_s = now_s;
    }
    /* A copy: the head may be written later than this second. */
    struct agw_str copy = agw_arena_str(h->arena, agw_str(text, DATE_SIZE - 1));
    return copy.p ? agw_headers_add_id(h, AGW_HDR_DATE, copy) : AGW_ENOMEM;
}
