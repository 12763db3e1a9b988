#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include "base/rng.h"
#include "config/compile/fixture.h"
#include "route/match.h"

static const char *route_of(struct fixture *f, const struct agw_listener *l, const struct agw_msg *req)
{
    const struct agw_match *m = agw_route_match(l, req, &f->arena);
    return m ? m->route->key.p : "none";
}

static void add(struct fixture *f, Pb__Route *r)
{
    fx_add(f, AGW_RESOURCE_ROUTE, r, NULL);
}

static void begin(struct fixture *f)
{
    fx_init(f, NULL, 0);
    fx_bind(f, "b", 80);
    fx_add(f, AGW_RESOURCE_LISTENER, fx_listener(f, "b", "l", ""), NULL);
}

/* Routes of which several could serve a request; keys say what should win. |extra| more switch the path index
 * on. */
static void add_overlapping(struct fixture *f, unsigned extra)
{
    Pb__Route *r;
    char key[32], path[32];
    add(f, fx_route(f, "l", "exact", NULL, 'e', "/a/b"));
    add(f, fx_route(f, "l", "prefix-ab", NULL, 'p', "/a/b"));
    add(f, fx_route(f, "l", "prefix-a", NULL, 'p', "/a/"));
    add(f, fx_route(f, "l", "root", NULL, 'p', "/"));
    r = fx_route(f, "l", "method", NULL, 'p', "/m");
    fx_match_method(f, r->matches[0], "PUT");
    add(f, r);
    r = fx_route(f, "l", "headers2", NULL, 'p', "/m");
    fx_match_header(f, r->matches[0], "X-A", "1");
    fx_match_header(f, r->matches[0], "x-b", "2");
    add(f, r);
    r = fx_route(f, "l", "headers1", NULL, 'p', "/m");
    fx_match_header(f, r->matches[0], "x-a", "1");
    fx_match_header(f, r->matches[0], "X-A", "other"); /* a second condition on one header does not count */
    fx_match_query(f, r->matches[0], "q", "v w");
    add(f, r);
    r = fx_route(f, "l", "headers1b", NULL, 'p', "/m");
    fx_match_header(f, r->matches[0], "x-a", "1");
    add(f, r);
    add(f, fx_route(f, "l", "plain-m", NULL, 'p', "/m"));
    for (unsigned i = 0; i < extra; i++) {
        snprintf(key, sizeof(key), "extra%u", i);
        snprintf(path, sizeof(path), "/extra/%u", i);
        add(f, fx_route(f, "l", key, NULL, i % 2 ? 'e' : 'p', path));
    }
}

static void check_precedence(unsigned extra)
{
    static const struct {
        const char *method, *path, *x_a, *x_b, *want;
    } cases[] = {
        {"GET", "/a/b", NULL, NULL, "exact"},
        {"GET", "/a/b?x=1", NULL, NULL, "exact"},
        {"GET", "/a/b/", NULL, NULL, "prefix-ab"},
        {"GET", "/a/b/c", NULL, NULL, "prefix-ab"},
        {"GET", "/a/bc", NULL, NULL, "prefix-a"},
        {"GET", "/a", NULL, NULL, "prefix-a"},
        {"GET", "/a/", NULL, NULL, "prefix-a"},
        {"GET", "/ab", NULL, NULL, "root"},
        {"GET", "/", NULL, NULL, "root"},
        {"PUT", "/m", "1", "2", "method"},
        {"GET", "/m", "1", "2", "headers2"},
        {"GET", "/m/deep/er?q=v+w", "1", NULL, "headers1"},
        {"GET", "/m?q=v%20w&q=z", "1", NULL, "headers1"},
        {"GET", "/m?q=z&q=v%20w", "1", NULL, "headers1b"}, /* the first value of a parameter counts */
        {"GET", "/m", "1", NULL, "headers1b"},
        {"GET", "/m", "2", NULL, "plain-m"},
        {"put", "/m", NULL, NULL, "plain-m"}, /* methods are case-sensitive */
        {"GET", "*", NULL, NULL, "none"},
    };
    struct fixture f;
    begin(&f);
    add_overlapping(&f, extra);
    fx_compile(&f);
    const struct agw_listener *l = fx_out_listener(&f, "b", "l");
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct agw_msg *req = fx_request(&f, cases[i].method, "h", cases[i].path);
        if (cases[i].x_a)
            assert_int_equal(
                agw_headers_add(&req->headers, AGW_HDR_OTHER, AGW_STR("x-a"), agw_str_c(cases[i].x_a)), 0);
        if (cases[i].x_b)
            assert_int_equal(
                agw_headers_add(&req->headers, AGW_HDR_OTHER, AGW_STR("x-b"), agw_str_c(cases[i].x_b)), 0);
        assert_string_equal(route_of(&f, l, req), cases[i].want);
    }
    fx_free(&f);
}

static void test_precedence(void **state)
{
    check_precedence(40);
}

static enum agw_verdict answer(const void *conf, struct agw_policy_ctx *ctx)
{
    return AGW_RESPOND;
}

static const struct agw_policy_ops fake_cors = {.kind = AGW_POLICY_CORS, .request = answer};

/* A preflight goes where its request will, but only to a route that answers it. */
static void test_preflights(void **state)
{
    static const struct agw_policy_ops *const table[] = {&fake_cors};
    static const struct {
        const char *method, *origin, *asks, *path, *want;
    } cases[] = {
        {"OPTIONS", "https://a", "PUT", "/cors", "put"},
        {"OPTIONS", "https://a", "GET", "/cors", "rest"},
        {"OPTIONS", "https://a", "put", "/cors", "rest"},
        {"OPTIONS", NULL, "PUT", "/cors", "rest"},
        {"OPTIONS", "https://a", NULL, "/cors", "rest"},
        {"GET", "https://a", "PUT", "/cors", "rest"},
        {"OPTIONS", "https://a", "PUT", "/plain", "rest"},
        {"PUT", NULL, NULL, "/plain", "plain"},
        {"OPTIONS", "https://a", "OPTIONS", "/cors", "rest"},
    };
    struct fixture f;
    fx_init(&f, table, 1);
    fx_bind(&f, "b", 80);
    fx_add(&f, AGW_RESOURCE_LISTENER, fx_listener(&f, "b", "l", ""), NULL);
    Pb__Route *r = fx_route(&f, "l", "put", NULL, 'p', "/cors");
    fx_match_method(&f, r->matches[0], "PUT");
    fx_route_policy(&f, r,
                    fx_traffic(&f, PB__TRAFFIC_POLICY_SPEC__KIND_CORS, fx_new(&f, &pb__cors__descriptor)));
    add(&f, r);
    r = fx_route(&f, "l", "plain", NULL, 'p', "/plain");
    fx_match_method(&f, r->matches[0], "PUT");
    add(&f, r);
    add(&f, fx_route(&f, "l", "rest", NULL, 'p', "/"));
    fx_compile(&f);
    const struct agw_listener *l = fx_out_listener(&f, "b", "l");
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct agw_msg *req = fx_request(&f, cases[i].method, "h", cases[i].path);
        if (cases[i].origin)
            assert_int_equal(
                agw_headers_add(&req->headers, AGW_HDR_ORIGIN, AGW_STR("origin"), agw_str_c(cases[i].origin)),
                0);
        if (cases[i].asks)
            assert_int_equal(agw_headers_add(&req->headers, AGW_HDR_OTHER,
                                             AGW_STR("access-control-request-method"),
                                             agw_str_c(cases[i].asks)),
                             0);
        assert_string_equal(route_of(&f, l, req), cases[i].want);
    }
    fx_free(&f);
}

/* What the tables are to find, looked for one match after the other. */
struct search {
    struct agw_str path;
    const char *method;
    const struct agw_match *best;
};

static bool fits(const struct agw_match *m, const struct search *s)
{
    if (m->method.n && !agw_str_eq(m->method, agw_str_c(s->method)))
        return false;
    switch (m->path_kind) {
    case AGW_PATH_EXACT:
        return agw_str_eq(m->path, s->path);
    case AGW_PATH_PREFIX:
        return agw_str_starts(s->path, m->path) && (s->path.n == m->path.n || s->path.p[m->path.n] == '/');
    default:
        return agw_regex_full(m->path_regex, s->path);
    }
}

static bool better(const struct agw_match *a, const struct agw_match *b)
{
    if (a->path_kind != b->path_kind)
        return a->path_kind < b->path_kind;
    if (a->path.n != b->path.n)
        return a->path.n > b->path.n;
    if ((a->method.n != 0) != (b->method.n != 0))
        return a->method.n != 0;
    return agw_str_cmp(a->route->key, b->route->key) < 0;
}

static int look_in_group(void *ctx, void *value)
{
    struct search *s = ctx;
    const struct agw_match_group *g = value;
    for (uint32_t i = 0; i < g->count; i++)
        if (fits(g->matches[i], s) && (!s->best || better(g->matches[i], s->best)))
            s->best = g->matches[i];
    return 0;
}

static const struct agw_match *search_all(const struct agw_host_bucket *b, const char *method,
                                          const char *path)
{
    struct search s = {.path = agw_str_c(path), .method = method};
    agw_pmap_each(&b->exact, look_in_group, &s);
    agw_pmap_each(&b->prefix, look_in_group, &s);
    if (b->regex)
        look_in_group(&s, b->regex);
    return s.best;
}

static void test_tables_agree_with_a_search(void **state)
{
    static const char *const parts[] = {"", "/", "/a", "/b", "/ab", "/a/", "/a/b", "//", "/a//b", "/c"};
    struct fixture f;
    struct agw_rng rng;
    char path[128], key[16];
    agw_rng_init(&rng, 3);
    begin(&f);
    for (unsigned i = 0; i < 60; i++) {
        snprintf(key, sizeof(key), "r%u", i);
        snprintf(path, sizeof(path), "%s%s%s", parts[1 + agw_rng_below(&rng, 9)],
                 parts[agw_rng_below(&rng, 10)], parts[agw_rng_below(&rng, 10)]);
        Pb__Route *r = fx_route(&f, "l", key, NULL, agw_rng_below(&rng, 3) ? 'p' : 'e', path);
        if (agw_rng_below(&rng, 3) == 0)
            fx_match_method(&f, r->matches[0], "POST");
        add(&f, r);
    }
    add(&f, fx_route(&f, "l", "regex", NULL, 'r', "/.*b"));
    fx_compile(&f);
    const struct agw_listener *l = fx_out_listener(&f, "b", "l");
    for (unsigned i = 0; i < 4000; i++) {
        snprintf(path, sizeof(path), "%s%s%s%s", parts[1 + agw_rng_below(&rng, 9)],
                 parts[agw_rng_below(&rng, 10)], parts[agw_rng_below(&rng, 10)],
                 parts[agw_rng_below(&rng, 10)]);
        const char *method = i % 2 ? "POST" : "GET";
        struct agw_msg *req = fx_request(&f, method, "h", path);
        assert_ptr_equal(agw_route_match(l, req, &f.arena), search_all(l->any, method, path));
    }
    fx_free(&f);
}

static void test_age_then_name_decides_ties(void **state)
{
    struct fixture f;
    struct agw_side old = {.created_ns = 100}, young = {.created_ns = 200};
    begin(&f);
    fx_add(&f, AGW_RESOURCE_ROUTE, fx_route(&f, "l", "a-young", NULL, 'p', "/x"), &young);
    fx_add(&f, AGW_RESOURCE_ROUTE, fx_route(&f, "l", "z-old", NULL, 'p', "/x"), &old);
    fx_add(&f, AGW_RESOURCE_ROUTE, fx_route(&f, "l", "n2", NULL, 'p', "/y"), &old);
    fx_add(&f, AGW_RESOURCE_ROUTE, fx_route(&f, "l", "n1", NULL, 'p', "/y"), &old);
    fx_add(&f, AGW_RESOURCE_ROUTE, fx_route(&f, "l", "k2", NULL, 'p', "/z"), NULL);
    fx_add(&f, AGW_RESOURCE_ROUTE, fx_route(&f, "l", "k1", NULL, 'p', "/z"), NULL);
    fx_compile(&f);
    const struct agw_listener *l = fx_out_listener(&f, "b", "l");
    assert_string_equal(route_of(&f, l, fx_request(&f, "GET", "h", "/x")), "z-old");
    assert_string_equal(route_of(&f, l, fx_request(&f, "GET", "h", "/y")), "n1");
    assert_string_equal(route_of(&f, l, fx_request(&f, "GET", "h", "/z")), "k1");
    fx_free(&f);
}

static void test_hosts_from_exact_to_none(void **state)
{
    static const struct {
        const char *host, *path, *want;
    } cases[] = {
        {"a.b.c", "/only-exact", "exact"},
        {"A.B.C:8080", "/only-exact", "exact"},
        {"a.b.c", "/x", "wild-b"},
        {"z.a.b.c", "/x", "wild-b"},
        {"b.c", "/x", "wild-c"},
        {"c", "/x", "any"},
        {"a.b.c.", "/only-exact", "exact"},
        {"a.b.c", "/wild-c", "wild-c"},
        {"a.b.c", "/any", "any"},
        {"other", "/nothing", "none"},
        {"a.b.c:junk", "/only-exact", "none"},
        {"", "/any", "any"},
        {".b.c", "/x", "any"}, /* no name, though it reads like the wildcard's key */
    };
    struct fixture f;
    begin(&f);
    add(&f, fx_route(&f, "l", "exact", "a.B.c", 'p', "/only-exact"));
    add(&f, fx_route(&f, "l", "wild-b", "*.b.c", 'p', "/x"));
    Pb__Route *r = fx_route(&f, "l", "wild-c", "*.c", 'p', "/x");
    fx_route_add_match(&f, r, fx_match(&f, 'p', "/wild-c"));
    add(&f, r);
    r = fx_route(&f, "l", "any", NULL, 'p', "/x");
    fx_route_add_match(&f, r, fx_match(&f, 'p', "/any"));
    add(&f, r);
    fx_compile(&f);
    const struct agw_listener *l = fx_out_listener(&f, "b", "l");
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        assert_string_equal(route_of(&f, l, fx_request(&f, "GET", cases[i].host, cases[i].path)),
                            cases[i].want);
    fx_free(&f);
}

static void test_listeners_and_421(void **state)
{
    struct fixture f;
    fx_init(&f, NULL, 0);
    fx_bind(&f, "b", 80);
    fx_add(&f, AGW_RESOURCE_LISTENER, fx_listener(&f, "b", "exact", "foo.example.com"), NULL);
    fx_add(&f, AGW_RESOURCE_LISTENER, fx_listener(&f, "b", "wild", "*.example.com"), NULL);
    fx_add(&f, AGW_RESOURCE_LISTENER, fx_listener(&f, "b", "wider", "*.com"), NULL);
    fx_compile(&f);
    const struct agw_bind *b = f.snap->binds[0];
    const struct agw_listener *exact = fx_out_listener(&f, "b", "exact"),
                              *wild = fx_out_listener(&f, "b", "wild"),
                              *wider = fx_out_listener(&f, "b", "wider");
    assert_ptr_equal(agw_listener_for_host(b, AGW_STR("FOO.example.com:443")), exact);
    assert_ptr_equal(agw_listener_for_host(b, AGW_STR("bar.example.com")), wild);
    assert_ptr_equal(agw_listener_for_host(b, AGW_STR("a.b.example.com")), wild);
    assert_ptr_equal(agw_listener_for_host(b, AGW_STR("example.com")), wider);
    assert_null(agw_listener_for_host(b, AGW_STR("com")));
    assert_null(agw_listener_for_sni(b, AGW_STR("")));
    assert_false(agw_listener_misdirected(b, exact, AGW_STR("foo.example.com")));
    assert_true(agw_listener_misdirected(b, exact, AGW_STR("bar.example.com")));
    assert_true(agw_listener_misdirected(b, wild, AGW_STR("foo.example.com")));
    assert_false(agw_listener_misdirected(b, wild, AGW_STR("other.example.com")));
    assert_false(agw_listener_misdirected(b, exact, AGW_STR("unknown.org"))); /* 404, not 421 */
    assert_true(agw_host_named(wild, AGW_STR("Bar.example.com:80")));
    assert_false(agw_host_named(wild, AGW_STR("example.com")));
    fx_free(&f);
}

static void test_hosts_that_routes_name(void **state)
{
    struct fixture f;
    fx_init(&f, NULL, 0);
    fx_bind(&f, "b", 80);
    fx_add(&f, AGW_RESOURCE_LISTENER, fx_listener(&f, "b", "l", ""), NULL);
    add(&f, fx_route(&f, "l", "any", NULL, 'p', "/"));
    add(&f, fx_route(&f, "l", "exact", "a.example.com", 'p', "/"));
    add(&f, fx_route(&f, "l", "wild", "*.example.org", 'p', "/"));
    fx_compile(&f);
    const struct agw_listener *l = fx_out_listener(&f, "b", "l");
    assert_true(agw_host_named(l, AGW_STR("A.example.com:8080")));
    assert_true(agw_host_named(l, AGW_STR("x.y.example.org")));
    assert_false(agw_host_named(l, AGW_STR("example.org")));
    assert_false(agw_host_named(l, AGW_STR("b.example.com")));
    assert_false(agw_host_named(l, AGW_STR("")));
    fx_free(&f);
}

/* Over TLS the server name chose the listener: a route for any host is still not there for other hosts. */
static void test_host_beside_the_tls_listener(void **state)
{
    struct fixture f;
    fx_init(&f, NULL, 0);
    fx_bind(&f, "b", 80);
    fx_add(&f, AGW_RESOURCE_LISTENER, fx_listener(&f, "b", "l", "*.example.com"), NULL);
    add(&f, fx_route(&f, "l", "any", NULL, 'p', "/"));
    fx_compile(&f);
    struct agw_listener *l = (struct agw_listener *)(uintptr_t)fx_out_listener(&f, "b", "l");
    l->tls = true;
    assert_string_equal(route_of(&f, l, fx_request(&f, "GET", "a.EXAMPLE.com:443", "/")), "any");
    assert_string_equal(route_of(&f, l, fx_request(&f, "GET", "example.com", "/")), "none");
    assert_string_equal(route_of(&f, l, fx_request(&f, "GET", "", "/")), "none");
    fx_free(&f);
}

static void test_regex_must_match_all(void **state)
{
    struct fixture f;
    begin(&f);
    add(&f, fx_route(&f, "l", "re", NULL, 'r', "/v[0-9]"));
    add(&f, fx_route(&f, "l", "bad", NULL, 'r', "/v(["));
    fx_compile(&f);
    const struct agw_listener *l = fx_out_listener(&f, "b", "l");
    assert_string_equal(route_of(&f, l, fx_request(&f, "GET", "h", "/v1")), "re");
    assert_string_equal(route_of(&f, l, fx_request(&f, "GET", "h", "/v1/x")), "none");
    assert_string_equal(route_of(&f, l, fx_request(&f, "GET", "h", "/v([")), "none");
    assert_non_null(fx_note(&f, "route/bad", "never matches"));
    assert_int_equal(f.notes.errors, 0);
    fx_free(&f);
}

static void add_tls_route(struct fixture *f, const char *key, const char *host)
{
    Pb__TCPRoute *r = fx_new(f, &pb__tcproute__descriptor);
    r->key = fx_text(f, key);
    r->listener_key = fx_text(f, "t");
    if (host) {
        r->hostnames = agw_arena_alloc(&f->arena, sizeof(char *));
        r->hostnames[r->n_hostnames++] = fx_text(f, host);
    }
    fx_add(f, AGW_RESOURCE_TCP_ROUTE, r, NULL);
}

static void test_connections_by_server_name(void **state)
{
    static const char *const cases[][2] = {
        {"a.b.com", "1-exact"},  {"A.B.com", "1-exact"},    {"a.b.com.", "1-exact"},
        {"x.b.com", "2-wild-b"}, {"x.y.b.com", "2-wild-b"}, {"b.com", "3-wild-com"},
        {"com", "9-any-old"},    {"", "9-any-old"},         {".b.com", "9-any-old"},
    };
    struct fixture f;
    fx_init(&f, NULL, 0);
    Pb__Bind *b = fx_new(&f, &pb__bind__descriptor);
    b->key = fx_text(&f, "tls");
    b->port = 443;
    b->protocol = PB__BIND__PROTOCOL__TLS;
    fx_add(&f, AGW_RESOURCE_BIND, b, NULL);
    Pb__Listener *l = fx_listener(&f, "tls", "t", "");
    l->protocol = PB__PROTOCOL__TLS;
    fx_add(&f, AGW_RESOURCE_LISTENER, l, NULL);
    add_tls_route(&f, "1-exact", "a.b.com");
    add_tls_route(&f, "2-wild-b", "*.b.com");
    add_tls_route(&f, "3-wild-com", "*.com");
    add_tls_route(&f, "9-any-young", NULL);
    add_tls_route(&f, "9-any-old", NULL);
    fx_compile(&f);
    const struct agw_listener *t = fx_out_listener(&f, "tls", "t");
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const struct agw_route *r = agw_route_for_connection(t, agw_str_c(cases[i][0]));
        assert_non_null(r);
        assert_string_equal(r->key.p, cases[i][1]);
    }
    fx_free(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_precedence),
        cmocka_unit_test(test_preflights),
        cmocka_unit_test(test_tables_agree_with_a_search),
        cmocka_unit_test(test_age_then_name_decides_ties),
        cmocka_unit_test(test_hosts_from_exact_to_none),
        cmocka_unit_test(test_listeners_and_421),
        cmocka_unit_test(test_hosts_that_routes_name),
        cmocka_unit_test(test_host_beside_the_tls_listener),
        cmocka_unit_test(test_connections_by_server_name),
        cmocka_unit_test(test_regex_must_match_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
