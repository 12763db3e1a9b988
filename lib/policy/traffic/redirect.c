#include "policy/traffic/traffic_int.h"

#include <stdio.h>
#include "http/uri.h"

struct conf {
    struct agw_str scheme, host; /* empty: the request's */
    uint16_t port;               /* 0: by scheme, or the listener's */
    int status;
    struct agw_path_change path;
};

static bool is_redirect(uint32_t status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

static int check(const Pb__RequestRedirect *in, struct agw_error *err)
{
    if (*in->scheme && strcmp(in->scheme, "http") != 0 && strcmp(in->scheme, "https") != 0)
        return agw_error_set(err, AGW_EINVAL, "scheme \"%.100s\" is neither http nor https", in->scheme);
    if (in->status && !is_redirect(in->status))
        return agw_error_set(err, AGW_EINVAL, "status %u is no redirect", in->status);
    if (in->port > 65535)
        return agw_error_set(err, AGW_EINVAL, "port %u is out of range", in->port);
    if (!agw_header_value_valid(agw_str_c(in->host)))
        return agw_error_set(err, AGW_EINVAL, "host \"%.100s\" is no hostname", in->host);
    return 0;
}

static int compile(const void *spec, struct agw_arena *arena, const void **ret_conf, struct agw_error *err)
{
    const Pb__RequestRedirect *in = spec;
    int code = check(in, err);
    if (code)
        return code;
    struct conf *c = agw_arena_zalloc(arena, sizeof(*c));
    if (!c)
        return agw_error_set(err, AGW_ENOMEM, "out of memory");
    c->scheme = agw_arena_str(arena, agw_str_c(in->scheme));
    c->host = agw_arena_str(arena, agw_str_c(in->host));
    if (!c->scheme.p || !c->host.p)
        return agw_error_set(err, AGW_ENOMEM, "out of memory");
    c->port = (uint16_t)in->port;
    c->status = in->status ? (int)in->status : 302;
    if (in->path_case != PB__REQUEST_REDIRECT__PATH__NOT_SET) {
        bool prefix = in->path_case == PB__REQUEST_REDIRECT__PATH_PREFIX;
        code = agw_path_change_set(&c->path, prefix, prefix ? in->prefix : in->full, arena, err);
    }
    if (!code)
        *ret_conf = c;
    return code;
}

static struct agw_str request_host(const struct agw_policy_ctx *ctx)
{
    struct agw_str host, port;
    return agw_authority_split(ctx->req->authority, &host, &port) ? ctx->req->authority : host;
}

/* The explicit port, else the new scheme's, else the listener's; 0 when the URL need not say it. */
static uint16_t location_port(const struct conf *c, const struct agw_policy_ctx *ctx, bool https)
{
    uint16_t usual = https ? 443 : 80;
    uint16_t port = c->port ? c->port : c->scheme.n ? usual : ctx->port;
    return port == usual ? 0 : port;
}

static struct agw_str location(const struct conf *c, const struct agw_policy_ctx *ctx, struct agw_str host)
{
    struct agw_str scheme = c->scheme.n ? c->scheme : ctx->tls ? AGW_STR("https") : AGW_STR("http");
    struct agw_str path = agw_path_change_apply(&c->path, ctx);
    uint16_t port = location_port(c, ctx, scheme.n == 5);
    bool v6 = agw_str_find(host, ':') >= 0 && host.p[0] != '[';
    char colon_port[8] = "";
    if (port)
        snprintf(colon_port, sizeof(colon_port), ":%u", port);
    if (!path.p)
        return path;
    return agw_arena_printf(ctx->arena, "%.*s://%s%.*s%s%s%.*s", AGW_STRF(scheme), v6 ? "[" : "",
                            AGW_STRF(host), v6 ? "]" : "", colon_port, AGW_STRF(path));
}

static enum agw_verdict request(const void *conf, struct agw_policy_ctx *ctx)
{
    const struct conf *c = conf;
    struct agw_str host = c->host.n ? c->host : request_host(ctx);
    if (host.n == 0) { /* HTTP/1.0 need not name one, and a URL must */
        agw_policy_reply(ctx, 400);
        return AGW_RESPOND;
    }
    struct agw_str to = location(c, ctx, host);
    struct agw_msg *m = to.p ? agw_policy_reply(ctx, c->status) : NULL;
    if (!m || agw_headers_add_id(&m->headers, AGW_HDR_LOCATION, to))
        ctx->resp = NULL;
    return AGW_RESPOND;
}

const struct agw_policy_ops agw_policy_redirect = {
    .kind = AGW_POLICY_REDIRECT, .own_conf = true, .compile = compile, .request = request};
