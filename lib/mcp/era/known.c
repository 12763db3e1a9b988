/* What a worker remembers: what targets speak, and which sessions clients have ended. */
#include <stdlib.h>
#include "mcp/era/era_int.h"

/* --- what targets speak, as far as this worker has found out --- */

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

static struct era *era_find(struct agw_mcp_exchange *x, uint32_t target)
{
    struct agw_str key = agw_mcp_place(x->backend, target, &x->arena);
    return key.p ? agw_map_get(&x->m->eras, key) : NULL;
}

enum agw_mcp_speaks agw_mcp_era(struct agw_mcp_exchange *x, uint32_t target, bool modern)
{
    if (!agw_mcp_target_stateless(&x->conf->targets[target]))
        return modern ? AGW_MCP_NO : AGW_MCP_YES; /* the transport is of old */
    struct era *e = x->m->eras.count ? era_find(x, target) : NULL;
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

static struct era *era_add(struct agw_mcp *m, struct agw_str key)
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
        e = era_add(x->m, key);
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
    struct era *e = x->m->eras.count ? era_find(x, target) : NULL;
    if (e && x->m->loop->now_ms >= e->since_ms + AGW_MCP_ERA_DOUBT_MS)
        e->until_ms = 0;
}

void agw_mcp_era_seems_over(const struct agw_mcp_leg *leg, int status)
{
    const struct agw_mcp_peer *peer = agw_mcp_leg_peer(leg);
    if (peer && peer->version >= AGW_MCP_MODERN && (status == 400 || status == 404 || status == 405))
        agw_mcp_era_doubt(leg->x, leg->target);
}

/* --- sessions that their clients have ended: those are not begun anew when a server no more knows them ---
 */

struct notice {
    struct agw_mcp_mail mail; /* first */
    uint64_t hash;
};

static uint64_t hash_of(const struct agw_msg *req)
{
    return agw_hash(agw_headers_value(&req->headers, AGW_HDR_MCP_SESSION_ID));
}

static void note_ended(struct agw_mcp *m, uint64_t hash)
{
    m->ended[m->ended_at++ % AGW_MCP_ENDED_MAX] = hash;
}

static void deliver_ended(struct agw_mcp_transports *t, struct agw_mcp_mail *mail)
{
    if (t)
        note_ended(agw_mcp_transports_user(t), ((struct notice *)mail)->hash);
    free(mail);
}

void agw_mcp_ended_add(struct agw_mcp *m, const struct agw_msg *req)
{
    struct agw_mcp_hub *hub = agw_mcp_transports_hub(m->transports);
    uint64_t hash = hash_of(req);
    note_ended(m, hash);
    agw_mcp_standing_end(m, req);
    for (unsigned w = 0; agw_mcp_hub_has(hub, w); w++) {
        struct notice *n = w == m->loop->index ? NULL : calloc(1, sizeof *n);
        if (!n)
            continue;
        *n = (struct notice){.mail.deliver = deliver_ended, .hash = hash};
        agw_mcp_hub_send(hub, w, &n->mail);
    }
}

bool agw_mcp_ended_has(const struct agw_mcp *m, const struct agw_msg *req)
{
    uint64_t hash = hash_of(req);
    for (unsigned i = 0; i < AGW_MCP_ENDED_MAX; i++)
        if (m->ended[i] == hash)
            return true;
    return false;
}
