#include "a2a/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/check.h"

static void methods(void **state)
{
    static const struct {
        const char *body, *method;
        bool streaming;
    } cases[] = {
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"message/send\",\"params\":{}}", "message/send", false},
        {"{\"method\" : \"message/stream\"", "message/stream", true},
        {" {\"method\":\"SubscribeToTask\"}", "SubscribeToTask", true},
        {"{\"params\":{\"method\":\"tasks/get\",\"x\":[{\"method\":\"tasks/"
         "get\"}]},\"method\":\"SendMessage\"}",
         "SendMessage", false},
        {"{\"a\":\"\\\"method\\\":\\\"tasks/get\\\"\",\"method\":\"tasks/cancel\"}", "tasks/cancel", false},
        {"{\"x\":\"method\",\"y\":\"tasks/get\",\"method\":\"GetTask\"}", "GetTask", false},
        {"{\"method\":\"made/up\"}", "other", false},
        {"{\"method\":7}", "", false},
        {"{\"method\":\"tasks/ge", "", false},
        {"{\"method\"", "", false},
        {"[{\"method\":\"tasks/get\"}]", "", false},
        {"\"method\":\"tasks/get\"", "", false},
        {"}}}}{\"method\":\"tasks/get\"}", "tasks/get", false},
        {"", "", false},
        {"{\"a\\", "", false},
    };
    for (size_t i = 0; i < AGW_ARRAY_LEN(cases); i++) {
        size_t n = strlen(cases[i].body);
        char *exact = malloc(n + 1);
        memcpy(exact, cases[i].body, n);
        struct agw_a2a_message m = agw_a2a_peek(agw_str(exact, n));
        if (!agw_str_eq(m.method, agw_str_c(cases[i].method)))
            print_error("%s: %.*s\n", cases[i].body, AGW_STRF(m.method));
        assert_true(agw_str_eq(m.method, agw_str_c(cases[i].method)));
        assert_int_equal(m.streaming, cases[i].streaming);
        free(exact);
    }
}

static void looks_no_further_than_its_limit(void **state)
{
    static char body[AGW_A2A_PEEK_MAX + 64];
    static const char tail[] = "\",\"method\":\"GetTask\"}";
    memset(body, ' ', sizeof body);
    memcpy(body, "{\"a\":\"", 6);
    memcpy(body + sizeof body - sizeof tail, tail, sizeof tail - 1);
    assert_int_equal(agw_a2a_peek(agw_str(body, sizeof body)).method.n, 0);
    memset(body + 6, ' ', sizeof body - 6);
    memcpy(body + AGW_A2A_PEEK_MAX - sizeof tail, tail, sizeof tail - 1);
    assert_int_equal(agw_a2a_peek(agw_str(body, sizeof body)).method.n, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(methods),
                                       cmocka_unit_test(looks_no_further_than_its_limit)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
