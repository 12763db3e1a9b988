/* A delta xDS client on gRPC C core: one stream to the control plane, for ever.
 *
 * The thread that calls agw_xds_client_run is the one that all callbacks run on: the config thread. gRPC has
 * threads of its own for sockets, which are made there and inherit its priority, mask and CPUs. State (what
 * was accepted) lives in xds/delta/client.h; this carries the bytes, reconnects, and reads the token and the
 * roots anew for each stream, so that rotated files count. Ownership: the caller's; the texts of the
 * configuration must outlive the client. Errors: AGW_EINVAL (address), AGW_ENOMEM. */
#ifndef AGW_XDS_CLIENT_H
#define AGW_XDS_CLIENT_H

#include "xds/delta/client.h"

struct agw_xds_header { /* sent with each stream */
    const char *name, *value;
};

struct agw_xds_client_conf {
    const char *address;    /* "http://host:port": plaintext HTTP/2; "https://..." or no scheme: TLS */
    const char *root_ca;    /* PEM file; NULL or "SYSTEM": the system's roots */
    const char *token;      /* file whose content is the bearer token; NULL: none */
    const char *cluster_id; /* NULL: "Kubernetes" */
    const struct agw_xds_header *headers;
    size_t header_count;
    struct agw_delta_node node;
};

struct agw_xds_client_events {
    /* Applies a response; the ACK or NACK goes out when it returns 0. Otherwise nothing was applied, and the
     * stream is ended: the next one brings it again. */
    int (*on_update)(void *ctx, const struct agw_delta_update *u, struct agw_delta_answer *a);
    /* A stream is open (the server's first bytes are here), or one has ended or failed, and why. */
    void (*on_stream)(void *ctx, bool connected, const char *why);
    /* What else the thread has to do. Nanoseconds until it wants to be called again; UINT64_MAX: with the
     * next response at the earliest. */
    uint64_t (*on_tick)(void *ctx, uint64_t now_ns);
};

/* A dial that takes longer has failed. */
#define AGW_XDS_CONNECT_MS 5000
/* The first response comes at once, even when it is empty: a peer that is silent this long is none. */
#define AGW_XDS_FIRST_RESPONSE_MS 60000
/* A connection that has been silent this long is asked for life: a stock server allows no ping more often
 * than every five minutes. */
#define AGW_XDS_KEEPALIVE_MS 310000
#define AGW_XDS_KEEPALIVE_TIMEOUT_MS 20000

struct agw_xds_client;
/* Connects to nothing yet. NULL with |err|. */
struct agw_xds_client *agw_xds_client_new(const struct agw_xds_client_conf *conf,
                                          const struct agw_xds_client_events *events, void *ctx,
                                          struct agw_error *err);
/* What is kept from stream to stream, to seed before run and to read on its thread. */
struct agw_delta_client *agw_xds_client_state(struct agw_xds_client *c);
/* Serves until agw_xds_client_stop; once. Block the signals that gRPC's threads must not take before. */
void agw_xds_client_run(struct agw_xds_client *c);
/* Makes run return soon. Any thread, once. */
void agw_xds_client_stop(struct agw_xds_client *c);
void agw_xds_client_free(struct agw_xds_client *c); /* not while it runs; NULL is fine */

#endif
