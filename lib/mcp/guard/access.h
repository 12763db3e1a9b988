/* What a client may use of an MCP backend, by the rules of all policies that reach it. What it may not is
 * treated as if it were not there.
 *
 * Pure: parsed messages in, answers out. Threads: one at a time (documents). */
#ifndef AGW_MCP_GUARD_ACCESS_H
#define AGW_MCP_GUARD_ACCESS_H

#include "config/access.h"
#include "mcp/message/router.h"

struct agw_mcp_rights {
    struct agw_caller caller;
    const struct agw_access_rules *const *sets; /* live as long as the exchange */
    uint32_t count;                             /* 0: everything is allowed */
};

/* A rule that denies, then one that is required and does not match, then, where any policy has rules that
 * allow, that one of them matches. Memory that runs out denies. */
bool agw_mcp_allowed(const struct agw_mcp_rights *r, const struct agw_mcp_access *access);

/* Whether a request of |method| may use |name| of |target|. |params|: its token (0: none). */
bool agw_mcp_may_ask(const struct agw_mcp_rights *r, const struct agw_mcp_method *method,
                     const struct agw_json_doc *doc, uint32_t params, struct agw_str target,
                     struct agw_str name);
/* Marks with AGW_MCP_HIDDEN the items of |target|'s list in |result| that the client may not use; one without
 * a name is hidden as well. The marks are for this client: to be used at once. AGW_ENOMEM. */
int agw_mcp_hide_items(const struct agw_mcp_rights *r, const struct agw_mcp_method *list,
                       struct agw_json_doc *doc, uint32_t result, struct agw_str target,
                       struct agw_arena *arena);

enum agw_mcp_scope {
    AGW_MCP_SCOPE_SHOWN,  /* all that a virtual server shows */
    AGW_MCP_SCOPE_BARE,   /* ... under the target's own name */
    AGW_MCP_SCOPE_LISTED, /* ... and that are not to be found by search alone */
};

/* The same for tools that are not in |scope|. |marked|: agw_mcp_hide_items has marked them for this client
 * already. */
int agw_mcp_hide_unselected(const struct agw_mcp_backend *b, uint32_t target,
                            const struct agw_mcp_method *list, struct agw_json_doc *doc, uint32_t result,
                            enum agw_mcp_scope scope, bool marked, struct agw_arena *arena);

#endif
