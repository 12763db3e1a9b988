/* The gateway: workers and what they have in common. It takes snapshots in and traffic follows.
 *
 * Ownership: the caller owns the gateway, the metrics registry and the log given to it. Threads: all
 * functions on the one thread that made it (main or config), but agw_gateway_publish may be called from the
 * config thread. */
#ifndef AGW_PROXY_GATEWAY_H
#define AGW_PROXY_GATEWAY_H

#include <semaphore.h>
#include <stdatomic.h>
#include "event/memory.h"
#include "net/cidr.h"
#include "proxy/worker.h"

/* What is above is closed at once, so that descriptors and memory last. */
#define AGW_GATEWAY_MAX_CONNS 100000

#define AGW_GATEWAY_OLD_KEYS 3 /* a change of keys needs one */

struct agw_gateway_options {
    unsigned workers;              /* 0: one for each CPU the process may use */
    unsigned max_conns;            /* of clients, open at once, a worker; 0: AGW_GATEWAY_MAX_CONNS */
    unsigned max_conns_per_source; /* of these, of one address (IPv6: /64); 0: all */
    bool pin;                      /* pin worker i to CPU i */
    struct agw_metrics_registry *metrics;
    struct agw_access_log *access_log;                /* NULL: off */
    bool processes;                                   /* MCP targets may be processes (stdio) */
    unsigned char session_key[32];                    /* seals MCP session ids and the ids of agents' tasks */
    unsigned char old_keys[AGW_GATEWAY_OLD_KEYS][32]; /* open what they sealed */
    unsigned old_key_count;
    uint64_t session_age_s;                /* of MCP sessions; 0: any */
    uint32_t mcp_target_ms;                /* for a target's part of a joined answer; 0: the default */
    enum agw_client_cert_mode client_cert; /* what becomes of X-Forwarded-Client-Cert */
    struct agw_cidrs trusted;              /* peers whose X-Forwarded fields count; outlive the gateway */
    const struct agw_server_limits
        *server;             /* of clients' connections; outlives the gateway; NULL: the defaults */
    struct agw_tls_own *own; /* the gateway's certificate in a mesh; NULL: it is in none */
    struct agw_client_limits
        client; /* of each worker, to each endpoint; without conns_max: the default ones */
};

struct agw_gateway {
    struct agw_gateway_options options;
    struct agw_siv *task_ids; /* seals the ids of agents' tasks */
    struct agw_siv *sessions; /* and what clients bring back to stay with an endpoint */
    struct agw_worker **workers;
    unsigned count;
    struct agw_mcp_hub *mcp_hub;
    struct agw_mcp_supervisor *supervisor; /* NULL: no processes */
    sem_t synced;                          /* posted by each worker that has taken a snapshot's listeners */
    _Atomic unsigned idle_workers;         /* draining workers without connections */
    _Atomic enum agw_memory_level memory;
};

/* Makes and starts the workers; they serve nothing before the first snapshot. */
struct agw_gateway *agw_gateway_new(const struct agw_gateway_options *options, struct agw_error *err);
/* Publishes |s| (taken over), waits until the workers listen where it says (a stuck one is waited for a
 * second at most) and frees older snapshots that nobody uses. */
void agw_gateway_publish(struct agw_gateway *g, struct agw_snapshot *s);
/* How short memory is, from now on: workers refuse what the level says. Any thread. */
void agw_gateway_memory(struct agw_gateway *g, enum agw_memory_level level);
/* Goes on as before, but asks clients to leave: the next answer on a connection is its last. */
void agw_gateway_leave(struct agw_gateway *g);
/* Stops accepting and waits until all connections ended, at most |max_ms|. True if none is left; may be
 * called again to wait on. */
bool agw_gateway_drain(struct agw_gateway *g, unsigned max_ms);
/* Ends the workers, whatever they do, and frees everything. */
void agw_gateway_free(struct agw_gateway *g);

#endif
