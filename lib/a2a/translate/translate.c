#include "a2a/translate/shape_int.h"

#include "base/check.h"
#include "json/pointer.h"

/* --- push configurations: 0.3 has a member for what is not the task's id --- */

static void write_push(const struct agw_a2a_turn *t, uint32_t v)
{
    uint32_t inner = agw_json_get(t->doc, v, AGW_STR("pushNotificationConfig"));
    uint32_t task = agw_json_get(t->doc, v, AGW_STR("taskId"));
    if (agw_json_type(t->doc, v) != AGW_JSON_OBJECT ||
        (t->to == AGW_A2A_ERA_10 && (!inner || agw_json_type(t->doc, inner) != AGW_JSON_OBJECT))) {
        agw_a2a_shape_write(t, NULL, v);
        return;
    }
    agw_json_begin_object(t->w);
    if (task)
        agw_json_put_raw(t->w, "taskId", agw_json_text(t->doc, task));
    if (t->to == AGW_A2A_ERA_10) {
        agw_a2a_shape_members(t, &agw_a2a_shape_push, inner);
    } else {
        agw_json_key(t->w, AGW_STR("pushNotificationConfig"));
        agw_a2a_shape_write(t, &agw_a2a_shape_push_inner, v);
    }
    agw_json_end_object(t->w);
}

static void write_push_list(const struct agw_a2a_turn *t, uint32_t v)
{
    uint32_t list = t->to == AGW_A2A_ERA_10 ? v : agw_json_get(t->doc, v, AGW_STR("configs"));
    if (t->to == AGW_A2A_ERA_10) {
        agw_json_begin_object(t->w);
        agw_json_key(t->w, AGW_STR("configs"));
    }
    agw_json_begin_array(t->w);
    if (list)
        agw_json_each_item(t->doc, list, i) write_push(t, i);
    agw_json_end_array(t->w);
    if (t->to == AGW_A2A_ERA_10)
        agw_json_end_object(t->w);
}

static const struct agw_a2a_shape push = {.write = write_push},
                                  push_list = {.write = write_push_list, .whole = true};

/* --- results --- */

static const struct {
    const char *wrapper; /* 1.0 */
    const struct agw_a2a_shape *shape;
} events[] = {
    {"task", &agw_a2a_shape_task},
    {"message", &agw_a2a_shape_message},
    {"statusUpdate", &agw_a2a_shape_status_update},
    {"artifactUpdate", &agw_a2a_shape_artifact_update},
};

static void write_event(const struct agw_a2a_turn *t, uint32_t v)
{
    uint32_t kind = agw_json_get(t->doc, v, AGW_STR("kind"));
    for (size_t i = 0; i < AGW_ARRAY_LEN(events); i++) {
        const struct agw_a2a_shape *shape = events[i].shape;
        uint32_t inner = agw_json_get(t->doc, v, agw_str_c(events[i].wrapper));
        if (t->to == AGW_A2A_ERA_03 && inner) {
            agw_a2a_shape_write(t, shape, inner);
            return;
        }
        if (t->to == AGW_A2A_ERA_10 && kind && agw_json_type(t->doc, kind) == AGW_JSON_STRING &&
            agw_json_is(t->doc, kind, agw_str_c(shape->kind))) {
            agw_json_begin_object(t->w);
            agw_json_key(t->w, agw_str_c(events[i].wrapper));
            agw_a2a_shape_write(t, shape, v);
            agw_json_end_object(t->w);
            return;
        }
    }
    agw_a2a_shape_write(t, NULL, v);
}

static void write_nothing(const struct agw_a2a_turn *t, uint32_t v)
{
    agw_json_raw(t->w, t->to == AGW_A2A_ERA_10 ? AGW_STR("{}") : AGW_STR("null"));
}

static const struct agw_a2a_shape event = {.write = write_event, .whole = true},
                                  nothing = {.write = write_nothing, .whole = true};

static const struct agw_a2a_shape *const results[] = {
    [AGW_A2A_RESULT_TASK] = &agw_a2a_shape_task,
    [AGW_A2A_RESULT_EVENT] = &event,
    [AGW_A2A_RESULT_PUSH] = &push,
    [AGW_A2A_RESULT_PUSH_LIST] = &push_list,
    [AGW_A2A_RESULT_NOTHING] = &nothing,
};

/* --- messages --- */

static const struct method {
    const char *v03, *v10;
    const struct agw_a2a_shape *params;
    enum agw_a2a_result result;
} methods[] = {
    {"message/send", "SendMessage", &agw_a2a_shape_send, AGW_A2A_RESULT_EVENT},
    {"message/stream", "SendStreamingMessage", &agw_a2a_shape_send, AGW_A2A_RESULT_EVENT},
    {"tasks/get", "GetTask", NULL, AGW_A2A_RESULT_TASK},
    {"tasks/cancel", "CancelTask", NULL, AGW_A2A_RESULT_TASK},
    {"tasks/resubscribe", "SubscribeToTask", NULL, AGW_A2A_RESULT_EVENT},
    {"tasks/pushNotificationConfig/set", "CreateTaskPushNotificationConfig", &push, AGW_A2A_RESULT_PUSH},
    {"tasks/pushNotificationConfig/get", "GetTaskPushNotificationConfig", &agw_a2a_shape_push_key,
     AGW_A2A_RESULT_PUSH},
    {"tasks/pushNotificationConfig/list", "ListTaskPushNotificationConfigs", &agw_a2a_shape_push_key,
     AGW_A2A_RESULT_PUSH_LIST},
    {"tasks/pushNotificationConfig/delete", "DeleteTaskPushNotificationConfig", &agw_a2a_shape_push_key,
     AGW_A2A_RESULT_NOTHING},
    {"agent/getAuthenticatedExtendedCard", "GetExtendedAgentCard", NULL, AGW_A2A_RESULT_RAW},
};

static const struct method *find_method(const struct agw_json_doc *doc, uint32_t name, enum agw_a2a_era to)
{
    for (size_t i = 0; i < AGW_ARRAY_LEN(methods); i++)
        if (agw_json_is(doc, name, agw_str_c(to == AGW_A2A_ERA_10 ? methods[i].v03 : methods[i].v10)))
            return &methods[i];
    return NULL;
}

int agw_a2a_translate_request(const struct agw_json_doc *doc, enum agw_a2a_era to, struct agw_json_writer *w,
                              enum agw_a2a_result *ret_result)
{
    const struct agw_a2a_turn t = {doc, w, to};
    uint32_t name;
    if (agw_json_get_unique(doc, 0, AGW_STR("method"), &name) || name == 0 ||
        agw_json_type(doc, name) != AGW_JSON_STRING)
        return AGW_EINVAL;
    const struct method *m = find_method(doc, name, to);
    if (!m)
        return AGW_EUNSUPPORTED;
    const struct agw_a2a_field fields[] = {
        {"method", NULL, NULL}, {NULL, "method", NULL}, {"params", "params", m->params}};
    const struct agw_a2a_shape request = {.fields = fields, .count = AGW_ARRAY_LEN(fields)};
    agw_json_begin_object(w);
    agw_json_put_string(w, "method", agw_str_c(to == AGW_A2A_ERA_10 ? m->v10 : m->v03));
    agw_a2a_shape_members(&t, &request, 0);
    agw_json_end_object(w);
    if (w->error)
        return w->error;
    *ret_result = m->result;
    return 0;
}

int agw_a2a_translate_answer(const struct agw_json_doc *doc, enum agw_a2a_era to, enum agw_a2a_result result,
                             struct agw_json_writer *w)
{
    const struct agw_a2a_turn t = {doc, w, to};
    const struct agw_a2a_field fields[] = {{"result", "result", results[result]}};
    const struct agw_a2a_shape answer = {.fields = fields, .count = AGW_ARRAY_LEN(fields)};
    if (agw_json_type(doc, 0) != AGW_JSON_OBJECT)
        return AGW_EINVAL;
    agw_a2a_shape_write(&t, &answer, 0);
    return w->error;
}
