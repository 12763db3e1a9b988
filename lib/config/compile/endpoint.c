#include <stdio.h>
#include <stdlib.h>
#include "config/compile/compile_int.h"

#define HBONE_PORT 15008 /* Istio's, of each workload that takes tunnels */

/* A workload behind a service. */
struct member {
    struct agw_resource *workload; /* held */
    const Istio__PortList *ports;
};

struct members {
    struct agw_str key; /* "ns/host", behind the struct */
    struct member *v;   /* sorted by the workloads' keys */
    uint32_t count, cap;
};

static struct members *members_new(struct agw_compiler *c, struct agw_str key)
{
    struct members *m = malloc(sizeof(*m) + key.n);
    if (!m)
        return NULL;
    memcpy(m + 1, key.p, key.n);
    *m = (struct members){.key = agw_str((const char *)(m + 1), key.n)};
    if (agw_map_put(&c->members, m->key, m, NULL)) {
        free(m);
        return NULL;
    }
    return m;
}

static void members_free(struct members *m)
{
    for (uint32_t i = 0; i < m->count; i++)
        agw_resource_unref(m->v[i].workload);
    free(m->v);
    free(m);
}

void agw_compile_members_free(struct agw_compiler *c)
{
    struct agw_map_slot *slot;
    for (uint32_t cursor = 0; (slot = agw_map_next(&c->members, &cursor));)
        members_free(slot->value);
    agw_map_free(&c->members);
}

/* Where a workload of this key is, or belongs. */
static uint32_t member_at(const struct members *m, struct agw_str key)
{
    return agw_place_of(m->count, key, i, m->v[i].workload->key);
}

static int add_member(struct agw_compile *c, struct agw_resource *workload,
                      const Istio__Workload__ServicesEntry *entry)
{
    struct members *m = agw_map_get(&c->compiler->members, agw_str_c(entry->key));
    if (!m && !(m = members_new(c->compiler, agw_str_c(entry->key))))
        return AGW_ENOMEM;
    if (m->count == m->cap) {
        uint32_t cap = m->cap ? m->cap * 2 : 2;
        struct member *v = reallocarray(m->v, cap, sizeof(*v));
        if (!v)
            return AGW_ENOMEM;
        m->v = v;
        m->cap = cap;
    }
    uint32_t at = member_at(m, workload->key);
    memmove(&m->v[at + 1], &m->v[at], (m->count - at) * sizeof(*m->v));
    m->v[at] = (struct member){agw_resource_ref(workload), entry->value};
    m->count++;
    return 0;
}

static void remove_member(struct agw_compile *c, struct agw_resource *workload, struct agw_str service)
{
    struct members *m = agw_map_get(&c->compiler->members, service);
    uint32_t at = m ? member_at(m, workload->key) : 0;
    if (!m || at == m->count || m->v[at].workload != workload)
        return;
    memmove(&m->v[at], &m->v[at + 1], (m->count - at - 1) * sizeof(*m->v));
    agw_resource_unref(workload);
    if (--m->count == 0) {
        agw_map_take(&c->compiler->members, m->key);
        members_free(m);
    }
}

static int touch_service(struct agw_compile *c, struct agw_str key)
{
    struct agw_str id = agw_arena_printf(&c->scratch, "service/%.*s", AGW_STRF(key));
    if (!id.p)
        return AGW_ENOMEM;
    agw_variants_touch(c, id);
    return 0;
}

/* --- the gateway's own workload --- */
static bool is_own(const struct agw_compiler *c, const struct agw_resource *r)
{
    return r && c->self.name.n && agw_str_eq(agw_str_c(r->workload->name), c->self.name) &&
           agw_str_eq(agw_str_c(r->workload->namespace_), c->self.ns);
}

/* NULL: not known (yet). */
static const struct agw_locality *own_locality(const struct agw_compiler *c, struct agw_locality *room)
{
    if (c->self.is_given)
        return &c->self.given;
    if (!c->own)
        return NULL;
    agw_locality_of(c->own->workload, room);
    return room;
}

/* Buckets are counted from where we are: when that changes, all of them do. */
static void own_changed(struct agw_compile *c, struct agw_resource *was, struct agw_resource *now)
{
    struct agw_compiler *all = c->compiler;
    struct agw_locality before, after;
    if (!is_own(all, was) && !is_own(all, now))
        return;
    const struct agw_locality *a = own_locality(all, &before);
    struct agw_resource *old = all->own;
    all->own = is_own(all, now) ? agw_resource_ref(now) : NULL;
    const struct agw_locality *b = own_locality(all, &after);
    if (!a != !b || (a && !agw_locality_eq(a, b)))
        agw_variants_touch_services(c);
    agw_resource_unref(old);
}

int agw_compile_workload_changed(struct agw_compile *c, struct agw_resource *was, struct agw_resource *now)
{
    int code = 0;
    own_changed(c, was, now);
    for (size_t i = 0; !code && was && i < was->workload->n_services; i++) {
        struct agw_str key = agw_str_c(was->workload->services[i]->key);
        remove_member(c, was, key);
        code = touch_service(c, key);
    }
    for (size_t i = 0; !code && now && i < now->workload->n_services; i++) {
        const Istio__Workload__ServicesEntry *entry = now->workload->services[i];
        if (entry->value)
            code = add_member(c, now, entry);
        if (!code)
            code = touch_service(c, agw_str_c(entry->key));
    }
    return code;
}

static bool is_h2(Istio__AppProtocol said)
{
    return said == ISTIO__APP_PROTOCOL__HTTP2 || said == ISTIO__APP_PROTOCOL__GRPC;
}

/* Whether requests that need HTTP/2 get it where nobody said so. Agents are HTTP/1.1 by their appProtocol,
 * but for one of their bindings. */
static bool may_h2(const struct agw_transport *t, Istio__AppProtocol said)
{
    return !t->tls && (said != ISTIO__APP_PROTOCOL__HTTP11 || t->a2a);
}

/* Sets protocol, TLS and key of an endpoint whose address is set. |said|: what the port itself says
 * (appProtocol). */
static int finish_endpoint(struct agw_compile *c, struct agw_endpoint *e, struct agw_transport *t,
                           Istio__AppProtocol said, struct agw_error *err)
{
    char identity[24] = "";
    bool http1 = t->http1, http2 = t->http2 || (!t->http1 && is_h2(said));
    e->connect_ms = t->connect_ms;
    e->keepalive = t->keepalive;
    e->http = http2 ? AGW_UPSTREAM_HTTP2 : t->tls && !http1 ? AGW_UPSTREAM_ALPN : AGW_UPSTREAM_HTTP1;
    if (t->tls) {
        struct agw_tls_client_conf conf = t->tls_conf;
        uint64_t id;
        if (!t->raw && !conf.alpn_h2 && !conf.alpn_http1) {
            conf.alpn_h2 = !http1;
            conf.alpn_http1 = !http2;
        }
        void *hold;
        int code = agw_tls_cache_client(c->compiler->tls, &conf, &e->tls, &hold, &id, err);
        if (!code)
            code = agw_unit_hold(c, hold);
        if (code)
            return code;
        snprintf(identity, sizeof(identity), "tls%llu", (unsigned long long)id);
    }
    e->may_h2 = !http1 && !http2 && may_h2(t, said);
    return agw_endpoint_key(e, agw_str_c(identity), c->arena);
}

/* The policy is to blame, not the backend. */
static int tls_failed(struct agw_compile *c, const struct agw_transport *t, const struct agw_error *err,
                      const char **ret_reason)
{
    *ret_reason = agw_arena_printf(c->arena, "backend TLS: %s", err->text).p;
    return *ret_reason ? agw_compile_error(c, t->tls_owner, "%s", *ret_reason) : AGW_ENOMEM;
}

static int set_auto_host(struct agw_compile *c, struct agw_backend *b, const struct agw_endpoint *e)
{
    uint16_t usual = e->tls ? 443 : 80;
    b->auto_host =
        e->port == usual ? e->host : agw_arena_printf(c->arena, "%.*s:%u", AGW_STRF(e->host), e->port);
    return b->auto_host.p ? 0 : AGW_ENOMEM;
}

/* Host, port and, where it is one, address. */
static int set_static_host(struct agw_compile *c, const struct agw_resource *r, struct agw_endpoint *e,
                           const char **ret_reason)
{
    const Pb__StaticBackend *in = r->backend->static_;
    e->host = agw_compile_text(c, in->host);
    if (!e->host.p)
        return AGW_ENOMEM;
    if (*in->unix_path) {
        if (agw_addr_unix(agw_str_c(in->unix_path), &e->addr) == 0)
            return 0;
        *ret_reason = "the static backend's unix path is too long";
        return agw_compile_error(c, r, "static: unix path \"%s\" is too long", in->unix_path);
    }
    if (!*in->host || in->port < 1 || in->port > 65535) {
        *ret_reason = "the static backend has no valid host and port";
        return agw_compile_error(c, r, "static: host \"%s\" port %d is no address", in->host, in->port);
    }
    e->port = (uint16_t)in->port;
    (void)agw_addr_ip(e->host, e->port, &e->addr); /* else it is a name, to be resolved */
    return 0;
}

int agw_compile_static_endpoint(struct agw_compile *c, struct agw_backend *b, const struct agw_resource *r,
                                struct agw_transport *t, const char **ret_reason)
{
    struct agw_endpoint *e = agw_arena_zalloc(c->arena, sizeof(*e));
    struct agw_error err = {0};
    b->endpoints = agw_arena_alloc(c->arena, sizeof(*b->endpoints));
    if (!e || !b->endpoints)
        return AGW_ENOMEM;
    int code = set_static_host(c, r, e, ret_reason);
    if (code || *ret_reason)
        return code;
    code = finish_endpoint(c, e, t, ISTIO__APP_PROTOCOL__UNKNOWN, &err);
    if (code == AGW_ENOMEM)
        return code;
    if (code)
        return tls_failed(c, t, &err, ret_reason);
    b->endpoints[0] = e;
    b->endpoint_count = 1;
    return e->addr.n ? 0 : set_auto_host(c, b, e);
}

int agw_compile_dynamic_endpoint(struct agw_compile *c, struct agw_backend *b, struct agw_transport *t,
                                 const char **ret_reason)
{
    struct agw_endpoint *e = agw_arena_zalloc(c->arena, sizeof(*e));
    struct agw_error err = {0};
    b->endpoints = agw_arena_alloc(c->arena, sizeof(*b->endpoints));
    if (!e || !b->endpoints)
        return AGW_ENOMEM;
    e->host = AGW_STR("");
    e->dynamic = true;
    int code = finish_endpoint(c, e, t, ISTIO__APP_PROTOCOL__UNKNOWN, &err);
    if (code == AGW_ENOMEM)
        return code;
    if (code)
        return tls_failed(c, t, &err, ret_reason);
    b->endpoints[0] = e;
    b->endpoint_count = 1;
    return 0;
}

static const Istio__Port *find_port(Istio__Port *const *ports, size_t count, uint32_t service_port)
{
    for (size_t i = 0; i < count; i++)
        if (ports[i]->service_port == service_port)
            return ports[i];
    return NULL;
}

static bool usable(const Istio__Service *service, const Istio__Workload *w)
{
    bool any_health = service->load_balancing && service->load_balancing->health_policy ==
                                                     ISTIO__LOAD_BALANCING__HEALTH_POLICY__ALLOW_ALL;
    bool drained = w->capacity && w->capacity->value == 0;
    return !drained && (any_health || w->status != ISTIO__WORKLOAD_STATUS__UNHEALTHY);
}

/* The workload's own port for the service's, else the service's. 0: none. */
static uint32_t target_port(const struct member *m, const Istio__Port *port)
{
    const Istio__Port *own = find_port(m->ports->ports, m->ports->n_ports, port->service_port);
    uint32_t n = own && own->target_port ? own->target_port : port->target_port;
    return n <= 65535 ? n : 0;
}

/* False when the workload has neither an address nor a name. */
static bool set_address(struct agw_endpoint *e, const Istio__Workload *w)
{
    const ProtobufCBinaryData *ip = w->n_addresses ? &w->addresses[0] : NULL;
    if (!ip)
        return *w->hostname;
    if (ip->len == 4) {
        e->addr.n = sizeof(e->addr.u.in4);
        e->addr.u.in4.sin_family = AF_INET;
        memcpy(&e->addr.u.in4.sin_addr, ip->data, 4);
    } else if (ip->len == 16) {
        e->addr.n = sizeof(e->addr.u.in6);
        e->addr.u.in6.sin6_family = AF_INET6;
        memcpy(&e->addr.u.in6.sin6_addr, ip->data, 16);
    } else {
        return false;
    }
    agw_addr_set_port(&e->addr, e->port);
    return true;
}

/* Istio's defaults, where a workload does not say. */
static const char *or_else(const char *text, const char *fallback)
{
    return *text ? text : fallback;
}

/* Whose certificates are taken for the workload's: its own identity, or one that the service names. */
static struct agw_str peers_of(struct agw_compile *c, const Istio__Service *service, const Istio__Workload *w)
{
    struct agw_str ids =
        agw_arena_printf(c->arena, "spiffe://%s/ns/%s/sa/%s", or_else(w->trust_domain, "cluster.local"),
                         w->namespace_, or_else(w->service_account, "default"));
    for (size_t i = 0; ids.p && i < service->n_subject_alt_names; i++) {
        const char *name = service->subject_alt_names[i];
        if (agw_spiffe_domain(agw_str_c(name)).n && !strchr(name, ' '))
            ids = agw_arena_printf(c->arena, "%.*s %s", AGW_STRF(ids), name);
    }
    return ids;
}

/* |e|, whose address is set, is reached through HBONE where the workload takes it. */
static int add_tunnel(struct agw_compile *c, const struct agw_resource *service, const struct member *m,
                      const struct agw_transport *t, struct agw_endpoint *e)
{
    const Istio__Workload *w = m->workload->workload;
    struct agw_compiler *all = c->compiler;
    if (w->tunnel_protocol != ISTIO__TUNNEL_PROTOCOL__HBONE)
        return 0;
    if (!all->certificate) {
        bool told = all->told_plain;
        all->told_plain = true;
        return told ? 0
                    : agw_compile_warn(c, m->workload,
                                       "HBONE is not used, here and for others: the gateway has no "
                                       "certificate (SPIFFE_ENDPOINT_SOCKET, or SVID_FILE)");
    }
    struct agw_endpoint *via = agw_arena_zalloc(c->arena, sizeof(*via));
    if (!via)
        return AGW_ENOMEM;
    via->host = e->addr.n ? AGW_STR("") : e->host;
    via->port = HBONE_PORT;
    via->addr = e->addr;
    if (via->addr.n)
        agw_addr_set_port(&via->addr, HBONE_PORT);
    via->http = AGW_UPSTREAM_HTTP2;
    via->connect_ms = t->connect_ms;
    via->keepalive = t->keepalive;
    via->own = all->certificate;
    via->peers = peers_of(c, service->service, w);
    e->tunnel = via;
    return via->peers.p ? agw_endpoint_key(via, AGW_STR("own "), c->arena) : AGW_ENOMEM;
}

/* *ret_endpoint stays NULL when the workload cannot be reached on this port. */
static int member_endpoint(struct agw_compile *c, const struct agw_resource *service, const struct member *m,
                           const Istio__Port *port, struct agw_transport *t, struct agw_error *err,
                           const struct agw_endpoint **ret_endpoint)
{
    const Istio__Workload *w = m->workload->workload;
    uint32_t number = target_port(m, port);
    *ret_endpoint = NULL;
    if (!number || !usable(service->service, w))
        return 0;
    struct agw_endpoint *e = agw_arena_zalloc(c->arena, sizeof(*e));
    if (!e)
        return AGW_ENOMEM;
    e->port = (uint16_t)number;
    if (!set_address(e, w))
        return agw_compile_warn(c, m->workload, "the workload has no usable address");
    e->host = e->addr.n ? agw_str_c(service->service->hostname)
                        : agw_arena_str(c->arena, agw_str_c(w->hostname)); /* the workload may go */
    if (!e->host.p)
        return AGW_ENOMEM;
    int code = add_tunnel(c, service, m, t, e);
    if (!code)
        code = finish_endpoint(c, e, t, port->app_protocol, err);
    if (!code)
        *ret_endpoint = e;
    return code;
}

/* An endpoint before the list is sorted. */
struct candidate {
    const struct agw_endpoint *endpoint;
    struct agw_place place;
};

/* By bucket; inside one in the order of the workloads' keys. */
static int place_endpoints(struct agw_compile *c, struct agw_backend *b, const struct candidate *found,
                           uint32_t count)
{
    bool alike = true;
    for (uint32_t i = 0; i < count; i++)
        alike &= found[i].place.bucket == 0 && found[i].place.weight == 1;
    struct agw_place *places = agw_arena_alloc(c->arena, alike ? 0 : count * sizeof(*places));
    b->endpoints = agw_arena_alloc(c->arena, count * sizeof(*b->endpoints));
    if (!places || !b->endpoints)
        return AGW_ENOMEM;
    for (uint32_t bucket = 0; bucket < AGW_LOCALITY_BUCKETS; bucket++) {
        for (uint32_t i = 0; i < count; i++) {
            if (found[i].place.bucket != bucket)
                continue;
            if (!alike)
                places[b->endpoint_count] = found[i].place;
            b->endpoints[b->endpoint_count++] = found[i].endpoint;
        }
    }
    b->places = alike ? NULL : places;
    return 0;
}

int agw_compile_service_endpoints(struct agw_compile *c, struct agw_backend *b,
                                  const struct agw_resource *service, uint32_t number,
                                  struct agw_transport *t, const char **ret_reason)
{
    const Istio__Service *s = service->service;
    const Istio__Port *port = find_port(s->ports, s->n_ports, number);
    const struct members *all = agw_map_get(&c->compiler->members, service->key);
    struct agw_error err = {0};
    struct agw_locality room;
    const struct agw_locality *own = own_locality(c->compiler, &room);
    if (!port || !all)
        return 0; /* no endpoints: 503 */
    struct candidate *found = agw_arena_alloc(&c->scratch, all->count * sizeof(*found));
    uint32_t count = 0;
    if (!found)
        return AGW_ENOMEM;
    if (t->tls && port->app_protocol == ISTIO__APP_PROTOCOL__HTTP11)
        t->http1 = t->http1 || !t->http2;
    for (uint32_t i = 0; i < all->count; i++) {
        const struct agw_endpoint *e;
        const Istio__Workload *w = all->v[i].workload->workload;
        struct agw_place place = {.weight = w->capacity ? w->capacity->value : 1};
        if (!agw_locality_bucket(own, s->load_balancing, w, &place.bucket))
            continue;
        int code = member_endpoint(c, service, &all->v[i], port, t, &err, &e);
        if (code == AGW_ENOMEM)
            return code;
        if (code)
            return tls_failed(c, t, &err, ret_reason);
        if (e)
            found[count++] = (struct candidate){e, place};
    }
    return place_endpoints(c, b, found, count);
}
