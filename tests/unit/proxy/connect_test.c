#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "base/check.h"
#include "proxy/server/connect.h"

static void test_targets(void **state)
{
    const struct {
        const char *authority, *host;
        uint16_t port;
        int status;
    } cases[] = {
        {"10.0.0.1:80", "10.0.0.1", 80, 0},
        {"a.test:65535", "a.test", 65535, 0},
        {"[fd00::1]:443", "fd00::1", 443, 0},
        {"10.0.0.1", "", 0, 400},
        {"10.0.0.1:", "", 0, 400},
        {"10.0.0.1:0", "", 0, 400},
        {"10.0.0.1:65536", "", 0, 400},
        {"10.0.0.1:80x", "", 0, 400},
        {"10.0.0.1:-1", "", 0, 400},
        {":80", "", 0, 400},
        {"[]:80", "", 0, 400},
        {"[fd00::1:80", "", 0, 400},
        {"user@a.test:80", "", 0, 400},
        {"", "", 0, 400},
    };
    for (size_t i = 0; i < AGW_ARRAY_LEN(cases); i++) {
        struct agw_msg m;
        struct agw_str host = AGW_STR("");
        uint16_t port = 0;
        agw_msg_init(&m, NULL);
        m.method = AGW_METHOD_CONNECT;
        m.path = agw_str_c(cases[i].authority);
        if (agw_connect_target(&m, &host, &port) != cases[i].status)
            fail_msg("\"%s\"", cases[i].authority);
        assert_true(agw_str_eq(host, agw_str_c(cases[i].host)));
        assert_int_equal(port, cases[i].port);
    }
}

static void test_other_requests(void **state)
{
    struct agw_msg m;
    struct agw_str host;
    uint16_t port;
    agw_msg_init(&m, NULL);
    m.method = AGW_METHOD_GET;
    m.path = AGW_STR("a:80");
    assert_int_equal(agw_connect_target(&m, &host, &port), 405);
    m.method = AGW_METHOD_CONNECT;
    m.upgrade = AGW_STR("websocket");
    assert_int_equal(agw_connect_target(&m, &host, &port), 405);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_targets),
        cmocka_unit_test(test_other_requests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
