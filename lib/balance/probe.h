/* Active health checks: asks the endpoints of backends that want it (struct agw_health_check), one after the
 * other's interval, and says which fail and which work again.
 *
 * One prober a process, on one worker's loop; what it says goes to all. An endpoint counts as working until
 * it has failed so often in a row as its check allows. A backend of one endpoint is not checked: there is
 * nothing else to use. HTTP requests go through the client's pools as others do; a check of a bare connection
 * shakes hands where the backend speaks TLS.
 *
 * Ownership: agw_prober_new / agw_prober_free. It keeps the snapshot that it works by pinned. Threads: the
 * loop's own. Errors: without memory an endpoint is checked later. */
#ifndef AGW_BALANCE_PROBE_H
#define AGW_BALANCE_PROBE_H

#include "client/client.h"
#include "config/snapshot.h"
#include "event/loop.h"

struct agw_prober;

/* |key|: agw_balance_key's. AGW_ENOMEM: it is said again after the next check. */
typedef int agw_prober_say(void *ctx, struct agw_str key, bool down);

struct agw_prober_stats {
    uint64_t checks, failures;
    uint32_t down; /* endpoints, now */
};

/* NULL: out of memory. */
struct agw_prober *agw_prober_new(struct agw_loop *loop, struct agw_client *client, agw_prober_say *say,
                                  void *ctx);
/* Before the client and the loop are freed. NULL is fine. */
void agw_prober_free(struct agw_prober *p);
/* Works by |s|, the current snapshot, from now on; costs what changed since the last one. */
void agw_prober_sync(struct agw_prober *p, struct agw_snapshot *s);
const struct agw_prober_stats *agw_prober_stats(const struct agw_prober *p);

#endif
