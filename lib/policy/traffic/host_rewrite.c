#include "policy/traffic/traffic_int.h"

#include "config/snapshot.h"

static int compile(const void *spec, struct agw_arena *arena, const void **ret_conf, struct agw_error *err)
{
    static const bool keep = true, replace = false;
    const Pb__TrafficPolicySpec__HostRewrite *in = spec;
    (void)arena, (void)err;
    *ret_conf = in->mode == PB__TRAFFIC_POLICY_SPEC__HOST_REWRITE__MODE__NONE ? &keep : &replace;
    return 0;
}

/* NONE keeps the client's Host. AUTO, also the default, sends a backend that is known by name its own name;
 * it stands in the route's policies without effect and in the backend's (put there by the compiler) with it.
 */
static enum agw_verdict request(const void *conf, struct agw_policy_ctx *ctx)
{
    if (*(const bool *)conf)
        ctx->host_set = true;
    else if (ctx->backend && ctx->backend->auto_host.n && !ctx->host_set)
        ctx->req->authority = ctx->backend->auto_host;
    return AGW_CONTINUE;
}

const struct agw_policy_ops agw_policy_host_rewrite = {
    .kind = AGW_POLICY_HOST_REWRITE, .own_conf = true, .compile = compile, .request = request};
