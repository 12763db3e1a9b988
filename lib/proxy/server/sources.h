/* How many connections each source of a worker's clients has open. A source is an IPv4 address or the /64 of
 * an IPv6 one: what one client can have of its own. Memory: 16 bytes for each source that has a connection,
 * times four at most. Ownership: embedded. Threads: one. */
#ifndef AGW_PROXY_SERVER_SOURCES_H
#define AGW_PROXY_SERVER_SOURCES_H

#include <stdbool.h>
#include "net/addr.h"

struct agw_source_count {
    uint64_t key; /* 0: free */
    uint32_t count;
};

struct agw_sources {
    struct agw_source_count *v;
    uint32_t cap, used; /* |cap|: 0 or a power of two, at least twice |used| */
    uint64_t seed;      /* so that nobody can choose addresses that meet in one place */
};

void agw_sources_init(struct agw_sources *s, uint64_t seed);
void agw_sources_free(struct agw_sources *s);
/* The source of |addr|; 0: it has none (a unix socket). */
uint64_t agw_source_of(const struct agw_addr *addr);
/* Counts one more of |source|, which is not 0. AGW_ELIMIT: it has |max|; AGW_ENOMEM. */
int agw_sources_add(struct agw_sources *s, uint64_t source, uint32_t max);
/* One that was added is gone. */
void agw_sources_remove(struct agw_sources *s, uint64_t source);

#endif
