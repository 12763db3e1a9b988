/* The client's side of an exchange: its request comes in, its reading sets the pace of the response. */
#include "proxy/exchange_int.h"

/* A request body up to this size is kept for a second try on a connection that turned out to be dead. */
#define REPLAY_MAX 65536

static void keep_for_replay(struct agw_exchange *x, const struct agw_chain *data)
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

int agw_exchange_send_body(struct agw_exchange *x, struct agw_chain *data)
{
    size_t n = data->bytes, again = n < x->credited ? n : x->credited;
    keep_for_replay(x, data);
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

static void on_body(struct agw_stream *s, struct agw_chain *data)
{
    struct agw_exchange *x = s->owner;
    if (x->bytes_in == 0 && x->ctx.backend && x->ctx.backend->is_a2a)
        agw_exchange_name_a2a(x, data);
    x->bytes_in += data->bytes;
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
    if (x->up)
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
