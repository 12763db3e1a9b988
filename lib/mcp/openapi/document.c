/* The document as a tree: its version, references in it, where in it something stands. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "mcp/openapi/openapi_int.h"
#include "yaml/yaml.h"

#define POINTER_MAX 256 /* bytes of a pointer in an error's text */

/* --- where it stands --- */

static void put(char *out, size_t *at, struct agw_str s)
{
    for (size_t i = 0; i < s.n && *at + 3 < POINTER_MAX; i++) {
        char c = s.p[i];
        if (c == '~' || c == '/') {
            out[(*at)++] = '~';
            c = c == '~' ? '0' : '1';
        }
        out[(*at)++] = (unsigned char)c < 0x20 || c == 0x7f ? '?' : c;
    }
}

static void put_pointer(const struct agw_openapi_doc *d, const struct agw_node *n, char *out, size_t *at)
{
    if (!n || n == d->root)
        return;
    put_pointer(d, n->parent, out, at);
    if (*at + 3 < POINTER_MAX)
        out[(*at)++] = '/';
    if (n->parent && n->parent->type == AGW_NODE_LIST) {
        char number[16];
        unsigned i = 0;
        for (const struct agw_node *m = n->parent->first; m && m != n; m = m->next)
            i++;
        snprintf(number, sizeof number, "%u", i);
        put(out, at, agw_str_c(number));
    } else {
        put(out, at, n->key);
    }
}

int agw_openapi_error(const struct agw_openapi_doc *d, int code, const struct agw_node *n, const char *format,
                      ...)
{
    char pointer[POINTER_MAX], text[256];
    size_t at = 0;
    va_list args;
    put_pointer(d, n, pointer, &at);
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return agw_error_set(d->err, code, "#%.*s: %s", (int)at, pointer, text);
}

/* --- opening --- */

int agw_openapi_open(struct agw_openapi_doc *d, struct agw_str text)
{
    const struct agw_node *docs;
    if (text.n > AGW_OPENAPI_DOCUMENT_MAX)
        return agw_error_set(d->err, AGW_ELIMIT, "has %zu bytes, at most %u are read", text.n,
                             AGW_OPENAPI_DOCUMENT_MAX);
    int rc = agw_yaml_load(text, d->scratch, &docs, d->err);
    if (rc != 0)
        return rc;
    if (docs->count != 1 || docs->first->type != AGW_NODE_MAP)
        return agw_error_set(d->err, AGW_EINVAL, "#: must be one object");
    d->root = docs->first;
    struct agw_str version = agw_node_text(d->root, "openapi");
    d->v30 = agw_str_starts(version, AGW_STR("3.0."));
    if (d->v30 || agw_str_starts(version, AGW_STR("3.1.")))
        return 0;
    if (agw_node_get(d->root, "swagger"))
        return agw_error_set(d->err, AGW_EINVAL, "#/swagger: OpenAPI 3.0 and 3.1 are read, not 2.0");
    return agw_error_set(d->err, AGW_EINVAL,
                         "#/openapi: must be a version of 3.0 or 3.1, written as a string");
}

/* --- references --- */

static int hex(char c)
{
    return c >= '0' && c <= '9'                     ? c - '0'
           : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                    : -1;
}

/* One token of a pointer in a URI fragment: percent-decoded, then unescaped (RFC 6901 sections 4 and 6). */
static struct agw_str decode(struct agw_str s, char *out)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++, n++) {
        out[n] = s.p[i];
        if (s.p[i] == '%' && i + 2 < s.n && hex(s.p[i + 1]) >= 0 && hex(s.p[i + 2]) >= 0) {
            out[n] = (char)(hex(s.p[i + 1]) << 4 | hex(s.p[i + 2]));
            i += 2;
        }
    }
    size_t m = 0;
    for (size_t i = 0; i < n; i++, m++) {
        bool escape = out[i] == '~' && i + 1 < n && (out[i + 1] == '0' || out[i + 1] == '1');
        out[m] = !escape ? out[i] : out[i + 1] == '0' ? '~' : '/';
        i += escape;
    }
    return agw_str(out, m);
}

static const struct agw_node *child(const struct agw_node *n, struct agw_str token)
{
    const struct agw_node *m;
    uint64_t index, i = 0;
    if (n->type == AGW_NODE_LIST && agw_str_u64(token, &index) != 0)
        return NULL;
    agw_node_each (m, n) {
        if (n->type == AGW_NODE_LIST ? i++ == index : agw_str_eq(m->key, token))
            return m;
    }
    return NULL;
}

int agw_openapi_resolve(const struct agw_openapi_doc *d, const struct agw_node *ref,
                        const struct agw_node **ret_node)
{
    const struct agw_node *n = d->root;
    if (ref->type != AGW_NODE_STRING || !agw_str_starts(ref->text, AGW_STR("#")) ||
        (ref->text.n > 1 && ref->text.p[1] != '/'))
        return agw_openapi_error(d, AGW_EINVAL, ref, "must begin with #/: other documents are not fetched");
    char *buffer = agw_arena_alloc(d->scratch, ref->text.n);
    struct agw_str rest = agw_str_from(ref->text, 1);
    if (!buffer)
        return AGW_ENOMEM;
    while (n && rest.n > 0) {
        rest = agw_str_from(rest, 1); /* the slash */
        ptrdiff_t slash = agw_str_find(rest, '/');
        struct agw_str token = agw_str(rest.p, slash < 0 ? rest.n : (size_t)slash);
        rest = agw_str_from(rest, token.n);
        n = child(n, decode(token, buffer));
    }
    if (!n)
        return agw_openapi_error(d, AGW_EINVAL, ref, "%.*s names nothing in the document",
                                 (int)(ref->text.n < 150 ? ref->text.n : 150), ref->text.p);
    *ret_node = n;
    return 0;
}

int agw_openapi_follow(const struct agw_openapi_doc *d, const struct agw_node **node)
{
    const struct agw_node *n = *node, *ref;
    for (unsigned hops = 0; (ref = agw_node_get(n, "$ref")); hops++) {
        if (hops == AGW_OPENAPI_HOPS_MAX)
            return agw_openapi_error(d, AGW_EINVAL, *node, "leads over more than %d references",
                                     AGW_OPENAPI_HOPS_MAX);
        int rc = agw_openapi_resolve(d, ref, &n);
        if (rc != 0)
            return rc;
    }
    *node = n;
    return 0;
}

/* --- values --- */

static void write_number(struct agw_json_writer *w, const struct agw_node *n)
{
    char *end;
    double v = strtod(n->text.p, &end);
    if (*end)
        agw_json_null(w); /* YAML's .inf and .nan, which JSON has no words for */
    else
        agw_json_double(w, v);
}

void agw_openapi_write_value(struct agw_json_writer *w, const struct agw_node *n)
{
    const struct agw_node *m;
    switch (n->type) {
    case AGW_NODE_NULL:
        agw_json_null(w);
        return;
    case AGW_NODE_BOOL:
        agw_json_bool(w, n->number != 0);
        return;
    case AGW_NODE_INT:
        agw_json_int(w, n->number);
        return;
    case AGW_NODE_FLOAT:
        write_number(w, n);
        return;
    case AGW_NODE_STRING:
        agw_json_string(w, n->text);
        return;
    case AGW_NODE_LIST:
        agw_json_begin_array(w);
        agw_node_each (m, n)
            agw_openapi_write_value(w, m);
        agw_json_end_array(w);
        return;
    case AGW_NODE_MAP:
        agw_json_begin_object(w);
        agw_node_each (m, n) {
            agw_json_key(w, m->key);
            agw_openapi_write_value(w, m);
        }
        agw_json_end_object(w);
        return;
    }
}
