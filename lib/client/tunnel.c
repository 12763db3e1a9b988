#include "client/tunnel.h"

#include <stdlib.h>
#include <sys/uio.h>
#include "client/client_int.h"

/* The request, and a usual answer. */
#define ARENA_FIRST 1024

struct tunnel {
    struct agw_filter bottom;
    struct agw_loop *loop;
    struct agw_stream *stream; /* NULL: over */
    struct agw_arena arena;    /* a client's messages */
    struct agw_chain in;       /* came, not read yet: at most a window */
    struct agw_task news;
    unsigned events; /* for |news| */
    struct agw_timer linger;
    struct agw_list node; /* client->tunnels, a client's */
    int code;             /* why it broke; 0: it did not */
    int status;           /* a refusal's */
    bool open;            /* CONNECT was granted */
    bool in_ended, out_ended;
};

static struct tunnel *of(struct agw_filter *f)
{
    return (struct tunnel *)f; /* the bottom is the first member */
}

static void destroy(struct tunnel *t)
{
    agw_timer_cancel(&t->loop->timers, &t->linger);
    agw_task_cancel(&t->news);
    agw_list_remove(&t->node);
    agw_chain_clear(&t->in);
    agw_arena_free(&t->arena);
    free(t);
}

static void tell(struct tunnel *t, unsigned events)
{
    t->events |= events;
    agw_loop_defer(t->loop, &t->news);
}

static void run_news(struct agw_task *task)
{
    struct tunnel *t = agw_container_of(task, struct tunnel, news);
    unsigned events = t->events;
    t->events = 0;
    agw_conn_news(t->bottom.conn, events);
}

/* The stream is over, by us. */
static void break_off(struct tunnel *t, int code)
{
    agw_stream_reset(t->stream, AGW_ECANCELED);
    t->stream = NULL;
    t->code = code;
}

/* --- what comes --- */

static void on_head(struct agw_stream *s, struct agw_msg *msg, bool end)
{
    struct tunnel *t = s->owner;
    if (msg->status < 200)
        return;
    t->open = msg->status < 300;
    t->in_ended = end;
    if (!t->open) {
        t->status = msg->status;
        break_off(t, AGW_EREFUSED);
    }
    tell(t, AGW_READABLE);
}

/* Nobody reads any more, but what was written before may still be on its way. */
static void drop(struct tunnel *t, size_t n)
{
    if (t->stream && n > 0)
        agw_stream_consume(t->stream, n);
}

static void on_body(struct agw_stream *s, struct agw_chain *data)
{
    struct tunnel *t = s->owner;
    size_t n = data->bytes;
    if (!t->bottom.conn) {
        drop(t, n);
        return;
    }
    if (agw_chain_move(&t->in, data))
        break_off(t, AGW_ENOMEM);
    tell(t, AGW_READABLE);
}

static void on_end(struct agw_stream *s, struct agw_headers *trailers)
{
    struct tunnel *t = s->owner;
    (void)trailers;
    t->in_ended = true;
    if (t->bottom.conn) {
        tell(t, AGW_READABLE);
        return;
    }
    agw_stream_detach(t->stream);
    destroy(t);
}

static void on_drain(struct agw_stream *s)
{
    struct tunnel *t = s->owner;
    if (t->bottom.conn)
        tell(t, AGW_WRITABLE);
}

static void on_close(struct agw_stream *s, int code)
{
    struct tunnel *t = s->owner;
    t->stream = NULL;
    if (!t->bottom.conn) {
        destroy(t);
        return;
    }
    t->in_ended |= code == 0;
    t->code = code && (t->open || code == AGW_ECLOSED) ? AGW_ERESET : code; /* RFC 9113 section 8.5 */
    tell(t, AGW_READABLE | AGW_WRITABLE | AGW_HANGUP);
}

static const struct agw_stream_events stream_events = {on_head, on_body, on_end, on_drain, on_close};

/* --- the bottom of a connection --- */

static int tunnel_start(struct agw_filter *f, struct agw_error *err)
{
    struct tunnel *t = of(f);
    if (t->open)
        return 0;
    if (!t->code)
        return AGW_EAGAIN;
    if (t->status)
        return agw_error_set(err, t->code, "tunnel: CONNECT was answered with %d", t->status);
    return agw_error_set(err, t->code, "tunnel: %s", agw_err_text(t->code));
}

static ssize_t tunnel_read(struct agw_filter *f, void *buf, size_t n)
{
    struct tunnel *t = of(f);
    size_t got = agw_chain_peek(&t->in, buf, n);
    if (got == 0) {
        f->conn->read_ready = false;
        return t->code ? t->code : t->in_ended ? AGW_EEOF : AGW_EAGAIN;
    }
    agw_chain_consume(&t->in, got);
    drop(t, got);
    if (t->in.bytes == 0 && !t->in_ended && !t->code)
        f->conn->read_ready = false;
    return (ssize_t)got;
}

/* Copies up to |room| bytes. How many, or AGW_ENOMEM. */
static ssize_t gather(struct tunnel *t, struct agw_chain *to, const struct iovec *iov, int count, size_t room)
{
    for (int i = 0; i < count && to->bytes < room; i++) {
        size_t left = room - to->bytes;
        size_t n = iov[i].iov_len < left ? iov[i].iov_len : left;
        int rc = agw_chain_copy(to, &t->loop->blocks, iov[i].iov_base, n);
        if (rc)
            return rc;
    }
    return (ssize_t)to->bytes;
}

static ssize_t tunnel_writev(struct agw_filter *f, const struct iovec *iov, int count)
{
    struct tunnel *t = of(f);
    struct agw_chain data;
    if (t->code)
        return t->code;
    if (!t->stream || t->out_ended)
        return AGW_ERESET;
    size_t waiting = agw_stream_pending(t->stream);
    f->conn->write_ready = waiting <= AGW_STREAM_HIGH;
    if (!f->conn->write_ready)
        return AGW_EAGAIN;
    agw_chain_init(&data);
    /* One more than the mark, so that on_drain follows whenever something was left out. */
    size_t room = AGW_STREAM_HIGH + 1 - waiting;
    ssize_t n = gather(t, &data, iov, count, room);
    if (n > 0) {
        int rc = agw_stream_write_body(t->stream, &data);
        n = rc ? rc : n;
    }
    agw_chain_clear(&data);
    f->conn->write_ready = n < 0 || (size_t)n < room;
    return n;
}

static bool tunnel_buffered(const struct agw_filter *f)
{
    return ((const struct tunnel *)f)->in.bytes > 0;
}

static void tunnel_shutdown(struct agw_filter *f)
{
    struct tunnel *t = of(f);
    if (!t->open || !t->stream || t->out_ended)
        return;
    t->out_ended = true;
    agw_stream_write_end(t->stream, NULL);
}

static void on_linger(struct agw_timer *timer)
{
    struct tunnel *t = agw_container_of(timer, struct tunnel, linger);
    agw_stream_reset(t->stream, AGW_ECANCELED);
    destroy(t);
}

static void tunnel_free(struct agw_filter *f)
{
    struct tunnel *t = of(f);
    tunnel_shutdown(f);
    bool cut = f->conn->reset || !t->open || t->code;
    f->conn = NULL;
    agw_task_cancel(&t->news);
    drop(t, t->in.bytes);
    agw_chain_clear(&t->in);
    if (t->stream && !cut && !t->in_ended) {
        agw_timer_set(&t->loop->timers, &t->linger, t->loop->now_ms + AGW_TUNNEL_LINGER_MS);
        return;
    }
    if (t->stream && cut)
        agw_stream_reset(t->stream, AGW_ECANCELED);
    else if (t->stream)
        agw_stream_detach(t->stream);
    destroy(t);
}

static const struct agw_filter_ops tunnel_ops = {
    .name = "tunnel",
    .start = tunnel_start,
    .read = tunnel_read,
    .writev = tunnel_writev,
    .buffered = tunnel_buffered,
    .shutdown = tunnel_shutdown,
    .free = tunnel_free,
};

/* --- life --- */

static struct tunnel *tunnel_new(struct agw_loop *loop)
{
    struct tunnel *t = calloc(1, sizeof(*t));
    if (!t)
        return NULL;
    t->bottom.ops = &tunnel_ops;
    t->loop = loop;
    agw_arena_init(&t->arena, ARENA_FIRST, 0);
    agw_chain_init(&t->in);
    agw_task_init(&t->news, run_news);
    agw_timer_init(&t->linger, on_linger);
    agw_list_init(&t->node);
    return t;
}

static struct agw_str authority_of(struct tunnel *t, const struct agw_endpoint *to)
{
    char text[AGW_ADDR_TEXT];
    if (to->addr.n > 0)
        return agw_arena_str(&t->arena, agw_str(text, agw_addr_format(&to->addr, text)));
    return agw_arena_printf(&t->arena, "%.*s:%u", AGW_STRF(to->host), to->port);
}

int agw_tunnel_connect(struct agw_conn *c, struct agw_client *client, const struct agw_endpoint *to,
                       const struct agw_conn_events *events, struct agw_error *err)
{
    struct tunnel *t = tunnel_new(client->loop);
    struct agw_str authority = t ? authority_of(t, to) : AGW_STR("");
    struct agw_msg m;
    if (t && authority.p)
        t->stream = agw_client_open(client, to->tunnel, &t->arena, &stream_events, t);
    if (!t || !t->stream) {
        if (t)
            destroy(t);
        return agw_error_set(err, AGW_ENOMEM, "tunnel: %s", agw_err_text(AGW_ENOMEM));
    }
    agw_list_push(&client->tunnels, &t->node);
    agw_msg_init(&m, &t->arena);
    m.method = AGW_METHOD_CONNECT;
    m.authority = m.path = authority;
    m.length = AGW_LENGTH_UNKNOWN;
    agw_conn_over(c, client->loop, &t->bottom, &to->addr, events);
    agw_stream_write_head(t->stream, &m, false); /* a failure comes as on_close */
    return 0;
}

int agw_tunnel_accept(struct agw_conn *c, struct agw_loop *loop, struct agw_stream *s, bool end,
                      const struct agw_addr *peer, const struct agw_conn_events *events)
{
    struct tunnel *t = tunnel_new(loop);
    struct agw_msg m;
    if (!t)
        return AGW_ENOMEM;
    t->stream = s;
    t->open = true;
    t->in_ended = end;
    s->events = &stream_events;
    s->owner = t;
    agw_msg_init(&m, s->arena);
    m.status = 200;
    m.length = AGW_LENGTH_UNKNOWN;
    agw_conn_over(c, loop, &t->bottom, peer, events);
    agw_stream_write_head(s, &m, false);
    return 0;
}

void agw_client_tunnels_end(struct agw_client *c)
{
    while (!agw_list_empty(&c->tunnels)) {
        struct tunnel *t = agw_list_entry(c->tunnels.next, struct tunnel, node);
        agw_check(!t->bottom.conn); /* connections go before the client */
        agw_stream_reset(t->stream, AGW_ECANCELED);
        destroy(t);
    }
}
