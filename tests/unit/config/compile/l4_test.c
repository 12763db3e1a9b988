/* TCP binds, TLS that is passed through, and their routes. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "config/compile/fixture.h"
#include "failmalloc.h"
#include "net/proxy.h"

static Pb__Bind *bind_of(struct fixture *f, const char *key, unsigned port, Pb__Bind__Protocol protocol)
{
    Pb__Bind *b = fx_new(f, &pb__bind__descriptor);
    b->key = fx_text(f, key);
    b->port = port;
    b->protocol = protocol;
    return b;
}

static void add_listener(struct fixture *f, const char *bind, const char *key, const char *host,
                         Pb__Protocol protocol)
{
    Pb__Listener *l = fx_listener(f, bind, key, host);
    l->protocol = protocol;
    fx_add(f, AGW_RESOURCE_LISTENER, l, NULL);
}

static void add_route(struct fixture *f, const char *listener, const char *key, const char *host,
                      const char *backend)
{
    Pb__TCPRoute *r = fx_new(f, &pb__tcproute__descriptor);
    Pb__RouteBackend *b = fx_new(f, &pb__route_backend__descriptor);
    r->key = fx_text(f, key);
    r->listener_key = fx_text(f, listener);
    if (host) {
        r->hostnames = agw_arena_alloc(&f->arena, sizeof(char *));
        r->hostnames[r->n_hostnames++] = fx_text(f, host);
    }
    b->weight = 1;
    b->backend = fx_new(f, &pb__backend_reference__descriptor);
    b->backend->kind_case = PB__BACKEND_REFERENCE__KIND_BACKEND;
    b->backend->backend = fx_text(f, backend);
    r->backends = agw_arena_alloc(&f->arena, sizeof(b));
    r->backends[r->n_backends++] = b;
    fx_add(f, AGW_RESOURCE_TCP_ROUTE, r, NULL);
}

static void add_proxy(struct fixture *f, const char *key, int version, int mode, unsigned port)
{
    Pb__Policy *p = fx_new(f, &pb__policy__descriptor);
    p->key = fx_text(f, key);
    p->target = fx_new(f, &pb__policy_target__descriptor);
    p->target->kind_case = PB__POLICY_TARGET__KIND_GATEWAY;
    p->target->gateway = fx_new(f, &pb__policy_target__gateway_target__descriptor);
    p->target->gateway->name = fx_text(f, "gw");
    p->target->gateway->namespace_ = fx_text(f, "ns");
    if (port) {
        p->target->gateway->_port_case = PB__POLICY_TARGET__GATEWAY_TARGET___PORT_PORT;
        p->target->gateway->port = port;
    }
    p->kind_case = PB__POLICY__KIND_FRONTEND;
    p->frontend = fx_new(f, &pb__frontend_policy_spec__descriptor);
    p->frontend->kind_case = PB__FRONTEND_POLICY_SPEC__KIND_PROXY_PROTOCOL;
    p->frontend->proxy_protocol = fx_new(f, &pb__frontend_policy_spec__proxy_protocol__descriptor);
    p->frontend->proxy_protocol->version = (Pb__FrontendPolicySpec__ProxyProtocol__Version)version;
    p->frontend->proxy_protocol->mode = (Pb__FrontendPolicySpec__ProxyProtocol__Mode)mode;
    fx_add(f, AGW_RESOURCE_POLICY, p, NULL);
}

/* One of each sort. */
static void begin(struct fixture *f)
{
    fx_init(f, NULL, 0);
    fx_add(f, AGW_RESOURCE_BIND, bind_of(f, "tcp", 90, PB__BIND__PROTOCOL__TCP), NULL);
    fx_add(f, AGW_RESOURCE_BIND, bind_of(f, "tls", 91, PB__BIND__PROTOCOL__TLS), NULL);
    add_listener(f, "tcp", "t", "", PB__PROTOCOL__TCP);
    add_listener(f, "tls", "p", "*.a.com", PB__PROTOCOL__TLS);
    fx_static(f, "ns", "one", "127.0.0.1", 1);
    fx_static(f, "ns", "two", "127.0.0.1", 2);
}

static void test_listeners_and_binds(void **state)
{
    struct fixture f;
    begin(&f);
    fx_compile(&f);
    const struct agw_listener *t = fx_out_listener(&f, "tcp", "t"), *p = fx_out_listener(&f, "tls", "p");
    assert_true(t->l4 && !t->tls && !t->passthrough);
    assert_true(p->l4 && !p->tls && p->passthrough);
    assert_int_equal(agw_snapshot_bind(f.snap, AGW_STR("tcp"))->protocol, AGW_BIND_TCP);
    assert_true(agw_snapshot_bind(f.snap, AGW_STR("tls"))->peek);
    assert_false(agw_snapshot_bind(f.snap, AGW_STR("tcp"))->peek);
    assert_int_equal(agw_snapshot_bind(f.snap, AGW_STR("tcp"))->proxy.versions, 0);
    assert_int_equal(f.notes.errors + f.notes.warnings, 0);
    fx_free(&f);
}

static const struct agw_route *first(const struct agw_listener *l, struct agw_str host)
{
    const struct agw_host_bucket *b = agw_pmap_get(&l->hosts, agw_hash(host), host);
    const struct agw_match_group *g =
        b ? agw_pmap_get(&b->prefix, agw_path_hash(AGW_PATH_HASH, NULL, 0), AGW_STR("")) : NULL;
    return g ? g->matches[0]->route : NULL;
}

static void test_of_one_host_the_first_key_wins(void **state)
{
    struct fixture f;
    begin(&f);
    add_route(&f, "t", "2000/ns/a", NULL, "ns/one");
    add_route(&f, "t", "1000/ns/b", NULL, "ns/two");
    add_route(&f, "p", "3000/ns/c", "X.a.com", "ns/one");
    add_route(&f, "p", "4000/ns/d", "*.a.com", "ns/two");
    fx_compile(&f);
    assert_int_equal(f.notes.errors + f.notes.warnings, 0);
    assert_int_equal(f.snap->route_count, 4);
    const struct agw_listener *p = fx_out_listener(&f, "tls", "p");
    const struct agw_route *r = first(fx_out_listener(&f, "tcp", "t"), AGW_STR(""));
    assert_true(agw_str_eq(r->key, AGW_STR("1000/ns/b")));
    assert_true(agw_str_eq(fx_backend(&f, &r->backends[0])->key, AGW_STR("ns/two")));
    assert_true(agw_str_eq(first(p, AGW_STR("x.a.com"))->key, AGW_STR("3000/ns/c")));
    assert_true(agw_str_eq(first(p, AGW_STR(".a.com"))->key, AGW_STR("4000/ns/d")));
    fx_free(&f);
}

/* Both kinds of route may have one key; each is served by listeners of its sort alone. */
static void test_kinds_are_kept_apart(void **state)
{
    struct fixture f;
    begin(&f);
    fx_bind(&f, "http", 80);
    fx_add(&f, AGW_RESOURCE_LISTENER, fx_listener(&f, "http", "h", ""), NULL);
    add_route(&f, "t", "same", NULL, "ns/one");
    fx_add(&f, AGW_RESOURCE_ROUTE, fx_route(&f, "h", "same", NULL, 'p', "/"), NULL);
    add_route(&f, "h", "wrong", NULL, "ns/one");
    fx_add(&f, AGW_RESOURCE_ROUTE, fx_route(&f, "t", "wrong", NULL, 'p', "/"), NULL);
    fx_compile(&f);
    assert_int_equal(f.snap->route_count, 2);
    assert_non_null(fx_note(&f, "tcp_route/wrong", "serves HTTP"));
    assert_non_null(fx_note(&f, "route/wrong", "serves connections"));
    assert_non_null(first(fx_out_listener(&f, "tcp", "t"), AGW_STR("")));
    fx_free(&f);
}

static void test_proxy_policy(void **state)
{
    static const struct {
        int version, mode;
        unsigned port, want;
        bool optional, error;
    } cases[] = {
        {PB__FRONTEND_POLICY_SPEC__PROXY_PROTOCOL__VERSION__V2, 0, 0, AGW_PROXY_V2, false, false},
        {PB__FRONTEND_POLICY_SPEC__PROXY_PROTOCOL__VERSION__V1, 1, 90, AGW_PROXY_V1, true, false},
        {PB__FRONTEND_POLICY_SPEC__PROXY_PROTOCOL__VERSION__ALL, 0, 90, AGW_PROXY_V1 | AGW_PROXY_V2, false,
         false},
        {9, 0, 90, AGW_PROXY_V1 | AGW_PROXY_V2, false, true},
        {0, 9, 90, AGW_PROXY_V2, false, true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct fixture f;
        begin(&f);
        add_proxy(&f, "own", cases[i].version, cases[i].mode, cases[i].port);
        if (cases[i].port) /* the port's is the closer one */
            add_proxy(&f, "all", PB__FRONTEND_POLICY_SPEC__PROXY_PROTOCOL__VERSION__V2, 0, 0);
        fx_compile(&f);
        const struct agw_bind *tcp = agw_snapshot_bind(f.snap, AGW_STR("tcp"));
        assert_int_equal(tcp->proxy.versions, cases[i].want);
        assert_int_equal(tcp->proxy.optional, cases[i].optional);
        assert_int_equal(agw_snapshot_bind(f.snap, AGW_STR("tls"))->proxy.versions, AGW_PROXY_V2);
        assert_int_equal(f.notes.errors, cases[i].error);
        assert_int_equal(f.notes.warnings, 0);
        fx_free(&f);
    }
}

static void test_tunnel_of_a_bind(void **state)
{
    struct fixture f;
    fx_init(&f, NULL, 0);
    Pb__Bind *b = bind_of(&f, "tcp", 90, PB__BIND__PROTOCOL__TCP);
    b->tunnel_protocol = PB__BIND__TUNNEL_PROTOCOL__PROXY;
    fx_add(&f, AGW_RESOURCE_BIND, b, NULL);
    b = bind_of(&f, "hbone", 92, PB__BIND__PROTOCOL__TCP);
    b->tunnel_protocol = PB__BIND__TUNNEL_PROTOCOL__HBONE_GATEWAY;
    fx_add(&f, AGW_RESOURCE_BIND, b, NULL);
    b = bind_of(&f, "waypoint", 94, PB__BIND__PROTOCOL__HTTP);
    b->tunnel_protocol = PB__BIND__TUNNEL_PROTOCOL__HBONE_WAYPOINT;
    fx_add(&f, AGW_RESOURCE_BIND, b, NULL);
    Pb__Listener *l = fx_listener(&f, "hbone", "mesh", "");
    l->protocol = PB__PROTOCOL__HBONE;
    fx_add(&f, AGW_RESOURCE_LISTENER, l, NULL);
    fx_add(&f, AGW_RESOURCE_LISTENER, fx_listener(&f, "hbone", "plain", ""), NULL);
    fx_add(&f, AGW_RESOURCE_BIND, bind_of(&f, "odd", 93, (Pb__Bind__Protocol)7), NULL);
    fx_compile(&f);
    assert_int_equal(agw_snapshot_bind(f.snap, AGW_STR("tcp"))->proxy.versions, AGW_PROXY_V1 | AGW_PROXY_V2);
    const struct agw_bind *hbone = agw_snapshot_bind(f.snap, AGW_STR("hbone"));
    assert_int_equal(hbone->protocol, AGW_BIND_HBONE);
    assert_int_equal(hbone->listener_count, 1);
    assert_non_null(fx_note(&f, "bind/hbone", "handshakes are refused"));
    assert_non_null(fx_note(&f, "listener/plain", "does not fit"));
    assert_null(agw_snapshot_bind(f.snap, AGW_STR("waypoint")));
    assert_non_null(fx_note(&f, "bind/waypoint", "not supported"));
    assert_non_null(fx_note(&f, "bind/odd", "unknown protocol 7"));
    fx_free(&f);
}

static void test_without_memory(void **state)
{
    struct fixture f;
    begin(&f);
    add_route(&f, "t", "1000/ns/b", NULL, "ns/two");
    add_route(&f, "p", "3000/ns/c", "x.a.com", "ns/gone");
    add_proxy(&f, "all", PB__FRONTEND_POLICY_SPEC__PROXY_PROTOCOL__VERSION__V2, 0, 0);
    fx_compile(&f);
    for (long at = 1;; at++) {
        struct agw_snapshot *snap = NULL;
        struct agw_compile_options none = {0};
        failmalloc_at(at);
        struct agw_compiler *c = agw_compiler_new(&none);
        int code = c ? agw_compiler_run(c, f.store, 0, &snap, &f.notes) : AGW_ENOMEM;
        bool reached = failmalloc_count() >= at;
        failmalloc_at(0);
        assert_true(code == 0 || code == AGW_ENOMEM);
        agw_snapshot_free(snap);
        agw_compiler_free(c);
        if (!reached)
            break;
    }
    fx_free(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_listeners_and_binds),  cmocka_unit_test(test_of_one_host_the_first_key_wins),
        cmocka_unit_test(test_kinds_are_kept_apart), cmocka_unit_test(test_proxy_policy),
        cmocka_unit_test(test_tunnel_of_a_bind),     cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
