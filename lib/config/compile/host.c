/* The tables that requests are looked up in: hosts of a listener, paths of a host, matches of a path. They
 * are never changed in place: a change makes the group, the host and the way to them anew. */
#include <stdlib.h>
#include "base/err.h"
#include "config/compile/compile_int.h"

/* --- order --- */
static int compare(size_t more, size_t less)
{
    return more > less ? -1 : more < less ? 1 : 0;
}

/* The older one, then the first by "namespace/name", then by key. What came over the wire has no age: its
 * keys are in order. */
static int compare_routes(const struct agw_route *a, const struct agw_route *b)
{
    if (a->created_ns != b->created_ns)
        return compare(b->created_ns, a->created_ns);
    int order = a->created_ns ? agw_str_cmp(a->label, b->label) : 0;
    return order ? order : agw_str_cmp(a->key, b->key);
}

/* Gateway API precedence of HTTPRoute matches; paths matter among regular expressions alone. */
static int compare_matches(const struct agw_match *a, const struct agw_match *b)
{
    int order = compare(a->path.n, b->path.n);
    if (!order)
        order = compare(a->method.n != 0, b->method.n != 0);
    if (!order)
        order = compare(a->header_count, b->header_count);
    if (!order)
        order = compare(a->query_count, b->query_count);
    if (!order)
        order = compare_routes(a->route, b->route);
    return order ? order : compare(b->order, a->order);
}

/* --- groups --- */
static void group_free(struct agw_shared *shared)
{
    struct agw_match_group *g = agw_container_of(shared, struct agw_match_group, shared);
    for (uint32_t i = 0; i < g->count; i++)
        agw_shared_unref((void *)g->matches[i]->route);
    free(g);
}

static struct agw_match_group *group_new(uint32_t count)
{
    struct agw_match_group *g = malloc(sizeof(*g) + count * sizeof(g->matches[0]));
    if (!g)
        return NULL;
    *g = (struct agw_match_group){.count = 0};
    agw_shared_init(&g->shared, group_free);
    return g;
}

static void group_append(struct agw_match_group *g, const struct agw_match *m)
{
    agw_shared_ref((void *)m->route);
    g->matches[g->count++] = m;
}

/* |old| (NULL: none) with |m|, or without it. NULL: out of memory. */
static struct agw_match_group *group_with(const struct agw_match_group *old, const struct agw_match *m)
{
    uint32_t count = old ? old->count : 0, i = 0;
    struct agw_match_group *g = group_new(count + 1);
    if (!g)
        return NULL;
    for (; i < count && compare_matches(old->matches[i], m) <= 0; i++)
        group_append(g, old->matches[i]);
    group_append(g, m);
    for (; i < count; i++)
        group_append(g, old->matches[i]);
    g->path = g->matches[0]->path;
    return g;
}

static struct agw_match_group *group_without(const struct agw_match_group *old, const struct agw_match *m)
{
    struct agw_match_group *g = group_new(old->count);
    bool gone = false;
    if (!g)
        return NULL;
    for (uint32_t i = 0; i < old->count; i++) {
        if (old->matches[i] == m && !gone)
            gone = true; /* once: a route may be there twice, for hostnames that are the same */
        else
            group_append(g, old->matches[i]);
    }
    if (g->count)
        g->path = g->matches[0]->path;
    return g;
}

/* --- paths of a host --- */
static void bucket_free(struct agw_shared *shared)
{
    struct agw_host_bucket *b = agw_container_of(shared, struct agw_host_bucket, shared);
    agw_pmap_free(&b->exact);
    agw_pmap_free(&b->prefix);
    agw_shared_unref(b->regex);
    free(b);
}

/* A copy of |old|, or an empty one for |host|, which is copied. */
static struct agw_host_bucket *bucket_new(const struct agw_host_bucket *old, struct agw_str host)
{
    struct agw_host_bucket *b = malloc(sizeof(*b) + host.n);
    if (!b)
        return NULL;
    *b = (struct agw_host_bucket){.host = agw_str((char *)(b + 1), host.n)};
    if (host.n)
        memcpy(b + 1, host.p, host.n);
    agw_shared_init(&b->shared, bucket_free);
    agw_pmap_init(&b->exact, offsetof(struct agw_match_group, path));
    agw_pmap_init(&b->prefix, offsetof(struct agw_match_group, path));
    if (old) {
        agw_pmap_copy(&b->exact, &old->exact);
        agw_pmap_copy(&b->prefix, &old->prefix);
        b->regex = agw_shared_ref(old->regex);
        b->prefix_longest = old->prefix_longest;
        b->prefix_deepest = old->prefix_deepest;
    }
    return b;
}

static bool bucket_empty(const struct agw_host_bucket *b)
{
    return b->exact.count + b->prefix.count == 0 && !b->regex;
}

/* The bounds only grow while there are prefixes: too much costs a few probes, counting would cost memory. */
static void note_prefix(struct agw_host_bucket *b, struct agw_str path)
{
    uint32_t deep = 0;
    for (size_t i = 0; i < path.n; i++)
        deep += path.p[i] == '/';
    if (deep > b->prefix_deepest)
        b->prefix_deepest = deep;
    if (path.n > b->prefix_longest)
        b->prefix_longest = (uint32_t)path.n;
}

static int regex_change(struct agw_host_bucket *b, const struct agw_match *m, bool add)
{
    struct agw_match_group *g = add ? group_with(b->regex, m) : group_without(b->regex, m);
    if (!g)
        return AGW_ENOMEM;
    agw_shared_unref(b->regex);
    b->regex = g;
    if (g->count == 0) {
        agw_shared_unref(g);
        b->regex = NULL;
    }
    return 0;
}

static int bucket_change(struct agw_host_bucket *b, const struct agw_match *m, bool add)
{
    if (m->path_kind == AGW_PATH_REGEX)
        return regex_change(b, m, add);
    struct agw_pmap *map = m->path_kind == AGW_PATH_EXACT ? &b->exact : &b->prefix;
    uint64_t hash = agw_path_hash(AGW_PATH_HASH, m->path.p, m->path.n);
    struct agw_match_group *old = agw_pmap_get(map, hash, m->path);
    if (!add && !old)
        return 0;
    struct agw_match_group *g = add ? group_with(old, m) : group_without(old, m);
    if (!g)
        return AGW_ENOMEM;
    int code = g->count ? agw_pmap_put(map, hash, g, NULL) : agw_pmap_remove(map, hash, m->path);
    agw_shared_unref(g);
    if (add && map == &b->prefix)
        note_prefix(b, m->path);
    else if (b->prefix.count == 0)
        b->prefix_longest = b->prefix_deepest = 0;
    return code;
}

/* --- hosts of a listener --- */
/* Where a hostname is kept: "*.b" at ".b", in lower case. Into the scratch arena. */
static int host_key(struct agw_compile *c, const char *text, struct agw_str *ret_key)
{
    struct agw_str host = agw_arena_lower(&c->scratch, agw_str_c(text));
    if (!host.p)
        return AGW_ENOMEM;
    if (agw_str_starts(host, AGW_STR("*.")))
        host = agw_str_from(host, 1);
    else if (agw_str_eq(host, AGW_STR("*")))
        host = AGW_STR("");
    *ret_key = host;
    return 0;
}

static void count_host(struct agw_listener_rec *l, struct agw_str key, int by)
{
    if (key.n == 0)
        return;
    l->names += (uint32_t)by;
    if (key.p[0] == '.')
        l->wildcards += (uint32_t)by;
}

static int change_host(struct agw_listener_rec *l, struct agw_str key, const struct agw_route_unit *u,
                       bool add)
{
    uint64_t hash = agw_hash(key);
    struct agw_host_bucket *old = agw_pmap_get(&l->hosts, hash, key);
    if (!old && !add)
        return 0;
    struct agw_host_bucket *b = bucket_new(old, key);
    int code = b ? 0 : AGW_ENOMEM;
    for (uint32_t i = 0; !code && i < u->match_count; i++)
        code = bucket_change(b, &u->matches[i], add);
    if (!code) {
        bool empty = bucket_empty(b), was_there = old != NULL;
        code = empty ? agw_pmap_remove(&l->hosts, hash, key) : agw_pmap_put(&l->hosts, hash, b, NULL);
        if (!code)
            count_host(l, key, (int)!empty - (int)was_there);
    }
    agw_shared_unref(b);
    l->changed = true;
    return code;
}

static int change_hosts(struct agw_compile *c, struct agw_listener_rec *l, const struct agw_route_unit *u,
                        bool add)
{
    const struct agw_route_in in = agw_route_in(u->resource);
    struct agw_str key;
    int code = in.hostname_count ? 0 : change_host(l, AGW_STR(""), u, add);
    for (size_t i = 0; !code && i < in.hostname_count; i++) {
        code = host_key(c, in.hostnames[i], &key);
        if (!code)
            code = change_host(l, key, u, add);
    }
    return code;
}

static int with_open(struct agw_compile *c, struct agw_listener_rec *l, const struct agw_route_unit *u,
                     bool add)
{
    int code = agw_resource_open(u->resource);
    if (code)
        return code;
    code = change_hosts(c, l, u, add);
    agw_resource_close(u->resource);
    return code;
}

int agw_hosts_add(struct agw_compile *c, struct agw_listener_rec *l, const struct agw_route_unit *u)
{
    return with_open(c, l, u, true);
}

int agw_hosts_remove(struct agw_compile *c, struct agw_listener_rec *l, const struct agw_route_unit *u)
{
    return with_open(c, l, u, false);
}
