/* JSON-RPC 2.0 envelopes as MCP uses them: read in place, ids mapped both ways, errors written.
 *
 * Ownership: a message is a set of token indices into the caller's document. Threads: one at a time. */
#ifndef AGW_MCP_JSONRPC_H
#define AGW_MCP_JSONRPC_H

#include "base/arena.h"
#include "config/snapshot.h"
#include "json/pointer.h"
#include "json/tape.h"
#include "json/writer.h"

enum agw_jsonrpc_code {
    AGW_JSONRPC_PARSE = -32700,
    AGW_JSONRPC_INVALID_REQUEST = -32600,
    AGW_JSONRPC_METHOD_NOT_FOUND = -32601,
    AGW_JSONRPC_INVALID_PARAMS = -32602,
    AGW_JSONRPC_INTERNAL = -32603,
    AGW_JSONRPC_SERVER = -32000,             /* what the SDKs' servers use for transport errors */
    AGW_JSONRPC_SESSION = -32001,            /* unknown or expired session, likewise */
    AGW_JSONRPC_RESOURCE_NOT_FOUND = -32002, /* MCP until 2025-11-25 */
    AGW_JSONRPC_HEADER_MISMATCH = -32020,    /* MCP 2026-07-28 */
    AGW_JSONRPC_CAPABILITY = -32021,         /* likewise: MissingRequiredClientCapability */
    AGW_JSONRPC_VERSION = -32022,            /* likewise: UnsupportedProtocolVersion */
};

enum agw_jsonrpc_kind {
    AGW_JSONRPC_REQUEST,
    AGW_JSONRPC_NOTIFICATION,
    AGW_JSONRPC_RESULT,
    AGW_JSONRPC_ERROR
};

struct agw_jsonrpc {
    enum agw_jsonrpc_kind kind;
    struct agw_str method; /* unescaped; empty for responses */
    uint32_t id;           /* tokens; 0: absent */
    uint32_t params, result, error;
};

/* Parses |text| into |doc| and reads the envelope. Members that decide (id, method, params, result, error)
 * may stand there once: readers that differ about which counts would be fooled. AGW_EINVAL: not JSON.
 * AGW_ELIMIT: too deep or too many values. AGW_EUNSUPPORTED: a batch (only 2025-03-26 had them). AGW_EPROTO:
 * JSON, but no JSON-RPC 2.0 message; |doc| then holds it. AGW_ENOMEM. */
int agw_jsonrpc_read(struct agw_json_doc *doc, struct agw_str text, struct agw_arena *arena,
                     struct agw_jsonrpc *ret_message, struct agw_error *err);

/* A target's id as the client sees it, as JSON: "agw_<target>_n_7" or "agw_<target>_s_abc". p is NULL: no
 * memory. |token| is a string or a number. */
struct agw_str agw_jsonrpc_map_id(const struct agw_json_doc *doc, uint32_t token, struct agw_str target,
                                  struct agw_arena *arena);
/* The way back: target index and the id's own JSON. AGW_ENOTFOUND if it is none of ours. AGW_ENOMEM. */
int agw_jsonrpc_unmap_id(const struct agw_json_doc *doc, uint32_t token, const struct agw_mcp_backend *b,
                         struct agw_arena *arena, uint32_t *ret_target, struct agw_str *ret_json);
/* True if two ids are the same: same type, same text once unescaped. */
bool agw_jsonrpc_same_id(const struct agw_json_doc *a, uint32_t a_id, const struct agw_json_doc *b,
                         uint32_t b_id, struct agw_arena *arena);

/* Writes {"jsonrpc":"2.0","id":<id>,"error":{...}}. |id| is JSON; if it is empty there is none: MCP's schema
 * has no null there (2025-11-25, JSONRPCErrorResponse). |data| is JSON or empty. */
void agw_jsonrpc_write_error(struct agw_json_writer *w, struct agw_str id, int code, struct agw_str message,
                             struct agw_str data);

#endif
