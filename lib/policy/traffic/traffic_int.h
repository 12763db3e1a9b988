/* What the policies of this room share. */
#ifndef AGW_POLICY_TRAFFIC_TRAFFIC_INT_H
#define AGW_POLICY_TRAFFIC_TRAFFIC_INT_H

#include "policy/traffic/traffic.h"
#include "proto/resource.pb-c.h"

/* Starts the policy's own answer in ctx->resp, without headers. NULL: out of memory; then return AGW_RESPOND
 * with ctx->resp NULL, which is a 500. */
struct agw_msg *agw_policy_reply(struct agw_policy_ctx *ctx, int status);

/* What a rewrite or redirect makes of a path. */
struct agw_path_change {
    enum { AGW_CHANGE_NONE, AGW_CHANGE_FULL, AGW_CHANGE_PREFIX } kind;
    struct agw_str value; /* PREFIX: without slashes at its end */
};

/* Sets a new path or prefix, copied into |arena|. AGW_EINVAL with the reason, AGW_ENOMEM. */
int agw_path_change_set(struct agw_path_change *c, bool prefix, const char *value, struct agw_arena *arena,
                        struct agw_error *err);
/* The changed path with the request's query, in ctx->arena. p is NULL when memory is out. */
struct agw_str agw_path_change_apply(const struct agw_path_change *c, const struct agw_policy_ctx *ctx);

#endif
