#include "policy/traffic/traffic_int.h"

#include "config/snapshot.h"
#include "http/uri.h"

struct conf {
    struct agw_str host; /* empty: keep */
    struct agw_path_change path;
};

static bool path_char(char ch)
{
    return ch > ' ' && ch != '?' && ch != '#' && ch != 127;
}

int agw_path_change_set(struct agw_path_change *c, bool prefix, const char *value, struct agw_arena *arena,
                        struct agw_error *err)
{
    struct agw_str v = agw_str_c(value);
    for (size_t i = 0; i < v.n; i++)
        if (!path_char(v.p[i]))
            return agw_error_set(err, AGW_EINVAL, "path \"%.100s\" holds a character that no path may have",
                                 value);
    if (v.n && v.p[0] != '/')
        return agw_error_set(err, AGW_EINVAL, "path \"%.100s\" does not begin with '/'", value);
    while (prefix && v.n && v.p[v.n - 1] == '/')
        v.n--;
    c->kind = prefix ? AGW_CHANGE_PREFIX : AGW_CHANGE_FULL;
    c->value = !prefix && v.n == 0 ? AGW_STR("/") : agw_arena_str(arena, v);
    return c->value.p ? 0 : agw_error_set(err, AGW_ENOMEM, "out of memory");
}

struct agw_str agw_path_change_apply(const struct agw_path_change *c, const struct agw_policy_ctx *ctx)
{
    struct agw_str path, query, rest = AGW_STR("");
    bool has_query;
    agw_path_split(ctx->req->path, &path, &query, &has_query);
    if (c->kind == AGW_CHANGE_NONE)
        return ctx->req->path;
    if (c->kind == AGW_CHANGE_PREFIX) {
        /* Only what a prefix matched can be replaced; "/a" of "/a/b" leaves "/b". */
        if (!ctx->match || ctx->match->path_kind != AGW_PATH_PREFIX ||
            !agw_str_starts(path, ctx->match->path))
            return ctx->req->path;
        rest = agw_str_from(path, ctx->match->path.n);
    }
    bool empty = c->value.n + rest.n == 0;
    struct agw_str parts[] = {empty ? AGW_STR("/") : c->value, rest, has_query ? AGW_STR("?") : AGW_STR(""),
                              query};
    return agw_arena_join(ctx->arena, parts, sizeof(parts) / sizeof(*parts));
}

static int compile(const void *spec, struct agw_arena *arena, const void **ret_conf, struct agw_error *err)
{
    const Pb__UrlRewrite *in = spec;
    struct conf *c = agw_arena_zalloc(arena, sizeof(*c));
    if (!c)
        return agw_error_set(err, AGW_ENOMEM, "out of memory");
    c->host = agw_arena_str(arena, agw_str_c(in->host));
    if (!c->host.p)
        return agw_error_set(err, AGW_ENOMEM, "out of memory");
    if (!agw_header_value_valid(c->host) || agw_str_find(c->host, ' ') >= 0)
        return agw_error_set(err, AGW_EINVAL, "host \"%.100s\" is no hostname", in->host);
    if (in->path_case != PB__URL_REWRITE__PATH__NOT_SET) {
        bool prefix = in->path_case == PB__URL_REWRITE__PATH_PREFIX;
        int code = agw_path_change_set(&c->path, prefix, prefix ? in->prefix : in->full, arena, err);
        if (code)
            return code;
    }
    *ret_conf = c;
    return 0;
}

static enum agw_verdict request(const void *conf, struct agw_policy_ctx *ctx)
{
    const struct conf *c = conf;
    struct agw_str path = agw_path_change_apply(&c->path, ctx);
    if (!path.p) {
        ctx->resp = NULL;
        return AGW_RESPOND;
    }
    ctx->req->path = path;
    if (c->host.n) {
        ctx->req->authority = c->host;
        ctx->host_set = true;
    }
    return AGW_CONTINUE;
}

const struct agw_policy_ops agw_policy_url_rewrite = {
    .kind = AGW_POLICY_URL_REWRITE, .own_conf = true, .compile = compile, .request = request};
