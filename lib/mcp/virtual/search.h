/* Tool search: of all tools a client sees a few, and finds the rest by what they are about.
 *
 * Ranking is BM25 over the words of names, titles, descriptions and parameters' names; a word ends where
 * letters and digits do, and where lower case becomes upper. Equal inputs give equal orders. There is no
 * index: each query reads the lists as they are now, at most AGW_MCP_SEARCHED_MAX tools of
 * AGW_MCP_SEARCH_TEXT_MAX bytes a text, so nothing can be out of date. Pure. Threads: one at a time.
 */
#ifndef AGW_MCP_VIRTUAL_SEARCH_H
#define AGW_MCP_VIRTUAL_SEARCH_H

#include "mcp/virtual/select.h"

#define AGW_MCP_SEARCHED_MAX 4096    /* tools of one backend; with the next, 4 MiB of text: some ms a query */
#define AGW_MCP_SEARCH_TEXT_MAX 1024 /* bytes of a description: what it is about comes first */
#define AGW_MCP_SEARCH_TERMS_MAX 16  /* words of a query that count: each is held against each word */

struct agw_mcp_candidate {
    const struct agw_json_doc *doc;
    uint32_t item;                           /* the definition */
    uint32_t part;                           /* the caller's */
    struct agw_str name, title, description; /* as clients see them */
    /* private */
    float score, length;
    float tf[AGW_MCP_SEARCH_TERMS_MAX];
};

/* Fills a candidate by |item|, a tool of |target| that is shown. |prefixed|: names carry their target's.
 * AGW_ENOMEM. */
int agw_mcp_candidate_read(const struct agw_mcp_backend *b, uint32_t target, bool prefixed,
                           const struct agw_json_doc *doc, uint32_t item, struct agw_arena *arena,
                           struct agw_mcp_candidate *ret);
/* Puts those that |query| is about first, the best of them at the head; returns how many they are. */
uint32_t agw_mcp_rank(struct agw_mcp_candidate *v, uint32_t count, struct agw_str query);

/* The gateway's own tools. */
#define AGW_MCP_SEARCH_TOOL "search_tools"
#define AGW_MCP_CALL_TOOL "call_tool"
bool agw_mcp_own_tool(struct agw_str name);
/* Their definitions, as items of the open array of |w|. */
void agw_mcp_own_tools_write(const struct agw_mcp_backend *b, struct agw_json_writer *w);
/* Reads what search_tools was asked. |params|: of tools/call (token, or 0). AGW_EINVAL: no query. AGW_ENOMEM.
 */
int agw_mcp_search_read(const struct agw_mcp_backend *b, const struct agw_json_doc *doc, uint32_t params,
                        struct agw_arena *arena, struct agw_str *ret_query, uint32_t *ret_limit);
/* Edits that make of a call of call_tool the call that it stands for. AGW_EINVAL: its arguments name no
 * tool, or one of the gateway's own. AGW_ENOMEM. */
int agw_mcp_call_tool_edit(const struct agw_json_doc *doc, uint32_t params, struct agw_json_edits *edits);

#endif
