#include "mcp/transport/slots.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "base/err.h"
#include "failmalloc.h"

static void old_keys_find_nothing(void **state)
{
    struct agw_mcp_slots s = {0};
    struct agw_mcp_key a, b, c;
    int one, two;
    assert_int_equal(agw_mcp_slots_add(&s, &one, 2, &a), 0);
    assert_int_equal(agw_mcp_slots_add(&s, &two, 2, &b), 0);
    assert_int_equal(agw_mcp_slots_add(&s, &two, 2, &c), AGW_ELIMIT);
    assert_ptr_equal(agw_mcp_slots_get(&s, a), &one);
    assert_ptr_equal(agw_mcp_slots_get(&s, b), &two);
    agw_mcp_slots_remove(&s, a);
    assert_null(agw_mcp_slots_get(&s, a));
    agw_mcp_slots_remove(&s, a); /* once is enough: the free list must not hold it twice */
    assert_int_equal(agw_mcp_slots_add(&s, &two, 2, &c), 0);
    assert_int_equal(c.slot, a.slot);
    assert_null(agw_mcp_slots_get(&s, a));
    assert_ptr_equal(agw_mcp_slots_get(&s, c), &two);
    assert_null(agw_mcp_slots_get(&s, (struct agw_mcp_key){0, 0}));
    assert_null(agw_mcp_slots_get(&s, (struct agw_mcp_key){UINT32_MAX, 1}));
    agw_mcp_slots_free(&s);
}

static void it_grows(void **state)
{
    enum { MANY = 1000 };
    struct agw_mcp_slots s = {0};
    static struct agw_mcp_key keys[MANY];
    static char things[MANY];
    for (int i = 0; i < MANY; i++)
        assert_int_equal(agw_mcp_slots_add(&s, &things[i], MANY, &keys[i]), 0);
    for (int i = 0; i < MANY; i++)
        assert_ptr_equal(agw_mcp_slots_get(&s, keys[i]), &things[i]);
    for (int i = 0; i < MANY; i++)
        agw_mcp_slots_remove(&s, keys[i]);
    assert_int_equal(s.used, 0);
    agw_mcp_slots_free(&s);
}

static void no_memory(void **state)
{
    struct agw_mcp_slots s = {0};
    struct agw_mcp_key a;
    failmalloc_at(1);
    assert_int_equal(agw_mcp_slots_add(&s, &a, 2, &a), AGW_ENOMEM);
    failmalloc_at(0);
    assert_int_equal(agw_mcp_slots_add(&s, &a, 2, &a), 0);
    agw_mcp_slots_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(old_keys_find_nothing), cmocka_unit_test(it_grows),
                                       cmocka_unit_test(no_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
