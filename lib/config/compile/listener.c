#include <stdlib.h>
#include "base/err.h"
#include "config/compile/compile_int.h"
#include "config/tls/message.h"

static int parse_host(struct agw_compile *c, const char *text, struct agw_str *ret_host)
{
    struct agw_str host = agw_str_c(text);
    *ret_host = agw_str_eq(host, AGW_STR("*")) ? AGW_STR("") : agw_arena_lower(c->arena, host);
    return host.n && !ret_host->p ? AGW_ENOMEM : 0;
}

/* --- TLS --- */
static int apply_frontend(struct agw_compile *c, const struct agw_resource *r, struct agw_listener *l,
                          struct agw_tls_server_conf *conf, bool *ret_ok)
{
    struct agw_error err = {0};
    struct agw_resource *owner;
    const Pb__FrontendPolicySpec *p =
        agw_compile_frontend_of(c, PB__FRONTEND_POLICY_SPEC__KIND_TLS, r->listener->name, l->port, &owner);
    *ret_ok = true;
    if (!p)
        return 0;
    const Pb__FrontendPolicySpec__TLS *in = p->tls;
    const Google__Protobuf__Duration *d = in->handshake_timeout;
    if (d && d->seconds >= 0 && d->nanos >= 0) /* a day is as good as for ever */
        l->handshake_ms = d->seconds > 86400 ? 86400000 : (uint32_t)(d->seconds * 1000 + d->nanos / 1000000);
    int code = agw_tls_frontend_conf(in, r->listener->protocol == PB__PROTOCOL__HTTPS, c->arena, conf, &err);
    if (code == 0 || code == AGW_ENOMEM)
        return code;
    *ret_ok = false;
    return agw_compile_error(c, owner, "tls: %s: handshakes of listener %.*s are refused", err.text,
                             AGW_STRF(l->key));
}

static int compile_front(struct agw_compile *c, const struct agw_resource *r, struct agw_listener *l)
{
    struct agw_resource *owner;
    const Pb__FrontendPolicySpec *p =
        agw_compile_frontend_of(c, PB__FRONTEND_POLICY_SPEC__KIND_HTTP, r->listener->name, l->port, &owner);
    return p ? agw_compile_front(c, owner, p->http, &l->front) : 0;
}

/* What is wrong leaves the listener without a context: it refuses handshakes. */
static int compile_tls(struct agw_compile *c, const struct agw_resource *r, struct agw_listener *l)
{
    const Pb__TLSConfig *tls = r->listener->tls;
    struct agw_tls_cert_pem pem;
    struct agw_tls_server_conf conf;
    struct agw_error err = {0};
    bool ok = true;
    void *hold;
    int code = agw_tls_listener_conf(tls, c->arena, &pem, &conf, &err);
    if (!code) {
        conf.no_alpn = r->listener->protocol != PB__PROTOCOL__HTTPS;
        code = apply_frontend(c, r, l, &conf, &ok);
        if (code || !ok)
            return code;
        code = agw_tls_cache_server(c->compiler->tls, &conf, &l->tls_server, &hold, &err);
    }
    if (code == AGW_ENOMEM)
        return code;
    if (code)
        return agw_compile_warn(c, r, "tls: handshakes are refused: %s", err.text);
    code = agw_unit_hold(c, hold);
    const char *missing = agw_tls_missing_group(&conf.params);
    if (!code && missing)
        code = agw_compile_warn(c, r, "tls: group %s is left out: this library does not have it", missing);
    return code;
}

static void merge_gateway(struct agw_compile *c, const struct agw_resource *r, uint16_t port,
                          struct agw_specs *traffic, struct agw_specs *backend)
{
    const Pb__ListenerName *n = r->listener->name;
    if (!n)
        return;
    const Pb__ResourceName *set = n->listener_set;
    agw_compile_traffic_at(c, traffic, "gateway/%s/%s", n->gateway_namespace, n->gateway_name);
    agw_compile_traffic_at(c, traffic, "gateway/%s/%s/port/%u", n->gateway_namespace, n->gateway_name, port);
    if (set) {
        agw_compile_traffic_at(c, traffic, "listener_set/%s/%s", set->namespace_, set->name);
        agw_compile_traffic_at(c, traffic, "listener_set/%s/%s/%s", set->namespace_, set->name,
                               n->listener_name);
        agw_compile_backend_at(c, backend, "listener_set/%s/%s/%s", set->namespace_, set->name,
                               n->listener_name);
        agw_compile_backend_at(c, backend, "listener_set/%s/%s", set->namespace_, set->name);
    } else {
        agw_compile_traffic_at(c, traffic, "gateway/%s/%s/listener/%s", n->gateway_namespace, n->gateway_name,
                               n->listener_name);
        agw_compile_backend_at(c, backend, "gateway/%s/%s/listener/%s", n->gateway_namespace, n->gateway_name,
                               n->listener_name);
    }
    agw_compile_backend_at(c, backend, "gateway/%s/%s", n->gateway_namespace, n->gateway_name);
}

/* Why protocol and TLS do not go together, NULL: they do. TLS without a certificate is passed through. */
static const char *mismatch(const Pb__Listener *in)
{
    if (in->protocol == PB__PROTOCOL__HTTP && in->tls)
        return "protocol HTTP cannot have tls";
    if (in->protocol == PB__PROTOCOL__HTTPS && !in->tls)
        return "protocol HTTPS needs tls";
    if (in->protocol == PB__PROTOCOL__TCP && in->tls)
        return "protocol TCP cannot have tls";
    return NULL;
}

/* *ret_ok: this version serves the listener on |b|. */
static int check_listener(struct agw_compile *c, const struct agw_resource *r, const struct agw_bind *b,
                          bool *ret_ok)
{
    const Pb__Listener *in = r->listener;
    const char *why = mismatch(in);
    enum agw_bind_protocol want;
    *ret_ok = false;
    if (why)
        return agw_compile_error(c, r, "%s", why);
    switch (in->protocol) {
    case PB__PROTOCOL__HTTP:
        want = AGW_BIND_HTTP;
        break;
    case PB__PROTOCOL__HTTPS:
    case PB__PROTOCOL__TLS:
        want = AGW_BIND_TLS;
        break;
    case PB__PROTOCOL__TCP:
        want = AGW_BIND_TCP;
        break;
    case PB__PROTOCOL__HBONE:
        want = AGW_BIND_HBONE;
        break;
    default:
        return agw_compile_error(c, r, "unknown protocol %d", (int)in->protocol);
    }
    *ret_ok = want == b->protocol;
    return *ret_ok
               ? 0
               : agw_compile_warn(c, r, "the listener's protocol does not fit its bind's: it has no effect");
}

static int name_listener(struct agw_compile *c, const struct agw_resource *r, struct agw_listener *l)
{
    const Pb__ListenerName *n = r->listener->name;
    l->key = l->label = r->key;
    if (!n)
        return 0;
    l->name = agw_str_c(n->listener_name);
    l->gateway = agw_arena_printf(c->arena, "%s/%s", n->gateway_namespace, n->gateway_name);
    if (n->listener_set) /* sets may call their listeners the same */
        l->label = agw_arena_printf(c->arena, "%.*s/%s/%s/%s", AGW_STRF(l->gateway),
                                    n->listener_set->namespace_, n->listener_set->name, n->listener_name);
    else
        l->label = agw_arena_printf(c->arena, "%.*s/%s", AGW_STRF(l->gateway), n->listener_name);
    return l->gateway.p && l->label.p ? 0 : AGW_ENOMEM;
}

/* *ret_base stays NULL when the listener does not go with |b|. */
static int compile_listener(struct agw_compile *c, struct agw_resource *r, const struct agw_bind *b,
                            struct agw_specs *traffic, struct agw_specs *backend,
                            struct agw_listener **ret_base)
{
    bool ok;
    struct agw_unit_build build;
    *ret_base = NULL;
    int code = check_listener(c, r, b, &ok);
    if (code || !ok)
        return code;
    struct agw_listener *l = agw_unit_begin(c, sizeof(*l), AGW_ROOM_OTHER, &build);
    if (!l)
        return AGW_ENOMEM;
    l->port = b->port;
    l->l4 = r->listener->protocol == PB__PROTOCOL__TLS || r->listener->protocol == PB__PROTOCOL__TCP;
    l->passthrough = r->listener->protocol == PB__PROTOCOL__TLS && !r->listener->tls;
    l->tls = b->protocol == AGW_BIND_TLS && !l->passthrough;
    code = agw_unit_hold(c, r);
    if (!code)
        code = name_listener(c, r, l);
    if (!code)
        code = parse_host(c, r->listener->hostname, &l->hostname);
    if (!code && l->tls)
        code = compile_tls(c, r, l);
    if (!code && l->tls)
        code = compile_front(c, r, l);
    merge_gateway(c, r, l->port, traffic, backend); /* its texts live in the unit */
    agw_unit_end(c, &build);
    if (code)
        agw_shared_unref(l);
    else
        *ret_base = l;
    return code;
}

/* --- records --- */
int agw_listener_rec_get(struct agw_compiler *c, struct agw_str key, struct agw_listener_rec **ret_rec)
{
    struct agw_listener_rec *l = agw_map_get(&c->listeners, key);
    if (!l) {
        l = calloc(1, sizeof(*l) + key.n);
        if (!l)
            return AGW_ENOMEM;
        l->key = agw_str(memcpy((char *)(l + 1), key.p, key.n), key.n);
        agw_list_init(&l->dirty);
        agw_list_init(&l->routes);
        agw_pmap_init(&l->hosts, offsetof(struct agw_host_bucket, host));
        int code = agw_map_put(&c->listeners, l->key, l, NULL);
        if (code) {
            free(l);
            return code;
        }
    }
    *ret_rec = l;
    return 0;
}

static void rec_free(struct agw_listener_rec *l)
{
    agw_list_remove(&l->dirty);
    agw_shared_unref(l->base);
    agw_shared_unref(l->out);
    agw_pmap_free(&l->hosts);
    free(l);
}

void agw_listener_rec_release(struct agw_compiler *c, struct agw_listener_rec *l)
{
    if (l->exists || !agw_list_empty(&l->routes) || !agw_list_empty(&l->dirty))
        return;
    agw_map_take(&c->listeners, l->key);
    rec_free(l);
}

void agw_compile_listeners_free(struct agw_compiler *c)
{
    struct agw_map_slot *slot;
    for (uint32_t cursor = 0; (slot = agw_map_next(&c->listeners, &cursor));)
        rec_free(slot->value);
    agw_map_free(&c->listeners);
}

/* --- on their binds --- */
/* Where a listener of this key is among the bind's, or belongs. */
static uint32_t place_of(const struct agw_bind_rec *b, struct agw_str key)
{
    return agw_place_of(b->listener_count, key, i, b->listeners[i]->key);
}

static void leave(struct agw_listener_rec *l)
{
    struct agw_bind_rec *b = l->bind;
    l->bind = NULL;
    if (!b)
        return;
    uint32_t at = place_of(b, l->key);
    memmove(&b->listeners[at], &b->listeners[at + 1], (b->listener_count - at - 1) * sizeof(*b->listeners));
    b->listener_count--;
    b->changed = true;
}

static int join(struct agw_listener_rec *l, struct agw_bind_rec *b)
{
    if (l->bind == b)
        return 0;
    leave(l);
    struct agw_listener_rec **v = reallocarray(b->listeners, b->listener_count + 1, sizeof(*v));
    if (!v)
        return AGW_ENOMEM;
    b->listeners = v;
    uint32_t at = place_of(b, l->key);
    memmove(&v[at + 1], &v[at], (b->listener_count - at) * sizeof(*v));
    v[at] = l;
    b->listener_count++;
    b->changed = true;
    l->bind = b;
    return 0;
}

/* It does not listen (any more): its routes have no place. */
static void listener_off(struct agw_compile *c, struct agw_listener_rec *l)
{
    if (l->base)
        agw_routes_restart(c, l);
    leave(l);
    agw_shared_unref(l->base);
    agw_shared_unref(l->out);
    l->base = l->out = NULL;
}

static int make(struct agw_compile *c, struct agw_listener_rec *l)
{
    struct agw_resource *r = agw_compile_find(c, AGW_RESOURCE_LISTENER, l->key);
    struct agw_bind_rec *b = r ? agw_compile_bind_of(c->compiler, agw_str_c(r->listener->bind_key)) : NULL;
    struct agw_listener *base = NULL;
    l->exists = r != NULL;
    struct agw_specs traffic = {0}, backend = {0};
    int code = b ? compile_listener(c, r, b->bind, &traffic, &backend, &base) : 0;
    if (code)
        return code;
    if (!base) {
        listener_off(c, l);
        return 0;
    }
    bool same = l->base && l->base->l4 == base->l4 && agw_specs_equal(&traffic, &l->traffic) &&
                agw_specs_equal(&backend, &l->backend);
    l->traffic = traffic;
    l->backend = backend;
    agw_shared_unref(l->base);
    l->base = base;
    l->changed = true;
    if (!same)
        agw_routes_restart(c, l);
    return join(l, b);
}

/* Bind records are new when any bind changed: all listeners are to find theirs again. */
static void mark_all(struct agw_compiler *c)
{
    struct agw_map_slot *slot;
    for (uint32_t cursor = 0; (slot = agw_map_next(&c->listeners, &cursor));) {
        struct agw_listener_rec *l = slot->value;
        if (c->binds_changed)
            l->bind = NULL;
        agw_compile_mark(&c->dirty_listeners, &l->dirty);
    }
}

int agw_compile_listeners(struct agw_compile *c)
{
    struct agw_compiler *all = c->compiler;
    struct agw_list *node;
    int code = 0;
    if (all->binds_changed || c->gateways_touched)
        mark_all(all);
    while (!code && (node = agw_list_pop(&all->dirty_listeners))) {
        struct agw_listener_rec *l = agw_list_entry(node, struct agw_listener_rec, dirty);
        code = make(c, l);
        if (!code)
            agw_listener_rec_release(all, l);
    }
    return code;
}
