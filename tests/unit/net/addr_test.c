#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <string.h>
#include "net/addr.h"

static const char *text_of(const struct agw_addr *a)
{
    static char out[AGW_ADDR_TEXT];
    memset(out, 'x', sizeof(out));
    size_t n = agw_addr_format(a, out);
    assert_int_equal(n, strlen(out));
    return out;
}

static void test_ip(void **state)
{
    static const struct {
        const char *in, *out, *ip;
    } good[] = {
        {"127.0.0.1", "127.0.0.1:80", "127.0.0.1"},
        {"0.0.0.0", "0.0.0.0:80", "0.0.0.0"},
        {"255.255.255.255", "255.255.255.255:80", "255.255.255.255"},
        {"::1", "[::1]:80", "::1"},
        {"[::1]", "[::1]:80", "::1"},
        {"2001:DB8::A", "[2001:db8::a]:80", "2001:db8::a"},
        {"::ffff:1.2.3.4", "[::ffff:1.2.3.4]:80", "::ffff:1.2.3.4"},
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct agw_addr a;
        char ip[AGW_ADDR_TEXT];
        assert_int_equal(agw_addr_ip(agw_str_c(good[i].in), 80, &a), 0);
        assert_string_equal(text_of(&a), good[i].out);
        agw_addr_format_ip(&a, ip);
        assert_string_equal(ip, good[i].ip);
        assert_int_equal(agw_addr_port(&a), 80);
    }
    static const char *const bad[] = {
        "",
        "localhost",
        "1.2.3",
        "1.2.3.4.5",
        "256.1.1.1",
        "1.2.3.4 ",
        "01.2.3.4",
        "[127.0.0.1]",
        "[::1",
        "::1]",
        "fe80::1%lo",
        "[]",
        "1.2.3.4:80",
        "::1::",
        "0x7f.1",
        "2130706433",
        "12345678901234567890123456789012345678901234567890123456789012345678901234567890",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct agw_addr a = {.n = 77};
        assert_int_equal(agw_addr_ip(agw_str_c(bad[i]), 80, &a), AGW_EINVAL);
        assert_int_equal(a.n, 77);
    }
    struct agw_addr a;
    assert_int_equal(agw_addr_ip(agw_str("1.2.3.4\0x", 9), 80, &a), AGW_EINVAL);
}

static void test_parse(void **state)
{
    static const char *const good[][2] = {
        {"127.0.0.1:8080", "127.0.0.1:8080"},
        {"[::1]:80", "[::1]:80"},
        {":15020", "[::]:15020"},
        {"0.0.0.0:0", "0.0.0.0:0"},
        {"localhost:1", "127.0.0.1:1"},
        {"[2001:db8::1]:65535", "[2001:db8::1]:65535"},
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct agw_addr a;
        assert_int_equal(agw_addr_parse(agw_str_c(good[i][0]), &a, NULL), 0);
        assert_string_equal(text_of(&a), good[i][1]);
    }
    static const char *const bad[] = {"",
                                      "80",
                                      "127.0.0.1",
                                      "127.0.0.1:",
                                      "127.0.0.1:65536",
                                      "::1:80",
                                      "[::1]80",
                                      "[::1]",
                                      "host:80",
                                      "127.0.0.1:-1",
                                      "127.0.0.1:8o",
                                      "[::1:80",
                                      "127.0.0.1: 80",
                                      "1.1.1.1:99999999999999999999",
                                      "a:b:c"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct agw_addr a = {.n = 77};
        struct agw_error err = {0};
        assert_int_equal(agw_addr_parse(agw_str_c(bad[i]), &a, &err), AGW_EINVAL);
        assert_int_equal(err.code, AGW_EINVAL);
        assert_non_null(strstr(err.text, bad[i]));
        assert_int_equal(a.n, 77);
    }
}

static void test_unix(void **state)
{
    struct agw_addr a, b;
    char path[200];

    assert_int_equal(agw_addr_unix(AGW_STR("/tmp/x.sock"), &a), 0);
    assert_string_equal(text_of(&a), "unix:/tmp/x.sock");
    assert_int_equal(agw_addr_port(&a), 0);
    agw_addr_set_port(&a, 80);
    assert_string_equal(text_of(&a), "unix:/tmp/x.sock");
    assert_int_equal(agw_addr_unix(AGW_STR("/tmp/x.sock"), &b), 0);
    assert_true(agw_addr_eq(&a, &b));
    assert_true(agw_addr_is_loopback(&a));
    memset(path, 'p', sizeof(path));
    assert_int_equal(agw_addr_unix(agw_str(path, 107), &a), 0);
    assert_int_equal(strlen(text_of(&a)), 5 + 107);
    assert_int_equal(agw_addr_unix(agw_str(path, 108), &a), AGW_EINVAL);
    assert_int_equal(agw_addr_unix(AGW_STR(""), &a), AGW_EINVAL);
    assert_int_equal(agw_addr_unix(agw_str("a\0b", 3), &a), AGW_EINVAL);
}

static struct agw_addr ip(const char *text, uint16_t port)
{
    struct agw_addr a;
    assert_int_equal(agw_addr_ip(agw_str_c(text), port, &a), 0);
    return a;
}

static void test_compare(void **state)
{
    static const char *const texts[] = {"127.0.0.1", "127.0.0.2", "::1", "::2", "::ffff:127.0.0.1"};
    for (size_t i = 0; i < 5; i++)
        for (size_t j = 0; j < 5; j++) {
            struct agw_addr a = ip(texts[i], 1), b = ip(texts[j], 1), c = ip(texts[j], 2);
            assert_int_equal(agw_addr_eq(&a, &b), i == j);
            assert_false(agw_addr_eq(&a, &c));
        }
    struct agw_addr unset = {0}, a = ip("127.0.0.1", 1);
    assert_false(agw_addr_eq(&unset, &a));
    assert_true(agw_addr_eq(&unset, &unset));
    assert_string_equal(text_of(&unset), "-");
    assert_int_equal(agw_addr_port(&unset), 0);
    assert_false(agw_addr_is_loopback(&unset));
}

static void test_loopback(void **state)
{
    static const char *const yes[] = {"127.0.0.1", "127.255.0.9", "::1", "::ffff:127.0.0.1"};
    static const char *const no[] = {"128.0.0.1", "0.0.0.0", "::", "::2", "::ffff:10.0.0.1"};
    for (size_t i = 0; i < 4; i++) {
        struct agw_addr a = ip(yes[i], 1);
        assert_true(agw_addr_is_loopback(&a));
    }
    for (size_t i = 0; i < 5; i++) {
        struct agw_addr a = ip(no[i], 1);
        assert_false(agw_addr_is_loopback(&a));
    }
}

/* A dual-stack listener sees IPv4 peers as mapped addresses; policies and logs want them plain. */
static void test_from_unmaps(void **state)
{
    struct agw_addr mapped = ip("::ffff:10.1.2.3", 99), six = ip("2001:db8::1", 9), out;
    struct sockaddr_storage sa = {0};

    memcpy(&sa, &mapped.u, mapped.n);
    agw_addr_from(&sa, mapped.n, &out);
    assert_string_equal(text_of(&out), "10.1.2.3:99");
    memcpy(&sa, &six.u, six.n);
    agw_addr_from(&sa, six.n, &out);
    assert_true(agw_addr_eq(&out, &six));
    agw_addr_from(&sa, 0, &out);
    assert_int_equal(out.n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ip),      cmocka_unit_test(test_parse),    cmocka_unit_test(test_unix),
        cmocka_unit_test(test_compare), cmocka_unit_test(test_loopback), cmocka_unit_test(test_from_unmaps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
