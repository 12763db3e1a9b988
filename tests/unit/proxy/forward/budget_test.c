/* Retries are a share of the requests, and a few besides. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "failmalloc.h"
#include "proxy/forward/budget.h"

static unsigned take_all(struct agw_retry_budgets *b, uint32_t backend, uint64_t now)
{
    unsigned n = 0;
    while (agw_retry_budget_take(b, backend, now))
        n++;
    return n;
}

static void quiet_backend(void **state)
{
    struct agw_retry_budgets b = {0};
    assert_int_equal(take_all(&b, 3, 1000000), 100); /* ten seconds' worth at once */
    assert_int_equal(take_all(&b, 3, 1000050), 0);
    assert_int_equal(take_all(&b, 3, 1001000), 9); /* then ten a second, less what fades */
    assert_int_equal(take_all(&b, 2, 1001000), 100);
    assert_int_equal(take_all(&b, 3, 2000000), 100);
    agw_retry_budgets_free(&b);
    assert_int_equal(b.count, 0);
}

/* A thousand requests a second of which every one fails: about one in five is tried again. */
static void outage(void **state)
{
    struct agw_retry_budgets b = {0};
    unsigned retries = 0, late = 0;
    for (uint64_t ms = 0; ms < 60000; ms++) {
        agw_retry_budget_request(&b, 0, ms);
        bool again = agw_retry_budget_take(&b, 0, ms);
        retries += again;
        late += again && ms >= 30000;
    }
    assert_in_range(late, 6000, 6400);
    assert_in_range(retries, 12000, 12800);
    agw_retry_budgets_free(&b);
}

/* What fails at once after a good time may all be tried again, if it is not more than the time was good for.
 */
static void burst(void **state)
{
    struct agw_retry_budgets b = {0};
    for (uint64_t ms = 0; ms < 60000; ms++)
        agw_retry_budget_request(&b, 0, ms);
    assert_in_range(take_all(&b, 0, 60000), 1900, 2200);
    agw_retry_budgets_free(&b);
}

static void no_memory(void **state)
{
    struct agw_retry_budgets b = {0};
    failmalloc_at(1);
    agw_retry_budget_request(&b, 7, 1);
    failmalloc_at(1);
    assert_false(agw_retry_budget_take(&b, 7, 1));
    failmalloc_at(0);
    assert_true(agw_retry_budget_take(&b, 7, 1));
    agw_retry_budgets_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(quiet_backend), cmocka_unit_test(outage),
                                       cmocka_unit_test(burst), cmocka_unit_test(no_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
