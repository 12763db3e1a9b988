#include "mcp/transport.h"

#include <string.h>
#include "balance/pick.h"
#include "base/check.h"

static const struct agw_sse_limits sse_limits = {
    .event = AGW_MCP_MESSAGE_MAX, .field = 1024, /* event ids are ours or short tokens */
};

/* --- ending --- */

static void release(struct agw_mcp_call *c)
{
    agw_timer_cancel(&c->loop->timers, &c->timer);
    agw_task_cancel(&c->failed);
    agw_chain_clear(&c->body);
    agw_chain_clear(&c->input);
    agw_sse_free(&c->sse);
    c->running = false;
}

static void finish(struct agw_mcp_call *c, int code)
{
    if (!c->running)
        return;
    c->stream = NULL;
    release(c);
    c->ops->on_done(c, code);
}

/* Gives up on the answer from our side. */
static void break_off(struct agw_mcp_call *c, int code)
{
    if (c->stream)
        agw_stream_reset(c->stream, AGW_ECANCELED);
    finish(c, code);
}

void agw_mcp_call_cancel(struct agw_mcp_call *c)
{
    if (!c->running)
        return;
    if (c->stream)
        agw_stream_reset(c->stream, AGW_ECANCELED);
    c->stream = NULL;
    release(c);
}

static void on_deadline(struct agw_timer *t)
{
    break_off(agw_container_of(t, struct agw_mcp_call, timer), AGW_ETIMEOUT);
}

static void on_start_failed(struct agw_task *t)
{
    struct agw_mcp_call *c = agw_container_of(t, struct agw_mcp_call, failed);
    break_off(c, c->fail_code);
}

/* --- the answer's bytes --- */

int agw_mcp_flatten(struct agw_chain *chain, struct agw_block **ret_block, struct agw_str *ret_text)
{
    if (chain->count == 1) {
        const struct agw_slice *s = agw_chain_at(chain, 0);
        *ret_block = s->block ? agw_block_ref(s->block) : NULL;
        *ret_text = agw_str((const char *)s->p, s->n);
    } else {
        struct agw_block *b = agw_block_new(chain->bytes ? chain->bytes : 1);
        if (!b)
            return AGW_ENOMEM;
        b->len = (uint32_t)agw_chain_peek(chain, b->data, chain->bytes);
        *ret_block = b;
        *ret_text = agw_str((const char *)b->data, b->len);
    }
    agw_chain_clear(chain);
    return 0;
}

static int take_json(struct agw_mcp_call *c, struct agw_chain *data)
{
    if (c->input.bytes + data->bytes > AGW_MCP_MESSAGE_MAX)
        return AGW_ELIMIT;
    return agw_chain_move(&c->input, data);
}

/* The event's bytes go into a block of their own: it is forwarded and outlives the reader's buffer. */
static int emit_event(struct agw_mcp_call *c, const struct agw_sse_event *e)
{
    if (e->type.n && !agw_str_eq(e->type, AGW_STR("message")))
        return 0;
    struct agw_block *b = agw_block_new(e->data.n ? e->data.n : 1);
    if (!b)
        return AGW_ENOMEM;
    if (e->data.n)
        memcpy(b->data, e->data.p, e->data.n);
    b->len = (uint32_t)e->data.n;
    struct agw_mcp_frame f = {.block = b,
                              .text = agw_str((const char *)b->data, b->len),
                              .id = e->id,
                              .has_id = e->has_id,
                              .has_retry = e->has_retry,
                              .retry_ms = e->retry_ms};
    c->ops->on_frame(c, &f);
    agw_block_unref(b);
    return 0;
}

static int take_events(struct agw_mcp_call *c, struct agw_chain *data)
{
    for (uint32_t i = 0; i < data->count; i++) {
        const struct agw_slice *s = agw_chain_at(data, i);
        size_t at = 0;
        while (at < s->n) {
            struct agw_sse_event e;
            size_t used = 0;
            int rc = agw_sse_next(&c->sse, s->p + at, s->n - at, &used, &e);
            if (rc < 0 || (rc == AGW_SSE_EVENT && (rc = emit_event(c, &e)) < 0))
                return rc;
            if (!c->running || c->ignored)
                return 0;
            at += used;
        }
    }
    return 0;
}

static void give_back(struct agw_mcp_call *c)
{
    size_t n = c->held;
    c->held = 0;
    if (n > 0 && c->stream)
        agw_stream_consume(c->stream, n);
}

static void on_body(struct agw_stream *s, struct agw_chain *data)
{
    struct agw_mcp_call *c = s->owner;
    int rc = 0;
    c->held += data->bytes;
    if (c->ignored)
        agw_chain_clear(data);
    else if (c->form == AGW_MCP_FORM_JSON)
        rc = take_json(c, data);
    else if (c->form == AGW_MCP_FORM_EVENTS)
        rc = take_events(c, data);
    else if (c->form == AGW_MCP_FORM_RAW)
        c->ops->on_bytes(c, data);
    if (!c->running)
        return;
    if (rc < 0)
        break_off(c, rc);
    else if (!c->paused)
        give_back(c);
}

static bool is_media_type(struct agw_str value, struct agw_str want)
{
    struct agw_str rest = value, type;
    return agw_str_split(&rest, ';', &type) && agw_str_ieq(type, want);
}

static enum agw_mcp_form form_of(const struct agw_mcp_call *c, const struct agw_msg *m, bool end)
{
    struct agw_str type = agw_headers_value(&m->headers, AGW_HDR_CONTENT_TYPE);
    if (m->status > 299)
        return AGW_MCP_FORM_RAW;
    if (end || m->length == 0)
        return AGW_MCP_FORM_EMPTY;
    if (is_media_type(type, AGW_STR("text/event-stream")))
        return AGW_MCP_FORM_EVENTS;
    if (is_media_type(type, AGW_STR("application/json")))
        return c->raw_json ? AGW_MCP_FORM_RAW : AGW_MCP_FORM_JSON;
    return m->status == 202 || m->status == 204 ? AGW_MCP_FORM_EMPTY : AGW_MCP_FORM_RAW;
}

/* We asked for no coding; what is coded all the same can pass, but not be read. */
static bool is_coded(const struct agw_msg *m)
{
    struct agw_str coding = agw_headers_value(&m->headers, AGW_HDR_CONTENT_ENCODING);
    return coding.n && !agw_str_ieq(coding, AGW_STR("identity"));
}

static void answer_ended(struct agw_mcp_call *c)
{
    agw_stream_detach(c->stream);
    c->stream = NULL;
    if (c->form == AGW_MCP_FORM_JSON && !c->ignored) {
        struct agw_mcp_frame f = {0};
        int rc = agw_mcp_flatten(&c->input, &f.block, &f.text);
        if (rc != 0) {
            finish(c, rc);
            return;
        }
        c->ops->on_frame(c, &f);
        agw_block_unref(f.block);
    }
    finish(c, 0);
}

static void on_head(struct agw_stream *s, struct agw_msg *msg, bool end)
{
    struct agw_mcp_call *c = s->owner;
    if (msg->status < 200)
        return;
    agw_chain_clear(&c->body);
    c->response = msg;
    c->form = form_of(c, msg, end);
    if (is_coded(msg) && (c->form == AGW_MCP_FORM_JSON || c->form == AGW_MCP_FORM_EVENTS)) {
        break_off(c, AGW_EPROTO);
        return;
    }
    if (c->deadline_to_head)
        agw_timer_cancel(&c->loop->timers, &c->timer);
    c->ops->on_head(c);
    if (end && c->running)
        answer_ended(c);
}

static void on_end(struct agw_stream *s, struct agw_headers *trailers)
{
    answer_ended(s->owner);
}

static void on_drain(struct agw_stream *s) {}

static int open_stream(struct agw_mcp_call *c);

static void on_close(struct agw_stream *s, int code)
{
    struct agw_mcp_call *c = s->owner;
    c->stream = NULL;
    /* A pooled connection that the target closed while it was idle: nothing of the request was answered. */
    if (code == AGW_ECLOSED && !c->response && c->tries < AGW_MCP_TRIES_MAX &&
        (!c->once || agw_client_unsent(s)))
        code = open_stream(c);
    else if (code == 0 && !c->response)
        code = AGW_EPROTO;
    else {
        finish(c, code);
        return;
    }
    if (code != 0)
        finish(c, code);
}

static const struct agw_stream_events events = {on_head, on_body, on_end, on_drain, on_close};

/* --- sending --- */

static int copy_chain(struct agw_chain *to, const struct agw_chain *from)
{
    for (uint32_t i = 0; i < from->count; i++) {
        const struct agw_slice *s = agw_chain_at(from, i);
        int rc = agw_chain_add(to, s->block, s->p, s->n);
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* A write that fails has closed the stream: on_close tells. */
static int open_stream(struct agw_mcp_call *c)
{
    struct agw_chain data;
    agw_chain_init(&data);
    if (copy_chain(&data, &c->body) != 0)
        goto fail;
    c->stream = agw_client_open(c->client, c->endpoint, c->arena, &events, c);
    if (!c->stream)
        goto fail;
    c->tries++;
    bool empty = agw_chain_empty(&data);
    if (agw_stream_write_head(c->stream, &c->head, empty) == 0 && !empty &&
        agw_stream_write_body(c->stream, &data) == 0)
        agw_stream_write_end(c->stream, NULL);
    agw_chain_clear(&data);
    return 0;
fail:
    agw_chain_clear(&data);
    return AGW_ENOMEM;
}

void agw_mcp_call_start(struct agw_mcp_call *c, int code)
{
    int rc = code;
    c->running = true;
    if (rc != 0)
        agw_chain_clear(&c->body);
    else if (c->target->sse)
        rc = AGW_EUNSUPPORTED;
    else if (!c->endpoint)
        rc = AGW_ENOTFOUND;
    else
        rc = open_stream(c);
    if (rc != 0) {
        c->fail_code = rc;
        agw_loop_defer(c->loop, &c->failed);
        return;
    }
    if (c->deadline_ms)
        agw_timer_set(&c->loop->timers, &c->timer, c->loop->now_ms + c->deadline_ms);
}

void agw_mcp_call_linger(struct agw_mcp_call *c, uint32_t ms)
{
    if (!c->running)
        return;
    c->ignored = true;
    agw_timer_set(&c->loop->timers, &c->timer, c->loop->now_ms + ms);
    agw_mcp_call_resume(c);
}

void agw_mcp_call_pause(struct agw_mcp_call *c)
{
    c->paused = true;
}

void agw_mcp_call_resume(struct agw_mcp_call *c)
{
    if (!c->paused)
        return;
    c->paused = false;
    give_back(c);
}

/* --- the request --- */

static const struct agw_endpoint *pick(const struct agw_backend *b, uint64_t pin, struct agw_rng *rng)
{
    for (uint32_t i = 0; pin && b && i < b->endpoint_count; i++)
        if (agw_mcp_pin(b->endpoints[i]->key) == pin)
            return b->endpoints[i];
    return b ? agw_balance_endpoint(b, rng) : NULL;
}

void agw_mcp_call_init(struct agw_mcp_call *c, const struct agw_mcp_call_ops *ops, struct agw_loop *loop,
                       struct agw_client *client, struct agw_arena *arena,
                       const struct agw_mcp_target *target, uint64_t pin)
{
    *c = (struct agw_mcp_call){.ops = ops, .loop = loop, .client = client, .arena = arena, .target = target};
    c->endpoint = pick(target->backend, pin, &loop->rng);
    agw_chain_init(&c->body);
    agw_chain_init(&c->input);
    agw_sse_init(&c->sse, &sse_limits);
    agw_timer_init(&c->timer, on_deadline);
    agw_task_init(&c->failed, on_start_failed);
}

/* Fields of the client that are about its own connection, session or body (RFC 9110 section 7.6.1). */
static bool is_own(enum agw_hdr id)
{
    static const bool own[AGW_HDR_COUNT] = {
        [AGW_HDR_HOST] = true,
        [AGW_HDR_CONTENT_TYPE] = true,
        [AGW_HDR_CONTENT_LENGTH] = true,
        [AGW_HDR_CONTENT_ENCODING] = true,
        [AGW_HDR_ACCEPT] = true,
        [AGW_HDR_ACCEPT_ENCODING] = true,
        [AGW_HDR_EXPECT] = true,
        [AGW_HDR_TE] = true,
        [AGW_HDR_TRAILER] = true,
        [AGW_HDR_CONNECTION] = true,
        [AGW_HDR_KEEP_ALIVE] = true,
        [AGW_HDR_PROXY_CONNECTION] = true,
        [AGW_HDR_TRANSFER_ENCODING] = true,
        [AGW_HDR_UPGRADE] = true,
        [AGW_HDR_MCP_SESSION_ID] = true,
        [AGW_HDR_MCP_PROTOCOL_VERSION] = true,
        [AGW_HDR_LAST_EVENT_ID] = true,
    };
    return own[id];
}

static struct agw_str authority_of(const struct agw_endpoint *e, struct agw_arena *arena)
{
    char ip[AGW_ADDR_TEXT];
    if (e->host.n == 0)
        return agw_arena_str(arena, agw_str(ip, agw_addr_format(&e->addr, ip)));
    bool v6 = agw_str_find(e->host, ':') >= 0 && e->host.p[0] != '[';
    if (e->port == (e->tls ? 443 : 80))
        return v6 ? agw_arena_printf(arena, "[%.*s]", AGW_STRF(e->host)) : e->host;
    return agw_arena_printf(arena, v6 ? "[%.*s]:%u" : "%.*s:%u", AGW_STRF(e->host), e->port);
}

static int add(struct agw_headers *h, enum agw_hdr id, struct agw_str value)
{
    return value.n ? agw_headers_add_id(h, id, value) : 0;
}

/* What this request is, whoever asked for it. */
static int add_fields(struct agw_headers *h, const struct agw_mcp_call_fields *fields)
{
    bool post = fields->method == AGW_METHOD_POST, get = fields->method == AGW_METHOD_GET;
    struct agw_str accept = post  ? AGW_STR("application/json, text/event-stream")
                            : get ? AGW_STR("text/event-stream")
                                  : agw_str(NULL, 0);
    int rc = add(h, AGW_HDR_CONTENT_TYPE, post ? AGW_STR("application/json") : agw_str(NULL, 0));
    if (rc == 0)
        rc = add(h, AGW_HDR_ACCEPT, accept);
    if (rc == 0)
        rc = add(h, AGW_HDR_MCP_SESSION_ID, fields->session);
    if (rc == 0)
        rc = add(h, AGW_HDR_MCP_PROTOCOL_VERSION, fields->version);
    if (rc == 0)
        rc = add(h, AGW_HDR_LAST_EVENT_ID, fields->last_event_id);
    return rc;
}

int agw_mcp_call_head(struct agw_mcp_call *c, const struct agw_msg *from,
                      const struct agw_mcp_call_fields *fields)
{
    struct agw_msg *m = &c->head;
    if (!c->endpoint)
        return 0; /* agw_mcp_call_start reports it */
    agw_msg_init(m, c->arena);
    m->method = fields->method;
    m->method_text = agw_method_name(fields->method);
    m->scheme = c->endpoint->tls ? AGW_STR("https") : AGW_STR("http");
    m->authority = authority_of(c->endpoint, c->arena);
    m->path = c->target->path.n ? c->target->path : AGW_STR("/mcp");
    m->length = (int64_t)c->body.bytes;
    int rc = m->authority.p ? 0 : AGW_ENOMEM;
    for (uint32_t i = 0; rc == 0 && i < from->headers.n; i++) {
        const struct agw_header *h = &from->headers.v[i];
        if (!is_own(h->id))
            rc = agw_headers_add(&m->headers, h->id, h->name, h->value);
    }
    return rc == 0 ? add_fields(&m->headers, fields) : rc;
}
