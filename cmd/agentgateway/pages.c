#include <signal.h>
#include <unistd.h>
#include "base/log.h"
#include "config/dump.h"
#include "config/rcu.h"
#include "http/uri.h"
#include "cmd/agentgateway/pages.h"

static void serve_index(struct agw_admin_request *r)
{
    agw_admin_write(r, AGW_STR("agentgateway " AGW_VERSION "\n"
                               "  GET  /config_dump        what is being served, as JSON\n"
                               "  POST /logging?level=L    debug, info, warn or error\n"
                               "  POST /quitquitquit       drain and end\n"));
}

/* A large configuration takes its time: pinned meanwhile, so that the config thread does not wait for this
 * one. */
static void serve_dump(struct agw_admin_request *r)
{
    struct agw_snapshot *snap = agw_snapshot_current();
    r->type = "application/json";
    if (!snap) {
        r->status = 503;
        agw_admin_write(r, AGW_STR("{\"error\":\"no configuration yet\"}\n"));
        return;
    }
    agw_snapshot_pin(snap, agw_snapshot_admin());
    agw_rcu_offline();
    if (agw_snapshot_dump(snap, &r->body, r->pool))
        r->status = 500;
    agw_rcu_online();
    agw_snapshot_unpin(snap, agw_snapshot_admin());
}

static void serve_logging(struct agw_admin_request *r)
{
    struct agw_arena arena;
    struct agw_str text;
    enum agw_log_level level;
    agw_arena_init(&arena, 256, 0);
    if (!agw_query_get(r->query, AGW_STR("level"), &arena, &text) || agw_log_level_parse(text, &level)) {
        r->status = 400;
        agw_admin_write(r, AGW_STR("level must be debug, info, warn or error\n"));
    } else {
        agw_log_level(level);
        agw_admin_write(r, AGW_STR("ok\n"));
    }
    agw_arena_free(&arena);
}

static void serve_quit(struct agw_admin_request *r)
{
    agw_admin_write(r, AGW_STR("draining\n"));
    kill(getpid(), SIGTERM);
}

static void serve_metrics(struct agw_admin_request *r)
{
    r->type = "text/plain; version=0.0.4; charset=utf-8";
    if (agw_metrics_write(r->ctx, &r->body, r->pool))
        r->status = 500;
}

static void serve_ready(struct agw_admin_request *r)
{
    const char *pending = source_pending(r->ctx), *note = source_note(r->ctx);
    if (!pending) {
        agw_admin_write(r, AGW_STR("ready\n"));
        if (note)
            agw_admin_write(r, agw_str_c(note));
        return;
    }
    r->status = 500;
    agw_admin_write(r, AGW_STR("not ready, pending: "));
    agw_admin_write(r, agw_str_c(pending));
    agw_admin_write(r, AGW_STR("\n"));
}

struct agw_admin *pages_open(const struct options *o, struct agw_metrics_registry *metrics,
                             const struct source *source, struct agw_error *err)
{
    const struct agw_admin_page admin[] = {
        {"/", AGW_METHOD_GET, serve_index, NULL},
        {"/config_dump", AGW_METHOD_GET, serve_dump, NULL},
        {"/logging", AGW_METHOD_POST, serve_logging, NULL},
        {"/quitquitquit", AGW_METHOD_POST, serve_quit, NULL},
    };
    const struct agw_admin_page stats[] = {
        {"/metrics", AGW_METHOD_GET, serve_metrics, metrics},
        {"/stats/prometheus", AGW_METHOD_GET, serve_metrics, metrics},
    };
    const struct agw_admin_page ready[] = {{"/healthz/ready", AGW_METHOD_GET, serve_ready, (void *)source}};
    const struct agw_admin_port ports[] = {
        {"admin", o->admin, admin, AGW_ARRAY_LEN(admin)},
        {"stats", o->stats, stats, AGW_ARRAY_LEN(stats)},
        {"readiness", o->readiness, ready, AGW_ARRAY_LEN(ready)},
    };
    return agw_admin_new(ports, AGW_ARRAY_LEN(ports), err);
}
