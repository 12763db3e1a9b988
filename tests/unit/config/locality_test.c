#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/check.h"
#include "config/locality.h"

#define SCOPE(name) ISTIO__LOAD_BALANCING__SCOPE__##name
#define MODE(name) ISTIO__LOAD_BALANCING__MODE__##name

static Istio__Locality place;
static Istio__Workload w;
static Istio__LoadBalancing lb;
static Istio__LoadBalancing__Scope scopes[] = {SCOPE(NETWORK), SCOPE(REGION), SCOPE(ZONE)};
static struct agw_locality own;

static int begin(void **state)
{
    istio__locality__init(&place);
    istio__workload__init(&w);
    istio__load_balancing__init(&lb);
    place.region = (char *)"r";
    place.zone = (char *)"z";
    place.subzone = (char *)"s";
    w.locality = &place;
    w.network = (char *)"n";
    w.node = (char *)"node";
    w.cluster_id = (char *)"c";
    agw_locality_of(&w, &own);
    lb.routing_preference = scopes;
    lb.n_routing_preference = AGW_ARRAY_LEN(scopes);
    lb.mode = MODE(FAILOVER);
    return 0;
}

/* -1: left out. */
static int bucket(void)
{
    uint32_t b;
    return agw_locality_bucket(&own, &lb, &w, &b) ? (int)b : -1;
}

static void test_each_scope_that_differs_is_a_bucket(void **state)
{
    assert_int_equal(bucket(), 0);
    place.zone = (char *)"other";
    assert_int_equal(bucket(), 1);
    place.region = (char *)"other";
    assert_int_equal(bucket(), 2);
    place.zone = (char *)"z"; /* what is shared behind a difference does not count */
    assert_int_equal(bucket(), 2);
    w.network = (char *)"other";
    place.region = (char *)"r";
    assert_int_equal(bucket(), 3);
    w.locality = NULL;
    assert_int_equal(bucket(), 3);
}

static void test_all_scopes(void **state)
{
    static const Istio__LoadBalancing__Scope all[] = {SCOPE(REGION), SCOPE(ZONE),    SCOPE(SUBZONE),
                                                      SCOPE(NODE),   SCOPE(CLUSTER), SCOPE(NETWORK)};
    lb.n_routing_preference = 1;
    for (unsigned i = 0; i < AGW_ARRAY_LEN(all); i++) {
        scopes[0] = all[i];
        begin(NULL);
        lb.n_routing_preference = 1;
        assert_int_equal(bucket(), 0);
        switch (all[i]) {
        case SCOPE(REGION):
            place.region = (char *)"";
            break;
        case SCOPE(ZONE):
            place.zone = (char *)"";
            break;
        case SCOPE(SUBZONE):
            place.subzone = (char *)"";
            break;
        case SCOPE(NODE):
            w.node = (char *)"";
            break;
        case SCOPE(CLUSTER):
            w.cluster_id = (char *)"";
            break;
        default:
            w.network = (char *)"";
        }
        assert_int_equal(bucket(), 1);
    }
    scopes[0] = (Istio__LoadBalancing__Scope)77;
    assert_int_equal(bucket(), 1); /* nobody shares what we do not know */
    scopes[0] = SCOPE(NETWORK);
}

static void test_modes(void **state)
{
    uint32_t b = 9;
    place.zone = (char *)"other";
    lb.mode = MODE(STRICT);
    assert_int_equal(bucket(), -1);
    place.zone = (char *)"z";
    assert_int_equal(bucket(), 0);
    place.zone = (char *)"other";
    lb.mode = MODE(PASSTHROUGH);
    assert_int_equal(bucket(), 0);
    lb.mode = MODE(UNSPECIFIED_MODE);
    assert_int_equal(bucket(), 0);
    lb.mode = MODE(STRICT); /* where we are is not known */
    assert_true(agw_locality_bucket(NULL, &lb, &w, &b));
    assert_int_equal(b, 0);
    assert_true(agw_locality_bucket(&own, NULL, &w, &b));
    assert_int_equal(b, 0);
}

static void test_a_preference_too_long_is_cut(void **state)
{
    Istio__LoadBalancing__Scope many[100];
    for (unsigned i = 0; i < AGW_ARRAY_LEN(many); i++)
        many[i] = SCOPE(ZONE);
    lb.routing_preference = many;
    lb.n_routing_preference = AGW_ARRAY_LEN(many);
    place.zone = (char *)"other";
    assert_int_equal(bucket(), AGW_LOCALITY_BUCKETS - 1);
}

static void test_parse(void **state)
{
    struct agw_locality l = {.node = AGW_STR("n")};
    agw_locality_parse(AGW_STR("eu/eu-1/rack"), &l);
    assert_true(agw_str_eq(l.region, AGW_STR("eu")));
    assert_true(agw_str_eq(l.zone, AGW_STR("eu-1")));
    assert_true(agw_str_eq(l.subzone, AGW_STR("rack")));
    assert_true(agw_str_eq(l.node, AGW_STR("n")));
    agw_locality_parse(AGW_STR("us"), &l);
    assert_true(agw_str_eq(l.region, AGW_STR("us")));
    assert_int_equal(l.zone.n, 0);
    assert_false(agw_locality_eq(&l, &own));
    assert_true(agw_locality_eq(&own, &own));
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup(fn, begin)
    const struct CMUnitTest tests[] = {
        TEST(test_each_scope_that_differs_is_a_bucket), TEST(test_all_scopes), TEST(test_modes),
        TEST(test_a_preference_too_long_is_cut),        TEST(test_parse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
