#include "mcp/message/router.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>
#include "failmalloc.h"
#include "mcp/message/session.h"

static struct agw_mcp_target targets[] = {{.name = {"a", 1}}, {.name = {"b", 1}}};
static const struct agw_mcp_backend two = {.targets = targets, .count = 2};
static const struct agw_mcp_backend bare = {.targets = targets, .count = 2, .prefix = AGW_MCP_PREFIX_NEVER};
static const struct agw_mcp_backend one = {.targets = targets, .count = 1};
static const struct agw_mcp_backend always = {
    .targets = targets, .count = 1, .prefix = AGW_MCP_PREFIX_ALWAYS};

static struct agw_arena arena;
static struct agw_json_doc doc;
static struct agw_json_edits edits;
static struct agw_jsonrpc message;
static uint32_t target;
static struct agw_str name;

static int setup(void **state)
{
    agw_arena_init(&arena, 4096, 0);
    agw_json_doc_init(&doc, 0);
    return 0;
}

static int teardown(void **state)
{
    agw_arena_free(&arena);
    agw_json_doc_free(&doc);
    return 0;
}

static void read_text(const char *text)
{
    assert_int_equal(agw_jsonrpc_read(&doc, agw_str_c(text), &arena, &message, NULL), 0);
    agw_json_edits_init(&edits, &arena);
    target = 9;
    name = (struct agw_str){0};
}

static void assert_edited(const char *want)
{
    char got[1024];
    struct agw_chain out;
    agw_chain_init(&out);
    assert_int_equal(agw_json_edits_apply(&edits, doc.text, NULL, &out), 0);
    size_t n = agw_chain_peek(&out, got, sizeof got - 1);
    got[n] = 0;
    agw_chain_clear(&out);
    assert_string_equal(got, want);
}

static int up(const struct agw_mcp_backend *b, const char *text)
{
    read_text(text);
    return agw_mcp_edit_up(b, agw_mcp_method_find(message.method), &doc, &message, &edits, &target, &name);
}

static int down(const struct agw_mcp_backend *b, uint32_t from, const char *method, const char *text)
{
    read_text(text);
    return agw_mcp_edit_down(b, from, method ? agw_mcp_method_find(agw_str_c(method)) : NULL, &doc, &message,
                             &edits);
}

static int back(const struct agw_mcp_backend *b, const char *text)
{
    read_text(text);
    return agw_mcp_edit_back(b, &doc, &message, &edits, &target);
}

#define HEAD "{\"jsonrpc\":\"2.0\",\"id\":1,"

static void methods(void **state)
{
    assert_int_equal(agw_mcp_method_find(AGW_STR("tools/call"))->way, AGW_MCP_WAY_NAME);
    assert_int_equal(agw_mcp_method_find(AGW_STR("resources/templates/list"))->way, AGW_MCP_WAY_LIST);
    assert_int_equal(agw_mcp_method_find(AGW_STR("ping"))->way, AGW_MCP_WAY_LOCAL);
    assert_int_equal(agw_mcp_method_find(AGW_STR("tools/cal"))->way, AGW_MCP_WAY_UNKNOWN);
    assert_int_equal(agw_mcp_method_find(AGW_STR(""))->way, AGW_MCP_WAY_UNKNOWN);
}

static void calls_lose_the_prefix_and_nothing_else(void **state)
{
    assert_int_equal(
        up(&two,
           HEAD "\"method\":\"tools/call\",\"params\":{ \"name\" : \"b_x_y\",\"arguments\":{\"n\":1.0}}}"),
        0);
    assert_int_equal(target, 1);
    assert_true(agw_str_eq(name, AGW_STR("x_y")));
    assert_edited(HEAD
                  "\"method\":\"tools/call\",\"params\":{ \"name\" : \"x_y\",\"arguments\":{\"n\":1.0}}}");
    assert_int_equal(up(&two, HEAD "\"method\":\"prompts/get\",\"params\":{\"name\":\"a\\u005fp\\n\"}}"), 0);
    assert_int_equal(target, 0);
    assert_edited(HEAD "\"method\":\"prompts/get\",\"params\":{\"name\":\"p\\n\"}}");
    assert_int_equal(up(&one, HEAD "\"method\":\"tools/call\",\"params\":{\"name\":\"b_x\"}}"), 0);
    assert_int_equal(target, 0);
    assert_edited(HEAD "\"method\":\"tools/call\",\"params\":{\"name\":\"b_x\"}}");
    assert_int_equal(up(&always, HEAD "\"method\":\"tools/call\",\"params\":{\"name\":\"a_x\"}}"), 0);
    assert_edited(HEAD "\"method\":\"tools/call\",\"params\":{\"name\":\"x\"}}");
    assert_int_equal(up(&bare, HEAD "\"method\":\"tools/call\",\"params\":{\"name\":\"x\"}}"), 0);
    assert_true(target == AGW_MCP_ANY);
    assert_true(agw_str_eq(name, AGW_STR("x")));
}

#define RELATED(id) "\"_meta\":{\"io.modelcontextprotocol/related-task\":{\"taskId\":\"" id "\"}}"

static void tasks_lead_to_their_owner(void **state)
{
    static const char *const methods_of_one[] = {"tasks/get", "tasks/result", "tasks/cancel"};
    for (size_t i = 0; i < sizeof methods_of_one / sizeof methods_of_one[0]; i++) {
        char text[160], want[160];
        snprintf(text, sizeof text, HEAD "\"method\":\"%s\",\"params\":{\"taskId\":\"b+7+a\"}}",
                 methods_of_one[i]);
        snprintf(want, sizeof want, HEAD "\"method\":\"%s\",\"params\":{\"taskId\":\"7+a\"}}",
                 methods_of_one[i]);
        assert_int_equal(up(&two, text), 0);
        assert_int_equal(target, 1);
        assert_edited(want);
        assert_int_equal(up(&bare, text), 0); /* names alone are bare */
        assert_int_equal(target, 1);
        assert_int_equal(up(&one, text), 0);
        assert_int_equal(target, 0);
        assert_edited(text);
    }
    assert_int_equal(up(&two, HEAD "\"method\":\"tasks/get\",\"params\":{\"taskId\":\"7\"}}"), AGW_ENOTFOUND);
    assert_int_equal(up(&two, HEAD "\"method\":\"tasks/get\",\"params\":{\"taskId\":\"c+7\"}}"),
                     AGW_ENOTFOUND);
    assert_int_equal(up(&two, HEAD "\"method\":\"tasks/get\",\"params\":{\"taskId\":7}}"), AGW_EINVAL);
    assert_int_equal(up(&two, HEAD "\"method\":\"tasks/get\"}"), AGW_EINVAL);
    assert_int_equal(
        up(&two, HEAD "\"method\":\"tools/call\",\"params\":{\"name\":\"a_x\"," RELATED("a+7") "}}"), 0);
    assert_edited(HEAD "\"method\":\"tools/call\",\"params\":{\"name\":\"x\"," RELATED("7") "}}");
    assert_int_equal(
        up(&two, HEAD "\"method\":\"tools/call\",\"params\":{\"name\":\"a_x\"," RELATED("b+7") "}}"), 0);
    assert_edited(HEAD "\"method\":\"tools/call\",\"params\":{\"name\":\"x\"," RELATED("b+7") "}}");
}

static void ids_of_tasks_tell_their_owner(void **state)
{
    static const struct {
        const char *method, *text, *want;
    } cases[] = {
        {"tools/call", HEAD "\"result\":{\"task\":{\"taskId\":\"7\",\"status\":\"working\"}}}",
         HEAD "\"result\":{\"task\":{\"taskId\":\"b+7\",\"status\":\"working\"}}}"},
        {"tools/call", HEAD "\"result\":{\"taskId\":\"7\",\"content\":[]}}",
         HEAD "\"result\":{\"taskId\":\"7\",\"content\":[]}}"},
        {"tasks/get", HEAD "\"result\":{\"taskId\":\"\\u0037\"}}",
         HEAD "\"result\":{\"taskId\":\"b+\\u0037\"}}"},
        {"tasks/cancel", HEAD "\"result\":{\"taskId\":7}}", HEAD "\"result\":{\"taskId\":7}}"},
        {"tasks/result",
         HEAD
         "\"result\":{\"taskId\":\"x\",\"content\":[{\"type\":\"resource_link\",\"uri\":\"m:1\"}]," RELATED(
             "7") "}}",
         HEAD
         "\"result\":{\"taskId\":\"x\",\"content\":[{\"type\":\"resource_link\",\"uri\":\"b+m:1\"}]," RELATED(
             "b+7") "}}"},
        {"tools/call",
         "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/tasks/status\",\"params\":{\"taskId\":\"7\"}}",
         "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/tasks/status\",\"params\":{\"taskId\":\"b+7\"}}"},
        {NULL, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{" RELATED("7") "}}",
         "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{" RELATED("b+7") "}}"},
        {NULL, HEAD "\"method\":\"elicitation/create\",\"params\":{" RELATED("7") "}}",
         "{\"jsonrpc\":\"2.0\",\"id\":\"agw_b_n_1\",\"method\":\"elicitation/create\",\"params\":{" RELATED(
             "b+7") "}}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(down(&two, 1, cases[i].method, cases[i].text), 0);
        assert_edited(cases[i].want);
        assert_int_equal(down(&one, 0, cases[i].method, cases[i].text), 0);
        assert_edited(cases[i].text);
    }
    static const char answer[] =
        "{\"jsonrpc\":\"2.0\",\"id\":\"agw_b_n_1\",\"result\":{\"action\":\"cancel\"," RELATED("b+7") "}}";
    assert_int_equal(back(&two, answer), 0);
    assert_int_equal(agw_mcp_edit_related(&two, target, &doc, &message, &edits), 0);
    assert_edited(HEAD "\"result\":{\"action\":\"cancel\"," RELATED("7") "}}");
}

static void calls_that_name_nobody(void **state)
{
    assert_int_equal(up(&two, HEAD "\"method\":\"tools/call\",\"params\":{\"name\":\"x\"}}"), AGW_ENOTFOUND);
    assert_int_equal(up(&two, HEAD "\"method\":\"tools/call\",\"params\":{\"name\":\"c_x\"}}"),
                     AGW_ENOTFOUND);
    assert_int_equal(up(&two, HEAD "\"method\":\"tools/call\",\"params\":{}}"), AGW_EINVAL);
    assert_int_equal(up(&two, HEAD "\"method\":\"tools/call\"}"), AGW_EINVAL);
    assert_int_equal(up(&two, HEAD "\"method\":\"tools/call\",\"params\":{\"name\":7}}"), AGW_EINVAL);
    assert_int_equal(
        up(&two, HEAD "\"method\":\"tools/call\",\"params\":{\"name\":\"a_x\",\"name\":\"b_x\"}}"),
        AGW_EINVAL);
    assert_int_equal(
        up(&two, HEAD "\"method\":\"tools/call\",\"params\":{\"name\":\"a_x\",\"n\\u0061me\":\"b_x\"}}"),
        AGW_EINVAL);
    assert_int_equal(up(&two, HEAD "\"method\":\"resources/read\",\"params\":{\"uri\":\"memo:x\"}}"),
                     AGW_ENOTFOUND);
    assert_int_equal(up(&two, HEAD "\"method\":\"completion/complete\",\"params\":{\"ref\":7}}"), AGW_EINVAL);
    /* of two types a server might read the other */
    assert_int_equal(up(&two, HEAD
                        "\"method\":\"completion/complete\",\"params\":{\"ref\":{\"type\":\"ref/prompt\","
                        "\"name\":\"one_a\",\"type\":\"ref/resource\",\"uri\":\"m:b\"}}}"),
                     AGW_EINVAL);
}

static void uris_and_references(void **state)
{
    assert_int_equal(up(&two, HEAD "\"method\":\"resources/read\",\"params\":{\"uri\":\"b+memo:x\"}}"), 0);
    assert_int_equal(target, 1);
    assert_edited(HEAD "\"method\":\"resources/read\",\"params\":{\"uri\":\"memo:x\"}}");
    assert_int_equal(
        up(&bare, HEAD "\"method\":\"resources/subscribe\",\"params\":{\"uri\":\"ui://a+h\\/p\"}}"), 0);
    assert_int_equal(target, 0);
    assert_edited(HEAD "\"method\":\"resources/subscribe\",\"params\":{\"uri\":\"ui://h/p\"}}");
    assert_int_equal(up(&two, HEAD "\"method\":\"completion/complete\",\"params\":{\"ref\":{\"type\":\"ref/"
                                   "prompt\",\"name\":\"a_p\"}}}"),
                     0);
    assert_edited(
        HEAD
        "\"method\":\"completion/complete\",\"params\":{\"ref\":{\"type\":\"ref/prompt\",\"name\":\"p\"}}}");
    assert_int_equal(up(&two, HEAD "\"method\":\"completion/complete\",\"params\":{\"ref\":{\"type\":\"ref/"
                                   "resource\",\"uri\":\"b+f:{x}\"}}}"),
                     0);
    assert_int_equal(target, 1);
    assert_edited(HEAD "\"method\":\"completion/complete\",\"params\":{\"ref\":{\"type\":\"ref/"
                       "resource\",\"uri\":\"f:{x}\"}}}");
}

static void requests_of_targets_get_ids_of_ours(void **state)
{
    assert_int_equal(down(&two, 1, "tools/call",
                          "{\"jsonrpc\":\"2.0\",\"method\":\"sampling/"
                          "createMessage\",\"id\":3,\"params\":{\"_meta\":{\"progressToken\":\"t\"}}}"),
                     0);
    assert_edited(
        "{\"jsonrpc\":\"2.0\",\"method\":\"sampling/"
        "createMessage\",\"id\":\"agw_b_n_3\",\"params\":{\"_meta\":{\"progressToken\":\"agw_b_s_t\"}}}");
    assert_int_equal(down(&one, 0, "tools/call", "{\"jsonrpc\":\"2.0\",\"method\":\"roots/list\",\"id\":3}"),
                     0);
    assert_edited("{\"jsonrpc\":\"2.0\",\"method\":\"roots/list\",\"id\":3}");
    assert_int_equal(
        down(&two, 0, NULL,
             "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":3}}"),
        0);
    assert_edited("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/"
                  "cancelled\",\"params\":{\"requestId\":\"agw_a_n_3\"}}");
}

static void answers_find_the_target_that_asked(void **state)
{
    assert_int_equal(back(&two, "{\"jsonrpc\":\"2.0\",\"id\":\"agw_b_n_3\",\"result\":{\"x\":[]}}"), 0);
    assert_int_equal(target, 1);
    assert_edited("{\"jsonrpc\":\"2.0\",\"id\":3,\"result\":{\"x\":[]}}");
    assert_int_equal(
        back(&two, "{\"jsonrpc\":\"2.0\",\"id\":\"agw_a_s_q\",\"error\":{\"code\":1,\"message\":\"\"}}"), 0);
    assert_edited("{\"jsonrpc\":\"2.0\",\"id\":\"q\",\"error\":{\"code\":1,\"message\":\"\"}}");
    assert_int_equal(back(&two, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/"
                                "progress\",\"params\":{\"progressToken\":\"agw_b_s_t\"}}"),
                     0);
    assert_edited(
        "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progressToken\":\"t\"}}");
    assert_int_equal(back(&two, "{\"jsonrpc\":\"2.0\",\"id\":3,\"result\":{}}"), AGW_ENOTFOUND);
    assert_int_equal(
        back(&two,
             "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progressToken\":1}}"),
        AGW_ENOTFOUND);
    assert_int_equal(back(&two, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}"),
                     AGW_ENOTFOUND);
    assert_int_equal(back(&two, "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{}}"), AGW_ENOTFOUND);
}

static void uris_in_results_are_the_clients(void **state)
{
    assert_int_equal(down(&two, 1, "resources/read",
                          HEAD "\"result\":{\"contents\":[{\"uri\":\"memo:1\",\"text\":\"uri\"},{\"uri\":"
                               "\"ui:\\/\\/h\"},{\"uri\":7}]}}"),
                     0);
    assert_edited(HEAD "\"result\":{\"contents\":[{\"uri\":\"b+memo:1\",\"text\":\"uri\"},{\"uri\":\"ui://"
                       "b+h\"},{\"uri\":7}]}}");
    assert_int_equal(down(&two, 0, "tools/call",
                          HEAD "\"result\":{\"uri\":\"top:1\",\"content\":[{\"type\":\"resource_link\","
                               "\"uri\":\"m:1\"},{\"type\":\"resource\",\"resource\":{\"uri\":\"m:2\"}},{"
                               "\"type\":\"resource\"},{\"type\":\"text\",\"uri\":\"m:3\"}]}}"),
                     0);
    assert_edited(HEAD "\"result\":{\"uri\":\"top:1\",\"content\":[{\"type\":\"resource_link\",\"uri\":\"a+m:"
                       "1\"},{\"type\":\"resource\",\"resource\":{\"uri\":\"a+m:2\"}},{\"type\":\"resource\"}"
                       ",{\"type\":\"text\",\"uri\":\"m:3\"}]}}");
    assert_int_equal(down(&two, 0, "prompts/get", HEAD "\"result\":{\"contents\":[{\"uri\":\"m:1\"}]}}"), 0);
    assert_int_equal(edits.count, 0);
    assert_int_equal(down(&one, 0, "resources/read", HEAD "\"result\":{\"contents\":[{\"uri\":\"m:1\"}]}}"),
                     0);
    assert_int_equal(edits.count, 0);
    assert_int_equal(down(&two, 0, "resources/read", HEAD "\"result\":{\"contents\":[{\"uri\":\"plain\"}]}}"),
                     0);
    assert_int_equal(edits.count, 0);
    assert_int_equal(down(&two, 0, NULL,
                          "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/resources/"
                          "updated\",\"params\":{\"uri\":\"m:1\"}}"),
                     0);
    assert_edited("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/resources/"
                  "updated\",\"params\":{\"uri\":\"a+m:1\"}}");
    assert_true(agw_mcp_result_edited(&two, agw_mcp_method_find(AGW_STR("tools/call"))));
    assert_false(agw_mcp_result_edited(&one, agw_mcp_method_find(AGW_STR("tools/call"))));
    assert_false(agw_mcp_result_edited(&two, agw_mcp_method_find(AGW_STR("prompts/get"))));
}

static void out_of_memory(void **state)
{
    static const char text[] =
        HEAD "\"method\":\"sampling/createMessage\",\"params\":{\"_meta\":{\"progressToken\":1}}}";
    static const char call[] = HEAD "\"method\":\"resources/read\",\"params\":{\"uri\":\"ui://a+\\n\"}}";
    struct agw_json_doc d[2];
    struct agw_jsonrpc m[2];
    for (int i = 0; i < 2; i++) {
        agw_json_doc_init(&d[i], 0);
        assert_int_equal(agw_jsonrpc_read(&d[i], agw_str_c(i ? call : text), &arena, &m[i], NULL), 0);
    }
    for (long n = 1;; n++) {
        struct agw_arena a;
        agw_arena_init(&a, 256, 0);
        agw_json_edits_init(&edits, &a);
        failmalloc_at(n);
        int rc = agw_mcp_edit_down(&two, 1, NULL, &d[0], &m[0], &edits);
        if (rc == 0)
            rc =
                agw_mcp_edit_up(&two, agw_mcp_method_find(m[1].method), &d[1], &m[1], &edits, &target, &name);
        bool reached = failmalloc_count() >= n;
        failmalloc_at(0);
        assert_int_equal(rc, reached ? AGW_ENOMEM : 0);
        agw_arena_free(&a);
        if (!reached)
            break;
    }
    agw_json_doc_free(&d[0]);
    agw_json_doc_free(&d[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(methods),
        cmocka_unit_test(calls_lose_the_prefix_and_nothing_else),
        cmocka_unit_test(tasks_lead_to_their_owner),
        cmocka_unit_test(ids_of_tasks_tell_their_owner),
        cmocka_unit_test(calls_that_name_nobody),
        cmocka_unit_test(uris_and_references),
        cmocka_unit_test(requests_of_targets_get_ids_of_ours),
        cmocka_unit_test(answers_find_the_target_that_asked),
        cmocka_unit_test(uris_in_results_are_the_clients),
        cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
