/* The client's request: read, checked, and sent on its way. */
#include "mcp/handler.h"

#include <stdlib.h>
#include "base/check.h"
#include "base/clock.h"
#include "mcp/exchange.h"
#include "mcp/message/names.h"

#define FIRST_ARENA 4096 /* an idle stream fits: a second block would be twice as large */
#define LEG_ARENA 1024

struct agw_mcp *agw_mcp_new(struct agw_loop *loop, struct agw_client *client, struct agw_metrics *metrics,
                            const unsigned char session_key[AGW_SEAL_KEY_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    char hex[2 * AGW_SEAL_KEY_SIZE];
    struct agw_mcp *m = calloc(1, sizeof *m);
    if (!m)
        return NULL;
    for (size_t i = 0; i < AGW_SEAL_KEY_SIZE; i++) {
        hex[2 * i] = digits[session_key[i] >> 4];
        hex[2 * i + 1] = digits[session_key[i] & 15];
    }
    m->seal = agw_seal_new(agw_str(hex, sizeof hex), NULL);
    m->transports = agw_mcp_transports_new(loop, client);
    m->lists = agw_mcp_lists_new(AGW_MCP_LISTS_BYTES);
    m->circuits = agw_mcp_circuits_new();
    if (!m->seal || !m->transports || !m->lists || !m->circuits) {
        agw_mcp_transports_free(m->transports);
        agw_mcp_lists_free(m->lists);
        agw_mcp_circuits_free(m->circuits);
        agw_seal_free(m->seal);
        free(m);
        return NULL;
    }
    agw_mcp_transports_belong(m->transports, m);
    m->loop = loop;
    m->metrics = metrics;
    m->body_max = AGW_MCP_BODY_MAX;
    (void)agw_mcp_configure(m, &(struct agw_mcp_settings){0});
    agw_list_init(&m->exchanges);
    agw_json_doc_init(&m->scratch, 0);
    agw_arena_init(&m->scratch_arena, FIRST_ARENA, 0);
    return m;
}

void agw_mcp_balance(struct agw_mcp *m, struct agw_balancer *balancer)
{
    agw_mcp_transports_balance(m->transports, balancer);
}

int agw_mcp_configure(struct agw_mcp *m, const struct agw_mcp_settings *settings)
{
    int rc = 0;
    m->settings = *settings;
    if (m->settings.fanout_ms == 0)
        m->settings.fanout_ms = AGW_MCP_FANOUT_MS;
    for (unsigned i = 0; rc == 0 && i < settings->old_key_count; i++)
        rc = agw_seal_accept(m->seal, settings->old_keys + i * (size_t)AGW_SEAL_KEY_SIZE);
    return rc;
}

void agw_mcp_join(struct agw_mcp *m, struct agw_mcp_hub *hub)
{
    agw_mcp_transports_join(m->transports, hub);
}

unsigned agw_mcp_active(const struct agw_mcp *m)
{
    return m->active;
}

/* --- the life of an exchange --- */

static void free_pages(struct agw_mcp_leg *leg)
{
    for (struct agw_mcp_page *p = leg->pages; p; p = p->next) {
        agw_mcp_listing_unref(p->listing);
        if (!p->listing)
            agw_json_doc_free(&p->doc);
        agw_block_unref(p->block);
    }
    leg->pages = NULL;
}

static void stop_timers(struct agw_mcp_exchange *x)
{
    agw_timer_cancel(&x->m->loop->timers, &x->keepalive);
    agw_timer_cancel(&x->m->loop->timers, &x->deadline);
}

static void free_exchange(struct agw_mcp_exchange *x)
{
    agw_mcp_legacy_close(x, true);
    agw_mcp_batch_close(x, true);
    agw_mcp_slots_remove(&x->m->posts, x->post);
    agw_mcp_each_leg(x, leg)
    {
        if (leg->cross)
            x->m->bridge->release(leg);
        agw_mcp_call_cancel(&leg->call);
        agw_mcp_unwatch_lists(leg);
        if (leg->passage)
            agw_mcp_passage_free(leg->passage);
        agw_chain_clear(&leg->failure.body);
        agw_arena_free(&leg->arena);
        free_pages(leg);
    }
    stop_timers(x);
    agw_task_cancel(&x->reap);
    agw_task_cancel(&x->abort);
    agw_chain_clear(&x->body);
    agw_json_doc_free(&x->doc);
    agw_block_unref(x->block);
    agw_list_remove(&x->node);
    x->m->active--;
    if (x->snap)
        agw_snapshot_unpin(x->snap, x->m->loop->index);
    agw_arena_free(&x->arena);
    free(x);
}

static void reap(struct agw_task *t)
{
    free_exchange(agw_container_of(t, struct agw_mcp_exchange, reap));
}

/* The report comes first: the stream's memory goes with the reset, and with it the caller's. */
static void run_abort(struct agw_task *t)
{
    struct agw_mcp_exchange *x = agw_container_of(t, struct agw_mcp_exchange, abort);
    struct agw_stream *s = x->down;
    if (!s)
        return;
    x->down = NULL;
    agw_mcp_exchange_close(x, x->abort_code);
    if (x->abort_code)
        agw_stream_reset(s, x->abort_code);
    else
        agw_stream_detach(s);
}

void agw_mcp_abort(struct agw_mcp_exchange *x, int code)
{
    x->out = AGW_MCP_OUT_ENDED;
    x->abort_code = code;
    stop_timers(x);
    agw_mcp_let_go(x);
    if (x->down)
        agw_loop_defer(x->m->loop, &x->abort);
}

void agw_mcp_free(struct agw_mcp *m)
{
    struct agw_list *node;
    if (!m)
        return;
    m->ending = true;
    while ((node = m->exchanges.next) != &m->exchanges) {
        struct agw_mcp_exchange *x = agw_list_entry(node, struct agw_mcp_exchange, node);
        if (x->down)
            agw_stream_reset(x->down, AGW_ECANCELED);
        free_exchange(x);
    }
    if (m->bridge)
        m->bridge->free(m);
    agw_mcp_slots_free(&m->legacy);
    agw_mcp_slots_free(&m->posts);
    agw_json_doc_free(&m->scratch);
    agw_arena_free(&m->scratch_arena);
    agw_seal_free(m->seal);
    agw_mcp_lists_free(m->lists);
    agw_mcp_circuits_free(m->circuits);
    agw_mcp_transports_free(m->transports);
    free(m);
}

static void on_deadline(struct agw_timer *t)
{
    struct agw_mcp_exchange *x = agw_container_of(t, struct agw_mcp_exchange, deadline);
    agw_mcp_note_impatience(x);
    if (x->out == AGW_MCP_OUT_NONE)
        agw_mcp_reply_error(x, 504, AGW_JSONRPC_INTERNAL, AGW_STR("request timeout"));
    else if (x->out != AGW_MCP_OUT_ENDED)
        agw_mcp_abort(x, AGW_ETIMEOUT);
}

void agw_mcp_set_deadline(struct agw_stream *s, uint32_t ms)
{
    struct agw_mcp_exchange *x = s->owner;
    if (x->out != AGW_MCP_OUT_ENDED)
        agw_timer_set(&x->m->loop->timers, &x->deadline, x->m->loop->now_ms + ms);
}

struct agw_mcp_exchange *agw_mcp_exchange_new(struct agw_mcp *m, const struct agw_backend *b,
                                              struct agw_snapshot *snap)
{
    struct agw_mcp_exchange *x = calloc(1, sizeof *x);
    if (!x)
        return NULL;
    x->m = m;
    x->body_max = m->body_max;
    x->backend = b;
    x->conf = b->mcp;
    x->snap = snap;
    if (snap)
        agw_snapshot_pin(snap, m->loop->index);
    x->method = agw_mcp_method_find(agw_str(NULL, 0));
    agw_arena_init(&x->arena, FIRST_ARENA, 0);
    agw_chain_init(&x->body);
    agw_json_doc_init(&x->doc, 0);
    agw_timer_init(&x->keepalive, NULL);
    agw_timer_init(&x->deadline, on_deadline);
    agw_task_init(&x->reap, reap);
    agw_task_init(&x->abort, run_abort);
    agw_list_push(&m->exchanges, &x->node);
    m->active++;
    return x;
}

int agw_mcp_act_for(struct agw_mcp_exchange *c, const struct agw_mcp_exchange *x)
{
    c->req = agw_arena_alloc(&c->arena, sizeof *c->req);
    c->client.auth = x->client.auth;
    c->client.token = agw_arena_str(&c->arena, x->client.token);
    return c->req && c->client.token.p ? agw_msg_copy(c->req, x->req, &c->arena) : AGW_ENOMEM;
}

static void reap_if_over(struct agw_mcp_exchange *x)
{
    if (x->closed && x->running == 0)
        agw_loop_defer(x->m->loop, &x->reap);
}

void agw_mcp_let_go(struct agw_mcp_exchange *x)
{
    agw_mcp_each_leg(x, leg)
    {
        agw_mcp_unwatch_lists(leg);
        if (!agw_mcp_leg_busy(leg))
            continue;
        if (leg->parked)
            continue;
        if (leg->answered) {
            agw_mcp_call_linger(&leg->call, AGW_MCP_LINGER_MS);
        } else {
            if (leg->cross)
                x->m->bridge->cancel(leg);
            agw_mcp_call_cancel(&leg->call);
            x->running--;
        }
    }
}

bool agw_mcp_leg_over(struct agw_mcp_leg *leg)
{
    struct agw_mcp_exchange *x = leg->x;
    x->running--;
    reap_if_over(x);
    return !x->closed && x->out != AGW_MCP_OUT_ENDED;
}

static void count_pages(struct agw_mcp_exchange *x, struct agw_str result, uint32_t n)
{
    struct agw_str labels[] = {x->backend->name, result};
    if (x->m->metrics && n > 0)
        agw_metric_add(agw_metrics_get(x->m->metrics, AGW_METRIC_MCP_LISTS, labels), n);
}

static void count_metrics(struct agw_mcp_exchange *x)
{
    struct agw_str method = x->method->name.n ? x->method->name : AGW_STR("other");
    if (x->m->metrics && x->message.method.n && !x->old) /* the turn of an old one is counted */
        agw_metrics_mcp(x->m->metrics, x->backend->name, method, x->report.target);
    count_pages(x, AGW_STR("kept"), x->kept);
    count_pages(x, AGW_STR("asked"), x->asked);
}

void agw_mcp_exchange_close(struct agw_mcp_exchange *x, int code)
{
    if (x->closed)
        return;
    x->closed = true;
    stop_timers(x);
    agw_mcp_legacy_close(x, false);
    agw_mcp_batch_close(x, false);
    agw_mcp_note_impatience(x);
    agw_mcp_let_go(x);
    if (!x->joined && x->method->way == AGW_MCP_WAY_INITIALIZE)
        agw_mcp_abandon_session(x);
    x->report.close_code = code;
    x->report.method = x->message.method;
    count_metrics(x);
    if (x->client.hooks && x->client.hooks->on_done)
        x->client.hooks->on_done(x->client.ctx, &x->report);
    reap_if_over(x);
}

static int make_legs(struct agw_mcp_exchange *x, uint32_t first, uint32_t count)
{
    struct agw_mcp_leg *legs = agw_arena_zalloc(&x->arena, count * sizeof *legs);
    if (!legs)
        return AGW_ENOMEM;
    for (uint32_t i = 0; i < count; i++) {
        struct agw_mcp_leg *leg = &legs[i];
        leg->x = x;
        leg->target = first + i;
        leg->pages_end = &leg->pages;
        agw_chain_init(&leg->failure.body);
        agw_arena_init(&leg->arena, LEG_ARENA, 0);
    }
    x->legs = legs;
    x->leg_count = count;
    return 0;
}

int agw_mcp_make_legs(struct agw_mcp_exchange *x)
{
    return x->legs || x->conf->count == 0 ? 0 : make_legs(x, 0, x->conf->count);
}

struct agw_mcp_leg *agw_mcp_make_leg(struct agw_mcp_exchange *x, uint32_t target)
{
    if (!x->legs && make_legs(x, target, 1) != 0)
        return NULL;
    return &x->legs[target - x->legs[0].target];
}

void agw_mcp_begin_call(struct agw_mcp_leg *leg, const struct agw_mcp_call_ops *ops, enum agw_method method,
                        struct agw_chain *body, uint32_t deadline_ms, int rc)
{
    struct agw_mcp_exchange *x = leg->x;
    const struct agw_mcp_peer *peer = agw_mcp_leg_peer(leg);
    struct agw_mcp_call_fields fields = {
        .method = method, .last_event_id = leg->last_id, .auth = x->client.auth, .token = x->client.token};
    if (peer) {
        fields.session = peer->sid;
        fields.version = agw_mcp_version_text(peer->version);
    }
    /* A stream that is opened again and again must not grow the exchange: the last call's memory serves. */
    struct agw_arena *arena = leg->again ? &leg->arena : &x->arena;
    if (leg->again)
        agw_arena_reset(arena);
    agw_mcp_call_init(&leg->call, ops, x->m->transports, arena, &x->conf->targets[leg->target],
                      peer ? peer->pin : 0);
    leg->call.raw_json = leg->raw_json;
    leg->call.snap = x->snap;
    leg->call.once = !leg->plain && method == AGW_METHOD_POST && !agw_mcp_may_repeat(x->message.method);
    leg->call.deadline_ms = deadline_ms;
    leg->call.deadline_to_head = leg->to_head;
    leg->call.raw_from = leg->raw_from;
    if (rc == 0 && body)
        rc = agw_chain_move(&leg->call.body, body);
    if (rc == 0 && peer && peer->version >= AGW_MCP_MODERN)
        rc = agw_mcp_standard_fields(leg, &fields);
    if (rc == 0)
        rc = agw_mcp_call_head(&leg->call, leg->from ? leg->from : x->req, &fields);
    agw_mcp_call_start(&leg->call, rc);
}

void agw_mcp_start_leg(struct agw_mcp_leg *leg, const struct agw_mcp_call_ops *ops, enum agw_method method,
                       struct agw_chain *body, uint32_t deadline_ms)
{
    leg->used = true;
    leg->x->running++;
    const struct agw_mcp_bridge *bridge = leg->x->m->bridge;
    int rc = leg->skip;
    if (rc == 0 && bridge)
        rc = bridge->cross(leg, ops, method, body, deadline_ms);
    if (rc <= 0)
        agw_mcp_begin_call(leg, ops, method, body, deadline_ms, rc);
}

int agw_mcp_request_body(struct agw_mcp_exchange *x, const struct agw_json_edits *edits,
                         struct agw_chain *ret_body)
{
    agw_chain_init(ret_body);
    return edits ? agw_json_edits_apply(edits, x->text, x->block, ret_body)
                 : agw_chain_add(ret_body, x->block, x->text.p, x->text.n);
}

/* --- where it goes --- */

void agw_mcp_relay_whole(struct agw_mcp_exchange *x, uint32_t target)
{
    struct agw_chain body;
    if (agw_mcp_request_body(x, NULL, &body) != 0)
        agw_mcp_reply_error(x, 500, AGW_JSONRPC_INTERNAL, AGW_STR("out of memory"));
    else
        agw_mcp_relay(x, target, &body);
    agw_chain_clear(&body);
}

static struct agw_str why_unroutable(struct agw_mcp_exchange *x, int rc, struct agw_str name)
{
    enum agw_mcp_way way = x->method->way;
    const char *what = x->method->cap == AGW_MCP_CAP_TOOLS     ? "tool"
                       : x->method->cap == AGW_MCP_CAP_PROMPTS ? "prompt"
                       : way == AGW_MCP_WAY_URI                ? "resource"
                       : way == AGW_MCP_WAY_TASK               ? "task"
                                                               : "reference";
    if (rc == AGW_EINVAL && way == AGW_MCP_WAY_REF)
        return AGW_STR("params.ref must name a prompt or a resource");
    return rc == AGW_EINVAL ? agw_arena_printf(&x->arena, "params.%.*s must be one string",
                                               AGW_STRF(agw_mcp_method_member(x->method)))
                            : agw_arena_printf(&x->arena, "Unknown %s: %.*s", what, AGW_STRF(name));
}

static void reply_unroutable(struct agw_mcp_exchange *x, int rc, struct agw_str name)
{
    struct agw_str text = rc == AGW_ENOMEM ? AGW_STR("out of memory") : why_unroutable(x, rc, name);
    if (rc == AGW_ENOMEM)
        agw_mcp_reply_error(x, 500, AGW_JSONRPC_INTERNAL, text);
    else
        agw_mcp_reply_error(x, 200, AGW_JSONRPC_INVALID_PARAMS, text.p ? text : AGW_STR("unknown name"));
}

/* What the client called it, for the message. */
static struct agw_str asked_name(struct agw_mcp_exchange *x)
{
    struct agw_str name = {0};
    uint32_t params = x->message.params;
    uint32_t token = params ? agw_json_get(&x->doc, params, agw_mcp_method_member(x->method)) : 0;
    if (token != 0)
        (void)agw_json_unescape(&x->doc, token, &x->arena, &name);
    return name;
}

void agw_mcp_route_one(struct agw_mcp_exchange *x)
{
    struct agw_json_edits edits;
    struct agw_chain body;
    uint32_t target;
    bool tool = x->method->way == AGW_MCP_WAY_NAME && x->method->cap == AGW_MCP_CAP_TOOLS;
    if (x->conf->search && tool && !agw_mcp_own_call(x, asked_name(x)))
        return;
    agw_json_edits_init(&edits, &x->arena);
    int rc = agw_mcp_edit_up(x->conf, x->method, &x->doc, &x->message, &edits, &target, &x->report.name);
    if (rc == 0 && target != AGW_MCP_ANY &&
        !agw_mcp_may_ask(&x->client.rights, x->method, &x->doc, x->message.params,
                         x->conf->targets[target].name, x->report.name))
        rc = AGW_ENOTFOUND;
    if (rc == 0 && target == AGW_MCP_ANY) {
        agw_mcp_find_and_relay(x, x->report.name);
        return;
    }
    if (rc == 0 && !x->session.peers[target].present)
        rc = AGW_ENOTFOUND;
    if (rc != 0) {
        reply_unroutable(x, rc, asked_name(x));
        return;
    }
    if (agw_mcp_request_body(x, &edits, &body) != 0)
        agw_mcp_reply_error(x, 500, AGW_JSONRPC_INTERNAL, AGW_STR("out of memory"));
    else
        agw_mcp_relay(x, target, &body);
    agw_chain_clear(&body);
}

static void dispatch_request(struct agw_mcp_exchange *x)
{
    bool single = x->conf->count == 1;
    switch (x->method->way) {
    case AGW_MCP_WAY_INITIALIZE:
        return; /* came before there was a session */
    case AGW_MCP_WAY_LOCAL:
        agw_mcp_reply_empty(x);
        return;
    case AGW_MCP_WAY_LIST:
        if (agw_mcp_is_bare(x) && x->client.rights.count == 0)
            agw_mcp_list_whole(x);
        else
            agw_mcp_list(x);
        return;
    case AGW_MCP_WAY_ALL:
        if (single)
            agw_mcp_relay_whole(x, 0);
        else
            agw_mcp_all(x);
        return;
    case AGW_MCP_WAY_NAME:
    case AGW_MCP_WAY_URI:
    case AGW_MCP_WAY_REF:
    case AGW_MCP_WAY_TASK:
        agw_mcp_route_one(x);
        return;
    case AGW_MCP_WAY_DISCOVER:
    case AGW_MCP_WAY_LISTEN:
    case AGW_MCP_WAY_UNKNOWN:
        if (single)
            agw_mcp_relay_whole(x, 0);
        else
            agw_mcp_reply_error(x, 200, AGW_JSONRPC_METHOD_NOT_FOUND, AGW_STR("Method not found"));
        return;
    }
}

/* A notification, or the client's answer to a target's request. */
static void dispatch_message(struct agw_mcp_exchange *x)
{
    struct agw_json_edits edits;
    struct agw_chain body;
    uint32_t target = 0;
    int rc = 0;
    bool response = x->message.kind == AGW_JSONRPC_RESULT || x->message.kind == AGW_JSONRPC_ERROR;
    agw_json_edits_init(&edits, &x->arena);
    if (x->conf->count != 1)
        rc = agw_mcp_edit_back(x->conf, &x->doc, &x->message, &edits, &target);
    if (rc == 0)
        rc = agw_mcp_edit_related(x->conf, target, &x->doc, &x->message, &edits);
    if (rc == AGW_ENOTFOUND && !response) {
        agw_mcp_notify(x); /* ids and tokens of the client's own requests are unique over the targets */
        return;
    }
    if (rc == AGW_ENOTFOUND || (rc == 0 && !x->session.peers[target].present)) {
        agw_mcp_reply_error(x, 400, AGW_JSONRPC_INVALID_REQUEST,
                            AGW_STR("the answer's id is none of an open request"));
        return;
    }
    if (rc != 0 || agw_mcp_request_body(x, &edits, &body) != 0) {
        agw_mcp_reply_error(x, 500, AGW_JSONRPC_INTERNAL, AGW_STR("out of memory"));
        return;
    }
    agw_mcp_notify_one(x, target, &body);
    agw_chain_clear(&body);
}

/* The message is an array. */
static void begin_batch(struct agw_mcp_exchange *x)
{
    if (!agw_mcp_check_version(x))
        return;
    if (x->header_version > AGW_MCP_2025_03_26)
        agw_mcp_reply_error(x, 400, AGW_JSONRPC_INVALID_REQUEST,
                            AGW_STR("Invalid Request: batches are of revision 2025-03-26 alone"));
    else if (agw_mcp_load_session(x))
        agw_mcp_batch(x);
}

static bool read_message(struct agw_mcp_exchange *x)
{
    struct agw_error err = {0};
    int rc = agw_chain_flatten(&x->body, &x->block, &x->text);
    if (rc == 0)
        rc = agw_jsonrpc_read(&x->doc, x->text, &x->arena, &x->message, &err);
    if (rc == 0) {
        if (x->message.kind == AGW_JSONRPC_REQUEST)
            x->id = agw_json_text(&x->doc, x->message.id);
        if (x->message.method.n)
            x->method = agw_mcp_method_find(x->message.method);
        return true;
    }
    if (rc == AGW_EUNSUPPORTED && !x->old) {
        begin_batch(x);
        return false;
    }
    struct agw_str text =
        agw_arena_printf(&x->arena, "%s: %s", rc == AGW_EINVAL ? "Parse error" : "Invalid Request", err.text);
    if (rc == AGW_ENOMEM || !text.p)
        agw_mcp_reply_error(x, 500, AGW_JSONRPC_INTERNAL, AGW_STR("out of memory"));
    else
        agw_mcp_reply_error(x, 400, rc == AGW_EINVAL ? AGW_JSONRPC_PARSE : AGW_JSONRPC_INVALID_REQUEST, text);
    return false;
}

/* The body is here, also for what is refused: the connection can go on. */
static void dispatch_post(struct agw_mcp_exchange *x)
{
    if (!agw_mcp_check_types(x) || !read_message(x))
        return;
    if (!x->old && agw_mcp_is_modern(x)) {
        agw_mcp_modern(x);
    } else if (!agw_mcp_check_version(x)) {
        return;
    } else if (x->old) {
        agw_mcp_legacy_post(x);
    } else if (x->message.kind == AGW_JSONRPC_REQUEST && x->method->way == AGW_MCP_WAY_INITIALIZE) {
        agw_mcp_initialize(x);
    } else if (agw_mcp_load_session(x)) {
        if (x->message.kind == AGW_JSONRPC_REQUEST)
            dispatch_request(x);
        else
            dispatch_message(x);
    }
}

static void begin_post(struct agw_mcp_exchange *x)
{
    if (x->req->length > x->body_max)
        agw_mcp_reply_error(x, 413, AGW_JSONRPC_INVALID_REQUEST, AGW_STR("Message too large"));
    else if (x->body_done)
        dispatch_post(x);
}

static void end_session(struct agw_mcp_exchange *x)
{
    if (x->m->bridge)
        x->m->bridge->ended(x->m, x->req);
    agw_mcp_end_session(x);
}

static void begin_other(struct agw_mcp_exchange *x)
{
    bool get = x->req->method == AGW_METHOD_GET;
    if ((!get && x->req->method != AGW_METHOD_DELETE) || x->conf->stateless) {
        agw_mcp_reply_status(x, 405);
        return;
    }
    if (get && !agw_mcp_accepts(x->req, AGW_STR("text/event-stream"))) {
        agw_mcp_reply_error(x, 406, AGW_JSONRPC_SERVER,
                            AGW_STR("Not Acceptable: Client must accept text/event-stream"));
        return;
    }
    if (x->old && get) {
        agw_mcp_legacy_listen(x);
        return;
    }
    if (!agw_mcp_check_version(x))
        return;
    if (x->header_version >= AGW_MCP_MODERN || x->old)
        agw_mcp_reply_status(x, 405);
    else if (!agw_mcp_load_session(x))
        return;
    else if (get)
        agw_mcp_listen(x);
    else
        end_session(x);
}

/* --- the client's stream --- */

static void down_head(struct agw_stream *s, struct agw_msg *msg, bool end) {}

static bool take_body(struct agw_mcp_exchange *x, struct agw_chain *data)
{
    if (x->out != AGW_MCP_OUT_NONE) {
        x->dropped += data->bytes;
        return x->dropped <= x->body_max;
    }
    x->report.request_bytes += data->bytes;
    if (x->body.bytes + data->bytes > x->body_max) {
        agw_chain_clear(&x->body);
        agw_mcp_reply_error(x, 413, AGW_JSONRPC_INVALID_REQUEST, AGW_STR("Message too large"));
        return true;
    }
    return agw_chain_move(&x->body, data) == 0;
}

static void down_body(struct agw_stream *s, struct agw_chain *data)
{
    struct agw_mcp_exchange *x = s->owner;
    size_t n = data->bytes;
    if (take_body(x, data))
        agw_stream_consume(s, n);
    else
        agw_mcp_abort(x, AGW_ELIMIT);
}

static void down_end(struct agw_stream *s, struct agw_headers *trailers)
{
    struct agw_mcp_exchange *x = s->owner;
    x->body_done = true;
    if (x->out == AGW_MCP_OUT_NONE && x->req->method == AGW_METHOD_POST)
        dispatch_post(x);
}

static void down_drain(struct agw_stream *s)
{
    struct agw_mcp_exchange *x = s->owner;
    if (x->turns)
        agw_mcp_turns_drain(x->turns);
    agw_mcp_each_leg(x, leg) agw_mcp_call_resume(&leg->call);
}

static void down_close(struct agw_stream *s, int code)
{
    struct agw_mcp_exchange *x = s->owner;
    x->down = NULL;
    agw_mcp_exchange_close(x, code);
}

static const struct agw_stream_events down_events = {down_head, down_body, down_end, down_drain, down_close};

static void begin(struct agw_mcp_exchange *x)
{
    const char *refused = agw_mcp_origin_refused(x->conf, &x->client.origin, &x->req->headers);
    if (refused)
        agw_mcp_reply_error(x, 403, AGW_JSONRPC_SERVER, agw_str_c(refused));
    else if (x->conf->count == 0)
        agw_mcp_reply_error(x, 503, AGW_JSONRPC_INTERNAL, AGW_STR("the backend has no targets"));
    else if (x->req->method == AGW_METHOD_POST)
        begin_post(x);
    else
        begin_other(x);
}

void agw_mcp_body_max(struct agw_mcp *m, uint32_t max)
{
    m->body_max = max ? max : AGW_MCP_BODY_MAX;
}

int agw_mcp_handle(struct agw_mcp *m, const struct agw_backend *backend, struct agw_snapshot *snap,
                   struct agw_stream *s, struct agw_msg *req, struct agw_chain *early, bool end,
                   const struct agw_mcp_client *client)
{
    struct agw_mcp_exchange *x = agw_mcp_exchange_new(m, backend, snap);
    if (!x)
        return AGW_ENOMEM;
    x->down = s;
    x->req = req;
    x->old = agw_mcp_legacy_path(req);
    x->client = *client;
    x->body_done = end;
    s->owner = x;
    s->events = &down_events;
    if (early && early->bytes > 0 && !take_body(x, early))
        agw_mcp_abort(x, AGW_ENOMEM);
    else if (x->out == AGW_MCP_OUT_NONE)
        begin(x);
    return 0;
}
