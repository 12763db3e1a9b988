#include "policy/backend/backend.h"
#include "proto/message.h"
#include "proto/resource.pb-c.h"

/* How an endpoint is chosen (balance/balancer.h does it), and how slowly new ones begin. */

static int hash_by(const Pb__LoadBalancer__ConsistentHash *in, struct agw_arena *arena,
                   struct agw_load_balancer *out, struct agw_error *err)
{
    if (!in)
        return agw_error_set(err, AGW_EINVAL, "load_balancer: consistent_hash is missing");
    switch (in->source) {
    case PB__LOAD_BALANCER__CONSISTENT_HASH__SOURCE__SOURCE_IP:
        out->source = AGW_HASH_SOURCE_IP;
        return 0;
    case PB__LOAD_BALANCER__CONSISTENT_HASH__SOURCE__HEADER:
        out->source = AGW_HASH_HEADER;
        break;
    case PB__LOAD_BALANCER__CONSISTENT_HASH__SOURCE__COOKIE:
        out->source = AGW_HASH_COOKIE;
        break;
    case PB__LOAD_BALANCER__CONSISTENT_HASH__SOURCE__QUERY_PARAMETER:
        out->source = AGW_HASH_QUERY;
        break;
    default:
        return agw_error_set(err, AGW_EUNSUPPORTED, "load_balancer: consistent_hash.source %d is not known",
                             (int)in->source);
    }
    if (!*in->name)
        return agw_error_set(err, AGW_EINVAL, "load_balancer: consistent_hash.name is missing");
    out->name = out->source == AGW_HASH_HEADER ? agw_arena_lower(arena, agw_str_c(in->name))
                                               : agw_arena_str(arena, agw_str_c(in->name));
    return out->name.p ? 0 : agw_error_set(err, AGW_ENOMEM, "out of memory");
}

static int transport(const void *spec, struct agw_arena *arena, struct agw_transport *t,
                     struct agw_error *err)
{
    const Pb__LoadBalancer *in = spec;
    t->balance = true;
    t->balancer = (struct agw_load_balancer){.slow_start_ms = agw_proto_ms(in->slow_start)};
    switch (in->type) {
    case PB__LOAD_BALANCER__TYPE__POWER_OF_TWO_CHOICES:
        return 0;
    case PB__LOAD_BALANCER__TYPE__ROUND_ROBIN:
        t->balancer.way = AGW_BALANCE_ROUND_ROBIN;
        return 0;
    case PB__LOAD_BALANCER__TYPE__CONSISTENT_HASH:
        t->balancer.way = AGW_BALANCE_HASH;
        return hash_by(in->consistent_hash, arena, &t->balancer, err);
    default:
        return agw_error_set(err, AGW_EUNSUPPORTED, "load_balancer: type %d is not known", (int)in->type);
    }
}

const struct agw_policy_ops agw_policy_load_balancer = {.kind = AGW_POLICY_LOAD_BALANCER,
                                                        .transport = transport};
