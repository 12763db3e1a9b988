#include "mcp/guard/access.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>
#include "base/check.h"
#include "failmalloc.h"
#include "mcp/message/merge.h"

/* A rule that matches all whose name has this letter; '!' fails. */
static enum agw_rule_answer has_letter(const void *conf, const struct agw_caller *caller,
                                       const struct agw_mcp_access *access)
{
    char letter = *(const char *)conf;
    if (letter == '!')
        return AGW_RULE_FAILED;
    return agw_str_find(access->name, letter) >= 0 ? AGW_RULE_YES : AGW_RULE_NO;
}

#define RULE(what, letter)                                                                                   \
    {                                                                                                        \
        AGW_RULE_##what, has_letter, letter                                                                  \
    }

static bool allowed(const struct agw_access_rules *const *sets, uint32_t count, const char *name)
{
    const struct agw_mcp_rights r = {.sets = sets, .count = count};
    const struct agw_mcp_access access = {.object = AGW_MCP_TOOL, .name = agw_str_c(name)};
    return agw_mcp_allowed(&r, &access);
}

static void rules_of_all_policies_add_up(void **state)
{
    static const struct agw_access_rule allow[] = {RULE(ALLOW, "a"), RULE(ALLOW, "b")},
                                        deny[] = {RULE(DENY, "d")}, require[] = {RULE(REQUIRE, "r")},
                                        more[] = {RULE(ALLOW, "m")}, broken[] = {RULE(DENY, "!")};
    static const struct agw_access_rules a = {allow, 2}, d = {deny, 1}, r = {require, 1}, m = {more, 1},
                                         x = {broken, 1};
    const struct agw_access_rules *const sets[] = {&a, &d, &r, &m, &x};
    assert_true(allowed(sets, 0, "z"));
    assert_true(allowed(sets, 1, "a") && allowed(sets, 1, "b") && !allowed(sets, 1, "z"));
    assert_true(!allowed(sets, 2, "ad") && allowed(sets, 2, "a"));
    assert_true(allowed(sets + 1, 1, "z") &&
                !allowed(sets + 1, 1, "d")); /* nothing but denials: the rest may */
    assert_true(!allowed(sets, 3, "a") && allowed(sets, 3, "ar"));
    assert_true(allowed(sets, 4, "mr") && !allowed(sets, 4, "r"));
    assert_false(allowed(sets, 5, "ar"));
}

static void what_a_request_is_about(void **state)
{
    static const struct agw_access_rule rules[] = {RULE(ALLOW, "a")};
    static const struct agw_access_rules set = {rules, 1};
    const struct agw_access_rules *const sets[] = {&set};
    const struct agw_mcp_rights r = {.sets = sets, .count = 1}, none = {0};
    struct agw_json_doc doc;
    agw_json_doc_init(&doc, 0);
    assert_int_equal(
        agw_json_parse(&doc, AGW_STR("{\"ref\":{\"type\":\"ref/prompt\",\"name\":\"b\"}}"), NULL), 0);
    const struct agw_mcp_method *m = agw_mcp_method_find(AGW_STR("completion/complete"));
    assert_true(agw_mcp_may_ask(&r, m, &doc, 0, AGW_STR("t"), AGW_STR("a")));
    assert_false(agw_mcp_may_ask(&r, m, &doc, 0, AGW_STR("t"), AGW_STR("b")));
    assert_true(agw_mcp_may_ask(&none, m, &doc, 0, AGW_STR("t"), AGW_STR("b")));
    agw_json_doc_free(&doc);
}

static void items_are_hidden(void **state)
{
    static const struct agw_access_rule rules[] = {RULE(DENY, "d")};
    static const struct agw_access_rules set = {rules, 1};
    const struct agw_access_rules *const sets[] = {&set};
    const struct agw_mcp_rights r = {.sets = sets, .count = 1};
    const struct agw_mcp_method *list = agw_mcp_method_find(AGW_STR("tools/list"));
    static const char text[] =
        "{\"tools\":[{\"name\":\"a\"},{\"name\":\"\\u0064\"},{\"title\":\"b\"},{\"name\":\"c\",\"x\":[{}]}]}";
    struct agw_mcp_target target = {.name = {"one", 3}};
    const struct agw_mcp_backend b = {.targets = &target, .count = 1};
    struct agw_json_doc doc;
    struct agw_arena arena;
    struct agw_json_writer w;
    agw_arena_init(&arena, 1024, 0);
    agw_json_doc_init(&doc, 0);
    assert_int_equal(agw_json_parse(&doc, AGW_STR(text), NULL), 0);
    assert_int_equal(agw_mcp_hide_items(&r, list, &doc, 0, target.name, &arena), 0);
    const struct agw_mcp_part part = {0, &doc, 0};
    uint32_t owner;
    agw_json_writer_init(&w);
    assert_int_equal(agw_mcp_merge_list(&b, list, &part, 1, AGW_STR("1"), AGW_STR(""), NULL, &arena, &w), 0);
    struct agw_str got = agw_json_writer_text(&w);
    static const char want[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"tools\":[{\"name\":\"a\"},"
                               "{\"name\":\"c\",\"x\":[{}]}]}}";
    assert_int_equal(got.n, strlen(want));
    assert_memory_equal(got.p, want, got.n);
    agw_json_writer_free(&w);
    assert_int_equal(agw_mcp_find_owner(list, &part, 1, AGW_STR("c"), &owner), 0);
    assert_int_equal(agw_mcp_find_owner(list, &part, 1, AGW_STR("d"), &owner), AGW_ENOTFOUND);
    /* the same list, for somebody who may use another part of it */
    static const struct agw_access_rule others[] = {RULE(DENY, "c")};
    static const struct agw_access_rules other_set = {others, 1};
    const struct agw_access_rules *const other_sets[] = {&other_set};
    const struct agw_mcp_rights other = {.sets = other_sets, .count = 1};
    assert_int_equal(agw_mcp_hide_items(&other, list, &doc, 0, target.name, &arena), 0);
    assert_int_equal(agw_mcp_find_owner(list, &part, 1, AGW_STR("c"), &owner), AGW_ENOTFOUND);
    assert_int_equal(agw_mcp_find_owner(list, &part, 1, AGW_STR("d"), &owner), 0);
    agw_arena_free(&arena);
    agw_arena_init(&arena, 0, 0);
    failmalloc_at(1);
    int rc = agw_mcp_hide_items(&r, list, &doc, 0, target.name, &arena);
    failmalloc_at(0);
    assert_int_equal(rc, AGW_ENOMEM);
    agw_arena_free(&arena);
    agw_json_doc_free(&doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_of_all_policies_add_up),
        cmocka_unit_test(what_a_request_is_about),
        cmocka_unit_test(items_are_hidden),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
