#include <stdlib.h>
#include "client/client_int.h"
#include "client/dial.h"

static struct agw_client_stream *waiting_stream(struct agw_list *node)
{
    return agw_list_entry(node, struct agw_client_stream, node);
}

static struct agw_client_stream *pop_waiting(struct agw_pool *p)
{
    struct agw_list *node = agw_list_pop(&p->waiting);
    if (!node)
        return NULL;
    agw_pool_count_waiting(p, -1);
    return waiting_stream(node);
}

void agw_pool_count_waiting(struct agw_pool *p, int by)
{
    p->waiting_count += (uint32_t)by;
    p->client->stats.waiting += (uint32_t)by;
}

/* The idle connection used last, if its time is not over: the clean-up comes but once a second. */
static struct agw_h1_conn *fresh_idle(struct agw_pool *p)
{
    while (!agw_list_empty(&p->idle)) {
        struct agw_h1_conn *h = agw_h1_conn_of(p->idle.next);
        if (!agw_h1_conn_expired(h, p->client->loop->now_ms))
            return h;
        agw_h1_conn_close(h);
    }
    return NULL;
}

/* The first HTTP/2 connection that takes another stream. */
static struct agw_h2_conn *h2_with_room(struct agw_pool *p)
{
    struct agw_list *node, *tmp;
    agw_list_each (node, tmp, &p->h2) {
        struct agw_h2_conn *h = agw_h2_conn_of(node);
        if (agw_h2_conn_room(h) > 0)
            return h;
    }
    return NULL;
}

bool agw_pool_attach(struct agw_pool *p, struct agw_client_stream *cs)
{
    struct agw_h1_conn *h1 = fresh_idle(p);
    struct agw_h2_conn *h2 = h1 ? NULL : h2_with_room(p);
    if (h1)
        agw_h1_conn_attach(h1, cs);
    else if (h2)
        agw_h2_conn_attach(h2, cs);
    else
        return false;
    /* Nothing is told from inside attach: the stream is there yet, whatever became of it. */
    p->client->stats.reuses += cs->reused;
    return true;
}

/* A connection that is not will have room soon. */
static bool all_settled(const struct agw_pool *p)
{
    for (const struct agw_list *node = p->h2.next; node != &p->h2; node = node->next)
        if (!agw_h2_conn_settled(agw_h2_conn_of((struct agw_list *)node)))
            return false;
    return true;
}

/* One dial may bring room for many streams where the endpoint speaks HTTP/2. */
static bool wants_dial(const struct agw_pool *p)
{
    if (p->open + p->dialing >= p->client->limits->conns_max)
        return false;
    if (p->to.http == AGW_UPSTREAM_HTTP2)
        return p->dialing == 0 && all_settled(p);
    return p->dialing < p->waiting_count;
}

static bool negotiated_h2(const struct agw_pool *p, struct agw_conn *conn)
{
    if (p->to.http != AGW_UPSTREAM_ALPN)
        return p->to.http == AGW_UPSTREAM_HTTP2;
    const struct agw_filter *tls = agw_tls_find(conn);
    return tls && agw_str_eq(agw_tls_alpn(tls), AGW_STR("h2"));
}

static void fail_waiting(struct agw_pool *p, int code)
{
    /* An HTTP/2 dial stood for all that wait, another for one. */
    unsigned n = p->to.http == AGW_UPSTREAM_HTTP2 ? p->waiting_count : 1;
    for (; n > 0 && p->waiting_count > 0; n--)
        agw_client_stream_fail(pop_waiting(p), code);
}

static void on_dialed(void *owner, struct agw_conn *conn, int code, const char *reason)
{
    struct agw_pool *p = owner;
    (void)reason; /* the dial has logged it */
    p->dialing--;
    if (!conn) {
        p->client->stats.connect_failures++;
        fail_waiting(p, code);
        agw_pool_serve(p);
        return;
    }
    p->open++;
    p->client->stats.connects++;
    p->client->stats.open++;
    bool made = negotiated_h2(p, conn) ? agw_h2_conn_new(p, conn) != NULL : agw_h1_conn_new(p, conn) != NULL;
    if (!made) {
        p->open--;
        p->client->stats.open--;
        fail_waiting(p, AGW_ENOMEM);
    }
    agw_pool_serve(p);
}

void agw_pool_serve(struct agw_pool *p)
{
    while (p->waiting_count > 0) {
        if (!fresh_idle(p) && !h2_with_room(p))
            break;
        agw_pool_attach(p, pop_waiting(p));
    }
    while (p->waiting_count > 0 && wants_dial(p)) {
        struct agw_dial *d = agw_dial_start(p->client, &p->to, &p->sessions, on_dialed, p);
        if (!d) {
            agw_client_stream_fail(pop_waiting(p), AGW_ENOMEM);
            continue;
        }
        agw_list_push(&p->dials, agw_dial_node(d));
        p->dialing++;
    }
}

bool agw_pool_unused(const struct agw_pool *p)
{
    return p->open == 0 && p->dialing == 0 && p->streams == 0;
}

static void close_expired(struct agw_list *list, uint64_t now_ms)
{
    struct agw_list *node, *tmp;
    agw_list_each (node, tmp, list) {
        struct agw_h1_conn *h = agw_h1_conn_of(node);
        if (agw_h1_conn_expired(h, now_ms))
            agw_h1_conn_close(h);
    }
}

void agw_pool_trim(struct agw_pool *p, uint64_t now_ms)
{
    struct agw_list *node, *tmp;
    close_expired(&p->idle, now_ms);
    close_expired(&p->busy, now_ms);
    agw_list_each (node, tmp, &p->h2) {
        uint64_t since;
        struct agw_h2_conn *h = agw_h2_conn_of(node);
        if (!agw_h2_conn_idle(h, &since))
            continue;
        if (since + p->client->limits->idle_ms <= now_ms || agw_h2_conn_retired(h))
            agw_h2_conn_close(h);
    }
    agw_pool_serve(p); /* there may be room for more connections */
}

void agw_pool_close(struct agw_pool *p)
{
    struct agw_client_stream *cs;
    while ((cs = pop_waiting(p)))
        agw_client_stream_free(cs);
    while (!agw_list_empty(&p->dials))
        agw_dial_cancel(agw_dial_of(p->dials.next));
    while (!agw_list_empty(&p->idle))
        agw_h1_conn_close(agw_h1_conn_of(p->idle.next));
    while (!agw_list_empty(&p->busy))
        agw_h1_conn_close(agw_h1_conn_of(p->busy.next));
    while (!agw_list_empty(&p->h2))
        agw_h2_conn_close(agw_h2_conn_of(p->h2.next));
}

void agw_pool_free(struct agw_pool *p)
{
    agw_pool_close(p);
    agw_tls_sessions_clear(&p->sessions);
    agw_tls_client_unref(p->to.tls);
    agw_tls_client_unref(p->tunnel.tls);
    free(p);
}
