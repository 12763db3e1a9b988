#include "base/log.h"
#include "proxy/exchange_int.h"

static const struct {
    const char *name;
    enum agw_step_result (*run)(struct agw_exchange *x);
} steps[AGW_STEP_COUNT] = {
#define X(name, fn) [AGW_STEP_##name] = {#name, agw_step_##fn},
    AGW_STEP_LIST(X)
#undef X
};

/* More moves than this without a wait means a loop among the steps. */
#define MAX_MOVES 64

const char *agw_step_name(enum agw_step step)
{
    return step < AGW_STEP_COUNT ? steps[step].name : "?";
}

static void check_invariants(const struct agw_exchange *x)
{
    agw_check(x->magic == AGW_EXCHANGE_MAGIC);
    agw_check(x->step < AGW_STEP_COUNT);
    agw_check(x->down != NULL);
}

/* The memory of the exchange goes with the stream. */
static void let_go(struct agw_exchange *x)
{
    struct agw_stream *down = x->down;
    int code = x->broken;
    agw_exchange_drop_upstream(x, code ? code : AGW_ECANCELED);
    agw_exchange_end(x, code);
    if (code)
        agw_stream_reset(down, code);
    else
        agw_stream_detach(down);
}

void agw_exchange_run(struct agw_exchange *x)
{
    enum agw_step_result r = AGW_STEP_MORE;
    if (x->running)
        return;
    bool trace = agw_log_enabled(AGW_LOG_DEBUG);
    x->running = true;
    for (unsigned moves = 0; r == AGW_STEP_MORE; moves++) {
        check_invariants(x);
        agw_check(moves < MAX_MOVES);
        if (trace)
            agw_debug("exchange", "%p %s", (void *)x, agw_step_name(x->step));
        r = steps[x->step].run(x);
    }
    x->running = false;
    if (x->broken || x->leaving)
        let_go(x);
}

enum agw_step_result agw_exchange_fail(struct agw_exchange *x, int status, const char *reason)
{
    agw_exchange_drop_upstream(x, AGW_ECANCELED);
    agw_exchange_pause_cancel(x);
    agw_keys_leave(&x->keys);
    x->reason = reason;
    if (x->resp_head) {
        if (!agw_exchange_grpc_cut(x, status, reason))
            x->broken = AGW_ERESET;
        return agw_exchange_next(x, AGW_STEP_FINISH);
    }
    x->status = status;
    return agw_exchange_next(x, AGW_STEP_REPLY);
}

void agw_exchange_response(struct agw_exchange *x)
{
    if (!x->ctx.route)
        return;
    agw_policy_response(&x->ctx.route->policies, &x->ctx);
    if (x->ctx.open_to_pages) /* without memory pages cannot read it */
        agw_headers_set(&x->ctx.resp->headers, AGW_STR("access-control-allow-origin"), AGW_STR("*"));
    if (x->ref) {
        agw_policy_response(&x->ref->policies, &x->ctx);
        agw_policy_response(&x->ctx.backend->policies, &x->ctx);
    }
    agw_policy_last(&x->ctx.route->policies, &x->ctx);
}

void agw_exchange_end(struct agw_exchange *x, int close_code)
{
    agw_timer_cancel(&x->worker->loop.timers, &x->request_timer);
    agw_timer_cancel(&x->worker->loop.timers, &x->backend_timer);
    agw_timer_cancel(&x->worker->loop.timers, &x->idle_timer);
    agw_balance_release(x->worker->balancer, &x->pick);
    agw_exchange_pause_cancel(x);
    agw_keys_leave(&x->keys);
    if (x->mirrors)
        agw_mirrors_abandon(x->mirrors);
    agw_exchange_account(x, close_code);
    agw_chain_clear(&x->held);
    agw_chain_clear(&x->replay);
    agw_exchange_agent_free(x);
    agw_snapshot_unpin(x->snap, x->worker->loop.index);
    x->down = NULL;
    x->magic = 0;
}

static void on_request_timeout(struct agw_timer *t)
{
    struct agw_exchange *x = agw_container_of(t, struct agw_exchange, request_timer);
    agw_exchange_judge(x, x->up ? agw_judge_close(AGW_ETIMEOUT) : AGW_JUDGED_NOT);
    agw_exchange_fail(x, 504, "request timeout");
    agw_exchange_run(x);
}

static void on_backend_timeout(struct agw_timer *t)
{
    struct agw_exchange *x = agw_container_of(t, struct agw_exchange, backend_timer);
    agw_exchange_judge(x, agw_judge_close(AGW_ETIMEOUT));
    if (agw_exchange_retry(x))
        return;
    agw_exchange_fail(x, 504, "backend timeout");
    agw_exchange_run(x);
}

static void on_idle(struct agw_timer *t)
{
    struct agw_exchange *x = agw_container_of(t, struct agw_exchange, idle_timer);
    struct agw_loop *loop = &x->worker->loop;
    uint64_t due = x->moved_ms + x->conn->limits->stream_idle_ms;
    if (loop->now_ms < due) {
        agw_timer_set(&loop->timers, t, due);
        return;
    }
    if (!x->resp_head)
        agw_exchange_judge(x, agw_judge_close(AGW_ETIMEOUT));
    agw_exchange_fail(x, 504, "idle for too long");
    agw_exchange_run(x);
}

static void refuse(struct agw_stream *s)
{
    agw_stream_reset(s, AGW_ENOMEM);
}

void agw_exchange_start(struct agw_worker *w, struct agw_server_conn *c, struct agw_stream *s,
                        struct agw_msg *msg, bool end)
{
    struct agw_exchange *x = agw_arena_zalloc(s->arena, sizeof(*x));
    struct agw_snapshot *snap = agw_snapshot_current();
    if (!x || !snap) {
        refuse(s);
        return;
    }
    x->magic = AGW_EXCHANGE_MAGIC;
    x->worker = w;
    x->conn = c;
    x->snap = snap;
    agw_snapshot_pin(snap, w->loop.index);
    x->down = s;
    x->req = msg;
    x->req_end = end;
    x->start_ns = w->loop.now_ns;
    x->start_wall_ns = w->loop.wall_ns;
    agw_chain_init(&x->held);
    agw_chain_init(&x->replay);
    agw_timer_init(&x->request_timer, on_request_timeout);
    agw_timer_init(&x->backend_timer, on_backend_timeout);
    agw_timer_init(&x->idle_timer, on_idle);
    x->ctx.arena = s->arena;
    x->ctx.req = msg;
    x->ctx.wall_ns = w->loop.wall_ns;
    x->ctx.keys = agw_keys_finder(w->keys);
    x->ctx.snap = snap;
    x->ctx.original_authority = msg->authority;
    x->ctx.original_path = msg->path;
    x->ctx.tls = c->secure;
    x->ctx.tls_filter = c->secure ? agw_tls_find(&c->conn) : NULL;
    x->ctx.client = &c->conn.peer;
    x->ctx.client_identity = c->identity;
    s->events = &agw_exchange_down_events;
    s->owner = x;
    agw_exchange_run(x);
}
