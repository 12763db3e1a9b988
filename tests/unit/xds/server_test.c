#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include "proto/xds.pb-c.h"
#include "xds/server.h"

#define RESOURCE "type.googleapis.com/agentgateway.dev.resource.Resource"
#define METHOD "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"

/* --- a client that does one thing after the other --- */

struct client {
    grpc_completion_queue *queue;
    grpc_channel *channel;
    grpc_call *call;
    grpc_metadata token;
    grpc_metadata_array initial, trailing;
    grpc_status_code status;
    grpc_slice details;
    bool begun; /* the server's initial metadata are in */
    unsigned resources;
    char nonce[32];
};

static bool run(struct client *c, grpc_op *ops, size_t n)
{
    static char tag;
    assert_int_equal(grpc_call_start_batch(c->call, ops, n, &tag, NULL), GRPC_CALL_OK);
    gpr_timespec until = gpr_time_add(gpr_now(GPR_CLOCK_REALTIME), gpr_time_from_seconds(20, GPR_TIMESPAN));
    grpc_event e = grpc_completion_queue_pluck(c->queue, &tag, until, NULL);
    assert_int_equal(e.type, GRPC_OP_COMPLETE);
    return e.success;
}

static void client_open(struct client *c, uint16_t port, const char *token)
{
    char target[32];
    *c = (struct client){.queue = grpc_completion_queue_create_for_pluck(NULL)};
    grpc_channel_credentials *creds = grpc_insecure_credentials_create();
    snprintf(target, sizeof(target), "127.0.0.1:%u", port);
    c->channel = grpc_channel_create(target, creds, NULL);
    grpc_channel_credentials_release(creds);
    c->call = grpc_channel_create_call(c->channel, NULL, GRPC_PROPAGATE_DEFAULTS, c->queue,
                                       grpc_slice_from_static_string(METHOD), NULL,
                                       gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
    grpc_metadata_array_init(&c->initial);
    grpc_metadata_array_init(&c->trailing);
    c->details = grpc_empty_slice();
    c->token = (grpc_metadata){.key = grpc_slice_from_static_string("authorization"),
                               .value = grpc_slice_from_static_string(token)};
    grpc_op op = {.op = GRPC_OP_SEND_INITIAL_METADATA,
                  .data.send_initial_metadata = {.count = token[0] ? 1 : 0, .metadata = &c->token}};
    assert_true(run(c, &op, 1));
}

static void send_request(struct client *c, const Xds__DeltaDiscoveryRequest *req)
{
    size_t n = xds__delta_discovery_request__get_packed_size(req);
    unsigned char *bytes = malloc(n);
    xds__delta_discovery_request__pack(req, bytes);
    grpc_slice slice = grpc_slice_from_copied_buffer((char *)bytes, n);
    grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_op op = {.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = buffer};
    run(c, &op, 1);
    grpc_byte_buffer_destroy(buffer);
    grpc_slice_unref(slice);
    free(bytes);
}

static void subscribe(struct client *c)
{
    Xds__Node node = XDS__NODE__INIT;
    Google__Protobuf__Struct metadata = GOOGLE__PROTOBUF__STRUCT__INIT;
    Google__Protobuf__Struct__FieldsEntry entry = GOOGLE__PROTOBUF__STRUCT__FIELDS_ENTRY__INIT;
    Google__Protobuf__Struct__FieldsEntry *entries[] = {&entry};
    Google__Protobuf__Value value = GOOGLE__PROTOBUF__VALUE__INIT;
    Xds__DeltaDiscoveryRequest req = XDS__DELTA_DISCOVERY_REQUEST__INIT;
    value.kind_case = GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE;
    value.string_value = (char *)"ns~gw";
    entry.key = (char *)"role";
    entry.value = &value;
    metadata.n_fields = 1;
    metadata.fields = entries;
    node.id = (char *)"me";
    node.metadata = &metadata;
    req.node = &node;
    req.type_url = (char *)RESOURCE;
    send_request(c, &req);
}

static void answer(struct client *c, const char *refusal)
{
    Envoy__Status status = ENVOY__STATUS__INIT;
    Xds__DeltaDiscoveryRequest req = XDS__DELTA_DISCOVERY_REQUEST__INIT;
    status.message = (char *)refusal;
    req.type_url = (char *)RESOURCE;
    req.response_nonce = c->nonce;
    req.error_detail = refusal ? &status : NULL;
    send_request(c, &req);
}

/* False: the stream has ended. */
static bool take(struct client *c)
{
    grpc_byte_buffer *buffer = NULL;
    grpc_byte_buffer_reader reader;
    grpc_op op = {.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &buffer};
    grpc_op head = {.op = GRPC_OP_RECV_INITIAL_METADATA,
                    .data.recv_initial_metadata.recv_initial_metadata = &c->initial};
    if (!c->begun)
        run(c, &head, 1);
    c->begun = true;
    if (!run(c, &op, 1) || !buffer)
        return false;
    assert_true(grpc_byte_buffer_reader_init(&reader, buffer));
    grpc_slice all = grpc_byte_buffer_reader_readall(&reader);
    Xds__DeltaDiscoveryResponse *r =
        xds__delta_discovery_response__unpack(NULL, GRPC_SLICE_LENGTH(all), GRPC_SLICE_START_PTR(all));
    assert_non_null(r);
    c->resources = (unsigned)r->n_resources;
    snprintf(c->nonce, sizeof(c->nonce), "%s", r->nonce);
    xds__delta_discovery_response__free_unpacked(r, NULL);
    grpc_slice_unref(all);
    grpc_byte_buffer_reader_destroy(&reader);
    grpc_byte_buffer_destroy(buffer);
    return true;
}

static grpc_status_code client_status(struct client *c)
{
    grpc_op op = {.op = GRPC_OP_RECV_STATUS_ON_CLIENT,
                  .data.recv_status_on_client = {.trailing_metadata = &c->trailing,
                                                 .status = &c->status,
                                                 .status_details = &c->details}};
    assert_true(run(c, &op, 1));
    return c->status;
}

static void client_close(struct client *c)
{
    grpc_call_cancel(c->call, NULL);
    grpc_call_unref(c->call);
    grpc_channel_destroy(c->channel);
    grpc_metadata_array_destroy(&c->initial);
    grpc_metadata_array_destroy(&c->trailing);
    grpc_slice_unref(c->details);
    grpc_completion_queue_shutdown(c->queue);
    grpc_completion_queue_destroy(c->queue);
}

/* --- the server --- */

struct world {
    struct agw_xds_server *server;
    _Atomic int nacks;
};

static int authorize(void *arg, struct agw_str authorization, struct agw_str role, struct agw_error *err)
{
    assert_true(agw_str_eq(role, AGW_STR("ns~gw")));
    if (agw_str_eq(authorization, AGW_STR("Bearer good")))
        return 0;
    if (authorization.n)
        return agw_error_set(err, AGW_EREFUSED, "that token is another's");
    return agw_error_set(err, AGW_ENOTFOUND, "a token is needed");
}

static void on_nack(void *arg, const struct agw_delta_nack *nack)
{
    struct world *w = arg;
    if (agw_str_eq(nack->message, AGW_STR("no")) && agw_str_eq(nack->node_id, AGW_STR("me")))
        w->nacks++;
}

static void put(struct world *w, const char *name, const char *body)
{
    struct agw_delta_server *delta = agw_xds_server_lock(w->server);
    int rc = agw_delta_server_put(delta, AGW_DELTA_RESOURCE, AGW_STR(""), agw_str_c(name), agw_str_c(body),
                                  NULL, NULL);
    agw_xds_server_unlock(w->server);
    assert_int_equal(rc, 0);
}

static void start(struct world *w)
{
    struct agw_xds_server_options o = {.authorize = authorize, .nack = on_nack, .arg = w};
    w->nacks = 0;
    assert_int_equal(agw_addr_parse(AGW_STR("127.0.0.1:0"), &o.address, NULL), 0);
    assert_int_equal(agw_xds_server_new(&o, &w->server, NULL), 0);
    put(w, "route/a", "1"); /* before anybody can come */
    assert_int_equal(agw_xds_server_start(w->server, NULL), 0);
    assert_int_not_equal(agw_xds_server_port(w->server), 0);
}

static void test_token_decides(void **state)
{
    static const struct {
        const char *token, *details;
        grpc_status_code status;
    } cases[] = {{"", "a token is needed", GRPC_STATUS_UNAUTHENTICATED},
                 {"Bearer bad", "that token is another's", GRPC_STATUS_PERMISSION_DENIED}};
    struct world w;
    struct client c;
    start(&w);
    for (size_t i = 0; i < 2; i++) {
        client_open(&c, agw_xds_server_port(w.server), cases[i].token);
        subscribe(&c);
        assert_false(take(&c));
        assert_int_equal(client_status(&c), cases[i].status);
        assert_int_equal(grpc_slice_str_cmp(c.details, cases[i].details), 0);
        client_close(&c);
    }
    client_open(&c, agw_xds_server_port(w.server), "Bearer good");
    subscribe(&c);
    assert_true(take(&c));
    assert_int_equal(c.resources, 1);
    client_close(&c);
    agw_xds_server_free(w.server);
}

#define CHANGES 300

static void *publish_many(void *arg)
{
    char name[16];
    for (int i = 0; i < CHANGES; i++) {
        snprintf(name, sizeof(name), "route/n%d", i);
        put(arg, name, "");
    }
    return NULL;
}

static void test_published_by_another_thread(void **state)
{
    struct world w;
    struct client c;
    struct agw_delta_stats stats;
    pthread_t thread;
    unsigned total = 0;
    start(&w);
    client_open(&c, agw_xds_server_port(w.server), "Bearer good");
    subscribe(&c);
    pthread_create(&thread, NULL, publish_many, &w);
    while (total < CHANGES + 1) { /* each comes, and comes once */
        assert_true(take(&c));
        total += c.resources;
        answer(&c, NULL);
    }
    pthread_join(thread, NULL);
    put(&w, "route/last", "");
    assert_true(take(&c));
    assert_int_equal(c.resources, 1);
    agw_xds_server_stats(w.server, &stats);
    assert_int_equal(total, CHANGES + 1);
    assert_int_equal(stats.resources, CHANGES + 2);
    assert_int_equal(stats.streams, 1);
    assert_int_equal(stats.acks + 1, stats.responses);
    client_close(&c);
    agw_xds_server_free(w.server);
}

static void test_nack_and_end(void **state)
{
    struct world w;
    struct client c;
    struct agw_delta_stats stats;
    start(&w);
    client_open(&c, agw_xds_server_port(w.server), "Bearer good");
    subscribe(&c);
    assert_true(take(&c));
    answer(&c, "no");
    put(&w, "route/b", "1");
    assert_true(take(&c)); /* not before the answer was taken */
    assert_int_equal(w.nacks, 1);
    agw_xds_server_stats(w.server, &stats);
    assert_int_equal(stats.nacks, 1);
    assert_int_equal(stats.responses, 2);
    agw_xds_server_free(w.server);
    assert_false(take(&c));
    assert_int_equal(client_status(&c), GRPC_STATUS_UNAVAILABLE);
    client_close(&c);
}

static void test_what_cannot_start(void **state)
{
    struct world w;
    struct agw_xds_server *second;
    struct agw_error err = {0};
    start(&w);
    struct agw_xds_server_options o = {0};
    agw_addr_parse(AGW_STR("127.0.0.1:0"), &o.address, NULL);
    agw_addr_set_port(&o.address, agw_xds_server_port(w.server));
    assert_int_equal(agw_xds_server_new(&o, &second, &err), 0);
    assert_int_equal(agw_xds_server_start(second, &err), AGW_EIO);
    assert_non_null(strstr(err.text, "cannot listen on 127.0.0.1:"));
    agw_xds_server_free(second);
    o.cert_file = "none/cert";
    o.key_file = "none/key";
    assert_int_equal(agw_xds_server_new(&o, &second, &err), 0);
    assert_int_equal(agw_xds_server_start(second, &err), AGW_EIO);
    assert_non_null(strstr(err.text, "none/cert"));
    agw_xds_server_free(second); /* never started */
    agw_xds_server_free(NULL);
    agw_xds_server_free(w.server);
}

static int begin(void **state)
{
    grpc_init();
    return 0;
}

static int finish(void **state)
{
    grpc_shutdown();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_token_decides),
        cmocka_unit_test(test_published_by_another_thread),
        cmocka_unit_test(test_nack_and_end),
        cmocka_unit_test(test_what_cannot_start),
    };
    return cmocka_run_group_tests(tests, begin, finish);
}
