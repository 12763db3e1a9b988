#include "a2a/owner.h"

#include <string.h>
#include "config/snapshot.h"

#define OWNER_SIZE 16 /* bytes before the id: agent, replica */

static const struct agw_str prefix = {AGW_A2A_SEALED_PREFIX, sizeof(AGW_A2A_SEALED_PREFIX) - 1};

uint64_t agw_a2a_agent_hash(struct agw_str backend_key)
{
    return agw_path_hash(AGW_PATH_HASH, backend_key.p, backend_key.n) | 1;
}

/* Little endian whatever the machine is: gateways of a mixed fleet must agree. */
static void put(char *to, uint64_t v)
{
    for (unsigned i = 0; i < 8; i++)
        to[i] = (char)(v >> (8 * i));
}

static uint64_t get(const char *from)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < 8; i++)
        v |= (uint64_t)(unsigned char)from[i] << (8 * i);
    return v;
}

struct agw_str agw_a2a_id_seal(const struct agw_siv *key, const struct agw_a2a_owner *owner,
                               struct agw_str id, struct agw_arena *arena)
{
    char plain[OWNER_SIZE + AGW_A2A_OWNED_MAX];
    size_t n;
    if (id.n > AGW_A2A_OWNED_MAX)
        return id;
    put(plain, owner->agent);
    put(plain + 8, owner->replica);
    memcpy(plain + OWNER_SIZE, id.p, id.n);
    char *text = agw_arena_alloc(arena, prefix.n + AGW_SIV_SIZE(OWNER_SIZE + id.n));
    if (!text || agw_siv_close(key, agw_str(plain, OWNER_SIZE + id.n), text + prefix.n, &n))
        return (struct agw_str){NULL, 0};
    memcpy(text, prefix.p, prefix.n);
    return agw_str(text, prefix.n + n);
}

int agw_a2a_id_open(const struct agw_siv *key, struct agw_str sealed, struct agw_arena *arena,
                    struct agw_a2a_owner *ret_owner, struct agw_str *ret_id)
{
    char plain[OWNER_SIZE + AGW_A2A_OWNED_MAX];
    size_t n;
    if (!agw_str_starts(sealed, prefix))
        return AGW_ENOTFOUND;
    int rc = agw_siv_open(key, agw_str_from(sealed, prefix.n), plain, sizeof(plain), &n);
    if (rc)
        return rc == AGW_ENOMEM ? rc : AGW_ENOTFOUND;
    if (n < OWNER_SIZE)
        return AGW_ENOTFOUND;
    *ret_owner = (struct agw_a2a_owner){get(plain), get(plain + 8)};
    *ret_id = agw_arena_str(arena, agw_str(plain + OWNER_SIZE, n - OWNER_SIZE));
    return ret_id->p ? 0 : AGW_ENOMEM;
}
