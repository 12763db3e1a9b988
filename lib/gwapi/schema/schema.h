/* The shape of an object: a table of fields for each map, checked as a strict API server does: unknown
 * fields, wrong types, missing fields, lengths, ranges and forms are errors with the field's path and line.
 *
 * A null value counts as absent. Tables are static and const. Threads: any. */
#ifndef AGW_GWAPI_SCHEMA_SCHEMA_H
#define AGW_GWAPI_SCHEMA_SCHEMA_H

#include <stddef.h>
#include "gwapi/schema/report.h"

enum agw_field_type {
    AGW_FIELD_TEXT,
    AGW_FIELD_INT,
    AGW_FIELD_BOOL,
    AGW_FIELD_INT_OR_TEXT,
    AGW_FIELD_MAP,      /* a map with the fields of |of| */
    AGW_FIELD_TEXTS,    /* a map from any name to text: labels, annotations */
    AGW_FIELD_ANY,      /* not looked at */
    AGW_FIELD_UNSERVED, /* known to the API, refused here: leaving it out in silence could open what it closes
                         */
};

struct agw_field {
    const char *name;
    enum agw_field_type type;
    bool list; /* a list of |type| */
    bool required;
    int64_t min, max;   /* TEXT: length in bytes; INT: value; both 0: any */
    uint32_t max_items; /* list; 0: any */
    uint32_t min_items;
    bool (*form)(struct agw_str text); /* TEXT, INT_OR_TEXT; NULL: any */
    const char *form_name;             /* "a DNS label" */
    const char *const *one_of;         /* TEXT; NULL-terminated */
    const struct agw_field *of;        /* MAP; ends with a NULL name */
    const char *unique;                /* list of maps: this member's text differs in all */
};

/* Checks |n|, a node of |o|, against |fields|. Returns false after reporting errors. */
bool agw_schema_check(struct agw_report *r, const struct agw_object *o, const struct agw_node *n,
                      const struct agw_field *fields);

/* Member of a map, NULL when absent or null. */
const struct agw_node *agw_field(const struct agw_node *map, const char *name);
/* Value of an integer or boolean member, |otherwise| when absent. */
int64_t agw_field_int(const struct agw_node *map, const char *name, int64_t otherwise);
/* Value of a quantity, a number or text. False: it is absent. */
bool agw_field_quantity(const struct agw_node *map, const char *name, uint64_t *ret_value);
/* Text of a member, |otherwise| when absent. */
struct agw_str agw_field_text(const struct agw_node *map, const char *name, struct agw_str otherwise);
/* True if the member's text is |text|. */
bool agw_field_is(const struct agw_node *map, const char *name, const char *text);

#endif
