#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <unistd.h>
#include "base/err.h"
#include "base/log.h"

static char line[32768];

/* What |write_log| sends to stderr, in |line|. */
static size_t capture(void (*write_log)(void))
{
    int fds[2], saved = dup(2);
    assert_int_equal(pipe(fds), 0);
    dup2(fds[1], 2);
    write_log();
    dup2(saved, 2);
    close(saved);
    close(fds[1]);
    size_t n = 0;
    ssize_t r;
    while (n < sizeof(line) - 1 && (r = read(fds[0], line + n, sizeof(line) - 1 - n)) > 0)
        n += (size_t)r;
    line[n] = 0;
    close(fds[0]);
    return n;
}

static void write_forged(void)
{
    agw_warn("config", "bad \"%s\" \\ %s", "x\ny\x1b", "\xff");
}

static void write_utf8(void)
{
    agw_error_log("an area with a very long name", "%s", "gr\xc3\xbc\xc3\x9f");
}

static void write_long(void)
{
    static char text[8000];
    memset(text, '\x01', sizeof(text) - 1);
    agw_error_log("x", "%s", text);
}

static void write_debug(void)
{
    agw_debug("x", "hidden");
}

static void test_text(void **state)
{
    agw_log_setup(AGW_LOG_INFO, false);
    capture(write_forged);
    assert_string_equal(line + 24, " warn config: bad \"x\\x0ay\\x1b\" \\ \\xff\n");
}

static void test_json(void **state)
{
    agw_log_setup(AGW_LOG_INFO, true);
    capture(write_forged);
    assert_memory_equal(line, "{\"time\":\"2", 10);
    assert_string_equal(strstr(line, "\"level\""), "\"level\":\"warn\",\"area\":\"config\",\"message\":\"bad "
                                                   "\\\"x\\u000ay\\u001b\\\" \\\\ \\u00ff\"}\n");
    capture(write_utf8);
    assert_non_null(strstr(line, "\"an area with a v\",\"message\":\"gr\xc3\xbc\xc3\x9f\"}"));
}

static void test_long_messages_are_cut(void **state)
{
    agw_log_setup(AGW_LOG_INFO, true);
    size_t n = capture(write_long);
    assert_true(n > 2047 * 6 && n < 2048 * 6 + 200);
    assert_string_equal(line + n - 3, "\"}\n");
}

static void test_level(void **state)
{
    enum agw_log_level level;
    agw_log_setup(AGW_LOG_INFO, false);
    assert_int_equal(capture(write_debug), 0);
    agw_log_level(AGW_LOG_DEBUG);
    assert_true(capture(write_debug) > 0);
    assert_int_equal(agw_log_level_parse(AGW_STR("Warn"), &level), 0);
    assert_int_equal(level, AGW_LOG_WARN);
    assert_int_equal(agw_log_level_parse(AGW_STR("loud"), &level), AGW_EINVAL);
    assert_int_equal(level, AGW_LOG_WARN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_long_messages_are_cut),
        cmocka_unit_test(test_level),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
