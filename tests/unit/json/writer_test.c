#include "json/writer.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>
#include "base/arena.h"
#include "base/err.h"
#include "failmalloc.h"
#include "json/tape.h"

static void assert_text(struct agw_str got, const char *want)
{
    assert_int_equal(got.n, strlen(want));
    assert_memory_equal(got.p, want, got.n);
}

static void everything(struct agw_json_writer *w)
{
    agw_json_begin_object(w);
    agw_json_put_string(w, "s", AGW_STR("q\"\\\n\x01\x7f\xc3\xa9"));
    agw_json_put_int(w, "i", INT64_MIN);
    agw_json_put_uint(w, "u", UINT64_MAX);
    agw_json_put_bool(w, "b", true);
    agw_json_put_raw(w, "r", AGW_STR("[1.0]"));
    agw_json_key(w, AGW_STR("a"));
    agw_json_begin_array(w);
    agw_json_null(w);
    agw_json_bool(w, false);
    agw_json_begin_object(w);
    agw_json_end_object(w);
    agw_json_begin_array(w);
    agw_json_end_array(w);
    agw_json_int(w, 0);
    agw_json_end_array(w);
    agw_json_end_object(w);
}

#define EVERYTHING                                                                                           \
    "{\"s\":\"q\\\"\\\\\\n\\u0001\x7f\xc3\xa9\",\"i\":-9223372036854775808,\"u\":18446744073709551615,"      \
    "\"b\":true,"                                                                                            \
    "\"r\":[1.0],\"a\":[null,false,{},[],0]}"

static void in_memory(void **state)
{
    struct agw_json_writer w;
    agw_json_writer_init(&w);
    everything(&w);
    assert_int_equal(agw_json_writer_end(&w), 0);
    assert_text(agw_json_writer_text(&w), EVERYTHING);
    struct agw_chain c;
    agw_chain_init(&c);
    assert_int_equal(agw_json_writer_take(&w, &c), 0);
    assert_int_equal(c.bytes, sizeof EVERYTHING - 1);
    assert_int_equal(agw_json_writer_text(&w).n, 0);
    agw_chain_clear(&c);
    agw_json_writer_free(&w);
}

static void doubles(void **state)
{
    static const struct {
        double v;
        const char *text;
    } cases[] = {{0, "0"},
                 {0.1, "0.1"},
                 {-1.5, "-1.5"},
                 {1e300, "1e+300"},
                 {1.0 / 3, "0.3333333333333333"},
                 {NAN, "null"},
                 {INFINITY, "null"},
                 {5e-324, "4.94065645841247e-324"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct agw_json_writer w;
        agw_json_writer_init(&w);
        agw_json_double(&w, cases[i].v);
        assert_text(agw_json_writer_text(&w), cases[i].text);
        agw_json_writer_free(&w);
    }
}

static void bad_utf8_is_replaced(void **state)
{
    struct agw_json_writer w;
    struct agw_json_doc doc;
    agw_json_writer_init(&w);
    agw_json_string(&w, AGW_STR("a\xff\xc3(\xed\xa0\x80z\xe2\x82"));
    assert_text(
        agw_json_writer_text(&w),
        "\"a\xef\xbf\xbd\xef\xbf\xbd(\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz\xef\xbf\xbd\xef\xbf\xbd\"");
    agw_json_doc_init(&doc, 0);
    assert_int_equal(agw_json_parse(&doc, agw_json_writer_text(&w), NULL), 0);
    agw_json_doc_free(&doc);
    agw_json_writer_free(&w);
}

/* More than one block: what comes out of the chain is what memory mode gives. */
static void to_a_chain(void **state)
{
    struct agw_block_pool pool;
    struct agw_chain c;
    struct agw_json_writer a, b;
    agw_block_pool_init(&pool, 4);
    agw_chain_init(&c);
    agw_json_writer_init(&a);
    agw_json_writer_init_chain(&b, &c, &pool);
    struct agw_json_writer *both[] = {&a, &b};
    char *big = malloc(50000);
    memset(big, 'x', 50000);
    for (int k = 0; k < 2; k++) {
        agw_json_begin_array(both[k]);
        for (int i = 0; i < 3000; i++)
            agw_json_int(both[k], i);
        everything(both[k]);
        agw_json_string(both[k], agw_str(big, 50000));
        agw_json_end_array(both[k]);
        assert_int_equal(agw_json_writer_end(both[k]), 0);
    }
    struct agw_str want = agw_json_writer_text(&a);
    assert_int_equal(c.bytes, want.n);
    char *got = malloc(want.n);
    agw_chain_peek(&c, got, want.n);
    assert_memory_equal(got, want.p, want.n);
    free(got);
    free(big);
    agw_chain_clear(&c);
    agw_json_writer_free(&a);
    agw_json_writer_free(&b);
    agw_block_pool_free(&pool);
}

static void escape(void **state)
{
    struct agw_arena arena;
    agw_arena_init(&arena, 256, 0);
    struct agw_str plain = AGW_STR("plain");
    assert_ptr_equal(agw_json_escape(plain, &arena).p, plain.p);
    assert_text(agw_json_escape(AGW_STR("\ta\"b\x1f"), &arena), "\\ta\\\"b\\u001f");
    assert_non_null(agw_json_escape(agw_str(NULL, 0), &arena).p);
    agw_arena_free(&arena);
}

static void out_of_memory(void **state)
{
    for (long n = 1;; n++) {
        struct agw_json_writer w;
        agw_json_writer_init(&w);
        failmalloc_at(n);
        agw_json_begin_array(&w);
        for (int i = 0; i < 100; i++)
            everything(&w);
        agw_json_end_array(&w);
        int rc = agw_json_writer_end(&w);
        bool reached = failmalloc_count() >= n;
        failmalloc_at(0);
        assert_int_equal(rc, reached ? AGW_ENOMEM : 0);
        agw_json_writer_free(&w);
        if (!reached)
            break;
        assert_true(n < 100);
    }
}

static void out_of_memory_in_a_chain(void **state)
{
    for (long n = 1;; n++) {
        struct agw_json_writer w;
        struct agw_chain c;
        agw_chain_init(&c);
        agw_json_writer_init_chain(&w, &c, NULL);
        failmalloc_at(n);
        agw_json_begin_array(&w);
        for (int i = 0; i < 1000; i++)
            everything(&w);
        agw_json_end_array(&w);
        int rc = agw_json_writer_end(&w);
        bool reached = failmalloc_count() >= n;
        failmalloc_at(0);
        assert_int_equal(rc, reached ? AGW_ENOMEM : 0);
        agw_json_writer_free(&w);
        agw_chain_clear(&c);
        if (!reached)
            break;
        assert_true(n < 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_memory),
        cmocka_unit_test(doubles),
        cmocka_unit_test(bad_utf8_is_replaced),
        cmocka_unit_test(to_a_chain),
        cmocka_unit_test(escape),
        cmocka_unit_test(out_of_memory),
        cmocka_unit_test(out_of_memory_in_a_chain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
