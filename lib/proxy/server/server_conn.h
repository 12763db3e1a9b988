/* A downstream connection as the gateway sees it, whatever version of HTTP it speaks.
 *
 * The acceptor allocates struct agw_server_conn, fills the public fields and starts |conn| (TLS handshake).
 * When it knows the protocol (ALPN, or the first bytes of a plain port) it calls agw_h1_server_start or
 * agw_h2_server_start with the bytes it has read; from then on the protocol owns |conn|, |ops|, |proto| and
 * |timer|.
 *
 * Ownership: the acceptor's object; the protocol frees its own state and closes |conn|, then calls
 * on_closed (as the last thing it does: the handler may free the object there). Threads: the loop's own. */
#ifndef AGW_PROXY_SERVER_SERVER_CONN_H
#define AGW_PROXY_SERVER_SERVER_CONN_H

#include "event/loop.h"
#include "h1/h1.h"
#include "h2/h2.h"
#include "http/front.h"
#include "http/stream.h"
#include "net/conn.h"

struct agw_server_conn;

struct agw_server_handler {
    /* A request head came. Must set s->events and s->owner before it returns (or call agw_stream_reset); it
     * may write the answer at once. |msg| lives in s->arena. */
    void (*on_request)(struct agw_server_conn *c, struct agw_stream *s, struct agw_msg *msg, bool end);
    /* The codec answered |status| to something that was not a valid request; for logs and metrics. */
    void (*on_refused)(struct agw_server_conn *c, int status, const char *reason);
    /* The connection is over: its streams were closed before, |conn| is closed, the protocol's state is gone.
     */
    void (*on_closed)(struct agw_server_conn *c);
};

struct agw_server_conn_ops {
    const char *name; /* "h1", "h2" */
    /* Takes no new requests, finishes those under way, then closes (on_closed follows, never from inside).
     * Idempotent. */
    void (*drain)(struct agw_server_conn *c);
    /* Ends at once: open streams get on_close(AGW_ECANCELED), then on_closed comes from inside. Not from
     * inside an event of this connection or of its streams. */
    void (*destroy)(struct agw_server_conn *c);
};

struct agw_server_limits {
    uint32_t idle_ms;  /* no request under way: closed after this */
    uint32_t head_ms;  /* a started head must be complete within this */
    uint32_t stall_ms; /* bytes wait and the peer takes none: closed (HTTP/2: the stream reset) after this */
    uint32_t duration_ms; /* no new request after this; 0: whenever */
    /* For this long a request's body may be late: silent, or, added up, behind |body_rate| bytes a second.
     * Each byte makes up for 1 / body_rate of a second. Not while the gateway itself reads no further, nor
     * once the answer has begun. 0: for ever; without a rate any byte makes up for all. */
    uint32_t body_ms, body_rate;
    uint32_t stream_idle_ms; /* a request that waits for its answer, or an answer that goes on: without a byte
                                from either side; 0: any time */
    uint64_t body_max;       /* bytes of a request's body; 0: any number */
    uint32_t buffer_max;     /* of one that is held until it is whole; 0: the holder's own limit */
    uint32_t ping_ms, pong_ms; /* HTTP/2: silence after which the peer is asked for life (0: never), and the
                                  time for its answer */
    const struct agw_h1_limits *h1; /* NULL: the codec's own */
    const struct agw_h2_limits *h2;
};
extern const struct agw_server_limits agw_server_default_limits;

/* |base| with what |f| says for a connection by HTTP/2, or by HTTP/1.1. free() it after the connection. NULL:
 * out of memory. */
struct agw_server_limits *agw_server_limits_new(const struct agw_server_limits *base,
                                                const struct agw_front *f, bool h2);

struct agw_server_conn {
    const struct agw_server_conn_ops *ops; /* NULL until a protocol was started */
    const struct agw_server_handler *handler;
    const struct agw_server_limits *limits;
    struct agw_conn conn;
    struct agw_list node;       /* the acceptor's: all connections of a worker or listener */
    struct agw_timer timer;     /* handshake and sniffing: the acceptor's; afterwards the protocol's */
    void *ctx;                  /* the handler's: worker */
    void *user;                 /* the handler's: listener */
    void *proto;                /* the protocol's state */
    struct agw_str client_cert; /* who the client is, malloced; for the handler to make at need */
    uint64_t expires_ms;        /* no new request from then on; 0: never */
    struct agw_str identity;    /* SPIFFE id of who speaks, by a verified certificate; else empty */
    bool secure;                /* requests get the scheme https */
    bool draining;
    bool has_client_cert; /* |client_cert| was made */
};

/* True if the request under way, or the next one, is the connection's last. */
static inline bool agw_server_conn_is_leaving(const struct agw_server_conn *c)
{
    return c->draining || (c->expires_ms && c->conn.loop->now_ms >= c->expires_ms);
}
static inline void agw_server_conn_drain(struct agw_server_conn *c)
{
    c->ops->drain(c);
}
static inline void agw_server_conn_destroy(struct agw_server_conn *c)
{
    c->ops->destroy(c);
}

#endif
