#include "config/store.h"

#include <stdlib.h>
#include "base/err.h"

struct agw_store *agw_store_new(void)
{
    struct agw_store *s = malloc(sizeof(*s));
    for (unsigned i = 0; s && i < AGW_SOURCES; i++)
        agw_pmap_init(&s->by_id[i], offsetof(struct agw_resource, id));
    return s;
}

void agw_store_free(struct agw_store *s)
{
    if (!s)
        return;
    for (unsigned i = 0; i < AGW_SOURCES; i++)
        agw_pmap_free(&s->by_id[i]);
    free(s);
}

struct agw_store *agw_store_clone(const struct agw_store *s)
{
    struct agw_store *copy = malloc(sizeof(*copy));
    for (unsigned i = 0; copy && i < AGW_SOURCES; i++)
        agw_pmap_copy(&copy->by_id[i], &s->by_id[i]);
    return copy;
}

static struct agw_resource *get(const struct agw_pmap *map, struct agw_str id)
{
    return map->count ? agw_pmap_get(map, agw_hash(id), id) : NULL;
}

static int put(struct agw_pmap *map, struct agw_resource *r, struct agw_store_change *change)
{
    struct agw_resource *before = get(map, r->id);
    bool same = before && agw_resource_same(before, r), updated = before && !same;
    int code = same ? 0 : agw_pmap_put(map, agw_hash(r->id), r, NULL);
    if (code)
        return code;
    change->same += same;
    change->updated += updated;
    change->added += !same && !updated;
    return 0;
}

int agw_store_put(struct agw_store *s, enum agw_source source, struct agw_resource *r,
                  struct agw_store_change *change)
{
    return put(&s->by_id[source], r, change);
}

int agw_store_remove(struct agw_store *s, enum agw_source source, struct agw_str id,
                     struct agw_store_change *change)
{
    struct agw_pmap *map = &s->by_id[source];
    uint32_t before = map->count;
    int code = agw_pmap_remove(map, agw_hash(id), id);
    change->removed += before - map->count;
    return code;
}

struct replacement {
    struct agw_pmap map; /* being changed */
    const struct agw_resource_set *set;
};

static int remove_unless_in_set(void *ctx, void *value)
{
    struct replacement *p = ctx;
    struct agw_resource *r = value;
    if (agw_map_get(&p->set->by_id, r->id))
        return 0;
    return agw_pmap_remove(&p->map, agw_hash(r->id), r->id);
}

int agw_store_replace(struct agw_store *s, enum agw_source source, const struct agw_resource_set *set,
                      struct agw_store_change *change)
{
    struct replacement p = {.set = set};
    struct agw_store_change sum = *change;
    struct agw_map_slot *slot;
    struct agw_pmap *old = &s->by_id[source];
    agw_pmap_copy(&p.map, old);
    int code = agw_pmap_each(old, remove_unless_in_set, &p);
    sum.removed += old->count - p.map.count;
    for (uint32_t cursor = 0; !code && (slot = agw_map_next(&set->by_id, &cursor));)
        code = put(&p.map, slot->value, &sum);
    if (code) {
        agw_pmap_free(&p.map);
        return code;
    }
    agw_pmap_free(old);
    *old = p.map;
    *change = sum;
    return 0;
}

static bool hidden(const struct agw_store *s, unsigned source, struct agw_str id)
{
    for (unsigned i = 0; i < source; i++)
        if (get(&s->by_id[i], id))
            return true;
    return false;
}

struct walk {
    const struct agw_store *store;
    unsigned source;
    int (*fn)(void *ctx, struct agw_resource *r);
    void *ctx;
};

static int walk_one(void *ctx, void *value)
{
    const struct walk *w = ctx;
    struct agw_resource *r = value;
    return hidden(w->store, w->source, r->id) ? 0 : w->fn(w->ctx, r);
}

int agw_store_each(const struct agw_store *s, int (*fn)(void *ctx, struct agw_resource *r), void *ctx)
{
    struct walk w = {s, 0, fn, ctx};
    int code = 0;
    for (; !code && w.source < AGW_SOURCES; w.source++)
        code = agw_pmap_each(&s->by_id[w.source], walk_one, &w);
    return code;
}

static int count_one(void *ctx, struct agw_resource *r)
{
    (*(uint32_t *)ctx)++;
    return 0;
}

uint32_t agw_store_count(const struct agw_store *s)
{
    uint32_t count = 0;
    agw_store_each(s, count_one, &count);
    return count;
}

struct agw_resource *agw_store_get(const struct agw_store *s, struct agw_str id)
{
    struct agw_resource *r = NULL;
    for (unsigned i = 0; !r && i < AGW_SOURCES; i++)
        r = get(&s->by_id[i], id);
    return r;
}

struct comparison {
    const struct agw_store *was, *now;
    unsigned source;
    int (*fn)(void *ctx, struct agw_resource *was, struct agw_resource *now);
    void *ctx;
};

/* An id that differs in several sources is told once, for the first. */
static int compare_one(void *ctx, void *in_was, void *in_now)
{
    const struct comparison *c = ctx;
    const struct agw_resource *any = in_was ? in_was : in_now;
    for (unsigned i = 0; i < c->source; i++)
        if (get(&c->was->by_id[i], any->id) != get(&c->now->by_id[i], any->id))
            return 0;
    struct agw_resource *was = agw_store_get(c->was, any->id), *now = agw_store_get(c->now, any->id);
    return was == now ? 0 : c->fn(c->ctx, was, now);
}

int agw_store_diff(const struct agw_store *was, const struct agw_store *now,
                   int (*fn)(void *ctx, struct agw_resource *was, struct agw_resource *now), void *ctx)
{
    struct comparison c = {was, now, 0, fn, ctx};
    int code = 0;
    for (; !code && c.source < AGW_SOURCES; c.source++)
        code = agw_pmap_diff(&was->by_id[c.source], &now->by_id[c.source], compare_one, &c);
    return code;
}
