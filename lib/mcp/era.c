/* What targets speak, as far as this worker has found out. */
#include <stdlib.h>
#include "mcp/bridge_int.h"

struct era {
    enum agw_mcp_speaks modern, legacy;
    uint64_t since_ms, until_ms;
    struct agw_str key;
    char text[];
};

struct agw_str agw_mcp_place(const struct agw_backend *b, uint32_t target, struct agw_arena *arena)
{
    const struct agw_mcp_target *t = &b->mcp->targets[target];
    struct agw_str parts[] = {
        b->key,        AGW_STR("\n"), t->name, AGW_STR("\n"), t->backend ? t->backend->key : AGW_STR(""),
        AGW_STR("\n"), t->path};
    return agw_arena_join(arena, parts, AGW_ARRAY_LEN(parts));
}

static struct era *find(struct agw_mcp_exchange *x, uint32_t target)
{
    struct agw_str key = agw_mcp_place(x->backend, target, &x->arena);
    return key.p ? agw_map_get(&x->m->eras, key) : NULL;
}

enum agw_mcp_speaks agw_mcp_era(struct agw_mcp_exchange *x, uint32_t target, bool modern)
{
    if (!agw_mcp_target_stateless(&x->conf->targets[target]))
        return modern ? AGW_MCP_NO : AGW_MCP_YES; /* the transport is of old */
    struct era *e = x->m->eras.count ? find(x, target) : NULL;
    if (!e || e->until_ms <= x->m->loop->now_ms)
        return AGW_MCP_MAYBE;
    return modern ? e->modern : e->legacy;
}

void agw_mcp_eras_free(struct agw_mcp *m)
{
    uint32_t cursor = 0;
    struct agw_map_slot *slot;
    while ((slot = agw_map_next(&m->eras, &cursor)))
        free(slot->value);
    agw_map_free(&m->eras);
}

static struct era *add(struct agw_mcp *m, struct agw_str key)
{
    if (m->eras.count >= AGW_MCP_ERAS_MAX)
        agw_mcp_eras_free(m); /* most are of configurations of the past */
    struct era *e = calloc(1, sizeof *e + key.n);
    if (!e)
        return NULL;
    memcpy(e->text, key.p, key.n);
    e->key = agw_str(e->text, key.n);
    if (agw_map_put(&m->eras, e->key, e, NULL) == 0)
        return e;
    free(e);
    return NULL;
}

void agw_mcp_era_learn(struct agw_mcp_exchange *x, uint32_t target, bool modern, enum agw_mcp_speaks speaks)
{
    struct agw_str key = agw_mcp_place(x->backend, target, &x->arena);
    struct era *e = key.p ? agw_map_get(&x->m->eras, key) : NULL;
    uint64_t now = x->m->loop->now_ms;
    if (key.p && !e)
        e = add(x->m, key);
    if (!e)
        return;
    if (e->until_ms <= now)
        e->modern = e->legacy = AGW_MCP_MAYBE;
    *(modern ? &e->modern : &e->legacy) = speaks;
    e->since_ms = now;
    e->until_ms = now + AGW_MCP_ERA_MS;
}

void agw_mcp_era_doubt(struct agw_mcp_exchange *x, uint32_t target)
{
    struct era *e = x->m->eras.count ? find(x, target) : NULL;
    if (e && x->m->loop->now_ms >= e->since_ms + AGW_MCP_ERA_DOUBT_MS)
        e->until_ms = 0;
}

void agw_mcp_era_seems_over(const struct agw_mcp_leg *leg, int status)
{
    const struct agw_mcp_peer *peer = agw_mcp_leg_peer(leg);
    if (peer && peer->version >= AGW_MCP_MODERN && (status == 400 || status == 404 || status == 405))
        agw_mcp_era_doubt(leg->x, leg->target);
}
