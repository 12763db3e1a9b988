/* The messages of one call on their way through: ids mapped (ids.h) in the request, in a JSON answer, in the
 * events of a stream. For routes on which ids carry their owner (owner.h).
 *
 * Ownership: the caller's memory, from agw_a2a_relay_init to agw_a2a_relay_free. Threads: one worker. Errors:
 * AGW_ENOMEM; AGW_ELIMIT for an event over the limit of http/sse.h. What is no JSON passes as it is. */
#ifndef AGW_A2A_RELAY_H
#define AGW_A2A_RELAY_H

#include "a2a/ability.h"
#include "a2a/ids.h"
#include "a2a/translate/translate.h"
#include "http/sse.h"

/* Bytes of a message that is held to be mapped. A request may carry a document; an answer all that a task has
 * made. 413 above, 502. */
#define AGW_A2A_REQUEST_MAX (4u << 20)
#define AGW_A2A_ANSWER_MAX (16u << 20)

struct agw_a2a_relay {
    const struct agw_siv *key; /* NULL: ids stay as they are */
    struct agw_block_pool *pool;
    struct agw_arena scratch; /* of one message: a stream may live for days */
    struct agw_json_doc doc;
    struct agw_sse events;
    struct agw_a2a_owner owner; /* of the answer */
    bool jsonrpc;
    bool rest;                  /* what is translated is HTTP+JSON, else JSON-RPC */
    bool translates;            /* answers, into: */
    enum agw_a2a_era era;       /* the client's version */
    enum agw_a2a_result result; /* what they are */
    bool in_line;               /* the last piece of the stream ended within a line */
};

void agw_a2a_relay_init(struct agw_a2a_relay *r, const struct agw_siv *key, struct agw_block_pool *pool);
void agw_a2a_relay_free(struct agw_a2a_relay *r);
/* |body|, the whole request, becomes what the agent gets. *need is what it asks of one, its texts in |arena|.
 */
int agw_a2a_relay_request(struct agw_a2a_relay *r, const struct agw_a2a_call *call, struct agw_chain *body,
                          struct agw_arena *arena, struct agw_a2a_claim *claim, struct agw_a2a_need *need);
/* |body|, a JSON-RPC request that was mapped, becomes one of version |to|, and what is answered one of the
 * other. What is no JSON-RPC stays as it is. AGW_EUNSUPPORTED: |to| has no such method. */
int agw_a2a_relay_translate(struct agw_a2a_relay *r, enum agw_a2a_era to, struct agw_chain *body);
/* The same of a request of |call|, over HTTP+JSON; what is no JSON stays as it is. */
int agw_a2a_relay_translate_rest(struct agw_a2a_relay *r, const struct agw_a2a_call *call,
                                 enum agw_a2a_era to, struct agw_chain *body);
/* The answer of |owner| follows. */
void agw_a2a_relay_answer(struct agw_a2a_relay *r, const struct agw_a2a_owner *owner, bool jsonrpc);
/* |body|, the whole of a JSON answer, becomes what the client gets. */
int agw_a2a_relay_json(struct agw_a2a_relay *r, struct agw_chain *body);
/* |data|, a piece of an event stream, becomes the events that are complete by now; it may be empty then. A
 * comment stays one, so that the stream stays alive. */
int agw_a2a_relay_events(struct agw_a2a_relay *r, struct agw_chain *data);

#endif
