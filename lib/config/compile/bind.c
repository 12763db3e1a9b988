#include <stdlib.h>
#include "base/err.h"
#include "config/compile/compile_int.h"
#include "net/proxy.h"

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
    for (uint32_t i = 0; i < c->compiler->bind_count; i++) {
        const struct agw_bind *b = c->compiler->binds[i].bind;
        for (uint32_t k = 0; k < b->addr_count; k++)
            if (agw_addr_eq(&b->addrs[k], addr))
                return b;
    }
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
    if (in->protocol != PB__BIND__PROTOCOL__HTTP && in->protocol != PB__BIND__PROTOCOL__TLS &&
        in->protocol != PB__BIND__PROTOCOL__TCP)
        return agw_compile_error(c, r, "unknown protocol %d", (int)in->protocol);
    switch (in->tunnel_protocol) {
    case PB__BIND__TUNNEL_PROTOCOL__DIRECT:
    case PB__BIND__TUNNEL_PROTOCOL__PROXY:
        break;
    case PB__BIND__TUNNEL_PROTOCOL__HBONE_GATEWAY:
        if (!c->compiler->certificate &&
            agw_compile_warn(c, r,
                             "HBONE: handshakes are refused: the gateway has no certificate "
                             "(SPIFFE_ENDPOINT_SOCKET, or SVID_FILE)"))
            return AGW_ENOMEM;
        break;
    default:
        return agw_compile_warn(c, r, "this tunnel protocol is not supported: the bind has no effect");
    }
    *ret_ok = true;
    return 0;
}

static enum agw_bind_protocol bind_protocol(const Pb__Bind *in)
{
    if (in->tunnel_protocol == PB__BIND__TUNNEL_PROTOCOL__HBONE_GATEWAY)
        return AGW_BIND_HBONE;
    return in->protocol == PB__BIND__PROTOCOL__TLS   ? AGW_BIND_TLS
           : in->protocol == PB__BIND__PROTOCOL__TCP ? AGW_BIND_TCP
                                                     : AGW_BIND_HTTP;
}

static int proxy_use(struct agw_compile *c, const struct agw_resource *owner,
                     const Pb__FrontendPolicySpec__ProxyProtocol *in, struct agw_proxy_use *ret_use)
{
    *ret_use = (struct agw_proxy_use){AGW_PROXY_V1 | AGW_PROXY_V2, false};
    switch (in->version) {
    case PB__FRONTEND_POLICY_SPEC__PROXY_PROTOCOL__VERSION__V1:
        ret_use->versions = AGW_PROXY_V1;
        break;
    case PB__FRONTEND_POLICY_SPEC__PROXY_PROTOCOL__VERSION__V2:
        ret_use->versions = AGW_PROXY_V2;
        break;
    case PB__FRONTEND_POLICY_SPEC__PROXY_PROTOCOL__VERSION__ALL:
        break;
    default:
        return agw_compile_error(c, owner, "proxyProtocol: unknown version %d: both are taken",
                                 (int)in->version);
    }
    if (in->mode == PB__FRONTEND_POLICY_SPEC__PROXY_PROTOCOL__MODE__OPTIONAL)
        ret_use->optional = true;
    else if (in->mode != PB__FRONTEND_POLICY_SPEC__PROXY_PROTOCOL__MODE__STRICT)
        return agw_compile_error(c, owner, "proxyProtocol: unknown mode %d: Strict is taken", (int)in->mode);
    return 0;
}

int agw_compile_proxy(struct agw_compile *c, const struct agw_bind_rec *b, struct agw_proxy_use *ret_use)
{
    struct agw_resource *owner;
    const Pb__FrontendPolicySpec *p =
        agw_compile_frontend_of_bind(c, PB__FRONTEND_POLICY_SPEC__KIND_PROXY_PROTOCOL, b, &owner);
    *ret_use = b->bind->proxy;
    return p ? proxy_use(c, owner, p->proxy_protocol, ret_use) : 0;
}

/* *ret_bind stays NULL when it cannot be served. */
static int compile_bind(struct agw_compile *c, struct agw_resource *r, struct agw_bind **ret_bind)
{
    bool ok;
    struct agw_unit_build build;
    *ret_bind = NULL;
    int code = check_bind(c, r, &ok);
    if (code || !ok)
        return code;
    struct agw_bind *b = agw_unit_begin(c, sizeof(*b), AGW_ROOM_OTHER, &build);
    if (!b)
        return AGW_ENOMEM;
    b->key = r->key;
    b->port = (uint16_t)r->bind->port;
    b->protocol = bind_protocol(r->bind);
    if (r->bind->tunnel_protocol == PB__BIND__TUNNEL_PROTOCOL__PROXY)
        b->proxy.versions = AGW_PROXY_V1 | AGW_PROXY_V2;
    code = agw_unit_hold(c, r);
    if (!code)
        code = set_addresses(c, b, r);
    agw_unit_end(c, &build);
    if (code)
        agw_shared_unref(b);
    else
        *ret_bind = b;
    return code;
}

struct gathered {
    struct agw_resource **v;
    uint32_t count, cap;
    struct agw_arena *arena;
};

static int gather_bind(void *ctx, struct agw_resource *r)
{
    struct gathered *g = ctx;
    if (r->kind != AGW_RESOURCE_BIND)
        return 0;
    if (g->count == g->cap) {
        uint32_t cap = g->cap ? g->cap * 2 : 16;
        struct agw_resource **v = agw_arena_alloc(g->arena, cap * sizeof(struct agw_resource *));
        if (!v)
            return AGW_ENOMEM;
        if (g->count)
            memcpy(v, g->v, g->count * sizeof(struct agw_resource *));
        g->v = v;
        g->cap = cap;
    }
    g->v[g->count++] = r;
    return 0;
}

static int by_key(const void *a, const void *b)
{
    return agw_str_cmp((*(struct agw_resource *const *)a)->key, (*(struct agw_resource *const *)b)->key);
}

static int by_bind_key(const void *a, const void *b)
{
    return agw_str_cmp(((const struct agw_bind_rec *)a)->bind->key,
                       ((const struct agw_bind_rec *)b)->bind->key);
}

/* Those that were there in the run before keep their addresses: a newcomer takes none away. */
static void put_old_first(const struct agw_compiler *c, struct gathered *g)
{
    uint32_t old = 0;
    for (uint32_t i = 0; i < g->count; i++) {
        struct agw_resource *r = g->v[i];
        if (!agw_store_get(c->seen, r->id))
            continue;
        memmove(&g->v[old + 1], &g->v[old], (i - old) * sizeof(struct agw_resource *));
        g->v[old++] = r;
    }
}

static void forget(struct agw_compiler *c)
{
    for (uint32_t i = 0; i < c->bind_count; i++) {
        agw_shared_unref(c->binds[i].bind);
        agw_shared_unref(c->binds[i].out);
        free(c->binds[i].listeners);
    }
    free(c->binds);
    c->binds = NULL;
    c->bind_count = 0;
}

void agw_compile_binds_free(struct agw_compiler *c)
{
    forget(c);
}

/* Binds are few and conflict with each other: when one changes all are made anew. */
int agw_compile_binds(struct agw_compile *c)
{
    struct agw_compiler *all = c->compiler;
    struct gathered g = {.arena = &c->scratch};
    if (!all->binds_changed)
        return 0;
    int code = agw_store_each(c->store, gather_bind, &g);
    if (code)
        return code;
    forget(all);
    if (g.count == 0)
        return 0;
    qsort(g.v, g.count, sizeof(struct agw_resource *), by_key);
    put_old_first(all, &g);
    if (!(all->binds = calloc(g.count, sizeof(*all->binds))))
        return AGW_ENOMEM;
    for (uint32_t i = 0; !code && i < g.count; i++) {
        struct agw_bind *b;
        code = compile_bind(c, g.v[i], &b);
        if (!code && b)
            all->binds[all->bind_count++] = (struct agw_bind_rec){.bind = b, .changed = true};
    }
    if (all->bind_count)
        qsort(all->binds, all->bind_count, sizeof(*all->binds), by_bind_key);
    return code;
}

struct agw_bind_rec *agw_compile_bind_of(struct agw_compiler *c, struct agw_str key)
{
    for (uint32_t i = 0; i < c->bind_count; i++)
        if (agw_str_eq(c->binds[i].bind->key, key))
            return &c->binds[i];
    return NULL;
}
