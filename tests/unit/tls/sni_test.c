#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>
#include "tls/tls_int.h"

static size_t build(unsigned char *out, const char *name, size_t n)
{
    out[0] = (unsigned char)((n + 3) >> 8);
    out[1] = (unsigned char)(n + 3);
    out[2] = 0;
    out[3] = (unsigned char)(n >> 8);
    out[4] = (unsigned char)n;
    memcpy(out + 5, name, n);
    return n + 5;
}

static void test_good(void **state)
{
    unsigned char ext[600];
    struct agw_str name;
    char longest[255];

    assert_int_equal(agw_tls_sni_parse(ext, build(ext, "A.test", 6), &name), 0);
    assert_true(agw_str_eq(name, AGW_STR("A.test")));
    memset(longest, 'a', sizeof(longest));
    assert_int_equal(agw_tls_sni_parse(ext, build(ext, longest, 255), &name), 0);
    assert_int_equal(name.n, 255);
}

static void test_bad(void **state)
{
    unsigned char ext[600];
    struct agw_str name = AGW_STR("untouched");
    char long_name[300];
    size_t n = build(ext, "a.test", 6);

    for (size_t cut = 0; cut < n; cut++)
        assert_int_equal(agw_tls_sni_parse(ext, cut, &name), AGW_EPROTO);
    assert_int_equal(agw_tls_sni_parse(ext, n + 1, &name), AGW_EPROTO);
    for (size_t i = 0; i < 5; i++) { /* list length, type and name length, each one off */
        build(ext, "a.test", 6);
        ext[i]++;
        assert_int_equal(agw_tls_sni_parse(ext, n, &name), AGW_EPROTO);
    }
    assert_int_equal(agw_tls_sni_parse(ext, build(ext, "", 0), &name), AGW_EPROTO);
    assert_int_equal(agw_tls_sni_parse(ext, build(ext, "a\0b", 3), &name), AGW_EPROTO);
    memset(long_name, 'a', sizeof(long_name));
    assert_int_equal(agw_tls_sni_parse(ext, build(ext, long_name, 256), &name), AGW_EPROTO);
    assert_string_equal(name.p, "untouched");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_good), cmocka_unit_test(test_bad)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
