#include "keys/age.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define FRESH 300000u

static struct agw_keys_age got(uint64_t now_ms)
{
    struct agw_keys_age a = {.fresh_ms = FRESH};
    agw_keys_trying(&a, now_ms, false);
    agw_keys_tried(&a, now_ms, true);
    return a;
}

static void test_the_first_try_is_due_at_once(void **state)
{
    struct agw_keys_age a = {.fresh_ms = FRESH};
    assert_true(agw_keys_due(&a, 0, false));
    assert_false(agw_keys_good(&a, 0));
}

static void test_keys_are_good_for_their_time_and_renewed_before(void **state)
{
    struct agw_keys_age a = got(1000);
    assert_true(agw_keys_good(&a, 1000));
    assert_true(agw_keys_good(&a, 1000 + FRESH - 1));
    assert_false(agw_keys_good(&a, 1000 + FRESH));
    assert_false(agw_keys_due(&a, 1000 + FRESH / 5 * 4 - 1, false));
    assert_true(agw_keys_due(&a, 1000 + FRESH / 5 * 4, false));
}

static void test_old_keys_outlive_an_issuer_that_is_down(void **state)
{
    struct agw_keys_age a = got(0);
    agw_keys_trying(&a, FRESH - 10, false);
    agw_keys_tried(&a, FRESH - 5, false);
    assert_true(agw_keys_good(&a, FRESH));
    assert_true(agw_keys_good(&a, FRESH + AGW_KEYS_STALE_MS - 1));
    assert_false(agw_keys_good(&a, FRESH + AGW_KEYS_STALE_MS));
    agw_keys_tried(&a, 2 * FRESH, true);
    assert_true(agw_keys_good(&a, 3 * FRESH - 1));
    assert_false(agw_keys_good(&a, 3 * FRESH));
}

static void test_a_failure_is_tried_again_after_a_while(void **state)
{
    struct agw_keys_age a = {.fresh_ms = FRESH};
    agw_keys_trying(&a, 100, false);
    agw_keys_tried(&a, 200, false);
    assert_false(agw_keys_good(&a, 200));
    assert_false(agw_keys_due(&a, 200 + AGW_KEYS_RETRY_MS - 1, false));
    assert_false(agw_keys_due(&a, 200 + AGW_KEYS_RETRY_MS - 1, true)); /* not by strangers, either */
    assert_true(agw_keys_due(&a, 200 + AGW_KEYS_RETRY_MS, false));
}

static void test_unknown_keys_are_asked_for_once_in_a_while(void **state)
{
    struct agw_keys_age a = got(0);
    assert_true(agw_keys_due(&a, 1, true));
    agw_keys_trying(&a, 1, true);
    agw_keys_tried(&a, 2, true);
    assert_false(agw_keys_due(&a, AGW_KEYS_UNKNOWN_MS, true));
    assert_true(agw_keys_due(&a, AGW_KEYS_UNKNOWN_MS + 1, true));
}

static void test_times_have_limits(void **state)
{
    assert_int_equal(agw_keys_fresh_ms(0), AGW_KEYS_FRESH_MS_MIN);
    assert_int_equal(agw_keys_fresh_ms(FRESH), FRESH);
    assert_int_equal(agw_keys_fresh_ms(UINT64_MAX), AGW_KEYS_FRESH_MS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_first_try_is_due_at_once),
        cmocka_unit_test(test_keys_are_good_for_their_time_and_renewed_before),
        cmocka_unit_test(test_old_keys_outlive_an_issuer_that_is_down),
        cmocka_unit_test(test_a_failure_is_tried_again_after_a_while),
        cmocka_unit_test(test_unknown_keys_are_asked_for_once_in_a_while),
        cmocka_unit_test(test_times_have_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
