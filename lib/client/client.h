/* Upstream requests: connection pools by endpoint, HTTP/1.1 and HTTP/2, plain and TLS. One client a worker.
 *
 * A request is a struct agw_stream (http/stream.h) seen from the client's side: write the head at once, it
 * waits for the connection. Ownership: the stream belongs to the client until on_close, reset or detach.
 * Threads: the loop's own. */
#ifndef AGW_CLIENT_CLIENT_H
#define AGW_CLIENT_CLIENT_H

#include "event/loop.h"
#include "http/stream.h"
#include "net/addr.h"
#include "net/dns.h"
#include "tls/own.h"

enum agw_upstream_http {
    AGW_UPSTREAM_HTTP1,
    AGW_UPSTREAM_HTTP2,
    AGW_UPSTREAM_ALPN /* TLS only: as negotiated */
};

/* Where requests go; immutable. Endpoints with equal keys share connections, also across snapshots. */
struct agw_endpoint {
    struct agw_str key;   /* all that connections differ by, as text: agw_endpoint_key */
    uint64_t hash;        /* agw_hash(key) */
    struct agw_addr addr; /* n == 0: resolve host:port */
    struct agw_str host;
    uint16_t port;
    enum agw_upstream_http http;
    struct agw_tls_client *tls; /* NULL: plain */
    uint32_t connect_ms;        /* connect and handshake; 0: the client's limit */
    struct agw_keepalive keepalive;
    bool dynamic; /* a request named it: its pool is one of a limited number */
    bool may_h2;  /* plain, and nobody has said what it speaks: HTTP/2 for requests that need it */
    /* Connections run through HTTP/2 CONNECT streams to this one; NULL: they go there themselves. It is
     * HTTP/2 and has no tunnel of its own. */
    const struct agw_endpoint *tunnel;
    /* Instead of |tls|: by the gateway's own certificate, to one of |peers| (SPIFFE ids, separated by
     * spaces).
     */
    struct agw_tls_own *own;
    struct agw_str peers;
};

/* Builds key and hash from the other fields; |tls_identity| tells TLS settings apart (empty for plain, and
 * for |own|). The tunnel has its key already.
 * AGW_ENOMEM. */
int agw_endpoint_key(struct agw_endpoint *e, struct agw_str tls_identity, struct agw_arena *arena);

/* |like| at another place: an address or a name. In |arena|, as are its texts but |host|. AGW_ENOMEM. */
int agw_endpoint_at(const struct agw_endpoint *like, struct agw_str host, uint16_t port,
                    struct agw_arena *arena, const struct agw_endpoint **ret_endpoint);

/* |e| by HTTP/2, in |arena|. NULL: out of memory. */
const struct agw_endpoint *agw_endpoint_by_h2(const struct agw_endpoint *e, struct agw_arena *arena);

struct agw_client_limits {
    uint32_t connect_ms;   /* connect and TLS handshake */
    uint32_t idle_ms;      /* an idle pooled connection is closed after this */
    uint32_t idle_max;     /* idle connections kept an endpoint */
    uint32_t conns_max;    /* connections an endpoint (this worker); requests above wait */
    uint32_t waiting_max;  /* requests waiting for a connection an endpoint; AGW_ELIMIT above */
    uint32_t requests_max; /* under way or waiting, an endpoint (this worker); AGW_ELIMIT above */
    uint32_t per_conn_max; /* requests that a connection serves in its life; 0: any number */
    uint32_t age_ms;       /* a connection this old takes no further request; 0: none is too old */
    uint32_t dynamic_max;  /* pools of endpoints that requests name */
};
extern const struct agw_client_limits agw_client_default_limits;

struct agw_client_stats {
    uint64_t connects, connect_failures;
    uint64_t reuses;    /* requests on a connection that had served one before */
    uint64_t overflows; /* streams that failed with AGW_ELIMIT */
    uint32_t open, idle, waiting;
};

struct agw_client;
struct agw_client *agw_client_new(struct agw_loop *loop, struct agw_dns *dns,
                                  const struct agw_client_limits *limits);
void agw_client_free(struct agw_client *c); /* resets all streams, without events */
const struct agw_client_stats *agw_client_stats(const struct agw_client *c);

/* False: requests have named too many endpoints, for now: those
 * that are not in use give way within a second. For dynamic endpoints, before agw_client_open. */
bool agw_client_admits(struct agw_client *c, const struct agw_endpoint *to);
/* Opens a stream to |to| (copied as far as needed; |to|->tls is referenced). |arena| takes the response head
 * and must live until the stream is over. NULL: out of memory. No event comes from inside this call. */
struct agw_stream *agw_client_open(struct agw_client *c, const struct agw_endpoint *to,
                                   struct agw_arena *arena, const struct agw_stream_events *events,
                                   void *owner);
/* After on_head: the address the request went to (for logs). n == 0 when not connected. */
const struct agw_addr *agw_client_peer(const struct agw_stream *s);
/* True if the stream runs on a connection that served a request before. */
bool agw_client_reused(const struct agw_stream *s);
/* In on_close: true if no byte of the request had left for the endpoint, or the endpoint said that it took
 * none, so that it may be tried again whatever its method is. */
bool agw_client_unsent(const struct agw_stream *s);
/* In on_close: true if the connection was lost before a byte of the answer came (RFC 9110 section 9.2.2: an
 * idempotent request may then be sent again). */
bool agw_client_silent(const struct agw_stream *s);

#endif
