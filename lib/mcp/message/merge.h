/* One answer from many: lists joined page by page, capabilities united, owners of bare names found.
 *
 * Pages: the client's cursor stands for one cursor a target, so that each item is served once and none is
 * lost; a target whose last page was served is not asked again. Pure: parsed answers in, one message out
 * through a writer. Threads: one at a time. */
#ifndef AGW_MCP_MERGE_H
#define AGW_MCP_MERGE_H

#include "mcp/modern/hints.h"
#include "mcp/message/router.h"
#include "mcp/message/session.h"

#define AGW_MCP_CURSOR_MAX                                                                                   \
    (1u << 20) /* bytes of a client's cursor: 128 targets with 6 KiB each; a client's message has 4 MiB */

struct agw_mcp_part {
    uint32_t target;
    const struct agw_json_doc *doc;
    uint32_t result; /* token of the result object */
    uint64_t age_ms; /* since it came: it may be a kept one */
};

/* Where each target stands in a list; |at| has one entry a target: p NULL = no further page. */
struct agw_mcp_cursor {
    struct agw_str *at;
    uint32_t count;
};

/* All targets without a further page. AGW_ENOMEM. */
int agw_mcp_cursor_init(struct agw_mcp_cursor *c, const struct agw_mcp_backend *b, struct agw_arena *arena);
/* The client's opaque text; empty when no target has a further page. AGW_ELIMIT: it would be over
 * AGW_MCP_CURSOR_MAX, or one target's over 64 KiB: nothing is handed out that would be refused. AGW_ENOMEM.
 */
int agw_mcp_cursor_encode(const struct agw_mcp_cursor *c, const struct agw_mcp_backend *b,
                          struct agw_arena *arena, struct agw_str *ret_text);
/* AGW_EINVAL: not one of ours, or made for other targets. AGW_ENOMEM. */
int agw_mcp_cursor_decode(struct agw_str text, const struct agw_mcp_backend *b, struct agw_arena *arena,
                          struct agw_mcp_cursor *ret_cursor);
/* nextCursor of a result, unescaped into |arena|; p NULL when there is none. AGW_ENOMEM. */
int agw_mcp_next_cursor(const struct agw_json_doc *doc, uint32_t result, struct agw_arena *arena,
                        struct agw_str *ret_cursor);
/* Edits a list request so that it asks for |cursor| (put in if the request had none). */
int agw_mcp_set_cursor(const struct agw_json_doc *doc, const struct agw_jsonrpc *request,
                       struct agw_str cursor, struct agw_json_edits *edits);

/* Writes the joined list, in the order of |parts| (by target, then by page). With bare names over several
 * targets, names that more than one target has are left out: a call could not tell whose they are. |id|:
 * JSON. |next|: may be empty. |hints|: what 2026-07-28 adds to results; NULL before. AGW_ENOMEM, or the
 * writer's error. */
int agw_mcp_merge_list(const struct agw_mcp_backend *b, const struct agw_mcp_method *method,
                       const struct agw_mcp_part *parts, uint32_t count, struct agw_str id,
                       struct agw_str next, const struct agw_mcp_hints *hints, struct agw_arena *arena,
                       struct agw_json_writer *w);
/* The one target whose list holds |name|. AGW_ENOTFOUND: none. AGW_EEXISTS: several. */
int agw_mcp_find_owner(const struct agw_mcp_method *list, const struct agw_mcp_part *parts, uint32_t count,
                       struct agw_str name, uint32_t *ret_target);

/* Reads version and capabilities of an InitializeResult into |peer|. AGW_EPROTO: no known protocolVersion. */
int agw_mcp_read_initialize(const struct agw_json_doc *doc, uint32_t result, struct agw_mcp_peer *peer);
/* Writes one InitializeResult for several targets: the oldest version negotiated, capabilities that any has
 * (and logging where the backend fails open), all instructions under their target's name. |peers| are those
 * of the session. */
int agw_mcp_merge_initialize(const struct agw_mcp_backend *b, const struct agw_mcp_part *parts,
                             uint32_t count, const struct agw_mcp_session *session, struct agw_str id,
                             struct agw_arena *arena, struct agw_json_writer *w);

#define AGW_MCP_EXTENSIONS_MAX 64 /* of one target: there are a handful in the world */
/* Writes one DiscoverResult for several targets: the revisions that all of them speak, capabilities and
 * extensions that any has (settings that differ become {}), instructions as above. The extension for tasks is
 * left out: their ids are not told apart yet. AGW_ENOTFOUND: no revision without sessions is common to all;
 * nothing was written. */
int agw_mcp_merge_discover(const struct agw_mcp_backend *b, const struct agw_mcp_part *parts, uint32_t count,
                           const struct agw_mcp_hints *hints, struct agw_str id, struct agw_arena *arena,
                           struct agw_json_writer *w);

#endif
