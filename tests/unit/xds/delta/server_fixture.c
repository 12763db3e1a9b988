#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include "proto/message.h"
#include "xds/delta/server_fixture.h"

/* --- a server and its owner --- */

static int on_admit(void *arg, void *owner, struct agw_str role, struct agw_str node_id,
                    struct agw_error *err)
{
    struct dx_owner *o = arg;
    o->admits++;
    return o->refuse ? agw_error_set(err, o->refuse, "not you") : 0;
}

static void on_nack(void *arg, void *owner, const struct agw_delta_nack *nack)
{
    struct dx_owner *o = arg;
    o->nacks++;
    snprintf(o->said, sizeof(o->said), "%.*s|%.*s|%.*s|%.*s", AGW_STRF(nack->role), AGW_STRF(nack->node_id),
             AGW_STRF(nack->type), AGW_STRF(nack->message));
}

struct agw_delta_server *dx_server_new(struct dx_owner *o)
{
    struct agw_delta_callbacks callbacks = {.admit = on_admit, .nack = on_nack, .arg = o};
    *o = (struct dx_owner){0};
    o->server = agw_delta_server_new(&callbacks);
    return o->server;
}

int dx_put_to(struct dx_owner *o, enum agw_delta_type type, const char *role, const char *name,
              const char *body)
{
    return agw_delta_server_put(o->server, type, agw_str_c(role), agw_str_c(name), agw_str_c(body), NULL,
                                NULL);
}

void dx_put(struct dx_owner *o, const char *name, const char *body)
{
    assert_int_equal(dx_put_to(o, AGW_DELTA_RESOURCE, "", name, body), 0);
}

void dx_drop(struct dx_owner *o, const char *role, const char *name)
{
    agw_delta_server_remove(o->server, AGW_DELTA_RESOURCE, agw_str_c(role), agw_str_c(name), NULL);
}

/* --- a client, whose messages protobuf-c makes and reads --- */

struct agw_delta_stream *dx_open_stream(struct dx_owner *o)
{
    struct agw_delta_stream *st = NULL;
    assert_int_equal(agw_delta_stream_open(o->server, NULL, &st, NULL), 0);
    return st;
}

void dx_client_open(struct dx_client *c, struct dx_owner *o, const char *role)
{
    *c = (struct dx_client){.stream = dx_open_stream(o), .role = role};
}

int dx_receive(struct agw_delta_stream *st, const Xds__DeltaDiscoveryRequest *req, struct agw_error *err)
{
    size_t n = xds__delta_discovery_request__get_packed_size(req);
    unsigned char *bytes = malloc(n + 1);
    xds__delta_discovery_request__pack(req, bytes);
    int rc = agw_delta_stream_receive(st, bytes, n, err);
    free(bytes);
    return rc;
}

void dx_fill_node(struct dx_node *n, const char *role)
{
    *n = (struct dx_node){.node = XDS__NODE__INIT,
                          .metadata = GOOGLE__PROTOBUF__STRUCT__INIT,
                          .entry = GOOGLE__PROTOBUF__STRUCT__FIELDS_ENTRY__INIT,
                          .value = GOOGLE__PROTOBUF__VALUE__INIT};
    n->node.id = (char *)"agentgateway~1.1.1.1~pod.ns~ns.svc.cluster.local";
    n->node.metadata = &n->metadata;
    n->metadata.n_fields = 1;
    n->metadata.fields = n->entries;
    n->entries[0] = &n->entry;
    n->entry.key = (char *)"role";
    n->entry.value = &n->value;
    n->value.kind_case = GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE;
    n->value.string_value = (char *)role;
}

int dx_subscribe_with(struct dx_client *c, const char *type, dx_version *versions, size_t count)
{
    struct dx_node node;
    Xds__DeltaDiscoveryRequest req = XDS__DELTA_DISCOVERY_REQUEST__INIT;
    dx_version **list = calloc(count + 1, sizeof(*list));
    for (size_t i = 0; i < count; i++)
        list[i] = &versions[i];
    req.type_url = (char *)type;
    req.n_initial_resource_versions = count;
    req.initial_resource_versions = list;
    dx_fill_node(&node, c->role);
    if (!c->introduced)
        req.node = &node.node;
    c->introduced = true;
    int rc = dx_receive(c->stream, &req, NULL);
    free(list);
    return rc;
}

void dx_subscribe(struct dx_client *c, const char *type)
{
    assert_int_equal(dx_subscribe_with(c, type, NULL, 0), 0);
}

void dx_answer(struct dx_client *c, const char *type, const char *nonce, const char *refusal)
{
    Envoy__Status status = ENVOY__STATUS__INIT;
    Xds__DeltaDiscoveryRequest req = XDS__DELTA_DISCOVERY_REQUEST__INIT;
    req.type_url = (char *)type;
    req.response_nonce = (char *)nonce;
    status.message = (char *)refusal;
    req.error_detail = refusal ? &status : NULL;
    assert_int_equal(dx_receive(c->stream, &req, NULL), 0);
}

void dx_ack(struct dx_client *c)
{
    dx_answer(c, c->type, c->nonce, NULL);
}

static unsigned model_index(const char *name)
{
    return name[0] == 'n' ? (unsigned)strtoul(name + 1, NULL, 10) % DX_NAMES : DX_NAMES;
}

static void note(struct dx_client *c, const char *format, const char *a, const char *b)
{
    size_t at = strlen(c->log);
    snprintf(c->log + at, sizeof(c->log) - at, format, at ? " " : "", a, b);
}

static void take(struct dx_client *c, const Xds__DeltaDiscoveryResponse *r)
{
    c->log[0] = '\0';
    c->resources = (unsigned)r->n_resources;
    c->removed = (unsigned)r->n_removed_resources;
    snprintf(c->type, sizeof(c->type), "%s", r->type_url);
    snprintf(c->nonce, sizeof(c->nonce), "%s", r->nonce);
    for (size_t i = 0; i < r->n_resources; i++) {
        char body[40];
        const Google__Protobuf__Any *any = r->resources[i]->resource;
        const char *name = r->resources[i]->name;
        assert_string_equal(any->type_url, r->type_url);
        assert_int_equal(strlen(r->resources[i]->version), 16);
        snprintf(body, sizeof(body), "%.*s", (int)any->value.len, (const char *)any->value.data);
        note(c, "%s+%s=%s", name, body);
        if (model_index(name) < DX_NAMES)
            memcpy(c->has[model_index(name)], body, sizeof(body));
    }
    for (size_t i = 0; i < r->n_removed_resources; i++) {
        const char *name = r->removed_resources[i];
        note(c, "%s-%s%s", name, "");
        if (model_index(name) < DX_NAMES)
            c->has[model_index(name)][0] = '\0';
    }
}

static void read_response(struct dx_client *c, struct agw_delta_response *r)
{
    unsigned char *bytes = malloc(r->bytes), *p = bytes;
    memcpy(p, r->head.p, r->head.n);
    p += r->head.n;
    for (uint32_t i = 0; i < r->count; i++) {
        struct agw_str wire = agw_delta_entry_wire(r->entries[i]);
        memcpy(p, wire.p, wire.n);
        p += wire.n;
    }
    assert_int_equal(p - bytes, r->bytes);
    assert_int_equal(agw_proto_check(&xds__delta_discovery_response__descriptor, bytes, r->bytes, NULL), 0);
    Xds__DeltaDiscoveryResponse *m = xds__delta_discovery_response__unpack(NULL, r->bytes, bytes);
    assert_non_null(m);
    take(c, m);
    xds__delta_discovery_response__free_unpacked(m, NULL);
    free(bytes);
}

int dx_next(struct dx_client *c)
{
    struct agw_delta_response *r = NULL;
    int rc = agw_delta_stream_next(c->stream, &r);
    if (rc == 0)
        read_response(c, r);
    agw_delta_response_free(r);
    return rc;
}

/* The next response says |want|. */
void dx_expect(struct dx_client *c, const char *type, const char *want)
{
    assert_int_equal(dx_next(c), 0);
    assert_string_equal(c->type, type);
    assert_string_equal(c->log, want);
}

void dx_expect_nothing(struct dx_client *c)
{
    assert_int_equal(dx_next(c), AGW_EAGAIN);
}

dx_version dx_version_entry_of(const char *name, const char *version)
{
    dx_version e = XDS__DELTA_DISCOVERY_REQUEST__INITIAL_RESOURCE_VERSIONS_ENTRY__INIT;
    e.key = (char *)name;
    e.value = (char *)version;
    return e;
}
