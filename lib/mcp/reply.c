/* What the client gets: one JSON message, an event stream, a status, or a target's own answer. */
#include "mcp/exchange.h"

#include <stdio.h>
#include <string.h>
#include "base/check.h"

static int send_head(struct agw_mcp_exchange *x, struct agw_msg *head, bool end)
{
    if (x->new_session.n && head->status < 300 &&
        agw_headers_add_id(&head->headers, AGW_HDR_MCP_SESSION_ID, x->new_session) != 0)
        return AGW_ENOMEM;
    if (x->client.hooks && x->client.hooks->on_response)
        x->client.hooks->on_response(x->client.ctx, head);
    x->report.status = head->status;
    return agw_stream_write_head(x->down, head, end);
}

/* In the stream's memory, as it goes with it: an idle stream's exchange fits in 4 KiB. */
static struct agw_msg *new_head(struct agw_mcp_exchange *x, int status, int64_t length)
{
    struct agw_msg *head = agw_arena_alloc(x->down->arena, sizeof *head);
    if (!head)
        return NULL;
    agw_msg_init(head, x->down->arena);
    head->status = status;
    head->length = length;
    return head;
}

/* Memory ran out, or the stream broke: whatever the client has is not whole. */
static void give_up(struct agw_mcp_exchange *x)
{
    agw_mcp_abort(x, AGW_ENOMEM);
}

static void ended(struct agw_mcp_exchange *x)
{
    x->out = AGW_MCP_OUT_ENDED;
    agw_timer_cancel(&x->m->loop->timers, &x->keepalive);
    agw_timer_cancel(&x->m->loop->timers, &x->deadline);
    agw_mcp_let_go(x);
    if (!x->body_done) { /* the rest of the request may take its time: not on our account */
        x->abort_code = 0;
        agw_loop_defer(x->m->loop, &x->abort);
    }
}

void agw_mcp_reply_status(struct agw_mcp_exchange *x, int status)
{
    if (!x->down || x->out != AGW_MCP_OUT_NONE)
        return;
    struct agw_msg *head = new_head(x, status, 0);
    int rc = head ? 0 : AGW_ENOMEM;
    if (rc == 0 && status == 405)
        rc = agw_headers_add(&head->headers, AGW_HDR_OTHER, AGW_STR("allow"), AGW_STR("GET, POST, DELETE"));
    if (rc == 0)
        rc = send_head(x, head, true);
    if (rc != 0)
        give_up(x);
    else
        ended(x);
}

void agw_mcp_reply_json(struct agw_mcp_exchange *x, int status, struct agw_chain *body)
{
    if (!x->down || x->out != AGW_MCP_OUT_NONE)
        return;
    struct agw_msg *head = new_head(x, status, (int64_t)body->bytes);
    x->report.response_bytes += body->bytes;
    if (!head || agw_headers_add_id(&head->headers, AGW_HDR_CONTENT_TYPE, AGW_STR("application/json")) != 0 ||
        send_head(x, head, false) != 0 || agw_stream_write_body(x->down, body) != 0 ||
        agw_stream_write_end(x->down, NULL) != 0)
        give_up(x);
    else
        ended(x);
}

void agw_mcp_reply_error_data(struct agw_mcp_exchange *x, int status, int code, struct agw_str message,
                              struct agw_str data)
{
    struct agw_json_writer w;
    struct agw_chain body;
    if (!x->down || x->out == AGW_MCP_OUT_ENDED)
        return;
    agw_chain_init(&body);
    agw_json_writer_init(&w);
    agw_jsonrpc_write_error(&w, x->id, code, message, data);
    x->report.error = code;
    if (agw_json_writer_finish(&w, 0, &body) != 0)
        give_up(x);
    else if (x->out == AGW_MCP_OUT_NONE)
        agw_mcp_reply_json(x, status, &body);
    else if (x->out == AGW_MCP_OUT_EVENTS)
        agw_mcp_reply_message(x, &body);
    else
        give_up(x);
    agw_chain_clear(&body);
}

void agw_mcp_reply_error(struct agw_mcp_exchange *x, int status, int code, struct agw_str message)
{
    agw_mcp_reply_error_data(x, status, code, message, agw_str(NULL, 0));
}

void agw_mcp_reply_empty(struct agw_mcp_exchange *x)
{
    struct agw_chain body;
    struct agw_json_writer w;
    agw_chain_init(&body);
    agw_json_writer_init(&w);
    agw_json_begin_object(&w);
    agw_json_put_string(&w, "jsonrpc", AGW_STR("2.0"));
    agw_json_put_raw(&w, "id", x->id);
    agw_json_put_raw(&w, "result", AGW_STR("{}"));
    agw_json_end_object(&w);
    if (agw_json_writer_finish(&w, 0, &body) != 0)
        agw_mcp_reply_error(x, 500, AGW_JSONRPC_INTERNAL, AGW_STR("out of memory"));
    else
        agw_mcp_reply_message(x, &body);
    agw_chain_clear(&body);
}

void agw_mcp_reply_message(struct agw_mcp_exchange *x, struct agw_chain *body)
{
    if (x->out == AGW_MCP_OUT_EVENTS) {
        agw_mcp_reply_event(x, body, NULL, 0, false);
        agw_mcp_reply_end(x);
    } else {
        agw_mcp_reply_json(x, 200, body);
    }
}

/* --- a target's own answer --- */

/* Fields of a target's answer that are about its own connection, session or framing. */
static bool is_own(enum agw_hdr id)
{
    return id == AGW_HDR_CONTENT_LENGTH || id == AGW_HDR_MCP_SESSION_ID || id == AGW_HDR_CONNECTION ||
           id == AGW_HDR_KEEP_ALIVE || id == AGW_HDR_TRANSFER_ENCODING || id == AGW_HDR_TRAILER ||
           id == AGW_HDR_UPGRADE || id == AGW_HDR_PROXY_CONNECTION || id == AGW_HDR_DATE;
}

void agw_mcp_reply_raw_head(struct agw_mcp_exchange *x, const struct agw_msg *from, bool end)
{
    if (!x->down || x->out != AGW_MCP_OUT_NONE)
        return;
    struct agw_msg *head = new_head(x, from->status, end ? 0 : from->length);
    int rc = head ? 0 : AGW_ENOMEM;
    for (uint32_t i = 0; rc == 0 && i < from->headers.n; i++) {
        const struct agw_header *h = &from->headers.v[i];
        if (!is_own(h->id))
            rc = agw_headers_add(&head->headers, h->id, h->name, h->value);
    }
    if (rc == 0)
        rc = send_head(x, head, end);
    if (rc != 0)
        give_up(x);
    else if (end)
        ended(x);
    else
        x->out = AGW_MCP_OUT_RAW;
}

void agw_mcp_reply_bytes(struct agw_mcp_exchange *x, struct agw_chain *data)
{
    if (!x->down || x->out != AGW_MCP_OUT_RAW)
        return;
    x->report.response_bytes += data->bytes;
    if (agw_stream_write_body(x->down, data) != 0)
        give_up(x);
    else
        agw_mcp_throttle(x);
}

/* What a broken call means to the client (reference: error map). */
static int status_of(int code)
{
    switch (code) {
    case AGW_ETIMEOUT:
        return 504;
    case AGW_EPROTO:
    case AGW_ELIMIT:
    case AGW_ERESET:
    case AGW_EIO:
        return 502;
    case AGW_ENOMEM:
        return 500;
    default:
        return 503;
    }
}

void agw_mcp_reply_failure(struct agw_mcp_exchange *x, struct agw_mcp_leg *leg)
{
    struct agw_mcp_failure *f = &leg->failure;
    if (f->code == 0 && f->response && x->out == AGW_MCP_OUT_NONE) {
        bool empty = agw_chain_empty(&f->body);
        struct agw_msg copy = *f->response;
        copy.length = (int64_t)f->body.bytes;
        agw_mcp_reply_raw_head(x, &copy, empty);
        if (!empty) {
            agw_mcp_reply_bytes(x, &f->body);
            agw_mcp_reply_end(x);
        }
    } else if (f->code == 0 && !f->response) {
        agw_mcp_reply_message(x, &f->body);
    } else {
        const char *why = f->code ? agw_err_text(f->code) : "HTTP error";
        struct agw_str text =
            agw_arena_printf(&x->arena, "target %.*s: %s", AGW_STRF(x->conf->targets[leg->target].name), why);
        agw_mcp_reply_error(x, status_of(f->code), AGW_JSONRPC_INTERNAL,
                            text.p ? text : AGW_STR("out of memory"));
    }
}

/* --- events --- */

static int write_chain(struct agw_mcp_exchange *x, struct agw_chain *data)
{
    x->report.response_bytes += data->bytes;
    x->wrote = true;
    return agw_stream_write_body(x->down, data);
}

static void on_keepalive(struct agw_timer *t)
{
    struct agw_mcp_exchange *x = agw_container_of(t, struct agw_mcp_exchange, keepalive);
    struct agw_chain comment;
    agw_timer_set(&x->m->loop->timers, t, x->m->loop->now_ms + AGW_MCP_KEEPALIVE_MS);
    agw_mcp_listen_again(x);
    if (x->out != AGW_MCP_OUT_EVENTS)
        return;
    if (x->wrote || agw_stream_pending(x->down) > 0) {
        x->wrote = false;
        return;
    }
    agw_chain_init(&comment);
    if (agw_chain_add_static(&comment, ":\n\n", 3) != 0 || write_chain(x, &comment) != 0)
        give_up(x);
    x->wrote = false;
}

bool agw_mcp_reply_events(struct agw_mcp_exchange *x)
{
    if (!x->down || x->out != AGW_MCP_OUT_NONE)
        return x->down && x->out == AGW_MCP_OUT_EVENTS;
    struct agw_msg *head = new_head(x, 200, AGW_LENGTH_UNKNOWN);
    if (!head ||
        agw_headers_add_id(&head->headers, AGW_HDR_CONTENT_TYPE, AGW_STR("text/event-stream")) != 0 ||
        agw_headers_add_id(&head->headers, AGW_HDR_CACHE_CONTROL, AGW_STR("no-cache")) != 0 ||
        agw_headers_add(&head->headers, AGW_HDR_OTHER, AGW_STR("x-accel-buffering"), AGW_STR("no")) != 0 ||
        send_head(x, head, false) != 0) {
        give_up(x);
        return false;
    }
    x->out = AGW_MCP_OUT_EVENTS;
    agw_timer_cancel(&x->m->loop->timers, &x->keepalive);
    agw_timer_init(&x->keepalive, on_keepalive);
    agw_timer_set(&x->m->loop->timers, &x->keepalive, x->m->loop->now_ms + AGW_MCP_KEEPALIVE_MS);
    return true;
}

/* Line ends in JSON are white space alone: each begins another data line. */
static int add_data(struct agw_chain *out, const struct agw_slice *s)
{
    size_t from = 0;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < s->n; i++) {
        const unsigned char *nl = memchr(s->p + i, '\n', s->n - i), *cr;
        size_t end = nl ? (size_t)(nl - s->p) : s->n;
        if ((cr = memchr(s->p + i, '\r', end - i)))
            end = (size_t)(cr - s->p);
        rc = agw_chain_add(out, s->block, s->p + from, end - from);
        if (rc == 0 && end < s->n)
            rc = agw_chain_add_static(out, "\ndata: ", 7);
        from = end + 1;
        i = end;
    }
    return rc;
}

/* Short texts get blocks of their size: a pooled block for each would hold 16 KiB while the client is slow.
 */
static int add_text(struct agw_chain *out, const char *p, size_t n)
{
    struct agw_block *b = agw_block_new(n);
    if (!b)
        return AGW_ENOMEM;
    memcpy(b->data, p, n);
    b->len = (uint32_t)n;
    int rc = agw_chain_add(out, b, b->data, n);
    agw_block_unref(b);
    return rc;
}

/* Event ids must be unique over a session's streams, and tell on return whose they are: "<p|g><target>.<id>",
 * p for an answer to a POST, g for the GET stream. */
static int add_id(struct agw_chain *out, struct agw_str id, uint32_t target, bool get_stream)
{
    char line[AGW_MCP_EVENT_ID_MAX + 24];
    if (id.n == 0 || id.n > AGW_MCP_EVENT_ID_MAX || memchr(id.p, 0, id.n))
        return 0;
    int n = snprintf(line, sizeof line, "id: %c%u.%.*s\n", get_stream ? 'g' : 'p', target, AGW_STRF(id));
    return add_text(out, line, (size_t)n);
}

static int add_retry(struct agw_chain *out, uint64_t ms)
{
    char line[40];
    int n = snprintf(line, sizeof line, "retry: %llu\n", (unsigned long long)ms);
    return add_text(out, line, (size_t)n);
}

bool agw_mcp_event_id(struct agw_str text, uint32_t count, uint32_t *ret_target, bool *ret_get_stream,
                      struct agw_str *ret_id)
{
    uint64_t target;
    if (text.n < 3 || (text.p[0] != 'p' && text.p[0] != 'g'))
        return false;
    ptrdiff_t dot = agw_str_find(text, '.');
    if (dot < 0 || agw_str_u64(agw_str(text.p + 1, (size_t)dot - 1), &target) != 0 || target >= count)
        return false;
    *ret_target = (uint32_t)target;
    *ret_get_stream = text.p[0] == 'g';
    *ret_id = agw_str_from(text, (size_t)dot + 1);
    return true;
}

static int write_event(struct agw_chain *body, const struct agw_mcp_frame *f, uint32_t target,
                       bool get_stream, struct agw_chain *out)
{
    int rc = body ? agw_chain_add_static(out, "event: message\n", 15) : 0;
    if (rc == 0 && f && f->has_id)
        rc = add_id(out, f->id, target, get_stream);
    if (rc == 0 && f && f->has_retry)
        rc = add_retry(out, f->retry_ms);
    if (rc == 0)
        rc = agw_chain_add_static(out, "data: ", 6);
    for (uint32_t i = 0; rc == 0 && body && i < body->count; i++)
        rc = add_data(out, agw_chain_at(body, i));
    return rc == 0 ? agw_chain_add_static(out, "\n\n", 2) : rc;
}

void agw_mcp_reply_event(struct agw_mcp_exchange *x, struct agw_chain *body,
                         const struct agw_mcp_frame *frame, uint32_t target, bool get_stream)
{
    struct agw_chain out;
    agw_chain_init(&out);
    bool runs = agw_mcp_reply_events(x);
    int rc = runs ? write_event(body, frame, target, get_stream, &out) : 0;
    if (runs && rc == 0)
        rc = write_chain(x, &out);
    agw_chain_clear(&out);
    if (body)
        agw_chain_clear(body);
    if (rc != 0)
        give_up(x);
    else if (runs)
        agw_mcp_throttle(x);
}

int agw_mcp_reply_text(struct agw_mcp_exchange *x, struct agw_str text)
{
    struct agw_chain out;
    agw_chain_init(&out);
    int rc = agw_chain_add_static(&out, text.p, text.n);
    if (rc == 0)
        rc = write_chain(x, &out);
    agw_chain_clear(&out);
    return rc;
}

void agw_mcp_reply_end(struct agw_mcp_exchange *x)
{
    if (!x->down || x->out == AGW_MCP_OUT_ENDED || x->out == AGW_MCP_OUT_NONE)
        return;
    if (agw_stream_write_end(x->down, NULL) != 0)
        give_up(x);
    else
        ended(x);
}
