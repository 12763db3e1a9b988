#include "mcp/virtual/select.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>
#include "base/check.h"
#include "failmalloc.h"
#include "json/pointer.h"

#define S(text)                                                                                              \
    {                                                                                                        \
        text, sizeof(text) - 1                                                                               \
    }

static const struct agw_mcp_tool_rule rules[] = {
    {.target = 0, .name = S("add"), .rename = S("sum"), .title = S("A \"sum\""), .description = S("Adds.")},
    {.target = 0, .pattern = S("get_*")},
    {.target = 1, .name = S("get"), .description = S("Gets.")},
    {.target = 1, .name = S("put"), .rename = S("one_get_x")},
    {.target = UINT32_MAX, .name = S("lost"), .rename = S("lost")},
};
static struct agw_mcp_target targets[] = {{.name = S("one")}, {.name = S("two")}};
static const struct agw_mcp_backend plain = {.targets = targets, .count = 2},
                                    some = {.targets = targets, .count = 2, .rules = rules, .rule_count = 5};

static void patterns(void **state)
{
    static const struct {
        const char *pattern, *text;
        bool matches;
    } cases[] = {
        {"*", "", true},          {"*", "a", true},          {"a*", "ab", true},      {"a*", "ba", false},
        {"*a", "ba", true},       {"*a", "ab", false},       {"a*c", "abbc", true},   {"a*c", "abcb", false},
        {"a*b*c", "axbxc", true}, {"a*b*c", "axcxb", false}, {"**", "x", true},       {"a", "a", true},
        {"a", "ab", false},       {"ab", "a", false},        {"*ab*ab", "ab", false}, {"*ab", "aab", true},
    };
    for (size_t i = 0; i < AGW_ARRAY_LEN(cases); i++)
        if (agw_mcp_pattern_matches(agw_str_c(cases[i].pattern), agw_str_c(cases[i].text)) !=
            cases[i].matches)
            fail_msg("%s and %s", cases[i].pattern, cases[i].text);
}

static void what_is_shown(void **state)
{
    static const struct {
        uint32_t target;
        const char *name;
        bool prefixed, bare;
    } cases[] = {
        {0, "add", true, true},    {0, "get_y", true, true}, {0, "get", false, false},
        {0, "get_x", false, true}, /* its name with the target's is put's */
        {1, "get", true, true},    {1, "add", false, false}, {1, "put", true, true},
    };
    for (size_t i = 0; i < AGW_ARRAY_LEN(cases); i++) {
        struct agw_str name = agw_str_c(cases[i].name);
        assert_true(agw_mcp_tool_shown(&plain, cases[i].target, name, true));
        assert_int_equal(agw_mcp_tool_shown(&some, cases[i].target, name, true), cases[i].prefixed);
        assert_int_equal(agw_mcp_tool_shown(&some, cases[i].target, name, false), cases[i].bare);
    }
    static const struct agw_mcp_tool_rule late[] = {{.pattern = S("*")},
                                                    {.name = S("add"), .rename = S("sum")}};
    static const struct agw_mcp_backend b = {.targets = targets, .count = 2, .rules = late, .rule_count = 2};
    assert_ptr_equal(agw_mcp_tool_rule_of(&b, 0, AGW_STR("add")), &late[1]); /* names before patterns */
    assert_ptr_equal(agw_mcp_tool_rule_of(&b, 0, AGW_STR("get")), &late[0]);
    assert_null(agw_mcp_tool_rule_of(&b, 1, AGW_STR("get")));
    assert_ptr_equal(agw_mcp_tool_rule_named(&some, AGW_STR("sum")), &rules[0]);
    assert_null(agw_mcp_tool_rule_named(&some, AGW_STR("add")));
    assert_null(agw_mcp_tool_rule_named(&some, AGW_STR("")));
}

static int edited(struct agw_arena *arena, const char *text, const struct agw_mcp_tool_rule *rule,
                  struct agw_json_writer *w)
{
    struct agw_json_doc doc;
    struct agw_json_edits edits;
    agw_json_doc_init(&doc, 0);
    agw_json_edits_init(&edits, arena);
    int rc = agw_json_parse(&doc, agw_str_c(text), NULL);
    if (rc == 0)
        rc = agw_mcp_tool_edit(rule, &doc, 0, &edits);
    if (rc == 0)
        rc = agw_json_edits_write(&edits, doc.text, 0, (uint32_t)doc.text.n, w);
    agw_json_doc_free(&doc);
    return rc;
}

static void the_rest_stays_byte_for_byte(void **state)
{
    static const struct {
        const char *before, *after;
        unsigned rule;
    } cases[] = {
        {"{\"x\" : 1.00, \"description\":\"old\",\"name\":\"add\",\"y\":{\"name\":\"add\"}}",
         "{\"title\":\"A \\\"sum\\\"\",\"x\" : 1.00, "
         "\"description\":\"Adds.\",\"name\":\"sum\",\"y\":{\"name\":"
         "\"add\"}}",
         0},
        {"{ \"name\":\"get\" }", "{\"description\":\"Gets.\", \"name\":\"get\" }", 2},
        {"{\"description\":7,\"name\":\"get\",\"descripti\\u006fn\":\"old\"}",
         "{\"description\":\"Gets.\",\"name\":\"get\",\"descripti\\u006fn\":\"Gets.\"}", 2},
        {"{\"name\":\"get_a\",\"title\":null}", "{\"name\":\"get_a\",\"title\":null}", 1},
    };
    for (size_t i = 0; i < AGW_ARRAY_LEN(cases); i++) {
        struct agw_arena arena;
        struct agw_json_writer w;
        agw_arena_init(&arena, 1024, 0);
        agw_json_writer_init(&w);
        assert_int_equal(edited(&arena, cases[i].before, &rules[cases[i].rule], &w), 0);
        struct agw_str got = agw_json_writer_text(&w);
        assert_int_equal(got.n, strlen(cases[i].after));
        assert_memory_equal(got.p, cases[i].after, got.n);
        agw_json_writer_free(&w);
        agw_arena_free(&arena);
    }
}

static void memory_runs_out(void **state)
{
    for (long n = 1;; n++) {
        struct agw_arena arena;
        struct agw_json_writer w;
        agw_arena_init(&arena, 64, 0);
        agw_json_writer_init(&w);
        failmalloc_at(n);
        int rc = edited(&arena, "{\"name\":\"add\"}", &rules[0], &w);
        bool reached = failmalloc_count() >= n;
        failmalloc_at(0);
        rc = rc ? rc : w.error;
        assert_int_equal(rc, reached ? AGW_ENOMEM : 0);
        agw_json_writer_free(&w);
        agw_arena_free(&arena);
        if (!reached)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns),
        cmocka_unit_test(what_is_shown),
        cmocka_unit_test(the_rest_stays_byte_for_byte),
        cmocka_unit_test(memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
