/* Waiting, and trying again: over a reused connection that was closed meanwhile, and as the route's retry
 * policy says. */
#include <stdio.h>
#include "proxy/exchange_int.h"

/* A request body up to this size is kept to be sent again. */
#define REPLAY_MAX 65536
/* Tries without a policy: on reused connections that turn out closed (the last one dials anew in practice),
 * and at endpoints that are lost before they answer. */
#define MAX_STALE 3
/* Between tries when the policy does not say: doubled each time, so that a backend can come back. */
#define BACKOFF_MS 25
#define BACKOFF_MAX_MS 250

/* --- the request's body --- */

void agw_exchange_keep(struct agw_exchange *x, const struct agw_chain *data)
{
    if (x->no_replay)
        return;
    if (x->replay.bytes + data->bytes > REPLAY_MAX) {
        x->no_replay = true;
        agw_chain_clear(&x->replay);
        return;
    }
    for (uint32_t i = 0; i < data->count; i++) {
        const struct agw_slice *s = agw_chain_at(data, i);
        if (agw_chain_add(&x->replay, s->block, s->p, s->n))
            x->no_replay = true;
    }
}

int agw_exchange_rewind(struct agw_exchange *x)
{
    x->req_sent = false;
    if (x->replay.bytes == 0)
        return 0;
    struct agw_chain rest = x->held;
    x->credited += x->replay.bytes;
    agw_chain_init(&x->held);
    int rc = agw_chain_move(&x->held, &x->replay);
    if (rc == 0)
        rc = agw_chain_move(&x->held, &rest);
    agw_chain_clear(&rest);
    return rc;
}

/* --- stale connections --- */

/* AGW_ECLOSED: the peer closed a reused connection before a byte of its answer. A request of which nothing
 * was sent yet may be tried again; one that was sent only if its method allows it (RFC 9110 section 9.2.2).
 * AGW_EREFUSED with |unsent|: an HTTP/2 peer left the stream alone (REFUSED_STREAM, GOAWAY below it). */
bool agw_exchange_retry_stale(struct agw_exchange *x, int code, bool unsent)
{
    bool safe = unsent || (code == AGW_ECLOSED && x->idempotent);
    if ((code != AGW_ECLOSED && code != AGW_EREFUSED) || !safe || x->no_replay || x->resp_head ||
        x->stale + 1 >= MAX_STALE)
        return false;
    x->stale++;
    return true;
}

/* --- the policy --- */

/* An answer that is not passed on may run out while the exchange pauses: then its connection serves on. */
static void left_head(struct agw_stream *s, struct agw_msg *msg, bool end) {}

static void left_body(struct agw_stream *s, struct agw_chain *data)
{
    agw_stream_consume(s, data->bytes);
}

static void left_end(struct agw_stream *s, struct agw_headers *trailers) {}

static void left_drain(struct agw_stream *s) {}

static void left_close(struct agw_stream *s, int code)
{
    ((struct agw_exchange_pause *)s->owner)->left = NULL;
}

static const struct agw_stream_events left_events = {
    .on_head = left_head,
    .on_body = left_body,
    .on_end = left_end,
    .on_drain = left_drain,
    .on_close = left_close,
};

static void drop_left(struct agw_exchange_pause *p)
{
    struct agw_stream *left = p->left;
    p->left = NULL;
    if (left)
        agw_stream_reset(left, AGW_ECANCELED);
}

static void on_pause_over(struct agw_timer *t)
{
    struct agw_exchange_pause *p = agw_container_of(t, struct agw_exchange_pause, timer);
    struct agw_exchange *x = p->exchange;
    drop_left(p);
    x->step = p->next;
    agw_exchange_run(x);
}

static struct agw_exchange_pause *pause_of(struct agw_exchange *x)
{
    struct agw_exchange_pause *p = x->pause;
    if (p || !(p = agw_arena_zalloc(x->ctx.arena, sizeof(*p))))
        return p;
    p->exchange = x;
    agw_timer_init(&p->timer, on_pause_over);
    return x->pause = p;
}

void agw_exchange_pause_cancel(struct agw_exchange *x)
{
    if (!x->pause)
        return;
    agw_timer_cancel(&x->worker->loop.timers, &x->pause->timer);
    drop_left(x->pause);
}

enum agw_step_result agw_exchange_delay(struct agw_exchange *x)
{
    struct agw_exchange_pause *p = pause_of(x);
    if (!p)
        return agw_exchange_fail(x, 503, "out of memory");
    p->next = AGW_STEP_ROUTE_POLICY;
    agw_timer_set(&x->worker->loop.timers, &p->timer, x->worker->loop.now_ms + x->ctx.wait_ms);
    return agw_exchange_next(x, AGW_STEP_PAUSE);
}

/* The policy's time is the least; a part more keeps clients apart that failed together. */
static uint32_t backoff(const struct agw_exchange *x)
{
    uint32_t ms = x->ctx.retry->backoff_ms;
    if (!ms) {
        ms = BACKOFF_MS << (x->retries < 8 ? x->retries : 8);
        ms = (ms < BACKOFF_MAX_MS ? ms : BACKOFF_MAX_MS) / 2;
        return ms + agw_rng_below(&x->worker->loop.rng, ms + 1);
    }
    return ms + agw_rng_below(&x->worker->loop.rng, ms / 8 + 1);
}

static bool may(const struct agw_exchange *x)
{
    return x->ctx.retry && x->retries < x->ctx.retry->attempts && !x->no_replay && !x->resp_head &&
           !x->upgraded &&
           agw_retry_budget_take(&x->worker->retries, x->ctx.backend->id, x->worker->loop.now_ms);
}

/* |leave|: the upstream is kept until the pause is over, else it is let go. */
static bool retry(struct agw_exchange *x, bool leave)
{
    struct agw_exchange_pause *p;
    if (!may(x) || !(p = pause_of(x)))
        return false;
    if (leave) {
        p->left = x->up;
        p->left->owner = p;
        p->left->events = &left_events;
        x->up = NULL;
        agw_timer_cancel(&x->worker->loop.timers, &x->backend_timer);
    }
    agw_exchange_drop_upstream(x, AGW_ECANCELED);
    agw_balance_release(x->worker->balancer, &x->pick); /* of one that was left, too */
    p->next = AGW_STEP_CONNECT;
    agw_timer_set(&x->worker->loop.timers, &p->timer, x->worker->loop.now_ms + backoff(x));
    x->retries++;
    x->step = AGW_STEP_PAUSE;
    return true;
}

bool agw_exchange_retry(struct agw_exchange *x)
{
    return retry(x, false);
}

bool agw_exchange_retry_status(struct agw_exchange *x, int status)
{
    return x->ctx.retry && agw_retry_has(x->ctx.retry, status) && retry(x, x->req_sent);
}

int agw_exchange_retry_begin(struct agw_exchange *x)
{
    char text[12];
    if (x->retries == 0) {
        agw_retry_budget_request(&x->worker->retries, x->ctx.backend->id, x->worker->loop.now_ms);
        return 0;
    }
    int n = snprintf(text, sizeof(text), "%u", x->retries);
    struct agw_str value = agw_arena_str(x->ctx.arena, agw_str(text, (size_t)n));
    return value.p ? agw_headers_set(&x->req->headers, AGW_STR("x-retry-attempt"), value) : AGW_ENOMEM;
}
