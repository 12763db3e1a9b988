#include "base/err.h"
#include "config/compile/compile_int.h"

static uint32_t slashes(struct agw_str path)
{
    uint32_t n = 0;
    for (size_t i = 0; i < path.n; i++)
        n += path.p[i] == '/';
    return n;
}

/* |*ret_dead|: the match can never be true. */
static int value_match(struct agw_compile *c, const struct agw_resource *r, const char *name,
                       const char *exact, const char *regex, struct agw_value_match *out, bool *ret_dead)
{
    *out = (struct agw_value_match){agw_compile_text(c, name), agw_compile_text(c, exact), NULL};
    if (!out->name.p || !out->value.p)
        return AGW_ENOMEM;
    if (!regex)
        return 0;
    int code = agw_compile_regex(c, r, name, regex, &out->regex);
    *ret_dead |= !out->regex;
    return code;
}

static bool seen(const struct agw_value_match *v, uint32_t count, struct agw_str name)
{
    for (uint32_t i = 0; i < count; i++)
        if (agw_str_eq(v[i].name, name))
            return true;
    return false;
}

/* Of several conditions on one header the first counts. */
static int header_matches(struct agw_compile *c, const struct agw_resource *r, const Pb__RouteMatch *in,
                          struct agw_match *m, bool *ret_dead)
{
    struct agw_value_match *v = agw_arena_alloc(c->arena, in->n_headers * sizeof(*v));
    if (!v)
        return AGW_ENOMEM;
    for (size_t i = 0; i < in->n_headers; i++) {
        const Pb__HeaderMatch *h = in->headers[i];
        bool regex = h->value_case == PB__HEADER_MATCH__VALUE_REGEX;
        struct agw_str name = agw_arena_lower(c->arena, agw_str_c(h->name));
        if (!name.p)
            return AGW_ENOMEM;
        if (seen(v, m->header_count, name))
            continue;
        int code = value_match(c, r, h->name, regex ? "" : h->exact, regex ? h->regex : NULL,
                               &v[m->header_count], ret_dead);
        if (code)
            return code;
        v[m->header_count++].name = name;
    }
    m->headers = v;
    return 0;
}

static int query_matches(struct agw_compile *c, const struct agw_resource *r, const Pb__RouteMatch *in,
                         struct agw_match *m, bool *ret_dead)
{
    struct agw_value_match *v = agw_arena_alloc(c->arena, in->n_query_params * sizeof(*v));
    if (!v)
        return AGW_ENOMEM;
    for (size_t i = 0; i < in->n_query_params; i++) {
        const Pb__QueryMatch *q = in->query_params[i];
        bool regex = q->value_case == PB__QUERY_MATCH__VALUE_REGEX;
        if (seen(v, m->query_count, agw_str_c(q->name)))
            continue;
        int code = value_match(c, r, q->name, regex ? "" : q->exact, regex ? q->regex : NULL,
                               &v[m->query_count++], ret_dead);
        if (code)
            return code;
    }
    m->query = v;
    return 0;
}

static int path_match(struct agw_compile *c, const struct agw_resource *r, const Pb__PathMatch *in,
                      struct agw_match *m, bool *ret_dead)
{
    m->path_kind = AGW_PATH_PREFIX;
    if (!in || in->kind_case == PB__PATH_MATCH__KIND__NOT_SET)
        return 0;                             /* every path */
    m->path = agw_compile_text(c, in->exact); /* all three are text */
    if (!m->path.p)
        return AGW_ENOMEM;
    if (in->kind_case == PB__PATH_MATCH__KIND_EXACT) {
        m->path_kind = AGW_PATH_EXACT;
    } else if (in->kind_case == PB__PATH_MATCH__KIND_REGEX) {
        m->path_kind = AGW_PATH_REGEX;
        int code = agw_compile_regex(c, r, "path", in->regex, &m->path_regex);
        *ret_dead |= !m->path_regex;
        return code;
    } else {
        while (m->path.n && m->path.p[m->path.n - 1] == '/')
            m->path.n--;
        if (slashes(m->path) > AGW_PATH_DEPTH) {
            *ret_dead = true;
            return agw_compile_error(c, r, "path: the prefix has more than %d '/'", AGW_PATH_DEPTH);
        }
    }
    return 0;
}

/* |*ret_dead|: it can never be true. */
static int compile_match(struct agw_compile *c, const struct agw_resource *r, const Pb__RouteMatch *in,
                         struct agw_match *m, bool *ret_dead)
{
    m->method = in->method ? agw_compile_text(c, in->method->exact) : AGW_STR("");
    int code = m->method.p ? path_match(c, r, in->path, m, ret_dead) : AGW_ENOMEM;
    if (!code && in->n_headers)
        code = header_matches(c, r, in, m, ret_dead);
    if (!code && in->n_query_params)
        code = query_matches(c, r, in, m, ret_dead);
    return code;
}

/* A TCP connection has nothing to match but the server name: one match, a prefix of everything. */
static int match_all(struct agw_compile *c, struct agw_route_unit *u)
{
    u->matches = agw_arena_alloc(c->arena, sizeof(*u->matches));
    if (!u->matches)
        return AGW_ENOMEM;
    u->matches[u->match_count++] =
        (struct agw_match){.path_kind = AGW_PATH_PREFIX, .path = AGW_STR(""), .route = &u->route};
    return 0;
}

int agw_compile_matches(struct agw_compile *c, const struct agw_resource *r, struct agw_route_unit *u)
{
    if (r->kind == AGW_RESOURCE_TCP_ROUTE)
        return match_all(c, u);
    const Pb__Route *in = r->route;
    u->matches = agw_arena_alloc(c->arena, in->n_matches * sizeof(*u->matches));
    if (!u->matches)
        return AGW_ENOMEM;
    for (size_t i = 0; i < in->n_matches; i++) {
        struct agw_match *m = &u->matches[u->match_count];
        bool dead = false;
        *m = (struct agw_match){.route = &u->route, .order = (uint32_t)i};
        int code = compile_match(c, r, in->matches[i], m, &dead);
        if (code)
            return code;
        u->match_count += !dead;
    }
    return 0;
}
