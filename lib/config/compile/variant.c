/* Which backends are needed and why: numbers for routes to keep, and who depends on which resource. */
#include <stdio.h>
#include <stdlib.h>
#include "base/err.h"
#include "config/compile/compile_int.h"

struct agw_kept_spec {
    struct agw_spec spec;
    enum agw_policy_kind kind;
};

/* --- sources --- */
static struct agw_source_rec *source_get(struct agw_compiler *c, struct agw_str id)
{
    struct agw_source_rec *s = agw_map_get(&c->sources, id);
    if (s)
        return s;
    s = malloc(sizeof(*s) + id.n);
    if (!s)
        return NULL;
    memcpy(s + 1, id.p, id.n);
    s->id = agw_str((const char *)(s + 1), id.n);
    agw_list_init(&s->variants);
    if (agw_map_put(&c->sources, s->id, s, NULL)) {
        free(s);
        return NULL;
    }
    return s;
}

static void source_release(struct agw_compiler *c, struct agw_source_rec *s)
{
    if (!s || !agw_list_empty(&s->variants))
        return;
    agw_map_take(&c->sources, s->id);
    free(s);
}

void agw_variants_touch(struct agw_compile *c, struct agw_str id)
{
    struct agw_source_rec *s = agw_map_get(&c->compiler->sources, id);
    struct agw_list *node, *tmp;
    if (!s)
        return;
    agw_list_each (node, tmp, &s->variants)
        agw_compile_mark(&c->compiler->dirty_variants,
                         &agw_list_entry(node, struct agw_variant, node)->dirty);
}

void agw_variants_touch_services(struct agw_compile *c)
{
    struct agw_map_slot *slot;
    for (uint32_t cursor = 0; (slot = agw_map_next(&c->compiler->sources, &cursor));)
        if (agw_str_starts(slot->key, AGW_STR("service/")))
            agw_variants_touch(c, slot->key);
}

void agw_variants_touch_mcp(struct agw_compile *c)
{
    struct agw_list *node, *tmp;
    agw_list_each (node, tmp, &c->compiler->mcp_variants)
        agw_compile_mark(&c->compiler->dirty_variants, &agw_list_entry(node, struct agw_variant, mcp)->dirty);
}

/* Policies name a backend by its object, which for the targets of an MCP backend is not the key: those are
 * found by the object's name in the resource. */
static bool is_touched(struct agw_compile *c, const struct agw_source_rec *s)
{
    char text[1024];
    struct agw_resource *r = agw_store_get(c->store, s->id);
    if (!r || r->kind != AGW_RESOURCE_BACKEND || r->is_named_key)
        return agw_compile_touched(c, s->id);
    if (agw_resource_open(r)) {
        c->compiler->broken = true;
        return false;
    }
    const Pb__ResourceName *name = r->backend->name;
    int n = name ? snprintf(text, sizeof(text), "backend/%s/%s", name->namespace_, name->name) : 0;
    agw_resource_close(r);
    return n > 0 && n < (int)sizeof(text) && agw_compile_touched(c, agw_str(text, (size_t)n));
}

void agw_variants_touch_policies(struct agw_compile *c)
{
    struct agw_map_slot *slot;
    if (c->touched.count == 0)
        return;
    for (uint32_t cursor = 0; (slot = agw_map_next(&c->compiler->sources, &cursor));) {
        const struct agw_source_rec *s = slot->value;
        if (is_touched(c, s))
            agw_variants_touch(c, s->id);
    }
}

/* --- identity --- */
static const char present; /* stands for a policy that the reference runs itself */

/* All that makes two references the same backend: what is named, and the policies on the way by their
 * messages. */
static struct agw_str identity_of(struct agw_compile *c, struct agw_str name, uint32_t port,
                                  const struct agw_backend_levels *levels)
{
    const char raw = (char)levels->raw;
    const struct agw_specs *all[AGW_LEVELS] = {levels->own, levels->route, levels->listener};
    struct {
        uint32_t level, kind;
        const void *message;
    } seen[AGW_LEVELS * AGW_POLICY_COUNT];
    struct agw_str refused[AGW_LEVELS] = {{0}};
    size_t n = 0;
    for (uint32_t i = 0; i < AGW_LEVELS; i++) {
        refused[i] = agw_str_c(all[i]->refuse);
        for (uint32_t kind = 0; kind < AGW_POLICY_COUNT; kind++) {
            const void *message = all[i]->v[kind].message;
            if (i == AGW_LEVEL_OWN && message && !agw_compile_is_transport(kind))
                message = &present;
            if (!message)
                continue;
            seen[n].level = i;
            seen[n].kind = kind;
            seen[n++].message = message;
        }
    }
    struct agw_str parts[] = {name,
                              AGW_STR("\n"),
                              agw_str((const char *)&port, sizeof(port)),
                              agw_str(&raw, 1),
                              agw_str((const char *)seen, n * sizeof(seen[0])),
                              AGW_STR("\n"),
                              refused[0],
                              AGW_STR("\n"),
                              refused[1],
                              AGW_STR("\n"),
                              refused[2]};
    return agw_arena_join(&c->scratch, parts, AGW_ARRAY_LEN(parts));
}

/* --- levels --- */
static void levels_free(struct agw_level *levels)
{
    for (unsigned i = 0; levels && i < AGW_LEVELS; i++) {
        struct agw_level *l = &levels[i];
        for (uint32_t k = 0; k < l->count; k++)
            agw_resource_release(l->specs[k].spec.owner);
        free(l->specs);
        free((void *)l->refuse);
    }
    free(levels);
}

static bool says_something(const struct agw_specs *specs)
{
    for (unsigned kind = 0; kind < AGW_POLICY_COUNT; kind++)
        if (specs->v[kind].message)
            return true;
    return specs->refuse != NULL;
}

static int level_keep(struct agw_level *l, const struct agw_specs *specs)
{
    uint32_t count = 0;
    for (unsigned kind = 0; kind < AGW_POLICY_COUNT; kind++)
        count += specs->v[kind].message != NULL;
    if (specs->refuse && !(l->refuse = strdup(specs->refuse)))
        return AGW_ENOMEM;
    if (!count)
        return 0;
    if (!(l->specs = calloc(count, sizeof(*l->specs))))
        return AGW_ENOMEM;
    for (unsigned kind = 0; kind < AGW_POLICY_COUNT; kind++) {
        if (!specs->v[kind].message)
            continue;
        if (agw_resource_keep_open(specs->v[kind].owner))
            return AGW_ENOMEM;
        l->specs[l->count++] = (struct agw_kept_spec){specs->v[kind], kind};
    }
    return 0;
}

static int levels_keep(struct agw_variant *v, const struct agw_backend_levels *levels)
{
    const struct agw_specs *specs[AGW_LEVELS] = {levels->own, levels->route, levels->listener};
    int code = 0;
    if (!says_something(specs[0]) && !says_something(specs[1]) && !says_something(specs[2]))
        return 0;
    if (!(v->levels = calloc(AGW_LEVELS, sizeof(*v->levels))))
        return AGW_ENOMEM;
    for (unsigned i = 0; !code && i < AGW_LEVELS; i++)
        code = level_keep(&v->levels[i], specs[i]);
    return code;
}

void agw_variant_specs(const struct agw_variant *v, unsigned level, struct agw_specs *ret_specs)
{
    *ret_specs = (struct agw_specs){0};
    if (!v->levels)
        return;
    const struct agw_level *l = &v->levels[level];
    ret_specs->refuse = l->refuse;
    for (uint32_t i = 0; i < l->count; i++)
        ret_specs->v[l->specs[i].kind] = l->specs[i].spec;
}

/* --- numbers --- */
static int id_take(struct agw_compiler *c, uint32_t *ret_id)
{
    if (c->free_id_count) {
        *ret_id = c->free_ids[--c->free_id_count];
        return 0;
    }
    if (c->next_id == c->free_id_cap) { /* room for each number that may ever be given back */
        uint32_t cap = c->free_id_cap ? c->free_id_cap * 2 : 64;
        uint32_t *ids = reallocarray(c->free_ids, cap, sizeof(*ids));
        if (!ids)
            return AGW_ENOMEM;
        c->free_ids = ids;
        c->free_id_cap = cap;
    }
    *ret_id = c->next_id++;
    return 0;
}

static void id_give(struct agw_compiler *c, uint32_t id)
{
    c->free_ids[c->free_id_count++] = id;
}

/* --- variants --- */
static void variant_free(struct agw_compiler *c, struct agw_variant *v)
{
    agw_list_remove(&v->dirty);
    agw_list_remove(&v->node);
    agw_list_remove(&v->mcp);
    source_release(c, v->source);
    levels_free(v->levels);
    free(v->children);
    free(v);
}

/* |identity| and |reason| are copied; |key| points into |identity| or is static. */
static struct agw_variant *variant_new(struct agw_compiler *c, struct agw_str identity, struct agw_str key,
                                       const char *reason)
{
    size_t why = reason ? strlen(reason) + 1 : 0;
    struct agw_variant *v = calloc(1, sizeof(*v) + identity.n + why);
    if (!v)
        return NULL;
    char *text = memcpy((char *)(v + 1), identity.p, identity.n);
    agw_list_init(&v->dirty);
    agw_list_init(&v->node);
    agw_list_init(&v->mcp);
    v->identity = agw_str(text, identity.n);
    ptrdiff_t offset = key.p - identity.p;
    v->key = offset >= 0 && (size_t)offset + key.n <= identity.n ? agw_str(text + offset, key.n) : key;
    if (reason)
        v->reason = memcpy(text + identity.n, reason, why);
    if (id_take(c, &v->id)) {
        free(v);
        return NULL;
    }
    if (agw_map_put(&c->variants, v->identity, v, NULL)) {
        id_give(c, v->id);
        free(v);
        return NULL;
    }
    v->users = 1;
    agw_compile_mark(&c->dirty_variants, &v->dirty);
    return v;
}

/* What a reference names: the resource's id, or why it names nothing. */
static struct agw_str name_of(struct agw_compile *c, const Pb__BackendReference *ref, uint32_t *ret_port)
{
    *ret_port = 0;
    if (!ref)
        return AGW_STR("");
    if (ref->kind_case == PB__BACKEND_REFERENCE__KIND_SERVICE && ref->service) {
        *ret_port = ref->port;
        return agw_arena_printf(&c->scratch, "service/%s/%s", ref->service->namespace_,
                                ref->service->hostname);
    }
    if (ref->kind_case == PB__BACKEND_REFERENCE__KIND_BACKEND && ref->backend && *ref->backend)
        return agw_arena_printf(&c->scratch, "backend/%s", ref->backend);
    return AGW_STR("");
}

static int variant_make(struct agw_compile *c, struct agw_str identity, struct agw_str name, uint32_t port,
                        const struct agw_backend_levels *levels, struct agw_variant **ret_variant)
{
    struct agw_compiler *all = c->compiler;
    struct agw_str key = agw_str_starts(name, AGW_STR("backend/")) ? agw_str(identity.p + 8, name.n - 8)
                                                                   : agw_str(identity.p, name.n);
    struct agw_variant *v = variant_new(all, identity, name.n ? key : AGW_STR("invalid"),
                                        name.n ? NULL : "the backend reference names nothing that is known");
    if (!v)
        return AGW_ENOMEM;
    int code = levels_keep(v, levels);
    if (!code && name.n && !(v->source = source_get(all, name)))
        code = AGW_ENOMEM;
    if (code)
        return code; /* the compiler starts anew and frees it */
    v->port = port;
    v->raw = levels->raw;
    if (v->source)
        agw_list_push(&v->source->variants, &v->node);
    *ret_variant = v;
    return 0;
}

int agw_variant_get(struct agw_compile *c, const Pb__BackendReference *ref,
                    const struct agw_backend_levels *levels, struct agw_variant **ret_variant)
{
    uint32_t port;
    struct agw_str name = name_of(c, ref, &port);
    struct agw_str identity = name.p ? identity_of(c, name, port, levels) : name;
    if (!identity.p)
        return AGW_ENOMEM;
    struct agw_variant *v = agw_map_get(&c->compiler->variants, identity);
    if (!v)
        return variant_make(c, identity, name, port, levels, ret_variant);
    v->users++;
    *ret_variant = v;
    return 0;
}

int agw_variant_refused(struct agw_compile *c, struct agw_str key, const char *reason,
                        struct agw_variant **ret_variant)
{
    struct agw_str parts[] = {AGW_STR("refused\n"), key, AGW_STR("\n"), agw_str_c(reason)};
    struct agw_str identity = agw_arena_join(&c->scratch, parts, AGW_ARRAY_LEN(parts));
    if (!identity.p)
        return AGW_ENOMEM;
    struct agw_variant *v = agw_map_get(&c->compiler->variants, identity);
    if (v)
        v->users++;
    else
        v = variant_new(c->compiler, identity, agw_str(identity.p + parts[0].n, key.n), reason);
    if (!v)
        return AGW_ENOMEM;
    *ret_variant = v;
    return 0;
}

static void children_put(struct agw_compile *c, struct agw_variant **children, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        agw_variant_put(c, children[i]);
    free(children);
}

void agw_variant_put(struct agw_compile *c, struct agw_variant *v)
{
    struct agw_compiler *all = c->compiler;
    if (--v->users)
        return;
    struct agw_variant **children = v->children;
    uint32_t count = v->child_count;
    v->children = NULL;
    v->child_count = 0;
    if (agw_pmap_remove(&all->backends, v->id, AGW_STR("")))
        all->broken = true;
    id_give(all, v->id);
    agw_map_take(&all->variants, v->identity);
    variant_free(all, v);
    children_put(c, children, count);
}

/* An MCP backend points at its targets' units: when one changes it is made anew. */
static void touch_parents(struct agw_compile *c, const struct agw_variant *child)
{
    struct agw_list *node, *tmp;
    if (!child->is_target)
        return;
    agw_list_each (node, tmp, &c->compiler->mcp_variants) {
        struct agw_variant *v = agw_list_entry(node, struct agw_variant, mcp);
        for (uint32_t i = 0; i < v->child_count; i++)
            if (v->children[i] == child)
                agw_compile_mark(&c->compiler->dirty_variants, &v->dirty);
    }
}

static int make(struct agw_compile *c, struct agw_variant *v)
{
    struct agw_backend *b;
    struct agw_variant **old = v->children;
    uint32_t old_count = v->child_count;
    v->children = NULL;
    v->child_count = 0;
    v->is_mcp = false;
    agw_list_remove(&v->dirty);
    int code = agw_compile_backend(c, v, &b);
    children_put(c, old, old_count); /* after the new ones were taken: those that stay, stay */
    if (code)
        return code;
    code = agw_pmap_put(&c->compiler->backends, v->id, b, NULL);
    agw_shared_unref(b);
    agw_list_remove(&v->dirty); /* a target that was made on the way marks it again */
    agw_list_remove(&v->mcp);
    if (v->is_mcp)
        agw_list_push(&c->compiler->mcp_variants, &v->mcp);
    touch_parents(c, v);
    return code;
}

int agw_variants_make(struct agw_compile *c)
{
    struct agw_list *dirty = &c->compiler->dirty_variants;
    int code = 0;
    while (!code && !agw_list_empty(dirty))
        code = make(c, agw_list_entry(dirty->next, struct agw_variant, dirty));
    return code;
}

int agw_variant_backend(struct agw_compile *c, struct agw_variant *v, struct agw_backend **ret_backend)
{
    int code = agw_list_empty(&v->dirty) ? 0 : make(c, v);
    if (!code)
        *ret_backend = agw_pmap_get(&c->compiler->backends, v->id, AGW_STR(""));
    return code;
}

void agw_variants_free(struct agw_compiler *c)
{
    struct agw_map_slot *slot;
    for (uint32_t cursor = 0; (slot = agw_map_next(&c->variants, &cursor));)
        variant_free(c, slot->value);
    agw_map_free(&c->variants);
    agw_map_free(&c->sources);
    agw_pmap_free(&c->backends);
    free(c->free_ids);
    c->free_ids = NULL;
    c->free_id_count = c->free_id_cap = c->next_id = 0;
}
