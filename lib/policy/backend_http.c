#include "policy/policy_int.h"

#include "proto/message.h"

struct conf {
    uint32_t timeout_ms;
};

static int compile(const void *spec, struct agw_arena *arena, const void **ret_conf, struct agw_error *err)
{
    const Pb__BackendPolicySpec__BackendHTTP *in = spec;
    struct conf *c = agw_arena_alloc(arena, sizeof(*c));
    if (!c)
        return agw_error_set(err, AGW_ENOMEM, "out of memory");
    c->timeout_ms = agw_proto_ms(in->request_timeout);
    *ret_conf = c;
    return 0;
}

static int transport(const void *spec, struct agw_arena *arena, struct agw_transport *t,
                     struct agw_error *err)
{
    const Pb__BackendPolicySpec__BackendHTTP *in = spec;
    switch (in->version) {
    case PB__BACKEND_POLICY_SPEC__BACKEND_HTTP__HTTP_VERSION__UNSPECIFIED:
        return 0;
    case PB__BACKEND_POLICY_SPEC__BACKEND_HTTP__HTTP_VERSION__HTTP1:
        t->http1 = true;
        return 0;
    case PB__BACKEND_POLICY_SPEC__BACKEND_HTTP__HTTP_VERSION__HTTP2:
        t->http2 = true;
        return 0;
    default:
        return agw_error_set(err, AGW_EINVAL, "backendHTTP: unknown version %d", (int)in->version);
    }
}

/* The tighter of the route's and the backend's deadline holds. */
static enum agw_verdict request(const void *conf, struct agw_policy_ctx *ctx)
{
    const struct conf *c = conf;
    if (c->timeout_ms && (!ctx->backend_timeout_ms || c->timeout_ms < ctx->backend_timeout_ms))
        ctx->backend_timeout_ms = c->timeout_ms;
    return AGW_CONTINUE;
}

const struct agw_policy_ops agw_policy_backend_http = {.kind = AGW_POLICY_BACKEND_HTTP,
                                                       .own_conf = true,
                                                       .compile = compile,
                                                       .transport = transport,
                                                       .request = request};
