/* A2A agent cards: an agent's description, fetched through the gateway, must name the gateway and not the
 * agent.
 *
 * Rewritten: 0.3 `url` and `additionalInterfaces[].url`, 1.0 `supportedInterfaces[].url`. A URL becomes the
 * gateway's base plus the interface's path relative to the agent's own base; all other bytes stay as they
 * came. Extended cards are cards, too, on their own or as the result of a JSON-RPC call. `signatures` are
 * left out: they sign bytes that changed, and a signature that does not verify is worse than none. Pure.
 * Ownership: results live in the arena given. Threads: any, one at a time. */
#ifndef AGW_A2A_CARD_H
#define AGW_A2A_CARD_H

#include <stdbool.h>
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

/* Both sides of one card request. */
struct agw_a2a_base {
    struct agw_str scheme;       /* the client's: "http" or "https" */
    struct agw_str authority;    /* the client's: host[:port] */
    struct agw_str path;         /* the agent's, as the client sees it: "/agents/a" */
    struct agw_str backend_path; /* the same as the agent knows it */
};

/* True if |backend_path|, as the request goes to the agent, is that of a card: /.well-known/agent-card.json,
 * until 0.2
 * /.well-known/agent.json, or an extended card, /extendedAgentCard, in 0.3 /v1/card, with anything before it.
 * Then the paths in *ret_base are set: both without that end and without a query; for an extended card, which
 * is a call of one binding, as agw_a2a_call_paths() sets them. |path| is the client's. */
bool agw_a2a_card_paths(struct agw_str path, struct agw_str backend_path, struct agw_a2a_base *ret_base);
/* The same for a call, whose path has no end that is known: without the segments that both end in. */
void agw_a2a_call_paths(struct agw_str path, struct agw_str backend_path, struct agw_a2a_base *ret_base);
/* Rewrites |card|; |jsonrpc|: it is the result in a JSON-RPC message, and without a result the message stays
 * as it is. AGW_EINVAL: no JSON object, a URL is missing or no string, or a deciding member stands there
 * twice. AGW_ELIMIT, AGW_ENOMEM. URLs that are not http or https (gRPC's "host:port") cannot carry a path and
 * stay. */
int agw_a2a_rewrite_card(struct agw_str card, bool jsonrpc, const struct agw_a2a_base *base,
                         struct agw_arena *arena, struct agw_str *ret_card, struct agw_error *err);

#endif
