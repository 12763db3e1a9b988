#include "policy/auth/condition.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>
#include "base/check.h"
#include "failmalloc.h"
#include "json/tape.h"

static const char claims_text[] = "{\"sub\":\"ada\",\"groups\":[\"dev\",\"ops\",1],\"level\":3,"
                                  "\"esc\":\"a\\u0062c\",\"org\":{\"team x\":\"blue\"}}";

struct fixture {
    struct agw_arena arena;
    struct agw_json_doc claims;
    struct agw_msg req;
    struct agw_caller caller;
};

static void begin(struct fixture *f)
{
    agw_arena_init(&f->arena, 4096, 0);
    agw_json_doc_init(&f->claims, 0);
    assert_int_equal(agw_json_parse(&f->claims, AGW_STR(claims_text), NULL), 0);
    agw_msg_init(&f->req, &f->arena);
    assert_int_equal(agw_headers_add(&f->req.headers, AGW_HDR_OTHER, AGW_STR("x-team"), AGW_STR("red")), 0);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(agw_headers_add(&f->req.headers, AGW_HDR_OTHER, AGW_STR("x-two"), AGW_STR("a")), 0);
    f->caller = (struct agw_caller){&f->req, &f->claims};
}

static void end(struct fixture *f)
{
    agw_json_doc_free(&f->claims);
    agw_arena_free(&f->arena);
}

static enum agw_rule_answer answer(struct fixture *f, const char *text, enum agw_mcp_object object)
{
    const struct agw_mcp_access access = {object, AGW_STR("read_file"), AGW_STR("files"),
                                          AGW_STR("tools/call")};
    const struct agw_condition *c;
    struct agw_error err = {0};
    if (agw_condition_parse(agw_str_c(text), &f->arena, &c, &err) != 0)
        fail_msg("%s: %s", text, err.text);
    return agw_condition_holds(c, &f->caller, &access);
}

static const struct {
    const char *text;
    bool tool, prompt; /* holds for one, and for the other */
} cases[] = {
    {"true", true, true},
    {"false", false, false},
    {"mcp.tool.name == \"read_file\"", true, false},
    {"mcp.tool.name == 'write'", false, false},
    {"'read_file' == mcp.tool.name", true, false},
    {"mcp.tool.name != \"write\"", true, false}, /* a prompt has no such name: an error */
    {"!(mcp.tool.name == \"write\")", true, false},
    {"mcp.prompt.name == \"read_file\"", false, true},
    {"mcp.resource.name == \"read_file\"", false, false},
    {"mcp.tool.target == \"files\" && mcp.tool.name.startsWith(\"read_\")", true, false},
    {"mcp.tool.name.endsWith('file') || mcp.prompt.name.contains('x')", true, false},
    {"mcp.tool.name.contains('ad_f')", true, false},
    {"mcp.tool.name in [\"a\", 'read_file']", true, false},
    {"mcp.tool.name in [\"a\"]", false, false},
    {"has(mcp.tool)", true, false},
    {"!has(mcp.tool) || mcp.tool.name == 'read_file'", true, true},
    {"jwt.sub == \"ada\"", true, true},
    {"jwt.sub == 'eve'", false, false},
    {"jwt.nobody == 'ada'", false, false},
    {"jwt.nobody != 'ada'", false, false},
    {"has(jwt.sub) && !has(jwt.nobody) && !has(jwt.org.other)", true, true},
    {"jwt.org[\"team x\"] == 'blue'", true, true},
    {"jwt[\"org\"]['team x'].startsWith('bl')", true, true},
    {"\"ops\" in jwt.groups", true, true},
    {"'root' in jwt.groups", false, false},
    {"jwt.sub in jwt.groups", false, false},
    {"'ada' in jwt.sub", false, false}, /* no list */
    {"jwt.level == '3'", false, false}, /* a number is no text */
    {"jwt.level != '3'", true, true},
    {"jwt.esc == 'abc' && jwt.esc.endsWith('bc')", true, true},
    {"request.headers['X-Team'] == 'red'", true, true},
    {"request.headers['x-two'] == 'a'", false, false}, /* which of the two? */
    {"request.headers['x-none'] != 'a'", false, false},
    /* what decides absorbs an error, on either side */
    {"jwt.nobody == 'x' || true", true, true},
    {"true || jwt.nobody == 'x'", true, true},
    {"!(jwt.nobody == 'x' && false)", true, true},
    {"!(jwt.nobody == 'x')", false, false},
    /* && binds closer */
    {"true || false && false", true, true},
    {"(true || false) && false", false, false},
    {"mcp.tool.name == 'it\\'s \\\\ \"'", false, false},
    {" \t\n true ", true, true},
};

static void what_conditions_mean(void **state)
{
    struct fixture f;
    begin(&f);
    for (size_t i = 0; i < AGW_ARRAY_LEN(cases); i++) {
        if (answer(&f, cases[i].text, AGW_MCP_TOOL) != (cases[i].tool ? AGW_RULE_YES : AGW_RULE_NO) ||
            answer(&f, cases[i].text, AGW_MCP_PROMPT) != (cases[i].prompt ? AGW_RULE_YES : AGW_RULE_NO))
            fail_msg("%s", cases[i].text);
    }
    f.caller.claims = NULL;
    assert_int_equal(answer(&f, "jwt.sub == 'ada'", AGW_MCP_TOOL), AGW_RULE_NO);
    assert_int_equal(answer(&f, "has(jwt.sub)", AGW_MCP_TOOL), AGW_RULE_NO);
    end(&f);
}

static void what_is_refused(void **state)
{
    static const struct {
        const char *text, *want;
    } bad[] = {
        {"", "at 1: a string, mcp, jwt or request must stand here"},
        {"mcp.tool.name", "at 14: ==, !=, in or a method must stand here"},
        {"mcp.tool == 'a'", "at 10: .name or .target must stand here"},
        {"mcp.tool.arguments == 'a'", "at 9: only .name and .target of it are served"},
        {"mcp.task.name == 'a'", "at 5: of mcp only tool, prompt and resource are served"},
        {"jwt == 'a'", "at 5: jwt needs the name of a claim"},
        {"jwt. == 'a'", "at 6: a name must stand here"},
        {"request.path == 'a'", "at 9: of request only request.headers[\"name\"] is served"},
        {"request.headers['a b'] == 'a'", "at 22: the string is no name of a header field"},
        {"mcp.tool.name == 3", "at 18: a string, mcp, jwt or request must stand here"},
        {"mcp.tool.name == 'a", "at 20: the string does not end"},
        {"mcp.tool.name == 'a\\n'", "at 21: of the escapes \\\\, \\\" and \\' alone are served"},
        {"mcp.tool.name == 'a' mcp", "at 22: the condition should end here, or go on with && or ||"},
        {"mcp.tool.name.matches('a')", "at 15: only startsWith, endsWith and contains are served"},
        {"mcp.tool.name.startsWith(jwt.sub)", "at 26: a string must stand here"},
        {"mcp.tool.name in []", "at 19: a string must stand here"},
        {"mcp.tool.name in ['a'", "at 22: a comma or ] must stand here"},
        {"mcp.tool.name in 'a'", "at 21: a list or a claim must stand after in"},
        {"(true", "at 6: ) must stand here"},
        {"true &&", "at 8: a string, mcp, jwt or request must stand here"},
        {"truexyz", "at 1: a string, mcp, jwt or request must stand here"},
        {"has('a')", "at 8: has serves mcp and jwt alone"},
        {"true ? true : false", "at 6: the condition should end here, or go on with && or ||"},
    };
    for (size_t i = 0; i < AGW_ARRAY_LEN(bad); i++) {
        const struct agw_condition *c;
        struct agw_error err = {0};
        struct agw_arena arena;
        agw_arena_init(&arena, 0, 0);
        assert_int_equal(agw_condition_parse(agw_str_c(bad[i].text), &arena, &c, &err), AGW_EINVAL);
        assert_string_equal(err.text, bad[i].want);
        agw_arena_free(&arena);
    }
}

static void limits(void **state)
{
    char text[AGW_CONDITION_MAX + 2];
    const struct agw_condition *c;
    struct agw_error err = {0};
    struct agw_arena arena;
    agw_arena_init(&arena, 0, 0);
    memset(text, ' ', sizeof text);
    memcpy(text, "true", 4);
    assert_int_equal(agw_condition_parse(agw_str(text, AGW_CONDITION_MAX), &arena, &c, &err), 0);
    assert_int_equal(agw_condition_parse(agw_str(text, AGW_CONDITION_MAX + 1), &arena, &c, &err), AGW_ELIMIT);
    memset(text, '!', AGW_CONDITION_DEPTH);
    memcpy(text + AGW_CONDITION_DEPTH, "true", 4);
    assert_int_equal(agw_condition_parse(agw_str(text, AGW_CONDITION_DEPTH + 4), &arena, &c, &err),
                     AGW_ELIMIT);
    assert_int_equal(agw_condition_parse(agw_str(text + 1, AGW_CONDITION_DEPTH + 3), &arena, &c, &err), 0);
    agw_arena_free(&arena);
}

static void without_memory(void **state)
{
    static const char text[] = "jwt.a['b'] in ['x'] && request.headers['X'] == 'y' || !has(mcp.tool)";
    struct fixture f;
    for (long n = 1;; n++) {
        const struct agw_condition *c;
        struct agw_error err = {0};
        struct agw_arena arena;
        agw_arena_init(&arena, 1, 0);
        failmalloc_at(n);
        int rc = agw_condition_parse(AGW_STR(text), &arena, &c, &err);
        bool reached = failmalloc_count() >= n;
        failmalloc_at(0);
        assert_int_equal(rc, reached ? AGW_ENOMEM : 0);
        agw_arena_free(&arena);
        if (!reached)
            break;
    }
    begin(&f);
    const struct agw_mcp_access access = {AGW_MCP_TOOL, AGW_STR("a"), AGW_STR("b"), AGW_STR("c")};
    const struct agw_condition *c;
    assert_int_equal(agw_condition_parse(AGW_STR("jwt.esc == 'x' || true"), &f.arena, &c, NULL), 0);
    failmalloc_at(1);
    enum agw_rule_answer got = agw_condition_holds(c, &f.caller, &access);
    failmalloc_at(0);
    assert_int_equal(got, AGW_RULE_FAILED);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_conditions_mean),
        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(limits),
        cmocka_unit_test(without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
