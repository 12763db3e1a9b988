#include <stdlib.h>
#include "config/compile/compile_int.h"

/* What stands before the object, in the unit's own arena. */
struct unit {
    struct agw_arena arena;
    struct agw_release *release; /* newest first */
};

#define HEADER (((sizeof(struct unit) + 15) / 16) * 16)

/* For a block's own header. */
#define BLOCK_HEADER 32

static struct unit *unit_of(void *object)
{
    return (struct unit *)(void *)((char *)object - HEADER);
}

static void unit_free(struct agw_shared *object)
{
    struct unit *u = unit_of(object);
    for (const struct agw_release *r = u->release; r; r = r->next)
        r->fn(r->object);
    struct agw_arena arena = u->arena; /* it holds |u| too */
    agw_arena_free(&arena);
}

void *agw_unit_begin(struct agw_compile *c, size_t size, size_t room, struct agw_arena **ret_outer)
{
    struct agw_arena arena;
    agw_arena_init(&arena, BLOCK_HEADER + HEADER + size + room, 0);
    struct unit *u = agw_arena_zalloc(&arena, HEADER + size);
    if (!u)
        return NULL;
    u->arena = arena;
    struct agw_shared *object = (void *)((char *)u + HEADER);
    agw_shared_init(object, unit_free);
    *ret_outer = c->arena;
    c->arena = &u->arena;
    return object;
}

void agw_unit_end(struct agw_compile *c, struct agw_arena *outer)
{
    c->arena = outer;
}

int agw_unit_on_free(struct agw_compile *c, void (*fn)(void *object), void *object)
{
    struct unit *u = agw_container_of(c->arena, struct unit, arena);
    struct agw_release *r = agw_arena_alloc(c->arena, sizeof(*r));
    if (!r) {
        fn(object);
        return AGW_ENOMEM;
    }
    *r = (struct agw_release){u->release, fn, object};
    u->release = r;
    return 0;
}

int agw_unit_hold(struct agw_compile *c, void *shared)
{
    return agw_unit_on_free(c, agw_shared_unref, agw_shared_ref(shared));
}

int agw_unit_hold_open(struct agw_compile *c, struct agw_resource *r)
{
    int code = agw_resource_keep_open(r);
    return code ? code : agw_unit_on_free(c, agw_resource_release, r);
}
