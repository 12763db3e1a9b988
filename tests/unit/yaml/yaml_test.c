/* Documents, positions, and everything that is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "base/check.h"
#include "yaml/yaml.h"
#include "failmalloc.h"

#define ROOM (1u << 20) /* bytes that generated text may take; every buffer has more */

/* The tree as compact JSON-like text, so that a test is one comparison. */
static void show(const struct agw_node *n, FILE *out)
{
    const struct agw_node *c;

    if (n->type == AGW_NODE_LIST || n->type == AGW_NODE_MAP) {
        fputc(n->type == AGW_NODE_MAP ? '{' : '[', out);
        agw_node_each (c, n) {
            if (n->type == AGW_NODE_MAP)
                fprintf(out, "%.*s@%u:", AGW_STRF(c->key), c->line);
            show(c, out);
            if (c->next)
                fputc(',', out);
        }
        fputc(n->type == AGW_NODE_MAP ? '}' : ']', out);
    } else if (n->type == AGW_NODE_STRING) {
        fprintf(out, "'%.*s'", AGW_STRF(n->text));
    } else if (n->type == AGW_NODE_NULL) {
        fputs("null", out);
    } else {
        fprintf(out, "%.*s", AGW_STRF(n->text));
    }
}

struct row {
    const char *text, *expect;
};

static void documents(void **state)
{
    static const struct row rows[] = {
        {"", "[]"},
        {"---\n---\n# nothing\n---\n", "[]"},
        {"a: 1\n---\nb: two\n...\n---\nc: ~\n", "[{a@1:1},{b@3:'two'},{c@6:null}]"},
        {"a:\n  - x\n  - y: 1\n    z: true\n", "[{a@1:['x',{y@3:1,z@4:true}]}]"},
        {"a: |\n  l1\n  l2\nb: >-\n  f1\n  f2\n", "[{a@1:'l1\nl2\n',b@4:'f1 f2'}]"},
        {"{\"a\":1,\"b\":[\"x\",{\"c\":null}]}", "[{a@1:1,b@1:['x',{c@1:null}]}]"},
        {"\"a\": \"\\u00e9\\/\"\n", "[{a@1:'\xc3\xa9/'}]"},
        {"a: &x {p: 1}\nb: *x\nc: [*x]\n", "[{a@1:{p@1:1},b@2:{p@1:1},c@3:[{p@1:1}]}]"},
        {"a: &x 1\nb: &x 2\nc: *x\n", "[{a@1:1,b@2:2,c@3:2}]"},
        {"80: a\ntrue: b\n", "[{80@1:'a',true@2:'b'}]"},
        {"a: '1'\nb: \"true\"\nc: 'null'\n", "[{a@1:'1',b@2:'true',c@3:'null'}]"},
        {"\xef\xbb\xbf"
         "a: b\n",
         "[{a@1:'b'}]"},
        {"'<<': x\n", "[{<<@1:'x'}]"},
        {"%YAML 1.1\n---\na: b\n", "[{a@3:'b'}]"},
    };
    struct agw_arena arena;
    size_t i;

    agw_arena_init(&arena, 1024, 0);
    for (i = 0; i < AGW_ARRAY_LEN(rows); i++) {
        const struct agw_node *docs = NULL;
        struct agw_error err = {0};
        char *got = NULL;
        size_t n;
        FILE *out = open_memstream(&got, &n);

        if (agw_yaml_load(agw_str_c(rows[i].text), &arena, &docs, &err))
            fail_msg("%s: %s", rows[i].text, err.text);
        show(docs, out);
        fclose(out);
        assert_string_equal(got, rows[i].expect);
        free(got);
    }
    agw_arena_free(&arena);
}

static void refused(void **state)
{
    static const struct row rows[] = {
        {"a: 1\nb: 2\na: 3\n", "3:1: the key \"a\" is already set on line 1"},
        {"x: {a: 1, 'a': 2}\n", "1:11: the key \"a\" is already set on line 1"},
        {"a: !!str 1\n", "1:4: tags are not read"},
        {"a: !foo [1]\n", "1:4: tags are not read"},
        {"a: !foo {b: 1}\n", "1:4: tags are not read"},
        {"a: &x {p: 1}\nb:\n  <<: *x\n", "3:3: merge keys (<<) are not read; write the members out"},
        {"? [a]\n: b\n", "1:3: a key that is not a plain value"},
        {"&k a: b\n", "1:1: an anchor on a key is not read"},
        {"a: &x b\n*x : c\n", "2:1: an alias as a key is not read"},
        {"a: *x\n", "1:4: an alias to an anchor that does not exist"},
        {"a: &x 1\n---\nb: *x\n", "3:4: an alias to an anchor that does not exist"},
        {"a: &x [*x]\n", "1:8: an alias inside the value that it stands for"},
        {"a: \"x\\0y\"\n", "1:4: a NUL character in a string"},
        {"p: 0755\n", "1:4: a number with a leading zero means different things to different readers; "
                      "quote it if it is text"},
        {"a: b: c\n", "1:5: mapping values are not allowed in this context"},
        {"a: [1, 2\n", "2:1: did not find expected ',' or ']' while parsing a flow sequence"},
        {"a:\n\t- b\n", "2:1: found character that cannot start any token while scanning for the next token"},
        {"a: 1\n  b: 2\n", "2:4: mapping values are not allowed in this context"},
    };
    struct agw_arena arena;
    size_t i;

    agw_arena_init(&arena, 1024, 0);
    for (i = 0; i < AGW_ARRAY_LEN(rows); i++) {
        const struct agw_node *docs = NULL;
        struct agw_error err = {0};

        assert_int_equal(agw_yaml_load(agw_str_c(rows[i].text), &arena, &docs, &err), AGW_EINVAL);
        assert_string_equal(err.text, rows[i].expect);
        assert_null(docs);
    }
    assert_int_equal(agw_yaml_load(AGW_STR("a: \"\xff\"\n"), &arena, &(const struct agw_node *){NULL}, NULL),
                     AGW_EINVAL);
    agw_arena_free(&arena);
}

static int load_code(struct agw_str text)
{
    const struct agw_node *docs;
    struct agw_arena arena;
    int rc;

    agw_arena_init(&arena, 1024, 0);
    rc = agw_yaml_load(text, &arena, &docs, NULL);
    agw_arena_free(&arena);
    return rc;
}

static struct agw_str repeated(char *buf, const char *unit, size_t count)
{
    size_t i, n = strlen(unit);

    for (i = 0; i < count; i++)
        memcpy(buf + i * n, unit, n);
    return agw_str(buf, n * count);
}

static void limits(void **state)
{
    char *buf = malloc(AGW_YAML_MAX_BYTES + 1);
    struct agw_str s;
    size_t n = 0;
    int i;

    assert_non_null(buf);
    memset(buf, ' ', AGW_YAML_MAX_BYTES + 1);
    assert_int_equal(load_code(agw_str(buf, AGW_YAML_MAX_BYTES + 1)), AGW_ELIMIT);

    s = repeated(buf, "[", AGW_YAML_MAX_DEPTH);
    memset(buf + s.n, ']', s.n);
    assert_int_equal(load_code(agw_str(buf, 2 * s.n)), 0);
    s = repeated(buf, "[", AGW_YAML_MAX_DEPTH + 1);
    assert_int_equal(load_code(s), AGW_ELIMIT);

    s = repeated(buf, "- &a b\n", AGW_YAML_MAX_ANCHORS);
    assert_int_equal(load_code(s), 0);
    s = repeated(buf, "- &a b\n", AGW_YAML_MAX_ANCHORS + 1);
    assert_int_equal(load_code(s), AGW_ELIMIT);

    s = repeated(buf, "- b\n", AGW_YAML_MAX_NODES);
    assert_int_equal(load_code(s), AGW_ELIMIT);

    /* nine levels of nine aliases: 9^9 values if nothing stops it */
    n += (size_t)snprintf(buf + n, ROOM - n, "a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for (i = 1; i < 10; i++)
        n += (size_t)snprintf(buf + n, ROOM - n,
                              "a%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d]\n", i, i,
                              i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
    assert_int_equal(load_code(agw_str(buf, n)), AGW_ELIMIT);
    free(buf);
}

static void many_keys(void **state)
{
    char *buf = malloc(ROOM);
    size_t n = 0;
    int i;

    assert_non_null(buf);
    for (i = 0; i < 20000; i++)
        n += (size_t)snprintf(buf + n, ROOM - n, "key-%d: 1\n", i);
    assert_int_equal(load_code(agw_str(buf, n)), 0);
    n += (size_t)snprintf(buf + n, ROOM - n, "key-777: 1\n");
    assert_int_equal(load_code(agw_str(buf, n)), AGW_EINVAL);
    free(buf);
}

static void out_of_memory(void **state)
{
    static const char text[] = "a: &x {p: 1, q: [x, y]}\nb: *x\nc: hello\n---\nd: 2\n";
    long n;

    for (n = 1;; n++) {
        bool reached;
        int rc;

        failmalloc_at(n);
        rc = load_code(AGW_STR(text));
        reached = failmalloc_count() >= n;
        failmalloc_at(0);
        assert_int_equal(rc, reached ? AGW_ENOMEM : 0);
        if (!reached)
            break;
    }
    assert_true(n > 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documents), cmocka_unit_test(refused),       cmocka_unit_test(limits),
        cmocka_unit_test(many_keys), cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
