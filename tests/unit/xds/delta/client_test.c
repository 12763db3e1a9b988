#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include "failmalloc.h"
#include "proto/message.h"
#include "proto/xds.pb-c.h"
#include "xds/delta/client.h"

#define MAX_ITEMS 400

struct test {
    struct agw_arena arena;
    struct agw_delta_client *client;
    Xds__DeltaDiscoveryResponse response;
    Xds__Resource *resources[MAX_ITEMS];
    char *removed[MAX_ITEMS];
    /* What apply saw, and what it is to say. */
    unsigned calls;
    enum agw_delta_type type;
    size_t items, removals;
    char first[64];
    const char *bad, *odd; /* names to answer with an error, a warning */
    bool all_bad, fail;
};

static const struct agw_delta_node node = {
    .ip = "10.0.0.1", .pod = "gw-1", .ns = "apps", .gateway = "edge", .node_name = "n1"};

static void begin(struct test *t)
{
    *t = (struct test){0};
    agw_arena_init(&t->arena, 4096, 0);
    xds__delta_discovery_response__init(&t->response);
    t->response.resources = t->resources;
    t->response.removed_resources = t->removed;
    t->response.type_url = (char *)agw_delta_type_url(AGW_DELTA_RESOURCE).p;
    t->response.nonce = (char *)"n1";
    t->client = agw_delta_client_new(&node);
    assert_non_null(t->client);
}

static void end(struct test *t)
{
    agw_delta_client_free(t->client);
    agw_arena_free(&t->arena);
}

static Xds__Resource *add(struct test *t, const char *name, const char *version, const char *body)
{
    Xds__Resource *r = agw_proto_new(&t->arena, &xds__resource__descriptor);
    r->name = (char *)name;
    r->version = (char *)version;
    r->resource = agw_proto_new(&t->arena, &google__protobuf__any__descriptor);
    r->resource->type_url = t->response.type_url;
    r->resource->value = (ProtobufCBinaryData){strlen(body), (uint8_t *)body};
    t->resources[t->response.n_resources++] = r;
    return r;
}

static int apply(void *ctx, const struct agw_delta_update *u, struct agw_delta_answer *a)
{
    struct test *t = ctx;
    t->calls++;
    t->type = u->type;
    t->items = u->item_count;
    t->removals = u->removed_count;
    if (u->item_count)
        snprintf(t->first, sizeof(t->first), "%.*s=%.*s", AGW_STRF(u->items[0].name),
                 AGW_STRF(u->items[0].body));
    for (size_t i = 0; i < u->item_count; i++) {
        struct agw_str name = u->items[i].name;
        if (t->all_bad || (t->bad && agw_str_eq(name, agw_str_c(t->bad))))
            agw_delta_answer_error(a, name, AGW_STR("not \"good\""));
        if (t->odd && agw_str_eq(name, agw_str_c(t->odd)))
            agw_delta_answer_warn(a, name, AGW_STR("half of it"));
    }
    return t->fail ? AGW_ENOMEM : 0;
}

static Xds__DeltaDiscoveryRequest *parse(struct test *t, struct agw_str bytes)
{
    struct agw_error err = {0};
    void *m;
    if (agw_proto_unpack(&xds__delta_discovery_request__descriptor, bytes.p, bytes.n, &t->arena, &m, &err))
        fail_msg("%s", err.text);
    return m;
}

/* The response as built so far; it is empty afterwards. */
static Xds__DeltaDiscoveryRequest *receive(struct test *t)
{
    struct agw_error err = {0};
    struct agw_str bytes = agw_proto_pack(&t->response, &t->arena), request;
    if (agw_delta_client_receive(t->client, bytes, apply, t, &t->arena, &request, &err))
        fail_msg("%s", err.text);
    t->response.n_resources = t->response.n_removed_resources = 0;
    return parse(t, request);
}

static Xds__DeltaDiscoveryRequest *subscribe(struct test *t, enum agw_delta_type type)
{
    struct agw_str request;
    assert_int_equal(agw_delta_client_subscribe(t->client, type, &t->arena, &request), 0);
    return parse(t, request);
}

static const char *metadata(const Xds__Node *n, const char *key)
{
    for (size_t i = 0; i < n->metadata->n_fields; i++)
        if (strcmp(n->metadata->fields[i]->key, key) == 0)
            return n->metadata->fields[i]->value->string_value;
    return NULL;
}

static void test_first_requests(void **state)
{
    struct test t;
    begin(&t);
    for (unsigned type = 0; type < AGW_DELTA_TYPES; type++) {
        Xds__DeltaDiscoveryRequest *r = subscribe(&t, type);
        assert_string_equal(r->type_url, agw_delta_type_url(type).p);
        assert_string_equal(r->node->id, "agentgateway~10.0.0.1~gw-1.apps~apps.svc.cluster.local");
        assert_string_equal(metadata(r->node, "role"), "apps~edge");
        assert_string_equal(metadata(r->node, "NAMESPACE"), "apps");
        assert_string_equal(metadata(r->node, "GATEWAY_NAME"), "edge");
        assert_string_equal(metadata(r->node, "NODE_NAME"), "n1");
        assert_int_equal(r->n_initial_resource_versions + r->n_resource_names_subscribe, 0);
    }
    end(&t);
}

static void test_ack_and_versions(void **state)
{
    struct test t;
    struct agw_str version;
    begin(&t);
    add(&t, "route/a", "1", "body");
    add(&t, "route/b", "", "b");
    Xds__DeltaDiscoveryRequest *r = receive(&t);
    assert_int_equal(t.calls, 1);
    assert_int_equal(t.type, AGW_DELTA_RESOURCE);
    assert_string_equal(t.first, "route/a=body");
    assert_null(r->node);
    assert_null(r->error_detail);
    assert_string_equal(r->response_nonce, "n1");
    assert_string_equal(r->type_url, agw_delta_type_url(AGW_DELTA_RESOURCE).p);
    assert_true(agw_delta_client_version(t.client, AGW_DELTA_RESOURCE, AGW_STR("route/b"), &version));
    assert_int_equal(version.n, 0);
    assert_int_equal(subscribe(&t, AGW_DELTA_RESOURCE)->n_initial_resource_versions, 2);
    assert_int_equal(subscribe(&t, AGW_DELTA_ADDRESS)->n_initial_resource_versions, 0);
    t.removed[t.response.n_removed_resources++] = (char *)"route/a";
    receive(&t);
    assert_int_equal(t.removals, 1);
    r = subscribe(&t, AGW_DELTA_RESOURCE);
    assert_int_equal(r->n_initial_resource_versions, 1);
    assert_string_equal(r->initial_resource_versions[0]->key, "route/b");
    end(&t);
}

static void test_nack_says_what_is_wrong(void **state)
{
    struct test t;
    struct agw_str version;
    begin(&t);
    t.bad = "route/a";
    t.odd = "route/b";
    add(&t, "route/a", "1", "x");
    add(&t, "route/b", "1", "x");
    Xds__DeltaDiscoveryRequest *r = receive(&t);
    assert_non_null(r->error_detail);
    assert_int_equal(r->error_detail->code, 0);
    assert_string_equal(r->error_detail->message, "[{\"key\":\"route/a\",\"error\":\"not \\\"good\\\"\"},"
                                                  "{\"key\":\"route/b\",\"warn\":\"half of it\"}]");
    /* What served before in its place is of no known version now: it comes again, or is taken away. */
    t.bad = NULL;
    add(&t, "route/a", "2", "x");
    receive(&t);
    t.bad = "route/a";
    add(&t, "route/a", "3", "x");
    receive(&t);
    assert_true(agw_delta_client_version(t.client, AGW_DELTA_RESOURCE, AGW_STR("route/a"), &version));
    assert_int_equal(version.n, 0);
    end(&t);
}

static void test_the_last_of_a_name_counts(void **state)
{
    struct test t;
    begin(&t);
    add(&t, "route/a", "1", "x");
    add(&t, "route/a", "2", "y");
    receive(&t);
    assert_int_equal(t.items, 1);
    assert_string_equal(t.first, "route/a=y");
    end(&t);
}

/* Nothing was applied: nothing is remembered, not even what went. */
static void test_a_response_that_cannot_be_applied(void **state)
{
    struct test t;
    struct agw_error err = {0};
    struct agw_str request;
    begin(&t);
    add(&t, "route/a", "1", "x");
    receive(&t);
    t.fail = true;
    add(&t, "route/b", "1", "x");
    t.removed[t.response.n_removed_resources++] = (char *)"route/a";
    struct agw_str bytes = agw_proto_pack(&t.response, &t.arena);
    assert_int_equal(agw_delta_client_receive(t.client, bytes, apply, &t, &t.arena, &request, &err),
                     AGW_ENOMEM);
    Xds__DeltaDiscoveryRequest *r = subscribe(&t, AGW_DELTA_RESOURCE);
    assert_int_equal(r->n_initial_resource_versions, 1);
    assert_string_equal(r->initial_resource_versions[0]->key, "route/a");
    end(&t);
}

static void test_a_new_resource_with_an_error_is_not_kept(void **state)
{
    struct test t;
    struct agw_str version;
    begin(&t);
    t.bad = "route/a";
    t.odd = "route/b";
    add(&t, "route/a", "1", "x");
    add(&t, "route/b", "1", "x");
    receive(&t);
    /* An error is to come again with the next stream, a warning is applied. */
    assert_false(agw_delta_client_version(t.client, AGW_DELTA_RESOURCE, AGW_STR("route/a"), &version));
    assert_true(agw_delta_client_version(t.client, AGW_DELTA_RESOURCE, AGW_STR("route/b"), &version));
    end(&t);
}

static void test_faults_of_single_resources(void **state)
{
    struct test t;
    static char long_name[AGW_DELTA_MAX_CLIENT_NAME + 2], long_version[AGW_DELTA_MAX_VERSION + 2];
    begin(&t);
    memset(long_name, 'n', sizeof(long_name) - 1);
    memset(long_version, 'v', sizeof(long_version) - 1);
    add(&t, long_name, "1", "");
    add(&t, "v", long_version, "");
    add(&t, "", "1", "");
    add(&t, "empty", "1", "")->resource = NULL;
    add(&t, "foreign", "1", "")->resource->type_url = (char *)"type.googleapis.com/other";
    add(&t, "good", "1", "x");
    const char *message = receive(&t)->error_detail->message;
    assert_int_equal(t.items, 1);
    assert_string_equal(t.first, "good=x");
    assert_non_null(strstr(message, "the name is too long"));
    assert_non_null(strstr(message, "{\"key\":\"v\",\"error\":\"the version is too long\"}"));
    assert_non_null(strstr(message, "the resource has no name"));
    assert_non_null(strstr(message, "{\"key\":\"empty\",\"error\":\"the resource is empty\"}"));
    assert_non_null(strstr(message, "{\"key\":\"foreign\",\"error\":\"the resource is of another type"));
    assert_int_equal(subscribe(&t, AGW_DELTA_RESOURCE)->n_initial_resource_versions, 1);
    end(&t);
}

static void test_long_lists_of_faults_are_cut(void **state)
{
    struct test t;
    static char names[MAX_ITEMS][16];
    begin(&t);
    t.all_bad = true;
    for (int i = 0; i < AGW_DELTA_MAX_FINDINGS + 3; i++) {
        snprintf(names[i], sizeof(names[i]), "route/%d", i);
        add(&t, names[i], "1", "");
    }
    const char *message = receive(&t)->error_detail->message;
    assert_non_null(strstr(message, "\"3 more findings are left out\""));
    assert_non_null(strstr(message, "\"route/255\""));
    assert_null(strstr(message, "\"route/256\""));
    assert_int_equal(subscribe(&t, AGW_DELTA_RESOURCE)->n_initial_resource_versions, 0);
    end(&t);
}

static void test_what_was_not_asked_for(void **state)
{
    struct test t;
    struct agw_error err = {0};
    struct agw_str request;
    begin(&t);
    t.response.type_url = (char *)"type.googleapis.com/envoy.config.cluster.v3.Cluster";
    Xds__DeltaDiscoveryRequest *r = receive(&t);
    assert_int_equal(t.calls, 0);
    assert_string_equal(r->type_url, t.response.type_url);
    assert_non_null(strstr(r->error_detail->message, "not asked for"));
    assert_int_equal(
        agw_delta_client_receive(t.client, AGW_STR("\xff\xff garbage"), apply, &t, &t.arena, &request, &err),
        AGW_EPROTO);
    assert_int_equal(agw_delta_client_receive(t.client, agw_str("", AGW_DELTA_MAX_RESPONSE + 1), apply, &t,
                                              &t.arena, &request, &err),
                     AGW_ELIMIT);
    assert_int_equal(t.calls, 0);
    end(&t);
}

static void test_seed_and_forget(void **state)
{
    struct test t;
    begin(&t);
    assert_int_equal(agw_delta_client_seed(t.client, AGW_DELTA_ADDRESS, AGW_STR("w"), AGW_STR("7")), 0);
    Xds__DeltaDiscoveryRequest *r = subscribe(&t, AGW_DELTA_ADDRESS);
    assert_int_equal(r->n_initial_resource_versions, 1);
    assert_string_equal(r->initial_resource_versions[0]->value, "7");
    agw_delta_client_forget(t.client);
    assert_int_equal(subscribe(&t, AGW_DELTA_ADDRESS)->n_initial_resource_versions, 0);
    end(&t);
}

static void test_out_of_memory(void **state)
{
    for (long n = 1;; n++) {
        struct test t = {.bad = "route/b"};
        struct agw_error err = {0};
        struct agw_str request;
        struct agw_arena arena;
        begin(&t);
        t.bad = "route/b";
        add(&t, "route/a", "1", "x");
        add(&t, "route/b", "1", "x");
        struct agw_str bytes = agw_proto_pack(&t.response, &t.arena);
        agw_arena_init(&arena, 256, 0);
        failmalloc_at(n);
        struct agw_delta_client *c = agw_delta_client_new(&node);
        int code = c ? agw_delta_client_receive(c, bytes, apply, &t, &arena, &request, &err) : AGW_ENOMEM;
        if (!code)
            code = agw_delta_client_subscribe(c, AGW_DELTA_RESOURCE, &arena, &request);
        bool reached = failmalloc_count() >= n;
        failmalloc_at(0);
        assert_true(code == 0 || code == AGW_ENOMEM);
        agw_arena_free(&arena);
        agw_delta_client_free(c);
        end(&t);
        if (!reached) {
            assert_int_equal(code, 0);
            break;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_requests),
        cmocka_unit_test(test_ack_and_versions),
        cmocka_unit_test(test_nack_says_what_is_wrong),
        cmocka_unit_test(test_the_last_of_a_name_counts),
        cmocka_unit_test(test_a_response_that_cannot_be_applied),
        cmocka_unit_test(test_a_new_resource_with_an_error_is_not_kept),
        cmocka_unit_test(test_faults_of_single_resources),
        cmocka_unit_test(test_long_lists_of_faults_are_cut),
        cmocka_unit_test(test_what_was_not_asked_for),
        cmocka_unit_test(test_seed_and_forget),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
