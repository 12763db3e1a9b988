#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "event/memory.h"
#include "root.h"

static void test_the_least_of_the_groups_above_counts(void **state)
{
    assert_int_equal(agw_memory_limit(root), 0);
    put("proc/self/cgroup", "0::/pod/app\n");
    put("sys/fs/cgroup/pod/app/memory.max", "max\n");
    assert_int_equal(agw_memory_limit(root), 0);
    put("sys/fs/cgroup/pod/memory.max", "536870912\n");
    assert_int_equal(agw_memory_limit(root), 536870912);
    put("sys/fs/cgroup/pod/app/memory.max", "268435456\n");
    assert_int_equal(agw_memory_limit(root), 268435456);
}

static void test_version_1(void **state)
{
    put("proc/self/cgroup", "3:cpu,cpuacct:/x\n12:memory:/docker/1\n");
    put("sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes", "9223372036854771712\n");
    assert_int_equal(agw_memory_limit(root), 0);
    put("sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes", "1048576\n");
    assert_int_equal(agw_memory_limit(root), 1048576);
}

static void test_what_is_taken_is_seen(void **state)
{
    const size_t n = 32 << 20;
    uint64_t before = agw_memory_used();
    char *taken = malloc(n);
    assert_non_null(taken);
    memset(taken, 1, n);
    assert_in_range(agw_memory_used(), before + n / 2, before + 8 * n); /* sanitizers keep shadows */
    free(taken);
}

static void test_levels_are_left_later_than_entered(void **state)
{
    static const struct {
        enum agw_memory_level was;
        uint64_t used;
        enum agw_memory_level next;
    } moves[] = {
        {AGW_MEMORY_FINE, 0, AGW_MEMORY_FINE},    {AGW_MEMORY_FINE, 90, AGW_MEMORY_FINE},
        {AGW_MEMORY_FINE, 91, AGW_MEMORY_SHORT},  {AGW_MEMORY_FINE, 96, AGW_MEMORY_DIRE},
        {AGW_MEMORY_SHORT, 86, AGW_MEMORY_SHORT}, {AGW_MEMORY_SHORT, 85, AGW_MEMORY_FINE},
        {AGW_MEMORY_SHORT, 95, AGW_MEMORY_SHORT}, {AGW_MEMORY_SHORT, 96, AGW_MEMORY_DIRE},
        {AGW_MEMORY_DIRE, 91, AGW_MEMORY_DIRE},   {AGW_MEMORY_DIRE, 90, AGW_MEMORY_SHORT},
        {AGW_MEMORY_DIRE, 10, AGW_MEMORY_FINE},
    };
    for (size_t i = 0; i < sizeof(moves) / sizeof(*moves); i++)
        assert_int_equal(agw_memory_next(moves[i].was, moves[i].used, 100), moves[i].next);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_least_of_the_groups_above_counts, root_make, root_remove),
        cmocka_unit_test_setup_teardown(test_version_1, root_make, root_remove),
        cmocka_unit_test(test_what_is_taken_is_seen),
        cmocka_unit_test(test_levels_are_left_later_than_entered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
