#include <stdlib.h>
#include "config/compile/compile_int.h"
#include "mcp/openapi/openapi.h"

bool agw_compile_is_transport(enum agw_policy_kind kind)
{
    return kind == AGW_POLICY_BACKEND_TLS || kind == AGW_POLICY_BACKEND_HTTP ||
           kind == AGW_POLICY_BACKEND_TCP || kind == AGW_POLICY_BACKEND_HEALTH ||
           kind == AGW_POLICY_LOAD_BALANCER || kind == AGW_POLICY_A2A;
}

static void set_invalid(struct agw_backend *b, const char *reason)
{
    b->kind = AGW_BACKEND_INVALID;
    b->reason = reason;
    b->endpoints = NULL;
    b->endpoint_count = 0;
    b->mcp = NULL;
}

int agw_compile_own(struct agw_compile *c, struct agw_specs *own, struct agw_policy_set *ret_set)
{
    struct agw_specs s = *own;
    for (unsigned kind = 0; kind < AGW_POLICY_COUNT; kind++)
        if (agw_compile_is_transport(kind))
            s.v[kind].message = NULL;
    int code = agw_compile_set(c, &s, ret_set);
    own->refuse = s.refuse;
    return code;
}

/* --- policies --- */
/* Policies of the backend itself: aimed at the port before the whole. */
static void add_targeted(struct agw_compile *c, struct agw_specs *s, const struct agw_resource *r,
                         uint32_t port)
{
    if (r->kind == AGW_RESOURCE_SERVICE) {
        const Istio__Service *svc = r->service;
        agw_compile_backend_at(c, s, "service/%s/%s/%u", svc->namespace_, svc->hostname, port);
        agw_compile_backend_at(c, s, "service/%s/%s", svc->namespace_, svc->hostname);
        return;
    }
    const Pb__ResourceName *name = r->backend->name;
    if (name)
        agw_compile_backend_at(c, s, "backend/%s/%s", name->namespace_, name->name);
}

static int merge_levels(struct agw_compile *c, const struct agw_variant *v, struct agw_resource *r,
                        struct agw_specs *merged)
{
    struct agw_specs own, level;
    agw_variant_specs(v, AGW_LEVEL_OWN, &own);
    *merged = own;
    if (r->kind == AGW_RESOURCE_BACKEND) {
        const Pb__Backend *b = r->backend;
        agw_compile_inline_backend(c, merged, r, b->inline_policies, b->n_inline_policies);
    }
    agw_variant_specs(v, AGW_LEVEL_ROUTE, &level);
    agw_compile_inherit(merged, &level);
    add_targeted(c, merged, r, v->port);
    agw_variant_specs(v, AGW_LEVEL_LISTENER, &level);
    agw_compile_inherit(merged, &level);
    agw_variant_specs(v, AGW_LEVEL_ROUTE, &level);
    if (merged->v[AGW_POLICY_MIRROR].message && !own.v[AGW_POLICY_MIRROR].message &&
        !level.v[AGW_POLICY_MIRROR].message &&
        agw_compile_warn(c, merged->v[AGW_POLICY_MIRROR].owner,
                         "mirrors are served on routes and on references to backends: no effect here"))
        return AGW_ENOMEM;
    for (unsigned kind = 0; kind < AGW_POLICY_COUNT; kind++)
        if (!agw_compile_is_transport(kind) && own.v[kind].message)
            merged->v[kind].message = NULL; /* the reference runs it */
    return 0;
}

int agw_compile_check_backend_kind(struct agw_compile *c, const struct agw_resource *r)
{
    const Pb__Backend *b = r->backend;
    const ProtobufCFieldDescriptor *field =
        b->kind_case ? protobuf_c_message_descriptor_get_field(b->base.descriptor, b->kind_case) : NULL;
    int code = agw_compile_check_backend(c, r, b->inline_policies, b->n_inline_policies);
    if (!code && !field)
        code = agw_compile_error(c, r, "a backend of a kind unknown to this version");
    else if (!code && b->kind_case != PB__BACKEND__KIND_STATIC && b->kind_case != PB__BACKEND__KIND_MCP &&
             b->kind_case != PB__BACKEND__KIND_DYNAMIC)
        code = agw_compile_warn(c, r, "backends of kind %s are not supported: requests are refused",
                                field->name);
    return code;
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
        if (kind == AGW_POLICY_BACKEND_TLS)
            t->tls_owner = spec->owner;
        int code = ops->transport(spec->message, c->arena, t, &err);
        if (!code && t->warning)
            code = agw_compile_warn(c, spec->owner, "%s", t->warning);
        t->warning = NULL;
        if (code == AGW_ENOMEM)
            return code;
        if (!code)
            continue;
        *ret_reason = agw_arena_printf(c->arena, "%s: %s", spec->owner->id.p, err.text).p;
        /* what refers to something that is not there is no mistake of its own: the rest serves on */
        enum agw_note_level level = code == AGW_ENOTFOUND ? AGW_NOTE_WARNING : AGW_NOTE_ERROR;
        if (!*ret_reason || agw_compile_note(c, level, spec->owner, "%s: requests are refused", err.text))
            return AGW_ENOMEM;
    }
    return 0;
}

/* --- kinds --- */
static const char *const *copy_texts(struct agw_compile *c, const char *first, char *const *v, size_t n)
{
    const char **out = agw_arena_zalloc(c->arena, (n + 2) * sizeof(*out));
    size_t at = 0;
    if (first && out && !(out[at++] = agw_arena_str(c->arena, agw_str_c(first)).p))
        return NULL;
    for (size_t i = 0; out && i < n; i++)
        if (!(out[at++] = agw_arena_str(c->arena, agw_str_c(v[i])).p))
            return NULL;
    return out;
}

static int fill_process(struct agw_compile *c, const Pb__MCPTarget *in, struct agw_mcp_target *out)
{
    const Pb__MCPTarget__Stdio *s = in->stdio;
    struct agw_mcp_stdio *stdio = agw_arena_zalloc(c->arena, sizeof(*stdio));
    if (!stdio)
        return AGW_ENOMEM;
    stdio->argv = copy_texts(c, s->cmd, s->args, s->n_args);
    stdio->env = copy_texts(c, NULL, s->env, s->n_env);
    stdio->clear_env = s->clear_env;
    out->protocol = AGW_MCP_STDIO;
    out->stdio = stdio;
    out->name = agw_arena_str(c->arena, agw_str_c(in->name));
    return stdio->argv && stdio->env && out->name.p ? 0 : AGW_ENOMEM;
}

static const struct agw_backend_auth *auth_of(const struct agw_policy_set *policies)
{
    for (uint32_t i = 0; i < policies->count; i++)
        if (policies->v[i].ops->kind == AGW_POLICY_BACKEND_AUTH)
            return policies->v[i].conf;
    return NULL;
}

/* Where a document is no good: the others serve on under the names that they have. */
static const struct agw_openapi no_tools = {
    .description = {"Its OpenAPI document is refused: the gateway's log says why.", 60}};

static int fill_openapi(struct agw_compile *c, const struct agw_resource *owner, const Pb__MCPTarget *in,
                        struct agw_mcp_target *out)
{
    struct agw_error err = {0};
    int code = agw_openapi_load(agw_str_c(in->openapi->document), c->arena, &out->openapi, &err);
    if (code == AGW_ENOMEM)
        return code;
    if (code)
        out->openapi = &no_tools;
    if (code)
        return agw_compile_error(c, owner, "target %s: openapi.document: %s: its tools are not served",
                                 in->name, err.text);
    if (out->openapi->left_out)
        return agw_compile_warn(c, owner,
                                "target %s: openapi.document: %u operations are left out, the first: %.*s",
                                in->name, out->openapi->left_out, AGW_STRF(out->openapi->reason));
    return 0;
}

/* |v| gets one more child. */
static int fill_target(struct agw_compile *c, struct agw_variant *v, const struct agw_resource *owner,
                       const Pb__MCPTarget *in, struct agw_mcp_target *out)
{
    static const struct agw_specs none;
    struct agw_specs section = {0};
    const Pb__ResourceName *name = owner->backend->name;
    if (name)
        agw_compile_backend_at(c, &section, "backend/%s/%s/%s", name->namespace_, name->name, in->name);
    struct agw_backend_levels levels = {&none, &section, &none};
    struct agw_variant *child;
    int code = agw_variant_get(c, in->backend, &levels, &child);
    if (code)
        return code;
    v->children[v->child_count++] = child;
    child->is_target = true;
    code = agw_variant_backend(c, child, &out->backend);
    if (!code)
        code = agw_unit_hold(c, out->backend);
    if (code)
        return code;
    v->cold |= child->cold;
    out->auth = auth_of(&out->backend->policies);
    bool sse = in->protocol == PB__MCPTARGET__PROTOCOL__SSE;
    if (in->openapi && (code = fill_openapi(c, owner, in, out)))
        return code;
    out->protocol = in->openapi ? AGW_MCP_OPENAPI : sse ? AGW_MCP_SSE : AGW_MCP_STREAMABLE_HTTP;
    out->name = agw_arena_str(c->arena, agw_str_c(in->name));
    out->path = !*in->path ? (sse ? AGW_STR("/sse") : AGW_STR("/mcp"))
                           : agw_arena_printf(c->arena, "%s%s", *in->path == '/' ? "" : "/", in->path);
    return out->name.p && out->path.p ? 0 : AGW_ENOMEM;
}

static bool is_mcp(struct agw_compile *c, const Pb__BackendReference *ref)
{
    const struct agw_resource *r = NULL;
    if (ref && ref->kind_case == PB__BACKEND_REFERENCE__KIND_BACKEND)
        r = agw_compile_find(c, AGW_RESOURCE_BACKEND, agw_str_c(ref->backend));
    return r && r->arm == PB__BACKEND__KIND_MCP;
}

static enum agw_mcp_prefix prefix_mode(Pb__MCPBackend__PrefixMode mode)
{
    return mode == PB__MCPBACKEND__PREFIX_MODE__ALWAYS  ? AGW_MCP_PREFIX_ALWAYS
           : mode == PB__MCPBACKEND__PREFIX_MODE__NEVER ? AGW_MCP_PREFIX_NEVER
                                                        : AGW_MCP_PREFIX_CONDITIONAL;
}

static int fill_targets(struct agw_compile *c, struct agw_variant *v, const struct agw_resource *r,
                        struct agw_mcp_backend *mcp, const char **ret_reason)
{
    const Pb__MCPBackend *in = r->backend->mcp;
    if (in->n_targets && !(v->children = calloc(in->n_targets, sizeof(*v->children))))
        return AGW_ENOMEM;
    for (size_t i = 0; i < in->n_targets; i++) {
        if (is_mcp(c, in->targets[i]->backend)) {
            *ret_reason = "an MCP target must be a server, not an MCP backend";
            return agw_compile_error(c, r, "target %s: %s", in->targets[i]->name, *ret_reason);
        }
        if (in->targets[i]->stdio && !c->compiler->local) {
            *ret_reason = "stdio starts a process: only a file on the gateway's own machine may say so";
            return agw_compile_error(c, r, "target %s: %s", in->targets[i]->name, *ret_reason);
        }
        struct agw_mcp_target *target = &mcp->targets[mcp->count++];
        int code = in->targets[i]->stdio ? fill_process(c, in->targets[i], target)
                                         : fill_target(c, v, r, in->targets[i], target);
        if (code)
            return code;
        if (target->openapi == &no_tools && in->n_targets == 1)
            *ret_reason = "the OpenAPI document of its target is refused";
    }
    return 0;
}

static int fill_origins(struct agw_compile *c, const struct agw_resource *r, struct agw_mcp_backend *mcp,
                        const char **ret_reason)
{
    const Pb__MCPBackend *in = r->backend->mcp;
    struct agw_origin_pattern *v = agw_arena_zalloc(c->arena, in->n_allowed_origins * sizeof(*v));
    if (!v)
        return AGW_ENOMEM;
    for (size_t i = 0; i < in->n_allowed_origins; i++) {
        int code = agw_origin_pattern_parse(agw_str_c(in->allowed_origins[i]), c->arena, &v[i]);
        if (code == AGW_EINVAL) {
            *ret_reason = "allowed_origins has what is no origin";
            return agw_compile_error(c, r, "allowed_origins: \"%.100s\" is no origin",
                                     in->allowed_origins[i]);
        }
        if (code)
            return code;
    }
    mcp->origins = v;
    mcp->origin_count = (uint32_t)in->n_allowed_origins;
    return 0;
}

static int target_of(const struct agw_mcp_backend *mcp, const char *name)
{
    for (uint32_t i = 0; i < mcp->count; i++)
        if (agw_str_eq(mcp->targets[i].name, agw_str_c(name)))
            return (int)i;
    return -1;
}

static const char *rule_fault(const Pb__MCPBackend *in, size_t at)
{
    const Pb__MCPBackend__ToolRule *rule = in->tools[at];
    if (!*rule->name == !*rule->pattern)
        return "needs exactly one of name and pattern";
    if (!*rule->name && (*rule->rename || *rule->title || *rule->description))
        return "rename, title and description are of one tool: they need name";
    for (size_t i = 0; i < at; i++) {
        if (*rule->rename && !strcmp(in->tools[i]->rename, rule->rename))
            return "rename is the name of another tool";
        if (*rule->name && !strcmp(in->tools[i]->target, rule->target) &&
            !strcmp(in->tools[i]->name, rule->name))
            return "its tool has a rule already";
    }
    return NULL;
}

/* A rule whose target is not there matches nothing: targets that a selector finds come and go. */
static int fill_rules(struct agw_compile *c, const struct agw_resource *r, struct agw_mcp_backend *mcp,
                      const char **ret_reason)
{
    const Pb__MCPBackend *in = r->backend->mcp;
    struct agw_mcp_tool_rule *v = agw_arena_zalloc(c->arena, in->n_tools * sizeof(*v));
    if (in->n_tools > AGW_MCP_TOOL_RULES_MAX) {
        *ret_reason = "an MCP backend has too many tools";
        return agw_compile_error(c, r, "tools: %zu of them, at most %d are served", in->n_tools,
                                 AGW_MCP_TOOL_RULES_MAX);
    }
    for (size_t i = 0; v && i < in->n_tools; i++) {
        const Pb__MCPBackend__ToolRule *from = in->tools[i];
        const char *fault = rule_fault(in, i);
        if (fault) {
            *ret_reason = "a rule of its tools is refused";
            return agw_compile_error(c, r, "tools[%zu]: %s", i, fault);
        }
        int target = target_of(mcp, from->target);
        v[i] = (struct agw_mcp_tool_rule){target < 0 ? UINT32_MAX : (uint32_t)target,
                                          agw_arena_str(c->arena, agw_str_c(from->name)),
                                          agw_arena_str(c->arena, agw_str_c(from->pattern)),
                                          agw_arena_str(c->arena, agw_str_c(from->rename)),
                                          agw_arena_str(c->arena, agw_str_c(from->title)),
                                          agw_arena_str(c->arena, agw_str_c(from->description))};
        if (!v[i].name.p || !v[i].pattern.p || !v[i].rename.p || !v[i].title.p || !v[i].description.p)
            return AGW_ENOMEM;
    }
    mcp->rules = v;
    mcp->rule_count = (uint32_t)in->n_tools;
    return v ? 0 : AGW_ENOMEM;
}

static int fill_search(struct agw_compile *c, const struct agw_resource *r, struct agw_mcp_backend *mcp,
                       const char **ret_reason)
{
    const Pb__MCPBackend__ToolSearch *in = r->backend->mcp->tool_search;
    if (!in)
        return 0;
    if (in->n_pinned > AGW_MCP_PINNED_MAX || in->max_results > AGW_MCP_SEARCH_RESULTS_MAX) {
        *ret_reason = "its search of tools is refused";
        return agw_compile_error(c, r, "tool_search: at most %d pinned and %d max_results are served",
                                 AGW_MCP_PINNED_MAX, AGW_MCP_SEARCH_RESULTS_MAX);
    }
    struct agw_mcp_tool_search *search = agw_arena_zalloc(c->arena, sizeof(*search));
    struct agw_str *pinned = agw_arena_zalloc(c->arena, in->n_pinned * sizeof(*pinned));
    if (!search || !pinned)
        return AGW_ENOMEM;
    for (size_t i = 0; i < in->n_pinned; i++)
        if (!(pinned[i] = agw_arena_str(c->arena, agw_str_c(in->pinned[i]))).p)
            return AGW_ENOMEM;
    search->pinned = pinned;
    search->pinned_count = (uint32_t)in->n_pinned;
    search->max_results = in->max_results ? in->max_results : AGW_MCP_SEARCH_RESULTS;
    mcp->search = search;
    return 0;
}

static int fill_mcp(struct agw_compile *c, struct agw_variant *v, struct agw_backend *b,
                    const struct agw_resource *r, const char **ret_reason)
{
    const Pb__MCPBackend *in = r->backend->mcp;
    struct agw_mcp_backend *mcp = agw_arena_zalloc(c->arena, sizeof(*mcp));
    v->is_mcp = true;
    if (in->n_targets > AGW_MCP_TARGETS_MAX) {
        *ret_reason = "an MCP backend has too many targets";
        return agw_compile_error(c, r, "targets: %zu of them, at most %d are served", in->n_targets,
                                 AGW_MCP_TARGETS_MAX);
    }
    if (!mcp || !(mcp->targets = agw_arena_zalloc(c->arena, in->n_targets * sizeof(*mcp->targets))))
        return AGW_ENOMEM;
    int code = fill_targets(c, v, r, mcp, ret_reason);
    if (!code)
        code = fill_origins(c, r, mcp, ret_reason);
    if (!code)
        code = fill_rules(c, r, mcp, ret_reason);
    if (!code)
        code = fill_search(c, r, mcp, ret_reason);
    if (code)
        return code;
    mcp->stateless = in->stateful_mode == PB__MCPBACKEND__STATEFUL_MODE__STATELESS;
    mcp->fail_open = in->failure_mode == PB__MCPBACKEND__FAILURE_MODE__FAIL_OPEN;
    mcp->prefix = prefix_mode(in->prefix_mode);
    b->kind = AGW_BACKEND_MCP;
    b->mcp = mcp;
    return 0;
}

static int fill_kind(struct agw_compile *c, struct agw_variant *v, struct agw_backend *b,
                     const struct agw_resource *r, struct agw_transport *t, const char **ret_reason)
{
    if (r->kind == AGW_RESOURCE_SERVICE) {
        b->kind = AGW_BACKEND_SERVICE;
        int code = agw_compile_service_endpoints(c, b, r, v->port, t, ret_reason);
        v->cold = b->endpoint_count == 0;
        return code;
    }
    switch (r->backend->kind_case) {
    case PB__BACKEND__KIND_STATIC:
        b->kind = AGW_BACKEND_STATIC;
        return agw_compile_static_endpoint(c, b, r, t, ret_reason);
    case PB__BACKEND__KIND_DYNAMIC:
        b->kind = AGW_BACKEND_DYNAMIC;
        return agw_compile_dynamic_endpoint(c, b, t, ret_reason);
    case PB__BACKEND__KIND_MCP:
        return fill_mcp(c, v, b, r, ret_reason);
    default:
        *ret_reason = "backends of this kind are not supported";
        return 0;
    }
}

static int name_backend(struct agw_compile *c, const struct agw_variant *v, const struct agw_resource *r,
                        struct agw_backend *b)
{
    if (r->kind == AGW_RESOURCE_SERVICE) {
        b->key = agw_arena_printf(c->arena, "service/%.*s:%u", AGW_STRF(r->key), v->port);
        b->name = agw_arena_printf(c->arena, "%s:%u", r->service->hostname, v->port);
    } else {
        const Pb__ResourceName *name = r->backend->name;
        b->key = agw_arena_str(c->arena, r->key);
        b->name = name && !r->is_named_key ? agw_arena_printf(c->arena, "%s/%s", name->namespace_, name->name)
                                           : b->key;
    }
    return b->key.p && b->name.p ? 0 : AGW_ENOMEM;
}

/* A backend known by name is sent its own name, unless a policy on the way decides about Host. */
static void add_auto_host(struct agw_compile *c, const struct agw_backend *b, struct agw_resource *owner,
                          struct agw_specs *s)
{
    static const Pb__TrafficPolicySpec__HostRewrite auto_host = {
        .base = PROTOBUF_C_MESSAGE_INIT(&pb__traffic_policy_spec__host_rewrite__descriptor),
        .mode = PB__TRAFFIC_POLICY_SPEC__HOST_REWRITE__MODE__AUTO};
    if (b->auto_host.n && c->compiler->policies[AGW_POLICY_HOST_REWRITE])
        s->v[AGW_POLICY_HOST_REWRITE] = (struct agw_spec){&auto_host, owner, false};
}

/* What of |t| is about choosing endpoints. */
static int keep_balancing(struct agw_compile *c, const struct agw_transport *t, struct agw_backend *b)
{
    if (t->evict && !(b->eviction = agw_arena_copy(c->arena, &t->eviction, sizeof(t->eviction))))
        return AGW_ENOMEM;
    if (t->check && !(b->check = agw_arena_copy(c->arena, t->check, sizeof(*t->check))))
        return AGW_ENOMEM;
    if (t->balance && !(b->balancer = agw_arena_copy(c->arena, &t->balancer, sizeof(t->balancer))))
        return AGW_ENOMEM;
    return 0;
}

static int fill(struct agw_compile *c, struct agw_variant *v, struct agw_resource *r, struct agw_backend *b)
{
    struct agw_transport t = {.raw = v->raw};
    struct agw_specs s;
    const char *reason = NULL;
    int code = r->packed ? 0 : agw_unit_hold(c, r);
    if (!code)
        code = name_backend(c, v, r, b);
    if (code)
        return code;
    code = merge_levels(c, v, r, &s);
    if (!code)
        code = gather_transport(c, &s, &t, &reason);
    b->is_a2a = t.a2a;
    if (!code)
        code = keep_balancing(c, &t, b);
    if (!code && !reason)
        code = fill_kind(c, v, b, r, &t, &reason);
    if (!code) {
        add_auto_host(c, b, r, &s);
        code = agw_compile_set(c, &s, &b->policies);
    }
    if (!reason)
        reason = s.refuse;
    if (reason && !code) {
        struct agw_str own = agw_arena_str(c->arena, agw_str_c(reason)); /* it may be a level's */
        set_invalid(b, own.p);
        v->cold = false; /* waiting would not help */
        code = own.p ? 0 : AGW_ENOMEM;
    }
    return code;
}

/* What the variant names is not there, or it names nothing. */
static int fill_missing(struct agw_compile *c, struct agw_variant *v, struct agw_backend *b)
{
    struct agw_str reason;
    if (v->source) {
        bool service = agw_str_starts(v->source->id, AGW_STR("service/"));
        reason = agw_arena_printf(c->arena, "%s %.*s does not exist", service ? "service" : "backend",
                                  AGW_STRF(agw_str_from(v->source->id, 8)));
        v->cold = true;
    } else {
        reason = agw_arena_str(c->arena, agw_str_c(v->reason));
    }
    b->key = b->name = agw_arena_str(c->arena, v->key);
    set_invalid(b, reason.p);
    return reason.p && b->key.p ? 0 : AGW_ENOMEM;
}

int agw_compile_backend(struct agw_compile *c, struct agw_variant *v, struct agw_backend **ret_backend)
{
    struct agw_unit_build build;
    struct agw_backend *b = agw_unit_begin(c, sizeof(*b), AGW_ROOM_BACKEND, &build);
    if (!b)
        return AGW_ENOMEM;
    struct agw_resource *r = v->source ? agw_store_get(c->store, v->source->id) : NULL;
    b->id = v->id;
    b->serial = ++c->compiler->serials;
    v->cold = false;
    int code = r ? agw_resource_open(r) : fill_missing(c, v, b);
    if (r && !code) {
        code = fill(c, v, r, b);
        agw_resource_close(r);
    }
    agw_unit_end(c, &build);
    if (code)
        agw_shared_unref(b);
    else
        *ret_backend = b;
    return code;
}
