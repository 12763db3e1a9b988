#include "mcp/transport/sse_endpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include "failmalloc.h"

static struct agw_arena arena;

static int resolve(const char *reference, const char *scheme, const char *authority, const char *path,
                   struct agw_str *ret_path)
{
    struct agw_error err = {0};
    int rc = agw_mcp_sse_endpoint(agw_str_c(reference), agw_str_c(scheme), agw_str_c(authority),
                                  agw_str_c(path), &arena, ret_path, &err);
    assert_true(rc == 0 || (err.code == rc && err.text[0]));
    return rc;
}

static void references_of_the_same_origin(void **state)
{
    static const struct {
        const char *reference, *path;
    } cases[] = {
        {"/message?sessionId=1", "/message?sessionId=1"},
        {"message?x", "/a/message?x"},
        {"?x=/y", "/a/sse?x=/y"},
        {"../m", "/m"},
        {"./m/../n", "/a/n"},
        {"/a/./b/../c?d=..", "/a/c?d=.."},
        {"m:x/y", NULL}, /* a scheme */
        {"http://h:81/m?s", "/m?s"},
        {"HTTP://H:81", "/"},
        {"http://h:81?q", "/?q"},
        {"//h:81/m", "/m"},
        {"http://h/m", NULL},
        {"https://h:81/m", NULL},
        {"http://h.x:81/m", NULL},
        {"http://u@h:81/m", NULL},
        {"http://h:81/m#f", NULL},
        {"//other/m", NULL},
        {"/m#f", NULL},
        {"/a b", NULL},
        {"/a\\b", NULL},
        {"/\xc3\xa4", NULL},
        {"", NULL},
        {"/../m", NULL},
        {"../../../m", NULL},
    };
    agw_arena_init(&arena, 1024, 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct agw_str path = {0};
        int rc = resolve(cases[i].reference, "http", "h:81", "/a/sse?old=/q", &path);
        assert_int_equal(rc, cases[i].path ? 0 : AGW_EPROTO);
        if (cases[i].path)
            assert_true(agw_str_eq(path, agw_str_c(cases[i].path)));
    }
    agw_arena_free(&arena);
}

static void default_ports_are_the_same(void **state)
{
    struct agw_str path;
    agw_arena_init(&arena, 1024, 0);
    assert_int_equal(resolve("http://h:80/m", "http", "h", "/sse", &path), 0);
    assert_int_equal(resolve("http://h/m", "http", "h:80", "/sse", &path), 0);
    assert_int_equal(resolve("https://h:443/m", "https", "h", "/sse", &path), 0);
    assert_int_equal(resolve("https://[::1]/m", "https", "[::1]:443", "/sse", &path), 0);
    assert_int_equal(resolve("https://h:80/m", "https", "h", "/sse", &path), AGW_EPROTO);
    agw_arena_free(&arena);
}

static void long_ones_are_refused(void **state)
{
    static char text[AGW_MCP_SSE_ENDPOINT_MAX + 2];
    struct agw_str path;
    memset(text, 'a', sizeof text - 1);
    text[0] = '/';
    agw_arena_init(&arena, 1024, 0);
    assert_int_equal(resolve(text, "http", "h", "/sse", &path), AGW_ELIMIT);
    text[AGW_MCP_SSE_ENDPOINT_MAX] = 0;
    assert_int_equal(resolve(text, "http", "h", "/sse", &path), 0);
    agw_arena_free(&arena);
}

static void no_memory(void **state)
{
    static const char *const references[] = {"http://h/../m/../n", "//h/a/../b", "a/../b", "/a/../b"};
    for (size_t i = 0; i < sizeof references / sizeof references[0]; i++) {
        for (long n = 1;; n++) {
            struct agw_str path;
            agw_arena_init(&arena, 16, 0);
            failmalloc_at(n);
            int rc = resolve(references[i], "http", "h", "/sse", &path);
            bool reached = failmalloc_count() >= n;
            failmalloc_at(0);
            agw_arena_free(&arena);
            assert_true(reached ? rc == AGW_ENOMEM : rc == 0 || i == 0);
            if (!reached)
                break;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(references_of_the_same_origin),
                                       cmocka_unit_test(default_ports_are_the_same),
                                       cmocka_unit_test(long_ones_are_refused), cmocka_unit_test(no_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
