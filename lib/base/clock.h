/* Time. Monotonic nanoseconds for intervals, wall clock for people.
 * Threads: any. */
#ifndef AGW_BASE_CLOCK_H
#define AGW_BASE_CLOCK_H

#include <stdint.h>
#include "base/str.h"

#define AGW_NS_PER_MS 1000000ull
#define AGW_NS_PER_S 1000000000ull

uint64_t agw_clock_ns(void);      /* CLOCK_MONOTONIC */
uint64_t agw_clock_wall_ns(void); /* CLOCK_REALTIME since 1970 */
/* "2026-11-24T02:56:45.123Z" into |out| (25 bytes with NUL); RFC 3339. */
void agw_clock_rfc3339(uint64_t wall_ns, char out[25]);
/* "Tue, 24 Nov 2026 02:56:45 GMT" into |out| (30 bytes with NUL); IMF-fixdate, RFC 9110 section 5.6.7. */
void agw_clock_http(uint64_t wall_ns, char out[30]);
/* RFC 3339 to nanoseconds since 1970; AGW_EINVAL. */
int agw_clock_parse_rfc3339(struct agw_str s, uint64_t *ret_wall_ns);

#endif
