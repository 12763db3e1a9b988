/* The envelope of any bytes, from both sides: what is accepted must stay JSON-RPC after the gateway's edits,
 * and an id that was mapped must come back the same. Also the cursors that a client hands back. */
#include <stdlib.h>
#include "base/check.h"
#include "mcp/message/merge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct agw_mcp_target targets[] = {{.name = {"a", 1}}, {.name = {"b-c", 3}}};
static const struct agw_mcp_backend two = {.targets = targets, .count = 2};

/* Applies the edits and reads the result again. */
static void check_edited(const struct agw_json_edits *edits, const struct agw_json_doc *doc,
                         struct agw_arena *arena)
{
    struct agw_chain out;
    struct agw_json_doc again;
    struct agw_jsonrpc m;
    agw_chain_init(&out);
    agw_json_doc_init(&again, 0);
    agw_check(agw_json_edits_apply(edits, doc->text, NULL, &out) == 0);
    char *text = malloc(out.bytes);
    agw_check(text);
    agw_chain_peek(&out, text, out.bytes);
    agw_check(agw_jsonrpc_read(&again, agw_str(text, out.bytes), arena, &m, NULL) == 0);
    agw_json_doc_free(&again);
    agw_chain_clear(&out);
    free(text);
}

static void check_id(const struct agw_json_doc *doc, uint32_t id, struct agw_arena *arena)
{
    struct agw_json_doc mapped;
    struct agw_str back;
    uint32_t target;
    agw_json_doc_init(&mapped, 0);
    agw_check(agw_json_parse(&mapped, agw_jsonrpc_map_id(doc, id, targets[1].name, arena), NULL) == 0);
    agw_check(agw_jsonrpc_unmap_id(&mapped, 0, &two, arena, &target, &back) == 0 && target == 1);
    agw_check(agw_json_parse(&mapped, back, NULL) == 0);
    agw_check(agw_jsonrpc_same_id(doc, id, &mapped, 0, arena));
    agw_json_doc_free(&mapped);
}

static void up(const struct agw_json_doc *doc, const struct agw_jsonrpc *m, struct agw_arena *arena)
{
    const struct agw_mcp_method *method = agw_mcp_method_find(m->method);
    struct agw_json_edits edits;
    struct agw_str name;
    uint32_t target;
    agw_json_edits_init(&edits, arena);
    if (method->way == AGW_MCP_WAY_NAME || method->way == AGW_MCP_WAY_URI || method->way == AGW_MCP_WAY_REF ||
        method->way == AGW_MCP_WAY_TASK) {
        if (agw_mcp_edit_up(&two, method, doc, m, &edits, &target, &name) == 0)
            check_edited(&edits, doc, arena);
    } else if (agw_mcp_edit_back(&two, doc, m, &edits, &target) == 0 &&
               agw_mcp_edit_related(&two, target, doc, m, &edits) == 0) {
        check_edited(&edits, doc, arena);
    }
    agw_json_edits_init(&edits, arena);
    agw_check(agw_mcp_set_cursor(doc, m, AGW_STR("x\""), &edits) == 0);
    if (m->kind == AGW_JSONRPC_REQUEST)
        check_edited(&edits, doc, arena);
}

static void down(const struct agw_json_doc *doc, const struct agw_jsonrpc *m, struct agw_arena *arena)
{
    static const struct agw_str methods[] = {
        {"tools/call", 10}, {"resources/read", 14}, {"tasks/get", 9}, {"tasks/result", 12}};
    for (int i = 0; i < 4; i++) {
        struct agw_json_edits edits;
        agw_json_edits_init(&edits, arena);
        agw_check(agw_mcp_edit_down(&two, 1, agw_mcp_method_find(methods[i]), doc, m, &edits) == 0);
        check_edited(&edits, doc, arena);
    }
}

static void merge(const struct agw_json_doc *doc, const struct agw_jsonrpc *m, struct agw_arena *arena)
{
    struct agw_mcp_part parts[] = {{0, doc, m->result}, {1, doc, m->result}};
    struct agw_json_writer w;
    struct agw_json_doc again;
    struct agw_mcp_peer peer;
    agw_json_doc_init(&again, 0);
    agw_json_writer_init(&w);
    agw_check(agw_mcp_merge_list(&two, agw_mcp_method_find(AGW_STR("tools/list")), parts, 2, AGW_STR("1"),
                                 AGW_STR(""), NULL, arena, &w) == 0);
    agw_check(agw_json_parse(&again, agw_json_writer_text(&w), NULL) == 0);
    agw_json_writer_free(&w);
    agw_json_doc_free(&again);
    (void)agw_mcp_read_initialize(doc, m->result, &peer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct agw_str in = agw_str((const char *)data, size);
    struct agw_json_doc doc;
    struct agw_arena arena;
    struct agw_jsonrpc m;
    struct agw_mcp_cursor cursor;
    agw_arena_init(&arena, 4096, 0);
    agw_json_doc_init(&doc, 1u << 16);
    if (agw_jsonrpc_read(&doc, in, &arena, &m, NULL) == 0) {
        if (m.id != 0)
            check_id(&doc, m.id, &arena);
        up(&doc, &m, &arena);
        down(&doc, &m, &arena);
        if (m.kind == AGW_JSONRPC_RESULT)
            merge(&doc, &m, &arena);
    }
    (void)agw_mcp_cursor_decode(in, &two, &arena, &cursor);
    agw_json_doc_free(&doc);
    agw_arena_free(&arena);
    return 0;
}
