/* What every request of MCP 2026-07-28 says about itself: its revision and the client's capabilities in
 * params._meta, and header fields that repeat a part of the body for those who route by them.
 *
 * The body decides, the fields must agree with it (Streamable HTTP of 2026-07-28, "Standard headers"). Pure:
 * a parsed message and fields in, a verdict out. Threads: one at a time. */
#ifndef AGW_MCP_MODERN_ENVELOPE_H
#define AGW_MCP_MODERN_ENVELOPE_H

#include "base/arena.h"
#include "http/msg.h"
#include "json/pointer.h"

#define AGW_MCP_META_VERSION "io.modelcontextprotocol/protocolVersion"
#define AGW_MCP_META_CAPABILITIES "io.modelcontextprotocol/clientCapabilities"
#define AGW_MCP_META_CLIENT "io.modelcontextprotocol/clientInfo"
#define AGW_MCP_META_LOG_LEVEL "io.modelcontextprotocol/logLevel"
#define AGW_MCP_META_SUBSCRIPTION "io.modelcontextprotocol/subscriptionId"
#define AGW_MCP_META_SERVER "io.modelcontextprotocol/serverInfo"

/* True if |params| (token, 0: none) names a revision in its _meta: no request of older revisions does. */
bool agw_mcp_envelope_claimed(const struct agw_json_doc *doc, uint32_t params);

/* The revision that the message speaks, by its body or, for notifications, by the field MCP-Protocol-Version.
 * AGW_EINVAL: _meta is not as it must be. AGW_EPROTO: field and body differ. AGW_ENOMEM. |err| has the
 * reason, for the client. */
int agw_mcp_envelope_version(const struct agw_json_doc *doc, uint32_t params, bool request,
                             const struct agw_headers *headers, struct agw_arena *arena,
                             struct agw_str *ret_version, struct agw_error *err);

/* Whether the fields of a request that names |method| are there and agree with it; of notifications those
 * that are there. AGW_EPROTO with the reason, AGW_ENOMEM. */
int agw_mcp_envelope_fields(const struct agw_json_doc *doc, uint32_t params, bool request,
                            struct agw_str method, const struct agw_headers *headers, struct agw_arena *arena,
                            struct agw_error *err);

/* True if a request of |method| carries Mcp-Name. */
bool agw_mcp_envelope_named(struct agw_str method);

/* A value for a header field: as it is, or "=?base64?...?=" if a field could not hold it. p NULL: no memory.
 */
struct agw_str agw_mcp_field_encode(struct agw_str text, struct agw_arena *arena);
/* The way back. AGW_EINVAL: broken base64. AGW_ENOMEM. */
int agw_mcp_field_decode(struct agw_str value, struct agw_arena *arena, struct agw_str *ret_text);

#endif
