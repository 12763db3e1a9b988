/* Inside lib/mcp: targets of one era for clients of the other.
 *
 *     leg ── start ──> cross.c ── era.c: what does the target speak?
 *                        │   └─── caller.c: the session that the gateway keeps for a client without
 *                        └── lib/mcp/bridge: the message in the other era's form
 *
 * A crossing stands between a leg and its call: what comes back reaches the leg's callbacks as if the target
 * were of the client's era. Ownership: a crossing is its leg's, in the exchange's arena; a caller is its
 * worker's. Threads: the loop's own. */
#ifndef AGW_MCP_BRIDGE_INT_H
#define AGW_MCP_BRIDGE_INT_H

#include "mcp/mcp_int.h"

#define AGW_MCP_ERA_MS 600000     /* how long it counts what a target speaks: servers are upgraded in place */
#define AGW_MCP_ERA_DOUBT_MS 5000 /* an odd answer does not make us ask more often than this */
#define AGW_MCP_ERAS_MAX 4096     /* a worker: more than the targets of any configuration */
#define AGW_MCP_CALLERS_MAX 1024  /* sessions a worker keeps for clients without: each may be a process */
#define AGW_MCP_CALLER_IDLE_MS 300000   /* unused for so long: the client is gone, as far as one can tell */
#define AGW_MCP_RENEWED_IDLE_MS 1800000 /* the same for clients of old, as for links */
#define AGW_MCP_INITIALIZED_MAX 65536   /* bytes of an InitializeResult that is kept to answer from */

/* --- era.c --- */
enum agw_mcp_speaks { AGW_MCP_MAYBE, AGW_MCP_YES, AGW_MCP_NO };
/* The place of a target, as a key. p NULL: no memory. */
struct agw_str agw_mcp_place(const struct agw_backend *b, uint32_t target, struct agw_arena *arena);
/* Whether |target| speaks 2026-07-28 (|modern|), or revisions with sessions. */
enum agw_mcp_speaks agw_mcp_era(struct agw_mcp_exchange *x, uint32_t target, bool modern);
/* Remembers it; nothing where memory is out. */
void agw_mcp_era_learn(struct agw_mcp_exchange *x, uint32_t target, bool modern, enum agw_mcp_speaks speaks);
/* An answer says that this may have changed: the next request asks anew. */
void agw_mcp_era_doubt(struct agw_mcp_exchange *x, uint32_t target);
void agw_mcp_eras_free(struct agw_mcp *m);

/* --- caller.c --- */
struct agw_mcp_caller;

enum agw_mcp_verdict {
    AGW_MCP_VERDICT_READY,  /* guest->caller has a session */
    AGW_MCP_VERDICT_MODERN, /* none is needed */
    AGW_MCP_VERDICT_FAILED, /* |failed| says why */
};

/* Who waits for a caller's session, or uses it. */
struct agw_mcp_guest {
    struct agw_list node;
    struct agw_mcp_caller *caller; /* NULL: none */
    /* |failed|: gone after the call. */
    void (*decided)(struct agw_mcp_guest *g, enum agw_mcp_verdict verdict, struct agw_mcp_leg *failed);
};

/* Finds the session with |target| for the client of |x|, or begins one (|begin|); asks a target what it
 * speaks if a client without a session needs to know. 1: it is there. 0: |g| will be told. AGW_ENOTFOUND,
 * AGW_ENOMEM, AGW_ELIMIT (all are in use). */
int agw_mcp_caller_join(struct agw_mcp_exchange *x, uint32_t target, bool begin, struct agw_mcp_guest *g);
/* |g| waits or uses no longer; fine at any time. */
void agw_mcp_caller_leave(struct agw_mcp_guest *g);
/* The session is gone: nobody new is given it. */
void agw_mcp_caller_expired(struct agw_mcp_caller *c);
const struct agw_mcp_peer *agw_mcp_caller_peer(const struct agw_mcp_caller *c);
/* The message with its InitializeResult. */
struct agw_str agw_mcp_caller_initialized(const struct agw_mcp_caller *c);
/* A number that no request over this session has had. */
uint64_t agw_mcp_caller_number(struct agw_mcp_caller *c);
/* Sends |text|, one JSON-RPC message, and looks at no answer. */
void agw_mcp_caller_tell(struct agw_mcp_caller *c, struct agw_str text);
void agw_mcp_callers_init(struct agw_mcp *m);
void agw_mcp_callers_free(struct agw_mcp *m);
/* A client's request without the header fields of 2026-07-28. NULL: no memory. */
struct agw_msg *agw_mcp_plain_request(const struct agw_mcp_exchange *x, struct agw_arena *arena);

/* --- ended.c --- */
/* The client has ended the session that |req| names: all workers remember it for a while. */
void agw_mcp_ended_add(struct agw_mcp *m, const struct agw_msg *req);
bool agw_mcp_ended_has(const struct agw_mcp *m, const struct agw_msg *req);

/* --- cross.c --- */
/* Takes the leg over if it is one that crosses; then ops get what comes of it, later. |body| is taken. 1: it
 * does. 0: it does not. AGW_ENOMEM. */
int agw_mcp_cross(struct agw_mcp_leg *leg, const struct agw_mcp_call_ops *ops, enum agw_method method,
                  struct agw_chain *body, uint32_t deadline_ms);
/* Nothing of it is with a transport. */
bool agw_mcp_cross_pending(const struct agw_mcp_leg *leg);
/* The leg is given up: no event follows. A server of old is told, if it is at work on the request. */
void agw_mcp_cross_cancel(struct agw_mcp_leg *leg);
/* The leg goes, and nobody is told. */
void agw_mcp_cross_free(struct agw_mcp_leg *leg);

#endif
