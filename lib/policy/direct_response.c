#include "policy/policy_int.h"

static int compile(const void *spec, struct agw_arena *arena, const void **ret_conf, struct agw_error *err)
{
    const Pb__DirectResponse *in = spec;
    if (in->status < 200 || in->status > 599)
        return agw_error_set(err, AGW_EINVAL, "status %u is not in 200..599", in->status);
    if (*in->body_expression || in->n_headers)
        return agw_error_set(err, AGW_EUNSUPPORTED, "expressions are not supported");
    *ret_conf = in;
    return 0;
}

static enum agw_verdict request(const void *conf, struct agw_policy_ctx *ctx)
{
    const Pb__DirectResponse *c = conf;
    struct agw_msg *m = agw_policy_reply(ctx, (int)c->status);
    const char *body = m ? agw_arena_copy(ctx->arena, c->body.data, c->body.len) : NULL;
    if (!body) {
        ctx->resp = NULL;
        return AGW_RESPOND;
    }
    ctx->resp_body = agw_str(body, c->body.len);
    m->length = (int64_t)c->body.len;
    return AGW_RESPOND;
}

const struct agw_policy_ops agw_policy_direct_response = {
    .kind = AGW_POLICY_DIRECT_RESPONSE, .compile = compile, .request = request};
