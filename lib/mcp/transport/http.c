/* Streamable HTTP: each message is a request of its own. */
#include <string.h>
#include "mcp/transport/transport_int.h"

static const struct agw_sse_limits sse_limits = {
    .event = AGW_MCP_MESSAGE_MAX, .field = 1024, /* event ids are ours or short tokens */
};

/* --- the answer's bytes --- */

static int take_json(struct agw_mcp_call *c, struct agw_chain *data)
{
    if (c->http.input.bytes + data->bytes > AGW_MCP_MESSAGE_MAX)
        return AGW_ELIMIT;
    return agw_chain_move(&c->http.input, data);
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
    int rc = agw_mcp_call_frame(c, &f);
    agw_block_unref(b);
    return rc;
}

static int take_events(struct agw_mcp_call *c, struct agw_chain *data)
{
    for (uint32_t i = 0; i < data->count; i++) {
        const struct agw_slice *s = agw_chain_at(data, i);
        size_t at = 0;
        while (at < s->n) {
            struct agw_sse_event e;
            size_t used = 0;
            int rc = agw_sse_next(&c->http.sse, s->p + at, s->n - at, &used, &e);
            if (rc < 0 || (rc == AGW_SSE_EVENT && (rc = emit_event(c, &e)) < 0))
                return rc;
            if (!c->running || c->ignored)
                return 0;
            at += used;
        }
    }
    return 0;
}

void agw_mcp_http_give_back(struct agw_mcp_call *c)
{
    size_t n = c->http.held;
    c->http.held = 0;
    if (n > 0 && c->http.stream)
        agw_stream_consume(c->http.stream, n);
}

static void on_body(struct agw_stream *s, struct agw_chain *data)
{
    struct agw_mcp_call *c = s->owner;
    int rc = 0;
    c->http.held += data->bytes;
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
        agw_mcp_call_finish(c, rc);
    else if (!c->paused)
        agw_mcp_http_give_back(c);
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
    agw_stream_detach(c->http.stream);
    c->http.stream = NULL;
    if (c->form == AGW_MCP_FORM_JSON && !c->ignored) {
        struct agw_mcp_frame f = {0};
        int rc = agw_chain_flatten(&c->http.input, &f.block, &f.text);
        if (rc != 0) {
            agw_mcp_call_finish(c, rc);
            return;
        }
        rc = agw_mcp_call_frame(c, &f);
        agw_block_unref(f.block);
        agw_mcp_call_finish(c, rc);
        return;
    }
    agw_mcp_call_finish(c, 0);
}

static void on_head(struct agw_stream *s, struct agw_msg *msg, bool end)
{
    struct agw_mcp_call *c = s->owner;
    if (msg->status < 200)
        return;
    agw_chain_clear(&c->body);
    c->response = msg;
    c->form = form_of(c, msg, end);
    c->large =
        c->form == AGW_MCP_FORM_JSON && c->raw_from && msg->length >= (int64_t)c->raw_from && !is_coded(msg);
    if (c->large)
        c->form = AGW_MCP_FORM_RAW;
    if (is_coded(msg) && (c->form == AGW_MCP_FORM_JSON || c->form == AGW_MCP_FORM_EVENTS)) {
        agw_mcp_call_finish(c, AGW_EPROTO);
        return;
    }
    agw_mcp_call_head_came(c);
    if (end && c->running)
        answer_ended(c);
}

static void on_end(struct agw_stream *s, struct agw_headers *trailers)
{
    answer_ended(s->owner);
}

static void on_drain(struct agw_stream *s) {}

static int open_stream(struct agw_mcp_call *c);

void agw_mcp_http_closed(struct agw_stream *s, int code)
{
    struct agw_mcp_call *c = s->owner;
    c->http.stream = NULL;
    /* A pooled connection that the target closed while it was idle: nothing of the request was answered. */
    if (code == AGW_ECLOSED && !c->response && !(c->rest && c->rest->head) &&
        c->http.tries < AGW_MCP_TRIES_MAX && (!c->once || agw_client_unsent(s)))
        code = open_stream(c);
    else if (code == 0 && !c->response)
        code = AGW_EPROTO;
    else {
        agw_mcp_call_finish(c, code);
        return;
    }
    if (code != 0)
        agw_mcp_call_finish(c, code);
}

static const struct agw_stream_events events = {on_head, on_body, on_end, on_drain, agw_mcp_http_closed};

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
    c->http.stream = agw_client_open(c->transports->client, c->endpoint, c->arena, c->http.events, c);
    if (!c->http.stream)
        goto fail;
    c->http.tries++;
    bool empty = agw_chain_empty(&data);
    if (agw_stream_write_head(c->http.stream, &c->head, empty) == 0 && !empty &&
        agw_stream_write_body(c->http.stream, &data) == 0)
        agw_stream_write_end(c->http.stream, NULL);
    agw_chain_clear(&data);
    return 0;
fail:
    agw_chain_clear(&data);
    return AGW_ENOMEM;
}

int agw_mcp_http_open(struct agw_mcp_call *c, const struct agw_stream_events *handlers)
{
    c->http.events = handlers;
    agw_chain_init(&c->http.input);
    agw_sse_init(&c->http.sse, &sse_limits);
    return c->endpoint ? open_stream(c) : AGW_ENOTFOUND;
}

static int start(struct agw_mcp_call *c)
{
    return agw_mcp_http_open(c, &events);
}

void agw_mcp_http_let_go(struct agw_mcp_call *c)
{
    if (c->http.stream)
        agw_stream_reset(c->http.stream, AGW_ECANCELED);
    c->http.stream = NULL;
    agw_chain_clear(&c->http.input);
    agw_sse_free(&c->http.sse);
}

static void resume(struct agw_mcp_call *c)
{
    agw_mcp_http_give_back(c);
}

const struct agw_mcp_transport agw_mcp_streamable = {start, agw_mcp_http_let_go, NULL, resume};
