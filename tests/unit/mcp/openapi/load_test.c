/* Documents and the tools that come of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/check.h"
#include "failmalloc.h"
#include "json/tape.h"
#include "mcp/openapi/openapi.h"

#define HEAD "openapi: 3.0.3\ninfo: {title: T, version: '1'}\n"
#define ONE(operation) HEAD "paths: {/a: {get: " operation "}}\n"
#define SCHEMA(schema) ONE("{operationId: x, parameters: [{name: q, in: query, schema: " schema "}]}")
#define SCHEMA31(schema)                                                                                     \
    "openapi: 3.1.0\npaths: {/a: {get: {operationId: x, parameters: [{name: q, in: query, schema: " schema   \
    "}]}}}\n"

static struct agw_arena arena;

static const struct agw_openapi *load(const char *text, struct agw_error *err)
{
    const struct agw_openapi *o = NULL;
    agw_arena_init(&arena, 4096, 0);
    agw_openapi_load(agw_str_c(text), &arena, &o, err);
    return o;
}

static void refusals(void **state)
{
    static const struct {
        const char *text, *reason;
    } rows[] = {
        {"", "#: must be one object"},
        {"[1]", "#: must be one object"},
        {"{", "2:1: "},
        {"swagger: '2.0'", "#/swagger: OpenAPI 3.0 and 3.1"},
        {"openapi: 3.0.0", "#: paths: must be an object"},
        {"openapi: 3.2.0", "#/openapi: must be"},
        {"openapi: 3.0.0\npaths: {}", "#/paths: is empty"},
        {HEAD "paths: {a: {}}", "#/paths/a: must begin with /"},
        {HEAD "paths: {/a: {get: 1}}", "#/paths/~1a/get: must be an object"},
        {HEAD "paths: {/a: 1}", "#/paths/~1a: must be an object"},
        {HEAD "paths: {'/a b': {get: {}}}", "#/paths/~1a b: has a character"},
        {HEAD "paths: {'/{b}': {get: {}}}", "#/paths/~1{b}/get: parameters: none says what {b} is"},
        {HEAD "paths: {'/{b': {get: {}}}", "#/paths/~1{b/get: parameters: none"},
        {ONE("{parameters: [{name: b, in: path}]}"), "#/paths/~1a/get/parameters/0: the path has no {b}"},
        {ONE("{parameters: [{name: b, in: body}]}"), "#/paths/~1a/get/parameters/0: in: must be"},
        {ONE("{parameters: [{in: query}]}"), "#/paths/~1a/get/parameters/0: name: is missing"},
        {ONE("{parameters: [{name: 'a b', in: header}]}"), "#/paths/~1a/get/parameters/0: name: is no name"},
        {ONE("{parameters: {}}"), "#/paths/~1a/get/parameters: must be a list"},
        {ONE("{parameters: [{$ref: 'http://x/y'}]}"),
         "#/paths/~1a/get/parameters/0/$ref: must begin with #/"},
        {ONE("{parameters: [{$ref: '#/none'}]}"), "#/paths/~1a/get/parameters/0/$ref: #/none names nothing"},
        {ONE("{parameters: [{$ref: '#/paths/~1a/get/parameters/0'}]}"),
         "#/paths/~1a/get/parameters/0: leads over"},
        {HEAD "paths: {/a: {get: {operationId: x}, put: {operationId: x}}}",
         "#/paths/~1a/put: another operation"},
        {HEAD "servers: [{url: 'http://h/../b'}]\npaths: {/a: {get: {}}}", "#/servers/0: url:"},
        {ONE("{requestBody: {content: {multipart/form-data: {}}}}"),
         "#/paths: has no operation that is supported"},
        {SCHEMA("{type: text}"), "#/paths/~1a/get/parameters/0/schema/type: must be a type"},
        {SCHEMA("{required: true}"), "#/paths/~1a/get/parameters/0/schema/required: must be a list"},
        {SCHEMA("{properties: []}"), "#/paths/~1a/get/parameters/0/schema/properties: must be an object"},
        {SCHEMA("{items: {maxLength: -1}}"),
         "#/paths/~1a/get/parameters/0/schema/items/maxLength: must be a whole"},
        {SCHEMA("{multipleOf: 0}"), "#/paths/~1a/get/parameters/0/schema/multipleOf: must be above 0"},
        {SCHEMA("{allOf: []}"), "#/paths/~1a/get/parameters/0/schema/allOf: must be"},
        {SCHEMA("{anyOf: [1]}"), "#/paths/~1a/get/parameters/0/schema/anyOf/0: must be a schema"},
        {SCHEMA31("{exclusiveMinimum: true}"),
         "#/paths/~1a/get/parameters/0/schema/exclusiveMinimum: must be a number"},
        {SCHEMA31("{$dynamicRef: '#a'}"),
         "#/paths/~1a/get/parameters/0/schema/$dynamicRef: is not supported"},
    };
    for (size_t i = 0; i < AGW_ARRAY_LEN(rows); i++) {
        struct agw_error err = {0};
        assert_null(load(rows[i].text, &err));
        if (strncmp(err.text, rows[i].reason, strlen(rows[i].reason)) != 0)
            fail_msg("%s\n gives %s\n not %s", rows[i].text, err.text, rows[i].reason);
        agw_arena_free(&arena);
    }
}

/* What parameter q of the tool x looks like. */
static void schemas(void **state)
{
    static const struct {
        const char *text, *schema;
    } rows[] = {
        {SCHEMA("{type: string, nullable: true}"), "{\"type\":[\"string\",\"null\"]}"},
        {SCHEMA("{nullable: true}"), "{}"},
        {SCHEMA("{type: string, nullable: true, enum: [a]}"),
         "{\"type\":[\"string\",\"null\"],\"enum\":[\"a\",null]}"},
        {SCHEMA("{minimum: 1, exclusiveMinimum: true}"), "{\"exclusiveMinimum\":1}"},
        {SCHEMA("{maximum: 1.5, exclusiveMaximum: false}"), "{\"maximum\":1.5}"},
        {SCHEMA("{example: {type: 1}}"), "{\"examples\":[{\"type\":1}]}"},
        {SCHEMA("{discriminator: {propertyName: a}, xml: {}, x-y: 1, type: object}"),
         "{\"type\":\"object\"}"},
        {SCHEMA("{type: array, items: {type: integer, format: int64}}"),
         "{\"type\":\"array\",\"items\":{\"type\":\"integer\",\"format\":\"int64\"}}"},
        {SCHEMA("{additionalProperties: false}"), "{\"additionalProperties\":false}"},
        {SCHEMA31("{type: [string, 'null'], exclusiveMinimum: 2, $id: 'http://x'}"),
         "{\"type\":[\"string\",\"null\"],\"exclusiveMinimum\":2}"},
        {SCHEMA31("{const: {a: [1, null, .inf]}}"), "{\"const\":{\"a\":[1,null,null]}}"},
        {SCHEMA31("true"), "true"},
    };
    for (size_t i = 0; i < AGW_ARRAY_LEN(rows); i++) {
        char want[512];
        struct agw_error err = {0};
        const struct agw_openapi *o = load(rows[i].text, &err);
        assert_string_equal(err.text, "");
        snprintf(want, sizeof want, "\"properties\":{\"q\":%s}", rows[i].schema);
        if (agw_str_search(o->tools[0].json, agw_str_c(want)) < 0)
            fail_msg("%s\n gives %.*s\n without %s", rows[i].text, AGW_STRF(o->tools[0].json), want);
        agw_arena_free(&arena);
    }
}

static const char whole[] = HEAD
    "servers: [{url: 'https://h/{v}/', variables: {v: {default: v2}}}]\n"
    "paths:\n"
    "  /a/{id}:\n"
    "    parameters: [{$ref: '#/components/parameters/id'}]\n"
    "    get: {summary: S, description: D, responses: {200: {content: {application/json: {schema: "
    "{$ref: '#/components/schemas/Tree'}}}}}}\n"
    "    put: {operationId: 'put it!', requestBody: {required: true, content: {application/json: {schema: "
    "{$ref: '#/components/schemas/Tree'}}}}}\n"
    "    post: {requestBody: {content: {multipart/form-data: {}}}}\n"
    "  /b: {delete: {parameters: [{name: Host, in: header}, {name: Cookie, in: header}, {name: X-A, in: "
    "header}]}}\n"
    "components:\n"
    "  parameters: {id: {name: id, in: path, required: true, schema: {type: string}}}\n"
    "  schemas: {Tree: {type: object, properties: {left: {$ref: '#/components/schemas/Tree'}}}}\n";

static void tools(void **state)
{
    struct agw_error err = {0};
    const struct agw_openapi *o = load(whole, &err);
    assert_string_equal(err.text, "");
    assert_int_equal(o->count, 3);
    assert_int_equal(o->left_out, 1);
    assert_true(agw_str_starts(o->reason, AGW_STR("#/paths/~1a~1{id}/post/requestBody: content:")));
    const struct agw_openapi_tool *t = agw_openapi_find(o, AGW_STR("get_a_id"));
    assert_non_null(t);
    assert_true(agw_str_eq(t->path, AGW_STR("/v2/a/{id}")));
    assert_string_equal(t->json.p,
                        "{\"name\":\"get_a_id\",\"title\":\"S\",\"description\":\"S\\n\\nD\",\"inputSchema\":"
                        "{\"type\":\"object\","
                        "\"properties\":{\"path\":{\"type\":\"object\",\"properties\":{\"id\":{\"type\":"
                        "\"string\"}},\"required\":[\"id\"],"
                        "\"additionalProperties\":false}},\"required\":[\"path\"],\"additionalProperties\":"
                        "false},\"outputSchema\":{\"type\":"
                        "\"object\",\"$ref\":\"#/$defs/"
                        "Tree\",\"$defs\":{\"Tree\":{\"type\":\"object\",\"properties\":{\"left\":{\"$ref\":"
                        "\"#/$defs/Tree\"}}}}},\"annotations\":{\"readOnlyHint\":true}}");
    t = agw_openapi_find(o, AGW_STR("put_it_"));
    assert_non_null(t);
    assert_true(t->body == AGW_OPENAPI_BODY_JSON && t->body_required);
    t = agw_openapi_find(o, AGW_STR("delete_b"));
    assert_int_equal(t->param_count, 1); /* Host and Cookie are not for arguments */
    agw_arena_free(&arena);
}

/* |count| operations, each with |refs| different references; NULL: too long. */
static char *many(unsigned count, unsigned refs)
{
    size_t size = 4096 + count * 64 + refs * 160, n = 0;
    char *text = malloc(size);
    assert_non_null(text);
    n += (size_t)snprintf(text + n, size - n, HEAD "paths:\n");
    for (unsigned i = 0; i < count; i++)
        n += (size_t)snprintf(text + n, size - n, "  /p%u: {get: {parameters: [{$ref: '#/c'}]}}\n", i);
    n += (size_t)snprintf(text + n, size - n, "c: {name: q, in: query, schema: {anyOf: [true");
    for (unsigned i = 0; i < refs; i++)
        n += (size_t)snprintf(text + n, size - n, ", {$ref: '#/s/a%u'}", i);
    n += (size_t)snprintf(text + n, size - n, "]}}\ns:\n  z: 1\n");
    for (unsigned i = 0; i < refs; i++)
        n += (size_t)snprintf(text + n, size - n, "  a%u: {description: x%064d}\n", i, 0);
    assert_true(n < size);
    return text;
}

static void limits(void **state)
{
    static const struct {
        unsigned count, refs;
        const char *reason; /* NULL: fine */
    } rows[] = {
        {AGW_OPENAPI_TOOLS_MAX, 0, NULL},
        {AGW_OPENAPI_TOOLS_MAX + 1, 0, "is one more than the 512 operations"},
        {1, AGW_OPENAPI_REFS_MAX, NULL},
        {1, AGW_OPENAPI_REFS_MAX + 1, "refers to more than 256 schemas"},
        {400, AGW_OPENAPI_REFS_MAX, "the tools have more than"},
    };
    for (size_t i = 0; i < AGW_ARRAY_LEN(rows); i++) {
        struct agw_error err = {0};
        char *text = many(rows[i].count, rows[i].refs);
        const struct agw_openapi *o = load(text, &err);
        if (rows[i].reason)
            assert_non_null(strstr(err.text, rows[i].reason));
        else if (!o)
            fail_msg("%s", err.text);
        else
            assert_int_equal(o->count, rows[i].count);
        agw_arena_free(&arena);
        free(text);
    }
}

static void out_of_memory(void **state)
{
    for (long n = 1;; n++) {
        const struct agw_openapi *o = NULL;
        agw_arena_init(&arena, 256, 0);
        failmalloc_at(n);
        int rc = agw_openapi_load(AGW_STR(whole), &arena, &o, NULL);
        bool reached = failmalloc_count() >= n;
        failmalloc_at(0);
        assert_true(rc == 0 ? o && o->count == 3 : rc == AGW_ENOMEM && !o);
        agw_arena_free(&arena);
        if (!reached)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refusals), cmocka_unit_test(schemas),       cmocka_unit_test(tools),
        cmocka_unit_test(limits),   cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
