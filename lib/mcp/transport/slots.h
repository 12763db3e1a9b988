/* A table of pointers whose keys may be handed out: a key that was given back never finds its successor.
 * Ownership: the pointers are the caller's. Threads: one. Errors: AGW_ENOMEM, AGW_ELIMIT. */
#ifndef AGW_MCP_SLOTS_H
#define AGW_MCP_SLOTS_H

#include <stdint.h>

struct agw_mcp_key {
    uint32_t slot, turn; /* turn 0: no key */
};

struct agw_mcp_slot {
    void *p;       /* NULL: free */
    uint32_t turn; /* of the key in use, or of the last one */
    uint32_t next; /* free slots: the next one, by number + 1 */
};

struct agw_mcp_slots { /* zeroed: empty */
    struct agw_mcp_slot *v;
    uint32_t cap, used, free;
};

/* AGW_ELIMIT: |limit| are in use. */
int agw_mcp_slots_add(struct agw_mcp_slots *s, void *p, uint32_t limit, struct agw_mcp_key *ret_key);
void *agw_mcp_slots_get(const struct agw_mcp_slots *s, struct agw_mcp_key key); /* NULL: gone */
void agw_mcp_slots_remove(struct agw_mcp_slots *s, struct agw_mcp_key key);     /* fine when gone */
void agw_mcp_slots_free(struct agw_mcp_slots *s);

#endif
