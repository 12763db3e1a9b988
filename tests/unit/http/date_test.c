#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/clock.h"
#include "base/err.h"
#include "failmalloc.h"
#include "http/date.h"

static struct agw_arena arena;
static struct agw_headers h;

static void expect(uint64_t wall_ns, const char *text)
{
    agw_headers_init(&h, &arena);
    assert_int_equal(agw_headers_add_date(&h, wall_ns), 0);
    assert_int_equal(h.n, 1);
    assert_true(agw_str_eq(agw_headers_value(&h, AGW_HDR_DATE), agw_str_c(text)));
}

static void test_date(void **state)
{
    agw_arena_init(&arena, 1024, 0);
    expect(0, "Thu, 01 Jan 1970 00:00:00 GMT");
    struct agw_str first = agw_headers_value(&h, AGW_HDR_DATE);
    expect(784111777 * AGW_NS_PER_S, "Sun, 06 Nov 1994 08:49:37 GMT");
    expect(784111778 * AGW_NS_PER_S - 1, "Sun, 06 Nov 1994 08:49:37 GMT");
    expect(784111778 * AGW_NS_PER_S, "Sun, 06 Nov 1994 08:49:38 GMT");
    /* Not what the next second makes of it. */
    assert_true(agw_str_eq(first, AGW_STR("Thu, 01 Jan 1970 00:00:00 GMT")));
    agw_arena_free(&arena);
}

static void test_keeps_another(void **state)
{
    agw_arena_init(&arena, 1024, 0);
    agw_headers_init(&h, &arena);
    assert_int_equal(agw_headers_add_id(&h, AGW_HDR_DATE, AGW_STR("Sun, 06 Nov 1994 08:49:37 GMT")), 0);
    assert_int_equal(agw_headers_add_date(&h, 0), 0);
    assert_int_equal(h.n, 1);
    assert_true(agw_str_eq(h.v[0].value, AGW_STR("Sun, 06 Nov 1994 08:49:37 GMT")));
    agw_arena_free(&arena);
}

static void test_out_of_memory(void **state)
{
    for (long n = 1;; n++) {
        agw_arena_init(&arena, 16, 0);
        agw_headers_init(&h, &arena);
        failmalloc_at(n);
        int rc = agw_headers_add_date(&h, 0);
        bool reached = failmalloc_count() >= n;
        failmalloc_at(0);
        assert_int_equal(rc, reached ? AGW_ENOMEM : 0);
        agw_arena_free(&arena);
        if (!reached)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_date),
        cmocka_unit_test(test_keeps_another),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
