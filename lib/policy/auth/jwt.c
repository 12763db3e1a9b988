#include "base/clock.h"
#include "policy/auth/auth_int.h"
#include "proto/message.h"

/* Who asks, by a signed token: of a route (jwtAuthentication), or of an MCP backend, which also tells clients
 * where to get one (mcpAuthentication; MCP, "Authorization"). */

enum mode { OPTIONAL, STRICT, PERMISSIVE };

struct conf {
    enum mode mode;
    struct agw_jwt_issuer *issuers;
    struct agw_key_source *sources; /* of those whose keys are remote, in their order */
    uint32_t count, source_count;
    struct agw_auth_location location;
    bool mcp;
    struct agw_auth_metadata metadata;
    struct agw_auth_server server;
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

/* Longest path of keys; the API's. */
#define PATH_MAX_BYTES 2000
#define FRESH_MS 300000 /* where nothing is said */

/* A target as it may stand in a request. */
static bool is_path(struct agw_str s)
{
    bool good = s.n > 0 && s.n <= PATH_MAX_BYTES && s.p[0] == '/';
    for (size_t i = 0; good && i < s.n; i++)
        good = s.p[i] > ' ' && s.p[i] < 0x7f && s.p[i] != '#';
    return good;
}

static int set_source(struct conf *c, struct agw_jwt_issuer *out, const Pb__RemoteKeys *in,
                      struct agw_arena *arena, struct agw_error *err)
{
    struct agw_key_source *s = &c->sources[c->source_count];
    if (!in->backend)
        return agw_error_set(err, AGW_EINVAL, "jwks: backend: is required");
    if (!is_path(agw_str_c(in->path)))
        return agw_error_set(err, AGW_EINVAL, "jwks: path: must be a path of at most %d characters",
                             PATH_MAX_BYTES);
    s->path = agw_arena_str(arena, agw_str_c(in->path));
    if (!s->path.p)
        return no_memory(err);
    s->fresh_ms = in->cache_duration ? agw_proto_ms(in->cache_duration) : FRESH_MS;
    out->remote = s;
    c->source_count++;
    return 0;
}

/* An issuer's tokens: |keys| may be NULL, and so may |remote|. */
static int set_issuer(struct conf *c, struct agw_jwt_issuer *out, const char *issuer, char *const *audiences,
                      size_t audience_count, const char *keys, const Pb__RemoteKeys *remote,
                      const Pb__JWTValidationOptions *options, struct agw_arena *arena, struct agw_error *err)
{
    if (!*issuer)
        return agw_error_set(err, AGW_EINVAL, "issuer: is required");
    if (!remote && (!keys || !*keys))
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
    if (remote)
        return set_source(c, out, remote, arena, err);
    code = agw_jwks_parse(agw_str_c(keys), arena, &out->keys, err);
    return code && code != AGW_ENOMEM ? agw_error_prefix(err, "jwks") : code;
}

static struct conf *new_conf(struct agw_arena *arena, size_t issuers)
{
    struct conf *c = agw_arena_zalloc(arena, sizeof *c);
    if (c) {
        c->issuers = agw_arena_zalloc(arena, issuers * sizeof *c->issuers);
        c->sources = agw_arena_zalloc(arena, issuers * sizeof *c->sources);
    }
    return c && c->issuers && c->sources ? c : NULL;
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

/* Providers whose metadata needs no more than that. Without a way to the issuer, or for others, clients are
 * sent there themselves. */
static int set_server(struct conf *c, int provider, struct agw_arena *arena, struct agw_error *err)
{
    if (c->count != 1 || c->source_count != 1 ||
        (provider != PB__BACKEND_POLICY_SPEC__MCP_AUTHENTICATION__MCP_IDP__KEYCLOAK &&
         provider != PB__BACKEND_POLICY_SPEC__MCP_AUTHENTICATION__MCP_IDP__OKTA &&
         provider != PB__BACKEND_POLICY_SPEC__MCP_AUTHENTICATION__MCP_IDP__DESCOPE &&
         provider != PB__BACKEND_POLICY_SPEC__MCP_AUTHENTICATION__MCP_IDP__AUTHENTIK))
        return 0;
    c->metadata.own = true;
    return agw_auth_server_set(&c->server, c->issuers[0].name, &c->sources[0], arena, err);
}

static bool has_inline(const Pb__TrafficPolicySpec__JWTProvider *p)
{
    return p->jwks_source_case == PB__TRAFFIC_POLICY_SPEC__JWTPROVIDER__JWKS_SOURCE_INLINE;
}

static const Pb__RemoteKeys *remote_of(const Pb__TrafficPolicySpec__JWTProvider *p)
{
    return p->jwks_source_case == PB__TRAFFIC_POLICY_SPEC__JWTPROVIDER__JWKS_SOURCE_REMOTE ? p->remote : NULL;
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
        code = set_issuer(c, &c->issuers[c->count++], p->issuer, p->audiences, p->n_audiences,
                          has_inline(p) ? p->inline_ : NULL, remote_of(p), p->jwt_validation_options, arena,
                          err);
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
    if (!code && c->mcp)
        code = set_server(c, (int)in->mcp->provider, arena, err);
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
        code = set_issuer(c, &c->issuers[0], in->issuer, in->audiences, in->n_audiences, in->jwks_inline,
                          in->jwks_remote, in->jwt_validation_options, arena, err);
    if (!code)
        code = agw_auth_location_set(&c->location, in->authorization_location, arena, err);
    if (!code)
        code = agw_auth_metadata_set(&c->metadata, in->issuer, in->resource_metadata, arena, err);
    if (!code)
        code = set_server(c, (int)in->provider, arena, err);
    *ret_conf = code ? *ret_conf : c;
    return code;
}

static const void *jwt_reference(const void *spec, uint32_t i)
{
    const Pb__TrafficPolicySpec__JWT *in = spec;
    for (size_t k = 0; k < in->n_providers; k++) {
        const Pb__RemoteKeys *remote = remote_of(in->providers[k]);
        if (remote && i-- == 0)
            return remote->backend;
    }
    return NULL;
}

static const void *mcp_reference(const void *spec, uint32_t i)
{
    const Pb__BackendPolicySpec__McpAuthentication *in = spec;
    return in->jwks_remote && i == 0 ? in->jwks_remote->backend : NULL;
}

static void resolved(const void *conf, uint32_t i, uint32_t backend)
{
    struct conf *c = (struct conf *)conf; /* the compiler's alone until it is published */
    c->sources[i].backend = backend;
    c->server.document.backend = backend; /* if it is on, there is one source */
}

/* --- requests --- */

static int get_keys(void *ctx, const struct agw_jwt_issuer *i, bool unknown, const struct agw_jwks **ret_keys)
{
    const struct agw_policy_ctx *p = ctx;
    return p->keys ? p->keys->find(p->keys, p->snap, i->remote, unknown, ret_keys) : AGW_ENOTFOUND;
}

/* Nobody can tell yet whether the token is good: the client may ask again. */
static enum agw_verdict no_keys(struct agw_policy_ctx *ctx)
{
    static const struct agw_str body = {"the issuer's keys cannot be had\n", 32};
    struct agw_msg *m = ctx->resp = agw_arena_alloc(ctx->arena, sizeof *m);
    if (!m)
        return AGW_RESPOND;
    agw_msg_init(m, ctx->arena);
    m->status = 503;
    m->length = (int64_t)body.n;
    ctx->resp_body = body;
    if (agw_headers_add_id(&m->headers, AGW_HDR_CONTENT_TYPE, AGW_STR("text/plain")) ||
        agw_headers_add(&m->headers, AGW_HDR_OTHER, AGW_STR("retry-after"), AGW_STR("3")))
        ctx->resp = NULL; /* 500 */
    return AGW_RESPOND;
}

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
    enum agw_verdict verdict = c->server.on ? agw_auth_server_request(&c->server, ctx) : AGW_CONTINUE;
    if (verdict != AGW_CONTINUE)
        return verdict;
    if (!find_token(c, ctx, &token))
        return c->mode == STRICT ? refuse(c, ctx, NULL) : AGW_CONTINUE;
    const struct agw_jwt_keys remote = {get_keys, ctx};
    int code = agw_jwt_verify(c->issuers, c->count, &remote, token, ctx->wall_ns / AGW_NS_PER_S, ctx->arena,
                              &ctx->claims, &why);
    if (code == AGW_ENOMEM) {
        ctx->resp = NULL;
        return AGW_RESPOND;
    }
    if (code == AGW_EAGAIN)
        return AGW_AWAIT;
    if (code == AGW_ENOTFOUND && c->mode != PERMISSIVE)
        return no_keys(ctx);
    if (code != 0)
        return c->mode == PERMISSIVE ? AGW_CONTINUE : refuse(c, ctx, why);
    /* It was for the gateway: whoever is behind it could use it as the client's own. */
    ctx->token = token;
    agw_headers_remove(&ctx->req->headers, c->location.name);
    return AGW_CONTINUE;
}

const struct agw_policy_ops agw_policy_jwt = {.kind = AGW_POLICY_JWT,
                                              .own_conf = true,
                                              .compile = compile_jwt,
                                              .reference = jwt_reference,
                                              .resolved = resolved,
                                              .request = request};
const struct agw_policy_ops agw_policy_mcp_authentication = {.kind = AGW_POLICY_MCP_AUTHENTICATION,
                                                             .own_conf = true,
                                                             .compile = compile_mcp,
                                                             .reference = mcp_reference,
                                                             .resolved = resolved,
                                                             .request = request};
