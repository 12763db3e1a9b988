/* Who owns a task: ids that say so. Where a route leads to several agents, or to several replicas of one, the
 * ids of tasks and contexts that clients see carry the agent and the replica, sealed (crypto/siv.h): any
 * worker of any gateway with the same key finds the owner without a table, and one id stays one id.
 *
 * Pure. Ownership: results live in the arena given. Threads: any. */
#ifndef AGW_A2A_OWNER_H
#define AGW_A2A_OWNER_H

#include "base/arena.h"
#include "crypto/siv.h"

#define AGW_A2A_SEALED_PREFIX "agw." /* what is no id of ours is not tried */
#define AGW_A2A_OWNED_MAX 512        /* bytes of an agent's own id; longer ones are passed on as they are */
#define AGW_A2A_PURPOSE "a2a ids"    /* for agw_siv_new */

struct agw_a2a_owner {
    uint64_t agent;   /* agw_a2a_agent_hash of the backend */
    uint64_t replica; /* agw_balance_token of the endpoint; 0: any */
};

/* A number for a backend's key that is the same in every process. Never 0. */
uint64_t agw_a2a_agent_hash(struct agw_str backend_key);
/* The agent's id as clients see it; |id| itself if it is too long. p NULL: no memory. */
struct agw_str agw_a2a_id_seal(const struct agw_siv *key, const struct agw_a2a_owner *owner,
                               struct agw_str id, struct agw_arena *arena);
/* The way back. AGW_ENOTFOUND: not sealed by us. AGW_ENOMEM. */
int agw_a2a_id_open(const struct agw_siv *key, struct agw_str sealed, struct agw_arena *arena,
                    struct agw_a2a_owner *ret_owner, struct agw_str *ret_id);

#endif
