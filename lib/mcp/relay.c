/* One target: its answer passes to the client as it comes. And the GET stream, where several targets' events
 * meet. */
#include "mcp/exchange.h"

#include <string.h>

/* --- messages of a target --- */

static void reset_scratch(struct agw_mcp *m)
{
    agw_arena_reset(&m->scratch_arena);
    if (m->scratch.cap > AGW_MCP_SCRATCH_MAX)
        agw_json_doc_free(&m->scratch);
}

int agw_mcp_edited(struct agw_mcp_leg *leg, const struct agw_mcp_frame *f, const struct agw_jsonrpc *message,
                   struct agw_chain *ret_body)
{
    struct agw_mcp_exchange *x = leg->x;
    struct agw_json_edits edits;
    agw_json_edits_init(&edits, &x->m->scratch_arena);
    agw_chain_init(ret_body);
    int rc = agw_mcp_edit_down(x->conf, leg->target, x->method, &x->m->scratch, message, &edits);
    if (rc == 0)
        rc = agw_json_edits_apply(&edits, f->text, f->block, ret_body);
    if (rc != 0)
        agw_chain_clear(ret_body);
    return rc;
}

/* An answer to the request in hand; errors about requests that could not be read have no id. */
static bool is_answer(const struct agw_mcp_exchange *x, const struct agw_jsonrpc *message)
{
    if (message->kind != AGW_JSONRPC_RESULT && message->kind != AGW_JSONRPC_ERROR)
        return false;
    return message->id == 0 || x->message.id == 0 ||
           agw_jsonrpc_same_id(&x->m->scratch, message->id, &x->doc, x->message.id, &x->m->scratch_arena);
}

static void remember_id(struct agw_mcp_leg *leg, struct agw_str id)
{
    if (!leg->id_room)
        leg->id_room = agw_arena_alloc(&leg->x->arena, AGW_MCP_EVENT_ID_MAX);
    if (!leg->id_room || id.n > AGW_MCP_EVENT_ID_MAX)
        return;
    memcpy(leg->id_room, id.p, id.n);
    leg->last_id = agw_str(leg->id_room, id.n);
}

/* Servers of 2025-11-25 begin with an event that has an id and nothing else, so that the client may resume.
 * It waits here: most calls are answered at once, and one message goes as plain JSON. */
static void flush_primer(struct agw_mcp_leg *leg)
{
    struct agw_mcp_frame f = {.id = leg->last_id, .has_id = true};
    if (!leg->primed)
        return;
    leg->primed = false;
    agw_mcp_reply_event(leg->x, NULL, &f, leg->target, false);
}

static void on_primer_due(struct agw_timer *t)
{
    struct agw_mcp_exchange *x = agw_container_of(t, struct agw_mcp_exchange, keepalive);
    agw_mcp_each_leg(x, leg) flush_primer(leg);
}

/* An event without a message. */
static void take_primer(struct agw_mcp_leg *leg, const struct agw_mcp_frame *f, bool get_stream)
{
    struct agw_mcp_exchange *x = leg->x;
    if (x->out != AGW_MCP_OUT_NONE || get_stream || f->has_retry || f->id.n == 0) {
        flush_primer(leg);
        agw_mcp_reply_event(x, NULL, f, leg->target, get_stream);
        return;
    }
    remember_id(leg, f->id);
    leg->primed = leg->last_id.n > 0;
    agw_timer_cancel(&x->m->loop->timers, &x->keepalive);
    agw_timer_init(&x->keepalive, on_primer_due);
    agw_timer_set(&x->m->loop->timers, &x->keepalive, x->m->loop->now_ms + AGW_MCP_SILENCE_MS);
}

/* Where answers are joined there is nothing to resume: one target alone cannot repeat the whole. */
static bool is_joined(const struct agw_mcp_exchange *x)
{
    return x->finish != NULL;
}

int agw_mcp_read_frame(struct agw_mcp_leg *leg, const struct agw_mcp_frame *f,
                       struct agw_jsonrpc *ret_message)
{
    struct agw_mcp *m = leg->x->m;
    reset_scratch(m);
    int rc = agw_jsonrpc_read(&m->scratch, f->text, &m->scratch_arena, ret_message, NULL);
    if (rc == 0)
        agw_mcp_heed_change(leg, ret_message);
    return rc == 0 || rc == AGW_ENOMEM ? rc : AGW_EPROTO;
}

int agw_mcp_pass(struct agw_mcp_leg *leg, const struct agw_mcp_frame *f, bool get_stream,
                 struct agw_jsonrpc *ret_message, bool *ret_final)
{
    struct agw_mcp_exchange *x = leg->x;
    struct agw_chain body;
    *ret_final = false;
    leg->resumable |= f->has_id && !x->modern;
    if (f->text.n == 0) {
        if (!is_joined(x) && !x->modern)
            take_primer(leg, f, get_stream);
        return 0;
    }
    int rc = agw_mcp_read_frame(leg, f, ret_message);
    if (rc != 0)
        return rc;
    if (!get_stream && is_answer(x, ret_message)) {
        *ret_final = true;
        return 0;
    }
    /* Before the session exists the client could not answer, nor tell whose message this is. */
    if (x->method->way == AGW_MCP_WAY_INITIALIZE)
        return 0;
    if (x->modern && ret_message->kind == AGW_JSONRPC_REQUEST)
        return AGW_EPROTO; /* servers of 2026-07-28 ask by a result */
    flush_primer(leg);
    if ((rc = agw_mcp_edited(leg, f, ret_message, &body)) == 0)
        agw_mcp_reply_event(x, &body, is_joined(x) || x->modern ? NULL : f, leg->target, get_stream);
    return rc;
}

void agw_mcp_keep_error(struct agw_mcp_leg *leg, struct agw_chain *data)
{
    struct agw_mcp_failure *f = &leg->failure;
    size_t room = AGW_MCP_ERROR_MAX - f->body.bytes;
    (void)agw_chain_move_n(&f->body, data, data->bytes < room ? data->bytes : room);
}

void agw_mcp_throttle(struct agw_mcp_exchange *x)
{
    if (!x->down || !x->legs || agw_stream_pending(x->down) <= AGW_STREAM_HIGH)
        return;
    agw_mcp_each_leg(x, leg) agw_mcp_call_pause(&leg->call);
}

/* --- one request --- */

/* The call is of no use any more: the client hears why. */
static void relay_broken(struct agw_mcp_leg *leg, int code)
{
    struct agw_mcp_exchange *x = leg->x;
    leg->failure.code = code;
    agw_mcp_reply_failure(x, leg);
}

/* The answer is too large to be held: it is edited as it passes, so its length is not known. */
static void begin_passage(struct agw_mcp_leg *leg)
{
    struct agw_mcp_exchange *x = leg->x;
    struct agw_msg head = *leg->call.response;
    leg->passage = agw_arena_alloc(&x->arena, sizeof *leg->passage);
    if (!leg->passage) {
        relay_broken(leg, AGW_ENOMEM);
        return;
    }
    agw_mcp_passage_init(leg->passage, x->conf, leg->target,
                         agw_str_eq(x->method->name, AGW_STR("resources/read")));
    head.length = AGW_LENGTH_UNKNOWN;
    agw_mcp_reply_raw_head(x, &head, false);
}

static void relay_head(struct agw_mcp_call *c)
{
    struct agw_mcp_leg *leg = AGW_MCP_LEG(c);
    if (c->large)
        begin_passage(leg);
    if (c->large || c->form != AGW_MCP_FORM_RAW)
        return;
    if (c->response->status > 299)
        agw_mcp_doubt_era(leg, c->response->status);
    agw_mcp_reply_raw_head(leg->x, c->response, false);
}

static void relay_frame(struct agw_mcp_call *c, const struct agw_mcp_frame *f)
{
    struct agw_mcp_leg *leg = AGW_MCP_LEG(c);
    struct agw_jsonrpc message;
    struct agw_chain body;
    bool final;
    int rc = agw_mcp_pass(leg, f, false, &message, &final);
    if (rc == 0 && final) {
        leg->answered = true;
        if (message.kind == AGW_JSONRPC_RESULT)
            agw_mcp_keep_list(leg, &leg->x->m->scratch, message.result);
        rc = agw_mcp_edited(leg, f, &message, &body);
        if (rc == 0) {
            agw_mcp_reply_message(leg->x, &body);
            agw_chain_clear(&body);
        }
    }
    if (rc != 0)
        relay_broken(leg, rc);
}

/* |data| NULL: that was all. */
static int pass_on(struct agw_mcp_leg *leg, struct agw_chain *data)
{
    struct agw_chain out;
    agw_chain_init(&out);
    int rc = data ? agw_mcp_passage_feed(leg->passage, data, &out) : agw_mcp_passage_end(leg->passage, &out);
    if (rc == 0 && !agw_chain_empty(&out))
        agw_mcp_reply_bytes(leg->x, &out);
    agw_chain_clear(&out);
    return rc;
}

static void relay_bytes(struct agw_mcp_call *c, struct agw_chain *data)
{
    struct agw_mcp_leg *leg = AGW_MCP_LEG(c);
    int rc = 0;
    if (leg->passage)
        rc = pass_on(leg, data);
    else
        agw_mcp_reply_bytes(leg->x, data);
    if (rc != 0)
        relay_broken(leg, rc);
}

static void relay_done(struct agw_mcp_call *c, int code)
{
    struct agw_mcp_leg *leg = AGW_MCP_LEG(c);
    struct agw_mcp_exchange *x = leg->x;
    if (!agw_mcp_leg_over(leg))
        return;
    if (code == 0)
        flush_primer(leg);
    if (code == 0 && leg->passage)
        code = pass_on(leg, NULL);
    if (code != 0)
        relay_broken(leg, code);
    else if (x->out == AGW_MCP_OUT_RAW || (x->out == AGW_MCP_OUT_EVENTS && leg->resumable))
        agw_mcp_reply_end(x); /* with an event id at hand the client resumes by GET */
    else if (c->form == AGW_MCP_FORM_EMPTY && x->out == AGW_MCP_OUT_NONE && x->id.n == 0)
        agw_mcp_reply_status(x, c->response->status);
    else
        relay_broken(leg, AGW_EPROTO);
}

static const struct agw_mcp_call_ops relay_ops = {relay_head, relay_frame, relay_bytes, relay_done};

void agw_mcp_relay(struct agw_mcp_exchange *x, uint32_t target, struct agw_chain *body)
{
    struct agw_mcp_leg *leg = agw_mcp_make_leg(x, target);
    if (!leg) {
        agw_mcp_reply_error(x, 500, AGW_JSONRPC_INTERNAL, AGW_STR("out of memory"));
        return;
    }
    x->report.target = x->conf->targets[target].name;
    leg->answered = false;
    leg->own_method = agw_str(NULL, 0);
    leg->skip = 0;
    x->finish = NULL;
    /* Events of a search for the owner may be out already; then the answer has to be one as well. */
    if (x->method->way != AGW_MCP_WAY_LIST)
        leg->ticket = NULL;
    bool edited = agw_mcp_result_edited(x->conf, x->method);
    leg->raw_json = x->out == AGW_MCP_OUT_NONE && !edited && !leg->ticket;
    bool passes = edited && x->method->way != AGW_MCP_WAY_TASK; /* a passage knows of URIs alone */
    leg->raw_from = x->out == AGW_MCP_OUT_NONE && passes ? AGW_MCP_PASSAGE_MIN : 0;
    leg->to_head = true;
    agw_mcp_start_leg(leg, &relay_ops, AGW_METHOD_POST, body, x->timeout_ms);
}

/* --- GET --- */

static bool is_status(const struct agw_mcp_leg *leg, int status)
{
    return leg->failure.response && leg->failure.response->status == status;
}

static void listen_head(struct agw_mcp_call *c)
{
    struct agw_mcp_leg *leg = AGW_MCP_LEG(c);
    if (c->form == AGW_MCP_FORM_EVENTS) {
        agw_mcp_watch_lists(leg);
        agw_mcp_reply_events(leg->x);
        return;
    }
    leg->failure.set = true;
    leg->failure.response = c->response;
}

static void listen_frame(struct agw_mcp_call *c, const struct agw_mcp_frame *f)
{
    struct agw_mcp_leg *leg = AGW_MCP_LEG(c);
    struct agw_jsonrpc message;
    bool final;
    if (f->has_id && f->id.n)
        remember_id(leg, f->id);
    /* What cannot be read cannot be told apart from the other targets' messages: it is left out. */
    (void)agw_mcp_pass(leg, f, true, &message, &final);
}

static void listen_bytes(struct agw_mcp_call *c, struct agw_chain *data)
{
    agw_mcp_keep_error(AGW_MCP_LEG(c), data);
}

/* No target gives a stream: an expired session first, then whatever is no plain refusal, then 405. */
static void reply_no_stream(struct agw_mcp_exchange *x)
{
    struct agw_mcp_leg *pick = NULL;
    for (uint32_t i = 0; i < x->conf->count; i++) {
        struct agw_mcp_leg *leg = &x->legs[i];
        if (!leg->failure.set)
            continue;
        if (!pick || is_status(leg, 404) || (is_status(pick, 405) && !is_status(leg, 405)))
            pick = leg;
        if (is_status(pick, 404))
            break;
    }
    if (!pick || is_status(pick, 405))
        agw_mcp_reply_status(x, 405);
    else
        agw_mcp_reply_failure(x, pick);
}

static void listen_done(struct agw_mcp_call *c, int code)
{
    struct agw_mcp_leg *leg = AGW_MCP_LEG(c);
    struct agw_mcp_exchange *x = leg->x;
    agw_mcp_unwatch_lists(leg);
    if (!agw_mcp_leg_over(leg))
        return;
    if (code != 0 && x->out == AGW_MCP_OUT_NONE) {
        leg->failure.set = true;
        leg->failure.code = code;
    }
    if (x->running > 0)
        return;
    if (x->out == AGW_MCP_OUT_EVENTS)
        agw_mcp_reply_end(x);
    else
        reply_no_stream(x);
}

static const struct agw_mcp_call_ops listen_ops = {listen_head, listen_frame, listen_bytes, listen_done};

static void start_listening(struct agw_mcp_leg *leg)
{
    agw_mcp_start_leg(leg, &listen_ops, AGW_METHOD_GET, NULL, 0);
}

/* Some servers send the head with the first event, hours later; a refusal comes at once. So silence is
 * consent. */
static void on_silence(struct agw_timer *t)
{
    agw_mcp_reply_events(agw_container_of(t, struct agw_mcp_exchange, keepalive));
}

void agw_mcp_listen(struct agw_mcp_exchange *x)
{
    struct agw_str last = agw_headers_value(&x->req->headers, AGW_HDR_LAST_EVENT_ID), id = {0};
    uint32_t target = 0;
    bool get_stream = true,
         resumes = last.n && agw_mcp_event_id(last, x->conf->count, &target, &get_stream, &id);
    if (agw_mcp_make_legs(x) != 0) {
        agw_mcp_reply_error(x, 500, AGW_JSONRPC_INTERNAL, AGW_STR("out of memory"));
        return;
    }
    for (uint32_t i = 0; i < x->conf->count; i++) {
        bool owner = resumes && i == target;
        if (!x->session.peers[i].present || (resumes && !get_stream && !owner))
            continue;
        if (owner)
            remember_id(&x->legs[i], id);
        start_listening(&x->legs[i]);
    }
    if (x->running == 0) {
        agw_mcp_reply_status(x, 405);
        return;
    }
    agw_timer_init(&x->keepalive, on_silence);
    agw_timer_set(&x->m->loop->timers, &x->keepalive, x->m->loop->now_ms + AGW_MCP_SILENCE_MS);
}

void agw_mcp_listen_again(struct agw_mcp_exchange *x)
{
    if (x->subscription)
        agw_mcp_subscribe_again(x);
    if (!x->req || x->req->method != AGW_METHOD_GET || !x->legs)
        return;
    for (uint32_t i = 0; i < x->conf->count; i++) {
        struct agw_mcp_leg *leg = &x->legs[i];
        if (!leg->used || leg->failure.set || agw_mcp_leg_busy(leg))
            continue;
        leg->again = true;
        start_listening(leg);
    }
}
