/* An upstream HTTP/1.1 connection: one stream at a time. */
#include <stdlib.h>
#include "client/client_int.h"
#include "h1/h1.h"

/* Read from one connection in one turn at the most, so that a fast upstream does not starve the others. */
#define READ_BUDGET (256 * 1024)
/* What is left of a tunnel both of whose ends are done may take this long to go out. */
#define PARTING_MS 10000
/* Closed this much before the time that the peer announced, so that no request crosses its FIN. */
#define KEEP_ALIVE_MARGIN_S 1

struct agw_h1_conn {
    struct agw_list node; /* pool->idle or pool->busy */
    struct agw_pool *pool;
    struct agw_conn *conn;
    struct agw_client_stream *stream; /* NULL: idle */
    struct agw_input in;
    struct agw_output out;
    struct agw_h1_head head;
    struct agw_h1_body body;
    struct agw_msg *msg;             /* the response head being read */
    enum agw_h1_framing req_framing; /* how the request body is written */
    size_t unread;                   /* body bytes given to the owner and not consumed */
    uint64_t until_ms;               /* without a stream: closed then */
    uint64_t born_ms;
    uint64_t sent_mark; /* out.sent before the request */
    unsigned served, interim;
    unsigned depth; /* callbacks under way: the struct lives until they return */
    bool in_body;   /* the response head is done */
    bool got_bytes; /* of the current response */
    bool req_done, resp_done;
    bool wants_upgrade; /* the request did */
    bool keep_alive;
    bool idle;   /* in pool->idle */
    bool paused; /* the owner does not consume */
    bool high;   /* pending() went above AGW_STREAM_HIGH */
    bool fin_sent, write_failed;
    bool parting; /* a tunnel whose owner has left: its last bytes go out */
    bool closed;
};

static void h1_read(struct agw_h1_conn *h);

static struct agw_h1_conn *conn_of(const struct agw_stream *s)
{
    return ((const struct agw_client_stream *)s)->h1;
}

struct agw_h1_conn *agw_h1_conn_of(struct agw_list *node)
{
    return agw_list_entry(node, struct agw_h1_conn, node);
}

bool agw_h1_conn_expired(const struct agw_h1_conn *h, uint64_t now_ms)
{
    return !h->stream && h->until_ms <= now_ms;
}

/* Not inlined: the compiler cannot see that |depth| keeps the struct alive in the callers' callers. */
__attribute__((noinline)) static void leave(struct agw_h1_conn *h)
{
    if (--h->depth == 0 && h->closed)
        free(h);
}

static struct agw_client_stream *take_stream(struct agw_h1_conn *h)
{
    struct agw_client_stream *cs = h->stream;
    h->stream = NULL;
    return cs;
}

static void enter_idle(struct agw_h1_conn *h, uint64_t ms)
{
    struct agw_pool *p = h->pool;
    agw_list_remove(&h->node);
    agw_list_push_front(&p->idle, &h->node);
    h->until_ms = p->client->loop->now_ms + ms;
    h->idle = true;
    p->idle_count++;
    p->client->stats.idle++;
}

static void leave_idle(struct agw_h1_conn *h)
{
    agw_list_remove(&h->node);
    if (!h->idle)
        return;
    h->idle = false;
    h->pool->idle_count--;
    h->pool->client->stats.idle--;
}

static void shut(struct agw_h1_conn *h, bool reset)
{
    struct agw_pool *p = h->pool;
    if (h->closed)
        return;
    h->closed = true;
    leave_idle(h);
    agw_input_free(&h->in);
    agw_output_free(&h->out);
    agw_conn_close(h->conn, reset);
    free(h->conn);
    p->open--;
    p->client->stats.open--;
}

/* Closes; a stream on it hears |code| from a deferred task. */
static void break_off(struct agw_h1_conn *h, int code)
{
    struct agw_client_stream *cs = take_stream(h);
    struct agw_pool *p = h->pool;
    h->depth++;
    if (cs) {
        cs->unsent = h->out.sent == h->sent_mark;
        cs->silent = !h->got_bytes && (code == AGW_ERESET || code == AGW_ECLOSED);
        agw_client_stream_fail(cs, code);
    }
    shut(h, code != 0);
    leave(h);
    agw_pool_serve(p);
}

void agw_h1_conn_close(struct agw_h1_conn *h)
{
    struct agw_client_stream *cs = take_stream(h);
    h->depth++;
    shut(h, false);
    if (cs)
        agw_client_stream_free(cs);
    leave(h);
}

/* How long the connection may wait for its next request; 0: it may not. */
static uint64_t idle_ms(const struct agw_h1_conn *h)
{
    const struct agw_client_limits *l = h->pool->client->limits;
    uint64_t said_s = h->head.keep_alive_s, age = h->conn->loop->now_ms - h->born_ms, ms = l->idle_ms;
    if ((l->per_conn_max && h->served >= l->per_conn_max) || (l->age_ms && age >= l->age_ms))
        return 0;
    if (!h->keep_alive || h->write_failed || h->conn->hangup || h->out.chain.bytes > 0 || h->in.n > 0 ||
        h->pool->idle_count >= l->idle_max)
        return 0;
    if (said_s && (said_s - KEEP_ALIVE_MARGIN_S) * 1000 < ms)
        ms = (said_s - KEEP_ALIVE_MARGIN_S) * 1000;
    return l->age_ms && l->age_ms - age < ms ? l->age_ms - age : ms;
}

/* The exchange is over; the connection may carry another. */
static void go_idle(struct agw_h1_conn *h)
{
    struct agw_pool *p = h->pool;
    uint64_t ms = idle_ms(h);
    if (ms == 0) {
        shut(h, false);
    } else {
        enter_idle(h, ms);
        if (h->conn->read_ready) /* what may be there is nothing good, and has had its edge */
            agw_conn_want_read(h->conn);
    }
    agw_pool_serve(p);
}

/* The last bytes into a tunnel are followed by no answer that would tell that they went out. */
static bool tunnel_unsent(const struct agw_h1_conn *h)
{
    return h->req_framing == AGW_H1_TUNNEL && h->out.chain.bytes > 0;
}

static void finish_if_done(struct agw_h1_conn *h)
{
    if (!h->stream || !h->resp_done || !h->req_done || tunnel_unsent(h))
        return;
    struct agw_client_stream *cs = take_stream(h);
    h->depth++;
    go_idle(h);
    agw_client_stream_close(cs, 0);
    leave(h);
}

/* The end of our direction of a tunnel, once all before it is out. */
static void send_fin(struct agw_h1_conn *h)
{
    if (!h->req_done || h->req_framing != AGW_H1_TUNNEL || h->out.chain.bytes > 0 || h->fin_sent)
        return;
    h->fin_sent = true;
    agw_conn_shutdown(h->conn);
}

/* --- the stream's ops --- */

static int op_write_head(struct agw_stream *s, const struct agw_msg *msg, bool end)
{
    struct agw_h1_conn *h = conn_of(s);
    h->stream->method = msg->method;
    h->head.limits = msg->written.cased ? &agw_h1_cased_limits : &agw_h1_default_limits;
    int rc = agw_h1_write_request(&h->out.chain, &h->conn->loop->blocks, msg, end, true, &h->req_framing);
    if (rc) {
        break_off(h, rc);
        return rc;
    }
    h->req_done = end;
    h->wants_upgrade = msg->upgrade.n > 0;
    agw_output_kick(&h->out);
    return 0;
}

static int op_write_body(struct agw_stream *s, struct agw_chain *data)
{
    struct agw_h1_conn *h = conn_of(s);
    int rc = agw_h1_write_body(&h->out.chain, &h->conn->loop->blocks, h->req_framing, data);
    if (rc) {
        break_off(h, rc);
        return rc;
    }
    h->high |= h->out.chain.bytes > AGW_STREAM_HIGH;
    agw_output_kick(&h->out);
    return 0;
}

static int op_write_end(struct agw_stream *s, const struct agw_headers *trailers)
{
    struct agw_h1_conn *h = conn_of(s);
    if (h->req_done)
        return 0;
    int rc = agw_h1_write_end(&h->out.chain, &h->conn->loop->blocks, h->req_framing, trailers);
    if (rc) {
        break_off(h, rc);
        return rc;
    }
    h->req_done = true;
    agw_output_kick(&h->out);
    return 0;
}

static size_t op_pending(const struct agw_stream *s)
{
    return conn_of(s)->out.chain.bytes;
}

static void op_consume(struct agw_stream *s, size_t n)
{
    struct agw_h1_conn *h = conn_of(s);
    h->unread = n < h->unread ? h->unread - n : 0;
    if (h->paused && h->unread <= AGW_STREAM_WINDOW / 2) {
        h->paused = false;
        agw_conn_want_read(h->conn);
    }
}

static void op_reset(struct agw_stream *s, int code)
{
    struct agw_h1_conn *h = conn_of(s);
    struct agw_pool *p = h->pool;
    struct agw_client_stream *cs = take_stream(h);
    (void)code;
    h->depth++;
    shut(h, true);
    agw_client_stream_free(cs);
    leave(h);
    agw_pool_serve(p);
}

static void op_detach(struct agw_stream *s)
{
    struct agw_h1_conn *h = conn_of(s);
    if (!h->resp_done || !h->req_done) {
        op_reset(s, AGW_ECANCELED);
        return;
    }
    struct agw_client_stream *cs = take_stream(h);
    h->depth++;
    if (tunnel_unsent(h)) {
        h->parting = true;
        h->until_ms = h->conn->loop->now_ms + PARTING_MS;
    } else {
        go_idle(h);
    }
    agw_client_stream_free(cs);
    leave(h);
}

static const struct agw_stream_ops h1_ops = {
    .write_head = op_write_head,
    .write_body = op_write_body,
    .write_end = op_write_end,
    .pending = op_pending,
    .consume = op_consume,
    .reset = op_reset,
    .detach = op_detach,
};

/* --- reading the response --- */

static void end_response(struct agw_h1_conn *h)
{
    h->resp_done = true;
    finish_if_done(h);
}

static void enter_body(struct agw_h1_conn *h, bool *ret_end)
{
    h->in_body = true;
    h->keep_alive = h->head.keep_alive;
    if (h->head.framing == AGW_H1_TUNNEL) {
        h->req_framing = AGW_H1_TUNNEL;
        h->keep_alive = false;
    }
    *ret_end = h->head.framing == AGW_H1_NO_BODY || (h->head.framing == AGW_H1_LENGTH && h->msg->length == 0);
    agw_h1_body_init(&h->body, &h->head, h->msg->length, h->stream->s.arena);
}

static int read_head(struct agw_h1_conn *h)
{
    struct agw_stream *s = &h->stream->s;
    if (!h->msg && !(h->msg = agw_arena_alloc(s->arena, sizeof(*h->msg))))
        return AGW_ENOMEM;
    if (h->head.scanned == 0)
        agw_msg_init(h->msg, s->arena);
    int rc = agw_h1_parse_response(&h->head, h->in.p, h->in.n, h->stream->method, h->msg);
    if (rc)
        return rc;
    struct agw_msg *msg = h->msg;
    bool end = false;
    uint32_t said_s = h->head.keep_alive_s;
    if (msg->status == 101 && !h->wants_upgrade)
        return AGW_EPROTO;
    agw_input_take(&h->in, h->head.used);
    if (msg->status < 200 && msg->status != 101) {
        h->msg = NULL;
        if (++h->interim > AGW_INTERIM_MAX)
            return AGW_EPROTO;
    } else {
        enter_body(h, &end);
    }
    agw_h1_head_init(&h->head, h->head.limits);
    h->head.keep_alive_s = said_s;
    s->events->on_head(s, msg, end);
    if (end && h->stream)
        end_response(h);
    return 0;
}

static void give_body(struct agw_h1_conn *h, const unsigned char *p, size_t n)
{
    struct agw_stream *s = &h->stream->s;
    struct agw_chain data;
    agw_chain_init(&data);
    if (agw_chain_add(&data, h->in.block, p, n)) {
        break_off(h, AGW_ENOMEM);
        return;
    }
    h->unread += n;
    h->paused = h->unread >= AGW_STREAM_WINDOW;
    s->events->on_body(s, &data);
    agw_chain_clear(&data);
}

static int read_body(struct agw_h1_conn *h)
{
    size_t used, at, len;
    const unsigned char *p = h->in.p;
    int rc = agw_h1_body_next(&h->body, p, h->in.n, &used, &at, &len);
    if (rc < 0)
        return rc;
    agw_input_take(&h->in, used);
    if (rc == AGW_H1_DATA)
        give_body(h, p + at, len);
    if (h->stream && (rc == AGW_H1_END || (rc == AGW_H1_DATA && agw_h1_body_is_over(&h->body)))) {
        struct agw_stream *s = &h->stream->s;
        h->resp_done = true;
        s->events->on_end(s, h->body.trailers);
        finish_if_done(h);
    }
    return 0;
}

/* Understands what has been read. False: the connection is closed or idle. */
static bool digest(struct agw_h1_conn *h)
{
    while (h->in.n > 0 && !h->closed) {
        if (!h->stream || h->resp_done) {
            /* Bytes nobody asked for: the connection cannot be trusted any more. */
            break_off(h, AGW_EPROTO);
            return false;
        }
        h->got_bytes = true;
        int rc = h->in_body ? read_body(h) : read_head(h);
        if (rc == AGW_EAGAIN)
            return true;
        if (rc) {
            /* A limit that the peer's answer broke is the peer's fault, not ours. */
            if (!h->closed)
                break_off(h, rc == AGW_ELIMIT ? AGW_EPROTO : rc);
            return false;
        }
    }
    return !h->closed;
}

static void on_eof(struct agw_h1_conn *h)
{
    if (!h->stream) {
        break_off(h, 0);
        return;
    }
    h->keep_alive = false;
    if (h->in_body && !h->resp_done && agw_h1_body_eof(&h->body) == 0) {
        struct agw_stream *s = &h->stream->s;
        h->resp_done = true;
        s->events->on_end(s, NULL);
        if (!h->closed && h->stream)
            finish_if_done(h);
        return;
    }
    break_off(h, h->got_bytes || h->served <= 1 ? AGW_ERESET : AGW_ECLOSED);
}

static void on_read_error(struct agw_h1_conn *h, int code)
{
    if (code == AGW_EEOF)
        on_eof(h);
    else if (code == AGW_ELIMIT)
        break_off(h, AGW_EPROTO);
    else if (code == AGW_ERESET && h->stream && !h->got_bytes && h->served > 1)
        break_off(h, AGW_ECLOSED);
    else
        break_off(h, h->stream ? code : 0);
}

/* Nothing more is wanted from the peer for now: the owner is slow, or the request outlasts its answer. */
static bool must_wait(const struct agw_h1_conn *h)
{
    return h->closed || h->paused || h->parting || (h->stream && h->resp_done);
}

static void h1_read(struct agw_h1_conn *h)
{
    size_t budget = READ_BUDGET;
    h->depth++;
    while (!must_wait(h)) {
        size_t before = h->in.n;
        int rc = agw_input_fill(&h->in, h->conn, h->head.limits->head + AGW_BLOCK_SIZE);
        if (rc == AGW_EAGAIN)
            break;
        if (rc) {
            on_read_error(h, rc);
            break;
        }
        size_t got = h->in.n - before;
        if (!digest(h))
            break;
        if (got >= budget) {
            agw_conn_want_read(h->conn);
            break;
        }
        budget -= got;
    }
    if (!h->closed && agw_input_park(&h->in, h->conn->loop))
        break_off(h, AGW_ENOMEM);
    leave(h);
}

static void on_readable(struct agw_conn *c)
{
    h1_read(c->user);
}

static void on_writable(struct agw_conn *c)
{
    struct agw_h1_conn *h = c->user;
    if (h->out.chain.bytes > 0)
        agw_output_kick(&h->out);
}

static const struct agw_conn_events h1_events = {.on_readable = on_readable, .on_writable = on_writable};

/* The answer may be there although the request was not taken (413 and close): reading tells. */
static void on_write_error(struct agw_h1_conn *h, int code)
{
    bool tunnel = h->req_framing == AGW_H1_TUNNEL;
    h->write_failed = true;
    agw_chain_clear(&h->out.chain);
    h1_read(h);
    if (!h->closed && !h->paused && (!h->resp_done || tunnel))
        on_read_error(h, code);
}

static void on_flush(struct agw_output *out, int code)
{
    struct agw_h1_conn *h = agw_container_of(out, struct agw_h1_conn, out);
    h->depth++;
    if (code) {
        on_write_error(h, code);
    } else if (h->high && out->chain.bytes < AGW_STREAM_LOW && h->stream) {
        h->high = false;
        h->stream->s.events->on_drain(&h->stream->s);
    }
    if (!h->closed && h->parting && out->chain.bytes == 0)
        shut(h, false);
    if (!h->closed) {
        send_fin(h);
        finish_if_done(h);
    }
    leave(h);
}

struct agw_h1_conn *agw_h1_conn_new(struct agw_pool *pool, struct agw_conn *conn)
{
    struct agw_h1_conn *h = calloc(1, sizeof(*h));
    if (!h) {
        agw_conn_close(conn, false);
        free(conn);
        return NULL;
    }
    h->pool = pool;
    h->conn = conn;
    h->born_ms = conn->loop->now_ms;
    conn->events = &h1_events;
    conn->user = h;
    agw_input_init(&h->in);
    agw_output_init(&h->out, conn, on_flush);
    agw_h1_head_init(&h->head, &agw_h1_default_limits);
    agw_list_init(&h->node);
    enter_idle(h, pool->client->limits->idle_ms);
    return h;
}

void agw_h1_conn_attach(struct agw_h1_conn *h, struct agw_client_stream *cs)
{
    struct agw_pool *p = h->pool;
    leave_idle(h);
    agw_list_push(&p->busy, &h->node);
    h->stream = cs;
    h->sent_mark = h->out.sent;
    h->msg = NULL;
    h->unread = 0;
    h->interim = 0;
    h->in_body = h->got_bytes = h->req_done = h->resp_done = h->paused = h->high = h->wants_upgrade = false;
    agw_h1_head_init(&h->head, h->head.limits);
    cs->s.ops = &h1_ops;
    cs->h1 = h;
    cs->unsent = false;
    cs->reused = h->served++ > 0;
    cs->peer = h->conn->peer;
    agw_client_stream_attach(cs);
}
