#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include "base/err.h"
#include "base/map.h"
#include "base/pmap.h"
#include "base/rng.h"
#include "failmalloc.h"

struct item {
    struct agw_shared shared;
    struct agw_str key;
    int number;
    char text[24];
};

#define KEYS 300

static int alive;

static void item_free(struct agw_shared *s)
{
    alive--;
    free(s);
}

static struct item *item_new(int key, int number)
{
    struct item *it = malloc(sizeof(*it));
    assert_non_null(it);
    agw_shared_init(&it->shared, item_free);
    it->key = agw_str(it->text, (size_t)snprintf(it->text, sizeof(it->text), "k%d", key));
    it->number = number;
    alive++;
    return it;
}

/* |bits|: how much of the hash is used, so that few make keys collide. */
static uint64_t hash_of(struct agw_str key, unsigned bits)
{
    return bits == 64 ? agw_hash(key) : agw_hash(key) & ((1ull << bits) - 1);
}

static int put(struct agw_pmap *m, unsigned bits, int key, int number)
{
    struct item *it = item_new(key, number);
    int code = agw_pmap_put(m, hash_of(it->key, bits), it, NULL);
    agw_shared_unref(it);
    return code;
}

/* -1: absent. */
static int get(const struct agw_pmap *m, unsigned bits, int key)
{
    char text[24];
    struct agw_str k = agw_str(text, (size_t)snprintf(text, sizeof(text), "k%d", key));
    const struct item *it = agw_pmap_get(m, hash_of(k, bits), k);
    return it ? it->number : -1;
}

static int take(struct agw_pmap *m, unsigned bits, int key)
{
    char text[24];
    struct agw_str k = agw_str(text, (size_t)snprintf(text, sizeof(text), "k%d", key));
    return agw_pmap_remove(m, hash_of(k, bits), k);
}

static int atoi_key(struct agw_str key)
{
    uint64_t n;
    assert_int_equal(agw_str_u64(agw_str_from(key, 1), &n), 0);
    return (int)n;
}

static int sum(void *ctx, void *value)
{
    *(long *)ctx += ((struct item *)value)->number;
    return 0;
}

/* Writes what was into |was| and what is into |is|, as a diff tells them. */
struct told {
    int was[KEYS], is[KEYS];
    int calls;
};

static int note_difference(void *ctx, void *in_a, void *in_b)
{
    struct told *t = ctx;
    const struct item *a = in_a, *b = in_b;
    assert_true(a || b);
    assert_ptr_not_equal(a, b);
    int key = atoi_key((a ? a : b)->key);
    t->was[key] = a ? a->number : -1;
    t->is[key] = b ? b->number : -1;
    t->calls++;
    return 0;
}

static int count_change(void *ctx, void *in_a, void *in_b)
{
    (*(int *)ctx)++;
    return 0;
}

static int stop_at_first(void *ctx, void *value)
{
    (*(int *)ctx)++;
    return 7;
}

/* Each key that differs is told once, with both sides; values put twice may be told though they are equal. */
static void check_diff(const struct agw_pmap *a, const struct agw_pmap *b, const int *was, const int *is)
{
    struct told t = {.calls = 0};
    for (int i = 0; i < KEYS; i++)
        t.was[i] = t.is[i] = -2;
    assert_int_equal(agw_pmap_diff(a, b, note_difference, &t), 0);
    int differ = 0;
    for (int i = 0; i < KEYS; i++) {
        differ += was[i] != is[i];
        assert_int_equal(t.was[i] == -2 ? is[i] : t.was[i], was[i]);
        assert_int_equal(t.is[i] == -2 ? was[i] : t.is[i], is[i]);
    }
    assert_int_equal(t.calls, differ);
}

/* Random changes beside a plain array; copies made on the way must keep what they had. */
static void compare_with_array(unsigned bits)
{
    struct agw_pmap m, copy;
    int model[KEYS], kept[KEYS];
    struct agw_rng rng;
    agw_rng_init(&rng, bits);
    agw_pmap_init(&m, offsetof(struct item, key));
    agw_pmap_copy(&copy, &m);
    memset(model, -1, sizeof(model));
    memset(kept, -1, sizeof(kept));
    for (int turn = 0; turn < 6000; turn++) {
        int key = (int)agw_rng_below(&rng, KEYS);
        if (agw_rng_below(&rng, 3)) {
            assert_int_equal(put(&m, bits, key, turn), 0);
            model[key] = turn;
        } else {
            assert_int_equal(take(&m, bits, key), 0);
            model[key] = -1;
        }
        if (turn % 500 == 499)
            check_diff(&copy, &m, kept, model);
        if (turn % 500 == 0) {
            agw_pmap_free(&copy);
            agw_pmap_copy(&copy, &m);
            memcpy(kept, model, sizeof(kept));
        }
        if (turn % 50 == 0)
            for (int i = 0; i < KEYS; i++) {
                assert_int_equal(get(&m, bits, i), model[i]);
                assert_int_equal(get(&copy, bits, i), kept[i]);
            }
    }
    long total = 0, expected = 0;
    uint32_t count = 0;
    for (int i = 0; i < KEYS; i++) {
        expected += model[i] >= 0 ? model[i] : 0;
        count += model[i] >= 0;
    }
    assert_int_equal(agw_pmap_each(&m, sum, &total), 0);
    assert_int_equal(total, expected);
    assert_int_equal(m.count, count);
    agw_pmap_free(&m);
    agw_pmap_free(&copy);
    assert_int_equal(alive, 0);
}

static void test_like_an_array(void **state)
{
    compare_with_array(64);
    compare_with_array(9); /* chains of nodes, then lists */
    compare_with_array(1); /* lists at the bottom alone */
}

static void test_copies_are_independent(void **state)
{
    struct agw_pmap a, b;
    agw_pmap_init(&a, offsetof(struct item, key));
    for (int i = 0; i < 1000; i++)
        assert_int_equal(put(&a, 64, i, i), 0);
    agw_pmap_copy(&b, &a);
    assert_int_equal(put(&b, 64, 5, 50), 0);
    assert_int_equal(take(&b, 64, 6), 0);
    assert_int_equal(put(&a, 64, 2000, 1), 0);
    assert_int_equal(get(&a, 64, 5), 5);
    assert_int_equal(get(&a, 64, 6), 6);
    assert_int_equal(get(&b, 64, 5), 50);
    assert_int_equal(get(&b, 64, 6), -1);
    assert_int_equal(get(&b, 64, 2000), -1);
    int changes = 0;
    assert_int_equal(agw_pmap_diff(&a, &b, count_change, &changes), 0);
    assert_int_equal(changes, 3);
    assert_int_equal(a.count, 1001);
    assert_int_equal(b.count, 999);
    agw_pmap_free(&a);
    assert_int_equal(get(&b, 64, 7), 7);
    agw_pmap_free(&b);
    assert_int_equal(alive, 0);
}

static void test_empty(void **state)
{
    struct agw_pmap m;
    int calls = 0;
    agw_pmap_init(&m, offsetof(struct item, key));
    assert_int_equal(get(&m, 64, 1), -1);
    assert_int_equal(take(&m, 64, 1), 0);
    assert_int_equal(agw_pmap_each(&m, stop_at_first, &calls), 0);
    assert_int_equal(put(&m, 64, 1, 1), 0);
    assert_int_equal(put(&m, 64, 2, 1), 0);
    assert_int_equal(agw_pmap_each(&m, stop_at_first, &calls), 7);
    assert_int_equal(calls, 1);
    assert_int_equal(take(&m, 64, 1), 0);
    assert_int_equal(take(&m, 64, 2), 0);
    assert_null(m.root);
    agw_pmap_free(&m);
}

/* A change fails as a whole, in a map that shares its nodes and in one that does not. */
static void fill_with_failures(unsigned bits, bool share)
{
    struct agw_pmap m, copy;
    agw_pmap_init(&m, offsetof(struct item, key));
    agw_pmap_copy(&copy, &m);
    for (int i = 0; i < 80; i++) {
        struct item *it = item_new(i, i);
        for (long n = 1;; n++) {
            failmalloc_at(n);
            int code = agw_pmap_put(&m, hash_of(it->key, bits), it, NULL);
            failmalloc_at(0);
            if (!code)
                break;
            assert_int_equal(code, AGW_ENOMEM);
            assert_int_equal(get(&m, bits, i), -1);
            assert_int_equal(m.count, i);
        }
        agw_shared_unref(it);
        if (share) {
            agw_pmap_free(&copy);
            agw_pmap_copy(&copy, &m);
        }
    }
    for (int i = 0; i < 80; i++) {
        for (long n = 1;; n++) {
            failmalloc_at(n);
            int code = take(&m, bits, i);
            failmalloc_at(0);
            if (!code)
                break;
            assert_int_equal(get(&m, bits, i), i);
        }
        assert_int_equal(get(&m, bits, i), -1);
        if (share)
            assert_int_equal(get(&copy, bits, i), i);
    }
    agw_pmap_free(&m);
    agw_pmap_free(&copy);
    assert_int_equal(alive, 0);
}

static void test_out_of_memory(void **state)
{
    fill_with_failures(64, false);
    fill_with_failures(64, true);
    fill_with_failures(2, false);
    fill_with_failures(2, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_like_an_array),
        cmocka_unit_test(test_copies_are_independent),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
