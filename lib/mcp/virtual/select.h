/* Virtual servers: which tools of its targets a backend shows, and what it calls them.
 *
 * The rule that names a tool decides about it, else the first whose pattern it matches; without rules all
 * tools are shown as they are, and with rules a tool that matches none is not there. A name that a rule gives
 * stands alone, without the target's; it wins over the same name of any other tool.
 *
 * Pure: views in, edits out. Each look-up reads all rules, of which there are at most
 * AGW_MCP_TOOL_RULES_MAX. Threads: any. */
#ifndef AGW_MCP_VIRTUAL_SELECT_H
#define AGW_MCP_VIRTUAL_SELECT_H

#include "config/snapshot.h"
#include "json/edit.h"

/* True if |text| matches |pattern|, in which each '*' stands for any bytes, or none. */
bool agw_mcp_pattern_matches(struct agw_str pattern, struct agw_str text);
/* The rule that decides about |name|, the target's own; NULL: none, so it is shown if there are no rules. */
const struct agw_mcp_tool_rule *agw_mcp_tool_rule_of(const struct agw_mcp_backend *b, uint32_t target,
                                                     struct agw_str name);
/* The rule that gives the name |shown|; NULL: none does. */
const struct agw_mcp_tool_rule *agw_mcp_tool_rule_named(const struct agw_mcp_backend *b,
                                                        struct agw_str shown);
/* Whether clients see the tool. |prefixed|: names carry their target's. */
bool agw_mcp_tool_shown(const struct agw_mcp_backend *b, uint32_t target, struct agw_str name, bool prefixed);
/* Whether it is listed where the rest is found by search. */
bool agw_mcp_tool_pinned(const struct agw_mcp_backend *b, uint32_t target, struct agw_str name,
                         bool prefixed);
/* Edits that say of a tool's definition, the token |item|, what |rule| says; the rest stays byte for byte.
 * AGW_ENOMEM. */
int agw_mcp_tool_edit(const struct agw_mcp_tool_rule *rule, const struct agw_json_doc *doc, uint32_t item,
                      struct agw_json_edits *edits);

#endif
