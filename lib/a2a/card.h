/* A2A agent cards: an agent's description, fetched through the gateway, must name the gateway and not the
 * agent.
 *
 * Rewritten: 0.3 `url` and `additionalInterfaces[].url`, 1.0 `supportedInterfaces[].url`. A URL becomes the
 * gateway's base plus the interface's path relative to the agent's own base; all other bytes stay as they
 * came. `signatures` are left out: they sign bytes that changed, and a signature that does not verify is
 * worse than none. Pure. Ownership: results live in the arena given. Threads: any, one at a time. */
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
    struct agw_str path;         /* card path the client asked for, without the well-known end */
    struct agw_str backend_path; /* the same of the request that went to the agent */
};

/* True for a path (query allowed) that ends in /.well-known/agent-card.json or, until 0.2,
 * /.well-known/agent.json. */
bool agw_a2a_is_card_path(struct agw_str path);
/* |path| without that end and without a query: "/agents/a/.well-known/agent.json" -> "/agents/a". Other paths
 * as they are. */
struct agw_str agw_a2a_card_base(struct agw_str path);
/* Rewrites |card|. AGW_EINVAL: no JSON object, a URL is missing or no string, or a deciding member stands
 * there twice. AGW_ELIMIT, AGW_ENOMEM. URLs that are not http or https (gRPC's "host:port") cannot carry a
 * path and stay. */
int agw_a2a_rewrite_card(struct agw_str card, const struct agw_a2a_base *base, struct agw_arena *arena,
                         struct agw_str *ret_card, struct agw_error *err);

#endif
