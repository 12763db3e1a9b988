#include <stdio.h>
#include <stdlib.h>
#include "client/client_int.h"

const struct agw_client_limits agw_client_default_limits = {
    .connect_ms = 5000,    /* a SYN lost twice on the way still makes it (1 s + 2 s) */
    .idle_ms = 55000,      /* below the 60 s after which common servers and NATs drop idle connections */
    .idle_max = 512,       /* what a burst of that many parallel requests leaves behind is used again */
    .conns_max = 8192,     /* well below the ephemeral ports towards one address */
    .waiting_max = 16384,  /* some kilobytes each: bounds what a dead upstream can make a worker hold */
    .requests_max = 65536, /* what one endpoint that answers nothing can take of a worker's memory */
    .per_conn_max = 0,     /* a connection does not wear out */
    .age_ms = 3600000,     /* names and load balancers on the way lead elsewhere after a while */
    .dynamic_max = 1024,   /* hosts that clients name: as many as the resolver remembers */
};

#define TICK_MS 1000

static size_t text_size(const struct agw_endpoint *e)
{
    return e->key.n + e->host.n + e->peers.n;
}

static struct agw_str copy_text(struct agw_str text, char **at)
{
    struct agw_str copy = agw_str(*at, text.n);
    if (text.n)
        memcpy(*at, text.p, text.n);
    *at += text.n;
    return copy;
}

static void copy_endpoint(struct agw_endpoint *to, const struct agw_endpoint *from, char **at)
{
    *to = *from;
    to->key = copy_text(from->key, at);
    to->host = copy_text(from->host, at);
    to->peers = copy_text(from->peers, at);
    to->tls = from->tls ? agw_tls_client_ref(from->tls) : NULL;
}

static struct agw_pool *pool_new(struct agw_client *c, const struct agw_endpoint *to)
{
    const struct agw_endpoint *tunnel = to->tunnel;
    struct agw_pool *p = calloc(1, sizeof(*p) + text_size(to) + (tunnel ? text_size(tunnel) : 0));
    if (!p)
        return NULL;
    char *text = (char *)(p + 1);
    p->client = c;
    copy_endpoint(&p->to, to, &text);
    if (tunnel) {
        copy_endpoint(&p->tunnel, tunnel, &text);
        p->to.tunnel = &p->tunnel;
    }
    agw_list_init(&p->dynamic);
    agw_list_init(&p->idle);
    agw_list_init(&p->busy);
    agw_list_init(&p->h2);
    agw_list_init(&p->waiting);
    agw_list_init(&p->dials);
    if (agw_map_put(&c->pools, p->to.key, p, NULL)) {
        agw_pool_free(p);
        return NULL;
    }
    agw_list_push(&c->all, &p->all);
    c->dynamic_count += to->dynamic;
    return p;
}

static void pool_drop(struct agw_pool *p)
{
    agw_map_take(&p->client->pools, p->to.key);
    agw_list_remove(&p->all);
    agw_list_remove(&p->dynamic);
    p->client->dynamic_count -= p->to.dynamic;
    agw_pool_free(p);
}

static void trim(struct agw_client *c)
{
    uint64_t now = c->loop->now_ms, idle = c->limits->idle_ms;
    uint64_t before = now > idle ? now - idle : 0;
    struct agw_list *node, *tmp;
    agw_list_each (node, tmp, &c->all) {
        struct agw_pool *p = agw_list_entry(node, struct agw_pool, all);
        agw_pool_trim(p, now);
        if (agw_pool_unused(p) && p->used_ms <= before)
            pool_drop(p);
    }
}

/* Dynamic pools give way to others before they are idle for long. Not while a request asks for one: it may
 * come from inside of a connection of that pool. */
static void trim_dynamic(struct agw_client *c)
{
    uint32_t half = c->limits->dynamic_max / 2;
    struct agw_list *node, *tmp;
    agw_list_each (node, tmp, &c->dynamic) {
        struct agw_pool *p = agw_list_entry(node, struct agw_pool, dynamic);
        if (c->dynamic_count <= half)
            return;
        if (p->streams == 0 && p->dialing == 0)
            pool_drop(p);
    }
}

static void on_tick(struct agw_timer *t)
{
    struct agw_client *c = agw_container_of(t, struct agw_client, tick);
    trim(c);
    trim_dynamic(c);
    if (!agw_list_empty(&c->all))
        agw_timer_set(&c->loop->timers, t, c->loop->now_ms + TICK_MS);
}

struct agw_client *agw_client_new(struct agw_loop *loop, struct agw_dns *dns,
                                  const struct agw_client_limits *limits)
{
    struct agw_client *c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    c->loop = loop;
    c->dns = dns;
    c->limits = limits;
    agw_map_init(&c->pools);
    agw_list_init(&c->all);
    agw_list_init(&c->dynamic);
    agw_list_init(&c->dying);
    agw_list_init(&c->tunnels);
    agw_timer_init(&c->tick, on_tick);
    return c;
}

/* Connections through tunnels are streams of other pools, and go before them. */
static void drop_tunnelled(struct agw_client *c)
{
    struct agw_list *node, *tmp;
    agw_list_each (node, tmp, &c->all) {
        struct agw_pool *p = agw_list_entry(node, struct agw_pool, all);
        if (p->to.tunnel)
            agw_pool_close(p);
    }
}

void agw_client_free(struct agw_client *c)
{
    if (!c)
        return;
    agw_timer_cancel(&c->loop->timers, &c->tick);
    drop_tunnelled(c);
    agw_client_tunnels_end(c);
    agw_client_stream_drop_all(c); /* they know their pools */
    while (!agw_list_empty(&c->all))
        pool_drop(agw_list_entry(c->all.next, struct agw_pool, all));
    agw_map_free(&c->pools);
    agw_client_stream_drop_all(c);
    free(c);
}

const struct agw_client_stats *agw_client_stats(const struct agw_client *c)
{
    return &c->stats;
}

static struct agw_pool *pool_for(struct agw_client *c, const struct agw_endpoint *to)
{
    struct agw_pool *p = agw_map_get_hashed(&c->pools, to->key, to->hash);
    if (!p)
        p = pool_new(c, to);
    if (p && !agw_timer_armed(&c->tick))
        agw_timer_set(&c->loop->timers, &c->tick, c->loop->now_ms + TICK_MS);
    return p;
}

bool agw_client_admits(struct agw_client *c, const struct agw_endpoint *to)
{
    if (c->dynamic_count < c->limits->dynamic_max || agw_map_get_hashed(&c->pools, to->key, to->hash))
        return true;
    c->stats.overflows++;
    return false;
}

/* True: the circuit is open, the stream fails at once. */
static bool is_over(const struct agw_client *c, const struct agw_pool *p)
{
    return p->streams > c->limits->requests_max || p->waiting_count >= c->limits->waiting_max;
}

struct agw_stream *agw_client_open(struct agw_client *c, const struct agw_endpoint *to,
                                   struct agw_arena *arena, const struct agw_stream_events *events,
                                   void *owner)
{
    struct agw_pool *p = pool_for(c, to);
    struct agw_client_stream *cs = p ? agw_client_stream_new(p) : NULL;
    if (!cs)
        return NULL;
    cs->s.events = events;
    cs->s.owner = owner;
    cs->s.arena = arena;
    p->used_ms = c->loop->now_ms;
    if (to->dynamic) {
        agw_list_remove(&p->dynamic);
        agw_list_push(&c->dynamic, &p->dynamic);
    }
    if (p->streams <= c->limits->requests_max && agw_pool_attach(p, cs))
        return &cs->s;
    if (is_over(c, p)) {
        c->stats.overflows++;
        agw_client_stream_fail(cs, AGW_ELIMIT);
        return &cs->s;
    }
    agw_list_push(&p->waiting, &cs->node);
    agw_pool_count_waiting(p, 1);
    agw_pool_serve(p);
    return &cs->s;
}

static const char *http_name(enum agw_upstream_http http)
{
    return http == AGW_UPSTREAM_HTTP1 ? "h1" : http == AGW_UPSTREAM_HTTP2 ? "h2" : "alpn";
}

int agw_endpoint_key(struct agw_endpoint *e, struct agw_str tls_identity, struct agw_arena *arena)
{
    char address[AGW_ADDR_TEXT];
    struct agw_str where;
    if (e->addr.n > 0)
        where = agw_str(address, agw_addr_format(&e->addr, address));
    else
        where = agw_arena_printf(arena, "%.*s:%u", AGW_STRF(e->host), e->port);
    /* The host is the name that TLS verifies: connections of one address are shared only for one name. */
    struct agw_str host = e->tls ? e->host : AGW_STR("");
    char socket[64] = "";
    const struct agw_keepalive *k = &e->keepalive;
    if (e->connect_ms || k->on)
        snprintf(socket, sizeof(socket), "|%u,%d,%u,%u,%u", e->connect_ms, k->on, k->idle_s, k->interval_s,
                 k->probes);
    struct agw_str through = e->tunnel ? e->tunnel->key : AGW_STR("");
    struct agw_str key = agw_arena_printf(
        arena, "%.*s|%s|%.*s%.*s|%.*s%s%s%.*s", AGW_STRF(where), http_name(e->http), AGW_STRF(tls_identity),
        AGW_STRF(e->peers), AGW_STRF(host), socket, through.n ? "|through " : "", AGW_STRF(through));
    if (!where.p || !key.p)
        return AGW_ENOMEM;
    e->key = key;
    e->hash = agw_hash(key);
    return 0;
}

int agw_endpoint_at(const struct agw_endpoint *like, struct agw_str host, uint16_t port,
                    struct agw_arena *arena, const struct agw_endpoint **ret_endpoint)
{
    struct agw_endpoint *e = agw_arena_copy(arena, like, sizeof(*like));
    struct agw_str key = agw_arena_printf(arena, "%.*s:%u=%.*s", AGW_STRF(host), port, AGW_STRF(like->key));
    if (!e || !key.p)
        return AGW_ENOMEM;
    e->host = host;
    e->port = port;
    (void)agw_addr_ip(host, port, &e->addr); /* else it is a name, to be resolved */
    e->key = key;
    e->hash = agw_hash(key);
    *ret_endpoint = e;
    return 0;
}

const struct agw_endpoint *agw_endpoint_by_h2(const struct agw_endpoint *e, struct agw_arena *arena)
{
    struct agw_endpoint *h2 = agw_arena_copy(arena, e, sizeof(*e));
    if (!h2)
        return NULL;
    h2->http = AGW_UPSTREAM_HTTP2;
    return agw_endpoint_key(h2, AGW_STR(""), arena) ? NULL : h2;
}
