/* Levels of log messages (RFC 5424 section 6.2.1, as MCP writes them): of old a session has one, set by
 * logging/setLevel; in 2026-07-28 each request says its own.
 *
 * Pure. Threads: any. */
#ifndef AGW_MCP_BRIDGE_LEVEL_H
#define AGW_MCP_BRIDGE_LEVEL_H

#include "json/tape.h"

/* From "debug", 1, to "emergency", 8. 0: none. */
typedef uint8_t agw_mcp_level;

struct agw_str agw_mcp_level_text(agw_mcp_level level); /* of 1 to 8 */
/* The member |name| of |object| (0: there is none) as a level; 0 if it is none. */
agw_mcp_level agw_mcp_level_of(const struct agw_json_doc *doc, uint32_t object, const char *name);

#endif
