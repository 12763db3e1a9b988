#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/err.h"
#include "base/str.h"

#define S AGW_STR

static const struct agw_str none = {NULL, 0};

static void test_compare(void **state)
{
    assert_true(agw_str_eq(S("a"), S("a")));
    assert_true(agw_str_eq(none, S("")));
    assert_false(agw_str_eq(S("a"), S("b")));
    assert_false(agw_str_eq(S("a"), S("ab")));
    assert_true(agw_str_ieq(S("Content-TYPE"), S("content-type")));
    assert_false(agw_str_ieq(S("@["), S("`{")));
    assert_false(agw_str_ieq(S("\xc3\x84"), S("\xc3\xa4")));
    assert_int_equal(agw_str_cmp(S("a"), S("b")), -1);
    assert_int_equal(agw_str_cmp(S("\xff"), S("b")), 1);
    assert_int_equal(agw_str_cmp(S("ab"), S("a")), 1);
    assert_int_equal(agw_str_cmp(none, S("")), 0);
    assert_int_equal(agw_str_cmp(none, S("a")), -1);
    assert_int_equal(agw_str_c(NULL).n, 0);
}

static void test_starts_ends_find(void **state)
{
    assert_true(agw_str_starts(S("abc"), S("ab")));
    assert_true(agw_str_starts(S("abc"), none));
    assert_false(agw_str_starts(S("a"), S("ab")));
    assert_true(agw_str_ends(S("abc"), S("bc")));
    assert_false(agw_str_ends(S("c"), S("bc")));
    assert_true(agw_str_ends(none, none));
    assert_int_equal(agw_str_find(S("a:b:"), ':'), 1);
    assert_int_equal(agw_str_find(S("ab"), ':'), -1);
    assert_int_equal(agw_str_find(none, ':'), -1);
    assert_int_equal(agw_str_search(S("a::b"), S("::")), 1);
    assert_int_equal(agw_str_search(S("a:"), S("::")), -1);
    assert_int_equal(agw_str_search(none, none), 0);
    assert_int_equal(agw_str_search(none, S("x")), -1);
}

static void test_trim(void **state)
{
    assert_true(agw_str_eq(agw_str_trim(S(" \t a b\t ")), S("a b")));
    assert_int_equal(agw_str_trim(S(" \t ")).n, 0);
    assert_int_equal(agw_str_trim(none).n, 0);
    assert_true(agw_str_eq(agw_str_trim(S("\ra\n")), S("\ra\n")));
}

static void test_split(void **state)
{
    struct agw_str rest = S("a, b ,,c,"), part = none;
    const char *const want[] = {"a", "b", "", "c"};
    for (int i = 0; i < 4; i++) {
        assert_true(agw_str_split(&rest, ',', &part));
        assert_true(agw_str_eq(part, agw_str_c(want[i])));
    }
    assert_false(agw_str_split(&rest, ',', &part));
    assert_true(agw_str_eq(part, S("c")));
    rest = none;
    assert_false(agw_str_split(&rest, ',', &part));
}

static void test_u64(void **state)
{
    const char *const bad[] = {
        "", "-1", "+1", " 1", "1 ", "0x1", "1.0", "18446744073709551616", "99999999999999999999999"};
    uint64_t x = 3;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(agw_str_u64(agw_str_c(bad[i]), &x), AGW_EINVAL);
    assert_int_equal(x, 3);
    assert_int_equal(agw_str_u64(S("18446744073709551615"), &x), 0);
    assert_true(x == UINT64_MAX);
    assert_int_equal(agw_str_u64(S("007"), &x), 0);
    assert_int_equal(x, 7);
}

static void test_utf8(void **state)
{
    const char *const good[] = {"",
                                "plain ascii text",
                                "gr\xc3\xbc\xc3\x9f",
                                "\xe2\x82\xac",
                                "\xf0\x9f\x98\x80",
                                "\xed\x9f\xbf",
                                "\xee\x80\x80",
                                "\xf4\x8f\xbf\xbf",
                                "\xe0\xa0\x80",
                                "\xc2\x80"};
    const char *const bad[] = {"\x80",
                               "\xc0\xaf",
                               "\xc1\xbf",
                               "\xc3",
                               "\xe2\x82",
                               "\xe0\x9f\xbf",
                               "\xed\xa0\x80",
                               "\xf0\x8f\xbf\xbf",
                               "\xf4\x90\x80\x80",
                               "\xf5\x80\x80\x80",
                               "\xff",
                               "\xc3(",
                               "\xe2(\xa1",
                               "\xf0\x9f\x98",
                               "\xf0\x9f(\x80",
                               "12345678\xc3",
                               "1234567\xc3"
                               "4567890"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(agw_str_is_utf8(agw_str_c(good[i])));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(agw_str_is_utf8(agw_str_c(bad[i])));
    assert_true(agw_str_is_utf8(S("a\0b")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compare), cmocka_unit_test(test_starts_ends_find),
        cmocka_unit_test(test_trim),    cmocka_unit_test(test_split),
        cmocka_unit_test(test_u64),     cmocka_unit_test(test_utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
