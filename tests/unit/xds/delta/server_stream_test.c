#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <stdio.h>
#include "base/rng.h"
#include "failmalloc.h"
#include "xds/delta/server_fixture.h"
#include "xds/delta/server_int.h"

/* --- limits and bad input --- */

static void test_large_sets_are_sent_in_parts(void **state)
{
    struct dx_owner o;
    struct dx_client c;
    char name[8], *body = malloc(AGW_DELTA_MAX_BODY + 1);
    unsigned total = 0, responses = 0;
    memset(body, 'x', AGW_DELTA_MAX_BODY + 1);
    dx_server_new(&o);
    for (int i = 0; i < 27; i++) {
        snprintf(name, sizeof(name), "n%d", i);
        assert_int_equal(agw_delta_server_put(o.server, AGW_DELTA_RESOURCE, AGW_STR(""), agw_str_c(name),
                                              agw_str(body, AGW_DELTA_MAX_BODY), NULL, NULL),
                         0);
    }
    assert_int_equal(agw_delta_server_put(o.server, AGW_DELTA_RESOURCE, AGW_STR(""), AGW_STR("more"),
                                          agw_str(body, AGW_DELTA_MAX_BODY + 1), NULL, NULL),
                     AGW_ELIMIT);
    dx_version kept = dx_version_entry_of("route/gone", "1");
    dx_client_open(&c, &o, "ns~gw");
    assert_int_equal(dx_subscribe_with(&c, DX_RESOURCE, &kept, 1), 0);
    while (dx_next(&c) == 0) {
        total += c.resources;
        responses++;
        assert_int_equal(c.removed, total == 27); /* what is gone is told at the end */
        dx_ack(&c);
    }
    assert_int_equal(total, 27);
    assert_int_equal(responses, 2);
    agw_delta_stream_close(c.stream);
    agw_delta_server_free(o.server);
    free(body);
}

static void test_slow_client_is_ended_at_last(void **state)
{
    struct dx_owner o;
    struct dx_client slow, good;
    struct agw_delta_stats stats;
    char name[16];
    dx_server_new(&o);
    dx_client_open(&slow, &o, "ns~gw");
    dx_client_open(&good, &o, "ns~gw");
    dx_subscribe(&slow, DX_RESOURCE);
    dx_subscribe(&good, DX_RESOURCE);
    dx_expect(&slow, DX_RESOURCE, ""); /* and never answers */
    dx_expect(&good, DX_RESOURCE, "");
    for (int i = 0; i < 3 * AGW_DELTA_MAX_REMOVED; i++) {
        snprintf(name, sizeof(name), "pod%d", i);
        dx_put(&o, name, "");
        dx_drop(&o, "", name);
        if (i % 1000 == 0) {
            dx_ack(&good);
            assert_int_equal(dx_next(&good), 0);
            agw_delta_server_flush(o.server);
        }
    }
    agw_delta_server_stats(o.server, &stats);
    assert_int_equal(stats.evicted, 1);
    assert_int_equal(dx_next(&slow), AGW_ELIMIT);
    assert_true(o.server->everybody.tables[AGW_DELTA_RESOURCE].removed < 5000);
    dx_ack(&good);
    assert_int_equal(dx_next(&good), 0);
    agw_delta_stream_close(slow.stream);
    agw_delta_stream_close(good.stream);
    agw_delta_server_free(o.server);
}

static void test_who_is_it(void **state)
{
    static const struct {
        const char *role;
        int rc;
    } cases[] = {
        {"", AGW_EINVAL}, {"ns", AGW_EINVAL}, {"~gw", AGW_EINVAL}, {"ns~", AGW_EINVAL}, {"ns~gw", 0}};
    struct dx_owner o;
    struct dx_client c;
    char *longest = malloc(AGW_DELTA_MAX_ROLE + 2);
    dx_server_new(&o);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        dx_client_open(&c, &o, cases[i].role);
        assert_int_equal(dx_subscribe_with(&c, DX_RESOURCE, NULL, 0), cases[i].rc);
        agw_delta_stream_close(c.stream);
    }
    for (size_t n = AGW_DELTA_MAX_ROLE; n < AGW_DELTA_MAX_ROLE + 2; n++) {
        memset(longest, 'a', n);
        longest[2] = '~';
        longest[n] = '\0';
        dx_client_open(&c, &o, longest);
        assert_int_equal(dx_subscribe_with(&c, DX_RESOURCE, NULL, 0),
                         n > AGW_DELTA_MAX_ROLE ? AGW_ELIMIT : 0);
        agw_delta_stream_close(c.stream);
    }
    assert_int_equal(o.admits, 2);
    o.refuse = AGW_EREFUSED;
    dx_client_open(&c, &o, "ns~gw");
    assert_int_equal(dx_subscribe_with(&c, DX_RESOURCE, NULL, 0), AGW_EREFUSED);
    dx_expect_nothing(&c);
    agw_delta_stream_close(c.stream);
    assert_int_equal(o.server->roles.count, 0);
    /* without a node at all */
    c = (struct dx_client){.stream = dx_open_stream(&o), .introduced = true};
    assert_int_equal(dx_subscribe_with(&c, DX_RESOURCE, NULL, 0), AGW_EINVAL);
    agw_delta_stream_close(c.stream);
    agw_delta_server_free(o.server);
    free(longest);
}

static void test_node_id_has_a_limit(void **state)
{
    struct dx_owner o;
    struct dx_node node;
    Xds__DeltaDiscoveryRequest req = XDS__DELTA_DISCOVERY_REQUEST__INIT;
    char *id = calloc(1, AGW_DELTA_MAX_NODE_ID + 2);
    memset(id, 'i', AGW_DELTA_MAX_NODE_ID + 1);
    dx_server_new(&o);
    struct agw_delta_stream *st = dx_open_stream(&o);
    dx_fill_node(&node, "ns~gw");
    node.node.id = id;
    req.node = &node.node;
    req.type_url = (char *)DX_RESOURCE;
    assert_int_equal(dx_receive(st, &req, NULL), AGW_ELIMIT);
    id[AGW_DELTA_MAX_NODE_ID] = '\0';
    assert_int_equal(dx_receive(st, &req, NULL), 0);
    agw_delta_stream_close(st);
    agw_delta_server_free(o.server);
    free(id);
}

static int named_request(struct dx_client *c, const char *subscribed, const char *unsubscribed)
{
    struct dx_node node;
    char *in[] = {(char *)subscribed}, *out[] = {(char *)unsubscribed};
    Xds__DeltaDiscoveryRequest req = XDS__DELTA_DISCOVERY_REQUEST__INIT;
    dx_fill_node(&node, c->role);
    req.node = &node.node;
    req.type_url = (char *)DX_RESOURCE;
    req.n_resource_names_subscribe = subscribed ? 1 : 0;
    req.resource_names_subscribe = in;
    req.n_resource_names_unsubscribe = unsubscribed ? 1 : 0;
    req.resource_names_unsubscribe = out;
    return dx_receive(c->stream, &req, NULL);
}

static void test_single_names_are_refused(void **state)
{
    struct dx_owner o;
    struct dx_client c;
    dx_server_new(&o);
    dx_client_open(&c, &o, "ns~gw");
    assert_int_equal(named_request(&c, "route/a", NULL), AGW_EUNSUPPORTED);
    assert_int_equal(named_request(&c, NULL, "*"), AGW_EUNSUPPORTED);
    assert_int_equal(named_request(&c, "*", NULL), 0);
    dx_expect(&c, DX_RESOURCE, "");
    agw_delta_stream_close(c.stream);
    agw_delta_server_free(o.server);
}

static void test_limits(void **state)
{
    struct dx_owner o;
    struct dx_client c;
    struct agw_error err = {0};
    size_t count = AGW_DELTA_MAX_VERSIONS + 1;
    dx_version *versions = malloc(count * sizeof(*versions));
    for (size_t i = 0; i < count; i++)
        versions[i] = dx_version_entry_of("n", "1");
    dx_server_new(&o);
    dx_client_open(&c, &o, "ns~gw");
    assert_int_equal(dx_subscribe_with(&c, DX_RESOURCE, versions, count), AGW_ELIMIT);
    assert_int_equal(dx_subscribe_with(&c, DX_RESOURCE, versions, count - 1), 0);
    /* two bytes a version: the memory is what is limited */
    size_t n = AGW_DELTA_MAX_REQUEST;
    unsigned char *bytes = malloc(n + 1);
    for (size_t i = 0; i < n; i += 2)
        memcpy(bytes + i, "\x2a\0", 2);
    assert_int_equal(agw_delta_stream_receive(c.stream, bytes, n, &err), AGW_ELIMIT);
    assert_int_equal(agw_delta_stream_receive(c.stream, bytes, n + 1, &err), AGW_ELIMIT);
    agw_delta_stream_close(c.stream);
    /* names */
    memset(bytes, 'a', AGW_DELTA_MAX_NAME + 1);
    struct agw_str name = {(char *)bytes, AGW_DELTA_MAX_NAME + 1};
    assert_int_equal(agw_delta_server_put(o.server, 0, AGW_STR(""), name, AGW_STR(""), NULL, &err),
                     AGW_ELIMIT);
    name.n--;
    assert_int_equal(agw_delta_server_put(o.server, 0, AGW_STR(""), name, AGW_STR(""), NULL, &err), 0);
    assert_int_equal(agw_delta_server_put(o.server, 0, AGW_STR(""), AGW_STR(""), AGW_STR(""), NULL, &err),
                     AGW_EINVAL);
    assert_int_equal(agw_delta_server_put(o.server, 0, AGW_STR(""), AGW_STR("\xff"), AGW_STR(""), NULL, &err),
                     AGW_EINVAL);
    /* resources: counted, so the test need not make a million */
    uint32_t before = o.server->stats.resources;
    o.server->stats.resources = AGW_DELTA_MAX_RESOURCES - 1;
    assert_int_equal(dx_put_to(&o, AGW_DELTA_RESOURCE, "", "the last", "1"), 0);
    assert_int_equal(dx_put_to(&o, AGW_DELTA_RESOURCE, "", "one more", "1"), AGW_ELIMIT);
    assert_int_equal(dx_put_to(&o, AGW_DELTA_RESOURCE, "", "the last", "2"), 0);
    o.server->stats.resources = before + 1;
    /* streams */
    struct agw_delta_stream **all = calloc(AGW_DELTA_MAX_STREAMS, sizeof(*all)), *more;
    for (int i = 0; i < AGW_DELTA_MAX_STREAMS; i++)
        all[i] = dx_open_stream(&o);
    assert_int_equal(agw_delta_stream_open(o.server, NULL, &more, &err), AGW_ELIMIT);
    for (int i = 0; i < AGW_DELTA_MAX_STREAMS; i++)
        agw_delta_stream_close(all[i]);
    agw_delta_server_free(o.server);
    free(all);
    free(bytes);
    free(versions);
}

static void test_garbage(void **state)
{
    static const struct agw_str bad[] = {
        {"\x0a", 1}, {"\x0a\x05zzzzz", 7}, {"\x12\x02\xff\xff", 4}, {"\x2b", 1}, {"\xff\xff\xff\xff\xff", 5}};
    struct dx_owner o;
    struct agw_rng rng;
    dx_server_new(&o);
    struct agw_delta_stream *st = dx_open_stream(&o);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_int_equal(agw_delta_stream_receive(st, bad[i].p, bad[i].n, NULL), AGW_EPROTO);
    assert_int_equal(agw_delta_stream_receive(st, "", 0, NULL), AGW_EINVAL);
    agw_rng_init(&rng, 5);
    for (int i = 0; i < 20000; i++) {
        unsigned char bytes[64];
        size_t n = agw_rng_below(&rng, sizeof(bytes));
        for (size_t k = 0; k < n; k++)
            bytes[k] = (unsigned char)agw_rng_next(&rng);
        assert_true(agw_delta_stream_receive(st, bytes, n, NULL) <= 0);
    }
    agw_delta_stream_close(st);
    /* metadata of metadata of metadata */
    unsigned char deep[4096];
    size_t n = 0;
    for (int i = 0; i < 300; i++) { /* a list value in a list value, from the inside out */
        unsigned char level[4096];
        size_t m = 0;
        level[m++] = 0x32;
        m = (size_t)(agw_delta_varint(level + m, n) - level);
        memcpy(level + m, deep, n);
        m += n;
        n = (size_t)(agw_delta_field(deep, 1, agw_str((char *)level, m)) - deep);
    }
    unsigned char wrap[4200];
    size_t w = (size_t)(agw_delta_field(wrap, 6, agw_str((char *)deep, n)) - wrap); /* a value */
    static const unsigned around[] = {2, 1, 3,
                                      1}; /* of an entry of the metadata of the node of the request */
    for (size_t i = 0; i < sizeof(around) / sizeof(*around); i++) {
        w = (size_t)(agw_delta_field(deep, around[i], agw_str((char *)wrap, w)) - deep);
        memcpy(wrap, deep, w);
    }
    st = dx_open_stream(&o);
    assert_int_equal(agw_delta_stream_receive(st, deep, w, NULL), AGW_ELIMIT);
    agw_delta_stream_close(st);
    agw_delta_server_free(o.server);
}

/* --- memory --- */

/* A life in which every allocation may fail; true if it reached its end. */
static bool whole_life(struct dx_owner *o)
{
    struct agw_delta_stream *st = NULL;
    struct agw_delta_response *r = NULL;
    struct dx_node node;
    Xds__DeltaDiscoveryRequest req = XDS__DELTA_DISCOVERY_REQUEST__INIT;
    dx_version kept = dx_version_entry_of("route/gone", "1"), *list[] = {&kept};
    unsigned char bytes[512];
    if (!dx_server_new(o))
        return false;
    int rc = dx_put_to(o, AGW_DELTA_RESOURCE, "ns~gw", "route/a", "1");
    if (rc == 0)
        rc = dx_put_to(o, AGW_DELTA_RESOURCE, "", "route/a", "2");
    if (rc == 0)
        rc = agw_delta_stream_open(o->server, NULL, &st, NULL);
    dx_fill_node(&node, "ns~gw");
    req.node = &node.node;
    req.type_url = (char *)DX_RESOURCE;
    req.n_initial_resource_versions = 1;
    req.initial_resource_versions = list;
    size_t n = xds__delta_discovery_request__pack(&req, bytes);
    if (rc == 0)
        rc = agw_delta_stream_receive(st, bytes, n, NULL);
    req.type_url = (char *)"other";
    n = xds__delta_discovery_request__pack(&req, bytes);
    if (rc == 0)
        rc = agw_delta_stream_receive(st, bytes, n, NULL);
    for (int i = 0; i < 2 && rc == 0; i++) {
        rc = agw_delta_stream_next(st, &r);
        if (rc == 0)
            agw_delta_response_free(r);
        else
            assert_int_equal(agw_delta_stream_next(st, &r), 0); /* later is not too late */
        if (rc)
            agw_delta_response_free(r);
    }
    assert_true(rc == 0 || rc == AGW_ENOMEM);
    agw_delta_stream_close(st);
    agw_delta_server_free(o->server);
    return rc == 0;
}

static void test_out_of_memory(void **state)
{
    struct dx_owner o;
    long failures = 0;
    for (long n = 1;; n++) {
        failmalloc_at(n);
        bool good = whole_life(&o);
        bool reached = failmalloc_count() >= n;
        failmalloc_at(0);
        assert_int_equal(good, !reached);
        if (!reached)
            break;
        failures++;
    }
    assert_true(failures > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_large_sets_are_sent_in_parts),
        cmocka_unit_test(test_slow_client_is_ended_at_last),
        cmocka_unit_test(test_who_is_it),
        cmocka_unit_test(test_node_id_has_a_limit),
        cmocka_unit_test(test_single_names_are_refused),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
