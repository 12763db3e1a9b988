#include "http/origin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>
#include "base/check.h"
#include "failmalloc.h"

static enum agw_origin_kind kind(const char *origin, const char *second, const char *host)
{
    struct agw_arena arena;
    struct agw_headers h = {0};
    agw_arena_init(&arena, 512, 0);
    agw_headers_init(&h, &arena);
    if (origin)
        assert_int_equal(agw_headers_add_id(&h, AGW_HDR_ORIGIN, agw_str_c(origin)), 0);
    if (second)
        assert_int_equal(agw_headers_add_id(&h, AGW_HDR_ORIGIN, agw_str_c(second)), 0);
    enum agw_origin_kind k = agw_origin_kind_of(&h, agw_str_c(host));
    agw_arena_free(&arena);
    return k;
}

static void whose_page_asks(void **state)
{
    static const struct {
        const char *origin, *second, *host;
        enum agw_origin_kind want;
    } cases[] = {
        {NULL, NULL, "evil.example", AGW_ORIGIN_NONE},
        {"http://a.example", NULL, "a.example", AGW_ORIGIN_OWN},
        {"http://A.example", NULL, "a.Example:80", AGW_ORIGIN_OWN},
        {"https://a.example", NULL, "a.example", AGW_ORIGIN_OWN},
        {"https://a.example:443", NULL, "a.example", AGW_ORIGIN_OWN},
        {"http://a.example:8080", NULL, "a.example:8080", AGW_ORIGIN_OWN},
        {"http://a.example:8080", NULL, "a.example", AGW_ORIGIN_OTHER},
        {"http://a.example", NULL, "a.example:443", AGW_ORIGIN_OTHER},
        {"http://b.example", NULL, "a.example", AGW_ORIGIN_OTHER},
        {"http://localhost:6274", NULL, "127.0.0.1:3000", AGW_ORIGIN_LOCAL},
        {"http://[::1]", NULL, "localhost", AGW_ORIGIN_LOCAL},
        {"http://localhost", NULL, "a.example", AGW_ORIGIN_OTHER},
        {"http://evil.example", NULL, "localhost", AGW_ORIGIN_OTHER},
        {"http://localhost.evil.example", NULL, "localhost", AGW_ORIGIN_OTHER},
        {"http://localhost@evil.example", NULL, "localhost", AGW_ORIGIN_OTHER},
        {"http://10.0.0.1:80", NULL, "10.0.0.1", AGW_ORIGIN_OWN},
        {"null", NULL, "localhost", AGW_ORIGIN_OTHER},
        {"", NULL, "localhost", AGW_ORIGIN_OTHER},
        {"file://localhost", NULL, "localhost", AGW_ORIGIN_OTHER},
        {"http://localhost/", NULL, "localhost", AGW_ORIGIN_OTHER},
        {"http://localhost", NULL, "", AGW_ORIGIN_OTHER},
        {"http://localhost", "http://evil.example", "localhost", AGW_ORIGIN_MANY},
    };
    for (size_t i = 0; i < AGW_ARRAY_LEN(cases); i++)
        if (kind(cases[i].origin, cases[i].second, cases[i].host) != cases[i].want)
            fail_msg("case %zu: %s at %s", i, cases[i].origin, cases[i].host);
}

static void hosts_that_no_dns_gives(void **state)
{
    static const char *const safe[] = {"localhost", "LocalHost:80", "127.0.0.1:3000",
                                       "10.1.2.3",  "[::1]",        "[fe80::1]:80"};
    static const char *const open[] = {"a.example",   "1.2.3.4.example", "1.2.3", "1.2.3.4.5",
                                       "localhost.a", "1..2.3",          ""};
    for (size_t i = 0; i < AGW_ARRAY_LEN(safe); i++)
        assert_true(agw_authority_unspoofable(agw_str_c(safe[i])));
    for (size_t i = 0; i < AGW_ARRAY_LEN(open); i++)
        assert_false(agw_authority_unspoofable(agw_str_c(open[i])));
}

static void patterns(void **state)
{
    static const char *const bad[] = {
        "", "*", "a.example", "https://", "https://a,b", "ht*ps://a.example", "https://a b"};
    struct agw_origin_pattern p;
    struct agw_arena arena;
    agw_arena_init(&arena, 512, 0);
    for (size_t i = 0; i < AGW_ARRAY_LEN(bad); i++)
        assert_int_equal(agw_origin_pattern_parse(agw_str_c(bad[i]), &arena, &p), AGW_EINVAL);
    assert_int_equal(agw_origin_pattern_parse(AGW_STR("https://A.example"), &arena, &p), 0);
    assert_true(agw_origin_matches(&p, AGW_STR("https://a.Example")));
    assert_false(agw_origin_matches(&p, AGW_STR("https://a.example.evil")));
    assert_int_equal(agw_origin_pattern_parse(AGW_STR("https://*.example"), &arena, &p), 0);
    assert_true(agw_origin_matches(&p, AGW_STR("https://a.b.example")));
    assert_false(agw_origin_matches(&p, AGW_STR("https://.example")));
    assert_false(agw_origin_matches(&p, AGW_STR("https://evil/?.example")));
    agw_arena_free(&arena);
    agw_arena_init(&arena, 0, 0);
    failmalloc_at(1);
    int rc = agw_origin_pattern_parse(AGW_STR("https://a.example"), &arena, &p);
    failmalloc_at(0);
    assert_int_equal(rc, AGW_ENOMEM);
    agw_arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whose_page_asks),
        cmocka_unit_test(hosts_that_no_dns_gives),
        cmocka_unit_test(patterns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
