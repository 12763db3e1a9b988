/* Backends that policies refer to. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <cmocka.h>

#include "config/compile/compile_int.h"
#include "config/compile/fixture.h"
#include "failmalloc.h"

struct conf {
    uint32_t backends[2], count;
};

static int compile(const void *spec, struct agw_arena *arena, const void **ret_conf, struct agw_error *err)
{
    struct conf *c = agw_arena_zalloc(arena, sizeof(*c));
    *ret_conf = c;
    return c ? 0 : AGW_ENOMEM;
}

static const void *reference(const void *spec, uint32_t i)
{
    const Pb__TrafficPolicySpec__JWT *in = spec;
    return i < in->n_providers ? in->providers[i]->remote->backend : NULL;
}

static void resolved(const void *conf, uint32_t i, uint32_t backend)
{
    struct conf *c = (struct conf *)conf;
    c->backends[i] = backend;
    c->count = i + 1;
}

static enum agw_verdict request(const void *conf, struct agw_policy_ctx *ctx)
{
    return AGW_CONTINUE;
}

static const struct agw_policy_ops ops = {.kind = AGW_POLICY_JWT,
                                          .own_conf = true,
                                          .compile = compile,
                                          .reference = reference,
                                          .resolved = resolved,
                                          .request = request};
static const struct agw_policy_ops *const table[] = {&ops};

static void provider(struct fixture *f, Pb__TrafficPolicySpec__JWT *jwt, const char *backend)
{
    Pb__TrafficPolicySpec__JWTProvider *p = fx_new(f, &pb__traffic_policy_spec__jwtprovider__descriptor);
    p->jwks_source_case = PB__TRAFFIC_POLICY_SPEC__JWTPROVIDER__JWKS_SOURCE_REMOTE;
    p->remote = fx_new(f, &pb__remote_keys__descriptor);
    p->remote->backend = fx_new(f, &pb__backend_reference__descriptor);
    p->remote->backend->kind_case = PB__BACKEND_REFERENCE__KIND_BACKEND;
    p->remote->backend->backend = fx_text(f, backend);
    jwt->providers[jwt->n_providers++] = p;
}

/* A route whose policy refers to a backend that is there and to one that is not, or one without policy. */
static void fill(struct fixture *f, bool guarded)
{
    fx_bind(f, "b", 80);
    fx_add(f, AGW_RESOURCE_LISTENER, fx_listener(f, "b", "l", ""), NULL);
    fx_add(f, AGW_RESOURCE_BACKEND, fx_static(f, "ns", "plain", "10.0.0.1", 80), NULL);
    fx_add(f, AGW_RESOURCE_BACKEND, fx_static(f, "ns", "keys", "10.0.0.2", 443), NULL);
    Pb__Route *r = fx_route(f, "l", "r", NULL, 'p', "/");
    fx_ref(f, r, "ns/plain", 1);
    if (guarded) {
        Pb__TrafficPolicySpec__JWT *jwt = fx_new(f, &pb__traffic_policy_spec__jwt__descriptor);
        jwt->providers = agw_arena_alloc(&f->arena, 2 * sizeof(*jwt->providers));
        assert_non_null(jwt->providers);
        provider(f, jwt, "ns/keys");
        provider(f, jwt, "ns/none");
        fx_route_policy(f, r, fx_traffic(f, PB__TRAFFIC_POLICY_SPEC__KIND_JWT, jwt));
    }
    fx_add(f, AGW_RESOURCE_ROUTE, r, NULL);
}

static const struct conf *conf_of(const struct fixture *f)
{
    const struct agw_match *m = fx_any_match(fx_out_listener(f, "b", "l"));
    assert_int_equal(m->route->policies.count, 1);
    return m->route->policies.v[0].conf;
}

static void check(const struct fixture *f)
{
    const struct conf *c = conf_of(f);
    assert_int_equal(c->count, 2);
    const struct agw_backend *there = agw_snapshot_backend(f->snap, c->backends[0]);
    assert_int_equal(there->kind, AGW_BACKEND_STATIC);
    assert_true(agw_str_eq(there->key, AGW_STR("ns/keys")));
    assert_int_equal(agw_snapshot_backend(f->snap, c->backends[1])->kind, AGW_BACKEND_INVALID);
}

static void test_references_are_backends_for_as_long_as_somebody_has_them(void **state)
{
    struct fixture f;
    fx_init(&f, table, 1);
    fill(&f, true);
    fx_compile(&f);
    check(&f);
    assert_int_equal(f.compiler->variants.count, 3);
    for (unsigned i = 0; i < 3; i++) { /* the snapshot before holds them while it is there */
        agw_resource_set_free(&f.set);
        agw_resource_set_init(&f.set);
        fill(&f, false);
        fx_compile(&f);
    }
    assert_int_equal(f.compiler->variants.count, 1);
    assert_null(f.compiler->policy_refs);
    fx_free(&f);
}

static bool run_with_failure(long at)
{
    struct fixture f;
    struct agw_snapshot *snap = NULL;
    fx_init(&f, table, 1);
    fill(&f, true);
    fx_compile(&f);
    agw_notes_free(&f.notes);
    agw_notes_init(&f.notes);
    struct agw_compile_options options = {.policies = table, .policy_count = 1};
    struct agw_compiler *c = agw_compiler_new(&options);
    assert_non_null(c);
    failmalloc_at(at);
    int code = agw_compiler_run(c, f.store, 0, &snap, &f.notes);
    bool hit = failmalloc_count() >= at;
    failmalloc_at(0);
    if (code) {
        assert_int_equal(code, AGW_ENOMEM);
        assert_int_equal(agw_compiler_run(c, f.store, 0, &snap, &f.notes), 0);
    }
    agw_snapshot_free(f.snap);
    f.snap = snap;
    check(&f);
    agw_snapshot_free(f.snap);
    f.snap = NULL;
    agw_compiler_free(c);
    fx_free(&f);
    return hit;
}

static void test_memory_runs_out_at_each_allocation(void **state)
{
    long at = 0;
    while (run_with_failure(++at))
        ;
    assert_true(at > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_references_are_backends_for_as_long_as_somebody_has_them),
        cmocka_unit_test(test_memory_runs_out_at_each_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
