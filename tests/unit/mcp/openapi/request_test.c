/* Arguments as requests: styles, encoding, and what cannot be said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "base/check.h"
#include "failmalloc.h"
#include "mcp/openapi/request.h"

static const char document[] =
    "openapi: 3.0.0\n"
    "paths:\n"
    "  /p/{a}/{b}: {get: {operationId: path, parameters: [{name: a, in: path}, {name: b, in: path, explode: "
    "true}]}}\n"
    "  /d/{a}{b}: {get: {operationId: dots, parameters: [{name: a, in: path}, {name: b, in: path}]}}\n"
    "  /q: {get: {operationId: query, parameters: [{name: f, in: query}, {name: n, in: query, explode: "
    "false}, "
    "{name: s, in: query, style: spaceDelimited, explode: false}, {name: p, in: query, style: pipeDelimited, "
    "explode: "
    "false}, {name: d, in: query, style: deepObject}, {name: j, in: query, content: {application/json: "
    "{}}}]}}\n"
    "  /h: {get: {operationId: field, parameters: [{name: X-A, in: header, required: true}, {name: c, in: "
    "cookie}]}}\n"
    "  /j: {post: {operationId: json, requestBody: {required: true, content: {application/json: {}}}}}\n"
    "  /w: {post: {operationId: form, requestBody: {content: {application/x-www-form-urlencoded: {}}}}}\n"
    "  /t: {post: {operationId: text, requestBody: {content: {text/plain: {}}}}}\n"
    "  /o: {post: {operationId: bytes, requestBody: {content: {application/octet-stream: {}}}}}\n";

/* |want|: path, the field that matters, the body; or the reason, after "! ". */
static const struct {
    const char *tool, *arguments, *want;
} rows[] = {
    {"path", "{\"path\":{\"a\":\"x/y ?#%\",\"b\":[1,true]}}", "/p/x%2Fy%20%3F%23%25/1,true"},
    {"path", "{\"path\":{\"a\":{\"k\":1},\"b\":{\"k\":1,\"l\":\"\\u00fc\"}}}", "/p/k,1/k=1,l=%C3%BC"},
    {"path", "{\"path\":{\"a\":\"..\",\"b\":1}}", "! path.a must not have"},
    {"path", "{\"path\":{\"a\":\"x\\\\..\\\\y\",\"b\":1}}", "! path.a must not have"},
    {"path", "{\"path\":{\"a\":\"\\u0000\",\"b\":1}}", "! path.a must not have"},
    {"path", "{\"path\":{\"a\":\"\",\"b\":1}}", "! path.a must not be empty"},
    {"path", "{\"path\":{\"a\":null,\"b\":1}}", "! path.a is required"},
    {"path", "{\"path\":{\"a\":[[1]],\"b\":1}}", "! path.a nests deeper"},
    {"path", "{\"path\":[]}", "! path must be an object"},
    {"path", "[]", "! arguments must be an object"},
    {"dots", "{\"path\":{\"a\":\"a.\",\"b\":\".b\"}}", "/d/a..b"},
    {"query", "{}", "/q"},
    {"query", "{\"query\":{\"f\":[\"a&b\",2],\"n\":[\"a,b\",2],\"s\":[1,2],\"p\":[1,2]}}",
     "/q?f=a%26b&f=2&n=a%2Cb,2&s=1%202&p=1%7C2"},
    {"query", "{\"query\":{\"f\":{\"k\":1,\"l\":2},\"n\":{\"k\":1},\"d\":{\"k\":\"v=\",\"a b\":2}}}",
     "/q?k=1&l=2&n=k,1&d%5Bk%5D=v%3D&d%5Ba%20b%5D=2"},
    {"query", "{\"query\":{\"j\":{\"a\":[1]},\"f\":null,\"n\":\"\"}}", "/q?n=&j=%7B%22a%22%3A%5B1%5D%7D"},
    {"query", "{\"query\":{\"d\":{\"k\":[1]}}}", "! query.d nests deeper"},
    {"query", "{\"query\":{\"z\":1}}", "! there is no argument query.z"},
    {"query", "{\"body\":1}", "! there is no argument body"},
    {"field", "{\"header\":{\"x-a\":[1,\"b\"]},\"cookie\":{\"c\":\"a;b\"}}", "/h x-a: 1,b cookie: c=a%3Bb"},
    {"field", "{\"header\":{\"x-a\":\"a\\r\\nb: c\"}}", "! header.x-a is no value"},
    {"field", "{\"header\":{\"x-a\":\"a\\u0000\"}}", "! header.x-a is no value"},
    {"field", "{\"header\":{\"x-a\":1},\"cookie\":{\"c\":{\"a\\r\\n\":1}}}", "! cookie.c has a name"},
    {"field", "{\"header\":{\"Host\":1}}", "! there is no argument header.Host"},
    {"field", "{}", "! header.x-a is required"},
    {"json", "{\"body\":{ \"a\":1 }}", "/j content-type: application/json | { \"a\":1 }"},
    {"json", "{}", "! body is required"},
    {"form", "{\"body\":{\"a b\":[1,\"&\"],\"c\":{\"d\":1}}}",
     "/w content-type: application/x-www-form-urlencoded | a%20b=1&a%20b=%26&d=1"},
    {"form", "{\"body\":1}", "! body must be an object"},
    {"text", "{\"body\":\"a\\nb\"}", "/t content-type: text/plain | a\nb"},
    {"text", "{\"body\":1}", "! body must be a string"},
    {"bytes", "{\"body\":\"aGk=\"}", "/o content-type: application/octet-stream | hi"},
    {"bytes", "{\"body\":\"?\"}", "! body must be a string in base64"},
};

static int build(size_t row, const struct agw_openapi *o, struct agw_arena *arena,
                 struct agw_openapi_request *r, struct agw_error *err)
{
    struct agw_json_doc doc;
    char text[512];
    agw_json_doc_init(&doc, 0);
    size_t n = (size_t)snprintf(text, sizeof text, "{\"a\":%s}", rows[row].arguments);
    struct agw_str copy = agw_arena_str(arena, agw_str(text, n));
    if (!copy.p)
        return AGW_ENOMEM;
    int rc = agw_json_parse(&doc, copy, NULL);
    if (rc == 0)
        rc = agw_openapi_request(agw_openapi_find(o, agw_str_c(rows[row].tool)), &doc, 2, arena, r, err);
    agw_json_doc_free(&doc);
    return rc;
}

static void requests(void **state)
{
    const struct agw_openapi *o;
    struct agw_arena arena, made;
    agw_arena_init(&made, 4096, 0);
    assert_int_equal(agw_openapi_load(AGW_STR(document), &made, &o, NULL), 0);
    for (size_t i = 0; i < AGW_ARRAY_LEN(rows); i++) {
        struct agw_openapi_request r;
        struct agw_error err = {0};
        char got[1024];
        agw_arena_init(&arena, 4096, 0);
        int rc = build(i, o, &arena, &r, &err);
        size_t n = (size_t)(rc ? snprintf(got, sizeof got, "! %s", err.text)
                               : snprintf(got, sizeof got, "%.*s", AGW_STRF(r.path)));
        for (uint32_t k = 1; rc == 0 && k < r.headers.n; k++)
            n += (size_t)snprintf(got + n, sizeof got - n, " %.*s: %.*s", AGW_STRF(r.headers.v[k].name),
                                  AGW_STRF(r.headers.v[k].value));
        if (rc == 0 && r.body.n)
            snprintf(got + n, sizeof got - n, " | %.*s", AGW_STRF(r.body));
        bool same =
            rc ? strncmp(got, rows[i].want, strlen(rows[i].want)) == 0 : strcmp(got, rows[i].want) == 0;
        if (!same)
            fail_msg("%s gives %s not %s", rows[i].arguments, got, rows[i].want);
        agw_arena_free(&arena);
    }
    agw_arena_free(&made);
}

static void a_long_target(void **state)
{
    static char text[AGW_OPENAPI_TARGET_MAX + 64];
    const struct agw_openapi *o;
    struct agw_arena arena;
    struct agw_json_doc doc;
    struct agw_openapi_request r;
    agw_arena_init(&arena, 4096, 0);
    agw_json_doc_init(&doc, 0);
    assert_int_equal(agw_openapi_load(AGW_STR(document), &arena, &o, NULL), 0);
    for (int over = 0; over < 2; over++) {
        snprintf(text, sizeof text, "{\"a\":{\"query\":{\"n\":\"%0*d\"}}}", AGW_OPENAPI_TARGET_MAX - 5 + over,
                 0);
        assert_int_equal(agw_json_parse(&doc, agw_str_c(text), NULL), 0);
        assert_int_equal(
            agw_openapi_request(agw_openapi_find(o, AGW_STR("query")), &doc, 2, &arena, &r, NULL),
            over ? AGW_ELIMIT : 0);
    }
    agw_json_doc_free(&doc);
    agw_arena_free(&arena);
}

static void out_of_memory(void **state)
{
    const struct agw_openapi *o;
    struct agw_arena arena, made;
    agw_arena_init(&made, 4096, 0);
    assert_int_equal(agw_openapi_load(AGW_STR(document), &made, &o, NULL), 0);
    for (size_t i = 0; i < AGW_ARRAY_LEN(rows); i++) {
        for (long n = 1;; n++) {
            struct agw_openapi_request r;
            agw_arena_init(&arena, 64, 0);
            failmalloc_at(n);
            int rc = build(i, o, &arena, &r, NULL);
            bool reached = failmalloc_count() >= n;
            failmalloc_at(0);
            agw_arena_free(&arena);
            assert_true(rc == AGW_ENOMEM || rc == (rows[i].want[0] == '!' ? AGW_EINVAL : 0));
            if (!reached)
                break;
        }
    }
    agw_arena_free(&made);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(requests), cmocka_unit_test(a_long_target),
                                       cmocka_unit_test(out_of_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
