/* A request that crosses from one era to the other: its message, who answers it, and what comes back. And one
 * whose session is renewed on the way. */
#include <stdlib.h>
#include "mcp/bridge/request.h"
#include "mcp/bridge/result.h"
#include "mcp/era/era_int.h"
#include "mcp/modern/envelope.h"

static struct agw_mcp_exchange *x_of(const struct agw_mcp_crossing *cr)
{
    return cr->leg->x;
}

/* --- handing on --- */

void agw_mcp_cross_give(struct agw_mcp_crossing *cr, struct agw_chain *message)
{
    struct agw_mcp_frame f = {0};
    if (agw_chain_flatten(message, &f.block, &f.text) == 0)
        cr->ops->on_frame(&cr->leg->call, &f);
    else
        agw_mcp_abort(x_of(cr), AGW_ENOMEM);
    agw_block_unref(f.block);
    agw_chain_clear(message);
}

void agw_mcp_cross_finish(struct agw_mcp_crossing *cr, int code)
{
    cr->pending = false;
    agw_mcp_feed_leave(cr);
    agw_mcp_watch_leave(cr);
    agw_mcp_caller_leave(&cr->guest);
    agw_mcp_cancellable_remove(cr);
    cr->ops->on_done(&cr->leg->call, code);
}

static void run_task(struct agw_task *t)
{
    struct agw_mcp_crossing *cr = agw_container_of(t, struct agw_mcp_crossing, task);
    if (!agw_chain_empty(&cr->local))
        agw_mcp_cross_give(cr, &cr->local);
    else if (cr->response)
        cr->ops->on_head(&cr->leg->call);
    if (cr->gone)
        return;
    agw_mcp_cross_finish(cr, cr->code);
}

/* Nothing is told from inside a start. */
int agw_mcp_cross_later(struct agw_mcp_crossing *cr, int code)
{
    cr->pending = true;
    cr->code = code;
    agw_loop_defer(x_of(cr)->m->loop, &cr->task);
    return 1;
}

int agw_mcp_cross_refuse(struct agw_mcp_crossing *cr, int code, struct agw_str text)
{
    struct agw_json_writer w;
    agw_json_writer_init(&w);
    agw_jsonrpc_write_error(&w, cr->id, code, text, AGW_STR(""));
    int rc = agw_json_writer_finish(&w, 0, &cr->local);
    return rc == 0 ? agw_mcp_cross_later(cr, 0) : rc;
}

int agw_mcp_cross_reply_empty(struct agw_mcp_crossing *cr)
{
    struct agw_json_writer w;
    agw_json_writer_init(&w);
    agw_json_begin_object(&w);
    agw_json_put_string(&w, "jsonrpc", AGW_STR("2.0"));
    agw_json_put_raw(&w, "id", cr->id);
    agw_json_put_raw(&w, "result", AGW_STR("{}"));
    agw_json_end_object(&w);
    int rc = agw_json_writer_finish(&w, 0, &cr->local);
    return rc == 0 ? agw_mcp_cross_later(cr, 0) : rc;
}

/* Writes what |held| says, if it is a JSON-RPC error, as one about the client's own request. */
static int read_error(struct agw_mcp_crossing *cr, struct agw_chain *ret_message)
{
    struct agw_mcp *m = x_of(cr)->m;
    struct agw_mcp_frame f = {.text = {agw_arena_alloc(&x_of(cr)->arena, cr->held.bytes), cr->held.bytes}};
    struct agw_jsonrpc message;
    struct agw_json_writer w;
    struct agw_str text;
    int64_t code;
    if (!f.text.p)
        return AGW_ENOMEM;
    agw_chain_peek(&cr->held, (char *)f.text.p, f.text.n);
    int rc = f.text.n ? agw_mcp_read_frame(cr->leg, &f, &message) : AGW_EPROTO;
    if (rc != 0 || message.kind != AGW_JSONRPC_ERROR)
        return rc ? rc : AGW_EPROTO;
    uint32_t token = agw_json_get(&m->scratch, message.error, AGW_STR("code"));
    uint32_t words = agw_json_get(&m->scratch, message.error, AGW_STR("message"));
    uint32_t data = agw_json_get(&m->scratch, message.error, AGW_STR("data"));
    if (token == 0 || words == 0 || agw_json_to_i64(&m->scratch, token, &code) != 0 ||
        agw_json_unescape(&m->scratch, words, &m->scratch_arena, &text) != 0)
        return AGW_EPROTO;
    agw_json_writer_init(&w);
    agw_jsonrpc_write_error(&w, cr->id, (int)code, text,
                            data ? agw_json_text(&m->scratch, data) : AGW_STR(""));
    return agw_json_writer_finish(&w, 0, ret_message);
}

/* Where a status is the message: of `initialize`, which the client sent as it is, of a session that is gone,
 * and of who may not ask at all. */
static bool keeps_status(const struct agw_mcp_crossing *cr)
{
    int status = cr->response ? cr->response->status : 0;
    return status &&
           (cr->kind == AGW_MCP_RENEW || cr->kind == AGW_MCP_BEGIN || status == 401 || status == 403);
}

/* The error that was held back. One about the message is a message, whatever its status: 400 and 404 mean
 * other things in the other era. |cr->response| NULL: it came as a message. */
void agw_mcp_cross_finish_error(struct agw_mcp_crossing *cr)
{
    struct agw_mcp_call *c = &cr->leg->call;
    struct agw_chain message;
    agw_chain_init(&message);
    int rc = keeps_status(cr) ? AGW_EPROTO : read_error(cr, &message);
    if (rc == 0) {
        c->form = AGW_MCP_FORM_JSON;
        agw_mcp_cross_give(cr, &message);
        agw_mcp_cross_finish(cr, 0);
    } else if (rc == AGW_ENOMEM || !cr->response ||
               (cr->kind == AGW_MCP_TO_MODERN &&
                cr->response->status == 404)) { /* 404: it would begin anew for ever */
        agw_mcp_cross_finish(cr, rc == AGW_ENOMEM ? rc : AGW_EPROTO);
    } else {
        c->response = cr->response;
        c->response->length = (int64_t)cr->held.bytes;
        c->form = AGW_MCP_FORM_RAW;
        cr->ops->on_head(c);
        if (!agw_chain_empty(&cr->held))
            cr->ops->on_bytes(c, &cr->held);
        agw_mcp_cross_finish(cr, 0);
    }
    agw_chain_clear(&message);
}

/* --- a session for it --- */

/* Both are of old: as it is, over the session that there is now. */
static int send_renewed(struct agw_mcp_crossing *cr)
{
    struct agw_chain body;
    agw_chain_init(&body);
    int rc = cr->text.n ? agw_chain_add(&body, cr->block, cr->text.p, cr->text.n) : 0;
    if (cr->guest.caller)
        x_of(cr)->session.peers[cr->leg->target] = *agw_mcp_caller_peer(cr->guest.caller);
    cr->expired = false;
    cr->leg->raw_json = cr->raw_json;
    cr->leg->raw_from = cr->raw_from;
    agw_mcp_begin_call(cr->leg, &agw_mcp_cross_ops, cr->http, cr->text.n ? &body : NULL, cr->deadline_ms, rc);
    agw_chain_clear(&body);
    return 1;
}

static int send_as_it_is(struct agw_mcp_crossing *cr)
{
    struct agw_chain body;
    agw_chain_init(&body);
    int rc = agw_chain_add(&body, cr->block, cr->text.p, cr->text.n);
    cr->leg->raw_json = cr->raw_json;
    cr->leg->raw_from = cr->raw_from;
    agw_mcp_begin_call(cr->leg, cr->ops, cr->http, &body, cr->deadline_ms, rc);
    agw_chain_clear(&body);
    return 1;
}

/* What the session's beginning failed with is what this request fails with. */
static void fail_like(struct agw_mcp_crossing *cr, const struct agw_mcp_leg *failed)
{
    const struct agw_mcp_failure *f = &failed->failure;
    struct agw_mcp_exchange *x = x_of(cr);
    int rc = f->code;
    cr->response = f->response && rc == 0 ? agw_arena_alloc(&x->arena, sizeof *cr->response) : NULL;
    if (rc == 0 && f->response && (!cr->response || agw_msg_copy(cr->response, f->response, &x->arena) != 0))
        rc = AGW_ENOMEM;
    for (uint32_t i = 0; rc == 0 && i < f->body.count; i++) {
        const struct agw_slice *s = agw_chain_at(&f->body, i);
        rc = agw_chain_add(&cr->held, s->block, s->p, s->n);
    }
    if (rc != 0)
        agw_mcp_cross_finish(cr, rc);
    else
        agw_mcp_cross_finish_error(cr);
}

static void on_decided(struct agw_mcp_guest *g, enum agw_mcp_verdict verdict, struct agw_mcp_leg *failed)
{
    struct agw_mcp_crossing *cr = agw_container_of(g, struct agw_mcp_crossing, guest);
    cr->pending = false;
    if (verdict == AGW_MCP_VERDICT_FAILED && cr->kind == AGW_MCP_RENEW && cr->expired) {
        agw_mcp_cross_finish_error(cr); /* the 404: now it is the client's turn */
    } else if (verdict == AGW_MCP_VERDICT_FAILED) {
        fail_like(cr, failed);
    } else {
        int rc = cr->kind == AGW_MCP_RENEW          ? send_renewed(cr)
                 : verdict == AGW_MCP_VERDICT_READY ? agw_mcp_cross_send_legacy(cr)
                                                    : send_as_it_is(cr);
        if (rc < 0)
            agw_mcp_cross_finish(cr, rc);
    }
}

static int join(struct agw_mcp_crossing *cr, bool begin)
{
    int rc = agw_mcp_caller_join(x_of(cr), cr->leg->target, begin, &cr->guest);
    if (rc == 0)
        cr->pending = true;
    if (rc != 1)
        return rc == 0 ? 1 : rc;
    return cr->kind == AGW_MCP_RENEW ? send_renewed(cr) : agw_mcp_cross_send_legacy(cr);
}

void agw_mcp_cross_try_again(struct agw_mcp_crossing *cr)
{
    cr->again = true;
    cr->asking = false;
    if (cr->guest.caller)
        agw_mcp_caller_expired(cr->guest.caller);
    agw_mcp_caller_leave(&cr->guest);
    if (cr->kind == AGW_MCP_TO_LEGACY) {
        cr->response = NULL;
        agw_chain_clear(&cr->held);
    }
    int rc = join(cr, true);
    if (rc < 0 && cr->kind == AGW_MCP_RENEW)
        agw_mcp_cross_finish_error(cr);
    else if (rc < 0)
        agw_mcp_cross_finish(cr, rc);
}

/* The message in the scratch document with |edits|. */
void agw_mcp_cross_give_edited(struct agw_mcp_crossing *cr, const struct agw_mcp_frame *f,
                               const struct agw_json_edits *edits, int rc)
{
    struct agw_chain out;
    agw_chain_init(&out);
    if (rc == 0)
        rc = agw_json_edits_apply(edits, f->text, f->block, &out);
    if (rc == 0)
        agw_mcp_cross_give(cr, &out);
    else
        agw_mcp_abort(x_of(cr), rc);
    agw_chain_clear(&out);
}

/* --- both of old --- */

static int renew(struct agw_mcp_crossing *cr, struct agw_chain *body)
{
    int rc = body ? agw_chain_flatten(body, &cr->block, &cr->text) : 0;
    if (rc == 0)
        rc = x_of(cr)->m->renewed > 0 ? join(cr, false) : AGW_ENOTFOUND;
    return rc == AGW_ENOTFOUND ? send_renewed(cr) : rc;
}

static void done_renew(struct agw_mcp_crossing *cr, int code)
{
    if (cr->http == AGW_METHOD_DELETE && cr->guest.caller)
        agw_mcp_caller_expired(cr->guest.caller);
    agw_mcp_cross_finish(cr, code);
}

static bool may_renew(const struct agw_mcp_crossing *cr)
{
    return !cr->again && cr->http != AGW_METHOD_DELETE && !agw_mcp_ended_has(x_of(cr)->m, x_of(cr)->req);
}

/* --- the call's events --- */

static struct agw_mcp_crossing *cross_of(struct agw_mcp_call *c)
{
    return AGW_MCP_LEG(c)->cross;
}

/* Another session answers to a request that was not looked at. */
static void note_expiry(struct agw_mcp_crossing *cr, int status)
{
    if (status == 404 && cr->kind == AGW_MCP_RENEW)
        cr->expired = may_renew(cr);
    if (status == 404 && cr->kind == AGW_MCP_TO_LEGACY && !cr->again)
        cr->expired = agw_mcp_caller_peer(cr->guest.caller)->sid.n > 0;
}

static bool asks_level(const struct agw_mcp_crossing *cr)
{
    return cr->asking && cr->kind == AGW_MCP_TO_LEGACY;
}

static void on_head(struct agw_mcp_call *c)
{
    struct agw_mcp_crossing *cr = cross_of(c);
    if (c->form == AGW_MCP_FORM_RAW)
        note_expiry(cr, c->response->status);
    if (asks_level(cr))
        return;
    if (c->form != AGW_MCP_FORM_RAW || (cr->kind == AGW_MCP_RENEW && !cr->expired))
        cr->ops->on_head(c);
    else if (!cr->response && agw_chain_empty(&cr->held))
        cr->response = c->response; /* of `initialize`, if there are two */
}

static void on_frame(struct agw_mcp_call *c, const struct agw_mcp_frame *f)
{
    struct agw_mcp_crossing *cr = cross_of(c);
    if (cr->parked.turn)
        agw_mcp_parked_frame(cr, f);
    else if (asks_level(cr))
        return; /* whether it is set matters to nobody */
    else if (cr->kind == AGW_MCP_TO_LEGACY)
        agw_mcp_cross_to_modern(cr, f);
    else if (cr->kind == AGW_MCP_TO_MODERN)
        agw_mcp_cross_to_legacy(cr, f);
    else if (cr->kind == AGW_MCP_RENEW)
        cr->ops->on_frame(c, f);
    else
        agw_mcp_cross_frame_of_begin(cr, f);
}

static void on_bytes(struct agw_mcp_call *c, struct agw_chain *data)
{
    struct agw_mcp_crossing *cr = cross_of(c);
    size_t room = AGW_MCP_ERROR_MAX - cr->held.bytes;
    if (cr->kind == AGW_MCP_RENEW && !cr->expired)
        cr->ops->on_bytes(c, data);
    else if (cr->response == c->response)
        (void)agw_chain_move_n(&cr->held, data, data->bytes < room ? data->bytes : room);
}

static void on_done(struct agw_mcp_call *c, int code)
{
    struct agw_mcp_crossing *cr = cross_of(c);
    if (cr->parked.turn)
        agw_mcp_unpark(cr, code);
    if (cr->round.turn)
        agw_mcp_round_go_on(cr);
    else if (code == 0 && cr->expired)
        agw_mcp_cross_try_again(cr);
    else if (asks_level(cr))
        agw_mcp_cross_done_level(cr, code);
    else if (cr->kind == AGW_MCP_BEGIN)
        agw_mcp_cross_done_begin(cr, code);
    else if (cr->kind == AGW_MCP_RENEW)
        done_renew(cr, code);
    else if (code == 0 && cr->response)
        agw_mcp_cross_finish_error(cr);
    else
        agw_mcp_cross_finish(cr, code);
}

const struct agw_mcp_call_ops agw_mcp_cross_ops = {on_head, on_frame, on_bytes, on_done};

/* --- the beginning --- */

static bool kind_of(struct agw_mcp_leg *leg, enum agw_method method, enum agw_mcp_cross_kind *ret_kind)
{
    struct agw_mcp_exchange *x = leg->x;
    const struct agw_mcp_peer *peer = agw_mcp_leg_peer(leg);
    if (leg->plain)
        return false;
    if (x->modern) {
        *ret_kind = AGW_MCP_TO_LEGACY;
        return agw_mcp_era(x, leg->target, true) != AGW_MCP_YES;
    }
    if (x->method->way == AGW_MCP_WAY_INITIALIZE && x->message.kind == AGW_JSONRPC_REQUEST) {
        *ret_kind = AGW_MCP_BEGIN;
        return method == AGW_METHOD_POST && agw_mcp_target_stateless(&x->conf->targets[leg->target]);
    }
    *ret_kind = peer && peer->version >= AGW_MCP_MODERN ? AGW_MCP_TO_MODERN : AGW_MCP_RENEW;
    return *ret_kind == AGW_MCP_TO_MODERN || (x->down && peer && peer->sid.n && !x->conf->stateless &&
                                              agw_mcp_target_stateless(&x->conf->targets[leg->target]));
}

static int new_crossing(struct agw_mcp_leg *leg)
{
    struct agw_mcp_crossing *cr = agw_arena_zalloc(&leg->x->arena, sizeof *cr);
    if (!cr)
        return AGW_ENOMEM;
    cr->leg = leg;
    cr->guest.decided = on_decided;
    agw_list_init(&cr->guest.node);
    agw_task_init(&cr->task, run_task);
    agw_timer_init(&cr->patience, NULL);
    agw_chain_init(&cr->local);
    agw_chain_init(&cr->held);
    leg->cross = cr;
    return 0;
}

/* Forgets the last request: a leg reads page after page. */
static void begin_again(struct agw_mcp_crossing *cr)
{
    agw_mcp_feed_leave(cr);
    agw_mcp_watch_leave(cr);
    agw_mcp_cancellable_remove(cr);
    agw_mcp_caller_leave(&cr->guest);
    agw_chain_clear(&cr->local);
    agw_chain_clear(&cr->held);
    agw_block_unref(cr->block);
    cr->block = NULL;
    cr->asks = NULL;
    cr->text = cr->method = cr->id = cr->token = cr->extra = agw_str(NULL, 0);
    cr->response = NULL;
    cr->pending = cr->gone = cr->expired = cr->again = cr->asking = false;
}

/* What the request says that matters here. */
static int read_request(struct agw_mcp_crossing *cr, struct agw_chain *body)
{
    struct agw_mcp_exchange *x = x_of(cr);
    struct agw_mcp_frame f = {0};
    struct agw_jsonrpc message;
    int rc = agw_chain_flatten(body, &cr->block, &cr->text);
    f.text = cr->text;
    if (rc == 0)
        rc = agw_mcp_read_frame(cr->leg, &f, &message);
    if (rc != 0)
        return rc;
    cr->method = agw_arena_str(&x->arena, message.method);
    if (message.kind == AGW_JSONRPC_REQUEST)
        cr->id = agw_json_text(&x->m->scratch, message.id);
    uint32_t meta = message.params ? agw_json_get(&x->m->scratch, message.params, AGW_STR("_meta")) : 0;
    cr->level = agw_mcp_level_of(&x->m->scratch, meta, AGW_MCP_META_LOG_LEVEL);
    cr->state =
        message.params ? agw_json_get(&x->m->scratch, message.params, AGW_STR("requestState")) != 0 : false;
    return cr->method.p ? 0 : AGW_ENOMEM;
}

int agw_mcp_cross(struct agw_mcp_leg *leg, const struct agw_mcp_call_ops *ops, enum agw_method method,
                  struct agw_chain *body, uint32_t deadline_ms)
{
    enum agw_mcp_cross_kind kind;
    if (!kind_of(leg, method, &kind))
        return 0;
    int rc = leg->cross ? 0 : new_crossing(leg);
    if (rc != 0)
        return rc;
    struct agw_mcp_crossing *cr = leg->cross;
    begin_again(cr);
    cr->ops = ops;
    cr->kind = kind;
    cr->http = method;
    cr->deadline_ms = deadline_ms;
    cr->raw_json = leg->raw_json;
    cr->raw_from = leg->raw_from;
    if (kind == AGW_MCP_RENEW)
        return renew(cr, body);
    rc = body ? read_request(cr, body) : 0;
    if (rc != 0)
        return rc;
    if (kind == AGW_MCP_TO_MODERN)
        return agw_mcp_cross_begin_modern(cr);
    if (kind == AGW_MCP_TO_LEGACY && cr->state && (rc = agw_mcp_answer(cr)) != 0)
        return rc;
    if (kind == AGW_MCP_TO_LEGACY)
        return cr->id.n ? join(cr, true)
                        : agw_mcp_cross_later(cr, 0); /* notifications of 2026-07-28 are about streams */
    if (agw_mcp_era(leg->x, leg->target, false) == AGW_MCP_NO)
        return agw_mcp_cross_discover(cr);
    struct agw_chain whole;
    agw_chain_init(&whole);
    rc = agw_chain_add(&whole, cr->block, cr->text.p, cr->text.n);
    agw_mcp_begin_call(leg, &agw_mcp_cross_ops, method, &whole, deadline_ms, rc);
    agw_chain_clear(&whole);
    return 1;
}

bool agw_mcp_cross_pending(const struct agw_mcp_leg *leg)
{
    return leg->cross && leg->cross->pending;
}

void agw_mcp_cross_cancel(struct agw_mcp_leg *leg)
{
    struct agw_mcp_crossing *cr = leg->cross;
    if (!cr)
        return;
    if (cr->kind == AGW_MCP_TO_LEGACY && !cr->pending && !cr->asking && leg->call.running && cr->guest.caller)
        agw_mcp_cross_tell_cancelled(cr);
    agw_mcp_cancellable_remove(cr);
    agw_mcp_answer_drop(cr);
    agw_mcp_round_drop(cr);
    agw_mcp_feed_leave(cr);
    agw_mcp_watch_leave(cr);
    agw_mcp_caller_leave(&cr->guest);
    agw_task_cancel(&cr->task);
    cr->pending = false;
    cr->gone = true;
}

void agw_mcp_cross_free(struct agw_mcp_leg *leg)
{
    struct agw_mcp_crossing *cr = leg->cross;
    if (!cr)
        return;
    agw_mcp_cancellable_remove(cr);
    agw_mcp_answer_drop(cr);
    agw_mcp_round_drop(cr);
    agw_mcp_unpark(cr, AGW_ECANCELED);
    agw_mcp_feed_leave(cr);
    agw_mcp_watch_leave(cr);
    agw_mcp_caller_leave(&cr->guest);
    agw_task_cancel(&cr->task);
    agw_chain_clear(&cr->local);
    agw_chain_clear(&cr->held);
    agw_block_unref(cr->block);
    leg->cross = NULL;
}
