#include "mcp/message/found.h"

#include "mcp/message/names.h"
#include "mcp/virtual/search.h"

static uint32_t count_items(const struct agw_mcp_part *part, const struct agw_mcp_method *list)
{
    uint32_t items = agw_json_get(part->doc, part->result, list->list), n = 0;
    if (items == 0)
        return 0;
    agw_json_each_item(part->doc, items, item) n += !(part->doc->tokens[item].flags & AGW_MCP_HIDDEN);
    return n;
}

static int read_items(const struct agw_mcp_backend *b, const struct agw_mcp_method *list,
                      const struct agw_mcp_part *parts, uint32_t p, struct agw_arena *arena,
                      struct agw_mcp_candidate *v, uint32_t most, uint32_t *n)
{
    const struct agw_json_doc *doc = parts[p].doc;
    uint32_t items = agw_json_get(doc, parts[p].result, list->list);
    if (items == 0)
        return 0;
    agw_json_each_item(doc, items, item)
    {
        if (doc->tokens[item].flags & AGW_MCP_HIDDEN || *n == most)
            continue;
        int rc =
            agw_mcp_candidate_read(b, parts[p].target, agw_mcp_names_prefixed(b), doc, item, arena, &v[*n]);
        if (rc != 0)
            return rc;
        v[(*n)++].part = p;
    }
    return 0;
}

/* Bare names that several targets have are nobody's, as in lists. */
static bool is_twice(const struct agw_mcp_backend *b, const struct agw_mcp_part *parts,
                     const struct agw_mcp_candidate *v, uint32_t n, uint32_t at)
{
    if (b->count == 1 || agw_mcp_names_prefixed(b) || agw_mcp_tool_rule_named(b, v[at].name))
        return false;
    for (uint32_t i = 0; i < n; i++)
        if (parts[v[i].part].target != parts[v[at].part].target && agw_str_eq(v[i].name, v[at].name))
            return true;
    return false;
}

static int write_tool(const struct agw_mcp_backend *b, const struct agw_mcp_method *list, uint32_t target,
                      const struct agw_mcp_candidate *c, struct agw_arena *arena, struct agw_json_writer *w)
{
    const struct agw_json_token *t = &c->doc->tokens[c->item];
    struct agw_json_edits edits;
    agw_json_edits_init(&edits, arena);
    int rc = agw_mcp_edit_item(b, target, list, c->doc, c->item, &edits);
    return rc != 0 ? rc : agw_json_edits_write(&edits, c->doc->text, t->offset, t->offset + t->length, w);
}

static int write_tools(const struct agw_mcp_backend *b, const struct agw_mcp_part *parts, uint32_t count,
                       struct agw_str query, uint32_t limit, struct agw_arena *arena,
                       struct agw_json_writer *w)
{
    const struct agw_mcp_method *list = agw_mcp_method_find(AGW_STR("tools/list"));
    uint32_t most = 0, n = 0;
    int rc = 0;
    for (uint32_t p = 0; p < count; p++)
        most += count_items(&parts[p], list);
    most = most < AGW_MCP_SEARCHED_MAX ? most : AGW_MCP_SEARCHED_MAX;
    struct agw_mcp_candidate *v = agw_arena_alloc(arena, (most + 1) * sizeof *v);
    if (!v)
        return AGW_ENOMEM;
    for (uint32_t p = 0; rc == 0 && p < count; p++)
        rc = read_items(b, list, parts, p, arena, v, most, &n);
    uint32_t hits = rc == 0 ? agw_mcp_rank(v, n, query) : 0;
    agw_json_begin_array(w);
    for (uint32_t i = 0; rc == 0 && i < hits && limit > 0; i++) {
        if (is_twice(b, parts, v, n, i))
            continue;
        rc = write_tool(b, list, parts[v[i].part].target, &v[i], arena, w);
        limit--;
    }
    agw_json_end_array(w);
    return rc != 0 ? rc : w->error;
}

static void write_result(struct agw_json_writer *w, struct agw_str id, struct agw_str text,
                         struct agw_str tools, bool modern)
{
    agw_json_begin_object(w);
    agw_json_put_string(w, "jsonrpc", AGW_STR("2.0"));
    agw_json_put_raw(w, "id", id);
    agw_json_key(w, AGW_STR("result"));
    agw_json_begin_object(w);
    agw_json_key(w, AGW_STR("content"));
    agw_json_begin_array(w);
    agw_json_begin_object(w);
    agw_json_put_string(w, "type", AGW_STR("text"));
    agw_json_put_string(w, "text", text);
    agw_json_end_object(w);
    agw_json_end_array(w);
    if (tools.n) {
        agw_json_key(w, AGW_STR("structuredContent"));
        agw_json_begin_object(w);
        agw_json_put_raw(w, "tools", tools);
        agw_json_end_object(w);
    } else {
        agw_json_put_bool(w, "isError", true);
    }
    if (modern)
        agw_json_put_string(w, "resultType", AGW_STR("complete"));
    agw_json_end_object(w);
    agw_json_end_object(w);
}

int agw_mcp_found_write(const struct agw_mcp_backend *b, const struct agw_mcp_part *parts, uint32_t count,
                        struct agw_str query, uint32_t limit, struct agw_str id, bool modern,
                        struct agw_arena *arena, struct agw_json_writer *w)
{
    struct agw_json_writer tools;
    agw_json_writer_init(&tools);
    int rc = write_tools(b, parts, count, query, limit, arena, &tools);
    if (rc == 0) {
        struct agw_str text = agw_json_writer_text(&tools);
        write_result(w, id, text.n > 2 ? text : AGW_STR("No tool fits. Try other words."), text, modern);
    }
    agw_json_writer_free(&tools);
    return rc != 0 ? rc : w->error;
}

int agw_mcp_found_refuse(struct agw_str why, struct agw_str id, bool modern, struct agw_json_writer *w)
{
    write_result(w, id, why, agw_str(NULL, 0), modern);
    return w->error;
}
