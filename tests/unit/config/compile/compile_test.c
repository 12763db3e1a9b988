#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "mcp/openapi/openapi.h"
#include "config/compile/compile_int.h"
#include "config/compile/fixture.h"
#include "failmalloc.h"

/* A policy whose configuration is its message, to see which one won. */
static enum agw_verdict seen(const void *conf, struct agw_policy_ctx *ctx)
{
    ctx->resp_body = agw_str_c(((const Pb__HeaderModifier *)conf)->set[0]->value);
    return AGW_CONTINUE;
}

static int set_a2a(const void *spec, struct agw_arena *arena, struct agw_transport *t, struct agw_error *err)
{
    t->a2a = true;
    return 0;
}

static int set_http(const void *spec, struct agw_arena *arena, struct agw_transport *t, struct agw_error *err)
{
    if (((const Pb__BackendPolicySpec__BackendHTTP *)spec)->version > 2)
        return agw_error_set(err, AGW_EINVAL, "version");
    t->http2 = true;
    return 0;
}

static int fail_compile(const void *spec, struct agw_arena *arena, const void **ret_conf,
                        struct agw_error *err)
{
    return agw_error_set(err, AGW_EINVAL, "host: bad");
}

static const struct agw_policy_ops headers = {.kind = AGW_POLICY_REQUEST_HEADERS, .request = seen};
static const struct agw_policy_ops backend_headers = {.kind = AGW_POLICY_BACKEND_REQUEST_HEADERS,
                                                      .request = seen};
static const struct agw_policy_ops a2a = {.kind = AGW_POLICY_A2A, .transport = set_a2a};
static const struct agw_policy_ops http = {.kind = AGW_POLICY_BACKEND_HTTP, .transport = set_http};
static const struct agw_policy_ops rewrite = {.kind = AGW_POLICY_URL_REWRITE, .compile = fail_compile};
static const struct agw_policy_ops timeouts = {.kind = AGW_POLICY_TIMEOUT};

/* What adds up: each that runs appends the first letter of its rule. */
static char rules_seen[32];
static enum agw_verdict add_rule(const void *conf, struct agw_policy_ctx *ctx)
{
    const Pb__BackendPolicySpec__McpAuthorization *in = conf;
    size_t n = strlen(rules_seen);
    rules_seen[n] = in->deny[0][0];
    rules_seen[n + 1] = 0;
    return AGW_CONTINUE;
}
#define RULES(n)                                                                                             \
    {                                                                                                        \
        .kind = AGW_POLICY_MCP_AUTHORIZATION_##n, .request = add_rule                                        \
    }
static const struct agw_policy_ops rules[] = {RULES(1), RULES(2), RULES(3), RULES(4),
                                              RULES(5), RULES(6), RULES(7), RULES(8)};
static const struct agw_policy_ops *const table[] = {
    &headers,  &backend_headers, &a2a,      &http,     &rewrite,  &timeouts, &rules[0],
    &rules[1], &rules[2],        &rules[3], &rules[4], &rules[5], &rules[6], &rules[7]};

static void begin(struct fixture *f)
{
    fx_init(f, table, sizeof(table) / sizeof(*table));
    fx_bind(f, "b", 80);
    fx_add(f, AGW_RESOURCE_LISTENER, fx_listener(f, "b", "l", ""), NULL);
}

static Pb__Route *route(struct fixture *f)
{
    return fx_route(f, "l", "r", NULL, 'p', "/");
}

static const struct agw_route *compiled(struct fixture *f, Pb__Route *r)
{
    fx_add(f, AGW_RESOURCE_ROUTE, r, NULL);
    fx_compile(f);
    return fx_any_match(fx_out_listener(f, "b", "l"))->route;
}

static Pb__Policy *policy(struct fixture *f, const char *key)
{
    Pb__Policy *p = fx_new(f, &pb__policy__descriptor);
    p->key = fx_text(f, key);
    p->target = fx_new(f, &pb__policy_target__descriptor);
    return p;
}

static Pb__Policy *header_policy(struct fixture *f, const char *key)
{
    Pb__Policy *p = policy(f, key);
    p->kind_case = PB__POLICY__KIND_TRAFFIC;
    p->traffic =
        fx_traffic(f, PB__TRAFFIC_POLICY_SPEC__KIND_REQUEST_HEADER_MODIFIER, fx_set_header(f, "x", key));
    return p;
}

static void target_gateway(struct fixture *f, Pb__Policy *p, const char *listener)
{
    p->target->kind_case = PB__POLICY_TARGET__KIND_GATEWAY;
    p->target->gateway = fx_new(f, &pb__policy_target__gateway_target__descriptor);
    p->target->gateway->name = fx_text(f, "gw");
    p->target->gateway->namespace_ = fx_text(f, "ns");
    if (listener) {
        p->target->gateway->_listener_case = PB__POLICY_TARGET__GATEWAY_TARGET___LISTENER_LISTENER;
        p->target->gateway->listener = fx_text(f, listener);
    }
}

static void target_route(struct fixture *f, Pb__Policy *p)
{
    p->target->kind_case = PB__POLICY_TARGET__KIND_ROUTE;
    p->target->route = fx_new(f, &pb__policy_target__route_target__descriptor);
    p->target->route->name = fx_text(f, "r");
    p->target->route->namespace_ = fx_text(f, "ns");
    p->target->route->kind = fx_text(f, "HTTPRoute");
}

static void target_service(struct fixture *f, Pb__Policy *p, unsigned port)
{
    p->target->kind_case = PB__POLICY_TARGET__KIND_SERVICE;
    p->target->service = fx_new(f, &pb__policy_target__service_target__descriptor);
    p->target->service->namespace_ = fx_text(f, "ns");
    p->target->service->hostname = fx_text(f, "s");
    if (port) {
        p->target->service->_port_case = PB__POLICY_TARGET__SERVICE_TARGET___PORT_PORT;
        p->target->service->port = port;
    }
}

static const char *winner(const struct agw_policy_set *set)
{
    struct agw_policy_ctx ctx = {0};
    assert_int_equal(agw_policy_request(set, &ctx), AGW_CONTINUE);
    return ctx.resp_body.p ? ctx.resp_body.p : "none";
}

static void test_policies_by_level(void **state)
{
    /* Each step adds a more specific level; the last one is the inline policy. */
    static const char *const want[] = {"gateway", "listener", "route", "inline"};
    for (unsigned step = 0; step < 4; step++) {
        struct fixture f;
        begin(&f);
        Pb__Policy *p = header_policy(&f, "gateway");
        target_gateway(&f, p, NULL);
        fx_add(&f, AGW_RESOURCE_POLICY, p, NULL);
        p = header_policy(&f, "listener");
        target_gateway(&f, p, "l");
        if (step >= 1)
            fx_add(&f, AGW_RESOURCE_POLICY, p, NULL);
        p = header_policy(&f, "route");
        target_route(&f, p);
        if (step >= 2)
            fx_add(&f, AGW_RESOURCE_POLICY, p, NULL);
        Pb__Route *r = route(&f);
        if (step >= 3)
            fx_route_policy(&f, r,
                            fx_traffic(&f, PB__TRAFFIC_POLICY_SPEC__KIND_REQUEST_HEADER_MODIFIER,
                                       fx_set_header(&f, "x", "inline")));
        assert_string_equal(winner(&compiled(&f, r)->policies), want[step]);
        fx_free(&f);
    }
}

static void test_override_locks(void **state)
{
    struct fixture f;
    begin(&f);
    Pb__Policy *p = header_policy(&f, "gateway");
    target_gateway(&f, p, NULL);
    p->inheritance = PB__POLICY__INHERITANCE__OVERRIDE;
    fx_add(&f, AGW_RESOURCE_POLICY, p, NULL);
    p = header_policy(&f, "route");
    target_route(&f, p);
    fx_add(&f, AGW_RESOURCE_POLICY, p, NULL);
    assert_string_equal(winner(&compiled(&f, route(&f))->policies), "gateway");
    fx_free(&f);
}

static void test_unsupported_policies(void **state)
{
    struct fixture f;
    begin(&f);
    fx_add(&f, AGW_RESOURCE_BACKEND, fx_static(&f, "ns", "b", "127.0.0.1", 80), NULL);
    Pb__Route *r = route(&f);
    fx_ref(&f, r, "ns/b", 1);
    fx_route_policy(&f, r,
                    fx_traffic(&f, PB__TRAFFIC_POLICY_SPEC__KIND_RETRY, fx_new(&f, &pb__retry__descriptor)));
    const struct agw_route *out = compiled(&f, r);
    assert_non_null(fx_note(&f, "route/r", "retry"));
    assert_int_equal(f.notes.errors, 0);
    assert_int_equal(fx_backend(&f, &out->backends[0])->kind, AGW_BACKEND_STATIC);
    fx_free(&f);
}

static void test_a_missing_guard_refuses(void **state)
{
    struct fixture f;
    begin(&f);
    fx_add(&f, AGW_RESOURCE_BACKEND, fx_static(&f, "ns", "b", "127.0.0.1", 80), NULL);
    Pb__Policy *p = policy(&f, "needs-jwt");
    p->kind_case = PB__POLICY__KIND_TRAFFIC;
    p->traffic = fx_traffic(&f, PB__TRAFFIC_POLICY_SPEC__KIND_JWT,
                            fx_new(&f, &pb__traffic_policy_spec__jwt__descriptor));
    target_gateway(&f, p, NULL);
    fx_add(&f, AGW_RESOURCE_POLICY, p, NULL);
    Pb__Route *r = route(&f);
    fx_ref(&f, r, "ns/b", 1);
    fx_route_policy(&f, r,
                    fx_traffic(&f, PB__TRAFFIC_POLICY_SPEC__KIND_REQUEST_HEADER_MODIFIER,
                               fx_set_header(&f, "x", "inline")));
    const struct agw_route *out = compiled(&f, r);
    assert_non_null(fx_note(&f, "policy/needs-jwt", "jwt"));
    assert_int_equal(out->policies.count, 0);
    assert_int_equal(fx_backend(&f, &out->backends[0])->kind, AGW_BACKEND_INVALID);
    assert_non_null(strstr(fx_backend(&f, &out->backends[0])->reason, "needs-jwt"));
    fx_free(&f);
}

static void test_a_bad_policy_is_an_error(void **state)
{
    struct fixture f;
    begin(&f);
    Pb__Route *r = route(&f);
    fx_route_policy(
        &f, r,
        fx_traffic(&f, PB__TRAFFIC_POLICY_SPEC__KIND_URL_REWRITE, fx_new(&f, &pb__url_rewrite__descriptor)));
    fx_route_policy(&f, r, fx_traffic(&f, PB__TRAFFIC_POLICY_SPEC__KIND__NOT_SET, NULL));
    const struct agw_route *out = compiled(&f, r);
    assert_non_null(fx_note(&f, "route/r", "urlRewrite: host: bad"));
    assert_non_null(fx_note(&f, "route/r", "unknown to this version")); /* it stays, and refuses requests */
    assert_int_equal(f.notes.errors, 1);
    assert_int_equal(f.notes.warnings, 1);
    assert_int_equal(fx_backend(&f, &out->backends[0])->kind, AGW_BACKEND_INVALID);
    fx_free(&f);
}

static void test_references_that_do_not_resolve(void **state)
{
    struct fixture f;
    begin(&f);
    Pb__Route *r = route(&f);
    fx_ref(&f, r, "ns/gone", 1);
    fx_ref_service(&f, r, "ns", "gone.svc", 80, 1);
    fx_ref(&f, r, "", 1);
    const struct agw_route *out = compiled(&f, r);
    assert_int_equal(out->backend_count, 3);
    assert_int_equal(out->weight_total, 3);
    assert_string_equal(fx_backend(&f, &out->backends[0])->reason, "backend ns/gone does not exist");
    assert_string_equal(fx_backend(&f, &out->backends[1])->reason, "service ns/gone.svc does not exist");
    for (int i = 0; i < 3; i++)
        assert_int_equal(fx_backend(&f, &out->backends[i])->kind, AGW_BACKEND_INVALID);
    assert_int_equal(f.notes.errors, 0);
    fx_free(&f);
}

static void test_service_endpoints(void **state)
{
    struct fixture f;
    char text[AGW_ADDR_TEXT];
    begin(&f);
    fx_service(&f, "ns", "s", 80, 8080);
    fx_add(&f, AGW_RESOURCE_WORKLOAD, fx_workload(&f, "w1", "ns/s", 1), NULL);
    Istio__Workload *w = fx_workload(&f, "w2", "ns/s", 2);
    w->status = ISTIO__WORKLOAD_STATUS__UNHEALTHY;
    fx_add(&f, AGW_RESOURCE_WORKLOAD, w, NULL);
    w = fx_workload(&f, "w3", "ns/s", 3);
    Istio__Port *own = fx_new(&f, &istio__port__descriptor);
    own->service_port = 80;
    own->target_port = 9090;
    w->services[0]->value->ports = &own;
    w->services[0]->value->n_ports = 1;
    fx_add(&f, AGW_RESOURCE_WORKLOAD, w, NULL);
    w = fx_workload(&f, "w4", "ns/s", 4);
    w->capacity = fx_new(&f, &google__protobuf__uint32_value__descriptor);
    fx_add(&f, AGW_RESOURCE_WORKLOAD, w, NULL); /* capacity 0: drained */
    fx_add(&f, AGW_RESOURCE_WORKLOAD, fx_workload(&f, "w5", "ns/other", 5), NULL);
    Pb__Route *r = route(&f);
    fx_ref_service(&f, r, "ns", "s", 80, 1);
    fx_ref_service(&f, r, "ns", "s", 81, 1); /* no such port */
    const struct agw_route *out = compiled(&f, r);
    const struct agw_backend *b = fx_backend(&f, &out->backends[0]);
    assert_int_equal(b->kind, AGW_BACKEND_SERVICE);
    assert_int_equal(b->endpoint_count, 2);
    agw_addr_format(&b->endpoints[0]->addr, text);
    assert_string_equal(text, "127.0.0.1:8080");
    agw_addr_format(&b->endpoints[1]->addr, text);
    assert_string_equal(text, "127.0.0.3:9090");
    assert_int_equal(fx_backend(&f, &out->backends[1])->kind, AGW_BACKEND_SERVICE);
    assert_int_equal(fx_backend(&f, &out->backends[1])->endpoint_count, 0);
    fx_free(&f);
}

/* Policies aimed at a port, at a service and inside a reference decide about the connection. */
static void test_transport_policies(void **state)
{
    struct fixture f;
    begin(&f);
    fx_service(&f, "ns", "s", 80, 8080);
    fx_add(&f, AGW_RESOURCE_WORKLOAD, fx_workload(&f, "w1", "ns/s", 1), NULL);
    Pb__Policy *p = policy(&f, "agent");
    p->kind_case = PB__POLICY__KIND_BACKEND;
    p->backend = fx_backend_policy(&f, PB__BACKEND_POLICY_SPEC__KIND_A2A,
                                   fx_new(&f, &pb__backend_policy_spec__a2a__descriptor));
    target_service(&f, p, 80);
    fx_add(&f, AGW_RESOURCE_POLICY, p, NULL);
    Pb__Route *r = route(&f);
    fx_ref_service(&f, r, "ns", "s", 80, 1);
    Pb__RouteBackend *special = fx_ref_service(&f, r, "ns", "s", 80, 1);
    Pb__BackendPolicySpec *own[] = {
        fx_backend_policy(&f, PB__BACKEND_POLICY_SPEC__KIND_BACKEND_HTTP,
                          fx_new(&f, &pb__backend_policy_spec__backend_http__descriptor)),
        fx_backend_policy(&f, PB__BACKEND_POLICY_SPEC__KIND_REQUEST_HEADER_MODIFIER,
                          fx_set_header(&f, "x", "ref"))};
    special->backend_policies = own;
    special->n_backend_policies = 2;
    fx_ref_service(&f, r, "ns", "s", 80, 1);
    const struct agw_route *out = compiled(&f, r);
    const struct agw_backend *plain = fx_backend(&f, &out->backends[0]),
                             *h2 = fx_backend(&f, &out->backends[1]);
    assert_true(plain->is_a2a);
    assert_true(h2->is_a2a);
    assert_ptr_not_equal(plain, h2);
    assert_ptr_equal(plain, fx_backend(&f, &out->backends[2]));
    assert_int_equal(plain->endpoints[0]->http, AGW_UPSTREAM_HTTP1);
    assert_int_equal(h2->endpoints[0]->http, AGW_UPSTREAM_HTTP2);
    assert_string_equal(winner(&out->backends[1].policies), "ref");
    assert_string_equal(winner(&h2->policies), "none");
    fx_free(&f);
}

/* The reference's header modifier replaces the backend's, never both. */
static void test_reference_replaces_backend_policy(void **state)
{
    struct fixture f;
    begin(&f);
    Pb__Backend *b = fx_static(&f, "ns", "b", "example.com", 8080);
    Pb__BackendPolicySpec *inlined = fx_backend_policy(
        &f, PB__BACKEND_POLICY_SPEC__KIND_REQUEST_HEADER_MODIFIER, fx_set_header(&f, "x", "backend"));
    b->inline_policies = &inlined;
    b->n_inline_policies = 1;
    fx_add(&f, AGW_RESOURCE_BACKEND, b, NULL);
    Pb__Route *r = route(&f);
    fx_ref(&f, r, "ns/b", 1);
    Pb__RouteBackend *special = fx_ref(&f, r, "ns/b", 1);
    Pb__BackendPolicySpec *own = fx_backend_policy(&f, PB__BACKEND_POLICY_SPEC__KIND_REQUEST_HEADER_MODIFIER,
                                                   fx_set_header(&f, "x", "ref"));
    special->backend_policies = &own;
    special->n_backend_policies = 1;
    const struct agw_route *out = compiled(&f, r);
    assert_string_equal(winner(&out->backends[0].policies), "none");
    assert_string_equal(winner(&fx_backend(&f, &out->backends[0])->policies), "backend");
    assert_string_equal(winner(&out->backends[1].policies), "ref");
    assert_string_equal(winner(&fx_backend(&f, &out->backends[1])->policies), "none");
    assert_true(agw_str_eq(fx_backend(&f, &out->backends[0])->auto_host, AGW_STR("example.com:8080")));
    assert_int_equal(fx_backend(&f, &out->backends[0])->endpoints[0]->addr.n, 0);
    fx_free(&f);
}

static Pb__MCPTarget *mcp_target(struct fixture *f, const char *name, const char *backend)
{
    Pb__MCPTarget *t = fx_new(f, &pb__mcptarget__descriptor);
    t->name = fx_text(f, name);
    t->backend = fx_new(f, &pb__backend_reference__descriptor);
    t->backend->kind_case = PB__BACKEND_REFERENCE__KIND_BACKEND;
    t->backend->backend = fx_text(f, backend);
    return t;
}

static Pb__Backend *mcp_backend(struct fixture *f, Pb__MCPTarget **targets, size_t count)
{
    Pb__Backend *b = fx_static(f, "ns", "mcp", "", 0);
    b->kind_case = PB__BACKEND__KIND_MCP;
    b->mcp = fx_new(f, &pb__mcpbackend__descriptor);
    b->mcp->targets = targets;
    b->mcp->n_targets = count;
    return b;
}

static void test_mcp(void **state)
{
    struct fixture f;
    begin(&f);
    Pb__MCPTarget *targets[] = {mcp_target(&f, "one", "ns/b"), mcp_target(&f, "two", "ns/gone")};
    targets[1]->protocol = PB__MCPTARGET__PROTOCOL__SSE;
    Pb__Backend *b = mcp_backend(&f, targets, 2);
    b->mcp->prefix_mode = PB__MCPBACKEND__PREFIX_MODE__ALWAYS;
    fx_add(&f, AGW_RESOURCE_BACKEND, b, NULL);
    fx_add(&f, AGW_RESOURCE_BACKEND, fx_static(&f, "ns", "b", "127.0.0.1", 3001), NULL);
    Pb__Route *r = route(&f);
    fx_ref(&f, r, "ns/mcp", 1);
    const struct agw_backend *out = fx_backend(&f, &compiled(&f, r)->backends[0]);
    assert_int_equal(out->kind, AGW_BACKEND_MCP);
    assert_int_equal(out->mcp->count, 2);
    assert_int_equal(out->mcp->prefix, AGW_MCP_PREFIX_ALWAYS);
    assert_true(agw_str_eq(out->mcp->targets[0].path, AGW_STR("/mcp")));
    assert_int_equal(out->mcp->targets[0].backend->endpoint_count, 1);
    assert_int_equal(out->mcp->targets[1].protocol, AGW_MCP_SSE);
    assert_true(agw_str_eq(out->mcp->targets[1].path, AGW_STR("/sse")));
    assert_int_equal(out->mcp->targets[1].backend->kind, AGW_BACKEND_INVALID);
    fx_free(&f);
}

static Pb__BackendPolicySpec *rule(struct fixture *f, const char *text)
{
    Pb__BackendPolicySpec__McpAuthorization *m =
        fx_new(f, &pb__backend_policy_spec__mcp_authorization__descriptor);
    m->deny = fx_new(f, &pb__backend_policy_spec__mcp_authorization__descriptor); /* room enough */
    m->deny[0] = fx_text(f, text);
    m->n_deny = 1;
    return fx_backend_policy(f, PB__BACKEND_POLICY_SPEC__KIND_MCP_AUTHORIZATION, m);
}

/* |count| policies of the backend, two of the reference and one aimed at the backend. */
static const struct agw_backend *with_rules(struct fixture *f, size_t count)
{
    static Pb__BackendPolicySpec *inline_specs[AGW_ACCESS_POLICIES_MAX + 1], *own[2];
    begin(f);
    Pb__Backend *b = fx_static(f, "ns", "b", "127.0.0.1", 1);
    for (size_t i = 0; i < count; i++)
        inline_specs[i] = rule(f, "i");
    b->inline_policies = inline_specs;
    b->n_inline_policies = count;
    fx_add(f, AGW_RESOURCE_BACKEND, b, NULL);
    Pb__Policy *p = policy(f, "p");
    p->target->kind_case = PB__POLICY_TARGET__KIND_BACKEND;
    p->target->backend = fx_new(f, &pb__policy_target__backend_target__descriptor);
    p->target->backend->namespace_ = fx_text(f, "ns");
    p->target->backend->name = fx_text(f, "b");
    p->kind_case = PB__POLICY__KIND_BACKEND;
    p->backend = rule(f, "t");
    fx_add(f, AGW_RESOURCE_POLICY, p, NULL);
    Pb__Route *r = route(f);
    Pb__RouteBackend *ref = fx_ref(f, r, "ns/b", 1);
    own[0] = rule(f, "o");
    own[1] = rule(f, "O");
    ref->backend_policies = own;
    ref->n_backend_policies = 2;
    const struct agw_route *out = compiled(f, r);
    struct agw_policy_ctx ctx = {0};
    rules_seen[0] = 0;
    agw_policy_request(&out->backends[0].policies, &ctx);
    const struct agw_backend *made = fx_backend(f, &out->backends[0]);
    agw_policy_request(&made->policies, &ctx);
    return made;
}

static void test_rules_add_up(void **state)
{
    struct fixture f;
    assert_int_equal(with_rules(&f, 2)->kind, AGW_BACKEND_STATIC);
    assert_string_equal(rules_seen, "oOiit");
    fx_free(&f);
    with_rules(&f, AGW_ACCESS_POLICIES_MAX - 3);
    assert_string_equal(rules_seen, "oOiiiiit");
    fx_free(&f);
    /* one that has no place must not be left out */
    const struct agw_backend *b = with_rules(&f, AGW_ACCESS_POLICIES_MAX - 2);
    assert_int_equal(b->kind, AGW_BACKEND_INVALID);
    assert_non_null(strstr(b->reason, "mcpAuthorization"));
    fx_free(&f);
}

static void test_mcp_pages_that_may_ask(void **state)
{
    struct fixture f;
    begin(&f);
    char good[] = "https://A.example", bad[] = "a.example", *origins[] = {good, bad};
    Pb__MCPTarget *targets[] = {mcp_target(&f, "one", "ns/gone")};
    Pb__Backend *b = mcp_backend(&f, targets, 1);
    b->mcp->allowed_origins = origins;
    b->mcp->n_allowed_origins = 1;
    fx_add(&f, AGW_RESOURCE_BACKEND, b, NULL);
    Pb__Route *r = route(&f);
    fx_ref(&f, r, "ns/mcp", 1);
    const struct agw_backend *out = fx_backend(&f, &compiled(&f, r)->backends[0]);
    assert_int_equal(out->mcp->origin_count, 1);
    assert_true(agw_origin_matches(&out->mcp->origins[0], AGW_STR("https://a.example")));
    fx_free(&f);

    begin(&f);
    targets[0] = mcp_target(&f, "one", "ns/gone");
    b = mcp_backend(&f, targets, 1);
    b->mcp->allowed_origins = origins;
    b->mcp->n_allowed_origins = 2;
    fx_add(&f, AGW_RESOURCE_BACKEND, b, NULL);
    r = route(&f);
    fx_ref(&f, r, "ns/mcp", 1);
    out = fx_backend(&f, &compiled(&f, r)->backends[0]);
    assert_int_equal(out->kind, AGW_BACKEND_INVALID);
    assert_int_equal(f.notes.errors, 1);
    fx_free(&f);
}

static void test_mcp_of_mcp_is_refused(void **state)
{
    struct fixture f;
    begin(&f);
    Pb__MCPTarget *targets[] = {mcp_target(&f, "self", "ns/mcp")};
    fx_add(&f, AGW_RESOURCE_BACKEND, mcp_backend(&f, targets, 1), NULL);
    Pb__Route *r = route(&f);
    fx_ref(&f, r, "ns/mcp", 1);
    assert_int_equal(fx_backend(&f, &compiled(&f, r)->backends[0])->kind, AGW_BACKEND_INVALID);
    assert_int_equal(f.notes.errors, 1);
    fx_free(&f);
}

static void test_too_many_mcp_targets_are_refused(void **state)
{
    static const struct {
        size_t count;
        enum agw_backend_kind kind;
        unsigned errors;
    } cases[] = {{AGW_MCP_TARGETS_MAX, AGW_BACKEND_MCP, 0},
                 {AGW_MCP_TARGETS_MAX + 1, AGW_BACKEND_INVALID, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fixture f;
        Pb__MCPTarget *targets[AGW_MCP_TARGETS_MAX + 1];
        begin(&f);
        for (size_t k = 0; k < cases[i].count; k++)
            targets[k] = mcp_target(&f, "t", "ns/b");
        fx_add(&f, AGW_RESOURCE_BACKEND, mcp_backend(&f, targets, cases[i].count), NULL);
        Pb__Route *r = route(&f);
        fx_ref(&f, r, "ns/mcp", 1);
        assert_int_equal(fx_backend(&f, &compiled(&f, r)->backends[0])->kind, cases[i].kind);
        assert_int_equal(f.notes.errors, cases[i].errors);
        fx_free(&f);
    }
}

static Pb__MCPTarget *process(struct fixture *f)
{
    static char *args[2], *env[1];
    args[0] = fx_text(f, "-x");
    args[1] = fx_text(f, "a b");
    env[0] = fx_text(f, "A=b");
    Pb__MCPTarget *t = fx_new(f, &pb__mcptarget__descriptor);
    t->name = fx_text(f, "p");
    t->stdio = fx_new(f, &pb__mcptarget__stdio__descriptor);
    t->stdio->cmd = fx_text(f, "server");
    t->stdio->args = args;
    t->stdio->n_args = 2;
    t->stdio->env = env;
    t->stdio->n_env = 1;
    return t;
}

static const struct agw_backend *with_process(struct fixture *f, bool local)
{
    begin(f);
    f->compiler->local = local;
    Pb__MCPTarget *targets[] = {process(f), mcp_target(f, "one", "ns/b")};
    fx_add(f, AGW_RESOURCE_BACKEND, mcp_backend(f, targets, 2), NULL);
    fx_add(f, AGW_RESOURCE_BACKEND, fx_static(f, "ns", "b", "127.0.0.1", 3001), NULL);
    Pb__Route *r = route(f);
    fx_ref(f, r, "ns/mcp", 1);
    return fx_backend(f, &compiled(f, r)->backends[0]);
}

static void test_processes_come_from_files_alone(void **state)
{
    struct fixture f;
    const struct agw_backend *out = with_process(&f, false);
    assert_int_equal(out->kind, AGW_BACKEND_INVALID);
    assert_int_equal(f.notes.errors, 1);
    assert_non_null(strstr(f.notes.first->text.p, "stdio starts a process"));
    fx_free(&f);
    out = with_process(&f, true);
    assert_int_equal(f.notes.errors, 0);
    const struct agw_mcp_target *target = &out->mcp->targets[0];
    assert_int_equal(target->protocol, AGW_MCP_STDIO);
    assert_null(target->backend);
    assert_string_equal(target->stdio->argv[0], "server");
    assert_string_equal(target->stdio->argv[2], "a b");
    assert_null(target->stdio->argv[3]);
    assert_string_equal(target->stdio->env[0], "A=b");
    assert_null(target->stdio->env[1]);
    assert_int_equal(out->mcp->targets[1].protocol, AGW_MCP_STREAMABLE_HTTP);
    fx_free(&f);
}

static const struct agw_backend *with_api(struct fixture *f, const char *document, uint32_t count)
{
    begin(f);
    Pb__MCPTarget *targets[] = {mcp_target(f, "api", "ns/b"), mcp_target(f, "one", "ns/b")};
    targets[0]->openapi = fx_new(f, &pb__mcptarget__open_api__descriptor);
    targets[0]->openapi->document = fx_text(f, document);
    fx_add(f, AGW_RESOURCE_BACKEND, mcp_backend(f, targets, count), NULL);
    fx_add(f, AGW_RESOURCE_BACKEND, fx_static(f, "ns", "b", "127.0.0.1", 3001), NULL);
    Pb__Route *r = route(f);
    fx_ref(f, r, "ns/mcp", 1);
    return fx_backend(f, &compiled(f, r)->backends[0]);
}

static void test_documents_of_apis(void **state)
{
    struct fixture f;
    const struct agw_backend *out =
        with_api(&f, "openapi: 3.0.0\npaths: {/a: {get: {}, put: {requestBody: {content: {}}}}}", 2);
    assert_int_equal(out->mcp->targets[0].protocol, AGW_MCP_OPENAPI);
    assert_int_equal(out->mcp->targets[0].openapi->count, 1);
    assert_non_null(out->mcp->targets[0].backend);
    assert_int_equal(f.notes.errors, 0);
    assert_non_null(strstr(f.notes.first->text.p,
                           "target api: openapi.document: 1 operations are left out, the first: "
                           "#/paths/~1a/put/requestBody: content:"));
    fx_free(&f);
    for (uint32_t count = 1; count <= 2; count++) {
        out = with_api(&f, "openapi: 3.0.0\npaths: {a: {}}", count);
        assert_int_equal(f.notes.errors, 1);
        assert_non_null(
            strstr(f.notes.first->text.p, "target api: openapi.document: #/paths/a: must begin with /"));
        assert_int_equal(out->kind, count == 1 ? AGW_BACKEND_INVALID : AGW_BACKEND_MCP);
        if (count == 2)
            assert_int_equal(out->mcp->targets[0].openapi->count, 0);
        fx_free(&f);
    }
}

static void test_listeners(void **state)
{
    static const struct {
        int protocol;
        bool tls;
        const char *note;
        bool error;
    } cases[] = {
        {PB__PROTOCOL__HTTP, true, "cannot have tls", true},
        {PB__PROTOCOL__HTTPS, false, "needs tls", true},
        {PB__PROTOCOL__TCP, true, "cannot have tls", true},
        {PB__PROTOCOL__UNKNOWN, false, "unknown protocol", true},
        {99, false, "unknown protocol", true},
        {PB__PROTOCOL__HBONE, false, "does not fit", false},
        {PB__PROTOCOL__TCP, false, "does not fit", false},
        {PB__PROTOCOL__TLS, false, "does not fit", false},
        {PB__PROTOCOL__HTTPS, true, "does not fit", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct fixture f;
        begin(&f);
        Pb__Listener *l = fx_listener(&f, "b", "odd", "x.com");
        l->protocol = cases[i].protocol;
        l->tls = cases[i].tls ? fx_new(&f, &pb__tlsconfig__descriptor) : NULL;
        fx_add(&f, AGW_RESOURCE_LISTENER, l, NULL);
        fx_compile(&f);
        assert_non_null(fx_note(&f, "listener/odd", cases[i].note));
        assert_int_equal(f.notes.errors, cases[i].error);
        assert_null(fx_out_listener(&f, "b", "odd"));
        assert_non_null(fx_out_listener(&f, "b", "l"));
        fx_free(&f);
    }
}

static void test_bad_certificate_refuses_handshakes(void **state)
{
    struct fixture f;
    fx_init(&f, NULL, 0);
    Pb__Bind *b = fx_new(&f, &pb__bind__descriptor);
    b->key = fx_text(&f, "tls");
    b->port = 443;
    b->protocol = PB__BIND__PROTOCOL__TLS;
    fx_add(&f, AGW_RESOURCE_BIND, b, NULL);
    Pb__Listener *l = fx_listener(&f, "tls", "l", "x.com");
    l->protocol = PB__PROTOCOL__HTTPS;
    l->tls = fx_new(&f, &pb__tlsconfig__descriptor);
    l->tls->cert = (ProtobufCBinaryData){4, (uint8_t *)fx_text(&f, "junk")};
    fx_add(&f, AGW_RESOURCE_LISTENER, l, NULL);
    fx_compile(&f);
    assert_non_null(fx_out_listener(&f, "tls", "l"));
    assert_null(fx_out_listener(&f, "tls", "l")->tls_server);
    assert_true(fx_out_listener(&f, "tls", "l")->tls);
    assert_non_null(fx_note(&f, "listener/l", "handshakes are refused"));
    assert_int_equal(f.notes.errors, 0);
    fx_free(&f);
}

static void test_addresses(void **state)
{
    struct fixture f;
    struct agw_addr addr;
    char text[AGW_ADDR_TEXT];
    struct agw_side side = {.addrs = &addr, .addr_count = 1};
    fx_init(&f, NULL, 0);
    fx_bind(&f, "all", 81);
    memset(&addr, 0, sizeof(addr));
    assert_int_equal(agw_addr_ip(AGW_STR("127.0.0.9"), 0, &addr), 0);
    const char *keys[] = {"one", "two"};
    for (int i = 0; i < 2; i++) {
        Pb__Bind *b = fx_new(&f, &pb__bind__descriptor);
        b->key = fx_text(&f, keys[i]);
        b->port = 80;
        fx_add(&f, AGW_RESOURCE_BIND, b, &side);
    }
    fx_compile(&f);
    const struct agw_bind *all = agw_snapshot_bind(f.snap, AGW_STR("all"));
    const struct agw_bind *one = agw_snapshot_bind(f.snap, AGW_STR("one"));
    const struct agw_bind *two = agw_snapshot_bind(f.snap, AGW_STR("two"));
    agw_addr_format(&all->addrs[0], text);
    assert_string_equal(text, "[::]:81");
    assert_int_equal(one->addr_count, 1);
    agw_addr_format(&one->addrs[0], text);
    assert_string_equal(text, "127.0.0.9:80");
    assert_int_equal(two->addr_count, 0);
    assert_non_null(fx_note(&f, "bind/two", "127.0.0.9:80 is taken by bind one"));
    fx_free(&f);
}

static void add_routes(struct fixture *f, unsigned count)
{
    char key[32], path[32], host[32];
    fx_service(f, "ns", "s", 80, 8080);
    fx_add(f, AGW_RESOURCE_WORKLOAD, fx_workload(f, "w", "ns/s", 1), NULL);
    for (unsigned i = 0; i < count; i++) {
        snprintf(key, sizeof(key), "ns/r%u", i);
        snprintf(path, sizeof(path), "/path/%u", i);
        snprintf(host, sizeof(host), "h%u.example.com", i % 50);
        Pb__Route *r = fx_route(f, "l", key, i % 4 ? host : NULL, 'p', path);
        fx_ref_service(f, r, "ns", "s", 80, 1);
        fx_route_policy(
            f, r,
            fx_traffic(f, PB__TRAFFIC_POLICY_SPEC__KIND_REQUEST_HEADER_MODIFIER, fx_set_header(f, "x", key)));
        fx_add(f, AGW_RESOURCE_ROUTE, r, NULL);
    }
}

static void test_thousand_routes_are_quick(void **state)
{
    struct fixture f;
    begin(&f);
    add_routes(&f, 1000);
    uint64_t from = agw_clock_ns();
    fx_compile(&f);
    uint64_t took = (agw_clock_ns() - from) / AGW_NS_PER_MS;
    print_message("1000 routes: %u ms\n", (unsigned)took);
    assert_int_equal(f.snap->route_count, 1000);
    assert_in_range(took, 0, 1000); /* 50 ms is the aim; sanitizers and busy machines are slower */
    fx_free(&f);
}

static void test_out_of_memory(void **state)
{
    struct fixture f;
    begin(&f);
    add_routes(&f, 20);
    fx_add(&f, AGW_RESOURCE_BACKEND, fx_static(&f, "ns", "b", "example.com", 80), NULL);
    fx_compile(&f);
    for (long at = 1;; at++) {
        struct agw_snapshot *snap = NULL;
        failmalloc_at(at);
        int code = agw_compiler_run(f.compiler, f.store, 0, &snap, &f.notes);
        bool reached = failmalloc_count() >= at;
        failmalloc_at(0);
        assert_true(code == 0 || code == AGW_ENOMEM);
        assert_int_equal(code == 0, snap != NULL);
        agw_snapshot_free(snap);
        if (!reached)
            break;
    }
    fx_free(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_policies_by_level),
        cmocka_unit_test(test_override_locks),
        cmocka_unit_test(test_unsupported_policies),
        cmocka_unit_test(test_a_missing_guard_refuses),
        cmocka_unit_test(test_a_bad_policy_is_an_error),
        cmocka_unit_test(test_references_that_do_not_resolve),
        cmocka_unit_test(test_service_endpoints),
        cmocka_unit_test(test_transport_policies),
        cmocka_unit_test(test_reference_replaces_backend_policy),
        cmocka_unit_test(test_mcp),
        cmocka_unit_test(test_mcp_pages_that_may_ask),
        cmocka_unit_test(test_rules_add_up),
        cmocka_unit_test(test_mcp_of_mcp_is_refused),
        cmocka_unit_test(test_too_many_mcp_targets_are_refused),
        cmocka_unit_test(test_documents_of_apis),
        cmocka_unit_test(test_processes_come_from_files_alone),
        cmocka_unit_test(test_listeners),
        cmocka_unit_test(test_bad_certificate_refuses_handshakes),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_thousand_routes_are_quick),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
