#include "gwapi/base/translate.h"
#include <stdio.h>

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

Google__Protobuf__Duration *agw_gwapi_duration(struct agw_translate *t, struct agw_str text)
{
    Google__Protobuf__Duration *d;
    uint64_t ms;

    if (agw_duration_ms(text, &ms) || ms == 0)
        return NULL;
    d = agw_gwapi_new(t, Google__Protobuf__Duration, google__protobuf__duration__init);
    if (!d) {
        t->failed = true;
        return NULL;
    }
    d->seconds = (int64_t)(ms / 1000);
    d->nanos = (int32_t)(ms % 1000) * 1000000;
    return d;
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

void agw_gwapi_refs_condition(struct agw_translate *t, const struct agw_object *route,
                              const struct agw_node *at, const struct agw_gwapi_refusal *refusal,
                              const char *what)
{
    struct agw_gwapi_place place = {.object = route, .parent = -1};

    agw_gwapi_condition(t, &place, at, "ResolvedRefs", false, refusal->reason, "%.*s: %s",
                        AGW_STRF(refusal->message), what);
}
