/* How much memory this process has and may have. Threads: any but workers (it reads files). */
#ifndef AGW_EVENT_MEMORY_H
#define AGW_EVENT_MEMORY_H

#include <stdint.h>

/* Bytes that the control groups of this process allow it; 0: no limit. |root|: see event/cgroup.h. */
uint64_t agw_memory_limit(const char *root);
/* Bytes that this process alone holds and only it can give back: what the kernel would have to kill it for. 0
 * when /proc does not tell. */
uint64_t agw_memory_used(void);

/* How short memory is, and what is to be given up for it. */
enum agw_memory_level {
    AGW_MEMORY_FINE,
    AGW_MEMORY_SHORT, /* above 90% of the limit, until below 85%: no new requests */
    AGW_MEMORY_DIRE,  /* above 95%, until below 90%: no new connections either */
};

/* The level after |was|. Leaving a level later than it was entered keeps a load at the edge from flapping. */
enum agw_memory_level agw_memory_next(enum agw_memory_level was, uint64_t used, uint64_t limit);

#endif
