#include "policy/traffic/traffic_int.h"

struct conf {
    int status;
    struct agw_str body;
};

static int compile(const void *spec, struct agw_arena *arena, const void **ret_conf, struct agw_error *err)
{
    const Pb__DirectResponse *in = spec;
    if (in->status < 200 || in->status > 599)
        return agw_error_set(err, AGW_EINVAL, "status %u is not in 200..599", in->status);
    if (*in->body_expression || in->n_headers)
        return agw_error_set(err, AGW_EUNSUPPORTED, "expressions are not supported");
    struct conf *c = agw_arena_alloc(arena, sizeof(*c));
    if (!c)
        return agw_error_set(err, AGW_ENOMEM, "out of memory");
    *c = (struct conf){(int)in->status,
                       agw_arena_str(arena, agw_str((const char *)in->body.data, in->body.len))};
    *ret_conf = c;
    return c->body.p ? 0 : agw_error_set(err, AGW_ENOMEM, "out of memory");
}

static enum agw_verdict request(const void *conf, struct agw_policy_ctx *ctx)
{
    const struct conf *c = conf;
    struct agw_msg *m = agw_policy_reply(ctx, c->status);
    const char *body = m ? agw_arena_copy(ctx->arena, c->body.p, c->body.n) : NULL;
    if (!body) {
        ctx->resp = NULL;
        return AGW_RESPOND;
    }
    ctx->resp_body = agw_str(body, c->body.n);
    m->length = (int64_t)c->body.n;
    return AGW_RESPOND;
}

const struct agw_policy_ops agw_policy_direct_response = {
    .kind = AGW_POLICY_DIRECT_RESPONSE, .own_conf = true, .compile = compile, .request = request};
