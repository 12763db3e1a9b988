#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "config/compile/compile.h"
#include "gwapi/gwapi.h"
#include "policy/table.h"
#include "cmd/agentgateway/source.h"
#include "cmd/agentgateway/watch.h"

/* A burst of file events (an editor, kubectl cp, a ConfigMap swap) becomes one reload. */
#define SETTLE_MS 20
/* Old snapshots that exchanges still pin are looked at again this often. */
#define RECLAIM_MS 1000

struct source {
    const char *path;
    struct agw_gateway *gateway;
    struct agw_metrics_registry *metrics;
    struct agw_compiler *compiler;
    struct agw_store *store; /* what is published */
    struct watch watch;
    int wake; /* eventfd: reload or stop was asked for */
    pthread_t thread;
    bool started;
    unsigned held; /* old snapshots not yet freed */
    _Atomic bool ready, stop, reload;
};

static void print_report(const struct agw_report *report)
{
    static const enum agw_log_level levels[] = {[AGW_REPORT_NOTE] = AGW_LOG_INFO,
                                                [AGW_REPORT_WARNING] = AGW_LOG_WARN,
                                                [AGW_REPORT_ERROR] = AGW_LOG_ERROR};
    for (const struct agw_report_item *i = report->first; i; i = i->next)
        agw_log(levels[i->level], "config", "%.*s", AGW_STRF(i->text));
}

static void print_notes(const struct agw_notes *notes)
{
    for (const struct agw_note *n = notes->first; n; n = n->next)
        agw_log(n->level == AGW_NOTE_ERROR ? AGW_LOG_ERROR : AGW_LOG_WARN, "config", "%.*s: %.*s",
                AGW_STRF(n->id), AGW_STRF(n->text));
}

static int read_manifests(const char *path, struct agw_resource_set *set)
{
    struct agw_gwapi_report report;
    agw_gwapi_report_init(&report);
    int rc = agw_gwapi_load(path, set, &report);
    print_report(&report.texts);
    agw_gwapi_report_free(&report);
    return rc;
}

static int compile(struct agw_compiler *c, const struct agw_store *store, struct agw_snapshot **ret_snapshot)
{
    struct agw_notes notes;
    struct agw_snapshot *snap;
    agw_notes_init(&notes);
    int rc = agw_compiler_run(c, store, agw_clock_ns(), &snap, &notes);
    print_notes(&notes);
    if (rc == 0 && notes.errors > 0) {
        agw_snapshot_free(snap);
        rc = AGW_EINVAL;
    }
    agw_notes_free(&notes);
    if (rc == 0)
        *ret_snapshot = snap;
    return rc;
}

static struct agw_compiler *new_compiler(void)
{
    struct agw_compile_options o = {.policies = agw_policy_table, .policy_count = agw_policy_table_size};
    return agw_compiler_new(&o);
}

/* Reads |path| into |store|. */
static int fill_store(const char *path, struct agw_store *store, struct agw_store_change *change)
{
    struct agw_resource_set set;
    int rc = read_manifests(path, &set);
    if (rc)
        return rc;
    rc = agw_store_replace(store, AGW_SOURCE_FILES, &set, change);
    agw_resource_set_free(&set);
    return rc;
}

int source_validate(const char *path)
{
    struct agw_snapshot *snap = NULL;
    struct agw_store_change change = {0};
    struct agw_compiler *c = new_compiler();
    struct agw_store *store = agw_store_new();
    int rc = c && store ? fill_store(path, store, &change) : AGW_ENOMEM;
    if (rc == 0)
        rc = compile(c, store, &snap);
    if (rc == 0)
        printf("%s: valid: %u resources, %u listeners, %u routes\n", path, agw_store_count(store),
               snap->listener_count, snap->route_count);
    agw_snapshot_free(snap);
    agw_store_free(store);
    agw_compiler_free(c);
    return rc;
}

static bool nothing_changed(const struct agw_store_change *c)
{
    return c->added + c->updated + c->removed == 0;
}

static int build(struct source *s, struct agw_store *next, struct agw_snapshot **ret_snapshot)
{
    struct agw_store_change change = {0};
    int rc = fill_store(s->path, next, &change);
    if (rc)
        return rc;
    if (atomic_load(&s->ready) && nothing_changed(&change)) {
        *ret_snapshot = NULL;
        return 0;
    }
    return compile(s->compiler, next, ret_snapshot);
}

/* One turn: read, compile, publish; on any error what is served stays. */
static int reload(struct source *s)
{
    uint64_t begin = agw_clock_ns();
    struct agw_snapshot *snap = NULL;
    struct agw_store *next = agw_store_clone(s->store);
    int rc = next ? build(s, next, &snap) : AGW_ENOMEM;
    agw_metrics_config_reload(s->metrics, rc == 0);
    if (rc || !snap) {
        agw_store_free(next);
        if (rc)
            agw_error_log("config", "%s: refused (%s)%s", s->path, agw_err_text(rc),
                          atomic_load(&s->ready) ? ": the last good configuration keeps serving" : "");
        return rc;
    }
    agw_gateway_publish(s->gateway, snap); /* it is the current one until this thread makes another */
    agw_metrics_config(s->metrics, snap->generation, true);
    agw_store_free(s->store);
    s->store = next;
    s->held = agw_snapshot_reclaim();
    atomic_store(&s->ready, true);
    agw_info("config", "generation %llu is live: %u listeners, %u routes, made in %.1f ms",
             (unsigned long long)snap->generation, snap->listener_count, snap->route_count,
             (double)(agw_clock_ns() - begin) / 1e6);
    return 0;
}

/* Waits for a reason to reload. False: stop. */
static bool wait_for_change(struct source *s)
{
    struct pollfd fds[2] = {{.fd = s->watch.fd, .events = POLLIN}, {.fd = s->wake, .events = POLLIN}};
    uint64_t n;
    for (;;) {
        int rc = poll(fds, 2, s->held ? RECLAIM_MS : -1);
        if (atomic_load(&s->stop))
            return false;
        if (rc == 0 && s->held)
            s->held = agw_snapshot_reclaim();
        if (fds[1].revents && read(s->wake, &n, sizeof(n)) > 0 && atomic_exchange(&s->reload, false))
            return true;
        if (fds[0].revents && watch_changed(&s->watch)) {
            poll(&fds[1], 1, SETTLE_MS);
            watch_changed(&s->watch);
            return !atomic_load(&s->stop);
        }
    }
}

static void *source_main(void *arg)
{
    struct source *s = arg;
    while (wait_for_change(s))
        reload(s);
    return NULL;
}

struct source *source_new(const char *path, struct agw_gateway *gateway, struct agw_metrics_registry *metrics)
{
    struct source *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->path = path;
    s->gateway = gateway;
    s->metrics = metrics;
    s->watch.fd = -1;
    s->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    s->compiler = new_compiler();
    s->store = agw_store_new();
    if (s->wake < 0 || !s->compiler || !s->store) {
        source_free(s);
        return NULL;
    }
    return s;
}

int source_start(struct source *s, struct agw_error *err)
{
    /* The watch comes first, so that no change between it and the load is lost. */
    int rc = watch_open(&s->watch, s->path, err);
    if (rc == 0)
        rc = reload(s);
    if (rc)
        return rc;
    rc = pthread_create(&s->thread, NULL, source_main, s);
    if (rc)
        return agw_error_set(err, AGW_EIO, "config thread: %s", strerror(rc));
    s->started = true;
    return 0;
}

static void wake(struct source *s)
{
    uint64_t one = 1;
    if (write(s->wake, &one, sizeof(one)) < 0 && errno != EAGAIN)
        agw_warn("config", "cannot wake the config thread: %s", strerror(errno));
}

void source_reload(struct source *s)
{
    atomic_store(&s->reload, true);
    wake(s);
}

bool source_ready(const struct source *s)
{
    return atomic_load(&s->ready);
}

void source_free(struct source *s)
{
    if (!s)
        return;
    if (s->started) {
        atomic_store(&s->stop, true);
        wake(s);
        pthread_join(s->thread, NULL);
    }
    watch_close(&s->watch);
    if (s->wake >= 0)
        close(s->wake);
    agw_compiler_free(s->compiler);
    agw_store_free(s->store);
    free(s);
}
