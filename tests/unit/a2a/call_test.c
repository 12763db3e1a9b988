#include "a2a/call.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/check.h"
#include "failmalloc.h"

static struct agw_a2a_call read_call(struct agw_arena *arena, const char *method, const char *path,
                                     const char *type)
{
    static struct agw_msg m;
    agw_msg_init(&m, arena);
    m.method = agw_method_lookup(agw_str_c(method));
    m.path = agw_str_c(path);
    if (type)
        assert_int_equal(agw_headers_add_id(&m.headers, AGW_HDR_CONTENT_TYPE, agw_str_c(type)), 0);
    return agw_a2a_call_read(&m);
}

static void calls_of_all_bindings(void **state)
{
    static const char json[] = "application/json", grpc[] = "application/grpc";
    static const struct {
        const char *method, *path, *type;
        enum agw_a2a_binding binding;
        const char *name, *task;
    } cases[] = {
        {"POST", "/", json, AGW_A2A_JSONRPC, "", ""},
        {"POST", "/rpc?x=/tasks/1", "application/json; charset=utf-8", AGW_A2A_JSONRPC, "", ""},
        {"POST", "/rpc", "application/a2a+json", AGW_A2A_JSONRPC, "", ""},
        {"POST", "/rpc", "application/jsonish", AGW_A2A_NONE, "", ""},
        {"POST", "/rpc", NULL, AGW_A2A_NONE, "", ""},
        {"GET", "/.well-known/agent-card.json", NULL, AGW_A2A_NONE, "", ""},
        {"POST", "/message:send", json, AGW_A2A_REST, "SendMessage", ""},
        {"POST", "/tenant/message:stream", "application/a2a+json", AGW_A2A_REST, "SendStreamingMessage", ""},
        {"POST", "/v1/message:send", NULL, AGW_A2A_REST, "SendMessage", ""},
        {"GET", "/message:send", NULL, AGW_A2A_NONE, "", ""},
        {"GET", "/tasks?pageSize=3", NULL, AGW_A2A_REST, "ListTasks", ""},
        {"GET", "/a/tasks/t-1?historyLength=2", NULL, AGW_A2A_REST, "GetTask", "t-1"},
        {"GET", "/tasks/", NULL, AGW_A2A_NONE, "", ""},
        {"POST", "/tasks/t%3A1:cancel", json, AGW_A2A_REST, "CancelTask", "t%3A1"},
        {"POST", "/tasks/:cancel", json, AGW_A2A_JSONRPC, "", ""},
        {"GET", "/tasks/t:subscribe", NULL, AGW_A2A_REST, "SubscribeToTask", "t"},
        {"POST", "/v1/tasks/t:subscribe", json, AGW_A2A_REST, "SubscribeToTask", "t"},
        {"POST", "/tasks/t/pushNotificationConfigs", json, AGW_A2A_REST, "CreateTaskPushNotificationConfig",
         "t"},
        {"GET", "/tasks/t/pushNotificationConfigs", NULL, AGW_A2A_REST, "ListTaskPushNotificationConfigs",
         "t"},
        {"GET", "/tasks/t/pushNotificationConfigs/c", NULL, AGW_A2A_REST, "GetTaskPushNotificationConfig",
         "t"},
        {"DELETE", "/tasks/t/pushNotificationConfigs/c", NULL, AGW_A2A_REST,
         "DeleteTaskPushNotificationConfig", "t"},
        {"PUT", "/tasks/t/pushNotificationConfigs/c", json, AGW_A2A_NONE, "", ""},
        {"GET", "/extendedAgentCard", NULL, AGW_A2A_REST, "GetExtendedAgentCard", ""},
        {"GET", "/v1/card", NULL, AGW_A2A_REST, "GetExtendedAgentCard", ""},
        {"GET", "/card", NULL, AGW_A2A_NONE, "", ""},
        {"GET", "", NULL, AGW_A2A_NONE, "", ""},
        {"POST", "/lf.a2a.v1.A2AService/GetTask", grpc, AGW_A2A_GRPC, "GetTask", ""},
        {"POST", "/a2a.v1.A2AService/SendStreamingMessage", "application/grpc+proto", AGW_A2A_GRPC,
         "SendStreamingMessage", ""},
        {"POST", "/lf.a2a.v1.A2AService/Strange", grpc, AGW_A2A_GRPC, "other", ""},
        {"POST", "/helloworld.Greeter/GetTask", grpc, AGW_A2A_NONE, "", ""},
    };
    struct agw_arena arena;
    (void)state;
    agw_arena_init(&arena, 1024, 0);
    for (size_t i = 0; i < AGW_ARRAY_LEN(cases); i++) {
        struct agw_a2a_call c = read_call(&arena, cases[i].method, cases[i].path, cases[i].type);
        struct agw_str name = agw_a2a_method_name(&c);
        if (c.binding != cases[i].binding || !agw_str_eq(name, agw_str_c(cases[i].name)) ||
            !agw_str_eq(c.task, agw_str_c(cases[i].task)))
            fail_msg("%s %s: binding %d, method %.*s, task %.*s", cases[i].method, cases[i].path, c.binding,
                     AGW_STRF(name), AGW_STRF(c.task));
    }
    agw_arena_free(&arena);
}

static void paths_of_both_versions(void **state)
{
    static const struct {
        const char *v03, *v10;
        enum agw_a2a_method method;
    } cases[] = {
        {"/v1/message:send", "/message:send", AGW_A2A_SEND_MESSAGE},
        {"/rest/v1/message:stream", "/rest/message:stream", AGW_A2A_SEND_STREAMING_MESSAGE},
        {"/a/v1/tasks/t%2F1?historyLength=2", "/a/tasks/t%2F1?historyLength=2", AGW_A2A_GET_TASK},
        {"/v1/v1/tasks/t:cancel", "/v1/tasks/t:cancel", AGW_A2A_CANCEL_TASK},
        {"/v1/tasks/v1:subscribe", "/tasks/v1:subscribe", AGW_A2A_SUBSCRIBE_TO_TASK},
        {"/v1/tasks/t/pushNotificationConfigs", "/tasks/t/pushNotificationConfigs", AGW_A2A_CREATE_PUSH},
        {"/v1/tasks/t/pushNotificationConfigs/c", "/tasks/t/pushNotificationConfigs/c", AGW_A2A_DELETE_PUSH},
    };
    struct agw_arena arena;
    struct agw_str path;
    agw_arena_init(&arena, 1024, 0);
    for (size_t i = 0; i < AGW_ARRAY_LEN(cases); i++) {
        struct agw_str v03 = agw_str_c(cases[i].v03), v10 = agw_str_c(cases[i].v10);
        assert_int_equal(agw_a2a_rest_path(v03, cases[i].method, false, &arena, &path), 0);
        assert_string_equal(path.p, cases[i].v10);
        if (i == 3) /* is its /v1 the version's, or the agent's? it is taken for the version's */
            continue;
        assert_int_equal(agw_a2a_rest_path(v10, cases[i].method, true, &arena, &path), 0);
        assert_string_equal(path.p, cases[i].v03);
        assert_int_equal(agw_a2a_rest_path(v03, cases[i].method, true, &arena, &path), 0);
        assert_string_equal(path.p, cases[i].v03);
    }
    struct agw_str list = AGW_STR("/tasks"), card = AGW_STR("/extendedAgentCard");
    assert_int_equal(agw_a2a_rest_path(list, AGW_A2A_LIST_TASKS, true, &arena, &path), AGW_EUNSUPPORTED);
    assert_int_equal(agw_a2a_rest_path(card, AGW_A2A_GET_EXTENDED_CARD, false, &arena, &path),
                     AGW_EUNSUPPORTED);
    agw_arena_free(&arena);
    failmalloc_at(1);
    int rc = agw_a2a_rest_path(list, AGW_A2A_LIST_TASKS, false, &arena, &path);
    failmalloc_at(0);
    assert_int_equal(rc, AGW_ENOMEM);
}

static void names_of_both_versions(void **state)
{
    bool old;
    (void)state;
    assert_int_equal(agw_a2a_method_find(AGW_STR("tasks/resubscribe"), &old), AGW_A2A_SUBSCRIBE_TO_TASK);
    assert_true(old);
    assert_int_equal(agw_a2a_method_find(AGW_STR("SubscribeToTask"), &old), AGW_A2A_SUBSCRIBE_TO_TASK);
    assert_false(old);
    assert_int_equal(agw_a2a_method_find(AGW_STR("other"), &old), AGW_A2A_METHOD_OTHER);
    assert_int_equal(agw_a2a_method_find(AGW_STR(""), &old), AGW_A2A_METHOD_NONE);
    assert_true(agw_a2a_method_streams(AGW_A2A_SEND_STREAMING_MESSAGE) &&
                !agw_a2a_method_streams(AGW_A2A_GET_TASK));
}

static void codes_that_nobody_knows_share_a_label(void **state)
{
    (void)state;
    assert_true(agw_str_eq(agw_a2a_error_label(-32001), AGW_STR("-32001")));
    assert_true(agw_str_eq(agw_a2a_error_label(-32700), AGW_STR("-32700")));
    assert_true(agw_str_eq(agw_a2a_error_label(-31999), AGW_STR("other")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_of_all_bindings),
        cmocka_unit_test(paths_of_both_versions),
        cmocka_unit_test(names_of_both_versions),
        cmocka_unit_test(codes_that_nobody_knows_share_a_label),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
