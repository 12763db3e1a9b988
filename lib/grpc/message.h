/* What gRPC says in HTTP messages beside their content: status, deadline, content type (the gRPC project's
 * PROTOCOL-HTTP2, "gRPC over HTTP2").
 *
 * Pure. Ownership: what is added to a message lives in the message's arena. Threads: any. Errors: as said. */
#ifndef AGW_GRPC_MESSAGE_H
#define AGW_GRPC_MESSAGE_H

#include "http/msg.h"

/* The codes of the gRPC project's statuscodes.md. */
enum agw_grpc_status {
    AGW_GRPC_NONE = -1, /* none was said */
    AGW_GRPC_OK = 0,
    AGW_GRPC_UNKNOWN = 2,
    AGW_GRPC_DEADLINE_EXCEEDED = 4,
    AGW_GRPC_PERMISSION_DENIED = 7,
    AGW_GRPC_UNIMPLEMENTED = 12,
    AGW_GRPC_INTERNAL = 13,
    AGW_GRPC_UNAVAILABLE = 14,
    AGW_GRPC_UNAUTHENTICATED = 16,
    AGW_GRPC_STATUS_MAX = 16
};

/* True for a request of a gRPC client: HTTP/2, and content-type "application/grpc", alone or followed by '+'
 * or ';'. gRPC-Web is not gRPC. */
bool agw_grpc_is_request(const struct agw_msg *req);
/* The time that a grpc-timeout field gives, in milliseconds, at least 1. AGW_EINVAL unless it is one to eight
 * digits and a unit (H, M, S, m, u, n). */
int agw_grpc_timeout_ms(struct agw_str text, uint32_t *ret_ms);
/* The code that stands for an HTTP status of the gateway's own: http-grpc-status-mapping.md, except that 504,
 * which here means that a deadline has passed, is DEADLINE_EXCEEDED. */
enum agw_grpc_status agw_grpc_status_of(int http_status);
/* Adds grpc-status and, unless it is empty, grpc-message (percent-encoded). AGW_ENOMEM. */
int agw_grpc_add_status(struct agw_headers *h, enum agw_grpc_status status, struct agw_str message);
/* Makes an answer of the gateway's own (m->status is an HTTP error) one that gRPC clients read: 200, no body,
 * the status in the head ("Trailers-Only"). The message's other fields stay, but for those about a body.
 * AGW_ENOMEM. */
int agw_grpc_make_reply(struct agw_msg *m, struct agw_str message);
/* The grpc-status among |h|, which may be NULL. NONE when it is absent or no code. */
enum agw_grpc_status agw_grpc_status_in(const struct agw_headers *h);
/* A code as text, "" for NONE; static. */
struct agw_str agw_grpc_status_text(enum agw_grpc_status status);

#endif
