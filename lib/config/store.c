#include "config/store.h"

#include <stdlib.h>

static void map_unref_all(struct agw_map *map)
{
    struct agw_map_slot *slot;
    for (uint32_t cursor = 0; (slot = agw_map_next(map, &cursor));)
        agw_resource_unref(slot->value);
    agw_map_free(map);
}

struct agw_store *agw_store_new(void)
{
    struct agw_store *s = malloc(sizeof(*s));
    for (unsigned i = 0; s && i < AGW_SOURCES; i++)
        agw_map_init(&s->by_id[i]);
    return s;
}

void agw_store_free(struct agw_store *s)
{
    if (!s)
        return;
    for (unsigned i = 0; i < AGW_SOURCES; i++)
        map_unref_all(&s->by_id[i]);
    free(s);
}

static int map_add_ref(struct agw_map *map, struct agw_resource *r)
{
    int code = agw_map_put(map, r->id, r, NULL);
    if (!code)
        agw_resource_ref(r);
    return code;
}

struct agw_store *agw_store_clone(const struct agw_store *s)
{
    struct agw_store *copy = agw_store_new();
    for (unsigned i = 0; copy && i < AGW_SOURCES; i++) {
        struct agw_map_slot *slot;
        for (uint32_t cursor = 0; (slot = agw_map_next(&s->by_id[i], &cursor));) {
            if (map_add_ref(&copy->by_id[i], slot->value)) {
                agw_store_free(copy);
                return NULL;
            }
        }
    }
    return copy;
}

int agw_store_replace(struct agw_store *s, enum agw_source source, const struct agw_resource_set *set,
                      struct agw_store_change *change)
{
    struct agw_map *old = &s->by_id[source], new;
    struct agw_store_change sum = {0};
    struct agw_map_slot *slot;
    agw_map_init(&new);
    for (uint32_t cursor = 0; (slot = agw_map_next(&set->by_id, &cursor));) {
        struct agw_resource *next = slot->value, *before = agw_map_get(old, next->id);
        bool same = before && agw_resource_same(before, next);
        if (map_add_ref(&new, same ? before : next)) {
            map_unref_all(&new);
            return AGW_ENOMEM;
        }
        sum.added += !before;
        sum.same += same;
        sum.updated += before && !same;
    }
    sum.removed = old->count - sum.same - sum.updated;
    map_unref_all(old);
    *old = new;
    change->added += sum.added;
    change->updated += sum.updated;
    change->removed += sum.removed;
    change->same += sum.same;
    return 0;
}

int agw_store_put(struct agw_store *s, enum agw_source source, struct agw_resource *r,
                  struct agw_store_change *change)
{
    struct agw_map *map = &s->by_id[source];
    struct agw_resource *before = agw_map_get(map, r->id);
    if (before && agw_resource_same(before, r)) {
        change->same++;
        return 0;
    }
    int code = map_add_ref(map, r);
    if (code)
        return code;
    agw_resource_unref(before);
    *(before ? &change->updated : &change->added) += 1;
    return 0;
}

void agw_store_remove(struct agw_store *s, enum agw_source source, struct agw_str id,
                      struct agw_store_change *change)
{
    struct agw_resource *before = agw_map_take(&s->by_id[source], id);
    change->removed += before != NULL;
    agw_resource_unref(before);
}

uint32_t agw_store_count(const struct agw_store *s)
{
    uint32_t count = 0;
    struct agw_store_cursor cursor = {0};
    while (agw_store_next(s, &cursor))
        count++;
    return count;
}

struct agw_resource *agw_store_get(const struct agw_store *s, struct agw_str id)
{
    for (unsigned i = 0; i < AGW_SOURCES; i++) {
        struct agw_resource *r = agw_map_get(&s->by_id[i], id);
        if (r)
            return r;
    }
    return NULL;
}

static bool hidden(const struct agw_store *s, unsigned source, struct agw_str id)
{
    for (unsigned i = 0; i < source; i++)
        if (agw_map_get(&s->by_id[i], id))
            return true;
    return false;
}

struct agw_resource *agw_store_next(const struct agw_store *s, struct agw_store_cursor *cursor)
{
    while (cursor->source < AGW_SOURCES) {
        struct agw_map_slot *slot = agw_map_next(&s->by_id[cursor->source], &cursor->slot);
        if (!slot) {
            cursor->source++;
            cursor->slot = 0;
        } else if (!hidden(s, cursor->source, slot->key)) {
            return slot->value;
        }
    }
    return NULL;
}
