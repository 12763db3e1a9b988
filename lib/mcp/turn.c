/* A message that is handled as if a client of Streamable HTTP had sent it: a stream of our own making, handed
 * to agw_mcp_handle, whose answer goes out as events of another exchange. So whatever the endpoint can do,
 * those get whose messages come in another way: over HTTP+SSE (legacy.c), or several in one (batch.c). */
#include <stdlib.h>
#include "mcp/exchange.h"

#define FIRST_ARENA 2048

enum form { FORM_NONE, FORM_JSON, FORM_EVENTS, FORM_ERROR };

struct turn {
    struct agw_stream stream; /* first */
    struct agw_mcp_turns *all;
    struct agw_list node;
    struct agw_arena arena;
    struct agw_msg req;
    struct agw_str id; /* JSON of the request's; empty: none */
    enum form form;
    int status;
    struct agw_chain json;
    struct agw_sse sse;
    bool gone; /* nobody is to be told of the end */
    struct agw_task end;
};

static const struct agw_sse_limits sse_limits = {.event = AGW_MCP_MESSAGE_MAX,
                                                 .field = AGW_MCP_EVENT_ID_MAX + 24};

static void free_turn(struct turn *t)
{
    t->all->count--;
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
    struct agw_mcp_turns *all = t->all;
    enum agw_method method = t->req.method;
    int status = t->status;
    if (!t->gone)
        t->stream.events->on_close(&t->stream, 0);
    free_turn(t);
    all->ops->on_over(all, method, status);
}

static void over(struct turn *t, bool gone)
{
    t->gone = gone;
    agw_loop_defer(t->all->x->m->loop, &t->end);
}

static void emit(struct turn *t, struct agw_chain *message)
{
    if (agw_mcp_reply_events(t->all->x))
        agw_mcp_reply_event(t->all->x, message, NULL, 0, false);
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
    struct agw_mcp *m = t->all->x->m;
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
    over(t, false);
    return rc;
}

static int turn_head(struct agw_stream *s, const struct agw_msg *m, bool end)
{
    struct turn *t = (struct turn *)s;
    int rc = t->all->ops->on_head ? t->all->ops->on_head(t->all, m) : 0;
    t->status = m->status;
    t->form = form_of(m, end);
    return rc == 0 && end ? answer_over(t) : rc;
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
                rc = agw_chain_copy(&message, &t->all->x->m->loop->blocks, e.data.p, e.data.n);
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
    return t->all->x->down ? agw_stream_pending(t->all->x->down) : 0;
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

static int make_request(struct turn *t, const struct agw_mcp_turn_request *r, size_t length)
{
    struct agw_msg *m = &t->req;
    int rc = agw_msg_copy(m, r->from, &t->arena);
    if (rc != 0)
        return rc;
    m->method = r->text.p ? AGW_METHOD_POST : AGW_METHOD_GET;
    m->method_text = agw_method_name(m->method);
    m->path = AGW_STR("/mcp");
    m->length = (int64_t)length;
    agw_headers_remove_id(&m->headers, AGW_HDR_LAST_EVENT_ID);
    rc = agw_headers_set_id(&m->headers, AGW_HDR_ACCEPT, AGW_STR("application/json, text/event-stream"));
    if (rc == 0 && r->session.n)
        rc = agw_headers_set_id(&m->headers, AGW_HDR_MCP_SESSION_ID, r->session);
    return rc;
}

void agw_mcp_turns_init(struct agw_mcp_turns *all, struct agw_mcp_exchange *x,
                        const struct agw_mcp_turn_ops *ops)
{
    *all = (struct agw_mcp_turns){.x = x, .ops = ops};
    agw_list_init(&all->list);
}

int agw_mcp_turn_start(struct agw_mcp_turns *all, const struct agw_mcp_turn_request *r)
{
    struct agw_mcp_exchange *x = all->x;
    struct agw_chain data;
    /* Whoever asks was looked at before; what it may do is what may be told to the stream's own client. */
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
    t->all = all;
    agw_list_push(&all->list, &t->node);
    all->count++;
    t->id = agw_arena_str(&t->arena, r->id);
    int rc = t->id.p ? 0 : AGW_ENOMEM;
    if (rc == 0 && r->text.p)
        rc = agw_chain_add(&data, r->body, (const unsigned char *)r->text.p, r->text.n);
    if (rc == 0)
        rc = make_request(t, r, data.bytes);
    if (rc == 0)
        rc = agw_mcp_handle(x->m, x->backend, x->snap, &t->stream, &t->req, &data, true, &client);
    agw_chain_clear(&data);
    if (rc != 0)
        free_turn(t);
    return rc;
}

void agw_mcp_turns_drain(struct agw_mcp_turns *all)
{
    struct agw_list *node, *tmp;
    agw_list_each (node, tmp, &all->list) {
        struct turn *t = agw_list_entry(node, struct turn, node);
        if (agw_list_empty(&t->end.node))
            t->stream.events->on_drain(&t->stream);
    }
}

void agw_mcp_turns_close(struct agw_mcp_turns *all, bool silent)
{
    struct agw_list *node;
    while ((node = all->list.next) != &all->list) {
        struct turn *t = agw_list_entry(node, struct turn, node);
        struct agw_mcp_exchange *asking = t->stream.owner;
        if (silent && !t->gone)
            asking->down = NULL;
        else if (!t->gone)
            t->stream.events->on_close(&t->stream, AGW_ERESET);
        free_turn(t);
    }
}
