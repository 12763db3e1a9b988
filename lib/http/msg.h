/* The neutral HTTP message (RFC 9110): one form for HTTP/1.1 and HTTP/2, on both sides.
 *
 * Header names are lower case. All strings point into memory that lives as long as the message's arena (or
 * into static memory). Content-Length, Transfer-Encoding, Connection and the other hop-by-hop fields (RFC
 * 9110 section 7.6.1) are taken out by the codecs and stand in the fields below, as do a request's Host and
 * Expect; codecs write them again as their version needs. They do not send a field among |headers| for which
 * agw_hdr_is_framing() holds.
 * Ownership: struct and strings belong to the arena's owner. Threads: one worker. */
#ifndef AGW_HTTP_MSG_H
#define AGW_HTTP_MSG_H

#include <stdbool.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/str.h"

/* clang-format off */
#define AGW_METHOD_LIST(X)                                                                                   \
    X(GET) X(HEAD) X(POST) X(PUT) X(DELETE) X(CONNECT) X(OPTIONS) X(TRACE) X(PATCH)
/* clang-format on */

enum agw_method {
    AGW_METHOD_OTHER, /* see method_text */
#define X(name) AGW_METHOD_##name,
    AGW_METHOD_LIST(X)
#undef X
};

/* Field names the gateway itself looks at: a header's id is found once, when it is parsed. */
/* clang-format off */
#define AGW_HDR_LIST(X)                                                                                      \
    X(ACCEPT, "accept") X(ACCEPT_ENCODING, "accept-encoding") X(AUTHORIZATION, "authorization")              \
    X(CACHE_CONTROL, "cache-control") X(CONNECTION, "connection") X(CONTENT_ENCODING, "content-encoding")    \
    X(CONTENT_LENGTH, "content-length") X(CONTENT_TYPE, "content-type") X(COOKIE, "cookie") X(DATE, "date")  \
    X(EXPECT, "expect") X(HOST, "host") X(KEEP_ALIVE, "keep-alive") X(LAST_EVENT_ID, "last-event-id")        \
    X(LOCATION, "location") X(MCP_PROTOCOL_VERSION, "mcp-protocol-version")                                  \
    X(MCP_SESSION_ID, "mcp-session-id") X(ORIGIN, "origin") X(PROXY_CONNECTION, "proxy-connection")          \
    X(RETRY_AFTER, "retry-after") X(SERVER, "server") X(SET_COOKIE, "set-cookie") X(TE, "te")                \
    X(TRACEPARENT, "traceparent") X(TRAILER, "trailer") X(TRANSFER_ENCODING, "transfer-encoding")            \
    X(UPGRADE, "upgrade") X(USER_AGENT, "user-agent") X(VIA, "via")                                          \
    X(X_FORWARDED_FOR, "x-forwarded-for") X(X_FORWARDED_HOST, "x-forwarded-host")                            \
    X(X_FORWARDED_PROTO, "x-forwarded-proto") X(X_FORWARDED_CLIENT_CERT, "x-forwarded-client-cert") X(X_REQUEST_ID, "x-request-id")
/* clang-format on */

enum agw_hdr {
    AGW_HDR_OTHER,
#define X(name, text) AGW_HDR_##name,
    AGW_HDR_LIST(X)
#undef X
        AGW_HDR_COUNT
};

struct agw_header {
    struct agw_str name; /* lower case */
    struct agw_str value;
    enum agw_hdr id;
};

struct agw_headers {
    struct agw_header *v;
    uint32_t n, cap;
    struct agw_arena *arena;
};

enum agw_http_version { AGW_HTTP_10 = 10, AGW_HTTP_11 = 11, AGW_HTTP_2 = 20 };

#define AGW_LENGTH_UNKNOWN (-1) /* the body ends where the stream ends (chunked, END_STREAM, close) */

struct agw_msg {
    struct agw_arena *arena;
    enum agw_http_version version; /* as received */
    enum agw_method method;
    struct agw_str method_text;
    struct agw_str scheme;    /* "http", "https" */
    struct agw_str authority; /* host[:port] as received (Host or :authority), lower case */
    /* Origin form with query, starts with '/'; "*" for OPTIONS *; the authority for CONNECT. */
    struct agw_str path;
    int status;            /* responses: 100..599 */
    struct agw_str reason; /* HTTP/1.1 reason phrase, may be empty */
    struct agw_headers headers;
    /* Body bytes announced, or AGW_LENGTH_UNKNOWN; 0 also when there is no body. In an answer to HEAD and in
     * a 304: what Content-Length says there (the length GET would get), UNKNOWN if it is absent. */
    int64_t length;
    struct agw_str upgrade; /* the Upgrade field's value if Connection named it; or :protocol. Empty: none.
                             * Whoever asks for one uses GET and length 0, whatever the version. */
    /* The text that names and values of |headers| are views into, as it came, if the case of its names is to
     * be kept: |n| bytes at |lower|, in which names are lower case, and at |cased|. Empty: it is not. */
    struct {
        const char *lower, *cased;
        size_t n;
    } written;
    bool expect_continue; /* Expect: 100-continue */
    bool te_trailers;     /* TE: trailers */
};

/* An empty HTTP/1.1 message; allocates nothing. |length| is 0. */
void agw_msg_init(struct agw_msg *m, struct agw_arena *arena);
/* Deep copy of head and headers into |arena| (for retries, mirrors); names lose their case. AGW_ENOMEM. */
int agw_msg_copy(struct agw_msg *to, const struct agw_msg *from, struct agw_arena *arena);

/* |name| must be lower case. */
enum agw_hdr agw_hdr_lookup(struct agw_str name);
struct agw_str agw_hdr_name(enum agw_hdr id);
enum agw_method agw_method_lookup(struct agw_str text);
struct agw_str agw_method_name(enum agw_method m);
/* The standard reason phrase, "" if there is none. */
const char *agw_http_reason(int status);

void agw_headers_init(struct agw_headers *h, struct agw_arena *arena);
/* Makes room for |n| more fields. AGW_ENOMEM. */
int agw_headers_reserve(struct agw_headers *h, uint32_t n);
/* Appends; views are kept, not copied. AGW_ENOMEM. */
int agw_headers_add(struct agw_headers *h, enum agw_hdr id, struct agw_str name, struct agw_str value);
int agw_headers_add_id(struct agw_headers *h, enum agw_hdr id, struct agw_str value);
/* First field of that name, or NULL. */
struct agw_header *agw_headers_get(const struct agw_headers *h, enum agw_hdr id);
struct agw_header *agw_headers_find(const struct agw_headers *h, struct agw_str lower_name);
/* Value of the first field of that id, or the empty view. */
struct agw_str agw_headers_value(const struct agw_headers *h, enum agw_hdr id);
/* Replaces all fields of the name by one (or adds it). AGW_ENOMEM. */
int agw_headers_set(struct agw_headers *h, struct agw_str lower_name, struct agw_str value);
int agw_headers_set_id(struct agw_headers *h, enum agw_hdr id, struct agw_str value);
/* Returns how many were removed. */
unsigned agw_headers_remove(struct agw_headers *h, struct agw_str lower_name);
unsigned agw_headers_remove_id(struct agw_headers *h, enum agw_hdr id);
/* True if a comma-separated list field holds |token| (case folded), in any of its lines. */
bool agw_headers_has_token(const struct agw_headers *h, enum agw_hdr id, struct agw_str token);

/* True for the ids that codecs take out of |headers| and write themselves. */
static inline bool agw_hdr_is_framing(enum agw_hdr id)
{
    switch (id) {
    case AGW_HDR_CONNECTION:
    case AGW_HDR_CONTENT_LENGTH:
    case AGW_HDR_EXPECT:
    case AGW_HDR_HOST:
    case AGW_HDR_KEEP_ALIVE:
    case AGW_HDR_PROXY_CONNECTION:
    case AGW_HDR_TE:
    case AGW_HDR_TRANSFER_ENCODING:
    case AGW_HDR_UPGRADE:
        return true;
    default:
        return false;
    }
}
/* False for fields that must not stand in a trailer section (RFC 9110 section 6.5.1): framing, routing,
 * authentication, content format. Codecs drop them there, in both directions. */
bool agw_hdr_in_trailers(enum agw_hdr id);

/* Field-name and field-value syntax (RFC 9110 section 5): for what config or peers want to insert. A valid
 * value has no white space at its ends. */
bool agw_header_name_valid(struct agw_str name);
bool agw_header_value_valid(struct agw_str value);

#endif
