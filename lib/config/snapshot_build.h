/* For who makes snapshots (the compiler): what readers do not see: pins, what goes with it, where it came
 * from. */
#ifndef AGW_CONFIG_SNAPSHOT_BUILD_H
#define AGW_CONFIG_SNAPSHOT_BUILD_H

#include "base/check.h"
#include "config/snapshot.h"
#include "config/store.h"

/* Written by one worker alone; on a line of its own, so that workers do not slow each other. */
struct agw_pin {
    _Alignas(AGW_CACHE_LINE) uint32_t count;
};

/* Something outside the arena that goes with the snapshot. */
struct agw_release {
    struct agw_release *next;
    void (*fn)(void *object);
    void *object;
};

struct agw_snapshot_private {
    struct agw_pin *pins; /* one a worker and one for the admin thread, aligned */
    unsigned pin_count;
    struct agw_release *release; /* newest first */
    struct agw_snapshot *next;   /* retired list */
    struct agw_store *store;     /* what the snapshot was made from; NULL: not known */
};

/* An empty snapshot; NULL: out of memory. Free one that was never published with agw_snapshot_free. */
struct agw_snapshot *agw_snapshot_new(void);
/* Has |fn(object)| called when the snapshot is freed; at once if this fails with AGW_ENOMEM. */
int agw_snapshot_on_free(struct agw_snapshot *s, void (*fn)(void *object), void *object);

#endif
