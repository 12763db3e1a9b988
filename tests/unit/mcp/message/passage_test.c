#include "mcp/message/passage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "failmalloc.h"
#include "mcp/message/router.h"

static struct agw_mcp_target targets[] = {{.name = {"a", 1}}, {.name = {"bee", 3}}};
static const struct agw_mcp_backend two = {.targets = targets, .count = 2};

static int feed(struct agw_mcp_passage *p, const char *text, size_t n, struct agw_chain *out)
{
    struct agw_chain in;
    agw_chain_init(&in);
    int rc = agw_chain_add_static(&in, text, n);
    if (rc == 0)
        rc = agw_mcp_passage_feed(p, &in, out);
    agw_chain_clear(&in);
    return rc;
}

/* What becomes of |text|, which comes in pieces: the first of |cut| bytes, the rest of |step| bytes each. */
static int pass(const char *text, bool read, size_t cut, size_t step, struct agw_chain *out)
{
    struct agw_mcp_passage p;
    size_t n = strlen(text), at = cut < n ? cut : n;
    agw_mcp_passage_init(&p, &two, 1, read);
    int rc = feed(&p, text, at, out);
    for (; rc == 0 && at < n; at += step)
        rc = feed(&p, text + at, step < n - at ? step : n - at, out);
    if (rc == 0)
        rc = agw_mcp_passage_end(&p, out);
    agw_mcp_passage_free(&p);
    return rc;
}

static void assert_chain(struct agw_chain *out, const char *want)
{
    char *got = malloc(out->bytes + 1);
    assert_non_null(got);
    got[agw_chain_peek(out, got, out->bytes)] = 0;
    assert_string_equal(got, want);
    free(got);
    agw_chain_clear(out);
}

/* However the bytes come. */
static void expect(const char *text, bool read, const char *want)
{
    struct agw_chain out;
    agw_chain_init(&out);
    for (size_t cut = 0; cut <= strlen(text); cut++) {
        assert_int_equal(pass(text, read, cut, 1000, &out), 0);
        assert_chain(&out, want);
    }
    for (size_t step = 1; step < 4; step++) {
        assert_int_equal(pass(text, read, 0, step, &out), 0);
        assert_chain(&out, want);
    }
}

/* As it does with a document that is held whole. */
static void expect_same(const char *text, bool read)
{
    struct agw_arena arena;
    struct agw_json_doc doc;
    struct agw_json_edits edits;
    struct agw_jsonrpc m;
    struct agw_chain out;
    agw_arena_init(&arena, 4096, 0);
    agw_json_doc_init(&doc, 0);
    agw_chain_init(&out);
    agw_json_edits_init(&edits, &arena);
    assert_int_equal(agw_jsonrpc_read(&doc, agw_str_c(text), &arena, &m, NULL), 0);
    const struct agw_mcp_method *method =
        agw_mcp_method_find(read ? AGW_STR("resources/read") : AGW_STR("tools/call"));
    assert_int_equal(agw_mcp_edit_down(&two, 1, method, &doc, &m, &edits), 0);
    assert_int_equal(agw_json_edits_apply(&edits, doc.text, NULL, &out), 0);
    char *want = malloc(out.bytes + 1);
    assert_non_null(want);
    want[agw_chain_peek(&out, want, out.bytes)] = 0;
    agw_chain_clear(&out);
    expect(text, read, want);
    free(want);
    agw_json_doc_free(&doc);
    agw_arena_free(&arena);
}

#define CALLED(content)                                                                                      \
    "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"x\":[{\"uri\":\"no:1\"}],\"content\":" content              \
    ",\"_meta\":{}}}"
#define LINK "\"type\":\"resource_link\""
#define EMBEDDED "\"type\":\"resource\""

static void uris_get_their_targets_name(void **state)
{
    expect(CALLED("[ { " LINK " , \"uri\" : \"m:1\" } ,{" EMBEDDED
                  ",\"resource\":{\"uri\":\"m:2\",\"text\":\"\"}}]"),
           false,
           CALLED("[ { " LINK " , \"uri\" : \"bee+m:1\" } ,{" EMBEDDED
                  ",\"resource\":{\"uri\":\"bee+m:2\",\"text\":\"\"}}]"));
    expect("{\"result\":{\"contents\":[{\"uri\":\"ui://"
           "x\",\"text\":\"\"},{\"blob\":\"\",\"uri\":\"b:c\"}]},\"id\":1}",
           true,
           "{\"result\":{\"contents\":[{\"uri\":\"ui://"
           "bee+x\",\"text\":\"\"},{\"blob\":\"\",\"uri\":\"bee+b:c\"}]},\"id\":1}");
}

static void it_does_as_with_a_whole_document(void **state)
{
    static const char *const calls[] = {
        CALLED("[{\"uri\":\"m:1\"," LINK "}]"),
        CALLED("[{\"resource\":{\"blob\":\"x\",\"uri\":\"m:1\"},\"uri\":\"m:2\"," EMBEDDED "}]"),
        CALLED("[{\"resource\":{\"uri\":\"m:1\"},\"uri\":\"m:2\"," LINK "}]"),
        CALLED("[{\"type\":\"text\",\"uri\":\"m:1\",\"resource\":{\"uri\":\"m:1\"}}]"),
        CALLED("[{\"uri\":\"m:1\"}]"),
        CALLED("[{" LINK ",\"uri\":\"m:1\",\"uri\":\"m:2\"}]"),
        CALLED("[{" LINK ",\"uri\":1,\"uri\":\"m:2\"}]"),
        CALLED("[{\"type\":1," LINK ",\"uri\":\"m:2\"}]"),
        CALLED("[{\"type\":\"text\"," LINK ",\"uri\":\"m:2\"}]"),
        CALLED("[{" EMBEDDED ",\"resource\":1,\"resource\":{\"uri\":\"m:1\"}}]"),
        CALLED("[{" EMBEDDED ",\"resource\":{\"a\":{\"uri\":\"m:0\"},\"uri\":\"m:1\",\"uri\":\"m:2\"},"
               "\"resource\":{\"uri\":\"m:3\"}}]"),
        CALLED("[{" LINK ",\"uri\":\"no scheme\"},{" LINK ",\"uri\":\"\"},{" LINK ",\"uri\":[\"m:1\"]}]"),
        CALLED("[{" LINK ",\"uri\":\"m:\\u0031\\\"\\\\\"},{" LINK ",\"u\\u0072i\":\"\\u006d:1\"}]"),
        CALLED("[{\"\\u0074ype\":\"resource\\u005flink\",\"uri\":\"m:1\"}]"),
        CALLED("[[{" LINK ",\"uri\":\"m:1\"}],\"uri\",1,null,{},[],{" LINK "}]"),
        CALLED("{" LINK ",\"uri\":\"m:1\"}"),
        CALLED("[{" LINK ",\"uri\":\"m:1\"}],\"content\":[{" LINK ",\"uri\":\"m:2\"}]"),
        CALLED("1,\"content\":[{" LINK ",\"uri\":\"m:2\"}]"),
        CALLED("[{\"meta\":{\"type\":\"resource_link\",\"uri\":\"m:1\"}," LINK ",\"uri\":\"m:1\"}]"),
        CALLED("[{\"type\":\"text\",\"text\":\"{\\\"uri\\\":[}\\\\\"},{" LINK ",\"uri\":\"m:1\"}]"),
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":1,\"message\":\"\",\"data\":{\"content\":[{" LINK
        ",\"uri\":\"m:1\"}]}}}",
    };
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++)
        expect_same(calls[i], false);
    expect_same("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"contents\":[{\"uri\":\"m:1\",\"resource\":{"
                "\"uri\":\"m:2\"}},{\"uri\":1,\"uri\":\"m:3\"}]}}",
                true);
}

static void what_is_no_json_passes(void **state)
{
    static const char *const texts[] = {
        "",
        "}}]]",
        "\"",
        "{\"result\":{\"content\":[{\"uri\":\"m:1",
        "[[[[[[[[[[",
        "\\\"{\"",
        "{\"result\":{\"content\":[{\"type\":\"resource_link\",\"uri\":\"\\ud800:\"}]}}"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        expect(texts[i], false, texts[i]);
}

static void only_so_much_is_in_doubt(void **state)
{
    static const char begin[] = "{\"result\":{\"content\":[{\"text\":\"";
    static char filler[1 << 20];
    struct agw_mcp_passage p;
    struct agw_chain out;
    int rc = 0;
    memset(filler, 'x', sizeof filler);
    agw_chain_init(&out);
    agw_mcp_passage_init(&p, &two, 1, false);
    assert_int_equal(feed(&p, begin, sizeof begin - 1, &out), 0);
    for (size_t n = 0; rc == 0 && n <= AGW_MCP_HELD_MAX; n += sizeof filler)
        rc = feed(&p, filler, sizeof filler, &out);
    assert_int_equal(rc, AGW_ELIMIT);
    agw_mcp_passage_free(&p);
    agw_chain_clear(&out);
    agw_mcp_passage_init(&p, &two, 1, false);
    assert_int_equal(feed(&p, "{\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"", 44, &out), 0);
    for (size_t n = 0; n < 4 * AGW_MCP_HELD_MAX; n += sizeof filler) {
        assert_int_equal(feed(&p, filler, sizeof filler, &out), 0);
        assert_int_equal(p.held_n, 0);
        agw_chain_clear(&out);
    }
    agw_mcp_passage_free(&p);
}

static void every_allocation_may_fail(void **state)
{
    static const char text[] =
        CALLED("[{\"\\u0075ri\":\"m:\\u0031\"," LINK "},{" EMBEDDED ",\"resource\":{\"uri\":\"m:1\"}}]");
    struct agw_chain out;
    agw_chain_init(&out);
    for (long n = 1;; n++) {
        failmalloc_at(n);
        int rc = pass(text, false, 7, 11, &out);
        bool reached = failmalloc_count() >= n;
        failmalloc_at(0);
        assert_int_equal(rc, reached ? AGW_ENOMEM : 0);
        agw_chain_clear(&out);
        if (!reached)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uris_get_their_targets_name), cmocka_unit_test(it_does_as_with_a_whole_document),
        cmocka_unit_test(what_is_no_json_passes),      cmocka_unit_test(only_so_much_is_in_doubt),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
