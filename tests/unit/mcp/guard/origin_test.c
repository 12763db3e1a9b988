#include "mcp/guard/origin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>
#include "base/check.h"

static void who_may_ask(void **state)
{
    static const struct {
        const char *origin, *host;
        bool named, allowed, taken;
    } cases[] = {
        {NULL, "rebound.example", false, false, true},
        /* the page of a stranger whose name now leads to us: same origin, as the browser sees it */
        {"http://rebound.example", "rebound.example", false, false, false},
        {"http://named.example", "named.example", true, false, true},
        {"http://10.0.0.1:3000", "10.0.0.1:3000", false, false, true},
        {"http://evil.example", "named.example", true, false, false},
        {"http://evil.example", "named.example", true, true, true},
        {"https://app.example", "rebound.example", false, false, true},
        {"https://x.pages.example", "localhost", false, false, true},
        {"https://pages.example", "localhost", false, false, false},
        {"null", "localhost", false, false, false},
        {"http://localhost:6274", "localhost:3000", false, false, true},
    };
    struct agw_origin_pattern list[2];
    struct agw_arena arena;
    agw_arena_init(&arena, 512, 0);
    assert_int_equal(agw_origin_pattern_parse(AGW_STR("https://app.example"), &arena, &list[0]), 0);
    assert_int_equal(agw_origin_pattern_parse(AGW_STR("https://*.pages.example"), &arena, &list[1]), 0);
    const struct agw_mcp_backend b = {.origins = list, .origin_count = 2};
    for (size_t i = 0; i < AGW_ARRAY_LEN(cases); i++) {
        struct agw_headers h;
        agw_headers_init(&h, &arena);
        if (cases[i].origin)
            assert_int_equal(agw_headers_add_id(&h, AGW_HDR_ORIGIN, agw_str_c(cases[i].origin)), 0);
        const struct agw_mcp_origin o = {agw_str_c(cases[i].host), cases[i].named, cases[i].allowed};
        if (!agw_mcp_origin_refused(&b, &o, &h) != cases[i].taken)
            fail_msg("case %zu", i);
    }
    agw_arena_free(&arena);
}

static void two_origins_are_none(void **state)
{
    struct agw_arena arena;
    struct agw_headers h;
    const struct agw_mcp_backend b = {0};
    const struct agw_mcp_origin o = {AGW_STR("localhost"), true, true};
    agw_arena_init(&arena, 512, 0);
    agw_headers_init(&h, &arena);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(agw_headers_add_id(&h, AGW_HDR_ORIGIN, AGW_STR("http://localhost")), 0);
    assert_non_null(agw_mcp_origin_refused(&b, &o, &h));
    agw_arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_may_ask),
        cmocka_unit_test(two_origins_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
