/* Choosing by chance: a backend among a route's weighted references, an endpoint among a backend's. Who sends
 * requests chooses endpoints by balance/balancer.h.
 *
 * Choices are random and independent, so workers need not agree. Threads: any; |rng| is the worker's own. */
#ifndef AGW_BALANCE_PICK_H
#define AGW_BALANCE_PICK_H

#include "base/rng.h"
#include "config/snapshot.h"

/* A reference, with a chance of weight / total. NULL: the route has none, or all weigh 0 (500). */
const struct agw_backend_ref *agw_balance_backend(const struct agw_route *route, struct agw_rng *rng);
/* An endpoint of the nearest bucket, with a chance of its weight. NULL: there is none (503). */
const struct agw_endpoint *agw_balance_endpoint(const struct agw_backend *b, struct agw_rng *rng);

#endif
