#include "a2a/translate/rest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/check.h"
#include "failmalloc.h"

/* Bodies of HTTP+JSON: requests that a result answers, and results. */
enum { REQUEST = -1, REST_REQUEST = 100, REST_ANSWER = 200 };

static int translate(const char *text, enum agw_a2a_era to, int result, char *out, size_t size,
                     enum agw_a2a_result *ret_result)
{
    struct agw_json_doc doc;
    struct agw_json_writer w;
    agw_json_doc_init(&doc, 0);
    agw_json_writer_init(&w);
    int rc = agw_json_parse(&doc, agw_str_c(text), NULL);
    if (rc == 0 && result == REQUEST)
        rc = agw_a2a_translate_request(&doc, to, &w, ret_result);
    else if (rc == 0 && result >= REST_ANSWER)
        rc = agw_a2a_rest_answer(&doc, to, (enum agw_a2a_result)(result - REST_ANSWER), &w);
    else if (rc == 0 && result >= REST_REQUEST)
        rc = agw_a2a_rest_request(&doc, to, (enum agw_a2a_result)(result - REST_REQUEST), &w);
    else if (rc == 0)
        rc = agw_a2a_translate_answer(&doc, to, (enum agw_a2a_result)result, &w);
    if (rc == 0 && (rc = agw_json_writer_end(&w)) == 0) {
        struct agw_str s = agw_json_writer_text(&w);
        assert_true(s.n < size);
        memcpy(out, s.p, s.n);
        out[s.n] = 0;
    }
    agw_json_writer_free(&w);
    agw_json_doc_free(&doc);
    return rc;
}

static void expect(const char *text, enum agw_a2a_era to, int result, const char *want)
{
    char out[2048];
    enum agw_a2a_result r;
    assert_int_equal(translate(text, to, result, out, sizeof(out), &r), 0);
    assert_string_equal(out, want);
}

#define MESSAGE_03(role, parts)                                                                              \
    "{\"kind\":\"message\",\"messageId\":\"m\",\"role\":\"" role "\",\"parts\":[" parts "],\"x\":[1]}"
#define MESSAGE_10(role, parts) "{\"messageId\":\"m\",\"role\":\"" role "\",\"parts\":[" parts "],\"x\":[1]}"
#define TASK_IN(state, artifact, message)                                                                    \
    "\"id\":\"t\",\"status\":{\"state\":\"" state "\",\"message\":" message                                  \
    ",\"timestamp\":\"2026-01-01T00:00:00Z\"},\"artifacts\":[{\"artifactId\":\"a\",\"parts\":[" artifact     \
    "]}],\"history\":[" message "]}"
#define TEXT_03 "{\"kind\":\"text\",\"text\":\"a\\u0062\"}"
#define TEXT_10 "{\"text\":\"a\\u0062\"}"
#define FILE_03                                                                                              \
    "{\"kind\":\"file\",\"file\":{\"bytes\":\"QQ==\",\"name\":\"n\",\"mimeType\":\"a/b\"},\"metadata\":{}}"
#define FILE_10 "{\"raw\":\"QQ==\",\"filename\":\"n\",\"mediaType\":\"a/b\",\"metadata\":{}}"
#define URL_03 "{\"kind\":\"file\",\"file\":{\"uri\":\"http:\\/\\/f\"}}"
#define URL_10 "{\"url\":\"http:\\/\\/f\"}"
#define DATA_03 "{\"kind\":\"data\",\"data\":{\"kind\":\"user\"}}"
#define DATA_10 "{\"data\":{\"kind\":\"user\"}}"
#define CALL(method, params) "{\"method\":\"" method "\",\"jsonrpc\":\"2.0\",\"id\":7,\"params\":" params "}"
#define ANSWER(result) "{\"jsonrpc\":\"2.0\",\"id\":\"q\",\"result\":" result "}"

#define REST_MESSAGE_03                                                                                      \
    "{\"messageId\":\"m\",\"role\":\"ROLE_USER\",\"content\":[" REST_PARTS_03 "],\"x\":[1]}"
#define REST_MESSAGE_10 "{\"messageId\":\"m\",\"role\":\"ROLE_USER\",\"parts\":[" REST_PARTS_10 "],\"x\":[1]}"
#define REST_PARTS_03                                                                                        \
    "{\"text\":\"a\\u0062\"},{\"file\":{\"fileWithBytes\":\"QQ==\",\"name\":\"n\",\"mimeType\":\"a/b\"},"    \
    "\"metadata\":{}},{\"file\":{\"fileWithUri\":\"u\"}},{\"data\":{\"data\":{\"k\":1}}}"
#define REST_PARTS_10                                                                                        \
    "{\"text\":\"a\\u0062\"},{\"raw\":\"QQ==\",\"filename\":\"n\",\"mediaType\":\"a/b\",\"metadata\":{}},"   \
    "{\"url\":\"u\"},{\"data\":{\"k\":1}}"
#define REST_TASK(state, message, parts)                                                                     \
    "{\"id\":\"t\",\"status\":{\"state\":\"TASK_STATE_" state "\",\"message\":" message "},\"artifacts\":[{" \
    "\"parts\":[" parts "]}],\"history\":[" message "]}"

struct pair {
    int result;
    const char *v03, *v10;
};

/* Each is the other's translation, byte for byte. */
static const struct pair pairs[] = {
    {REQUEST,
     CALL("message/send",
          "{\"message\":" MESSAGE_03(
              "user",
              TEXT_03 "," FILE_03 "," URL_03
                      "," DATA_03) ",\"metadata\":{"
                                   "\"role\":\"user\"},\"configuration\":{\"blocking\":false,"
                                   "\"pushNotificationConfig\":{\"url\":\"u\","
                                   "\"authentication\":{\"schemes\":[\"Bearer\"],\"credentials\":\"c\"}}}}"),
     CALL("SendMessage",
          "{\"message\":" MESSAGE_10(
              "ROLE_USER", TEXT_10 "," FILE_10 "," URL_10
                                   "," DATA_10) ",\"metadata\":"
                                                "{\"role\":\"user\"},\"configuration\":{"
                                                "\"returnImmediately\":true,\"taskPushNotificationConfig\":{"
                                                "\"url\":\"u\",\"authentication\":{\"scheme\":\"Bearer\","
                                                "\"credentials\":\"c\"}}}}")},
    {REQUEST, CALL("tasks/get", "{\"id\":\"t\",\"historyLength\":3}"),
     CALL("GetTask", "{\"id\":\"t\",\"historyLength\":3}")},
    {REQUEST, CALL("tasks/resubscribe", "{\"id\":\"t\"}"), CALL("SubscribeToTask", "{\"id\":\"t\"}")},
    {REQUEST,
     CALL("tasks/pushNotificationConfig/set",
          "{\"taskId\":\"t\",\"pushNotificationConfig\":{\"id\":\"p\",\"url\":\"u\"}}"),
     CALL("CreateTaskPushNotificationConfig", "{\"taskId\":\"t\",\"id\":\"p\",\"url\":\"u\"}")},
    {REQUEST, CALL("tasks/pushNotificationConfig/get", "{\"id\":\"t\",\"pushNotificationConfigId\":\"p\"}"),
     CALL("GetTaskPushNotificationConfig", "{\"taskId\":\"t\",\"id\":\"p\"}")},
    {REQUEST, CALL("tasks/pushNotificationConfig/list", "{\"id\":\"t\"}"),
     CALL("ListTaskPushNotificationConfigs", "{\"taskId\":\"t\"}")},
    {AGW_A2A_RESULT_TASK,
     ANSWER("{\"kind\":\"task\"," TASK_IN("input-required", FILE_03, MESSAGE_03("agent", TEXT_03))),
     ANSWER("{" TASK_IN("TASK_STATE_INPUT_REQUIRED", FILE_10, MESSAGE_10("ROLE_AGENT", TEXT_10)))},
    {AGW_A2A_RESULT_EVENT,
     ANSWER("{\"kind\":\"task\"," TASK_IN("completed", DATA_03, MESSAGE_03("agent", TEXT_03))),
     ANSWER("{\"task\":{" TASK_IN("TASK_STATE_COMPLETED", DATA_10, MESSAGE_10("ROLE_AGENT", TEXT_10)) "}")},
    {AGW_A2A_RESULT_EVENT, ANSWER(MESSAGE_03("agent", TEXT_03)),
     ANSWER("{\"message\":" MESSAGE_10("ROLE_AGENT", TEXT_10) "}")},
    {AGW_A2A_RESULT_EVENT,
     ANSWER(
         "{\"kind\":\"status-update\",\"taskId\":\"t\",\"status\":{\"state\":\"working\"},\"final\":false}"),
     ANSWER("{\"statusUpdate\":{\"taskId\":\"t\",\"status\":{\"state\":\"TASK_STATE_WORKING\"}}}")},
    {AGW_A2A_RESULT_EVENT,
     ANSWER("{\"kind\":\"status-update\",\"taskId\":\"t\",\"status\":{\"state\":\"failed\"},\"final\":true}"),
     ANSWER("{\"statusUpdate\":{\"taskId\":\"t\",\"status\":{\"state\":\"TASK_STATE_FAILED\"}}}")},
    {AGW_A2A_RESULT_EVENT,
     ANSWER("{\"kind\":\"artifact-update\",\"append\":true,\"artifact\":{\"parts\":[" TEXT_03 "]}}"),
     ANSWER("{\"artifactUpdate\":{\"append\":true,\"artifact\":{\"parts\":[" TEXT_10 "]}}}")},
    {AGW_A2A_RESULT_PUSH, ANSWER("{\"taskId\":\"t\",\"pushNotificationConfig\":{\"url\":\"u\"}}"),
     ANSWER("{\"taskId\":\"t\",\"url\":\"u\"}")},
    {AGW_A2A_RESULT_PUSH_LIST, ANSWER("[{\"taskId\":\"t\",\"pushNotificationConfig\":{\"id\":\"p\"}}]"),
     ANSWER("{\"configs\":[{\"taskId\":\"t\",\"id\":\"p\"}]}")},
    {AGW_A2A_RESULT_NOTHING, ANSWER("null"), ANSWER("{}")},
    {AGW_A2A_RESULT_TASK,
     "{\"id\":null,\"error\":{\"code\":-32001,\"message\":\"m\",\"data\":[{\"kind\":1}]}}",
     "{\"id\":null,\"error\":{\"code\":-32001,\"message\":\"m\",\"data\":[{\"kind\":1}]}}"},
    {REST_REQUEST + AGW_A2A_RESULT_EVENT,
     "{\"message\":" REST_MESSAGE_03 ",\"configuration\":{\"blocking\":true,\"historyLength\":2,"
     "\"pushNotification\":{\"url\":\"u\",\"authentication\":{\"schemes\":[\"Bearer\"]}}},\"metadata\":{}}",
     "{\"message\":" REST_MESSAGE_10 ",\"configuration\":{\"returnImmediately\":false,\"historyLength\":2,"
     "\"taskPushNotificationConfig\":{\"url\":\"u\",\"authentication\":{\"scheme\":\"Bearer\"}}},"
     "\"metadata\":{}}"},
    {REST_ANSWER + AGW_A2A_RESULT_TASK, REST_TASK("CANCELLED", REST_MESSAGE_03, REST_PARTS_03),
     REST_TASK("CANCELED", REST_MESSAGE_10, REST_PARTS_10)},
    {REST_ANSWER + AGW_A2A_RESULT_EVENT,
     "{\"task\":" REST_TASK("WORKING", REST_MESSAGE_03, REST_PARTS_03) "}",
     "{\"task\":" REST_TASK("WORKING", REST_MESSAGE_10, REST_PARTS_10) "}"},
    {REST_ANSWER + AGW_A2A_RESULT_EVENT, "{\"message\":" REST_MESSAGE_03 "}",
     "{\"message\":" REST_MESSAGE_10 "}"},
    {REST_ANSWER + AGW_A2A_RESULT_EVENT,
     "{\"statusUpdate\":{\"taskId\":\"t\",\"status\":{\"state\":\"TASK_STATE_FAILED\"},\"final\":true}}",
     "{\"statusUpdate\":{\"taskId\":\"t\",\"status\":{\"state\":\"TASK_STATE_FAILED\"}}}"},
    {REST_ANSWER + AGW_A2A_RESULT_EVENT,
     "{\"artifactUpdate\":{\"artifact\":{\"parts\":[" REST_PARTS_03 "]}}}",
     "{\"artifactUpdate\":{\"artifact\":{\"parts\":[" REST_PARTS_10 "]}}}"},
    {REST_REQUEST + AGW_A2A_RESULT_PUSH,
     "{\"name\":\"tasks/t/pushNotificationConfigs/"
     "p\",\"pushNotificationConfig\":{\"id\":\"p\",\"url\":\"u\"}}",
     "{\"taskId\":\"t\",\"id\":\"p\",\"url\":\"u\"}"},
    {REST_ANSWER + AGW_A2A_RESULT_PUSH_LIST,
     "{\"configs\":[{\"name\":\"tasks/t/pushNotificationConfigs/"
     "\",\"pushNotificationConfig\":{\"url\":\"u\"}}],"
     "\"nextPageToken\":\"\"}",
     "{\"configs\":[{\"taskId\":\"t\",\"url\":\"u\"}],\"nextPageToken\":\"\"}"},
    {REST_ANSWER + AGW_A2A_RESULT_EVENT, "{\"code\":-32001,\"message\":\"m\"}",
     "{\"error\":{\"code\":404,\"status\":\"NOT_FOUND\",\"message\":\"m\",\"details\":[{"
     "\"@type\":\"type.googleapis.com/google.rpc.ErrorInfo\",\"reason\":\"TASK_NOT_FOUND\","
     "\"domain\":\"a2a-protocol.org\"}]}}"},
    {REST_ANSWER + AGW_A2A_RESULT_EVENT, "{\"code\":-32603,\"message\":\"m\"}",
     "{\"error\":{\"code\":500,\"status\":\"INTERNAL\",\"message\":\"m\",\"details\":[]}}"},
    {REST_ANSWER + AGW_A2A_RESULT_EVENT, "{\"code\":\"5\"}", "{\"code\":\"5\"}"},
    {REST_ANSWER + AGW_A2A_RESULT_NOTHING, "[{}]", "[{}]"},
    /* what neither version expects stays */
    {AGW_A2A_RESULT_EVENT, ANSWER("[[{}],7]"), ANSWER("[[{}],7]")},
    {AGW_A2A_RESULT_TASK, ANSWER("[[[{}]],7]"), ANSWER("[[[{}]],7]")},
    {AGW_A2A_RESULT_PUSH, ANSWER("7"), ANSWER("7")},
    {AGW_A2A_RESULT_RAW, "{\"res\\\"\":1,\"result\":{\"kind\":\"task\"}}",
     "{\"res\\\"\":1,\"result\":{\"kind\":\"task\"}}"},
};

static void each_way(void **state)
{
    for (size_t i = 0; i < AGW_ARRAY_LEN(pairs); i++) {
        expect(pairs[i].v03, AGW_A2A_ERA_10, pairs[i].result, pairs[i].v10);
        expect(pairs[i].v10, AGW_A2A_ERA_03, pairs[i].result, pairs[i].v03);
    }
}

static void one_way(void **state)
{
    expect(
        ANSWER("{\"message\":{\"parts\":[{\"data\":[1]},{\"later\":2},\"s\"],\"role\":\"ROLE_NEW\"}}"),
        AGW_A2A_ERA_03, AGW_A2A_RESULT_EVENT,
        ANSWER("{\"kind\":\"message\",\"parts\":[{\"kind\":\"data\",\"data\":{\"value\":[1]}},{\"later\":2},"
               "\"s\"],\"role\":\"ROLE_NEW\"}"));
    expect(
        CALL("tasks/pushNotificationConfig/set",
             "{\"taskId\":\"t\",\"pushNotificationConfig\":{\"authentication\":{\"schemes\":[]}}}"),
        AGW_A2A_ERA_10, REQUEST,
        CALL("CreateTaskPushNotificationConfig", "{\"taskId\":\"t\",\"authentication\":{\"scheme\":\"\"}}"));
    expect(CALL("CreateTaskPushNotificationConfig", "{\"tenant\":\"n\",\"taskId\":\"t\",\"url\":\"u\"}"),
           AGW_A2A_ERA_03, REQUEST,
           CALL("tasks/pushNotificationConfig/set",
                "{\"taskId\":\"t\",\"pushNotificationConfig\":{\"url\":\"u\"}}"));
}

/* Names of the protocol buffers' fields, and what 0.3 cannot say. */
static void one_way_over_rest(void **state)
{
    expect("{\"request\":{\"content\":[]}}", AGW_A2A_ERA_10, REST_REQUEST + AGW_A2A_RESULT_EVENT,
           "{\"message\":{\"parts\":[]}}");
    expect("{\"msg\":{\"content\":[{\"text\":\"a\"}]}}", AGW_A2A_ERA_10, REST_ANSWER + AGW_A2A_RESULT_EVENT,
           "{\"message\":{\"parts\":[{\"text\":\"a\"}]}}");
    expect("{\"status\":{\"update\":{\"content\":[7]}}}", AGW_A2A_ERA_10, REST_ANSWER + AGW_A2A_RESULT_TASK,
           "{\"status\":{\"message\":{\"parts\":[7]}}}");
    expect("{\"message\":{\"parts\":[{\"data\":[1]},{\"later\":2}]}}", AGW_A2A_ERA_03,
           REST_ANSWER + AGW_A2A_RESULT_EVENT,
           "{\"message\":{\"content\":[{\"data\":{\"data\":{\"value\":[1]}}},{\"later\":2}]}}");
    expect("{\"parent\":\"tasks/"
           "t\",\"configId\":\"p\",\"config\":{\"name\":\"n\",\"pushNotificationConfig\":{\"id\":\"p\"}}}",
           AGW_A2A_ERA_10, REST_REQUEST + AGW_A2A_RESULT_PUSH, "{\"taskId\":\"t\",\"id\":\"p\"}");
    expect("{\"configuration\":{\"historyLength\":0}}", AGW_A2A_ERA_10, REST_REQUEST + AGW_A2A_RESULT_EVENT,
           "{\"configuration\":{\"historyLength\":0,\"returnImmediately\":true}}");
    expect("{\"configuration\":{}}", AGW_A2A_ERA_03, REST_REQUEST + AGW_A2A_RESULT_EVENT,
           "{\"configuration\":{\"blocking\":true}}");
    expect("{\"url\":\"u\",\"id\":\"p\"}", AGW_A2A_ERA_10, REST_REQUEST + AGW_A2A_RESULT_PUSH,
           "{\"url\":\"u\",\"id\":\"p\"}");
}

static void refused(void **state)
{
    static const struct {
        const char *text;
        enum agw_a2a_era to;
        int want;
    } cases[] = {
        {"{\"method\":\"ListTasks\"}", AGW_A2A_ERA_03, AGW_EUNSUPPORTED},
        {"{\"method\":\"SendMessage\"}", AGW_A2A_ERA_10, AGW_EUNSUPPORTED},
        {"{\"method\":\"tasks/get\"}", AGW_A2A_ERA_03, AGW_EUNSUPPORTED},
        {"{\"method\":\"tasks/get\",\"method\":\"message/send\"}", AGW_A2A_ERA_10, AGW_EINVAL},
        {"{\"method\":7}", AGW_A2A_ERA_10, AGW_EINVAL},
        {"{}", AGW_A2A_ERA_10, AGW_EINVAL},
        {"[{\"method\":\"tasks/get\"}]", AGW_A2A_ERA_10, AGW_EINVAL},
    };
    char out[256];
    enum agw_a2a_result r = AGW_A2A_RESULT_PUSH;
    for (size_t i = 0; i < AGW_ARRAY_LEN(cases); i++)
        assert_int_equal(translate(cases[i].text, cases[i].to, REQUEST, out, sizeof(out), &r), cases[i].want);
    assert_int_equal(translate("[]", AGW_A2A_ERA_10, AGW_A2A_RESULT_TASK, out, sizeof(out), &r), AGW_EINVAL);
    assert_int_equal(r, AGW_A2A_RESULT_PUSH);
}

static void out_of_memory(void **state)
{
    for (size_t i = 0; i < 2 * AGW_ARRAY_LEN(pairs); i++) {
        const struct pair *p = &pairs[i / 2];
        for (long n = 1;; n++) {
            char out[2048];
            enum agw_a2a_result r;
            failmalloc_at(n);
            int rc = translate(i % 2 ? p->v10 : p->v03, i % 2 ? AGW_A2A_ERA_03 : AGW_A2A_ERA_10, p->result,
                               out, sizeof(out), &r);
            bool reached = failmalloc_count() >= n;
            failmalloc_at(0);
            assert_int_equal(rc, reached ? AGW_ENOMEM : 0);
            if (!reached)
                break;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_way), cmocka_unit_test(one_way),       cmocka_unit_test(one_way_over_rest),
        cmocka_unit_test(refused),  cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
