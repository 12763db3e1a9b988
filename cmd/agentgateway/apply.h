/* From a store to traffic: compiles, publishes, and looks after what is due later (routes held back, old
 * snapshots). Ownership: the source's. Threads: the config thread. */
#ifndef AGW_CMD_APPLY_H
#define AGW_CMD_APPLY_H

#include "config/compile/compile.h"
#include "proxy/gateway.h"

struct apply {
    struct agw_gateway *gateway; /* NULL: nothing is published (--validate) */
    struct agw_metrics_registry *metrics;
    struct agw_compiler *compiler;
    struct agw_store *store; /* what is published */
    unsigned held;           /* old snapshots that are still pinned */
    uint64_t reclaim_ns;     /* when to look at them again */
    uint64_t retry_ns;       /* memory ran out: not before */
    bool live;               /* something was published */
};

/* Makes the calling thread give way to workers: a new configuration is worth less than the requests of now.
 * The threads that it makes are the same. */
void apply_give_way(void);
/* |hold_ms|, |self|: see struct agw_compile_options. AGW_ENOMEM. */
int apply_init(struct apply *a, struct agw_gateway *gateway, struct agw_metrics_registry *metrics,
               uint32_t hold_ms, const struct agw_self *self, bool local);
void apply_free(struct apply *a);
/* Writes what the compiler found to the log. */
void apply_log_notes(const struct agw_notes *notes);
/* Compiles |next|. AGW_ENOMEM. */
int apply_compile(struct apply *a, const struct agw_store *next, struct agw_snapshot **ret_snapshot,
                  struct agw_notes *notes);
/* Publishes |snap| and keeps |next| as what is served; both are taken. */
void apply_publish(struct apply *a, struct agw_store *next, struct agw_snapshot *snap);
/* Takes |snap| and |next| back to nothing: the compiler remembers what is served. */
void apply_discard(struct apply *a, struct agw_store *next, struct agw_snapshot *snap);
/* Does what is due. Nanoseconds until the next time, UINT64_MAX: nothing is waiting. */
uint64_t apply_tick(struct apply *a, uint64_t now_ns);

#endif
