/* Listening sockets of a worker, and connections until their protocol is known: PROXY header, a look at the
 * ClientHello, TLS handshake, ALPN, or a look at the first bytes of a plain port (HTTP/2 by prior knowledge,
 * RFC 9113 section 3.3). Threads: the worker's. */
#ifndef AGW_PROXY_ACCEPTOR_H
#define AGW_PROXY_ACCEPTOR_H

#include "net/listen.h"
#include "proxy/worker.h"

/* One bound address. Connections point at it, so it outlives its socket: it is freed with the last of them.
 */
struct agw_acceptor {
    struct agw_list node;
    struct agw_worker *worker;
    struct agw_listen listen;
    struct agw_str bind_key;         /* own copy */
    struct agw_addr addr;            /* as configured */
    enum agw_bind_protocol protocol; /* of the snapshot that was synced last */
    bool open;
    uint32_t conns;
    struct agw_metrics_conns series;
    /* The bind in the snapshot that was looked at last. */
    uint64_t generation;
    const struct agw_bind *bind;
};

/* Opens what |snap| asks for and is not open, closes what it no longer has. */
void agw_acceptors_sync(struct agw_worker *w, const struct agw_snapshot *snap);
void agw_acceptors_close(struct agw_worker *w);
/* Ends connections that do not speak a protocol yet. */
void agw_acceptors_abandon(struct agw_worker *w);

/* The acceptor's bind in |snap|, NULL when it is gone. */
const struct agw_bind *agw_acceptor_bind(struct agw_acceptor *a, const struct agw_snapshot *snap);

#endif
