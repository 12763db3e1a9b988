#include "event/cpu.h"

#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>
#include "base/err.h"
#include "base/str.h"
#include "event/cgroup.h"

#define CPUS_MAX 8192 /* what the kernel is built for at most */

/* The process's mask, not the calling thread's: that one may be pinned already. NULL when memory is out. */
static cpu_set_t *process_mask(size_t *ret_size)
{
    size_t size = CPU_ALLOC_SIZE(CPUS_MAX);
    cpu_set_t *mask = CPU_ALLOC(CPUS_MAX);
    if (!mask)
        return NULL;
    CPU_ZERO_S(size, mask);
    if (sched_getaffinity(getpid(), size, mask) < 0) {
        CPU_FREE(mask);
        return NULL;
    }
    *ret_size = size;
    return mask;
}

static unsigned round_up(uint64_t quota, uint64_t period)
{
    uint64_t cpus = period ? quota / period + (quota % period != 0) : 0;
    return cpus > UINT_MAX ? UINT_MAX : (unsigned)cpus;
}

/* cpu.max: "200000 100000" or "max 100000". */
static uint64_t quota_v2(const char *dir)
{
    char line[64];
    uint64_t quota, period;
    if (!agw_cgroup_read(dir, "cpu.max", line, sizeof(line)))
        return 0;
    struct agw_str rest = agw_str_c(line), first, second;
    if (!agw_str_split(&rest, ' ', &first) || !agw_str_split(&rest, ' ', &second) ||
        agw_str_u64(first, &quota) || agw_str_u64(second, &period))
        return 0;
    return round_up(quota, period);
}

/* cpu.cfs_quota_us: microseconds, -1 without a quota; cpu.cfs_period_us. */
static uint64_t quota_v1(const char *dir)
{
    char line[64];
    uint64_t quota, period;
    if (!agw_cgroup_read(dir, "cpu.cfs_quota_us", line, sizeof(line)) ||
        agw_str_u64(agw_str_c(line), &quota) ||
        !agw_cgroup_read(dir, "cpu.cfs_period_us", line, sizeof(line)) ||
        agw_str_u64(agw_str_c(line), &period))
        return 0;
    return round_up(quota, period);
}

unsigned agw_cpu_quota(const char *root)
{
    return (unsigned)agw_cgroup_least(root, "cpu", quota_v1, quota_v2);
}

unsigned agw_cpu_count(void)
{
    size_t size;
    cpu_set_t *mask = process_mask(&size);
    unsigned cpus = mask ? (unsigned)CPU_COUNT_S(size, mask) : 1;
    unsigned quota = agw_cpu_quota("");
    if (mask)
        CPU_FREE(mask);
    if (quota && quota < cpus)
        cpus = quota;
    return cpus ? cpus : 1;
}

/* Number of the |index|-th CPU in |mask|, which has at least one. */
static size_t nth_cpu(const cpu_set_t *mask, size_t size, unsigned index)
{
    unsigned skip = index % (unsigned)CPU_COUNT_S(size, mask);
    size_t cpu = 0;
    while (!CPU_ISSET_S(cpu, size, mask) || skip--)
        cpu++;
    return cpu;
}

int agw_cpu_pin(unsigned index)
{
    size_t size;
    cpu_set_t *mask = process_mask(&size);
    if (!mask || CPU_COUNT_S(size, mask) == 0) {
        if (mask)
            CPU_FREE(mask);
        return AGW_EIO;
    }
    size_t cpu = nth_cpu(mask, size, index);
    CPU_ZERO_S(size, mask);
    CPU_SET_S(cpu, size, mask);
    int r = pthread_setaffinity_np(pthread_self(), size, mask);
    CPU_FREE(mask);
    return r ? AGW_EIO : 0;
}
