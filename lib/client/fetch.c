#include "client/fetch.h"

/* The last thing done: |done| may free |f|. */
static void finish(struct agw_fetch *f, int code)
{
    agw_timer_cancel(&f->loop->timers, &f->deadline);
    f->stream = NULL;
    f->done(f, code);
}

static void abandon(struct agw_fetch *f, int code)
{
    agw_stream_reset(f->stream, code);
    finish(f, code);
}

static void on_deadline(struct agw_timer *t)
{
    abandon(agw_container_of(t, struct agw_fetch, deadline), AGW_ETIMEOUT);
}

static void whole(struct agw_fetch *f)
{
    agw_stream_detach(f->stream);
    finish(f, 0);
}

static void on_head(struct agw_stream *s, struct agw_msg *msg, bool end)
{
    struct agw_fetch *f = s->owner;
    if (msg->status < 200)
        return;
    f->head = msg;
    if (end)
        whole(f);
}

static void on_body(struct agw_stream *s, struct agw_chain *data)
{
    struct agw_fetch *f = s->owner;
    size_t n = data->bytes;
    if (f->body.bytes + n > f->max)
        abandon(f, AGW_ELIMIT);
    else if (agw_chain_move(&f->body, data))
        abandon(f, AGW_ENOMEM);
    else
        agw_stream_consume(s, n);
}

static void on_end(struct agw_stream *s, struct agw_headers *trailers)
{
    (void)trailers;
    whole(s->owner);
}

static void on_drain(struct agw_stream *s)
{
    (void)s;
}

static void on_close(struct agw_stream *s, int code)
{
    finish(s->owner, code ? code : AGW_ERESET);
}

static const struct agw_stream_events events = {
    .on_head = on_head,
    .on_body = on_body,
    .on_end = on_end,
    .on_drain = on_drain,
    .on_close = on_close,
};

void agw_fetch_init(struct agw_fetch *f, struct agw_loop *loop, struct agw_client *client, size_t max,
                    uint32_t ms, void (*done)(struct agw_fetch *f, int code))
{
    f->loop = loop;
    f->client = client;
    f->max = max;
    f->ms = ms;
    f->done = done;
    agw_chain_init(&f->body);
    agw_arena_init(&f->arena, 1024, 0);
    agw_timer_init(&f->deadline, on_deadline);
}

void agw_fetch_cancel(struct agw_fetch *f)
{
    agw_timer_cancel(&f->loop->timers, &f->deadline);
    if (f->stream)
        agw_stream_reset(f->stream, AGW_ECANCELED);
    f->stream = NULL;
}

void agw_fetch_free(struct agw_fetch *f)
{
    agw_fetch_cancel(f);
    agw_chain_clear(&f->body);
    agw_arena_free(&f->arena);
}

static int make_head(struct agw_fetch *f, struct agw_msg *m, const struct agw_endpoint *to,
                     struct agw_str authority, struct agw_str path)
{
    char text[AGW_ADDR_TEXT];
    agw_msg_init(m, &f->arena);
    m->method = AGW_METHOD_GET;
    m->method_text = AGW_STR("GET");
    m->scheme = to->tls || to->own ? AGW_STR("https") : AGW_STR("http");
    m->path = agw_arena_str(&f->arena, path); /* the head may wait for a connection */
    if (authority.n > 0)
        m->authority = agw_arena_str(&f->arena, authority);
    else if (to->host.n > 0)
        m->authority = agw_arena_printf(&f->arena, "%.*s:%u", AGW_STRF(to->host), to->port);
    else
        m->authority = agw_arena_str(&f->arena, agw_str(text, agw_addr_format(&to->addr, text)));
    if (!m->path.p || !m->authority.p)
        return AGW_ENOMEM;
    return agw_headers_add_id(&m->headers, AGW_HDR_ACCEPT, AGW_STR("application/json"));
}

int agw_fetch_start(struct agw_fetch *f, const struct agw_endpoint *to, struct agw_str authority,
                    struct agw_str path)
{
    struct agw_msg head;
    agw_arena_reset(&f->arena);
    agw_chain_clear(&f->body);
    f->head = NULL;
    if (make_head(f, &head, to, authority, path))
        return AGW_ENOMEM;
    f->stream = agw_client_open(f->client, to, &f->arena, &events, f);
    if (!f->stream)
        return AGW_ENOMEM;
    agw_timer_set(&f->loop->timers, &f->deadline, f->loop->now_ms + f->ms);
    agw_stream_write_head(f->stream, &head, true); /* a failure comes by on_close */
    return 0;
}
