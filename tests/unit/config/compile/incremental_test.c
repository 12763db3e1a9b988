/* What a compiler makes of one change after the other is what a new one makes of the result. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/rng.h"
#include "config/dump.h"
#include "config/compile/fixture.h"
#include "failmalloc.h"

/* --- a picture of what requests would meet --- */
struct picture {
    FILE *out;
    char **lines;
    size_t count;
    const struct agw_snapshot *snap;
    const struct agw_listener *listener;
    const struct agw_host_bucket *bucket;
};

static void add_line(struct picture *p, char *line)
{
    p->lines = realloc(p->lines, (p->count + 1) * sizeof(*p->lines));
    p->lines[p->count++] = line;
}

static void draw_backend(FILE *out, const struct agw_backend *b)
{
    fprintf(out, " %.*s kind%d a2a%d reason(%s)", AGW_STRF(b->key), b->kind, b->is_a2a,
            b->reason ? b->reason : "");
    for (uint32_t i = 0; i < b->endpoint_count; i++)
        fprintf(out, " %.*s", AGW_STRF(b->endpoints[i]->key));
    for (uint32_t i = 0; b->mcp && i < b->mcp->count; i++) {
        fprintf(out, " [%.*s", AGW_STRF(b->mcp->targets[i].name));
        draw_backend(out, b->mcp->targets[i].backend);
        fputs("]", out);
    }
    for (uint32_t i = 0; i < b->policies.count; i++)
        fprintf(out, " p%d", b->policies.v[i].ops->kind);
}

static void draw_match(struct picture *p, const struct agw_match *m, uint32_t place)
{
    char *line;
    size_t n;
    FILE *out = open_memstream(&line, &n);
    fprintf(out, "%.*s %.*s %d %.*s #%u -> %.*s", AGW_STRF(p->listener->key), AGW_STRF(p->bucket->host),
            m->path_kind, AGW_STRF(m->path), place, AGW_STRF(m->route->key));
    for (uint32_t i = 0; i < m->route->policies.count; i++) {
        const struct agw_policy_use *use = &m->route->policies.v[i];
        fprintf(out, " p%d=%s", use->ops->kind, ((const Pb__HeaderModifier *)use->conf)->set[0]->value);
    }
    for (uint32_t i = 0; i < m->route->backend_count; i++) {
        fprintf(out, " %u*", m->route->backends[i].weight);
        draw_backend(out, agw_snapshot_backend(p->snap, m->route->backends[i].backend));
    }
    fclose(out);
    add_line(p, line);
}

static int draw_group(void *ctx, void *value)
{
    const struct agw_match_group *g = value;
    for (uint32_t i = 0; i < g->count; i++)
        draw_match(ctx, g->matches[i], i);
    return 0;
}

static int draw_bucket(void *ctx, void *value)
{
    struct picture *p = ctx;
    p->bucket = value;
    agw_pmap_each(&p->bucket->exact, draw_group, p);
    agw_pmap_each(&p->bucket->prefix, draw_group, p);
    if (p->bucket->regex)
        draw_group(p, p->bucket->regex);
    return 0;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static char *draw(const struct agw_snapshot *snap)
{
    struct picture p = {.snap = snap};
    char *text;
    size_t n;
    for (uint32_t i = 0; i < snap->bind_count; i++) {
        const struct agw_bind *b = snap->binds[i];
        for (uint32_t k = 0; k < b->listener_count; k++) {
            p.listener = b->listeners[k];
            agw_pmap_each(&p.listener->hosts, draw_bucket, &p);
        }
    }
    p.out = open_memstream(&text, &n);
    fprintf(p.out, "%u routes, %u listeners\n", snap->route_count, snap->listener_count);
    if (p.count)
        qsort(p.lines, p.count, sizeof(*p.lines), by_text);
    for (size_t i = 0; i < p.count; i++) {
        fprintf(p.out, "%s\n", p.lines[i]);
        free(p.lines[i]);
    }
    free(p.lines);
    fclose(p.out);
    return text;
}

/* --- a pool of resources that need each other --- */
static const struct agw_policy_ops headers = {.kind = AGW_POLICY_REQUEST_HEADERS};

static enum agw_verdict run_nothing(const void *conf, struct agw_policy_ctx *ctx)
{
    return AGW_CONTINUE;
}

static int set_a2a(const void *spec, struct agw_arena *arena, struct agw_transport *t, struct agw_error *err)
{
    t->a2a = true;
    return 0;
}

static struct agw_policy_ops run_headers;
static const struct agw_policy_ops a2a = {.kind = AGW_POLICY_A2A, .transport = set_a2a};
static const struct agw_policy_ops *const table[] = {&run_headers, &a2a};

#define VERSIONS 3
#define POOL 40

struct pool {
    struct fixture f[VERSIONS]; /* each id in several versions */
    struct agw_resource *v[VERSIONS][POOL];
    uint32_t count;
};

static void add_policy(struct fixture *f, int i, int version)
{
    char key[16], value[16];
    Pb__Policy *p = fx_new(f, &pb__policy__descriptor);
    snprintf(key, sizeof(key), "p%d", i);
    snprintf(value, sizeof(value), "v%d.%d", i, version);
    p->key = fx_text(f, key);
    p->target = fx_new(f, &pb__policy_target__descriptor);
    if (i == 0) {
        p->target->kind_case = PB__POLICY_TARGET__KIND_GATEWAY;
        p->target->gateway = fx_new(f, &pb__policy_target__gateway_target__descriptor);
        p->target->gateway->name = fx_text(f, "gw");
        p->target->gateway->namespace_ = fx_text(f, "ns");
    } else {
        p->target->kind_case = PB__POLICY_TARGET__KIND_ROUTE;
        p->target->route = fx_new(f, &pb__policy_target__route_target__descriptor);
        p->target->route->namespace_ = fx_text(f, "ns");
        p->target->route->name = fx_text(f, version == 2 ? "r1" : "r2");
    }
    p->kind_case = PB__POLICY__KIND_TRAFFIC;
    p->traffic =
        fx_traffic(f, PB__TRAFFIC_POLICY_SPEC__KIND_REQUEST_HEADER_MODIFIER, fx_set_header(f, "x", value));
    fx_add(f, AGW_RESOURCE_POLICY, p, NULL);
}

static void add_backend_policy(struct fixture *f, int version)
{
    Pb__Policy *p = fx_new(f, &pb__policy__descriptor);
    p->key = fx_text(f, "bp");
    p->target = fx_new(f, &pb__policy_target__descriptor);
    if (version == 0) {
        p->target->kind_case = PB__POLICY_TARGET__KIND_SERVICE;
        p->target->service = fx_new(f, &pb__policy_target__service_target__descriptor);
        p->target->service->namespace_ = fx_text(f, "ns");
        p->target->service->hostname = fx_text(f, "s0");
    } else {
        p->target->kind_case = PB__POLICY_TARGET__KIND_BACKEND;
        p->target->backend = fx_new(f, &pb__policy_target__backend_target__descriptor);
        p->target->backend->namespace_ = fx_text(f, "ns");
        p->target->backend->name = fx_text(f, version == 1 ? "b0" : "mcp");
        if (version == 2) {
            p->target->backend->_section_case = PB__POLICY_TARGET__BACKEND_TARGET___SECTION_SECTION;
            p->target->backend->section = fx_text(f, "one");
        }
    }
    p->kind_case = PB__POLICY__KIND_BACKEND;
    p->backend = fx_backend_policy(f, PB__BACKEND_POLICY_SPEC__KIND_A2A,
                                   fx_new(f, &pb__backend_policy_spec__a2a__descriptor));
    fx_add(f, AGW_RESOURCE_POLICY, p, NULL);
}

static void add_mcp(struct fixture *f, const char *name, const char *target)
{
    Pb__Backend *b = fx_static(f, "ns", name, "x", 1);
    Pb__MCPTarget *t = fx_new(f, &pb__mcptarget__descriptor);
    b->kind_case = PB__BACKEND__KIND_MCP;
    b->mcp = fx_new(f, &pb__mcpbackend__descriptor);
    t->name = fx_text(f, "one");
    t->backend = fx_new(f, &pb__backend_reference__descriptor);
    t->backend->kind_case = PB__BACKEND_REFERENCE__KIND_BACKEND;
    t->backend->backend = fx_text(f, target);
    b->mcp->targets = agw_arena_copy(&f->arena, &t, sizeof(Pb__MCPTarget *));
    b->mcp->n_targets = 1;
    fx_add(f, AGW_RESOURCE_BACKEND, b, NULL);
}

static void add_route(struct fixture *f, int i, int version)
{
    static const char *const hosts[] = {NULL, "a.com", "*.a.com", "b.com"};
    static const char *const paths[] = {"/", "/a", "/a/b", "/.*"};
    static const char kinds[] = {'p', 'e', 'p', 'r'};
    char key[24], name[8];
    snprintf(key, sizeof(key), "ns/r%d.00", i);
    snprintf(name, sizeof(name), "r%d", i);
    Pb__Route *r = fx_route(f, i % 5 == 4 && version ? "l1" : "l0", key, hosts[(i + version) % 4],
                            kinds[(i + version) % 4], paths[(i + version) % 4]);
    r->name = fx_new(f, &pb__route_name__descriptor);
    r->name->kind = fx_text(f, "HTTPRoute");
    r->name->namespace_ = fx_text(f, "ns");
    r->name->name = fx_text(f, name);
    if (version == 1)
        fx_match_method(f, r->matches[0], "POST");
    switch ((i + version) % 4) {
    case 0:
        fx_ref(f, r, "ns/b0", 1);
        break;
    case 1:
        fx_ref_service(f, r, "ns", "s0", 80, 2);
        break;
    case 2:
        fx_ref(f, r, "ns/mcp", 1);
        break;
    default:
        fx_ref(f, r, "ns/b1", 3);
        fx_ref_service(f, r, "ns", "s1", 80, 1);
    }
    fx_add(f, AGW_RESOURCE_ROUTE, r, NULL);
}

static void fill(struct fixture *f, int version)
{
    char host[24];
    snprintf(host, sizeof(host), "127.0.0.%d", version + 1);
    fx_bind(f, "k0", version == 2 ? 81 : 80);
    fx_bind(f, "k1", 90);
    fx_add(f, AGW_RESOURCE_LISTENER, fx_listener(f, version == 1 ? "k1" : "k0", "l0", ""), NULL);
    fx_add(f, AGW_RESOURCE_LISTENER, fx_listener(f, "k1", "l1", version ? "*.com" : ""), NULL);
    fx_add(f, AGW_RESOURCE_BACKEND, fx_static(f, "ns", "b0", host, 8080), NULL);
    if (version == 2)
        add_mcp(f, "b1", "ns/b0");
    else
        fx_add(f, AGW_RESOURCE_BACKEND, fx_static(f, "ns", "b1", host, 8081), NULL);
    add_mcp(f, "mcp", version == 1 ? "ns/b0" : "ns/b1");
    fx_service(f, "ns", "s0", 80, 8080u + (unsigned)version);
    fx_service(f, "ns", "s1", version == 1 ? 81 : 80, 8080);
    fx_add(f, AGW_RESOURCE_WORKLOAD, fx_workload(f, "w0", "ns/s0", (unsigned)version + 10), NULL);
    fx_add(f, AGW_RESOURCE_WORKLOAD, fx_workload(f, "w1", version ? "ns/s1" : "ns/s0", 20), NULL);
    fx_add(f, AGW_RESOURCE_WORKLOAD, fx_workload(f, "w2", "ns/s1", (unsigned)version + 30), NULL);
    for (int i = 0; i < 3; i++)
        add_policy(f, i, version);
    add_backend_policy(f, version);
    for (int i = 0; i < 12; i++)
        add_route(f, i, version);
}

static void pool_init(struct pool *p)
{
    struct agw_map_slot *slot;
    run_headers = headers;
    run_headers.request = run_nothing;
    for (int v = 0; v < VERSIONS; v++) {
        fx_init(&p->f[v], table, AGW_ARRAY_LEN(table));
        fill(&p->f[v], v);
    }
    p->count = 0;
    for (uint32_t cursor = 0; (slot = agw_map_next(&p->f[0].set.by_id, &cursor)); p->count++) {
        assert_true(p->count < POOL);
        for (int v = 0; v < VERSIONS; v++)
            assert_non_null(p->v[v][p->count] = agw_map_get(&p->f[v].set.by_id, slot->key));
    }
}

static void pool_free(struct pool *p)
{
    for (int v = 0; v < VERSIONS; v++)
        fx_free(&p->f[v]);
}

/* A random change; the id is in one source or the other. */
static void change(struct pool *p, struct agw_store *s, struct agw_rng *rng)
{
    struct agw_store_change sum = {0};
    uint32_t i = agw_rng_below(rng, p->count), action = agw_rng_below(rng, VERSIONS + 1);
    enum agw_source source = agw_rng_below(rng, 8) ? AGW_SOURCE_XDS : AGW_SOURCE_FILES;
    if (action == VERSIONS)
        assert_int_equal(agw_store_remove(s, source, p->v[0][i]->id, &sum), 0);
    else
        assert_int_equal(agw_store_put(s, source, p->v[action][i], &sum), 0);
}

static char *compile_and_draw(struct agw_compiler *c, const struct agw_store *s,
                              struct agw_snapshot **ret_snap)
{
    struct agw_snapshot *snap = NULL;
    struct agw_notes notes;
    agw_notes_init(&notes);
    assert_int_equal(agw_compiler_run(c, s, 0, &snap, &notes), 0);
    agw_notes_free(&notes);
    char *text = draw(snap);
    if (ret_snap)
        *ret_snap = snap;
    else
        agw_snapshot_free(snap);
    return text;
}

/* Fails with the first lines that differ: whole pictures are too long to read. */
static void assert_same_text(const char *got, const char *want)
{
    while (*got && *got == *want) {
        size_t a = strcspn(got, "\n"), b = strcspn(want, "\n");
        if (a != b || strncmp(got, want, a) != 0)
            break;
        got += a + (got[a] != 0);
        want += b + (want[b] != 0);
    }
    if (*got || *want)
        fail_msg("got  %.*s\nwant %.*s", (int)strcspn(got, "\n"), got, (int)strcspn(want, "\n"), want);
}

static void check_like_new(struct agw_compiler *c, const struct agw_store *s, struct agw_snapshot **ret_snap)
{
    const struct agw_compile_options o = {.policies = table, .policy_count = AGW_ARRAY_LEN(table)};
    struct agw_compiler *fresh = agw_compiler_new(&o);
    char *got = compile_and_draw(c, s, ret_snap), *want = compile_and_draw(fresh, s, NULL);
    assert_same_text(got, want);
    free(got);
    free(want);
    agw_compiler_free(fresh);
}

#define KEPT 6

/* Old snapshots stay as they were while newer ones come and go. */
static void test_changes_give_what_a_new_compiler_gives(void **state)
{
    struct pool p;
    struct agw_rng rng;
    struct agw_snapshot *kept[KEPT] = {NULL};
    char *drawn[KEPT] = {NULL};
    pool_init(&p);
    agw_rng_init(&rng, 11);
    struct agw_store *s = agw_store_new();
    for (int turn = 0; turn < 1500; turn++) {
        for (uint32_t n = 1 + agw_rng_below(&rng, turn % 10 ? 2 : 20); n; n--)
            change(&p, s, &rng);
        uint32_t slot = agw_rng_below(&rng, KEPT);
        if (kept[slot]) {
            char *now = draw(kept[slot]);
            assert_same_text(now, drawn[slot]);
            free(now);
            free(drawn[slot]);
            agw_snapshot_free(kept[slot]);
        }
        check_like_new(p.f[0].compiler, s, &kept[slot]);
        drawn[slot] = draw(kept[slot]);
    }
    for (int i = 0; i < KEPT; i++) {
        agw_snapshot_free(kept[i]);
        free(drawn[i]);
    }
    agw_store_free(s);
    pool_free(&p);
}

/* A run that fails leaves no trace in what later runs give. */
static void test_memory_runs_out_between_changes(void **state)
{
    struct pool p;
    struct agw_rng rng;
    pool_init(&p);
    agw_rng_init(&rng, 12);
    struct agw_store *s = agw_store_new();
    for (int turn = 0; turn < 120; turn++) {
        for (uint32_t n = 1 + agw_rng_below(&rng, 6); n; n--)
            change(&p, s, &rng);
        struct agw_snapshot *snap = NULL;
        struct agw_notes notes;
        agw_notes_init(&notes);
        failmalloc_at(1 + agw_rng_below(&rng, turn % 2 ? 40 : 600));
        int code = agw_compiler_run(p.f[0].compiler, s, 0, &snap, &notes);
        failmalloc_at(0);
        assert_true(code == 0 || code == AGW_ENOMEM);
        agw_snapshot_free(snap);
        agw_notes_free(&notes);
        if (turn % 3 == 0)
            check_like_new(p.f[0].compiler, s, NULL);
    }
    agw_store_free(s);
    pool_free(&p);
}

/* --- what a change costs --- */
static void many_routes(struct fixture *f, unsigned count, unsigned changed)
{
    char key[32], host[48], name[32];
    fx_bind(f, "b", 80);
    fx_add(f, AGW_RESOURCE_LISTENER, fx_listener(f, "b", "l", ""), NULL);
    for (unsigned i = 0; i < count; i++) {
        snprintf(key, sizeof(key), "ns/r%u.00", i);
        snprintf(host, sizeof(host), "h%u.example.com", i);
        snprintf(name, sizeof(name), "b%u", i);
        Pb__Route *r = fx_route(f, "l", key, host, 'p', "/");
        snprintf(key, sizeof(key), "ns/b%u", i == changed ? 0 : i);
        fx_ref(f, r, key, 1);
        fx_add(f, AGW_RESOURCE_ROUTE, r, NULL);
        fx_add(f, AGW_RESOURCE_BACKEND, fx_static(f, "ns", name, "127.0.0.1", 1000 + (int)i % 5000), NULL);
    }
}

/* Allocations that a run with one changed route makes among |count|. */
static long cost_of_one(unsigned count)
{
    struct fixture f, g;
    struct agw_store_change change = {0};
    struct agw_snapshot *snap;
    fx_init(&f, NULL, 0);
    fx_init(&g, NULL, 0);
    many_routes(&f, count, UINT32_MAX);
    many_routes(&g, 3, 2);
    fx_compile(&f);
    struct agw_resource *r = agw_resource_set_get(&g.set, AGW_RESOURCE_ROUTE, AGW_STR("ns/r2.00"));
    struct agw_store *next = agw_store_clone(f.store);
    assert_int_equal(agw_store_put(next, AGW_SOURCE_FILES, r, &change), 0);
    assert_int_equal(change.updated, 1);
    uint64_t from = agw_clock_ns();
    failmalloc_at(0);
    assert_int_equal(agw_compiler_run(f.compiler, next, 0, &snap, &f.notes), 0);
    long allocations = failmalloc_count();
    print_message("one of %u routes: %ld allocations, %u us\n", count, allocations,
                  (unsigned)((agw_clock_ns() - from) / 1000));
    assert_int_equal(snap->route_count, count);
    agw_snapshot_free(snap);
    agw_store_free(next);
    fx_free(&f);
    fx_free(&g);
    return allocations;
}

static void test_cost_grows_with_the_change(void **state)
{
    long few = cost_of_one(100), many = cost_of_one(20000);
    assert_true(few > 0);
    assert_in_range(many, 1, few + 20); /* a level or two more in each table */
}

/* Tables that are about to grow when a route is renewed: nothing is lost when they cannot. */
static void renew_all(unsigned count, long fail_at, bool *ret_done)
{
    struct fixture f, g;
    struct agw_store_change change = {0};
    struct agw_snapshot *snap = NULL;
    fx_init(&f, NULL, 0);
    fx_init(&g, NULL, 0);
    many_routes(&f, count, UINT32_MAX);
    fx_compile(&f);
    many_routes(&g, count, 1);
    struct agw_store *next = agw_store_clone(f.store);
    assert_int_equal(agw_store_replace(next, AGW_SOURCE_FILES, &g.set, &change), 0);
    failmalloc_at(fail_at);
    int code = agw_compiler_run(f.compiler, next, 1, &snap, &f.notes);
    failmalloc_at(0);
    *ret_done = code == 0;
    agw_snapshot_free(snap);
    agw_store_free(next);
    fx_free(&f);
    fx_free(&g);
}

static void test_memory_runs_out_as_routes_are_renewed(void **state)
{
    for (unsigned count = 3; count < 28; count++) {
        bool done = false;
        for (long at = 1; !done; at++)
            renew_all(count, at, &done);
    }
}

/* --- routes that wait for what they need --- */
#define HOLD_MS 1000

static void test_a_route_waits_for_its_backend(void **state)
{
    struct fixture f;
    const struct agw_compile_options o = {.hold_ms = HOLD_MS};
    fx_init(&f, NULL, 0);
    agw_compiler_free(f.compiler);
    f.compiler = agw_compiler_new(&o);
    f.now_ns = 5000000000ull;
    fx_bind(&f, "b", 80);
    fx_add(&f, AGW_RESOURCE_LISTENER, fx_listener(&f, "b", "l", ""), NULL);
    Pb__Route *r = fx_route(&f, "l", "r", NULL, 'p', "/");
    fx_ref_service(&f, r, "ns", "s", 80, 1);
    fx_add(&f, AGW_RESOURCE_ROUTE, r, NULL);
    fx_compile(&f);
    assert_int_equal(f.snap->route_count, 0);
    assert_int_equal(agw_compiler_held(f.compiler), 1);
    assert_int_equal(agw_compiler_due(f.compiler), f.now_ns + HOLD_MS * 1000000ull);
    fx_service(&f, "ns", "s", 80, 8080);
    fx_compile(&f);
    assert_int_equal(f.snap->route_count, 0); /* a service, but nobody in it */
    fx_add(&f, AGW_RESOURCE_WORKLOAD, fx_workload(&f, "w", "ns/s", 1), NULL);
    fx_compile(&f);
    assert_int_equal(f.snap->route_count, 1);
    assert_int_equal(agw_compiler_held(f.compiler), 0);
    assert_int_equal(agw_compiler_due(f.compiler), UINT64_MAX);
    fx_free(&f);
}

static void test_a_route_waits_no_longer_than_it_may(void **state)
{
    struct fixture f, g;
    struct agw_store_change change = {0};
    const struct agw_compile_options o = {.hold_ms = HOLD_MS};
    fx_init(&f, NULL, 0);
    fx_init(&g, NULL, 0);
    agw_compiler_free(f.compiler);
    f.compiler = agw_compiler_new(&o);
    many_routes(&f, 3, UINT32_MAX);
    fx_compile(&f);
    assert_int_equal(f.snap->route_count, 3);
    /* A new version that refers to nothing: the old one serves on until the time is over. */
    Pb__Route *r = fx_route(&g, "l", "ns/r2.00", "h2.example.com", 'p', "/");
    fx_ref(&g, r, "ns/gone", 1);
    fx_add(&g, AGW_RESOURCE_ROUTE, r, NULL);
    struct agw_resource *next = agw_resource_set_get(&g.set, AGW_RESOURCE_ROUTE, AGW_STR("ns/r2.00"));
    assert_int_equal(agw_store_put(f.store, AGW_SOURCE_FILES, next, &change), 0);
    for (int late = 0; late < 2; late++) {
        struct agw_snapshot *snap;
        f.now_ns = 1000000000ull + (late ? HOLD_MS * 1000000ull : 0);
        assert_int_equal(agw_compiler_run(f.compiler, f.store, f.now_ns, &snap, &f.notes), 0);
        char *text = draw(snap);
        assert_int_equal(agw_compiler_held(f.compiler), !late);
        assert_int_equal(strstr(text, "ns/gone does not exist") != NULL, late);
        assert_int_equal(snap->route_count, 3);
        free(text);
        agw_snapshot_free(snap);
    }
    fx_free(&f);
    fx_free(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_changes_give_what_a_new_compiler_gives),
        cmocka_unit_test(test_memory_runs_out_between_changes),
        cmocka_unit_test(test_memory_runs_out_as_routes_are_renewed),
        cmocka_unit_test(test_cost_grows_with_the_change),
        cmocka_unit_test(test_a_route_waits_for_its_backend),
        cmocka_unit_test(test_a_route_waits_no_longer_than_it_may),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
