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
    bool own;                                    /* the gateway stands for the authorization server */
};
/* AGW_EINVAL: values nested too deep, or none. AGW_ENOMEM. */
int agw_auth_metadata_set(struct agw_auth_metadata *m, const char *issuer,
                          const Pb__BackendPolicySpec__McpAuthentication__ResourceMetadata *in,
                          struct agw_arena *arena, struct agw_error *err);
/* True if the request is for the metadata: then it is answered, and AGW_RESPOND is to follow. */
bool agw_auth_metadata_answer(const struct agw_auth_metadata *m, struct agw_policy_ctx *ctx);
/* Where the metadata of what the request asks for is, for WWW-Authenticate. p NULL: no memory. */
struct agw_str agw_auth_metadata_url(const struct agw_policy_ctx *ctx);
/* How the client calls the gateway: "https://host". p NULL: no memory. */
struct agw_str agw_auth_base(const struct agw_policy_ctx *ctx);
/* What it asked for, without query. */
struct agw_str agw_auth_path(const struct agw_policy_ctx *ctx);
/* Begins an answer that any page may read. NULL: no memory; then return AGW_RESPOND. */
struct agw_msg *agw_auth_public_reply(struct agw_policy_ctx *ctx, int status);

/* An authorization server behind the gateway (server.c). */
struct agw_auth_server {
    bool on;
    struct agw_key_source document; /* its metadata */
    struct agw_str issuer, origin, authority;
};
/* |issuer| lives as long as |s|; |keys|: where its keys are. AGW_EINVAL, AGW_ENOMEM. */
int agw_auth_server_set(struct agw_auth_server *s, struct agw_str issuer, const struct agw_key_source *keys,
                        struct agw_arena *arena, struct agw_error *err);
/* CONTINUE: the request is for something else. */
enum agw_verdict agw_auth_server_request(const struct agw_auth_server *s, struct agw_policy_ctx *ctx);
/* The issuer's metadata with |registration| for its registration_endpoint, if it has one. AGW_EINVAL: no
 * metadata, or another issuer's. AGW_ELIMIT, AGW_ENOMEM. */
int agw_auth_server_rewrite(const struct agw_auth_server *s, struct agw_str text, struct agw_str registration,
                            struct agw_arena *arena, struct agw_str *ret_text);
/* Path and query of its registration_endpoint, at the issuer's own origin. AGW_ENOTFOUND: it has none.
 * AGW_EUNSUPPORTED: it is elsewhere. Others as above. */
int agw_auth_server_registration(const struct agw_auth_server *s, struct agw_str text,
                                 struct agw_arena *arena, struct agw_str *ret_path);

#endif
