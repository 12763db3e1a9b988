#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "xds/delta/backoff.h"

static void test_doubles_to_the_limit(void **state)
{
    struct agw_delta_backoff b = {0};
    uint32_t full = AGW_DELTA_BACKOFF_MIN_MS;
    for (int i = 0; i < 20; i++) {
        struct agw_delta_backoff copy = b;
        assert_int_equal(agw_delta_backoff_ms(&copy, AGW_DELTA_END_FAILED, false, 0, 0), full / 2);
        assert_int_equal(agw_delta_backoff_ms(&b, AGW_DELTA_END_FAILED, false, 0, UINT32_MAX), full);
        full = full * 2 < AGW_DELTA_BACKOFF_MAX_MS ? full * 2 : AGW_DELTA_BACKOFF_MAX_MS;
    }
    assert_int_equal(full, AGW_DELTA_BACKOFF_MAX_MS);
}

static void test_a_good_stream_begins_anew(void **state)
{
    struct agw_delta_backoff b = {0};
    for (int i = 0; i < 8; i++)
        agw_delta_backoff_ms(&b, AGW_DELTA_END_FAILED, false, 0, 0);
    assert_int_equal(
        agw_delta_backoff_ms(&b, AGW_DELTA_END_FAILED, true, AGW_DELTA_BACKOFF_GOOD_MS, UINT32_MAX),
        AGW_DELTA_BACKOFF_MIN_MS);
    assert_int_equal(
        agw_delta_backoff_ms(&b, AGW_DELTA_END_CLEAN, true, AGW_DELTA_BACKOFF_GOOD_MS, UINT32_MAX), 0);
}

/* A server that ends each stream at once, with an answer or without, must not be dialled in a loop. */
static void test_short_streams_back_off(void **state)
{
    for (int answered = 0; answered < 2; answered++) {
        struct agw_delta_backoff b = {0};
        uint32_t sum = 0;
        for (int i = 0; i < 12; i++)
            sum += agw_delta_backoff_ms(&b, AGW_DELTA_END_CLEAN, answered, AGW_DELTA_BACKOFF_GOOD_MS - 1, 0);
        assert_true(sum > 15000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_doubles_to_the_limit),
        cmocka_unit_test(test_a_good_stream_begins_anew),
        cmocka_unit_test(test_short_streams_back_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
