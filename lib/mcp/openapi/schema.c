/* Schemas: OpenAPI 3.0's dialect and 3.1's become JSON Schema 2020-12 that stands alone. What is referred to
 * anywhere in the document comes along as $defs, so circles stay circles. */
#include <stdlib.h>
#include "base/check.h"
#include "mcp/openapi/openapi_int.h"

enum kind { ANY, TEXT, BOOL, NUMBER, COUNT, TYPE, TEXTS, LIST, SCHEMA, SCHEMAS, SCHEMA_MAP, TEXTS_MAP };

/* What goes on, and what it must be. Other keywords are about documentation and code, not about values. */
static const struct {
    const char *name;
    enum kind kind;
} keywords[] = {
    {"title", TEXT},
    {"description", TEXT},
    {"default", ANY},
    {"examples", LIST},
    {"deprecated", BOOL},
    {"readOnly", BOOL},
    {"writeOnly", BOOL},
    {"enum", LIST},
    {"const", ANY},
    {"multipleOf", NUMBER},
    {"minLength", COUNT},
    {"maxLength", COUNT},
    {"pattern", TEXT},
    {"format", TEXT},
    {"items", SCHEMA},
    {"prefixItems", SCHEMAS},
    {"contains", SCHEMA},
    {"minContains", COUNT},
    {"maxContains", COUNT},
    {"minItems", COUNT},
    {"maxItems", COUNT},
    {"uniqueItems", BOOL},
    {"properties", SCHEMA_MAP},
    {"patternProperties", SCHEMA_MAP},
    {"required", TEXTS},
    {"propertyNames", SCHEMA},
    {"additionalProperties", SCHEMA},
    {"minProperties", COUNT},
    {"maxProperties", COUNT},
    {"unevaluatedItems", SCHEMA},
    {"allOf", SCHEMAS},
    {"anyOf", SCHEMAS},
    {"unevaluatedProperties", SCHEMA},
    {"oneOf", SCHEMAS},
    {"not", SCHEMA},
    {"dependentSchemas", SCHEMA_MAP},
    {"if", SCHEMA},
    {"then", SCHEMA},
    {"dependentRequired", TEXTS_MAP},
    {"else", SCHEMA},
    {"contentEncoding", TEXT},
    {"contentMediaType", TEXT},
    {"minimum", NUMBER},
    {"maximum", NUMBER},
    {"exclusiveMinimum", NUMBER},
    {"type", TYPE},
    {"$comment", TEXT},
    {"exclusiveMaximum", NUMBER},
};

static bool is_type(const struct agw_node *n)
{
    static const char *const types[] = {"null", "boolean", "object", "array", "number", "string", "integer"};
    for (size_t i = 0; i < AGW_ARRAY_LEN(types); i++)
        if (n->type == AGW_NODE_STRING && agw_str_eq(n->text, agw_str_c(types[i])))
            return true;
    /* "null" unquoted in YAML */
    return n->type == AGW_NODE_NULL && agw_str_eq(n->text, AGW_STR("null"));
}

static bool all(const struct agw_node *list, bool (*is)(const struct agw_node *), bool some)
{
    const struct agw_node *n, *m;
    if (list->type != AGW_NODE_LIST || (some && list->count == 0))
        return false;
    agw_node_each (n, list) {
        if (!is(n))
            return false;
        agw_node_each (m, list) {
            if (m == n)
                break;
            if (agw_str_eq(m->text, n->text))
                return false;
        }
    }
    return true;
}

static bool is_text(const struct agw_node *n)
{
    return n->type == AGW_NODE_STRING;
}

static bool is_texts_map(const struct agw_node *n)
{
    const struct agw_node *m;
    agw_node_each (m, n)
        if (!all(m, is_text, false))
            return false;
    return n->type == AGW_NODE_MAP;
}

static bool fits(const struct agw_node *n, enum kind kind)
{
    bool whole = n->type == AGW_NODE_INT, map = n->type == AGW_NODE_MAP;
    switch (kind) {
    case ANY:
        return true;
    case TEXT:
        return is_text(n);
    case BOOL:
        return n->type == AGW_NODE_BOOL;
    case NUMBER:
        return whole || n->type == AGW_NODE_FLOAT;
    case COUNT:
        return whole && n->number >= 0;
    case TYPE:
        return is_type(n) || all(n, is_type, true);
    case TEXTS:
        return all(n, is_text, false);
    case LIST:
        return n->type == AGW_NODE_LIST;
    case SCHEMA:
        return map || n->type == AGW_NODE_BOOL;
    case SCHEMAS:
        return n->type == AGW_NODE_LIST && n->count > 0;
    case SCHEMA_MAP:
        return map;
    case TEXTS_MAP:
        return is_texts_map(n);
    }
    return false;
}

static const char *what(enum kind kind)
{
    static const char *const names[] = {
        [ANY] = "a value",
        [TEXT] = "a string",
        [BOOL] = "true or false",
        [NUMBER] = "a number",
        [COUNT] = "a whole number, not below 0",
        [TYPE] = "a type of JSON Schema, or a list of different ones",
        [TEXTS] = "a list of different strings",
        [LIST] = "a list",
        [SCHEMA] = "a schema",
        [SCHEMAS] = "a list of schemas that is not empty",
        [SCHEMA_MAP] = "an object of schemas",
        [TEXTS_MAP] = "an object of lists of strings",
    };
    return names[kind];
}

/* --- references --- */

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
}

static bool is_taken(const struct agw_openapi_defs *defs, struct agw_str name)
{
    for (uint32_t i = 0; i < defs->count; i++)
        if (agw_str_eq(defs->names[i], name))
            return true;
    return false;
}

/* The last part of the pointer as it is readable; with a number if another has that name. */
static struct agw_str name_of(const struct agw_openapi_defs *defs, struct agw_str ref)
{
    struct agw_arena *arena = defs->doc->scratch;
    size_t from = ref.n;
    while (from > 0 && ref.p[from - 1] != '/' && ref.p[from - 1] != '#')
        from--;
    char *text = agw_arena_alloc(arena, ref.n - from + 1);
    if (!text)
        return agw_str(NULL, 0);
    for (size_t i = from; i < ref.n; i++)
        text[i - from] = is_plain(ref.p[i]) ? ref.p[i] : '_';
    struct agw_str name = agw_str(text, ref.n - from);
    return name.n && !is_taken(defs, name)
               ? name
               : agw_arena_printf(arena, "%.*s.%u", AGW_STRF(name), defs->count + 1);
}

static int write_ref(struct agw_openapi_defs *defs, const struct agw_node *ref)
{
    const struct agw_node *to;
    uint32_t i = 0;
    int rc = agw_openapi_resolve(defs->doc, ref, &to);
    if (rc != 0)
        return rc;
    while (i < defs->count && defs->v[i] != to)
        i++;
    if (i == AGW_OPENAPI_REFS_MAX)
        return agw_openapi_error(defs->doc, AGW_ELIMIT, ref, "a tool refers to more than %d schemas",
                                 AGW_OPENAPI_REFS_MAX);
    if (i == defs->count) {
        defs->names[i] = name_of(defs, ref->text);
        if (!defs->names[i].p)
            return AGW_ENOMEM;
        defs->v[i] = to;
        defs->count++;
    }
    struct agw_str parts[] = {AGW_STR("#/$defs/"), defs->names[i]};
    struct agw_str text = agw_arena_join(defs->doc->scratch, parts, 2);
    if (!text.p)
        return AGW_ENOMEM;
    agw_json_put_string(defs->w, "$ref", text);
    return 0;
}

int agw_openapi_schema_defs(struct agw_openapi_defs *defs)
{
    int rc = 0;
    if (defs->count == 0)
        return 0;
    agw_json_key(defs->w, AGW_STR("$defs"));
    agw_json_begin_object(defs->w);
    for (uint32_t i = 0; rc == 0 && i < defs->count; i++) { /* it grows on the way */
        agw_json_key(defs->w, defs->names[i]);
        rc = agw_openapi_schema(defs, defs->v[i], NULL);
    }
    if (rc == 0)
        agw_json_end_object(defs->w);
    return rc;
}

/* --- keywords --- */

static bool is_true(const struct agw_node *schema, const char *name)
{
    const struct agw_node *n = agw_node_get(schema, name);
    return n && n->type == AGW_NODE_BOOL && n->number;
}

static bool is_nullable(const struct agw_openapi_defs *defs, const struct agw_node *schema)
{
    const struct agw_node *type = agw_node_get(schema, "type");
    return defs->doc->v30 && type && is_true(schema, "nullable");
}

static void write_type(struct agw_openapi_defs *defs, const struct agw_node *n, bool nullable)
{
    const struct agw_node *m, *first = n->type == AGW_NODE_LIST ? n->first : n;
    bool list = n->type == AGW_NODE_LIST || nullable;
    if (list)
        agw_json_begin_array(defs->w);
    for (m = first; m; m = n->type == AGW_NODE_LIST ? m->next : NULL) {
        nullable &= !agw_str_eq(m->text, AGW_STR("null"));
        agw_json_string(defs->w, m->text);
    }
    if (nullable)
        agw_json_string(defs->w, AGW_STR("null"));
    if (list)
        agw_json_end_array(defs->w);
}

/* 3.0 (section 4.7.24.1, "nullable"): null must be among the values, too; people forget it. */
static void write_enum(struct agw_openapi_defs *defs, const struct agw_node *n, bool nullable)
{
    const struct agw_node *m;
    agw_json_begin_array(defs->w);
    agw_node_each (m, n) {
        nullable &= m->type != AGW_NODE_NULL;
        agw_openapi_write_value(defs->w, m);
    }
    if (nullable)
        agw_json_null(defs->w);
    agw_json_end_array(defs->w);
}

static int write_each(struct agw_openapi_defs *defs, const struct agw_node *n, enum kind kind)
{
    const struct agw_node *m;
    bool list = kind == SCHEMAS;
    int rc = 0;
    (list ? agw_json_begin_array : agw_json_begin_object)(defs->w);
    for (m = n->first; m && rc == 0; m = m->next) {
        if (!list)
            agw_json_key(defs->w, m->key);
        rc = agw_openapi_schema(defs, m, NULL);
    }
    if (rc == 0)
        (list ? agw_json_end_array : agw_json_end_object)(defs->w);
    return rc;
}

/* 3.0: exclusiveMinimum and exclusiveMaximum are signs beside minimum and maximum. True: |n| is dealt with.
 */
static bool write_bound(struct agw_openapi_defs *defs, const struct agw_node *schema,
                        const struct agw_node *n)
{
    bool min = agw_str_eq(n->key, AGW_STR("minimum")), max = agw_str_eq(n->key, AGW_STR("maximum"));
    bool exclusive = agw_str_starts(n->key, AGW_STR("exclusiveM"));
    if (!defs->doc->v30 || !(min || max || exclusive))
        return false;
    if (exclusive)
        return n->type == AGW_NODE_BOOL;
    if (!is_true(schema, min ? "exclusiveMinimum" : "exclusiveMaximum") || !fits(n, NUMBER))
        return false;
    agw_json_key(defs->w, min ? AGW_STR("exclusiveMinimum") : AGW_STR("exclusiveMaximum"));
    agw_openapi_write_value(defs->w, n);
    return true;
}

static int write_keyword(struct agw_openapi_defs *defs, const struct agw_node *schema,
                         const struct agw_node *n, enum kind kind)
{
    bool nullable = is_nullable(defs, schema);
    if (write_bound(defs, schema, n))
        return 0;
    if (agw_str_eq(n->key, AGW_STR("examples")) && !fits(n, kind))
        return 0; /* often a map, as of parameters; no harm is done without them */
    if (!fits(n, kind))
        return agw_openapi_error(defs->doc, AGW_EINVAL, n, "must be %s", what(kind));
    if (agw_str_eq(n->key, AGW_STR("multipleOf")) && (n->text.p[0] == '-' || strtod(n->text.p, NULL) <= 0))
        return agw_openapi_error(defs->doc, AGW_EINVAL, n, "must be above 0");
    agw_json_key(defs->w, n->key);
    if (kind == SCHEMA)
        return agw_openapi_schema(defs, n, NULL);
    if (kind == SCHEMAS || kind == SCHEMA_MAP)
        return write_each(defs, n, kind);
    if (kind == TYPE)
        write_type(defs, n, nullable);
    else if (agw_str_eq(n->key, AGW_STR("enum")))
        write_enum(defs, n, nullable);
    else
        agw_openapi_write_value(defs->w, n);
    return 0;
}

static int write_member(struct agw_openapi_defs *defs, const struct agw_node *schema,
                        const struct agw_node *n)
{
    if (agw_str_eq(n->key, AGW_STR("$dynamicRef")) || agw_str_eq(n->key, AGW_STR("$recursiveRef")))
        return agw_openapi_error(defs->doc, AGW_EINVAL, n, "is not supported, use $ref");
    for (size_t i = 0; i < AGW_ARRAY_LEN(keywords); i++)
        if (agw_str_eq(n->key, agw_str_c(keywords[i].name)))
            return write_keyword(defs, schema, n, keywords[i].kind);
    if (agw_str_eq(n->key, AGW_STR("example")) && !agw_node_get(schema, "examples")) {
        agw_json_key(defs->w, AGW_STR("examples"));
        agw_json_begin_array(defs->w);
        agw_openapi_write_value(defs->w, n);
        agw_json_end_array(defs->w);
    }
    return 0;
}

int agw_openapi_schema_members(struct agw_openapi_defs *defs, const struct agw_node *schema,
                               const struct agw_node *description)
{
    const struct agw_node *n, *ref = agw_node_get(schema, "$ref");
    int rc = ref ? write_ref(defs, ref) : 0;
    bool described = false;
    /* 3.0 (section 4.7.23): what stands beside a $ref does not count. */
    for (n = ref && defs->doc->v30 ? NULL : schema->first; n && rc == 0; n = n->next) {
        described |= agw_str_eq(n->key, AGW_STR("description"));
        rc = write_member(defs, schema, n);
    }
    if (rc == 0 && !described && description && description->type == AGW_NODE_STRING)
        agw_json_put_string(defs->w, "description", description->text);
    return rc;
}

int agw_openapi_schema(struct agw_openapi_defs *defs, const struct agw_node *schema,
                       const struct agw_node *description)
{
    if (schema->type == AGW_NODE_BOOL) {
        agw_json_bool(defs->w, schema->number != 0);
        return 0;
    }
    if (schema->type != AGW_NODE_MAP)
        return agw_openapi_error(defs->doc, AGW_EINVAL, schema, "must be a schema");
    agw_json_begin_object(defs->w);
    int rc = agw_openapi_schema_members(defs, schema, description);
    if (rc == 0)
        agw_json_end_object(defs->w);
    return rc;
}

int agw_openapi_is_object(const struct agw_openapi_doc *d, const struct agw_node *schema, bool *ret_object)
{
    int rc = agw_openapi_follow(d, &schema);
    if (rc == 0)
        *ret_object = agw_str_eq(agw_node_text(schema, "type"), AGW_STR("object")) &&
                      !(d->v30 && is_true(schema, "nullable"));
    return rc;
}
