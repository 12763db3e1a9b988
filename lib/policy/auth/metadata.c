#include "http/uri.h"
#include "json/writer.h"
#include "policy/auth/auth_int.h"

#define WELL_KNOWN "/.well-known/oauth-protected-resource"
#define DEPTH_MAX 16 /* of values: the members that are known have lists of texts */

/* --- configuration --- */

static bool write_value(struct agw_json_writer *w, const Google__Protobuf__Value *v, unsigned depth);

static bool write_struct(struct agw_json_writer *w, const Google__Protobuf__Struct *s, unsigned depth)
{
    bool good = s != NULL;
    agw_json_begin_object(w);
    for (size_t i = 0; good && i < s->n_fields; i++) {
        agw_json_key(w, agw_str_c(s->fields[i]->key));
        good = write_value(w, s->fields[i]->value, depth);
    }
    agw_json_end_object(w);
    return good;
}

static bool write_list(struct agw_json_writer *w, const Google__Protobuf__ListValue *l, unsigned depth)
{
    bool good = l != NULL;
    agw_json_begin_array(w);
    for (size_t i = 0; good && i < l->n_values; i++)
        good = write_value(w, l->values[i], depth);
    agw_json_end_array(w);
    return good;
}

/* False: too deep, or not there; something is written all the same. */
static bool write_value(struct agw_json_writer *w, const Google__Protobuf__Value *v, unsigned depth)
{
    bool good = v && depth < DEPTH_MAX;
    switch (good ? v->kind_case : GOOGLE__PROTOBUF__VALUE__KIND__NOT_SET) {
    case GOOGLE__PROTOBUF__VALUE__KIND_NUMBER_VALUE:
        agw_json_double(w, v->number_value);
        break;
    case GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE:
        agw_json_string(w, agw_str_c(v->string_value));
        break;
    case GOOGLE__PROTOBUF__VALUE__KIND_BOOL_VALUE:
        agw_json_bool(w, v->bool_value);
        break;
    case GOOGLE__PROTOBUF__VALUE__KIND_STRUCT_VALUE:
        return write_struct(w, v->struct_value, depth + 1);
    case GOOGLE__PROTOBUF__VALUE__KIND_LIST_VALUE:
        return write_list(w, v->list_value, depth + 1);
    default:
        agw_json_null(w);
    }
    return good;
}

int agw_auth_metadata_set(struct agw_auth_metadata *m, const char *issuer,
                          const Pb__BackendPolicySpec__McpAuthentication__ResourceMetadata *in,
                          struct agw_arena *arena, struct agw_error *err)
{
    struct agw_json_writer w;
    bool good = true;
    *m = (struct agw_auth_metadata){.issuer = agw_arena_str(arena, agw_str_c(issuer)), .extra = AGW_STR("")};
    agw_json_writer_init(&w);
    agw_json_begin_object(&w);
    for (size_t i = 0; in && good && i < in->n_extra; i++) {
        struct agw_str key = agw_str_c(in->extra[i]->key);
        m->has_resource |= agw_str_eq(key, AGW_STR("resource"));
        m->has_servers |= agw_str_eq(key, AGW_STR("authorization_servers"));
        m->has_methods |= agw_str_eq(key, AGW_STR("bearer_methods_supported"));
        agw_json_key(&w, key);
        good = write_value(&w, in->extra[i]->value, 0);
    }
    agw_json_end_object(&w);
    struct agw_str text = agw_json_writer_text(&w);
    if (good && w.error == 0 && text.n > 2) {
        struct agw_str parts[] = {AGW_STR(","), agw_str(text.p + 1, text.n - 2)};
        m->extra = agw_arena_join(arena, parts, 2);
    }
    int code = w.error || !m->issuer.p || !m->extra.p ? AGW_ENOMEM : 0;
    agw_json_writer_free(&w);
    if (code)
        return agw_error_set(err, code, "out of memory");
    return good ? 0
                : agw_error_set(err, AGW_EINVAL, "resource_metadata: a value is missing or nested too deep");
}

/* --- requests --- */

/* How the client calls us, as X-Forwarded-* of trusted proxies say; they are removed from others. */
struct agw_str agw_auth_base(const struct agw_policy_ctx *ctx)
{
    const struct agw_headers *h = &ctx->req->headers;
    struct agw_str rest = agw_headers_value(h, AGW_HDR_X_FORWARDED_PROTO), proto = {0}, host = {0}, name,
                   port;
    agw_str_split(&rest, ',', &proto);
    rest = agw_headers_value(h, AGW_HDR_X_FORWARDED_HOST);
    agw_str_split(&rest, ',', &host);
    if (host.n == 0 || agw_authority_split(host, &name, &port) != 0)
        host = ctx->original_authority;
    bool https = ctx->tls || agw_str_ieq(proto, AGW_STR("https"));
    return agw_arena_printf(ctx->arena, "%s://%.*s", https ? "https" : "http", AGW_STRF(host));
}

/* Fit to stand in a quoted text. */
static struct agw_str quotable(struct agw_str s, struct agw_arena *arena)
{
    char *out = agw_arena_alloc(arena, 3 * s.n);
    size_t n = 0;
    for (size_t i = 0; out && i < s.n; i++) {
        if (s.p[i] == '"' || s.p[i] == '\\') {
            out[n++] = '%';
            out[n++] = s.p[i] == '"' ? '2' : '5';
            out[n++] = s.p[i] == '"' ? '2' : 'C';
        } else {
            out[n++] = s.p[i];
        }
    }
    return agw_str(out, n);
}

struct agw_str agw_auth_path(const struct agw_policy_ctx *ctx)
{
    struct agw_str path, query;
    bool has_query;
    agw_path_split(ctx->original_path, &path, &query, &has_query);
    return path;
}

struct agw_str agw_auth_metadata_url(const struct agw_policy_ctx *ctx)
{
    struct agw_str path = agw_auth_path(ctx), base = agw_auth_base(ctx);
    if (agw_str_eq(path, AGW_STR("/")))
        path = AGW_STR("");
    struct agw_str parts[] = {base, AGW_STR(WELL_KNOWN), path};
    struct agw_str url = base.p ? agw_arena_join(ctx->arena, parts, 3) : base;
    return url.p ? quotable(url, ctx->arena) : url;
}

static struct agw_str document(const struct agw_auth_metadata *m, struct agw_str resource,
                               struct agw_arena *arena)
{
    struct agw_json_writer w;
    agw_json_writer_init(&w);
    agw_json_begin_object(&w);
    if (!m->has_resource)
        agw_json_put_string(&w, "resource", resource);
    if (!m->has_servers) {
        agw_json_key(&w, AGW_STR("authorization_servers"));
        agw_json_begin_array(&w);
        agw_json_string(&w, m->own ? resource : m->issuer);
        agw_json_end_array(&w);
    }
    if (!m->has_methods) {
        agw_json_key(&w, AGW_STR("bearer_methods_supported"));
        agw_json_begin_array(&w);
        agw_json_string(&w, AGW_STR("header"));
        agw_json_end_array(&w);
    }
    agw_json_end_object(&w);
    struct agw_str text = agw_json_writer_text(&w), whole = {0};
    if (w.error == 0) {
        bool empty = text.n == 2;
        struct agw_str parts[] = {agw_str(text.p, text.n - 1), agw_str_from(m->extra, empty && m->extra.n),
                                  AGW_STR("}")};
        whole = agw_arena_join(arena, parts, 3);
    }
    agw_json_writer_free(&w);
    return whole;
}

static int fill(const struct agw_auth_metadata *m, struct agw_policy_ctx *ctx, struct agw_str resource)
{
    struct agw_msg *r = ctx->resp;
    struct agw_str base = agw_auth_base(ctx), parts[] = {base, resource};
    struct agw_str url = base.p ? agw_arena_join(ctx->arena, parts, 2) : base;
    struct agw_str body = url.p ? document(m, url, ctx->arena) : url;
    if (!body.p)
        return AGW_ENOMEM;
    r->length = (int64_t)body.n;
    ctx->resp_body = body;
    return agw_headers_add_id(&r->headers, AGW_HDR_CONTENT_TYPE, AGW_STR("application/json"));
}

struct agw_msg *agw_auth_public_reply(struct agw_policy_ctx *ctx, int status)
{
    struct agw_msg *r = ctx->resp = agw_arena_alloc(ctx->arena, sizeof *r);
    if (!r)
        return NULL;
    agw_msg_init(r, ctx->arena);
    r->status = status;
    r->length = 0;
    ctx->resp_body = AGW_STR("");
    int rc =
        agw_headers_add(&r->headers, AGW_HDR_OTHER, AGW_STR("access-control-allow-origin"), AGW_STR("*"));
    if (rc == 0)
        rc = agw_headers_add(&r->headers, AGW_HDR_OTHER, AGW_STR("access-control-allow-headers"),
                             AGW_STR("*"));
    return rc == 0 ? r : (ctx->resp = NULL); /* 500 */
}

bool agw_auth_metadata_answer(const struct agw_auth_metadata *m, struct agw_policy_ctx *ctx)
{
    const struct agw_str prefix = AGW_STR(WELL_KNOWN);
    struct agw_str path = agw_auth_path(ctx), resource;
    bool get = ctx->req->method == AGW_METHOD_GET, options = ctx->req->method == AGW_METHOD_OPTIONS;
    if ((!get && !options) || !agw_str_starts(path, prefix))
        return false;
    resource = agw_str_from(path, prefix.n);
    if (resource.n > 0 && resource.p[0] != '/')
        return false;
    if (agw_auth_public_reply(ctx, get ? 200 : 204) && get && fill(m, ctx, resource) != 0)
        ctx->resp = NULL; /* 500 */
    return true;
}
