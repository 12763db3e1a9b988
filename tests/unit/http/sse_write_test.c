#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "base/check.h"
#include "base/err.h"
#include "http/sse.h"
#include "failmalloc.h"

#define S(literal)                                                                                           \
    {                                                                                                        \
        literal, sizeof(literal) - 1                                                                         \
    }

static const struct {
    struct agw_sse_event event;
    const char *text;
} examples[] = {
    {{.data = S("a")}, "data: a\n\n"},
    {{.type = S("message"), .data = S("a"), .id = S("1"), .has_id = true},
     "event: message\nid: 1\ndata: a\n\n"},
    {{.data = S("a"), .id = S("not its own")}, "data: a\n\n"},
    {{.data = S("")}, "data: \n\n"},
    {{.id = S("1"), .has_id = true}, "id: 1\n\n"},
    {{.data = S("a"), .has_id = true}, "id: \ndata: a\n\n"},
    {{.data = S("a\nb\r\nc\rd")}, "data: a\ndata: b\ndata: c\ndata: d\n\n"},
    {{.data = S("a\n")}, "data: a\ndata: \n\n"},
    {{.data = S("\r\n\n")}, "data: \ndata: \ndata: \n\n"},
    {{.data = S(" a")}, "data:  a\n\n"},
    {{.data = S("a"), .has_retry = true, .retry_ms = 3000}, "retry: 3000\ndata: a\n\n"},
};

static const struct agw_sse_event refused[] = {
    {.type = S("a\nb")},
    {.type = S("a\r")},
    {.id = S("a\nb"), .has_id = true},
    {.id = S("a\0b"), .has_id = true},
};

static void test_events(void **state)
{
    struct agw_block_pool pool;
    struct agw_chain out;
    char text[256];

    agw_block_pool_init(&pool, 1);
    agw_chain_init(&out);
    for (size_t i = 0; i < AGW_ARRAY_LEN(examples); i++) {
        assert_int_equal(agw_sse_write(&out, &pool, &examples[i].event), 0);
        text[agw_chain_peek(&out, text, sizeof(text) - 1)] = '\0';
        assert_string_equal(text, examples[i].text);
        agw_chain_clear(&out);
    }
    for (size_t i = 0; i < AGW_ARRAY_LEN(refused); i++) {
        assert_int_equal(agw_sse_write(&out, &pool, &refused[i]), AGW_EINVAL);
        assert_true(agw_chain_empty(&out));
    }
    agw_block_pool_free(&pool);
}

static void test_comment(void **state)
{
    struct agw_block_pool pool;
    struct agw_chain out;
    char text[64];

    agw_block_pool_init(&pool, 1);
    agw_chain_init(&out);
    assert_int_equal(agw_sse_write_comment(&out, &pool, AGW_STR("ping")), 0);
    text[agw_chain_peek(&out, text, sizeof(text) - 1)] = '\0';
    assert_string_equal(text, ": ping\n");
    assert_int_equal(agw_sse_write_comment(&out, &pool, AGW_STR("a\ndata: b")), AGW_EINVAL);
    agw_chain_clear(&out);
    agw_block_pool_free(&pool);
}

/* What was written reads back as the same event; line ends in data become LF. */
static void test_round_trip(void **state)
{
    struct agw_sse_event in = {.type = S("t"), .data = S("{\"a\":\n 1}\n"), .id = S("x"), .has_id = true},
                         event;
    struct agw_block_pool pool;
    struct agw_chain out;
    struct agw_sse sse;
    unsigned char text[256];
    size_t n, used;

    agw_block_pool_init(&pool, 1);
    agw_chain_init(&out);
    assert_int_equal(agw_sse_write(&out, &pool, &in), 0);
    n = agw_chain_peek(&out, text, sizeof(text));
    agw_sse_init(&sse, NULL);
    assert_int_equal(agw_sse_next(&sse, text, n, &used, &event), AGW_SSE_EVENT);
    assert_int_equal(used, n);
    assert_true(agw_str_eq(event.type, in.type) && agw_str_eq(event.data, in.data) &&
                agw_str_eq(event.id, in.id));
    agw_sse_free(&sse);
    agw_chain_clear(&out);
    agw_block_pool_free(&pool);
}

static void test_no_memory(void **state)
{
    struct agw_block_pool pool;
    static char big[40000];
    struct agw_sse_event event = {.type = S("t"), .data = {big, sizeof(big)}};
    bool reached = true;

    memset(big, 'b', sizeof(big));
    agw_block_pool_init(&pool, 0);
    for (long n = 1; reached; n++) {
        struct agw_chain out;
        int r;
        agw_chain_init(&out);
        failmalloc_at(n);
        r = agw_sse_write(&out, &pool, &event);
        reached = failmalloc_count() >= n;
        failmalloc_at(0);
        assert_int_equal(r, reached ? AGW_ENOMEM : 0);
        agw_chain_clear(&out);
        assert_int_equal(pool.live, 0);
        assert_true(reached || n > 3);
    }
    agw_block_pool_free(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_comment),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
