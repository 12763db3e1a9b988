/* HTTP+SSE of 2024-11-05: a GET whose events are all that the server says, the first of which names where
 * messages are to be posted. */
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "mcp/transport/link.h"
#include "mcp/transport/sse_endpoint.h"

#define FIRST_ARENA 2048
#define TRIES_MAX 3 /* stale pooled connections in a row */
#define ANSWER_MAX                                                                                           \
    65536 /* bytes of the answer to a POST: nobody reads them; above, the connection is given up */
#define SSE_FIELD_MAX 1024 /* types and ids are names */

static const struct agw_sse_limits sse_limits = {.event = AGW_MCP_MESSAGE_MAX, .field = SSE_FIELD_MAX};

struct sse_link {
    struct agw_mcp_link link; /* first */
    struct agw_arena arena;
    const struct agw_endpoint *endpoint;
    struct agw_str name; /* the target's, for the log */
    struct agw_msg head;
    struct agw_stream *get;
    struct agw_sse sse;
    size_t held;
    struct agw_str path;   /* where to post; empty: not known yet */
    struct agw_list queue; /* letters that wait for it */
    struct agw_list posts; /* letters under way */
};

static void broken(struct sse_link *s, int status, int code)
{
    agw_mcp_link_broken(&s->link, status, code);
}

/* --- POST --- */

static void post_over(struct agw_mcp_letter *m, int status, int code)
{
    struct agw_mcp_link *l = m->link;
    m->stream = NULL;
    agw_list_remove(&m->out);
    if ((status || code) && !m->headed)
        agw_mcp_link_sent(l, m, status, code);
    agw_mcp_letter_release(m);
}

static void post_head(struct agw_stream *stream, struct agw_msg *msg, bool end)
{
    struct agw_mcp_letter *m = stream->owner;
    if (msg->status < 200)
        return;
    if (end) {
        agw_stream_detach(stream);
        post_over(m, msg->status, 0);
    } else {
        agw_mcp_link_sent(m->link, m, msg->status, 0);
        m->headed = true;
    }
}

static void post_body(struct agw_stream *stream, struct agw_chain *data)
{
    struct agw_mcp_letter *m = stream->owner;
    size_t n = data->bytes;
    agw_chain_clear(data);
    m->read += n;
    if (m->read <= ANSWER_MAX) {
        agw_stream_consume(stream, n);
    } else {
        agw_stream_reset(stream, AGW_ECANCELED);
        post_over(m, 0, 0);
    }
}

static void post_end(struct agw_stream *stream, struct agw_headers *trailers)
{
    struct agw_mcp_letter *m = stream->owner;
    agw_stream_detach(stream);
    post_over(m, 0, 0);
}

static void post_drain(struct agw_stream *stream) {}

static int post(struct sse_link *s, struct agw_mcp_letter *m);

static void post_close(struct agw_stream *stream, int code)
{
    struct agw_mcp_letter *m = stream->owner;
    struct sse_link *s = (struct sse_link *)m->link;
    bool again = code == AGW_ECLOSED && m->tries < TRIES_MAX && (!m->once || agw_client_unsent(stream));
    agw_list_remove(&m->out);
    if (again)
        code = post(s, m);
    if (!again || code != 0)
        post_over(m, 0, code ? code : AGW_EPROTO);
}

static const struct agw_stream_events post_events = {post_head, post_body, post_end, post_drain, post_close};

static int post(struct sse_link *s, struct agw_mcp_letter *m)
{
    struct agw_chain data;
    agw_chain_init(&data);
    m->head.path = s->path;
    m->stream = agw_client_open(s->link.transports->client, s->endpoint, &m->arena, &post_events, m);
    if (!m->stream)
        return AGW_ENOMEM;
    m->tries++;
    agw_list_push(&s->posts, &m->out);
    if (agw_chain_add(&data, m->body, m->body->data, m->body->len) != 0) {
        agw_stream_reset(m->stream, AGW_ECANCELED);
        m->stream = NULL;
        agw_list_remove(&m->out);
        return AGW_ENOMEM;
    }
    if (agw_stream_write_head(m->stream, &m->head, false) == 0 &&
        agw_stream_write_body(m->stream, &data) == 0)
        agw_stream_write_end(m->stream,
                             NULL); /* a write that fails has closed the stream: post_close tells */
    agw_chain_clear(&data);
    return 0;
}

static void sse_send(struct agw_mcp_link *l, struct agw_mcp_letter *m)
{
    struct sse_link *s = (struct sse_link *)l;
    m->busy = true;
    if (s->path.n == 0) {
        agw_list_push(&s->queue, &m->out);
        return;
    }
    int rc = post(s, m);
    if (rc != 0)
        post_over(m, 0, rc);
}

static void send_queue(struct sse_link *s)
{
    struct agw_list batch, *node;
    agw_list_move(&batch, &s->queue);
    while ((node = agw_list_pop(&batch)))
        sse_send(&s->link, agw_list_entry(node, struct agw_mcp_letter, out));
}

/* --- GET --- */

static int take_endpoint(struct sse_link *s, struct agw_str reference)
{
    struct agw_error err = {0};
    if (s->path.n)
        return 0; /* the first one counts */
    int rc = agw_mcp_sse_endpoint(reference, s->head.scheme, s->head.authority, s->head.path, &s->arena,
                                  &s->path, &err);
    if (rc != 0) {
        agw_warn("mcp", "target %.*s: endpoint event: %s", AGW_STRF(s->name), err.text);
        return rc;
    }
    send_queue(s);
    return 0;
}

static int take_event(struct sse_link *s, const struct agw_sse_event *e)
{
    if (agw_str_eq(e->type, AGW_STR("endpoint")))
        return take_endpoint(s, e->data);
    if (e->data.n == 0 || (e->type.n && !agw_str_eq(e->type, AGW_STR("message"))))
        return 0;
    struct agw_block *b = agw_block_new(e->data.n);
    if (!b)
        return AGW_ENOMEM;
    memcpy(b->data, e->data.p, e->data.n);
    b->len = (uint32_t)e->data.n;
    agw_mcp_link_message(&s->link, b);
    return 0;
}

static int take_events(struct sse_link *s, struct agw_chain *data)
{
    for (uint32_t i = 0; i < data->count; i++) {
        const struct agw_slice *slice = agw_chain_at(data, i);
        size_t at = 0;
        while (at < slice->n) {
            struct agw_sse_event e;
            size_t used = 0;
            int rc = agw_sse_next(&s->sse, slice->p + at, slice->n - at, &used, &e);
            if (rc == AGW_SSE_EVENT)
                rc = take_event(s, &e);
            if (rc < 0)
                return rc;
            at += used;
        }
    }
    return 0;
}

static void give_back(struct sse_link *s)
{
    size_t n = s->held;
    s->held = 0;
    if (n && s->get)
        agw_stream_consume(s->get, n);
}

static bool is_event_stream(const struct agw_msg *m)
{
    struct agw_str rest = agw_headers_value(&m->headers, AGW_HDR_CONTENT_TYPE), type;
    struct agw_str coding = agw_headers_value(&m->headers, AGW_HDR_CONTENT_ENCODING);
    return agw_str_split(&rest, ';', &type) && agw_str_ieq(type, AGW_STR("text/event-stream")) &&
           (!coding.n || agw_str_ieq(coding, AGW_STR("identity")));
}

static void get_head(struct agw_stream *stream, struct agw_msg *msg, bool end)
{
    struct sse_link *s = stream->owner;
    if (msg->status < 200)
        return;
    if (msg->status > 299)
        broken(s, msg->status, 0);
    else if (end || !is_event_stream(msg))
        broken(s, 0, AGW_EPROTO);
}

static void get_body(struct agw_stream *stream, struct agw_chain *data)
{
    struct sse_link *s = stream->owner;
    int rc = 0;
    s->held += data->bytes;
    if (!s->link.broken)
        rc = take_events(s, data);
    agw_chain_clear(data);
    if (rc < 0)
        broken(s, 0, rc);
    else if (!s->link.paused)
        give_back(s);
}

static void get_end(struct agw_stream *stream, struct agw_headers *trailers)
{
    struct sse_link *s = stream->owner;
    agw_stream_detach(stream);
    s->get = NULL;
    broken(s, 0, AGW_ERESET);
}

static void get_close(struct agw_stream *stream, int code)
{
    struct sse_link *s = stream->owner;
    s->get = NULL;
    broken(s, 0, code && code != AGW_ECLOSED ? code : AGW_ERESET);
}

static const struct agw_stream_events get_events = {get_head, get_body, get_end, post_drain, get_close};

static void sse_pause(struct agw_mcp_link *l, bool paused)
{
    if (!paused)
        give_back((struct sse_link *)l);
}

static void let_go_all(struct agw_list *letters)
{
    struct agw_list *node;
    while ((node = agw_list_pop(letters))) {
        struct agw_mcp_letter *m = agw_list_entry(node, struct agw_mcp_letter, out);
        if (m->stream)
            agw_stream_reset(m->stream, AGW_ECANCELED);
        m->stream = NULL;
        agw_mcp_letter_release(m);
    }
}

static void sse_close(struct agw_mcp_link *l)
{
    struct sse_link *s = (struct sse_link *)l;
    let_go_all(&s->queue);
    let_go_all(&s->posts);
    if (s->get)
        agw_stream_reset(s->get, AGW_ECANCELED);
    agw_sse_free(&s->sse);
    agw_arena_free(&s->arena);
    free(s);
}

static const struct agw_mcp_link_ops sse_ops = {sse_send, sse_pause, sse_close};

/* --- opening --- */

/* The first request's fields, as those of the GET before it: who asks is the same. */
static int make_head(struct sse_link *s, const struct agw_msg *from)
{
    int rc = agw_msg_copy(&s->head, from, &s->arena);
    if (rc != 0)
        return rc;
    s->head.method = AGW_METHOD_GET;
    s->head.method_text = agw_method_name(AGW_METHOD_GET);
    s->head.length = 0;
    agw_headers_remove_id(&s->head.headers, AGW_HDR_CONTENT_TYPE);
    return agw_headers_set_id(&s->head.headers, AGW_HDR_ACCEPT, AGW_STR("text/event-stream"));
}

int agw_mcp_sse_open(struct agw_mcp_call *c, struct agw_mcp_letter *m, struct agw_mcp_link_name *ret_name)
{
    if (!c->endpoint)
        return AGW_ENOTFOUND;
    struct sse_link *s = calloc(1, sizeof *s);
    if (!s)
        return AGW_ENOMEM;
    agw_arena_init(&s->arena, FIRST_ARENA, 0);
    agw_sse_init(&s->sse, &sse_limits);
    agw_list_init(&s->queue);
    agw_list_init(&s->posts);
    s->endpoint = c->endpoint;
    s->name = agw_arena_str(&s->arena, c->target->name);
    int rc = s->name.p ? make_head(s, &m->head) : AGW_ENOMEM;
    if (rc == 0)
        s->get = agw_client_open(c->transports->client, s->endpoint, &s->arena, &get_events, s);
    if (rc == 0 && !s->get)
        rc = AGW_ENOMEM;
    if (rc == 0)
        rc = agw_mcp_link_init(&s->link, &sse_ops, c->transports, c->snap);
    if (rc != 0) {
        sse_close(&s->link);
        return rc;
    }
    agw_stream_write_head(s->get, &s->head, true); /* a failure reaches get_close */
    *ret_name = s->link.name;
    return 0;
}
