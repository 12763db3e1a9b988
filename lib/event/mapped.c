#include "event/mapped.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include "base/err.h"

struct mapping {
    uintptr_t begin, end;
    bool is_ours; /* to give back, unless it has pages of its own */
};

/* The first line of an entry: "begin-end perms offset device inode path". False: it is another line. */
static bool read_head(const char *line, struct mapping *ret_mapping)
{
    char perms[5], path[2] = "";
    uintptr_t begin, end;
    if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s %*s %*s %*s %1s", &begin, &end, perms, path) < 3)
        return false;
    *ret_mapping = (struct mapping){begin, end, perms[1] == '-' && perms[3] == 'p' && path[0] == '/'};
    return true;
}

/* A changed page is one that relocation wrote before it became read-only: it would come back as it was. */
static bool is_changed(const char *line)
{
    unsigned long kb;
    return sscanf(line, "Anonymous: %lu", &kb) == 1 && kb > 0;
}

static void give_back(const struct mapping *m)
{
    if (m->is_ours)
        madvise((void *)m->begin, m->end - m->begin, MADV_DONTNEED);
}

int agw_mapped_trim(void)
{
    char line[512];
    struct mapping m = {0};
    FILE *maps = fopen("/proc/self/smaps", "re");
    if (!maps)
        return AGW_EIO;
    while (fgets(line, sizeof(line), maps)) {
        struct mapping next;
        if (read_head(line, &next)) {
            give_back(&m);
            m = next;
        } else if (is_changed(line)) {
            m.is_ours = false;
        }
        while (!strchr(line, '\n') && fgets(line, sizeof(line), maps))
            ; /* the rest of a long path */
    }
    give_back(&m);
    fclose(maps);
    return 0;
}
