/* Where the configuration comes from: a thread that takes it in, compiles and publishes.
 *
 * source_files.c reads manifests, source_xds.c is told by a control plane. Ownership: made and freed by main;
 * the gateway and the options must outlive it. Threads: the functions are called on the main thread, but
 * source_pending and source_note on any. */
#ifndef AGW_CMD_SOURCE_H
#define AGW_CMD_SOURCE_H

#include <stdatomic.h>
#include <stdbool.h>
#include "base/err.h"
#include "cmd/agentgateway/options.h"
#include "proxy/gateway.h"

struct source {
    const struct source_ops *ops;
    _Atomic(const char *) pending; /* what readiness waits for, a static text; NULL: ready */
    _Atomic(const char *) note;    /* what a ready one has to say beside, a static text; NULL: nothing */
};

struct source_ops {
    int (*start)(struct source *s, struct agw_error *err);
    void (*reload)(struct source *s);
    void (*free)(struct source *s);
};

/* Makes a source; nothing is read yet. NULL: out of memory. */
struct source *source_files_new(const struct options *o, struct agw_gateway *gateway,
                                struct agw_metrics_registry *metrics);
struct source *source_xds_new(const struct options *o, struct agw_gateway *gateway,
                              struct agw_metrics_registry *metrics);
/* Reads manifests and compiles them once, without publishing; what is wrong is printed to stderr, a line
 * each. 0, or AGW_EINVAL. */
int source_validate(const char *path);

/* Files: loads them (AGW_EINVAL: they are bad; why was printed), publishes, starts to watch. xDS: publishes
 * what is kept on disk, if anything, and starts to connect. */
static inline int source_start(struct source *s, struct agw_error *err)
{
    return s->ops->start(s, err);
}

/* Asks for a reload; returns at once. */
static inline void source_reload(struct source *s)
{
    s->ops->reload(s);
}

static inline const char *source_pending(const struct source *s)
{
    return atomic_load(&s->pending);
}

static inline const char *source_note(const struct source *s)
{
    return atomic_load(&s->note);
}

static inline void source_free(struct source *s) /* NULL is fine */
{
    if (s)
        s->ops->free(s);
}

#endif
