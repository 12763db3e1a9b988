#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include "base/rng.h"
#include "config/dump.h"
#include "config/compile/fixture.h"

#define ROUTES 12

static void fill(struct fixture *f, unsigned skip)
{
    char key[32], path[32];
    fx_bind(f, "80/ns/gw", 80);
    fx_add(f, AGW_RESOURCE_LISTENER, fx_listener(f, "80/ns/gw", "ns/gw.l", ""), NULL);
    fx_add(f, AGW_RESOURCE_BACKEND, fx_static(f, "ns", "b", "127.0.0.1", 8080), NULL);
    fx_service(f, "ns", "s.ns.svc", 80, 8080);
    fx_add(f, AGW_RESOURCE_WORKLOAD, fx_workload(f, "w1", "ns/s.ns.svc", 1), NULL);
    fx_add(f, AGW_RESOURCE_WORKLOAD, fx_workload(f, "w2", "ns/s.ns.svc", 2), NULL);
    for (unsigned i = 0; i < ROUTES; i++) {
        if (i == skip)
            continue;
        snprintf(key, sizeof(key), "ns/r.%02u", i);
        snprintf(path, sizeof(path), "/p%u", i % 5);
        Pb__Route *r = fx_route(f, "ns/gw.l", key, i % 3 ? "a.com" : NULL, 'p', path);
        fx_ref(f, r, "ns/b", 1);
        fx_ref_service(f, r, "ns", "s.ns.svc", 80, 2);
        fx_add(f, AGW_RESOURCE_ROUTE, r, NULL);
    }
}

/* What a store compiles to, as text without what differs between equal snapshots. */
static char *picture(struct agw_compiler *c, const struct agw_store *store)
{
    struct agw_snapshot *snap;
    struct agw_notes notes;
    struct agw_chain chain;
    agw_notes_init(&notes);
    agw_chain_init(&chain);
    assert_int_equal(agw_compiler_run(c, store, 0, &snap, &notes), 0);
    snap->made_wall_ns = 0;
    assert_int_equal(agw_snapshot_dump(snap, &chain, NULL), 0);
    size_t n = chain.bytes;
    char *text = calloc(1, n + 1);
    agw_chain_peek(&chain, text, n);
    agw_chain_clear(&chain);
    agw_snapshot_free(snap);
    agw_notes_free(&notes);
    return text;
}

static void test_any_order_gives_the_same(void **state)
{
    struct fixture f;
    struct agw_rng rng;
    struct agw_resource *all[64];
    uint32_t count = 0;
    struct agw_map_slot *slot;
    fx_init(&f, NULL, 0);
    fill(&f, ROUTES);
    fx_compile(&f);
    char *want = picture(f.compiler, f.store);
    for (uint32_t cursor = 0; (slot = agw_map_next(&f.set.by_id, &cursor));)
        all[count++] = slot->value;
    agw_rng_init(&rng, 7);
    for (int round = 0; round < 50; round++) {
        struct agw_store *s = agw_store_new();
        struct agw_store_change change = {0};
        for (uint32_t i = count; i > 1; i--) {
            uint32_t k = agw_rng_below(&rng, i);
            struct agw_resource *swap = all[k];
            all[k] = all[i - 1];
            all[i - 1] = swap;
        }
        for (uint32_t i = 0; i < count; i++) {
            assert_int_equal(agw_store_put(s, AGW_SOURCE_XDS, all[i], &change), 0);
            if (agw_rng_below(&rng, 4) == 0) { /* taken away and given again */
                assert_int_equal(agw_store_remove(s, AGW_SOURCE_XDS, all[i]->id, &change), 0);
                assert_int_equal(agw_store_put(s, AGW_SOURCE_XDS, all[i], &change), 0);
            }
            if (agw_rng_below(&rng, 8) == 0) /* half a configuration compiles too */
                free(picture(f.compiler, s));
        }
        assert_int_equal(change.added - change.removed, count);
        char *got = picture(f.compiler, s);
        assert_string_equal(got, want);
        free(got);
        agw_store_free(s);
    }
    free(want);
    fx_free(&f);
}

static void test_replace_counts(void **state)
{
    struct fixture a, b;
    struct agw_store_change change = {0};
    fx_init(&a, NULL, 0);
    fx_init(&b, NULL, 0);
    fill(&a, 3);
    fill(&b, 4);
    Pb__Backend *other = fx_static(&b, "ns", "new", "127.0.0.1", 1);
    fx_add(&b, AGW_RESOURCE_BACKEND, other, NULL);
    assert_int_equal(agw_store_replace(a.store, AGW_SOURCE_FILES, &a.set, &change), 0);
    uint32_t total = change.added;
    assert_int_equal(total, agw_store_count(a.store));
    struct agw_resource *kept = agw_store_get(a.store, AGW_STR("bind/80/ns/gw"));
    change = (struct agw_store_change){0};
    assert_int_equal(agw_store_replace(a.store, AGW_SOURCE_FILES, &b.set, &change), 0);
    assert_int_equal(change.added, 2);
    assert_int_equal(change.removed, 1);
    assert_int_equal(change.updated, 0);
    assert_int_equal(change.same, total - 1);
    assert_ptr_equal(kept, agw_store_get(a.store, AGW_STR("bind/80/ns/gw")));
    fx_free(&a);
    fx_free(&b);
}

static void test_sources_are_apart(void **state)
{
    struct fixture f;
    struct agw_store_change change = {0};
    struct agw_resource_set empty;
    fx_init(&f, NULL, 0);
    fill(&f, ROUTES);
    assert_int_equal(agw_store_replace(f.store, AGW_SOURCE_FILES, &f.set, &change), 0);
    uint32_t count = agw_store_count(f.store);
    assert_int_equal(agw_store_replace(f.store, AGW_SOURCE_XDS, &f.set, &change), 0);
    assert_int_equal(agw_store_count(f.store), count); /* the same ids count once */
    agw_resource_set_init(&empty);
    assert_int_equal(agw_store_replace(f.store, AGW_SOURCE_FILES, &empty, &change), 0);
    assert_int_equal(agw_store_count(f.store), count);
    fx_free(&f);
}

static void test_clone_is_independent(void **state)
{
    struct fixture f;
    struct agw_store_change change = {0};
    fx_init(&f, NULL, 0);
    fill(&f, ROUTES);
    assert_int_equal(agw_store_replace(f.store, AGW_SOURCE_FILES, &f.set, &change), 0);
    struct agw_store *copy = agw_store_clone(f.store);
    assert_non_null(copy);
    assert_int_equal(agw_store_remove(copy, AGW_SOURCE_FILES, AGW_STR("backend/ns/b"), &change), 0);
    assert_null(agw_store_get(copy, AGW_STR("backend/ns/b")));
    assert_non_null(agw_store_get(f.store, AGW_STR("backend/ns/b")));
    agw_store_free(copy);
    fx_free(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_order_gives_the_same),
        cmocka_unit_test(test_replace_counts),
        cmocka_unit_test(test_sources_are_apart),
        cmocka_unit_test(test_clone_is_independent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
