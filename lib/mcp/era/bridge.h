/* Targets of one era of MCP for clients of the other: revisions with sessions (until 2025-11-25), and
 * 2026-07-28.
 *
 * The endpoint (mcp/handler.h) reaches this room through its table of functions alone. Ownership: what is
 * kept belongs to the endpoint's worker and goes with it. Threads: the loop's own. */
#ifndef AGW_MCP_ERA_BRIDGE_H
#define AGW_MCP_ERA_BRIDGE_H

struct agw_mcp;

/* Once, before |m| serves anybody. Without it every target is taken to be of its client's era. */
void agw_mcp_bridge_eras(struct agw_mcp *m);

#endif
