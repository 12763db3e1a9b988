/* Messages of any bytes over the border of the eras: what is accepted must stay JSON-RPC. */
#include <stdlib.h>
#include "base/check.h"
#include "mcp/bridge/announce.h"
#include "mcp/bridge/request.h"
#include "mcp/bridge/result.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(struct agw_str text, struct agw_arena *arena)
{
    struct agw_json_doc again;
    struct agw_jsonrpc m;
    agw_json_doc_init(&again, 0);
    agw_check(agw_jsonrpc_read(&again, text, arena, &m, NULL) == 0);
    agw_json_doc_free(&again);
}

static void check_edited(const struct agw_json_edits *edits, const struct agw_json_doc *doc,
                         struct agw_arena *arena)
{
    struct agw_chain out;
    agw_chain_init(&out);
    agw_check(agw_json_edits_apply(edits, doc->text, NULL, &out) == 0);
    char *text = malloc(out.bytes);
    agw_check(text);
    agw_chain_peek(&out, text, out.bytes);
    check_text(agw_str(text, out.bytes), arena);
    agw_chain_clear(&out);
    free(text);
}

static void check_written(struct agw_json_writer *w, int rc, struct agw_arena *arena)
{
    agw_check(rc == 0);
    check_text(agw_json_writer_text(w), arena);
    agw_json_writer_free(w);
}

static void request(const struct agw_json_doc *doc, const struct agw_jsonrpc *m, struct agw_arena *arena)
{
    struct agw_json_edits edits;
    struct agw_json_writer w;
    struct agw_str token, client;
    int rc;
    uint32_t caps = m->params ? agw_json_get(doc, m->params, AGW_STR("capabilities")) : 0;
    uint32_t info = m->params ? agw_json_get(doc, m->params, AGW_STR("clientInfo")) : 0;
    agw_check(agw_mcp_client_read(doc, caps, info, arena, &client) == 0 && client.n <= AGW_MCP_CLIENT_MAX);
    agw_json_writer_init(&w);
    rc = agw_mcp_write_initialize(client, AGW_MCP_2025_11_25, true, arena, &w);
    check_written(&w, rc, arena);
    agw_json_writer_init(&w);
    rc = agw_mcp_write_discover(client, &w);
    check_written(&w, rc, arena);
    agw_json_edits_init(&edits, arena);
    agw_check(agw_mcp_request_to_legacy(doc, m, AGW_STR("7"), &edits, &token) == 0);
    check_edited(&edits, doc, arena);
    agw_json_edits_init(&edits, arena);
    agw_check(agw_mcp_request_to_modern(doc, m, client, &edits) == 0);
    check_edited(&edits, doc, arena);
    agw_json_edits_init(&edits, arena);
    if (agw_mcp_notice_to_modern(doc, m, AGW_STR("\"t\""), 1, &edits, &rc))
        check_edited(&edits, doc, arena);
}

/* What a filter comes to, and what is announced about any URI. */
static void announcements(const struct agw_json_doc *doc, const struct agw_jsonrpc *m,
                          struct agw_arena *arena)
{
    struct agw_json_writer w;
    uint32_t filter = m->params ? agw_json_get(doc, m->params, AGW_STR("notifications")) : 0;
    uint32_t token = m->params ? agw_json_get(doc, m->params, AGW_STR("uri")) : 0;
    struct agw_mcp_uri uri = {.text = AGW_STR("a:\"1"), .accepted = true};
    struct agw_str text;
    if (token != 0 && agw_json_type(doc, token) == AGW_JSON_STRING &&
        agw_json_unescape(doc, token, arena, &text) == 0)
        uri.text = text;
    uint8_t lists = agw_mcp_hears_filter(doc, filter), bit = agw_mcp_hears_of(m->method);
    agw_check(!(lists & ~AGW_MCP_HEARS_LISTS));
    agw_json_writer_init(&w);
    int rc = agw_mcp_write_acknowledged(AGW_STR("7"), lists, &uri, 1, &w);
    check_written(&w, rc, arena);
    agw_json_writer_init(&w);
    rc = agw_mcp_write_listen(AGW_STR(""), lists, &uri, 1, &w);
    check_written(&w, rc, arena);
    agw_json_writer_init(&w);
    rc = agw_mcp_write_announcement(bit ? bit : AGW_MCP_HEARS_TOOLS, AGW_STR("7"),
                                    token ? agw_json_text(doc, token) : AGW_STR(""), &w);
    check_written(&w, rc, arena);
}

static void response(const struct agw_json_doc *doc, const struct agw_jsonrpc *m, struct agw_arena *arena)
{
    struct agw_json_edits edits;
    struct agw_json_writer w;
    agw_json_edits_init(&edits, arena);
    agw_check(agw_mcp_response_to_modern(doc, m, AGW_STR("tools/list"), AGW_STR("\"x\""), &edits) == 0);
    check_edited(&edits, doc, arena);
    agw_json_edits_init(&edits, arena);
    agw_check(agw_mcp_response_to_legacy(doc, m, &edits) == 0);
    check_edited(&edits, doc, arena);
    (void)agw_mcp_input_required(doc, m);
    if (m->kind != AGW_JSONRPC_RESULT)
        return;
    agw_json_writer_init(&w);
    int rc = agw_mcp_initialized_to_discover(doc, m->result, AGW_STR("1"), &w);
    check_written(&w, rc, arena);
    agw_json_writer_init(&w);
    rc = agw_mcp_discovered_to_initialize(doc, m->result, AGW_MCP_2025_06_18, AGW_STR("t"), AGW_STR("1"), &w);
    if (rc == 0)
        check_text(agw_json_writer_text(&w), arena);
    agw_json_writer_free(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct agw_json_doc doc;
    struct agw_arena arena;
    struct agw_jsonrpc m;
    agw_arena_init(&arena, 4096, 0);
    agw_json_doc_init(&doc, 1u << 16);
    if (agw_jsonrpc_read(&doc, agw_str((const char *)data, size), &arena, &m, NULL) == 0) {
        if (m.kind == AGW_JSONRPC_REQUEST || m.kind == AGW_JSONRPC_NOTIFICATION) {
            request(&doc, &m, &arena);
            announcements(&doc, &m, &arena);
        } else {
            response(&doc, &m, &arena);
        }
    }
    agw_json_doc_free(&doc);
    agw_arena_free(&arena);
    return 0;
}
