#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include "base/arena.h"
#include "failmalloc.h"

static void test_alignment_and_distinctness(void **state)
{
    struct agw_arena a;
    agw_arena_init(&a, 256, 0);
    char *before = NULL;
    for (size_t n = 0; n < 300; n++) {
        char *p = agw_arena_alloc(&a, n);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 16, 0);
        assert_ptr_not_equal(p, before);
        memset(p, 0xaa, n);
        before = p;
    }
    agw_arena_free(&a);
}

static void test_neighbours_keep_their_bytes(void **state)
{
    struct agw_arena a;
    unsigned char *p[500];
    agw_arena_init(&a, 512, 0);
    for (int i = 0; i < 500; i++) {
        size_t n = (size_t)i % 97 == 96 ? 100000 : (size_t)i;
        p[i] = agw_arena_alloc(&a, n);
        memset(p[i], i & 0xff, n);
    }
    for (int i = 0; i < 500; i++) {
        size_t n = (size_t)i % 97 == 96 ? 100000 : (size_t)i;
        for (size_t k = 0; k < n; k++)
            assert_int_equal(p[i][k], i & 0xff);
    }
    agw_arena_free(&a);
}

static void test_a_large_request_leaves_the_open_block_open(void **state)
{
    struct agw_arena a;
    agw_arena_init(&a, 1024, 0);
    char *first = agw_arena_alloc(&a, 16);
    assert_non_null(agw_arena_alloc(&a, 200000));
    assert_non_null(agw_arena_alloc(&a, 100000));
    char *second = agw_arena_alloc(&a, 16);
#ifndef AGW_ARENA_MALLOC
    assert_ptr_equal(second, first + 16);
#else
    assert_ptr_not_equal(second, first);
#endif
    agw_arena_free(&a);
}

static void test_zalloc(void **state)
{
    struct agw_arena a;
    agw_arena_init(&a, 256, 0);
    memset(agw_arena_alloc(&a, 100), 0xff, 100);
    agw_arena_reset(&a);
    unsigned char *p = agw_arena_zalloc(&a, 100);
    for (int i = 0; i < 100; i++)
        assert_int_equal(p[i], 0);
    agw_arena_free(&a);
}

static void test_limit(void **state)
{
    struct agw_arena a;
    agw_arena_init(&a, 256, 1000);
    assert_null(agw_arena_alloc(&a, 1001));
    assert_non_null(agw_arena_alloc(&a, 500));
    assert_null(agw_arena_alloc(&a, 512));
    assert_non_null(agw_arena_alloc(&a, 100));
    assert_null(agw_arena_alloc(&a, SIZE_MAX));
    assert_null(agw_arena_alloc(&a, SIZE_MAX - 8));
    agw_arena_reset(&a);
    assert_int_equal(a.used, 0);
    assert_non_null(agw_arena_alloc(&a, 512));
    agw_arena_free(&a);
}

static void test_absurd_sizes(void **state)
{
    struct agw_arena a;
    agw_arena_init(&a, 0, 0);
    assert_null(agw_arena_alloc(&a, SIZE_MAX));
    assert_null(agw_arena_alloc(&a, PTRDIFF_MAX));
    struct agw_str parts[2] = {{"x", SIZE_MAX}, {"y", 2}};
    assert_null(agw_arena_join(&a, parts, 2).p);
    assert_null(agw_arena_join(&a, parts, 1).p);
    agw_arena_free(&a);
}

static void test_reset_keeps_the_first_block(void **state)
{
    struct agw_arena a;
    agw_arena_init(&a, 1024, 0);
    void *first = agw_arena_alloc(&a, 8);
    for (int i = 0; i < 1000; i++)
        assert_non_null(agw_arena_alloc(&a, 100));
    agw_arena_reset(&a);
#ifndef AGW_ARENA_MALLOC
    failmalloc_at(1);
    assert_ptr_equal(agw_arena_alloc(&a, 8), first);
    failmalloc_at(0);
#else
    (void)first;
#endif
    agw_arena_free(&a);
    assert_null(a.blocks);
    assert_non_null(agw_arena_alloc(&a, 8));
    agw_arena_free(&a);
}

static void test_reset_of_an_arena_with_large_requests_alone(void **state)
{
    struct agw_arena a;
    agw_arena_init(&a, 256, 0);
    assert_non_null(agw_arena_alloc(&a, 5000));
    assert_non_null(agw_arena_alloc(&a, 5000));
    agw_arena_reset(&a);
    assert_null(a.blocks);
    assert_non_null(agw_arena_alloc(&a, 16));
    agw_arena_free(&a);
}

static void test_copies(void **state)
{
    struct agw_arena a;
    agw_arena_init(&a, 256, 0);
    assert_memory_equal(agw_arena_copy(&a, "abc", 3), "abc", 3);
    assert_non_null(agw_arena_copy(&a, NULL, 0));
    struct agw_str s = agw_arena_str(&a, AGW_STR("Hello"));
    assert_int_equal(s.n, 5);
    assert_string_equal(s.p, "Hello");
    s = agw_arena_str(&a, agw_str(NULL, 0));
    assert_string_equal(s.p, "");
    s = agw_arena_lower(&a, AGW_STR("X-[\\Z@\xc3\x84z"));
    assert_string_equal(s.p, "x-[\\z@\xc3\x84z");
    struct agw_str parts[] = {AGW_STR("a"), {NULL, 0}, AGW_STR("bc")};
    s = agw_arena_join(&a, parts, 3);
    assert_int_equal(s.n, 3);
    assert_string_equal(s.p, "abc");
    s = agw_arena_join(&a, NULL, 0);
    assert_string_equal(s.p, "");
    agw_arena_free(&a);
}

static void test_printf(void **state)
{
    struct agw_arena a;
    agw_arena_init(&a, 256, 0);
    struct agw_str s = agw_arena_printf(&a, "%d-%s", 7, "x");
    assert_int_equal(s.n, 3);
    assert_string_equal(s.p, "7-x");
    for (int width = 254; width < 260; width++) {
        s = agw_arena_printf(&a, "%*d", width, 5);
        assert_int_equal(s.n, width);
        assert_int_equal(s.p[s.n], 0);
        assert_int_equal(s.p[s.n - 1], '5');
    }
    agw_arena_free(&a);
}

static void test_out_of_memory(void **state)
{
    for (long n = 1;; n++) {
        struct agw_arena a;
        int failed = 0;
        agw_arena_init(&a, 256, 0);
        failmalloc_at(n);
        for (size_t size = 1; size < 40000; size = size * 3 + 1)
            failed += agw_arena_alloc(&a, size) == NULL;
        failed += agw_arena_printf(&a, "%300d", 1).p == NULL;
        failed += agw_arena_lower(&a, AGW_STR("A")).p == NULL;
        long calls = failmalloc_count();
        failmalloc_at(0);
        assert_int_equal(failed, calls >= n);
        assert_non_null(agw_arena_alloc(&a, 100));
        agw_arena_free(&a);
        if (calls < n)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alignment_and_distinctness),
        cmocka_unit_test(test_neighbours_keep_their_bytes),
        cmocka_unit_test(test_a_large_request_leaves_the_open_block_open),
        cmocka_unit_test(test_zalloc),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_absurd_sizes),
        cmocka_unit_test(test_reset_keeps_the_first_block),
        cmocka_unit_test(test_reset_of_an_arena_with_large_requests_alone),
        cmocka_unit_test(test_copies),
        cmocka_unit_test(test_printf),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
