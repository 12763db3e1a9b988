#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "base/err.h"
#include "base/rng.h"
#include "failmalloc.h"

static void assert_holds(const struct agw_chain *c, const char *text)
{
    char out[256] = "";
    size_t n = agw_chain_peek(c, out, sizeof(out)), sum = 0;
    assert_int_equal(n, strlen(text));
    assert_memory_equal(out, text, n);
    assert_int_equal(c->bytes, n);
    assert_int_equal(agw_chain_empty(c), n == 0);
    for (uint32_t i = 0; i < c->count; i++) {
        assert_int_not_equal(agw_chain_at(c, i)->n, 0);
        sum += agw_chain_at(c, i)->n;
    }
    assert_int_equal(sum, n);
}

static void test_pool_recycles(void **state)
{
    struct agw_block_pool pool;
    agw_block_pool_init(&pool, 1);
    struct agw_block *a = agw_block_get(&pool), *b = agw_block_get(&pool);
    assert_int_equal(pool.live, 2);
    assert_int_equal(a->cap, AGW_BLOCK_SIZE);
    a->len = 7;
    agw_block_unref(agw_block_ref(a));
    assert_int_equal(pool.live, 2);
    agw_block_unref(a);
    agw_block_unref(b);
    assert_int_equal(pool.live, 0);
    assert_int_equal(pool.idle, 1);
    b = agw_block_get(&pool);
    assert_ptr_equal(b, a);
    assert_int_equal(b->len, 0);
    assert_int_equal(b->refs, 1);
    assert_int_equal(pool.idle, 0);
    agw_block_unref(b);
    agw_block_unref(NULL);
    agw_block_pool_free(&pool);
}

static void test_block_of_any_size(void **state)
{
    struct agw_block *b = agw_block_new(3);
    assert_int_equal(b->cap, 3);
    agw_block_unref(b);
    assert_null(agw_block_new((size_t)UINT32_MAX + 1));
}

static void test_add_joins_neighbours(void **state)
{
    struct agw_block *b = agw_block_new(16);
    struct agw_chain c;
    memcpy(b->data, "abcdefgh", 8);
    agw_chain_init(&c);
    assert_int_equal(agw_chain_add(&c, b, b->data, 3), 0);
    assert_int_equal(agw_chain_add(&c, b, b->data + 3, 2), 0);
    assert_int_equal(c.count, 1);
    assert_int_equal(b->refs, 2);
    assert_int_equal(agw_chain_add(&c, b, b->data + 6, 2), 0);
    assert_int_equal(c.count, 2);
    assert_int_equal(b->refs, 3);
    assert_int_equal(agw_chain_add(&c, b, b->data, 0), 0);
    assert_holds(&c, "abcdegh");
    agw_chain_clear(&c);
    assert_int_equal(b->refs, 1);
    assert_holds(&c, "");
    agw_block_unref(b);
}

static void test_zeroed_chain_works(void **state)
{
    struct agw_chain c = {0};
    const char *const parts[] = {"a", "bb", "ccc", "d", "ee", "f", "gg"};
    for (size_t i = 0; i < 7; i++)
        assert_int_equal(agw_chain_add_static(&c, parts[i], strlen(parts[i])), 0);
    assert_holds(&c, "abbcccdeefgg");
    agw_chain_consume(&c, 4);
    assert_holds(&c, "ccdeefgg");
    agw_chain_consume(&c, 8);
    assert_null(c.v); /* an empty chain holds no memory */
}

static void test_copy_fills_the_last_block(void **state)
{
    struct agw_block_pool pool;
    struct agw_chain c;
    agw_block_pool_init(&pool, 4);
    agw_chain_init(&c);
    assert_int_equal(agw_chain_copy(&c, &pool, "hello ", 6), 0);
    assert_int_equal(agw_chain_copy(&c, &pool, "world", 5), 0);
    assert_int_equal(c.count, 1);
    assert_int_equal(pool.live, 1);
    assert_holds(&c, "hello world");
    struct agw_block *held = agw_block_ref(agw_chain_at(&c, 0)->block);
    assert_int_equal(agw_chain_copy(&c, &pool, "!", 1), 0); /* shared now: somebody may read past our end */
    assert_int_equal(pool.live, 2);
    assert_holds(&c, "hello world!");
    agw_block_unref(held);
    agw_chain_clear(&c);
    agw_block_pool_free(&pool);
}

static void test_copy_across_blocks(void **state)
{
    struct agw_block_pool pool;
    struct agw_chain c;
    size_t n = AGW_BLOCK_SIZE * 3 + 100;
    unsigned char *data = malloc(n), *out = malloc(n + 10);
    for (size_t i = 0; i < n; i++)
        data[i] = (unsigned char)(i * 7 + i / 251);
    agw_block_pool_init(&pool, 4);
    agw_chain_init(&c);
    assert_int_equal(agw_chain_copy(&c, &pool, data, 10), 0);
    assert_int_equal(agw_chain_copy(&c, &pool, data + 10, n - 10), 0);
    assert_int_equal(pool.live, 4);
    assert_int_equal(agw_chain_peek(&c, out, n + 10), n);
    assert_memory_equal(out, data, n);
    assert_int_equal(agw_chain_peek(&c, out, 20000), 20000);
    struct iovec iov[8];
    assert_int_equal(agw_chain_iov(&c, iov, 2), 2);
    assert_int_equal(agw_chain_iov(&c, iov, 8), 4);
    assert_int_equal(iov[0].iov_len + iov[1].iov_len + iov[2].iov_len + iov[3].iov_len, n);
    agw_chain_clear(&c);
    agw_block_pool_free(&pool);
    free(data);
    free(out);
}

static void test_move(void **state)
{
    struct agw_chain a, b;
    agw_chain_init(&a);
    agw_chain_init(&b);
    assert_int_equal(agw_chain_move(&a, &b), 0);
    agw_chain_add_static(&b, "one", 3);
    agw_chain_add_static(&b, "-two", 4);
    assert_int_equal(agw_chain_move_n(&a, &b, 0), 0);
    assert_int_equal(agw_chain_move_n(&a, &b, 5), 0);
    assert_holds(&a, "one-t");
    assert_holds(&b, "wo");
    assert_int_equal(agw_chain_move_n(&a, &b, 2), 0);
    assert_holds(&a, "one-two");
    assert_holds(&b, "");
    for (int i = 0; i < 6; i++)
        agw_chain_add_static(&b, i & 1 ? "x" : "y", 1);
    assert_int_equal(agw_chain_move(&a, &b), 0);
    assert_holds(&a, "one-twoyxyxyx");
    agw_chain_init(&b);
    assert_int_equal(agw_chain_move(&b, &a), 0); /* steals the array */
    assert_holds(&b, "one-twoyxyxyx");
    assert_holds(&a, "");
    agw_chain_clear(&b);
    agw_chain_clear(&a);
}

static void test_split_halves_join_again(void **state)
{
    struct agw_block *b = agw_block_new(8);
    struct agw_chain from, to;
    memcpy(b->data, "12345678", 8);
    agw_chain_init(&from);
    agw_chain_init(&to);
    agw_chain_add(&from, b, b->data, 8);
    agw_block_unref(b);
    assert_int_equal(agw_chain_move_n(&to, &from, 3), 0);
    assert_int_equal(b->refs, 2);
    assert_int_equal(agw_chain_move_n(&to, &from, 1), 0);
    assert_int_equal(agw_chain_move(&to, &from), 0);
    assert_int_equal(b->refs, 1);
    assert_int_equal(to.count, 1);
    assert_holds(&to, "12345678");
    agw_chain_clear(&to);
}

/* Against a plain string: random adds, copies, consumes and moves between two chains. */
static void test_random_operations(void **state)
{
    enum { SIZE = 1 << 16 };
    struct agw_block_pool pool;
    struct agw_chain c[2];
    char *model[2] = {malloc(SIZE * 2), malloc(SIZE * 2)}, *out = malloc(SIZE * 2);
    size_t n[2] = {0, 0};
    static const char text[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    struct agw_rng rng;
    agw_rng_init(&rng, 42);
    agw_block_pool_init(&pool, 2);
    agw_chain_init(&c[0]);
    agw_chain_init(&c[1]);
    for (int i = 0; i < 20000; i++) {
        int x = (int)agw_rng_below(&rng, 2), y = 1 - x;
        size_t k = agw_rng_below(&rng, sizeof(text)), m = n[x] ? agw_rng_below(&rng, (uint32_t)n[x] + 1) : 0;
        switch (agw_rng_below(&rng, 4)) {
        case 0:
        case 1:
            if (n[x] + k > SIZE)
                break;
            assert_int_equal(
                i & 1 ? agw_chain_copy(&c[x], &pool, text, k) : agw_chain_add_static(&c[x], text, k), 0);
            memcpy(model[x] + n[x], text, k);
            n[x] += k;
            break;
        case 2:
            agw_chain_consume(&c[x], m / 4);
            memmove(model[x], model[x] + m / 4, n[x] - m / 4);
            n[x] -= m / 4;
            break;
        default:
            if (n[y] + m > SIZE)
                break;
            assert_int_equal(agw_chain_move_n(&c[y], &c[x], m), 0);
            memcpy(model[y] + n[y], model[x], m);
            memmove(model[x], model[x] + m, n[x] - m);
            n[y] += m;
            n[x] -= m;
        }
        assert_int_equal(c[x].bytes, n[x]);
        if (i % 64 == 0) {
            assert_int_equal(agw_chain_peek(&c[x], out, SIZE * 2), n[x]);
            assert_memory_equal(out, model[x], n[x]);
        }
    }
    agw_chain_clear(&c[0]);
    agw_chain_clear(&c[1]);
    agw_block_pool_free(&pool);
    free(model[0]);
    free(model[1]);
    free(out);
}

static void test_out_of_memory_changes_nothing(void **state)
{
    static char data[AGW_BLOCK_SIZE * 6];
    bool done = false;
    for (long n = 1; !done; n++) {
        struct agw_block_pool pool;
        struct agw_chain c, to;
        agw_block_pool_init(&pool, 0);
        agw_chain_init(&c);
        agw_chain_init(&to);
        assert_int_equal(agw_chain_copy(&c, &pool, "start", 5), 0);
        failmalloc_at(n);
        int r = agw_chain_copy(&c, &pool, data, sizeof(data));
        if (r) {
            assert_int_equal(r, AGW_ENOMEM);
            assert_holds(&c, "start");
            assert_int_equal(pool.live, 1);
        } else {
            r = agw_chain_add_static(&to, "x", 1);
            if (!r)
                r = agw_chain_move_n(&to, &c, sizeof(data));
            assert_int_equal(to.bytes + c.bytes, sizeof(data) + 5 + 1);
        }
        done = failmalloc_count() < n;
        failmalloc_at(0);
        assert_int_equal(r, done ? 0 : AGW_ENOMEM);
        agw_chain_clear(&c);
        agw_chain_clear(&to);
        agw_block_pool_free(&pool);
    }
}

static void test_flatten(void **state)
{
    struct agw_block *b = agw_block_new(8), *held;
    struct agw_chain c;
    struct agw_str got;
    agw_chain_init(&c);
    memcpy(b->data, "abcdefgh", 8);
    assert_int_equal(agw_chain_flatten(&c, &held, &got), 0); /* of nothing */
    assert_int_equal(got.n, 0);
    agw_block_unref(held);
    assert_int_equal(agw_chain_add(&c, b, b->data + 1, 3), 0);
    assert_int_equal(agw_chain_flatten(&c, &held, &got), 0);
    assert_ptr_equal(held, b); /* one slice is not copied */
    assert_true(agw_str_eq(got, AGW_STR("bcd")) && agw_chain_empty(&c));
    agw_block_unref(held);
    assert_int_equal(agw_chain_add(&c, b, b->data, 1), 0);
    assert_int_equal(agw_chain_add_static(&c, "xyz", 3), 0);
    failmalloc_at(1);
    assert_int_equal(agw_chain_flatten(&c, &held, &got), AGW_ENOMEM);
    failmalloc_at(0);
    assert_holds(&c, "axyz");
    assert_int_equal(agw_chain_flatten(&c, &held, &got), 0);
    assert_true(agw_str_eq(got, AGW_STR("axyz")) && agw_chain_empty(&c));
    agw_block_unref(held);
    agw_block_unref(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pool_recycles),
        cmocka_unit_test(test_block_of_any_size),
        cmocka_unit_test(test_add_joins_neighbours),
        cmocka_unit_test(test_zeroed_chain_works),
        cmocka_unit_test(test_flatten),
        cmocka_unit_test(test_copy_fills_the_last_block),
        cmocka_unit_test(test_copy_across_blocks),
        cmocka_unit_test(test_move),
        cmocka_unit_test(test_split_halves_join_again),
        cmocka_unit_test(test_random_operations),
        cmocka_unit_test(test_out_of_memory_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
