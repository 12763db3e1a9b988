/* Tool search over any list and query: no more is found than there is, the same each time and best first, and
 * a call of call_tool becomes JSON or is refused. Input: the query, a line, then the list, or params. */
#include "base/check.h"
#include "json/pointer.h"
#include "mcp/virtual/search.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TOOLS 32

static const struct agw_mcp_tool_rule rules[] = {{.name = {"a", 1}, .rename = {"b", 1}, .title = {"c", 1}},
                                                 {.pattern = {"*e*", 3}}};
static const struct agw_mcp_tool_search search = {.max_results = 5};
static struct agw_mcp_target target = {.name = {"t", 1}};
static const struct agw_mcp_backend backend = {
    .targets = &target, .count = 1, .rules = rules, .rule_count = 2, .search = &search};

static void check_ranks(const struct agw_json_doc *doc, struct agw_str query, struct agw_arena *arena)
{
    static struct agw_mcp_candidate v[TOOLS], first[TOOLS];
    uint32_t n = 0;
    agw_json_each_item(doc, 0, item)
    {
        if (n == TOOLS)
            break;
        agw_check(agw_mcp_candidate_read(&backend, 0, n % 2, doc, item, arena, &v[n]) == 0);
        n++;
    }
    uint32_t hits = agw_mcp_rank(v, n, query);
    agw_check(hits <= n);
    memcpy(first, v, sizeof v);
    agw_check(agw_mcp_rank(v, n, query) == hits);
    for (uint32_t i = 0; i < hits; i++) {
        agw_check(v[i].score > 0 && v[i].score == first[i].score && agw_str_eq(v[i].name, first[i].name));
        agw_check(i == 0 || v[i - 1].score >= v[i].score);
    }
}

static void check_call(const struct agw_json_doc *doc, struct agw_arena *arena)
{
    uint32_t params = agw_json_get(doc, 0, AGW_STR("params"));
    struct agw_json_edits edits;
    struct agw_json_writer w;
    struct agw_json_doc made;
    agw_json_edits_init(&edits, arena);
    if (params == 0 || agw_mcp_call_tool_edit(doc, params, &edits) != 0)
        return;
    agw_json_writer_init(&w);
    agw_json_doc_init(&made, 0);
    agw_check(agw_json_edits_write(&edits, doc->text, 0, (uint32_t)doc->text.n, &w) == 0);
    agw_check(agw_json_parse(&made, agw_json_writer_text(&w), NULL) == 0);
    agw_json_doc_free(&made);
    agw_json_writer_free(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct agw_arena arena;
    struct agw_json_doc doc;
    struct agw_str rest = agw_str((const char *)data, size);
    ptrdiff_t at = agw_str_find(rest, '\n');
    if (at < 0)
        return 0;
    struct agw_str query = agw_str(rest.p, (size_t)at);
    agw_arena_init(&arena, 1024, 0);
    agw_json_doc_init(&doc, 0);
    if (agw_json_parse(&doc, agw_str_from(rest, (size_t)at + 1), NULL) == 0) {
        check_ranks(&doc, query, &arena);
        check_call(&doc, &arena);
    }
    agw_json_doc_free(&doc);
    agw_arena_free(&arena);
    return 0;
}
