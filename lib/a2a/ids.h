/* The ids of tasks and contexts in A2A's JSON, of both versions, whatever message holds them: found by the
 * members' names. "taskId", "contextId", "referenceTaskIds" anywhere but in what people wrote (parts,
 * artifacts, metadata, ...), and "id" where it is a task's.
 *
 * Up: what clients know becomes what the agent knows, and the owner that the ids name is told. Down: the
 * other way. All other bytes stay as they are. Pure. Ownership: edits and texts live in the edits' arena.
 * Threads: one at a time. */
#ifndef AGW_A2A_IDS_H
#define AGW_A2A_IDS_H

#include "a2a/call.h"
#include "a2a/owner.h"
#include "json/edit.h"

/* An owner that a request names, and how surely. */
struct agw_a2a_claim {
    struct agw_a2a_owner owner;
    enum { AGW_A2A_CLAIM_NONE, AGW_A2A_CLAIM_REFERENCE, AGW_A2A_CLAIM_CONTEXT, AGW_A2A_CLAIM_TASK } by;
};

/* Edits for the request |doc|, a body of |call| (its method is set). Claims are added to *claim: a task's
 * counts before a context's, that before a task that is only referred to. AGW_ENOMEM. */
int agw_a2a_ids_up(const struct agw_siv *key, const struct agw_a2a_call *call, const struct agw_json_doc *doc,
                   struct agw_json_edits *edits, struct agw_a2a_claim *claim);
/* The same for the task's id in the path of an HTTP+JSON call, and for the context's in the query of one that
 * lists tasks: *ret_path is |path| with the agent's id, or |path|. AGW_ENOMEM. */
int agw_a2a_path_up(const struct agw_siv *key, const struct agw_a2a_call *call, struct agw_str path,
                    struct agw_arena *arena, struct agw_a2a_claim *claim, struct agw_str *ret_path);
/* Edits for |doc|, an answer or an event of |owner|. |jsonrpc|: what counts stands in "result". AGW_ENOMEM.
 */
int agw_a2a_ids_down(const struct agw_siv *key, const struct agw_a2a_owner *owner, bool jsonrpc,
                     const struct agw_json_doc *doc, struct agw_json_edits *edits);

#endif
