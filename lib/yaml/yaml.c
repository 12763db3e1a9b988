#include "yaml/yaml.h"
#include <stdlib.h>
#include <yaml.h>
#include "base/check.h"
#include "yaml/scalar.h"

struct frame {
    struct agw_node *node; /* the list or map being filled */
    struct agw_str key;    /* of the member to come; p is NULL while a key is expected */
    uint32_t key_line, key_column;
};

struct anchor {
    struct agw_str name;
    struct agw_node *node;
};

struct loader {
    struct agw_arena *arena;
    struct agw_error *err;
    struct agw_node *docs;
    struct frame stack[AGW_YAML_MAX_DEPTH];
    unsigned depth;
    struct anchor anchors[AGW_YAML_MAX_ANCHORS]; /* of the document */
    unsigned anchor_count;
    uint32_t nodes, alias_nodes;
};

static int fail(struct loader *l, int code, yaml_mark_t at, const char *reason)
{
    return agw_error_set(l->err, code, "%zu:%zu: %s", at.line + 1, at.column + 1, reason);
}

static int out_of_memory(struct loader *l)
{
    return agw_error_set(l->err, AGW_ENOMEM, "0:0: %s", agw_err_text(AGW_ENOMEM));
}

static struct agw_str view(const yaml_char_t *p)
{
    return agw_str_c((const char *)p);
}

static int new_node(struct loader *l, enum agw_node_type type, yaml_mark_t at, struct agw_node **ret_node)
{
    struct agw_node *n = NULL;

    if (l->nodes >= AGW_YAML_MAX_NODES)
        return fail(l, AGW_ELIMIT, at, "too many values in one file");
    n = agw_arena_zalloc(l->arena, sizeof(*n));
    if (!n)
        return out_of_memory(l);
    l->nodes++;
    n->type = type;
    n->line = (uint32_t)at.line + 1;
    n->column = (uint32_t)at.column + 1;
    *ret_node = n;
    return 0;
}

static void append(struct agw_node *parent, struct agw_node *n)
{
    if (parent->last)
        parent->last->next = n;
    else
        parent->first = n;
    parent->last = n;
    parent->count++;
    n->parent = parent;
}

/* Puts a finished scalar or a list or map just begun where it belongs. */
static void place(struct loader *l, struct agw_node *n)
{
    struct frame *f;

    if (l->depth == 0) {
        append(l->docs, n);
        return;
    }
    f = &l->stack[l->depth - 1];
    if (f->node->type == AGW_NODE_MAP) {
        n->key = f->key;
        n->line = f->key_line;
        n->column = f->key_column;
        f->key = (struct agw_str){0};
    }
    append(f->node, n);
}

static bool key_expected(const struct loader *l)
{
    const struct frame *f = l->depth ? &l->stack[l->depth - 1] : NULL;

    return f && f->node->type == AGW_NODE_MAP && !f->key.p;
}

static int push(struct loader *l, struct agw_node *n, yaml_mark_t at)
{
    if (l->depth >= AGW_YAML_MAX_DEPTH)
        return fail(l, AGW_ELIMIT, at, "nested too deeply");
    l->stack[l->depth++] = (struct frame){.node = n};
    return 0;
}

static int add_anchor(struct loader *l, const yaml_char_t *name, struct agw_node *n, yaml_mark_t at)
{
    struct anchor *a;

    if (!name)
        return 0;
    if (l->anchor_count >= AGW_YAML_MAX_ANCHORS)
        return fail(l, AGW_ELIMIT, at, "too many anchors");
    a = &l->anchors[l->anchor_count];
    a->name = agw_arena_str(l->arena, view(name));
    if (!a->name.p)
        return out_of_memory(l);
    a->node = n;
    l->anchor_count++;
    return 0;
}

/* --- duplicate keys --- */

static int by_key_then_line(const void *a, const void *b)
{
    const struct agw_node *x = *(const struct agw_node *const *)a, *y = *(const struct agw_node *const *)b;
    int order = agw_str_cmp(x->key, y->key);

    return order ? order : (x->line > y->line) - (x->line < y->line);
}

static int check_keys(struct loader *l, const struct agw_node *map)
{
    const struct agw_node **sorted, *n;
    uint32_t i = 0;

    if (map->count < 2)
        return 0;
    sorted = agw_arena_alloc(l->arena, map->count * sizeof(const struct agw_node *));
    if (!sorted)
        return out_of_memory(l);
    agw_node_each (n, map)
        sorted[i++] = n;
    qsort(sorted, map->count, sizeof(const struct agw_node *), by_key_then_line);
    for (i = 1; i < map->count; i++) {
        if (agw_str_eq(sorted[i]->key, sorted[i - 1]->key))
            return agw_error_set(l->err, AGW_EINVAL, "%u:%u: the key \"%.*s\" is already set on line %u",
                                 sorted[i]->line, sorted[i]->column,
                                 (int)(sorted[i]->key.n > 64 ? 64 : sorted[i]->key.n), sorted[i]->key.p,
                                 sorted[i - 1]->line);
    }
    return 0;
}

/* --- events --- */

static int on_key(struct loader *l, const yaml_event_t *ev)
{
    struct frame *f = &l->stack[l->depth - 1];
    struct agw_str text = agw_str((const char *)ev->data.scalar.value, ev->data.scalar.length);

    if (ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && agw_str_eq(text, AGW_STR("<<")))
        return fail(l, AGW_EINVAL, ev->start_mark, "merge keys (<<) are not read; write the members out");
    if (ev->data.scalar.anchor)
        return fail(l, AGW_EINVAL, ev->start_mark, "an anchor on a key is not read");
    f->key = agw_arena_str(l->arena, text);
    if (!f->key.p)
        return out_of_memory(l);
    f->key_line = (uint32_t)ev->start_mark.line + 1;
    f->key_column = (uint32_t)ev->start_mark.column + 1;
    return 0;
}

static int on_value(struct loader *l, const yaml_event_t *ev)
{
    struct agw_str text = agw_str((const char *)ev->data.scalar.value, ev->data.scalar.length);
    enum agw_node_type type = AGW_NODE_STRING;
    struct agw_node *n = NULL;
    int64_t number = 0;
    int rc;

    if (ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && agw_yaml_scalar(text, &type, &number))
        return fail(l, AGW_EINVAL, ev->start_mark,
                    "a number with a leading zero means different things to different readers; quote it if "
                    "it is text");
    rc = new_node(l, type, ev->start_mark, &n);
    if (rc)
        return rc;
    n->number = number;
    n->text = agw_arena_str(l->arena, text);
    if (!n->text.p)
        return out_of_memory(l);
    place(l, n);
    return add_anchor(l, ev->data.scalar.anchor, n, ev->start_mark);
}

static int on_scalar(struct loader *l, const yaml_event_t *ev)
{
    if (ev->data.scalar.tag)
        return fail(l, AGW_EINVAL, ev->start_mark, "tags are not read");
    if (memchr(ev->data.scalar.value, 0, ev->data.scalar.length))
        return fail(l, AGW_EINVAL, ev->start_mark, "a NUL character in a string");
    return key_expected(l) ? on_key(l, ev) : on_value(l, ev);
}

static int on_begin(struct loader *l, const yaml_event_t *ev, enum agw_node_type type)
{
    bool map = type == AGW_NODE_MAP;
    struct agw_node *n = NULL;
    int rc;

    if (map ? ev->data.mapping_start.tag != NULL : ev->data.sequence_start.tag != NULL)
        return fail(l, AGW_EINVAL, ev->start_mark, "tags are not read");
    if (key_expected(l))
        return fail(l, AGW_EINVAL, ev->start_mark, "a key that is not a plain value");
    rc = new_node(l, type, ev->start_mark, &n);
    if (rc)
        return rc;
    place(l, n);
    rc = add_anchor(l, map ? ev->data.mapping_start.anchor : ev->data.sequence_start.anchor, n,
                    ev->start_mark);
    return rc ? rc : push(l, n, ev->start_mark);
}

static int on_end(struct loader *l)
{
    const struct agw_node *n = l->stack[--l->depth].node;

    return n->type == AGW_NODE_MAP ? check_keys(l, n) : 0;
}

/* --- aliases --- */

static struct agw_node *find_anchor(const struct loader *l, struct agw_str name)
{
    unsigned i = l->anchor_count;

    while (i-- > 0) { /* the latest of a name counts */
        if (agw_str_eq(l->anchors[i].name, name))
            return l->anchors[i].node;
    }
    return NULL;
}

static bool is_open(const struct loader *l, const struct agw_node *n)
{
    unsigned i;

    for (i = 0; i < l->depth; i++) {
        if (l->stack[i].node == n)
            return true;
    }
    return false;
}

/* Copies the subtree of |from|. The depth is bounded: each level of |from| was on the stack once, and aliases
 * inside it add at most what |level| allows. */
static int copy(struct loader *l, const struct agw_node *from, unsigned level, yaml_mark_t at,
                struct agw_node **ret_node)
{
    const struct agw_node *child;
    struct agw_node *n = NULL, *c;
    int rc;

    if (level > AGW_YAML_MAX_DEPTH)
        return fail(l, AGW_ELIMIT, at, "nested too deeply");
    if (l->alias_nodes++ >= AGW_YAML_MAX_ALIAS_NODES)
        return fail(l, AGW_ELIMIT, at, "aliases expand to too many values");
    rc = new_node(l, from->type, at, &n);
    if (rc)
        return rc;
    n->line = from->line;
    n->column = from->column;
    n->key = from->key;
    n->text = from->text;
    n->number = from->number;
    agw_node_each (child, from) {
        rc = copy(l, child, level + 1, at, &c);
        if (rc)
            return rc;
        append(n, c);
    }
    *ret_node = n;
    return 0;
}

static int on_alias(struct loader *l, const yaml_event_t *ev)
{
    struct agw_node *from = find_anchor(l, view(ev->data.alias.anchor)), *n;
    int rc;

    if (!from)
        return fail(l, AGW_EINVAL, ev->start_mark, "an alias to an anchor that does not exist");
    if (key_expected(l))
        return fail(l, AGW_EINVAL, ev->start_mark, "an alias as a key is not read");
    if (is_open(l, from))
        return fail(l, AGW_EINVAL, ev->start_mark, "an alias inside the value that it stands for");
    rc = copy(l, from, l->depth, ev->start_mark, &n);
    if (rc)
        return rc;
    n->key = (struct agw_str){0};
    place(l, n);
    return 0;
}

static int on_event(struct loader *l, const yaml_event_t *ev)
{
    switch (ev->type) {
    case YAML_DOCUMENT_START_EVENT:
        l->anchor_count = 0;
        return 0;
    case YAML_SCALAR_EVENT:
        return on_scalar(l, ev);
    case YAML_SEQUENCE_START_EVENT:
        return on_begin(l, ev, AGW_NODE_LIST);
    case YAML_MAPPING_START_EVENT:
        return on_begin(l, ev, AGW_NODE_MAP);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return on_end(l);
    case YAML_ALIAS_EVENT:
        return on_alias(l, ev);
    default:
        return 0;
    }
}

/* --- the stream --- */

static int parser_failed(struct loader *l, const yaml_parser_t *p)
{
    const char *problem = p->problem ? p->problem : "not YAML";

    if (p->error == YAML_MEMORY_ERROR)
        return out_of_memory(l);
    if (p->error == YAML_READER_ERROR)
        return agw_error_set(l->err, AGW_EINVAL, "%zu:%zu: %s (byte %zu of the file)", p->mark.line + 1,
                             p->mark.column + 1, problem, p->problem_offset);
    if (p->context)
        return agw_error_set(l->err, AGW_EINVAL, "%zu:%zu: %s %s", p->problem_mark.line + 1,
                             p->problem_mark.column + 1, problem, p->context);
    return fail(l, AGW_EINVAL, p->problem_mark, problem);
}

static int run(struct loader *l, yaml_parser_t *parser)
{
    yaml_event_t ev;
    bool end;
    int rc;

    do {
        if (!yaml_parser_parse(parser, &ev))
            return parser_failed(l, parser);
        end = ev.type == YAML_STREAM_END_EVENT;
        rc = on_event(l, &ev);
        yaml_event_delete(&ev);
    } while (!rc && !end);
    return rc;
}

/* An empty document is one plain empty scalar. */
static void drop_empty(struct agw_node *docs)
{
    struct agw_node *n = docs->first, *next;

    docs->first = docs->last = NULL;
    docs->count = 0;
    for (; n; n = next) {
        next = n->next;
        n->next = NULL;
        if (n->type != AGW_NODE_NULL)
            append(docs, n);
    }
}

int agw_yaml_load(struct agw_str text, struct agw_arena *arena, const struct agw_node **ret_docs,
                  struct agw_error *err)
{
    struct loader *l;
    yaml_parser_t parser;
    int rc;

    if (text.n > AGW_YAML_MAX_BYTES)
        return agw_error_set(err, AGW_ELIMIT, "1:1: larger than %u bytes", AGW_YAML_MAX_BYTES);
    l = calloc(1, sizeof(*l));
    if (!l)
        return agw_error_set(err, AGW_ENOMEM, "0:0: %s", agw_err_text(AGW_ENOMEM));
    l->arena = arena;
    l->err = err;
    if (!yaml_parser_initialize(&parser)) {
        rc = out_of_memory(l);
        goto out;
    }
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)(text.n ? text.p : ""), text.n);
    rc = new_node(l, AGW_NODE_LIST, (yaml_mark_t){0}, &l->docs);
    if (!rc)
        rc = run(l, &parser);
    if (!rc) {
        drop_empty(l->docs);
        *ret_docs = l->docs;
    }
    yaml_parser_delete(&parser);
out:
    free(l);
    return rc;
}
