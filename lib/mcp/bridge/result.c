#include "mcp/bridge/result.h"

#include "base/err.h"
#include "mcp/bridge/announce.h"
#include "mcp/modern/envelope.h"

static bool is_object(const struct agw_json_doc *doc, uint32_t token)
{
    return token != 0 && agw_json_type(doc, token) == AGW_JSON_OBJECT;
}

/* --- to clients of 2026-07-28 --- */

/* Answers that this revision lets clients keep, and that so must say for how long. */
static bool is_cacheable(struct agw_str method)
{
    return agw_str_ends(method, AGW_STR("/list")) || agw_str_eq(method, AGW_STR("resources/read"));
}

static int add_members(const struct agw_json_doc *doc, uint32_t result, struct agw_str method,
                       struct agw_json_edits *edits)
{
    bool typed = agw_json_get(doc, result, AGW_STR("resultType")) != 0;
    bool hinted = !is_cacheable(method) || agw_json_get(doc, result, AGW_STR("ttlMs")) != 0 ||
                  agw_json_get(doc, result, AGW_STR("cacheScope")) != 0;
    bool empty = doc->tokens[result].next == result + 1;
    struct agw_str parts[] = {typed ? AGW_STR("") : AGW_STR("\"resultType\":\"complete\""),
                              typed || hinted ? AGW_STR("") : AGW_STR(","),
                              hinted ? AGW_STR("") : AGW_STR("\"ttlMs\":0,\"cacheScope\":\"private\""),
                              empty || (typed && hinted) ? AGW_STR("") : AGW_STR(",")};
    struct agw_str text = agw_arena_join(edits->arena, parts, sizeof parts / sizeof parts[0]);
    if (!text.p)
        return edits->error = AGW_ENOMEM;
    return text.n ? agw_json_edits_add(edits, doc->tokens[result].offset + 1, 0, text) : 0;
}

static int edit_code(const struct agw_json_doc *doc, uint32_t error, struct agw_json_edits *edits)
{
    uint32_t token = agw_json_get(doc, error, AGW_STR("code"));
    int64_t code;
    if (token == 0 || agw_json_to_i64(doc, token, &code) != 0 || code != AGW_JSONRPC_RESOURCE_NOT_FOUND)
        return 0;
    return agw_json_edits_token(edits, doc, token, AGW_STR("-32602"));
}

int agw_mcp_response_to_modern(const struct agw_json_doc *doc, const struct agw_jsonrpc *message,
                               struct agw_str method, struct agw_str id, struct agw_json_edits *edits)
{
    int rc = message->id ? agw_json_edits_token(edits, doc, message->id, id) : 0;
    if (rc == 0 && message->kind == AGW_JSONRPC_ERROR)
        rc = edit_code(doc, message->error, edits);
    else if (rc == 0 && is_object(doc, message->result))
        rc = add_members(doc, message->result, method, edits);
    return rc;
}

bool agw_mcp_notice_to_modern(const struct agw_json_doc *doc, const struct agw_jsonrpc *message,
                              struct agw_str token, agw_mcp_level level, struct agw_json_edits *edits,
                              int *ret_rc)
{
    *ret_rc = 0;
    if (agw_str_eq(message->method, AGW_STR("notifications/message")))
        return level != 0 && agw_mcp_level_of(doc, message->params, "level") >= level;
    if (!agw_str_eq(message->method, AGW_STR("notifications/progress")))
        return false;
    uint32_t own = message->params ? agw_json_get(doc, message->params, AGW_STR("progressToken")) : 0;
    if (own == 0 || token.n == 0)
        return false;
    *ret_rc = agw_json_edits_token(edits, doc, own, token);
    return true;
}

static void copy_member(const struct agw_json_doc *doc, uint32_t object, const char *name,
                        struct agw_json_writer *w)
{
    uint32_t token = object ? agw_json_get(doc, object, agw_str_c(name)) : 0;
    if (token == 0)
        return;
    agw_json_key(w, agw_str_c(name));
    agw_json_raw(w, agw_json_text(doc, token));
}

static void begin_result(struct agw_json_writer *w, struct agw_str id)
{
    agw_json_begin_object(w);
    agw_json_put_string(w, "jsonrpc", AGW_STR("2.0"));
    agw_json_put_raw(w, "id", id);
    agw_json_key(w, AGW_STR("result"));
    agw_json_begin_object(w);
}

/* That there is such a thing, and that changes of it are announced. */
static void put_capabilities(const struct agw_json_doc *doc, uint32_t result, struct agw_json_writer *w)
{
    static const char *const known[] = {"tools", "prompts", "resources", "completions", "logging"};
    uint32_t caps = agw_json_get(doc, result, AGW_STR("capabilities"));
    uint8_t promised = agw_mcp_hears_promised(doc, caps);
    agw_json_key(w, AGW_STR("capabilities"));
    agw_json_begin_object(w);
    for (size_t i = 0; caps != 0 && i < sizeof known / sizeof known[0]; i++) {
        bool changes = promised & AGW_MCP_HEARS_LISTS & 1u << i;
        if (agw_json_get(doc, caps, agw_str_c(known[i])) == 0)
            continue;
        agw_json_key(w, agw_str_c(known[i]));
        agw_json_begin_object(w);
        if (changes)
            agw_json_put_raw(w, "listChanged", AGW_STR("true"));
        if ((promised & AGW_MCP_HEARS_UPDATES) && 1u << i == AGW_MCP_HEARS_RESOURCES)
            agw_json_put_raw(w, "subscribe", AGW_STR("true"));
        agw_json_end_object(w);
    }
    agw_json_end_object(w);
}

int agw_mcp_initialized_to_discover(const struct agw_json_doc *doc, uint32_t result, struct agw_str id,
                                    struct agw_json_writer *w)
{
    uint32_t info = agw_json_get(doc, result, AGW_STR("serverInfo"));
    uint32_t version = agw_json_get(doc, result, AGW_STR("protocolVersion"));
    begin_result(w, id);
    agw_json_key(w, AGW_STR("supportedVersions"));
    agw_json_begin_array(w);
    agw_json_string(w, agw_mcp_version_text(AGW_MCP_MODERN));
    if (version != 0 && agw_json_type(doc, version) == AGW_JSON_STRING)
        agw_json_raw(w, agw_json_text(doc, version));
    agw_json_end_array(w);
    put_capabilities(doc, result, w);
    copy_member(doc, result, "instructions", w);
    agw_json_put_string(w, "resultType", AGW_STR("complete"));
    agw_json_put_int(w, "ttlMs", 0);
    agw_json_put_string(w, "cacheScope", AGW_STR("private"));
    if (is_object(doc, info)) {
        agw_json_key(w, AGW_STR("_meta"));
        agw_json_begin_object(w);
        agw_json_put_raw(w, AGW_MCP_META_SERVER, agw_json_text(doc, info));
        agw_json_end_object(w);
    }
    agw_json_end_object(w);
    agw_json_end_object(w);
    return w->error;
}

/* --- to clients of old --- */

/* Takes the member whose value is |value| out of its object, with the comma that goes with it. */
static int drop_member(const struct agw_json_doc *doc, uint32_t object, uint32_t value,
                       struct agw_json_edits *edits)
{
    const struct agw_json_token *t = doc->tokens;
    uint32_t key = value - 1, from = t[key].offset, to = t[value].offset + t[value].length;
    if (t[value].next < t[object].next) {
        to = t[t[value].next].offset; /* the next key */
    } else if (key > object + 1) {
        while (doc->text.p[from] != ',')
            from--;
    }
    return agw_json_edits_add(edits, from, to - from, AGW_STR(""));
}

/* Until 2025-11-25 a tool's output schema describes an object, as its input's does. */
static int edit_tools(const struct agw_json_doc *doc, uint32_t tools, struct agw_json_edits *edits)
{
    int rc = 0;
    agw_json_each_item(doc, tools, tool)
    {
        uint32_t schema = agw_json_get(doc, tool, AGW_STR("outputSchema"));
        uint32_t type = schema ? agw_json_get(doc, schema, AGW_STR("type")) : 0;
        bool good = type != 0 && agw_json_type(doc, type) == AGW_JSON_STRING &&
                    agw_json_is(doc, type, AGW_STR("object"));
        if (rc == 0 && schema != 0 && !good)
            rc = drop_member(doc, tool, schema, edits);
    }
    return rc;
}

int agw_mcp_response_to_legacy(const struct agw_json_doc *doc, const struct agw_jsonrpc *message,
                               struct agw_json_edits *edits)
{
    if (message->kind != AGW_JSONRPC_RESULT || !is_object(doc, message->result))
        return 0;
    uint32_t structured = agw_json_get(doc, message->result, AGW_STR("structuredContent"));
    uint32_t tools = agw_json_get(doc, message->result, AGW_STR("tools"));
    int rc =
        structured && !is_object(doc, structured) ? drop_member(doc, message->result, structured, edits) : 0;
    return rc == 0 && tools != 0 ? edit_tools(doc, tools, edits) : rc;
}

bool agw_mcp_input_required(const struct agw_json_doc *doc, const struct agw_jsonrpc *message)
{
    uint32_t type =
        message->kind == AGW_JSONRPC_RESULT ? agw_json_get(doc, message->result, AGW_STR("resultType")) : 0;
    return type != 0 && agw_json_type(doc, type) == AGW_JSON_STRING &&
           agw_json_is(doc, type, AGW_STR("input_required"));
}

bool agw_mcp_discovered_modern(const struct agw_json_doc *doc, uint32_t result)
{
    uint32_t list = agw_json_get(doc, result, AGW_STR("supportedVersions"));
    bool found = false;
    if (list == 0)
        return false;
    agw_json_each_item(doc, list, item)
    {
        found |= agw_json_type(doc, item) == AGW_JSON_STRING &&
                 agw_json_is(doc, item, agw_mcp_version_text(AGW_MCP_MODERN));
    }
    return found;
}

static void put_server(const struct agw_json_doc *doc, uint32_t result, struct agw_str name,
                       struct agw_json_writer *w)
{
    static const char *const path[] = {"_meta", AGW_MCP_META_SERVER};
    uint32_t info = agw_json_path(doc, result, path, 2);
    agw_json_key(w, AGW_STR("serverInfo"));
    if (is_object(doc, info)) {
        agw_json_raw(w, agw_json_text(doc, info));
        return;
    }
    agw_json_begin_object(w);
    agw_json_put_string(w, "name", name);
    agw_json_put_string(w, "version", AGW_STR("unknown"));
    agw_json_end_object(w);
}

int agw_mcp_discovered_to_initialize(const struct agw_json_doc *doc, uint32_t result,
                                     enum agw_mcp_version version, struct agw_str name, struct agw_str id,
                                     struct agw_json_writer *w)
{
    if (!agw_mcp_discovered_modern(doc, result))
        return AGW_EPROTO;
    begin_result(w, id);
    agw_json_put_string(w, "protocolVersion", agw_mcp_version_text(version));
    put_capabilities(doc, result, w);
    put_server(doc, result, name, w);
    copy_member(doc, result, "instructions", w);
    agw_json_end_object(w);
    agw_json_end_object(w);
    return w->error;
}
