#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include "proxy/l4/l4_int.h"
#include "tls/tls.h"

/* A burst that a pipe is worth: below it the copy costs less than the pipe's second call. */
#define BULK 16384
/* What a direction may move in one go before others get their turn. */
#define SHARE (1u << 20)

/* --- out of our hands --- */

static void wrote(struct agw_l4_session *s, struct agw_l4_way *w, size_t n)
{
    w->bytes += n;
    agw_metric_add(w->counter, (int64_t)n);
    agw_l4_moved(s);
}

static void drop_left(struct agw_l4_way *w)
{
    free(w->left);
    w->left = NULL;
    w->at = w->n = 0;
}

/* 0: nothing is left; AGW_EAGAIN, or an error of |to|. */
static int flush_left(struct agw_l4_session *s, struct agw_l4_way *w)
{
    while (w->left) {
        struct iovec iov = {w->left + w->at, w->n - w->at};
        ssize_t n = agw_conn_writev(w->to, &iov, 1);
        if (n < 0)
            return (int)n;
        wrote(s, w, (size_t)n);
        w->at += (size_t)n;
        if (w->at == w->n)
            drop_left(w);
    }
    return 0;
}

static int flush_pipe(struct agw_l4_session *s, struct agw_l4_way *w)
{
    while (w->pipe && w->pipe->n > 0) {
        ssize_t n = agw_conn_splice_out(w->to, w->pipe->out, w->pipe->n);
        if (n < 0)
            return (int)n;
        wrote(s, w, (size_t)n);
        w->pipe->n -= (size_t)n;
    }
    return 0;
}

/* Of |n| bytes in the scratch buffer: writes what |to| takes and keeps the rest. */
static int pass(struct agw_l4_session *s, struct agw_l4_way *w, size_t n)
{
    const unsigned char *p = s->l4->scratch;
    size_t at = 0;
    while (at < n) {
        struct iovec iov = {(void *)(p + at), n - at};
        ssize_t took = agw_conn_writev(w->to, &iov, 1);
        if (took < 0 && took != AGW_EAGAIN)
            return (int)took;
        if (took < 0)
            break;
        wrote(s, w, (size_t)took);
        at += (size_t)took;
    }
    if (at == n)
        return 0;
    w->left = malloc(n - at);
    if (!w->left)
        return AGW_ENOMEM;
    memcpy(w->left, p + at, n - at);
    w->at = 0;
    w->n = n - at;
    return AGW_EAGAIN;
}

/* --- into our hands --- */

static bool use_pipe(struct agw_l4_session *s, struct agw_l4_way *w)
{
    if (!w->bulk || !agw_conn_is_plain(w->from) || !agw_conn_is_plain(w->to))
        return false;
    if (!w->pipe)
        w->pipe = agw_pipe_get(&s->l4->pipes);
    return w->pipe != NULL;
}

/* |from| has nothing more for now. */
static void rest(struct agw_l4_session *s, struct agw_l4_way *w)
{
    w->bulk = w->burst >= BULK;
    w->burst = 0;
    agw_pipe_put(&s->l4->pipes, w->pipe);
    w->pipe = NULL;
}

/* Reads once and passes it on. Bytes (> 0); AGW_EAGAIN: |from| is empty; another code: |from| failed. What
 * |to| says is in |*ret_to|. */
static ssize_t move(struct agw_l4_session *s, struct agw_l4_way *w, int *ret_to)
{
    ssize_t n;
    *ret_to = 0;
    if (use_pipe(s, w)) {
        n = agw_conn_splice_in(w->from, w->pipe->in, AGW_L4_BUFFER);
        if (n > 0) {
            w->pipe->n = (size_t)n;
            *ret_to = flush_pipe(s, w);
        }
    } else {
        n = agw_conn_read(w->from, s->l4->scratch, AGW_L4_BUFFER);
        if (n > 0)
            *ret_to = pass(s, w, (size_t)n);
    }
    if (n > 0) {
        w->burst += (size_t)n;
        w->bulk |= w->burst >= BULK;
    }
    return n;
}

/* |to| takes no more: what it was to get is dropped. The other direction may still have its last words. */
static void give_up(struct agw_l4_session *s, struct agw_l4_way *w)
{
    drop_left(w);
    agw_pipe_put(&s->l4->pipes, w->pipe);
    w->pipe = NULL;
    w->over = true;
}

/* 0, or why |from| failed: the session cannot go on. */
static int run_way(struct agw_l4_session *s, struct agw_l4_way *w)
{
    size_t share = SHARE;
    int rc = w->over ? AGW_EAGAIN : flush_left(s, w);
    if (rc == 0)
        rc = flush_pipe(s, w);
    while (rc == 0 && !w->ended) {
        ssize_t n = move(s, w, &rc);
        if (n == AGW_EAGAIN) {
            rest(s, w);
            return 0;
        }
        if (n == AGW_EEOF) {
            w->ended = true;
        } else if (n < 0) {
            return (int)n;
        } else if (rc == 0 && (size_t)n >= share) {
            agw_timer_set(&s->l4->loop->timers, &s->more, s->l4->loop->now_ms);
            return 0;
        } else {
            share -= (size_t)n < share ? (size_t)n : share;
        }
    }
    if (rc == AGW_EAGAIN || rc == AGW_ENOMEM)
        return rc == AGW_ENOMEM ? rc : 0;
    if (rc == 0)
        agw_conn_shutdown(w->to);
    give_up(s, w);
    return 0;
}

void agw_l4_relay(struct agw_l4_session *s)
{
    struct agw_l4_way *ways[] = {&s->in, &s->out};
    for (int i = 0; i < 2; i++) {
        int rc = run_way(s, ways[i]);
        if (rc == 0)
            continue;
        /* The end of a TLS stream that was not announced is no reset: what went before it is to arrive. */
        bool reset = rc == AGW_ERESET && !agw_tls_find(ways[i]->from);
        snprintf(s->error, sizeof(s->error), "%s: %s", i ? "the backend" : "the client", agw_err_text(rc));
        agw_l4_end(s, "reset", reset);
        return;
    }
    if (s->in.over && s->out.over)
        agw_l4_end(s, "ok", false);
}

/* --- events --- */

static void down_event(struct agw_conn *c)
{
    struct agw_server_conn *sc = agw_container_of(c, struct agw_server_conn, conn);
    struct agw_l4_session *s = sc->proto;
    if (s->connected)
        agw_l4_relay(s);
}

static void up_event(struct agw_conn *c)
{
    agw_l4_relay(c->user);
}

static void down_failed(struct agw_conn *c, int code, const char *reason)
{
    (void)c, (void)code, (void)reason;
    agw_check(false); /* it was ready when it came here */
}

const struct agw_conn_events agw_l4_down_events = {
    .on_ready = down_event,
    .on_failed = down_failed,
    .on_readable = down_event,
    .on_writable = down_event,
};

const struct agw_conn_events agw_l4_up_events = {
    .on_ready = up_event,
    .on_failed = down_failed,
    .on_readable = up_event,
    .on_writable = up_event,
};

static void on_more(struct agw_timer *t)
{
    agw_l4_relay(agw_container_of(t, struct agw_l4_session, more));
}

void agw_l4_relay_start(struct agw_l4_session *s)
{
    s->connected = true;
    s->up->events = &agw_l4_up_events;
    s->in.from = s->out.to = &s->c->conn;
    s->in.to = s->out.from = s->up;
    agw_timer_init(&s->more, on_more);
    agw_l4_moved(s);
    agw_l4_relay(s);
}

void agw_l4_relay_stop(struct agw_l4_session *s)
{
    if (!s->connected)
        return;
    agw_timer_cancel(&s->l4->loop->timers, &s->more);
    give_up(s, &s->in);
    give_up(s, &s->out);
}
