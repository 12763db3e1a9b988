#include "mcp/guard/access.h"

#include "json/pointer.h"
#include "mcp/message/merge.h"
#include "mcp/message/names.h"
#include "mcp/virtual/select.h"

bool agw_mcp_allowed(const struct agw_mcp_rights *r, const struct agw_mcp_access *access)
{
    bool asked = false, allowed = false;
    for (uint32_t s = 0; s < r->count; s++) {
        for (uint32_t i = 0; i < r->sets[s]->count; i++) {
            const struct agw_access_rule *rule = &r->sets[s]->v[i];
            if (rule->effect == AGW_RULE_ALLOW && allowed)
                continue;
            enum agw_rule_answer answer = rule->matches(rule->conf, &r->caller, access);
            if (answer == AGW_RULE_FAILED || (rule->effect == AGW_RULE_DENY && answer == AGW_RULE_YES) ||
                (rule->effect == AGW_RULE_REQUIRE && answer == AGW_RULE_NO))
                return false;
            asked |= rule->effect == AGW_RULE_ALLOW;
            allowed |= rule->effect == AGW_RULE_ALLOW && answer == AGW_RULE_YES;
        }
    }
    return allowed || !asked;
}

static enum agw_mcp_object object_of(const struct agw_mcp_method *method)
{
    return method->cap == AGW_MCP_CAP_TOOLS     ? AGW_MCP_TOOL
           : method->cap == AGW_MCP_CAP_PROMPTS ? AGW_MCP_PROMPT
                                                : AGW_MCP_RESOURCE;
}

/* As the router reads it: what is no resource is a prompt. */
static enum agw_mcp_object object_of_ref(const struct agw_json_doc *doc, uint32_t params)
{
    static const char *const path[] = {"ref", "type"};
    uint32_t type = params ? agw_json_path(doc, params, path, 2) : 0;
    return type != 0 && agw_json_is(doc, type, AGW_STR("ref/resource")) ? AGW_MCP_RESOURCE : AGW_MCP_PROMPT;
}

bool agw_mcp_may_ask(const struct agw_mcp_rights *r, const struct agw_mcp_method *method,
                     const struct agw_json_doc *doc, uint32_t params, struct agw_str target,
                     struct agw_str name)
{
    if (r->count == 0 || method->way == AGW_MCP_WAY_TASK) /* who has its id was let to make it */
        return true;
    const struct agw_mcp_access access = {
        .object = method->way == AGW_MCP_WAY_REF ? object_of_ref(doc, params) : object_of(method),
        .name = name,
        .target = target,
        .method = method->name,
    };
    return agw_mcp_allowed(r, &access);
}

int agw_mcp_hide_items(const struct agw_mcp_rights *r, const struct agw_mcp_method *list,
                       struct agw_json_doc *doc, uint32_t result, struct agw_str target,
                       struct agw_arena *arena)
{
    bool ruled = r->count && list->cap != AGW_MCP_CAP_TASKS;
    uint32_t items = ruled ? agw_json_get(doc, result, list->list) : 0;
    if (items == 0)
        return 0;
    agw_json_each_item(doc, items, item)
    {
        struct agw_mcp_access access = {.object = object_of(list), .target = target, .method = list->name};
        uint32_t label = agw_json_get(doc, item, list->label);
        bool named = label != 0 && agw_json_type(doc, label) == AGW_JSON_STRING;
        if (named && agw_json_unescape(doc, label, arena, &access.name) != 0)
            return AGW_ENOMEM;
        /* Tokens of a list that is kept were marked for somebody else. */
        doc->tokens[item].flags &= (uint8_t)~AGW_MCP_HIDDEN;
        if (!named || !agw_mcp_allowed(r, &access))
            doc->tokens[item].flags |= AGW_MCP_HIDDEN;
    }
    return 0;
}

static bool is_selected(const struct agw_mcp_backend *b, uint32_t target, struct agw_str name,
                        enum agw_mcp_scope scope)
{
    bool prefixed = agw_mcp_names_prefixed(b), bare = scope == AGW_MCP_SCOPE_BARE,
         searched = b->search && scope == AGW_MCP_SCOPE_LISTED;
    const struct agw_mcp_tool_rule *rule = bare ? agw_mcp_tool_rule_of(b, target, name) : NULL;
    return agw_mcp_tool_shown(b, target, name, prefixed) && !(rule && rule->rename.n) &&
           (!searched || agw_mcp_tool_pinned(b, target, name, prefixed));
}

int agw_mcp_hide_unselected(const struct agw_mcp_backend *b, uint32_t target,
                            const struct agw_mcp_method *list, struct agw_json_doc *doc, uint32_t result,
                            enum agw_mcp_scope scope, bool marked, struct agw_arena *arena)
{
    bool ruled = (b->rule_count || b->search) && list->cap == AGW_MCP_CAP_TOOLS;
    uint32_t items = ruled ? agw_json_get(doc, result, list->list) : 0;
    if (items == 0)
        return 0;
    agw_json_each_item(doc, items, item)
    {
        struct agw_str name = {0};
        uint32_t label = agw_json_get(doc, item, list->label);
        bool named = label != 0 && agw_json_type(doc, label) == AGW_JSON_STRING;
        if (named && agw_json_unescape(doc, label, arena, &name) != 0)
            return AGW_ENOMEM;
        if (!marked)
            doc->tokens[item].flags &= (uint8_t)~AGW_MCP_HIDDEN;
        if (!named || !is_selected(b, target, name, scope))
            doc->tokens[item].flags |= AGW_MCP_HIDDEN;
    }
    return 0;
}
