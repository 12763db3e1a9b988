/* A session, and the id that carries it.
 *
 * Workers share no memory and replicas may come and go, so the session id is the session: the targets' own
 * session ids, their negotiated versions and capabilities, sealed with AES-256-GCM under the process's (or
 * the cluster's) key and bound to the backend and its set of targets. Whoever holds the key can serve any
 * session from the header alone. What follows: nothing is idle here (the targets expire their sessions and
 * answer 404, which the client gets), and a changed set of targets makes the id unknown (404: the client
 * initializes anew and sees the new set). Ownership: strings live in the arena given. Threads: one at a time.
 */
#ifndef AGW_MCP_SESSION_H
#define AGW_MCP_SESSION_H

#include "base/arena.h"
#include "config/snapshot.h"
#include "crypto/seal.h"

/* Revisions of the protocol, oldest first. */
#define AGW_MCP_VERSION_LIST(X)                                                                              \
    X(2024_11_05, "2024-11-05")                                                                              \
    X(2025_03_26, "2025-03-26")                                                                              \
    X(2025_06_18, "2025-06-18") X(2025_11_25, "2025-11-25") X(2026_07_28, "2026-07-28")

enum agw_mcp_version {
    AGW_MCP_VERSION_NONE,
#define X(name, text) AGW_MCP_##name,
    AGW_MCP_VERSION_LIST(X)
#undef X
};

#define AGW_MCP_LEGACY_NEWEST AGW_MCP_2025_11_25 /* the last with sessions */
#define AGW_MCP_MODERN AGW_MCP_2026_07_28        /* the first without */
#define AGW_MCP_SID_MAX 1024     /* bytes of one target's session id: they are UUIDs or tokens in practice */
#define AGW_MCP_SESSION_MAX 6144 /* bytes of our id: clients and proxies refuse heads over 8 KiB */

/* AGW_MCP_VERSION_NONE for texts that are no known revision. */
enum agw_mcp_version agw_mcp_version_parse(struct agw_str text);
struct agw_str agw_mcp_version_text(enum agw_mcp_version v);

/* What a target announced in its InitializeResult. */
enum {
    AGW_MCP_CAP_TOOLS = 1,
    AGW_MCP_CAP_PROMPTS = 2,
    AGW_MCP_CAP_RESOURCES = 4,
    AGW_MCP_CAP_LISTS = 7, /* all of these */
    AGW_MCP_CAP_LOGGING = 8,
    AGW_MCP_CAP_COMPLETIONS = 16,
    AGW_MCP_CAP_SUBSCRIBE = 32,
    AGW_MCP_CAP_ANNOUNCES = 64, /* changes of all the lists that it has */
    AGW_MCP_CAP_TASKS = 128,    /* it lists its tasks */
};

struct agw_mcp_peer { /* our session with one target */
    bool present;     /* false: it failed to initialize and the backend fails open */
    uint8_t caps;
    enum agw_mcp_version
        version;        /* AGW_MCP_MODERN: it keeps no session, each request is complete in itself */
    struct agw_str sid; /* empty: the target keeps no session */
    uint64_t pin;       /* agw_mcp_pin of the endpoint that holds the session; 0: any */
};

struct agw_mcp_session {
    enum agw_mcp_version version; /* negotiated with the client */
    uint64_t issued_s;            /* seconds since 1970 */
    struct agw_mcp_peer *peers;   /* one a target, in the backend's order */
    uint32_t count;
    struct agw_str client; /* what it said of itself: members of _meta (bridge/request.h); may be empty */
};

/* Seals |s| for |b|, without |client| where that alone would be too much. AGW_ELIMIT: the id would exceed
 * AGW_MCP_SESSION_MAX. AGW_ENOMEM. */
int agw_mcp_session_seal(const struct agw_seal *key, const struct agw_backend *b,
                         const struct agw_mcp_session *s, struct agw_arena *arena, struct agw_str *ret_id);
/* The way back. AGW_ENOTFOUND: not made by us, not for this backend and its targets, or changed on the way.
 * AGW_ENOMEM. */
int agw_mcp_session_open(const struct agw_seal *key, const struct agw_backend *b, struct agw_str id,
                         struct agw_arena *arena, struct agw_mcp_session *ret_session);

#endif
