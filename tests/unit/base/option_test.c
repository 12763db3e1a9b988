#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <unistd.h>
#include "base/err.h"
#include "base/option.h"

/* What |fn| writes to stderr. */
static const char *said(void (*fn)(void))
{
    static char text[256];
    int pipes[2], old = dup(STDERR_FILENO);
    assert_int_equal(pipe(pipes), 0);
    fflush(stderr);
    dup2(pipes[1], STDERR_FILENO);
    fn();
    fflush(stderr);
    dup2(old, STDERR_FILENO);
    close(old);
    close(pipes[1]);
    ssize_t n = read(pipes[0], text, sizeof(text) - 1);
    close(pipes[0]);
    text[n > 0 ? n : 0] = 0;
    return text;
}

static void bad_format(void)
{
    bool json = true;
    assert_int_equal(agw_option_format("prog", "--log-format", "xml", &json), AGW_EINVAL);
    assert_true(json); /* as it was */
}

static void bad_level(void)
{
    enum agw_log_level level = AGW_LOG_WARN;
    assert_int_equal(agw_option_level("prog", "--log-level", "loud", &level), AGW_EINVAL);
    assert_int_equal(level, AGW_LOG_WARN);
}

static void test_bad_values(void **state)
{
    assert_string_equal(said(bad_format), "prog: --log-format: 'xml': neither text nor json (see --help)\n");
    assert_string_equal(said(bad_level),
                        "prog: --log-level: 'loud': not one of debug, info, warn, error (see --help)\n");
}

static void test_good_values(void **state)
{
    enum agw_log_level level = AGW_LOG_WARN;
    bool json = false;
    assert_int_equal(agw_option_format("prog", "--log-format", "json", &json), 0);
    assert_true(json);
    assert_int_equal(agw_option_format("prog", "--log-format", "text", &json), 0);
    assert_false(json);
    assert_int_equal(agw_option_level("prog", "--log-level", "debug", &level), 0);
    assert_int_equal(level, AGW_LOG_DEBUG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bad_values), cmocka_unit_test(test_good_values)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
