#include "policy/auth/condition_int.h"

#include "json/pointer.h"

/* CEL's error is a third value of a test; the fourth ends everything. */
enum truth { NO, YES, ERROR, NO_MEMORY };

struct evaluation {
    const struct agw_caller *caller;
    const struct agw_mcp_access *access;
    struct agw_arena arena; /* claims with escapes; empty without */
};

/* What a reference stands for now: a text, or a claim that is something else. */
struct found {
    bool there, failed;
    struct agw_str text; /* p NULL: not a text */
    uint32_t token;      /* of a claim */
};

static struct found find_claim(struct evaluation *e, const struct condition_value *v)
{
    const struct agw_json_doc *doc = e->caller->claims;
    struct found f = {0};
    uint32_t at = 0;
    if (!doc)
        return f;
    for (const struct condition_name *name = v->path; name; name = name->next)
        if ((at = agw_json_get(doc, at, name->text)) == 0)
            return f;
    f.there = true;
    f.token = at;
    if (agw_json_type(doc, at) == AGW_JSON_STRING)
        f.failed = agw_json_unescape(doc, at, &e->arena, &f.text) != 0;
    return f;
}

/* Two fields of one name have no one value: as if none were there. */
static struct found find_header(const struct evaluation *e, const struct condition_value *v)
{
    struct found f = {0};
    const struct agw_headers *h = &e->caller->req->headers;
    for (uint32_t i = 0; i < h->n; i++) {
        if (!agw_str_eq(h->v[i].name, v->text))
            continue;
        if (f.there)
            return (struct found){0};
        f = (struct found){.there = true, .text = h->v[i].value};
    }
    if (f.there && !f.text.p)
        f.text = AGW_STR("");
    return f;
}

static struct found find(struct evaluation *e, const struct condition_value *v)
{
    const struct agw_mcp_access *a = e->access;
    switch (v->source) {
    case CONDITION_TEXT:
        return (struct found){.there = true, .text = v->text};
    case CONDITION_OBJECT:
        if (a->object != v->object)
            return (struct found){0};
        return (struct found){.there = true, .text = v->part == CONDITION_TARGET ? a->target : a->name};
    case CONDITION_CLAIM:
        return find_claim(e, v);
    case CONDITION_HEADER:
        return find_header(e, v);
    }
    return (struct found){0};
}

static enum truth is(bool yes)
{
    return yes ? YES : NO;
}

/* Of different types two values differ. */
static enum truth equal(const struct found *a, const struct found *b)
{
    return is(a->text.p && b->text.p && agw_str_eq(a->text, b->text));
}

static enum truth in_list(const struct found *f, const struct condition_name *list)
{
    for (; list; list = list->next)
        if (f->text.p && agw_str_eq(f->text, list->text))
            return YES;
    return NO;
}

static enum truth in_claim(const struct evaluation *e, const struct found *f, const struct found *list)
{
    const struct agw_json_doc *doc = e->caller->claims;
    if (agw_json_type(doc, list->token) != AGW_JSON_ARRAY)
        return ERROR;
    agw_json_each_item(doc, list->token, item)
    {
        if (f->text.p && agw_json_type(doc, item) == AGW_JSON_STRING && agw_json_is(doc, item, f->text))
            return YES;
    }
    return NO;
}

static enum truth test(struct evaluation *e, const struct agw_condition *c)
{
    struct found left = find(e, &c->left), right = find(e, &c->right);
    enum truth same;
    if (left.failed || right.failed)
        return NO_MEMORY;
    if (c->op == CONDITION_HAS)
        return is(left.there);
    if (!left.there || !right.there)
        return ERROR;
    switch (c->op) {
    case CONDITION_EQUAL:
        return equal(&left, &right);
    case CONDITION_DIFFERS:
        same = equal(&left, &right);
        return is(same == NO);
    case CONDITION_IN_LIST:
        return in_list(&left, c->list);
    case CONDITION_IN_VALUE:
        return in_claim(e, &left, &right);
    case CONDITION_STARTS:
        return left.text.p ? is(agw_str_starts(left.text, right.text)) : ERROR;
    case CONDITION_ENDS:
        return left.text.p ? is(agw_str_ends(left.text, right.text)) : ERROR;
    case CONDITION_CONTAINS:
        return left.text.p ? is(agw_str_search(left.text, right.text) >= 0) : ERROR;
    default:
        return ERROR;
    }
}

static enum truth evaluate(struct evaluation *e, const struct agw_condition *c);

/* "||" and "&&": the value that decides, wherever it stands; else an error, if there was one. */
static enum truth join(struct evaluation *e, const struct agw_condition *c, enum truth decides,
                       enum truth other)
{
    enum truth all = other;
    for (const struct agw_condition *part = c->first; part; part = part->next) {
        enum truth t = evaluate(e, part);
        if (t == decides || t == NO_MEMORY)
            return t;
        if (t == ERROR)
            all = ERROR;
    }
    return all;
}

static enum truth evaluate(struct evaluation *e, const struct agw_condition *c)
{
    enum truth t;
    switch (c->op) {
    case CONDITION_OR:
        return join(e, c, YES, NO);
    case CONDITION_AND:
        return join(e, c, NO, YES);
    case CONDITION_NOT:
        t = evaluate(e, c->first);
        return t == YES ? NO : t == NO ? YES : t;
    case CONDITION_TRUE:
        return YES;
    case CONDITION_FALSE:
        return NO;
    default:
        return test(e, c);
    }
}

enum agw_rule_answer agw_condition_holds(const struct agw_condition *c, const struct agw_caller *caller,
                                         const struct agw_mcp_access *access)
{
    struct evaluation e = {.caller = caller, .access = access};
    agw_arena_init(&e.arena, 0, 0);
    enum truth t = evaluate(&e, c);
    agw_arena_free(&e.arena);
    return t == YES ? AGW_RULE_YES : t == NO_MEMORY ? AGW_RULE_FAILED : AGW_RULE_NO;
}
