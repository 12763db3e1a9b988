/* Changes of a manifest folder or file, by inotify. A ConfigMap volume swaps a symlink: that counts as a
 * change too. Ownership: the caller's, |path| too. Threads: one. Errors: AGW_EIO. */
#ifndef AGW_EVENT_WATCH_H
#define AGW_EVENT_WATCH_H

#include "base/err.h"

struct agw_file_watch {
    int fd; /* readable when something happened; -1: not open */
    const char *path;
};

/* Begins to watch |path| (kept) and the folders in it. AGW_EIO. */
int agw_file_watch_open(struct agw_file_watch *w, const char *path, struct agw_error *err);
/* Reads what happened; true if manifests may have changed. Watches new folders too. */
int agw_file_watch_changed(struct agw_file_watch *w);
void agw_file_watch_close(struct agw_file_watch *w);

#endif
