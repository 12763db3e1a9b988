#include "event/memory.h"

#include <stdio.h>
#include <unistd.h>
#include "base/str.h"
#include "event/cgroup.h"

/* Version 1 says "no limit" by the largest number of pages. */
#define NO_LIMIT (UINT64_C(1) << 60)

static uint64_t limit_in(const char *dir, const char *file)
{
    char line[64];
    uint64_t bytes;
    if (!agw_cgroup_read(dir, file, line, sizeof(line)) || agw_str_u64(agw_str_c(line), &bytes))
        return 0;
    return bytes < NO_LIMIT ? bytes : 0;
}

static uint64_t limit_v1(const char *dir)
{
    return limit_in(dir, "memory.limit_in_bytes");
}

/* A number or "max". */
static uint64_t limit_v2(const char *dir)
{
    return limit_in(dir, "memory.max");
}

enum agw_memory_level agw_memory_next(enum agw_memory_level was, uint64_t used, uint64_t limit)
{
    double part = (double)used / (double)limit;
    if (part > 0.95 || (was == AGW_MEMORY_DIRE && part > 0.90))
        return AGW_MEMORY_DIRE;
    if (part > 0.90 || (was != AGW_MEMORY_FINE && part > 0.85))
        return AGW_MEMORY_SHORT;
    return AGW_MEMORY_FINE;
}

uint64_t agw_memory_limit(const char *root)
{
    return agw_cgroup_least(root, "memory", limit_v1, limit_v2);
}

uint64_t agw_memory_used(void)
{
    unsigned long resident, shared;
    FILE *f = fopen("/proc/self/statm", "re");
    if (!f)
        return 0;
    int got = fscanf(f, "%*u %lu %lu", &resident, &shared);
    fclose(f);
    return got == 2 ? (uint64_t)(resident - shared) * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}
