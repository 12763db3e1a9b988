#include <stdio.h>
#include <stdlib.h>
#include "base/log.h"
#include "proxy/l4/l4_int.h"

static void try_next(struct agw_l4_session *s);

static void note(struct agw_l4_session *s, const char *reason)
{
    snprintf(s->error, sizeof(s->error), "%.*s", (int)sizeof(s->error) - 1, reason);
    agw_debug("l4", "%.*s: %s", AGW_STRF(s->name), reason);
}

static void on_dialed(void *owner, struct agw_conn *conn, int code, const char *reason)
{
    struct agw_l4_session *s = owner;
    s->dial = NULL;
    agw_balance_sample(s->l4->balancer, s->backend, &s->pick, conn ? AGW_JUDGED_GOOD : agw_judge_close(code));
    if (!conn) {
        note(s, reason);
        try_next(s);
        return;
    }
    s->up = conn;
    conn->user = s;
    agw_l4_dial_stop(s);
    s->error[0] = 0;
    agw_l4_relay_start(s);
}

/* What all connections of one client have in common. */
static uint64_t hash_of(const struct agw_l4_session *s)
{
    char ip[AGW_ADDR_TEXT];
    const struct agw_load_balancer *how = s->backend->balancer;
    if (!how || how->way != AGW_BALANCE_HASH || how->source != AGW_HASH_SOURCE_IP)
        return 0;
    return agw_balance_hash(agw_str(ip, agw_addr_format_ip(&s->c->conn.peer, ip)));
}

/* Another endpoint of the backend, if there is any: nothing was sent yet. The failure is told from a task,
 * for this may run inside agw_l4_start. */
static void try_next(struct agw_l4_session *s)
{
    struct agw_balancer *b = s->l4->balancer;
    struct agw_pick_hint hint = {.avoid = s->pick.endpoint, .hash = hash_of(s)};
    agw_balance_release(b, &s->pick);
    if (s->tries++ < s->l4->limits->tries) {
        agw_balance_pick(b, s->backend, &hint, &s->pick);
        const struct agw_endpoint *e = s->pick.endpoint;
        s->dial = e ? agw_dial_start(s->l4->client, e, NULL, on_dialed, s) : NULL;
        if (e && !s->dial)
            note(s, agw_err_text(AGW_ENOMEM));
    }
    if (!s->dial)
        agw_loop_defer(s->l4->loop, &s->failed);
}

static void on_fail_task(struct agw_task *t)
{
    struct agw_l4_session *s = agw_container_of(t, struct agw_l4_session, failed);
    if (!s->error[0])
        note(s, "the backend has no endpoint");
    agw_l4_end(s, "connect_failure", true);
}

static void on_timeout(struct agw_timer *t)
{
    struct agw_l4_session *s = agw_container_of(t, struct agw_l4_session, connect);
    agw_balance_sample(s->l4->balancer, s->backend, &s->pick, AGW_JUDGED_BAD);
    note(s, "the backend did not answer in time");
    agw_l4_end(s, "connect_failure", true);
}

void agw_l4_dial(struct agw_l4_session *s)
{
    agw_task_init(&s->failed, on_fail_task);
    agw_timer_init(&s->connect, on_timeout);
    agw_timer_set(&s->l4->loop->timers, &s->connect, s->l4->loop->now_ms + s->l4->limits->connect_ms);
    try_next(s);
}

void agw_l4_dial_stop(struct agw_l4_session *s)
{
    if (!s->snap)
        return;
    agw_timer_cancel(&s->l4->loop->timers, &s->connect);
    agw_task_cancel(&s->failed);
    if (s->dial)
        agw_dial_cancel(s->dial);
    s->dial = NULL;
    agw_snapshot_unpin(s->snap, s->l4->loop->index);
    s->snap = NULL;
    s->backend = NULL;
}
