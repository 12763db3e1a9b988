/* What the policies about tokens share. */
#ifndef AGW_POLICY_AUTH_AUTH_INT_H
#define AGW_POLICY_AUTH_AUTH_INT_H

#include "jwt/jwt.h"
#include "policy/auth/auth.h"
#include "proto/resource.pb-c.h"

/* Where a credential stands: a header field and what comes before it there. */
struct agw_auth_location {
    struct agw_str name;   /* lower case */
    struct agw_str prefix; /* may be empty; its letters' case does not matter */
};

/* NULL: "Authorization: Bearer ". AGW_EUNSUPPORTED: no header field. AGW_EINVAL, AGW_ENOMEM. */
int agw_auth_location_set(struct agw_auth_location *l, const Pb__AuthorizationLocation *in,
                          struct agw_arena *arena, struct agw_error *err);
/* False: none is there. Two fields, or one without the prefix, give an empty credential: there is one, and it
 * is bad. */
bool agw_auth_location_get(const struct agw_auth_location *l, const struct agw_headers *h,
                           struct agw_str *ret);

/* The protected resource's metadata (RFC 9728) of an MCP endpoint. */
struct agw_auth_metadata {
    struct agw_str issuer;
    struct agw_str extra;                        /* more members as JSON, each with a comma in front */
    bool has_resource, has_servers, has_methods; /* |extra| says these itself */
};
/* AGW_EINVAL: values nested too deep, or none. AGW_ENOMEM. */
int agw_auth_metadata_set(struct agw_auth_metadata *m, const char *issuer,
                          const Pb__BackendPolicySpec__McpAuthentication__ResourceMetadata *in,
                          struct agw_arena *arena, struct agw_error *err);
/* True if the request is for the metadata: then it is answered, and AGW_RESPOND is to follow. */
bool agw_auth_metadata_answer(const struct agw_auth_metadata *m, struct agw_policy_ctx *ctx);
/* Where the metadata of what the request asks for is, for WWW-Authenticate. p NULL: no memory. */
struct agw_str agw_auth_metadata_url(const struct agw_policy_ctx *ctx);

#endif
