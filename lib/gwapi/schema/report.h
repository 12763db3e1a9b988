/* What is wrong with manifests, or worth knowing: a list of texts for people.
 *
 * A text is "FILE:LINE: KIND ns/name: field.path: reason"; parts that are not known are left out.
 * Ownership: items live in the report's arena. Threads: one at a time.
 * Errors: nothing here fails; when memory is out, |out_of_memory| is set and the item is lost. */
#ifndef AGW_GWAPI_SCHEMA_REPORT_H
#define AGW_GWAPI_SCHEMA_REPORT_H

#include "base/arena.h"
#include "json/tree.h"

struct agw_object;

enum agw_report_level {
    AGW_REPORT_NOTE,    /* left out on purpose, such as objects of other controllers */
    AGW_REPORT_WARNING, /* served, but some requests will fail */
    AGW_REPORT_ERROR,   /* refused */
    AGW_REPORT_LEVELS
};

#define AGW_REPORT_MAX_ITEMS 20 /* of each level; more are counted, not kept: nobody reads on */

struct agw_report_item {
    enum agw_report_level level;
    struct agw_str text; /* NUL-terminated */
    struct agw_report_item *next;
};

struct agw_report {
    struct agw_arena arena;
    struct agw_report_item *first, *last;
    uint32_t count[AGW_REPORT_LEVELS];
    bool out_of_memory;
};

void agw_report_init(struct agw_report *r);
void agw_report_free(struct agw_report *r);

/* Adds an item about |at|, a node of |o|; |member| names a member of it that is missing or unknown, NULL
 * otherwise. |at| may be NULL: the object as a whole. */
void agw_report_add(struct agw_report *r, enum agw_report_level level, const struct agw_object *o,
                    const struct agw_node *at, const char *member, const char *format, ...)
    __attribute__((format(printf, 6, 7)));
#define agw_report_error(r, o, at, member, ...)                                                              \
    agw_report_add(r, AGW_REPORT_ERROR, o, at, member, __VA_ARGS__)

/* Adds an item about no object: |text| as it is. */
void agw_report_text(struct agw_report *r, enum agw_report_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
