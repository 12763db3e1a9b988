#include "a2a/ids.h"

#include "base/check.h"
#include "http/uri.h"
#include "json/pointer.h"

struct walk {
    const struct agw_siv *key;
    const struct agw_json_doc *doc;
    struct agw_json_edits *edits;
    struct agw_a2a_claim *claim;       /* up */
    const struct agw_a2a_owner *owner; /* down */
};

static void claim(struct agw_a2a_claim *c, const struct agw_a2a_owner *owner, int by)
{
    if (by <= (int)c->by)
        return;
    c->owner = *owner;
    c->by = by;
}

/* 1: *ret_mapped is what |id| becomes. 0: it is none of ours and stays. */
static int map_text(struct walk *w, struct agw_str id, int by, struct agw_str *ret_mapped)
{
    struct agw_a2a_owner owner;
    if (w->owner) {
        *ret_mapped = agw_a2a_id_seal(w->key, w->owner, id, w->edits->arena);
        return ret_mapped->p ? 1 : AGW_ENOMEM;
    }
    int rc = agw_a2a_id_open(w->key, id, w->edits->arena, &owner, ret_mapped);
    if (rc)
        return rc == AGW_ENOTFOUND ? 0 : rc;
    claim(w->claim, &owner, by);
    return 1;
}

/* The string at |token|; empty: it is none, and the agent will say what is wrong. */
static int read_string(struct walk *w, uint32_t token, struct agw_str *ret_text)
{
    *ret_text = AGW_STR("");
    if (agw_json_type(w->doc, token) != AGW_JSON_STRING)
        return 0;
    int rc = agw_json_unescape(w->doc, token, w->edits->arena, ret_text);
    return rc == AGW_EINVAL ? 0 : rc;
}

/* One id at |token|. */
static int map_id(struct walk *w, uint32_t token, int by)
{
    struct agw_str text, mapped;
    int rc = read_string(w, token, &text);
    if (rc || text.n == 0)
        return rc;
    rc = map_text(w, text, by, &mapped);
    return rc > 0 ? agw_json_edits_string(w->edits, w->doc, token, mapped) : rc;
}

/* "tasks/ID", "tasks/ID/pushNotificationConfigs/C": 0.3 over HTTP+JSON names what it has so. */
static int map_name(struct walk *w, uint32_t token)
{
    struct agw_str text, mapped, prefix = AGW_STR("tasks/");
    int rc = read_string(w, token, &text);
    if (rc || text.n <= prefix.n || !agw_str_starts(text, prefix))
        return rc;
    struct agw_str id = agw_str_from(text, prefix.n), rest;
    ptrdiff_t slash = agw_str_find(id, '/');
    rest = slash < 0 ? AGW_STR("") : agw_str_from(id, (size_t)slash);
    id.n -= rest.n;
    if (id.n == 0)
        return 0;
    rc = map_text(w, id, AGW_A2A_CLAIM_TASK, &mapped);
    if (rc <= 0)
        return rc;
    struct agw_str parts[] = {prefix, mapped, rest};
    struct agw_str name = agw_arena_join(w->edits->arena, parts, AGW_ARRAY_LEN(parts));
    return name.p ? agw_json_edits_string(w->edits, w->doc, token, name) : AGW_ENOMEM;
}

/* What people and agents wrote: nothing in there is an id of the protocol. */
static bool is_content(const struct agw_json_doc *doc, uint32_t name)
{
    static const struct agw_str names[] = {
        {"parts", 5}, {"artifact", 8}, {"artifacts", 9},   {"metadata", 8},
        {"data", 4},  {"error", 5},    {"extensions", 10}, {"content", 7},
    };
    for (size_t i = 0; i < AGW_ARRAY_LEN(names); i++)
        if (agw_json_is(doc, name, names[i]))
            return true;
    return false;
}

/* A task is what has an id and a status. */
static bool is_task(const struct agw_json_doc *doc, uint32_t object)
{
    uint32_t status = agw_json_get(doc, object, AGW_STR("status"));
    return status != 0 && agw_json_type(doc, status) == AGW_JSON_OBJECT;
}

static int map_value(struct walk *w, uint32_t value);

static int map_all(struct walk *w, uint32_t list, int by)
{
    int rc = 0;
    agw_json_each_item(w->doc, list, item)
    {
        if (rc == 0)
            rc = map_id(w, item, by);
    }
    return rc;
}

static int map_member(struct walk *w, uint32_t name, bool task)
{
    uint32_t value = name + 1;
    if (agw_json_is(w->doc, name, AGW_STR("taskId")) || (task && agw_json_is(w->doc, name, AGW_STR("id"))))
        return map_id(w, value, AGW_A2A_CLAIM_TASK);
    if (agw_json_is(w->doc, name, AGW_STR("contextId")))
        return map_id(w, value, AGW_A2A_CLAIM_CONTEXT);
    if (agw_json_is(w->doc, name, AGW_STR("referenceTaskIds")))
        return map_all(w, value, AGW_A2A_CLAIM_REFERENCE);
    return is_content(w->doc, name) ? 0 : map_value(w, value);
}

/* The member is what a push configuration is called by. */
static bool is_path(const struct agw_json_doc *doc, uint32_t object, uint32_t name)
{
    return (agw_json_is(doc, name, AGW_STR("name")) || agw_json_is(doc, name, AGW_STR("parent"))) &&
           (agw_json_get(doc, object, AGW_STR("pushNotificationConfig")) ||
            agw_json_get(doc, object, AGW_STR("config")));
}

static int map_object(struct walk *w, uint32_t object, bool task)
{
    int rc = 0;
    agw_json_each_member(w->doc, object, name)
    {
        if (rc == 0)
            rc = is_path(w->doc, object, name) ? map_name(w, name + 1) : map_member(w, name, task);
    }
    return rc;
}

/* As deep as the parser lets a document be (AGW_JSON_DEPTH). */
static int map_value(struct walk *w, uint32_t value)
{
    int rc = 0;
    if (agw_json_type(w->doc, value) == AGW_JSON_OBJECT)
        return map_object(w, value, is_task(w->doc, value));
    agw_json_each_item(w->doc, value, item)
    {
        if (rc == 0)
            rc = map_value(w, item);
    }
    return rc;
}

/* Calls whose "id" names a task; in 1.0 that of a push configuration is its own. */
static bool id_is_tasks(const struct agw_a2a_call *call)
{
    switch (call->method) {
    case AGW_A2A_GET_TASK:
    case AGW_A2A_CANCEL_TASK:
    case AGW_A2A_SUBSCRIBE_TO_TASK:
        return true;
    case AGW_A2A_GET_PUSH:
    case AGW_A2A_LIST_PUSH:
    case AGW_A2A_DELETE_PUSH:
        return call->old;
    default:
        return false;
    }
}

int agw_a2a_ids_up(const struct agw_siv *key, const struct agw_a2a_call *call, const struct agw_json_doc *doc,
                   struct agw_json_edits *edits, struct agw_a2a_claim *ret_claim)
{
    struct walk w = {.key = key, .doc = doc, .edits = edits, .claim = ret_claim};
    bool jsonrpc = call->binding == AGW_A2A_JSONRPC;
    uint32_t at = jsonrpc ? agw_json_get(doc, 0, AGW_STR("params")) : 0;
    if ((jsonrpc && at == 0) || agw_json_type(doc, at) != AGW_JSON_OBJECT)
        return 0;
    return map_object(&w, at, jsonrpc && id_is_tasks(call));
}

/* The id of a context in the query of a call that lists tasks, as it stands there; empty when absent. */
static struct agw_str context_in(struct agw_str path)
{
    struct agw_str before, query, part;
    bool has_query;
    agw_path_split(path, &before, &query, &has_query);
    while (agw_str_split(&query, '&', &part))
        if (agw_str_starts(part, AGW_STR("contextId=")))
            return agw_str_from(part, 10);
    return AGW_STR("");
}

int agw_a2a_path_up(const struct agw_siv *key, const struct agw_a2a_call *call, struct agw_str path,
                    struct agw_arena *arena, struct agw_a2a_claim *ret_claim, struct agw_str *ret_path)
{
    struct agw_a2a_owner owner;
    struct agw_str id, at = call->task;
    *ret_path = path;
    if (call->binding == AGW_A2A_REST && call->method == AGW_A2A_LIST_TASKS)
        at = context_in(path);
    if (at.n == 0)
        return 0;
    struct agw_str text = agw_percent_decode(at, false, arena);
    int rc = text.p ? agw_a2a_id_open(key, text, arena, &owner, &id) : AGW_ENOTFOUND;
    if (rc)
        return rc == AGW_ENOTFOUND ? 0 : rc;
    claim(ret_claim, &owner, call->task.n > 0 ? AGW_A2A_CLAIM_TASK : AGW_A2A_CLAIM_CONTEXT);
    size_t before = (size_t)(at.p - path.p);
    struct agw_str parts[] = {agw_str(path.p, before), agw_percent_encode(id, arena),
                              agw_str_from(path, before + at.n)};
    *ret_path = parts[1].p ? agw_arena_join(arena, parts, AGW_ARRAY_LEN(parts)) : parts[1];
    return ret_path->p ? 0 : AGW_ENOMEM;
}

int agw_a2a_ids_down(const struct agw_siv *key, const struct agw_a2a_owner *owner, bool jsonrpc,
                     const struct agw_json_doc *doc, struct agw_json_edits *edits)
{
    struct walk w = {.key = key, .doc = doc, .edits = edits, .owner = owner};
    uint32_t at = jsonrpc ? agw_json_get(doc, 0, AGW_STR("result")) : 0;
    return jsonrpc && at == 0 ? 0 : map_value(&w, at);
}
