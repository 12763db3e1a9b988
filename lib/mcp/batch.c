/* JSON-RPC batches, which revision 2025-03-26 alone has: each message is a turn (turn.c), and what comes of
 * them goes out as events of the one answer, which ends with the last of them. */
#include <stdlib.h>
#include "mcp/exchange.h"

struct agw_mcp_batch {
    struct agw_mcp_turns turns;
    bool started; /* all of them */
};

static void end_if_over(struct agw_mcp_batch *b)
{
    struct agw_mcp_exchange *x = b->turns.x;
    if (!b->started || b->turns.count > 0)
        return;
    if (x->out == AGW_MCP_OUT_EVENTS)
        agw_mcp_reply_end(x);
    else
        agw_mcp_reply_status(x, 202); /* there was nothing to answer */
}

static void on_over(struct agw_mcp_turns *all, enum agw_method method, int status)
{
    end_if_over(agw_container_of(all, struct agw_mcp_batch, turns));
}

static const struct agw_mcp_turn_ops ops = {NULL, on_over};

/* What speaks against it; NULL: nothing. |*ret_count|: messages. */
static const char *fault_of(struct agw_mcp_exchange *x, uint32_t *ret_count)
{
    const struct agw_json_doc *doc = &x->doc;
    uint32_t count = 0;
    if (x->session.version != AGW_MCP_2025_03_26)
        return "batches are of revision 2025-03-26 alone";
    for (uint32_t at = 1; at < doc->tokens[0].next; at = doc->tokens[at].next, count++) {
        if (agw_json_type(doc, at) != AGW_JSON_OBJECT)
            return "each message of a batch must be an object";
        uint32_t method = agw_json_get(doc, at, AGW_STR("method"));
        if (method && agw_json_is(doc, method, AGW_STR("initialize")))
            return "initialize cannot stand in a batch";
    }
    *ret_count = count;
    return count == 0                  ? "the batch is empty"
           : count > AGW_MCP_BATCH_MAX ? "too many messages in a batch"
                                       : NULL;
}

static int start_message(struct agw_mcp_batch *b, uint32_t at)
{
    struct agw_mcp_exchange *x = b->turns.x;
    struct agw_mcp_turn_request r = {.from = x->req, .body = x->block, .text = agw_json_text(&x->doc, at)};
    uint32_t id = agw_json_get(&x->doc, at, AGW_STR("id"));
    if (id && agw_json_get(&x->doc, at, AGW_STR("method")))
        r.id = agw_json_text(&x->doc, id);
    return agw_mcp_turn_start(&b->turns, &r);
}

void agw_mcp_batch(struct agw_mcp_exchange *x)
{
    uint32_t count = 0;
    const char *fault = fault_of(x, &count);
    struct agw_mcp_batch *b = fault ? NULL : calloc(1, sizeof *b);
    if (!b) {
        agw_mcp_reply_error(x, fault ? 400 : 500, fault ? AGW_JSONRPC_INVALID_REQUEST : AGW_JSONRPC_INTERNAL,
                            fault ? agw_str_c(fault) : AGW_STR("out of memory"));
        return;
    }
    agw_mcp_turns_init(&b->turns, x, &ops);
    x->batch = b;
    x->turns = &b->turns;
    for (uint32_t i = 0, at = 1; i < count; i++, at = x->doc.tokens[at].next) {
        if (start_message(b, at) != 0) {
            agw_mcp_abort(x, AGW_ENOMEM);
            return;
        }
    }
    b->started = true;
}

void agw_mcp_batch_close(struct agw_mcp_exchange *x, bool silent)
{
    if (!x->batch)
        return;
    agw_mcp_turns_close(&x->batch->turns, silent);
    free(x->batch);
    x->batch = NULL;
    x->turns = NULL;
}
