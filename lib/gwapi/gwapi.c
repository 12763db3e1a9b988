#include "gwapi/gwapi.h"
#include <stdio.h>
#include "base/check.h"
#include "base/log.h"
#include "gwapi/gwapi_int.h"
#include "gwapi/object/read.h"

void agw_gwapi_report_init(struct agw_gwapi_report *report)
{
    *report = (struct agw_gwapi_report){0};
    agw_report_init(&report->texts);
}

void agw_gwapi_report_free(struct agw_gwapi_report *report)
{
    agw_report_free(&report->texts);
    *report = (struct agw_gwapi_report){0};
}

/* --- making messages --- */

char *agw_gwapi_text(struct agw_translate *t, struct agw_str s)
{
    struct agw_str copy = agw_arena_str(&t->arena, s);

    if (!copy.p) {
        t->failed = true;
        return (char *)protobuf_c_empty_string;
    }
    return (char *)copy.p;
}

char *agw_gwapi_printf(struct agw_translate *t, const char *format, ...)
{
    char text[1024]; /* keys: three Kubernetes names at most */
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return agw_gwapi_text(t, agw_str_c(text));
}

void *agw_gwapi_pointers(struct agw_translate *t, size_t n)
{
    return agw_arena_zalloc(&t->arena, n * sizeof(void *));
}

char **agw_gwapi_texts(struct agw_translate *t, const struct agw_node *list, size_t *ret_count)
{
    const struct agw_node *n;
    char **out;
    size_t i = 0;

    *ret_count = 0;
    if (!list || list->count == 0)
        return NULL;
    out = agw_gwapi_pointers(t, list->count);
    if (!out) {
        t->failed = true;
        return NULL;
    }
    agw_node_each (n, list)
        out[i++] = agw_gwapi_text(t, n->text);
    *ret_count = i;
    return out;
}

int agw_gwapi_put(struct agw_translate *t, enum agw_resource_kind kind, const void *message,
                  const struct agw_side *side)
{
    struct agw_error err = {0};
    int rc;

    if (t->failed)
        return AGW_ENOMEM;
    rc = agw_resource_set_add(t->out, kind, message, side, &err);
    if (rc && rc != AGW_ENOMEM) {
        agw_report_text(&t->report->texts, AGW_REPORT_ERROR, "%s", err.text);
        return 0;
    }
    return rc;
}

/* --- findings --- */

static struct agw_str keep(struct agw_report *texts, struct agw_str s)
{
    struct agw_str copy = agw_arena_str(&texts->arena, s);

    if (!copy.p)
        texts->out_of_memory = true;
    return copy;
}

void agw_gwapi_condition(struct agw_translate *t, const struct agw_gwapi_place *place,
                         const struct agw_node *at, const char *type, bool status, const char *reason,
                         const char *format, ...)
{
    struct agw_report *texts = &t->report->texts;
    struct agw_gwapi_condition *c = agw_arena_zalloc(&texts->arena, sizeof(*c));
    char message[512] = "";
    va_list args;

    if (!c) {
        texts->out_of_memory = true;
        return;
    }
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    *c = (struct agw_gwapi_condition){.kind = keep(texts, place->object->kind_name),
                                      .ns = keep(texts, place->object->ns),
                                      .name = keep(texts, place->object->name),
                                      .part = keep(texts, place->part),
                                      .parent = place->parent,
                                      .type = type,
                                      .status = status,
                                      .reason = reason,
                                      .message = keep(texts, agw_str_c(message))};
    if (t->report->last_condition)
        t->report->last_condition->next = c;
    else
        t->report->first_condition = c;
    t->report->last_condition = c;
    if (message[0])
        agw_report_add(texts, AGW_REPORT_WARNING, place->object, at, NULL, "%s (%s)", message, reason);
}

/* --- the whole --- */

int agw_gwapi_translate(const struct agw_objects *objects, struct agw_resource_set *out,
                        struct agw_gwapi_report *report)
{
    static int (*const steps[])(struct agw_translate * t) = {agw_gwapi_services,
                                                             agw_gwapi_backends,
                                                             agw_gwapi_gateways,
                                                             agw_gwapi_frontends,
                                                             agw_gwapi_backend_tls_policies,
                                                             agw_gwapi_http_routes,
                                                             agw_gwapi_l4_routes,
                                                             agw_gwapi_policies,
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

int agw_gwapi_load_logged(const char *path, struct agw_resource_set *out)
{
    struct agw_gwapi_report report;
    agw_gwapi_report_init(&report);
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
