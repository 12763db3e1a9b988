#include <stdio.h>
#include <stdlib.h>
#include "balance/pick.h"
#include "base/log.h"
#include "client/tunnel.h"
#include "proxy/l4/l4_int.h"

static void try_next(struct agw_l4_session *s);

static void note(struct agw_l4_session *s, const char *reason)
{
    snprintf(s->error, sizeof(s->error), "%.*s", (int)sizeof(s->error) - 1, reason);
    agw_debug("l4", "%.*s: %s", AGW_STRF(s->name), reason);
}

static void on_ready(struct agw_conn *c)
{
    struct agw_l4_session *s = c->user;
    agw_l4_dial_stop(s);
    s->error[0] = 0;
    agw_l4_relay_start(s);
}

static void on_failed(struct agw_conn *c, int code, const char *reason)
{
    struct agw_l4_session *s = c->user;
    (void)code;
    note(s, reason);
    agw_conn_close(&s->up, false);
    try_next(s);
}

static void on_nothing(struct agw_conn *c)
{
    (void)c;
}

static const struct agw_conn_events dial_events = {
    .on_ready = on_ready,
    .on_failed = on_failed,
    .on_readable = on_nothing,
    .on_writable = on_nothing,
};

static int connect_to(struct agw_l4_session *s, const struct agw_addr *to)
{
    const struct agw_endpoint *e = s->endpoint;
    struct agw_error err = {0};
    int rc = e->tunnel ? agw_tunnel_connect(&s->up, s->l4->client, e, &dial_events, &err)
                       : agw_conn_connect(&s->up, s->l4->loop, to, &dial_events, &err);
    if (rc) {
        note(s, err.text[0] ? err.text : agw_err_text(rc));
        return rc;
    }
    s->up.user = s;
    if (e->tls) {
        struct agw_filter *tls = agw_tls_client_filter(e->tls, e->host, NULL);
        if (!tls) {
            note(s, agw_err_text(AGW_ENOMEM));
            agw_conn_close(&s->up, false);
            return AGW_ENOMEM;
        }
        agw_conn_push(&s->up, tls);
    }
    agw_conn_start(&s->up);
    return 0;
}

static void on_resolved(void *ctx, int code, const struct agw_addr *addrs, size_t count)
{
    struct agw_l4_session *s = ctx;
    s->query = NULL;
    s->addr_count = 0;
    if (!code && count && (s->addrs = malloc(count * sizeof(*addrs)))) {
        memcpy(s->addrs, addrs, count * sizeof(*addrs));
        s->addr_count = (unsigned)count;
    } else {
        note(s, agw_err_text(code ? code : count ? AGW_ENOMEM : AGW_EDNS));
    }
    try_next(s);
}

/* Another endpoint of the backend, which may be the same one again. False: none, or enough of them. */
static bool next_endpoint(struct agw_l4_session *s)
{
    free(s->addrs);
    s->addrs = NULL;
    s->addr_next = s->addr_count = 0;
    if (s->tries++ == s->l4->limits->tries)
        return false;
    s->endpoint = agw_balance_endpoint(s->backend, &s->l4->loop->rng);
    return s->endpoint != NULL;
}

/* Addresses of an endpoint in their order, then those of another one: nothing was sent yet. The failure is
 * told from a task, for this may run inside agw_l4_start. */
static void try_next(struct agw_l4_session *s)
{
    for (;;) {
        const struct agw_addr *list = s->addrs ? s->addrs : s->endpoint ? &s->endpoint->addr : NULL;
        while (s->addr_next < s->addr_count)
            if (connect_to(s, &list[s->addr_next++]) == 0)
                return;
        if (!next_endpoint(s))
            break;
        if (s->endpoint->addr.n == 0 && !s->endpoint->tunnel) {
            struct agw_dns_query *q =
                agw_dns_resolve(s->l4->dns, s->endpoint->host, s->endpoint->port, on_resolved, s);
            if (q)
                s->query = q;
            return; /* without a handle on_resolved has run */
        }
        s->addr_count = 1;
    }
    agw_loop_defer(s->l4->loop, &s->failed);
}

static void on_fail_task(struct agw_task *t)
{
    struct agw_l4_session *s = agw_container_of(t, struct agw_l4_session, failed);
    if (!s->error[0])
        note(s, "the backend has no endpoint");
    agw_l4_end(s, "connect_failure", true);
}

static void on_timeout(struct agw_timer *t)
{
    struct agw_l4_session *s = agw_container_of(t, struct agw_l4_session, connect);
    note(s, "the backend did not answer in time");
    agw_l4_end(s, "connect_failure", true);
}

void agw_l4_dial(struct agw_l4_session *s)
{
    agw_task_init(&s->failed, on_fail_task);
    agw_timer_init(&s->connect, on_timeout);
    agw_timer_set(&s->l4->loop->timers, &s->connect, s->l4->loop->now_ms + s->l4->limits->connect_ms);
    try_next(s);
}

void agw_l4_dial_stop(struct agw_l4_session *s)
{
    if (!s->snap)
        return;
    agw_timer_cancel(&s->l4->loop->timers, &s->connect);
    agw_task_cancel(&s->failed);
    if (s->query)
        agw_dns_cancel(s->query);
    s->query = NULL;
    free(s->addrs);
    s->addrs = NULL;
    agw_snapshot_unpin(s->snap, s->l4->loop->index);
    s->snap = NULL;
    s->backend = NULL;
    s->endpoint = NULL;
}
