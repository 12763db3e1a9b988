#include "policy/traffic/traffic_int.h"

#include "proto/message.h"

/* Sessions that stay with an endpoint. The exchange keeps them (proxy/forward/persist.h). */

static int compile(const void *spec, struct agw_arena *arena, const void **ret_conf, struct agw_error *err)
{
    const Pb__SessionPersistence *in = spec;
    struct agw_persistence *out = agw_arena_zalloc(arena, sizeof(*out));
    if (!out)
        return agw_error_set(err, AGW_ENOMEM, "out of memory");
    if (in->permanent && !agw_proto_ms(in->absolute_timeout))
        return agw_error_set(err, AGW_EINVAL,
                             "session_persistence: a permanent cookie needs absolute_timeout");
    out->header = in->type == PB__SESSION_PERSISTENCE__TYPE__HEADER;
    out->permanent = in->permanent;
    out->absolute_s = (agw_proto_ms(in->absolute_timeout) + 999) / 1000;
    out->idle_s = (agw_proto_ms(in->idle_timeout) + 999) / 1000;
    out->name = out->header ? agw_arena_lower(arena, agw_str_c(in->session_name))
                            : agw_arena_str(arena, agw_str_c(in->session_name));
    *ret_conf = out;
    return out->name.p ? 0 : agw_error_set(err, AGW_ENOMEM, "out of memory");
}

static enum agw_verdict request(const void *conf, struct agw_policy_ctx *ctx)
{
    ctx->persistence = conf;
    return AGW_CONTINUE;
}

const struct agw_policy_ops agw_policy_session_persistence = {
    .kind = AGW_POLICY_SESSION_PERSISTENCE, .own_conf = true, .compile = compile, .request = request};
