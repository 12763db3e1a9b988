#include "proxy/server/h2_server.h"

#include <stdlib.h>
#include "client/h2_link.h"
#include "grpc/message.h"

/* First arena block: the head of a usual request and what the exchange keeps about it. With malloc's and the
 * arena's own words it stays within a 4 KiB class. */
#define ARENA_FIRST 3840
/* Stream objects kept for reuse while the connection is busy: 32 requests at once are usual for a busy
 * client. */
#define SPARE_MAX 32
/* An idle connection gives spare memory back after this. */
#define TICK_MS 5000

struct h2_server {
    struct agw_server_conn *c;
    struct agw_h2_link link;
    struct agw_list failed; /* struct h2_stream: on_close is due */
    struct agw_list spare;
    unsigned spare_count, open;
    uint64_t idle_since_ms, check_ms, tick_ms;
    uint64_t pinged_ms; /* 0: no PING waits for its answer */
    bool dying;
};

struct h2_stream {
    struct agw_stream s;
    struct h2_server *h;
    struct agw_h2_stream *st; /* NULL: over, or failed */
    struct agw_list node;     /* h->failed or h->spare */
    struct agw_arena arena;
    int code; /* while failed */
};

static struct h2_stream *stream_of(struct agw_stream *s)
{
    return agw_container_of(s, struct h2_stream, s);
}

static struct agw_loop *loop_of(const struct h2_server *h)
{
    return h->c->conn.loop;
}

/* --- stream objects --- */

static struct h2_stream *stream_new(struct h2_server *h)
{
    struct agw_list *node = agw_list_pop(&h->spare);
    struct h2_stream *hs = node ? agw_list_entry(node, struct h2_stream, node) : NULL;
    if (hs) {
        h->spare_count--;
    } else {
        hs = malloc(sizeof(*hs));
        if (!hs)
            return NULL;
        agw_arena_init(&hs->arena, ARENA_FIRST, 0);
    }
    hs->h = h;
    hs->code = 0;
    agw_list_init(&hs->node);
    h->open++;
    return hs;
}

static void stream_destroy(struct h2_stream *hs)
{
    agw_arena_free(&hs->arena);
    free(hs);
}

static void stream_free(struct h2_stream *hs)
{
    struct h2_server *h = hs->h;
    agw_list_remove(&hs->node);
    hs->st = NULL;
    if (--h->open == 0)
        h->idle_since_ms = loop_of(h)->now_ms;
    if (h->spare_count >= SPARE_MAX) {
        stream_destroy(hs);
        return;
    }
    agw_arena_reset(&hs->arena);
    h->spare_count++;
    agw_list_push_front(&h->spare, &hs->node);
}

static void drop_spare(struct h2_server *h)
{
    struct agw_list *node;
    while ((node = agw_list_pop(&h->spare)))
        stream_destroy(agw_list_entry(node, struct h2_stream, node));
    h->spare_count = 0;
}

/* --- the owner's calls --- */

/* A call failed: the stream is reset, its owner hears of it at the end of the turn. */
static int fail(struct h2_stream *hs, int code)
{
    if (!hs->st)
        return AGW_ECLOSED;
    agw_h2_reset(hs->st, code);
    hs->st = NULL;
    hs->code = code;
    agw_list_push(&hs->h->failed, &hs->node);
    agw_h2_link_kick(&hs->h->link);
    return code;
}

static int done(struct h2_stream *hs, int rc)
{
    if (rc)
        return fail(hs, rc);
    agw_h2_link_kick(&hs->h->link);
    return 0;
}

static int write_head(struct agw_stream *s, const struct agw_msg *msg, bool end)
{
    struct h2_stream *hs = stream_of(s);
    if (hs->st && msg->status == 100)
        agw_h2_unpaced(hs->st, false);
    return done(hs, hs->st ? agw_h2_respond(hs->st, msg, end) : AGW_ECLOSED);
}

static int write_body(struct agw_stream *s, struct agw_chain *data)
{
    struct h2_stream *hs = stream_of(s);
    if (hs->st)
        return done(hs, agw_h2_body(hs->st, data));
    agw_chain_clear(data);
    return AGW_ECLOSED;
}

static int write_end(struct agw_stream *s, const struct agw_headers *trailers)
{
    struct h2_stream *hs = stream_of(s);
    return done(hs, hs->st ? agw_h2_end(hs->st, trailers) : AGW_ECLOSED);
}

static size_t pending(const struct agw_stream *s)
{
    const struct h2_stream *hs = agw_container_of(s, struct h2_stream, s);
    return hs->st ? agw_h2_pending(hs->st) : 0;
}

static void consume(struct agw_stream *s, size_t n)
{
    struct h2_stream *hs = stream_of(s);
    if (!hs->st)
        return;
    agw_h2_consume(hs->st, n);
    agw_h2_link_kick(&hs->h->link);
}

static void reset(struct agw_stream *s, int code)
{
    struct h2_stream *hs = stream_of(s);
    if (hs->st) {
        agw_h2_reset(hs->st, code);
        agw_h2_link_kick(&hs->h->link);
    }
    stream_free(hs);
}

static void detach(struct agw_stream *s)
{
    struct h2_stream *hs = stream_of(s);
    if (hs->st) {
        agw_h2_detach(hs->st);
        agw_h2_link_kick(&hs->h->link);
    }
    stream_free(hs);
}

static const struct agw_stream_ops stream_ops = {
    .write_head = write_head,
    .write_body = write_body,
    .write_end = write_end,
    .pending = pending,
    .consume = consume,
    .reset = reset,
    .detach = detach,
};

/* --- the session's events --- */

static struct agw_arena *on_stream(struct agw_h2 *h2, struct agw_h2_stream *st, void **ret_stream)
{
    struct h2_server *h = agw_h2_user(h2);
    struct h2_stream *hs = stream_new(h);
    if (!hs)
        return NULL;
    hs->st = st;
    hs->s = (struct agw_stream){.ops = &stream_ops, .arena = &hs->arena};
    *ret_stream = hs;
    return &hs->arena;
}

static void on_head(struct agw_h2 *h2, void *stream, struct agw_msg *msg, bool end)
{
    struct h2_server *h = agw_h2_user(h2);
    struct h2_stream *hs = stream;
    struct agw_server_conn *c = h->c;
    /* What the client claims does not count: the connection is secure or it is not. */
    msg->scheme = c->secure ? AGW_STR("https") : AGW_STR("http");
    /* A gRPC stream may be silent for long; who waits for a 100 does not send. */
    if (!end && (msg->expect_continue || agw_grpc_is_request(msg)))
        agw_h2_unpaced(hs->st, true);
    c->handler->on_request(c, &hs->s, msg, end);
}

static void on_body(struct agw_h2 *h2, void *stream, struct agw_block *block, const unsigned char *p,
                    size_t n)
{
    struct h2_stream *hs = stream;
    struct agw_chain data;
    (void)h2;
    agw_chain_init(&data);
    if (agw_chain_add(&data, block, p, n) == 0)
        hs->s.events->on_body(&hs->s, &data);
    else
        fail(hs, AGW_ENOMEM);
    agw_chain_clear(&data);
}

static void on_end(struct agw_h2 *h2, void *stream, struct agw_headers *trailers)
{
    struct h2_stream *hs = stream;
    (void)h2;
    hs->s.events->on_end(&hs->s, trailers);
}

static void on_drain(struct agw_h2 *h2, void *stream)
{
    struct h2_stream *hs = stream;
    (void)h2;
    hs->s.events->on_drain(&hs->s);
}

static void on_close(struct agw_h2 *h2, void *stream, int code)
{
    struct h2_stream *hs = stream;
    (void)h2;
    hs->st = NULL;
    if (hs->s.events) /* NULL: the codec answered a bad request itself */
        hs->s.events->on_close(&hs->s, code);
    stream_free(hs);
}

static void on_goaway(struct agw_h2 *h2)
{
    (void)h2; /* its requests are finished; it closes when it has all */
}

static void on_refused(struct agw_h2 *h2, int status, const char *reason)
{
    struct h2_server *h = agw_h2_user(h2);
    h->c->handler->on_refused(h->c, status, reason);
}

static const struct agw_h2_events session_events = {
    .on_refused = on_refused,
    .on_stream = on_stream,
    .on_head = on_head,
    .on_body = on_body,
    .on_end = on_end,
    .on_drain = on_drain,
    .on_close = on_close,
    .on_goaway = on_goaway,
};

static void tell_failed(struct agw_h2_link *l)
{
    struct h2_server *h = agw_container_of(l, struct h2_server, link);
    struct agw_list *node;
    while ((node = agw_list_pop(&h->failed))) {
        struct h2_stream *hs = agw_list_entry(node, struct h2_stream, node);
        hs->s.events->on_close(&hs->s, hs->code);
        stream_free(hs);
    }
}

/* --- the connection --- */

static void end_conn(struct h2_server *h, int code)
{
    struct agw_server_conn *c = h->c;
    h->dying = true;
    agw_timer_cancel(&loop_of(h)->timers, &c->timer);
    tell_failed(&h->link);
    agw_h2_link_free(&h->link, code);
    tell_failed(&h->link);
    agw_task_cancel(&h->link.task);
    drop_spare(h);
    agw_conn_shutdown(&c->conn);
    agw_conn_close(&c->conn, false);
    free(h);
    c->proto = NULL;
    c->ops = NULL;
    c->handler->on_closed(c);
}

static void on_over(struct agw_h2_link *l, int code)
{
    struct h2_server *h = agw_container_of(l, struct h2_server, link);
    end_conn(h, code == 0 || code == AGW_EEOF ? AGW_ERESET : code);
}

/* GOAWAY with the last id at once: what is under way is finished, nothing new is taken. */
static void finish(struct h2_server *h)
{
    agw_h2_shutdown(h->link.h2);
    agw_h2_shutdown(h->link.h2);
    agw_h2_link_kick(&h->link);
}

static void set_timer(struct h2_server *h)
{
    const struct agw_server_limits *l = h->c->limits;
    const uint32_t all[] = {l->idle_ms, l->head_ms, l->stall_ms,
                            l->body_ms, l->ping_ms, l->ping_ms ? l->pong_ms : 0};
    uint64_t now = loop_of(h)->now_ms, expires = h->c->expires_ms, after = TICK_MS;
    for (size_t i = 0; i < AGW_ARRAY_LEN(all); i++)
        after = all[i] && all[i] < after ? all[i] : after;
    if (expires > now && expires - now < after)
        after = expires - now;
    agw_timer_set(&loop_of(h)->timers, &h->c->timer, loop_of(h)->now_ms + after);
}

static void drain(struct agw_server_conn *c);

/* True if the peer is gone: it says nothing and does not answer. */
static bool is_dead(struct h2_server *h, uint64_t now)
{
    const struct agw_server_limits *l = h->c->limits;
    uint64_t heard = agw_h2_heard_ms(h->link.h2);
    if (l->ping_ms == 0)
        return false;
    if (heard >= h->pinged_ms)
        h->pinged_ms = 0;
    if (h->pinged_ms)
        return now - h->pinged_ms >= l->pong_ms;
    if (now - heard >= l->ping_ms) {
        h->pinged_ms = now;
        agw_h2_ping(h->link.h2);
        agw_h2_link_kick(&h->link);
    }
    return false;
}

/* What is to end by now. 0, or why the connection is over. */
static int watch(struct h2_server *h, uint64_t now)
{
    struct agw_server_conn *c = h->c;
    const struct agw_server_limits *l = c->limits;
    uint32_t elapsed = (uint32_t)(now - h->tick_ms);
    h->tick_ms = now;
    if (is_dead(h, now) || (l->head_ms && agw_h2_section_age(h->link.h2, now) >= l->head_ms))
        return AGW_ETIMEOUT;
    if (c->draining) /* in case the peer does not answer our PING */
        finish(h);
    else if (agw_server_conn_is_leaving(c))
        drain(c);
    agw_h2_pace(h->link.h2, elapsed, l->body_rate, l->body_ms);
    agw_h2_link_kick(&h->link);
    return 0;
}

static void on_tick(struct agw_timer *t)
{
    struct agw_server_conn *c = agw_container_of(t, struct agw_server_conn, timer);
    struct h2_server *h = c->proto;
    uint64_t now = loop_of(h)->now_ms;
    set_timer(h);
    int rc = watch(h, now);
    if (rc) {
        end_conn(h, rc);
        return;
    }
    if (agw_h2_streams(h->link.h2) == 0) {
        agw_h2_trim(h->link.h2);
        drop_spare(h);
        if (now - h->idle_since_ms >= c->limits->idle_ms)
            finish(h);
    }
    if (now < h->check_ms)
        return;
    h->check_ms = now + c->limits->stall_ms;
    rc = agw_h2_link_check(&h->link);
    if (rc)
        end_conn(h, rc);
}

static void drain(struct agw_server_conn *c)
{
    struct h2_server *h = c->proto;
    if (c->draining || h->dying)
        return;
    c->draining = true;
    agw_h2_shutdown(h->link.h2);
    agw_h2_link_kick(&h->link);
}

static void destroy(struct agw_server_conn *c)
{
    end_conn(c->proto, AGW_ECANCELED);
}

static const struct agw_server_conn_ops server_ops = {
    .name = "h2",
    .drain = drain,
    .destroy = destroy,
};

static void conn_readable(struct agw_conn *conn)
{
    struct agw_server_conn *c = agw_container_of(conn, struct agw_server_conn, conn);
    struct h2_server *h = c->proto;
    agw_h2_link_readable(&h->link);
}

static void conn_writable(struct agw_conn *conn)
{
    struct agw_server_conn *c = agw_container_of(conn, struct agw_server_conn, conn);
    struct h2_server *h = c->proto;
    agw_h2_link_writable(&h->link);
}

static const struct agw_conn_events conn_events = {
    .on_readable = conn_readable,
    .on_writable = conn_writable,
};

int agw_h2_server_start(struct agw_server_conn *c, struct agw_input *in)
{
    struct agw_loop *loop = c->conn.loop;
    struct h2_server *h = calloc(1, sizeof(*h));
    if (!h)
        return AGW_ENOMEM;
    const struct agw_h2_limits *limits = c->limits->h2 ? c->limits->h2 : &agw_h2_default_limits;
    struct agw_h2 *h2 = agw_h2_server_new(limits, &session_events, &loop->blocks, h);
    if (!h2) {
        free(h);
        return AGW_ENOMEM;
    }
    h->c = c;
    h->idle_since_ms = loop->now_ms;
    h->check_ms = loop->now_ms + c->limits->stall_ms;
    h->tick_ms = loop->now_ms;
    agw_list_init(&h->failed);
    agw_list_init(&h->spare);
    agw_h2_link_init(&h->link, &c->conn, h2, in);
    h->link.on_turn = tell_failed;
    h->link.on_over = on_over;
    c->proto = h;
    c->ops = &server_ops;
    c->conn.events = &conn_events;
    agw_timer_cancel(&loop->timers, &c->timer);
    agw_timer_init(&c->timer, on_tick);
    set_timer(h);
    agw_h2_link_kick(&h->link);
    return 0;
}
