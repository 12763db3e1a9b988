/* The seam between who makes HTTP and who carries it: one request and its response as seen from one side.
 *
 * A stream has a writer half (calls below: the owner tells the codec what to send) and a reader half (events:
 * the codec tells the owner what came). A server connection makes streams whose reader brings a request and
 * whose writer takes the response; a client stream is the mirror image. The same struct serves HTTP/1.1 and
 * HTTP/2.
 *
 * Order, each direction: head (1xx heads may come before a response's head), body pieces, end (with trailers
 * or without). Back-pressure: the reader gets at most AGW_STREAM_WINDOW body bytes that it has not given back
 * by consume(); the writer looks at pending() and, once it saw it above AGW_STREAM_HIGH, waits for on_drain.
 * Closing: on_close is the last event and comes exactly once unless the owner calls detach() or reset()
 * first; after any of these three the owner must not touch the stream. It comes with code 0 once both
 * directions have ended well. Threads: one worker. Callbacks may call any writer function and reset(). A call
 * that fails (negative) has closed the stream in effect: on_close follows from a deferred task. */
#ifndef AGW_HTTP_STREAM_H
#define AGW_HTTP_STREAM_H

#include "base/buf.h"
#include "http/msg.h"

#define AGW_STREAM_WINDOW 65536 /* body bytes under way to a reader: the HTTP/2 default window */
#define AGW_STREAM_HIGH 65536   /* a writer stops above this many unsent bytes */
#define AGW_STREAM_LOW 16384    /* and gets on_drain below this many */

struct agw_stream;

struct agw_stream_events {
    /* |msg| lives in the stream's arena until on_close. |end|: no body follows. 1xx responses arrive with end
     * false. */
    void (*on_head)(struct agw_stream *s, struct agw_msg *msg, bool end);
    /* Take what you want from |data| (agw_chain_move); what is left is dropped. Give bytes back by consume().
     */
    void (*on_body)(struct agw_stream *s, struct agw_chain *data);
    /* |trailers| may be NULL. */
    void (*on_end)(struct agw_stream *s, struct agw_headers *trailers);
    void (*on_drain)(struct agw_stream *s);
    /* code 0, or why it broke: AGW_ERESET, AGW_ETIMEOUT, AGW_EREFUSED, AGW_EDNS, AGW_ETLS, AGW_EPROTO,
     * AGW_ELIMIT, AGW_EIO. AGW_ECLOSED: a reused connection was closed by the peer before any byte of an
     * answer: safe to try again if the method is idempotent, or if nothing was sent (agw_client_unsent). */
    void (*on_close)(struct agw_stream *s, int code);
};

struct agw_stream_ops {
    /* Sends a head; |end|: no body follows. A server may send 1xx heads first. 0 or AGW_ENOMEM / AGW_ECLOSED.
     */
    int (*write_head)(struct agw_stream *s, const struct agw_msg *msg, bool end);
    /* Takes all of |data| (it is empty afterwards). */
    int (*write_body)(struct agw_stream *s, struct agw_chain *data);
    /* Ends this direction; |trailers| may be NULL. */
    int (*write_end)(struct agw_stream *s, const struct agw_headers *trailers);
    /* Body bytes accepted by write_body and not yet with the kernel. */
    size_t (*pending)(const struct agw_stream *s);
    /* The reader is done with |n| body bytes: more may come. */
    void (*consume)(struct agw_stream *s, size_t n);
    /* Ends both directions at once: RST_STREAM, or closing the HTTP/1.1 connection. No event follows. */
    void (*reset)(struct agw_stream *s, int code);
    /* The owner loses interest after both directions ended well from its point of view. No event follows. */
    void (*detach)(struct agw_stream *s);
};

struct agw_stream {
    const struct agw_stream_ops *ops;
    const struct agw_stream_events *events;
    void *owner;             /* whoever listens to the events */
    struct agw_arena *arena; /* of the exchange; lives until the stream is closed, reset or detached */
};

static inline int agw_stream_write_head(struct agw_stream *s, const struct agw_msg *m, bool end)
{
    return s->ops->write_head(s, m, end);
}
static inline int agw_stream_write_body(struct agw_stream *s, struct agw_chain *data)
{
    return s->ops->write_body(s, data);
}
static inline int agw_stream_write_end(struct agw_stream *s, const struct agw_headers *trailers)
{
    return s->ops->write_end(s, trailers);
}
static inline size_t agw_stream_pending(const struct agw_stream *s)
{
    return s->ops->pending(s);
}
static inline void agw_stream_consume(struct agw_stream *s, size_t n)
{
    s->ops->consume(s, n);
}
static inline void agw_stream_reset(struct agw_stream *s, int code)
{
    s->ops->reset(s, code);
}
static inline void agw_stream_detach(struct agw_stream *s)
{
    s->ops->detach(s);
}

#endif
