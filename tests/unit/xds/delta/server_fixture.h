/* What tests of the delta server share: a server with its owner's callbacks, and a client whose messages
 * protobuf-c makes and reads. */
#ifndef TESTS_XDS_DELTA_SERVER_FIXTURE_H
#define TESTS_XDS_DELTA_SERVER_FIXTURE_H

#include "proto/xds.pb-c.h"
#include "xds/delta/server.h"

#define DX_ADDRESS "type.googleapis.com/istio.workload.Address"
#define DX_RESOURCE "type.googleapis.com/agentgateway.dev.resource.Resource"
#define DX_NAMES 64 /* of the model: "n0" to "n63" */

struct dx_owner {
    struct agw_delta_server *server;
    int nacks, admits, refuse;
    char said[256];
};

struct dx_client {
    struct agw_delta_stream *stream;
    const char *role;
    bool introduced;
    char nonce[32];
    char has[DX_NAMES][40]; /* the body of n<i>; empty: absent */
    char log[512];          /* of the last response: +name=body -name */
    char type[128];
    unsigned resources, removed;
};

struct dx_node {
    Xds__Node node;
    Google__Protobuf__Struct metadata;
    Google__Protobuf__Struct__FieldsEntry entry, *entries[1];
    Google__Protobuf__Value value;
};

typedef Xds__DeltaDiscoveryRequest__InitialResourceVersionsEntry dx_version;

struct agw_delta_server *dx_server_new(struct dx_owner *o);
int dx_put_to(struct dx_owner *o, enum agw_delta_type type, const char *role, const char *name,
              const char *body);
void dx_put(struct dx_owner *o, const char *name, const char *body);
void dx_drop(struct dx_owner *o, const char *role, const char *name);
struct agw_delta_stream *dx_open_stream(struct dx_owner *o);
void dx_client_open(struct dx_client *c, struct dx_owner *o, const char *role);
int dx_receive(struct agw_delta_stream *st, const Xds__DeltaDiscoveryRequest *req, struct agw_error *err);
void dx_fill_node(struct dx_node *n, const char *role);
int dx_subscribe_with(struct dx_client *c, const char *type, dx_version *versions, size_t count);
void dx_subscribe(struct dx_client *c, const char *type);
void dx_answer(struct dx_client *c, const char *type, const char *nonce, const char *refusal);
void dx_ack(struct dx_client *c);
int dx_next(struct dx_client *c);
void dx_expect(struct dx_client *c, const char *type, const char *want);
void dx_expect_nothing(struct dx_client *c);
dx_version dx_version_entry_of(const char *name, const char *version);

#endif
