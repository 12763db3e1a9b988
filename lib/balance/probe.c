#include "balance/probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "balance/balancer.h"
#include "base/log.h"
#include "client/dial.h"

#define BODY_MAX 65536 /* bytes of an answer that are read so that its connection can serve again */

struct agw_prober {
    struct agw_loop *loop;
    struct agw_client *client;
    agw_prober_say *say;
    void *ctx;
    struct agw_map checks;     /* "id\nendpoint" -> struct check */
    struct agw_snapshot *seen; /* pinned: all that checks point to lives in it. NULL: none yet */
    struct agw_prober_stats numbers;
};

/* One endpoint of one backend. */
struct check {
    struct agw_prober *prober;
    const struct agw_backend *backend;
    const struct agw_endpoint *endpoint;
    struct agw_timer timer; /* the next request, or the end of patience with this one */
    struct agw_dial *dial;
    struct agw_stream *stream;
    struct agw_arena arena; /* of the stream */
    size_t body;
    uint32_t good, bad; /* in a row */
    bool busy;          /* a request is under way */
    bool down, told;    /* told: what others know of |down| */
    bool stale;         /* of a backend that is being replaced */
    struct agw_str id, key;
    char text[];
};

/* --- one check --- */

static void let_go(struct check *c)
{
    if (c->dial)
        agw_dial_cancel(c->dial);
    if (c->stream)
        agw_stream_reset(c->stream, AGW_ECANCELED);
    c->dial = NULL;
    c->stream = NULL;
    agw_arena_reset(&c->arena);
    c->busy = false;
}

static void tell(struct check *c)
{
    if (c->told != c->down && c->prober->say(c->prober->ctx, c->key, c->down) == 0)
        c->told = c->down;
}

static void turn(struct check *c, bool down, const char *why)
{
    c->down = down;
    c->prober->numbers.down += down ? 1 : -1u;
    if (down)
        agw_warn("health", "%.*s: %.*s does not pass its checks: %s", AGW_STRF(c->backend->name),
                 AGW_STRF(c->endpoint->key), why);
    else
        agw_info("health", "%.*s: %.*s passes its checks again", AGW_STRF(c->backend->name),
                 AGW_STRF(c->endpoint->key));
}

static void judged(struct check *c, bool good, const char *why)
{
    const struct agw_health_check *how = c->backend->check;
    c->prober->numbers.failures += !good;
    c->good = good ? c->good + 1 : 0;
    c->bad = good ? 0 : c->bad + 1;
    if (!c->down && c->bad >= how->unhealthy)
        turn(c, true, why);
    else if (c->down && c->good >= how->healthy)
        turn(c, false, NULL);
    tell(c);
    agw_timer_set(&c->prober->loop->timers, &c->timer, c->prober->loop->now_ms + how->interval_ms);
}

static void fail(struct check *c, const char *why)
{
    let_go(c);
    judged(c, false, why);
}

/* --- by HTTP --- */

static struct check *of(struct agw_stream *s)
{
    return s->owner;
}

static bool expected(const struct agw_health_check *how, int status)
{
    unsigned bit = (unsigned)status - 100;
    return bit < 500 && (how->statuses[bit / 64] >> bit % 64 & 1);
}

static void on_head(struct agw_stream *s, struct agw_msg *msg, bool end)
{
    struct check *c = of(s);
    char why[32];
    if (msg->status < 200)
        return;
    snprintf(why, sizeof(why), "status %d", msg->status);
    judged(c, expected(c->backend->check, msg->status), why);
    c->busy = false; /* the rest is for the connection's sake, until the next one is due */
}

static void on_body(struct agw_stream *s, struct agw_chain *data)
{
    struct check *c = of(s);
    c->body += data->bytes;
    if (c->body > BODY_MAX)
        let_go(c);
    else
        agw_stream_consume(s, data->bytes);
}

static void on_end(struct agw_stream *s, struct agw_headers *trailers) {}

static void on_drain(struct agw_stream *s) {}

static void on_close(struct agw_stream *s, int code)
{
    struct check *c = of(s);
    c->stream = NULL;
    if (c->busy)
        fail(c, agw_err_text(code));
}

static const struct agw_stream_events events = {
    .on_head = on_head, .on_body = on_body, .on_end = on_end, .on_drain = on_drain, .on_close = on_close};

static struct agw_str host_of(struct check *c)
{
    char ip[AGW_ADDR_TEXT];
    const struct agw_endpoint *e = c->endpoint;
    if (c->backend->check->host.n)
        return c->backend->check->host;
    if (e->host.n)
        return e->host;
    return agw_arena_str(&c->arena, agw_str(ip, agw_addr_format(&e->addr, ip)));
}

static int ask(struct check *c)
{
    struct agw_msg *m = agw_arena_alloc(&c->arena, sizeof(*m));
    if (!m)
        return AGW_ENOMEM;
    agw_msg_init(m, &c->arena);
    m->method = AGW_METHOD_GET;
    m->method_text = agw_method_name(AGW_METHOD_GET);
    m->scheme = c->endpoint->tls ? AGW_STR("https") : AGW_STR("http");
    m->authority = host_of(c);
    m->path = c->backend->check->path;
    if (!m->authority.p ||
        agw_headers_add_id(&m->headers, AGW_HDR_USER_AGENT, AGW_STR("agentgateway-health-check")))
        return AGW_ENOMEM;
    c->stream = agw_client_open(c->prober->client, c->endpoint, &c->arena, &events, c);
    if (!c->stream)
        return AGW_ENOMEM;
    c->body = 0;
    agw_stream_write_head(c->stream, m, true); /* a failure comes by on_close */
    return 0;
}

/* --- by a connection --- */

static void on_dialed(void *owner, struct agw_conn *conn, int code, const char *reason)
{
    struct check *c = owner;
    c->dial = NULL;
    c->busy = false;
    if (conn) {
        agw_conn_close(conn, false);
        free(conn);
    }
    judged(c, conn != NULL, reason);
}

/* --- when --- */

static void begin(struct check *c)
{
    struct agw_loop *loop = c->prober->loop;
    const struct agw_health_check *how = c->backend->check;
    int code = 0;
    let_go(c); /* what is left of the last answer */
    if (how->http)
        code = ask(c);
    else if (!(c->dial = agw_dial_start(c->prober->client, c->endpoint, NULL, on_dialed, c)))
        code = AGW_ENOMEM;
    if (code) { /* our own trouble says nothing of the endpoint */
        let_go(c);
        agw_timer_set(&loop->timers, &c->timer, loop->now_ms + how->interval_ms);
        return;
    }
    c->busy = true;
    c->prober->numbers.checks++;
    agw_timer_set(&loop->timers, &c->timer, loop->now_ms + how->timeout_ms);
}

static void on_timer(struct agw_timer *t)
{
    struct check *c = agw_container_of(t, struct check, timer);
    if (c->busy)
        fail(c, "no answer in time");
    else
        begin(c);
}

/* --- which --- */

#define ID_MAX 16 /* of a number, a separator and NUL */

static void check_free(struct check *c)
{
    struct agw_prober *p = c->prober;
    let_go(c);
    agw_timer_cancel(&p->loop->timers, &c->timer);
    p->numbers.down -= c->down;
    if (c->told) /* it can but be too little memory: then nobody needs to know */
        p->say(p->ctx, c->key, false);
    agw_map_take(&p->checks, c->id);
    agw_arena_free(&c->arena);
    free(c);
}

static struct agw_str id_of(const struct agw_backend *b, const struct agw_endpoint *e, char *out)
{
    int n = snprintf(out, ID_MAX, "%u\n", b->id);
    memcpy(out + n, e->key.p, e->key.n);
    return agw_str(out, (size_t)n + e->key.n);
}

/* The text of |c| holds its id and then its key. */
static struct check *check_new(struct agw_prober *p, const struct agw_backend *b,
                               const struct agw_endpoint *e)
{
    size_t key_n = AGW_BALANCE_KEY_SIZE(b, e);
    struct check *c = calloc(1, sizeof(*c) + ID_MAX + e->key.n + key_n);
    if (!c)
        return NULL;
    c->prober = p;
    c->id = id_of(b, e, c->text);
    c->key = agw_str(c->text + c->id.n, key_n);
    agw_balance_key(b, e, c->text + c->id.n);
    agw_timer_init(&c->timer, on_timer);
    agw_arena_init(&c->arena, 1024, 0);
    if (agw_map_put(&p->checks, c->id, c, NULL)) {
        agw_arena_free(&c->arena);
        free(c);
        return NULL;
    }
    return c;
}

static struct check *find(struct agw_prober *p, const struct agw_backend *b, const struct agw_endpoint *e)
{
    char small[256];
    size_t n = ID_MAX + e->key.n;
    char *text = n <= sizeof(small) ? small : malloc(n);
    struct check *c = text ? agw_map_get(&p->checks, id_of(b, e, text)) : NULL;
    if (text != small)
        free(text);
    return c;
}

static bool is_checked(const struct agw_backend *b)
{
    return b && b->check && b->endpoint_count > 1;
}

/* |c| goes on by what |b| and |e| are now. */
static void renew(struct check *c, const struct agw_backend *b, const struct agw_endpoint *e)
{
    struct agw_loop *loop = c->prober->loop;
    bool was_busy = c->busy, paced = c->backend && c->backend->check->interval_ms == b->check->interval_ms;
    let_go(c); /* it may point to the endpoint as it was */
    c->backend = b;
    c->endpoint = e;
    c->stale = false;
    uint32_t wait_ms = was_busy ? 1 : agw_rng_below(&loop->rng, b->check->interval_ms); /* not all at once */
    if (was_busy || !paced)
        agw_timer_set(&loop->timers, &c->timer, loop->now_ms + wait_ms);
}

/* A backend changed, came (|in_a| NULL) or went (|in_b| NULL). */
static int on_change(void *ctx, void *in_a, void *in_b)
{
    struct agw_prober *p = ctx;
    const struct agw_backend *was = in_a, *now = in_b;
    struct check *c;
    for (uint32_t i = 0; is_checked(was) && i < was->endpoint_count; i++)
        if ((c = find(p, was, was->endpoints[i])))
            c->stale = true;
    for (uint32_t i = 0; is_checked(now) && i < now->endpoint_count; i++) {
        const struct agw_endpoint *e = now->endpoints[i];
        if ((c = find(p, now, e)) || (c = check_new(p, now, e)))
            renew(c, now, e);
    }
    for (uint32_t i = 0; is_checked(was) && i < was->endpoint_count; i++)
        if ((c = find(p, was, was->endpoints[i])) && c->stale)
            check_free(c);
    return 0;
}

void agw_prober_sync(struct agw_prober *p, struct agw_snapshot *now)
{
    static const struct agw_pmap none = {.key_offset = offsetof(struct agw_backend, id_text)};
    struct agw_snapshot *seen = p->seen;
    if (now == seen)
        return;
    agw_snapshot_pin(now, p->loop->index);
    agw_pmap_diff(seen ? &seen->backends : &none, &now->backends, on_change, p);
    p->seen = now;
    if (seen)
        agw_snapshot_unpin(seen, p->loop->index);
}

/* --- life --- */

struct agw_prober *agw_prober_new(struct agw_loop *loop, struct agw_client *client, agw_prober_say *say,
                                  void *ctx)
{
    struct agw_prober *p = calloc(1, sizeof(*p));
    if (!p)
        return NULL;
    p->loop = loop;
    p->client = client;
    p->say = say;
    p->ctx = ctx;
    agw_map_init(&p->checks);
    return p;
}

void agw_prober_free(struct agw_prober *p)
{
    struct agw_map_slot *slot;
    if (!p)
        return;
    for (uint32_t cursor = 0; (slot = agw_map_next(&p->checks, &cursor));) {
        struct check *c = slot->value;
        c->told = false; /* nobody listens any more */
        check_free(c);
    }
    agw_map_free(&p->checks);
    if (p->seen)
        agw_snapshot_unpin(p->seen, p->loop->index);
    free(p);
}

const struct agw_prober_stats *agw_prober_stats(const struct agw_prober *p)
{
    return &p->numbers;
}
