/* The upstream's side of an exchange: its answer comes in, its reading sets the pace of the request. */
#include "proxy/exchange_int.h"

void agw_exchange_drop_upstream(struct agw_exchange *x, int code)
{
    struct agw_stream *up = x->up;
    if (!up)
        return;
    x->up = NULL;
    agw_timer_cancel(&x->worker->loop.timers, &x->backend_timer);
    agw_balance_release(x->worker->balancer, &x->pick);
    agw_stream_reset(up, code);
}

void agw_exchange_judge(struct agw_exchange *x, enum agw_judgement judged)
{
    if (x->judged || judged == AGW_JUDGED_NOT)
        return;
    x->judged = true;
    agw_balance_sample(x->worker->balancer, x->ctx.backend, &x->pick, judged);
}

static void on_head(struct agw_stream *s, struct agw_msg *msg, bool end)
{
    struct agw_exchange *x = s->owner;
    if (msg->status < 200 && msg->status != 101) {
        /* RFC 9110 section 10.1.1: the expectation was passed on, its answer is too. */
        if (msg->status != 100 || x->req->expect_continue)
            agw_stream_write_head(x->down, msg, false);
        return;
    }
    agw_exchange_judge(x, agw_judge_head(msg, end));
    if (agw_exchange_retry_status(x, msg->status))
        return;
    x->resp = msg;
    x->resp_end = end;
    agw_chain_clear(&x->replay);
    x->no_replay = true;
    x->step = AGW_STEP_RESPOND;
    agw_exchange_run(x);
}

static void on_body(struct agw_stream *s, struct agw_chain *data)
{
    struct agw_exchange *x = s->owner;
    size_t n = data->bytes;
    x->moved_ms = x->worker->loop.now_ms;
    if (x->agent && agw_exchange_agent_body(x, data))
        return;
    x->bytes_out += data->bytes;
    if (data->bytes > 0 && agw_stream_write_body(x->down, data))
        return; /* the client's stream is broken and will say so */
    x->down_credit += n;
    if (agw_stream_pending(x->down) <= AGW_STREAM_HIGH) {
        n = x->down_credit;
        x->down_credit = 0;
        agw_stream_consume(s, n);
    }
}

static void on_end(struct agw_stream *s, struct agw_headers *trailers)
{
    struct agw_exchange *x = s->owner;
    x->resp_end = true;
    if (!x->judged)
        agw_exchange_judge(x, agw_judge_trailers(trailers));
    if (x->grpc)
        agw_exchange_grpc_note(x, trailers);
    if (!x->agent || !agw_exchange_agent_end(x))
        agw_stream_write_end(x->down, trailers);
    agw_exchange_run(x);
}

static void on_drain(struct agw_stream *s)
{
    struct agw_exchange *x = s->owner;
    (void)s;
    if (x->up_credit > 0) {
        size_t n = x->up_credit;
        x->up_credit = 0;
        agw_stream_consume(x->down, n);
    }
}

/* 502: the backend was there and answered wrongly or not at all; 503: it was not there, or we could not ask,
 * or (as Gateway API wants it) all tries that a policy allows ended so. */
static int status_of(const struct agw_exchange *x, int code, bool connected)
{
    if (code == AGW_ENOMEM || code == AGW_ELIMIT || code == AGW_EREFUSED)
        return 503;
    return connected && !x->ctx.retry ? 502 : 503;
}

/* Not what failed here. */
static bool worth_a_try(int code)
{
    return code != AGW_ENOMEM && code != AGW_ELIMIT && code != AGW_ECANCELED;
}

static const char *reason_of(int code, bool connected)
{
    switch (code) {
    case AGW_ETIMEOUT:
        return connected ? "the backend does not respond" : "connecting to the backend timed out";
    case AGW_EREFUSED:
        return "the backend refused the connection";
    case AGW_EDNS:
        return "the backend's name does not resolve";
    case AGW_ETLS:
        return "the TLS handshake with the backend failed";
    case AGW_ELIMIT:
        return "too many requests wait for the backend";
    case AGW_EPROTO:
        return "the backend's answer is not valid HTTP";
    case AGW_ERESET:
    case AGW_ECLOSED:
        return "the backend closed the connection";
    case AGW_ENOMEM:
        return "out of memory";
    case AGW_EUNSUPPORTED:
        return "the backend's HTTP/2 takes no upgrades";
    default:
        return "the backend could not be reached";
    }
}

/* The stream broke before its answer was complete. */
static void go_on(struct agw_exchange *x, int code, bool connected, bool unsent, bool silent)
{
    /* No connection came about or it was lost at once, maybe by the endpoint's fault: there is another one.
     */
    bool elsewhere = (!connected || silent) && x->ctx.backend->endpoint_count > 1 &&
                     agw_judge_close(code) == AGW_JUDGED_BAD;
    if (agw_exchange_retry_stale(x, elsewhere ? AGW_ECLOSED : code, unsent && (connected || elsewhere)))
        x->step = AGW_STEP_CONNECT;
    else if (!worth_a_try(code) || !agw_exchange_retry(x))
        agw_exchange_fail(x, status_of(x, code, connected), reason_of(code, connected));
}

static void on_close(struct agw_stream *s, int code)
{
    struct agw_exchange *x = s->owner;
    bool connected = agw_client_peer(s)->n > 0, unsent = agw_client_unsent(s), silent = agw_client_silent(s);
    x->up = NULL;
    agw_timer_cancel(&x->worker->loop.timers, &x->backend_timer);
    /* That an idle connection was closed just now says nothing about the endpoint. */
    if (code != AGW_ECLOSED && !(connected && unsent))
        agw_exchange_judge(x, agw_judge_close(code));
    agw_balance_release(x->worker->balancer, &x->pick);
    if (code && x->resp_end && (!x->upgraded || x->req_end))
        return; /* all of the answer is on its way already */
    if (code)
        go_on(x, code, connected, unsent, silent);
    agw_exchange_run(x);
}

const struct agw_stream_events agw_exchange_up_events = {
    .on_head = on_head,
    .on_body = on_body,
    .on_end = on_end,
    .on_drain = on_drain,
    .on_close = on_close,
};
