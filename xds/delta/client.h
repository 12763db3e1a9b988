/* The receiving side of delta xDS without its transport: what was accepted, and what each stream is to be
 * told.
 *
 * Two types are subscribed with a wildcard, Address first. What was accepted is remembered by name and
 * version over streams, so that a new stream is sent only what changed meanwhile. Each response is handed to
 * the owner, whose answer becomes the ACK, or the NACK with a JSON list of what is wrong: warnings count as
 * applied, resources with an error are not remembered and come again with the next stream. Ownership: the
 * caller's; requests live in the arena given. Threads: one. Errors: AGW_ENOMEM; AGW_EPROTO, AGW_ELIMIT: what
 * came is no DeltaDiscoveryResponse, end the stream. */
#ifndef AGW_XDS_DELTA_CLIENT_H
#define AGW_XDS_DELTA_CLIENT_H

#include <stdbool.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/err.h"
#include "xds/delta/type.h"

/* What gRPC is told to accept, as the public data plane does: 100,000 routes take about 30 MiB. */
#define AGW_DELTA_MAX_RESPONSE (200u << 20)
/* Memory of an unpacked response: each body is copied once; small resources cost ten times their bytes. */
#define AGW_DELTA_MAX_RESPONSE_MEMORY (1024u << 20)
/* A name is a kind and a key of at most 2048 bytes; a version is a hash. */
#define AGW_DELTA_MAX_CLIENT_NAME 2304
#define AGW_DELTA_MAX_VERSION 1024
/* Entries and bytes of a NACK: enough to find the mistake; it becomes an Event in Kubernetes (1 KiB each). */
#define AGW_DELTA_MAX_FINDINGS 256
#define AGW_DELTA_MAX_FINDING_TEXT 1024

/* Who this data plane is. All texts may be NULL or empty but |ns| and |gateway|. */
struct agw_delta_node {
    const char *ip, *pod, *ns, *gateway, *node_name;
};

struct agw_delta_item {
    struct agw_str name, version;
    struct agw_str body; /* the resource's message */
};

/* One response; valid inside the call. Each name is there once, as it was given last. */
struct agw_delta_update {
    enum agw_delta_type type;
    const struct agw_delta_item *items;
    size_t item_count;
    const struct agw_str *removed;
    size_t removed_count;
};

struct agw_delta_answer;
/* |name|'s resource is not applied: what served before in its place serves on, and is known to no version, so
 * that the next stream brings it again or takes it away. AGW_ENOMEM. */
int agw_delta_answer_error(struct agw_delta_answer *a, struct agw_str name, struct agw_str text);
/* |name|'s resource is applied, but not all of it works. */
int agw_delta_answer_warn(struct agw_delta_answer *a, struct agw_str name, struct agw_str text);
size_t agw_delta_answer_count(const struct agw_delta_answer *a); /* 0: ACK */

struct agw_delta_client;
/* |node|'s texts are copied. NULL: out of memory. */
struct agw_delta_client *agw_delta_client_new(const struct agw_delta_node *node);
void agw_delta_client_free(struct agw_delta_client *c); /* NULL is fine */

/* The first request of a stream for |type|, with the versions of all that is kept. */
int agw_delta_client_subscribe(struct agw_delta_client *c, enum agw_delta_type type, struct agw_arena *arena,
                               struct agw_str *ret_request);
/* Takes one response: |apply| is called once if its type is ours, then *ret_request is the answer to send. If
 * |apply| fails nothing was applied and nothing is remembered: end the stream, the next one brings it again.
 */
int agw_delta_client_receive(struct agw_delta_client *c, struct agw_str response,
                             int (*apply)(void *ctx, const struct agw_delta_update *u,
                                          struct agw_delta_answer *a),
                             void *ctx, struct agw_arena *arena, struct agw_str *ret_request,
                             struct agw_error *err);

/* What is kept. False: nothing by this name. */
bool agw_delta_client_version(const struct agw_delta_client *c, enum agw_delta_type type, struct agw_str name,
                              struct agw_str *ret_version);
/* Says what is kept from an earlier process; forgets everything. */
int agw_delta_client_seed(struct agw_delta_client *c, enum agw_delta_type type, struct agw_str name,
                          struct agw_str version);
void agw_delta_client_forget(struct agw_delta_client *c);

#endif
