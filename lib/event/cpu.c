#include "event/cpu.h"

#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/err.h"
#include "base/str.h"

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

/* First line of a small file without its end, NUL-terminated; false when it cannot be read. */
static bool read_line(const char *path, char *line, int size)
{
    FILE *f = fopen(path, "re");
    if (!f)
        return false;
    bool ok = fgets(line, size, f) != NULL;
    fclose(f);
    if (ok)
        line[strcspn(line, "\n")] = 0;
    return ok;
}

static unsigned round_up(uint64_t quota, uint64_t period)
{
    uint64_t cpus = period ? quota / period + (quota % period != 0) : 0;
    return cpus > UINT_MAX ? UINT_MAX : (unsigned)cpus;
}

/* cpu.max: "200000 100000" or "max 100000". */
static unsigned quota_v2(const char *dir)
{
    char path[PATH_MAX], line[64];
    uint64_t quota, period;
    if ((size_t)snprintf(path, sizeof(path), "%s/cpu.max", dir) >= sizeof(path) ||
        !read_line(path, line, sizeof(line)))
        return 0;
    struct agw_str rest = agw_str_c(line), first, second;
    if (!agw_str_split(&rest, ' ', &first) || !agw_str_split(&rest, ' ', &second) ||
        agw_str_u64(first, &quota) || agw_str_u64(second, &period))
        return 0;
    return round_up(quota, period);
}

/* cpu.cfs_quota_us: microseconds, -1 without a quota; cpu.cfs_period_us. */
static unsigned quota_v1(const char *dir)
{
    char path[PATH_MAX], line[64];
    uint64_t quota, period;
    if ((size_t)snprintf(path, sizeof(path), "%s/cpu.cfs_quota_us", dir) >= sizeof(path) ||
        !read_line(path, line, sizeof(line)) || agw_str_u64(agw_str_c(line), &quota))
        return 0;
    if ((size_t)snprintf(path, sizeof(path), "%s/cpu.cfs_period_us", dir) >= sizeof(path) ||
        !read_line(path, line, sizeof(line)) || agw_str_u64(agw_str_c(line), &period))
        return 0;
    return round_up(quota, period);
}

/* The smallest quota from |group| up to the mount; a group that is not visible here is passed over. */
static unsigned smallest_quota(const char *mount, struct agw_str group, unsigned (*quota)(const char *dir))
{
    char dir[PATH_MAX];
    unsigned least = 0;
    for (;;) {
        while (group.n && group.p[group.n - 1] == '/')
            group.n--;
        if ((size_t)snprintf(dir, sizeof(dir), "%s%.*s", mount, AGW_STRF(group)) < sizeof(dir)) {
            unsigned cpus = quota(dir);
            if (cpus && (!least || cpus < least))
                least = cpus;
        }
        if (group.n == 0)
            return least;
        while (group.n && group.p[group.n - 1] != '/')
            group.n--;
    }
}

static bool lists_cpu(struct agw_str controllers)
{
    struct agw_str name;
    while (agw_str_split(&controllers, ',', &name)) {
        if (agw_str_eq(name, AGW_STR("cpu")))
            return true;
    }
    return false;
}

/* One line of /proc/self/cgroup: "hierarchy:controllers:/group"; version 2 has "0::/group". */
static unsigned quota_of_line(const char *root, struct agw_str line)
{
    char mount[PATH_MAX];
    ptrdiff_t first = agw_str_find(line, ':');
    if (first < 0)
        return 0;
    struct agw_str rest = agw_str_from(line, (size_t)first + 1);
    ptrdiff_t second = agw_str_find(rest, ':');
    if (second < 0)
        return 0;
    struct agw_str controllers = agw_str(rest.p, (size_t)second),
                   group = agw_str_from(rest, (size_t)second + 1);
    bool v1 = controllers.n > 0;
    if (v1 && !lists_cpu(controllers))
        return 0;
    if ((size_t)snprintf(mount, sizeof(mount), "%s/sys/fs/cgroup%s", root, v1 ? "/cpu" : "") >= sizeof(mount))
        return 0;
    return smallest_quota(mount, group, v1 ? quota_v1 : quota_v2);
}

unsigned agw_cpu_quota(const char *root)
{
    char path[PATH_MAX], *line = NULL;
    size_t size = 0;
    ssize_t n;
    unsigned least = 0;
    FILE *f = NULL;
    if ((size_t)snprintf(path, sizeof(path), "%s/proc/self/cgroup", root) < sizeof(path))
        f = fopen(path, "re");
    if (!f)
        return 0;
    while ((n = getline(&line, &size, f)) > 0) {
        unsigned cpus = quota_of_line(root, agw_str(line, (size_t)n - (line[n - 1] == '\n')));
        if (cpus && (!least || cpus < least))
            least = cpus;
    }
    free(line);
    fclose(f);
    return least;
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
