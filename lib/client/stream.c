#include <stdlib.h>
#include "client/client_int.h"

/* A free stream's link to the next one. */
#define SPARE_LINK(cs) (*(struct agw_client_stream **)&(cs)->s.owner)

static struct agw_client_stream *stream_of(struct agw_stream *s)
{
    return agw_container_of(s, struct agw_client_stream, s);
}

static const struct agw_client_stream *stream_of_const(const struct agw_stream *s)
{
    return agw_container_of(s, struct agw_client_stream, s);
}

/* --- ops while waiting for a connection --- */

static void stop_waiting(struct agw_client_stream *cs)
{
    if (agw_list_empty(&cs->node))
        return;
    agw_list_remove(&cs->node);
    agw_pool_count_waiting(cs->pool, -1);
}

static int waiting_fail(struct agw_client_stream *cs)
{
    stop_waiting(cs);
    agw_client_stream_fail(cs, AGW_ENOMEM);
    return AGW_ENOMEM;
}

static int waiting_write_head(struct agw_stream *s, const struct agw_msg *msg, bool end)
{
    struct agw_client_stream *cs = stream_of(s);
    cs->head = agw_arena_copy(s->arena, msg, sizeof(*msg));
    cs->method = msg->method;
    cs->head_end = end;
    return cs->head ? 0 : waiting_fail(cs);
}

static int waiting_write_body(struct agw_stream *s, struct agw_chain *data)
{
    struct agw_client_stream *cs = stream_of(s);
    if (agw_chain_move(&cs->body, data) == 0)
        return 0;
    agw_chain_clear(data);
    return waiting_fail(cs);
}

static int waiting_write_end(struct agw_stream *s, const struct agw_headers *trailers)
{
    struct agw_client_stream *cs = stream_of(s);
    cs->ended = true;
    if (trailers && !(cs->trailers = agw_arena_copy(s->arena, trailers, sizeof(*trailers))))
        return waiting_fail(cs);
    return 0;
}

static size_t waiting_pending(const struct agw_stream *s)
{
    return stream_of_const(s)->body.bytes;
}

static void waiting_consume(struct agw_stream *s, size_t n)
{
    (void)s;
    (void)n;
}

static void waiting_leave(struct agw_stream *s)
{
    struct agw_client_stream *cs = stream_of(s);
    stop_waiting(cs);
    agw_client_stream_free(cs);
}

static void waiting_reset(struct agw_stream *s, int code)
{
    (void)code;
    waiting_leave(s);
}

static const struct agw_stream_ops waiting_ops = {
    .write_head = waiting_write_head,
    .write_body = waiting_write_body,
    .write_end = waiting_write_end,
    .pending = waiting_pending,
    .consume = waiting_consume,
    .reset = waiting_reset,
    .detach = waiting_leave,
};

/* --- ops of a stream that broke and whose owner is about to hear it --- */

static int dead_write_head(struct agw_stream *s, const struct agw_msg *msg, bool end)
{
    (void)s;
    (void)msg;
    (void)end;
    return AGW_ECLOSED;
}

static int dead_write_body(struct agw_stream *s, struct agw_chain *data)
{
    (void)s;
    agw_chain_clear(data);
    return AGW_ECLOSED;
}

static int dead_write_end(struct agw_stream *s, const struct agw_headers *trailers)
{
    (void)s;
    (void)trailers;
    return AGW_ECLOSED;
}

static size_t dead_pending(const struct agw_stream *s)
{
    (void)s;
    return 0;
}

static void dead_leave(struct agw_stream *s)
{
    agw_client_stream_free(stream_of(s));
}

static void dead_reset(struct agw_stream *s, int code)
{
    (void)code;
    dead_leave(s);
}

static const struct agw_stream_ops dead_ops = {
    .write_head = dead_write_head,
    .write_body = dead_write_body,
    .write_end = dead_write_end,
    .pending = dead_pending,
    .consume = waiting_consume,
    .reset = dead_reset,
    .detach = dead_leave,
};

static void deliver_close(struct agw_task *t)
{
    struct agw_client_stream *cs = agw_container_of(t, struct agw_client_stream, closing);
    agw_client_stream_close(cs, cs->close_code);
}

/* --- life --- */

struct agw_client_stream *agw_client_stream_new(struct agw_pool *pool)
{
    struct agw_client *c = pool->client;
    struct agw_client_stream *cs = c->spare;
    if (cs)
        c->spare = SPARE_LINK(cs);
    else
        cs = malloc(sizeof(*cs));
    if (!cs)
        return NULL;
    *cs = (struct agw_client_stream){.s.ops = &waiting_ops, .client = c, .pool = pool, .unsent = true};
    pool->streams++;
    agw_list_init(&cs->node);
    agw_chain_init(&cs->body);
    agw_task_init(&cs->closing, deliver_close);
    return cs;
}

void agw_client_stream_free(struct agw_client_stream *cs)
{
    struct agw_client *c = cs->client;
    cs->pool->streams--;
    agw_task_cancel(&cs->closing);
    agw_list_remove(&cs->node);
    agw_chain_clear(&cs->body);
    SPARE_LINK(cs) = c->spare;
    c->spare = cs;
}

void agw_client_stream_drop_all(struct agw_client *c)
{
    while (!agw_list_empty(&c->dying))
        agw_client_stream_free(agw_list_entry(c->dying.next, struct agw_client_stream, node));
    while (c->spare) {
        struct agw_client_stream *cs = c->spare;
        c->spare = SPARE_LINK(cs);
        free(cs);
    }
}

void agw_client_stream_attach(struct agw_client_stream *cs)
{
    struct agw_stream *s = &cs->s;
    int rc = 0;
    if (cs->head)
        rc = agw_stream_write_head(s, cs->head, cs->head_end);
    if (rc == 0 && cs->body.bytes > 0)
        rc = agw_stream_write_body(s, &cs->body);
    if (rc == 0 && cs->ended)
        rc = agw_stream_write_end(s, cs->trailers);
    /* A failed write has ended the stream: the transport delivers on_close. */
    cs->head = NULL;
    agw_chain_clear(&cs->body);
}

void agw_client_stream_fail(struct agw_client_stream *cs, int code)
{
    cs->s.ops = &dead_ops;
    cs->h1 = NULL;
    cs->h2 = NULL;
    cs->close_code = code;
    agw_list_push(&cs->client->dying, &cs->node);
    agw_loop_defer(cs->client->loop, &cs->closing);
}

void agw_client_stream_close(struct agw_client_stream *cs, int code)
{
    cs->s.ops = &dead_ops;
    cs->s.events->on_close(&cs->s, code);
    agw_client_stream_free(cs);
}

const struct agw_addr *agw_client_peer(const struct agw_stream *s)
{
    return &stream_of_const(s)->peer;
}

bool agw_client_reused(const struct agw_stream *s)
{
    return stream_of_const(s)->reused;
}

bool agw_client_silent(const struct agw_stream *s)
{
    return stream_of_const(s)->silent;
}

bool agw_client_unsent(const struct agw_stream *s)
{
    return stream_of_const(s)->unsent;
}
