/* Looking things up in a tree (lib/json/tree.c), on trees that the YAML loader made. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "yaml/yaml.h"

static void look_up(void **state)
{
    static const char text[] = "a: one\nb: 2\nc: {d: [x, y]}\n";
    const struct agw_node *docs = NULL, *doc, *n;
    struct agw_arena arena;
    unsigned count = 0;

    agw_arena_init(&arena, 1024, 0);
    assert_int_equal(agw_yaml_load(AGW_STR(text), &arena, &docs, NULL), 0);
    doc = docs->first;
    assert_true(agw_str_eq(agw_node_text(doc, "a"), AGW_STR("one")));
    assert_int_equal(agw_node_text(doc, "b").n, 0); /* a number is no text */
    assert_int_equal(agw_node_text(doc, "z").n, 0);
    assert_int_equal(agw_node_get(doc, "b")->number, 2);
    assert_null(agw_node_get(doc, "z"));
    assert_null(agw_node_get(NULL, "a"));
    assert_null(agw_node_get(agw_node_get(doc, "a"), "a"));
    agw_node_each (n, agw_node_get(agw_node_get(doc, "c"), "d"))
        count++;
    assert_int_equal(count, 2);
    agw_node_each (n, agw_node_get(doc, "z"))
        count++;
    assert_int_equal(count, 2);
    agw_arena_free(&arena);
}

static void path(void **state)
{
    static const char text[] = "a:\n- b: 1\n- c: [x, {d: 2}]\n";
    const struct agw_node *docs = NULL, *doc, *n;
    struct agw_arena arena;
    char out[64], small[8];

    agw_arena_init(&arena, 1024, 0);
    assert_int_equal(agw_yaml_load(AGW_STR(text), &arena, &docs, NULL), 0);
    doc = docs->first;
    n = agw_node_get(agw_node_get(agw_node_get(doc, "a")->last, "c")->last, "d");
    assert_int_equal(agw_node_path(doc, n, out, sizeof(out)), strlen("a[1].c[1].d"));
    assert_string_equal(out, "a[1].c[1].d");
    assert_int_equal(agw_node_path(doc, n, small, sizeof(small)), 7);
    assert_string_equal(small, "a[1].c[");
    assert_int_equal(agw_node_path(doc, doc, out, sizeof(out)), 0);
    assert_string_equal(out, "");
    agw_arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(look_up), cmocka_unit_test(path)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
