#include "config/compile_int.h"

static int parse_host(struct agw_compile *c, const char *text, struct agw_str *ret_host)
{
    struct agw_str host = agw_str_c(text);
    *ret_host = agw_str_eq(host, AGW_STR("*")) ? AGW_STR("") : agw_arena_lower(c->arena, host);
    return host.n && !ret_host->p ? AGW_ENOMEM : 0;
}

/* --- addresses --- */
static int default_address(struct agw_compile *c, struct agw_bind *b)
{
    b->addrs = agw_arena_zalloc(c->arena, sizeof(*b->addrs));
    if (!b->addrs)
        return AGW_ENOMEM;
    b->addr_count = 1;
    return agw_addr_ip(c->compiler->ipv4_only ? AGW_STR("0.0.0.0") : AGW_STR("::"), b->port, b->addrs);
}

static const struct agw_bind *address_taken(const struct agw_compile *c, const struct agw_addr *addr)
{
    for (uint32_t i = 0; i < c->snap->bind_count; i++)
        for (uint32_t k = 0; k < c->snap->binds[i].addr_count; k++)
            if (agw_addr_eq(&c->snap->binds[i].addrs[k], addr))
                return &c->snap->binds[i];
    return NULL;
}

/* Two binds on one address would share its connections at random: the first keeps it. */
static int drop_taken(struct agw_compile *c, struct agw_bind *b, const struct agw_resource *r)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < b->addr_count; i++) {
        const struct agw_bind *other = address_taken(c, &b->addrs[i]);
        if (!other) {
            b->addrs[kept++] = b->addrs[i];
            continue;
        }
        char text[AGW_ADDR_TEXT];
        agw_addr_format(&b->addrs[i], text);
        int code = agw_compile_error(c, r, "address %s is taken by bind %.*s", text, AGW_STRF(other->key));
        if (code)
            return code;
    }
    b->addr_count = kept;
    return 0;
}

static int set_addresses(struct agw_compile *c, struct agw_bind *b, const struct agw_resource *r)
{
    const struct agw_side *side = &r->side;
    int code = 0;
    if (side->addr_count == 0) {
        code = default_address(c, b);
    } else {
        b->addrs = agw_arena_copy(c->arena, side->addrs, side->addr_count * sizeof(*side->addrs));
        if (!b->addrs)
            return AGW_ENOMEM;
        b->addr_count = side->addr_count;
        for (uint32_t i = 0; i < b->addr_count; i++)
            agw_addr_set_port(&b->addrs[i], b->port);
    }
    return code ? code : drop_taken(c, b, r);
}

/* --- binds --- */
/* *ret_ok: this version can serve it. */
static int check_bind(struct agw_compile *c, const struct agw_resource *r, bool *ret_ok)
{
    const Pb__Bind *in = r->bind;
    *ret_ok = false;
    if (in->mode == PB__BIND__MODE__INTERNAL)
        return agw_compile_warn(c, r, "internal binds are not supported and have no effect");
    if (in->port < 1 || in->port > 65535)
        return agw_compile_error(c, r, "port %u is out of range", in->port);
    if (in->protocol != PB__BIND__PROTOCOL__HTTP && in->protocol != PB__BIND__PROTOCOL__TLS)
        return agw_compile_warn(c, r, "binds of protocol %s are not supported and have no effect",
                                in->protocol == PB__BIND__PROTOCOL__TCP ? "TCP" : "?");
    if (in->tunnel_protocol != PB__BIND__TUNNEL_PROTOCOL__DIRECT)
        return agw_compile_warn(c, r, "tunnel protocols are not supported: the bind has no effect");
    *ret_ok = true;
    return 0;
}

static int compile_bind(struct agw_compile *c, const struct agw_resource *r)
{
    bool ok;
    int code = check_bind(c, r, &ok);
    if (code || !ok)
        return code;
    struct agw_bind *b = &c->snap->binds[c->snap->bind_count];
    *b = (struct agw_bind){.key = r->key, .port = (uint16_t)r->bind->port};
    b->protocol = r->bind->protocol == PB__BIND__PROTOCOL__TLS ? AGW_BIND_TLS : AGW_BIND_HTTP;
    code = set_addresses(c, b, r);
    if (!code)
        code = agw_map_put(&c->snap->binds_by_key, b->key, b, NULL);
    c->snap->bind_count++;
    return code;
}

/* --- listeners --- */
static void free_map(void *map)
{
    agw_map_free(map);
}

static void free_tls_server(void *server)
{
    agw_tls_server_unref(server);
}

/* Things in a TLSConfig that would be wrong to leave out: without them the listener refuses handshakes. */
static const char *tls_refusal(const Pb__TLSConfig *tls)
{
    if (tls->certificate_source != PB__TLSCONFIG__CERTIFICATE_SOURCE__INLINE)
        return "certificates from elsewhere than the configuration are not supported";
    if (tls->_root_case && tls->root.len && tls->mtls_mode != PB__TLSCONFIG__MTLSMODE__DISABLE)
        return "client certificates are not supported";
    return NULL;
}

static int compile_tls(struct agw_compile *c, const struct agw_resource *r, struct agw_listener *l)
{
    const Pb__TLSConfig *tls = r->listener->tls;
    struct agw_str cert = {(const char *)tls->cert.data, tls->cert.len};
    struct agw_str key = {(const char *)tls->private_key.data, tls->private_key.len};
    struct agw_error err = {0};
    const char *refusal = tls_refusal(tls);
    if (refusal)
        return agw_compile_warn(c, r, "tls: %s: handshakes are refused", refusal);
    int code = agw_tls_cache_server(c->compiler->tls, cert, key, &l->tls_server, &err);
    if (code == AGW_ENOMEM)
        return code;
    if (code)
        return agw_compile_warn(c, r, "tls: handshakes are refused: %s", err.text);
    code = agw_snapshot_on_free(c->snap, free_tls_server, l->tls_server);
    if (!code && (tls->n_cipher_suites || tls->n_key_exchange_groups || tls->_min_version_case ||
                  tls->_max_version_case))
        code = agw_compile_warn(
            c, r, "tls: versions, cipher suites and groups are not supported and have no effect");
    return code;
}

static void merge_gateway(struct agw_compile *c, struct agw_compile_listener *l)
{
    const Pb__ListenerName *n = l->resource->listener->name;
    if (!n)
        return;
    const Pb__ResourceName *set = n->listener_set;
    agw_compile_traffic_at(c, &l->traffic, "gateway/%s/%s", n->gateway_namespace, n->gateway_name);
    agw_compile_traffic_at(c, &l->traffic, "gateway/%s/%s/port/%u", n->gateway_namespace, n->gateway_name,
                           l->out->port);
    if (set) {
        agw_compile_traffic_at(c, &l->traffic, "listener_set/%s/%s", set->namespace_, set->name);
        agw_compile_traffic_at(c, &l->traffic, "listener_set/%s/%s/%s", set->namespace_, set->name,
                               n->listener_name);
        agw_compile_backend_at(c, &l->backend, "listener_set/%s/%s/%s", set->namespace_, set->name,
                               n->listener_name);
        agw_compile_backend_at(c, &l->backend, "listener_set/%s/%s", set->namespace_, set->name);
    } else {
        agw_compile_traffic_at(c, &l->traffic, "gateway/%s/%s/listener/%s", n->gateway_namespace,
                               n->gateway_name, n->listener_name);
        agw_compile_backend_at(c, &l->backend, "gateway/%s/%s/listener/%s", n->gateway_namespace,
                               n->gateway_name, n->listener_name);
    }
    agw_compile_backend_at(c, &l->backend, "gateway/%s/%s", n->gateway_namespace, n->gateway_name);
}

/* *ret_ok: protocol and TLS go together and this version serves them on |b|. */
static int check_listener(struct agw_compile *c, const struct agw_resource *r, const struct agw_bind *b,
                          bool *ret_ok)
{
    const Pb__Listener *in = r->listener;
    *ret_ok = false;
    bool tls = in->protocol == PB__PROTOCOL__HTTPS;
    switch (in->protocol) {
    case PB__PROTOCOL__HTTP:
    case PB__PROTOCOL__HTTPS:
        if (tls != (in->tls != NULL))
            return agw_compile_error(c, r,
                                     tls ? "protocol HTTPS needs tls" : "protocol HTTP cannot have tls");
        if (tls != (b->protocol == AGW_BIND_TLS))
            return agw_compile_warn(c, r,
                                    "the listener's protocol does not fit its bind's: it has no effect");
        *ret_ok = true;
        return 0;
    case PB__PROTOCOL__TLS:
    case PB__PROTOCOL__TCP:
    case PB__PROTOCOL__HBONE:
        if (in->protocol == PB__PROTOCOL__TCP && in->tls)
            return agw_compile_error(c, r, "protocol TCP cannot have tls");
        return agw_compile_warn(c, r, "listeners of this protocol are not supported and have no effect");
    default:
        return agw_compile_error(c, r, "unknown protocol %d", (int)in->protocol);
    }
}

static int name_listener(struct agw_compile *c, const struct agw_resource *r, struct agw_listener *l)
{
    const Pb__ListenerName *n = r->listener->name;
    l->key = l->label = r->key;
    if (!n)
        return 0;
    l->name = agw_str_c(n->listener_name);
    l->gateway = agw_arena_printf(c->arena, "%s/%s", n->gateway_namespace, n->gateway_name);
    l->label =
        agw_arena_printf(c->arena, "%s/%s/%s", n->gateway_namespace, n->gateway_name, n->listener_name);
    return l->gateway.p && l->label.p ? 0 : AGW_ENOMEM;
}

static int compile_listener(struct agw_compile *c, const struct agw_resource *r, struct agw_bind *b)
{
    bool ok;
    int code = check_listener(c, r, b, &ok);
    if (code || !ok)
        return code;
    struct agw_compile_listener *cl = agw_arena_zalloc(&c->scratch, sizeof(*cl));
    struct agw_listener *l = agw_arena_zalloc(c->arena, sizeof(*l));
    if (!cl || !l)
        return AGW_ENOMEM;
    cl->out = l;
    cl->resource = r;
    l->port = b->port;
    l->tls = b->protocol == AGW_BIND_TLS;
    agw_map_init(&l->hosts);
    code = agw_snapshot_on_free(c->snap, free_map, &l->hosts);
    if (!code)
        code = name_listener(c, r, l);
    if (!code)
        code = parse_host(c, r->listener->hostname, &l->hostname);
    if (!code && l->tls)
        code = compile_tls(c, r, l);
    if (code)
        return code;
    merge_gateway(c, cl);
    b->listeners[b->listener_count++] = l;
    c->snap->listener_count++;
    return agw_map_put(&c->listeners, l->key, cl, NULL);
}

/* Room for the listeners of each bind; those that turn out unfit leave it unused. */
static int make_room(struct agw_compile *c)
{
    struct agw_resource *r;
    uint32_t i;
    agw_compile_each(c, AGW_RESOURCE_LISTENER, i, r)
    {
        struct agw_bind *b = agw_map_get(&c->snap->binds_by_key, agw_str_c(r->listener->bind_key));
        if (b)
            b->listener_count++;
    }
    for (i = 0; i < c->snap->bind_count; i++) {
        struct agw_bind *b = &c->snap->binds[i];
        b->listeners = agw_arena_alloc(c->arena, b->listener_count * sizeof(*b->listeners));
        b->listener_count = 0;
        if (!b->listeners)
            return AGW_ENOMEM;
    }
    return 0;
}

int agw_compile_binds(struct agw_compile *c)
{
    struct agw_resource *r;
    uint32_t i;
    int code = 0;
    c->snap->binds = agw_arena_alloc(c->arena, c->snap->private->resource_count[AGW_RESOURCE_BIND] *
                                                   sizeof(*c->snap->binds));
    if (!c->snap->binds)
        return AGW_ENOMEM;
    agw_compile_each(c, AGW_RESOURCE_BIND, i, r)
    {
        if ((code = compile_bind(c, r)))
            return code;
    }
    if ((code = make_room(c)))
        return code;
    agw_compile_each(c, AGW_RESOURCE_LISTENER, i, r)
    {
        struct agw_bind *b = agw_map_get(&c->snap->binds_by_key, agw_str_c(r->listener->bind_key));
        if (b && (code = compile_listener(c, r, b)))
            return code;
    }
    return 0;
}
