/* Keys that issuers publish (JSON Web Key Sets, RFC 7517), and their metadata, fetched and kept by each
 * worker for itself.
 *
 * Asked for the first time that a token needs them, and again in the background before they are too old, or
 * when a token names one that is not among them (keys/age.h has the times). The old ones serve on while the
 * issuer is down, for a while. Only the backend that the configuration names is asked; a redirect is a
 * failure. Ownership: the caller frees it before the client. Threads: the loop's own. Errors: logged, once
 * for each time that an issuer fails or is back. */
#ifndef AGW_KEYS_KEYS_H
#define AGW_KEYS_KEYS_H

#include "balance/balancer.h"
#include "client/client.h"
#include "config/policy.h"

#define AGW_KEYS_FETCH_MS 5000 /* for one fetch: tokens wait for the first */
#define AGW_KEYS_SOURCES_MAX                                                                                 \
    256 /* of a worker, 64 KiB each at most; the one not used for longest gives way */

struct agw_keys;

/* Who waits for keys: told when a fetch, anybody's, has ended. */
struct agw_keys_waiter {
    struct agw_list node;
    void (*ready)(struct agw_keys_waiter *w); /* it waits no longer */
};

struct agw_keys_stats {
    uint64_t fetches, failures; /* that have ended */
    uint64_t stale;             /* times that keys were used which had outlived their time */
};

struct agw_keys *agw_keys_new(struct agw_loop *loop, struct agw_client *client,
                              struct agw_balancer *balancer); /* NULL: no memory */
void agw_keys_free(struct agw_keys *k);                       /* NULL is fine; nobody waits any more */
struct agw_key_finder *agw_keys_finder(struct agw_keys *k);   /* of NULL: NULL */
const struct agw_keys_stats *agw_keys_stats(const struct agw_keys *k);
void agw_keys_wait(struct agw_keys *k, struct agw_keys_waiter *w);
/* Harmless when it does not wait; |w| is zeroed memory or has waited. */
void agw_keys_leave(struct agw_keys_waiter *w);

#endif
