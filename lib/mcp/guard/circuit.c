#include "mcp/guard/circuit.h"

#include <stdlib.h>
#include "base/map.h"

/* No padding: compared as bytes. */
struct key {
    uint64_t backend, target;
};

struct circuit {
    struct key key;
    unsigned failures; /* in a row */
    int code;          /* of the last */
    uint32_t open_ms;  /* 0: closed */
    uint64_t retry_ms; /* when somebody may try */
    bool tried;        /* somebody does */
};

struct agw_mcp_circuits {
    struct agw_map map;
};

struct agw_mcp_circuits *agw_mcp_circuits_new(void)
{
    struct agw_mcp_circuits *c = calloc(1, sizeof *c);
    if (c)
        agw_map_init(&c->map);
    return c;
}

static void forget_all(struct agw_mcp_circuits *c)
{
    uint32_t cursor = 0;
    struct agw_map_slot *slot;
    while ((slot = agw_map_next(&c->map, &cursor)))
        free(slot->value);
    agw_map_free(&c->map);
    agw_map_init(&c->map);
}

void agw_mcp_circuits_free(struct agw_mcp_circuits *c)
{
    if (!c)
        return;
    forget_all(c);
    free(c);
}

static struct agw_str text_of(const struct key *key)
{
    return agw_str((const char *)key, sizeof *key);
}

static struct circuit *find(const struct agw_mcp_circuits *c, uint64_t backend, uint32_t target)
{
    struct key key = {backend, target};
    return c->map.count ? agw_map_get(&c->map, text_of(&key)) : NULL;
}

/* Those of earlier configurations are never asked for again: with the others they go when there is no room.
 */
static struct circuit *make(struct agw_mcp_circuits *c, uint64_t backend, uint32_t target)
{
    if (c->map.count >= AGW_MCP_CIRCUITS_MAX)
        forget_all(c);
    struct circuit *made = calloc(1, sizeof *made);
    if (!made)
        return NULL;
    made->key = (struct key){backend, target};
    if (agw_map_put(&c->map, text_of(&made->key), made, NULL) == 0)
        return made;
    free(made);
    return NULL;
}

int agw_mcp_circuit_check(struct agw_mcp_circuits *c, uint64_t backend, uint32_t target, uint64_t now_ms)
{
    struct circuit *it = find(c, backend, target);
    if (!it || it->open_ms == 0)
        return 0;
    if (now_ms < it->retry_ms)
        return it->code;
    it->tried = true;
    it->retry_ms = now_ms + it->open_ms; /* nobody hears of one who tries and goes away: then another may */
    return 0;
}

bool agw_mcp_circuit_note(struct agw_mcp_circuits *c, uint64_t backend, uint32_t target, int code,
                          uint64_t now_ms)
{
    struct circuit *it = find(c, backend, target);
    if (code == 0) {
        bool was_open = it && it->open_ms > 0;
        if (it)
            agw_map_take(&c->map, text_of(&it->key));
        free(it);
        return was_open;
    }
    if (!it && !(it = make(c, backend, target)))
        return false;
    it->code = code;
    if (++it->failures < AGW_MCP_CIRCUIT_FAILURES)
        return false;
    bool opens = it->open_ms == 0;
    if (!opens && !it->tried)
        return false; /* was under way when it opened: no news */
    it->tried = false;
    uint32_t next = opens ? AGW_MCP_CIRCUIT_OPEN_MS : 2 * it->open_ms;
    it->open_ms = next < AGW_MCP_CIRCUIT_OPEN_MAX_MS ? next : AGW_MCP_CIRCUIT_OPEN_MAX_MS;
    it->retry_ms = now_ms + it->open_ms;
    return opens;
}
