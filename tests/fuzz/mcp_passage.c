/* An answer of any bytes, in pieces: where it is a message of JSON-RPC, it must become what becomes of the
 * same message when it is held whole; where it is not, it must pass. The first byte says how large the pieces
 * are. */
#include <stdlib.h>
#include "base/check.h"
#include "mcp/message/passage.h"
#include "mcp/message/router.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct agw_mcp_target targets[] = {{.name = {"a", 1}}, {.name = {"b-c", 3}}};
static const struct agw_mcp_backend two = {.targets = targets, .count = 2};

static void pass(struct agw_str text, bool read, size_t step, struct agw_chain *out)
{
    struct agw_mcp_passage p;
    struct agw_chain in;
    agw_chain_init(&in);
    agw_mcp_passage_init(&p, &two, 1, read);
    for (size_t at = 0; at < text.n; at += step) {
        agw_check(agw_chain_add_static(&in, text.p + at, step < text.n - at ? step : text.n - at) == 0);
        agw_check(agw_mcp_passage_feed(&p, &in, out) == 0);
    }
    agw_check(agw_mcp_passage_end(&p, out) == 0);
    agw_mcp_passage_free(&p);
}

/* What makes a task, or belongs to one, is small where servers are sane: a passage leaves its id as it is. */
static bool is_of_task(const struct agw_json_doc *doc, uint32_t result)
{
    return agw_json_get(doc, result, AGW_STR("task")) != 0 ||
           agw_json_get(doc, result, AGW_STR("_meta")) != 0;
}

static void check(struct agw_str text, bool read, struct agw_chain *got, struct agw_arena *arena)
{
    struct agw_json_doc doc;
    struct agw_json_edits edits;
    struct agw_jsonrpc m;
    struct agw_chain want;
    agw_json_doc_init(&doc, 0);
    agw_chain_init(&want);
    agw_json_edits_init(&edits, arena);
    if (agw_jsonrpc_read(&doc, text, arena, &m, NULL) == 0 && m.kind == AGW_JSONRPC_RESULT &&
        !is_of_task(&doc, m.result)) {
        const struct agw_mcp_method *method =
            agw_mcp_method_find(read ? AGW_STR("resources/read") : AGW_STR("tools/call"));
        agw_check(agw_mcp_edit_down(&two, 1, method, &doc, &m, &edits) == 0);
        agw_check(agw_json_edits_apply(&edits, text, NULL, &want) == 0);
        char *a = malloc(want.bytes + 1), *b = malloc(got->bytes + 1);
        agw_check(a && b && want.bytes == got->bytes);
        agw_check(agw_chain_peek(&want, a, want.bytes) == agw_chain_peek(got, b, got->bytes));
        agw_check(memcmp(a, b, want.bytes) == 0);
        free(a);
        free(b);
    }
    agw_chain_clear(&want);
    agw_json_doc_free(&doc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct agw_arena arena;
    struct agw_chain out;
    if (size < 2)
        return 0;
    struct agw_str text = agw_str((const char *)data + 1, size - 1);
    agw_arena_init(&arena, 4096, 0);
    for (int read = 0; read < 2; read++) {
        agw_chain_init(&out);
        pass(text, read, 1 + data[0] % 64, &out);
        check(text, read, &out, &arena);
        agw_chain_clear(&out);
    }
    agw_arena_free(&arena);
    return 0;
}
