#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include "base/err.h"
#include "base/str.h"

static void check(const char *plain, const char *encoded, bool url)
{
    char out[64];
    unsigned char back[64];
    size_t n = agw_base64_encode(plain, strlen(plain), url, out);
    assert_int_equal(n, strlen(encoded));
    assert_memory_equal(out, encoded, n);
    size_t got = 99;
    assert_int_equal(agw_base64_decode(agw_str(out, n), url, back, &got), 0);
    assert_int_equal(got, strlen(plain));
    assert_memory_equal(back, plain, got);
}

static void test_rfc4648_examples(void **state)
{
    const char *const cases[][2] = {{"", ""},
                                    {"f", "Zg=="},
                                    {"fo", "Zm8="},
                                    {"foo", "Zm9v"},
                                    {"foob", "Zm9vYg=="},
                                    {"fooba", "Zm9vYmE="},
                                    {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        check(cases[i][0], cases[i][1], false);
    check("f", "Zg", true);
    check("fo", "Zm8", true);
    check("\xfb\xff", "-_8", true);
    check("\xfb\xff", "+/8=", false);
}

static void test_all_lengths(void **state)
{
    unsigned char data[64], back[64 + 3];
    char text[AGW_BASE64_SIZE(64)];
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (unsigned char)(i * 37 + 11);
    for (int url = 0; url < 2; url++) {
        for (size_t n = 0; n <= sizeof(data); n++) {
            size_t size = agw_base64_encode(data, n, url, text), got;
            assert_true(size <= AGW_BASE64_SIZE(n));
            assert_int_equal(agw_base64_decode(agw_str(text, size), url, back, &got), 0);
            assert_int_equal(got, n);
            assert_memory_equal(back, data, n);
        }
    }
}

static void test_refuses(void **state)
{
    const char *const standard[] = {"Z", "Zg",       "Zg=",    "Zg===", "Zh==", "Zm9=", "Z===", "====",
                                    "=", "Zg==Zg==", "Zm9v\n", "Zm 9",  "Zm9-", "Zm9_", "Zm=v", "Z\xc3\xa9g"};
    const char *const url[] = {"Z", "Zg==", "Zh", "Zm9v+", "Zm9/", "Zm9vY", "Zm9=", "Zm8="};
    unsigned char out[64];
    size_t n = 77;
    for (size_t i = 0; i < sizeof(standard) / sizeof(standard[0]); i++)
        assert_int_equal(agw_base64_decode(agw_str_c(standard[i]), false, out, &n), AGW_EINVAL);
    for (size_t i = 0; i < sizeof(url) / sizeof(url[0]); i++)
        assert_int_equal(agw_base64_decode(agw_str_c(url[i]), true, out, &n), AGW_EINVAL);
    assert_int_equal(agw_base64_decode(agw_str("Zm8\0", 4), false, out, &n), AGW_EINVAL);
    assert_int_equal(n, 77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rfc4648_examples),
        cmocka_unit_test(test_all_lengths),
        cmocka_unit_test(test_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
