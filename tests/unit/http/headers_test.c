#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "base/err.h"
#include "http/msg.h"
#include "failmalloc.h"

struct fixture {
    struct agw_arena arena;
    struct agw_headers h;
};

static int setup(void **state)
{
    struct fixture *x = calloc(1, sizeof(*x));

    agw_arena_init(&x->arena, 0, 0);
    agw_headers_init(&x->h, &x->arena);
    *state = x;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *x = *state;

    agw_arena_free(&x->arena);
    free(x);
    return 0;
}

/* All fields as "name=value;". */
static const char *list(struct fixture *x)
{
    static char text[1024];
    size_t at = 0;

    text[0] = '\0';
    for (uint32_t i = 0; i < x->h.n; i++)
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%.*s=%.*s;", AGW_STRF(x->h.v[i].name),
                               AGW_STRF(x->h.v[i].value));
    return text;
}

static void add(struct fixture *x, const char *name, const char *value)
{
    struct agw_str s = agw_str_c(name);
    assert_int_equal(agw_headers_add(&x->h, agw_hdr_lookup(s), s, agw_str_c(value)), 0);
}

static void test_lookup_finds_every_name(void **state)
{
    for (int id = AGW_HDR_OTHER + 1; id < AGW_HDR_COUNT; id++) {
        struct agw_str name = agw_hdr_name((enum agw_hdr)id);
        char copy[64];
        assert_true(name.n > 0 && name.n < sizeof(copy));
        assert_int_equal(agw_hdr_lookup(name), id);
        for (size_t i = 0; i < name.n; i++) { /* every near miss is another field */
            memcpy(copy, name.p, name.n);
            copy[i] ^= 1;
            assert_int_not_equal(agw_hdr_lookup(agw_str(copy, name.n)), id);
        }
        assert_int_not_equal(agw_hdr_lookup(agw_str(name.p, name.n - 1)), id);
        memcpy(copy, name.p, name.n);
        copy[name.n] = 's';
        assert_int_not_equal(agw_hdr_lookup(agw_str(copy, name.n + 1)), id);
    }
    assert_int_equal(agw_hdr_lookup(AGW_STR("")), AGW_HDR_OTHER);
    assert_int_equal(agw_hdr_lookup(agw_str(NULL, 0)), AGW_HDR_OTHER);
    assert_int_equal(agw_hdr_lookup(AGW_STR("x")), AGW_HDR_OTHER);
    assert_int_equal(agw_hdr_lookup(AGW_STR("Host")), AGW_HDR_OTHER);
    assert_int_equal(agw_hdr_lookup(AGW_STR("a-name-that-is-longer-than-all-others")), AGW_HDR_OTHER);
}

static void test_add_get_find(void **state)
{
    struct fixture *x = *state;

    add(x, "cookie", "a");
    add(x, "x-own", "b");
    add(x, "cookie", "c");
    assert_string_equal(list(x), "cookie=a;x-own=b;cookie=c;");
    assert_true(agw_headers_get(&x->h, AGW_HDR_COOKIE) == &x->h.v[0]);
    assert_true(agw_headers_find(&x->h, AGW_STR("cookie")) == &x->h.v[0]);
    assert_true(agw_headers_find(&x->h, AGW_STR("x-own")) == &x->h.v[1]);
    assert_null(agw_headers_find(&x->h, AGW_STR("x-none")));
    assert_null(agw_headers_get(&x->h, AGW_HDR_HOST));
    assert_int_equal(agw_headers_value(&x->h, AGW_HDR_COOKIE).n, 1);
    assert_int_equal(agw_headers_value(&x->h, AGW_HDR_HOST).n, 0);
}

static void test_set(void **state)
{
    struct fixture *x = *state;

    add(x, "x", "1");
    add(x, "cookie", "a");
    add(x, "x", "2");
    add(x, "y", "3");
    add(x, "x", "4");
    add(x, "cookie", "b");
    assert_int_equal(agw_headers_set(&x->h, AGW_STR("x"), AGW_STR("new")), 0);
    assert_string_equal(list(x), "x=new;cookie=a;y=3;cookie=b;");
    assert_int_equal(agw_headers_set_id(&x->h, AGW_HDR_COOKIE, AGW_STR("c")), 0);
    assert_string_equal(list(x), "x=new;cookie=c;y=3;");
    assert_int_equal(agw_headers_set_id(&x->h, AGW_HDR_VIA, AGW_STR("v")), 0);
    assert_int_equal(agw_headers_set(&x->h, AGW_STR("z"), AGW_STR("")), 0);
    assert_int_equal(agw_headers_set(&x->h, AGW_STR("via"), AGW_STR("w")), 0);
    assert_string_equal(list(x), "x=new;cookie=c;y=3;via=w;z=;");
    assert_int_equal(agw_headers_get(&x->h, AGW_HDR_VIA)->id, AGW_HDR_VIA);
}

static void test_remove(void **state)
{
    struct fixture *x = *state;

    add(x, "x", "1");
    add(x, "cookie", "a");
    add(x, "x", "2");
    add(x, "y", "3");
    add(x, "cookie", "b");
    assert_int_equal(agw_headers_remove(&x->h, AGW_STR("x")), 2);
    assert_int_equal(agw_headers_remove(&x->h, AGW_STR("x")), 0);
    assert_string_equal(list(x), "cookie=a;y=3;cookie=b;");
    assert_int_equal(agw_headers_remove(&x->h, AGW_STR("cookie")), 2);
    assert_int_equal(agw_headers_remove_id(&x->h, AGW_HDR_HOST), 0);
    add(x, "host", "h");
    assert_int_equal(agw_headers_remove_id(&x->h, AGW_HDR_HOST), 1);
    assert_string_equal(list(x), "y=3;");
}

static void test_growth_keeps_fields(void **state)
{
    struct fixture *x = *state;
    static char names[200][16];

    for (int i = 0; i < 200; i++) {
        snprintf(names[i], sizeof(names[i]), "n%d", i);
        add(x, names[i], names[i]);
    }
    for (int i = 0; i < 200; i++)
        assert_true(agw_str_eq(x->h.v[i].value, agw_str_c(names[i])));
    assert_int_equal(agw_headers_reserve(&x->h, 1000), 0);
    assert_true(x->h.cap >= 1200);
    assert_true(agw_str_eq(x->h.v[199].name, AGW_STR("n199")));
    assert_int_equal(agw_headers_reserve(&x->h, UINT32_MAX), AGW_ENOMEM);
}

static void test_tokens(void **state)
{
    struct fixture *x = *state;

    add(x, "accept", "text/html, Application/JSON ,*/*");
    add(x, "accept", " text/event-stream");
    add(x, "via", "text/plain");
    assert_true(agw_headers_has_token(&x->h, AGW_HDR_ACCEPT, AGW_STR("application/json")));
    assert_true(agw_headers_has_token(&x->h, AGW_HDR_ACCEPT, AGW_STR("TEXT/EVENT-STREAM")));
    assert_true(agw_headers_has_token(&x->h, AGW_HDR_ACCEPT, AGW_STR("*/*")));
    assert_false(agw_headers_has_token(&x->h, AGW_HDR_ACCEPT, AGW_STR("text/plain")));
    assert_false(agw_headers_has_token(&x->h, AGW_HDR_ACCEPT, AGW_STR("text")));
    assert_false(agw_headers_has_token(&x->h, AGW_HDR_TE, AGW_STR("trailers")));
}

static void test_validity(void **state)
{
    assert_true(agw_header_name_valid(AGW_STR("X-a_1!#$%&'*+.^`|~")));
    assert_false(agw_header_name_valid(AGW_STR("")));
    assert_false(agw_header_name_valid(AGW_STR("a b")));
    assert_false(agw_header_name_valid(AGW_STR("a:")));
    assert_false(agw_header_name_valid(AGW_STR("a\r")));
    assert_false(agw_header_name_valid(AGW_STR("a\x80")));
    assert_false(agw_header_name_valid(AGW_STR("a\0")));
    assert_true(agw_header_value_valid(AGW_STR("")));
    assert_true(agw_header_value_valid(AGW_STR("a b\tc \xff")));
    assert_false(agw_header_value_valid(AGW_STR("a\r\nb: c")));
    assert_false(agw_header_value_valid(AGW_STR("a\n")));
    assert_false(agw_header_value_valid(AGW_STR("a\0b")));
    assert_false(agw_header_value_valid(AGW_STR("a\x7f")));
    assert_false(agw_header_value_valid(AGW_STR(" a")));
    assert_false(agw_header_value_valid(AGW_STR("a\t")));
}

static void test_classes(void **state)
{
    assert_true(agw_hdr_is_framing(AGW_HDR_CONNECTION) && agw_hdr_is_framing(AGW_HDR_HOST));
    assert_false(agw_hdr_is_framing(AGW_HDR_OTHER) || agw_hdr_is_framing(AGW_HDR_COOKIE));
    assert_true(agw_hdr_in_trailers(AGW_HDR_OTHER));
    assert_false(agw_hdr_in_trailers(AGW_HDR_CONTENT_LENGTH) || agw_hdr_in_trailers(AGW_HDR_AUTHORIZATION));
}

static void test_no_memory(void **state)
{
    bool reached = true;

    for (long n = 1; reached; n++) {
        struct agw_arena arena;
        struct agw_headers h;
        int r = 0;
        agw_arena_init(&arena, 0, 0);
        agw_headers_init(&h, &arena);
        failmalloc_at(n);
        for (int i = 0; i < 100 && r == 0; i++)
            r = agw_headers_add_id(&h, AGW_HDR_VIA, AGW_STR("v"));
        reached = failmalloc_count() >= n;
        failmalloc_at(0);
        assert_int_equal(r, reached ? AGW_ENOMEM : 0);
        assert_true(h.n <= h.cap);
        agw_arena_free(&arena);
        assert_true(reached || n > 2);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_lookup_finds_every_name),
        TEST(test_add_get_find),
        TEST(test_set),
        TEST(test_remove),
        TEST(test_growth_keeps_fields),
        TEST(test_tokens),
        TEST(test_validity),
        TEST(test_classes),
        TEST(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
