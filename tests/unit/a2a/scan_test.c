#include "a2a/watch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/check.h"

struct expected {
    const char *method, *task, *context, *state;
    int error;
};

static void compare(const struct agw_a2a_scan *s, const char *what, const struct expected *want)
{
    const struct agw_a2a_found *f = &s->found;
    struct agw_str state = agw_a2a_state_text(f->state);
    if (!agw_str_eq(agw_a2a_text(&f->method), agw_str_c(want->method)) ||
        !agw_str_eq(agw_a2a_text(&f->task), agw_str_c(want->task)) ||
        !agw_str_eq(agw_a2a_text(&f->context), agw_str_c(want->context)) ||
        !agw_str_eq(state, agw_str_c(want->state)) || f->error != want->error)
        fail_msg("%s: method %.*s task %.*s context %.*s state %.*s error %d", what,
                 AGW_STRF(agw_a2a_text(&f->method)), AGW_STRF(agw_a2a_text(&f->task)),
                 AGW_STRF(agw_a2a_text(&f->context)), AGW_STRF(state), (int)f->error);
}

/* In pieces of each size: what is found must not depend on how it was cut. */
static void check(const struct agw_a2a_call *call, bool request, bool events, const char *bytes, size_t n,
                  const struct expected *want)
{
    for (size_t step = 1; step <= n; step = step < 4 ? step + 1 : step * 3) {
        struct agw_a2a_scan s;
        if (request)
            agw_a2a_scan_request(&s, call);
        else
            agw_a2a_scan_answer(&s, call, events);
        for (size_t i = 0; i < n; i += step) {
            size_t piece = n - i < step ? n - i : step;
            unsigned char *exact = malloc(piece);
            memcpy(exact, bytes + i, piece);
            agw_a2a_scan_bytes(&s, exact, piece);
            free(exact);
        }
        compare(&s, bytes, want);
    }
}

static const struct agw_a2a_call jsonrpc = {.binding = AGW_A2A_JSONRPC}, rest = {.binding = AGW_A2A_REST};

static void requests(void **state)
{
    static const struct {
        const char *body;
        struct expected want;
    } cases[] = {
        {"{\"jsonrpc\":\"2.0\",\"id\":\"no\",\"method\":\"message/"
         "send\",\"params\":{\"message\":{\"messageId\":\"m\","
         "\"taskId\":\"t\",\"contextId\":\"c\",\"parts\":[{\"taskId\":\"x\"}]}}}",
         {"message/send", "t", "c", "", 0}},
        {"{\"params\":{\"id\":\"t-1\",\"metadata\":{\"id\":\"x\"}},\"method\" : \"GetTask\"}",
         {"GetTask", "t-1", "", "", 0}},
        {"{\"method\":\"CreateTaskPushNotificationConfig\",\"params\":{\"id\":\"config\",\"taskId\":\"t\"}}",
         {"CreateTaskPushNotificationConfig", "t", "", "", 0}},
        {"{\"method\":\"CreateTaskPushNotificationConfig\",\"params\":{\"taskId\":\"t\",\"id\":\"config\"}}",
         {"CreateTaskPushNotificationConfig", "t", "", "", 0}},
        {"{\"method\":\"ListTasks\",\"params\":{\"contextId\":\"c\"}}", {"ListTasks", "", "c", "", 0}},
        {"{\"params\":{\"method\":\"a\",\"x\":[{\"method\":\"b\"}]},\"method\":\"GetTask\"}",
         {"GetTask", "", "", "", 0}},
        {"{\"a\":\"\\\"method\\\":\\\"x\\\"\",\"method\":\"tasks/cancel\"}", {"tasks/cancel", "", "", "", 0}},
        {"{\"x\":\"method\",\"y\":\"tasks/get\"}", {"", "", "", "", 0}},
        {"{\"method\":7}", {"", "", "", "", 0}},
        {"{\"method\":\"tasks/ge", {"", "", "", "", 0}},
        {"{\"method\":\"a\\u0062\"}", {"", "", "", "", 0}},
        {"[{\"method\":\"tasks/get\"}]", {"", "", "", "", 0}},
        {"}}}}]]{\"method\":\"tasks/get\"}", {"tasks/get", "", "", "", 0}},
    };
    (void)state;
    for (size_t i = 0; i < AGW_ARRAY_LEN(cases); i++)
        check(&jsonrpc, true, false, cases[i].body, strlen(cases[i].body), &cases[i].want);
    static const char body[] = "{\"message\":{\"taskId\":\"t\",\"contextId\":\"c\"},\"method\":3}";
    check(&rest, true, false, body, sizeof(body) - 1, &(struct expected){"", "t", "c", "", 0});
}

static void answers(void **state)
{
    static const struct {
        const struct agw_a2a_call *call;
        const char *body;
        struct expected want;
    } cases[] = {
        {&jsonrpc,
         "{\"id\":\"no\",\"result\":{\"id\":\"t\",\"contextId\":\"c\",\"kind\":\"task\",\"status\":{"
         "\"state\":\"input-required\"}}}",
         {"", "t", "c", "input-required", 0}},
        {&jsonrpc,
         "{\"id\":1,\"result\":{\"task\":{\"id\":\"t\",\"contextId\":\"c\",\"status\":{\"state\":\"TASK_"
         "STATE_INPUT_REQUIRED\","
         "\"message\":{\"taskId\":\"x\",\"contextId\":\"y\"}},\"history\":[{\"taskId\":\"z\"}]}}}",
         {"", "t", "c", "input-required", 0}},
        {&jsonrpc,
         "{\"result\":{\"message\":{\"messageId\":\"m\",\"contextId\":\"c\"}}}",
         {"", "", "c", "", 0}},
        {&jsonrpc,
         "{\"error\":{\"code\":-32001,\"message\":\"gone\",\"data\":[{\"code\":5}]},\"id\":1}",
         {"", "", "", "", -32001}},
        {&jsonrpc, "{\"result\":{\"status\":{\"state\":\"dreaming\"}}}", {"", "", "", "", 0}},
        {&rest,
         "{\"task\":{\"id\":\"t\",\"status\":{\"state\":\"TASK_STATE_COMPLETED\"}}}",
         {"", "t", "", "completed", 0}},
        {&rest,
         "{\"id\":\"t\",\"contextId\":\"c\",\"status\":{\"state\":\"TASK_STATE_WORKING\"}}",
         {"", "t", "c", "working", 0}},
        {&rest, "{\"error\":{\"code\":404,\"status\":\"NOT_FOUND\"}}", {"", "", "", "", 0}},
    };
    (void)state;
    for (size_t i = 0; i < AGW_ARRAY_LEN(cases); i++)
        check(cases[i].call, false, false, cases[i].body, strlen(cases[i].body), &cases[i].want);
}

static void events(void **state)
{
    static const char stream[] =
        ": hello\r\ndata: {\"result\":{\"task\":{\"id\":\"t\",\r\ndata: "
        "\"contextId\":\"c\",\"status\":{\"state\":\"TASK_STATE_SUBMITTED\"}}}}\r\n\r\n"
        "id: 7\ndata: {\"result\":\n\n" /* cut off by its agent */
        "event: "
        "x\ndata:{\"result\":{\"statusUpdate\":{\"taskId\":\"t\",\"status\":{\"state\":\"TASK_STATE_"
        "WORKING\"}}}}\n\n"
        "data: "
        "{\"result\":{\"artifactUpdate\":{\"taskId\":\"t\",\"artifact\":{\"parts\":[{\"text\":\"}{\"}]}}}}"
        "\n\n"
        "datax: {\"result\":{\"status\":{\"state\":\"failed\"}}}\n\n"
        "data: {\"result\":{\"statusUpdate\":{\"status\":{\"state\":\"TASK_STATE_COMPLETED\"}}}}\r\r";
    (void)state;
    check(&jsonrpc, false, true, stream, sizeof(stream) - 1,
          &(struct expected){"", "t", "c", "completed", 0});
}

static void values_that_do_not_fit_are_passed_over(void **state)
{
    char id[300], body[512];
    (void)state;
    memset(id, 'x', sizeof(id));
    snprintf(body, sizeof(body), "{\"params\":{\"id\":\"%.*s\",\"contextId\":\"c\"},\"method\":\"GetTask\"}",
             (int)sizeof(id), id);
    check(&jsonrpc, true, false, body, strlen(body), &(struct expected){"GetTask", "", "c", "", 0});
}

static void messages_of_grpc(void **state)
{
    static const struct agw_a2a_call send = {.binding = AGW_A2A_GRPC,
                                             .method = AGW_A2A_SEND_STREAMING_MESSAGE},
                                     get = {.binding = AGW_A2A_GRPC, .method = AGW_A2A_GET_TASK},
                                     odd = {.binding = AGW_A2A_GRPC, .method = AGW_A2A_METHOD_OTHER};
    /* SendMessageRequest{tenant "x", message{message_id "m", context_id "c", task_id "t"}} */
    static const char request[] = "\0\0\0\0\x0e\x0a\x01x\x12\x09\x0a\x01m\x12\x01"
                                  "c\x1a\x01t";
    /* Task{id "t", context_id "c", status{state 2}}, then a frame of length 0 */
    static const char task[] = "\0\0\0\0\x0a\x0a\x01t\x12\x01"
                               "c\x1a\x02\x08\x02\0\0\0\0\0";
    /* StreamResponse{status_update{task_id "u", status{state 3}}}, its end behind what is kept */
    static const char cut[] = "\0\0\0\0\x0c\x1a\x07\x0a\x01u\x1a\x02\x08\x03\x22\x7f\x01";
    (void)state;
    check(&send, true, false, request, sizeof(request) - 1, &(struct expected){"", "t", "c", "", 0});
    check(&get, false, false, task, sizeof(task) - 1, &(struct expected){"", "t", "c", "working", 0});
    check(&send, false, false, cut, sizeof(cut) - 1, &(struct expected){"", "u", "", "completed", 0});
    check(&odd, true, false, request, sizeof(request) - 1, &(struct expected){"", "", "", "", 0});
}

static void summary_of_a_call(void **state)
{
    static const char ask[] = "{\"method\":\"message/send\",\"params\":{\"message\":{\"contextId\":\"c\"}}}",
                      told[] = "{\"result\":{\"id\":\"t\",\"status\":{\"state\":\"failed\"}}}";
    struct agw_arena arena;
    struct agw_msg req, resp;
    struct agw_a2a_watch w;
    (void)state;
    agw_arena_init(&arena, 1024, 0);
    agw_msg_init(&req, &arena);
    agw_msg_init(&resp, &arena);
    req.method = AGW_METHOD_POST;
    req.path = AGW_STR("/");
    assert_int_equal(agw_headers_add_id(&req.headers, AGW_HDR_CONTENT_TYPE, AGW_STR("application/json")), 0);
    agw_a2a_watch_init(&w, &req);
    agw_a2a_scan_bytes(&w.request, (const unsigned char *)ask, sizeof(ask) - 1);
    agw_a2a_watch_head(&w, &resp);
    agw_a2a_scan_bytes(&w.answer, (const unsigned char *)told, sizeof(told) - 1);
    struct agw_a2a_summary s = agw_a2a_watch_summary(&w);
    assert_true(agw_str_eq(s.method, AGW_STR("message/send")) && agw_str_eq(s.task, AGW_STR("t")) &&
                agw_str_eq(s.context, AGW_STR("c")));
    assert_int_equal(s.state, AGW_A2A_FAILED);
    agw_arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests),         cmocka_unit_test(answers),
        cmocka_unit_test(events),           cmocka_unit_test(values_that_do_not_fit_are_passed_over),
        cmocka_unit_test(messages_of_grpc), cmocka_unit_test(summary_of_a_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
