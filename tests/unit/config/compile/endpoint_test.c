/* Endpoints of a service in the order of their nearness, and what moves them. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include "base/check.h"
#include "fixture.h"

static void begin(struct fixture *f, const struct agw_self *self)
{
    const struct agw_compile_options o = {.self = *self};
    fx_init(f, NULL, 0);
    agw_compiler_free(f->compiler);
    f->compiler = agw_compiler_new(&o);
    fx_bind(f, "b", 80);
    fx_add(f, AGW_RESOURCE_LISTENER, fx_listener(f, "b", "l", ""), NULL);
    Pb__Route *r = fx_route(f, "l", "r", NULL, 'p', "/");
    fx_ref_service(f, r, "ns", "s", 80, 1);
    fx_add(f, AGW_RESOURCE_ROUTE, r, NULL);
}

static Istio__Service *make_service(struct fixture *f, Istio__LoadBalancing__Mode mode)
{
    static Istio__LoadBalancing__Scope scopes[] = {ISTIO__LOAD_BALANCING__SCOPE__REGION,
                                                   ISTIO__LOAD_BALANCING__SCOPE__ZONE};
    Istio__Service *s = fx_new(f, &istio__service__descriptor);
    Istio__Port *port = fx_new(f, &istio__port__descriptor);
    port->service_port = 80;
    port->target_port = 8080;
    s->namespace_ = fx_text(f, "ns");
    s->hostname = fx_text(f, "s");
    s->ports = agw_arena_copy(&f->arena, &port, sizeof(port));
    s->n_ports = 1;
    s->load_balancing = fx_new(f, &istio__load_balancing__descriptor);
    s->load_balancing->mode = mode;
    s->load_balancing->routing_preference = scopes;
    s->load_balancing->n_routing_preference = AGW_ARRAY_LEN(scopes);
    return s;
}

static void add_service(struct fixture *f, Istio__LoadBalancing__Mode mode)
{
    fx_add(f, AGW_RESOURCE_SERVICE, make_service(f, mode), NULL);
}

static Istio__Workload *workload(struct fixture *f, const char *uid, unsigned ip, const char *region,
                                 const char *zone)
{
    Istio__Workload *w = fx_workload(f, uid, "ns/s", ip);
    w->locality = fx_new(f, &istio__locality__descriptor);
    w->locality->region = fx_text(f, region);
    w->locality->zone = fx_text(f, zone);
    return w;
}

static void add_three(struct fixture *f)
{
    fx_add(f, AGW_RESOURCE_WORKLOAD, workload(f, "w1", 1, "us", "a"), NULL);
    fx_add(f, AGW_RESOURCE_WORKLOAD, workload(f, "w2", 2, "eu", "b"), NULL);
    fx_add(f, AGW_RESOURCE_WORKLOAD, workload(f, "w3", 3, "eu", "a"), NULL);
}

/* "3.0 2.1": last byte of the address and bucket, in order. */
static const char *order(struct fixture *f)
{
    static char text[64];
    const struct agw_match *m = fx_any_match(fx_out_listener(f, "b", "l"));
    const struct agw_backend *b = fx_backend(f, &m->route->backends[0]);
    size_t n = 0;
    text[0] = 0;
    for (uint32_t i = 0; i < b->endpoint_count; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%u.%u", i ? " " : "",
                              (unsigned)(ntohl(b->endpoints[i]->addr.u.in4.sin_addr.s_addr) & 255),
                              b->places ? b->places[i].bucket : 0);
    return text;
}

/* Another version of a workload. */
static void change(struct fixture *f, const Istio__Workload *w)
{
    struct agw_str id = agw_arena_printf(&f->arena, "workload/%s", w->uid);
    agw_resource_unref(agw_map_take(&f->set.by_id, id));
    fx_add(f, AGW_RESOURCE_WORKLOAD, w, NULL);
    fx_compile(f);
}

static const struct agw_self given = {
    .given = {.region = {"eu", 2}, .zone = {"a", 1}},
    .is_given = true,
};

static void test_failover(void **state)
{
    struct fixture f;
    begin(&f, &given);
    add_service(&f, ISTIO__LOAD_BALANCING__MODE__FAILOVER);
    add_three(&f);
    fx_compile(&f);
    assert_string_equal(order(&f), "3.0 2.1 1.2");
    fx_free(&f);
}

static void test_strict(void **state)
{
    struct fixture f;
    begin(&f, &given);
    add_service(&f, ISTIO__LOAD_BALANCING__MODE__STRICT);
    add_three(&f);
    fx_compile(&f);
    assert_string_equal(order(&f), "3.0");
    fx_free(&f);
}

static void test_other_modes_are_one_bucket(void **state)
{
    struct fixture f;
    begin(&f, &given);
    add_service(&f, ISTIO__LOAD_BALANCING__MODE__PASSTHROUGH);
    add_three(&f);
    fx_compile(&f);
    assert_string_equal(order(&f), "1.0 2.0 3.0");
    fx_free(&f);
}

/* The gateway's own workload may come late, move and go. */
static void test_by_the_own_workload(void **state)
{
    static const struct agw_self self = {.ns = {"sys", 3}, .name = {"gw-0", 4}};
    struct fixture f;
    begin(&f, &self);
    add_service(&f, ISTIO__LOAD_BALANCING__MODE__FAILOVER);
    add_three(&f);
    fx_compile(&f);
    assert_string_equal(order(&f), "1.0 2.0 3.0");
    Istio__Workload *own = workload(&f, "gw", 9, "eu", "a");
    own->services[0]->key = fx_text(&f, "ns/none");
    own->namespace_ = fx_text(&f, "sys");
    own->name = fx_text(&f, "gw-0");
    fx_add(&f, AGW_RESOURCE_WORKLOAD, own, NULL);
    fx_compile(&f);
    assert_string_equal(order(&f), "3.0 2.1 1.2");
    own->locality->zone = fx_text(&f, "b");
    change(&f, own);
    assert_string_equal(order(&f), "2.0 3.1 1.2");
    own->name = fx_text(&f, "gw-1"); /* somebody else */
    change(&f, own);
    assert_string_equal(order(&f), "1.0 2.0 3.0");
    fx_free(&f);
}

static void test_capacity_is_weight(void **state)
{
    struct fixture f;
    begin(&f, &given);
    add_service(&f, ISTIO__LOAD_BALANCING__MODE__PASSTHROUGH);
    Istio__Workload *w = workload(&f, "w1", 1, "us", "a");
    w->capacity = fx_new(&f, &google__protobuf__uint32_value__descriptor);
    w->capacity->value = 7;
    fx_add(&f, AGW_RESOURCE_WORKLOAD, w, NULL);
    fx_add(&f, AGW_RESOURCE_WORKLOAD, workload(&f, "w2", 2, "us", "a"), NULL);
    fx_compile(&f);
    const struct agw_match *m = fx_any_match(fx_out_listener(&f, "b", "l"));
    const struct agw_backend *b = fx_backend(&f, &m->route->backends[0]);
    assert_int_equal(b->endpoint_count, 2);
    assert_int_equal(b->places[0].weight, 7);
    assert_int_equal(b->places[1].weight, 1);
    fx_free(&f);
}

/* --- workloads behind HBONE --- */

static void no_grace(void) {}

static void add_hbone(struct fixture *f, const char *trust_domain, const char *account)
{
    char *names[] = {fx_text(f, "spiffe://td/extra"), fx_text(f, "not.an.id"),
                     fx_text(f, "spiffe://td/two ids")};
    Istio__Workload *w = workload(f, "w1", 1, "us", "a");
    w->tunnel_protocol = ISTIO__TUNNEL_PROTOCOL__HBONE;
    w->namespace_ = fx_text(f, "ns");
    w->trust_domain = fx_text(f, trust_domain);
    w->service_account = fx_text(f, account);
    fx_add(f, AGW_RESOURCE_WORKLOAD, w, NULL);
    Istio__Service *s = make_service(f, ISTIO__LOAD_BALANCING__MODE__UNSPECIFIED_MODE);
    s->subject_alt_names = agw_arena_copy(&f->arena, names, sizeof(names));
    s->n_subject_alt_names = AGW_ARRAY_LEN(names);
    fx_add(f, AGW_RESOURCE_SERVICE, s, NULL);
}

static const struct agw_endpoint *only_endpoint(struct fixture *f)
{
    fx_compile(f);
    const struct agw_match *m = fx_any_match(fx_out_listener(f, "b", "l"));
    const struct agw_backend *b = fx_backend(f, &m->route->backends[0]);
    assert_int_equal(b->endpoint_count, 1);
    return b->endpoints[0];
}

static void begin_in_mesh(struct fixture *f, struct agw_tls_own *own)
{
    const struct agw_compile_options o = {.own = own};
    begin(f, &(struct agw_self){0});
    agw_compiler_free(f->compiler);
    f->compiler = agw_compiler_new(&o);
}

static void test_hbone_goes_through_the_workloads_tunnel(void **state)
{
    const char *const cases[][3] = {{"td", "app", "spiffe://td/ns/ns/sa/app spiffe://td/extra"},
                                    {"", "", "spiffe://cluster.local/ns/ns/sa/default spiffe://td/extra"}};
    for (size_t i = 0; i < AGW_ARRAY_LEN(cases); i++) {
        struct agw_tls_own *own = agw_tls_own_new(AGW_STR(""), no_grace);
        struct fixture f;
        begin_in_mesh(&f, own);
        add_hbone(&f, cases[i][0], cases[i][1]);
        const struct agw_endpoint *e = only_endpoint(&f), *via = e->tunnel;
        assert_non_null(via);
        assert_int_equal(agw_addr_port(&e->addr), 8080);
        assert_int_equal(agw_addr_port(&via->addr), 15008);
        assert_int_equal(via->http, AGW_UPSTREAM_HTTP2);
        assert_ptr_equal(via->own, own);
        assert_true(agw_str_eq(via->peers, agw_str_c(cases[i][2])));
        assert_null(via->tunnel);
        fx_free(&f);
        agw_tls_own_free(own);
    }
}

static void test_hbone_without_a_certificate(void **state)
{
    struct fixture f;
    begin_in_mesh(&f, NULL);
    add_hbone(&f, "", "");
    assert_null(only_endpoint(&f)->tunnel);
    assert_non_null(fx_note(&f, "workload/w1", "HBONE is not used"));
    fx_free(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_failover),
        cmocka_unit_test(test_strict),
        cmocka_unit_test(test_other_modes_are_one_bucket),
        cmocka_unit_test(test_by_the_own_workload),
        cmocka_unit_test(test_capacity_is_weight),
        cmocka_unit_test(test_hbone_goes_through_the_workloads_tunnel),
        cmocka_unit_test(test_hbone_without_a_certificate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
