#include <stdio.h>
#include <stdlib.h>
#include "balance/pick.h"
#include "base/clock.h"
#include "proxy/l4/l4_int.h"
#include "route/match.h"

const struct agw_l4_limits agw_l4_default_limits = {
    .connect_ms = 5000, /* as for requests: a SYN lost twice on the way still makes it */
    .tries = 3,         /* a dead endpoint or two are passed by */
    .idle_ms = 3600000, /* database sessions idle for long; a peer that vanished is gone after an hour */
    .drain_idle_ms =
        5000,      /* who still talks may finish; who says nothing leaves before the grace period ends */
    .pipes = 2048, /* 4,096 descriptors and 128 MiB of kernel memory at most */
};

struct agw_l4 *agw_l4_new(struct agw_loop *loop, struct agw_client *client, struct agw_balancer *balancer,
                          struct agw_metrics *metrics, struct agw_access_log *log,
                          const struct agw_l4_limits *limits)
{
    struct agw_l4 *l4 = malloc(sizeof(*l4));
    if (!l4)
        return NULL;
    l4->loop = loop;
    l4->client = client;
    l4->balancer = balancer;
    l4->metrics = metrics;
    l4->log = log;
    l4->limits = limits;
    agw_pipe_pool_init(&l4->pipes, limits->pipes);
    return l4;
}

void agw_l4_free(struct agw_l4 *l4)
{
    if (!l4)
        return;
    agw_pipe_pool_free(&l4->pipes);
    free(l4);
}

/* --- what is written down --- */

static void write_log(const struct agw_l4_session *s)
{
    char client[AGW_ADDR_TEXT], upstream[AGW_ADDR_TEXT];
    struct agw_access_record r = {
        .wall_ns = s->start_wall_ns,
        .duration_ns = agw_clock_ns() - s->start_ns,
        .bytes_in = s->in.bytes,
        .bytes_out = s->out.bytes,
        .client = agw_str(client, agw_addr_format(&s->c->conn.peer, client)),
        .client_identity = s->c->identity,
        .host = s->sni,
        .protocol = agw_str_c(s->protocol),
        .listener = s->listener,
        .route = s->route,
        .backend = s->name,
        .error = agw_str_c(s->error),
    };
    if (s->connected)
        r.upstream = agw_str(upstream, agw_addr_format(&s->up->peer, upstream));
    agw_access_log_write(s->l4->log, s->l4->loop->index, &r);
}

static void account(const struct agw_l4_session *s)
{
    struct agw_metrics_tcp m = {
        .listener = s->listener, .route = s->route, .backend = s->name, .result = agw_str_c(s->result)};
    agw_metrics_tcp_closed(s->l4->metrics, &m);
    if (s->l4->log)
        write_log(s);
}

/* --- life --- */

void agw_l4_end(struct agw_l4_session *s, const char *result, bool reset)
{
    struct agw_server_conn *c = s->c;
    s->result = result;
    agw_timer_cancel(&s->l4->loop->timers, &c->timer);
    account(s);
    agw_l4_relay_stop(s);
    agw_l4_dial_stop(s);
    if (s->up)
        agw_conn_close(s->up, reset);
    free(s->up);
    agw_balance_release(s->l4->balancer, &s->pick);
    agw_conn_close(&c->conn, reset);
    c->proto = NULL;
    free(s);
    c->handler->on_closed(c);
}

static uint64_t idle_due(const struct agw_l4_session *s)
{
    const struct agw_l4_limits *l = s->l4->limits;
    return s->moved_ms + (s->c->draining ? l->drain_idle_ms : l->idle_ms);
}

/* Not set anew with each byte: when it fires it looks when the last one was. */
static void on_idle(struct agw_timer *t)
{
    struct agw_server_conn *c = agw_container_of(t, struct agw_server_conn, timer);
    struct agw_l4_session *s = c->proto;
    if (s->l4->loop->now_ms < idle_due(s)) {
        agw_timer_set(&s->l4->loop->timers, t, idle_due(s));
        return;
    }
    snprintf(s->error, sizeof(s->error), "%s", c->draining ? "drained" : "idle for too long");
    agw_l4_end(s, "idle", false);
}

static void drain(struct agw_server_conn *c)
{
    struct agw_l4_session *s = c->proto;
    c->draining = true;
    if (s->moved_ms + s->l4->limits->drain_idle_ms < s->l4->loop->now_ms)
        s->moved_ms = s->l4->loop->now_ms - s->l4->limits->drain_idle_ms; /* never from inside this call */
    agw_timer_set(&s->l4->loop->timers, &c->timer, idle_due(s));
}

static void destroy(struct agw_server_conn *c)
{
    struct agw_l4_session *s = c->proto;
    snprintf(s->error, sizeof(s->error), "the gateway ends");
    agw_l4_end(s, "ended", true);
}

static const struct agw_server_conn_ops ops = {.name = "l4", .drain = drain, .destroy = destroy};

/* --- start --- */

/* Nothing was begun: counted and logged, the caller closes it. */
static int refuse(struct agw_l4_session *s, const char *why)
{
    snprintf(s->error, sizeof(s->error), "%.*s", (int)sizeof(s->error) - 1, why);
    s->result = "no_backend";
    account(s);
    free(s);
    return AGW_ENOTFOUND;
}

static struct agw_str keep(char **at, struct agw_str text)
{
    struct agw_str copy = agw_str(*at, text.n);
    if (text.n)
        memcpy(*at, text.p, text.n);
    *at += text.n;
    return copy;
}

static struct agw_l4_session *session_new(struct agw_l4 *l4, struct agw_server_conn *c,
                                          const struct agw_listener *l, struct agw_str route,
                                          struct agw_str backend, struct agw_str sni)
{
    struct agw_l4_session *s = calloc(1, sizeof(*s) + l->label.n + route.n + backend.n + sni.n);
    if (!s)
        return NULL;
    char *at = s->text;
    s->l4 = l4;
    s->c = c;
    s->listener = keep(&at, l->label);
    s->route = keep(&at, route);
    s->name = keep(&at, backend);
    s->sni = keep(&at, sni);
    s->protocol = l->tls || l->passthrough ? "TLS" : "TCP";
    s->start_ns = l4->loop->now_ns;
    s->start_wall_ns = l4->loop->wall_ns;
    return s;
}

static void count_bytes(struct agw_l4_session *s)
{
    struct agw_str labels[] = {s->listener, s->route, s->name};
    s->in.counter = agw_metrics_get(s->l4->metrics, AGW_METRIC_TCP_RECEIVED, labels);
    s->out.counter = agw_metrics_get(s->l4->metrics, AGW_METRIC_TCP_SENT, labels);
}

static void begin(struct agw_l4_session *s, struct agw_snapshot *snap, const struct agw_backend *backend)
{
    struct agw_server_conn *c = s->c;
    agw_snapshot_pin(snap, s->l4->loop->index);
    s->snap = snap;
    s->backend = backend;
    count_bytes(s);
    agw_l4_moved(s);
    c->ops = &ops;
    c->proto = s;
    c->conn.events = &agw_l4_down_events;
    agw_timer_cancel(&s->l4->loop->timers, &c->timer);
    agw_timer_init(&c->timer, on_idle);
    agw_timer_set(&s->l4->loop->timers, &c->timer, idle_due(s));
    agw_l4_dial(s);
}

int agw_l4_start(struct agw_l4 *l4, struct agw_server_conn *c, struct agw_snapshot *snap,
                 const struct agw_listener *listener, struct agw_str sni)
{
    const struct agw_route *route = agw_route_for_connection(listener, sni);
    const struct agw_backend_ref *ref = route ? agw_balance_backend(route, &l4->loop->rng) : NULL;
    const struct agw_backend *b = ref ? agw_snapshot_backend(snap, ref->backend) : NULL;
    struct agw_l4_session *s =
        session_new(l4, c, listener, route ? route->label : AGW_STR(""), b ? b->name : AGW_STR(""), sni);
    if (!s)
        return AGW_ENOMEM;
    if (!route)
        return refuse(s, "no route");
    if (!b)
        return refuse(s, "the route has no backend");
    if (b->kind == AGW_BACKEND_INVALID)
        return refuse(s, b->reason);
    if (b->kind != AGW_BACKEND_STATIC && b->kind != AGW_BACKEND_SERVICE)
        return refuse(s, "the backend takes requests, not connections");
    begin(s, snap, b);
    return 0;
}
