/* A client of old and a server of 2026-07-28: each request says who asks. */
#include "mcp/bridge/request.h"
#include "mcp/bridge/result.h"
#include "mcp/era/era_int.h"

static struct agw_mcp_exchange *x_of(const struct agw_mcp_crossing *cr)
{
    return cr->leg->x;
}

void agw_mcp_cross_to_legacy(struct agw_mcp_crossing *cr, const struct agw_mcp_frame *f)
{
    struct agw_mcp *m = x_of(cr)->m;
    struct agw_json_edits edits;
    struct agw_jsonrpc message;
    struct agw_chain refusal;
    struct agw_json_writer w;
    if (f->text.n == 0)
        return;
    if (agw_mcp_read_frame(cr->leg, f, &message) != 0 || message.kind == AGW_JSONRPC_NOTIFICATION) {
        cr->ops->on_frame(&cr->leg->call, f);
        return;
    }
    if (message.kind == AGW_JSONRPC_REQUEST)
        return; /* none are known to this revision */
    if (agw_mcp_input_required(&m->scratch, &message)) {
        if (agw_mcp_round_begin(cr, &message))
            return;
        agw_chain_init(&refusal);
        agw_json_writer_init(&w);
        agw_jsonrpc_write_error(&w, cr->id, AGW_JSONRPC_INTERNAL,
                                AGW_STR("the server wants more of the client, by a result of 2026-07-28"),
                                AGW_STR(""));
        if (agw_json_writer_finish(&w, 0, &refusal) == 0)
            agw_mcp_cross_give(cr, &refusal);
        else
            agw_mcp_abort(x_of(cr), AGW_ENOMEM);
        agw_chain_clear(&refusal);
        return;
    }
    agw_json_edits_init(&edits, &m->scratch_arena);
    int rc = agw_mcp_response_to_legacy(&m->scratch, &message, &edits);
    agw_mcp_cross_give_edited(cr, f, &edits, rc);
}

int agw_mcp_cross_no_stream(struct agw_mcp_crossing *cr)
{
    struct agw_mcp_exchange *x = x_of(cr);
    cr->response = agw_arena_alloc(&x->arena, sizeof *cr->response);
    if (!cr->response)
        return AGW_ENOMEM;
    agw_msg_init(cr->response, &x->arena);
    cr->response->status = 405;
    cr->leg->call.response = cr->response;
    cr->leg->call.form = AGW_MCP_FORM_RAW;
    return agw_mcp_cross_later(cr, 0);
}

/* What the request says of its client. p NULL: no memory. */
static struct agw_str client_of(struct agw_mcp_crossing *cr)
{
    struct agw_mcp_exchange *x = x_of(cr);
    agw_mcp_level level = agw_mcp_standing_level_of(x);
    return level                 ? agw_mcp_client_with_level(x->session.client, level, &x->arena)
           : x->session.client.n ? x->session.client
                                 : AGW_STR("");
}

static int set_level(struct agw_mcp_crossing *cr)
{
    struct agw_mcp_exchange *x = x_of(cr);
    struct agw_mcp_frame f = {.text = cr->text};
    struct agw_jsonrpc message;
    int rc = agw_mcp_read_frame(cr->leg, &f, &message);
    agw_mcp_level level = rc == 0 ? agw_mcp_level_of(&x->m->scratch, message.params, "level") : 0;
    if (rc == 0 && level == 0)
        return agw_mcp_cross_refuse(cr, AGW_JSONRPC_INVALID_PARAMS, AGW_STR("params.level must be a level"));
    if (rc == 0 && agw_headers_value(&x->req->headers, AGW_HDR_MCP_SESSION_ID).n)
        rc = agw_mcp_standing_level(x, level);
    return rc == 0 ? agw_mcp_cross_reply_empty(cr) : rc;
}

int agw_mcp_cross_send_modern(struct agw_mcp_crossing *cr)
{
    struct agw_mcp_exchange *x = x_of(cr);
    struct agw_mcp_frame f = {.text = cr->text};
    struct agw_json_edits edits;
    struct agw_jsonrpc message;
    struct agw_chain body;
    agw_chain_init(&body);
    agw_mcp_cancellable_add(cr);
    struct agw_str client = client_of(cr);
    int rc = client.p ? agw_mcp_read_frame(cr->leg, &f, &message) : AGW_ENOMEM;
    agw_json_edits_init(&edits, &x->m->scratch_arena);
    if (rc == 0 && cr->extra.n)
        rc = agw_json_edits_add(&edits, x->m->scratch.tokens[message.params].offset + 1, 0, cr->extra);
    if (rc == 0)
        rc = agw_mcp_request_to_modern(&x->m->scratch, &message, client, &edits);
    if (rc == 0)
        rc = agw_json_edits_apply(&edits, cr->text, cr->block, &body);
    cr->leg->raw_json = false;
    cr->leg->raw_from = 0;
    agw_mcp_begin_call(cr->leg, &agw_mcp_cross_ops, AGW_METHOD_POST, &body, cr->deadline_ms, rc);
    agw_chain_clear(&body);
    return 1;
}

/* The session (un)subscribes to a resource: the stream that hears of it is open, or will be. */
static int wish(struct agw_mcp_crossing *cr, bool on)
{
    struct agw_mcp_exchange *x = x_of(cr);
    struct agw_mcp_frame f = {.text = cr->text};
    struct agw_jsonrpc message;
    struct agw_str uri = {0};
    int rc = agw_mcp_read_frame(cr->leg, &f, &message);
    uint32_t token =
        rc == 0 && message.params ? agw_json_get(&x->m->scratch, message.params, AGW_STR("uri")) : 0;
    if (rc == 0)
        rc = token ? agw_json_unescape(&x->m->scratch, token, &x->m->scratch_arena, &uri) : AGW_EINVAL;
    if (rc == AGW_EINVAL)
        return agw_mcp_cross_refuse(cr, AGW_JSONRPC_INVALID_PARAMS, AGW_STR("params.uri must be a string"));
    if (rc == 0 && agw_headers_value(&x->req->headers, AGW_HDR_MCP_SESSION_ID).n == 0)
        return agw_mcp_cross_refuse(cr, AGW_JSONRPC_METHOD_NOT_FOUND, AGW_STR("Method not found"));
    if (rc == 0)
        rc = agw_mcp_standing_wish(x, cr->leg->target, uri, on);
    if (rc == AGW_ELIMIT)
        return agw_mcp_cross_refuse(cr, AGW_JSONRPC_INTERNAL, AGW_STR("too many subscriptions"));
    return rc == 0 ? agw_mcp_cross_reply_empty(cr) : rc;
}

int agw_mcp_cross_begin_modern(struct agw_mcp_crossing *cr)
{
    if (cr->http != AGW_METHOD_POST)
        return cr->http == AGW_METHOD_GET ? agw_mcp_watch_begin(cr) : agw_mcp_cross_no_stream(cr);
    if (cr->id.n == 0) { /* the server hears neither notifications nor answers; we may have asked */
        bool cancels = agw_str_eq(cr->method, AGW_STR("notifications/cancelled"));
        int rc = cancels ? agw_mcp_cancellable_end(cr) : agw_mcp_round_answer(cr);
        return rc == 0 ? agw_mcp_cross_later(cr, 0) : rc;
    }
    if (agw_str_eq(cr->method, AGW_STR("logging/setLevel")))
        return set_level(cr);
    if (agw_str_eq(cr->method, AGW_STR("resources/subscribe")))
        return wish(cr, true);
    if (agw_str_eq(cr->method, AGW_STR("resources/unsubscribe")))
        return wish(cr, false);
    if (agw_mcp_cross_is_removed(cr->method))
        return agw_mcp_cross_refuse(cr, AGW_JSONRPC_METHOD_NOT_FOUND, AGW_STR("Method not found"));
    return agw_mcp_cross_send_modern(cr);
}

/* --- initialize --- */

/* What a server of 2026-07-28 says to `initialize`. */
static bool is_newer(const struct agw_mcp_crossing *cr)
{
    if (!cr->response)
        return !agw_chain_empty(&cr->held);
    int status = cr->response->status;
    return status == 400 || status == 404 || status == 405;
}

int agw_mcp_cross_discover(struct agw_mcp_crossing *cr)
{
    struct agw_mcp_exchange *x = x_of(cr);
    struct agw_json_writer w;
    struct agw_chain body;
    cr->asking = true;
    agw_chain_init(&body);
    agw_json_writer_init(&w);
    int rc = agw_json_writer_finish(&w, agw_mcp_write_discover(x->session.client, &w), &body);
    cr->leg->own_method = AGW_STR("server/discover");
    x->session.peers[cr->leg->target].version = AGW_MCP_MODERN;
    agw_mcp_begin_call(cr->leg, &agw_mcp_cross_ops, AGW_METHOD_POST, &body, cr->deadline_ms, rc);
    agw_chain_clear(&body);
    return 1;
}

static void take_discovered(struct agw_mcp_crossing *cr, const struct agw_jsonrpc *message)
{
    struct agw_mcp_exchange *x = x_of(cr);
    struct agw_json_writer w;
    struct agw_chain out;
    if (message->kind != AGW_JSONRPC_RESULT || cr->leg->bridged)
        return;
    agw_chain_init(&out);
    agw_json_writer_init(&w);
    int rc = agw_mcp_discovered_to_initialize(&x->m->scratch, message->result, x->session.version,
                                              x->conf->targets[cr->leg->target].name, cr->id, &w);
    rc = agw_json_writer_finish(&w, rc, &out);
    cr->leg->bridged = rc == 0;
    if (rc == 0) {
        agw_mcp_era_learn(x, cr->leg->target, true, AGW_MCP_YES);
        agw_mcp_era_learn(x, cr->leg->target, false, AGW_MCP_NO);
        agw_mcp_cross_give(cr, &out);
    } else if (rc == AGW_ENOMEM) {
        agw_mcp_abort(x, rc);
    }
    agw_chain_clear(&out);
}

void agw_mcp_cross_frame_of_begin(struct agw_mcp_crossing *cr, const struct agw_mcp_frame *f)
{
    struct agw_mcp *m = x_of(cr)->m;
    struct agw_jsonrpc message;
    int64_t code = 0;
    int rc = f->text.n ? agw_mcp_read_frame(cr->leg, f, &message) : 0;
    if (cr->asking && f->text.n && rc == 0)
        take_discovered(cr, &message);
    if (cr->asking)
        return;
    if (f->text.n && rc == 0 && message.kind == AGW_JSONRPC_ERROR) {
        uint32_t token = agw_json_get(&m->scratch, message.error, AGW_STR("code"));
        if (token != 0 && agw_json_to_i64(&m->scratch, token, &code) != 0)
            code = 0;
    }
    if (code != AGW_JSONRPC_METHOD_NOT_FOUND && code != AGW_JSONRPC_VERSION)
        cr->ops->on_frame(&cr->leg->call, f);
    else if (agw_chain_add(&cr->held, f->block, f->text.p, f->text.n) != 0)
        agw_mcp_abort(x_of(cr), AGW_ENOMEM);
}

void agw_mcp_cross_done_begin(struct agw_mcp_crossing *cr, int code)
{
    if (cr->leg->bridged || cr->leg->answered) {
        agw_mcp_cross_finish(cr, code);
    } else if (!cr->asking && code == 0 && is_newer(cr)) {
        agw_mcp_cross_discover(cr);
    } else if (cr->response || !agw_chain_empty(&cr->held)) {
        agw_mcp_era_doubt(x_of(cr), cr->leg->target);
        agw_mcp_cross_finish_error(cr);
    } else {
        agw_mcp_cross_finish(cr, code);
    }
}
