/* A worker: one pinned thread with its own loop, listeners, connections, upstream pools and counters. It
 * shares nothing but the published snapshot, and hears from others by posts alone. Ownership: made and freed
 * by the gateway (proxy/gateway.h). Threads: its own, unless said. */
#ifndef AGW_PROXY_WORKER_H
#define AGW_PROXY_WORKER_H

#include <pthread.h>
#include "a2a/directory.h"
#include "balance/balancer.h"
#include "balance/probe.h"
#include "client/client.h"
#include "config/snapshot.h"
#include "event/loop.h"
#include "event/memory.h"
#include "keys/keys.h"
#include "mcp/handler.h"
#include "proxy/forward/budget.h"
#include "proxy/forward/client_cert.h"
#include "proxy/forward/mirror.h"
#include "proxy/l4/l4.h"
#include "proxy/server/server_conn.h"
#include "proxy/server/sources.h"
#include "telemetry/access_log.h"
#include "telemetry/metrics.h"

struct agw_gateway;

struct agw_worker {
    struct agw_loop loop;
    struct agw_gateway *gateway;
    struct agw_dns *dns;
    struct agw_client *client;
    struct agw_balancer *balancer;
    struct agw_prober *prober; /* the first worker's, for all; NULL: not here */
    struct agw_mcp *mcp;
    struct agw_a2a_directory *agents;
    struct agw_keys *keys;
    struct agw_l4 *l4;
    struct agw_metrics *metrics;
    struct agw_access_log *access_log; /* NULL: off */
    struct agw_retry_budgets retries;
    struct agw_mirrors mirrors;
    uint64_t shown;      /* of what these two count, in the metrics */
    uint64_t keys_shown; /* the same of keys */
    struct agw_list acceptors;
    struct agw_list conns; /* struct agw_server_conn: all that are open */
    uint32_t conn_count;
    struct agw_sources sources; /* of |conns|, if they are limited by source */
    struct agw_timer rebind;    /* armed while an address could not be bound */
    bool leaving;               /* each request may be its connection's last */
    bool draining;
    bool stopping;
    pthread_t thread;
};

/* Makes the worker; the thread is not started. */
int agw_worker_init(struct agw_worker *w, struct agw_gateway *g, unsigned index, struct agw_error *err);
void agw_worker_free(struct agw_worker *w);
int agw_worker_start(struct agw_worker *w, struct agw_error *err);

/* From any thread. */
void agw_worker_sync(struct agw_worker *w);  /* a new snapshot is published: open and close listeners */
void agw_worker_leave(struct agw_worker *w); /* the next answer on a connection is its last */
void agw_worker_drain(
    struct agw_worker *w); /* stop accepting, finish, answer with Connection: close / GOAWAY */
void agw_worker_stop(
    struct agw_worker *w); /* end what is left and leave the loop; join the thread afterwards */

/* How short memory is. */
enum agw_memory_level agw_worker_memory(const struct agw_worker *w);

/* A connection is gone: a draining worker may be done. The worker's own thread. */
void agw_worker_conn_gone(struct agw_worker *w);

#endif
