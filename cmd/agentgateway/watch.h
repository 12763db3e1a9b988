/* Changes of a manifest folder or file, by inotify. A ConfigMap volume swaps a symlink: that counts as a
 * change too. Threads: one. */
#ifndef AGW_CMD_WATCH_H
#define AGW_CMD_WATCH_H

#include "base/err.h"

struct watch {
    int fd;
    const char *path;
};

/* Begins to watch |path| (kept) and the folders in it. AGW_EIO. */
int watch_open(struct watch *w, const char *path, struct agw_error *err);
/* Reads what happened; true if manifests may have changed. Watches new folders too. */
int watch_changed(struct watch *w);
void watch_close(struct watch *w);

#endif
