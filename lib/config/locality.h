/* Where a workload is, and how near it is to us, as a service's load balancing asks.
 *
 * Plain values; the texts are their owner's. Threads: any. */
#ifndef AGW_CONFIG_LOCALITY_H
#define AGW_CONFIG_LOCALITY_H

#include <stdbool.h>
#include <stdint.h>
#include "base/str.h"
#include "proto/workload.pb-c.h"

struct agw_locality {
    struct agw_str region, zone, subzone, node, cluster, network;
};

/* Most buckets: a preference has six scopes to name; what comes after so many is not looked at. */
#define AGW_LOCALITY_BUCKETS 9

void agw_locality_of(const Istio__Workload *w, struct agw_locality *ret_locality);
/* "region/zone/subzone" as deployments write it; what is left out is empty, the other members stay. */
void agw_locality_parse(struct agw_str text, struct agw_locality *l);
bool agw_locality_eq(const struct agw_locality *a, const struct agw_locality *b);
/* The bucket of |w|, 0 for the nearest: one for each scope of the preference that it does not share with
 * |own|, counted from the first that differs. False: it is not to be used at all (mode STRICT). |own| NULL
 * (not known yet) or |lb| NULL: all are in bucket 0. */
bool agw_locality_bucket(const struct agw_locality *own, const Istio__LoadBalancing *lb,
                         const Istio__Workload *w, uint32_t *ret_bucket);

#endif
