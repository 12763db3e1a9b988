/* What the two halves of the delta server share: the published set (server.c) and its streams
 * (server_stream.c). */
#ifndef AGW_XDS_DELTA_SERVER_INT_H
#define AGW_XDS_DELTA_SERVER_INT_H

#include <stdatomic.h>
#include "base/arena.h"
#include "base/list.h"
#include "base/map.h"
#include "xds/delta/server.h"

struct agw_delta_entry {
    _Atomic uint32_t refs;
    uint64_t hash;           /* of the body; the version is its hex form */
    char version[17];        /* NUL-terminated */
    struct agw_str body;     /* inside |wire| */
    struct agw_str wire;     /* field |resources| of a response, tag and length included */
    unsigned char storage[]; /* |wire| */
};

/* A name of a table, live or removed. */
struct agw_delta_slot {
    struct agw_list node;          /* in the table's |changes| */
    uint64_t seq;                  /* of its last change */
    struct agw_delta_entry *entry; /* NULL: removed, kept until all streams know */
    uint64_t mark;                 /* the set that named it last */
    struct agw_str name;           /* in |storage| */
    char storage[];
};

struct agw_delta_table {
    struct agw_map by_name;  /* -> struct agw_delta_slot */
    struct agw_list changes; /* slots, |seq| ascending */
    uint32_t live, removed;
    uint32_t sweep_at; /* removed names to gather before the next look at them */
};

struct agw_delta_scope {
    struct agw_str role; /* empty: everybody */
    char *storage;       /* |role|'s bytes */
    struct agw_delta_table tables[AGW_DELTA_TYPES];
    uint32_t streams;
};

/* A type as one stream knows it. */
struct agw_delta_sub {
    bool subscribed;
    bool complete;          /* all that was there when it subscribed has been sent */
    uint64_t pending;       /* nonce of the response that is not answered yet; 0: none */
    uint64_t start;         /* the server's |seq| when it subscribed */
    uint64_t seen[2];       /* how far it was told: for everybody, for its role */
    struct agw_map initial; /* name -> version that it brought, until |complete| */
    struct agw_arena arena; /* of |initial| */
};

struct agw_delta_stream {
    struct agw_list node; /* in the server's |streams| */
    struct agw_delta_server *server;
    struct agw_delta_scope *scope; /* NULL until the first request */
    void *owner;
    struct agw_str node_id; /* malloced */
    uint64_t last_nonce;
    bool evicted;
    struct agw_delta_sub subs[AGW_DELTA_TYPES];
    char *other[AGW_DELTA_MAX_OTHER_TYPES]; /* URLs of types that we do not serve */
    uint32_t other_count, other_answered;
};

struct agw_delta_server {
    struct agw_delta_callbacks callbacks;
    uint64_t seq, flushed; /* the last change, and the last one before the last flush */
    uint64_t mark;         /* number of the current set */
    struct agw_delta_scope everybody;
    struct agw_map roles; /* -> struct agw_delta_scope */
    struct agw_list streams;
    struct agw_delta_stats stats;
};

/* The role's scope, made if there is none. NULL: out of memory. */
struct agw_delta_scope *agw_delta_scope_get(struct agw_delta_server *s, struct agw_str role);
/* Frees a role's scope that has neither streams nor resources. */
void agw_delta_scope_drop(struct agw_delta_server *s, struct agw_delta_scope *scope);
/* NULL when it is not published there now. */
struct agw_delta_entry *agw_delta_scope_find(const struct agw_delta_scope *scope, enum agw_delta_type type,
                                             struct agw_str name);

/* protobuf's varint and length-delimited fields; all return where the next byte goes. */
size_t agw_delta_varint_size(uint64_t value);
unsigned char *agw_delta_varint(unsigned char *p, uint64_t value);
size_t agw_delta_field_size(size_t n); /* tag below 16, length and |n| bytes */
unsigned char *agw_delta_field(unsigned char *p, unsigned field, struct agw_str value);

#endif
