#include "config/locality.h"

void agw_locality_of(const Istio__Workload *w, struct agw_locality *ret_locality)
{
    *ret_locality = (struct agw_locality){
        .node = agw_str_c(w->node), .cluster = agw_str_c(w->cluster_id), .network = agw_str_c(w->network)};
    if (!w->locality)
        return;
    ret_locality->region = agw_str_c(w->locality->region);
    ret_locality->zone = agw_str_c(w->locality->zone);
    ret_locality->subzone = agw_str_c(w->locality->subzone);
}

void agw_locality_parse(struct agw_str text, struct agw_locality *l)
{
    struct agw_str *parts[] = {&l->region, &l->zone, &l->subzone};
    for (unsigned i = 0; i < 3; i++) {
        *parts[i] = AGW_STR("");
        agw_str_split(&text, '/', parts[i]);
    }
}

bool agw_locality_eq(const struct agw_locality *a, const struct agw_locality *b)
{
    return agw_str_eq(a->region, b->region) && agw_str_eq(a->zone, b->zone) &&
           agw_str_eq(a->subzone, b->subzone) && agw_str_eq(a->node, b->node) &&
           agw_str_eq(a->cluster, b->cluster) && agw_str_eq(a->network, b->network);
}

static bool same(Istio__LoadBalancing__Scope scope, const struct agw_locality *a,
                 const struct agw_locality *b)
{
    switch (scope) {
    case ISTIO__LOAD_BALANCING__SCOPE__REGION:
        return agw_str_eq(a->region, b->region);
    case ISTIO__LOAD_BALANCING__SCOPE__ZONE:
        return agw_str_eq(a->zone, b->zone);
    case ISTIO__LOAD_BALANCING__SCOPE__SUBZONE:
        return agw_str_eq(a->subzone, b->subzone);
    case ISTIO__LOAD_BALANCING__SCOPE__NODE:
        return agw_str_eq(a->node, b->node);
    case ISTIO__LOAD_BALANCING__SCOPE__CLUSTER:
        return agw_str_eq(a->cluster, b->cluster);
    case ISTIO__LOAD_BALANCING__SCOPE__NETWORK:
        return agw_str_eq(a->network, b->network);
    default:
        return false; /* a scope that we do not know is shared with nobody */
    }
}

bool agw_locality_bucket(const struct agw_locality *own, const Istio__LoadBalancing *lb,
                         const Istio__Workload *w, uint32_t *ret_bucket)
{
    struct agw_locality other;
    bool strict = lb && lb->mode == ISTIO__LOAD_BALANCING__MODE__STRICT;
    bool failover = lb && lb->mode == ISTIO__LOAD_BALANCING__MODE__FAILOVER;
    *ret_bucket = 0;
    if (!own || (!strict && !failover))
        return true;
    size_t scopes = lb->n_routing_preference;
    if (scopes > AGW_LOCALITY_BUCKETS - 1)
        scopes = AGW_LOCALITY_BUCKETS - 1;
    agw_locality_of(w, &other);
    size_t shared = 0;
    while (shared < scopes && same(lb->routing_preference[shared], own, &other))
        shared++;
    *ret_bucket = (uint32_t)(scopes - shared);
    return !strict || shared == scopes;
}
