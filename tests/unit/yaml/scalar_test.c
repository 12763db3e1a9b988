/* Types of plain scalars. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/check.h"
#include "yaml/scalar.h"

struct row {
    const char *text;
    enum agw_node_type type;
    int64_t number;
};

static void types(void **state)
{
    static const struct row rows[] = {
        {"", AGW_NODE_NULL, 0},
        {"~", AGW_NODE_NULL, 0},
        {"null", AGW_NODE_NULL, 0},
        {"nul", AGW_NODE_STRING, 0},
        {"true", AGW_NODE_BOOL, 1},
        {"FALSE", AGW_NODE_BOOL, 0},
        {"tRue", AGW_NODE_STRING, 0},
        {"yes", AGW_NODE_STRING, 0},
        {"on", AGW_NODE_STRING, 0},
        {"n", AGW_NODE_STRING, 0},
        {"0", AGW_NODE_INT, 0},
        {"-1", AGW_NODE_INT, -1},
        {"+8080", AGW_NODE_INT, 8080},
        {"0x1F", AGW_NODE_INT, 31},
        {"0o17", AGW_NODE_INT, 15},
        {"0x", AGW_NODE_STRING, 0},
        {"0o8", AGW_NODE_STRING, 0},
        {"9223372036854775807", AGW_NODE_INT, INT64_MAX},
        {"-9223372036854775808", AGW_NODE_INT, INT64_MIN},
        {"9223372036854775808", AGW_NODE_FLOAT, 0},
        {"99999999999999999999999999", AGW_NODE_FLOAT, 0},
        {"1.5", AGW_NODE_FLOAT, 0},
        {"-.5e-3", AGW_NODE_FLOAT, 0},
        {"1.", AGW_NODE_FLOAT, 0},
        {"1e9", AGW_NODE_FLOAT, 0},
        {"1e", AGW_NODE_STRING, 0},
        {".", AGW_NODE_STRING, 0},
        {"-", AGW_NODE_STRING, 0},
        {"+", AGW_NODE_STRING, 0},
        {".inf", AGW_NODE_FLOAT, 0},
        {"127.0.0.1", AGW_NODE_STRING, 0},
        {"1_000", AGW_NODE_STRING, 0},
        {"10s", AGW_NODE_STRING, 0},
        {"2026-01-02T03:04:05Z", AGW_NODE_STRING, 0},
    };
    size_t i;

    for (i = 0; i < AGW_ARRAY_LEN(rows); i++) {
        enum agw_node_type type;
        int64_t number;

        assert_int_equal(agw_yaml_scalar(agw_str_c(rows[i].text), &type, &number), 0);
        if (type != rows[i].type || number != rows[i].number)
            fail_msg("%s: type %d number %lld", rows[i].text, type, (long long)number);
    }
}

static void leading_zero_is_refused(void **state)
{
    enum agw_node_type type;
    int64_t number;

    assert_int_equal(agw_yaml_scalar(AGW_STR("010"), &type, &number), AGW_EINVAL);
    assert_int_equal(agw_yaml_scalar(AGW_STR("-007"), &type, &number), AGW_EINVAL);
    assert_int_equal(agw_yaml_scalar(AGW_STR("00"), &type, &number), AGW_EINVAL);
    assert_int_equal(agw_yaml_scalar(AGW_STR("0.5"), &type, &number), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types),
        cmocka_unit_test(leading_zero_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
