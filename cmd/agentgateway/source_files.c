/* The config thread of standalone mode: reads the manifests, watches them, compiles and publishes. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "cmd/agentgateway/apply.h"
#include "cmd/agentgateway/source.h"
#include "event/watch.h"
#include "gwapi/gwapi.h"

/* A burst of file events (an editor, kubectl cp, a ConfigMap swap) becomes one reload. */
#define SETTLE_MS 20

static const char waiting[] = "configuration";

struct files {
    struct source source;
    const char *path;
    struct apply apply;
    struct agw_file_watch watch;
    int wake; /* eventfd: reload or stop was asked for */
    pthread_t thread;
    bool started;
    _Atomic bool stop, reload;
};

static struct files *files_of(struct source *s)
{
    return agw_container_of(s, struct files, source);
}

/* Reads |path| into |store|. */
static int fill_store(const char *path, struct agw_store *store, struct agw_store_change *change)
{
    struct agw_resource_set set;
    int rc = agw_gwapi_load_logged(path, false, &set);
    if (rc)
        return rc;
    rc = agw_store_replace(store, AGW_SOURCE_FILES, &set, change);
    agw_resource_set_free(&set);
    return rc;
}

/* AGW_EINVAL when there are errors: files are taken whole or not at all. */
static int compile(struct apply *a, const struct agw_store *next, struct agw_snapshot **ret_snapshot)
{
    struct agw_notes notes;
    agw_notes_init(&notes);
    int rc = apply_compile(a, next, ret_snapshot, &notes);
    apply_log_notes(&notes);
    if (rc == 0 && notes.errors > 0)
        rc = AGW_EINVAL;
    agw_notes_free(&notes);
    return rc;
}

int source_validate(const char *path)
{
    struct agw_snapshot *snap = NULL;
    struct agw_store_change change = {0};
    struct apply a;
    int rc = apply_init(&a, NULL, NULL, 0, &(struct agw_self){0}, true);
    if (rc == 0)
        rc = fill_store(path, a.store, &change);
    if (rc == 0)
        rc = compile(&a, a.store, &snap);
    if (rc == 0)
        printf("%s: valid: %u resources, %u listeners, %u routes\n", path, agw_store_count(a.store),
               snap->listener_count, snap->route_count);
    agw_snapshot_free(snap);
    apply_free(&a);
    return rc;
}

/* One turn: read, compile, publish; on any error what is served stays. */
static int turn(struct files *f, uint64_t begin)
{
    struct agw_store_change change = {0};
    struct agw_snapshot *snap = NULL;
    struct agw_store *next = agw_store_clone(f->apply.store);
    int rc = next ? fill_store(f->path, next, &change) : AGW_ENOMEM;
    bool same = f->apply.live && change.added + change.updated + change.removed == 0;
    if (rc || same) {
        agw_store_free(next);
        return rc;
    }
    rc = compile(&f->apply, next, &snap);
    if (rc) {
        apply_discard(&f->apply, next, snap);
        return rc;
    }
    apply_publish(&f->apply, next, snap);
    agw_info("config", "generation %llu is live: %u listeners, %u routes, made in %.1f ms",
             (unsigned long long)snap->generation, snap->listener_count, snap->route_count,
             (double)(agw_clock_ns() - begin) / 1e6);
    return 0;
}

static int reload(struct files *f)
{
    int rc = turn(f, agw_clock_ns());
    agw_metrics_config_reload(f->apply.metrics, rc == 0);
    if (rc)
        agw_error_log("config", "%s: refused (%s)%s", f->path, agw_err_text(rc),
                      f->apply.live ? ": the last good configuration keeps serving" : "");
    else
        atomic_store(&f->source.pending, NULL);
    return rc;
}

static int poll_ms(uint64_t ns)
{
    return ns == UINT64_MAX ? -1 : (int)(ns / AGW_NS_PER_MS < 60000 ? ns / AGW_NS_PER_MS + 1 : 60000);
}

/* Waits for a reason to reload. False: stop. */
static bool wait_for_change(struct files *f)
{
    struct pollfd fds[2] = {{.fd = f->watch.fd, .events = POLLIN}, {.fd = f->wake, .events = POLLIN}};
    uint64_t n;
    for (;;) {
        poll(fds, 2, poll_ms(apply_tick(&f->apply, agw_clock_ns())));
        if (atomic_load(&f->stop))
            return false;
        if (fds[1].revents && read(f->wake, &n, sizeof(n)) > 0 && atomic_exchange(&f->reload, false))
            return true;
        if (fds[0].revents && agw_file_watch_changed(&f->watch)) {
            poll(&fds[1], 1, SETTLE_MS);
            agw_file_watch_changed(&f->watch);
            return !atomic_load(&f->stop);
        }
    }
}

static void *files_main(void *arg)
{
    struct files *f = arg;
    apply_give_way();
    while (wait_for_change(f))
        reload(f);
    return NULL;
}

static int files_start(struct source *s, struct agw_error *err)
{
    struct files *f = files_of(s);
    /* The watch comes first, so that no change between it and the load is lost. */
    int rc = agw_file_watch_open(&f->watch, f->path, err);
    if (rc == 0)
        rc = reload(f);
    if (rc)
        return rc;
    rc = pthread_create(&f->thread, NULL, files_main, f);
    if (rc)
        return agw_error_set(err, AGW_EIO, "config thread: %s", strerror(rc));
    f->started = true;
    return 0;
}

static void wake(struct files *f)
{
    uint64_t one = 1;
    if (write(f->wake, &one, sizeof(one)) < 0 && errno != EAGAIN)
        agw_warn("config", "cannot wake the config thread: %s", strerror(errno));
}

static void files_reload(struct source *s)
{
    struct files *f = files_of(s);
    atomic_store(&f->reload, true);
    wake(f);
}

static void files_free(struct source *s)
{
    struct files *f = files_of(s);
    if (f->started) {
        atomic_store(&f->stop, true);
        wake(f);
        pthread_join(f->thread, NULL);
    }
    agw_file_watch_close(&f->watch);
    if (f->wake >= 0)
        close(f->wake);
    apply_free(&f->apply);
    free(f);
}

static const struct source_ops ops = {.start = files_start, .reload = files_reload, .free = files_free};

struct source *source_files_new(const struct options *o, struct agw_gateway *gateway,
                                struct agw_metrics_registry *metrics)
{
    struct files *f = calloc(1, sizeof(*f));
    if (!f)
        return NULL;
    f->source.ops = &ops;
    f->source.pending = waiting;
    f->path = o->config;
    f->watch.fd = -1;
    f->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (apply_init(&f->apply, gateway, metrics, 0, &o->self, true) || f->wake < 0) {
        files_free(&f->source);
        return NULL;
    }
    return &f->source;
}
