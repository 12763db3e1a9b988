/* What control groups, versions 1 and 2, allow this process. Threads: any. */
#ifndef AGW_EVENT_CGROUP_H
#define AGW_EVENT_CGROUP_H

#include <stdbool.h>
#include <stdint.h>

/* Reads a limit in the folder of a group; 0: it sets none. */
typedef uint64_t agw_cgroup_limit(const char *dir);

/* The least limit of this process's group and those above it, by version, as far as they are visible here; 0:
 * there is none. |controller| is version 1's ("cpu", "memory"). |root| is "" but in tests: a directory that
 * stands for "/" and holds proc/self/cgroup and sys/fs/cgroup. */
uint64_t agw_cgroup_least(const char *root, const char *controller, agw_cgroup_limit *v1,
                          agw_cgroup_limit *v2);
/* First line of |dir|/|file| without its end, NUL-terminated; false when it cannot be read. */
bool agw_cgroup_read(const char *dir, const char *file, char *line, int size);

#endif
