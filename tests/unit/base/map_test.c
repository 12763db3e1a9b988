#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/err.h"
#include "base/map.h"
#include "base/rng.h"
#include "failmalloc.h"

static void test_empty(void **state)
{
    struct agw_map m;
    uint32_t cursor = 0;
    agw_map_init(&m);
    assert_null(agw_map_get(&m, AGW_STR("x")));
    assert_null(agw_map_take(&m, AGW_STR("x")));
    assert_null(agw_map_next(&m, &cursor));
    agw_map_free(&m);
}

static void test_put_get_replace_take(void **state)
{
    struct agw_map m;
    int one = 1, two = 2;
    void *old = &one;
    char key1[] = "key", key2[] = "key";
    agw_map_init(&m);
    assert_int_equal(agw_map_put(&m, agw_str_c(key1), &one, &old), 0);
    assert_null(old);
    assert_int_equal(agw_map_put(&m, agw_str_c(key2), &two, &old), 0);
    assert_ptr_equal(old, &one);
    assert_int_equal(m.count, 1);
    key1[0] = 'X'; /* the map holds the second key now */
    assert_ptr_equal(agw_map_get(&m, AGW_STR("key")), &two);
    assert_ptr_equal(agw_map_get_hashed(&m, AGW_STR("key"), agw_hash(AGW_STR("key"))), &two);
    assert_null(agw_map_get(&m, AGW_STR("ke")));
    assert_int_equal(agw_map_put(&m, agw_str(NULL, 0), &one, NULL), 0);
    assert_ptr_equal(agw_map_get(&m, AGW_STR("")), &one);
    assert_ptr_equal(agw_map_take(&m, AGW_STR("key")), &two);
    assert_null(agw_map_take(&m, AGW_STR("key")));
    assert_int_equal(m.count, 1);
    agw_map_free(&m);
}

enum { KEYS = 3000 };
static char names[KEYS][16];
static char present[KEYS];

static void check_all(const struct agw_map *m)
{
    uint32_t cursor = 0, seen = 0, want = 0;
    struct agw_map_slot *s;
    for (int i = 0; i < KEYS; i++) {
        want += present[i];
        assert_ptr_equal(agw_map_get(m, agw_str_c(names[i])), present[i] ? names[i] : NULL);
    }
    while ((s = agw_map_next(m, &cursor))) {
        assert_string_equal(s->key.p, s->value);
        seen++;
    }
    assert_int_equal(seen, want);
    uint32_t dead = 0;
    for (uint32_t i = 0; i < m->cap; i++)
        dead += m->slots[i].hash == 1;
    assert_int_equal(m->dead, dead);
    assert_int_equal(m->count, want);
}

static void test_random_against_a_flag_array(void **state)
{
    struct agw_map m;
    struct agw_rng rng;
    agw_rng_init(&rng, 1);
    agw_map_init(&m);
    for (int i = 0; i < KEYS; i++)
        snprintf(names[i], sizeof(names[i]), "k%d", i);
    for (int i = 0; i < 200000; i++) {
        uint32_t k = agw_rng_below(&rng, i < 100000 ? KEYS : 50); /* the second half: churn of few keys */
        if (agw_rng_next(&rng) & 1) {
            assert_int_equal(agw_map_put(&m, agw_str_c(names[k]), names[k], NULL), 0);
            present[k] = 1;
        } else {
            assert_ptr_equal(agw_map_take(&m, agw_str_c(names[k])), present[k] ? names[k] : NULL);
            present[k] = 0;
        }
        if (i % 20000 == 0)
            check_all(&m);
    }
    check_all(&m);
    assert_true(m.cap <= 8192); /* deleting does not make it grow */
    uint32_t cursor = 0;
    struct agw_map_slot *s;
    while ((s = agw_map_next(&m, &cursor)))
        assert_non_null(agw_map_take(&m, s->key));
    assert_int_equal(m.count, 0);
    agw_map_free(&m);
}

static void *hash_it(void *arg)
{
    *(uint64_t *)arg = agw_hash(AGW_STR("same"));
    return NULL;
}

static void test_hash_is_one_for_all_threads(void **state)
{
    pthread_t threads[8];
    uint64_t hashes[8];
    for (int i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hash_it, &hashes[i]), 0);
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    for (int i = 1; i < 8; i++)
        assert_true(hashes[i] == hashes[0]);
}

static void test_hash_uses_every_byte(void **state)
{
    char key[40] = {0};
    uint64_t seen[41];
    for (size_t n = 0; n <= sizeof(key); n++) {
        seen[n] = agw_hash(agw_str(key, n));
        assert_true(seen[n] > 1);
        for (size_t i = 0; i < n; i++) {
            assert_true(seen[i] != seen[n]);
            key[i] = 1;
            assert_true(agw_hash(agw_str(key, n)) != seen[n]);
            key[i] = 0;
        }
    }
}

static void test_out_of_memory(void **state)
{
    for (long n = 1;; n++) {
        struct agw_map m;
        int failed = 0;
        agw_map_init(&m);
        failmalloc_at(n);
        for (int i = 0; i < 100; i++) {
            uint32_t before = m.count;
            int r = agw_map_put(&m, agw_str_c(names[i]), names[i], NULL);
            assert_true(r == 0 || r == AGW_ENOMEM);
            assert_int_equal(m.count, before + (r == 0));
            failed += r != 0;
        }
        long calls = failmalloc_count();
        failmalloc_at(0);
        assert_int_equal(failed, calls >= n);
        agw_map_free(&m);
        if (calls < n)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* first, while the hash has no seed yet */
        cmocka_unit_test(test_hash_is_one_for_all_threads),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_put_get_replace_take),
        cmocka_unit_test(test_random_against_a_flag_array),
        cmocka_unit_test(test_hash_uses_every_byte),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
