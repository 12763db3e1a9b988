#include "policy/backend/backend.h"
#include "proto/message.h"
#include "proto/resource.pb-c.h"

/* The socket to a backend: how long a connect may take, and probes on connections that say nothing. */

static int transport(const void *spec, struct agw_arena *arena, struct agw_transport *t,
                     struct agw_error *err)
{
    const Pb__BackendPolicySpec__BackendTCP *in = spec;
    const Pb__KeepaliveConfig *keep = in->keepalive;
    (void)arena;
    t->connect_ms = agw_proto_ms(in->connect_timeout);
    if (!keep)
        return 0;
    if (keep->_retries_case && keep->retries > AGW_KEEPALIVE_MAX_PROBES)
        return agw_error_set(err, AGW_EINVAL, "tcp: keepalive.retries %u is more than %d", keep->retries,
                             AGW_KEEPALIVE_MAX_PROBES);
    t->keepalive = (struct agw_keepalive){.on = true,
                                          .idle_s = agw_keepalive_seconds(agw_proto_ms(keep->time)),
                                          .interval_s = agw_keepalive_seconds(agw_proto_ms(keep->interval)),
                                          .probes = keep->_retries_case ? keep->retries : 0};
    return 0;
}

const struct agw_policy_ops agw_policy_backend_tcp = {.kind = AGW_POLICY_BACKEND_TCP, .transport = transport};
