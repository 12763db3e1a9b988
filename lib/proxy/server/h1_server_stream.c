#include <stdlib.h>
#include "proxy/server/h1_server_int.h"

/* The first block of a request's arena: head, exchange and a few headers fit. */
#define ARENA_FIRST 8192
/* A request may not take more than this from its arena, whatever its headers and policies do. */
#define ARENA_LIMIT (1024 * 1024)

static struct agw_h1_server_stream *stream_of(struct agw_stream *s)
{
    return agw_container_of(s, struct agw_h1_server_stream, s);
}

struct agw_h1_server_stream *agw_h1_server_stream_new(struct agw_h1_server *h)
{
    struct agw_arena arena;
    agw_arena_init(&arena, ARENA_FIRST, ARENA_LIMIT);
    struct agw_h1_server_stream *st = agw_arena_zalloc(&arena, sizeof(*st));
    if (!st) {
        agw_arena_free(&arena);
        return NULL;
    }
    st->arena = arena;
    st->h = h;
    st->s.ops = &agw_h1_server_stream_ops;
    st->s.arena = &st->arena;
    agw_msg_init(&st->msg, &st->arena);
    return st;
}

void agw_h1_server_stream_free(struct agw_h1_server_stream *st)
{
    struct agw_arena arena = st->arena; /* the stream lives in it */
    agw_arena_free(&arena);
}

void agw_h1_server_stream_close(struct agw_h1_server_stream *st, int code)
{
    if (!st->detached && st->s.events) {
        st->detached = true;
        st->s.events->on_close(&st->s, code);
    }
    agw_h1_server_stream_free(st);
}

/* A writer's call failed or reset the stream: the connection ends outside this call. */
static int break_off(struct agw_h1_server *h, int code)
{
    h->broken = code;
    agw_loop_defer(h->c->conn.loop, &h->step);
    return code;
}

/* The final head: what it says about the rest of the connection. */
static void decide(struct agw_h1_server_stream *st, const struct agw_msg *msg)
{
    st->head_sent = true;
    st->tunnel = msg->status == 101;
    if (st->upgrading && !st->tunnel)
        st->req_done = true;
    st->upgrading = false;
    /* What is unread of the request would stand before the next one. */
    if (!st->req_done || agw_server_conn_is_leaving(st->h->c))
        st->keep_alive = false;
}

/* After the final head. */
static void go_on(struct agw_h1_server_stream *st, bool end)
{
    struct agw_h1_server *h = st->h;
    if (st->out_framing == AGW_H1_UNTIL_CLOSE)
        st->keep_alive = false;
    if (st->tunnel) {
        h->head.framing = AGW_H1_TUNNEL;
        agw_h1_body_init(&st->body, &h->head, AGW_LENGTH_UNKNOWN, &st->arena);
    } else {
        st->resp_done = end;
    }
    if (st->tunnel || end)
        agw_loop_defer(h->c->conn.loop, &h->step);
}

static int op_write_head(struct agw_stream *s, const struct agw_msg *msg, bool end)
{
    struct agw_h1_server_stream *st = stream_of(s);
    struct agw_h1_server *h = st->h;
    bool interim = msg->status < 200 && msg->status != 101;
    if (h->broken || st->head_sent)
        return AGW_ECLOSED;
    if (interim && st->msg.version < AGW_HTTP_11)
        return 0;
    if (!interim)
        decide(st, msg);
    else if (msg->status == 100)
        st->asks = false;
    int rc = agw_h1_write_response(&h->out.chain, &h->c->conn.loop->blocks, msg, end, st->msg.version,
                                   st->msg.method, st->keep_alive || interim, &st->out_framing);
    if (rc)
        return break_off(h, rc);
    agw_output_kick(&h->out);
    if (!interim)
        go_on(st, end);
    return 0;
}

static int op_write_body(struct agw_stream *s, struct agw_chain *data)
{
    struct agw_h1_server_stream *st = stream_of(s);
    struct agw_h1_server *h = st->h;
    if (h->broken || st->resp_done) {
        agw_chain_clear(data);
        return AGW_ECLOSED;
    }
    int rc = agw_h1_write_body(&h->out.chain, &h->c->conn.loop->blocks, st->out_framing, data);
    if (rc)
        return break_off(h, rc);
    h->high |= h->out.chain.bytes > AGW_STREAM_HIGH;
    agw_output_kick(&h->out);
    return 0;
}

static int op_write_end(struct agw_stream *s, const struct agw_headers *trailers)
{
    struct agw_h1_server_stream *st = stream_of(s);
    struct agw_h1_server *h = st->h;
    if (h->broken)
        return AGW_ECLOSED;
    if (st->resp_done)
        return 0;
    int rc = agw_h1_write_end(&h->out.chain, &h->c->conn.loop->blocks, st->out_framing, trailers);
    if (rc)
        return break_off(h, rc);
    st->resp_done = true;
    agw_output_kick(&h->out);
    agw_loop_defer(h->c->conn.loop, &h->step);
    return 0;
}

static size_t op_pending(const struct agw_stream *s)
{
    return ((const struct agw_h1_server_stream *)s)->h->out.chain.bytes;
}

static void op_consume(struct agw_stream *s, size_t n)
{
    struct agw_h1_server_stream *st = stream_of(s);
    struct agw_h1_server *h = st->h;
    st->unread = n < st->unread ? st->unread - n : 0;
    if (h->paused && st->unread <= AGW_STREAM_WINDOW / 2) {
        h->paused = false;
        agw_loop_defer(h->c->conn.loop, &h->step);
    }
}

static void op_reset(struct agw_stream *s, int code)
{
    struct agw_h1_server_stream *st = stream_of(s);
    st->detached = true;
    break_off(st->h, code ? code : AGW_ECANCELED);
}

static void op_detach(struct agw_stream *s)
{
    struct agw_h1_server_stream *st = stream_of(s);
    st->detached = true;
    if (!st->resp_done)
        break_off(st->h, AGW_ECANCELED);
    else
        agw_loop_defer(st->h->c->conn.loop, &st->h->step);
}

const struct agw_stream_ops agw_h1_server_stream_ops = {
    .write_head = op_write_head,
    .write_body = op_write_body,
    .write_end = op_write_end,
    .pending = op_pending,
    .consume = op_consume,
    .reset = op_reset,
    .detach = op_detach,
};
