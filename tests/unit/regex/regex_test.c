#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "regex/regex.h"

static struct agw_regex *compile(const char *pattern)
{
    struct agw_regex *r = NULL;
    struct agw_error err = {0};
    if (agw_regex_new(agw_str_c(pattern), &r, &err))
        fail_msg("%s", err.text);
    assert_non_null(r);
    return r;
}

static void test_full_match(void **state)
{
    static const struct {
        const char *pattern, *text;
        bool match;
    } cases[] = {
        {"/users/[0-9]+", "/users/42", true},
        {"/users/[0-9]+", "/users/42/", false},
        {"/users/[0-9]+", "x/users/42", false},
        {"a|ab", "ab", true}, /* the longer alternative counts, for the whole must match */
        {"", "", true},
        {"", "a", false},
        {"(?i)abc", "aBC", true},
        {"abc", "aBC", false},
        {"a.c", "a\nc", false},
        {"(?s)a.c", "a\nc", true},
        {"^abc$", "abc", true},
        {"(a)(b)(c)", "abc", true},
        {"caf\xc3\xa9", "caf\xc3\xa9", true},
        {"caf.", "caf\xc3\xa9", true}, /* one character, two bytes */
        {"\\d{3}-\\d{4}", "555-1234", true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct agw_regex *r = compile(cases[i].pattern);
        if (agw_regex_full(r, agw_str_c(cases[i].text)) != cases[i].match)
            fail_msg("/%s/ on \"%s\"", cases[i].pattern, cases[i].text);
        agw_regex_free(r);
    }
    struct agw_regex *r = compile("a\\x00b");
    assert_true(agw_regex_full(r, agw_str("a\0b", 3)));
    assert_false(agw_regex_full(r, (struct agw_str){0}));
    agw_regex_free(r);
    agw_regex_free(NULL);
}

static void test_bad_patterns(void **state)
{
    static const char *const bad[][2] = {
        {"(", "missing )"},         {"a)", "unexpected )"}, {"[z-a]", "range"},        {"*", "no argument"},
        {"(?=x)", "perl operator"}, {"\\1", "escape"},      {"a{1001}", "repetition"}, {"\xff", "UTF-8"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct agw_regex *r = (void *)1;
        struct agw_error err = {0};
        assert_int_equal(agw_regex_new(agw_str_c(bad[i][0]), &r, &err), AGW_EINVAL);
        assert_ptr_equal(r, (void *)1);
        if (!strstr(err.text, bad[i][1]))
            fail_msg("\"%s\" has no \"%s\"", err.text, bad[i][1]);
    }
}

static void test_too_large(void **state)
{
    struct agw_regex *r = NULL;
    struct agw_error err = {0};
    assert_int_equal(agw_regex_new(AGW_STR("((a{100}){100}){100}"), &r, &err),
                     AGW_EINVAL); /* too many repetitions */
    assert_int_equal(agw_regex_new(AGW_STR("((\\pL{30}){30})|(\\pN{900})"), &r, &err), AGW_ELIMIT);
    assert_int_equal(err.code, AGW_ELIMIT);
    assert_null(r);
}

/* What takes a backtracking matcher years takes milliseconds here. */
static void test_linear_time(void **state)
{
    static const char *const patterns[] = {"(a+)+b", "(a|a)*b", "(.*)*x", "(a?){30}a{30}b"};
    char text[20000];
    uint64_t start = agw_clock_ns();

    memset(text, 'a', sizeof(text));
    for (int i = 0; i < 4; i++) {
        struct agw_regex *r = compile(patterns[i]);
        assert_false(agw_regex_full(r, agw_str(text, sizeof(text))));
        agw_regex_free(r);
    }
    assert_true(agw_clock_ns() - start < 5 * AGW_NS_PER_S);
}

/* More automaton states than fit into the memory limit: slower, not wrong. */
static void test_small_memory(void **state)
{
    struct agw_regex *r = compile("[ab]*a[ab]{18}");
    char text[4096];
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (i * i + i / 7) % 3 ? 'a' : 'b';
    text[sizeof(text) - 19] = 'a';
    assert_true(agw_regex_full(r, agw_str(text, sizeof(text))));
    text[sizeof(text) - 19] = 'b';
    assert_false(agw_regex_full(r, agw_str(text, sizeof(text))));
    agw_regex_free(r);
}

static void *hammer(void *arg)
{
    for (int i = 0; i < 3000; i++) {
        char text[32];
        size_t n = (size_t)i % 20;
        memset(text, 'a', n);
        memcpy(text + n, "/9", 2);
        if (!agw_regex_full(arg, agw_str(text, n + 2)))
            return arg;
    }
    return NULL;
}

static void test_threads_share_one(void **state)
{
    struct agw_regex *r = compile("a*/[0-9]");
    pthread_t t[3];
    void *wrong;

    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&t[i], NULL, hammer, r), 0);
    for (int i = 0; i < 3; i++) {
        pthread_join(t[i], &wrong);
        assert_null(wrong);
    }
    agw_regex_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full_match),   cmocka_unit_test(test_bad_patterns),
        cmocka_unit_test(test_too_large),    cmocka_unit_test(test_linear_time),
        cmocka_unit_test(test_small_memory), cmocka_unit_test(test_threads_share_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
