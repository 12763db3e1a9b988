#include <stdlib.h>
#include <unistd.h>
#include "base/log.h"
#include "client/tunnel.h"
#include "net/input.h"
#include "net/proxy.h"
#include "proxy/acceptor.h"
#include "proxy/exchange.h"
#include "proxy/gateway.h"
#include "proxy/server/connect.h"
#include "proxy/server/h1_server.h"
#include "proxy/server/h2_server.h"
#include "route/match.h"
#include "tls/hello.h"

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" /* RFC 9113 section 3.4 */
/* From accept to the first request byte, TLS handshake included. */
#define HANDSHAKE_MS 15000
/* The same, once the port is closed: a round trip or two, also of a slow line. */
#define HURRY_MS 3000
/* An address that is taken, or not there yet, is tried again this often. */
#define REBIND_MS 1000

/* A connection and the bytes looked at before its protocol was known. */
struct downstream {
    struct agw_server_conn c;
    struct agw_input in;
    struct agw_server_limits *own; /* NULL: no policy says anything about it */
    uint64_t source;               /* that it was counted for; 0: not counted */
    bool tcp;
    bool claimed; /* whose it is says a PROXY header */
    bool hbone;
    char *identity; /* where c.identity points; NULL: nobody showed one */
};

static struct downstream *downstream_of(struct agw_server_conn *c)
{
    return agw_container_of(c, struct downstream, c);
}

static void acceptor_put(struct agw_acceptor *a)
{
    if (a->conns == 0 && !a->open)
        free(a);
}

static void downstream_free(struct downstream *d)
{
    struct agw_acceptor *a = d->c.user;
    struct agw_worker *w = a->worker;
    agw_timer_cancel(&w->loop.timers, &d->c.timer);
    agw_list_remove(&d->c.node);
    if (d->source)
        agw_sources_remove(&w->sources, d->source);
    agw_input_free(&d->in);
    w->conn_count--;
    a->conns--;
    agw_metrics_conn_closed(w->metrics, &a->series);
    free(d->own);
    free(d->identity);
    free((char *)d->c.client_cert.p);
    free(d);
    acceptor_put(a);
    agw_worker_conn_gone(w);
}

static void abandon(struct downstream *d)
{
    agw_conn_close(&d->c.conn, false);
    downstream_free(d);
}

/* --- what the protocols report --- */

static void on_request(struct agw_server_conn *c, struct agw_stream *s, struct agw_msg *msg, bool end)
{
    struct agw_acceptor *a = c->user;
    agw_exchange_start(a->worker, c, s, msg, end);
}

static void on_refused(struct agw_server_conn *c, int status, const char *reason)
{
    struct agw_acceptor *a = c->user;
    agw_exchange_refused(a->worker, c, status, reason);
}

static void on_closed(struct agw_server_conn *c)
{
    downstream_free(downstream_of(c));
}

static const struct agw_server_handler handler = {
    .on_request = on_request,
    .on_refused = on_refused,
    .on_closed = on_closed,
};

static void on_tunnel(struct agw_server_conn *c, struct agw_stream *s, struct agw_msg *msg, bool end);

static const struct agw_server_handler tunnel_handler = {
    .on_request = on_tunnel,
    .on_refused = on_refused,
    .on_closed = on_closed,
};

/* --- before the protocol is known --- */

/* |front|: NULL when the bind is just going. */
static int set_limits(struct downstream *d, const struct agw_front *front, bool h2)
{
    static const struct agw_front none;
    struct agw_server_conn *c = &d->c;
    if (front && memcmp(front, &none, sizeof(none))) {
        c->limits = d->own = agw_server_limits_new(c->limits, front, h2);
        if (!c->limits)
            return AGW_ENOMEM;
    }
    const struct agw_acceptor *a = c->user;
    if (c->limits->duration_ms || a->worker->leaving)
        c->expires_ms = c->conn.loop->now_ms + (a->worker->leaving ? 0 : c->limits->duration_ms);
    return 0;
}

static void start(struct downstream *d, const struct agw_front *front, bool h2)
{
    const struct agw_acceptor *a = d->c.user;
    int rc = set_limits(d, front, h2);
    if (!rc)
        rc = h2 ? agw_h2_server_start(&d->c, &d->in) : agw_h1_server_start(&d->c, &d->in);
    if (rc)
        abandon(d);
    else if (!a->open || a->worker->draining)
        agw_server_conn_drain(&d->c);
}

static const struct agw_bind *bind_now(struct agw_acceptor *a)
{
    const struct agw_snapshot *snap = agw_snapshot_current();
    return snap ? agw_acceptor_bind(a, snap) : NULL;
}

static void start_plain(struct downstream *d, bool h2)
{
    const struct agw_bind *bind = bind_now(d->c.user);
    start(d, bind ? &bind->front : NULL, h2);
}

static void on_first_bytes(struct agw_conn *conn)
{
    struct downstream *d = downstream_of(conn->user);
    size_t want = sizeof(PREFACE) - 1;
    int rc = agw_input_fill(&d->in, conn, AGW_BLOCK_SIZE);
    size_t n = d->in.n < want ? d->in.n : want;
    bool same = n == 0 || memcmp(d->in.p, PREFACE, n) == 0;
    if ((rc == 0 || rc == AGW_EAGAIN) && same && n < want)
        rc = agw_input_park(&d->in, conn->loop); /* more must come */
    else if (rc == 0)
        start_plain(d, same);
    if (rc)
        abandon(d);
}

/* The listener that a server name means now; NULL: none. */
static const struct agw_listener *listener_for(struct agw_acceptor *a, struct agw_str sni)
{
    const struct agw_bind *bind = bind_now(a);
    if (bind && bind->protocol == AGW_BIND_TCP)
        return bind->listener_count ? bind->listeners[0] : NULL;
    return bind ? agw_listener_for_sni(bind, sni) : NULL;
}

static void start_l4(struct downstream *d, const struct agw_listener *l, struct agw_str sni)
{
    struct agw_acceptor *a = d->c.user;
    struct agw_worker *w = a->worker;
    if (!l || !l->l4 || agw_l4_start(w->l4, &d->c, agw_snapshot_current(), l, sni)) {
        agw_conn_close(&d->c.conn, true);
        downstream_free(d);
    } else if (!a->open || w->draining) {
        agw_server_conn_drain(&d->c);
    }
}

/* The certificate for a ClientHello, by the snapshot of now. */
static struct agw_tls_server *select_cert(void *ctx, struct agw_str sni, void **ret_choice)
{
    const struct agw_listener *l = listener_for(ctx, sni);
    (void)ret_choice;
    return l ? l->tls_server : NULL;
}

/* The ClientHello is there: TLS is passed on, or it is ended here. */
static void on_peeked(struct downstream *d, struct agw_str sni)
{
    const struct agw_listener *l = listener_for(d->c.user, sni);
    if (l && l->passthrough) {
        start_l4(d, l, sni);
        return;
    }
    struct agw_filter *f = agw_tls_server_filter(select_cert, d->c.user);
    if (f)
        agw_conn_stack(&d->c.conn, f);
    else
        abandon(d);
}

static int set_identity(struct downstream *d, struct agw_str id)
{
    d->identity = malloc(id.n);
    if (!d->identity)
        return AGW_ENOMEM;
    d->c.identity = agw_str(memcpy(d->identity, id.p, id.n), id.n);
    return 0;
}

/* Only peers whom the mesh knows open tunnels. */
static void start_hbone(struct downstream *d, const struct agw_filter *tls)
{
    const struct agw_acceptor *a = d->c.user;
    struct agw_error err = {0};
    struct agw_arena arena;
    struct agw_str id;
    agw_arena_init(&arena, 1024, 0);
    int rc = agw_tls_own_peer(a->worker->gateway->options.own, tls, &arena, &id, &err);
    if (rc)
        agw_debug("accept", "HBONE: %s", err.text);
    else
        rc = set_identity(d, id);
    agw_arena_free(&arena);
    if (rc) {
        abandon(d);
        return;
    }
    d->c.handler = &tunnel_handler;
    start(d, NULL, true);
}

static void on_secured(struct downstream *d, const struct agw_filter *tls)
{
    if (d->hbone) {
        start_hbone(d, tls);
        return;
    }
    const struct agw_listener *l = listener_for(d->c.user, agw_tls_sni(tls));
    if (l && l->l4)
        start_l4(d, l->passthrough ? NULL : l, agw_tls_sni(tls));
    else
        start(d, l ? &l->front : NULL, agw_str_eq(agw_tls_alpn(tls), AGW_STR("h2")));
}

static void count_refused(struct agw_worker *w, struct agw_str reason)
{
    agw_metric_add(agw_metrics_get(w->metrics, AGW_METRIC_CONNS_REFUSED, &reason), 1);
}

/* False: it is one too many of its source. */
static bool count_source(struct downstream *d)
{
    struct agw_worker *w = ((struct agw_acceptor *)d->c.user)->worker;
    unsigned max = w->gateway->options.max_conns_per_source;
    uint64_t source = max ? agw_source_of(&d->c.conn.peer) : 0;
    if (source == 0)
        return true;
    if (agw_sources_add(&w->sources, source, max)) {
        count_refused(w, AGW_STR("source"));
        return false;
    }
    d->source = source;
    return true;
}

static void on_ready(struct agw_conn *conn)
{
    struct downstream *d = downstream_of(conn->user);
    if (d->claimed) {
        d->claimed = false;
        if (!count_source(d)) {
            abandon(d);
            return;
        }
    }
    struct agw_filter *tls = agw_tls_find(conn);
    struct agw_str sni;
    if (tls)
        on_secured(d, tls);
    else if (agw_tls_peeked(conn, &sni))
        on_peeked(d, sni);
    else if (d->tcp)
        start_l4(d, listener_for(d->c.user, AGW_STR("")), AGW_STR(""));
    else
        on_first_bytes(conn);
}

static void on_failed(struct agw_conn *conn, int code, const char *reason)
{
    char peer[AGW_ADDR_TEXT];
    (void)code;
    agw_addr_format(&conn->peer, peer);
    agw_debug("accept", "%s: %s", peer, reason);
    abandon(downstream_of(conn->user));
}

static void on_nothing(struct agw_conn *conn)
{
    (void)conn;
}

static const struct agw_conn_events sniff_events = {
    .on_ready = on_ready,
    .on_failed = on_failed,
    .on_readable = on_first_bytes,
    .on_writable = on_nothing,
};

static void on_handshake_timeout(struct agw_timer *t)
{
    abandon(downstream_of(agw_container_of(t, struct agw_server_conn, timer)));
}

/* The gateway's own certificate, as it is now. */
static struct agw_tls_server *select_own(void *ctx, struct agw_str sni, void **ret_choice)
{
    const struct agw_acceptor *a = ctx;
    const struct agw_tls_own *own = a->worker->gateway->options.own;
    (void)sni, (void)ret_choice;
    return own ? agw_tls_own_server(own) : NULL;
}

static int push(struct agw_conn *conn, struct agw_filter *f)
{
    if (f)
        agw_conn_push(conn, f);
    return f ? 0 : AGW_ENOMEM;
}

/* What stands between the bytes and the protocol, from the bottom. |bind|: NULL when it is just going. */
static int push_tls(struct agw_conn *conn, struct agw_acceptor *a, const struct agw_bind *bind)
{
    enum agw_bind_protocol protocol = bind ? bind->protocol : a->protocol;
    if (protocol == AGW_BIND_HBONE)
        return push(conn, agw_tls_server_filter(select_own, a));
    if (protocol != AGW_BIND_TLS)
        return 0;
    return push(conn, bind && bind->peek ? agw_tls_peek_filter() : agw_tls_server_filter(select_cert, a));
}

static int push_filters(struct agw_conn *conn, struct agw_acceptor *a, const struct agw_bind *bind)
{
    int rc = 0;
    if (bind && bind->proxy.versions)
        rc = push(conn, agw_proxy_filter(bind->proxy.versions, bind->proxy.optional));
    return rc ? rc : push_tls(conn, a, bind);
}

static void expect(struct downstream *d, enum agw_bind_protocol protocol)
{
    d->c.conn.user = &d->c;
    d->c.secure = protocol == AGW_BIND_TLS;
    d->tcp = protocol == AGW_BIND_TCP;
    d->hbone = protocol == AGW_BIND_HBONE;
}

static int begin(struct downstream *d, struct agw_acceptor *a, int fd, const struct agw_addr *peer)
{
    struct agw_worker *w = a->worker;
    const struct agw_bind *bind = bind_now(a);
    int rc = agw_conn_accept(&d->c.conn, &w->loop, fd, peer, &sniff_events);
    if (rc)
        return rc;
    expect(d, bind ? bind->protocol : a->protocol);
    d->claimed = bind && bind->proxy.versions;
    if (bind && bind->keepalive.on)
        agw_conn_keepalive(&d->c.conn, &bind->keepalive);
    rc = push_filters(&d->c.conn, a, bind);
    if (rc)
        agw_conn_close(&d->c.conn, false);
    return rc;
}

static uint32_t handshake_ms(struct agw_acceptor *a)
{
    const struct agw_bind *bind = bind_now(a);
    return bind && bind->handshake_ms ? bind->handshake_ms : HANDSHAKE_MS;
}

/* NULL: there is room for a connection, else what there is too much of. */
static const char *too_much(const struct agw_worker *w)
{
    if (w->conn_count >= w->gateway->options.max_conns)
        return "connections";
    return agw_worker_memory(w) == AGW_MEMORY_DIRE ? "memory" : NULL;
}

/* NULL: refused for want of room, and counted. */
static struct downstream *downstream_new(struct agw_worker *w)
{
    const char *reason = too_much(w);
    struct downstream *d = reason ? NULL : calloc(1, sizeof(*d));
    if (!d)
        count_refused(w, agw_str_c(reason ? reason : "memory"));
    return d;
}

/* |d|'s connection has its filters: it is one of |a|'s from now on. */
static void enlist(struct downstream *d, struct agw_acceptor *a)
{
    struct agw_worker *w = a->worker;
    d->c.handler = &handler;
    d->c.limits = w->gateway->options.server ? w->gateway->options.server : &agw_server_default_limits;
    d->c.ctx = w;
    d->c.user = a;
    agw_input_init(&d->in);
    agw_timer_init(&d->c.timer, on_handshake_timeout);
    agw_timer_set(&w->loop.timers, &d->c.timer, w->loop.now_ms + handshake_ms(a));
    agw_list_push(&w->conns, &d->c.node);
    w->conn_count++;
    a->conns++;
    agw_metrics_conn_opened(w->metrics, &a->series);
    if (!d->claimed && !count_source(d))
        abandon(d);
    else
        agw_conn_start(&d->c.conn);
}

static void on_accept(struct agw_listen *listen, int fd, const struct agw_addr *peer)
{
    struct agw_acceptor *a = agw_container_of(listen, struct agw_acceptor, listen);
    struct downstream *d = downstream_new(a->worker);
    if (!d)
        close(fd);
    else if (begin(d, a, fd, peer))
        free(d);
    else
        enlist(d, a);
}

/* --- tunnels --- */

static bool has_gateway(const struct agw_bind *bind, struct agw_str gateway)
{
    for (uint32_t i = 0; i < bind->listener_count; i++)
        if (agw_str_eq(bind->listeners[i]->gateway, gateway))
            return true;
    return false;
}

/* Where the gateway that the tunnel came to listens on |port|; NULL: nowhere. A tunnel leads to no tunnels.
 */
static struct agw_acceptor *acceptor_at(struct agw_acceptor *from, uint16_t port)
{
    const struct agw_snapshot *snap = agw_snapshot_current();
    const struct agw_bind *own = snap ? agw_acceptor_bind(from, snap) : NULL;
    struct agw_list *node, *tmp;
    if (!own || own->listener_count == 0)
        return NULL;
    agw_list_each (node, tmp, &from->worker->acceptors) {
        struct agw_acceptor *a = agw_list_entry(node, struct agw_acceptor, node);
        const struct agw_bind *bind = agw_acceptor_bind(a, snap);
        if (bind && bind->port == port && bind->protocol != AGW_BIND_HBONE &&
            has_gateway(bind, own->listeners[0]->gateway))
            return a;
    }
    return NULL;
}

/* The stream |s| as a connection to |a|, from whom |c| is. AGW_ENOMEM: the stream is still there. */
static int accept_tunnel(struct agw_server_conn *c, struct agw_stream *s, bool end, struct agw_acceptor *a)
{
    struct agw_worker *w = a->worker;
    struct downstream *d = downstream_new(w);
    const struct agw_bind *bind = agw_acceptor_bind(a, agw_snapshot_current());
    int rc = d ? set_identity(d, c->identity) : AGW_ENOMEM;
    if (!rc)
        rc = agw_tunnel_accept(&d->c.conn, &w->loop, s, end, &c->conn.peer, &sniff_events);
    if (rc) {
        if (d)
            free(d->identity);
        free(d);
        return rc;
    }
    expect(d, bind->protocol);
    if (push_tls(&d->c.conn, a, bind)) {
        agw_conn_close(&d->c.conn, true);
        free(d->identity);
        free(d);
    } else {
        enlist(d, a);
    }
    return 0;
}

static void on_tunnel(struct agw_server_conn *c, struct agw_stream *s, struct agw_msg *msg, bool end)
{
    struct agw_acceptor *a = c->user;
    struct agw_str host;
    uint16_t port;
    int status = agw_connect_target(msg, &host, &port);
    struct agw_acceptor *to = status ? NULL : acceptor_at(a, port);
    if (!status && !to)
        status = 404;
    if (!status && accept_tunnel(c, s, end, to))
        status = 503;
    if (!status)
        return;
    agw_debug("accept", "HBONE: %.*s to %.*s: refused with %d", AGW_STRF(c->identity), AGW_STRF(msg->path),
              status);
    agw_exchange_refused(a->worker, c, status, "no tunnel leads there");
    agw_connect_refuse(s, status);
}

/* --- sockets --- */

const struct agw_bind *agw_acceptor_bind(struct agw_acceptor *a, const struct agw_snapshot *snap)
{
    if (a->generation != snap->generation) {
        a->generation = snap->generation;
        a->bind = agw_snapshot_bind(snap, a->bind_key);
    }
    return a->bind;
}

static bool wanted(const struct agw_bind *bind, const struct agw_acceptor *a)
{
    for (uint32_t i = 0; i < bind->addr_count; i++) {
        if (agw_addr_eq(&bind->addrs[i], &a->addr))
            return true;
    }
    return false;
}

/* A handshake that runs may end; who has only connected so far is not waited for. */
static void hurry(struct agw_loop *loop, struct agw_timer *handshake)
{
    if (handshake->due_ms > loop->now_ms + HURRY_MS)
        agw_timer_set(&loop->timers, handshake, loop->now_ms + HURRY_MS);
}

/* What is connected there finishes what it does and leaves. */
static void drain_conns(const struct agw_acceptor *a)
{
    struct agw_list *node, *tmp;
    agw_list_each (node, tmp, &a->worker->conns) {
        struct agw_server_conn *c = agw_list_entry(node, struct agw_server_conn, node);
        if (c->user != a)
            continue;
        if (c->ops)
            agw_server_conn_drain(c);
        else
            hurry(&a->worker->loop, &c->timer);
    }
}

static void acceptor_close(struct agw_acceptor *a)
{
    agw_list_remove(&a->node);
    agw_listen_stop(&a->listen);
    a->open = false;
    drain_conns(a);
    acceptor_put(a);
}

static struct agw_acceptor *find_open(struct agw_worker *w, struct agw_str key, const struct agw_addr *addr)
{
    struct agw_list *node, *tmp;
    agw_list_each (node, tmp, &w->acceptors) {
        struct agw_acceptor *a = agw_list_entry(node, struct agw_acceptor, node);
        if (agw_str_eq(a->bind_key, key) && agw_addr_eq(&a->addr, addr))
            return a;
    }
    return NULL;
}

static bool acceptor_open(struct agw_worker *w, const struct agw_bind *bind, const struct agw_addr *addr)
{
    struct agw_error err = {0};
    int fd = agw_listen_socket(addr, &err);
    struct agw_acceptor *a = fd >= 0 ? calloc(1, sizeof(*a) + bind->key.n) : NULL;
    if (!a) {
        agw_log(agw_timer_armed(&w->rebind) ? AGW_LOG_DEBUG : AGW_LOG_ERROR, "listen",
                "bind %.*s: %s; trying again", AGW_STRF(bind->key), fd < 0 ? err.text : "out of memory");
        if (fd >= 0)
            close(fd);
        return false;
    }
    memcpy(a + 1, bind->key.p, bind->key.n);
    a->bind_key = agw_str((const char *)(a + 1), bind->key.n);
    a->worker = w;
    a->addr = *addr;
    a->protocol = bind->protocol;
    a->open = true;
    agw_metrics_conns_init(w->metrics, a->bind_key, &a->series);
    agw_list_push(&w->acceptors, &a->node);
    if (agw_listen_start(&a->listen, &w->loop, fd, on_accept)) {
        agw_error_log("listen", "bind %.*s: cannot watch the socket", AGW_STRF(bind->key));
        agw_list_remove(&a->node);
        free(a);
        return false;
    }
    return true;
}

static bool open_missing(struct agw_worker *w, const struct agw_snapshot *snap)
{
    bool all = true;
    for (uint32_t i = 0; i < snap->bind_count; i++) {
        const struct agw_bind *bind = snap->binds[i];
        for (uint32_t k = 0; k < bind->addr_count; k++) {
            if (!find_open(w, bind->key, &bind->addrs[k]))
                all &= acceptor_open(w, bind, &bind->addrs[k]);
        }
    }
    return all;
}

void agw_acceptors_sync(struct agw_worker *w, const struct agw_snapshot *snap)
{
    struct agw_list *node, *tmp;
    agw_list_each (node, tmp, &w->acceptors) {
        struct agw_acceptor *a = agw_list_entry(node, struct agw_acceptor, node);
        const struct agw_bind *bind = agw_acceptor_bind(a, snap);
        if (!bind || !wanted(bind, a)) {
            acceptor_close(a);
        } else if (a->protocol != bind->protocol) {
            a->protocol = bind->protocol; /* the socket stays: what comes from now on speaks the new one */
            drain_conns(a);
        }
    }
    if (w->draining)
        return;
    if (open_missing(w, snap))
        agw_timer_cancel(&w->loop.timers, &w->rebind);
    else
        agw_timer_set(&w->loop.timers, &w->rebind, w->loop.now_ms + REBIND_MS);
}

void agw_acceptors_close(struct agw_worker *w)
{
    agw_timer_cancel(&w->loop.timers, &w->rebind);
    while (!agw_list_empty(&w->acceptors))
        acceptor_close(agw_list_entry(w->acceptors.next, struct agw_acceptor, node));
}

void agw_acceptors_abandon(struct agw_worker *w)
{
    struct agw_list *node, *tmp;
    agw_list_each (node, tmp, &w->conns) {
        struct agw_server_conn *c = agw_list_entry(node, struct agw_server_conn, node);
        if (!c->ops)
            abandon(downstream_of(c));
    }
}
