#include "policy/backend/backend.h"
#include "proto/message.h"
#include "proto/resource.pb-c.h"

#define DURATION_MS 3000 /* the CRD's default */

/* Passive health: when an endpoint is left out. What counts as a failure is lib/balance/judge.h's. What is
 * wrong here does not refuse the backend's requests: they are sent as without that part. */

static double share(struct agw_transport *t, bool given, double value, double without)
{
    if (!given)
        return without;
    if (value >= 0 && value <= 1)
        return value;
    t->warning = "health: a threshold or health to restore that is not between 0 and 1 has no effect";
    return without;
}

static int transport(const void *spec, struct agw_arena *arena, struct agw_transport *t,
                     struct agw_error *err)
{
    const Pb__BackendPolicySpec__Health *policy = spec;
    const Pb__BackendPolicySpec__Eviction *in = policy->eviction;
    (void)arena;
    (void)err;
    if (*policy->unhealthy_condition)
        t->warning = "health: unhealthyCondition is not supported: statuses from 500 on, a grpc-status other "
                     "than 0 and failed connects count";
    if (!in)
        return 0;
    uint32_t ms = agw_proto_ms(in->duration);
    bool failures = in->_consecutive_failures_case && in->consecutive_failures > 0;
    t->evict = true;
    t->eviction = (struct agw_eviction){
        .duration_ms = ms ? ms : DURATION_MS,
        .failures = failures ? (uint32_t)in->consecutive_failures : 0,
        .health = share(t, in->_health_threshold_case, in->health_threshold, 0),
        .restore_health = share(t, in->_restore_health_case, in->restore_health, -1),
    };
    if (!failures && t->eviction.health == 0)
        t->eviction.failures = 1;
    return 0;
}

const struct agw_policy_ops agw_policy_backend_health = {.kind = AGW_POLICY_BACKEND_HEALTH,
                                                         .transport = transport};
