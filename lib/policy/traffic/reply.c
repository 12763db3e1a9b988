#include "policy/traffic/traffic_int.h"

struct agw_msg *agw_policy_reply(struct agw_policy_ctx *ctx, int status)
{
    struct agw_msg *m = agw_arena_alloc(ctx->arena, sizeof(*m));
    ctx->resp = m;
    if (!m)
        return NULL;
    agw_msg_init(m, ctx->arena);
    m->status = status;
    m->length = 0;
    ctx->resp_body = AGW_STR("");
    return m;
}
