/* The forms of names, paths and durations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/check.h"
#include "gwapi/schema/names.h"

static void forms(void **state)
{
    static const struct {
        bool (*form)(struct agw_str s);
        const char *text;
        bool ok;
    } rows[] = {
        {agw_is_label, "a-1", true},
        {agw_is_label, "", false},
        {agw_is_label, "-a", false},
        {agw_is_label, "A", false},
        {agw_is_label, "a.b", false},
        {agw_is_label, "a23456789012345678901234567890123456789012345678901234567890123", true},
        {agw_is_label, "a234567890123456789012345678901234567890123456789012345678901234", false},
        {agw_is_subdomain, "a.b-c.d", true},
        {agw_is_subdomain, "a..b", false},
        {agw_is_subdomain, "a.", false},
        {agw_is_subdomain, ".a", false},
        {agw_is_subdomain, "a.-b", false},
        {agw_is_group, "", true},
        {agw_is_kind, "HTTPRoute", true},
        {agw_is_kind, "1x", false},
        {agw_is_hostname, "*.a.com", true},
        {agw_is_hostname, "a.*.com", false},
        {agw_is_hostname, "*", false},
        {agw_is_hostname, "*.", false},
        {agw_is_hostname, "10.0.0.1", false},
        {agw_is_hostname, "A.com", false},
        {agw_is_precise_hostname, "*.a.com", false},
        {agw_is_host, "127.0.0.1", true},
        {agw_is_host, "::1", true},
        {agw_is_host, "a.com", true},
        {agw_is_host, "a.com:80", false},
        {agw_is_host, "http://a.com", false},
        {agw_is_token, "X-A!", true},
        {agw_is_token, "a b", false},
        {agw_is_token, "a:", false},
        {agw_is_token, "", false},
        {agw_is_field_value, "a b\tc", true},
        {agw_is_field_value, "a\r\nb", false},
        {agw_is_field_value, " a", false},
        {agw_is_path, "/", true},
        {agw_is_path, "/a/b.c/", true},
        {agw_is_path, "a", false},
        {agw_is_path, "", false},
        {agw_is_path, "/a//b", false},
        {agw_is_path, "/a/../b", false},
        {agw_is_path, "/a/..", false},
        {agw_is_path, "/a%2Fb", false},
        {agw_is_path, "/a?b", false},
        {agw_is_path, "/a b", false},
        {agw_is_absolute_path, "/a//b?c", true},
        {agw_is_timestamp, "2026-01-02T03:04:05Z", true},
        {agw_is_timestamp, "2026-01-02", false},
    };
    size_t i;

    for (i = 0; i < AGW_ARRAY_LEN(rows); i++) {
        if (rows[i].form(agw_str_c(rows[i].text)) != rows[i].ok)
            fail_msg("row %zu: \"%s\"", i, rows[i].text);
    }
}

static void origins(void **state)
{
    static const struct {
        const char *text;
        bool ok;
    } rows[] = {
        {"*", true},
        {"https://a.example.com", true},
        {"https://*.example.com:8443", true},
        {"http://*", true},
        {"https://a.*.com", false},
        {"https://*a.com", false},
        {"https://a.com/", false},
        {"https://a.com:", false},
        {"https://a.com:99999", false},
        {"https://", false},
        {"a.com", false},
        {"://a.com", false},
    };

    for (size_t i = 0; i < AGW_ARRAY_LEN(rows); i++) {
        if (agw_is_origin(agw_str_c(rows[i].text)) != rows[i].ok)
            fail_msg("row %zu: \"%s\"", i, rows[i].text);
    }
}

static void durations(void **state)
{
    static const struct {
        const char *text;
        uint64_t ms;
    } good[] = {{"0s", 0},      {"1h", 3600000},    {"1h30m", 5400000},
                {"500ms", 500}, {"1m1s1ms", 61001}, {"99999h", 359996400000}};
    static const char *const bad[] = {"",   "1",       "s",          "1.5s", "-1s",
                                      "1d", "100000s", "1h1h1h1h1h", "1s ",  "1us"};
    uint64_t ms;
    size_t i;

    for (i = 0; i < AGW_ARRAY_LEN(good); i++) {
        assert_int_equal(agw_duration_ms(agw_str_c(good[i].text), &ms), 0);
        assert_int_equal(ms, good[i].ms);
    }
    ms = 42;
    for (i = 0; i < AGW_ARRAY_LEN(bad); i++)
        assert_int_equal(agw_duration_ms(agw_str_c(bad[i]), &ms), AGW_EINVAL);
    assert_int_equal(ms, 42);
}

static void sizes(void **state)
{
    static const struct {
        const char *text;
        uint64_t value;
    } good[] = {{"0", 0},
                {"1", 1},
                {"64Ki", 65536},
                {"1.5k", 1500},
                {"0.1", 1},
                {".5Mi", 524288},
                {"2M", 2000000},
                {"1Gi", 1 << 30},
                {"1E", 1000000000000000000u},
                {"1.", 1},
                {"4294967295", 4294967295u}};
    static const char *const bad[] = {
        "", ".", "Ki", "-1", "+1", "1K", "1ki", "1 Ki", "1.2.3", "1e3", "16Ei", "1m", "1234567890123456789"};
    uint64_t n = 42;
    (void)state;

    for (size_t i = 0; i < AGW_ARRAY_LEN(bad); i++)
        assert_int_equal(agw_quantity(agw_str_c(bad[i]), &n), AGW_EINVAL);
    assert_int_equal(n, 42);
    for (size_t i = 0; i < AGW_ARRAY_LEN(good); i++) {
        assert_int_equal(agw_quantity(agw_str_c(good[i].text), &n), 0);
        assert_int_equal(n, good[i].value);
    }
    assert_false(agw_is_size(AGW_STR("0")));
    assert_true(agw_is_size(AGW_STR("4294967295")));
    assert_false(agw_is_size(AGW_STR("4Gi")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms),
        cmocka_unit_test(origins),
        cmocka_unit_test(durations),
        cmocka_unit_test(sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
