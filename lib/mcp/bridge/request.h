/* Requests from one era of MCP to the other: sessions (until 2025-11-25), and each request complete in itself
 * (2026-07-28).
 *
 * What differs is who the client is: of old it said so once, in `initialize`; now in _meta of each request.
 * Pure: parsed messages in, edits or a message out. Ownership: replacements live in the arena given. Threads:
 * one at a time. */
#ifndef AGW_MCP_BRIDGE_REQUEST_H
#define AGW_MCP_BRIDGE_REQUEST_H

#include "json/edit.h"
#include "mcp/bridge/level.h"
#include "mcp/message/jsonrpc.h"
#include "mcp/message/session.h"

/* Bytes of what is remembered of a client, as JSON: its session id carries it. Clients send a few hundred;
 * of those that send more the capabilities' names are kept. */
#define AGW_MCP_CLIENT_MAX 1024

/* Takes out of a request of 2026-07-28 what servers of old do not know, and gives it |id| (JSON) as id and,
 * if it has one, as progress token: many clients share a session, where both must be unique. *ret_token: the
 * client's own token as JSON, empty if it has none. AGW_ENOMEM. */
int agw_mcp_request_to_legacy(const struct agw_json_doc *doc, const struct agw_jsonrpc *message,
                              struct agw_str id, struct agw_json_edits *edits, struct agw_str *ret_token);

/* Puts into a request of old what 2026-07-28 asks for in _meta: its revision and |client|, members as
 * agw_mcp_client_read gives them (empty: a client that can do nothing). AGW_ENOMEM. */
int agw_mcp_request_to_modern(const struct agw_json_doc *doc, const struct agw_jsonrpc *message,
                              struct agw_str client, struct agw_json_edits *edits);

/* |client| that wants log messages from |level| on. p NULL: no memory. */
struct agw_str agw_mcp_client_with_level(struct agw_str client, agw_mcp_level level, struct agw_arena *arena);

/* What a client says of itself, |caps| and |info| (tokens of its capabilities and its clientInfo; 0: not
 * said), as the members of _meta that 2026-07-28 has for it, without braces; at most AGW_MCP_CLIENT_MAX
 * bytes. AGW_ENOMEM. */
int agw_mcp_client_read(const struct agw_json_doc *doc, uint32_t caps, uint32_t info, struct agw_arena *arena,
                        struct agw_str *ret_client);

/* Writes `initialize` of |version| with id 0 for |client|, as above. |asks|: servers may ask it (sampling,
 * elicitation, roots). AGW_ENOMEM, or the writer's error. */
int agw_mcp_write_initialize(struct agw_str client, enum agw_mcp_version version, bool asks,
                             struct agw_arena *arena, struct agw_json_writer *w);
/* Writes `server/discover` with id 0 for the client that |client| describes, as above. The writer's error. */
int agw_mcp_write_discover(struct agw_str client, struct agw_json_writer *w);

#endif
