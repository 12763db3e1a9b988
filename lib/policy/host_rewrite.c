#include "policy/policy_int.h"

#include "config/snapshot.h"

/* NONE keeps the client's Host. AUTO, also the default, sends a backend that is known by name its own name;
 * it stands in the route's policies without effect and in the backend's (put there by the compiler) with it.
 */
static enum agw_verdict request(const void *conf, struct agw_policy_ctx *ctx)
{
    const Pb__TrafficPolicySpec__HostRewrite *c = conf;
    if (c->mode == PB__TRAFFIC_POLICY_SPEC__HOST_REWRITE__MODE__NONE)
        ctx->host_set = true;
    else if (ctx->backend && ctx->backend->auto_host.n && !ctx->host_set)
        ctx->req->authority = ctx->backend->auto_host;
    return AGW_CONTINUE;
}

const struct agw_policy_ops agw_policy_host_rewrite = {.kind = AGW_POLICY_HOST_REWRITE, .request = request};
