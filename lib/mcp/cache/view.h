/* What a kept list depends on: what was asked, and by whom. Two requests may have the same answer only if
 * both are equal.
 *
 * Whoever asks is all that the target is told of the client: each header field that goes on to it, whatever
 * its name, for a gateway cannot know which of them a server looks at. A list that its target calls public
 * (MCP 2026-07-28) is the same for all users: there the fields that name the user are left out, and no
 * others, so that nobody can have a list kept for others that a field of his own has shaped. Trace contexts
 * and request ids are of one request and count in neither. Pure. Threads: one at a time. */
#ifndef AGW_MCP_CACHE_VIEW_H
#define AGW_MCP_CACHE_VIEW_H

#include "crypto/digest.h"
#include "http/msg.h"
#include "json/pointer.h"

struct agw_mcp_view {
    unsigned char asked[AGW_SHA256_SIZE];  /* method, revision, what params._meta says */
    unsigned char user[AGW_SHA256_SIZE];   /* all fields */
    unsigned char anyone[AGW_SHA256_SIZE]; /* without those that name a user */
};

/* |headers|: the client's; |sent| tells which of them go to targets. AGW_ENOMEM. */
int agw_mcp_view_asker(const struct agw_headers *headers, bool (*sent)(const struct agw_header *h),
                       struct agw_arena *arena, struct agw_mcp_view *view);
/* True if a list request with |params| (token, or 0) says nothing but what the specification has: one _meta
 * and a cursor. */
bool agw_mcp_view_plain(const struct agw_json_doc *doc, uint32_t params);
/* |meta|: token of params._meta, or 0. AGW_ENOMEM. */
int agw_mcp_view_asked(const struct agw_json_doc *doc, uint32_t meta, struct agw_str method,
                       struct agw_str revision, struct agw_arena *arena, struct agw_mcp_view *view);
/* |digest| becomes one of itself and |more|: a cursor, a session. AGW_ENOMEM. */
int agw_mcp_view_mix(unsigned char digest[AGW_SHA256_SIZE], struct agw_str more, struct agw_arena *arena);

#endif
