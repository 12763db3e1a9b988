/* A client of 2026-07-28 and a server of old: over a session that the gateway keeps. */
#include "mcp/bridge/request.h"
#include "mcp/bridge/result.h"
#include "mcp/era/era_int.h"
#include "mcp/modern/envelope.h"

static struct agw_mcp_exchange *x_of(const struct agw_mcp_crossing *cr)
{
    return cr->leg->x;
}

/* --- there --- */

/* Methods that 2026-07-28 has no more. */
bool agw_mcp_cross_is_removed(struct agw_str method)
{
    static const struct agw_str removed[] = {AGW_STR("initialize"), AGW_STR("ping"),
                                             AGW_STR("logging/setLevel"), AGW_STR("resources/subscribe"),
                                             AGW_STR("resources/unsubscribe")};
    for (size_t i = 0; i < AGW_ARRAY_LEN(removed); i++)
        if (agw_str_eq(method, removed[i]))
            return true;
    return false;
}

static int answer_discover(struct agw_mcp_crossing *cr)
{
    struct agw_mcp_exchange *x = x_of(cr);
    struct agw_mcp_frame f = {.text = agw_mcp_caller_initialized(cr->guest.caller)};
    struct agw_jsonrpc message;
    struct agw_json_writer w;
    int rc = agw_mcp_read_frame(cr->leg, &f, &message);
    if (rc != 0)
        return rc;
    agw_json_writer_init(&w);
    rc = agw_mcp_initialized_to_discover(&x->m->scratch, message.result, cr->id, &w);
    rc = agw_json_writer_finish(&w, rc, &cr->local);
    return rc == 0 ? agw_mcp_cross_later(cr, 0) : rc;
}

static int write_to_legacy(struct agw_mcp_crossing *cr, struct agw_chain *ret_body)
{
    struct agw_mcp_exchange *x = x_of(cr);
    struct agw_mcp_frame f = {.text = cr->text};
    struct agw_json_edits edits;
    struct agw_jsonrpc message;
    struct agw_str token;
    unsigned long long number = agw_mcp_caller_number(cr->guest.caller);
    cr->number = agw_arena_printf(&x->arena, "%llu", number);
    int rc = cr->number.p ? agw_mcp_read_frame(cr->leg, &f, &message) : AGW_ENOMEM;
    if (rc != 0)
        return rc;
    agw_json_edits_init(&edits, &x->m->scratch_arena);
    rc = agw_mcp_request_to_legacy(&x->m->scratch, &message, cr->number, &edits, &token);
    cr->token = token; /* in the request's own bytes */
    return rc == 0 ? agw_json_edits_apply(&edits, cr->text, cr->block, ret_body) : rc;
}

/* Over the session, which stays the caller's. 1. */
static int send_body(struct agw_mcp_crossing *cr, struct agw_chain *body, int rc)
{
    struct agw_mcp_exchange *x = x_of(cr);
    if (rc == 0 && !cr->leg->from && !(cr->leg->from = agw_mcp_plain_request(x, &x->arena)))
        rc = AGW_ENOMEM;
    x->session.peers[cr->leg->target] = *agw_mcp_caller_peer(cr->guest.caller);
    cr->leg->raw_json = false;
    cr->leg->raw_from = 0;
    cr->expired = false;
    agw_mcp_begin_call(cr->leg, &agw_mcp_cross_ops, AGW_METHOD_POST, body, cr->deadline_ms, rc);
    agw_chain_clear(body);
    return 1;
}

static bool needs_level(const struct agw_mcp_crossing *cr)
{
    agw_mcp_level told = agw_mcp_caller_level(cr->guest.caller);
    return cr->level && (told == 0 || cr->level < told) &&
           (agw_mcp_caller_peer(cr->guest.caller)->caps & AGW_MCP_CAP_LOGGING);
}

/* The server is told before the request goes: else it might be done with it by then. */
static int send_level(struct agw_mcp_crossing *cr)
{
    struct agw_chain body;
    struct agw_json_writer w;
    agw_chain_init(&body);
    agw_json_writer_init(&w);
    cr->asking = true;
    agw_json_begin_object(&w);
    agw_json_put_string(&w, "jsonrpc", AGW_STR("2.0"));
    agw_json_put_int(&w, "id", (int64_t)agw_mcp_caller_number(cr->guest.caller));
    agw_json_put_string(&w, "method", AGW_STR("logging/setLevel"));
    agw_json_key(&w, AGW_STR("params"));
    agw_json_begin_object(&w);
    agw_json_put_string(&w, "level", agw_mcp_level_text(cr->level));
    agw_json_end_object(&w);
    agw_json_end_object(&w);
    return send_body(cr, &body, agw_json_writer_finish(&w, 0, &body));
}

void agw_mcp_cross_done_level(struct agw_mcp_crossing *cr, int code)
{
    cr->asking = false;
    if (code == 0)
        agw_mcp_caller_set_level(cr->guest.caller, cr->level);
    int rc = code ? code : agw_mcp_cross_send_legacy(cr);
    if (rc < 0)
        agw_mcp_cross_finish(cr, rc);
}

/* The session is there. */
int agw_mcp_cross_send_legacy(struct agw_mcp_crossing *cr)
{
    struct agw_chain body;
    if (agw_str_eq(cr->method, AGW_STR("server/discover")))
        return answer_discover(cr);
    if (agw_str_eq(cr->method, AGW_STR("subscriptions/listen")))
        return agw_mcp_feed_join(cr);
    if (agw_mcp_cross_is_removed(cr->method))
        return agw_mcp_cross_refuse(cr, AGW_JSONRPC_METHOD_NOT_FOUND, AGW_STR("Method not found"));
    if (cr->state) /* servers of old give none */
        return agw_mcp_cross_refuse(cr, AGW_JSONRPC_INVALID_PARAMS,
                                    AGW_STR("requestState is of no open request"));
    if (needs_level(cr))
        return send_level(cr);
    agw_chain_init(&body);
    return send_body(cr, &body, write_to_legacy(cr, &body));
}

/* --- and back --- */

void agw_mcp_cross_to_modern(struct agw_mcp_crossing *cr, const struct agw_mcp_frame *f)
{
    struct agw_mcp *m = x_of(cr)->m;
    struct agw_json_edits edits;
    struct agw_jsonrpc message;
    int rc = 0;
    if (f->text.n == 0)
        return;
    if (agw_mcp_read_frame(cr->leg, f, &message) != 0) {
        cr->ops->on_frame(&cr->leg->call, f); /* it says what is wrong */
        return;
    }
    agw_json_edits_init(&edits, &m->scratch_arena);
    if (message.kind == AGW_JSONRPC_REQUEST) {
        if (agw_str_eq(message.method, AGW_STR("ping")) || !agw_mcp_ask(cr, &message))
            agw_mcp_caller_answer(cr->guest.caller, &message);
        return;
    }
    if (message.kind == AGW_JSONRPC_NOTIFICATION) {
        if (!agw_mcp_notice_to_modern(&m->scratch, &message, cr->token, cr->level, &edits, &rc))
            return;
    } else if (message.id != 0 && cr->number.n &&
               !agw_str_eq(agw_json_text(&m->scratch, message.id), cr->number)) {
        return;
    } else {
        rc = agw_mcp_response_to_modern(&m->scratch, &message, cr->method, cr->id, &edits);
    }
    agw_mcp_cross_give_edited(cr, f, &edits, rc);
}

void agw_mcp_cross_tell_cancelled(struct agw_mcp_crossing *cr)
{
    struct agw_str text = agw_arena_printf(
        &x_of(cr)->arena,
        "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":%.*s}}",
        AGW_STRF(cr->number));
    if (text.p)
        agw_mcp_caller_tell(cr->guest.caller, text);
}
