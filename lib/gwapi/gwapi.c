#include "gwapi/gwapi.h"
#include "base/check.h"
#include "base/log.h"
#include "gwapi/backend/backend.h"
#include "gwapi/listener/listener.h"
#include "gwapi/object/read.h"
#include "gwapi/policy/policy.h"
#include "gwapi/route/route.h"

int agw_gwapi_translate(const struct agw_objects *objects, struct agw_resource_set *out,
                        struct agw_gwapi_report *report)
{
    static int (*const steps[])(struct agw_translate * t) = {
        agw_gwapi_services,       agw_gwapi_backends,  agw_gwapi_gateways,
        agw_gwapi_listener_sets,  agw_gwapi_frontends, agw_gwapi_backend_tls_policies,
        agw_gwapi_http_routes,    agw_gwapi_l4_routes, agw_gwapi_policies,
        agw_gwapi_report_attached};
    struct agw_translate t = {.objects = objects, .out = out, .report = report};
    size_t i;
    int rc = 0;

    agw_arena_init(&t.arena, 16384, 0);
    for (i = 0; i < AGW_ARRAY_LEN(steps) && !rc; i++)
        rc = steps[i](&t);
    agw_arena_free(&t.arena);
    if (t.failed || report->texts.out_of_memory)
        return AGW_ENOMEM;
    return rc;
}

/* Takes |m|. */
static int translate_manifests(struct agw_manifests *m, struct agw_resource_set *out,
                               struct agw_gwapi_report *report)
{
    struct agw_resource_set set;
    int rc;

    agw_resource_set_init(&set);
    /* with objects missing, the rest would only make findings that follow from the first */
    rc = report->texts.count[AGW_REPORT_ERROR] ? AGW_EINVAL : agw_gwapi_translate(&m->objects, &set, report);
    agw_manifests_free(m);
    if (!rc && report->texts.count[AGW_REPORT_ERROR])
        rc = AGW_EINVAL;
    if (rc)
        agw_resource_set_free(&set);
    else
        *out = set;
    return rc;
}

int agw_gwapi_load(const char *path, struct agw_resource_set *out, struct agw_gwapi_report *report)
{
    struct agw_manifests m;
    int rc = agw_manifests_read(path, &m, &report->texts);

    return rc ? rc : translate_manifests(&m, out, report);
}

static void log_report(const struct agw_report *report)
{
    static const enum agw_log_level levels[] = {[AGW_REPORT_NOTE] = AGW_LOG_INFO,
                                                [AGW_REPORT_WARNING] = AGW_LOG_WARN,
                                                [AGW_REPORT_ERROR] = AGW_LOG_ERROR};
    for (const struct agw_report_item *i = report->first; i; i = i->next)
        agw_log(levels[i->level], "config", "%.*s", AGW_STRF(i->text));
}

int agw_gwapi_load_logged(const char *path, bool for_others, struct agw_resource_set *out)
{
    struct agw_gwapi_report report;
    agw_gwapi_report_init(&report);
    report.for_others = for_others;
    int rc = agw_gwapi_load(path, out, &report);
    log_report(&report.texts);
    agw_gwapi_report_free(&report);
    return rc;
}

int agw_gwapi_load_text(const char *name, struct agw_str text, struct agw_resource_set *out,
                        struct agw_gwapi_report *report)
{
    struct agw_manifests m;
    int rc = agw_manifests_parse(name, text, &m, &report->texts);

    return rc ? rc : translate_manifests(&m, out, report);
}
