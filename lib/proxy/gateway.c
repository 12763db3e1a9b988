#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include "a2a/owner.h"
#include "balance/session.h"
#include "base/log.h"
#include "event/cpu.h"
#include "mcp/transport/supervisor.h"
#include "proxy/gateway.h"

#define DRAIN_POLL_MS 10
#define SYNC_MAX_S 1

static int start_workers(struct agw_gateway *g, struct agw_error *err)
{
    for (unsigned i = 0; i < g->count; i++) {
        struct agw_worker *w = calloc(1, sizeof(*w));
        if (!w)
            return agw_error_set(err, AGW_ENOMEM, "out of memory");
        int rc = agw_worker_init(w, g, i, err);
        if (rc) {
            free(w);
            return rc;
        }
        g->workers[i] = w;
        rc = agw_worker_start(w, err);
        if (rc) {
            agw_worker_free(w);
            free(w);
            g->workers[i] = NULL;
            return rc;
        }
    }
    return 0;
}

static int start_supervisor(struct agw_gateway *g, struct agw_error *err)
{
    if (!g->options.processes)
        return 0;
    g->supervisor = agw_mcp_supervisor_new(g->mcp_hub, err);
    agw_mcp_hub_supervise(g->mcp_hub, g->supervisor);
    return g->supervisor ? 0 : AGW_ENOMEM;
}

/* The first key seals, all open. */
static int make_siv(const struct agw_gateway_options *o, struct agw_str purpose, struct agw_siv **ret_siv)
{
    struct agw_siv *siv = *ret_siv = agw_siv_new(o->session_key, purpose);
    int rc = siv ? 0 : AGW_ENOMEM;
    for (unsigned i = 0; rc == 0 && i < o->old_key_count; i++)
        rc = agw_siv_accept(siv, o->old_keys[i], purpose);
    return rc;
}

static int make_keys(struct agw_gateway *g, struct agw_error *err)
{
    int rc = make_siv(&g->options, AGW_STR(AGW_A2A_PURPOSE), &g->task_ids);
    if (rc == 0)
        rc = make_siv(&g->options, AGW_STR(AGW_SESSION_PURPOSE), &g->sessions);
    return rc ? agw_error_set(err, rc, "session keys: %s", agw_err_text(rc)) : 0;
}

struct agw_gateway *agw_gateway_new(const struct agw_gateway_options *options, struct agw_error *err)
{
    unsigned count = options->workers ? options->workers : agw_cpu_count();
    struct agw_gateway *g = calloc(1, sizeof(*g));
    if (count > AGW_MAX_WORKERS)
        count = AGW_MAX_WORKERS;
    if (!g || !(g->workers = calloc(count, sizeof(*g->workers))) || !(g->mcp_hub = agw_mcp_hub_new(count))) {
        free(g ? g->workers : NULL);
        free(g);
        agw_error_set(err, AGW_ENOMEM, "out of memory");
        return NULL;
    }
    g->options = *options;
    if (!g->options.max_conns)
        g->options.max_conns = AGW_GATEWAY_MAX_CONNS;
    if (g->options.client.conns_max == 0)
        g->options.client = agw_client_default_limits;
    g->count = count;
    agw_snapshot_workers(count);
    sem_init(&g->synced, 0, 0);
    if (make_keys(g, err) || start_supervisor(g, err) || start_workers(g, err)) {
        agw_gateway_free(g);
        return NULL;
    }
    return g;
}

/* So that whoever is told "ready" finds the ports open. */
static void await_workers(struct agw_gateway *g)
{
    struct timespec end;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += SYNC_MAX_S;
    for (unsigned i = 0; i < g->count; i++) {
        while (sem_timedwait(&g->synced, &end) < 0 && errno == EINTR)
            ;
    }
}

void agw_gateway_publish(struct agw_gateway *g, struct agw_snapshot *s)
{
    agw_snapshot_publish(s);
    for (unsigned i = 0; i < g->count; i++)
        agw_worker_sync(g->workers[i]);
    await_workers(g);
    agw_snapshot_reclaim();
}

void agw_gateway_memory(struct agw_gateway *g, enum agw_memory_level level)
{
    atomic_store_explicit(&g->memory, level, memory_order_relaxed);
}

void agw_gateway_leave(struct agw_gateway *g)
{
    for (unsigned i = 0; i < g->count; i++)
        agw_worker_leave(g->workers[i]);
}

bool agw_gateway_drain(struct agw_gateway *g, unsigned max_ms)
{
    const struct timespec nap = {.tv_nsec = DRAIN_POLL_MS * 1000000L};
    for (unsigned i = 0; i < g->count; i++)
        agw_worker_drain(g->workers[i]);
    for (unsigned waited = 0; waited < max_ms; waited += DRAIN_POLL_MS) {
        if (atomic_load(&g->idle_workers) == g->count)
            return true;
        nanosleep(&nap, NULL);
    }
    return atomic_load(&g->idle_workers) == g->count;
}

void agw_gateway_free(struct agw_gateway *g)
{
    if (!g)
        return;
    for (unsigned i = 0; i < g->count && g->workers[i]; i++)
        agw_worker_stop(g->workers[i]);
    for (unsigned i = 0; i < g->count && g->workers[i]; i++)
        pthread_join(g->workers[i]->thread, NULL);
    agw_mcp_supervisor_free(g->supervisor);
    for (unsigned i = 0; i < g->count && g->workers[i]; i++) { /* none sends to another any more */
        agw_worker_free(g->workers[i]);
        free(g->workers[i]);
    }
    agw_siv_free(g->task_ids);
    agw_siv_free(g->sessions);
    sem_destroy(&g->synced);
    agw_mcp_hub_free(g->mcp_hub);
    free(g->workers);
    free(g);
}
