#include "http/uri.h"
#include "json/edit.h"
#include "json/pointer.h"
#include "policy/auth/auth_int.h"

/* The authorization server as clients see it behind the gateway: its metadata (RFC 8414, OpenID Connect
 * Discovery 1.0) and the registration of clients (RFC 7591). Nothing is asked of another host than the
 * issuer's, by the backend that its keys come from. */

#define METADATA "/.well-known/oauth-authorization-server"
#define DISCOVERY "/.well-known/openid-configuration"
#define REGISTRATION "/client-registration"
#define REQUEST_MAX 65536    /* bytes that register a client: names, URIs and keys of one take a few KiB */
#define DOCUMENT_TOKENS 8192 /* JSON values of 64 KiB of metadata */

/* --- configuration --- */

int agw_auth_server_set(struct agw_auth_server *s, struct agw_str issuer, const struct agw_key_source *keys,
                        struct agw_arena *arena, struct agw_error *err)
{
    struct agw_uri uri;
    if (agw_uri_parse(issuer, &uri) || uri.has_query)
        return agw_error_set(err, AGW_EINVAL, "issuer: must be a URL without query, for a provider");
    struct agw_str path = uri.path;
    while (path.n > 0 && path.p[path.n - 1] == '/')
        path.n--;
    struct agw_str parts[] = {path, AGW_STR(DISCOVERY)};
    s->document = *keys;
    s->document.path = agw_arena_join(arena, parts, 2);
    s->issuer = issuer;
    size_t skip = uri.scheme.n + 3;
    ptrdiff_t end = agw_str_find(agw_str_from(issuer, skip), '/');
    s->origin = end < 0 ? issuer : agw_str(issuer.p, skip + (size_t)end);
    s->authority = agw_str_from(s->origin, skip);
    s->on = true;
    return s->document.path.p ? 0 : agw_error_set(err, AGW_ENOMEM, "out of memory");
}

/* --- the issuer's document --- */

static int text_of(const struct agw_json_doc *doc, struct agw_str name, struct agw_arena *arena,
                   uint32_t *ret_token, struct agw_str *ret)
{
    *ret = AGW_STR("");
    if (agw_json_get_unique(doc, 0, name, ret_token))
        return AGW_EINVAL;
    return *ret_token ? agw_json_unescape(doc, *ret_token, arena, ret) : 0;
}

/* RFC 8414 section 3.3: a document of another issuer must not be used. */
static int read_document(const struct agw_auth_server *s, struct agw_json_doc *doc, struct agw_str text,
                         struct agw_arena *arena, uint32_t *ret_token, struct agw_str *ret_registration)
{
    struct agw_str issuer;
    uint32_t token = 0;
    agw_json_doc_init(doc, DOCUMENT_TOKENS);
    int code = agw_json_parse(doc, text, NULL);
    if (code == 0 && agw_json_type(doc, 0) != AGW_JSON_OBJECT)
        code = AGW_EINVAL;
    if (code == 0)
        code = text_of(doc, AGW_STR("issuer"), arena, &token, &issuer);
    if (code == 0 && !agw_str_eq(issuer, s->issuer))
        code = AGW_EINVAL;
    *ret_token = 0;
    return code ? code : text_of(doc, AGW_STR("registration_endpoint"), arena, ret_token, ret_registration);
}

int agw_auth_server_rewrite(const struct agw_auth_server *s, struct agw_str text, struct agw_str registration,
                            struct agw_arena *arena, struct agw_str *ret_text)
{
    struct agw_json_doc doc;
    struct agw_json_edits edits;
    struct agw_json_writer w;
    struct agw_str was, whole = {NULL, 0};
    uint32_t token;
    agw_json_writer_init(&w);
    agw_json_edits_init(&edits, arena);
    int code = read_document(s, &doc, text, arena, &token, &was);
    if (code == 0 && token)
        code = agw_json_edits_string(&edits, &doc, token, registration);
    if (code == 0)
        code = agw_json_edits_write(&edits, text, 0, (uint32_t)text.n, &w);
    if (code == 0)
        code = w.error;
    if (code == 0 && !(whole = agw_arena_str(arena, agw_json_writer_text(&w))).p)
        code = AGW_ENOMEM;
    agw_json_writer_free(&w);
    agw_json_doc_free(&doc);
    if (code == 0)
        *ret_text = whole;
    return code;
}

int agw_auth_server_registration(const struct agw_auth_server *s, struct agw_str text,
                                 struct agw_arena *arena, struct agw_str *ret_path)
{
    struct agw_json_doc doc;
    struct agw_str url, path = AGW_STR("");
    struct agw_uri uri;
    uint32_t token;
    int code = read_document(s, &doc, text, arena, &token, &url);
    agw_json_doc_free(&doc);
    if (code)
        return code;
    if (token == 0)
        return AGW_ENOTFOUND;
    if (agw_uri_parse(url, &uri) || !agw_str_starts(url, s->origin))
        return AGW_EUNSUPPORTED;
    path = agw_str_from(url, s->origin.n);
    if (path.n == 0 || path.p[0] != '/')
        return AGW_EUNSUPPORTED;
    *ret_path = path;
    return 0;
}

/* --- requests --- */

static enum agw_verdict answer(struct agw_policy_ctx *ctx, int status, const char *type, struct agw_str body)
{
    struct agw_msg *m = agw_auth_public_reply(ctx, status);
    if (!m)
        return AGW_RESPOND;
    m->length = (int64_t)body.n;
    ctx->resp_body = body;
    if (body.n > 0 && agw_headers_add_id(&m->headers, AGW_HDR_CONTENT_TYPE, agw_str_c(type)))
        ctx->resp = NULL; /* 500 */
    return AGW_RESPOND;
}

static enum agw_verdict refuse(struct agw_policy_ctx *ctx, int status, const char *why)
{
    return answer(ctx, status, "text/plain", agw_str_c(why));
}

static enum agw_verdict bad_document(struct agw_policy_ctx *ctx, int code)
{
    if (code == AGW_ENOMEM)
        return refuse(ctx, 503, "out of memory\n");
    if (code == AGW_ENOTFOUND)
        return refuse(ctx, 404, "the issuer registers no clients\n");
    if (code == AGW_EUNSUPPORTED)
        return refuse(ctx, 502, "the issuer registers clients at another host\n");
    return refuse(ctx, 502, "the issuer's metadata is not valid, or another issuer's\n");
}

static enum agw_verdict show(const struct agw_auth_server *s, struct agw_policy_ctx *ctx, struct agw_str text)
{
    struct agw_str parts[] = {agw_auth_base(ctx), agw_auth_path(ctx), AGW_STR(REGISTRATION)}, body;
    struct agw_str url = parts[0].p ? agw_arena_join(ctx->arena, parts, 3) : parts[0];
    int code = url.p ? agw_auth_server_rewrite(s, text, url, ctx->arena, &body) : AGW_ENOMEM;
    return code ? bad_document(ctx, code) : answer(ctx, 200, "application/json", body);
}

/* To the issuer as it is, but for what is between the client and the gateway alone. */
static enum agw_verdict register_client(const struct agw_auth_server *s, struct agw_policy_ctx *ctx,
                                        struct agw_str text)
{
    struct agw_msg *req = ctx->req;
    struct agw_str type = agw_headers_value(&req->headers, AGW_HDR_CONTENT_TYPE), media = {0}, path;
    agw_str_split(&type, ';', &media);
    if (!agw_str_ieq(media, AGW_STR("application/json")))
        return refuse(ctx, 415, "clients are registered by application/json\n");
    if (req->length < 0)
        return refuse(ctx, 411, "the length of the body is needed\n");
    if (req->length > REQUEST_MAX)
        return refuse(ctx, 413, "the request body is too large\n");
    int code = agw_auth_server_registration(s, text, ctx->arena, &path);
    if (code)
        return bad_document(ctx, code);
    agw_headers_remove(&req->headers, AGW_STR("cookie"));
    req->path = path;
    req->authority = s->authority;
    ctx->host_set = true;
    ctx->forward = s->document.backend;
    ctx->open_to_pages = true;
    return AGW_FORWARD;
}

static bool is_ours(struct agw_str path, struct agw_str prefix)
{
    return agw_str_starts(path, prefix) && (path.n == prefix.n || path.p[prefix.n] == '/');
}

enum agw_verdict agw_auth_server_request(const struct agw_auth_server *s, struct agw_policy_ctx *ctx)
{
    const struct agw_str last = AGW_STR(REGISTRATION);
    struct agw_str path = agw_auth_path(ctx), text;
    if (!is_ours(path, AGW_STR(METADATA)) && !is_ours(path, AGW_STR(DISCOVERY)))
        return AGW_CONTINUE;
    bool registers = path.n >= last.n && agw_str_eq(agw_str_from(path, path.n - last.n), last);
    if (ctx->req->method == AGW_METHOD_OPTIONS)
        return answer(ctx, 204, NULL, AGW_STR(""));
    if (ctx->req->method != (registers ? AGW_METHOD_POST : AGW_METHOD_GET))
        return refuse(ctx, 405, registers ? "POST registers clients\n" : "GET is all that is served here\n");
    int code = ctx->keys ? ctx->keys->document(ctx->keys, ctx->snap, &s->document, &text) : AGW_ENOTFOUND;
    if (code == AGW_EAGAIN)
        return AGW_AWAIT;
    if (code)
        return refuse(ctx, 502, "the issuer's metadata cannot be had\n");
    return registers ? register_client(s, ctx, text) : show(s, ctx, text);
}
