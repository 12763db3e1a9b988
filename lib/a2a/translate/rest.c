#include "a2a/translate/rest.h"

#include "a2a/translate/shape_int.h"
#include "base/check.h"
#include "json/pointer.h"

#define FIELDS(list) .fields = (list), .count = AGW_ARRAY_LEN(list)

static bool is(const struct agw_a2a_turn *t, uint32_t v, enum agw_json_type type)
{
    return agw_json_type(t->doc, v) == type;
}

static void raw(const struct agw_a2a_turn *t, uint32_t v)
{
    agw_json_raw(t->w, agw_json_text(t->doc, v));
}

/* --- values --- */

static void write_state(const struct agw_a2a_turn *t, uint32_t v)
{
    bool newer = t->to == AGW_A2A_ERA_10;
    if (is(t, v, AGW_JSON_STRING) &&
        agw_json_is(t->doc, v, newer ? AGW_STR("TASK_STATE_CANCELLED") : AGW_STR("TASK_STATE_CANCELED")))
        agw_json_string(t->w, newer ? AGW_STR("TASK_STATE_CANCELED") : AGW_STR("TASK_STATE_CANCELLED"));
    else
        raw(t, v);
}

static const struct agw_a2a_file_names file_names = {"fileWithBytes", "fileWithUri"};

static void part_to_10(const struct agw_a2a_turn *t, uint32_t v)
{
    static const char *const taken[] = {"file", "data", NULL};
    uint32_t file = agw_json_get(t->doc, v, AGW_STR("file")), data = agw_json_get(t->doc, v, AGW_STR("data"));
    if (file && is(t, file, AGW_JSON_OBJECT))
        agw_a2a_shape_file_to_10(t, file, &file_names);
    if (data && is(t, data, AGW_JSON_OBJECT))
        agw_a2a_shape_put(t, data, "data", "data");
    agw_a2a_shape_put_others(t, v, taken);
}

/* 0.3 has objects alone as data. */
static void data_to_03(const struct agw_a2a_turn *t, uint32_t v, uint32_t data)
{
    static const char *const taken[] = {"data", NULL};
    bool object = is(t, data, AGW_JSON_OBJECT);
    agw_json_key(t->w, AGW_STR("data"));
    agw_json_begin_object(t->w);
    agw_json_key(t->w, AGW_STR("data"));
    if (!object) {
        agw_json_begin_object(t->w);
        agw_json_key(t->w, AGW_STR("value"));
    }
    raw(t, data);
    if (!object)
        agw_json_end_object(t->w);
    agw_json_end_object(t->w);
    agw_a2a_shape_put_others(t, v, taken);
}

static void write_part(const struct agw_a2a_turn *t, uint32_t v)
{
    if (!is(t, v, AGW_JSON_OBJECT)) {
        raw(t, v);
        return;
    }
    static const char *const none[] = {NULL};
    uint32_t data = agw_json_get(t->doc, v, AGW_STR("data"));
    agw_json_begin_object(t->w);
    if (t->to == AGW_A2A_ERA_10)
        part_to_10(t, v);
    else if (agw_json_get(t->doc, v, AGW_STR("raw")) || agw_json_get(t->doc, v, AGW_STR("url")))
        agw_a2a_shape_file_to_03(t, v, &file_names);
    else if (data)
        data_to_03(t, v, data);
    else
        agw_a2a_shape_put_others(t, v, none);
    agw_json_end_object(t->w);
}

/* `update` and `msg` are names of the protocol buffers' fields, which some write into JSON, too. */
static const struct agw_a2a_shape state = {.write = write_state}, part = {.write = write_part};

static const struct agw_a2a_field message_fields[] = {{"content", "parts", &part}};
static const struct agw_a2a_shape message = {FIELDS(message_fields)};

static const struct agw_a2a_field status_fields[] = {
    {"state", "state", &state}, {"message", "message", &message}, {"update", "message", &message}};
static const struct agw_a2a_shape status = {FIELDS(status_fields)};

static const struct agw_a2a_field artifact_fields[] = {{"parts", "parts", &part}};
static const struct agw_a2a_shape artifact = {FIELDS(artifact_fields)};

static const struct agw_a2a_field task_fields[] = {
    {"status", "status", &status}, {"artifacts", "artifacts", &artifact}, {"history", "history", &message}};
static const struct agw_a2a_shape task = {FIELDS(task_fields)};

static const struct agw_a2a_field status_update_fields[] = {{"status", "status", &status},
                                                            {"final", NULL, NULL}};
static const struct agw_a2a_shape status_update = {FIELDS(status_update_fields), .more = agw_a2a_shape_final};

static const struct agw_a2a_field artifact_update_fields[] = {{"artifact", "artifact", &artifact}};
static const struct agw_a2a_shape artifact_update = {FIELDS(artifact_update_fields)};

/* A boolean that is false is left out: then 0.3 does not wait, and 1.0 does. */
static void put_waiting(const struct agw_a2a_turn *t, uint32_t v)
{
    bool newer = t->to == AGW_A2A_ERA_10;
    if (!agw_json_get(t->doc, v, newer ? AGW_STR("blocking") : AGW_STR("returnImmediately")))
        agw_json_put_bool(t->w, newer ? "returnImmediately" : "blocking", true);
}

static const struct agw_a2a_field configuration_fields[] = {
    {"blocking", "returnImmediately", &agw_a2a_shape_not},
    {"pushNotification", "taskPushNotificationConfig", &agw_a2a_shape_push}};
static const struct agw_a2a_shape configuration = {FIELDS(configuration_fields), .more = put_waiting};

static const struct agw_a2a_field send_fields[] = {{"message", "message", &message},
                                                   {"request", "message", &message},
                                                   {"configuration", "configuration", &configuration}};
static const struct agw_a2a_shape send = {FIELDS(send_fields)};

static const struct agw_a2a_field event_fields[] = {{"task", "task", &task},
                                                    {"message", "message", &message},
                                                    {"msg", "message", &message},
                                                    {"statusUpdate", "statusUpdate", &status_update},
                                                    {"artifactUpdate", "artifactUpdate", &artifact_update}};
static const struct agw_a2a_shape event = {FIELDS(event_fields)};

/* --- push configurations: 0.3 has {name: "tasks/T/pushNotificationConfigs/C", pushNotificationConfig} --- */

/* T, still escaped as JSON; empty: there is none. */
static struct agw_str task_in(struct agw_str name)
{
    struct agw_str prefix = AGW_STR("tasks/");
    if (!agw_str_starts(name, prefix))
        return AGW_STR("");
    name = agw_str_from(name, prefix.n);
    ptrdiff_t end = agw_str_find(name, '/');
    return end < 0 ? name : agw_str(name.p, (size_t)end);
}

static void put_quoted(const struct agw_a2a_turn *t, const char *name, const struct agw_str *parts,
                       size_t count)
{
    agw_json_key(t->w, agw_str_c(name));
    agw_json_raw(t->w, AGW_STR("\""));
    for (size_t i = 0; i < count; i++)
        agw_json_more(t->w, parts[i]);
    agw_json_more(t->w, AGW_STR("\""));
}

/* A request may have it as {parent: "tasks/T", configId, config}: the whole of 0.3's message. */
static void push_to_10(const struct agw_a2a_turn *t, uint32_t v)
{
    uint32_t name = agw_json_get(t->doc, v, AGW_STR("parent")),
             config = agw_json_get(t->doc, v, AGW_STR("config"));
    if (config && is(t, config, AGW_JSON_OBJECT))
        v = config;
    if (!name)
        name = agw_json_get(t->doc, v, AGW_STR("name"));
    uint32_t inner = agw_json_get(t->doc, v, AGW_STR("pushNotificationConfig"));
    struct agw_str id =
        name && is(t, name, AGW_JSON_STRING) ? task_in(agw_json_inside(t->doc, name)) : AGW_STR("");
    if (id.n > 0)
        put_quoted(t, "taskId", &id, 1);
    agw_a2a_shape_members(t, &agw_a2a_shape_push, inner && is(t, inner, AGW_JSON_OBJECT) ? inner : v);
}

static void push_to_03(const struct agw_a2a_turn *t, uint32_t v)
{
    uint32_t id = agw_json_get(t->doc, v, AGW_STR("taskId")), config = agw_json_get(t->doc, v, AGW_STR("id"));
    if (id && is(t, id, AGW_JSON_STRING)) {
        bool named = config && is(t, config, AGW_JSON_STRING);
        struct agw_str parts[] = {AGW_STR("tasks/"), agw_json_inside(t->doc, id),
                                  AGW_STR("/pushNotificationConfigs/"),
                                  named ? agw_json_inside(t->doc, config) : AGW_STR("")};
        put_quoted(t, "name", parts, AGW_ARRAY_LEN(parts));
    }
    agw_json_key(t->w, AGW_STR("pushNotificationConfig"));
    agw_a2a_shape_write(t, &agw_a2a_shape_push_inner, v);
}

static void write_push(const struct agw_a2a_turn *t, uint32_t v)
{
    if (!is(t, v, AGW_JSON_OBJECT)) {
        raw(t, v);
        return;
    }
    agw_json_begin_object(t->w);
    if (t->to == AGW_A2A_ERA_10)
        push_to_10(t, v);
    else
        push_to_03(t, v);
    agw_json_end_object(t->w);
}

static const struct agw_a2a_shape push = {.write = write_push};
static const struct agw_a2a_field push_list_fields[] = {{"configs", "configs", &push}};
static const struct agw_a2a_shape push_list = {FIELDS(push_list_fields)};

/* --- errors: 0.3 has {code, message} as over JSON-RPC, 1.0 a google.rpc.Status (AIP-193) --- */

static const struct {
    const char *code; /* JSON */
    int http;
    const char *status, *reason;
} errors[] = {
    {"-32001", 404, "NOT_FOUND", "TASK_NOT_FOUND"},
    {"-32002", 400, "FAILED_PRECONDITION", "TASK_NOT_CANCELABLE"},
    {"-32003", 400, "FAILED_PRECONDITION", "PUSH_NOTIFICATION_NOT_SUPPORTED"},
    {"-32004", 400, "FAILED_PRECONDITION", "UNSUPPORTED_OPERATION"},
    {"-32005", 400, "INVALID_ARGUMENT", "CONTENT_TYPE_NOT_SUPPORTED"},
    {"-32006", 500, "INTERNAL", "INVALID_AGENT_RESPONSE"},
    {"-32007", 400, "FAILED_PRECONDITION", "EXTENDED_AGENT_CARD_NOT_CONFIGURED"},
    {"-32008", 400, "FAILED_PRECONDITION", "EXTENSION_SUPPORT_REQUIRED"},
    {"-32009", 400, "FAILED_PRECONDITION", "VERSION_NOT_SUPPORTED"},
    {"-32602", 400, "INVALID_ARGUMENT", "INVALID_PARAMS"},
};

static void error_to_10(const struct agw_a2a_turn *t, uint32_t code)
{
    size_t at = 0;
    while (at < AGW_ARRAY_LEN(errors) && !agw_str_eq(agw_json_text(t->doc, code), agw_str_c(errors[at].code)))
        at++;
    bool known = at < AGW_ARRAY_LEN(errors);
    agw_json_key(t->w, AGW_STR("error"));
    agw_json_begin_object(t->w);
    agw_json_put_int(t->w, "code", known ? errors[at].http : 500);
    agw_json_put_string(t->w, "status", known ? agw_str_c(errors[at].status) : AGW_STR("INTERNAL"));
    agw_a2a_shape_put(t, 0, "message", "message");
    agw_json_key(t->w, AGW_STR("details"));
    agw_json_begin_array(t->w);
    if (known) {
        agw_json_begin_object(t->w);
        agw_json_put_string(t->w, "@type", AGW_STR("type.googleapis.com/google.rpc.ErrorInfo"));
        agw_json_put_string(t->w, "reason", agw_str_c(errors[at].reason));
        agw_json_put_string(t->w, "domain", AGW_STR("a2a-protocol.org"));
        agw_json_end_object(t->w);
    }
    agw_json_end_array(t->w);
    agw_json_end_object(t->w);
}

/* The code of the first detail that gives a reason; what is told to no version is an internal error. */
static const char *code_of(const struct agw_a2a_turn *t, uint32_t error)
{
    uint32_t details = agw_json_get(t->doc, error, AGW_STR("details"));
    if (details)
        agw_json_each_item(t->doc, details, i)
        {
            uint32_t reason = agw_json_get(t->doc, i, AGW_STR("reason"));
            for (size_t k = 0; reason && is(t, reason, AGW_JSON_STRING) && k < AGW_ARRAY_LEN(errors); k++)
                if (agw_json_is(t->doc, reason, agw_str_c(errors[k].reason)))
                    return errors[k].code;
        }
    return "-32603";
}

/* False: it is none. */
static bool write_error(const struct agw_a2a_turn *t)
{
    uint32_t error = agw_json_get(t->doc, 0, AGW_STR("error")),
             code = agw_json_get(t->doc, 0, AGW_STR("code"));
    bool newer = t->to == AGW_A2A_ERA_10;
    if (newer ? error || !code || !is(t, code, AGW_JSON_NUMBER) : !error || !is(t, error, AGW_JSON_OBJECT))
        return false;
    agw_json_begin_object(t->w);
    if (newer) {
        error_to_10(t, code);
    } else {
        agw_json_put_raw(t->w, "code", agw_str_c(code_of(t, error)));
        agw_a2a_shape_put(t, error, "message", "message");
    }
    agw_json_end_object(t->w);
    return true;
}

/* --- bodies --- */

static const struct agw_a2a_shape *const answers[] = {
    [AGW_A2A_RESULT_RAW] = NULL,   [AGW_A2A_RESULT_TASK] = &task,           [AGW_A2A_RESULT_EVENT] = &event,
    [AGW_A2A_RESULT_PUSH] = &push, [AGW_A2A_RESULT_PUSH_LIST] = &push_list, [AGW_A2A_RESULT_NOTHING] = NULL,
};

int agw_a2a_rest_request(const struct agw_json_doc *doc, enum agw_a2a_era to, enum agw_a2a_result result,
                         struct agw_json_writer *w)
{
    const struct agw_a2a_turn t = {doc, w, to};
    agw_a2a_shape_write(&t, result == AGW_A2A_RESULT_PUSH ? &push : &send, 0);
    return w->error;
}

int agw_a2a_rest_answer(const struct agw_json_doc *doc, enum agw_a2a_era to, enum agw_a2a_result result,
                        struct agw_json_writer *w)
{
    const struct agw_a2a_turn t = {doc, w, to};
    if (!write_error(&t))
        agw_a2a_shape_write(&t, answers[result], 0);
    return w->error;
}
