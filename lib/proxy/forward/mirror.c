#include "proxy/forward/mirror.h"
#include <stdlib.h>

struct agw_mirror {
    struct agw_mirrors *owner;
    struct agw_list node;    /* owner->all */
    struct agw_list feeding; /* alone once the request is complete */
    struct agw_timer deadline;
    struct agw_stream *stream; /* NULL: not sent */
    struct agw_msg head;
    struct agw_arena arena;
};

static struct agw_mirror *feeder(struct agw_list *node)
{
    return agw_list_entry(node, struct agw_mirror, feeding);
}

/* The stream is over. */
static void mirror_free(struct agw_mirror *m)
{
    agw_timer_cancel(&m->owner->loop->timers, &m->deadline);
    agw_list_remove(&m->node);
    agw_list_remove(&m->feeding);
    m->owner->count--;
    agw_arena_free(&m->arena);
    free(m);
}

static void cancel(struct agw_mirror *m)
{
    if (m->stream)
        agw_stream_reset(m->stream, AGW_ECANCELED);
    mirror_free(m);
}

void agw_mirror_drop(struct agw_mirror *m)
{
    m->owner->dropped++;
    cancel(m);
}

static void on_deadline(struct agw_timer *t)
{
    agw_mirror_drop(agw_container_of(t, struct agw_mirror, deadline));
}

/* --- the answer, unheard --- */

static void on_head(struct agw_stream *s, struct agw_msg *msg, bool end) {}

static void on_body(struct agw_stream *s, struct agw_chain *data)
{
    agw_stream_consume(s, data->bytes);
}

static void on_end(struct agw_stream *s, struct agw_headers *trailers)
{
    struct agw_mirror *m = s->owner;
    if (!agw_list_empty(&m->feeding)) /* it has heard enough */
        cancel(m);
}

static void on_drain(struct agw_stream *s) {}

static void on_close(struct agw_stream *s, int code)
{
    struct agw_mirror *m = s->owner;
    m->owner->dropped += code != 0;
    mirror_free(m);
}

static const struct agw_stream_events events = {
    .on_head = on_head,
    .on_body = on_body,
    .on_end = on_end,
    .on_drain = on_drain,
    .on_close = on_close,
};

/* --- the request --- */

void agw_mirrors_init(struct agw_mirrors *m, struct agw_loop *loop, struct agw_client *client)
{
    *m = (struct agw_mirrors){.loop = loop, .client = client};
    agw_list_init(&m->all);
}

void agw_mirrors_free(struct agw_mirrors *m)
{
    while (m->client && !agw_list_empty(&m->all))
        cancel(agw_list_entry(m->all.next, struct agw_mirror, node));
}

struct agw_mirror *agw_mirror_new(struct agw_mirrors *owner, const struct agw_msg *head)
{
    struct agw_mirror *m = owner->count < AGW_MIRRORS_MAX ? malloc(sizeof(*m)) : NULL;
    if (!m) {
        owner->dropped++;
        return NULL;
    }
    *m = (struct agw_mirror){.owner = owner};
    agw_list_init(&m->node);
    agw_list_init(&m->feeding);
    agw_timer_init(&m->deadline, on_deadline);
    agw_arena_init(&m->arena, 2048, 0);
    agw_list_push(&owner->all, &m->node);
    owner->count++;
    if (agw_msg_copy(&m->head, head, &m->arena) == 0) {
        m->head.expect_continue = false; /* the body comes as the client sends it */
        return m;
    }
    agw_mirror_drop(m);
    return NULL;
}

struct agw_msg *agw_mirror_head(struct agw_mirror *m)
{
    return &m->head;
}

void agw_mirror_send(struct agw_mirror *m, const struct agw_endpoint *to, bool end, struct agw_list *feeders)
{
    struct agw_mirrors *owner = m->owner;
    m->stream = agw_client_open(owner->client, to, &m->arena, &events, m);
    if (!m->stream) {
        agw_mirror_drop(m);
        return;
    }
    owner->started++;
    m->head.scheme = to->tls ? AGW_STR("https") : AGW_STR("http");
    agw_timer_set(&owner->loop->timers, &m->deadline, owner->loop->now_ms + AGW_MIRROR_MS);
    if (!end)
        agw_list_push(feeders, &m->feeding);
    agw_stream_write_head(m->stream, &m->head, end); /* a failure comes by on_close */
}

static void feed(struct agw_mirror *m, const struct agw_chain *data)
{
    struct agw_chain copy;
    int rc = 0;
    agw_chain_init(&copy);
    for (uint32_t i = 0; !rc && i < data->count; i++) {
        const struct agw_slice *s = agw_chain_at(data, i);
        rc = agw_chain_add(&copy, s->block, s->p, s->n);
    }
    if (rc || agw_stream_pending(m->stream) + copy.bytes > AGW_MIRROR_PENDING)
        agw_mirror_drop(m);
    else
        agw_stream_write_body(m->stream, &copy);
    agw_chain_clear(&copy);
}

void agw_mirrors_body(struct agw_list *feeders, const struct agw_chain *data)
{
    struct agw_list *node, *tmp;
    agw_list_each (node, tmp, feeders)
        feed(feeder(node), data);
}

void agw_mirrors_end(struct agw_list *feeders)
{
    struct agw_list *node;
    while ((node = agw_list_pop(feeders)))
        agw_stream_write_end(feeder(node)->stream, NULL);
}

void agw_mirrors_abandon(struct agw_list *feeders)
{
    while (!agw_list_empty(feeders))
        cancel(feeder(feeders->next));
}
