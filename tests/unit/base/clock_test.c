#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <time.h>
#include "base/clock.h"
#include "base/err.h"

static void test_known_dates(void **state)
{
    char out[30];
    agw_clock_http(784111777ull * AGW_NS_PER_S, out);
    assert_string_equal(out, "Sun, 06 Nov 1994 08:49:37 GMT");
    agw_clock_http(0, out);
    assert_string_equal(out, "Thu, 01 Jan 1970 00:00:00 GMT");
    agw_clock_rfc3339(951826154ull * AGW_NS_PER_S + 987654321, out);
    assert_string_equal(out, "2000-02-29T12:09:14.987Z");
    agw_clock_rfc3339(UINT64_MAX, out);
    assert_string_equal(out, "2554-07-21T23:34:33.709Z");
}

static void test_every_day_against_libc(void **state)
{
    for (uint64_t day = 0; day < 213000; day++) {
        time_t t = (time_t)(day * 86400 + day % 86400);
        struct tm tm;
        char want[40], got[30];
        gmtime_r(&t, &tm);
        strftime(want, sizeof(want), "%a, %d %b %Y %H:%M:%S GMT", &tm);
        agw_clock_http((uint64_t)t * AGW_NS_PER_S, got);
        assert_string_equal(got, want);
        uint64_t back;
        agw_clock_rfc3339((uint64_t)t * AGW_NS_PER_S, got);
        assert_int_equal(agw_clock_parse_rfc3339(agw_str_c(got), &back), 0);
        assert_int_equal(back, (uint64_t)t * AGW_NS_PER_S);
    }
}

static void parses(const char *text, uint64_t want)
{
    uint64_t got;
    assert_int_equal(agw_clock_parse_rfc3339(agw_str_c(text), &got), 0);
    assert_int_equal(got, want);
}

static void test_parse(void **state)
{
    parses("1970-01-01T00:00:00Z", 0);
    parses("1970-01-01t00:00:01z", AGW_NS_PER_S);
    parses("1970-01-01T01:00:00.5+01:00", 500000000);
    parses("1969-12-31T23:00:00-01:00", 0);
    parses("1970-01-01T00:00:00.1234567899Z", 123456789);
    parses("1990-12-31T15:59:60-08:00", 662688000ull * AGW_NS_PER_S);
    parses("2024-02-29T00:00:00Z", 1709164800ull * AGW_NS_PER_S);
}

static void test_parse_refuses(void **state)
{
    const char *const bad[] = {"",
                               "1970",
                               "1970-01-01",
                               "1970-01-01T00:00:00",
                               "1970-01-01 00:00:00Z",
                               "1970-1-01T00:00:00Z",
                               "1970-13-01T00:00:00Z",
                               "1970-00-01T00:00:00Z",
                               "2023-02-29T00:00:00Z",
                               "2100-02-29T00:00:00Z",
                               "2023-04-31T00:00:00Z",
                               "1970-01-01T24:00:00Z",
                               "1970-01-01T00:60:00Z",
                               "1970-01-01T00:00:61Z",
                               "1970-01-01T00:00:00.Z",
                               "1970-01-01T00:00:00ZZ",
                               "1970-01-01T00:00:00+0100",
                               "1970-01-01T00:00:00+24:00",
                               "1970-01-01T00:00:00+01:60",
                               "1970-01-01T00:30:00+01:00",
                               "1968-12-31T23:59:59Z",
                               "2600-01-01T00:00:00Z",
                               "-970-01-01T00:00:00Z",
                               "1970-01-01T0x:00:00Z"};
    uint64_t got = 5;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(agw_clock_parse_rfc3339(agw_str_c(bad[i]), &got), AGW_EINVAL);
    assert_int_equal(got, 5);
}

static void test_clocks_run(void **state)
{
    uint64_t a = agw_clock_ns(), b = agw_clock_ns();
    assert_true(b >= a);
    assert_true(agw_clock_wall_ns() > 1700000000ull * AGW_NS_PER_S);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_dates), cmocka_unit_test(test_every_day_against_libc),
        cmocka_unit_test(test_parse),       cmocka_unit_test(test_parse_refuses),
        cmocka_unit_test(test_clocks_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
