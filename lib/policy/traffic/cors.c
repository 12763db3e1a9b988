#include "policy/traffic/traffic_int.h"

#include <stdio.h>
#include "http/origin.h"
#include "proto/message.h"

/* Cross-origin requests of browsers (Fetch standard, section 3.2). The gateway answers preflights itself and
 * is the one voice about origins: what a backend says of them does not pass. */

struct conf {
    struct agw_origin_pattern *origins;
    uint32_t origin_count;
    bool any_origin, any_method, any_header, credentials;
    struct agw_str methods, headers, expose, max_age; /* as sent; empty: not sent */
};

/* --- compiling --- */

static int compile_origin(const char *text, struct agw_arena *arena, struct conf *c, struct agw_error *err)
{
    struct agw_str origin = agw_str_c(text);
    if (agw_str_eq(origin, AGW_STR("*"))) {
        c->any_origin = true;
        return 0;
    }
    int code = agw_origin_pattern_parse(origin, arena, &c->origins[c->origin_count]);
    if (code == AGW_EINVAL)
        return agw_error_set(err, code, "allow_origins: \"%.100s\" is no origin", text);
    if (code)
        return agw_error_set(err, code, "out of memory");
    c->origin_count++;
    return 0;
}

/* Joins names to one list; "*" alone sets *ret_any. */
static int compile_names(char *const *names, size_t count, const char *field, struct agw_arena *arena,
                         struct agw_str *ret_list, bool *ret_any, struct agw_error *err)
{
    struct agw_str list = AGW_STR("");
    for (size_t i = 0; i < count; i++) {
        struct agw_str name = agw_str_c(names[i]);
        if (!agw_header_name_valid(name)) /* methods are tokens, too */
            return agw_error_set(err, AGW_EINVAL, "%s: \"%.100s\" is no token", field, names[i]);
        if (agw_str_eq(name, AGW_STR("*")))
            *ret_any = true;
        struct agw_str parts[] = {list, i ? AGW_STR(", ") : AGW_STR(""), name};
        list = agw_arena_join(arena, parts, 3);
        if (!list.p)
            return agw_error_set(err, AGW_ENOMEM, "out of memory");
    }
    *ret_list = *ret_any ? AGW_STR("*") : list;
    return 0;
}

static int compile(const void *spec, struct agw_arena *arena, const void **ret_conf, struct agw_error *err)
{
    const Pb__CORS *in = spec;
    struct conf *c = agw_arena_zalloc(arena, sizeof(*c));
    bool any_expose = false;
    if (!c || !(c->origins = agw_arena_zalloc(arena, in->n_allow_origins * sizeof(*c->origins))))
        return agw_error_set(err, AGW_ENOMEM, "out of memory");
    if (in->max_age && in->max_age->seconds < 0)
        return agw_error_set(err, AGW_EINVAL, "max_age: negative duration");
    int code = 0;
    for (size_t i = 0; !code && i < in->n_allow_origins; i++)
        code = compile_origin(in->allow_origins[i], arena, c, err);
    if (!code)
        code = compile_names(in->allow_methods, in->n_allow_methods, "allow_methods", arena, &c->methods,
                             &c->any_method, err);
    if (!code)
        code = compile_names(in->allow_headers, in->n_allow_headers, "allow_headers", arena, &c->headers,
                             &c->any_header, err);
    if (!code)
        code = compile_names(in->expose_headers, in->n_expose_headers, "expose_headers", arena, &c->expose,
                             &any_expose, err);
    if (code)
        return code;
    c->credentials = in->allow_credentials;
    if (in->max_age)
        c->max_age = agw_arena_printf(arena, "%lld", (long long)in->max_age->seconds);
    if (in->max_age && !c->max_age.p)
        return agw_error_set(err, AGW_ENOMEM, "out of memory");
    *ret_conf = c;
    return 0;
}

/* --- requests --- */

static bool allowed(const struct conf *c, struct agw_str text)
{
    bool found = c->any_origin;
    for (uint32_t i = 0; !found && i < c->origin_count; i++)
        found = agw_origin_matches(&c->origins[i], text);
    return found && text.n > 0;
}

static enum agw_verdict request(const void *conf, struct agw_policy_ctx *ctx)
{
    const struct conf *c = conf;
    const struct agw_headers *h = &ctx->req->headers;
    struct agw_str origin = agw_headers_value(h, AGW_HDR_ORIGIN);
    if (allowed(c, origin))
        ctx->cors_origin = origin;
    if (origin.n == 0 || ctx->req->method != AGW_METHOD_OPTIONS ||
        !agw_headers_find(h, AGW_STR("access-control-request-method")))
        return AGW_CONTINUE;
    ctx->cors_preflight = true;
    agw_policy_reply(ctx, 200);
    return AGW_RESPOND;
}

/* --- responses --- */

static int set(struct agw_headers *h, struct agw_str name, struct agw_str value)
{
    return value.n ? agw_headers_set(h, name, value) : 0;
}

static struct agw_str asked(const struct agw_policy_ctx *ctx, struct agw_str name)
{
    const struct agw_header *field = agw_headers_find(&ctx->req->headers, name);
    return field ? field->value : AGW_STR("");
}

/* With credentials "*" is a name like any other (Fetch standard, section 3.2.5): then what was asked for is
 * said. */
static int allow_preflight(const struct conf *c, struct agw_policy_ctx *ctx, struct agw_headers *h)
{
    struct agw_str methods = c->methods, headers = c->headers;
    if (c->any_method && c->credentials)
        methods = asked(ctx, AGW_STR("access-control-request-method"));
    if (c->any_header && c->credentials)
        headers = asked(ctx, AGW_STR("access-control-request-headers"));
    int code = set(h, AGW_STR("access-control-allow-methods"), methods);
    if (!code)
        code = set(h, AGW_STR("access-control-allow-headers"), headers);
    return code ? code : set(h, AGW_STR("access-control-max-age"), c->max_age);
}

static void forget_backend(struct agw_headers *h)
{
    for (uint32_t i = 0; i < h->n;) {
        if (agw_str_starts(h->v[i].name, AGW_STR("access-control-")))
            agw_headers_remove(h, h->v[i].name);
        else
            i++;
    }
}

/* Without memory some of it is missing, and the browser refuses: nothing is opened. */
static void last(const void *conf, struct agw_policy_ctx *ctx)
{
    const struct conf *c = conf;
    struct agw_headers *h = &ctx->resp->headers;
    bool by_origin = !c->any_origin || c->credentials;
    forget_backend(h);
    if (by_origin) /* caches must keep answers apart, also those without an origin */
        agw_headers_add(h, AGW_HDR_OTHER, AGW_STR("vary"), AGW_STR("origin"));
    if (ctx->cors_origin.n == 0)
        return;
    int code = set(h, AGW_STR("access-control-allow-origin"), by_origin ? ctx->cors_origin : AGW_STR("*"));
    if (!code && c->credentials)
        code = set(h, AGW_STR("access-control-allow-credentials"), AGW_STR("true"));
    if (!code)
        code = set(h, AGW_STR("access-control-expose-headers"), c->expose);
    if (!code && ctx->cors_preflight)
        allow_preflight(c, ctx, h);
}

const struct agw_policy_ops agw_policy_cors = {
    .kind = AGW_POLICY_CORS, .own_conf = true, .compile = compile, .request = request, .last = last};
