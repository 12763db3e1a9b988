#include "route/match.h"

#include "http/uri.h"

/* The host of an authority in lower case, without port and brackets, in |buf|. Empty when there is none to
 * speak of. */
static struct agw_str host_of(struct agw_str authority, char buf[AGW_HOST_MAX])
{
    struct agw_str host, port;
    if (agw_authority_split(authority, &host, &port) || host.n > AGW_HOST_MAX)
        return AGW_STR("");
    if (host.n && host.p[host.n - 1] == '.') /* "a.b." names the same host as "a.b" */
        host.n--;
    if (host.n && host.p[0] == '.') /* no name; as a key it would be a wildcard's */
        return AGW_STR("");
    for (size_t i = 0; i < host.n; i++) {
        char ch = host.p[i];
        buf[i] = ch >= 'A' && ch <= 'Z' ? (char)(ch + 'a' - 'A') : ch;
    }
    return agw_str(buf, host.n);
}

/* --- listeners --- */
/* How well a listener's hostname fits: 0 not at all, 1 any host, more with the suffix's length, most when
 * equal. */
static size_t fit(struct agw_str hostname, struct agw_str host)
{
    if (hostname.n == 0)
        return 1;
    if (hostname.n > 2 && hostname.p[0] == '*') {
        struct agw_str suffix = agw_str_from(hostname, 1);
        return host.n > suffix.n && agw_str_ends(host, suffix) ? 1 + suffix.n : 0;
    }
    return agw_str_eq(hostname, host) ? SIZE_MAX : 0;
}

static const struct agw_listener *best_listener(const struct agw_bind *bind, struct agw_str host)
{
    const struct agw_listener *best = NULL;
    size_t best_fit = 0;
    for (uint32_t i = 0; i < bind->listener_count; i++) {
        size_t f = fit(bind->listeners[i]->hostname, host);
        if (f > best_fit) {
            best = bind->listeners[i];
            best_fit = f;
        }
    }
    return best;
}

const struct agw_listener *agw_listener_for_host(const struct agw_bind *bind, struct agw_str authority)
{
    char buf[AGW_HOST_MAX];
    if (bind->listener_count == 1 && bind->listeners[0]->hostname.n == 0)
        return bind->listeners[0];
    return best_listener(bind, host_of(authority, buf));
}

const struct agw_listener *agw_listener_for_sni(const struct agw_bind *bind, struct agw_str sni)
{
    return agw_listener_for_host(bind, sni);
}

bool agw_listener_misdirected(const struct agw_bind *bind, const struct agw_listener *chosen,
                              struct agw_str authority)
{
    const struct agw_listener *best = agw_listener_for_host(bind, authority);
    return best && best != chosen;
}

/* --- matches --- */
/* A request, taken apart as far as matching needs it. */
struct subject {
    const struct agw_msg *req;
    struct agw_str path, query;
    struct agw_str asked; /* a preflight: the method of the request that is to follow; else empty */
    struct agw_arena *arena;
};

static bool value_ok(const struct agw_value_match *m, struct agw_str value)
{
    return m->regex ? agw_regex_full(m->regex, value) : agw_str_eq(m->value, value);
}

static bool headers_ok(const struct agw_match *m, const struct subject *s)
{
    for (uint32_t i = 0; i < m->header_count; i++) {
        const struct agw_value_match *want = &m->headers[i];
        const struct agw_header *h = agw_headers_find(&s->req->headers, want->name);
        if (h ? !value_ok(want, h->value)
              : !agw_str_eq(want->name, AGW_STR("host")) || !value_ok(want, s->req->authority))
            return false;
    }
    return true;
}

static bool query_ok(const struct agw_match *m, const struct subject *s)
{
    for (uint32_t i = 0; i < m->query_count; i++) {
        struct agw_str value;
        if (!agw_query_get(s->query, m->query[i].name, s->arena, &value) || !value_ok(&m->query[i], value))
            return false;
    }
    return true;
}

/* The method that a browser asks for with OPTIONS before it sends the request itself (Fetch standard, 3.2.2).
 */
static struct agw_str asked_method(const struct agw_msg *req)
{
    const struct agw_header *h;
    if (req->method != AGW_METHOD_OPTIONS || agw_headers_value(&req->headers, AGW_HDR_ORIGIN).n == 0)
        return AGW_STR("");
    h = agw_headers_find(&req->headers, AGW_STR("access-control-request-method"));
    return h ? h->value : AGW_STR("");
}

static bool answers_preflights(const struct agw_route *r)
{
    for (uint32_t i = 0; i < r->policies.count; i++) {
        if (r->policies.v[i].ops->kind == AGW_POLICY_CORS)
            return true;
    }
    return false;
}

/* A preflight also goes where its request will, if that route answers it: one without CORS would pass an
 * OPTIONS on that it does not match. */
static bool method_ok(const struct agw_match *m, const struct subject *s)
{
    return m->method.n == 0 || agw_str_eq(m->method, s->req->method_text) ||
           (s->asked.n && agw_str_eq(m->method, s->asked) && answers_preflights(m->route));
}

/* All conditions but the path. */
static bool rest_ok(const struct agw_match *m, const struct subject *s)
{
    return method_ok(m, s) && headers_ok(m, s) && query_ok(m, s);
}

/* The first of a path's matches. */
static const struct agw_match *match_group(const struct agw_match_group *g, const struct subject *s)
{
    for (uint32_t i = 0; g && i < g->count; i++)
        if (rest_ok(g->matches[i], s))
            return g->matches[i];
    return NULL;
}

static const struct agw_match *match_exact(const struct agw_pmap *paths, const struct subject *s)
{
    if (paths->count == 0)
        return NULL;
    uint64_t hash = agw_path_hash(AGW_PATH_HASH, s->path.p, s->path.n);
    return match_group(agw_pmap_get(paths, hash, s->path), s);
}

static const struct agw_match *match_regex(const struct agw_match_group *g, const struct subject *s)
{
    for (uint32_t i = 0; g && i < g->count; i++)
        if (agw_regex_full(g->matches[i]->path_regex, s->path) && rest_ok(g->matches[i], s))
            return g->matches[i];
    return NULL;
}

/* Prefixes end before a '/' or at the path's end: their hashes come from one pass, then the longest is tried
 * first. */
static const struct agw_match *match_prefix(const struct agw_host_bucket *b, const struct subject *s)
{
    struct {
        uint64_t hash;
        size_t n;
    } ends[AGW_PATH_DEPTH + 2];
    size_t count = 0, from = 0, n = 0;
    uint64_t hash = AGW_PATH_HASH;
    if (b->prefix.count == 0)
        return NULL;
    for (; n < s->path.n && n <= b->prefix_longest && count <= b->prefix_deepest; n++) {
        if (s->path.p[n] != '/')
            continue;
        hash = agw_path_hash(hash, s->path.p + from, n - from);
        ends[count].hash = hash;
        ends[count++].n = from = n;
    }
    if (n == s->path.n && n <= b->prefix_longest && count <= b->prefix_deepest) {
        ends[count].hash = agw_path_hash(hash, s->path.p + from, n - from);
        ends[count++].n = n;
    }
    while (count-- > 0) {
        const struct agw_match *m =
            match_group(agw_pmap_get(&b->prefix, ends[count].hash, agw_str(s->path.p, ends[count].n)), s);
        if (m)
            return m;
    }
    return NULL;
}

static const struct agw_match *match_bucket(const struct agw_host_bucket *b, const struct subject *s)
{
    const struct agw_match *m = match_exact(&b->exact, s);
    if (!m)
        m = match_prefix(b, s);
    return m ? m : match_regex(b->regex, s);
}

static const struct agw_host_bucket *bucket_of(const struct agw_listener *l, struct agw_str host)
{
    return agw_pmap_get(&l->hosts, agw_hash(host), host);
}

/* The buckets that |host| is in, from the most specific: its own, then each parent's from the longest: of
 * "a.b.c" they are ".b.c" and ".c". */
static const struct agw_match *match_host(const struct agw_listener *l, struct agw_str host,
                                          const struct subject *s)
{
    const struct agw_host_bucket *b;
    const struct agw_match *m;
    if (host.n && (b = bucket_of(l, host)) && (m = match_bucket(b, s)))
        return m;
    for (size_t i = 1; l->wildcards && i < host.n; i++)
        if (host.p[i] == '.' && (b = bucket_of(l, agw_str_from(host, i))) && (m = match_bucket(b, s)))
            return m;
    return NULL;
}

const struct agw_match *agw_route_match(const struct agw_listener *l, const struct agw_msg *req,
                                        struct agw_arena *arena)
{
    char buf[AGW_HOST_MAX];
    bool has_query;
    struct subject s = {.req = req, .asked = asked_method(req), .arena = arena};
    struct agw_str host = {0};
    agw_path_split(req->path, &s.path, &s.query, &has_query);
    if (l->names || l->tls)
        host = host_of(req->authority, buf);
    if (l->tls && !fit(l->hostname, host)) /* the handshake chose the listener, not the host */
        return NULL;
    const struct agw_match *m = l->names ? match_host(l, host, &s) : NULL;
    if (m)
        return m;
    return l->any ? match_bucket(l->any, &s) : NULL;
}

bool agw_host_named(const struct agw_listener *l, struct agw_str authority)
{
    char buf[AGW_HOST_MAX];
    struct agw_str host = l->names || l->hostname.n ? host_of(authority, buf) : AGW_STR("");
    bool found = host.n && ((l->hostname.n && fit(l->hostname, host)) || (l->names && bucket_of(l, host)));
    for (size_t i = 1; !found && l->wildcards && i < host.n; i++)
        found = host.p[i] == '.' && bucket_of(l, agw_str_from(host, i));
    return found;
}

/* --- connections --- */
static const struct agw_route *first_route(const struct agw_host_bucket *b)
{
    const struct agw_match_group *g =
        b ? agw_pmap_get(&b->prefix, agw_path_hash(AGW_PATH_HASH, NULL, 0), AGW_STR("")) : NULL;
    return g ? g->matches[0]->route : NULL;
}

const struct agw_route *agw_route_for_connection(const struct agw_listener *l, struct agw_str sni)
{
    char buf[AGW_HOST_MAX];
    struct agw_str host = l->names ? host_of(sni, buf) : AGW_STR("");
    const struct agw_route *route = host.n ? first_route(bucket_of(l, host)) : NULL;
    for (size_t i = 1; !route && l->wildcards && i < host.n; i++)
        if (host.p[i] == '.')
            route = first_route(bucket_of(l, agw_str_from(host, i)));
    return route ? route : first_route(l->any);
}
