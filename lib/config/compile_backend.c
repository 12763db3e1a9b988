#include "config/compile_int.h"

/* What a BackendReference names, before policies. */
struct named {
    const struct agw_resource *resource; /* AGW_RESOURCE_BACKEND or AGW_RESOURCE_SERVICE */
    uint32_t port;                       /* of a service */
    struct agw_str key;
    const char *missing; /* instead: why it does not resolve */
};

static bool is_transport(enum agw_policy_kind kind)
{
    return kind == AGW_POLICY_BACKEND_TLS || kind == AGW_POLICY_BACKEND_HTTP || kind == AGW_POLICY_A2A;
}

static struct agw_backend *backend_new(struct agw_compile *c, struct agw_str key, struct agw_str name)
{
    if (c->snap->backend_count == c->backend_cap) {
        uint32_t cap = c->backend_cap ? c->backend_cap * 2 : 64;
        struct agw_backend **v = agw_arena_alloc(c->arena, cap * sizeof(*v));
        if (!v)
            return NULL;
        if (c->snap->backend_count)
            memcpy(v, c->backends, c->snap->backend_count * sizeof(*v));
        c->backends = v;
        c->backend_cap = cap;
    }
    struct agw_backend *b = agw_arena_zalloc(c->arena, sizeof(*b));
    if (!b)
        return NULL;
    b->key = key;
    b->name = name;
    b->id = c->snap->backend_count;
    c->backends[c->snap->backend_count++] = b;
    return b;
}

static void set_invalid(struct agw_backend *b, const char *reason)
{
    b->kind = AGW_BACKEND_INVALID;
    b->reason = reason;
    b->endpoints = NULL;
    b->endpoint_count = 0;
    b->mcp = NULL;
}

int agw_compile_invalid(struct agw_compile *c, struct agw_str key, const char *reason,
                        const struct agw_backend **ret_backend)
{
    struct agw_backend *b = backend_new(c, key, key);
    if (!b)
        return AGW_ENOMEM;
    set_invalid(b, reason);
    *ret_backend = b;
    return 0;
}

int agw_compile_own(struct agw_compile *c, const struct agw_specs *own, struct agw_policy_set *ret_set)
{
    struct agw_specs s = *own;
    for (unsigned kind = 0; kind < AGW_POLICY_COUNT; kind++)
        if (is_transport(kind))
            s.v[kind].message = NULL;
    return agw_compile_set(c, &s, ret_set);
}

/* --- names --- */
static int name_service(struct agw_compile *c, const Pb__BackendReference *ref, struct named *n)
{
    const Pb__BackendReference__Service *s = ref->service;
    struct agw_str key = agw_arena_printf(c->arena, "%s/%s", s->namespace_, s->hostname);
    n->key = agw_arena_printf(c->arena, "service/%s/%s:%u", s->namespace_, s->hostname, ref->port);
    if (!key.p || !n->key.p)
        return AGW_ENOMEM;
    n->resource = agw_compile_find(c, AGW_RESOURCE_SERVICE, key);
    n->port = ref->port;
    if (!n->resource)
        n->missing = agw_arena_printf(c->arena, "service %s does not exist", key.p).p;
    return n->resource || n->missing ? 0 : AGW_ENOMEM;
}

static int name_backend(struct agw_compile *c, const Pb__BackendReference *ref, struct named *n)
{
    n->key = agw_str_c(ref->backend);
    n->resource = agw_compile_find(c, AGW_RESOURCE_BACKEND, n->key);
    if (!n->resource)
        n->missing = agw_arena_printf(c->arena, "backend %s does not exist", ref->backend).p;
    return n->resource || n->missing ? 0 : AGW_ENOMEM;
}

static int resolve(struct agw_compile *c, const Pb__BackendReference *ref, struct named *n)
{
    *n = (struct named){.key = AGW_STR("invalid"),
                        .missing = "the backend reference names nothing that is known"};
    if (!ref)
        return 0;
    if (ref->kind_case == PB__BACKEND_REFERENCE__KIND_SERVICE && ref->service) {
        n->missing = NULL;
        return name_service(c, ref, n);
    }
    if (ref->kind_case == PB__BACKEND_REFERENCE__KIND_BACKEND && ref->backend && *ref->backend) {
        n->missing = NULL;
        return name_backend(c, ref, n);
    }
    return 0;
}

/* --- policies --- */
/* Policies of the backend itself: aimed at the port before the whole. */
static void add_targeted(struct agw_compile *c, struct agw_specs *s, const struct named *n)
{
    if (n->resource->kind == AGW_RESOURCE_SERVICE) {
        const Istio__Service *svc = n->resource->service;
        agw_compile_backend_at(c, s, "service/%s/%s/%u", svc->namespace_, svc->hostname, n->port);
        agw_compile_backend_at(c, s, "service/%s/%s", svc->namespace_, svc->hostname);
        return;
    }
    const Pb__ResourceName *name = n->resource->backend->name;
    if (name)
        agw_compile_backend_at(c, s, "backend/%s/%s", name->namespace_, name->name);
}

static void merge_levels(struct agw_compile *c, const struct named *n,
                         const struct agw_backend_levels *levels, struct agw_specs *merged)
{
    *merged = *levels->own;
    if (n->resource->kind == AGW_RESOURCE_BACKEND) {
        const Pb__Backend *b = n->resource->backend;
        agw_compile_inline_backend(c, merged, n->resource, b->inline_policies, b->n_inline_policies);
    }
    agw_compile_inherit(merged, levels->route);
    add_targeted(c, merged, n);
    agw_compile_inherit(merged, levels->listener);
    for (unsigned kind = 0; kind < AGW_POLICY_COUNT; kind++)
        if (!is_transport(kind) && levels->own->v[kind].message)
            merged->v[kind].message = NULL; /* the reference runs it */
}

int agw_compile_check_backends(struct agw_compile *c)
{
    struct agw_resource *r;
    uint32_t i;
    agw_compile_each(c, AGW_RESOURCE_BACKEND, i, r)
    {
        const Pb__Backend *b = r->backend;
        const ProtobufCFieldDescriptor *field =
            b->kind_case ? protobuf_c_message_descriptor_get_field(b->base.descriptor, b->kind_case) : NULL;
        int code = agw_compile_check_backend(c, r, b->inline_policies, b->n_inline_policies);
        if (!code && !field)
            code = agw_compile_error(c, r, "a backend of a kind unknown to this version");
        else if (!code && b->kind_case != PB__BACKEND__KIND_STATIC && b->kind_case != PB__BACKEND__KIND_MCP)
            code = agw_compile_warn(c, r, "backends of kind %s are not supported: requests are refused",
                                    field->name);
        if (code)
            return code;
    }
    return 0;
}

/* What the winning policies say about the connection. A bad one makes an error note and |*ret_reason|: never
 * fall back to a plain connection where TLS was asked for. */
static int gather_transport(struct agw_compile *c, const struct agw_specs *s, struct agw_transport *t,
                            const char **ret_reason)
{
    for (unsigned kind = 0; kind < AGW_POLICY_COUNT; kind++) {
        const struct agw_policy_ops *ops = c->compiler->policies[kind];
        const struct agw_spec *spec = &s->v[kind];
        struct agw_error err = {0};
        if (!spec->message || !ops->transport)
            continue;
        int code = ops->transport(spec->message, c->arena, t, &err);
        if (code == AGW_ENOMEM)
            return code;
        if (!code)
            continue;
        *ret_reason = agw_arena_printf(c->arena, "%s: %s", spec->owner->id.p, err.text).p;
        if (!*ret_reason || agw_compile_error(c, spec->owner, "%s", err.text))
            return AGW_ENOMEM;
    }
    return 0;
}

/* --- kinds --- */
static int fill_target(struct agw_compile *c, const struct agw_resource *owner, const Pb__MCPTarget *in,
                       struct agw_mcp_target *out)
{
    static const struct agw_specs none;
    struct agw_specs section = {0};
    const Pb__ResourceName *name = owner->backend->name;
    if (name)
        agw_compile_backend_at(c, &section, "backend/%s/%s/%s", name->namespace_, name->name, in->name);
    struct agw_backend_levels levels = {&none, &section, &none};
    const struct agw_backend *b;
    int code = agw_compile_reference(c, in->backend, &levels, &b);
    if (code)
        return code;
    out->sse = in->protocol == PB__MCPTARGET__PROTOCOL__SSE;
    out->name = agw_str_c(in->name);
    out->path = *in->path ? agw_str_c(in->path) : out->sse ? AGW_STR("/sse") : AGW_STR("/mcp");
    if (out->path.p[0] != '/')
        out->path = agw_arena_printf(c->arena, "/%s", in->path);
    out->backend = c->backends[b->id];
    return out->path.p ? 0 : AGW_ENOMEM;
}

static bool is_mcp(struct agw_compile *c, const Pb__BackendReference *ref)
{
    const struct agw_resource *r = NULL;
    if (ref && ref->kind_case == PB__BACKEND_REFERENCE__KIND_BACKEND)
        r = agw_compile_find(c, AGW_RESOURCE_BACKEND, agw_str_c(ref->backend));
    return r && r->backend->kind_case == PB__BACKEND__KIND_MCP;
}

static enum agw_mcp_prefix prefix_mode(Pb__MCPBackend__PrefixMode mode)
{
    return mode == PB__MCPBACKEND__PREFIX_MODE__ALWAYS  ? AGW_MCP_PREFIX_ALWAYS
           : mode == PB__MCPBACKEND__PREFIX_MODE__NEVER ? AGW_MCP_PREFIX_NEVER
                                                        : AGW_MCP_PREFIX_CONDITIONAL;
}

static int fill_mcp(struct agw_compile *c, struct agw_backend *b, const struct agw_resource *r,
                    const char **ret_reason)
{
    const Pb__MCPBackend *in = r->backend->mcp;
    struct agw_mcp_backend *mcp = agw_arena_zalloc(c->arena, sizeof(*mcp));
    if (!mcp || !(mcp->targets = agw_arena_zalloc(c->arena, in->n_targets * sizeof(*mcp->targets))))
        return AGW_ENOMEM;
    for (size_t i = 0; i < in->n_targets; i++) {
        if (is_mcp(c, in->targets[i]->backend)) {
            *ret_reason = "an MCP target must be a server, not an MCP backend";
            return agw_compile_error(c, r, "target %s: %s", in->targets[i]->name, *ret_reason);
        }
        int code = fill_target(c, r, in->targets[i], &mcp->targets[mcp->count++]);
        if (code)
            return code;
    }
    mcp->stateless = in->stateful_mode == PB__MCPBACKEND__STATEFUL_MODE__STATELESS;
    mcp->fail_open = in->failure_mode == PB__MCPBACKEND__FAILURE_MODE__FAIL_OPEN;
    mcp->prefix = prefix_mode(in->prefix_mode);
    b->kind = AGW_BACKEND_MCP;
    b->mcp = mcp;
    return 0;
}

static int fill_kind(struct agw_compile *c, struct agw_backend *b, const struct named *n,
                     struct agw_transport *t, const char **ret_reason)
{
    if (n->resource->kind == AGW_RESOURCE_SERVICE) {
        b->kind = AGW_BACKEND_SERVICE;
        return agw_compile_service_endpoints(c, b, n->resource, n->port, t, ret_reason);
    }
    switch (n->resource->backend->kind_case) {
    case PB__BACKEND__KIND_STATIC:
        b->kind = AGW_BACKEND_STATIC;
        return agw_compile_static_endpoint(c, b, n->resource, t, ret_reason);
    case PB__BACKEND__KIND_MCP:
        return fill_mcp(c, b, n->resource, ret_reason);
    default:
        *ret_reason = "backends of this kind are not supported";
        return 0;
    }
}

static int backend_name(struct agw_compile *c, const struct named *n, struct agw_str *ret_name)
{
    if (n->resource->kind == AGW_RESOURCE_SERVICE) {
        *ret_name = agw_arena_printf(c->arena, "%s:%u", n->resource->service->hostname, n->port);
    } else {
        const Pb__ResourceName *name = n->resource->backend->name;
        *ret_name =
            name ? agw_arena_printf(c->arena, "%s/%s", name->namespace_, name->name) : n->resource->key;
    }
    return ret_name->p ? 0 : AGW_ENOMEM;
}

static int make_backend(struct agw_compile *c, const struct named *n, struct agw_specs *s,
                        struct agw_backend **ret_backend)
{
    struct agw_transport t = {0};
    struct agw_str name;
    const char *reason = NULL;
    int code = backend_name(c, n, &name);
    struct agw_backend *b = code ? NULL : backend_new(c, n->key, name);
    if (!b)
        return AGW_ENOMEM;
    code = gather_transport(c, s, &t, &reason);
    b->is_a2a = t.a2a;
    if (!code && !reason)
        code = fill_kind(c, b, n, &t, &reason);
    /* A backend known by name is sent its own name, unless a policy on the way decides about Host. */
    static const Pb__TrafficPolicySpec__HostRewrite auto_host = {
        .base = PROTOBUF_C_MESSAGE_INIT(&pb__traffic_policy_spec__host_rewrite__descriptor),
        .mode = PB__TRAFFIC_POLICY_SPEC__HOST_REWRITE__MODE__AUTO};
    if (b->auto_host.n && c->compiler->policies[AGW_POLICY_HOST_REWRITE])
        s->v[AGW_POLICY_HOST_REWRITE] = (struct agw_spec){&auto_host, n->resource, false};
    if (!code)
        code = agw_compile_set(c, s, &b->policies);
    if (!reason)
        reason = s->refuse;
    if (reason)
        set_invalid(b, reason);
    *ret_backend = b;
    return code;
}

/* Equal name and equal policies: the same backend. */
static struct agw_str variant_key(struct agw_compile *c, const struct named *n, const struct agw_specs *s)
{
    const void *ids[AGW_POLICY_COUNT + 1];
    for (unsigned kind = 0; kind < AGW_POLICY_COUNT; kind++)
        ids[kind] = s->v[kind].message;
    ids[AGW_POLICY_COUNT] = s->refuse;
    struct agw_str parts[] = {n->key, agw_str((const char *)ids, sizeof(ids))};
    return agw_arena_join(&c->scratch, parts, AGW_ARRAY_LEN(parts));
}

int agw_compile_reference(struct agw_compile *c, const Pb__BackendReference *ref,
                          const struct agw_backend_levels *levels, const struct agw_backend **ret_backend)
{
    struct named n;
    int code = resolve(c, ref, &n);
    if (code)
        return code;
    if (n.missing)
        return agw_compile_invalid(c, n.key, n.missing, ret_backend);
    struct agw_specs merged;
    merge_levels(c, &n, levels, &merged);
    struct agw_str key = variant_key(c, &n, &merged);
    if (!key.p)
        return AGW_ENOMEM;
    struct agw_backend *b = agw_map_get(&c->variants, key);
    if (!b) {
        code = make_backend(c, &n, &merged, &b);
        if (!code)
            code = agw_map_put(&c->variants, key, b, NULL);
    }
    if (!code)
        *ret_backend = b;
    return code;
}
