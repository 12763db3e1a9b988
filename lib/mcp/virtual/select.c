#include "mcp/virtual/select.h"

#include "json/pointer.h"
#include "mcp/virtual/search.h"

bool agw_mcp_pattern_matches(struct agw_str pattern, struct agw_str text)
{
    size_t p = 0, t = 0, star = SIZE_MAX, from = 0;
    while (t < text.n) {
        if (p < pattern.n && pattern.p[p] == '*') {
            star = p++;
            from = t;
        } else if (p < pattern.n && pattern.p[p] == text.p[t]) {
            p++;
            t++;
        } else if (star != SIZE_MAX) { /* the last star takes one byte more */
            p = star + 1;
            t = ++from;
        } else {
            return false;
        }
    }
    while (p < pattern.n && pattern.p[p] == '*')
        p++;
    return p == pattern.n;
}

const struct agw_mcp_tool_rule *agw_mcp_tool_rule_of(const struct agw_mcp_backend *b, uint32_t target,
                                                     struct agw_str name)
{
    const struct agw_mcp_tool_rule *found = NULL;
    for (uint32_t i = 0; i < b->rule_count; i++) {
        const struct agw_mcp_tool_rule *r = &b->rules[i];
        if (r->target != target)
            continue;
        if (r->pattern.n == 0 && agw_str_eq(r->name, name))
            return r;
        if (!found && r->pattern.n && agw_mcp_pattern_matches(r->pattern, name))
            found = r;
    }
    return found;
}

const struct agw_mcp_tool_rule *agw_mcp_tool_rule_named(const struct agw_mcp_backend *b, struct agw_str shown)
{
    for (uint32_t i = 0; i < b->rule_count; i++)
        if (b->rules[i].rename.n && agw_str_eq(b->rules[i].rename, shown))
            return &b->rules[i];
    return NULL;
}

/* |name| of |target| is |shown| to clients, if no rule renames it. */
static bool is_shown_as(const struct agw_mcp_backend *b, uint32_t target, struct agw_str name, bool prefixed,
                        struct agw_str shown)
{
    size_t front = prefixed ? b->targets[target].name.n + 1 : 0;
    if (shown.n != front + name.n || !agw_str_ends(shown, name))
        return false;
    return front == 0 || (agw_str_starts(shown, b->targets[target].name) && shown.p[front - 1] == '_');
}

/* A rule gives another tool the name that this one has, or it is a tool of the gateway's own. */
static bool is_taken(const struct agw_mcp_backend *b, uint32_t target, struct agw_str name, bool prefixed)
{
    for (uint32_t i = 0; i < b->rule_count; i++)
        if (b->rules[i].rename.n && is_shown_as(b, target, name, prefixed, b->rules[i].rename))
            return true;
    return b->search && (is_shown_as(b, target, name, prefixed, AGW_STR(AGW_MCP_SEARCH_TOOL)) ||
                         is_shown_as(b, target, name, prefixed, AGW_STR(AGW_MCP_CALL_TOOL)));
}

bool agw_mcp_tool_shown(const struct agw_mcp_backend *b, uint32_t target, struct agw_str name, bool prefixed)
{
    const struct agw_mcp_tool_rule *r = agw_mcp_tool_rule_of(b, target, name);
    if (b->rule_count && !r)
        return false;
    return (r && r->rename.n) || !is_taken(b, target, name, prefixed);
}

bool agw_mcp_tool_pinned(const struct agw_mcp_backend *b, uint32_t target, struct agw_str name, bool prefixed)
{
    const struct agw_mcp_tool_rule *r = agw_mcp_tool_rule_of(b, target, name);
    for (uint32_t i = 0; i < b->search->pinned_count; i++)
        if (r && r->rename.n ? agw_str_eq(r->rename, b->search->pinned[i])
                             : is_shown_as(b, target, name, prefixed, b->search->pinned[i]))
            return true;
    return false;
}

/* Replaces the member, or puts it first. One that is there twice is replaced twice: readers differ about
 * which of them counts. */
static int edit_member(const struct agw_json_doc *doc, uint32_t item, struct agw_str key,
                       struct agw_str value, struct agw_json_edits *edits)
{
    bool found = false;
    if (value.n == 0)
        return 0;
    agw_json_each_member(doc, item, k)
    {
        if (!agw_json_is(doc, k, key))
            continue;
        found = true;
        if (agw_json_edits_string(edits, doc, k + 1, value) != 0)
            return edits->error;
    }
    if (found)
        return 0;
    struct agw_str text = agw_json_escape(value, edits->arena);
    struct agw_str parts[] = {AGW_STR("\""), key, AGW_STR("\":\""), text, AGW_STR("\",")};
    struct agw_str insert = text.p ? agw_arena_join(edits->arena, parts, 5) : text;
    if (!insert.p)
        return edits->error = AGW_ENOMEM;
    return agw_json_edits_add(edits, doc->tokens[item].offset + 1, 0, insert);
}

int agw_mcp_tool_edit(const struct agw_mcp_tool_rule *rule, const struct agw_json_doc *doc, uint32_t item,
                      struct agw_json_edits *edits)
{
    int rc = edit_member(doc, item, AGW_STR("name"), rule->rename, edits);
    if (rc == 0)
        rc = edit_member(doc, item, AGW_STR("title"), rule->title, edits);
    return rc == 0 ? edit_member(doc, item, AGW_STR("description"), rule->description, edits) : rc;
}
