/* An upstream HTTP/2 connection: many of the pool's streams on one session. */
#include <stdlib.h>
#include "client/client_int.h"
#include "client/h2_link.h"

/* Upstreams may be slow to take a request body, but not for ever. */
#define STALL_MS 60000

struct agw_h2_conn {
    struct agw_list node; /* pool->h2 */
    struct agw_pool *pool;
    struct agw_conn *conn;
    struct agw_h2_link link;
    struct agw_list streams; /* agw_client_stream.node */
    uint32_t heads_due;      /* attached, and their request not yet submitted */
    bool closing;            /* by the pool: no events */
    uint32_t served;
    uint64_t idle_since_ms, born_ms;
    struct agw_timer stall;
};

static struct agw_client_stream *stream_of(struct agw_stream *s)
{
    return agw_container_of(s, struct agw_client_stream, s);
}

struct agw_h2_conn *agw_h2_conn_of(struct agw_list *node)
{
    return agw_list_entry(node, struct agw_h2_conn, node);
}

/* --- streams --- */

static void leave(struct agw_client_stream *cs)
{
    struct agw_h2_conn *h = cs->h2;
    if (!cs->h2_stream)
        h->heads_due--;
    cs->h2_stream = NULL;
    agw_list_remove(&cs->node);
    if (agw_list_empty(&h->streams))
        h->idle_since_ms = h->conn->loop->now_ms;
    agw_h2_link_kick(&h->link);
}

/* A call failed: the owner hears of it from a task. */
static int fail(struct agw_client_stream *cs, int code)
{
    if (cs->h2_stream)
        agw_h2_reset(cs->h2_stream, code);
    leave(cs);
    cs->unsent = code == AGW_EREFUSED;
    agw_client_stream_fail(cs, code);
    return code;
}

/* A new connection's SETTINGS will tell whether this may be asked. */
static int hold_upgrade(struct agw_client_stream *cs, const struct agw_msg *msg)
{
    cs->upgrade = agw_arena_copy(cs->s.arena, msg, sizeof(*msg));
    return cs->upgrade ? 0 : fail(cs, AGW_ENOMEM);
}

static int write_head(struct agw_stream *s, const struct agw_msg *msg, bool end)
{
    struct agw_client_stream *cs = stream_of(s);
    struct agw_h2_conn *h = cs->h2;
    struct agw_h2_stream *st;
    cs->method = msg->method;
    if (msg->upgrade.n > 0 && agw_h2_takes_upgrades(h->link.h2) == AGW_EAGAIN)
        return hold_upgrade(cs, msg);
    int rc = agw_h2_request(h->link.h2, msg, end, s->arena, cs, &st);
    if (rc)
        return fail(cs, rc == AGW_ECLOSED ? AGW_EREFUSED : rc);
    cs->h2_stream = st;
    h->heads_due--;
    agw_h2_link_kick(&h->link);
    return 0;
}

static int write_body(struct agw_stream *s, struct agw_chain *data)
{
    struct agw_client_stream *cs = stream_of(s);
    int rc = cs->h2_stream ? agw_h2_body(cs->h2_stream, data) : AGW_ECLOSED;
    if (rc)
        return fail(cs, rc);
    agw_h2_link_kick(&cs->h2->link);
    return 0;
}

static int write_end(struct agw_stream *s, const struct agw_headers *trailers)
{
    struct agw_client_stream *cs = stream_of(s);
    int rc = cs->h2_stream ? agw_h2_end(cs->h2_stream, trailers) : AGW_ECLOSED;
    if (rc)
        return fail(cs, rc);
    agw_h2_link_kick(&cs->h2->link);
    return 0;
}

static size_t pending(const struct agw_stream *s)
{
    const struct agw_client_stream *cs = agw_container_of(s, struct agw_client_stream, s);
    return cs->h2_stream ? agw_h2_pending(cs->h2_stream) : 0;
}

static void consume(struct agw_stream *s, size_t n)
{
    struct agw_client_stream *cs = stream_of(s);
    if (!cs->h2_stream)
        return;
    agw_h2_consume(cs->h2_stream, n);
    agw_h2_link_kick(&cs->h2->link);
}

static void reset(struct agw_stream *s, int code)
{
    struct agw_client_stream *cs = stream_of(s);
    if (cs->h2_stream)
        agw_h2_reset(cs->h2_stream, code);
    leave(cs);
    agw_client_stream_free(cs);
}

static void detach(struct agw_stream *s)
{
    struct agw_client_stream *cs = stream_of(s);
    if (cs->h2_stream)
        agw_h2_detach(cs->h2_stream);
    leave(cs);
    agw_client_stream_free(cs);
}

static const struct agw_stream_ops h2_ops = {
    .write_head = write_head,
    .write_body = write_body,
    .write_end = write_end,
    .pending = pending,
    .consume = consume,
    .reset = reset,
    .detach = detach,
};

/* --- the session's events --- */

static void on_head(struct agw_h2 *h2, void *stream, struct agw_msg *msg, bool end)
{
    struct agw_client_stream *cs = stream;
    (void)h2;
    cs->h2_answered = true;
    if (msg->status < 200 && ++cs->h2_interim > AGW_INTERIM_MAX) {
        fail(cs, AGW_EPROTO);
        return;
    }
    cs->s.events->on_head(&cs->s, msg, end);
}

static void on_body(struct agw_h2 *h2, void *stream, struct agw_block *block, const unsigned char *p,
                    size_t n)
{
    struct agw_client_stream *cs = stream;
    struct agw_chain data;
    (void)h2;
    agw_chain_init(&data);
    if (agw_chain_add(&data, block, p, n) == 0)
        cs->s.events->on_body(&cs->s, &data);
    else
        fail(cs, AGW_ENOMEM);
    agw_chain_clear(&data);
}

static void on_end(struct agw_h2 *h2, void *stream, struct agw_headers *trailers)
{
    struct agw_client_stream *cs = stream;
    (void)h2;
    cs->s.events->on_end(&cs->s, trailers);
}

static void on_drain(struct agw_h2 *h2, void *stream)
{
    struct agw_client_stream *cs = stream;
    (void)h2;
    cs->s.events->on_drain(&cs->s);
}

static void on_close(struct agw_h2 *h2, void *stream, int code)
{
    struct agw_client_stream *cs = stream;
    struct agw_h2_conn *h = agw_h2_user(h2);
    leave(cs);
    if (h->closing) {
        agw_client_stream_free(cs);
        return;
    }
    cs->unsent = code == AGW_EREFUSED; /* RFC 9113 section 8.7: the peer has not looked at it */
    cs->silent = code == AGW_ECLOSED && !cs->h2_answered;
    /* The connection went without a word about this request. */
    if (code == AGW_ECLOSED && (cs->h2_answered || !cs->reused))
        code = AGW_ERESET;
    if (code == AGW_ELIMIT) /* its answer is too large: a broken backend, not a full pool */
        code = AGW_EPROTO;
    agw_client_stream_close(cs, code);
}

static void on_settings(struct agw_h2 *h2)
{
    struct agw_h2_conn *h = agw_h2_user(h2);
    struct agw_list *node, *tmp;
    agw_list_each (node, tmp, &h->streams) {
        struct agw_client_stream *cs = agw_list_entry(node, struct agw_client_stream, node);
        const struct agw_msg *msg = cs->upgrade;
        cs->upgrade = NULL;
        if (msg)
            write_head(&cs->s, msg, false);
    }
}

static void on_goaway(struct agw_h2 *h2)
{
    (void)h2; /* agw_h2_room is 0 from now on */
}

static const struct agw_h2_events session_events = {
    .on_head = on_head,
    .on_body = on_body,
    .on_end = on_end,
    .on_drain = on_drain,
    .on_close = on_close,
    .on_settings = on_settings,
    .on_goaway = on_goaway,
};

/* --- the connection --- */

static void free_conn(struct agw_h2_conn *h, int code)
{
    struct agw_pool *p = h->pool;
    struct agw_list *node;
    agw_list_remove(&h->node);
    agw_timer_cancel(&p->client->loop->timers, &h->stall);
    agw_h2_link_free(&h->link, code);
    while ((node = h->streams.next) != &h->streams) { /* attached, nothing submitted */
        struct agw_client_stream *cs = agw_list_entry(node, struct agw_client_stream, node);
        if (h->closing)
            reset(&cs->s, 0);
        else
            fail(cs, AGW_EREFUSED);
    }
    agw_task_cancel(&h->link.task);
    agw_conn_shutdown(h->conn);
    agw_conn_close(h->conn, false);
    free(h->conn);
    free(h);
    p->open--;
    p->client->stats.open--;
}

static void on_over(struct agw_h2_link *l, int code)
{
    struct agw_h2_conn *h = agw_container_of(l, struct agw_h2_conn, link);
    struct agw_pool *p = h->pool;
    bool silent = code == AGW_EEOF || code == AGW_ERESET || code == 0;
    free_conn(h, silent ? AGW_ECLOSED : code);
    agw_pool_serve(p);
}

static void on_turn(struct agw_h2_link *l)
{
    struct agw_h2_conn *h = agw_container_of(l, struct agw_h2_conn, link);
    if (h->pool->waiting_count > 0 && agw_h2_conn_room(h) > 0)
        agw_pool_serve(h->pool);
}

static void on_stall(struct agw_timer *t)
{
    struct agw_h2_conn *h = agw_container_of(t, struct agw_h2_conn, stall);
    struct agw_loop *loop = h->conn->loop;
    agw_timer_set(&loop->timers, t, loop->now_ms + STALL_MS);
    int rc = agw_h2_link_check(&h->link);
    if (rc)
        on_over(&h->link, rc);
    else if (agw_list_empty(&h->streams))
        agw_h2_trim(h->link.h2);
}

static void conn_readable(struct agw_conn *c)
{
    struct agw_h2_conn *h = c->user;
    agw_h2_link_readable(&h->link);
}

static void conn_writable(struct agw_conn *c)
{
    struct agw_h2_conn *h = c->user;
    agw_h2_link_writable(&h->link);
}

static const struct agw_conn_events conn_events = {
    .on_readable = conn_readable,
    .on_writable = conn_writable,
};

struct agw_h2_conn *agw_h2_conn_new(struct agw_pool *pool, struct agw_conn *conn)
{
    struct agw_loop *loop = conn->loop;
    struct agw_h2_conn *h = calloc(1, sizeof(*h));
    struct agw_h2 *h2 = NULL;
    if (h)
        h2 = agw_h2_client_new(&agw_h2_default_limits, &session_events, &loop->blocks, h);
    if (!h2) {
        free(h);
        agw_conn_close(conn, false);
        free(conn);
        return NULL;
    }
    h->pool = pool;
    h->conn = conn;
    h->idle_since_ms = h->born_ms = loop->now_ms;
    agw_list_init(&h->streams);
    agw_h2_link_init(&h->link, conn, h2, NULL);
    h->link.on_turn = on_turn;
    h->link.on_over = on_over;
    conn->user = h;
    conn->events = &conn_events;
    agw_list_push(&pool->h2, &h->node);
    agw_timer_init(&h->stall, on_stall);
    agw_timer_set(&loop->timers, &h->stall, loop->now_ms + STALL_MS);
    agw_h2_link_kick(&h->link);
    return h;
}

bool agw_h2_conn_retired(const struct agw_h2_conn *h)
{
    const struct agw_client_limits *l = h->pool->client->limits;
    return (l->per_conn_max && h->served >= l->per_conn_max) ||
           (l->age_ms && h->conn->loop->now_ms - h->born_ms >= l->age_ms);
}

/* Tunnels last: one stream too many would wait for as long as the others live. */
bool agw_h2_conn_settled(const struct agw_h2_conn *h)
{
    return !h->pool->to.own || agw_h2_takes_upgrades(h->link.h2) != AGW_EAGAIN;
}

unsigned agw_h2_conn_room(const struct agw_h2_conn *h)
{
    bool none = h->link.over || agw_h2_conn_retired(h) || !agw_h2_conn_settled(h);
    unsigned room = none ? 0 : agw_h2_room(h->link.h2);
    return room > h->heads_due ? room - h->heads_due : 0;
}

void agw_h2_conn_attach(struct agw_h2_conn *h, struct agw_client_stream *cs)
{
    cs->h2 = h;
    cs->h2_stream = NULL;
    cs->h2_answered = false;
    cs->unsent = false;
    cs->reused = h->served > 0;
    cs->peer = h->conn->peer;
    cs->s.ops = &h2_ops;
    h->served++;
    h->heads_due++;
    agw_list_push(&h->streams, &cs->node);
    agw_client_stream_attach(cs);
}

void agw_h2_conn_close(struct agw_h2_conn *h)
{
    h->closing = true;
    agw_h2_shutdown(h->link.h2);
    if (agw_h2_output(h->link.h2, &h->link.out.chain, 4096) == 0)
        agw_output_write(&h->link.out);
    free_conn(h, AGW_ERESET);
}

bool agw_h2_conn_idle(const struct agw_h2_conn *h, uint64_t *ret_since_ms)
{
    if (!agw_list_empty(&h->streams))
        return false;
    *ret_since_ms = h->idle_since_ms;
    return true;
}
