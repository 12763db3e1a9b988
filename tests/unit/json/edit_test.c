#include "json/edit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>
#include "failmalloc.h"
#include "json/pointer.h"

static struct agw_arena arena;

static int setup(void **state)
{
    agw_arena_init(&arena, 1024, 0);
    return 0;
}

static int teardown(void **state)
{
    agw_arena_free(&arena);
    return 0;
}

static void assert_chain(struct agw_chain *c, const char *want)
{
    char got[512];
    size_t n = agw_chain_peek(c, got, sizeof got);
    assert_int_equal(n, strlen(want));
    assert_memory_equal(got, want, n);
    agw_chain_clear(c);
}

static struct agw_block *block_of(const char *text)
{
    struct agw_block *b = agw_block_new(strlen(text));
    assert_non_null(b);
    memcpy(b->data, text, strlen(text));
    b->len = (uint32_t)strlen(text);
    return b;
}

static struct agw_str text_of(const struct agw_block *b)
{
    return agw_str((const char *)b->data, b->len);
}

static void edits_in_any_order(void **state)
{
    struct agw_block *b = block_of("0123456789");
    struct agw_json_edits e;
    struct agw_chain out;
    agw_chain_init(&out);
    agw_json_edits_init(&e, &arena);
    agw_json_edits_add(&e, 8, 2, AGW_STR("END"));
    agw_json_edits_add(&e, 2, 0, AGW_STR("<"));
    agw_json_edits_add(&e, 2, 0, AGW_STR(">"));
    agw_json_edits_add(&e, 4, 3, AGW_STR(""));
    assert_int_equal(agw_json_edits_apply(&e, text_of(b), b, &out), 0);
    assert_chain(&out, "01<>237END");
    agw_block_unref(b);
}

static void untouched_bytes_are_not_copied(void **state)
{
    struct agw_block *b = block_of("{\"a\":1,\"b\":2}");
    struct agw_json_edits e;
    struct agw_chain out;
    agw_chain_init(&out);
    agw_json_edits_init(&e, &arena);
    agw_json_edits_add(&e, 5, 1, AGW_STR("100"));
    assert_int_equal(agw_json_edits_apply(&e, text_of(b), b, &out), 0);
    assert_int_equal(out.count, 3);
    assert_ptr_equal(agw_chain_at(&out, 0)->p, b->data);
    assert_ptr_equal(agw_chain_at(&out, 2)->p, b->data + 6);
    assert_int_equal(b->refs, 3);
    assert_chain(&out, "{\"a\":100,\"b\":2}");
    assert_int_equal(b->refs, 1);
    agw_json_edits_init(&e, &arena);
    assert_int_equal(agw_json_edits_apply(&e, text_of(b), b, &out), 0);
    assert_int_equal(out.count, 1);
    assert_chain(&out, "{\"a\":1,\"b\":2}");
    agw_block_unref(b);
}

static void overlap_is_refused(void **state)
{
    struct agw_block *b = block_of("0123456789");
    struct agw_json_edits e;
    struct agw_chain out;
    agw_chain_init(&out);
    agw_json_edits_init(&e, &arena);
    agw_json_edits_add(&e, 2, 4, AGW_STR("x"));
    agw_json_edits_add(&e, 5, 1, AGW_STR("y"));
    assert_int_equal(agw_json_edits_apply(&e, text_of(b), b, &out), AGW_EINVAL);
    agw_chain_clear(&out);
    agw_json_edits_init(&e, &arena);
    agw_json_edits_add(&e, 8, 3, AGW_STR("x"));
    assert_int_equal(agw_json_edits_apply(&e, text_of(b), b, &out), AGW_EINVAL);
    agw_chain_clear(&out);
    agw_json_edits_init(&e, &arena);
    agw_json_edits_add(&e, 11, 0, AGW_STR("x"));
    assert_int_equal(agw_json_edits_apply(&e, text_of(b), b, &out), AGW_EINVAL);
    agw_chain_clear(&out);
    agw_block_unref(b);
}

static void tokens_and_strings(void **state)
{
    struct agw_block *b = block_of("{\"name\":\"x\",\"id\":[1,2]}");
    struct agw_json_doc doc;
    struct agw_json_edits e;
    struct agw_chain out;
    agw_chain_init(&out);
    agw_json_doc_init(&doc, 0);
    assert_int_equal(agw_json_parse(&doc, text_of(b), NULL), 0);
    agw_json_edits_init(&e, &arena);
    agw_json_edits_string(&e, &doc, agw_json_get(&doc, 0, AGW_STR("name")), AGW_STR("a\"b\n"));
    agw_json_edits_token(&e, &doc, agw_json_get(&doc, 0, AGW_STR("id")), AGW_STR("7"));
    assert_int_equal(agw_json_edits_apply(&e, text_of(b), b, &out), 0);
    assert_chain(&out, "{\"name\":\"a\\\"b\\n\",\"id\":7}");
    agw_json_doc_free(&doc);
    agw_block_unref(b);
}

static void write_a_range(void **state)
{
    static const struct agw_str text = AGW_STR("[{\"n\":\"a\"},{\"n\":\"b\"}]");
    struct agw_json_edits e;
    struct agw_json_writer w;
    agw_json_edits_init(&e, &arena);
    agw_json_edits_add(&e, 7, 0, AGW_STR("s_"));
    agw_json_edits_add(&e, 17, 0, AGW_STR("t_"));
    agw_json_writer_init(&w);
    agw_json_begin_array(&w);
    assert_int_equal(agw_json_edits_write(&e, text, 11, 20, &w), 0);
    assert_int_equal(agw_json_edits_write(&e, text, 1, 10, &w), 0);
    agw_json_end_array(&w);
    assert_int_equal(agw_json_writer_end(&w), 0);
    struct agw_str got = agw_json_writer_text(&w);
    assert_int_equal(got.n, strlen("[{\"n\":\"t_b\"},{\"n\":\"s_a\"}]"));
    assert_memory_equal(got.p, "[{\"n\":\"t_b\"},{\"n\":\"s_a\"}]", got.n);
    agw_json_writer_free(&w);
}

static void out_of_memory(void **state)
{
    struct agw_block *b = block_of("0123456789012345678901234567890123456789");
    for (long n = 1;; n++) {
        struct agw_arena a;
        struct agw_json_edits e;
        struct agw_chain out;
        agw_chain_init(&out);
        agw_arena_init(&a, 256, 0);
        agw_json_edits_init(&e, &a);
        failmalloc_at(n);
        for (uint32_t i = 0; i < 20; i++)
            agw_json_edits_add(&e, i * 2, 1, AGW_STR("xy"));
        int rc = agw_json_edits_apply(&e, text_of(b), b, &out);
        bool reached = failmalloc_count() >= n;
        failmalloc_at(0);
        assert_int_equal(rc, reached ? AGW_ENOMEM : 0);
        agw_chain_clear(&out);
        agw_arena_free(&a);
        assert_int_equal(b->refs, 1);
        if (!reached)
            break;
        assert_true(n < 100);
    }
    agw_block_unref(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(edits_in_any_order), cmocka_unit_test(untouched_bytes_are_not_copied),
        cmocka_unit_test(overlap_is_refused), cmocka_unit_test(tokens_and_strings),
        cmocka_unit_test(write_a_range),      cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
