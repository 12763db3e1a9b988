/* A connection: a chain of filters over a non-blocking socket. The socket filter is at the bottom; TLS, PROXY
 * protocol and tunnels stand on it and look the same to whoever reads and writes the top.
 *
 * Ownership: whoever embeds struct agw_conn owns it and calls agw_conn_close exactly once; filters free
 * themselves then. Threads: the loop's own.
 * Events are edge-triggered: after on_readable read until AGW_EAGAIN (or stop, and call agw_conn_want_read
 * later); after a write was short, on_writable comes. on_ready comes once, when connect and handshakes are
 * done, or on_failed instead; neither comes after agw_conn_close. Callbacks may close the connection. */
#ifndef AGW_NET_CONN_H
#define AGW_NET_CONN_H

#include <sys/types.h>
#include "base/err.h"
#include "event/loop.h"
#include "net/addr.h"

struct agw_conn;
struct agw_filter;

struct agw_filter_ops {
    const char *name; /* "socket", "tls", "proxy" */
    /* Drives connect / handshake. 0 done, AGW_EAGAIN wait for the next event, other: failed. */
    int (*start)(struct agw_filter *f, struct agw_error *err);
    /* Bytes read (> 0), AGW_EEOF at an orderly end, AGW_EAGAIN, or another error. */
    ssize_t (*read)(struct agw_filter *f, void *buf, size_t n);
    /* Bytes taken (> 0, may be short), AGW_EAGAIN, or an error. What was not taken must be offered again
     * unchanged (more may follow it): TLS may have sent a part of its record. */
    ssize_t (*writev)(struct agw_filter *f, const struct iovec *iov, int count);
    /* True if a read could return bytes without the socket becoming readable (TLS records already decrypted).
     */
    bool (*buffered)(const struct agw_filter *f);
    /* Sends the end of the stream (FIN, close_notify); best effort. */
    void (*shutdown)(struct agw_filter *f);
    void (*free)(struct agw_filter *f);
    /* True once the filter neither holds nor changes bytes, so that a splice may pass it by. NULL: never. */
    bool (*plain)(const struct agw_filter *f);
};

struct agw_filter {
    const struct agw_filter_ops *ops;
    struct agw_filter *next; /* towards the socket; NULL for the socket filter */
    struct agw_conn *conn;
};

struct agw_conn_events {
    void (*on_ready)(struct agw_conn *c);
    void (*on_failed)(struct agw_conn *c, int code, const char *reason);
    void (*on_readable)(struct agw_conn *c); /* also at end of stream and on errors: the read tells */
    void (*on_writable)(struct agw_conn *c);
};

struct agw_conn {
    struct agw_watch watch;
    struct agw_loop *loop;
    const struct agw_conn_events *events;
    struct agw_filter *top;
    struct agw_filter socket; /* the bottom filter, embedded */
    void *user;               /* the owner's; untouched by the connection */
    struct agw_task again;    /* agw_conn_want_read */
    bool *gone;               /* set by agw_conn_close while a callback runs */
    bool open;                /* until agw_conn_close */
    bool reset;               /* for the bottom's free: the peer is to see that it was cut off */
    bool started;             /* agw_conn_start was called */
    bool ready;
    bool failed; /* on_failed was called: no event follows */
    bool connecting;
    bool read_ready;             /* the socket may hold bytes: cleared by a short read or AGW_EAGAIN */
    bool write_ready;            /* cleared by a short write */
    bool hangup;                 /* EPOLLRDHUP or EPOLLHUP was seen: read to the end even after short reads */
    struct agw_addr peer, local; /* local is filled on demand, agw_conn_local */
};

/* Takes an accepted, non-blocking |fd| (closed with the connection, also on failure). agw_conn_start must
 * follow. */
int agw_conn_accept(struct agw_conn *c, struct agw_loop *loop, int fd, const struct agw_addr *peer,
                    const struct agw_conn_events *events);
/* Starts a non-blocking connect. On failure (AGW_EIO, AGW_EREFUSED, ...) no event follows and nothing is
 * open. */
int agw_conn_connect(struct agw_conn *c, struct agw_loop *loop, const struct agw_addr *to,
                     const struct agw_conn_events *events, struct agw_error *err);
/* A connection over |bottom| in place of a socket: a stream of another connection. The bottom says AGW_EAGAIN
 * while it waits, and clears read_ready and write_ready then; its owner tells news by agw_conn_news. Its free
 * is called by agw_conn_close, |reset| says how. agw_conn_start must follow. */
void agw_conn_over(struct agw_conn *c, struct agw_loop *loop, struct agw_filter *bottom,
                   const struct agw_addr *peer, const struct agw_conn_events *events);
/* For the owner of a bottom: what the socket's events would be (AGW_READABLE, AGW_WRITABLE, AGW_HANGUP). From
 * a task of its own, not from inside a call of the connection; the connection may be gone afterwards. */
void agw_conn_news(struct agw_conn *c, unsigned events);
/* Has the kernel probe the connection while it says nothing. Best effort; nothing for unix sockets. */
void agw_conn_keepalive(struct agw_conn *c, const struct agw_keepalive *k);
/* Puts a filter on top; before agw_conn_start only. */
void agw_conn_push(struct agw_conn *c, struct agw_filter *f);
/* Puts a filter on top of a connection that is ready, in on_ready: its handshake begins, and on_ready or
 * on_failed comes again when it is over. */
void agw_conn_stack(struct agw_conn *c, struct agw_filter *f);
/* Begins: on_ready or on_failed follows from a deferred task or an event, never from inside this call. */
void agw_conn_start(struct agw_conn *c);

/* After AGW_EEOF the peer may still read; after AGW_EAGAIN no system call is made until the socket has news.
 */
static inline ssize_t agw_conn_read(struct agw_conn *c, void *buf, size_t n)
{
    return c->top->ops->read(c->top, buf, n);
}
static inline ssize_t agw_conn_writev(struct agw_conn *c, const struct iovec *iov, int count)
{
    return c->top->ops->writev(c->top, iov, count);
}
/* True if a read may bring bytes without another event: what the top filter holds, or the socket is not yet
 * read dry. */
bool agw_conn_may_read(const struct agw_conn *c);
/* Calls on_readable again at the end of this turn: after reading was stopped with bytes left. */
void agw_conn_want_read(struct agw_conn *c);
/* Sends the end of our direction (close_notify, FIN); reading goes on. Best effort. */
void agw_conn_shutdown(struct agw_conn *c);
/* Closes the fd and frees the filters; with |reset| the peer sees RST. Idempotent. */
void agw_conn_close(struct agw_conn *c, bool reset);
static inline bool agw_conn_is_open(const struct agw_conn *c)
{
    return c->open;
}
/* True when all filters are plain: bytes may go between the socket and a pipe by the two calls below. */
bool agw_conn_is_plain(const struct agw_conn *c);
/* Moves at most |n| bytes from the socket into |pipe|, which must be empty, without copying them (splice(2)).
 * As agw_conn_read. */
ssize_t agw_conn_splice_in(struct agw_conn *c, int pipe, size_t n);
/* Moves at most |n| bytes, which |pipe| holds, to the socket. As agw_conn_writev; but splice(2) cannot be
 * told to raise no SIGPIPE, so the process must ignore it. */
ssize_t agw_conn_splice_out(struct agw_conn *c, int pipe, size_t n);
/* Our own address; n is 0 if the kernel does not tell. */
const struct agw_addr *agw_conn_local(struct agw_conn *c);

#endif
