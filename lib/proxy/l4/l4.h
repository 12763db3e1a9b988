/* Connections that are relayed to a backend whatever they carry: TCP, TLS passed through by its server name,
 * TLS that ends here.
 *
 * A connection is given over when it is known to be one (ready, past PROXY header and TLS); from then on its
 * struct agw_server_conn is a protocol like the others: drain and destroy by its ops, on_closed at the end. A
 * backend is chosen by weight, once a connection. Each direction reads only when all it has read is written,
 * so a slow reader stops the other side; it holds AGW_L4_BUFFER bytes at most. An end of stream is passed on
 * and the other direction goes on. Between two plain sockets bulk goes through a pipe (splice(2)) and is not
 * copied. What runs is in nobody's way when the configuration changes: it keeps nothing of a snapshot once it
 * is connected.
 *
 * Ownership: one struct agw_l4 a worker, which outlives its connections. Threads: the worker's. */
#ifndef AGW_PROXY_L4_L4_H
#define AGW_PROXY_L4_L4_H

#include "balance/balancer.h"
#include "config/snapshot.h"
#include "proxy/server/server_conn.h"
#include "telemetry/access_log.h"
#include "telemetry/metrics.h"

/* A direction's bytes in flight: what a pipe holds, so that both ways of relaying are bounded alike. */
#define AGW_L4_BUFFER 65536

struct agw_l4_limits {
    uint32_t connect_ms;    /* to the backend, all tries, TLS handshake included */
    uint32_t tries;         /* endpoints */
    uint32_t idle_ms;       /* no byte in either direction: closed */
    uint32_t drain_idle_ms; /* the same once the connection should leave */
    uint32_t pipes;         /* open at once; without one bytes are copied */
};
extern const struct agw_l4_limits agw_l4_default_limits;

struct agw_l4;
/* |client| connects, |balancer| says where to. |log| may be NULL. NULL: out of memory. */
struct agw_l4 *agw_l4_new(struct agw_loop *loop, struct agw_client *client, struct agw_balancer *balancer,
                          struct agw_metrics *metrics, struct agw_access_log *log,
                          const struct agw_l4_limits *limits);
/* All connections are gone. NULL is fine. */
void agw_l4_free(struct agw_l4 *l4);

/* Takes |c| over, for |listener| of |snap|, which is the current one. |sni|: the server name, or empty.
 * AGW_ENOTFOUND (no route, no backend that could be reached) and AGW_ENOMEM: it was counted and logged, and
 * the caller closes it. */
int agw_l4_start(struct agw_l4 *l4, struct agw_server_conn *c, struct agw_snapshot *snap,
                 const struct agw_listener *listener, struct agw_str sni);

#endif
