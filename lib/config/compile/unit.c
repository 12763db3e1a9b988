#include <stdlib.h>
#include "config/compile/compile_int.h"

/* What stands before the object, in the unit's own memory. */
struct agw_unit {
    struct agw_arena_block *blocks; /* all of it, once it is made */
    struct agw_release *release;    /* newest first */
    void *held;                     /* the first that it holds: most hold no more */
};

#define HEADER (((sizeof(struct agw_unit) + 15) / 16) * 16)

/* For a block's own header. */
#define BLOCK_HEADER 16
/* A unit that needed more says nothing of the next one. */
#define ROOM_MAX 4096

static struct agw_unit *unit_of(void *object)
{
    return (struct agw_unit *)(void *)((char *)object - HEADER);
}

static void unit_free(struct agw_shared *object)
{
    struct agw_unit *u = unit_of(object);
    for (const struct agw_release *r = u->release; r; r = r->next)
        r->fn(r->object);
    agw_shared_unref(u->held);
    struct agw_arena arena = {.blocks = u->blocks}; /* they hold |u| too */
    agw_arena_free(&arena);
}

void *agw_unit_begin(struct agw_compile *c, size_t size, enum agw_unit_room room, struct agw_unit_build *b)
{
    uint32_t last = c->compiler->rooms[room];
    agw_arena_init(&b->arena, last ? last : BLOCK_HEADER + HEADER + size + AGW_UNIT_ROOM, 0);
    b->unit = agw_arena_zalloc(&b->arena, HEADER + size);
    if (!b->unit)
        return NULL;
    struct agw_shared *object = (void *)((char *)b->unit + HEADER);
    agw_shared_init(object, unit_free);
    b->room = room;
    b->outer = c->arena;
    c->arena = &b->arena;
    return object;
}

void agw_unit_end(struct agw_compile *c, struct agw_unit_build *b)
{
    size_t used = BLOCK_HEADER + b->arena.used;
    if (used <= ROOM_MAX)
        c->compiler->rooms[b->room] = (uint32_t)used;
    b->unit->blocks = b->arena.blocks;
    c->arena = b->outer;
}

static struct agw_unit *making(struct agw_compile *c)
{
    return agw_container_of(c->arena, struct agw_unit_build, arena)->unit;
}

int agw_unit_on_free(struct agw_compile *c, void (*fn)(void *object), void *object)
{
    struct agw_unit *u = making(c);
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
    struct agw_unit *u = making(c);
    agw_shared_ref(shared);
    if (u->held)
        return agw_unit_on_free(c, agw_shared_unref, shared);
    u->held = shared;
    return 0;
}

int agw_unit_hold_open(struct agw_compile *c, struct agw_resource *r)
{
    int code = agw_resource_keep_open(r);
    return code ? code : agw_unit_on_free(c, agw_resource_release, r);
}
