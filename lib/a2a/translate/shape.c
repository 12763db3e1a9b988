#include "a2a/translate/shape_int.h"

#include "base/check.h"
#include "json/pointer.h"

static void raw(const struct agw_a2a_turn *t, uint32_t v)
{
    agw_json_raw(t->w, agw_json_text(t->doc, v));
}

static bool is(const struct agw_a2a_turn *t, uint32_t v, enum agw_json_type type)
{
    return agw_json_type(t->doc, v) == type;
}

void agw_a2a_shape_put(const struct agw_a2a_turn *t, uint32_t object, const char *name, const char *as)
{
    uint32_t v = agw_json_get(t->doc, object, agw_str_c(name));
    if (v)
        agw_json_put_raw(t->w, as, agw_json_text(t->doc, v));
}

/* A member as it stands, name and value. */
static void put_member(const struct agw_a2a_turn *t, uint32_t k)
{
    const struct agw_json_token *name = &t->doc->tokens[k], *value = &t->doc->tokens[k + 1];
    agw_json_raw(t->w, agw_str(t->doc->text.p + name->offset, value->offset + value->length - name->offset));
}

void agw_a2a_shape_put_others(const struct agw_a2a_turn *t, uint32_t object, const char *const *taken)
{
    agw_json_each_member(t->doc, object, k)
    {
        const char *const *name = taken;
        while (*name && !agw_json_is(t->doc, k, agw_str_c(*name)))
            name++;
        if (!*name)
            put_member(t, k);
    }
}

/* --- by tables --- */

static const struct agw_a2a_field *find_field(const struct agw_a2a_turn *t, const struct agw_a2a_shape *s,
                                              uint32_t k)
{
    for (size_t i = 0; i < s->count; i++) {
        const char *name = t->to == AGW_A2A_ERA_10 ? s->fields[i].v03 : s->fields[i].v10;
        if (name && agw_json_is(t->doc, k, agw_str_c(name)))
            return &s->fields[i];
    }
    return NULL;
}

void agw_a2a_shape_members(const struct agw_a2a_turn *t, const struct agw_a2a_shape *shape, uint32_t v)
{
    if (shape->kind && t->to == AGW_A2A_ERA_03)
        agw_json_put_string(t->w, "kind", agw_str_c(shape->kind));
    agw_json_each_member(t->doc, v, k)
    {
        const struct agw_a2a_field *f = find_field(t, shape, k);
        const char *as = f ? t->to == AGW_A2A_ERA_10 ? f->v10 : f->v03 : NULL;
        if (shape->kind && agw_json_is(t->doc, k, AGW_STR("kind")))
            continue;
        if (!f) {
            put_member(t, k);
        } else if (as) {
            agw_json_key(t->w, agw_str_c(as));
            agw_a2a_shape_write(t, f->shape, k + 1);
        }
    }
    if (shape->more)
        shape->more(t, v);
}

void agw_a2a_shape_write(const struct agw_a2a_turn *t, const struct agw_a2a_shape *shape, uint32_t v)
{
    if (shape && !shape->whole && is(t, v, AGW_JSON_ARRAY)) {
        agw_json_begin_array(t->w);
        agw_json_each_item(t->doc, v, i)
        {
            if (is(t, i, AGW_JSON_ARRAY)) /* none is expected; and recursion must have an end */
                raw(t, i);
            else
                agw_a2a_shape_write(t, shape, i);
        }
        agw_json_end_array(t->w);
    } else if (shape && shape->write) {
        shape->write(t, v);
    } else if (shape && is(t, v, AGW_JSON_OBJECT)) {
        agw_json_begin_object(t->w);
        agw_a2a_shape_members(t, shape, v);
        agw_json_end_object(t->w);
    } else {
        raw(t, v);
    }
}

/* --- words --- */

static const struct {
    const char *v03, *v10;
} words[] = {
    {"user", "ROLE_USER"},
    {"agent", "ROLE_AGENT"},
    {"submitted", "TASK_STATE_SUBMITTED"},
    {"working", "TASK_STATE_WORKING"},
    {"input-required", "TASK_STATE_INPUT_REQUIRED"},
    {"auth-required", "TASK_STATE_AUTH_REQUIRED"},
    {"completed", "TASK_STATE_COMPLETED"},
    {"canceled", "TASK_STATE_CANCELED"},
    {"failed", "TASK_STATE_FAILED"},
    {"rejected", "TASK_STATE_REJECTED"},
    {"unknown", "TASK_STATE_UNSPECIFIED"},
};

static void write_word(const struct agw_a2a_turn *t, uint32_t v)
{
    for (size_t i = 0; is(t, v, AGW_JSON_STRING) && i < AGW_ARRAY_LEN(words); i++) {
        bool newer = t->to == AGW_A2A_ERA_10;
        if (agw_json_is(t->doc, v, agw_str_c(newer ? words[i].v03 : words[i].v10))) {
            agw_json_string(t->w, agw_str_c(newer ? words[i].v10 : words[i].v03));
            return;
        }
    }
    raw(t, v);
}

/* `blocking` and `returnImmediately`. */
static void write_not(const struct agw_a2a_turn *t, uint32_t v)
{
    if (is(t, v, AGW_JSON_TRUE) || is(t, v, AGW_JSON_FALSE))
        agw_json_bool(t->w, is(t, v, AGW_JSON_FALSE));
    else
        raw(t, v);
}

/* --- parts --- */

void agw_a2a_shape_file_to_10(const struct agw_a2a_turn *t, uint32_t file,
                              const struct agw_a2a_file_names *names)
{
    const char *const taken[] = {names->bytes, names->uri, "name", "mimeType", NULL};
    agw_a2a_shape_put(t, file, names->bytes, "raw");
    agw_a2a_shape_put(t, file, names->uri, "url");
    agw_a2a_shape_put(t, file, "name", "filename");
    agw_a2a_shape_put(t, file, "mimeType", "mediaType");
    agw_a2a_shape_put_others(t, file, taken);
}

void agw_a2a_shape_file_to_03(const struct agw_a2a_turn *t, uint32_t v,
                              const struct agw_a2a_file_names *names)
{
    static const char *const taken[] = {"raw", "url", "filename", "mediaType", NULL};
    agw_json_key(t->w, AGW_STR("file"));
    agw_json_begin_object(t->w);
    agw_a2a_shape_put(t, v, "raw", names->bytes);
    agw_a2a_shape_put(t, v, "url", names->uri);
    agw_a2a_shape_put(t, v, "filename", "name");
    agw_a2a_shape_put(t, v, "mediaType", "mimeType");
    agw_json_end_object(t->w);
    agw_a2a_shape_put_others(t, v, taken);
}

static const struct agw_a2a_file_names file_names = {"bytes", "uri"};

static void part_to_10(const struct agw_a2a_turn *t, uint32_t v)
{
    static const char *const taken[] = {"kind", "file", NULL};
    uint32_t file = agw_json_get(t->doc, v, AGW_STR("file"));
    if (file && is(t, file, AGW_JSON_OBJECT))
        agw_a2a_shape_file_to_10(t, file, &file_names);
    agw_a2a_shape_put_others(t, v, taken);
}

/* 1.0 allows any value as data, 0.3 objects alone. */
static void data_to_03(const struct agw_a2a_turn *t, uint32_t v, uint32_t data)
{
    static const char *const taken[] = {"kind", "data", NULL};
    agw_json_put_string(t->w, "kind", AGW_STR("data"));
    agw_json_key(t->w, AGW_STR("data"));
    if (!is(t, data, AGW_JSON_OBJECT)) {
        agw_json_begin_object(t->w);
        agw_json_put_raw(t->w, "value", agw_json_text(t->doc, data));
        agw_json_end_object(t->w);
    } else {
        raw(t, data);
    }
    agw_a2a_shape_put_others(t, v, taken);
}

static void part_to_03(const struct agw_a2a_turn *t, uint32_t v)
{
    static const char *const taken[] = {"kind", NULL};
    uint32_t data = agw_json_get(t->doc, v, AGW_STR("data"));
    if (agw_json_get(t->doc, v, AGW_STR("raw")) || agw_json_get(t->doc, v, AGW_STR("url"))) {
        agw_json_put_string(t->w, "kind", AGW_STR("file"));
        agw_a2a_shape_file_to_03(t, v, &file_names);
    } else if (data) {
        data_to_03(t, v, data);
    } else {
        if (agw_json_get(t->doc, v, AGW_STR("text")))
            agw_json_put_string(t->w, "kind", AGW_STR("text"));
        agw_a2a_shape_put_others(t, v, taken);
    }
}

static void write_part(const struct agw_a2a_turn *t, uint32_t v)
{
    if (!is(t, v, AGW_JSON_OBJECT)) {
        raw(t, v);
        return;
    }
    agw_json_begin_object(t->w);
    if (t->to == AGW_A2A_ERA_10)
        part_to_10(t, v);
    else
        part_to_03(t, v);
    agw_json_end_object(t->w);
}

/* --- values --- */

/* 0.3 names several schemes, of which 1.0 has the first; or the one. */
static void write_schemes(const struct agw_a2a_turn *t, uint32_t v)
{
    if (t->to == AGW_A2A_ERA_03) {
        agw_json_begin_array(t->w);
        raw(t, v);
        agw_json_end_array(t->w);
    } else if (is(t, v, AGW_JSON_ARRAY) && t->doc->tokens[v].next > v + 1) {
        raw(t, v + 1);
    } else {
        agw_json_string(t->w, AGW_STR(""));
    }
}

void agw_a2a_shape_final(const struct agw_a2a_turn *t, uint32_t v)
{
    static const char *const way[] = {"status", "state"};
    static const char *const open[] = {"TASK_STATE_SUBMITTED", "TASK_STATE_WORKING",
                                       "TASK_STATE_UNSPECIFIED"};
    uint32_t state = agw_json_path(t->doc, v, way, AGW_ARRAY_LEN(way));
    bool final = state && is(t, state, AGW_JSON_STRING);
    for (size_t i = 0; i < AGW_ARRAY_LEN(open); i++)
        final = final && !agw_json_is(t->doc, state, agw_str_c(open[i]));
    if (t->to == AGW_A2A_ERA_03)
        agw_json_put_bool(t->w, "final", final);
}

#define FIELDS(list) .fields = (list), .count = AGW_ARRAY_LEN(list)

const struct agw_a2a_shape agw_a2a_shape_not = {.write = write_not};
static const struct agw_a2a_shape word = {.write = write_word}, part = {.write = write_part},
                                  schemes = {.write = write_schemes, .whole = true};

static const struct agw_a2a_field message_fields[] = {{"role", "role", &word}, {"parts", "parts", &part}};
const struct agw_a2a_shape agw_a2a_shape_message = {.kind = "message", FIELDS(message_fields)};

static const struct agw_a2a_field status_fields[] = {{"state", "state", &word},
                                                     {"message", "message", &agw_a2a_shape_message}};
static const struct agw_a2a_shape status = {FIELDS(status_fields)};

static const struct agw_a2a_field artifact_fields[] = {{"parts", "parts", &part}};
static const struct agw_a2a_shape artifact = {FIELDS(artifact_fields)};

static const struct agw_a2a_field task_fields[] = {{"status", "status", &status},
                                                   {"artifacts", "artifacts", &artifact},
                                                   {"history", "history", &agw_a2a_shape_message}};
const struct agw_a2a_shape agw_a2a_shape_task = {.kind = "task", FIELDS(task_fields)};

static const struct agw_a2a_field status_update_fields[] = {{"status", "status", &status},
                                                            {"final", NULL, NULL}};
const struct agw_a2a_shape agw_a2a_shape_status_update = {
    .kind = "status-update", FIELDS(status_update_fields), .more = agw_a2a_shape_final};

static const struct agw_a2a_field artifact_update_fields[] = {{"artifact", "artifact", &artifact}};
const struct agw_a2a_shape agw_a2a_shape_artifact_update = {.kind = "artifact-update",
                                                            FIELDS(artifact_update_fields)};

static const struct agw_a2a_field authentication_fields[] = {{"schemes", "scheme", &schemes}};
static const struct agw_a2a_shape authentication = {FIELDS(authentication_fields)};

static const struct agw_a2a_field push_fields[] = {{"authentication", "authentication", &authentication}};
const struct agw_a2a_shape agw_a2a_shape_push = {FIELDS(push_fields)};

static const struct agw_a2a_field push_inner_fields[] = {
    {NULL, "taskId", NULL}, {NULL, "tenant", NULL}, {"authentication", "authentication", &authentication}};
const struct agw_a2a_shape agw_a2a_shape_push_inner = {FIELDS(push_inner_fields)};

static const struct agw_a2a_field push_key_fields[] = {{"id", "taskId", NULL},
                                                       {"pushNotificationConfigId", "id", NULL}};
const struct agw_a2a_shape agw_a2a_shape_push_key = {FIELDS(push_key_fields)};

static const struct agw_a2a_field configuration_fields[] = {
    {"blocking", "returnImmediately", &agw_a2a_shape_not},
    {"pushNotificationConfig", "taskPushNotificationConfig", &agw_a2a_shape_push}};
static const struct agw_a2a_shape configuration = {FIELDS(configuration_fields)};

static const struct agw_a2a_field send_fields[] = {{"message", "message", &agw_a2a_shape_message},
                                                   {"configuration", "configuration", &configuration}};
const struct agw_a2a_shape agw_a2a_shape_send = {FIELDS(send_fields)};
