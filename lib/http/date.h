/* The Date that an origin server puts on its answers (RFC 9110 section 6.6.1), written out once a second.
 * Threads: any; each has its own. */
#ifndef AGW_HTTP_DATE_H
#define AGW_HTTP_DATE_H

#include "http/msg.h"

/* Adds Date unless |h| has one. |wall_ns|: now, since 1970. AGW_ENOMEM. */
int agw_headers_add_date(struct agw_headers *h, uint64_t wall_ns);

#endif
