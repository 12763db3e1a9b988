#include "policy/backend/backend.h"
#include "proto/message.h"
#include "proto/resource.pb-c.h"

#define DURATION_MS 3000 /* the CRD's default */

#define INTERVAL_MS 5000
#define TIMEOUT_MS 1000
#define UNHEALTHY 3
#define HEALTHY 2

/* Passive health: when an endpoint is left out. What counts as a failure is lib/balance/judge.h's. Active
 * health: what proxy/forward/probe.h asks of endpoints. What is wrong with the passive part does not refuse
 * the backend's requests: they are sent as without it. */

static double share(struct agw_transport *t, bool given, double value, double without)
{
    if (!given)
        return without;
    if (value >= 0 && value <= 1)
        return value;
    t->warning = "health: a threshold or health to restore that is not between 0 and 1 has no effect";
    return without;
}

static uint32_t or_else(uint32_t given, uint32_t without)
{
    return given ? given : without;
}

static int check_http(const Pb__ActiveHealthCheck__HTTP *in, struct agw_arena *arena,
                      struct agw_health_check *out, struct agw_error *err)
{
    out->http = true;
    out->path = agw_arena_str(arena, *in->path ? agw_str_c(in->path) : AGW_STR("/"));
    out->host = agw_arena_str(arena, agw_str_c(in->host));
    if (!out->path.p || !out->host.p)
        return agw_error_set(err, AGW_ENOMEM, "out of memory");
    for (size_t i = 0; i < in->n_expected_statuses; i++) {
        uint32_t bit = in->expected_statuses[i] - 100;
        if (bit >= 500)
            return agw_error_set(err, AGW_EINVAL, "health: active.http.expected_statuses: %u is no status",
                                 in->expected_statuses[i]);
        out->statuses[bit / 64] |= 1ull << bit % 64;
    }
    if (in->n_expected_statuses == 0)
        out->statuses[100 / 64] |= 1ull << 100 % 64;
    return 0;
}

static int check(const Pb__ActiveHealthCheck *in, struct agw_arena *arena, struct agw_transport *t,
                 struct agw_error *err)
{
    struct agw_health_check *out = agw_arena_zalloc(arena, sizeof(*out));
    if (!out)
        return agw_error_set(err, AGW_ENOMEM, "out of memory");
    out->interval_ms = or_else(agw_proto_ms(in->interval), INTERVAL_MS);
    out->timeout_ms = or_else(agw_proto_ms(in->timeout), TIMEOUT_MS);
    out->unhealthy = or_else(in->unhealthy_threshold, UNHEALTHY);
    out->healthy = or_else(in->healthy_threshold, HEALTHY);
    t->check = out;
    return in->http ? check_http(in->http, arena, out, err) : 0;
}

static int transport(const void *spec, struct agw_arena *arena, struct agw_transport *t,
                     struct agw_error *err)
{
    const Pb__BackendPolicySpec__Health *policy = spec;
    const Pb__BackendPolicySpec__Eviction *in = policy->eviction;
    int code = policy->active ? check(policy->active, arena, t, err) : 0;
    if (code)
        return code;
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
