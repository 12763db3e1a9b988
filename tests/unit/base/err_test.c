#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include "base/err.h"

static void test_texts(void **state)
{
    assert_string_equal(agw_err_text(AGW_ETIMEOUT), "timed out");
    assert_string_equal(agw_err_text(AGW_EUNSUPPORTED), "not supported");
    assert_string_equal(agw_err_text(0), "no error");
    assert_string_equal(agw_err_text(-999), "unknown error");
    assert_string_equal(agw_err_text(1), "unknown error");
}

static void test_set_and_prefix(void **state)
{
    struct agw_error e = {0};
    assert_int_equal(agw_error_set(&e, AGW_EINVAL, "port %d", 70000), AGW_EINVAL);
    assert_int_equal(e.code, AGW_EINVAL);
    assert_int_equal(agw_error_prefix(&e, "listener %s", "web"), AGW_EINVAL);
    assert_string_equal(e.text, "listener web: port 70000");
    agw_error_set(&e, AGW_EIO, "again: %s", e.text);
    assert_string_equal(e.text, "again: listener web: port 70000");
}

static void test_null_is_fine(void **state)
{
    assert_int_equal(agw_error_set(NULL, AGW_EIO, "x"), AGW_EIO);
    assert_int_equal(agw_error_prefix(NULL, "x"), 0);
}

static void test_long_texts_are_cut(void **state)
{
    struct agw_error e;
    agw_error_set(&e, AGW_EIO, "%600d", 1);
    assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
    agw_error_set(&e, AGW_EIO, "%500d", 7);
    agw_error_prefix(&e, "0123456789");
    assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
    assert_memory_equal(e.text, "0123456789:  ", 13);
    agw_error_prefix(&e, "%600d", 1);
    assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_set_and_prefix),
        cmocka_unit_test(test_null_is_fine),
        cmocka_unit_test(test_long_texts_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
