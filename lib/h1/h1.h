/* HTTP/1.1 codec (RFC 9112), pure: bytes in, message out; message in, bytes out. No socket, no clock.
 *
 * Strict where leniency smuggles: both Content-Length and Transfer-Encoding, repeated or malformed lengths,
 * any transfer coding but one final "chunked", bare LF or CR, obs-fold, white space before the colon, control
 * characters, missing or repeated Host are errors; the connection is to be closed after the error answer.
 * Connection and the fields it names, Keep-Alive, Proxy-Connection, TE, Upgrade, Transfer-Encoding,
 * Content-Length, Host and Expect do not get into msg->headers; fields that the gateway itself knows
 * (AGW_HDR_LIST) stay even if Connection names them. msg->scheme is the caller's: the connection knows it.
 * Ownership: parsed strings live in msg->arena (one copy of the head). Threads: any, one at a time.
 * Errors: AGW_EAGAIN (more bytes needed), AGW_EPROTO / AGW_ELIMIT / AGW_EUNSUPPORTED / AGW_ENOMEM with
 * h->status and h->reason set; |msg| may then be half filled. */
#ifndef AGW_H1_H1_H
#define AGW_H1_H1_H

#include "base/buf.h"
#include "http/msg.h"

/* Limits a peer meets. Reasons stand in parse.c beside the defaults. */
struct agw_h1_limits {
    uint32_t head;    /* bytes of a whole head */
    uint32_t target;  /* bytes of the request target: 414 above */
    uint32_t headers; /* number of fields: 431 above */
    bool keep_case;   /* msg->written: names of fields are written on as they came */
};
extern const struct agw_h1_limits agw_h1_default_limits, agw_h1_cased_limits; /* cased: and |keep_case| */

enum agw_h1_framing {
    AGW_H1_NO_BODY,
    AGW_H1_LENGTH,
    AGW_H1_CHUNKED,
    AGW_H1_UNTIL_CLOSE, /* responses only */
    AGW_H1_TUNNEL,      /* after 101, or 2xx to CONNECT: no HTTP any more */
};

struct agw_h1_head {
    const struct agw_h1_limits *limits;
    size_t scanned;              /* bytes already searched for the head's end; zero it for a new head */
    size_t used;                 /* out: bytes of the head, also leading empty lines */
    enum agw_h1_framing framing; /* out */
    bool keep_alive;             /* out: the connection may carry another message after this one */
    uint32_t keep_alive_s;       /* out: Keep-Alive: timeout, seconds; 0: the peer said nothing */
    int status; /* out, on error: what to answer (400, 413, 414, 417, 431, 501, 503, 505; 502 for responses)
                 */
    const char *reason; /* out, on error: static text that names the field or rule */
    bool foreign;       /* out, on error: the first line has neither a known method nor HTTP's name */
};

/* |limits| NULL: the defaults; else they outlive |h|. */
void agw_h1_head_init(struct agw_h1_head *h, const struct agw_h1_limits *limits);
/* Parses a request head at |p|, after at most two empty lines. 0: done, h->used bytes belong to it and |msg|
 * (initialised by the caller) is filled. On AGW_EAGAIN call again with the same bytes and more. Framing is
 * NO_BODY (also for Content-Length: 0), LENGTH or CHUNKED. */
int agw_h1_parse_request(struct agw_h1_head *h, const unsigned char *p, size_t n, struct agw_msg *msg);
/* Parses a response head; |to| is the request's method (HEAD and CONNECT change the framing). msg->length for
 * HEAD and 304 is what Content-Length says (UNKNOWN if absent) though framing is NO_BODY. */
int agw_h1_parse_response(struct agw_h1_head *h, const unsigned char *p, size_t n, enum agw_method to,
                          struct agw_msg *msg);

/* --- bodies in --- */
struct agw_h1_body {
    enum agw_h1_framing framing;
    uint8_t state;
    uint16_t line;                /* bytes of the current chunk-size line */
    uint32_t overhead;            /* bytes of chunk extensions that no data made up for yet: bounded */
    uint64_t left;                /* bytes left of the body or of the chunk */
    struct agw_headers *trailers; /* NULL until there are some */
    struct agw_arena *arena;      /* for trailers */
    char *text;                   /* trailer section being collected */
    uint32_t text_n, text_cap;
    const char *reason; /* on error: static text */
};

enum agw_h1_piece { AGW_H1_MORE, AGW_H1_DATA, AGW_H1_END };

/* |length| is msg->length; it counts for LENGTH only. |arena| takes trailers, which live as long as it does.
 */
void agw_h1_body_init(struct agw_h1_body *b, const struct agw_h1_head *h, int64_t length,
                      struct agw_arena *arena);
/* Looks at |n| bytes: returns AGW_H1_DATA with a run of body bytes at p + *ret_at, AGW_H1_END when the body
 * is over (b->trailers is set if there are any), or AGW_H1_MORE when all |n| are used up. *ret_used bytes are
 * done with in each case (for DATA: through the run's end). After DATA call again with what is left, even if
 * that is nothing: the run may have been the last. AGW_EPROTO / AGW_ELIMIT / AGW_ENOMEM; the first two with
 * b->reason. */
int agw_h1_body_next(struct agw_h1_body *b, const unsigned char *p, size_t n, size_t *ret_used,
                     size_t *ret_at, size_t *ret_len);
/* True if the last byte of a body of known length has been seen: END needs no further bytes. */
static inline bool agw_h1_body_is_over(const struct agw_h1_body *b)
{
    return b->framing == AGW_H1_LENGTH && b->left == 0;
}
/* The peer closed: 0 if the body may end so (UNTIL_CLOSE, TUNNEL, or it was over), else AGW_EPROTO. */
int agw_h1_body_eof(struct agw_h1_body *b);

/* --- out ---
 * Names of fields in msg->written keep its case; those that the codec itself writes are lower case.
 * Each appends to |out|, small pieces into the chain's last block if nobody else holds it. On AGW_ENOMEM
 * heads leave |out| as it was; of body and end a part may be there, so the connection is to be closed.
 * Strings of |msg| are written as they stand: who puts a name or value there has checked it
 * (agw_header_value_valid). */

/* Appends a request head. Framing follows |end| and msg->length: > 0 Content-Length; 0 none, or "0" if the
 * method is POST, PUT or PATCH; unknown "chunked". Host is msg->authority. Expect, Upgrade and TE follow
 * |msg|. |keep_alive| false adds "connection: close". *ret_framing says how to write the body: NO_BODY,
 * LENGTH, CHUNKED, or TUNNEL for CONNECT. */
int agw_h1_write_request(struct agw_chain *out, struct agw_block_pool *pool, const struct agw_msg *msg,
                         bool end, bool keep_alive, enum agw_h1_framing *ret_framing);
/* Appends a response head to a client of |version| that asked with |method|. The answer to HEAD and a 304 get
 * a Content-Length if msg->length is above 0 (0 may only mean that no body follows here). *ret_framing:
 * UNTIL_CLOSE (length unknown, HTTP/1.0 client) makes "connection: close" and the caller close, whatever
 * |keep_alive| is. */
int agw_h1_write_response(struct agw_chain *out, struct agw_block_pool *pool, const struct agw_msg *msg,
                          bool end, enum agw_http_version version, enum agw_method method, bool keep_alive,
                          enum agw_h1_framing *ret_framing);
/* Appends body bytes (all of |data|), as one chunk if |framing| is CHUNKED. NO_BODY: drops them (an answer to
 * HEAD). With LENGTH the caller sees to it that they add up to msg->length. */
int agw_h1_write_body(struct agw_chain *out, struct agw_block_pool *pool, enum agw_h1_framing framing,
                      struct agw_chain *data);
/* Appends the end: the last chunk and |trailers| (may be NULL); nothing for other framings. */
int agw_h1_write_end(struct agw_chain *out, struct agw_block_pool *pool, enum agw_h1_framing framing,
                     const struct agw_headers *trailers);

#endif
