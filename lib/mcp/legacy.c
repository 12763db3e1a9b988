/* Clients of 2024-11-05 (HTTP+SSE): GET /sse is a stream whose first event names where to post; what is
 * posted is answered 202, and its answer comes on the stream.
 *
 * The stream is an exchange that never asks a target itself. Each message posted becomes a turn: a stream of
 * our own making, handed to agw_mcp_handle as if a client of Streamable HTTP had sent it, whose answer goes
 * out as events. Another turn holds the GET stream of the session. So whatever the endpoint can do, these
 * clients get. A post may come in on any worker: it goes to the stream's as a letter (transport/hub.h). */
#include <stdlib.h>
#include "base/log.h"
#include "http/uri.h"
#include "mcp/exchange.h"
#include "mcp/transport/hub.h"

#define FIRST_ARENA 2048
#define LISTEN_AGAIN_MS 1000 /* a GET stream that ended: its target may be starting anew */

enum form { FORM_NONE, FORM_JSON, FORM_EVENTS, FORM_ERROR };

struct turn {
    struct agw_stream stream; /* first */
    struct agw_mcp_exchange *x;
    struct agw_list node;
    struct agw_arena arena;
    struct agw_msg req;
    struct agw_str id; /* JSON of the request's; empty: none */
    enum form form;
    int status;
    struct agw_chain json;
    struct agw_sse sse;
    bool listens, gone; /* gone: nobody is to be told of the end */
    struct agw_task end;
};

static const struct agw_sse_limits sse_limits = {.event = AGW_MCP_MESSAGE_MAX,
                                                 .field = AGW_MCP_EVENT_ID_MAX + 24};

/* --- turns --- */

static void free_turn(struct turn *t)
{
    t->x->legacy->count--;
    agw_list_remove(&t->node);
    agw_task_cancel(&t->end);
    agw_chain_clear(&t->json);
    agw_sse_free(&t->sse);
    agw_arena_free(&t->arena);
    free(t);
}

static void end_turn(struct agw_task *task)
{
    struct turn *t = agw_container_of(task, struct turn, end);
    struct agw_mcp_exchange *x = t->x;
    bool listened = t->listens && t->status == 200;
    if (!t->gone)
        t->stream.events->on_close(&t->stream, 0);
    free_turn(t);
    if (listened && x->down)
        agw_timer_set(&x->m->loop->timers, &x->legacy->listen, x->m->loop->now_ms + LISTEN_AGAIN_MS);
}

static void over(struct turn *t, bool gone)
{
    t->gone = gone;
    agw_loop_defer(t->x->m->loop, &t->end);
}

static void emit(struct turn *t, struct agw_chain *message)
{
    agw_mcp_reply_event(t->x, message, NULL, 0, false);
}

/* A target's own refusal has no JSON-RPC form: it gets one, if somebody waits for an answer. */
static int emit_error(struct turn *t)
{
    struct agw_json_writer w;
    struct agw_chain message;
    struct agw_str text = agw_arena_printf(&t->arena, "HTTP error %d", t->status);
    if (t->id.n == 0)
        return 0;
    agw_chain_init(&message);
    agw_json_writer_init(&w);
    agw_jsonrpc_write_error(&w, t->id, AGW_JSONRPC_INTERNAL, text.p ? text : AGW_STR("HTTP error"),
                            agw_str(NULL, 0));
    int rc = agw_json_writer_finish(&w, 0, &message);
    if (rc == 0)
        emit(t, &message);
    agw_chain_clear(&message);
    return rc;
}

static bool is_type(const struct agw_msg *m, struct agw_str want)
{
    struct agw_str rest = agw_headers_value(&m->headers, AGW_HDR_CONTENT_TYPE), type;
    return agw_str_split(&rest, ';', &type) && agw_str_ieq(type, want);
}

static enum form form_of(const struct agw_msg *m, bool end)
{
    if (m->status < 300 && is_type(m, AGW_STR("text/event-stream")))
        return FORM_EVENTS;
    if (!end && is_type(m, AGW_STR("application/json")))
        return FORM_JSON;
    return m->status < 300 ? FORM_NONE : FORM_ERROR;
}

/* An error that came with an HTTP status may be a JSON-RPC one, about the request, or whatever a target says.
 */
static bool is_answer(struct turn *t)
{
    struct agw_mcp *m = t->x->m;
    struct agw_jsonrpc message;
    char *text = agw_arena_alloc(&t->arena, t->json.bytes);
    if (!text || t->id.n == 0)
        return false;
    size_t n = agw_chain_peek(&t->json, text, t->json.bytes);
    return agw_jsonrpc_read(&m->scratch, agw_str(text, n), &t->arena, &message, NULL) == 0 &&
           message.kind == AGW_JSONRPC_ERROR && message.id != 0 &&
           agw_str_eq(agw_json_text(&m->scratch, message.id), t->id);
}

static int answer_over(struct turn *t)
{
    int rc = 0;
    if (t->form == FORM_JSON && t->status > 299 && !is_answer(t))
        t->form = FORM_ERROR;
    if (t->form == FORM_JSON)
        emit(t, &t->json);
    else if (t->form == FORM_ERROR)
        rc = emit_error(t);
    /* Only a new stream makes a new session. */
    if (t->status == 404 && t->x->legacy->session.n)
        agw_mcp_reply_end(t->x);
    over(t, false);
    return rc;
}

static void listen_soon(struct agw_mcp_exchange *x)
{
    agw_timer_set(&x->m->loop->timers, &x->legacy->listen, x->m->loop->now_ms);
}

static int turn_head(struct agw_stream *s, const struct agw_msg *m, bool end)
{
    struct turn *t = (struct turn *)s;
    struct agw_mcp_legacy *l = t->x->legacy;
    struct agw_str session = agw_headers_value(&m->headers, AGW_HDR_MCP_SESSION_ID);
    t->status = m->status;
    t->form = form_of(m, end);
    if (session.n && l->session.n == 0) {
        l->session = agw_arena_str(&t->x->arena, session);
        if (!l->session.p)
            return AGW_ENOMEM;
        listen_soon(t->x);
    }
    return end ? answer_over(t) : 0;
}

static int take_events(struct turn *t, struct agw_chain *data)
{
    for (uint32_t i = 0; i < data->count; i++) {
        const struct agw_slice *slice = agw_chain_at(data, i);
        size_t at = 0;
        while (at < slice->n) {
            struct agw_sse_event e;
            struct agw_chain message;
            size_t used = 0;
            int rc = agw_sse_next(&t->sse, slice->p + at, slice->n - at, &used, &e);
            if (rc == AGW_SSE_EVENT && e.data.n) {
                agw_chain_init(&message);
                rc = agw_chain_copy(&message, &t->x->m->loop->blocks, e.data.p, e.data.n);
                if (rc == 0)
                    emit(t, &message);
                agw_chain_clear(&message);
            }
            if (rc < 0)
                return rc;
            at += used;
        }
    }
    return 0;
}

static int turn_body(struct agw_stream *s, struct agw_chain *data)
{
    struct turn *t = (struct turn *)s;
    int rc = 0;
    if (t->form == FORM_EVENTS)
        rc = take_events(t, data);
    else if (t->form == FORM_JSON && t->json.bytes + data->bytes > AGW_MCP_MESSAGE_MAX)
        t->form = FORM_ERROR;
    else if (t->form == FORM_JSON)
        rc = agw_chain_move(&t->json, data);
    agw_chain_clear(data);
    return rc;
}

static int turn_end(struct agw_stream *s, const struct agw_headers *trailers)
{
    return answer_over((struct turn *)s);
}

static size_t turn_pending(const struct agw_stream *s)
{
    const struct turn *t = (const struct turn *)s;
    return t->x->down ? agw_stream_pending(t->x->down) : 0;
}

static void turn_consume(struct agw_stream *s, size_t n) {}

static void turn_reset(struct agw_stream *s, int code)
{
    over((struct turn *)s, true);
}

static void turn_detach(struct agw_stream *s)
{
    over((struct turn *)s, true);
}

static const struct agw_stream_ops turn_ops = {turn_head,    turn_body,  turn_end,   turn_pending,
                                               turn_consume, turn_reset, turn_detach};

static int make_request(struct turn *t, const struct agw_msg *from, enum agw_method method, size_t length)
{
    struct agw_msg *m = &t->req;
    int rc = agw_msg_copy(m, from, &t->arena);
    if (rc != 0)
        return rc;
    m->method = method;
    m->method_text = agw_method_name(method);
    m->path = AGW_STR("/mcp");
    m->length = (int64_t)length;
    agw_headers_remove_id(&m->headers, AGW_HDR_LAST_EVENT_ID);
    rc = agw_headers_set_id(&m->headers, AGW_HDR_ACCEPT, AGW_STR("application/json, text/event-stream"));
    if (rc == 0 && t->x->legacy->session.n)
        rc = agw_headers_set_id(&m->headers, AGW_HDR_MCP_SESSION_ID, t->x->legacy->session);
    return rc;
}

/* |body|: not taken. */
static int start_turn(struct agw_mcp_exchange *x, const struct agw_msg *from, struct agw_block *body,
                      struct agw_str id)
{
    struct agw_chain data;
    /* Whoever posted was looked at before; what it may do is what may be told to the stream's own client. */
    struct agw_mcp_client client = x->client;
    client.hooks = NULL;
    client.origin.allowed = true;
    struct turn *t = calloc(1, sizeof *t);
    if (!t)
        return AGW_ENOMEM;
    agw_arena_init(&t->arena, FIRST_ARENA, 0);
    agw_chain_init(&t->json);
    agw_chain_init(&data);
    agw_sse_init(&t->sse, &sse_limits);
    agw_task_init(&t->end, end_turn);
    t->stream = (struct agw_stream){.ops = &turn_ops, .arena = &t->arena};
    t->x = x;
    t->listens = !body;
    agw_list_push(&x->legacy->turns, &t->node);
    x->legacy->count++;
    t->id = agw_arena_str(&t->arena, id);
    int rc = t->id.p ? 0 : AGW_ENOMEM;
    if (rc == 0 && body)
        rc = agw_chain_add(&data, body, body->data, body->len);
    if (rc == 0)
        rc = make_request(t, from, body ? AGW_METHOD_POST : AGW_METHOD_GET, data.bytes);
    if (rc == 0)
        rc = agw_mcp_handle(x->m, x->backend, x->snap, &t->stream, &t->req, &data, true, &client);
    agw_chain_clear(&data);
    if (rc != 0)
        free_turn(t);
    return rc;
}

/* --- the stream --- */

static void on_listen(struct agw_timer *timer)
{
    struct agw_mcp_legacy *l = agw_container_of(timer, struct agw_mcp_legacy, listen);
    if (start_turn(l->x, l->x->req, NULL, AGW_STR("")) != 0)
        agw_mcp_abort(l->x, AGW_ENOMEM);
}

static struct agw_str context_of(const struct agw_mcp_exchange *x, struct agw_arena *arena)
{
    return agw_arena_printf(arena, "mcp sse %.*s", AGW_STRF(x->backend->key));
}

/* "?sessionId=...": by whatever path the client has reached us, it does so again. */
static int write_endpoint(struct agw_mcp_exchange *x)
{
    struct agw_mcp_legacy_name n = {agw_mcp_hub_mark(agw_mcp_transports_hub(x->m->transports)),
                                    x->m->loop->index, x->legacy->key};
    struct agw_str context = context_of(x, &x->arena);
    char *id = agw_arena_alloc(&x->arena, AGW_SEAL_SIZE(sizeof n));
    size_t size;
    if (!id || !context.p ||
        agw_seal_close(x->m->seal, agw_str((const char *)&n, sizeof n), context, id, &size) != 0)
        return AGW_ENOMEM;
    struct agw_str event =
        agw_arena_printf(&x->arena, "event: endpoint\ndata: ?sessionId=%.*s\n\n", (int)size, id);
    return event.p ? agw_mcp_reply_text(x, event) : AGW_ENOMEM;
}

void agw_mcp_legacy_listen(struct agw_mcp_exchange *x)
{
    struct agw_mcp_legacy *l = calloc(1, sizeof *l);
    if (!l || agw_mcp_slots_add(&x->m->legacy, x, AGW_MCP_LEGACY_MAX, &l->key) != 0) {
        free(l);
        agw_mcp_reply_status(x, 503);
        return;
    }
    x->legacy = l;
    l->x = x;
    agw_list_init(&l->turns);
    agw_timer_init(&l->listen, on_listen);
    if (agw_mcp_reply_events(x) && write_endpoint(x) != 0)
        agw_mcp_abort(x, AGW_ENOMEM);
}

void agw_mcp_legacy_drain(struct agw_mcp_exchange *x)
{
    struct agw_list *node, *tmp;
    agw_list_each (node, tmp, &x->legacy->turns) {
        struct turn *t = agw_list_entry(node, struct turn, node);
        if (agw_list_empty(&t->end.node))
            t->stream.events->on_drain(&t->stream);
    }
}

/* Nobody will answer for the session any more: the targets' go with it. */
static void end_session(struct agw_mcp_exchange *x)
{
    struct agw_mcp_exchange *c = agw_mcp_exchange_new(x->m, x->backend, x->snap);
    if (!c)
        return; /* the targets' own expiry must do */
    if (agw_mcp_act_for(c, x) != 0 ||
        agw_mcp_session_open(c->m->seal, c->backend, x->legacy->session, &c->arena, &c->session) != 0) {
        agw_mcp_exchange_close(c, AGW_ENOMEM);
        return;
    }
    c->timeout_ms = AGW_MCP_CLEANUP_MS;
    agw_mcp_end_session(c);
}

void agw_mcp_legacy_close(struct agw_mcp_exchange *x, bool silent)
{
    struct agw_mcp_legacy *l = x->legacy;
    struct agw_list *node;
    if (!l)
        return;
    agw_timer_cancel(&x->m->loop->timers, &l->listen);
    agw_mcp_slots_remove(&x->m->legacy, l->key);
    while ((node = l->turns.next) != &l->turns) {
        struct turn *t = agw_list_entry(node, struct turn, node);
        struct agw_mcp_exchange *asking = t->stream.owner;
        if (silent && !t->gone)
            asking->down = NULL;
        else if (!t->gone)
            t->stream.events->on_close(&t->stream, AGW_ERESET);
        free_turn(t);
    }
    if (!silent && l->session.n)
        end_session(x);
    x->legacy = NULL;
    free(l);
}

/* --- messages from other workers --- */

static void free_letter(struct agw_mcp_legacy_letter *letter)
{
    agw_block_unref(letter->body);
    agw_arena_free(&letter->arena);
    free(letter);
}

static int take_letter(struct agw_mcp *m, struct agw_mcp_legacy_letter *letter)
{
    struct agw_mcp_exchange *x = agw_mcp_slots_get(&m->legacy, letter->to.key);
    if (!x || x->closed || x->out != AGW_MCP_OUT_EVENTS)
        return 404;
    if (x->legacy->count >= AGW_MCP_LEGACY_TURNS_MAX)
        return 429;
    return start_turn(x, &letter->head, letter->body, letter->id) == 0 ? 202 : 503;
}

static void reply_deliver(struct agw_mcp_transports *t, struct agw_mcp_mail *mail)
{
    struct agw_mcp_legacy_letter *letter = (struct agw_mcp_legacy_letter *)mail;
    struct agw_mcp *m = t ? agw_mcp_transports_user(t) : NULL;
    struct agw_mcp_exchange *x = m ? agw_mcp_slots_get(&m->posts, letter->from_key) : NULL;
    if (x)
        agw_mcp_reply_status(x, letter->status);
    free_letter(letter);
}

/* The letter goes back with its outcome. */
static void letter_deliver(struct agw_mcp_transports *t, struct agw_mcp_mail *mail)
{
    struct agw_mcp_legacy_letter *letter = (struct agw_mcp_legacy_letter *)mail;
    if (!t) {
        free_letter(letter);
        return;
    }
    letter->status = take_letter(agw_mcp_transports_user(t), letter);
    agw_block_unref(letter->body); /* a turn may hold it: it stays on this worker */
    letter->body = NULL;
    letter->mail.deliver = reply_deliver;
    agw_mcp_hub_send(agw_mcp_transports_hub(t), letter->from, &letter->mail);
}

/* --- POST --- */

/* Whose session it is: AGW_ENOTFOUND: nobody's here. */
static int read_name(struct agw_mcp_exchange *x, struct agw_str id, struct agw_mcp_legacy_name *ret_name)
{
    struct agw_mcp_hub *hub = agw_mcp_transports_hub(x->m->transports);
    struct agw_str context = context_of(x, &x->arena);
    unsigned char *plain = agw_arena_alloc(&x->arena, id.n + 1);
    size_t n;
    if (!plain || !context.p)
        return AGW_ENOMEM;
    int rc = agw_seal_open(x->m->seal, id, context, plain, id.n + 1, &n);
    if (rc != 0 || n != sizeof *ret_name)
        return rc == AGW_ENOMEM ? rc : AGW_ENOTFOUND;
    memcpy(ret_name, plain, n);
    bool ours = ret_name->mark == agw_mcp_hub_mark(hub) && agw_mcp_hub_has(hub, ret_name->worker);
    return ours ? 0 : AGW_ENOTFOUND;
}

static struct agw_mcp_legacy_letter *write_letter(struct agw_mcp_exchange *x)
{
    struct agw_mcp_legacy_letter *letter = calloc(1, sizeof *letter);
    if (!letter)
        return NULL;
    agw_arena_init(&letter->arena, FIRST_ARENA, 0);
    letter->mail.deliver = letter_deliver;
    letter->from = x->m->loop->index;
    letter->body = agw_block_new(x->text.n);
    letter->id = agw_arena_str(&letter->arena, x->id);
    if (!letter->body || !letter->id.p || agw_msg_copy(&letter->head, x->req, &letter->arena) != 0) {
        free_letter(letter);
        return NULL;
    }
    memcpy(letter->body->data, x->text.p, x->text.n); /* a block is counted on its own worker alone */
    letter->body->len = (uint32_t)x->text.n;
    return letter;
}

void agw_mcp_legacy_post(struct agw_mcp_exchange *x)
{
    struct agw_str path, query, id = {0};
    struct agw_mcp_legacy_name name;
    bool has_query;
    agw_path_split(x->req->path, &path, &query, &has_query);
    if (!has_query || !agw_query_get(query, AGW_STR("sessionId"), &x->arena, &id) || id.n == 0) {
        agw_mcp_reply_error(x, 400, AGW_JSONRPC_SERVER, AGW_STR("Bad Request: sessionId is required"));
        return;
    }
    int rc = read_name(x, id, &name);
    struct agw_mcp_legacy_letter *letter = rc == 0 ? write_letter(x) : NULL;
    if (rc == 0 && (!letter || agw_mcp_slots_add(&x->m->posts, x, UINT32_MAX, &x->post) != 0))
        rc = AGW_ENOMEM;
    if (rc == 0) {
        letter->to = name;
        letter->from_key = x->post;
        agw_mcp_hub_send(agw_mcp_transports_hub(x->m->transports), name.worker, &letter->mail);
        return;
    }
    if (letter)
        free_letter(letter);
    if (rc == AGW_ENOTFOUND)
        agw_mcp_reply_error(x, 404, AGW_JSONRPC_SESSION, AGW_STR("Session not found"));
    else
        agw_mcp_reply_error(x, 500, AGW_JSONRPC_INTERNAL, AGW_STR("out of memory"));
}

bool agw_mcp_legacy_path(const struct agw_msg *req)
{
    struct agw_str path, query;
    bool has_query;
    agw_path_split(req->path, &path, &query, &has_query);
    return agw_str_eq(path, AGW_STR("/sse"));
}
