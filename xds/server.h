/* A delta xDS server on gRPC C core: carries the streams of xds/delta/server.h to any number of clients.
 *
 * Serves AggregatedDiscoveryService/DeltaAggregatedResources; StreamAggregatedResources and everything else
 * is UNIMPLEMENTED. It has a thread of its own; what is published is changed under its lock, by any thread.
 * A client that reads slowly holds references on published resources, never copies, and delays nobody.
 * Ownership: the caller's; the texts of the options too, until start returns.
 * Threads: new, start and free on one, lock and unlock on any. The callbacks run under the lock, on any
 * thread of these; they must neither lock nor wait. Errors: AGW_EIO (address, files), AGW_EINVAL (certificate
 * or key), AGW_ENOMEM. */
#ifndef AGW_XDS_SERVER_H
#define AGW_XDS_SERVER_H

#include "net/addr.h"
#include "xds/delta/server.h"

/* A client that pings this often, with or without a stream, is welcome: stock clients ping every 10 s at
 * most often. */
#define AGW_XDS_SERVER_MIN_PING_MS 5000
/* A silent connection is asked for life after this time and closed if it does not answer within the next: a
 * node that vanished must not count as a client for long. */
#define AGW_XDS_SERVER_KEEPALIVE_MS 60000
#define AGW_XDS_SERVER_KEEPALIVE_TIMEOUT_MS 20000
/* A client needs one call; more on one connection have no use. */
#define AGW_XDS_SERVER_MAX_CALLS 16
/* How long the clients have to take their last status when the server stops. */
#define AGW_XDS_SERVER_STOP_MS 1000

struct agw_xds_server;

struct agw_xds_server_options {
    struct agw_addr address;          /* port 0: any free one */
    const char *cert_file, *key_file; /* PEM; both NULL: plaintext */
    /* May |role| be served to whoever sends this `authorization` header (empty: none)? 0; AGW_EREFUSED with
     * the reason: PERMISSION_DENIED; any other: UNAUTHENTICATED. NULL: everybody may. */
    int (*authorize)(void *arg, struct agw_str authorization, struct agw_str role, struct agw_error *err);
    /* A client refused a response, wholly or in part. NULL is fine. */
    void (*nack)(void *arg, const struct agw_delta_nack *nack);
    void *arg;
};

/* Makes a server that does not listen yet: publish first, for a client that finds nothing would forget all it
 * has. Block the signals that gRPC's threads must not take before. */
int agw_xds_server_new(const struct agw_xds_server_options *options, struct agw_xds_server **ret_server,
                       struct agw_error *err);
/* Listens and serves. Once; after an error only free is left. */
int agw_xds_server_start(struct agw_xds_server *s, struct agw_error *err);
uint16_t agw_xds_server_port(const struct agw_xds_server *s);
/* The published set, for puts and removes. What they did is sent at unlock, as one batch. */
struct agw_delta_server *agw_xds_server_lock(struct agw_xds_server *s);
void agw_xds_server_unlock(struct agw_xds_server *s);
void agw_xds_server_stats(struct agw_xds_server *s, struct agw_delta_stats *ret_stats);
/* Ends every stream with UNAVAILABLE and frees the server. NULL is fine. */
void agw_xds_server_free(struct agw_xds_server *s);

#endif
