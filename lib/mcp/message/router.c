#include "mcp/message/router.h"

#include "base/check.h"
#include "mcp/message/names.h"
#include "mcp/message/session.h"
#include "mcp/virtual/select.h"

#define S(text)                                                                                              \
    {                                                                                                        \
        text, sizeof(text) - 1                                                                               \
    }

static const struct agw_mcp_method methods[] = {
    {S("initialize"), AGW_MCP_WAY_INITIALIZE},
    {S("ping"), AGW_MCP_WAY_LOCAL},
    {S("tools/call"), AGW_MCP_WAY_NAME, AGW_MCP_CAP_TOOLS},
    {S("tools/list"), AGW_MCP_WAY_LIST, AGW_MCP_CAP_TOOLS, S("tools"), S("name")},
    {S("prompts/get"), AGW_MCP_WAY_NAME, AGW_MCP_CAP_PROMPTS},
    {S("prompts/list"), AGW_MCP_WAY_LIST, AGW_MCP_CAP_PROMPTS, S("prompts"), S("name")},
    {S("resources/read"), AGW_MCP_WAY_URI, AGW_MCP_CAP_RESOURCES},
    {S("resources/list"), AGW_MCP_WAY_LIST, AGW_MCP_CAP_RESOURCES, S("resources"), S("uri")},
    {S("resources/templates/list"), AGW_MCP_WAY_LIST, AGW_MCP_CAP_RESOURCES, S("resourceTemplates"),
     S("uriTemplate")},
    {S("resources/subscribe"), AGW_MCP_WAY_URI, AGW_MCP_CAP_RESOURCES},
    {S("resources/unsubscribe"), AGW_MCP_WAY_URI, AGW_MCP_CAP_RESOURCES},
    {S("completion/complete"), AGW_MCP_WAY_REF, AGW_MCP_CAP_COMPLETIONS},
    {S("tasks/get"), AGW_MCP_WAY_TASK, AGW_MCP_CAP_TASKS},
    {S("tasks/result"), AGW_MCP_WAY_TASK, AGW_MCP_CAP_TASKS},
    {S("tasks/cancel"), AGW_MCP_WAY_TASK, AGW_MCP_CAP_TASKS},
    {S("tasks/list"), AGW_MCP_WAY_LIST, AGW_MCP_CAP_TASKS, S("tasks"), S("taskId")},
    {S("logging/setLevel"), AGW_MCP_WAY_ALL, AGW_MCP_CAP_LOGGING},
    {S("server/discover"), AGW_MCP_WAY_DISCOVER},
    {S("subscriptions/listen"), AGW_MCP_WAY_LISTEN},
};

static const struct agw_str read_method = S("resources/read"), call_method = S("tools/call");
static const struct agw_mcp_method unknown = {S(""), AGW_MCP_WAY_UNKNOWN};

const struct agw_mcp_method *agw_mcp_method_find(struct agw_str name)
{
    for (size_t i = 0; i < AGW_ARRAY_LEN(methods); i++)
        if (agw_str_eq(methods[i].name, name))
            return &methods[i];
    return &unknown;
}

struct agw_str agw_mcp_method_member(const struct agw_mcp_method *method)
{
    return method->way == AGW_MCP_WAY_URI    ? AGW_STR("uri")
           : method->way == AGW_MCP_WAY_TASK ? AGW_STR("taskId")
                                             : AGW_STR("name");
}

/* --- client to target --- */

/* Replaces the string |token| by |to|, its own end: cuts the front off in place when nothing is escaped. */
static int edit_cut(struct agw_json_edits *edits, const struct agw_json_doc *doc, uint32_t token,
                    struct agw_str from, struct agw_str to)
{
    if (doc->tokens[token].flags & AGW_JSON_ESCAPED || !agw_str_ends(from, to))
        return agw_json_edits_string(edits, doc, token, to);
    return agw_json_edits_add(edits, doc->tokens[token].offset + 1, (uint32_t)(from.n - to.n), AGW_STR(""));
}

static int name_up(const struct agw_mcp_backend *b, const struct agw_json_doc *doc, uint32_t token,
                   struct agw_json_edits *edits, uint32_t *ret_target, struct agw_str *ret_name)
{
    struct agw_str name, bare;
    int rc = agw_json_unescape(doc, token, edits->arena, &name);
    if (rc != 0)
        return rc;
    if (!agw_mcp_names_prefixed(b)) {
        *ret_target = b->count == 1 ? 0 : AGW_MCP_ANY;
        *ret_name = name;
        return 0;
    }
    if ((rc = agw_mcp_name_split(b, name, ret_target, &bare)) != 0)
        return rc;
    *ret_name = bare;
    return edit_cut(edits, doc, token, name, bare);
}

static int uri_up(const struct agw_mcp_backend *b, const struct agw_json_doc *doc, uint32_t token,
                  struct agw_json_edits *edits, uint32_t *ret_target, struct agw_str *ret_name)
{
    struct agw_str uri, own;
    int rc = agw_json_unescape(doc, token, edits->arena, &uri);
    if (rc != 0)
        return rc;
    if (!agw_mcp_uris_prefixed(b)) {
        *ret_target = 0;
        *ret_name = uri;
        return 0;
    }
    if ((rc = agw_mcp_uri_split(b, uri, edits->arena, ret_target, &own)) != 0)
        return rc;
    *ret_name = own;
    return edit_cut(edits, doc, token, uri, own);
}

static int task_up(const struct agw_mcp_backend *b, const struct agw_json_doc *doc, uint32_t token,
                   struct agw_json_edits *edits, uint32_t *ret_target, struct agw_str *ret_name)
{
    struct agw_str id, own;
    int rc = agw_json_unescape(doc, token, edits->arena, &id);
    if (rc != 0)
        return rc;
    *ret_target = 0;
    *ret_name = id;
    if (!agw_mcp_uris_prefixed(b))
        return 0;
    if ((rc = agw_mcp_task_split(b, id, ret_target, &own)) != 0)
        return rc;
    *ret_name = own;
    return edit_cut(edits, doc, token, id, own);
}

/* Where a message says which task it belongs to. */
static uint32_t related_of(const struct agw_json_doc *doc, const struct agw_jsonrpc *message)
{
    static const char *const path[] = {"_meta", "io.modelcontextprotocol/related-task", "taskId"};
    uint32_t from = message->kind == AGW_JSONRPC_RESULT ? message->result : message->params;
    uint32_t token = from ? agw_json_path(doc, from, path, 3) : 0;
    return token != 0 && agw_json_type(doc, token) == AGW_JSON_STRING ? token : 0;
}

int agw_mcp_edit_related(const struct agw_mcp_backend *b, uint32_t target, const struct agw_json_doc *doc,
                         const struct agw_jsonrpc *message, struct agw_json_edits *edits)
{
    uint32_t token = agw_mcp_uris_prefixed(b) ? related_of(doc, message) : 0, owner;
    struct agw_str id, own;
    if (token == 0)
        return 0;
    int rc = agw_json_unescape(doc, token, edits->arena, &id);
    if (rc != 0 || agw_mcp_task_split(b, id, &owner, &own) != 0 || owner != target)
        return rc == AGW_ENOMEM ? rc : 0; /* another target's task means nothing here */
    return edit_cut(edits, doc, token, id, own);
}

/* The one string member |name| of |object|. */
static int deciding(const struct agw_json_doc *doc, uint32_t object, struct agw_str name, uint32_t *ret_token)
{
    uint32_t token = 0;
    if (object == 0 || agw_json_get_unique(doc, object, name, &token) != 0 || token == 0 ||
        agw_json_type(doc, token) != AGW_JSON_STRING)
        return AGW_EINVAL;
    *ret_token = token;
    return 0;
}

static int ref_up(const struct agw_mcp_backend *b, const struct agw_json_doc *doc, uint32_t params,
                  struct agw_json_edits *edits, uint32_t *ret_target, struct agw_str *ret_name)
{
    uint32_t ref = 0, type = 0, token;
    if (params == 0 || agw_json_get_unique(doc, params, AGW_STR("ref"), &ref) != 0 || ref == 0 ||
        agw_json_get_unique(doc, ref, AGW_STR("type"), &type) != 0)
        return AGW_EINVAL;
    if (type != 0 && agw_json_is(doc, type, AGW_STR("ref/resource")))
        return deciding(doc, ref, AGW_STR("uri"), &token) == 0
                   ? uri_up(b, doc, token, edits, ret_target, ret_name)
                   : AGW_EINVAL;
    return deciding(doc, ref, AGW_STR("name"), &token) == 0
               ? name_up(b, doc, token, edits, ret_target, ret_name)
               : AGW_EINVAL;
}

/* The name of a tool, as the rules of a virtual server have it. */
static int tool_up(const struct agw_mcp_backend *b, const struct agw_json_doc *doc, uint32_t token,
                   struct agw_json_edits *edits, uint32_t *ret_target, struct agw_str *ret_name)
{
    struct agw_str shown;
    int rc = agw_json_unescape(doc, token, edits->arena, &shown);
    const struct agw_mcp_tool_rule *rule = rc == 0 ? agw_mcp_tool_rule_named(b, shown) : NULL;
    if (rule && rule->target >= b->count)
        return AGW_ENOTFOUND;
    if (rule) {
        *ret_target = rule->target;
        *ret_name = rule->name;
        return agw_json_edits_string(edits, doc, token, rule->name);
    }
    if (rc == 0)
        rc = name_up(b, doc, token, edits, ret_target, ret_name);
    if (rc != 0 || *ret_target == AGW_MCP_ANY || b->rule_count == 0)
        return rc;
    rule = agw_mcp_tool_rule_of(b, *ret_target, *ret_name);
    return rule && rule->rename.n == 0 ? 0 : AGW_ENOTFOUND;
}

static int owner_up(const struct agw_mcp_backend *b, const struct agw_mcp_method *method,
                    const struct agw_json_doc *doc, uint32_t params, struct agw_json_edits *edits,
                    uint32_t *ret_target, struct agw_str *ret_name)
{
    uint32_t token;
    if (method->way == AGW_MCP_WAY_REF)
        return ref_up(b, doc, params, edits, ret_target, ret_name);
    int rc = deciding(doc, params, agw_mcp_method_member(method), &token);
    if (rc != 0)
        return rc;
    if (method->way == AGW_MCP_WAY_NAME && method->cap == AGW_MCP_CAP_TOOLS)
        return tool_up(b, doc, token, edits, ret_target, ret_name);
    return method->way == AGW_MCP_WAY_NAME   ? name_up(b, doc, token, edits, ret_target, ret_name)
           : method->way == AGW_MCP_WAY_TASK ? task_up(b, doc, token, edits, ret_target, ret_name)
                                             : uri_up(b, doc, token, edits, ret_target, ret_name);
}

int agw_mcp_edit_up(const struct agw_mcp_backend *b, const struct agw_mcp_method *method,
                    const struct agw_json_doc *doc, const struct agw_jsonrpc *message,
                    struct agw_json_edits *edits, uint32_t *ret_target, struct agw_str *ret_name)
{
    int rc = owner_up(b, method, doc, message->params, edits, ret_target, ret_name);
    return rc == 0 && *ret_target != AGW_MCP_ANY ? agw_mcp_edit_related(b, *ret_target, doc, message, edits)
                                                 : rc;
}

static bool is_id(const struct agw_json_doc *doc, uint32_t token)
{
    return token != 0 &&
           (agw_json_type(doc, token) == AGW_JSON_STRING || agw_json_type(doc, token) == AGW_JSON_NUMBER);
}

int agw_mcp_edit_back(const struct agw_mcp_backend *b, const struct agw_json_doc *doc,
                      const struct agw_jsonrpc *message, struct agw_json_edits *edits, uint32_t *ret_target)
{
    uint32_t token = 0;
    struct agw_str json;
    if (message->kind == AGW_JSONRPC_RESULT || message->kind == AGW_JSONRPC_ERROR)
        token = message->id;
    else if (message->params != 0 && agw_str_eq(message->method, AGW_STR("notifications/progress")))
        token = agw_json_get(doc, message->params, AGW_STR("progressToken"));
    if (!is_id(doc, token))
        return AGW_ENOTFOUND;
    int rc = agw_jsonrpc_unmap_id(doc, token, b, edits->arena, ret_target, &json);
    return rc != 0 ? rc : agw_json_edits_token(edits, doc, token, json);
}

/* --- target to client --- */

static int edit_id(const struct agw_mcp_backend *b, uint32_t target, const struct agw_json_doc *doc,
                   uint32_t token, struct agw_json_edits *edits)
{
    if (!is_id(doc, token))
        return 0;
    struct agw_str id = agw_jsonrpc_map_id(doc, token, b->targets[target].name, edits->arena);
    if (!id.p)
        edits->error = AGW_ENOMEM;
    return agw_json_edits_token(edits, doc, token, id);
}

/* Inserts "<target><separator>" into a string that is JSON-safe as it stands. */
static int insert_prefix(const struct agw_mcp_backend *b, uint32_t target, char separator, uint32_t at,
                         struct agw_json_edits *edits)
{
    struct agw_str parts[] = {b->targets[target].name, agw_str(&separator, 1)};
    struct agw_str prefix = agw_arena_join(edits->arena, parts, 2);
    if (!prefix.p)
        edits->error = AGW_ENOMEM;
    return agw_json_edits_add(edits, at, 0, prefix);
}

static int edit_uri(const struct agw_mcp_backend *b, uint32_t target, const struct agw_json_doc *doc,
                    uint32_t token, struct agw_json_edits *edits)
{
    struct agw_str uri;
    if (token == 0 || agw_json_type(doc, token) != AGW_JSON_STRING)
        return 0;
    int rc = agw_json_unescape(doc, token, edits->arena, &uri);
    int at = rc == 0 ? agw_mcp_uri_insert_at(uri) : -1;
    if (rc != 0 || at < 0)
        return rc;
    if (!(doc->tokens[token].flags & AGW_JSON_ESCAPED))
        return insert_prefix(b, target, '+', doc->tokens[token].offset + 1 + (uint32_t)at, edits);
    struct agw_str parts[] = {agw_str(uri.p, (size_t)at), b->targets[target].name, AGW_STR("+"),
                              agw_str_from(uri, (size_t)at)};
    struct agw_str joined = agw_arena_join(edits->arena, parts, 4);
    return joined.p ? agw_json_edits_string(edits, doc, token, joined) : AGW_ENOMEM;
}

/* URIs in a tool's answer: links to resources and embedded ones, which the client may read or subscribe to.
 */
static int edit_content(const struct agw_mcp_backend *b, uint32_t target, const struct agw_json_doc *doc,
                        uint32_t result, struct agw_json_edits *edits)
{
    static const char *const embedded[] = {"resource", "uri"};
    uint32_t content = agw_json_get(doc, result, AGW_STR("content"));
    int rc = 0;
    if (content == 0)
        return 0;
    agw_json_each_item(doc, content, item)
    {
        uint32_t type = agw_json_get(doc, item, AGW_STR("type")), uri = 0;
        if (type != 0 && agw_json_is(doc, type, AGW_STR("resource_link")))
            uri = agw_json_get(doc, item, AGW_STR("uri"));
        else if (type != 0 && agw_json_is(doc, type, AGW_STR("resource")))
            uri = agw_json_path(doc, item, embedded, 2);
        if (uri != 0 && (rc = edit_uri(b, target, doc, uri, edits)) != 0)
            return rc;
    }
    return 0;
}

static int edit_contents(const struct agw_mcp_backend *b, uint32_t target, const struct agw_json_doc *doc,
                         uint32_t result, struct agw_json_edits *edits)
{
    uint32_t contents = agw_json_get(doc, result, AGW_STR("contents"));
    int rc = 0;
    if (contents == 0)
        return 0;
    agw_json_each_item(doc, contents, item)
    {
        uint32_t uri = agw_json_get(doc, item, AGW_STR("uri"));
        if (uri != 0 && (rc = edit_uri(b, target, doc, uri, edits)) != 0)
            return rc;
    }
    return 0;
}

/* Tasks: those that a result or a notification is about, and the one that any message belongs to. */
static int edit_task(const struct agw_mcp_backend *b, uint32_t target, const struct agw_json_doc *doc,
                     uint32_t id, struct agw_json_edits *edits)
{
    if (id == 0 || agw_json_type(doc, id) != AGW_JSON_STRING)
        return 0;
    return insert_prefix(b, target, '+', doc->tokens[id].offset + 1, edits);
}

static int edit_tasks(const struct agw_mcp_backend *b, uint32_t target, const struct agw_mcp_method *method,
                      const struct agw_json_doc *doc, const struct agw_jsonrpc *message,
                      struct agw_json_edits *edits)
{
    static const char *const created[] = {"task", "taskId"};
    uint32_t id = 0;
    if (!agw_mcp_uris_prefixed(b))
        return 0;
    if (message->kind == AGW_JSONRPC_RESULT && agw_str_eq(method->name, call_method))
        id = agw_json_path(doc, message->result, created, 2);
    else if (message->kind == AGW_JSONRPC_RESULT && !agw_str_eq(method->name, AGW_STR("tasks/result")))
        id = agw_json_get(doc, message->result, AGW_STR("taskId"));
    else if (message->kind == AGW_JSONRPC_NOTIFICATION && message->params &&
             agw_str_eq(message->method, AGW_STR("notifications/tasks/status")))
        id = agw_json_get(doc, message->params, AGW_STR("taskId"));
    int rc = edit_task(b, target, doc, id, edits);
    return rc == 0 ? edit_task(b, target, doc, related_of(doc, message), edits) : rc;
}

bool agw_mcp_result_edited(const struct agw_mcp_backend *b, const struct agw_mcp_method *method)
{
    return agw_mcp_uris_prefixed(b) &&
           (agw_str_eq(method->name, read_method) || agw_str_eq(method->name, call_method) ||
            method->way == AGW_MCP_WAY_TASK);
}

static int edit_request(const struct agw_mcp_backend *b, uint32_t target, const struct agw_json_doc *doc,
                        const struct agw_jsonrpc *message, struct agw_json_edits *edits)
{
    static const char *const token_path[] = {"_meta", "progressToken"};
    int rc = edit_id(b, target, doc, message->id, edits);
    if (rc != 0 || message->params == 0)
        return rc;
    return edit_id(b, target, doc, agw_json_path(doc, message->params, token_path, 2), edits);
}

static int edit_notification(const struct agw_mcp_backend *b, uint32_t target, const struct agw_json_doc *doc,
                             const struct agw_jsonrpc *message, struct agw_json_edits *edits)
{
    if (message->params == 0)
        return 0;
    if (b->count != 1 && agw_str_eq(message->method, AGW_STR("notifications/cancelled")))
        return edit_id(b, target, doc, agw_json_get(doc, message->params, AGW_STR("requestId")), edits);
    if (agw_mcp_uris_prefixed(b) && agw_str_eq(message->method, AGW_STR("notifications/resources/updated")))
        return edit_uri(b, target, doc, agw_json_get(doc, message->params, AGW_STR("uri")), edits);
    return 0;
}

static int edit_result(const struct agw_mcp_backend *b, uint32_t target, const struct agw_mcp_method *method,
                       const struct agw_json_doc *doc, const struct agw_jsonrpc *message,
                       struct agw_json_edits *edits)
{
    if (!method || !agw_mcp_result_edited(b, method))
        return 0;
    if (agw_str_eq(method->name, read_method))
        return edit_contents(b, target, doc, message->result, edits);
    int rc = edit_content(b, target, doc, message->result, edits);
    return rc == 0 ? edit_tasks(b, target, method, doc, message, edits) : rc;
}

int agw_mcp_edit_down(const struct agw_mcp_backend *b, uint32_t target, const struct agw_mcp_method *method,
                      const struct agw_json_doc *doc, const struct agw_jsonrpc *message,
                      struct agw_json_edits *edits)
{
    int rc = 0;
    switch (message->kind) {
    case AGW_JSONRPC_REQUEST:
        rc = b->count != 1 ? edit_request(b, target, doc, message, edits) : 0;
        return rc == 0 ? edit_tasks(b, target, method, doc, message, edits) : rc;
    case AGW_JSONRPC_NOTIFICATION:
        rc = edit_notification(b, target, doc, message, edits);
        return rc == 0 ? edit_tasks(b, target, method, doc, message, edits) : rc;
    case AGW_JSONRPC_RESULT:
        return edit_result(b, target, method, doc, message, edits);
    case AGW_JSONRPC_ERROR:
        return 0;
    }
    return 0;
}

/* A name that a rule gives stands alone, without the target's. */
static int edit_name(const struct agw_mcp_backend *b, uint32_t target, const struct agw_mcp_method *method,
                     const struct agw_json_doc *doc, uint32_t item, struct agw_json_edits *edits)
{
    uint32_t label = agw_json_get(doc, item, method->label);
    struct agw_str name;
    const struct agw_mcp_tool_rule *rule = NULL;
    int rc = 0;
    if (label == 0 || agw_json_type(doc, label) != AGW_JSON_STRING)
        return 0;
    if (b->rule_count && method->cap == AGW_MCP_CAP_TOOLS) {
        rc = agw_json_unescape(doc, label, edits->arena, &name);
        rule = rc == 0 ? agw_mcp_tool_rule_of(b, target, name) : NULL;
    }
    if (rc == 0 && rule)
        rc = agw_mcp_tool_edit(rule, doc, item, edits);
    if (rc != 0 || !agw_mcp_names_prefixed(b) || (rule && rule->rename.n))
        return rc;
    return insert_prefix(b, target, '_', doc->tokens[label].offset + 1, edits);
}

int agw_mcp_edit_item(const struct agw_mcp_backend *b, uint32_t target, const struct agw_mcp_method *method,
                      const struct agw_json_doc *doc, uint32_t item, struct agw_json_edits *edits)
{
    static const char *const nested[] = {"_meta", "ui", "resourceUri"}, *const flat[] = {"_meta",
                                                                                         "ui/resourceUri"};
    uint32_t label = agw_json_get(doc, item, method->label);
    int rc;
    if (method->cap == AGW_MCP_CAP_TASKS)
        return agw_mcp_uris_prefixed(b) ? edit_task(b, target, doc, label, edits) : 0;
    if (!agw_str_eq(method->label, AGW_STR("name")))
        return agw_mcp_uris_prefixed(b) ? edit_uri(b, target, doc, label, edits) : 0;
    rc = edit_name(b, target, method, doc, item, edits);
    if (rc == 0 && agw_mcp_uris_prefixed(b))
        rc = edit_uri(b, target, doc, agw_json_path(doc, item, nested, 3), edits);
    if (rc == 0 && agw_mcp_uris_prefixed(b))
        rc = edit_uri(b, target, doc, agw_json_path(doc, item, flat, 2), edits);
    return rc;
}

bool agw_mcp_may_repeat(struct agw_str method)
{
    static const struct agw_str known[] = {
        AGW_STR("initialize"),       AGW_STR("ping"),
        AGW_STR("prompts/get"),      AGW_STR("completion/complete"),
        AGW_STR("resources/read"),   AGW_STR("resources/subscribe"),
        AGW_STR("server/discover"),  AGW_STR("resources/unsubscribe"),
        AGW_STR("logging/setLevel"), AGW_STR("subscriptions/listen"),
        AGW_STR("tasks/get"),        AGW_STR("tasks/result"),
    };
    if (agw_str_ends(method, AGW_STR("/list")) || agw_str_starts(method, AGW_STR("notifications/")))
        return true;
    for (size_t i = 0; i < AGW_ARRAY_LEN(known); i++) {
        if (agw_str_eq(method, known[i]))
            return true;
    }
    return false;
}
