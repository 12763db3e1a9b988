#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include "base/rng.h"
#include "xds/delta/server_fixture.h"
#include "xds/delta/server_int.h"

static void test_first_response_and_changes(void **state)
{
    struct dx_owner o;
    struct dx_client c;
    dx_server_new(&o);
    dx_put(&o, "route/a", "1");
    dx_client_open(&c, &o, "ns~gw");
    dx_expect_nothing(&c);
    dx_subscribe(&c, DX_RESOURCE);
    dx_expect(&c, DX_RESOURCE, "+route/a=1");
    dx_expect_nothing(&c);
    dx_put(&o, "route/b", "2");
    dx_expect_nothing(&c); /* one outstanding */
    dx_put(&o, "route/b", "3");
    dx_put(&o, "route/c", "4");
    dx_drop(&o, "", "route/c");
    dx_ack(&c);
    dx_expect(&c, DX_RESOURCE, "+route/b=3 -route/c");
    dx_ack(&c);
    dx_expect_nothing(&c);
    dx_put(&o, "route/b", "3"); /* the same: nobody is bothered */
    dx_expect_nothing(&c);
    dx_drop(&o, "", "route/a");
    dx_drop(&o, "", "route/never");
    dx_expect(&c, DX_RESOURCE, "-route/a");
    dx_ack(&c);
    dx_expect_nothing(&c);
    agw_delta_stream_close(c.stream);
    agw_delta_server_free(o.server);
}

static void test_empty_and_order_of_types(void **state)
{
    struct dx_owner o;
    struct dx_client c;
    dx_server_new(&o);
    dx_client_open(&c, &o, "ns~gw");
    dx_subscribe(&c, DX_RESOURCE);
    dx_subscribe(&c, DX_ADDRESS);
    dx_expect(&c, DX_ADDRESS, "");
    dx_expect(&c, DX_RESOURCE, "");
    dx_expect_nothing(&c);
    dx_put(&o, "route/a", "1");
    assert_int_equal(dx_put_to(&o, AGW_DELTA_ADDRESS, "", "ns/host", "h"), 0);
    dx_ack(&c); /* of DX_RESOURCE; Address waits for its own */
    dx_expect(&c, DX_RESOURCE, "+route/a=1");
    dx_answer(&c, DX_ADDRESS, "1", NULL);
    dx_expect(&c, DX_ADDRESS, "+ns/host=h");
    agw_delta_stream_close(c.stream);
    agw_delta_server_free(o.server);
}

static void test_other_types_are_answered_once(void **state)
{
    struct dx_owner o;
    struct dx_client c;
    char url[32];
    dx_server_new(&o);
    dx_client_open(&c, &o, "ns~gw");
    dx_subscribe(&c, "type.googleapis.com/other");
    dx_expect(&c, "type.googleapis.com/other", "");
    dx_ack(&c);
    dx_subscribe(&c, "type.googleapis.com/other");
    dx_expect_nothing(&c);
    for (int i = 1; i < AGW_DELTA_MAX_OTHER_TYPES; i++) {
        snprintf(url, sizeof(url), "t%d", i);
        dx_subscribe(&c, url);
        dx_expect(&c, url, "");
    }
    assert_int_equal(dx_subscribe_with(&c, "one more", NULL, 0), AGW_ELIMIT);
    assert_int_equal(dx_subscribe_with(&c, "", NULL, 0), AGW_EINVAL);
    agw_delta_stream_close(c.stream);
    agw_delta_server_free(o.server);
}

/* The version of |name| as a client of its own sees it. */
static void version_of(struct dx_owner *o, const char *name, char out[17])
{
    struct agw_delta_entry *e =
        agw_delta_scope_find(&o->server->everybody, AGW_DELTA_RESOURCE, agw_str_c(name));
    memcpy(out, e->version, 17);
}

static void test_resume(void **state)
{
    struct dx_owner o;
    struct dx_client c;
    char a[17], b[17];
    dx_server_new(&o);
    dx_put(&o, "route/a", "1");
    dx_put(&o, "route/b", "1");
    version_of(&o, "route/a", a);
    version_of(&o, "route/b", b);
    dx_version kept[] = {dx_version_entry_of("route/a", a), dx_version_entry_of("route/b", b)};
    agw_delta_server_free(o.server);

    dx_server_new(&o); /* restarted: the same bodies have the same versions */
    dx_put(&o, "route/a", "1");
    dx_put(&o, "route/b", "1");
    dx_client_open(&c, &o, "ns~gw");
    assert_int_equal(dx_subscribe_with(&c, DX_RESOURCE, kept, 2), 0);
    dx_expect(&c, DX_RESOURCE, "");
    agw_delta_stream_close(c.stream);

    dx_put(&o, "route/b", "2");
    dx_put(&o, "route/c", "1");
    dx_drop(&o, "", "route/a");
    dx_client_open(&c, &o, "ns~gw");
    assert_int_equal(dx_subscribe_with(&c, DX_RESOURCE, kept, 2), 0);
    dx_expect(&c, DX_RESOURCE, "+route/b=2 +route/c=1 -route/a");
    dx_ack(&c);
    dx_expect_nothing(&c);
    dx_drop(&o, "", "route/b");
    dx_expect(&c, DX_RESOURCE, "-route/b");
    agw_delta_stream_close(c.stream);

    dx_version empty[] = {dx_version_entry_of("route/c", ""), dx_version_entry_of("", "")};
    dx_client_open(&c, &o, "ns~gw");
    assert_int_equal(dx_subscribe_with(&c, DX_RESOURCE, empty, 1), 0);
    dx_expect(&c, DX_RESOURCE, "+route/c=1");
    agw_delta_stream_close(c.stream);
    agw_delta_server_free(o.server);
}

static void test_nack_is_told_and_not_sent_again(void **state)
{
    struct dx_owner o;
    struct dx_client c;
    struct agw_delta_stats stats;
    dx_server_new(&o);
    dx_put(&o, "route/a", "1");
    dx_client_open(&c, &o, "ns~gw");
    dx_subscribe(&c, DX_RESOURCE);
    dx_expect(&c, DX_RESOURCE, "+route/a=1");
    dx_answer(&c, DX_RESOURCE, "stale", "no");
    assert_int_equal(o.nacks, 0);
    dx_expect_nothing(&c);
    dx_answer(&c, DX_RESOURCE, c.nonce, "[{\"key\":\"route/a\",\"error\":\"no\"}]");
    assert_int_equal(o.nacks, 1);
    assert_string_equal(o.said, "ns~gw|agentgateway~1.1.1.1~pod.ns~ns.svc.cluster.local|" DX_RESOURCE
                                "|[{\"key\":\"route/a\",\"error\":\"no\"}]");
    dx_expect_nothing(&c);
    dx_answer(&c, DX_RESOURCE, c.nonce, "again");
    assert_int_equal(o.nacks, 1);
    dx_put(&o, "route/a", "2");
    dx_expect(&c, DX_RESOURCE, "+route/a=2");
    dx_ack(&c);
    agw_delta_server_stats(o.server, &stats);
    assert_int_equal(stats.nacks, 1);
    assert_int_equal(stats.acks, 1);
    assert_int_equal(stats.stale, 2);
    assert_int_equal(stats.responses, 2);
    assert_int_equal(stats.streams, 1);
    assert_int_equal(stats.resources, 1);
    agw_delta_stream_close(c.stream);
    agw_delta_server_free(o.server);
}

static void test_roles(void **state)
{
    struct dx_owner o;
    struct dx_client a, b;
    dx_server_new(&o);
    dx_put(&o, "backend/x", "all");
    assert_int_equal(dx_put_to(&o, AGW_DELTA_RESOURCE, "ns~a", "route/a", "1"), 0);
    dx_client_open(&a, &o, "ns~a");
    dx_client_open(&b, &o, "ns~b"); /* unknown until it appears */
    dx_subscribe(&a, DX_RESOURCE);
    dx_subscribe(&b, DX_RESOURCE);
    dx_expect(&a, DX_RESOURCE, "+backend/x=all +route/a=1");
    dx_expect(&b, DX_RESOURCE, "+backend/x=all");
    dx_ack(&a);
    dx_ack(&b);
    agw_delta_server_flush(o.server);
    assert_int_equal(dx_put_to(&o, AGW_DELTA_RESOURCE, "ns~b", "route/a", "2"), 0);
    dx_expect_nothing(&a);
    dx_expect(&b, DX_RESOURCE, "+route/a=2");
    dx_ack(&b);
    /* from one role to all and back: nobody loses it on the way */
    dx_put(&o, "route/a", "3");
    dx_expect(&a, DX_RESOURCE, "+route/a=3");
    dx_expect(&b, DX_RESOURCE, "+route/a=3");
    dx_ack(&a);
    dx_ack(&b);
    assert_int_equal(dx_put_to(&o, AGW_DELTA_RESOURCE, "ns~a", "route/a", "4"), 0);
    dx_expect(&a, DX_RESOURCE, "+route/a=4");
    dx_expect(&b, DX_RESOURCE, "-route/a");
    agw_delta_stream_close(a.stream);
    agw_delta_stream_close(b.stream);
    assert_int_equal(o.server->roles.count, 1); /* b's is gone with its last stream */
    agw_delta_server_free(o.server);
}

static void test_set_replaces(void **state)
{
    struct dx_owner o;
    struct dx_client c;
    struct agw_delta_change change = {0};
    dx_server_new(&o);
    dx_put(&o, "route/a", "1");
    dx_put(&o, "route/b", "1");
    assert_int_equal(dx_put_to(&o, AGW_DELTA_RESOURCE, "ns~gw", "route/c", "1"), 0);
    dx_client_open(&c, &o, "ns~gw");
    dx_subscribe(&c, DX_RESOURCE);
    dx_expect(&c, DX_RESOURCE, "+route/a=1 +route/b=1 +route/c=1");
    dx_ack(&c);
    agw_delta_server_set_begin(o.server);
    const char *const set[][2] = {{"route/a", "1"}, {"route/b", "2"}, {"route/d", "1"}};
    for (int i = 0; i < 3; i++)
        assert_int_equal(agw_delta_server_put(o.server, AGW_DELTA_RESOURCE, AGW_STR(""), agw_str_c(set[i][0]),
                                              agw_str_c(set[i][1]), &change, NULL),
                         0);
    agw_delta_server_set_end(o.server, &change);
    assert_int_equal(change.same, 1);
    assert_int_equal(change.updated, 1);
    assert_int_equal(change.added, 1);
    assert_int_equal(change.removed, 1);
    dx_expect(&c, DX_RESOURCE, "+route/b=2 +route/d=1 -route/c");
    agw_delta_stream_close(c.stream);
    agw_delta_server_free(o.server);
}

/* Any order of changes, answers and flushes: once all is answered, each client has what is published. */
static void test_any_order_ends_the_same(void **state)
{
    static const char *const roles[] = {"", "ns~a", "ns~b"};
    struct dx_owner o;
    struct dx_client c[4];
    struct agw_rng rng;
    char name[8], body[8];
    agw_rng_init(&rng, 11);
    dx_server_new(&o);
    for (int i = 0; i < 4; i++) {
        dx_client_open(&c[i], &o, roles[1 + i % 2]);
        dx_subscribe(&c[i], DX_RESOURCE);
    }
    for (int step = 0; step < 200000; step++) {
        struct dx_client *one = &c[agw_rng_below(&rng, 4)];
        const char *role = roles[agw_rng_below(&rng, 3)];
        snprintf(name, sizeof(name), "n%u", agw_rng_below(&rng, DX_NAMES));
        snprintf(body, sizeof(body), "%u", agw_rng_below(&rng, 3));
        switch (agw_rng_below(&rng, 8)) {
        case 0:
        case 1:
            assert_int_equal(dx_put_to(&o, AGW_DELTA_RESOURCE, role, name, body), 0);
            break;
        case 2:
            dx_drop(&o, role, name);
            break;
        case 3:
            agw_delta_server_flush(o.server);
            break;
        default:
            if (dx_next(one) == 0 && agw_rng_below(&rng, 2))
                break; /* answers later */
            if (one->nonce[0])
                dx_ack(one);
        }
    }
    for (int i = 0; i < 4; i++) {
        for (int turn = 0; turn < 3; turn++) {
            if (c[i].nonce[0])
                dx_ack(&c[i]);
            dx_next(&c[i]);
        }
        for (unsigned n = 0; n < DX_NAMES; n++) {
            snprintf(name, sizeof(name), "n%u", n);
            struct agw_delta_entry *e =
                agw_delta_scope_find(&o.server->everybody, AGW_DELTA_RESOURCE, agw_str_c(name));
            struct agw_delta_entry *own =
                agw_delta_scope_find(c[i].stream->scope, AGW_DELTA_RESOURCE, agw_str_c(name));
            assert_false(e && own);
            e = e ? e : own;
            snprintf(body, sizeof(body), "%.*s", e ? (int)e->body.n : 0, e ? e->body.p : "");
            assert_string_equal(c[i].has[n], body);
        }
        agw_delta_stream_close(c[i].stream);
    }
    agw_delta_server_free(o.server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_response_and_changes),
        cmocka_unit_test(test_empty_and_order_of_types),
        cmocka_unit_test(test_other_types_are_answered_once),
        cmocka_unit_test(test_resume),
        cmocka_unit_test(test_nack_is_told_and_not_sent_again),
        cmocka_unit_test(test_roles),
        cmocka_unit_test(test_set_replaces),
        cmocka_unit_test(test_any_order_ends_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
