#include "balance/pick.h"

const struct agw_backend_ref *agw_balance_backend(const struct agw_route *route, struct agw_rng *rng)
{
    if (route->weight_total == 0)
        return NULL;
    if (route->backend_count == 1)
        return &route->backends[0];
    uint32_t at = agw_rng_below(rng, route->weight_total);
    const struct agw_backend_ref *ref = route->backends;
    for (; at >= ref->weight; ref++)
        at -= ref->weight;
    return ref;
}

const struct agw_endpoint *agw_balance_endpoint(const struct agw_backend *b, struct agw_rng *rng)
{
    if (b->endpoint_count <= 1)
        return b->endpoint_count ? b->endpoints[0] : NULL;
    if (!b->places)
        return b->endpoints[agw_rng_below(rng, b->endpoint_count)];
    uint64_t sum = 0, at;
    uint32_t end = 0;
    for (; end < b->endpoint_count && b->places[end].bucket == b->places[0].bucket; end++)
        sum += b->places[end].weight;
    at = agw_rng_next(rng) % sum;
    for (end = 0; at >= b->places[end].weight; end++)
        at -= b->places[end].weight;
    return b->endpoints[end];
}
