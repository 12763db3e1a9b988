#include "cmd/agentgateway/apply.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "event/mapped.h"
#include "policy/table.h"

/* Old snapshots that exchanges still pin are looked at again this often. */
#define RECLAIM_NS (AGW_NS_PER_MS * 1000)
#define RETRY_NS (AGW_NS_PER_MS * 1000)

/* A tenth of a worker's share where both want one CPU: enough for a hundred changes a second. */
#define NICE 10

void apply_give_way(void)
{
    if (setpriority(PRIO_PROCESS, (id_t)gettid(), NICE))
        agw_debug("config", "the thread's priority stays: %s", strerror(errno));
}

int apply_init(struct apply *a, struct agw_gateway *gateway, struct agw_metrics_registry *metrics,
               uint32_t hold_ms, const struct agw_self *self, bool local)
{
    struct agw_compile_options o = {.policies = agw_policy_table,
                                    .policy_count = agw_policy_table_size,
                                    .hold_ms = hold_ms,
                                    .self = *self,
                                    .own = gateway ? gateway->options.own : NULL,
                                    .local = local};
    *a = (struct apply){.gateway = gateway, .metrics = metrics};
    a->compiler = agw_compiler_new(&o);
    a->store = agw_store_new();
    return a->compiler && a->store ? 0 : AGW_ENOMEM;
}

void apply_free(struct apply *a)
{
    agw_compiler_free(a->compiler);
    agw_store_free(a->store);
    a->compiler = NULL;
    a->store = NULL;
}

void apply_log_notes(const struct agw_notes *notes)
{
    for (const struct agw_note *n = notes->first; n; n = n->next)
        agw_log(n->level == AGW_NOTE_ERROR ? AGW_LOG_ERROR : AGW_LOG_WARN, "config", "%.*s: %.*s",
                AGW_STRF(n->id), AGW_STRF(n->text));
}

int apply_compile(struct apply *a, const struct agw_store *next, struct agw_snapshot **ret_snapshot,
                  struct agw_notes *notes)
{
    return agw_compiler_run(a->compiler, next, agw_clock_ns(), ret_snapshot, notes);
}

void apply_publish(struct apply *a, struct agw_store *next, struct agw_snapshot *snap)
{
    agw_gateway_publish(a->gateway, snap); /* it is the current one until this thread makes another */
    agw_metrics_config(a->metrics, snap->generation, true);
    agw_metrics_config_published(a->metrics, snap->made_wall_ns, agw_compiler_held(a->compiler));
    agw_store_free(a->store);
    a->store = next;
    a->held = agw_snapshot_reclaim();
    a->reclaim_ns = agw_clock_ns() + RECLAIM_NS;
    if (!a->live && agw_mapped_trim())
        agw_debug("config", "pages that the start needed stay mapped");
    a->live = true;
}

void apply_discard(struct apply *a, struct agw_store *next, struct agw_snapshot *snap)
{
    struct agw_notes notes;
    struct agw_snapshot *served = NULL;
    agw_snapshot_free(snap);
    agw_store_free(next);
    agw_notes_init(&notes);
    agw_compiler_go_back(a->compiler);
    apply_compile(a, a->store, &served, &notes); /* without memory it compiles all anew next time */
    agw_snapshot_free(served);
    agw_notes_free(&notes);
}

/* Routes that waited long enough are served, whatever they still miss. */
static void settle(struct apply *a, uint64_t now_ns)
{
    struct agw_notes notes;
    struct agw_snapshot *snap;
    agw_notes_init(&notes);
    struct agw_store *same = agw_store_clone(a->store);
    if (same && apply_compile(a, same, &snap, &notes) == 0) {
        apply_publish(a, same, snap);
    } else {
        agw_store_free(same);
        a->retry_ns = now_ns + RETRY_NS;
    }
    agw_notes_free(&notes);
}

static uint64_t routes_due(const struct apply *a)
{
    uint64_t due = a->live ? agw_compiler_due(a->compiler) : UINT64_MAX;
    return due < a->retry_ns ? a->retry_ns : due;
}

static uint64_t until(uint64_t due, uint64_t now)
{
    return due == UINT64_MAX ? due : due > now ? due - now : 0;
}

uint64_t apply_tick(struct apply *a, uint64_t now_ns)
{
    if (routes_due(a) <= now_ns)
        settle(a, now_ns);
    if (a->held && a->reclaim_ns <= now_ns) {
        a->held = agw_snapshot_reclaim();
        a->reclaim_ns = now_ns + RECLAIM_NS;
    }
    uint64_t due = routes_due(a);
    if (a->held && a->reclaim_ns < due)
        due = a->reclaim_ns;
    return until(due, now_ns);
}
