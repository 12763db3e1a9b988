#include "mcp/bridge/announce.h"

#include "json/pointer.h"
#include "mcp/modern/envelope.h"

static const struct {
    struct agw_str filter, method;
    const char *capability, *promise;
} kinds[] = {
    {{"toolsListChanged", 16}, {"notifications/tools/list_changed", 32}, "tools", "listChanged"},
    {{"promptsListChanged", 18}, {"notifications/prompts/list_changed", 34}, "prompts", "listChanged"},
    {{"resourcesListChanged", 20}, {"notifications/resources/list_changed", 36}, "resources", "listChanged"},
    {{"", 0}, {"notifications/resources/updated", 31}, "resources", "subscribe"},
};
#define KINDS 4

uint8_t agw_mcp_hears_of(struct agw_str method)
{
    for (unsigned k = 0; k < KINDS; k++)
        if (agw_str_eq(method, kinds[k].method))
            return (uint8_t)(1u << k);
    return 0;
}

static bool is_true(const struct agw_json_doc *doc, uint32_t token)
{
    return token != 0 && agw_json_type(doc, token) == AGW_JSON_TRUE;
}

uint8_t agw_mcp_hears_filter(const struct agw_json_doc *doc, uint32_t filter)
{
    uint8_t found = 0;
    for (unsigned k = 0; filter != 0 && k < KINDS - 1; k++)
        if (is_true(doc, agw_json_get(doc, filter, kinds[k].filter)))
            found |= (uint8_t)(1u << k);
    return found;
}

uint8_t agw_mcp_hears_promised(const struct agw_json_doc *doc, uint32_t capabilities)
{
    uint8_t found = 0;
    for (unsigned k = 0; capabilities != 0 && k < KINDS; k++) {
        const char *const path[] = {kinds[k].capability, kinds[k].promise};
        if (is_true(doc, agw_json_path(doc, capabilities, path, 2)))
            found |= (uint8_t)(1u << k);
    }
    return found;
}

bool agw_mcp_hears_about(uint8_t lists, const struct agw_mcp_uri *uris, uint32_t count, uint8_t bit,
                         struct agw_str uri)
{
    if (bit != AGW_MCP_HEARS_UPDATES)
        return lists & bit;
    for (uint32_t i = 0; i < count; i++)
        if (uris[i].accepted && agw_str_starts(uri, uris[i].text))
            return true;
    return false;
}

/* --- messages --- */

static void begin(struct agw_json_writer *w, struct agw_str method)
{
    agw_json_begin_object(w);
    agw_json_put_string(w, "jsonrpc", AGW_STR("2.0"));
    agw_json_put_string(w, "method", method);
}

static void put_subscription(struct agw_json_writer *w, struct agw_str id)
{
    agw_json_key(w, AGW_STR("_meta"));
    agw_json_begin_object(w);
    agw_json_put_raw(w, AGW_MCP_META_SUBSCRIPTION, id);
    agw_json_end_object(w);
}

static void put_filter(struct agw_json_writer *w, uint8_t lists, const struct agw_mcp_uri *uris,
                       uint32_t count, bool all)
{
    bool any = false;
    agw_json_key(w, AGW_STR("notifications"));
    agw_json_begin_object(w);
    for (unsigned k = 0; k < KINDS - 1; k++) {
        if (!(lists & 1u << k))
            continue;
        agw_json_key(w, kinds[k].filter);
        agw_json_bool(w, true);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!all && !uris[i].accepted)
            continue;
        if (!any) {
            agw_json_key(w, AGW_STR("resourceSubscriptions"));
            agw_json_begin_array(w);
        }
        any = true;
        agw_json_string(w, uris[i].text);
    }
    if (any)
        agw_json_end_array(w);
    agw_json_end_object(w);
}

int agw_mcp_write_announcement(uint8_t bit, struct agw_str id, struct agw_str uri, struct agw_json_writer *w)
{
    unsigned k = 0;
    while (k < KINDS - 1 && !(bit & 1u << k))
        k++;
    begin(w, kinds[k].method);
    if (id.n || uri.n) {
        agw_json_key(w, AGW_STR("params"));
        agw_json_begin_object(w);
        if (id.n)
            put_subscription(w, id);
        if (uri.n)
            agw_json_put_raw(w, "uri", uri);
        agw_json_end_object(w);
    }
    agw_json_end_object(w);
    return w->error;
}

int agw_mcp_write_acknowledged(struct agw_str id, uint8_t lists, const struct agw_mcp_uri *uris,
                               uint32_t count, struct agw_json_writer *w)
{
    begin(w, AGW_STR("notifications/subscriptions/acknowledged"));
    agw_json_key(w, AGW_STR("params"));
    agw_json_begin_object(w);
    put_subscription(w, id);
    put_filter(w, lists, uris, count, false);
    agw_json_end_object(w);
    agw_json_end_object(w);
    return w->error;
}

int agw_mcp_write_listened(struct agw_str id, struct agw_json_writer *w)
{
    agw_json_begin_object(w);
    agw_json_put_string(w, "jsonrpc", AGW_STR("2.0"));
    agw_json_put_raw(w, "id", id);
    agw_json_key(w, AGW_STR("result"));
    agw_json_begin_object(w);
    agw_json_put_string(w, "resultType", AGW_STR("complete"));
    put_subscription(w, id);
    agw_json_end_object(w);
    agw_json_end_object(w);
    return w->error;
}

int agw_mcp_write_listen(struct agw_str client, uint8_t lists, const struct agw_mcp_uri *uris, uint32_t count,
                         struct agw_json_writer *w)
{
    begin(w, AGW_STR("subscriptions/listen"));
    agw_json_put_int(w, "id", 0);
    agw_json_key(w, AGW_STR("params"));
    agw_json_begin_object(w);
    agw_json_key(w, AGW_STR("_meta"));
    agw_json_raw(w, AGW_STR("{\"" AGW_MCP_META_VERSION "\":\"2026-07-28\","));
    agw_json_more(w, client.n ? client : AGW_STR("\"" AGW_MCP_META_CAPABILITIES "\":{}"));
    agw_json_more(w, AGW_STR("}"));
    put_filter(w, lists, uris, count, true);
    agw_json_end_object(w);
    agw_json_end_object(w);
    return w->error;
}
