/* HTTP/2 codec (RFC 9113) over nghttp2, pure: bytes and a clock in, events out; calls in, bytes out.
 *
 * One session is one connection's state; it hands out an opaque handle for each stream.
 * Ownership: the session owns nghttp2's state and its stream handles; message strings live in the arena that
 * on_stream gives (or the one given to agw_h2_request). A handle is valid until on_close returns, or until
 * agw_h2_reset or agw_h2_detach. Threads: one worker.
 *
 * A message that asks for an upgrade (msg->upgrade) is a GET, and 101 is the answer that grants it, as in
 * HTTP/1.1; on the wire they are extended CONNECT and 200 (RFC 8441).
 *
 * Errors: a negative code from agw_h2_input or agw_h2_output ends the connection (send what agw_h2_output
 * still gives: a GOAWAY). A malformed request is answered (400, 431) or reset inside the codec: no on_head.
 */
#ifndef AGW_H2_H2_H
#define AGW_H2_H2_H

#include "base/buf.h"
#include "http/msg.h"

struct agw_h2;
struct agw_h2_stream;

/* Limits, with their reasons in limits.c. */
struct agw_h2_limits {
    uint32_t streams;       /* concurrent streams: a server's peer may open, a client opens itself */
    uint32_t header_list;   /* bytes of a decoded field section (RFC 9113 section 10.5.1): 431 above */
    uint32_t headers;       /* number of fields */
    uint32_t target;        /* bytes of :path: 414 above */
    uint32_t stream_window; /* receive window of a stream, bytes */
    uint32_t conn_window;   /* receive window of the connection, bytes */
    uint32_t frame;         /* bytes of a frame's payload that the peer may send */
    uint32_t resets_burst, resets_rate;   /* resets a peer causes: burst and refill a second */
    uint32_t control_burst, control_rate; /* PING, SETTINGS, PRIORITY, WINDOW_UPDATE, empty DATA: the same */
};
extern const struct agw_h2_limits agw_h2_default_limits;

struct agw_h2_events {
    /* Server: a request begins. Returns the arena its message lives in and sets the stream's pointer; NULL
     * refuses it. */
    struct agw_arena *(*on_stream)(struct agw_h2 *h, struct agw_h2_stream *st, void **ret_stream);
    /* A whole valid field section. Client: also 1xx. |stream| is the user's pointer. */
    void (*on_head)(struct agw_h2 *h, void *stream, struct agw_msg *msg, bool end);
    /* Body bytes, a run inside |block|; flow control waits for agw_h2_consume. */
    void (*on_body)(struct agw_h2 *h, void *stream, struct agw_block *block, const unsigned char *p,
                    size_t n);
    void (*on_end)(struct agw_h2 *h, void *stream, struct agw_headers *trailers);
    /* Output was above AGW_STREAM_HIGH and went below AGW_STREAM_LOW. Comes from agw_h2_output. */
    void (*on_drain)(struct agw_h2 *h, void *stream);
    /* Last event of a stream: code 0, AGW_ERESET, AGW_EREFUSED (safe to retry: REFUSED_STREAM or above
     * GOAWAY's last id), AGW_EPROTO, AGW_ELIMIT, AGW_ENOMEM, AGW_ETIMEOUT. Server: also for a stream that
     * never had its on_head. */
    void (*on_close)(struct agw_h2 *h, void *stream, int code);
    /* Server: a bad request was answered with |status| without its user (on_close follows). For logs; may be
     * NULL. */
    void (*on_refused)(struct agw_h2 *h, int status, const char *reason);
    /* The peer's SETTINGS came. May be NULL. */
    void (*on_settings)(struct agw_h2 *h);
    /* The peer sent GOAWAY: open no more streams here. */
    void (*on_goaway)(struct agw_h2 *h);
};

/* NULL: out of memory. |limits|, |events| and |pool| must outlive the session. */
struct agw_h2 *agw_h2_server_new(const struct agw_h2_limits *limits, const struct agw_h2_events *events,
                                 struct agw_block_pool *pool, void *user);
struct agw_h2 *agw_h2_client_new(const struct agw_h2_limits *limits, const struct agw_h2_events *events,
                                 struct agw_block_pool *pool, void *user);
void *agw_h2_user(const struct agw_h2 *h);
/* Streams still open get on_close(|code|) first. Not from inside an event. NULL is fine. */
void agw_h2_free(struct agw_h2 *h, int code);

/* Feeds |n| bytes at |p| of |block|. Events come from inside. 0 or AGW_EPROTO / AGW_ELIMIT / AGW_ENOMEM. */
int agw_h2_input(struct agw_h2 *h, struct agw_block *block, const unsigned char *p, size_t n,
                 uint64_t now_ms);
/* Appends what is to be sent, until |out| holds about |max| bytes. 0 or an error. */
int agw_h2_output(struct agw_h2 *h, struct agw_chain *out, size_t max);
bool agw_h2_want_write(const struct agw_h2 *h);
/* True when the connection is done: nothing to read or write any more. */
bool agw_h2_done(const struct agw_h2 *h);
/* Why the connection ends: 0 while it lives or when the end is orderly. */
int agw_h2_error(const struct agw_h2 *h);
unsigned agw_h2_streams(const struct agw_h2 *h); /* open now, detached ones included */
/* Frames that wait to be sent, besides DATA: grows when a peer makes work and reads nothing. */
size_t agw_h2_backlog(const struct agw_h2 *h);
/* Client: how many more streams the peer lets us open; 0 after GOAWAY. */
unsigned agw_h2_room(const struct agw_h2 *h);
/* Call at a steady interval: resets streams (on_close(AGW_ETIMEOUT)) whose unsent bytes did not move since
 * the last call, and returns AGW_ETIMEOUT if a field section has been incomplete since then: the connection
 * is to be closed. */
int agw_h2_sweep(struct agw_h2 *h);
/* Server: call at a steady interval, |elapsed_ms| after the last time. Resets streams
 * (on_close(AGW_ETIMEOUT)) whose request's body is late by |most_ms| in all: each byte makes up for 1 /
 * |rate| of a second (0: any byte for all). Not those that are answered, nor while it is us who takes no
 * more. */
void agw_h2_pace(struct agw_h2 *h, uint32_t elapsed_ms, uint32_t rate, uint32_t most_ms);
/* The stream's body may be late, or not any more. */
void agw_h2_unpaced(struct agw_h2_stream *st, bool unpaced);
/* How long ago, at |now_ms|, the field section began that is still coming in; 0: there is none. */
uint64_t agw_h2_section_age(const struct agw_h2 *h, uint64_t now_ms);
/* When bytes came last, by the clock of agw_h2_input. */
uint64_t agw_h2_heard_ms(const struct agw_h2 *h);
/* Asks the peer for life. */
void agw_h2_ping(struct agw_h2 *h);
/* Gives spare stream memory back: for a connection that became idle. */
void agw_h2_trim(struct agw_h2 *h);

/* Client: 1 if the peer takes requests with an upgrade (extended CONNECT), 0 if not, AGW_EAGAIN before its
 * SETTINGS are here. */
int agw_h2_takes_upgrades(const struct agw_h2 *h);

/* Client: opens a stream with a request; strings are copied; |arena| takes the response. 0 sets *ret_stream.
 */
int agw_h2_request(struct agw_h2 *h, const struct agw_msg *msg, bool end, struct agw_arena *arena,
                   void *stream, struct agw_h2_stream **ret_stream);
/* Server: sends a response head (1xx, then final). Strings are copied. */
int agw_h2_respond(struct agw_h2_stream *st, const struct agw_msg *msg, bool end);
/* Takes all of |data|, also on failure. AGW_ECLOSED when this direction has ended. */
int agw_h2_body(struct agw_h2_stream *st, struct agw_chain *data);
int agw_h2_end(struct agw_h2_stream *st, const struct agw_headers *trailers);
size_t agw_h2_pending(const struct agw_h2_stream *st); /* bytes taken, not yet framed */
void agw_h2_consume(struct agw_h2_stream *st, size_t n);
/* RST_STREAM; no event comes for this stream any more. |code| as in on_close (0: NO_ERROR). */
void agw_h2_reset(struct agw_h2_stream *st, int code);
/* Forgets the user's pointer: no event comes for this stream any more, what is queued is still sent. If our
 * direction has not ended, this is agw_h2_reset. */
void agw_h2_detach(struct agw_h2_stream *st);
/* Begins an orderly end: GOAWAY, streams under way finish (RFC 9113 section 6.8). The last stream id is fixed
 * once the peer has answered a PING, or at a second call. */
void agw_h2_shutdown(struct agw_h2 *h);

#endif
