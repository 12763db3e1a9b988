/* The endpoint of a backend that goes where requests say. Threads: any. */
#ifndef AGW_BALANCE_DYNAMIC_H
#define AGW_BALANCE_DYNAMIC_H

#include "config/snapshot.h"

/* |authority| is "host[:port]"; without a port that of the scheme by which |b| (DYNAMIC) is reached. The
 * endpoint lives in |arena|. AGW_EINVAL: it names no host, or a port that is none. AGW_ENOMEM. */
int agw_balance_dynamic(const struct agw_backend *b, struct agw_str authority, struct agw_arena *arena,
                        const struct agw_endpoint **ret_endpoint);

#endif
