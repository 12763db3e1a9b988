/* For how long, and for whom, an answer of MCP 2026-07-28 may be kept; joined over the answers that one is
 * made of.
 *
 * The shortest time counts, and one private part makes the whole private; what says nothing may not be kept.
 * Pure. Threads: one at a time. */
#ifndef AGW_MCP_MODERN_HINTS_H
#define AGW_MCP_MODERN_HINTS_H

#include "json/pointer.h"
#include "json/writer.h"

struct agw_mcp_hints {
    int64_t ttl_ms; /* negative: no part yet */
    bool is_private;
};

/* What one result says; what says nothing, or asks for more input, has 0 and is private. */
struct agw_mcp_hint {
    int64_t ttl_ms;
    bool is_private;
};
struct agw_mcp_hint agw_mcp_hint_read(const struct agw_json_doc *doc, uint32_t result);

void agw_mcp_hints_init(struct agw_mcp_hints *h);
/* Joins the hints of |result|, an object that came |age_ms| ago. */
void agw_mcp_hints_add(struct agw_mcp_hints *h, const struct agw_json_doc *doc, uint32_t result,
                       uint64_t age_ms);
/* A part is missing: the whole is soon out of date. */
void agw_mcp_hints_incomplete(struct agw_mcp_hints *h);
/* Writes resultType, ttlMs, cacheScope and, as _meta, who answers, into the open object of |w|. */
void agw_mcp_hints_write(const struct agw_mcp_hints *h, struct agw_json_writer *w);

#endif
