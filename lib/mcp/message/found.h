/* The answer of tool search: definitions of the tools that fit, as clients see them.
 *
 * Pure. Threads: one at a time. */
#ifndef AGW_MCP_MESSAGE_FOUND_H
#define AGW_MCP_MESSAGE_FOUND_H

#include "mcp/message/merge.h"

/* Writes a CallToolResult with the |limit| tools of |parts| (answers to tools/list) that |query| is about
 * most; hidden ones are not looked at. |id|: JSON. |modern|: for 2026-07-28. AGW_ENOMEM, or the writer's
 * error. */
int agw_mcp_found_write(const struct agw_mcp_backend *b, const struct agw_mcp_part *parts, uint32_t count,
                        struct agw_str query, uint32_t limit, struct agw_str id, bool modern,
                        struct agw_arena *arena, struct agw_json_writer *w);
/* One that says what was wrong with the arguments, for the model to read. The writer's error. */
int agw_mcp_found_refuse(struct agw_str why, struct agw_str id, bool modern, struct agw_json_writer *w);

#endif
