#include <signal.h>
#include <stdlib.h>
#include "base/log.h"
#include "config/rcu.h"
#include "event/cpu.h"
#include "mcp/era/bridge.h"
#include "proxy/acceptor.h"
#include "proxy/gateway.h"

struct message {
    struct agw_post post;
    void (*act)(struct agw_worker *w);
};

static void run_message(struct agw_post *p, void *ctx)
{
    struct message *m = agw_container_of(p, struct message, post);
    m->act(ctx);
    free(m);
}

/* Control messages are few and small; without memory for one the process is beyond help. */
static void tell(struct agw_worker *w, void (*act)(struct agw_worker *w))
{
    struct message *m = malloc(sizeof(*m));
    agw_check(m != NULL);
    m->post = (struct agw_post){.run = run_message};
    m->act = act;
    agw_loop_post(&w->loop, &m->post);
}

/* --- on the worker --- */

static void do_sync(struct agw_worker *w)
{
    struct agw_snapshot *snap = agw_snapshot_current();
    if (snap && w->prober)
        agw_prober_sync(w->prober, snap);
    if (snap)
        agw_acceptors_sync(w, snap);
    sem_post(&w->gateway->synced);
}

/* --- what the prober says, to all workers --- */

struct verdict {
    struct agw_post post;
    bool down;
    size_t n;
    char key[];
};

static void run_verdict(struct agw_post *p, void *ctx)
{
    struct verdict *v = agw_container_of(p, struct verdict, post);
    struct agw_worker *w = ctx;
    if (agw_balance_down(w->balancer, agw_str(v->key, v->n), v->down))
        agw_warn("health", "worker %u: out of memory: an endpoint that is down gets requests", w->loop.index);
    free(v);
}

static void drop_verdict(struct agw_post *p)
{
    free(agw_container_of(p, struct verdict, post));
}

static struct verdict *verdict_new(struct agw_str key, bool down)
{
    struct verdict *v = malloc(sizeof(*v) + key.n);
    if (!v)
        return NULL;
    v->post = (struct agw_post){.run = run_verdict, .drop = drop_verdict};
    v->down = down;
    v->n = key.n;
    memcpy(v->key, key.p, key.n);
    return v;
}

/* All or none of them. */
static int tell_all(void *ctx, struct agw_str key, bool down)
{
    struct agw_gateway *g = ctx;
    struct verdict *v[AGW_MAX_WORKERS];
    unsigned n = 0;
    while (n < g->count && (v[n] = verdict_new(key, down)))
        n++;
    bool whole = n == g->count;
    while (n-- > 0) {
        if (whole)
            agw_loop_post(&g->workers[n]->loop, &v[n]->post);
        else
            free(v[n]);
    }
    return whole ? 0 : AGW_ENOMEM;
}

static void on_rebind(struct agw_timer *t)
{
    struct agw_worker *w = agw_container_of(t, struct agw_worker, rebind);
    struct agw_snapshot *snap = agw_snapshot_current();
    agw_timer_set(&w->loop.timers, t, w->loop.now_ms); /* still failing: said once already */
    if (snap)
        agw_acceptors_sync(w, snap);
}

enum agw_memory_level agw_worker_memory(const struct agw_worker *w)
{
    return atomic_load_explicit(&w->gateway->memory, memory_order_relaxed);
}

void agw_worker_conn_gone(struct agw_worker *w)
{
    if (w->draining && w->conn_count == 0 && !w->stopping)
        atomic_fetch_add(&w->gateway->idle_workers, 1);
}

static void each_conn(struct agw_worker *w, void (*act)(struct agw_server_conn *c))
{
    struct agw_list *node, *tmp;
    agw_list_each (node, tmp, &w->conns) {
        struct agw_server_conn *c = agw_list_entry(node, struct agw_server_conn, node);
        if (c->ops)
            act(c);
    }
}

static void let_expire(struct agw_server_conn *c)
{
    c->expires_ms = c->conn.loop->now_ms;
}

static void do_leave(struct agw_worker *w)
{
    w->leaving = true;
    each_conn(w, let_expire);
}

static void do_drain(struct agw_worker *w)
{
    if (w->draining)
        return;
    agw_acceptors_close(w);
    w->draining = true;
    each_conn(w, agw_server_conn_drain);
    agw_worker_conn_gone(w);
}

static void do_stop(struct agw_worker *w)
{
    w->stopping = true;
    agw_acceptors_close(w);
    each_conn(w, agw_server_conn_destroy);
    agw_acceptors_abandon(w);
    agw_loop_stop(&w->loop);
}

/* Most workers never retry or mirror. */
static void show_forward(struct agw_worker *w)
{
    struct agw_metrics_forward now = {.retries = w->retries.taken,
                                      .retries_denied = w->retries.denied,
                                      .mirrors = w->mirrors.started,
                                      .mirrors_dropped = w->mirrors.dropped};
    uint64_t sum = now.retries + now.retries_denied + now.mirrors + now.mirrors_dropped;
    if (sum == w->shown)
        return;
    w->shown = sum;
    agw_metrics_forward(w->metrics, &now);
}

static void show_keys(struct agw_worker *w)
{
    const struct agw_keys_stats *s = agw_keys_stats(w->keys);
    if (s->fetches + s->stale == w->keys_shown)
        return;
    w->keys_shown = s->fetches + s->stale;
    agw_metrics_keys(w->metrics, s->fetches, s->failures, s->stale);
}

static void before_wait(struct agw_loop *loop)
{
    struct agw_worker *w = loop->ctx;
    const struct agw_client_stats *c = agw_client_stats(w->client);
    const struct agw_balancer_stats *b = agw_balancer_stats(w->balancer);
    struct agw_metrics_upstream now = {.connects = c->connects,
                                       .reuses = c->reuses,
                                       .connect_failures = c->connect_failures,
                                       .open = c->open,
                                       .idle = c->idle,
                                       .waiting = c->waiting,
                                       .overflows = c->overflows,
                                       .evictions = b->evictions,
                                       .evicted = b->evicted};
    if (w->prober) {
        const struct agw_prober_stats *p = agw_prober_stats(w->prober);
        now.checks = p->checks;
        now.check_failures = p->failures;
        now.down = p->down;
    }
    agw_metrics_upstream(w->metrics, &now);
    show_forward(w);
    show_keys(w);
    agw_rcu_offline();
}

static void after_wait(struct agw_loop *loop)
{
    (void)loop;
    agw_rcu_online();
}

/* What the loop served. */
static void free_parts(struct agw_worker *w)
{
    agw_prober_free(w->prober);
    w->prober = NULL;
    agw_l4_free(w->l4);
    agw_mcp_free(w->mcp);
    agw_a2a_directory_free(w->agents);
    agw_keys_free(w->keys);
    agw_mirrors_free(&w->mirrors);
    agw_client_free(w->client);
    agw_dns_free(w->dns);
    agw_balancer_free(w->balancer);
    w->balancer = NULL;
    w->l4 = NULL;
    w->agents = NULL;
    w->keys = NULL;
    w->mcp = NULL;
    w->client = NULL;
    w->dns = NULL;
}

static void *worker_main(void *arg)
{
    struct agw_worker *w = arg;
    if (w->gateway->options.pin && agw_cpu_pin(w->loop.index))
        agw_warn("worker", "worker %u: cannot pin to a CPU", w->loop.index);
    agw_rcu_register();
    agw_loop_run(&w->loop);
    free_parts(w);
    agw_rcu_unregister();
    return NULL;
}

/* --- from other threads --- */

static int join_mcp(struct agw_worker *w)
{
    const struct agw_gateway_options *o = &w->gateway->options;
    const struct agw_mcp_settings settings = {.fanout_ms = o->mcp_target_ms,
                                              .session_age_s = o->session_age_s,
                                              .old_keys = o->old_keys[0],
                                              .old_key_count = o->old_key_count};
    agw_mcp_bridge_eras(w->mcp);
    agw_mcp_join(w->mcp, w->gateway->mcp_hub);
    agw_mcp_balance(w->mcp, w->balancer);
    return agw_mcp_configure(w->mcp, &settings);
}

/* What fetches documents. */
static bool make_documents(struct agw_worker *w)
{
    if (!w->client || !w->balancer)
        return false;
    w->agents = agw_a2a_directory_new(&w->loop, w->client);
    w->keys = agw_keys_new(&w->loop, w->client, w->balancer);
    return w->agents && w->keys;
}

static int make_parts(struct agw_worker *w, struct agw_error *err)
{
    const struct agw_gateway_options *o = &w->gateway->options;
    w->dns = agw_dns_new(&w->loop, err);
    if (!w->dns)
        return AGW_EDNS;
    w->client = agw_client_new(&w->loop, w->dns, &o->client);
    agw_mirrors_init(&w->mirrors, &w->loop, w->client);
    w->metrics = agw_metrics_shard(o->metrics, w->loop.index);
    w->access_log = o->access_log;
    w->mcp = w->client ? agw_mcp_new(&w->loop, w->client, w->metrics, o->session_key) : NULL;
    w->balancer = agw_balancer_new(&w->loop);
    if (w->mcp && join_mcp(w))
        return agw_error_set(err, AGW_ELIMIT, "too many session keys");
    if (w->client && w->loop.index == 0)
        w->prober = agw_prober_new(&w->loop, w->client, tell_all, w->gateway);
    if (make_documents(w) && w->mcp && (w->prober || w->loop.index) && w->metrics && w->balancer)
        w->l4 =
            agw_l4_new(&w->loop, w->client, w->balancer, w->metrics, w->access_log, &agw_l4_default_limits);
    if (!w->l4)
        return agw_error_set(err, AGW_ENOMEM, "worker %u: out of memory", w->loop.index);
    return 0;
}

int agw_worker_init(struct agw_worker *w, struct agw_gateway *g, unsigned index, struct agw_error *err)
{
    if (agw_loop_init(&w->loop, index))
        return agw_error_set(err, AGW_EIO, "worker %u: cannot make an event loop", index);
    w->loop.ctx = w;
    w->loop.before_wait = before_wait;
    w->loop.after_wait = after_wait;
    w->gateway = g;
    agw_list_init(&w->acceptors);
    agw_list_init(&w->conns);
    agw_sources_init(&w->sources, agw_rng_next(&w->loop.rng));
    agw_timer_init(&w->rebind, on_rebind);
    int rc = make_parts(w, err);
    if (rc)
        agw_worker_free(w);
    return rc;
}

void agw_worker_free(struct agw_worker *w)
{
    free_parts(w);
    agw_retry_budgets_free(&w->retries);
    agw_sources_free(&w->sources);
    agw_loop_free(&w->loop);
}

int agw_worker_start(struct agw_worker *w, struct agw_error *err)
{
    sigset_t all, old;
    /* Signals are the main thread's. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int rc = pthread_create(&w->thread, NULL, worker_main, w);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc)
        return agw_error_set(err, AGW_EIO, "worker %u: cannot start a thread: %s", w->loop.index,
                             strerror(rc));
    return 0;
}

void agw_worker_sync(struct agw_worker *w)
{
    tell(w, do_sync);
}

void agw_worker_leave(struct agw_worker *w)
{
    tell(w, do_leave);
}

void agw_worker_drain(struct agw_worker *w)
{
    tell(w, do_drain);
}

void agw_worker_stop(struct agw_worker *w)
{
    tell(w, do_stop);
}
