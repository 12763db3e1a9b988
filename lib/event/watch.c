#include "event/watch.h"

#include <dirent.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define EVENTS                                                                                               \
    (IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CREATE | IN_DELETE_SELF | IN_MOVE_SELF)

static bool is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int watch_folder(struct agw_file_watch *w, const char *path)
{
    return inotify_add_watch(w->fd, path, EVENTS) < 0 ? AGW_EIO : 0;
}

/* Adding a folder again is harmless: the kernel keeps one watch an inode. */
static void watch_subfolders(struct agw_file_watch *w)
{
    char path[PATH_MAX];
    DIR *d = opendir(w->path);
    struct dirent *e;
    while (d && (e = readdir(d))) {
        if (e->d_name[0] == '.' && strcmp(e->d_name, "..data"))
            continue;
        int n = snprintf(path, sizeof(path), "%s/%s", w->path, e->d_name);
        if (n > 0 && (size_t)n < sizeof(path) && is_folder(path))
            watch_folder(w, path);
    }
    if (d)
        closedir(d);
}

static int watch_all(struct agw_file_watch *w)
{
    char copy[PATH_MAX];
    if (is_folder(w->path)) {
        int rc = watch_folder(w, w->path);
        watch_subfolders(w);
        return rc;
    }
    /* Editors replace a file by renaming a new one over it: the folder sees that, the file's inode does not.
     */
    if (snprintf(copy, sizeof(copy), "%s", w->path) >= (int)sizeof(copy))
        return AGW_EINVAL;
    return watch_folder(w, dirname(copy));
}

int agw_file_watch_open(struct agw_file_watch *w, const char *path, struct agw_error *err)
{
    w->path = path;
    w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (w->fd < 0 || watch_all(w)) {
        int rc = agw_error_set(err, AGW_EIO, "cannot watch %s: %s", path, strerror(errno));
        agw_file_watch_close(w);
        return rc;
    }
    return 0;
}

int agw_file_watch_changed(struct agw_file_watch *w)
{
    char buf[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
    bool any = false;
    while (read(w->fd, buf, sizeof(buf)) > 0)
        any = true;
    if (any)
        watch_all(w);
    return any;
}

void agw_file_watch_close(struct agw_file_watch *w)
{
    if (w->fd >= 0)
        close(w->fd);
    w->fd = -1;
}
