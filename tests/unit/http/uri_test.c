#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "base/check.h"
#include "base/err.h"
#include "http/uri.h"
#include "failmalloc.h"

/* A view of a copy of exactly that size, so that ASan sees reads behind it. */
static struct agw_str exact(const char *text, char **ret_p)
{
    size_t n = strlen(text);

    *ret_p = malloc(n ? n : 1);
    memcpy(*ret_p, text, n);
    return agw_str(*ret_p, n);
}

struct pair {
    const char *text, *expected; /* NULL: refused */
};

static const struct pair uris[] = {
    {"http://a", "http|a|||"},
    {"https://a.example:8443/p/q?x=1&y", "https|a.example|8443|/p/q|?x=1&y"},
    {"http://[2001:db8::1]:80/", "http|2001:db8::1|80|/|"},
    {"http://[::1]", "http|::1|||"},
    {"http://a?q", "http|a|||?q"},
    {"http://a/?", "http|a||/|?"},
    {"http://a:/x", "http|a||/x|"},
    {"grpc+x-1.0://a/", "grpc+x-1.0|a||/|"},
    {"HTTP://A/B", "HTTP|A||/B|"},
    {"http://a//b?c?d", "http|a||//b|?c?d"},
    {"", NULL},
    {"http", NULL},
    {"http:", NULL},
    {"http:/a", NULL},
    {"http://", NULL},
    {"http:///p", NULL},
    {"http://?q", NULL},
    {"://a", NULL},
    {"1http://a", NULL},
    {"ht tp://a", NULL},
    {"http://u@a", NULL},
    {"http://u:p@a/", NULL},
    {"http://a#f", NULL},
    {"http://a/#f", NULL},
    {"http://a/b c", NULL},
    {"http://a/\xff", NULL},
    {"http://a/\x01", NULL},
    {"http://a:b/", NULL},
    {"http://a:99999/", NULL},
    {"http://[::1/", NULL},
    {"/p", NULL},
};

static void test_uris(void **state)
{
    for (size_t i = 0; i < AGW_ARRAY_LEN(uris); i++) {
        struct agw_uri u = {.has_query = true};
        char text[256], *p;
        int r = agw_uri_parse(exact(uris[i].text, &p), &u);
        if (!uris[i].expected) {
            assert_int_equal(r, AGW_EINVAL);
            assert_true(u.has_query && !u.scheme.p); /* untouched */
        } else {
            assert_int_equal(r, 0);
            snprintf(text, sizeof(text), "%.*s|%.*s|%.*s|%.*s|%s%.*s", AGW_STRF(u.scheme), AGW_STRF(u.host),
                     AGW_STRF(u.port), AGW_STRF(u.path), u.has_query ? "?" : "", AGW_STRF(u.query));
            assert_string_equal(text, uris[i].expected);
        }
        free(p);
    }
}

static const struct pair authorities[] = {
    {"a", "a|"},
    {"a.b-c_d~e:1", "a.b-c_d~e|1"},
    {"a:0", "a|0"},
    {"a:65535", "a|65535"},
    {"a:00080", "a|00080"},
    {"a:", "a|"},
    {"1.2.3.4:5", "1.2.3.4|5"},
    {"[::1]:5", "::1|5"},
    {"[::1]:", "::1|"},
    {"[fe80::1:2:3.4.5.6]", "fe80::1:2:3.4.5.6|"},
    {"*.example", "*.example|"},
    {"", NULL},
    {":", NULL},
    {":1", NULL},
    {"a:65536", NULL},
    {"a:000080", NULL},
    {"a:1x", NULL},
    {"a:+1", NULL},
    {"a: 1", NULL},
    {"a:1:2", NULL},
    {"::1", NULL},
    {"[::1", NULL},
    {"[]", NULL},
    {"[a]", NULL},
    {"[1.2.3.4]", NULL},
    {"[::1]1", NULL},
    {"[::1]a:1", NULL},
    {"[:::::::::::::::::::::::::::::::::::::::::::::::::::::::1]", NULL},
    {"[::1%eth0]", NULL},
    {"]", NULL},
    {"a]", NULL},
    {"u@a", NULL},
    {"a,b", NULL},
    {"a b", NULL},
    {" a", NULL},
    {"a%41", NULL},
    {"a/b", NULL},
    {"\xc3\xa4", NULL},
    {"a\r\n", NULL},
};

static void test_authorities(void **state)
{
    struct agw_str host, port;

    for (size_t i = 0; i < AGW_ARRAY_LEN(authorities); i++) {
        char text[256], *p;
        int r = agw_authority_split(exact(authorities[i].text, &p), &host, &port);
        if (authorities[i].expected) {
            assert_int_equal(r, 0);
            snprintf(text, sizeof(text), "%.*s|%.*s", AGW_STRF(host), AGW_STRF(port));
            assert_string_equal(text, authorities[i].expected);
        } else if (r != AGW_EINVAL) {
            fail_msg("accepted: %s", authorities[i].text);
        }
        free(p);
    }
    assert_int_equal(agw_authority_split(AGW_STR("a\0b"), &host, &port), AGW_EINVAL);
    assert_int_equal(agw_authority_split(AGW_STR("[::1\0]"), &host, &port), AGW_EINVAL);
}

static void test_path_split(void **state)
{
    struct agw_str path, query;
    bool has;

    agw_path_split(AGW_STR("/a?b?c"), &path, &query, &has);
    assert_true(has && agw_str_eq(path, AGW_STR("/a")) && agw_str_eq(query, AGW_STR("b?c")));
    agw_path_split(AGW_STR("/a?"), &path, &query, &has);
    assert_true(has && agw_str_eq(path, AGW_STR("/a")) && query.n == 0);
    agw_path_split(AGW_STR("/a"), &path, &query, &has);
    assert_true(!has && agw_str_eq(path, AGW_STR("/a")) && query.n == 0);
    agw_path_split(agw_str(NULL, 0), &path, &query, &has);
    assert_true(!has && path.n == 0);
}

static void test_query_get(void **state)
{
    static const struct {
        const char *query, *name, *value; /* NULL: absent */
    } cases[] = {
        {"a=1&b=2", "b", "2"},
        {"a=1&a=2", "a", "1"},
        {"a", "a", ""},
        {"a=&b", "a", ""},
        {"", "a", NULL},
        {"a=1", "A", NULL},
        {"ab=1", "a", NULL},
        {"a=1", "ab", NULL},
        {"&&a=1&&", "a", "1"},
        {"a=b=c", "a", "b=c"},
        {"a=x+y%20z", "a", "x y z"},
        {"%61=1", "a", "1"},
        {"a+b=1", "a b", "1"},
        {"a=%zz", "a", NULL},
        {"a=%4", "a", NULL},
        {"%zz=1&a=2", "a", "2"},
        {"=1", "", "1"},
        {"a=%00", "a", ""},
        {"a=%c3%A4", "a", "\xc3\xa4"},
    };
    struct agw_arena arena;

    agw_arena_init(&arena, 0, 0);
    for (size_t i = 0; i < AGW_ARRAY_LEN(cases); i++) {
        struct agw_str value = AGW_STR("untouched");
        char *p;
        bool found = agw_query_get(exact(cases[i].query, &p), agw_str_c(cases[i].name), &arena, &value);
        assert_int_equal(found, cases[i].value != NULL);
        if (!found)
            assert_true(agw_str_eq(value, AGW_STR("untouched")));
        else if (strstr(cases[i].query, "%00"))
            assert_true(value.n == 1 && value.p[0] == 0);
        else
            assert_true(agw_str_eq(value, agw_str_c(cases[i].value)));
        free(p);
    }
    agw_arena_free(&arena);
}

static void test_percent_decode(void **state)
{
    struct agw_arena arena;
    struct agw_str plain = AGW_STR("plain+text");

    agw_arena_init(&arena, 0, 0);
    assert_true(agw_percent_decode(plain, false, &arena).p == plain.p);
    assert_true(agw_str_eq(agw_percent_decode(plain, true, &arena), AGW_STR("plain text")));
    assert_true(agw_str_eq(agw_percent_decode(AGW_STR("%2f%2F%7e"), false, &arena), AGW_STR("//~")));
    assert_true(agw_str_eq(agw_percent_decode(AGW_STR("%2B+"), true, &arena), AGW_STR("+ ")));
    assert_non_null(agw_percent_decode(agw_str(NULL, 0), true, &arena).p);
    assert_null(agw_percent_decode(AGW_STR("%"), false, &arena).p);
    assert_null(agw_percent_decode(AGW_STR("a%1"), false, &arena).p);
    assert_null(agw_percent_decode(AGW_STR("%g1"), false, &arena).p);
    assert_null(agw_percent_decode(AGW_STR("%1g"), false, &arena).p);
    agw_arena_free(&arena);
    failmalloc_at(1);
    assert_null(agw_percent_decode(AGW_STR("%20"), false, &arena).p);
    failmalloc_at(1);
    assert_false(agw_query_get(AGW_STR("a=%20"), AGW_STR("a"), &arena, &plain));
    failmalloc_at(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_uris),           cmocka_unit_test(test_authorities),
        cmocka_unit_test(test_path_split),     cmocka_unit_test(test_query_get),
        cmocka_unit_test(test_percent_decode),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
