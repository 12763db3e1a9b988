#include "event/cgroup.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/str.h"

bool agw_cgroup_read(const char *dir, const char *file, char *line, int size)
{
    char path[PATH_MAX];
    FILE *f = NULL;
    if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, file) < sizeof(path))
        f = fopen(path, "re");
    if (!f)
        return false;
    bool ok = fgets(line, size, f) != NULL;
    fclose(f);
    if (ok)
        line[strcspn(line, "\n")] = 0;
    return ok;
}

static uint64_t lesser(uint64_t a, uint64_t b)
{
    return a && (!b || a < b) ? a : b;
}

/* The least from |group| up to the mount; a group that is not visible here is passed over. */
static uint64_t least_above(const char *mount, struct agw_str group, agw_cgroup_limit *limit)
{
    char dir[PATH_MAX];
    uint64_t least = 0;
    for (;;) {
        while (group.n && group.p[group.n - 1] == '/')
            group.n--;
        if ((size_t)snprintf(dir, sizeof(dir), "%s%.*s", mount, AGW_STRF(group)) < sizeof(dir))
            least = lesser(limit(dir), least);
        if (group.n == 0)
            return least;
        while (group.n && group.p[group.n - 1] != '/')
            group.n--;
    }
}

static bool lists(struct agw_str controllers, const char *controller)
{
    struct agw_str name;
    while (agw_str_split(&controllers, ',', &name)) {
        if (agw_str_eq(name, agw_str_c(controller)))
            return true;
    }
    return false;
}

/* One line of /proc/self/cgroup: "hierarchy:controllers:/group"; version 2 has "0::/group". */
static uint64_t least_of_line(const char *root, struct agw_str line, const char *controller,
                              agw_cgroup_limit *v1, agw_cgroup_limit *v2)
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
    bool is_v1 = controllers.n > 0;
    if (is_v1 && !lists(controllers, controller))
        return 0;
    if ((size_t)snprintf(mount, sizeof(mount), "%s/sys/fs/cgroup%s%s", root, is_v1 ? "/" : "",
                         is_v1 ? controller : "") >= sizeof(mount))
        return 0;
    return least_above(mount, group, is_v1 ? v1 : v2);
}

uint64_t agw_cgroup_least(const char *root, const char *controller, agw_cgroup_limit *v1,
                          agw_cgroup_limit *v2)
{
    char path[PATH_MAX], *line = NULL;
    size_t size = 0;
    ssize_t n;
    uint64_t least = 0;
    FILE *f = NULL;
    if ((size_t)snprintf(path, sizeof(path), "%s/proc/self/cgroup", root) < sizeof(path))
        f = fopen(path, "re");
    if (!f)
        return 0;
    while ((n = getline(&line, &size, f)) > 0) {
        struct agw_str text = agw_str(line, (size_t)n - (line[n - 1] == '\n'));
        least = lesser(least_of_line(root, text, controller, v1, v2), least);
    }
    free(line);
    fclose(f);
    return least;
}
