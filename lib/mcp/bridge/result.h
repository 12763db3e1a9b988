/* Answers from one era of MCP to the other.
 *
 * Pure: parsed messages in, edits or a message out. Ownership: replacements live in the arena given. Threads:
 * one at a time. */
#ifndef AGW_MCP_BRIDGE_RESULT_H
#define AGW_MCP_BRIDGE_RESULT_H

#include "json/edit.h"
#include "mcp/bridge/level.h"
#include "mcp/message/router.h"
#include "mcp/message/session.h"

/* A response of a server of old for a client of 2026-07-28 that asked for |method| with |id| (JSON): its own
 * id, resultType, and for what may be kept that it may not: a server of old said nothing about it. A missing
 * resource has another code (-32602). AGW_ENOMEM. */
int agw_mcp_response_to_modern(const struct agw_json_doc *doc, const struct agw_jsonrpc *message,
                               struct agw_str method, struct agw_str id, struct agw_json_edits *edits);

/* A notification of a server of old about the request that it knows as |id|: progress gets the client's
 * |token| (JSON) back. False: the client has no use for it, or may not have it (log messages, unless it asked
 * for them from their level on: |level|, 0: it did not). *ret_rc: AGW_ENOMEM. */
bool agw_mcp_notice_to_modern(const struct agw_json_doc *doc, const struct agw_jsonrpc *message,
                              struct agw_str token, agw_mcp_level level, struct agw_json_edits *edits,
                              int *ret_rc);

/* A response of a server of 2026-07-28 for a client of old: what older schemas forbid is left out
 * (structuredContent and outputSchema that are about no object). AGW_ENOMEM. */
int agw_mcp_response_to_legacy(const struct agw_json_doc *doc, const struct agw_jsonrpc *message,
                               struct agw_json_edits *edits);
/* True if the server wants something of the client before it goes on. */
bool agw_mcp_input_required(const struct agw_json_doc *doc, const struct agw_jsonrpc *message);

/* Writes the DiscoverResult that an InitializeResult comes to, as the answer to |id| (JSON). The writer's
 * error. */
int agw_mcp_initialized_to_discover(const struct agw_json_doc *doc, uint32_t result, struct agw_str id,
                                    struct agw_json_writer *w);
/* Writes the InitializeResult of |version| that a DiscoverResult comes to, as the answer to |id|. A server
 * that does not say who it is gets |name|. AGW_EPROTO: it does not speak 2026-07-28; nothing was written. */
int agw_mcp_discovered_to_initialize(const struct agw_json_doc *doc, uint32_t result,
                                     enum agw_mcp_version version, struct agw_str name, struct agw_str id,
                                     struct agw_json_writer *w);
/* True if a DiscoverResult names 2026-07-28. */
bool agw_mcp_discovered_modern(const struct agw_json_doc *doc, uint32_t result);

#endif
