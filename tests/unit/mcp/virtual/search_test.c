#include "mcp/virtual/search.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "base/check.h"
#include "failmalloc.h"
#include "json/pointer.h"

static const char tools[] = "[{\"name\":\"getUserByEmail\",\"description\":\"Looks somebody up.\"},"
                            "{\"name\":\"send_email\",\"description\":\"Sends a "
                            "message.\",\"inputSchema\":{\"properties\":{\"recipient\":{}}}},"
                            "{\"name\":\"list_tickets\",\"title\":\"Tickets of a "
                            "customer\",\"description\":\"All of the open issues.\"},"
                            "{\"name\":\"b\",\"description\":\"weather weather in a city\"},"
                            "{\"name\":\"a\",\"description\":\"weather weather in a city\"},"
                            "{\"name\":\"HTTPGet2\",\"description\":7}]";

static struct agw_mcp_target targets[] = {{.name = {"one", 3}}};
static const struct agw_mcp_tool_rule rules[] = {{.name = {"b", 1}, .description = {"Tides.", 6}},
                                                 {.pattern = {"*", 1}}};
static const struct agw_mcp_tool_search search = {.max_results = 5};
static const struct agw_mcp_backend b = {.targets = targets, .count = 1, .search = &search},
                                    ruled = {.targets = targets, .count = 1, .rules = rules, .rule_count = 2};

struct room {
    struct agw_json_doc doc;
    struct agw_arena arena;
    struct agw_mcp_candidate v[8];
    uint32_t n;
};

static int fill(struct room *r, const struct agw_mcp_backend *of, bool prefixed)
{
    int rc = 0;
    r->n = 0;
    agw_json_each_item(&r->doc, 0, item)
    {
        if (rc == 0)
            rc = agw_mcp_candidate_read(of, 0, prefixed, &r->doc, item, &r->arena, &r->v[r->n++]);
    }
    return rc;
}

static void open_room(struct room *r)
{
    agw_json_doc_init(&r->doc, 0);
    agw_arena_init(&r->arena, 256, 0);
    assert_int_equal(agw_json_parse(&r->doc, agw_str_c(tools), NULL), 0);
}

static void close_room(struct room *r)
{
    agw_json_doc_free(&r->doc);
    agw_arena_free(&r->arena);
}

static void what_fits_comes_first(void **state)
{
    static const struct {
        const struct agw_mcp_backend *of;
        const char *query, *names;
    } cases[] = {
        {&b, "email", "one_send_email one_getUserByEmail "},
        {&b, "Ticket", "one_list_tickets "},
        {&b, "recipients", "one_send_email "}, /* a parameter */
        {&b, "open issue", "one_list_tickets "},
        {&b, "http", "one_HTTPGet2 "},   /* the beginning of a word */
        {&b, "weather", "one_a one_b "}, /* equals: by name */
        {&b, "user email weather", "one_getUserByEmail one_send_email one_a one_b "},
        {&b, "", ""},
        {&b, "?! _", ""},
        {&b, "nothing", ""},
        {&ruled, "tide", "one_b "}, /* as the rules describe it */
        {&ruled, "weather", "one_a "},
    };
    for (size_t i = 0; i < AGW_ARRAY_LEN(cases); i++) {
        struct room r;
        char got[256] = "";
        open_room(&r);
        assert_int_equal(fill(&r, cases[i].of, true), 0);
        uint32_t hits = agw_mcp_rank(r.v, r.n, agw_str_c(cases[i].query));
        for (uint32_t k = 0; k < hits; k++)
            snprintf(got + strlen(got), sizeof got - strlen(got), "%.*s ", AGW_STRF(r.v[k].name));
        assert_string_equal(got, cases[i].names);
        close_room(&r);
    }
    assert_int_equal(agw_mcp_rank(NULL, 0, AGW_STR("x")), 0);
}

static void what_is_long_is_cut(void **state)
{
    static char words[8192];
    struct agw_mcp_candidate c = {
        .name = AGW_STR("x"), .title = AGW_STR(""), .description = agw_str(words, sizeof words)};
    struct room r;
    open_room(&r);
    memset(words, 'a', sizeof words);
    memcpy(words + sizeof words - 7, " needle", 7);
    c.doc = &r.doc;
    assert_int_equal(agw_mcp_rank(&c, 1, AGW_STR("needle")), 0); /* past what is read of a text */
    assert_int_equal(agw_mcp_rank(&c, 1, agw_str(words, sizeof words)), 1);
    close_room(&r);
}

/* |params| as a message has them: a root is nobody's params. */
static int parse_params(struct agw_json_doc *doc, const char *params, char *text, size_t size)
{
    snprintf(text, size, "{\"params\":%s}", params);
    return agw_json_parse(doc, agw_str_c(text), NULL);
}

static int call(const char *params, char *ret, size_t size)
{
    struct agw_json_doc doc;
    struct agw_arena arena;
    struct agw_json_edits edits;
    struct agw_json_writer w;
    agw_json_doc_init(&doc, 0);
    agw_arena_init(&arena, 64, 0);
    agw_json_edits_init(&edits, &arena);
    agw_json_writer_init(&w);
    char text[256];
    int rc = parse_params(&doc, params, text, sizeof text);
    if (rc == 0)
        rc = agw_mcp_call_tool_edit(&doc, 2, &edits);
    if (rc == 0)
        rc = agw_json_edits_write(&edits, doc.text, doc.tokens[2].offset, (uint32_t)doc.text.n - 1, &w);
    rc = rc ? rc : w.error;
    if (rc == 0 && ret)
        snprintf(ret, size, "%.*s", AGW_STRF(agw_json_writer_text(&w)));
    agw_json_writer_free(&w);
    agw_json_doc_free(&doc);
    agw_arena_free(&arena);
    return rc;
}

static void calls_stand_for_others(void **state)
{
    static const struct {
        const char *params, *becomes; /* NULL: refused */
    } cases[] = {
        {"{\"name\":\"call_tool\",\"arguments\":{\"name\":\"x\",\"arguments\":{\"n\":1.0}},\"_meta\":{}}",
         "{\"name\":\"x\",\"arguments\":{\"n\":1.0},\"_meta\":{}}"},
        {"{\"arguments\":{\"name\":\"\\u0078\"},\"name\":\"call_tool\"}",
         "{\"arguments\":{},\"name\":\"\\u0078\"}"},
        {"{\"name\":\"call_tool\"}", NULL},
        {"{\"arguments\":{\"name\":\"x\"}}", NULL},
        {"{\"name\":\"call_tool\",\"name\":\"y\",\"arguments\":{\"name\":\"x\"}}", NULL},
        {"{\"name\":\"call_tool\",\"arguments\":{}}", NULL},
        {"{\"name\":\"call_tool\",\"arguments\":{\"name\":7}}", NULL},
        {"{\"name\":\"call_tool\",\"arguments\":{\"name\":\"x\",\"arguments\":[]}}", NULL},
        {"{\"name\":\"call_tool\",\"arguments\":{\"name\":\"call_tool\"}}", NULL},
        {"{\"name\":\"call_tool\",\"arguments\":{\"name\":\"search_tools\"}}", NULL},
        {"{\"name\":\"call_tool\",\"arguments\":{\"name\":\"x\"},\"arguments\":{\"name\":\"y\"}}", NULL},
        {"{\"name\":\"call_tool\",\"arguments\":\"x\"}", NULL},
    };
    for (size_t i = 0; i < AGW_ARRAY_LEN(cases); i++) {
        char got[256] = "";
        assert_int_equal(call(cases[i].params, got, sizeof got), cases[i].becomes ? 0 : AGW_EINVAL);
        assert_string_equal(got, cases[i].becomes ? cases[i].becomes : "");
    }
}

static void what_is_asked(void **state)
{
    static const struct {
        const char *params;
        int rc;
        uint32_t limit;
    } cases[] = {
        {"{\"arguments\":{\"query\":\"x\"}}", 0, 5},
        {"{\"arguments\":{\"query\":\"x\",\"limit\":2}}", 0, 2},
        {"{\"arguments\":{\"query\":\"x\",\"limit\":99}}", 0, 5},
        {"{\"arguments\":{\"query\":\"x\",\"limit\":-1}}", 0, 5},
        {"{\"arguments\":{\"query\":\"x\",\"limit\":\"2\"}}", 0, 5},
        {"{\"arguments\":{\"query\":7}}", AGW_EINVAL, 5},
        {"{\"arguments\":[]}", AGW_EINVAL, 5},
        {"{}", AGW_EINVAL, 5},
    };
    for (size_t i = 0; i < AGW_ARRAY_LEN(cases); i++) {
        struct agw_json_doc doc;
        struct agw_arena arena;
        struct agw_str query;
        uint32_t limit = 0;
        agw_json_doc_init(&doc, 0);
        agw_arena_init(&arena, 64, 0);
        char text[256];
        assert_int_equal(parse_params(&doc, cases[i].params, text, sizeof text), 0);
        assert_int_equal(agw_mcp_search_read(&b, &doc, 2, &arena, &query, &limit), cases[i].rc);
        assert_int_equal(limit, cases[i].limit);
        agw_json_doc_free(&doc);
        agw_arena_free(&arena);
    }
}

static void memory_runs_out(void **state)
{
    for (long n = 1;; n++) {
        struct room r;
        open_room(&r);
        failmalloc_at(n);
        int rc = fill(&r, &b, true);
        bool reached = failmalloc_count() >= n;
        failmalloc_at(0);
        assert_int_equal(rc, reached ? AGW_ENOMEM : 0);
        close_room(&r);
        if (!reached)
            break;
    }
    for (long n = 1;; n++) {
        failmalloc_at(n);
        int rc =
            call("{\"name\":\"call_tool\",\"arguments\":{\"name\":\"\\u0078\",\"arguments\":{}}}", NULL, 0);
        bool reached = failmalloc_count() >= n;
        failmalloc_at(0);
        if (!reached)
            break;
        assert_int_equal(rc, AGW_ENOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_fits_comes_first),  cmocka_unit_test(what_is_long_is_cut),
        cmocka_unit_test(calls_stand_for_others), cmocka_unit_test(what_is_asked),
        cmocka_unit_test(memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
