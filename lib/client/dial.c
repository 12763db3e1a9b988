#include "client/dial.h"
#include <stdio.h>
#include <stdlib.h>
#include "base/log.h"
#include "client/client_int.h"
#include "client/tunnel.h"

/* RFC 8305 section 5: how long an address is tried alone before the next one joins. */
#define ATTEMPT_DELAY_MS 250

struct agw_dial {
    struct agw_list node; /* the owner's */
    struct agw_client *client;
    const struct agw_endpoint *to;
    struct agw_tls_sessions *sessions; /* NULL: none are kept */
    agw_dial_done *done;
    void *owner;
    struct agw_list attempts; /* those under way */
    struct agw_dns_query *query;
    struct agw_timer timer; /* the whole dial, all addresses */
    struct agw_timer delay; /* the next address joins */
    struct agw_task failed;
    int code;
    char reason[96];        /* of the last address that failed */
    unsigned next, count;   /* addresses tried, known */
    struct agw_addr *addrs; /* NULL: the endpoint's own */
};

/* One address being tried. */
struct attempt {
    struct agw_list node;
    struct agw_dial *dial;
    struct agw_conn *conn;
};

struct agw_list *agw_dial_node(struct agw_dial *d)
{
    return &d->node;
}

struct agw_dial *agw_dial_of(struct agw_list *node)
{
    return agw_list_entry(node, struct agw_dial, node);
}

/* Leaves the connection to the caller. */
static void attempt_free(struct attempt *a)
{
    agw_list_remove(&a->node);
    free(a);
}

static void attempt_drop(struct attempt *a)
{
    agw_conn_close(a->conn, false);
    free(a->conn);
    attempt_free(a);
}

static void drop_attempts(struct agw_dial *d)
{
    while (!agw_list_empty(&d->attempts))
        attempt_drop(agw_list_entry(d->attempts.next, struct attempt, node));
}

static void dial_free(struct agw_dial *d)
{
    agw_timer_cancel(&d->client->loop->timers, &d->timer);
    agw_timer_cancel(&d->client->loop->timers, &d->delay);
    agw_task_cancel(&d->failed);
    if (d->query)
        agw_dns_cancel(d->query);
    drop_attempts(d);
    agw_list_remove(&d->node);
    free(d->addrs);
    free(d);
}

void agw_dial_cancel(struct agw_dial *d)
{
    dial_free(d);
}

static void fail_later(struct agw_dial *d, int code)
{
    d->code = code;
    agw_loop_defer(d->client->loop, &d->failed);
}

static void on_fail_task(struct agw_task *t)
{
    struct agw_dial *d = agw_container_of(t, struct agw_dial, failed);
    struct agw_dial was = *d;
    dial_free(d);
    was.done(was.owner, NULL, was.code, was.reason[0] ? was.reason : agw_err_text(was.code));
}

static void on_timeout(struct agw_timer *t)
{
    struct agw_dial *d = agw_container_of(t, struct agw_dial, timer);
    agw_timer_cancel(&d->client->loop->timers, &d->delay);
    drop_attempts(d);
    fail_later(d, AGW_ETIMEOUT);
}

/* The first to be ready wins, its handshake included: an address that connects but does not shake hands does
 * not hold the others up. */
static void on_ready(struct agw_conn *c)
{
    struct attempt *a = c->user;
    struct agw_dial *d = a->dial;
    agw_dial_done *done = d->done;
    void *owner = d->owner;
    attempt_free(a);
    dial_free(d);
    done(owner, c, 0, NULL);
}

static void try_next(struct agw_dial *d, int last_code);

static void say(struct agw_dial *d, const char *reason)
{
    snprintf(d->reason, sizeof(d->reason), "%.*s", (int)sizeof(d->reason) - 1, reason);
}

static void on_failed(struct agw_conn *c, int code, const char *reason)
{
    struct attempt *a = c->user;
    struct agw_dial *d = a->dial;
    agw_debug("client", "%.*s: %s", AGW_STRF(d->to->key), reason);
    say(d, reason);
    attempt_drop(a);
    try_next(d, code);
}

static void on_delay(struct agw_timer *t)
{
    try_next(agw_container_of(t, struct agw_dial, delay), AGW_EIO);
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

/* By the gateway's own certificate, as it is now. */
static int own_tls(const struct agw_endpoint *e, struct agw_filter **ret_filter)
{
    struct agw_tls_client *now = agw_tls_own_client(e->own);
    if (!now) {
        agw_debug("client", "%.*s: the gateway has no certificate of its own", AGW_STRF(e->key));
        return AGW_ETLS;
    }
    struct agw_filter *tls = agw_tls_client_filter(now, AGW_STR(""), NULL);
    if (tls && agw_tls_expect(tls, e->peers)) {
        tls->ops->free(tls);
        tls = NULL;
    }
    *ret_filter = tls;
    return tls ? 0 : AGW_ENOMEM;
}

static int add_tls(struct agw_dial *d, struct agw_conn *c)
{
    const struct agw_endpoint *to = d->to;
    struct agw_filter *tls = NULL;
    int rc = 0;
    if (to->own)
        rc = own_tls(to, &tls);
    else if (to->tls && !(tls = agw_tls_client_filter(to->tls, to->host, d->sessions)))
        rc = AGW_ENOMEM;
    if (tls)
        agw_conn_push(c, tls);
    return rc;
}

/* Opens |a|'s connection and starts it. */
static int connect_to(struct attempt *a, const struct agw_addr *addr)
{
    struct agw_dial *d = a->dial;
    struct agw_error err = {0};
    int rc = d->to->tunnel ? agw_tunnel_connect(a->conn, d->client, d->to, &dial_events, &err)
                           : agw_conn_connect(a->conn, d->client->loop, addr, &dial_events, &err);
    if (rc) {
        say(d, err.text[0] ? err.text : agw_err_text(rc));
        return rc;
    }
    a->conn->user = a;
    if (d->to->keepalive.on)
        agw_conn_keepalive(a->conn, &d->to->keepalive);
    rc = add_tls(d, a->conn);
    if (rc)
        agw_conn_close(a->conn, false);
    else
        agw_conn_start(a->conn);
    return rc;
}

static int attempt_start(struct agw_dial *d, const struct agw_addr *to)
{
    struct attempt *a = malloc(sizeof(*a));
    struct agw_conn *c = malloc(sizeof(*c));
    int rc = a && c ? 0 : AGW_ENOMEM;
    if (!rc) {
        *a = (struct attempt){.dial = d, .conn = c};
        rc = connect_to(a, to);
    }
    if (rc) {
        free(a);
        free(c);
        return rc;
    }
    agw_list_push(&d->attempts, &a->node);
    return 0;
}

/* Happy eyeballs (RFC 8305 section 5): addresses in order, the next one at once when one fails, and after a
 * short while when none has failed yet; what is under way goes on meanwhile. */
static void try_next(struct agw_dial *d, int last_code)
{
    const struct agw_addr *list = d->addrs ? d->addrs : &d->to->addr;
    struct agw_loop *loop = d->client->loop;
    agw_timer_cancel(&loop->timers, &d->delay);
    while (d->next < d->count) {
        last_code = attempt_start(d, &list[d->next++]);
        if (last_code)
            continue;
        if (d->next < d->count)
            agw_timer_set(&loop->timers, &d->delay, loop->now_ms + ATTEMPT_DELAY_MS);
        return;
    }
    if (agw_list_empty(&d->attempts))
        fail_later(d, last_code);
}

static void on_resolved(void *ctx, int code, const struct agw_addr *addrs, size_t count)
{
    struct agw_dial *d = ctx;
    d->query = NULL;
    if (code || count == 0) {
        fail_later(d, AGW_EDNS);
        return;
    }
    d->addrs = malloc(count * sizeof(*addrs));
    if (!d->addrs) {
        fail_later(d, AGW_ENOMEM);
        return;
    }
    memcpy(d->addrs, addrs, count * sizeof(*addrs));
    d->count = (unsigned)count;
    try_next(d, AGW_EDNS);
}

struct agw_dial *agw_dial_start(struct agw_client *c, const struct agw_endpoint *to,
                                struct agw_tls_sessions *sessions, agw_dial_done *done, void *owner)
{
    struct agw_dial *d = calloc(1, sizeof(*d));
    if (!d)
        return NULL;
    d->client = c;
    d->to = to;
    d->sessions = sessions;
    d->done = done;
    d->owner = owner;
    agw_list_init(&d->node);
    agw_list_init(&d->attempts);
    agw_task_init(&d->failed, on_fail_task);
    agw_timer_init(&d->delay, on_delay);
    agw_timer_init(&d->timer, on_timeout);
    uint32_t connect_ms = to->connect_ms ? to->connect_ms : c->limits->connect_ms;
    agw_timer_set(&c->loop->timers, &d->timer, c->loop->now_ms + connect_ms);
    if (to->addr.n > 0 || to->tunnel) { /* the tunnel's end resolves the name */
        d->count = 1;
        try_next(d, AGW_EIO);
        return d;
    }
    struct agw_dns_query *q = agw_dns_resolve(c->dns, to->host, to->port, on_resolved, d);
    if (q)
        d->query = q;
    return d;
}
