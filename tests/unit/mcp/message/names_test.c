#include "mcp/message/names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include "failmalloc.h"

static struct agw_mcp_target targets[] = {{.name = {"svc", 3}}, {.name = {"my-other", 8}}};
static const struct agw_mcp_backend two = {.targets = targets, .count = 2};
static const struct agw_mcp_backend one = {.targets = targets, .count = 1};

static void assert_text(struct agw_str got, const char *want)
{
    assert_int_equal(got.n, strlen(want));
    assert_memory_equal(got.p, want, got.n);
}

static void when_names_carry_the_target(void **state)
{
    static const struct {
        enum agw_mcp_prefix prefix;
        uint32_t count;
        bool names, uris;
    } cases[] = {
        {AGW_MCP_PREFIX_CONDITIONAL, 1, false, false}, {AGW_MCP_PREFIX_CONDITIONAL, 2, true, true},
        {AGW_MCP_PREFIX_ALWAYS, 1, true, true},        {AGW_MCP_PREFIX_ALWAYS, 2, true, true},
        {AGW_MCP_PREFIX_NEVER, 1, false, false},       {AGW_MCP_PREFIX_NEVER, 2, false, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct agw_mcp_backend b = {.targets = targets, .count = cases[i].count, .prefix = cases[i].prefix};
        assert_int_equal(agw_mcp_names_prefixed(&b), cases[i].names);
        assert_int_equal(agw_mcp_uris_prefixed(&b), cases[i].uris);
    }
}

static void names_split_at_the_first_separator(void **state)
{
    uint32_t target = 9;
    struct agw_str bare;
    assert_int_equal(agw_mcp_name_split(&two, AGW_STR("svc_do_it"), &target, &bare), 0);
    assert_int_equal(target, 0);
    assert_text(bare, "do_it");
    assert_int_equal(agw_mcp_name_split(&two, AGW_STR("my-other__x"), &target, &bare), 0);
    assert_int_equal(target, 1);
    assert_text(bare, "_x");
    assert_int_equal(agw_mcp_name_split(&two, AGW_STR("svc_"), &target, &bare), 0);
    assert_int_equal(bare.n, 0);
    target = 9;
    assert_int_equal(agw_mcp_name_split(&two, AGW_STR("svc"), &target, &bare), AGW_ENOTFOUND);
    assert_int_equal(agw_mcp_name_split(&two, AGW_STR("_x"), &target, &bare), AGW_ENOTFOUND);
    assert_int_equal(agw_mcp_name_split(&two, AGW_STR("SVC_x"), &target, &bare), AGW_ENOTFOUND);
    assert_int_equal(agw_mcp_name_split(&two, AGW_STR(""), &target, &bare), AGW_ENOTFOUND);
    assert_int_equal(agw_mcp_name_split(&one, AGW_STR("my-other_x"), &target, &bare), AGW_ENOTFOUND);
    assert_int_equal(target, 9);
}

static void uris_take_the_target_before_the_scheme(void **state)
{
    assert_int_equal(agw_mcp_uri_insert_at(AGW_STR("memo:x")), 0);
    assert_int_equal(agw_mcp_uri_insert_at(AGW_STR("http://h/p")), 0);
    assert_int_equal(agw_mcp_uri_insert_at(AGW_STR("a+b-c.9:x")), 0);
    assert_int_equal(agw_mcp_uri_insert_at(AGW_STR("ui://h/p")), 5);
    assert_int_equal(agw_mcp_uri_insert_at(AGW_STR("relative/path")), -1);
    assert_int_equal(agw_mcp_uri_insert_at(AGW_STR("9a:x")), -1);
    assert_int_equal(agw_mcp_uri_insert_at(AGW_STR("a/b:x")), -1);
    assert_int_equal(agw_mcp_uri_insert_at(AGW_STR("")), -1);
}

static void uris_find_their_way_back(void **state)
{
    struct agw_arena arena;
    uint32_t target;
    struct agw_str uri;
    agw_arena_init(&arena, 256, 0);
    assert_int_equal(agw_mcp_uri_split(&two, AGW_STR("svc+memo:a+b"), &arena, &target, &uri), 0);
    assert_int_equal(target, 0);
    assert_text(uri, "memo:a+b");
    assert_int_equal(agw_mcp_uri_split(&two, AGW_STR("ui://my-other+h/p"), &arena, &target, &uri), 0);
    assert_int_equal(target, 1);
    assert_text(uri, "ui://h/p");
    assert_int_equal(agw_mcp_uri_split(&two, AGW_STR("memo:x"), &arena, &target, &uri), AGW_ENOTFOUND);
    assert_int_equal(agw_mcp_uri_split(&two, AGW_STR("nobody+memo:x"), &arena, &target, &uri), AGW_ENOTFOUND);
    assert_int_equal(agw_mcp_uri_split(&two, AGW_STR("ui://h/p"), &arena, &target, &uri), AGW_ENOTFOUND);
    assert_int_equal(agw_mcp_uri_split(&two, AGW_STR(""), &arena, &target, &uri), AGW_ENOTFOUND);
    agw_arena_free(&arena);
    agw_arena_init(&arena, 256, 0);
    failmalloc_at(1);
    int rc = agw_mcp_uri_split(&two, AGW_STR("ui://svc+h"), &arena, &target, &uri);
    failmalloc_at(0);
    assert_int_equal(rc, AGW_ENOMEM);
    agw_arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(when_names_carry_the_target),
        cmocka_unit_test(names_split_at_the_first_separator),
        cmocka_unit_test(uris_take_the_target_before_the_scheme),
        cmocka_unit_test(uris_find_their_way_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
