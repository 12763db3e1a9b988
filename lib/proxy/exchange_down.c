/* The client's side of an exchange: its request comes in, its reading sets the pace of the response. */
#include "balance/pick.h"
#include "proxy/exchange_int.h"

int agw_exchange_send_body(struct agw_exchange *x, struct agw_chain *data)
{
    size_t n = data->bytes, again = n < x->credited ? n : x->credited;
    agw_exchange_keep(x, data);
    x->credited -= again;
    x->up_credit += n - again;
    int rc = agw_stream_write_body(x->up, data);
    if (rc)
        return rc;
    if (agw_stream_pending(x->up) <= AGW_STREAM_HIGH) {
        agw_stream_consume(x->down, x->up_credit);
        x->up_credit = 0;
    }
    return 0;
}

void agw_exchange_push_request(struct agw_exchange *x)
{
    if (x->upgrade_due)
        return; /* a backend that does not take it up would read it as requests */
    if (x->held.bytes > 0 && agw_exchange_send_body(x, &x->held))
        return; /* the upstream stream is broken and will say so */
    if (x->req_end && !x->req_sent) {
        x->req_sent = true;
        agw_stream_write_end(x->up, x->req_trailers);
    }
}

/* --- mirrors --- */

static void mirror_to(struct agw_exchange *x, const struct agw_mirror_ref *ref, bool end)
{
    const struct agw_backend *b = agw_snapshot_backend(x->snap, ref->backend);
    struct agw_worker *w = x->worker;
    if (ref->share < AGW_MIRROR_ALL && agw_rng_below(&w->loop.rng, AGW_MIRROR_ALL) >= ref->share)
        return;
    /* What becomes of a copy says nothing of the endpoint. */
    struct agw_pick pick = {0};
    if (b->kind == AGW_BACKEND_STATIC || b->kind == AGW_BACKEND_SERVICE)
        agw_balance_pick(w->balancer, b, NULL, &pick);
    agw_balance_release(w->balancer, &pick);
    struct agw_mirror *m = pick.endpoint ? agw_mirror_new(&w->mirrors, x->req) : NULL;
    if (!m) {
        w->mirrors.dropped += !pick.endpoint;
        return;
    }
    /* What the backend's own policies say of requests holds for copies, too. */
    struct agw_policy_ctx ctx = x->ctx;
    ctx.req = agw_mirror_head(m);
    ctx.arena = ctx.req->arena;
    ctx.backend = b;
    if (agw_policy_request(&b->policies, &ctx) == AGW_CONTINUE)
        agw_mirror_send(m, pick.endpoint, end, x->mirrors);
    else
        agw_mirror_drop(m);
}

void agw_exchange_mirror(struct agw_exchange *x)
{
    const struct agw_mirror_refs *all[] = {&x->ctx.route->mirrors, &x->ref->mirrors};
    bool end = x->req_end && x->held.bytes == 0;
    if (x->req->upgrade.n > 0 || !(x->mirrors = agw_arena_alloc(x->ctx.arena, sizeof(*x->mirrors))))
        return; /* a tunnel has two ends that speak */
    agw_list_init(x->mirrors);
    for (unsigned k = 0; k < 2; k++)
        for (uint32_t i = 0; i < all[k]->count; i++)
            mirror_to(x, &all[k]->v[i], end);
    if (end)
        return;
    agw_mirrors_body(x->mirrors, &x->held);
    if (x->req_end)
        agw_mirrors_end(x->mirrors);
}

/* --- events --- */

/* A body without a length turned out too large. */
static bool too_large(const struct agw_exchange *x, size_t more)
{
    uint64_t most = x->conn->limits->body_max;
    return agw_unlikely(most > 0) && x->bytes_in + more > most && !x->upgraded && !x->upgrade_due;
}

static void on_body(struct agw_stream *s, struct agw_chain *data)
{
    struct agw_exchange *x = s->owner;
    if (x->req_sent) { /* behind an upgrade that was refused: for nobody */
        agw_stream_consume(s, data->bytes);
        return;
    }
    if (too_large(x, data->bytes)) {
        agw_exchange_fail(x, 413, "the request body is too large");
        agw_exchange_run(x);
        return;
    }
    x->bytes_in += data->bytes;
    x->moved_ms = x->worker->loop.now_ms;
    if (x->agent)
        agw_a2a_watch_request(&x->agent->watch, data);
    if (x->step == AGW_STEP_AGENT) {
        agw_exchange_agent_collect(x, data);
        return;
    }
    if (x->mirrors)
        agw_mirrors_body(x->mirrors, data);
    if (x->up && x->held.bytes == 0 && !x->upgrade_due) {
        agw_exchange_send_body(x, data);
    } else if (agw_chain_move(&x->held, data)) {
        agw_exchange_fail(x, 503, "out of memory");
        agw_exchange_run(x);
    }
}

static void on_end(struct agw_stream *s, struct agw_headers *trailers)
{
    struct agw_exchange *x = s->owner;
    x->req_end = true;
    x->req_trailers = trailers;
    if (x->mirrors)
        agw_mirrors_end(x->mirrors);
    if (x->step == AGW_STEP_AGENT)
        agw_exchange_run(x);
    else if (x->up)
        agw_exchange_push_request(x);
}

static void on_drain(struct agw_stream *s)
{
    struct agw_exchange *x = s->owner;
    if (x->up && x->down_credit > 0) {
        size_t n = x->down_credit;
        x->down_credit = 0;
        agw_stream_consume(x->up, n);
    }
}

/* The last event: the arena, and with it the exchange, is gone afterwards. */
static void on_close(struct agw_stream *s, int code)
{
    struct agw_exchange *x = s->owner;
    struct agw_stream *up = x->up;
    if (up && code == 0 && x->upgraded) { /* the client's last bytes may be under way */
        x->up = NULL;
        agw_stream_detach(up);
    }
    agw_exchange_drop_upstream(x, code ? code : AGW_ECANCELED);
    agw_exchange_end(x, code);
}

const struct agw_stream_events agw_exchange_down_events = {
    .on_body = on_body,
    .on_end = on_end,
    .on_drain = on_drain,
    .on_close = on_close,
};
