/* Resources: what the gateway is told, one protobuf message each, and sets of them as sources hand them in.
 *
 * A resource is known by kind and key ("route" "ns/name.00"). Its message is read-only. There may be a
 * hundred thousand routes and backends, which are looked at when they come: they are kept packed, and their
 * message is there only between agw_resource_open and agw_resource_close. All other kinds are always open.
 * Names on the wire are "<kind>/<key>" for type Resource, the workload's uid or "<ns>/<hostname>" for type
 * Address. |agw_side| carries what a source knows and the wire format has no field for; the compiler reads
 * it, xDS never sends it. Ownership: resources are reference-counted (not atomic); sets and stores hold
 * references. Threads: the config thread; others may read what does not come and go with opening. Errors:
 * AGW_ENOMEM, AGW_ELIMIT (size, depth), AGW_EPROTO (bytes), AGW_EINVAL (no key, no kind) with the resource's
 * name in the text. */
#ifndef AGW_CONFIG_RESOURCE_H
#define AGW_CONFIG_RESOURCE_H

#include <stdint.h>
#include "base/arena.h"
#include "base/err.h"
#include "base/map.h"
#include "base/shared.h"
#include "net/addr.h"
#include "proto/resource.pb-c.h"
#include "proto/workload.pb-c.h"

/* A resource's packed size: Kubernetes refuses objects above 1.5 MiB, and a resource may hold a Secret or
 * two. */
#define AGW_RESOURCE_MAX_BYTES (4u << 20)
/* Memory of one unpacked resource: a peer can make empty submessages cost 100 times their two bytes. */
#define AGW_RESOURCE_MAX_MEMORY (64u << 20)
/* Keys are Kubernetes names (at most 253 characters each) joined by separators. */
#define AGW_RESOURCE_MAX_KEY 2048

#define AGW_RESOURCE_LIST(X)                                                                                 \
    X(BIND, "bind")                                                                                          \
    X(LISTENER, "listener")                                                                                  \
    X(ROUTE, "route")                                                                                        \
    X(BACKEND, "backend")                                                                                    \
    X(POLICY, "policy")                                                                                      \
    X(TCP_ROUTE, "tcp_route")                                                                                \
    X(WORKLOAD, "workload")                                                                                  \
    X(SERVICE, "service")                                                                                    \
    X(ROUTE_GROUP, "route_group")                                                                            \
    X(MODEL_ROUTE, "model_route")

enum agw_resource_kind {
#define X(name, text) AGW_RESOURCE_##name,
    AGW_RESOURCE_LIST(X)
#undef X
        AGW_RESOURCE_KINDS
};

/* Beside the wire. All zero: nothing known. */
struct agw_side {
    /* Routes: when the object was made, nanoseconds since 1970; the older route wins a tie, then namespace
     * and name, then the key. 0 (xDS): the key alone decides. */
    uint64_t created_ns;
    /* Binds: the addresses to listen on; ports are the bind's. None: all addresses. */
    const struct agw_addr *addrs;
    uint32_t addr_count;
};

struct agw_resource {
    struct agw_shared shared;
    enum agw_resource_kind kind;
    uint32_t bytes;     /* packed size */
    struct agw_str id;  /* "<kind>/<key>", NUL-terminated; the store's key */
    struct agw_str key; /* the part behind the first '/' of |id| */
    uint64_t hash;      /* of content and side: equal hashes are equal resources */
    struct agw_side side;
    /* What is asked of closed ones often. */
    uint32_t arm;      /* backends: the kind in their oneof */
    bool is_named_key; /* backends: the object's "namespace/name" is the key */
    uint32_t opens;
    union { /* while it is open, else NULL */
        const ProtobufCMessage *message;
        const Pb__Bind *bind;
        const Pb__Listener *listener;
        const Pb__Route *route;
        const Pb__Backend *backend;
        const Pb__Policy *policy;
        const Pb__TCPRoute *tcp_route;
        const Istio__Workload *workload;
        const Istio__Service *service;
        const Pb__RouteGroup *route_group;
        const Pb__ModelRoute *model_route;
    };
    const void *packed;      /* |bytes| of a Resource message; NULL: always open */
    struct agw_arena *arena; /* of the open message; stands in itself */
};

const char *agw_resource_kind_name(enum agw_resource_kind kind);

/* Makes a resource from the bytes of an agentgateway.dev.resource.Resource / istio.workload.Address. */
int agw_resource_decode(const void *data, size_t n, struct agw_resource **ret_resource,
                        struct agw_error *err);
int agw_resource_decode_address(const void *data, size_t n, struct agw_resource **ret_resource,
                                struct agw_error *err);
/* Makes a resource from one of the messages inside the oneof (for example a Pb__Route *), which is copied.
 * |side| may be NULL; its addresses are copied. */
int agw_resource_make(enum agw_resource_kind kind, const void *message, const struct agw_side *side,
                      struct agw_resource **ret_resource, struct agw_error *err);
/* Has |r->message| there until as many agw_resource_close. AGW_ENOMEM: it is not open then. */
int agw_resource_open(struct agw_resource *r);
void agw_resource_close(struct agw_resource *r);
/* Opens |r| and takes a reference; closes it and gives the reference back. */
int agw_resource_keep_open(struct agw_resource *r);
void agw_resource_release(void *r);
/* The message of |r|, open or not, copied into |arena| if need be; |r| stays as it is. Any thread that |r| is
 * kept for. NULL: out of memory. */
const ProtobufCMessage *agw_resource_message(const struct agw_resource *r, struct agw_arena *arena);
/* The bytes that agw_resource_decode or agw_resource_decode_address (workloads and services) takes; in
 * |arena| or |r|'s own. p is NULL when memory is out. Any thread that |r| is kept for. */
struct agw_str agw_resource_pack(const struct agw_resource *r, struct agw_arena *arena);
struct agw_resource *agw_resource_ref(struct agw_resource *r);
void agw_resource_unref(struct agw_resource *r); /* NULL is fine */
/* True if both say the same (content and side). */
bool agw_resource_same(const struct agw_resource *a, const struct agw_resource *b);

/* All that one source says now, in any order; at most one resource an id. What a translator makes. */
struct agw_resource_set {
    struct agw_map by_id; /* -> struct agw_resource */
};

void agw_resource_set_init(struct agw_resource_set *set);
void agw_resource_set_free(struct agw_resource_set *set);
/* Takes the caller's reference in any case. AGW_EEXISTS when the id is there already. */
int agw_resource_set_put(struct agw_resource_set *set, struct agw_resource *r, struct agw_error *err);
/* agw_resource_make and agw_resource_set_put in one: agw_resource_set_add(set, AGW_RESOURCE_ROUTE, &route,
 * &side, err). */
int agw_resource_set_add(struct agw_resource_set *set, enum agw_resource_kind kind, const void *message,
                         const struct agw_side *side, struct agw_error *err);
/* NULL when absent. */
struct agw_resource *agw_resource_set_get(const struct agw_resource_set *set, enum agw_resource_kind kind,
                                          struct agw_str key);

#endif
