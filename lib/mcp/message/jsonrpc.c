#include "mcp/message/jsonrpc.h"

#include "base/check.h"

enum field { F_JSONRPC, F_ID, F_METHOD, F_PARAMS, F_RESULT, F_ERROR, F_COUNT };

static const struct agw_str field_names[F_COUNT] = {{"jsonrpc", 7}, {"id", 2},     {"method", 6},
                                                    {"params", 6},  {"result", 6}, {"error", 5}};

static int collect(const struct agw_json_doc *doc, uint32_t at[F_COUNT], struct agw_error *err)
{
    agw_json_each_member(doc, 0, k)
    {
        for (int f = 0; f < F_COUNT; f++) {
            if (!agw_json_is(doc, k, field_names[f]))
                continue;
            if (at[f] != 0)
                return agw_error_set(err, AGW_EPROTO, "\"%s\" stands there twice", field_names[f].p);
            at[f] = k + 1;
            break;
        }
    }
    return 0;
}

static bool is_id(const struct agw_json_doc *doc, uint32_t token)
{
    enum agw_json_type type = agw_json_type(doc, token);
    return type == AGW_JSON_STRING || type == AGW_JSON_NUMBER;
}

/* Which kind of message, by the members present (JSON-RPC 2.0 sections 4 and 5). */
static int classify(const struct agw_json_doc *doc, const uint32_t at[F_COUNT], struct agw_jsonrpc *m,
                    struct agw_error *err)
{
    bool null_id = at[F_ID] != 0 && agw_json_type(doc, at[F_ID]) == AGW_JSON_NULL;
    if (at[F_JSONRPC] == 0 || !agw_json_is(doc, at[F_JSONRPC], AGW_STR("2.0")))
        return agw_error_set(err, AGW_EPROTO, "\"jsonrpc\" must be \"2.0\"");
    if (at[F_ID] != 0 && !null_id && !is_id(doc, at[F_ID]))
        return agw_error_set(err, AGW_EPROTO, "\"id\" must be a string or a number");
    if ((at[F_METHOD] != 0) + (at[F_RESULT] != 0) + (at[F_ERROR] != 0) != 1)
        return agw_error_set(err, AGW_EPROTO,
                             "exactly one of \"method\", \"result\", \"error\" must be there");
    if (at[F_METHOD] != 0) {
        if (null_id)
            return agw_error_set(err, AGW_EPROTO, "\"id\" must not be null");
        m->kind = at[F_ID] != 0 ? AGW_JSONRPC_REQUEST : AGW_JSONRPC_NOTIFICATION;
        return 0;
    }
    m->kind = at[F_RESULT] != 0 ? AGW_JSONRPC_RESULT : AGW_JSONRPC_ERROR;
    if (m->kind == AGW_JSONRPC_RESULT && (at[F_ID] == 0 || null_id))
        return agw_error_set(err, AGW_EPROTO, "a result needs an \"id\"");
    return 0;
}

int agw_jsonrpc_read(struct agw_json_doc *doc, struct agw_str text, struct agw_arena *arena,
                     struct agw_jsonrpc *ret_message, struct agw_error *err)
{
    int rc = agw_json_parse(doc, text, err);
    if (rc != 0)
        return rc;
    if (agw_json_type(doc, 0) == AGW_JSON_ARRAY)
        return agw_error_set(err, AGW_EUNSUPPORTED, "a batch has no place here");
    if (agw_json_type(doc, 0) != AGW_JSON_OBJECT)
        return agw_error_set(err, AGW_EPROTO, "a message must be an object");
    uint32_t at[F_COUNT] = {0};
    struct agw_jsonrpc m = {0};
    if ((rc = collect(doc, at, err)) != 0 || (rc = classify(doc, at, &m, err)) != 0)
        return rc;
    if (at[F_METHOD] != 0) {
        rc = agw_json_unescape(doc, at[F_METHOD], arena, &m.method);
        if (rc == AGW_EINVAL)
            return agw_error_set(err, AGW_EPROTO, "\"method\" must be a string");
        if (rc != 0)
            return agw_error_set(err, rc, "out of memory");
    }
    if (at[F_PARAMS] != 0 && agw_json_type(doc, at[F_PARAMS]) != AGW_JSON_OBJECT)
        return agw_error_set(err, AGW_EPROTO, "\"params\" must be an object");
    m.id = at[F_ID] != 0 && is_id(doc, at[F_ID]) ? at[F_ID] : 0;
    m.params = at[F_PARAMS];
    m.result = at[F_RESULT];
    m.error = at[F_ERROR];
    *ret_message = m;
    return 0;
}

struct agw_str agw_jsonrpc_map_id(const struct agw_json_doc *doc, uint32_t token, struct agw_str target,
                                  struct agw_arena *arena)
{
    bool string = agw_json_type(doc, token) == AGW_JSON_STRING;
    struct agw_str parts[] = {AGW_STR("\"agw_"), target, string ? AGW_STR("_s_") : AGW_STR("_n_"),
                              string ? agw_json_inside(doc, token) : agw_json_text(doc, token),
                              AGW_STR("\"")};
    return agw_arena_join(arena, parts, AGW_ARRAY_LEN(parts));
}

/* "n_7" -> 7, "s_abc" -> "abc". What comes from a client must be checked before it stands bare in a message.
 */
static int original_id(struct agw_str rest, struct agw_arena *arena, struct agw_str *ret_json)
{
    if (rest.n < 2 || rest.p[1] != '_')
        return AGW_ENOTFOUND;
    struct agw_str value = agw_str_from(rest, 2);
    if (rest.p[0] == 's') {
        struct agw_str parts[] = {AGW_STR("\""), agw_json_escape(value, arena), AGW_STR("\"")};
        struct agw_str json = parts[1].p ? agw_arena_join(arena, parts, 3) : parts[1];
        if (!json.p)
            return AGW_ENOMEM;
        *ret_json = json;
        return 0;
    }
    struct agw_json_doc doc;
    agw_json_doc_init(&doc, 1);
    int rc = rest.p[0] == 'n' ? agw_json_parse(&doc, value, NULL) : AGW_ENOTFOUND;
    if (rc == 0 && agw_json_type(&doc, 0) != AGW_JSON_NUMBER)
        rc = AGW_ENOTFOUND;
    if (rc == 0)
        *ret_json = agw_json_text(&doc, 0);
    agw_json_doc_free(&doc);
    return rc == 0 || rc == AGW_ENOMEM ? rc : AGW_ENOTFOUND;
}

int agw_jsonrpc_unmap_id(const struct agw_json_doc *doc, uint32_t token, const struct agw_mcp_backend *b,
                         struct agw_arena *arena, uint32_t *ret_target, struct agw_str *ret_json)
{
    struct agw_str id;
    int rc = agw_json_unescape(doc, token, arena, &id);
    if (rc != 0)
        return rc == AGW_EINVAL ? AGW_ENOTFOUND : rc;
    if (!agw_str_starts(id, AGW_STR("agw_")))
        return AGW_ENOTFOUND;
    id = agw_str_from(id, 4);
    for (uint32_t i = 0; i < b->count; i++) {
        struct agw_str name = b->targets[i].name;
        if (!agw_str_starts(id, name) || id.n == name.n || id.p[name.n] != '_')
            continue;
        rc = original_id(agw_str_from(id, name.n + 1), arena, ret_json);
        if (rc == 0)
            *ret_target = i;
        return rc;
    }
    return AGW_ENOTFOUND;
}

bool agw_jsonrpc_same_id(const struct agw_json_doc *a, uint32_t a_id, const struct agw_json_doc *b,
                         uint32_t b_id, struct agw_arena *arena)
{
    struct agw_str text;
    if (agw_json_type(a, a_id) != agw_json_type(b, b_id))
        return false;
    if (agw_str_eq(agw_json_text(a, a_id), agw_json_text(b, b_id)))
        return true;
    return agw_json_unescape(a, a_id, arena, &text) == 0 && agw_json_is(b, b_id, text);
}

void agw_jsonrpc_write_error(struct agw_json_writer *w, struct agw_str id, int code, struct agw_str message,
                             struct agw_str data)
{
    agw_json_begin_object(w);
    agw_json_put_string(w, "jsonrpc", AGW_STR("2.0"));
    if (id.n)
        agw_json_put_raw(w, "id", id);
    agw_json_key(w, AGW_STR("error"));
    agw_json_begin_object(w);
    agw_json_put_int(w, "code", code);
    agw_json_put_string(w, "message", message);
    if (data.n)
        agw_json_put_raw(w, "data", data);
    agw_json_end_object(w);
    agw_json_end_object(w);
}
