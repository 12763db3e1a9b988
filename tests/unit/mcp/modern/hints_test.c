#include "mcp/modern/hints.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static struct agw_mcp_hints hints;
static uint64_t age;

static void add(const char *json)
{
    struct agw_json_doc doc;
    agw_json_doc_init(&doc, 0);
    assert_int_equal(agw_json_parse(&doc, agw_str_c(json), NULL), 0);
    agw_mcp_hints_add(&hints, &doc, 0, age);
    agw_json_doc_free(&doc);
}

static void assert_written(const char *want)
{
    struct agw_json_writer w;
    agw_json_writer_init(&w);
    agw_json_begin_object(&w);
    agw_mcp_hints_write(&hints, &w);
    agw_json_end_object(&w);
    assert_int_equal(w.error, 0);
    struct agw_str text = agw_json_writer_text(&w);
    assert_true(agw_str_search(text, agw_str_c(want)) >= 0);
    assert_true(agw_str_search(text, AGW_STR("\"resultType\":\"complete\"")) >= 0);
    agw_json_writer_free(&w);
}

static int setup(void **state)
{
    age = 0;
    agw_mcp_hints_init(&hints);
    return 0;
}

static void the_shortest_time_counts(void **state)
{
    add("{\"ttlMs\":5000,\"cacheScope\":\"public\"}");
    assert_written("\"ttlMs\":5000,\"cacheScope\":\"public\"");
    add("{\"ttlMs\":300,\"cacheScope\":\"public\"}");
    add("{\"ttlMs\":900,\"cacheScope\":\"public\"}");
    assert_written("\"ttlMs\":300,\"cacheScope\":\"public\"");
}

static void one_private_part_makes_it_private(void **state)
{
    add("{\"ttlMs\":10,\"cacheScope\":\"private\"}");
    add("{\"ttlMs\":10,\"cacheScope\":\"public\"}");
    assert_written("\"ttlMs\":10,\"cacheScope\":\"private\"");
}

static void what_says_nothing_is_not_kept(void **state)
{
    assert_written("\"ttlMs\":0,\"cacheScope\":\"private\""); /* no part at all */
    add("{\"ttlMs\":10,\"cacheScope\":\"public\"}");
    add("{}");
    assert_written("\"ttlMs\":0,\"cacheScope\":\"private\"");
}

static void nonsense_is_not_kept(void **state)
{
    static const char *const bad[] = {
        "{\"ttlMs\":-1,\"cacheScope\":1}", "{\"ttlMs\":\"9\",\"cacheScope\":\"Public\"}",
        "{\"ttlMs\":1e3,\"cacheScope\":null}", "{\"ttlMs\":99999999999999999999,\"cacheScope\":[]}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        agw_mcp_hints_init(&hints);
        add(bad[i]);
        assert_written("\"ttlMs\":0,\"cacheScope\":\"private\"");
    }
}

static void what_is_kept_gets_older(void **state)
{
    age = 40;
    add("{\"ttlMs\":100,\"cacheScope\":\"public\"}");
    assert_written("\"ttlMs\":60,\"cacheScope\":\"public\"");
    age = 200;
    add("{\"ttlMs\":100,\"cacheScope\":\"public\"}");
    assert_written("\"ttlMs\":0,\"cacheScope\":\"public\"");
}

static void questions_are_not_kept(void **state)
{
    add("{\"resultType\":\"input_required\",\"ttlMs\":100,\"cacheScope\":\"public\"}");
    assert_written("\"ttlMs\":0,\"cacheScope\":\"private\"");
}

static void a_missing_part_shortens_it(void **state)
{
    add("{\"ttlMs\":10,\"cacheScope\":\"public\"}");
    agw_mcp_hints_incomplete(&hints);
    assert_written("\"ttlMs\":0,\"cacheScope\":\"public\"");
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup(f, setup)
    const struct CMUnitTest tests[] = {
        CASE(the_shortest_time_counts),      CASE(one_private_part_makes_it_private),
        CASE(what_says_nothing_is_not_kept), CASE(nonsense_is_not_kept),
        CASE(a_missing_part_shortens_it),    CASE(what_is_kept_gets_older),
        CASE(questions_are_not_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
