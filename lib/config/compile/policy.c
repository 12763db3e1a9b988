#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "config/compile/compile_int.h"

/* Longest target text; longer ones match nothing that exists. */
#define TARGET_MAX 1024

struct policy_item { /* in order of keys */
    struct policy_item *next;
    struct agw_resource *resource;
};

struct target {
    struct policy_item *first;
    struct agw_str text; /* behind the struct */
};

/* One policy compiled once, however many routes it reaches. The units that use it hold it. */
struct shared_conf {
    struct agw_shared shared;
    struct {
        const void *message;
        uintptr_t kind;
    } key;
    struct agw_resource *owner; /* held, so that |key.message| stays its own */
    const void *conf;
    const char *failed;
};

/* A backend that a policy refers to, for as long as a unit holds this: units are freed when no snapshot has
 * them, which may be after the compiler has begun anew. */
struct policy_ref {
    struct agw_shared shared;
    struct policy_ref *next;
    struct agw_variant *variant;
};

/* What a message of the oneof is to us. |guard|: leaving it out would let requests through that it should
 * stop. |ours|: the compiler itself reads it, no policy runs. */
struct kind_info {
    enum agw_policy_kind kind;
    bool known, guard, ours;
};

#define KIND(name) .known = true, .kind = AGW_POLICY_##name
#define TRAFFIC(arm) [PB__TRAFFIC_POLICY_SPEC__KIND_##arm]
#define BACKEND(arm) [PB__BACKEND_POLICY_SPEC__KIND_##arm]

static const struct kind_info traffic_kinds[] = {
    TRAFFIC(TIMEOUT) = {KIND(TIMEOUT)},
    TRAFFIC(EXT_AUTHZ) = {.guard = true},
    TRAFFIC(AUTHORIZATION) = {.guard = true},
    TRAFFIC(JWT) = {KIND(JWT), .guard = true},
    TRAFFIC(EXT_PROC) = {.guard = true},
    TRAFFIC(CSRF) = {.guard = true},
    TRAFFIC(REQUEST_HEADER_MODIFIER) = {KIND(REQUEST_HEADERS)},
    TRAFFIC(RESPONSE_HEADER_MODIFIER) = {KIND(RESPONSE_HEADERS)},
    TRAFFIC(REQUEST_REDIRECT) = {KIND(REDIRECT)},
    TRAFFIC(URL_REWRITE) = {KIND(URL_REWRITE)},
    TRAFFIC(DIRECT_RESPONSE) = {KIND(DIRECT_RESPONSE)},
    TRAFFIC(RETRY) = {KIND(RETRY)},
    TRAFFIC(REQUEST_MIRROR) = {KIND(MIRROR)},
    TRAFFIC(CORS) = {KIND(CORS)},
    TRAFFIC(BASIC_AUTH) = {.guard = true},
    TRAFFIC(API_KEY_AUTH) = {.guard = true},
    TRAFFIC(HOST_REWRITE) = {KIND(HOST_REWRITE)},
    TRAFFIC(DELAY) = {KIND(DELAY)},
};

/* Of our own, at numbers far from the wire's. */
#define OWN_FIRST 15001
static const struct kind_info own_traffic_kinds[] = {
    [PB__TRAFFIC_POLICY_SPEC__KIND_SESSION_PERSISTENCE - OWN_FIRST] = {KIND(SESSION_PERSISTENCE)},
};
static const struct kind_info own_backend_kinds[] = {
    [PB__BACKEND_POLICY_SPEC__KIND_LOAD_BALANCER - OWN_FIRST] = {KIND(LOAD_BALANCER)},
};

static const struct kind_info backend_kinds[] = {
    BACKEND(A2A) = {KIND(A2A)},
    BACKEND(BACKEND_TLS) = {KIND(BACKEND_TLS)},
    BACKEND(AUTH) = {KIND(BACKEND_AUTH), .guard = true},
    BACKEND(MCP_AUTHORIZATION) = {KIND(MCP_AUTHORIZATION), .guard = true},
    BACKEND(MCP_AUTHENTICATION) = {KIND(MCP_AUTHENTICATION), .guard = true},
    BACKEND(REQUEST_HEADER_MODIFIER) = {KIND(BACKEND_REQUEST_HEADERS)},
    BACKEND(RESPONSE_HEADER_MODIFIER) = {KIND(BACKEND_RESPONSE_HEADERS)},
    BACKEND(REQUEST_REDIRECT) = {KIND(REDIRECT)},
    BACKEND(REQUEST_MIRROR) = {KIND(MIRROR)},
    BACKEND(BACKEND_HTTP) = {KIND(BACKEND_HTTP)},
    BACKEND(BACKEND_TCP) = {KIND(BACKEND_TCP)},
    BACKEND(HEALTH) = {KIND(BACKEND_HEALTH)},
    BACKEND(BACKEND_TUNNEL) = {.guard = true},
    BACKEND(EXT_AUTHZ) = {.guard = true},
    BACKEND(MCP_GUARDRAILS) = {.guard = true},
};

static const char *policy_name(enum agw_policy_kind kind)
{
    static const char *const names[] = {
#define X(name, text) text,
        AGW_POLICY_LIST(X)
#undef X
    };
    return names[kind];
}

/* One policy of either family, looked at the same way. */
struct view {
    const struct kind_info *info; /* NULL: the message has no kind we know of */
    const void *message;
    const char *name;
};

struct kinds {
    const ProtobufCMessageDescriptor *type;
    const struct kind_info *wire, *own;
    size_t wire_n, own_n;
};

static struct view view_of(const struct kinds *k, unsigned number, const void *message)
{
    static const struct kind_info unsupported;
    if (number == 0 || !message)
        return (struct view){NULL, NULL, "?"};
    const struct kind_info *info = &unsupported;
    if (number < k->wire_n)
        info = &k->wire[number];
    else if (number >= OWN_FIRST && number - OWN_FIRST < k->own_n)
        info = &k->own[number - OWN_FIRST];
    return (struct view){info, message, protobuf_c_message_descriptor_get_field(k->type, number)->name};
}

#define KINDS(type, wire, own)                                                                               \
    {                                                                                                        \
        &(type), wire, own, AGW_ARRAY_LEN(wire), AGW_ARRAY_LEN(own)                                          \
    }

static struct view traffic_view(const Pb__TrafficPolicySpec *spec)
{
    static const struct kinds kinds =
        KINDS(pb__traffic_policy_spec__descriptor, traffic_kinds, own_traffic_kinds);
    struct view v = view_of(&kinds, spec->kind_case, spec->timeout);
    static const struct kind_info early = {.guard = true};
    if (v.info && spec->phase != PB__TRAFFIC_POLICY_SPEC__POLICY_PHASE__ROUTE)
        v.info = &early; /* none of ours runs before the route is chosen */
    return v;
}

static struct view backend_view(const Pb__BackendPolicySpec *spec)
{
    static const struct kinds kinds =
        KINDS(pb__backend_policy_spec__descriptor, backend_kinds, own_backend_kinds);
    return view_of(&kinds, spec->kind_case, spec->a2a);
}

static bool supported(const struct agw_compile *c, const struct view *v)
{
    return v->info && (v->info->ours || (v->info->known && c->compiler->policies[v->info->kind]));
}

static bool must_refuse(const struct agw_compile *c, const struct view *v)
{
    return !v->info || (!supported(c, v) && v->info->guard);
}

/* Says once what is wrong with a policy that will not run. */
static int note_unsupported(struct agw_compile *c, const struct agw_resource *owner, const struct view *v)
{
    if (!v->info)
        return agw_compile_warn(c, owner, "a policy of a kind unknown to this version: requests are refused");
    if (supported(c, v))
        return 0;
    if (v->info->guard)
        return agw_compile_warn(c, owner, "policy %s is not supported: requests are refused", v->name);
    return agw_compile_warn(c, owner, "policy %s is not supported and has no effect", v->name);
}

static const char *refusal(struct agw_compile *c, const struct agw_resource *owner, const struct view *v)
{
    const char *text = agw_arena_printf(c->arena, "policy %s of %s is not supported", v->name, owner->id.p).p;
    return text ? text : "a policy is not supported";
}

/* --- targets --- */
static struct agw_str gateway_text(struct agw_arena *a, const Pb__PolicyTarget__GatewayTarget *g)
{
    if (g->listener && *g->listener)
        return agw_arena_printf(a, "gateway/%s/%s/listener/%s", g->namespace_, g->name, g->listener);
    if (g->_port_case)
        return agw_arena_printf(a, "gateway/%s/%s/port/%u", g->namespace_, g->name, g->port);
    return agw_arena_printf(a, "gateway/%s/%s", g->namespace_, g->name);
}

static struct agw_str service_text(struct agw_arena *a, const Pb__PolicyTarget__ServiceTarget *s)
{
    if (s->_port_case)
        return agw_arena_printf(a, "service/%s/%s/%u", s->namespace_, s->hostname, s->port);
    return agw_arena_printf(a, "service/%s/%s", s->namespace_, s->hostname);
}

/* "|kind|/ns/name", with "/|section|" where there is one. */
static struct agw_str section_text(struct agw_arena *a, const char *kind, const char *ns, const char *name,
                                   const char *section)
{
    bool has = section && *section;
    return agw_arena_printf(a, "%s/%s/%s%s%s", kind, ns, name, has ? "/" : "", has ? section : "");
}

static struct agw_str route_text(struct agw_arena *a, const Pb__PolicyTarget__RouteTarget *r)
{
    struct agw_str kind = agw_arena_printf(a, "route/%s", *r->kind ? r->kind : "HTTPRoute");
    return kind.p ? section_text(a, kind.p, r->namespace_, r->name, r->route_rule) : kind;
}

/* The target as text; empty for one of a kind that this version does not know. */
static struct agw_str target_text(struct agw_compile *c, const Pb__PolicyTarget *t)
{
    struct agw_arena *a = &c->scratch;
    if (!t->gateway) /* any of the union */
        return AGW_STR("");
    switch (t->kind_case) {
    case PB__POLICY_TARGET__KIND_GATEWAY:
        return gateway_text(a, t->gateway);
    case PB__POLICY_TARGET__KIND_LISTENER_SET:
        return section_text(a, "listener_set", t->listener_set->namespace_, t->listener_set->name,
                            t->listener_set->section);
    case PB__POLICY_TARGET__KIND_ROUTE:
        return route_text(a, t->route);
    case PB__POLICY_TARGET__KIND_SERVICE:
        return service_text(a, t->service);
    case PB__POLICY_TARGET__KIND_BACKEND:
        return section_text(a, "backend", t->backend->namespace_, t->backend->name, t->backend->section);
    default:
        return AGW_STR("");
    }
}

static struct target *target_new(struct agw_compiler *c, struct agw_str text)
{
    struct target *t = malloc(sizeof(*t) + text.n);
    if (!t)
        return NULL;
    memcpy(t + 1, text.p, text.n);
    *t = (struct target){NULL, agw_str((const char *)(t + 1), text.n)};
    if (agw_map_put(&c->targets, t->text, t, NULL)) {
        free(t);
        return NULL;
    }
    return t;
}

static int file_policy(struct agw_compile *c, struct agw_resource *r, struct agw_str text)
{
    struct target *t = agw_map_get(&c->compiler->targets, text);
    struct policy_item *item = malloc(sizeof(*item));
    if (!t)
        t = target_new(c->compiler, text);
    if (!item || !t) {
        free(item);
        return AGW_ENOMEM;
    }
    struct policy_item **at = &t->first;
    while (*at && agw_str_cmp((*at)->resource->key, r->key) < 0)
        at = &(*at)->next;
    *item = (struct policy_item){*at, agw_resource_ref(r)};
    *at = item;
    return 0;
}

static void target_free(struct target *t)
{
    for (struct policy_item *item; (item = t->first);) {
        t->first = item->next;
        agw_resource_unref(item->resource);
        free(item);
    }
    free(t);
}

static void unfile_policy(struct agw_compile *c, struct agw_resource *r, struct agw_str text)
{
    struct target *t = agw_map_get(&c->compiler->targets, text);
    struct policy_item **at = t ? &t->first : NULL;
    while (at && *at && (*at)->resource != r)
        at = &(*at)->next;
    if (!at || !*at)
        return;
    struct policy_item *item = *at;
    *at = item->next;
    agw_resource_unref(item->resource);
    free(item);
    if (!t->first) {
        agw_map_take(&c->compiler->targets, t->text);
        target_free(t);
    }
}

void agw_compile_policies_free(struct agw_compiler *c)
{
    struct agw_map_slot *slot;
    for (uint32_t cursor = 0; (slot = agw_map_next(&c->targets, &cursor));)
        target_free(slot->value);
    agw_map_free(&c->targets);
}

/* The target without what is behind the named object: see agw_compile_touched. */
static struct agw_str object_of(struct agw_str text)
{
    unsigned parts = agw_str_starts(text, AGW_STR("route/")) ? 4 : 3;
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] == '/' && --parts == 0)
            return agw_str(text.p, i);
    return text;
}

static int touch(struct agw_compile *c, struct agw_str text)
{
    struct agw_str object = object_of(text);
    c->gateways_touched |=
        agw_str_starts(text, AGW_STR("gateway/")) || agw_str_starts(text, AGW_STR("listener_set/"));
    return agw_map_put(&c->touched, object, c, NULL); /* |text| lives in the scratch arena */
}

bool agw_compile_touched(const struct agw_compile *c, struct agw_str target)
{
    return agw_map_get(&c->touched, target) != NULL;
}

/* The first guard among the alternatives stands for the whole. */
static struct view conditional_view(const Pb__ConditionalPolicies *p)
{
    static const struct kind_info plain;
    for (size_t i = 0; i < p->n_policies; i++) {
        const Pb__ConditionalPolicy *one = p->policies[i];
        if (one->kind_case != PB__CONDITIONAL_POLICY__KIND_TRAFFIC || !one->traffic)
            continue;
        struct view v = traffic_view(one->traffic);
        if (v.info && v.info->guard)
            return (struct view){v.info, p, "conditional"};
    }
    return (struct view){&plain, p, "conditional"};
}

static struct view frontend_view(const Pb__FrontendPolicySpec *f)
{
    static const struct kinds kinds = {.type = &pb__frontend_policy_spec__descriptor};
    struct view v = view_of(&kinds, f->kind_case, f->tcp);
    static const struct kind_info guard = {.guard = true}, ours = {.ours = true};
    switch (f->kind_case) {
    case PB__FRONTEND_POLICY_SPEC__KIND_NETWORK_AUTHORIZATION:
        v.info = &guard;
        break;
    case PB__FRONTEND_POLICY_SPEC__KIND_TCP:
    case PB__FRONTEND_POLICY_SPEC__KIND_TLS:
    case PB__FRONTEND_POLICY_SPEC__KIND_HTTP:
    case PB__FRONTEND_POLICY_SPEC__KIND_PROXY_PROTOCOL:
        v.info = &ours;
        break;
    default:
        break;
    }
    return v;
}

static struct view policy_view(const Pb__Policy *p)
{
    if (p->kind_case == PB__POLICY__KIND_TRAFFIC && p->traffic)
        return traffic_view(p->traffic);
    if (p->kind_case == PB__POLICY__KIND_BACKEND && p->backend)
        return backend_view(p->backend);
    if (p->kind_case == PB__POLICY__KIND_FRONTEND && p->frontend)
        return frontend_view(p->frontend);
    if (p->kind_case == PB__POLICY__KIND_CONDITIONAL && p->conditional)
        return conditional_view(p->conditional);
    return (struct view){NULL, NULL, "?"};
}

/* Empty text: a target that this version does not know. */
static int target_of(struct agw_compile *c, const struct agw_resource *r, struct agw_str *ret_text)
{
    *ret_text = r->policy->target ? target_text(c, r->policy->target) : AGW_STR("");
    return ret_text->p ? 0 : AGW_ENOMEM;
}

static int policy_came(struct agw_compile *c, struct agw_resource *r)
{
    struct view v = policy_view(r->policy);
    struct agw_str text;
    int code = note_unsupported(c, r, &v);
    if (!code)
        code = target_of(c, r, &text);
    if (code)
        return code;
    if (text.n == 0)
        return agw_compile_error(c, r, "the policy has no target that this version knows");
    code = file_policy(c, r, text);
    return code ? code : touch(c, text);
}

static int policy_went(struct agw_compile *c, struct agw_resource *r)
{
    struct agw_str text;
    int code = target_of(c, r, &text);
    if (code || text.n == 0)
        return code;
    unfile_policy(c, r, text);
    return touch(c, text);
}

int agw_compile_policy_changed(struct agw_compile *c, struct agw_resource *was, struct agw_resource *now)
{
    int code = was ? policy_went(c, was) : 0;
    return !code && now ? policy_came(c, now) : code;
}

static struct target *find_target(struct agw_compile *c, const char *format, va_list args)
{
    char text[TARGET_MAX];
    if (c->compiler->targets.count == 0)
        return NULL;
    int n = vsnprintf(text, sizeof(text), format, args);
    return n > 0 && n < TARGET_MAX ? agw_map_get(&c->compiler->targets, agw_str(text, (size_t)n)) : NULL;
}

/* --- merging --- */
static void traffic_set(struct agw_compile *c, struct agw_specs *s, struct agw_resource *owner,
                        const struct view *v, bool lock)
{
    if (must_refuse(c, v)) {
        s->refuse = refusal(c, owner, v);
        return;
    }
    if (!supported(c, v) || v->info->ours)
        return;
    struct agw_spec *spec = &s->v[v->info->kind];
    if (!spec->locked)
        *spec = (struct agw_spec){v->message, owner, lock};
}

static bool adds_up(unsigned kind)
{
    return kind >= AGW_POLICY_MCP_AUTHORIZATION &&
           kind < AGW_POLICY_MCP_AUTHORIZATION + AGW_ACCESS_POLICIES_MAX;
}

/* Where policies add up each takes the next free place; the one for which there is none must not be left out.
 */
static void add_spec(struct agw_specs *s, const struct agw_spec *spec)
{
    unsigned kind = AGW_POLICY_MCP_AUTHORIZATION;
    while (adds_up(kind) && s->v[kind].message && s->v[kind].message != spec->message)
        kind++;
    if (adds_up(kind))
        s->v[kind] = *spec;
    else
        s->refuse = "more mcpAuthorization policies reach this backend than are served";
}

static void backend_set(struct agw_compile *c, struct agw_specs *s, struct agw_resource *owner,
                        const struct view *v)
{
    if (must_refuse(c, v)) {
        s->refuse = refusal(c, owner, v);
        return;
    }
    if (!supported(c, v))
        return;
    struct agw_spec made = {v->message, owner, false}, *spec = &s->v[v->info->kind];
    if (adds_up(v->info->kind))
        add_spec(s, &made);
    else if (!spec->message)
        *spec = made;
}

void agw_compile_traffic_at(struct agw_compile *c, struct agw_specs *s, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const struct target *t = find_target(c, format, args);
    va_end(args);
    for (const struct policy_item *item = t ? t->first : NULL; item; item = item->next) {
        const Pb__Policy *p = item->resource->policy;
        if (p->kind_case == PB__POLICY__KIND_BACKEND)
            continue;
        struct view v = policy_view(p);
        traffic_set(c, s, item->resource, &v, p->inheritance == PB__POLICY__INHERITANCE__OVERRIDE);
    }
}

void agw_compile_backend_at(struct agw_compile *c, struct agw_specs *s, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const struct target *t = find_target(c, format, args);
    va_end(args);
    for (const struct policy_item *item = t ? t->first : NULL; item; item = item->next) {
        const Pb__Policy *p = item->resource->policy;
        if (p->kind_case != PB__POLICY__KIND_BACKEND)
            continue;
        struct view v = policy_view(p);
        backend_set(c, s, item->resource, &v);
    }
}

const Pb__FrontendPolicySpec *agw_compile_frontend_at(struct agw_compile *c, unsigned kind,
                                                      struct agw_resource **ret_owner, const char *format,
                                                      ...)
{
    va_list args;
    va_start(args, format);
    const struct target *t = find_target(c, format, args);
    va_end(args);
    for (const struct policy_item *item = t ? t->first : NULL; item; item = item->next) {
        const Pb__Policy *p = item->resource->policy;
        if (p->kind_case != PB__POLICY__KIND_FRONTEND || !p->frontend || p->frontend->kind_case != kind ||
            !p->frontend->tcp) /* any of the union */
            continue;
        *ret_owner = item->resource;
        return p->frontend;
    }
    return NULL;
}

int agw_compile_check_traffic(struct agw_compile *c, const struct agw_resource *owner,
                              Pb__TrafficPolicySpec *const *specs, size_t count)
{
    int code = 0;
    for (size_t i = 0; !code && i < count; i++) {
        struct view v = traffic_view(specs[i]);
        code = note_unsupported(c, owner, &v);
    }
    return code;
}

int agw_compile_check_backend(struct agw_compile *c, const struct agw_resource *owner,
                              Pb__BackendPolicySpec *const *specs, size_t count)
{
    int code = 0;
    for (size_t i = 0; !code && i < count; i++) {
        struct view v = backend_view(specs[i]);
        code = note_unsupported(c, owner, &v);
    }
    return code;
}

void agw_compile_inline_traffic(struct agw_compile *c, struct agw_specs *s, struct agw_resource *owner,
                                Pb__TrafficPolicySpec *const *specs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct view v = traffic_view(specs[i]);
        traffic_set(c, s, owner, &v, false);
    }
}

void agw_compile_inline_backend(struct agw_compile *c, struct agw_specs *s, struct agw_resource *owner,
                                Pb__BackendPolicySpec *const *specs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct view v = backend_view(specs[i]);
        backend_set(c, s, owner, &v);
    }
}

void agw_compile_inherit(struct agw_specs *s, const struct agw_specs *from)
{
    for (unsigned kind = 0; kind < AGW_POLICY_COUNT; kind++)
        if (adds_up(kind) && from->v[kind].message)
            add_spec(s, &from->v[kind]);
        else if (!s->v[kind].message)
            s->v[kind] = from->v[kind];
    if (!s->refuse)
        s->refuse = from->refuse;
}

bool agw_specs_equal(const struct agw_specs *a, const struct agw_specs *b)
{
    for (unsigned kind = 0; kind < AGW_POLICY_COUNT; kind++)
        if (a->v[kind].message != b->v[kind].message || a->v[kind].locked != b->v[kind].locked)
            return false;
    return a->refuse == b->refuse || (a->refuse && b->refuse && strcmp(a->refuse, b->refuse) == 0);
}

/* --- what policies refer to --- */
static void ref_free(struct agw_shared *s)
{
    free(s);
}

/* Reached as the backend's own policies say. The unit being made holds it. */
static int take_ref(struct agw_compile *c, const Pb__BackendReference *to, uint32_t *ret_id)
{
    static const struct agw_specs none;
    const struct agw_backend_levels levels = {&none, &none, &none};
    struct policy_ref *ref = calloc(1, sizeof(*ref));
    int code = ref ? agw_variant_get(c, to, &levels, &ref->variant) : AGW_ENOMEM;
    if (code) {
        free(ref);
        return code;
    }
    agw_shared_init(&ref->shared, ref_free);
    ref->next = c->compiler->policy_refs;
    c->compiler->policy_refs = ref;
    *ret_id = ref->variant->id;
    return agw_unit_hold(c, ref);
}

static int take_refs(struct agw_compile *c, const struct agw_policy_ops *ops, const void *message,
                     const void *conf)
{
    const Pb__BackendReference *to;
    int code = 0;
    for (uint32_t i = 0, id = 0; !code && ops->reference && (to = ops->reference(message, i)); i++) {
        code = take_ref(c, to, &id);
        if (!code)
            ops->resolved(conf, i, id);
    }
    return code;
}

void agw_compile_policy_refs_sweep(struct agw_compile *c)
{
    struct policy_ref **at = &c->compiler->policy_refs, *ref;
    while ((ref = *at)) {
        if (ref->shared.refs > 1) {
            at = &ref->next;
            continue;
        }
        *at = ref->next;
        agw_variant_put(c, ref->variant);
        agw_shared_unref(ref);
    }
}

void agw_compile_policy_refs_free(struct agw_compiler *c)
{
    for (struct policy_ref *ref; (ref = c->policy_refs);) {
        c->policy_refs = ref->next;
        agw_shared_unref(ref);
    }
}

/* --- compiling --- */
/* Into c->arena. *ret_failed is set when the policy is wrong. */
static int compile_conf(struct agw_compile *c, enum agw_policy_kind kind, const struct agw_spec *spec,
                        const void **ret_conf, const char **ret_failed)
{
    const struct agw_policy_ops *ops = c->compiler->policies[kind];
    struct agw_error err = {0};
    *ret_conf = spec->message;
    int code = ops->compile ? ops->compile(spec->message, c->arena, ret_conf, &err) : 0;
    if (code == 0)
        return take_refs(c, ops, spec->message, *ret_conf);
    if (code == AGW_ENOMEM)
        return code;
    if (agw_compile_error(c, spec->owner, "policy %s: %s", policy_name(kind), err.text))
        return AGW_ENOMEM;
    *ret_failed =
        agw_arena_printf(c->arena, "policy %s of %s is invalid", policy_name(kind), spec->owner->id.p).p;
    return *ret_failed ? 0 : AGW_ENOMEM;
}

static struct agw_str conf_key(const struct shared_conf *s)
{
    return agw_str((const char *)&s->key, sizeof(s->key));
}

static int share_conf(struct agw_compile *c, enum agw_policy_kind kind, const struct agw_spec *spec)
{
    struct agw_unit_build build;
    struct shared_conf *s = agw_unit_begin(c, sizeof(*s), AGW_ROOM_OTHER, &build);
    if (!s)
        return AGW_ENOMEM;
    s->key.message = spec->message;
    s->key.kind = kind;
    s->owner = spec->owner;
    int code = agw_unit_hold(c, spec->owner);
    if (!code)
        code = compile_conf(c, kind, spec, &s->conf, &s->failed);
    agw_unit_end(c, &build);
    c->conf_failed |= s->failed != NULL;
    if (!code)
        code = agw_map_put(&c->compiler->confs, conf_key(s), s, NULL);
    if (code)
        agw_shared_unref(s);
    return code;
}

void agw_compile_confs_sweep(struct agw_compiler *c, bool all)
{
    struct agw_map_slot *slot;
    for (uint32_t cursor = 0; (slot = agw_map_next(&c->confs, &cursor));) {
        struct shared_conf *s = slot->value;
        if (all || s->failed || s->shared.refs == 1) {
            agw_map_take(&c->confs, slot->key);
            agw_shared_unref(s);
        }
    }
    if (all)
        agw_map_free(&c->confs);
}

/* Policies of their own are shared by all that they reach; those inside a resource reach it alone. */
static int find_conf(struct agw_compile *c, enum agw_policy_kind kind, const struct agw_spec *spec,
                     const void **ret_conf, const char **ret_failed)
{
    struct shared_conf probe = {.key = {spec->message, kind}}, *s;
    if (spec->owner->kind != AGW_RESOURCE_POLICY) {
        int code = compile_conf(c, kind, spec, ret_conf, ret_failed);
        return code || c->compiler->policies[kind]->own_conf ? code : agw_unit_hold_open(c, spec->owner);
    }
    if (!agw_map_get(&c->compiler->confs, conf_key(&probe))) {
        int code = share_conf(c, kind, spec);
        if (code)
            return code;
    }
    s = agw_map_get(&c->compiler->confs, conf_key(&probe));
    *ret_conf = s->conf;
    *ret_failed = s->failed;
    return agw_unit_hold(c, s);
}

int agw_compile_set(struct agw_compile *c, struct agw_specs *s, struct agw_policy_set *ret_set)
{
    struct agw_policy_use uses[AGW_POLICY_COUNT];
    uint32_t count = 0;
    for (unsigned kind = 0; kind < AGW_POLICY_COUNT; kind++) {
        const struct agw_policy_ops *ops = c->compiler->policies[kind];
        const void *conf;
        const char *failed = NULL;
        if (!s->v[kind].message)
            continue;
        int code = find_conf(c, kind, &s->v[kind], &conf, &failed);
        if (code)
            return code;
        if (failed)
            s->refuse = failed;
        else if (ops->request || ops->response || ops->last)
            uses[count++] = (struct agw_policy_use){ops, conf};
    }
    struct agw_policy_use *v = NULL;
    if (count && !(v = agw_arena_copy(c->arena, uses, count * sizeof(*uses))))
        return AGW_ENOMEM;
    *ret_set = (struct agw_policy_set){v, count};
    return 0;
}
