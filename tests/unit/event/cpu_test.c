#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "event/cpu.h"
#include "root.h"

static void test_no_files(void **state)
{
    assert_int_equal(agw_cpu_quota(root), 0);
    put("proc/self/cgroup", "rubbish\n::\n0:\n");
    assert_int_equal(agw_cpu_quota(root), 0);
}

static void test_v2_rounds_up(void **state)
{
    put("proc/self/cgroup", "0::/pod/app\n");
    put("sys/fs/cgroup/pod/app/cpu.max", "150000 100000\n");
    assert_int_equal(agw_cpu_quota(root), 2);
    put("sys/fs/cgroup/pod/app/cpu.max", "max 100000\n");
    assert_int_equal(agw_cpu_quota(root), 0);
    put("sys/fs/cgroup/pod/app/cpu.max", "10000 100000\n");
    assert_int_equal(agw_cpu_quota(root), 1);
    put("sys/fs/cgroup/pod/app/cpu.max", "5 0\n");
    assert_int_equal(agw_cpu_quota(root), 0);
}

static void test_v2_parents_count(void **state)
{
    put("proc/self/cgroup", "0::/pod/app\n");
    put("sys/fs/cgroup/pod/app/cpu.max", "800000 100000\n");
    put("sys/fs/cgroup/pod/cpu.max", "300000 100000\n");
    assert_int_equal(agw_cpu_quota(root), 3);
    put("sys/fs/cgroup/cpu.max", "100000 100000\n");
    assert_int_equal(agw_cpu_quota(root), 1);
}

static void test_v2_group_outside_our_view(void **state)
{
    put("proc/self/cgroup", "0::/../../host/x\n");
    put("sys/fs/cgroup/cpu.max", "400000 100000\n");
    assert_int_equal(agw_cpu_quota(root), 4);
}

static void test_v1(void **state)
{
    put("proc/self/cgroup", "12:memory:/a\n4:cpuset:/a\n3:cpu,cpuacct:/docker/1\n");
    put("sys/fs/cgroup/cpu/docker/1/cpu.cfs_quota_us", "-1\n");
    put("sys/fs/cgroup/cpu/docker/1/cpu.cfs_period_us", "100000\n");
    assert_int_equal(agw_cpu_quota(root), 0);
    put("sys/fs/cgroup/cpu/docker/1/cpu.cfs_quota_us", "250000\n");
    assert_int_equal(agw_cpu_quota(root), 3);
    put("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "200000\n");
    put("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
    assert_int_equal(agw_cpu_quota(root), 2);
}

static void test_count(void **state)
{
    unsigned count = agw_cpu_count();
    assert_true(count >= 1 && count <= (unsigned)sysconf(_SC_NPROCESSORS_CONF));
}

static void *pin(void *arg)
{
    cpu_set_t mask;
    int cpus[2];
    for (unsigned i = 0; i < 2; i++) { /* the second pin must not be caught in the first one's mask */
        assert_int_equal(agw_cpu_pin(i), 0);
        assert_int_equal(sched_getaffinity(0, sizeof(mask), &mask), 0);
        assert_int_equal(CPU_COUNT(&mask), 1);
        cpus[i] = sched_getcpu();
        assert_true(CPU_ISSET((size_t)cpus[i], &mask));
    }
    assert_int_equal(sched_getaffinity(getpid(), sizeof(mask), &mask), 0);
    if (CPU_COUNT(&mask) > 1)
        assert_int_not_equal(cpus[0], cpus[1]);
    assert_int_equal(agw_cpu_pin(12345), 0);
    return NULL;
}

static void test_pin_in_a_thread(void **state)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, pin, NULL), 0);
    pthread_join(thread, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_no_files, root_make, root_remove),
        cmocka_unit_test_setup_teardown(test_v2_rounds_up, root_make, root_remove),
        cmocka_unit_test_setup_teardown(test_v2_parents_count, root_make, root_remove),
        cmocka_unit_test_setup_teardown(test_v2_group_outside_our_view, root_make, root_remove),
        cmocka_unit_test_setup_teardown(test_v1, root_make, root_remove),
        cmocka_unit_test_setup_teardown(test_count, root_make, root_remove),
        cmocka_unit_test_setup_teardown(test_pin_in_a_thread, root_make, root_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
