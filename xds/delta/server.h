/* The serving side of delta xDS without its transport: what is published, and what each stream still needs.
 *
 * A resource is published to all gateways or to one role ("<namespace>~<gateway>"). A publisher puts and
 * removes; afterwards the owner asks each stream for its next response until it answers AGW_EAGAIN. A change
 * moves its name to the end of a list ordered by change, and a stream remembers how far into the list it has
 * been told: finding what is new costs what has changed, and a client that never answers costs a few hundred
 * bytes, however much changes meanwhile. At most one response a type waits for its ACK.
 * Ownership: streams belong to their opener and end before the server. A response holds references on
 * published bytes, which are immutable and may be released on any thread; all else belongs to one thread at a
 * time (a lock of the owner). Callbacks run inside agw_delta_stream_receive and must not call back.
 * Errors: AGW_ENOMEM leaves everything as it was; those of a stream mean that the owner must end it. */
#ifndef AGW_XDS_DELTA_SERVER_H
#define AGW_XDS_DELTA_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"
#include "base/str.h"
#include "xds/delta/type.h"

/* One request. The largest honest one lists the versions of all that a client kept, about 100 bytes each. */
#define AGW_DELTA_MAX_REQUEST (64u << 20)
/* Memory of an unpacked request: an empty map entry is two bytes on the wire and 80 in memory. */
#define AGW_DELTA_MAX_REQUEST_MEMORY (256u << 20)
/* Versions in one request: five times the largest configuration that is measured (100,000 routes). */
#define AGW_DELTA_MAX_VERSIONS 500000
/* Published resources; the same reason, with room for the workloads. */
#define AGW_DELTA_MAX_RESOURCES 1000000
/* A name is a kind and a key of at most 2048 bytes. */
#define AGW_DELTA_MAX_NAME 2304
/* A body: the data plane refuses a resource above 4 MiB. */
#define AGW_DELTA_MAX_BODY (4u << 20)
/* Namespace and gateway are DNS names of at most 253 bytes. */
#define AGW_DELTA_MAX_ROLE 512
/* An id has an address, a pod, a namespace and a domain in it. */
#define AGW_DELTA_MAX_NODE_ID 2048
/* A gateway's replicas are one stream each; more than this has other problems. */
#define AGW_DELTA_MAX_STREAMS 10000
/* Types that we do not serve, for one stream: Envoy has about ten. */
#define AGW_DELTA_MAX_OTHER_TYPES 16
/* A response ends after this many bytes and the rest follows its ACK: clients take messages of 200 MiB. */
#define AGW_DELTA_RESPONSE_BYTES (100u << 20)
/* Removed names are kept until all streams know of them. Beyond this many, or as many as there are live
 * ones, a stream that has not answered since is ended with AGW_ELIMIT; it comes back with its versions. */
#define AGW_DELTA_MAX_REMOVED 100000

struct agw_delta_server;
struct agw_delta_stream;
struct agw_delta_entry; /* one published resource in one version, packed for the wire */

/* What puts and removes did, added up by the caller's own struct. */
struct agw_delta_change {
    uint32_t added, updated, removed, same;
};

struct agw_delta_nack {
    struct agw_str role, node_id;
    struct agw_str type;    /* URL */
    struct agw_str message; /* as the client wrote it: a JSON list, or any text */
};

struct agw_delta_callbacks {
    /* The first request of a stream has told who it is: 0, or a negative code with the reason in |err| (the
     * stream ends with it). NULL: everybody is welcome. */
    int (*admit)(void *arg, void *owner, struct agw_str role, struct agw_str node_id, struct agw_error *err);
    /* A response was refused, wholly or in part; it is not sent again. NULL is fine. */
    void (*nack)(void *arg, void *owner, const struct agw_delta_nack *nack);
    void *arg;
};

struct agw_delta_stats {
    uint32_t streams, resources;
    uint64_t responses, bytes, acks, nacks, stale, evicted;
};

/* NULL: out of memory. |callbacks| is copied. */
struct agw_delta_server *agw_delta_server_new(const struct agw_delta_callbacks *callbacks);
void agw_delta_server_free(struct agw_delta_server *s); /* no stream may be open; NULL is fine */
void agw_delta_server_stats(const struct agw_delta_server *s, struct agw_delta_stats *ret_stats);

/* Publishes |body| (copied) as |name|; equal bytes change nothing. An empty |role| means all gateways. A name
 * goes to all or to roles: a put to one takes it from the other. AGW_ELIMIT, AGW_EINVAL, AGW_ENOMEM. |change|
 * may be NULL. */
int agw_delta_server_put(struct agw_delta_server *s, enum agw_delta_type type, struct agw_str role,
                         struct agw_str name, struct agw_str body, struct agw_delta_change *change,
                         struct agw_error *err);
/* Absent names are fine. */
void agw_delta_server_remove(struct agw_delta_server *s, enum agw_delta_type type, struct agw_str role,
                             struct agw_str name, struct agw_delta_change *change);
/* Publishes a whole set: begin, a put for each resource, end; what was not put since begin is removed by
 * end. After a failed put do not call end: nothing is removed then, and the next set starts anew. */
void agw_delta_server_set_begin(struct agw_delta_server *s);
void agw_delta_server_set_end(struct agw_delta_server *s, struct agw_delta_change *change);
/* Ends a batch: forgets removed names that every stream knows of, and roles that nobody needs. */
void agw_delta_server_flush(struct agw_delta_server *s);

/* AGW_ELIMIT, AGW_ENOMEM. |owner| is handed to the callbacks. */
int agw_delta_stream_open(struct agw_delta_server *s, void *owner, struct agw_delta_stream **ret_stream,
                          struct agw_error *err);
/* Takes one DeltaDiscoveryRequest. AGW_EPROTO, AGW_EINVAL (who is it?), AGW_EUNSUPPORTED (single names),
 * AGW_ELIMIT, AGW_ENOMEM, or what |admit| said: end the stream. */
int agw_delta_stream_receive(struct agw_delta_stream *st, const void *data, size_t n, struct agw_error *err);

/* A DeltaDiscoveryResponse in parts: |head|, then the bytes of each entry. */
struct agw_delta_response {
    struct agw_str head;
    struct agw_delta_entry **entries; /* one reference each */
    uint32_t count;
    size_t bytes; /* of all parts */
};

/* The next response for the caller to free. AGW_EAGAIN: nothing to send now. AGW_ELIMIT: end the stream, it
 * answers too slowly. AGW_ENOMEM: ask again later. */
int agw_delta_stream_next(struct agw_delta_stream *st, struct agw_delta_response **ret_response);
void agw_delta_stream_close(struct agw_delta_stream *st); /* NULL is fine */

void agw_delta_response_free(struct agw_delta_response *r); /* NULL is fine */
/* The bytes of one entry inside a response. */
struct agw_str agw_delta_entry_wire(const struct agw_delta_entry *e);
struct agw_delta_entry *agw_delta_entry_ref(struct agw_delta_entry *e);
void agw_delta_entry_unref(struct agw_delta_entry *e); /* any thread */

#endif
