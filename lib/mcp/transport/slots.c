#include "mcp/transport/slots.h"

#include <stdlib.h>
#include "base/err.h"

#define FIRST 64

static int grow(struct agw_mcp_slots *s)
{
    uint32_t cap = s->cap ? s->cap * 2 : FIRST;
    struct agw_mcp_slot *v = reallocarray(s->v, cap, sizeof *v);
    if (!v)
        return AGW_ENOMEM;
    for (uint32_t i = s->cap; i < cap; i++)
        v[i] = (struct agw_mcp_slot){.next = i + 1 < cap ? i + 2 : 0};
    s->v = v;
    s->free = s->cap + 1;
    s->cap = cap;
    return 0;
}

int agw_mcp_slots_add(struct agw_mcp_slots *s, void *p, uint32_t limit, struct agw_mcp_key *ret_key)
{
    if (s->used >= limit)
        return AGW_ELIMIT;
    if (!s->free && grow(s) != 0)
        return AGW_ENOMEM;
    uint32_t slot = s->free - 1;
    struct agw_mcp_slot *v = &s->v[slot];
    s->free = v->next;
    s->used++;
    v->p = p;
    if (++v->turn == 0)
        v->turn = 1;
    *ret_key = (struct agw_mcp_key){slot, v->turn};
    return 0;
}

void *agw_mcp_slots_get(const struct agw_mcp_slots *s, struct agw_mcp_key key)
{
    return key.turn && key.slot < s->cap && s->v[key.slot].turn == key.turn ? s->v[key.slot].p : 0;
}

void agw_mcp_slots_remove(struct agw_mcp_slots *s, struct agw_mcp_key key)
{
    if (!agw_mcp_slots_get(s, key))
        return;
    s->v[key.slot].p = 0;
    s->v[key.slot].next = s->free;
    s->free = key.slot + 1;
    s->used--;
}

void agw_mcp_slots_free(struct agw_mcp_slots *s)
{
    free(s->v);
    *s = (struct agw_mcp_slots){0};
}
