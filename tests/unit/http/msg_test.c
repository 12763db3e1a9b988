#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "base/err.h"
#include "http/msg.h"
#include "failmalloc.h"

static void assert_str(struct agw_str s, const char *expected)
{
    assert_true(agw_str_eq(s, agw_str_c(expected)));
}

static void test_init(void **state)
{
    struct agw_arena arena;
    struct agw_msg m;

    agw_arena_init(&arena, 0, 0);
    agw_msg_init(&m, &arena);
    assert_true(m.arena == &arena && m.headers.arena == &arena);
    assert_int_equal(m.version, AGW_HTTP_11);
    assert_int_equal(m.length, 0);
    assert_null(arena.blocks);
}

static void test_methods(void **state)
{
#define X(name)                                                                                              \
    assert_int_equal(agw_method_lookup(AGW_STR(#name)), AGW_METHOD_##name);                                  \
    assert_str(agw_method_name(AGW_METHOD_##name), #name);
    AGW_METHOD_LIST(X)
#undef X
    assert_int_equal(agw_method_lookup(AGW_STR("get")), AGW_METHOD_OTHER);
    assert_int_equal(agw_method_lookup(AGW_STR("GETS")), AGW_METHOD_OTHER);
    assert_int_equal(agw_method_lookup(AGW_STR("")), AGW_METHOD_OTHER);
}

static void test_reasons(void **state)
{
    assert_string_equal(agw_http_reason(200), "OK");
    assert_string_equal(agw_http_reason(431), "Request Header Fields Too Large");
    assert_string_equal(agw_http_reason(511), "Network Authentication Required");
    assert_string_equal(agw_http_reason(0), "");
    assert_string_equal(agw_http_reason(-1), "");
    assert_string_equal(agw_http_reason(299), "");
    assert_string_equal(agw_http_reason(512), "");
    assert_string_equal(agw_http_reason(100000), "");
}

static void fill(struct agw_msg *m, struct agw_arena *arena)
{
    agw_msg_init(m, arena);
    m->method = AGW_METHOD_OTHER;
    m->method_text = agw_arena_str(arena, AGW_STR("BREW"));
    m->scheme = AGW_STR("https");
    m->authority = agw_arena_str(arena, AGW_STR("a:1"));
    m->path = agw_arena_str(arena, AGW_STR("/p"));
    m->status = 201;
    m->length = 42;
    m->upgrade = agw_arena_str(arena, AGW_STR("ws"));
    m->te_trailers = true;
    for (int i = 0; i < 20; i++)
        agw_headers_add_id(&m->headers, AGW_HDR_VIA, agw_arena_printf(arena, "v%d", i));
    agw_headers_add(&m->headers, AGW_HDR_OTHER, agw_arena_str(arena, AGW_STR("x")), agw_str(NULL, 0));
}

static void test_copy_outlives_the_original(void **state)
{
    struct agw_arena one, two;
    struct agw_msg m, copy;

    agw_arena_init(&one, 0, 0);
    agw_arena_init(&two, 0, 0);
    fill(&m, &one);
    assert_int_equal(agw_msg_copy(&copy, &m, &two), 0);
    agw_arena_free(&one);
    assert_true(copy.arena == &two && copy.headers.arena == &two);
    assert_str(copy.method_text, "BREW");
    assert_str(copy.scheme, "https");
    assert_str(copy.authority, "a:1");
    assert_str(copy.path, "/p");
    assert_str(copy.upgrade, "ws");
    assert_int_equal(copy.reason.n, 0);
    assert_int_equal(copy.status, 201);
    assert_int_equal(copy.length, 42);
    assert_true(copy.te_trailers);
    assert_int_equal(copy.headers.n, 21);
    assert_str(copy.headers.v[19].value, "v19");
    assert_int_equal(copy.headers.v[19].id, AGW_HDR_VIA);
    assert_str(copy.headers.v[20].name, "x");
    assert_int_equal(agw_headers_add_id(&copy.headers, AGW_HDR_DATE, AGW_STR("d")), 0);
    agw_arena_free(&two);
}

static void test_copy_no_memory(void **state)
{
    struct agw_arena one, two;
    struct agw_msg m;
    bool reached = true;

    agw_arena_init(&one, 0, 0);
    fill(&m, &one);
    for (long n = 1; reached; n++) {
        struct agw_msg copy = {.status = 7};
        int r;
        agw_arena_init(&two, 0, 0);
        failmalloc_at(n);
        r = agw_msg_copy(&copy, &m, &two);
        reached = failmalloc_count() >= n;
        failmalloc_at(0);
        assert_int_equal(r, reached ? AGW_ENOMEM : 0);
        assert_int_equal(copy.status, reached ? 7 : 201);
        agw_arena_free(&two);
        assert_true(reached || n > 1);
    }
    agw_arena_free(&one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_init),           cmocka_unit_test(test_methods),
        cmocka_unit_test(test_reasons),        cmocka_unit_test(test_copy_outlives_the_original),
        cmocka_unit_test(test_copy_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
