/* The `endpoint` event of HTTP+SSE (MCP 2024-11-05, transports): where messages are to be posted. Pure.
 * Threads: any. */
#ifndef AGW_MCP_SSE_ENDPOINT_H
#define AGW_MCP_SSE_ENDPOINT_H

#include "base/arena.h"
#include "base/err.h"

/* Bytes of a reference; they are a path and a session id. */
#define AGW_MCP_SSE_ENDPOINT_MAX 2048

/* Resolves |reference| (RFC 3986 section 5.2) against what the stream was asked from, |path| with its query,
 * into the path and query to post to, in |arena|. AGW_EPROTO: no URI reference, or another origin: a server
 * must not send its clients' messages elsewhere. AGW_ELIMIT, AGW_ENOMEM. */
int agw_mcp_sse_endpoint(struct agw_str reference, struct agw_str scheme, struct agw_str authority,
                         struct agw_str path, struct agw_arena *arena, struct agw_str *ret_path,
                         struct agw_error *err);

#endif
