#include "config/compile_int.h"

#include <stdlib.h>
#include "proto/message.h"

/* A match on its way into a bucket. */
struct pending {
    struct pending *next;
    const struct agw_match *match;
    const struct agw_resource *route;
    uint32_t order; /* within the route */
};

/* A bucket being filled. */
struct agw_compile_host {
    struct agw_compile_host *next;
    struct agw_host_bucket *bucket;
    struct pending *first;
};

/* --- matches --- */
/* |*ret_dead|: the match can never be true. */
static int value_match(struct agw_compile *c, const struct agw_resource *r, const char *name,
                       const char *exact, const char *regex, struct agw_value_match *out, bool *ret_dead)
{
    out->name = agw_str_c(name);
    out->value = agw_str_c(exact);
    out->regex = NULL;
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
        return 0;                   /* every path */
    m->path = agw_str_c(in->exact); /* all three are text */
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
    }
    return 0;
}

/* *ret_match stays NULL for a match that can never be true. */
static int compile_match(struct agw_compile *c, const struct agw_resource *r, const Pb__RouteMatch *in,
                         const struct agw_route *route, const struct agw_match **ret_match)
{
    struct agw_match *m = agw_arena_zalloc(c->arena, sizeof(*m));
    bool dead = false;
    *ret_match = NULL;
    if (!m)
        return AGW_ENOMEM;
    m->route = route;
    m->method = in->method ? agw_str_c(in->method->exact) : AGW_STR("");
    int code = path_match(c, r, in->path, m, &dead);
    if (!code)
        code = header_matches(c, r, in, m, &dead);
    if (!code)
        code = query_matches(c, r, in, m, &dead);
    if (!code && !dead)
        *ret_match = m;
    return code;
}

/* --- buckets --- */
/* The map's key for a hostname: "*.b" becomes ".b". */
static int host_key(struct agw_compile *c, const char *text, struct agw_str *ret_key)
{
    struct agw_str host = agw_arena_lower(c->arena, agw_str_c(text));
    if (!host.p)
        return AGW_ENOMEM;
    if (agw_str_starts(host, AGW_STR("*.")))
        host = agw_str_from(host, 1);
    else if (agw_str_eq(host, AGW_STR("*")))
        host = AGW_STR("");
    *ret_key = host;
    return 0;
}

static int host_for(struct agw_compile *c, const struct agw_compile_listener *l, struct agw_str key,
                    struct agw_compile_host **ret_host)
{
    struct agw_str parts[] = {l->resource->key, AGW_STR("\n"), key};
    struct agw_str id = agw_arena_join(&c->scratch, parts, AGW_ARRAY_LEN(parts));
    if (!id.p)
        return AGW_ENOMEM;
    struct agw_compile_host *h = agw_map_get(&c->hosts, id);
    if (h) {
        *ret_host = h;
        return 0;
    }
    h = agw_arena_zalloc(&c->scratch, sizeof(*h));
    if (!h || !(h->bucket = agw_arena_zalloc(c->arena, sizeof(*h->bucket))))
        return AGW_ENOMEM;
    h->bucket->host = key;
    h->next = c->host_list;
    c->host_list = h;
    if (key.n == 0)
        l->out->any = h->bucket;
    else if (agw_map_put(&l->out->hosts, key, h->bucket, NULL))
        return AGW_ENOMEM;
    l->out->wildcards |= key.n && key.p[0] == '.';
    *ret_host = h;
    return agw_map_put(&c->hosts, id, h, NULL);
}

static int attach(struct agw_compile *c, const struct agw_compile_listener *l, const char *hostname,
                  const struct agw_resource *r, const struct agw_match *const *matches, size_t count)
{
    struct agw_compile_host *h;
    struct agw_str key;
    int code = host_key(c, hostname, &key);
    if (!code)
        code = host_for(c, l, key, &h);
    for (size_t i = 0; !code && i < count; i++) {
        struct pending *p = agw_arena_alloc(&c->scratch, sizeof(*p));
        if (!p)
            return AGW_ENOMEM;
        *p = (struct pending){h->first, matches[i], r, (uint32_t)i};
        h->first = p;
        h->bucket->count++;
    }
    return code;
}

/* --- routes --- */
static int name_route(struct agw_compile *c, const struct agw_resource *r, struct agw_route *route)
{
    const Pb__RouteName *n = r->route->name;
    route->key = route->label = r->key;
    if (!n)
        return 0;
    route->ns = agw_str_c(n->namespace_);
    route->name = agw_str_c(n->name);
    route->rule = agw_str_c(n->rule_name);
    route->label = agw_arena_printf(c->arena, "%s/%s", n->namespace_, n->name);
    return route->label.p ? 0 : AGW_ENOMEM;
}

static void merge_route(struct agw_compile *c, const struct agw_resource *r, struct agw_specs *traffic,
                        struct agw_specs *backend)
{
    const Pb__RouteName *n = r->route->name;
    if (n) {
        const char *kind = *n->kind ? n->kind : "HTTPRoute";
        agw_compile_traffic_at(c, traffic, "route/%s/%s/%s", kind, n->namespace_, n->name);
        if (n->rule_name && *n->rule_name) {
            agw_compile_traffic_at(c, traffic, "route/%s/%s/%s/%s", kind, n->namespace_, n->name,
                                   n->rule_name);
            agw_compile_backend_at(c, backend, "route/%s/%s/%s/%s", kind, n->namespace_, n->name,
                                   n->rule_name);
        }
        agw_compile_backend_at(c, backend, "route/%s/%s/%s", kind, n->namespace_, n->name);
    }
    agw_compile_inline_traffic(c, traffic, r, r->route->traffic_policies, r->route->n_traffic_policies);
}

static int compile_ref(struct agw_compile *c, const struct agw_resource *r, const Pb__RouteBackend *in,
                       const struct agw_specs *route, const struct agw_specs *listener,
                       struct agw_backend_ref *out)
{
    struct agw_specs own = {0};
    struct agw_backend_levels levels = {&own, route, listener};
    int code = agw_compile_check_backend(c, r, in->backend_policies, in->n_backend_policies);
    if (code)
        return code;
    out->weight = in->weight > 0 ? (uint32_t)in->weight : 0;
    if (in->route_group_key && *in->route_group_key) {
        code = agw_compile_warn(c, r, "delegation to route groups is not supported: requests are refused");
        return code ? code
                    : agw_compile_invalid(c, agw_str_c(in->route_group_key), "delegation is not supported",
                                          &out->backend);
    }
    agw_compile_inline_backend(c, &own, r, in->backend_policies, in->n_backend_policies);
    code = agw_compile_own(c, &own, &out->policies);
    if (own.refuse && !code)
        return agw_compile_invalid(c, r->key, own.refuse, &out->backend);
    return code ? code : agw_compile_reference(c, in->backend, &levels, &out->backend);
}

static int compile_refs(struct agw_compile *c, const struct agw_resource *r, const struct agw_specs *route,
                        const struct agw_specs *listener, struct agw_route *out)
{
    const Pb__Route *in = r->route;
    struct agw_backend_ref *refs = agw_arena_zalloc(c->arena, in->n_backends * sizeof(*refs));
    uint64_t total = 0;
    if (!refs)
        return AGW_ENOMEM;
    for (size_t i = 0; i < in->n_backends; i++) {
        int code = compile_ref(c, r, in->backends[i], route, listener, &refs[i]);
        if (code)
            return code;
        if (total + refs[i].weight > UINT32_MAX)
            refs[i].weight = 0; /* each is at most 1,000,000 where the Gateway API has checked it */
        total += refs[i].weight;
    }
    out->backends = refs;
    out->backend_count = (uint32_t)in->n_backends;
    out->weight_total = (uint32_t)total;
    return 0;
}

/* Nothing of the route runs, not even a redirect: every request gets 500. */
static int refuse_route(struct agw_compile *c, struct agw_route *route, const char *reason)
{
    struct agw_backend_ref *ref = agw_arena_zalloc(c->arena, sizeof(*ref));
    if (!ref)
        return AGW_ENOMEM;
    ref->weight = route->weight_total = 1;
    route->backends = ref;
    route->backend_count = 1;
    route->policies = (struct agw_policy_set){0};
    return agw_compile_invalid(c, route->key, reason, &ref->backend);
}

static int compile_route(struct agw_compile *c, const struct agw_resource *r,
                         const struct agw_compile_listener *l, struct agw_route *route)
{
    struct agw_specs traffic = l->traffic, backend = {0};
    int code = name_route(c, r, route);
    if (!code)
        code = agw_compile_check_traffic(c, r, r->route->traffic_policies, r->route->n_traffic_policies);
    if (code)
        return code;
    merge_route(c, r, &traffic, &backend);
    const Pb__Timeout *timeout = traffic.v[AGW_POLICY_TIMEOUT].message;
    if (timeout) {
        route->request_timeout_ms = agw_proto_ms(timeout->request);
        route->backend_timeout_ms = agw_proto_ms(timeout->backend_request);
    }
    code = agw_compile_set(c, &traffic, &route->policies);
    if (!code)
        code = compile_refs(c, r, &backend, &l->backend, route);
    return !code && traffic.refuse ? refuse_route(c, route, traffic.refuse) : code;
}

static int compile_matches(struct agw_compile *c, const struct agw_resource *r, const struct agw_route *route,
                           const struct agw_match **matches, size_t *ret_count)
{
    size_t count = 0;
    for (size_t i = 0; i < r->route->n_matches; i++) {
        int code = compile_match(c, r, r->route->matches[i], route, &matches[count]);
        if (code)
            return code;
        count += matches[count] != NULL;
    }
    *ret_count = count;
    return 0;
}

static int add_route(struct agw_compile *c, const struct agw_resource *r)
{
    const Pb__Route *in = r->route;
    if (in->service_key || (in->route_group_key && *in->route_group_key))
        return agw_compile_warn(c, r, "routes of services and route groups are not supported: no effect");
    const struct agw_compile_listener *l = agw_map_get(&c->listeners, agw_str_c(in->listener_key));
    if (!l)
        return 0; /* its listener may come later */
    struct agw_route *route = agw_arena_zalloc(c->arena, sizeof(*route));
    const struct agw_match **matches = agw_arena_alloc(&c->scratch, in->n_matches * sizeof(*matches));
    size_t count = 0;
    if (!route || !matches)
        return AGW_ENOMEM;
    int code = compile_route(c, r, l, route);
    if (!code)
        code = compile_matches(c, r, route, matches, &count);
    if (!code && in->n_hostnames == 0)
        code = attach(c, l, "", r, matches, count);
    for (size_t i = 0; !code && i < in->n_hostnames; i++)
        code = attach(c, l, in->hostnames[i], r, matches, count);
    c->snap->route_count++;
    return code;
}

/* --- path index --- */
/* Fewer matches are as fast in a row. */
#define INDEX_FROM 9

static uint32_t table_size(uint32_t count)
{
    uint32_t size = 4;
    while (size < count * 2)
        size *= 2;
    return size;
}

static struct agw_path_group *find_group(struct agw_path_group *table, uint32_t mask, struct agw_str path)
{
    uint64_t hash = agw_path_hash(AGW_PATH_HASH, path.p, path.n);
    uint32_t at = (uint32_t)hash & mask;
    while (table[at].matches && !agw_str_eq(table[at].path, path))
        at = (at + 1) & mask;
    table[at].hash = hash;
    table[at].path = path;
    return &table[at];
}

/* Matches of one path are not side by side in |m| (other paths of that length stand between them), so each
 * group gets an array of its own: counted first, filled then. */
static int fill_table(struct agw_compile *c, const struct agw_match **m, uint32_t count,
                      struct agw_path_group **ret_table, uint32_t *ret_mask)
{
    uint32_t size = table_size(count);
    struct agw_path_group *table = agw_arena_zalloc(c->arena, size * sizeof(*table));
    if (!table)
        return AGW_ENOMEM;
    for (uint32_t i = 0; i < count; i++) {
        struct agw_path_group *g = find_group(table, size - 1, m[i]->path);
        g->matches = m; /* marks the slot as used */
        g->count++;
    }
    for (uint32_t i = 0; i < size; i++) {
        if (!table[i].matches)
            continue;
        table[i].matches = agw_arena_alloc(c->arena, table[i].count * sizeof(*m));
        table[i].count = 0;
        if (!table[i].matches)
            return AGW_ENOMEM;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct agw_path_group *g = find_group(table, size - 1, m[i]->path);
        g->matches[g->count++] = m[i];
    }
    *ret_table = table;
    *ret_mask = size - 1;
    return 0;
}

static uint32_t slashes(struct agw_str path)
{
    uint32_t n = 0;
    for (size_t i = 0; i < path.n; i++)
        n += path.p[i] == '/';
    return n;
}

/* Hash tables over the paths of a bucket with many matches; |b->matches| is sorted. */
static int index_paths(struct agw_compile *c, struct agw_host_bucket *b)
{
    uint32_t exact = 0, prefix = 0;
    if (b->count < INDEX_FROM)
        return 0;
    struct agw_path_index *x = agw_arena_zalloc(c->arena, sizeof(*x));
    if (!x)
        return AGW_ENOMEM;
    while (exact < b->count && b->matches[exact]->path_kind == AGW_PATH_EXACT)
        exact++;
    for (; exact + prefix < b->count && b->matches[exact + prefix]->path_kind == AGW_PATH_PREFIX; prefix++) {
        struct agw_str path = b->matches[exact + prefix]->path;
        uint32_t deep = slashes(path);
        if (deep > AGW_PATH_DEPTH)
            return 0;
        x->prefix_deepest = deep > x->prefix_deepest ? deep : x->prefix_deepest;
        x->prefix_longest = path.n > x->prefix_longest ? (uint32_t)path.n : x->prefix_longest;
    }
    x->regex_first = exact + prefix;
    int code = fill_table(c, b->matches, exact, &x->exact, &x->exact_mask);
    if (!code)
        code = fill_table(c, b->matches + exact, prefix, &x->prefix, &x->prefix_mask);
    if (!code)
        b->index = x;
    return code;
}

/* --- order --- */
static int compare(size_t more, size_t less)
{
    return more > less ? -1 : more < less ? 1 : 0;
}

/* The older one, then the first by "namespace/name", then by key. What came over the wire has no age: its
 * keys are in order. */
static int compare_routes(const struct pending *a, const struct pending *b)
{
    uint64_t at = a->route->side.created_ns, bt = b->route->side.created_ns;
    if (at != bt)
        return compare(bt, at);
    int order = at ? agw_str_cmp(a->match->route->label, b->match->route->label) : 0;
    return order ? order : agw_str_cmp(a->route->key, b->route->key);
}

/* Gateway API precedence of HTTPRoute matches; kinds are numbered in their order. */
static int by_precedence(const void *pa, const void *pb)
{
    const struct pending *a = *(struct pending *const *)pa, *b = *(struct pending *const *)pb;
    const struct agw_match *am = a->match, *bm = b->match;
    int order = compare(bm->path_kind, am->path_kind);
    if (!order)
        order = compare(am->path.n, bm->path.n);
    if (!order)
        order = compare(am->method.n != 0, bm->method.n != 0);
    if (!order)
        order = compare(am->header_count, bm->header_count);
    if (!order)
        order = compare(am->query_count, bm->query_count);
    if (!order)
        order = compare_routes(a, b);
    return order ? order : compare(b->order, a->order);
}

static int finish_host(struct agw_compile *c, struct agw_compile_host *h)
{
    struct agw_host_bucket *b = h->bucket;
    struct pending **sorted = agw_arena_alloc(&c->scratch, b->count * sizeof(*sorted));
    b->matches = agw_arena_alloc(c->arena, b->count * sizeof(*b->matches));
    if (!sorted || !b->matches)
        return AGW_ENOMEM;
    uint32_t i = 0;
    for (struct pending *p = h->first; p; p = p->next)
        sorted[i++] = p;
    if (i)
        qsort(sorted, i, sizeof(*sorted), by_precedence);
    for (i = 0; i < b->count; i++)
        b->matches[i] = sorted[i]->match;
    return index_paths(c, b);
}

int agw_compile_routes(struct agw_compile *c)
{
    struct agw_resource *r;
    uint32_t i;
    int code = 0;
    agw_compile_each(c, AGW_RESOURCE_ROUTE, i, r)
    {
        if ((code = add_route(c, r)))
            return code;
    }
    for (struct agw_compile_host *h = c->host_list; !code && h; h = h->next)
        code = finish_host(c, h);
    return code;
}
