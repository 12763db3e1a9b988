#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include "http/path.h"

static void normalizes(void **state)
{
    static const struct {
        const char *in, *out; /* NULL: refused */
    } cases[] = {
        {"/", "/"},
        {"/a/b", "/a/b"},
        {"/a/./b", "/a/b"},
        {"/a/../b", "/b"},
        {"/a/b/..", "/a/"},
        {"/a/b/.", "/a/b/"},
        {"/a/..", "/"},
        {"/.", "/"},
        {"/a/%2e%2E/b", "/b"},
        {"/a/.%2e/b?x=/../y", "/b?x=/../y"},
        {"/a//../b", "/a/b"},
        {"/a/...", "/a/..."},
        {"/.well-known/agent.json", "/.well-known/agent.json"},
        {"/a/b..", "/a/b.."},
        {"/..", NULL},
        {"/a/../../b", NULL},
        {"*", "*"},
        {"?q", "?q"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct agw_arena arena;
        agw_arena_init(&arena, 256, 0);
        struct agw_str path = agw_str_c(cases[i].in);
        int rc = agw_path_normalize(&path, &arena);
        if (cases[i].out) {
            assert_int_equal(rc, 0);
            assert_int_equal(path.n, strlen(cases[i].out));
            assert_memory_equal(path.p, cases[i].out, path.n);
        } else {
            assert_int_equal(rc, AGW_EINVAL);
        }
        agw_arena_free(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(normalizes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
