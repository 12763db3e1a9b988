/* Connections by source. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include "base/err.h"
#include "failmalloc.h"
#include "proxy/server/sources.h"

static uint64_t of(const char *ip)
{
    struct agw_addr a;
    assert_int_equal(agw_addr_ip(agw_str_c(ip), 80, &a), 0);
    return agw_source_of(&a);
}

static void test_what_a_source_is(void **state)
{
    struct agw_addr none = {0}, path;
    assert_int_equal(agw_addr_unix(AGW_STR("/x"), &path), 0);
    assert_int_equal(agw_source_of(&none), 0);
    assert_int_equal(agw_source_of(&path), 0);
    assert_int_equal(of("1.2.3.4"), of("::ffff:1.2.3.4"));
    assert_int_not_equal(of("1.2.3.4"), of("1.2.3.5"));
    assert_int_equal(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
    assert_int_not_equal(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
    assert_int_not_equal(of("::1"), 0);
    assert_int_not_equal(of("0.0.0.0"), 0);
}

static void test_limit(void **state)
{
    struct agw_sources s;
    agw_sources_init(&s, 1);
    assert_int_equal(agw_sources_add(&s, 7, 2), 0);
    assert_int_equal(agw_sources_add(&s, 7, 2), 0);
    assert_int_equal(agw_sources_add(&s, 7, 2), AGW_ELIMIT);
    assert_int_equal(agw_sources_add(&s, 8, 2), 0);
    agw_sources_remove(&s, 7);
    assert_int_equal(agw_sources_add(&s, 7, 2), 0);
    agw_sources_remove(&s, 7);
    agw_sources_remove(&s, 7);
    agw_sources_remove(&s, 8);
    assert_int_equal(s.used, 0);
    agw_sources_free(&s);
}

/* Against counts in an array: sources come and go, and meet in the table. */
static void test_many(void **state)
{
    static unsigned counts[500];
    struct agw_sources s;
    uint64_t x = 88172645463325252ull;
    unsigned present = 0;
    agw_sources_init(&s, 0x1234);
    for (int i = 0; i < 200000; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        unsigned k = x % 500;
        bool more = (x >> 32) % 5 < (i / 20000 % 2 ? 1 : 4); /* it fills up and empties in turn */
        if (more) {
            int rc = agw_sources_add(&s, 0xffff00000000ull + k, 3);
            assert_int_equal(rc, counts[k] < 3 ? 0 : AGW_ELIMIT);
            present += counts[k] == 0;
            counts[k] += rc == 0;
        } else if (counts[k] > 0) {
            agw_sources_remove(&s, 0xffff00000000ull + k);
            present -= --counts[k] == 0;
        }
        assert_int_equal(s.used, present);
        assert_true(s.cap <= 1024);
    }
    agw_sources_free(&s);
}

static void test_without_memory(void **state)
{
    struct agw_sources s;
    agw_sources_init(&s, 1);
    failmalloc_at(1);
    assert_int_equal(agw_sources_add(&s, 1, 9), AGW_ENOMEM);
    failmalloc_at(0);
    for (uint64_t k = 1; k <= 32; k++)
        assert_int_equal(agw_sources_add(&s, k, 9), 0);
    failmalloc_at(1);
    assert_int_equal(agw_sources_add(&s, 33, 9), AGW_ENOMEM);
    failmalloc_at(0);
    assert_int_equal(s.used, 32);
    assert_int_equal(agw_sources_add(&s, 33, 9), 0);
    for (uint64_t k = 1; k <= 33; k++)
        agw_sources_remove(&s, k);
    agw_sources_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_a_source_is),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
