#include "base/clock.h"
#include "policy/auth/auth_int.h"

/* Who asks, by a signed token: of a route (jwtAuthentication), or of an MCP backend, which also tells clients
 * where to get one (mcpAuthentication; MCP, "Authorization"). */

enum mode { OPTIONAL, STRICT, PERMISSIVE };

struct conf {
    enum mode mode;
    struct agw_jwt_issuer *issuers;
    uint32_t count;
    struct agw_auth_location location;
    bool mcp;
    struct agw_auth_metadata metadata;
};

/* --- configuration --- */

static int no_memory(struct agw_error *err)
{
    return agw_error_set(err, AGW_ENOMEM, "out of memory");
}

static int texts(char *const *in, size_t count, struct agw_arena *arena, const struct agw_str **ret,
                 uint32_t *ret_count, struct agw_error *err)
{
    struct agw_str *v = agw_arena_alloc(arena, count * sizeof *v);
    for (size_t i = 0; v && i < count; i++)
        if (!(v[i] = agw_arena_str(arena, agw_str_c(in[i]))).p)
            return no_memory(err);
    *ret = v;
    *ret_count = (uint32_t)count;
    return v ? 0 : no_memory(err);
}

/* An issuer's tokens: |keys| may be NULL. */
static int set_issuer(struct agw_jwt_issuer *out, const char *issuer, char *const *audiences,
                      size_t audience_count, const char *keys, const Pb__JWTValidationOptions *options,
                      struct agw_arena *arena, struct agw_error *err)
{
    if (!*issuer)
        return agw_error_set(err, AGW_EINVAL, "issuer: is required");
    if (!keys || !*keys)
        return agw_error_set(err, AGW_EINVAL, "jwks: is required");
    out->name = agw_arena_str(arena, agw_str_c(issuer));
    if (!out->name.p)
        return no_memory(err);
    int code = texts(audiences, audience_count, arena, &out->audiences, &out->audience_count, err);
    if (!code && options)
        code = texts(options->required_claims, options->n_required_claims, arena, &out->required,
                     &out->required_count, err);
    if (code)
        return code;
    code = agw_jwks_parse(agw_str_c(keys), arena, &out->keys, err);
    return code && code != AGW_ENOMEM ? agw_error_prefix(err, "jwks") : code;
}

static struct conf *new_conf(struct agw_arena *arena, size_t issuers)
{
    struct conf *c = agw_arena_zalloc(arena, sizeof *c);
    if (c)
        c->issuers = agw_arena_zalloc(arena, issuers * sizeof *c->issuers);
    return c && c->issuers ? c : NULL;
}

/* The two messages number their modes alike. */
static int set_mode(struct conf *c, int mode, struct agw_error *err)
{
    static_assert((int)PB__TRAFFIC_POLICY_SPEC__JWT__MODE__STRICT ==
                      (int)PB__BACKEND_POLICY_SPEC__MCP_AUTHENTICATION__MODE__STRICT,
                  "one enum serves both");
    if (mode < OPTIONAL || mode > PERMISSIVE)
        return agw_error_set(err, AGW_EINVAL, "mode: unknown mode %d", mode);
    c->mode = (enum mode)mode;
    return 0;
}

static int compile_jwt(const void *spec, struct agw_arena *arena, const void **ret_conf,
                       struct agw_error *err)
{
    const Pb__TrafficPolicySpec__JWT *in = spec;
    struct conf *c = new_conf(arena, in->n_providers);
    if (!c)
        return no_memory(err);
    int code = set_mode(c, (int)in->mode, err);
    for (size_t i = 0; !code && i < in->n_providers; i++) {
        const Pb__TrafficPolicySpec__JWTProvider *p = in->providers[i];
        code = set_issuer(&c->issuers[c->count++], p->issuer, p->audiences, p->n_audiences,
                          p->jwks_source_case ? p->inline_ : NULL, p->jwt_validation_options, arena, err);
        if (code && code != AGW_ENOMEM)
            agw_error_prefix(err, "providers[%zu]", i);
    }
    if (!code && in->n_providers == 0)
        code = agw_error_set(err, AGW_EINVAL, "providers: one is required");
    if (!code)
        code = agw_auth_location_set(&c->location, in->authorization_location, arena, err);
    c->mcp = in->mcp != NULL;
    if (!code && c->mcp)
        code = agw_auth_metadata_set(&c->metadata, in->providers[0]->issuer, in->mcp->resource_metadata,
                                     arena, err);
    *ret_conf = code ? *ret_conf : c;
    return code;
}

static int compile_mcp(const void *spec, struct agw_arena *arena, const void **ret_conf,
                       struct agw_error *err)
{
    const Pb__BackendPolicySpec__McpAuthentication *in = spec;
    struct conf *c = new_conf(arena, 1);
    if (!c)
        return no_memory(err);
    c->count = 1;
    c->mcp = true;
    int code = set_mode(c, (int)in->mode, err);
    if (!code)
        code = set_issuer(&c->issuers[0], in->issuer, in->audiences, in->n_audiences, in->jwks_inline,
                          in->jwt_validation_options, arena, err);
    if (!code)
        code = agw_auth_location_set(&c->location, in->authorization_location, arena, err);
    if (!code)
        code = agw_auth_metadata_set(&c->metadata, in->issuer, in->resource_metadata, arena, err);
    *ret_conf = code ? *ret_conf : c;
    return code;
}

/* --- requests --- */

/* RFC 6750 section 3: a request without a token hears of no error. */
static int challenge(const struct conf *c, struct agw_policy_ctx *ctx, const char *why)
{
    struct agw_msg *m = ctx->resp;
    struct agw_str url = c->mcp ? agw_auth_metadata_url(ctx) : AGW_STR("");
    struct agw_str field = agw_arena_printf(
        ctx->arena, "Bearer%s%s%s%s%.*s%s", why ? " error=\"invalid_token\", error_description=\"" : "",
        why ? why : "", why ? "\"" : "",
        c->mcp ? (why ? ", resource_metadata=\"" : " resource_metadata=\"") : "", AGW_STRF(url),
        c->mcp ? "\"" : "");
    struct agw_str body =
        agw_arena_printf(ctx->arena, "{\"error\":\"unauthorized\",\"error_description\":\"%s\"}",
                         why ? why : "a token is required");
    if (!url.p || !field.p || !body.p)
        return AGW_ENOMEM;
    ctx->resp_body = body;
    m->length = (int64_t)body.n;
    int rc = agw_headers_add(&m->headers, AGW_HDR_OTHER, AGW_STR("www-authenticate"), field);
    return rc ? rc : agw_headers_add_id(&m->headers, AGW_HDR_CONTENT_TYPE, AGW_STR("application/json"));
}

static enum agw_verdict refuse(const struct conf *c, struct agw_policy_ctx *ctx, const char *why)
{
    struct agw_msg *m = ctx->resp = agw_arena_alloc(ctx->arena, sizeof *m);
    if (!m)
        return AGW_RESPOND;
    agw_msg_init(m, ctx->arena);
    m->status = 401;
    if (challenge(c, ctx, why) != 0)
        ctx->resp = NULL; /* 500 */
    return AGW_RESPOND;
}

/* A token that an earlier policy took off the request counts here as well. */
static bool find_token(const struct conf *c, struct agw_policy_ctx *ctx, struct agw_str *ret)
{
    if (agw_auth_location_get(&c->location, &ctx->req->headers, ret))
        return true;
    *ret = ctx->token;
    return ctx->token.n > 0;
}

static enum agw_verdict request(const void *conf, struct agw_policy_ctx *ctx)
{
    const struct conf *c = conf;
    struct agw_str token;
    const char *why = NULL;
    if (c->mcp && agw_auth_metadata_answer(&c->metadata, ctx))
        return AGW_RESPOND;
    if (!find_token(c, ctx, &token))
        return c->mode == STRICT ? refuse(c, ctx, NULL) : AGW_CONTINUE;
    int code = agw_jwt_verify(c->issuers, c->count, token, ctx->wall_ns / AGW_NS_PER_S, ctx->arena,
                              &ctx->claims, &why);
    if (code == AGW_ENOMEM) {
        ctx->resp = NULL;
        return AGW_RESPOND;
    }
    if (code != 0)
        return c->mode == PERMISSIVE ? AGW_CONTINUE : refuse(c, ctx, why);
    /* It was for the gateway: whoever is behind it could use it as the client's own. */
    ctx->token = token;
    agw_headers_remove(&ctx->req->headers, c->location.name);
    return AGW_CONTINUE;
}

const struct agw_policy_ops agw_policy_jwt = {
    .kind = AGW_POLICY_JWT, .own_conf = true, .compile = compile_jwt, .request = request};
const struct agw_policy_ops agw_policy_mcp_authentication = {
    .kind = AGW_POLICY_MCP_AUTHENTICATION, .own_conf = true, .compile = compile_mcp, .request = request};
