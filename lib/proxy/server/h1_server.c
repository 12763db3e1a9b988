#include <stdlib.h>
#include "http/date.h"
#include "proxy/server/h1_server_int.h"

/* Read from one connection in one turn at the most, so that a fast client does not starve the others. */
#define READ_BUDGET (256 * 1024)
/* A peer that has its last answer may go on sending while it fetches it (RFC 9112 section 9.6): as long as
 * bytes come, but not for ever. */
#define LINGER_MS 2000
#define LINGER_MAX_MS 30000

static void on_flush(struct agw_output *out, int code);
static void step(struct agw_task *t);

static struct agw_loop *loop_of(const struct agw_h1_server *h)
{
    return h->c->conn.loop;
}

/* --- life --- */

static void enter(struct agw_h1_server *h)
{
    h->depth++;
}

static void leave(struct agw_h1_server *h)
{
    if (--h->depth > 0 || !h->closed)
        return;
    struct agw_server_conn *c = h->c;
    free(h);
    c->proto = NULL;
    c->handler->on_closed(c);
}

/* Ends the connection; the state is freed by the outermost leave(). */
static void shut(struct agw_h1_server *h, int code)
{
    struct agw_h1_server_stream *st = h->stream;
    if (h->closed)
        return;
    h->closed = true;
    h->stream = NULL;
    if (st)
        agw_h1_server_stream_close(st, code ? code : AGW_ERESET);
    agw_timer_cancel(&loop_of(h)->timers, &h->c->timer);
    agw_task_cancel(&h->step);
    agw_input_free(&h->in);
    agw_output_free(&h->out);
    if (!code && h->c->secure)
        agw_conn_shutdown(
            &h->c->conn); /* RFC 8446 section 6.1: without close_notify the session is no good */
    agw_conn_close(&h->c->conn, code != 0);
}

/* --- deadlines --- */

static void set_deadline(struct agw_h1_server *h, uint32_t ms)
{
    struct agw_timer *t = &h->c->timer;
    h->deadline_ms = loop_of(h)->now_ms + ms;
    if (!agw_timer_armed(t) || t->due_ms > h->deadline_ms)
        agw_timer_set(&loop_of(h)->timers, t, h->deadline_ms);
}

/* True while nothing but the client holds the exchange up. */
static bool awaits_body(const struct agw_h1_server *h)
{
    const struct agw_h1_server_stream *st = h->stream;
    return st && !st->req_done && !st->head_sent && !st->upgrading && !st->asks && !h->paused &&
           h->out.chain.bytes == 0;
}

/* Counts what came of the body, and the time that it took. */
static void pace(struct agw_h1_server *h)
{
    struct agw_h1_server_stream *st = h->stream;
    const struct agw_server_limits *l = h->c->limits;
    uint64_t now = loop_of(h)->now_ms, spent = st->paced_ms ? now - st->paced_ms : 0,
             left = st->body_left_ms > spent ? st->body_left_ms - spent : 0;
    if (st->came > 0)
        left = l->body_rate ? left + (uint64_t)st->came * 1000 / l->body_rate : l->body_ms;
    st->body_left_ms = left < l->body_ms ? (uint32_t)left : l->body_ms;
    st->came = 0;
    st->paced_ms = 0;
}

/* The body's time runs, or it stops. */
static void watch_body(struct agw_h1_server *h)
{
    struct agw_h1_server_stream *st = h->stream;
    if (h->c->limits->body_ms == 0)
        return;
    if (st->paced_ms || st->came > 0)
        pace(h);
    if (!awaits_body(h))
        return;
    st->paced_ms = loop_of(h)->now_ms;
    set_deadline(h, st->body_left_ms);
}

/* A stall is told by bytes that wait while none go out. */
static void watch_stall(struct agw_h1_server *h)
{
    if (h->out.chain.bytes == 0) {
        if (h->stream && !h->lingering) {
            h->deadline_ms = 0;
            watch_body(h);
        }
    } else if (h->out.sent != h->sent_mark || h->deadline_ms == 0) {
        h->sent_mark = h->out.sent;
        set_deadline(h, h->c->limits->stall_ms);
    }
}

/* --- refusing --- */

static void drop_input(struct agw_h1_server *h)
{
    agw_input_take(&h->in, h->in.n);
}

static void linger(struct agw_h1_server *h)
{
    h->lingering = true;
    drop_input(h);
    agw_conn_shutdown(&h->c->conn);
    h->linger_end_ms = loop_of(h)->now_ms + LINGER_MAX_MS;
    set_deadline(h, LINGER_MS);
    agw_conn_want_read(&h->c->conn); /* a peer that waits to send more has no news for us */
}

/* The last answer is out. Bytes that nobody has read would make a plain close a reset, which may overtake the
 * answer. */
static void end_conn(struct agw_h1_server *h, bool unread)
{
    if (unread || h->in.n > 0 || agw_conn_may_read(&h->c->conn))
        linger(h);
    else
        shut(h, 0);
}

/* Answers what is no valid request; the connection closes once the peer has read the answer. */
static void answer(struct agw_h1_server *h, int status, const char *reason)
{
    struct agw_arena arena;
    struct agw_msg msg;
    enum agw_h1_framing framing;
    struct agw_block_pool *pool = &loop_of(h)->blocks;
    struct agw_chain body;
    agw_chain_init(&body);
    agw_arena_init(&arena, 1024, 0);
    agw_msg_init(&msg, &arena);
    msg.status = status;
    struct agw_str text = agw_arena_printf(&arena, "%d %s: %s\n", status, agw_http_reason(status), reason);
    msg.length = (int64_t)text.n;
    int rc =
        text.p ? agw_headers_add_id(&msg.headers, AGW_HDR_CONTENT_TYPE, AGW_STR("text/plain")) : AGW_ENOMEM;
    if (rc == 0)
        rc = agw_headers_add_date(&msg.headers, loop_of(h)->wall_ns);
    if (rc == 0)
        rc = agw_chain_copy(&body, pool, text.p, text.n);
    if (rc == 0)
        rc = agw_h1_write_response(&h->out.chain, pool, &msg, false, AGW_HTTP_11, AGW_METHOD_GET, false,
                                   &framing);
    if (rc == 0)
        rc = agw_h1_write_body(&h->out.chain, pool, framing, &body);
    agw_chain_clear(&body);
    agw_arena_free(&arena);
    h->last = true;
    drop_input(h);
    if (rc)
        shut(h, rc);
    else
        agw_output_kick(&h->out);
}

/* A head that nobody has seen. */
static void refuse(struct agw_h1_server *h, int status, const char *reason)
{
    if (h->c->handler->on_refused)
        h->c->handler->on_refused(h->c, status, reason);
    answer(h, status, reason);
}

/* The request broke off inside its body; its owner writes that down. */
static void refuse_body(struct agw_h1_server *h, int code, int status, const char *reason)
{
    struct agw_h1_server_stream *st = h->stream;
    h->stream = NULL;
    agw_h1_server_stream_close(st, code);
    answer(h, status, reason);
}

static void refuse_slow_head(struct agw_h1_server *h)
{
    h->in_head = false;
    refuse(h, 408, "the request head comes too slowly");
}

static void on_deadline(struct agw_h1_server *h)
{
    if (awaits_body(h))
        refuse_body(h, AGW_ETIMEOUT, 408, "the request body comes too slowly");
    else if (h->in_head && h->out.chain.bytes == 0)
        refuse_slow_head(h);
    else if (h->stream && h->out.chain.bytes == 0)
        h->deadline_ms = 0; /* it waits for somebody else by now */
    else
        shut(h, h->stream ? AGW_ETIMEOUT : 0);
}

static void on_timer(struct agw_timer *t)
{
    struct agw_server_conn *c = agw_container_of(t, struct agw_server_conn, timer);
    struct agw_h1_server *h = c->proto;
    if (h->deadline_ms == 0)
        return;
    if (loop_of(h)->now_ms < h->deadline_ms) {
        agw_timer_set(&loop_of(h)->timers, t, h->deadline_ms);
        return;
    }
    enter(h);
    on_deadline(h);
    leave(h);
}

/* --- requests --- */

static void start_request(struct agw_h1_server *h, struct agw_h1_server_stream *st)
{
    struct agw_msg *msg = &st->msg;
    h->stream = st;
    h->deadline_ms = 0;
    h->in_head = false;
    st->keep_alive = h->head.keep_alive;
    agw_h1_body_init(&st->body, &h->head, msg->length, &st->arena);
    st->req_done =
        h->head.framing == AGW_H1_NO_BODY || (h->head.framing == AGW_H1_LENGTH && msg->length == 0);
    if (!st->req_done)
        msg->upgrade = AGW_STR(""); /* not behind a body: a server may ignore it (RFC 9110 section 7.8) */
    st->upgrading = msg->upgrade.n > 0;
    if (st->upgrading)
        st->req_done = false;
    st->asks = msg->expect_continue && !st->req_done;
    st->body_left_ms = h->c->limits->body_ms;
    msg->scheme = h->c->secure ? AGW_STR("https") : AGW_STR("http");
    agw_h1_head_init(&h->head, h->head.limits);
    h->c->handler->on_request(h->c, &st->s, msg, st->req_done);
}

/* RFC 9113 section 3.4: a broken preface of HTTP/2 is no request that could be answered, nor is another
 * protocol. */
static void hang_up(struct agw_h1_server *h)
{
    if (h->c->handler->on_refused)
        h->c->handler->on_refused(h->c, 0, "neither HTTP/1.1 nor HTTP/2");
    h->last = true;
    linger(h);
}

static void refuse_head(struct agw_h1_server *h)
{
    if (h->head.foreign && h->out.chain.bytes == 0)
        hang_up(h);
    else
        refuse(h, h->head.status ? h->head.status : 400,
               h->head.reason ? h->head.reason : "malformed request");
}

/* AGW_EAGAIN: more bytes are needed. */
static int read_head(struct agw_h1_server *h)
{
    struct agw_h1_server_stream *st = agw_h1_server_stream_new(h);
    if (!st)
        return AGW_ENOMEM;
    int rc = agw_h1_parse_request(&h->head, h->in.p, h->in.n, &st->msg);
    if (rc == 0) {
        agw_input_take(&h->in, h->head.used);
        start_request(h, st);
        return 0;
    }
    agw_h1_server_stream_free(st);
    if (rc == AGW_EAGAIN || rc == AGW_ENOMEM)
        return rc;
    refuse_head(h);
    return 0;
}

static int give_body(struct agw_h1_server *h, const unsigned char *p, size_t n)
{
    struct agw_h1_server_stream *st = h->stream;
    struct agw_chain data;
    if (st->detached)
        return 0;
    agw_chain_init(&data);
    int rc = agw_chain_add(&data, h->in.block, p, n);
    if (rc)
        return rc;
    st->unread += n;
    h->paused = st->unread >= AGW_STREAM_WINDOW;
    st->s.events->on_body(&st->s, &data);
    agw_chain_clear(&data);
    return 0;
}

static int read_body(struct agw_h1_server *h)
{
    struct agw_h1_server_stream *st = h->stream;
    size_t used, at, len;
    const unsigned char *p = h->in.p;
    int rc = agw_h1_body_next(&st->body, p, h->in.n, &used, &at, &len);
    if (rc < 0)
        return rc;
    agw_input_take(&h->in, used);
    bool over = rc == AGW_H1_END;
    if (rc == AGW_H1_DATA) {
        st->asks = false;
        st->came += len;
        over = agw_h1_body_is_over(&st->body);
        rc = give_body(h, p + at, len);
        if (rc)
            return rc;
    }
    if (over) {
        st->req_done = true;
        if (!st->detached)
            st->s.events->on_end(&st->s, st->body.trailers);
    }
    return 0;
}

/* True if the bytes behind must wait: for the answer, for the owner, for the client to read. */
static bool must_wait(const struct agw_h1_server *h)
{
    const struct agw_h1_server_stream *st = h->stream;
    if (h->closed || h->broken || h->last)
        return true;
    if (!st)
        return h->out.chain.bytes > AGW_STREAM_HIGH;
    return st->req_done || st->upgrading || h->paused;
}

/* Understands what has been read, as far as it may. */
static void digest(struct agw_h1_server *h)
{
    while (h->in.n > 0 && !must_wait(h)) {
        int rc = h->stream ? read_body(h) : read_head(h);
        if (rc == AGW_EAGAIN)
            return;
        if (rc && h->stream && !h->stream->head_sent && !h->closed && rc != AGW_ENOMEM) {
            refuse_body(h, rc, rc == AGW_ELIMIT ? 413 : 400, "malformed request body");
        } else if (rc) {
            shut(h, rc);
        }
    }
}

static void on_eof(struct agw_h1_server *h)
{
    struct agw_h1_server_stream *st = h->stream;
    if (st && st->tunnel && !st->req_done) {
        st->req_done = true;
        if (!st->detached)
            st->s.events->on_end(&st->s, NULL);
        agw_loop_defer(loop_of(h), &h->step);
        return;
    }
    if (!st && h->out.chain.bytes > 0) /* a client that only stopped asking gets the rest of its answer */
        h->last = true;
    else
        shut(h, st ? AGW_ERESET : 0);
}

/* Bytes that nobody will look at. */
static void still_lingering(struct agw_h1_server *h)
{
    uint64_t now_ms = loop_of(h)->now_ms, left_ms = h->linger_end_ms > now_ms ? h->linger_end_ms - now_ms : 0;
    drop_input(h);
    set_deadline(h, left_ms < LINGER_MS ? (uint32_t)left_ms : LINGER_MS);
}

/* A head that has begun, and a body, must come on. */
static void watch_input(struct agw_h1_server *h)
{
    if (h->stream) {
        if (!h->stream->req_done)
            watch_body(h);
    } else if (!must_wait(h) && h->in.n > 0 && !h->in_head) {
        h->in_head = true;
        set_deadline(h, h->c->limits->head_ms);
    }
}

static void read_some(struct agw_h1_server *h)
{
    size_t budget = READ_BUDGET;
    digest(h);
    while (!h->closed && (h->lingering || !must_wait(h))) {
        size_t before = h->in.n;
        int rc = agw_input_fill(&h->in, &h->c->conn, h->head.limits->head + AGW_BLOCK_SIZE);
        if (rc == AGW_EAGAIN)
            break;
        if (rc) {
            rc == AGW_EEOF ? on_eof(h) : shut(h, rc);
            break;
        }
        size_t got = h->in.n - before;
        h->lingering ? still_lingering(h) : digest(h);
        if (got >= budget) {
            agw_conn_want_read(&h->c->conn);
            break;
        }
        budget -= got;
    }
    if (h->closed)
        return;
    if (agw_input_park(&h->in, loop_of(h)))
        shut(h, AGW_ENOMEM);
    else
        watch_input(h);
}

/* --- ending an exchange --- */

static uint32_t idle_ms(const struct agw_h1_server *h)
{
    const struct agw_server_conn *c = h->c;
    uint64_t now = loop_of(h)->now_ms, idle = c->limits->idle_ms;
    if (agw_server_conn_is_leaving(c))
        return 1;
    return (uint32_t)(c->expires_ms && c->expires_ms - now < idle ? c->expires_ms - now : idle);
}

static void go_idle(struct agw_h1_server *h)
{
    h->paused = h->high = false;
    h->deadline_ms = 0;
    if (h->in.n == 0)
        set_deadline(h, idle_ms(h));
}

static void finish_stream(struct agw_h1_server *h)
{
    struct agw_h1_server_stream *st = h->stream;
    bool again = st->keep_alive && st->req_done && !h->c->draining;
    bool unread = !st->req_done;
    h->stream = NULL;
    agw_h1_server_stream_close(st, 0);
    if (h->closed)
        return;
    if (again) {
        go_idle(h);
        read_some(h);
        return;
    }
    h->last = true;
    if (h->out.chain.bytes > 0)
        watch_stall(h);
    else
        end_conn(h, unread);
}

static bool stream_over(const struct agw_h1_server_stream *st)
{
    if (!st->resp_done)
        return false;
    return !st->tunnel || st->req_done;
}

static void step(struct agw_task *t)
{
    struct agw_h1_server *h = agw_container_of(t, struct agw_h1_server, step);
    enter(h);
    if (h->broken)
        shut(h, h->broken);
    else if (h->stream && stream_over(h->stream))
        finish_stream(h);
    else
        read_some(h);
    leave(h);
}

static void tell_drained(struct agw_h1_server *h)
{
    struct agw_h1_server_stream *st = h->stream;
    if (!st || !h->high || h->out.chain.bytes >= AGW_STREAM_LOW)
        return;
    h->high = false;
    if (!st->detached)
        st->s.events->on_drain(&st->s);
}

/* Nothing is left to send and no request is under way. */
static void rest(struct agw_h1_server *h)
{
    if (h->last && !h->lingering)
        linger(h);
    else if (!h->last && (h->in.n > 0 || agw_conn_may_read(&h->c->conn)))
        agw_loop_defer(loop_of(h), &h->step); /* requests may wait behind an answer that was slow to go out */
}

static void after_flush(struct agw_h1_server *h)
{
    watch_stall(h);
    tell_drained(h);
    if (h->closed || h->out.chain.bytes > 0)
        return;
    if (!h->stream)
        rest(h);
    else if (h->stream->tunnel && h->stream->resp_done)
        agw_conn_shutdown(&h->c->conn);
}

static void on_flush(struct agw_output *out, int code)
{
    struct agw_h1_server *h = agw_container_of(out, struct agw_h1_server, out);
    enter(h);
    if (code)
        shut(h, code);
    else
        after_flush(h);
    leave(h);
}

static void on_readable(struct agw_conn *conn)
{
    struct agw_h1_server *h = ((struct agw_server_conn *)conn->user)->proto;
    enter(h);
    /* A client that went away while it waits for its answer: whoever makes the answer should stop. */
    if (conn->hangup && h->stream && h->stream->req_done && !h->stream->resp_done && !h->stream->tunnel)
        shut(h, AGW_ERESET);
    else
        read_some(h);
    leave(h);
}

static void on_writable(struct agw_conn *conn)
{
    struct agw_h1_server *h = ((struct agw_server_conn *)conn->user)->proto;
    if (h->out.chain.bytes > 0)
        agw_output_kick(&h->out);
}

static const struct agw_conn_events h1_events = {.on_readable = on_readable, .on_writable = on_writable};

static void drain(struct agw_server_conn *c)
{
    struct agw_h1_server *h = c->proto;
    c->draining = true;
    if (h->stream || h->last)
        return;
    if (h->out.chain.bytes > 0)
        h->last = true;
    else if (h->in.n == 0)
        set_deadline(h, 1);
}

static void destroy(struct agw_server_conn *c)
{
    struct agw_h1_server *h = c->proto;
    enter(h);
    shut(h, h->stream ? AGW_ECANCELED : 0);
    leave(h);
}

static const struct agw_server_conn_ops h1_ops = {.name = "h1", .drain = drain, .destroy = destroy};

int agw_h1_server_start(struct agw_server_conn *c, struct agw_input *in)
{
    struct agw_h1_server *h = calloc(1, sizeof(*h));
    if (!h)
        return AGW_ENOMEM;
    h->c = c;
    h->in = *in;
    agw_input_init(in);
    agw_output_init(&h->out, &c->conn, on_flush);
    agw_h1_head_init(&h->head, c->limits->h1);
    agw_task_init(&h->step, step);
    c->ops = &h1_ops;
    c->proto = h;
    c->conn.events = &h1_events;
    c->conn.user = c;
    agw_timer_cancel(&c->conn.loop->timers, &c->timer);
    agw_timer_init(&c->timer, on_timer);
    set_deadline(h, c->limits->head_ms);
    agw_loop_defer(c->conn.loop, &h->step);
    return 0;
}
