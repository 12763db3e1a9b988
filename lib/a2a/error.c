#include "a2a/error.h"

#include "base/check.h"
#include "json/writer.h"

/* Names of google.rpc.Code that stand for the HTTP statuses a gateway answers. */
static const struct {
    int http;
    struct agw_str name;
} statuses[] = {
    {400, {"INVALID_ARGUMENT", 16}}, {401, {"UNAUTHENTICATED", 15}},    {403, {"PERMISSION_DENIED", 17}},
    {404, {"NOT_FOUND", 9}},         {408, {"DEADLINE_EXCEEDED", 17}},  {413, {"INVALID_ARGUMENT", 16}},
    {415, {"INVALID_ARGUMENT", 16}}, {429, {"RESOURCE_EXHAUSTED", 18}}, {500, {"INTERNAL", 8}},
    {502, {"UNAVAILABLE", 11}},      {503, {"UNAVAILABLE", 11}},        {504, {"DEADLINE_EXCEEDED", 17}},
};

static struct agw_str status_name(int http)
{
    for (size_t i = 0; i < AGW_ARRAY_LEN(statuses); i++)
        if (statuses[i].http == http)
            return statuses[i].name;
    return AGW_STR("UNKNOWN");
}

static bool is_number(struct agw_str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!strchr("0123456789+-.eE", s.p[i]))
            return false;
    return s.n > 0;
}

static void write_id(struct agw_json_writer *w, const struct agw_a2a_found *f)
{
    struct agw_str id = agw_a2a_text(&f->id);
    agw_json_key(w, AGW_STR("id"));
    if (f->id_string)
        agw_json_string(w, id);
    else if (is_number(id))
        agw_json_raw(w, id);
    else
        agw_json_null(w);
}

/* Task not found, invalid request, internal error. */
static int code_of(int status)
{
    return status == 404 ? -32001 : status < 500 ? -32600 : -32603;
}

static void write_jsonrpc(struct agw_json_writer *w, const struct agw_a2a_found *f, int code,
                          struct agw_str message)
{
    agw_json_put_string(w, "jsonrpc", AGW_STR("2.0"));
    write_id(w, f);
    agw_json_key(w, AGW_STR("error"));
    agw_json_begin_object(w);
    agw_json_put_int(w, "code", code);
    agw_json_put_string(w, "message", message);
    agw_json_end_object(w);
}

static void write_rest(struct agw_json_writer *w, int status, struct agw_str message)
{
    agw_json_key(w, AGW_STR("error"));
    agw_json_begin_object(w);
    agw_json_put_int(w, "code", status);
    agw_json_put_string(w, "status", status_name(status));
    agw_json_put_string(w, "message", message);
    agw_json_put_raw(w, "details", AGW_STR("[]"));
    agw_json_end_object(w);
}

struct agw_str agw_a2a_error_body(const struct agw_a2a_watch *watch, int status, int code,
                                  struct agw_str message, struct agw_arena *arena)
{
    enum agw_a2a_binding binding = watch->call.binding;
    struct agw_json_writer w;
    struct agw_str text = {NULL, 0};
    if (binding != AGW_A2A_JSONRPC && binding != AGW_A2A_REST)
        return AGW_STR("");
    agw_json_writer_init(&w);
    agw_json_begin_object(&w);
    if (binding == AGW_A2A_JSONRPC)
        write_jsonrpc(&w, &watch->request.found, code ? code : code_of(status), message);
    else
        write_rest(&w, status, message);
    agw_json_end_object(&w);
    if (agw_json_writer_end(&w) == 0)
        text = agw_arena_str(arena, agw_json_writer_text(&w));
    agw_json_writer_free(&w);
    return text;
}
