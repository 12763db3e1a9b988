#include "policy/auth/condition_int.h"

#include <string.h>
#include "base/check.h"

struct parser {
    struct agw_str text;
    size_t at;
    unsigned depth;
    struct agw_arena *arena;
    struct agw_error *err;
};

static int fail(struct parser *p, const char *what)
{
    return agw_error_set(p->err, AGW_EINVAL, "at %zu: %s", p->at + 1, what);
}

static int no_memory(struct parser *p)
{
    return agw_error_set(p->err, AGW_ENOMEM, "out of memory");
}

/* --- tokens --- */

static bool is_letter(char c)
{
    return ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '_';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static void skip_space(struct parser *p)
{
    while (p->at < p->text.n && memchr(" \t\r\n", p->text.p[p->at], 4))
        p->at++;
}

/* Takes |symbol| if it comes next. */
static bool take(struct parser *p, const char *symbol)
{
    skip_space(p);
    if (!agw_str_starts(agw_str_from(p->text, p->at), agw_str_c(symbol)))
        return false;
    p->at += strlen(symbol);
    return true;
}

/* The word that comes next, not taken; empty: none does. */
static struct agw_str peek_word(struct parser *p)
{
    skip_space(p);
    size_t end = p->at;
    while (end < p->text.n && (is_letter(p->text.p[end]) || (end > p->at && is_digit(p->text.p[end]))))
        end++;
    return agw_str(p->text.p + p->at, end - p->at);
}

static bool take_word(struct parser *p, const char *word)
{
    struct agw_str found = peek_word(p);
    if (!agw_str_eq(found, agw_str_c(word)))
        return false;
    p->at += found.n;
    return true;
}

static bool at_string(struct parser *p)
{
    skip_space(p);
    return p->at < p->text.n && (p->text.p[p->at] == '"' || p->text.p[p->at] == '\'');
}

static int string(struct parser *p, struct agw_str *ret)
{
    if (!at_string(p))
        return fail(p, "a string must stand here");
    char quote = p->text.p[p->at], *out = agw_arena_alloc(p->arena, p->text.n - p->at);
    size_t n = 0;
    if (!out)
        return no_memory(p);
    for (p->at++; p->at < p->text.n && p->text.p[p->at] != quote; p->at++) {
        char c = p->text.p[p->at];
        if (c == '\\' && ++p->at < p->text.n) {
            c = p->text.p[p->at];
            if (c != '\\' && c != '"' && c != '\'')
                return fail(p, "of the escapes \\\\, \\\" and \\' alone are served");
        } else if ((unsigned char)c < 0x20) {
            return fail(p, "control characters must not stand in a string");
        }
        out[n++] = c;
    }
    if (p->at >= p->text.n)
        return fail(p, "the string does not end");
    p->at++;
    *ret = agw_str(out, n);
    return 0;
}

/* --- references --- */

static int object(struct parser *p, struct condition_value *v)
{
    static const char *const names[] = {
        [AGW_MCP_TOOL] = "tool", [AGW_MCP_PROMPT] = "prompt", [AGW_MCP_RESOURCE] = "resource"};
    size_t i = 0;
    if (!take(p, "."))
        return fail(p, "mcp.tool, mcp.prompt or mcp.resource must stand here");
    while (i < AGW_ARRAY_LEN(names) && !take_word(p, names[i]))
        i++;
    if (i == AGW_ARRAY_LEN(names))
        return fail(p, "of mcp only tool, prompt and resource are served");
    v->source = CONDITION_OBJECT;
    v->object = (enum agw_mcp_object)i;
    size_t before = p->at;
    if (!take(p, "."))
        return 0;
    if (take_word(p, "name"))
        v->part = CONDITION_NAME;
    else if (take_word(p, "target"))
        v->part = CONDITION_TARGET;
    else {
        p->at = before;
        return fail(p, "only .name and .target of it are served");
    }
    return 0;
}

static bool is_method(struct agw_str word)
{
    return agw_str_eq(word, AGW_STR("startsWith")) || agw_str_eq(word, AGW_STR("endsWith")) ||
           agw_str_eq(word, AGW_STR("contains"));
}

/* One more name of a claim's path. 1: there is none. */
static int claim_name(struct parser *p, struct agw_str *ret)
{
    size_t before = p->at;
    if (take(p, "[")) {
        int code = string(p, ret);
        return code ? code : take(p, "]") ? 0 : fail(p, "] must stand here");
    }
    if (!take(p, "."))
        return 1;
    struct agw_str word = peek_word(p);
    if (is_method(word)) {
        p->at = before;
        return 1;
    }
    if (word.n == 0)
        return fail(p, "a name must stand here");
    p->at += word.n;
    *ret = word;
    return 0;
}

/* Names are copied: the condition outlives its text. */
static int add_name(struct parser *p, struct condition_name ***end, struct agw_str text)
{
    struct condition_name *name = agw_arena_zalloc(p->arena, sizeof *name);
    if (!name || !(name->text = agw_arena_str(p->arena, text)).p)
        return no_memory(p);
    **end = name;
    *end = &name->next;
    return 0;
}

static int claim(struct parser *p, struct condition_value *v)
{
    struct condition_name **end = &v->path;
    struct agw_str name;
    int code;
    v->source = CONDITION_CLAIM;
    while ((code = claim_name(p, &name)) == 0)
        if ((code = add_name(p, &end, name)) != 0)
            return code;
    if (code < 0)
        return code;
    return v->path ? 0 : fail(p, "jwt needs the name of a claim");
}

static int header(struct parser *p, struct condition_value *v)
{
    v->source = CONDITION_HEADER;
    if (!take(p, ".") || !take_word(p, "headers") || !take(p, "["))
        return fail(p, "of request only request.headers[\"name\"] is served");
    int code = string(p, &v->text);
    if (code)
        return code;
    if (!agw_header_name_valid(v->text))
        return fail(p, "the string is no name of a header field");
    v->text = agw_arena_lower(p->arena, v->text);
    if (!v->text.p)
        return no_memory(p);
    return take(p, "]") ? 0 : fail(p, "] must stand here");
}

static int value(struct parser *p, struct condition_value *v)
{
    *v = (struct condition_value){0};
    if (at_string(p))
        return string(p, &v->text);
    if (take_word(p, "mcp"))
        return object(p, v);
    if (take_word(p, "jwt"))
        return claim(p, v);
    if (take_word(p, "request"))
        return header(p, v);
    return fail(p, "a string, mcp, jwt or request must stand here");
}

/* What can be compared: not mcp.tool as a whole. */
static int text_value(struct parser *p, struct condition_value *v)
{
    int code = value(p, v);
    if (code == 0 && v->source == CONDITION_OBJECT && v->part == CONDITION_WHOLE)
        return fail(p, ".name or .target must stand here");
    return code;
}

/* --- tests --- */

static struct agw_condition *new_node(struct parser *p, enum condition_op op)
{
    struct agw_condition *c = agw_arena_zalloc(p->arena, sizeof *c);
    if (c)
        c->op = op;
    else
        no_memory(p);
    return c;
}

static int list(struct parser *p, struct agw_condition *c)
{
    struct condition_name **end = &c->list;
    struct agw_str text;
    c->op = CONDITION_IN_LIST;
    do {
        int code = string(p, &text);
        if (code == 0)
            code = add_name(p, &end, text);
        if (code)
            return code;
    } while (take(p, ","));
    return take(p, "]") ? 0 : fail(p, "a comma or ] must stand here");
}

static int member(struct parser *p, struct agw_condition *c)
{
    if (take(p, "["))
        return list(p, c);
    c->op = CONDITION_IN_VALUE;
    int code = text_value(p, &c->right);
    if (code == 0 && c->right.source != CONDITION_CLAIM)
        return fail(p, "a list or a claim must stand after in");
    return code;
}

static int method(struct parser *p, struct agw_condition *c)
{
    if (take_word(p, "startsWith"))
        c->op = CONDITION_STARTS;
    else if (take_word(p, "endsWith"))
        c->op = CONDITION_ENDS;
    else if (take_word(p, "contains"))
        c->op = CONDITION_CONTAINS;
    else
        return fail(p, "only startsWith, endsWith and contains are served");
    if (!take(p, "("))
        return fail(p, "( must stand here");
    int code = string(p, &c->right.text);
    return code ? code : take(p, ")") ? 0 : fail(p, ") must stand here");
}

static int comparison(struct parser *p, struct agw_condition *c)
{
    int code = text_value(p, &c->left);
    if (code)
        return code;
    if (take(p, "=="))
        c->op = CONDITION_EQUAL;
    else if (take(p, "!="))
        c->op = CONDITION_DIFFERS;
    else if (take_word(p, "in"))
        return member(p, c);
    else if (take(p, "."))
        return method(p, c);
    else
        return fail(p, "==, !=, in or a method must stand here");
    return text_value(p, &c->right);
}

static int has(struct parser *p, struct agw_condition *c)
{
    c->op = CONDITION_HAS;
    if (!take(p, "("))
        return fail(p, "( must stand here");
    int code = value(p, &c->left);
    if (code)
        return code;
    if (c->left.source != CONDITION_OBJECT && c->left.source != CONDITION_CLAIM)
        return fail(p, "has serves mcp and jwt alone");
    return take(p, ")") ? 0 : fail(p, ") must stand here");
}

static int any_of(struct parser *p, struct agw_condition **ret);

static int nested(struct parser *p, struct agw_condition **ret)
{
    int code = any_of(p, ret);
    return code ? code : take(p, ")") ? 0 : fail(p, ") must stand here");
}

static bool at_not(struct parser *p)
{
    skip_space(p);
    return p->at < p->text.n && p->text.p[p->at] == '!';
}

static int one(struct parser *p, struct agw_condition **ret)
{
    bool parenthesis = false;
    if (p->depth == AGW_CONDITION_DEPTH)
        return agw_error_set(p->err, AGW_ELIMIT, "at %zu: more than %d levels deep", p->at + 1,
                             AGW_CONDITION_DEPTH);
    p->depth++;
    int code = 0;
    if (!at_not(p) && (parenthesis = take(p, "("))) {
        code = nested(p, ret);
    } else {
        struct agw_condition *c = *ret = new_node(p, CONDITION_NOT);
        if (!c)
            return AGW_ENOMEM;
        if (take(p, "!"))
            code = one(p, &c->first);
        else if (take_word(p, "true"))
            c->op = CONDITION_TRUE;
        else if (take_word(p, "false"))
            c->op = CONDITION_FALSE;
        else if (take_word(p, "has"))
            code = has(p, c);
        else
            code = comparison(p, c);
    }
    p->depth--;
    return code;
}

static int all_of(struct parser *p, struct agw_condition **ret)
{
    struct agw_condition *c = *ret = new_node(p, CONDITION_AND);
    struct agw_condition **end = c ? &c->first : NULL;
    if (!c)
        return AGW_ENOMEM;
    do {
        int code = one(p, end);
        if (code)
            return code;
        end = &(*end)->next;
    } while (take(p, "&&"));
    return 0;
}

static int any_of(struct parser *p, struct agw_condition **ret)
{
    struct agw_condition *c = *ret = new_node(p, CONDITION_OR);
    struct agw_condition **end = c ? &c->first : NULL;
    if (!c)
        return AGW_ENOMEM;
    do {
        int code = all_of(p, end);
        if (code)
            return code;
        end = &(*end)->next;
    } while (take(p, "||"));
    return 0;
}

int agw_condition_parse(struct agw_str text, struct agw_arena *arena,
                        const struct agw_condition **ret_condition, struct agw_error *err)
{
    struct parser p = {.text = text, .arena = arena, .err = err};
    struct agw_condition *c;
    if (text.n > AGW_CONDITION_MAX)
        return agw_error_set(err, AGW_ELIMIT, "longer than %d bytes", AGW_CONDITION_MAX);
    int code = any_of(&p, &c);
    skip_space(&p);
    if (code == 0 && p.at < text.n)
        code = fail(&p, "the condition should end here, or go on with && or ||");
    if (code == 0)
        *ret_condition = c;
    return code;
}
