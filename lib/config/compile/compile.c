#include "config/compile/compile.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/err.h"
#include "config/compile/compile_int.h"

/* What is shared by content and not used any more is looked for in one run of so many: looking costs as much
 * as there is of it, and a run is to cost what changed. */
#define SWEEP_EVERY 32

void agw_notes_init(struct agw_notes *n)
{
    *n = (struct agw_notes){0};
    agw_arena_init(&n->arena, 1024, 0);
}

void agw_notes_free(struct agw_notes *n)
{
    agw_arena_free(&n->arena);
}

static void init_records(struct agw_compiler *c)
{
    agw_list_init(&c->dirty_listeners);
    agw_list_init(&c->dirty_routes);
    agw_list_init(&c->dirty_variants);
    agw_list_init(&c->mcp_variants);
    agw_list_init(&c->settling);
    agw_pmap_init(&c->backends, offsetof(struct agw_backend, id_text));
    c->held = c->route_count = c->listener_count = 0;
}

static void free_records(struct agw_compiler *c)
{
    agw_compile_routes_free(c);
    agw_compile_listeners_free(c);
    agw_compile_binds_free(c);
    agw_compile_policy_refs_free(c);
    agw_variants_free(c);
    agw_compile_members_free(c);
    agw_compile_policies_free(c);
    agw_compile_confs_sweep(c, true);
    agw_store_free(c->seen);
    c->seen = NULL;
    agw_resource_unref(c->own);
    c->own = NULL;
}

struct agw_compiler *agw_compiler_new(const struct agw_compile_options *options)
{
    struct agw_compiler *c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    c->tls = agw_tls_cache_new();
    if (!c->tls) {
        free(c);
        return NULL;
    }
    c->ipv4_only = options->ipv4_only;
    c->local = options->local;
    c->hold_ns = options->hold_ms * 1000000ull;
    c->self = options->self;
    c->certificate = options->own;
    for (size_t i = 0; i < options->policy_count; i++)
        c->policies[options->policies[i]->kind] = options->policies[i];
    init_records(c);
    return c;
}

void agw_compiler_free(struct agw_compiler *c)
{
    if (!c)
        return;
    free_records(c);
    agw_tls_cache_free(c->tls);
    free(c);
}

int agw_compile_note(struct agw_compile *c, enum agw_note_level level, const struct agw_resource *r,
                     const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    struct agw_arena *arena = &c->notes->arena;
    struct agw_note *note = agw_arena_zalloc(arena, sizeof(*note));
    if (!note)
        return AGW_ENOMEM;
    *note =
        (struct agw_note){NULL, level, agw_arena_str(arena, r->id), agw_arena_str(arena, agw_str_c(text))};
    if (!note->id.p || !note->text.p)
        return AGW_ENOMEM;
    *(c->notes->last ? &c->notes->last->next : &c->notes->first) = note;
    c->notes->last = note;
    *(level == AGW_NOTE_ERROR ? &c->notes->errors : &c->notes->warnings) += 1;
    return 0;
}

struct agw_resource *agw_compile_find(struct agw_compile *c, enum agw_resource_kind kind, struct agw_str key)
{
    char id[AGW_RESOURCE_MAX_KEY + 32];
    int n = snprintf(id, sizeof(id), "%s/%.*s", agw_resource_kind_name(kind), AGW_STRF(key));
    return n < (int)sizeof(id) ? agw_store_get(c->store, agw_str(id, (size_t)n)) : NULL;
}

static void free_regex(void *regex)
{
    agw_regex_free(regex);
}

int agw_compile_regex(struct agw_compile *c, const struct agw_resource *r, const char *what,
                      const char *pattern, struct agw_regex **ret_regex)
{
    struct agw_error err = {0};
    struct agw_regex *regex = NULL;
    int code = agw_regex_new(agw_str_c(pattern), &regex, &err);
    if (code == AGW_ENOMEM)
        return code;
    if (code) {
        *ret_regex = NULL;
        return agw_compile_warn(c, r, "%s: regular expression \"%.200s\" never matches: %s", what, pattern,
                                err.text);
    }
    code = agw_unit_on_free(c, free_regex, regex);
    if (!code)
        *ret_regex = regex;
    return code;
}

/* --- what changed --- */
static int listener_changed(struct agw_compile *c, const struct agw_resource *any)
{
    struct agw_listener_rec *l;
    int code = agw_listener_rec_get(c->compiler, any->key, &l);
    if (!code)
        agw_compile_mark(&c->compiler->dirty_listeners, &l->dirty);
    return code;
}

static bool is_mcp(const struct agw_resource *r)
{
    return r && r->arm == PB__BACKEND__KIND_MCP;
}

static int backend_changed(struct agw_compile *c, const struct agw_resource *was, struct agw_resource *now)
{
    agw_variants_touch(c, (now ? now : was)->id);
    if (is_mcp(was) || is_mcp(now)) /* no MCP backend may be another's target */
        agw_variants_touch_mcp(c);
    int code = now ? agw_resource_open(now) : 0;
    if (!now || code)
        return code;
    code = agw_compile_check_backend_kind(c, now);
    agw_resource_close(now);
    return code;
}

static int resource_changed(void *ctx, struct agw_resource *was, struct agw_resource *now)
{
    struct agw_compile *c = ctx;
    const struct agw_resource *any = now ? now : was;
    switch (any->kind) {
    case AGW_RESOURCE_BIND:
        c->compiler->binds_changed = true;
        return 0;
    case AGW_RESOURCE_LISTENER:
        return listener_changed(c, any);
    case AGW_RESOURCE_ROUTE:
    case AGW_RESOURCE_TCP_ROUTE:
        return agw_compile_route_changed(c, was, now);
    case AGW_RESOURCE_BACKEND:
        return backend_changed(c, was, now);
    case AGW_RESOURCE_POLICY:
        return agw_compile_policy_changed(c, was, now);
    case AGW_RESOURCE_WORKLOAD:
        return agw_compile_workload_changed(c, was, now);
    case AGW_RESOURCE_SERVICE:
        agw_variants_touch(c, any->id);
        return 0;
    default: /* kinds this build has no code for */
        return now ? agw_compile_warn(c, now, "resources of kind %s are not supported and have no effect",
                                      agw_resource_kind_name(now->kind))
                   : 0;
    }
}

/* --- the snapshot --- */
struct listener_out {
    struct agw_listener listener; /* first: it is counted by this */
    struct agw_listener *base;
};

static void listener_out_free(struct agw_shared *shared)
{
    struct listener_out *o = (struct listener_out *)(void *)shared;
    agw_pmap_free(&o->listener.hosts);
    agw_shared_unref(o->base);
    free(o);
}

static int finish_listener(struct agw_listener_rec *l)
{
    struct listener_out *o = malloc(sizeof(*o));
    if (!o)
        return AGW_ENOMEM;
    o->listener = *l->base;
    o->base = agw_shared_ref(l->base);
    agw_shared_init(&o->listener.shared, listener_out_free);
    agw_pmap_copy(&o->listener.hosts, &l->hosts);
    o->listener.any = agw_pmap_get(&l->hosts, agw_hash(AGW_STR("")), AGW_STR(""));
    o->listener.names = l->names > 0;
    o->listener.wildcards = l->wildcards > 0;
    agw_shared_unref(l->out);
    l->out = &o->listener;
    l->changed = false;
    return 0;
}

struct bind_out {
    struct agw_bind bind; /* first */
    struct agw_bind *base;
    const struct agw_listener *listeners[];
};

static void bind_out_free(struct agw_shared *shared)
{
    struct bind_out *o = (struct bind_out *)(void *)shared;
    for (uint32_t i = 0; i < o->bind.listener_count; i++)
        agw_shared_unref((void *)o->listeners[i]);
    agw_shared_unref(o->base);
    free(o);
}

/* True if some of a TLS port's connections are not HTTP. */
static bool must_peek(const struct agw_bind_rec *b)
{
    bool l4 = false;
    for (uint32_t i = 0; i < b->listener_count; i++)
        l4 |= b->listeners[i]->base->l4;
    return l4 && b->bind->protocol == AGW_BIND_TLS;
}

static int finish_bind(struct agw_compile *c, struct agw_bind_rec *b)
{
    for (uint32_t i = 0; i < b->listener_count; i++) {
        struct agw_listener_rec *l = b->listeners[i];
        b->changed |= l->changed;
        if (l->changed && finish_listener(l))
            return AGW_ENOMEM;
    }
    if (!b->changed)
        return 0;
    struct bind_out *o = malloc(sizeof(*o) + b->listener_count * sizeof(o->listeners[0]));
    if (!o)
        return AGW_ENOMEM;
    o->bind = *b->bind;
    o->base = agw_shared_ref(b->bind);
    agw_shared_init(&o->bind.shared, bind_out_free);
    o->bind.listeners = o->listeners;
    o->bind.listener_count = b->listener_count;
    o->bind.peek = must_peek(b);
    for (uint32_t i = 0; i < b->listener_count; i++) {
        o->listeners[i] = agw_shared_ref(b->listeners[i]->out);
        if (o->listeners[i]->handshake_ms > o->bind.handshake_ms)
            o->bind.handshake_ms = o->listeners[i]->handshake_ms;
    }
    agw_shared_unref(b->out);
    b->out = &o->bind;
    b->changed = false;
    int code = agw_compile_proxy(c, b, &o->bind.proxy);
    return code ? code : agw_compile_bind_front(c, b, &o->bind);
}

static int assemble(struct agw_compile *c, struct agw_snapshot *s)
{
    struct agw_compiler *all = c->compiler;
    s->binds = agw_arena_alloc(&s->arena, all->bind_count * sizeof(struct agw_bind *));
    s->private->store = agw_store_clone(c->store);
    if (!s->binds || !s->private->store)
        return AGW_ENOMEM;
    for (uint32_t i = 0; i < all->bind_count; i++) {
        struct agw_bind_rec *b = &all->binds[i];
        if (finish_bind(c, b) || agw_snapshot_on_free(s, agw_shared_unref, agw_shared_ref(b->out)))
            return AGW_ENOMEM;
        s->binds[s->bind_count++] = b->out;
        s->listener_count += b->listener_count;
    }
    agw_pmap_copy(&s->backends, &all->backends);
    s->route_count = all->route_count;
    s->made_wall_ns = agw_clock_wall_ns();
    return 0;
}

/* --- a run --- */
static int run(struct agw_compile *c)
{
    int code = agw_store_diff(c->compiler->seen, c->store, resource_changed, c);
    if (!code)
        code = agw_compile_binds(c);
    if (!code)
        code = agw_compile_listeners(c);
    if (code)
        return code;
    agw_variants_touch_policies(c);
    agw_routes_touch_policies(c);
    code = agw_compile_routes(c);
    if (!code)
        code = agw_variants_make(c);
    return code ? code : agw_compile_settle(c);
}

/* What the compiler knows begins again with nothing. */
static int begin(struct agw_compile *c)
{
    struct agw_compiler *all = c->compiler;
    c->anew = all->broken;
    c->back = all->back;
    all->back = false;
    if (all->broken) {
        free_records(all);
        init_records(all);
        all->broken = false;
    }
    if (!all->seen)
        all->seen = agw_store_new();
    return all->seen ? 0 : AGW_ENOMEM;
}

static int remember(struct agw_compile *c)
{
    struct agw_compiler *all = c->compiler;
    struct agw_store *seen = agw_store_clone(c->store);
    if (!seen)
        return AGW_ENOMEM;
    agw_store_free(all->seen);
    all->seen = seen;
    all->binds_changed = false;
    if (c->conf_failed || all->runs++ % SWEEP_EVERY == 0)
        agw_compile_confs_sweep(all, false);
    agw_compile_policy_refs_sweep(c);
    agw_tls_cache_sweep(all->tls); /* each time: they hold keys */
    return all->broken ? AGW_ENOMEM : 0;
}

int agw_compiler_run(struct agw_compiler *compiler, const struct agw_store *store, uint64_t now_ns,
                     struct agw_snapshot **ret_snapshot, struct agw_notes *notes)
{
    struct agw_compile c = {.compiler = compiler, .store = store, .notes = notes, .now_ns = now_ns};
    struct agw_snapshot *snap = agw_snapshot_new();
    int code = snap ? begin(&c) : AGW_ENOMEM;
    agw_arena_init(&c.scratch, 4096, 0);
    agw_tls_cache_begin(compiler->tls);
    if (!code)
        code = run(&c);
    if (!code)
        code = assemble(&c, snap);
    if (!code)
        code = remember(&c);
    agw_map_free(&c.touched);
    agw_arena_free(&c.scratch);
    if (code) {
        compiler->broken = true;
        agw_snapshot_free(snap);
        return code;
    }
    *ret_snapshot = snap;
    return 0;
}

void agw_compiler_go_back(struct agw_compiler *c)
{
    c->back = true;
}

uint32_t agw_compiler_held(const struct agw_compiler *c)
{
    return c->held;
}
