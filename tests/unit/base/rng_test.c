#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include "base/rng.h"

static void test_known_sequence(void **state)
{
    struct agw_rng r = {{1, 2, 3, 4}};
    assert_true(agw_rng_next(&r) == 11520);
    assert_true(agw_rng_next(&r) == 0);
    assert_true(agw_rng_next(&r) == 1509978240);
}

static void test_seeds_differ(void **state)
{
    struct agw_rng a, b;
    agw_rng_init(&a, 0);
    agw_rng_init(&b, 1);
    assert_true(a.s[0] | a.s[1] | a.s[2] | a.s[3]);
    assert_true(agw_rng_next(&a) != agw_rng_next(&b));
}

static void test_below_is_even(void **state)
{
    struct agw_rng r;
    unsigned counts[7] = {0};
    agw_rng_init(&r, 99);
    for (int i = 0; i < 70000; i++) {
        uint32_t x = agw_rng_below(&r, 7);
        assert_true(x < 7);
        counts[x]++;
    }
    for (int i = 0; i < 7; i++)
        assert_in_range(counts[i], 9500, 10500);
    assert_int_equal(agw_rng_below(&r, 1), 0);
    assert_true(agw_rng_below(&r, UINT32_MAX) < UINT32_MAX);
}

static void test_random_fills_everything(void **state)
{
    unsigned char a[600], zero[16] = {0};
    memset(a, 0, sizeof(a));
    agw_random(a, sizeof(a));
    for (size_t i = 0; i + 16 <= sizeof(a); i += 16)
        assert_memory_not_equal(a + i, zero, 16);
    agw_random(a, 0);
}

static void test_uuid(void **state)
{
    char a[37], b[37];
    for (int i = 0; i < 100; i++) {
        agw_random_uuid(a);
        agw_random_uuid(b);
        assert_int_equal(strlen(a), 36);
        assert_int_equal(strspn(a, "0123456789abcdef-"), 36);
        assert_true(a[8] == '-' && a[13] == '-' && a[18] == '-' && a[23] == '-');
        assert_int_equal(a[14], '4');
        assert_non_null(strchr("89ab", a[19]));
        assert_string_not_equal(a, b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_sequence), cmocka_unit_test(test_seeds_differ),
        cmocka_unit_test(test_below_is_even),  cmocka_unit_test(test_random_fills_everything),
        cmocka_unit_test(test_uuid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
