#include "gwapi/schema/report.h"
#include <stdio.h>
#include "gwapi/schema/object.h"

#define PATH_SIZE 512
#define TEXT_SIZE 1024

void agw_report_init(struct agw_report *r)
{
    *r = (struct agw_report){0};
    agw_arena_init(&r->arena, 1024, 0);
}

void agw_report_free(struct agw_report *r)
{
    agw_arena_free(&r->arena);
    *r = (struct agw_report){0};
}

static void keep(struct agw_report *r, enum agw_report_level level, struct agw_str text)
{
    struct agw_report_item *item = agw_arena_zalloc(&r->arena, sizeof(*item));

    if (!item || !text.p) {
        r->out_of_memory = true;
        return;
    }
    item->level = level;
    item->text = text;
    if (r->last)
        r->last->next = item;
    else
        r->first = item;
    r->last = item;
}

void agw_report_text(struct agw_report *r, enum agw_report_level level, const char *format, ...)
{
    char text[TEXT_SIZE];
    va_list args;

    if (r->count[level]++ >= AGW_REPORT_MAX_ITEMS)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    keep(r, level, agw_arena_str(&r->arena, agw_str_c(text)));
}

static void object_label(const struct agw_object *o, char *out, size_t size)
{
    if (o->ns.n)
        snprintf(out, size, "%.*s %.*s/%.*s", AGW_STRF(o->kind_name), AGW_STRF(o->ns), AGW_STRF(o->name));
    else
        snprintf(out, size, "%.*s %.*s", AGW_STRF(o->kind_name), AGW_STRF(o->name));
}

void agw_report_add(struct agw_report *r, enum agw_report_level level, const struct agw_object *o,
                    const struct agw_node *at, const char *member, const char *format, ...)
{
    char label[PATH_SIZE], path[PATH_SIZE], text[TEXT_SIZE];
    size_t n = 0;
    va_list args;

    if (r->count[level]++ >= AGW_REPORT_MAX_ITEMS)
        return;
    if (!at)
        at = o->node;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    object_label(o, label, sizeof(label));
    n = agw_node_path(o->node, at, path, sizeof(path));
    if (member)
        n += (size_t)snprintf(path + n, sizeof(path) - n, "%s%s", n ? "." : "", member);
    keep(r, level,
         agw_arena_printf(&r->arena, "%s:%u: %s: %s%s%s", o->file, at->line, label, path, n ? ": " : "",
                          text));
}
