#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "balance/pick.h"

static void test_weights(void **state)
{
    struct agw_backend_ref refs[] = {{.weight = 70}, {.weight = 0}, {.weight = 30}};
    struct agw_route route = {.backends = refs, .backend_count = 3, .weight_total = 100};
    struct agw_rng rng;
    unsigned count[3] = {0};
    agw_rng_init(&rng, 1);
    for (int i = 0; i < 100000; i++)
        count[agw_balance_backend(&route, &rng) - refs]++;
    assert_in_range(count[0], 69000, 71000);
    assert_int_equal(count[1], 0);
    assert_in_range(count[2], 29000, 31000);
}

static void test_nothing_to_choose(void **state)
{
    struct agw_backend_ref refs[] = {{.weight = 0}};
    struct agw_route none = {0}, zero = {.backends = refs, .backend_count = 1};
    struct agw_backend empty = {0};
    struct agw_rng rng;
    agw_rng_init(&rng, 1);
    assert_null(agw_balance_backend(&none, &rng));
    assert_null(agw_balance_backend(&zero, &rng));
    assert_null(agw_balance_endpoint(&empty, &rng));
}

static void test_endpoints_evenly(void **state)
{
    static struct agw_endpoint e[3];
    const struct agw_endpoint *list[] = {&e[0], &e[1], &e[2]};
    struct agw_backend b = {.endpoints = list, .endpoint_count = 3};
    struct agw_rng rng;
    unsigned count[3] = {0};
    agw_rng_init(&rng, 2);
    for (int i = 0; i < 30000; i++)
        count[agw_balance_endpoint(&b, &rng) - e]++;
    for (int i = 0; i < 3; i++)
        assert_in_range(count[i], 9500, 10500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_nothing_to_choose),
        cmocka_unit_test(test_endpoints_evenly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
