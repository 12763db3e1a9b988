#include "gwapi/schema/schema.h"
#include "gwapi/schema/names.h"
#include <stdio.h>

struct check {
    struct agw_report *report;
    const struct agw_object *object;
    bool ok;
};

static const char *const type_names[] = {
    [AGW_NODE_NULL] = "null",      [AGW_NODE_BOOL] = "a boolean", [AGW_NODE_INT] = "a number",
    [AGW_NODE_FLOAT] = "a number", [AGW_NODE_STRING] = "text",    [AGW_NODE_LIST] = "a list",
    [AGW_NODE_MAP] = "a map",
};

#define refuse(c, at, member, ...)                                                                           \
    do {                                                                                                     \
        (c)->ok = false;                                                                                     \
        agw_report_error((c)->report, (c)->object, at, member, __VA_ARGS__);                                 \
    } while (0)

const struct agw_node *agw_field(const struct agw_node *map, const char *name)
{
    const struct agw_node *n = agw_node_get(map, name);

    return n && n->type != AGW_NODE_NULL ? n : NULL;
}

int64_t agw_field_int(const struct agw_node *map, const char *name, int64_t otherwise)
{
    const struct agw_node *n = agw_field(map, name);

    return n && (n->type == AGW_NODE_INT || n->type == AGW_NODE_BOOL) ? n->number : otherwise;
}

struct agw_str agw_field_text(const struct agw_node *map, const char *name, struct agw_str otherwise)
{
    const struct agw_node *n = agw_field(map, name);

    return n && n->type == AGW_NODE_STRING ? n->text : otherwise;
}

bool agw_field_is(const struct agw_node *map, const char *name, const char *text)
{
    return agw_str_eq(agw_node_text(map, name), agw_str_c(text));
}

/* --- unknown fields --- */

#define NAME_MAX_HINT 40

/* Edit distance with insertions, deletions and replacements; a big number for long names. */
static unsigned distance(struct agw_str a, struct agw_str b)
{
    unsigned row[NAME_MAX_HINT + 1], diagonal, above;
    size_t i, j;

    if (a.n > NAME_MAX_HINT || b.n > NAME_MAX_HINT)
        return NAME_MAX_HINT;
    for (j = 0; j <= b.n; j++)
        row[j] = (unsigned)j;
    for (i = 1; i <= a.n; i++) {
        diagonal = row[0];
        row[0] = (unsigned)i;
        for (j = 1; j <= b.n; j++) {
            unsigned best = diagonal + (a.p[i - 1] != b.p[j - 1]);

            above = row[j];
            if (above + 1 < best)
                best = above + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            diagonal = above;
            row[j] = best;
        }
    }
    return row[b.n];
}

static const char *similar(struct agw_str name, const struct agw_field *fields)
{
    const char *found = NULL;
    unsigned best = name.n < 4 ? 2 : 3; /* below this */

    for (; fields->name; fields++) {
        unsigned d = distance(name, agw_str_c(fields->name));

        if (d < best) {
            best = d;
            found = fields->name;
        }
    }
    return found;
}

static void unknown_field(struct check *c, const struct agw_node *at, const struct agw_field *fields)
{
    const char *hint = similar(at->key, fields);

    if (hint)
        refuse(c, at, NULL, "unknown field (did you mean %s?)", hint);
    else
        refuse(c, at, NULL, "unknown field");
}

/* --- values --- */

static bool has_type(struct check *c, const struct agw_node *n, enum agw_node_type want)
{
    if (n->type == want)
        return true;
    refuse(c, n, NULL, "must be %s, is %s%s", want == AGW_NODE_INT ? "a whole number" : type_names[want],
           type_names[n->type],
           want == AGW_NODE_STRING && n->type != AGW_NODE_LIST && n->type != AGW_NODE_MAP ? " (quote it)"
                                                                                          : "");
    return false;
}

static void check_one_of(struct check *c, const struct agw_node *n, const struct agw_field *f)
{
    char all[256];
    size_t at = 0;
    unsigned i;

    all[0] = '\0';
    for (i = 0; f->one_of[i]; i++) {
        if (agw_str_eq(n->text, agw_str_c(f->one_of[i])))
            return;
        if (at < sizeof(all))
            at += (size_t)snprintf(all + at, sizeof(all) - at, "%s%s", i ? ", " : "", f->one_of[i]);
    }
    refuse(c, n, NULL, "\"%.*s\" is not one of %s", AGW_STRF(n->text), all);
}

static void check_text(struct check *c, const struct agw_node *n, const struct agw_field *f)
{
    if (!has_type(c, n, AGW_NODE_STRING))
        return;
    if (f->max && (n->text.n < (uint64_t)f->min || n->text.n > (uint64_t)f->max))
        refuse(c, n, NULL, "must have %lld to %lld characters, has %zu", (long long)f->min, (long long)f->max,
               n->text.n);
    else if (f->one_of)
        check_one_of(c, n, f);
    else if (f->form && !f->form(n->text))
        refuse(c, n, NULL, "\"%.*s\" is not %s", (int)(n->text.n > 256 ? 256 : n->text.n), n->text.p,
               f->form_name);
}

static void check_int(struct check *c, const struct agw_node *n, const struct agw_field *f)
{
    if (!has_type(c, n, AGW_NODE_INT))
        return;
    if ((f->min || f->max) && (n->number < f->min || n->number > f->max))
        refuse(c, n, NULL, "must be %lld to %lld, is %lld", (long long)f->min, (long long)f->max,
               (long long)n->number);
}

static void check_texts(struct check *c, const struct agw_node *n)
{
    const struct agw_node *m;

    if (!has_type(c, n, AGW_NODE_MAP))
        return;
    agw_node_each (m, n)
        has_type(c, m, AGW_NODE_STRING);
}

static void check_map(struct check *c, const struct agw_node *n, const struct agw_field *fields);

static void check_value(struct check *c, const struct agw_node *n, const struct agw_field *f)
{
    switch (f->type) {
    case AGW_FIELD_TEXT:
        check_text(c, n, f);
        break;
    case AGW_FIELD_INT:
        check_int(c, n, f);
        break;
    case AGW_FIELD_BOOL:
        has_type(c, n, AGW_NODE_BOOL);
        break;
    case AGW_FIELD_INT_OR_TEXT:
        if (n->type == AGW_NODE_INT)
            check_int(c, n, f);
        else
            check_text(c, n,
                       &(struct agw_field){.min = 1, .max = 63, .form = f->form, .form_name = f->form_name});
        break;
    case AGW_FIELD_MAP:
        if (has_type(c, n, AGW_NODE_MAP))
            check_map(c, n, f->of);
        break;
    case AGW_FIELD_TEXTS:
        check_texts(c, n);
        break;
    case AGW_FIELD_UNSERVED:
        refuse(c, n, NULL, "is not served by this version");
        break;
    case AGW_FIELD_ANY:
        break;
    }
}

static void check_unique(struct check *c, const struct agw_node *list, const char *member)
{
    const struct agw_node *a, *b;

    agw_node_each (a, list) {
        struct agw_str name = agw_node_text(a, member);

        for (b = list->first; b != a && name.n; b = b->next) {
            if (!agw_str_eq(agw_node_text(b, member), name))
                continue;
            refuse(c, agw_node_get(a, member), NULL, "\"%.*s\" is there twice", AGW_STRF(name));
            break;
        }
    }
}

static void check_list(struct check *c, const struct agw_node *n, const struct agw_field *f)
{
    const struct agw_node *item;

    if (!has_type(c, n, AGW_NODE_LIST))
        return;
    if (n->count < f->min_items)
        refuse(c, n, NULL, "must have %u or more items, has %u", f->min_items, n->count);
    if (f->max_items && n->count > f->max_items) {
        refuse(c, n, NULL, "must have at most %u items, has %u", f->max_items, n->count);
        return;
    }
    agw_node_each (item, n)
        check_value(c, item, f);
    if (f->unique)
        check_unique(c, n, f->unique);
}

static const struct agw_field *find(const struct agw_field *fields, struct agw_str name)
{
    for (; fields->name; fields++) {
        if (agw_str_eq(agw_str_c(fields->name), name))
            return fields;
    }
    return NULL;
}

static void check_map(struct check *c, const struct agw_node *n, const struct agw_field *fields)
{
    const struct agw_field *f;
    const struct agw_node *m;

    agw_node_each (m, n) {
        f = find(fields, m->key);
        if (!f)
            unknown_field(c, m, fields);
        else if (m->type == AGW_NODE_NULL)
            continue;
        else if (f->list)
            check_list(c, m, f);
        else
            check_value(c, m, f);
    }
    for (f = fields; f->name; f++) {
        if (f->required && !agw_field(n, f->name))
            refuse(c, n, f->name, "is required");
    }
}

bool agw_schema_check(struct agw_report *r, const struct agw_object *o, const struct agw_node *n,
                      const struct agw_field *fields)
{
    struct check c = {.report = r, .object = o, .ok = true};

    if (has_type(&c, n, AGW_NODE_MAP))
        check_map(&c, n, fields);
    return c.ok;
}

bool agw_field_quantity(const struct agw_node *map, const char *name, uint64_t *ret_value)
{
    const struct agw_node *n = agw_field(map, name);

    if (!n || n->type != AGW_NODE_INT)
        return n && agw_quantity(n->text, ret_value) == 0;
    *ret_value = (uint64_t)n->number;
    return true;
}
