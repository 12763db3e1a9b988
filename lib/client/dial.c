#include <stdlib.h>
#include "base/log.h"
#include "client/client_int.h"

struct agw_dial {
    struct agw_list node; /* pool->dials */
    struct agw_pool *pool;
    struct agw_conn *conn; /* NULL between attempts */
    struct agw_dns_query *query;
    struct agw_timer timer; /* the whole dial, all addresses */
    struct agw_task failed;
    int code;
    unsigned next, count;   /* addresses tried, known */
    struct agw_addr *addrs; /* NULL: the endpoint's own */
};

struct agw_dial *agw_dial_of(struct agw_list *node)
{
    return agw_list_entry(node, struct agw_dial, node);
}

static void drop_conn(struct agw_dial *d)
{
    if (!d->conn)
        return;
    agw_conn_close(d->conn, false);
    free(d->conn);
    d->conn = NULL;
}

static void dial_free(struct agw_dial *d)
{
    agw_timer_cancel(&d->pool->client->loop->timers, &d->timer);
    agw_task_cancel(&d->failed);
    if (d->query)
        agw_dns_cancel(d->query);
    drop_conn(d);
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
    agw_loop_defer(d->pool->client->loop, &d->failed);
}

static void on_fail_task(struct agw_task *t)
{
    struct agw_dial *d = agw_container_of(t, struct agw_dial, failed);
    struct agw_pool *p = d->pool;
    int code = d->code;
    p->client->stats.connect_failures++;
    dial_free(d);
    agw_pool_dialed(p, NULL, code);
}

static void on_timeout(struct agw_timer *t)
{
    struct agw_dial *d = agw_container_of(t, struct agw_dial, timer);
    drop_conn(d);
    fail_later(d, AGW_ETIMEOUT);
}

static void on_ready(struct agw_conn *c)
{
    struct agw_dial *d = c->user;
    struct agw_pool *p = d->pool;
    d->conn = NULL;
    dial_free(d);
    p->client->stats.connects++;
    agw_pool_dialed(p, c, 0);
}

static void try_next(struct agw_dial *d, int last_code);

static void on_failed(struct agw_conn *c, int code, const char *reason)
{
    struct agw_dial *d = c->user;
    agw_debug("client", "%.*s: %s", AGW_STRF(d->pool->to.key), reason);
    drop_conn(d);
    try_next(d, code);
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

static int connect_to(struct agw_dial *d, const struct agw_addr *to)
{
    const struct agw_endpoint *e = &d->pool->to;
    struct agw_error err;
    struct agw_conn *c = malloc(sizeof(*c));
    if (!c)
        return AGW_ENOMEM;
    int rc = agw_conn_connect(c, d->pool->client->loop, to, &dial_events, &err);
    if (rc) {
        free(c);
        return rc;
    }
    c->user = d;
    d->conn = c;
    if (e->tls) {
        struct agw_filter *tls = agw_tls_client_filter(e->tls, e->host);
        if (!tls) {
            drop_conn(d);
            return AGW_ENOMEM;
        }
        agw_conn_push(c, tls);
    }
    agw_conn_start(c);
    return 0;
}

/* Addresses in order until one takes the connection. */
static void try_next(struct agw_dial *d, int last_code)
{
    const struct agw_addr *list = d->addrs ? d->addrs : &d->pool->to.addr;
    while (d->next < d->count) {
        last_code = connect_to(d, &list[d->next++]);
        if (last_code == 0)
            return;
    }
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

int agw_dial_start(struct agw_pool *p)
{
    struct agw_client *c = p->client;
    struct agw_dial *d = calloc(1, sizeof(*d));
    if (!d)
        return AGW_ENOMEM;
    d->pool = p;
    agw_list_push(&p->dials, &d->node);
    agw_task_init(&d->failed, on_fail_task);
    agw_timer_init(&d->timer, on_timeout);
    agw_timer_set(&c->loop->timers, &d->timer, c->loop->now_ms + c->limits->connect_ms);
    if (p->to.addr.n > 0) {
        d->count = 1;
        try_next(d, AGW_EIO);
        return 0;
    }
    struct agw_dns_query *q = agw_dns_resolve(c->dns, p->to.host, p->to.port, on_resolved, d);
    if (q)
        d->query = q;
    return 0;
}
