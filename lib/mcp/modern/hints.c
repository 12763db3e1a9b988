#include "mcp/modern/hints.h"

#include "mcp/modern/envelope.h"

void agw_mcp_hints_init(struct agw_mcp_hints *h)
{
    *h = (struct agw_mcp_hints){.ttl_ms = -1};
}

void agw_mcp_hints_incomplete(struct agw_mcp_hints *h)
{
    h->ttl_ms = 0;
}

struct agw_mcp_hint agw_mcp_hint_read(const struct agw_json_doc *doc, uint32_t result)
{
    struct agw_mcp_hint hint = {0, true};
    uint32_t ttl = agw_json_get(doc, result, AGW_STR("ttlMs"));
    uint32_t scope = agw_json_get(doc, result, AGW_STR("cacheScope"));
    uint32_t type = agw_json_get(doc, result, AGW_STR("resultType"));
    if (type != 0 &&
        (agw_json_type(doc, type) != AGW_JSON_STRING || !agw_json_is(doc, type, AGW_STR("complete"))))
        return hint;
    if (ttl == 0 || agw_json_to_i64(doc, ttl, &hint.ttl_ms) != 0 || hint.ttl_ms < 0)
        hint.ttl_ms = 0;
    hint.is_private = scope == 0 || agw_json_type(doc, scope) != AGW_JSON_STRING ||
                      !agw_json_is(doc, scope, AGW_STR("public"));
    return hint;
}

void agw_mcp_hints_add(struct agw_mcp_hints *h, const struct agw_json_doc *doc, uint32_t result,
                       uint64_t age_ms)
{
    struct agw_mcp_hint hint = agw_mcp_hint_read(doc, result);
    int64_t left = age_ms < (uint64_t)hint.ttl_ms ? hint.ttl_ms - (int64_t)age_ms : 0;
    if (h->ttl_ms < 0 || left < h->ttl_ms)
        h->ttl_ms = left;
    h->is_private |= hint.is_private;
}

void agw_mcp_hints_write(const struct agw_mcp_hints *h, struct agw_json_writer *w)
{
    agw_json_put_string(w, "resultType", AGW_STR("complete"));
    agw_json_put_int(w, "ttlMs", h->ttl_ms < 0 ? 0 : h->ttl_ms);
    agw_json_put_string(w, "cacheScope",
                        h->is_private || h->ttl_ms < 0 ? AGW_STR("private") : AGW_STR("public"));
    agw_json_key(w, AGW_STR("_meta"));
    agw_json_begin_object(w);
    agw_json_key(w, AGW_STR(AGW_MCP_META_SERVER));
    agw_json_begin_object(w);
    agw_json_put_string(w, "name", AGW_STR("agentgateway"));
    agw_json_put_string(w, "version", agw_str_c(AGW_VERSION));
    agw_json_end_object(w);
    agw_json_end_object(w);
}
