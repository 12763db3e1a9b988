/* Answers as results of tools/call. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "base/check.h"
#include "failmalloc.h"
#include "mcp/openapi/result.h"

static const struct {
    int status;
    const char *media, *body;
    bool promised;
    const char *want;
} rows[] = {
    {200, "application/json", "{\"a\":1}", true,
     "{\"content\":[{\"type\":\"text\",\"text\":\"{\\\"a\\\":1}\"}],\"structuredContent\":{\"a\":1}}"},
    {200, "application/problem+json; charset=utf-8", " [1] ", false,
     "{\"content\":[{\"type\":\"text\",\"text\":\" [1] \"}],\"structuredContent\":{\"data\":[1]}}"},
    {200, "application/json", "[1]", true,
     "{\"content\":[{\"type\":\"text\",\"text\":\"HTTP 200 OK: not the JSON object that the document "
     "promises\\n[1]\"}],\"isError\":true}"},
    {200, "application/json", "{", false, "{\"content\":[{\"type\":\"text\",\"text\":\"{\"}]}"},
    {204, "", "", false, "{\"content\":[{\"type\":\"text\",\"text\":\"HTTP 204 No Content\"}]}"},
    {200, "", "a", false, "{\"content\":[{\"type\":\"text\",\"text\":\"a\"}]}"},
    {404, "application/json", "{}", true,
     "{\"content\":[{\"type\":\"text\",\"text\":\"HTTP 404 Not Found\\n{}\"}],\"isError\":true}"},
    {302, "image/png", "a", false,
     "{\"content\":[{\"type\":\"text\",\"text\":\"HTTP 302 Found\"}],\"isError\":true}"},
    {200, "image/png", "hi", false,
     "{\"content\":[{\"type\":\"image\",\"mimeType\":\"image/png\",\"data\":\"aGk=\"}]}"},
    {200, "Audio/wav", "hi", false,
     "{\"content\":[{\"type\":\"audio\",\"mimeType\":\"Audio/wav\",\"data\":\"aGk=\"}]}"},
    {200, "application/pdf", "hi", false,
     "{\"content\":[{\"type\":\"resource\",\"resource\":{\"uri\":\"openapi:t\",\"mimeType\":\"application/"
     "pdf\","
     "\"blob\":\"aGk=\"}}]}"},
    {200, "text/plain", "\xff", false,
     "{\"content\":[{\"type\":\"resource\",\"resource\":{\"uri\":\"openapi:t\",\"mimeType\":\"text/"
     "plain\",\"blob\":"
     "\"/w==\"}}]}"},
};

static int write(size_t i, struct agw_json_doc *doc, struct agw_json_writer *w)
{
    struct agw_openapi_tool t = {.name = AGW_STR("t"), .has_output = rows[i].promised};
    struct agw_openapi_answer a = {rows[i].status, agw_str_c(rows[i].media), agw_str_c(rows[i].body)};
    agw_json_writer_init(w);
    agw_json_begin_object(w);
    int rc = agw_openapi_result(&t, &a, doc, w);
    if (rc != 0)
        return rc;
    agw_json_end_object(w);
    return agw_json_writer_end(w);
}

static void results(void **state)
{
    struct agw_json_doc doc;
    struct agw_json_writer w;
    agw_json_doc_init(&doc, 0);
    for (size_t i = 0; i < AGW_ARRAY_LEN(rows); i++) {
        assert_int_equal(write(i, &doc, &w), 0);
        struct agw_str got = agw_json_writer_text(&w);
        if (!agw_str_eq(got, agw_str_c(rows[i].want)))
            fail_msg("%.*s\n not %s", AGW_STRF(got), rows[i].want);
        agw_json_writer_free(&w);
    }
    agw_json_doc_free(&doc);
}

static void out_of_memory(void **state)
{
    for (size_t i = 0; i < AGW_ARRAY_LEN(rows); i++) {
        for (long n = 1;; n++) {
            struct agw_json_doc doc;
            struct agw_json_writer w;
            agw_json_doc_init(&doc, 0);
            failmalloc_at(n);
            int rc = write(i, &doc, &w);
            bool reached = failmalloc_count() >= n;
            failmalloc_at(0);
            assert_true(rc == AGW_ENOMEM || rc == 0);
            agw_json_writer_free(&w);
            agw_json_doc_free(&doc);
            if (!reached)
                break;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(results), cmocka_unit_test(out_of_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
