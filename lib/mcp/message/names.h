/* Names over many targets: how tools, prompts and resources of one target are told from another's.
 *
 * Tools and prompts: "<target>_<name>", split at the first '_' (target names hold none). Resources:
 * "<target>+<uri>" for a URI with a scheme, "ui://<target>+<rest>" for MCP Apps; a reference without a scheme
 * stays as it is. Tasks: "<target>+<id>". Pure: views in, views out. Threads: any. */
#ifndef AGW_MCP_NAMES_H
#define AGW_MCP_NAMES_H

#include "base/arena.h"
#include "config/snapshot.h"

/* Whether tool and prompt names carry the target: always, never, or when there is not exactly one target. */
bool agw_mcp_names_prefixed(const struct agw_mcp_backend *b);
/* Whether resource URIs do: as above, but "never" still tells resources of several targets apart. */
bool agw_mcp_uris_prefixed(const struct agw_mcp_backend *b);
/* Index of the target of that name, or -1. */
int agw_mcp_target_index(const struct agw_mcp_backend *b, struct agw_str name);
/* "everything_echo" -> target index and "echo". AGW_ENOTFOUND: no such target, or no '_'. */
int agw_mcp_name_split(const struct agw_mcp_backend *b, struct agw_str name, uint32_t *ret_target,
                       struct agw_str *ret_bare);
/* Where "<target>+" goes into |uri|, in bytes; -1 for references without a scheme. */
int agw_mcp_uri_insert_at(struct agw_str uri);
/* The client's URI -> target index and the target's own. |arena| is used for "ui://" alone. AGW_ENOTFOUND,
 * AGW_ENOMEM. */
int agw_mcp_uri_split(const struct agw_mcp_backend *b, struct agw_str uri, struct agw_arena *arena,
                      uint32_t *ret_target, struct agw_str *ret_uri);

/* The client's task id -> target index and the target's own. AGW_ENOTFOUND. */
int agw_mcp_task_split(const struct agw_mcp_backend *b, struct agw_str id, uint32_t *ret_target,
                       struct agw_str *ret_id);

#endif
