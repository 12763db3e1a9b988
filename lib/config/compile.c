#include "config/compile_int.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"

void agw_notes_init(struct agw_notes *n)
{
    *n = (struct agw_notes){0};
    agw_arena_init(&n->arena, 1024, 0);
}

void agw_notes_free(struct agw_notes *n)
{
    agw_arena_free(&n->arena);
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
    for (size_t i = 0; i < options->policy_count; i++)
        c->policies[options->policies[i]->kind] = options->policies[i];
    return c;
}

void agw_compiler_free(struct agw_compiler *c)
{
    if (!c)
        return;
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
    struct agw_str id = agw_arena_printf(&c->scratch, "%s/%.*s", agw_resource_kind_name(kind), AGW_STRF(key));
    return id.p ? agw_map_get(&c->by_id, id) : NULL;
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
    code = agw_snapshot_on_free(c->snap, free_regex, regex);
    if (!code)
        *ret_regex = regex;
    return code;
}

static int by_key(const void *a, const void *b)
{
    return agw_str_cmp((*(struct agw_resource *const *)a)->key, (*(struct agw_resource *const *)b)->key);
}

/* Takes a reference on each resource of the store and sorts them, so that a snapshot does not depend on the
 * order in which things came. */
static int gather(struct agw_compile *c, const struct agw_store *store)
{
    struct agw_snapshot_private *p = c->snap->private;
    uint32_t counts[AGW_RESOURCE_KINDS] = {0};
    struct agw_store_cursor cursor = {0};
    struct agw_resource *r;
    while ((r = agw_store_next(store, &cursor)))
        counts[r->kind]++;
    for (unsigned kind = 0; kind < AGW_RESOURCE_KINDS; kind++) {
        p->resources[kind] = agw_arena_alloc(c->arena, counts[kind] * sizeof(r));
        if (!p->resources[kind])
            return AGW_ENOMEM;
    }
    cursor = (struct agw_store_cursor){0};
    while ((r = agw_store_next(store, &cursor))) {
        if (agw_map_put(&c->by_id, r->id, r, NULL))
            return AGW_ENOMEM;
        p->resources[r->kind][p->resource_count[r->kind]++] = agw_resource_ref(r);
    }
    for (unsigned kind = 0; kind < AGW_RESOURCE_KINDS; kind++)
        if (counts[kind])
            qsort(p->resources[kind], counts[kind], sizeof(r), by_key);
    return 0;
}

/* Kinds this build has no code for. */
static int warn_unsupported_kinds(struct agw_compile *c)
{
    static const enum agw_resource_kind kinds[] = {AGW_RESOURCE_TCP_ROUTE, AGW_RESOURCE_MODEL_ROUTE};
    for (size_t k = 0; k < AGW_ARRAY_LEN(kinds); k++) {
        struct agw_resource *r;
        uint32_t i;
        agw_compile_each(c, kinds[k], i, r)
        {
            int code = agw_compile_warn(c, r, "resources of kind %s are not supported and have no effect",
                                        agw_resource_kind_name(kinds[k]));
            if (code)
                return code;
        }
    }
    return 0;
}

static int run(struct agw_compile *c, const struct agw_store *store)
{
    int code = gather(c, store);
    if (!code)
        code = warn_unsupported_kinds(c);
    if (!code)
        code = agw_compile_policies(c);
    if (!code)
        code = agw_compile_members(c);
    if (!code)
        code = agw_compile_check_backends(c);
    if (!code)
        code = agw_compile_binds(c);
    if (!code)
        code = agw_compile_routes(c);
    c->snap->backends = c->backends;
    return code;
}

int agw_compiler_run(struct agw_compiler *compiler, const struct agw_store *store,
                     struct agw_snapshot **ret_snapshot, struct agw_notes *notes)
{
    struct agw_compile c = {.compiler = compiler, .notes = notes, .snap = agw_snapshot_new()};
    if (!c.snap)
        return AGW_ENOMEM;
    c.arena = &c.snap->arena;
    agw_arena_init(&c.scratch, 16384, 0);
    agw_tls_cache_begin(compiler->tls);
    int code = run(&c, store);
    struct agw_map *maps[] = {&c.by_id,   &c.targets,   &c.confs, &c.variants,
                              &c.members, &c.listeners, &c.hosts};
    for (size_t i = 0; i < AGW_ARRAY_LEN(maps); i++)
        agw_map_free(maps[i]);
    agw_arena_free(&c.scratch);
    if (code) {
        agw_snapshot_free(c.snap);
        return code;
    }
    agw_tls_cache_sweep(compiler->tls);
    c.snap->made_wall_ns = agw_clock_wall_ns();
    *ret_snapshot = c.snap;
    return 0;
}
