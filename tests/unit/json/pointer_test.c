#include "json/pointer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include "failmalloc.h"

static struct agw_json_doc doc;
static struct agw_arena arena;

static int setup(void **state)
{
    agw_json_doc_init(&doc, 0);
    agw_arena_init(&arena, 1024, 0);
    return 0;
}

static int teardown(void **state)
{
    agw_json_doc_free(&doc);
    agw_arena_free(&arena);
    return 0;
}

static void parse(struct agw_str text)
{
    assert_int_equal(agw_json_parse(&doc, text, NULL), 0);
}

static void assert_text(struct agw_str got, const char *want)
{
    assert_int_equal(got.n, strlen(want));
    assert_memory_equal(got.p, want, got.n);
}

static void members(void **state)
{
    parse(AGW_STR("{\"a\":{\"x\":[1,{\"id\":9}]},\"b\":\"two\",\"id\":null}"));
    assert_text(agw_json_text(&doc, agw_json_get(&doc, 0, AGW_STR("b"))), "\"two\"");
    assert_text(agw_json_text(&doc, agw_json_get(&doc, 0, AGW_STR("id"))), "null"); /* not the nested one */
    assert_int_equal(agw_json_get(&doc, 0, AGW_STR("x")), 0);
    assert_int_equal(agw_json_get(&doc, 0, AGW_STR("")), 0);
    uint32_t b = agw_json_get(&doc, 0, AGW_STR("b"));
    assert_int_equal(agw_json_get(&doc, b, AGW_STR("a")), 0);
    static const char *const path[] = {"a", "x"};
    assert_text(agw_json_text(&doc, agw_json_path(&doc, 0, path, 2)), "[1,{\"id\":9}]");
    static const char *const missing[] = {"b", "x"};
    assert_int_equal(agw_json_path(&doc, 0, missing, 2), 0);
}

static void escaped_names_are_the_same_name(void **state)
{
    uint32_t value = 99;
    parse(AGW_STR("{\"na\\u006de\":1,\"s\\n\\\"\":2,\"\\ud83d\\ude00\":3}"));
    assert_text(agw_json_text(&doc, agw_json_get(&doc, 0, AGW_STR("name"))), "1");
    assert_text(agw_json_text(&doc, agw_json_get(&doc, 0, AGW_STR("s\n\""))), "2");
    assert_text(agw_json_text(&doc, agw_json_get(&doc, 0, AGW_STR("\xf0\x9f\x98\x80"))), "3");
    assert_int_equal(agw_json_get(&doc, 0, AGW_STR("nam")), 0);
    assert_int_equal(agw_json_get(&doc, 0, AGW_STR("names")), 0);
    parse(AGW_STR("{\"name\":1,\"n\\u0061me\":2}"));
    assert_int_equal(agw_json_get_unique(&doc, 0, AGW_STR("name"), &value), AGW_EEXISTS);
    assert_int_equal(value, 99);
    assert_int_equal(agw_json_get_unique(&doc, 0, AGW_STR("other"), &value), 0);
    assert_int_equal(value, 0);
}

static void items(void **state)
{
    parse(AGW_STR("[1,[2,3],{\"a\":4},\"x\"]"));
    static const char *const want[] = {"1", "[2,3]", "{\"a\":4}", "\"x\""};
    unsigned n = 0;
    agw_json_each_item(&doc, 0, i)
    {
        assert_true(n < 4);
        assert_text(agw_json_text(&doc, i), want[n++]);
    }
    assert_int_equal(n, 4);
    parse(AGW_STR("{\"a\":[]}"));
    agw_json_each_item(&doc, 0, i)
    {
        fail();
    }
    agw_json_each_item(&doc, 2, i)
    {
        fail();
    }
}

static void unescape(void **state)
{
    struct agw_str s = {0};
    parse(AGW_STR(
        "[\"plain\",\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\u20ac\\ud83d\\ude00\\u0000z\",7,\"\"]"));
    assert_int_equal(agw_json_unescape(&doc, 1, &arena, &s), 0);
    assert_text(s, "plain");
    assert_ptr_equal(s.p, doc.text.p + 2); /* a view, no copy */
    assert_int_equal(agw_json_unescape(&doc, 2, &arena, &s), 0);
    static const char want[] = "a\"\\/\b\f\n\r\tA\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\0z";
    assert_int_equal(s.n, sizeof want - 1);
    assert_memory_equal(s.p, want, s.n);
    assert_int_equal(agw_json_unescape(&doc, 3, &arena, &s), AGW_EINVAL);
    assert_int_equal(agw_json_unescape(&doc, 4, &arena, &s), 0);
    assert_int_equal(s.n, 0);
}

static void unescape_out_of_memory(void **state)
{
    struct agw_str s = AGW_STR("kept");
    struct agw_arena empty;
    agw_arena_init(&empty, 256, 0);
    parse(AGW_STR("\"a\\n\""));
    failmalloc_at(1);
    assert_int_equal(agw_json_unescape(&doc, 0, &empty, &s), AGW_ENOMEM);
    failmalloc_at(0);
    assert_text(s, "kept");
    agw_arena_free(&empty);
}

static void integers(void **state)
{
    int64_t v = 0;
    parse(AGW_STR("[0,-1,9223372036854775807,-9223372036854775808,9223372036854775808,-9223372036854775809,1."
                  "0,1e2,\"1\",-0]"));
    assert_int_equal(agw_json_to_i64(&doc, 1, &v), 0);
    assert_true(v == 0);
    assert_int_equal(agw_json_to_i64(&doc, 2, &v), 0);
    assert_true(v == -1);
    assert_int_equal(agw_json_to_i64(&doc, 3, &v), 0);
    assert_true(v == INT64_MAX);
    assert_int_equal(agw_json_to_i64(&doc, 4, &v), 0);
    assert_true(v == INT64_MIN);
    assert_int_equal(agw_json_to_i64(&doc, 5, &v), AGW_ELIMIT);
    assert_int_equal(agw_json_to_i64(&doc, 6, &v), AGW_ELIMIT);
    assert_int_equal(agw_json_to_i64(&doc, 7, &v), AGW_EINVAL);
    assert_int_equal(agw_json_to_i64(&doc, 8, &v), AGW_EINVAL);
    assert_int_equal(agw_json_to_i64(&doc, 9, &v), AGW_EINVAL);
    assert_true(v == INT64_MIN);
    assert_int_equal(agw_json_to_i64(&doc, 10, &v), 0);
    assert_true(v == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members),
        cmocka_unit_test(escaped_names_are_the_same_name),
        cmocka_unit_test(items),
        cmocka_unit_test(unescape),
        cmocka_unit_test(unescape_out_of_memory),
        cmocka_unit_test(integers),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
