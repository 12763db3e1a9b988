#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "base/check.h"
#include "base/err.h"
#include "h1/h1_int.h"
#include "describe.h"
#include "failmalloc.h"

#define OUT_MAX 70000

struct example {
    const char *text;
    int r;            /* AGW_H1_END, AGW_H1_MORE, or an error */
    const char *data; /* with END and MORE */
    const char *trailers;
    size_t rest; /* bytes of |text| behind the body */
};

#define END AGW_H1_END
#define BAD AGW_EPROTO

static const struct example chunked[] = {
    {"0\r\n\r\n", END, "", ""},
    {"5\r\nhello\r\n0\r\n\r\n", END, "hello", ""},
    {"5\r\nhello\r\n1\r\n!\r\n000\r\n\r\nGET /", END, "hello!", "", 5},
    {"A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", END, "01234567890123456789", ""},
    {"0000000000000005\r\nhello\r\n0\r\n\r\n", END, "hello", ""},
    {"5\r\n\r\n\r\n\r\r\n0\r\n\r\n", END, "\r\n\r\n\r", ""},
    {"5;a\r\nhello\r\n0;b=c\r\n\r\n", END, "hello", ""},
    {"5 ; a=\"b;c\"\t\r\nhello\r\n0\t;\r\n\r\n", END, "hello", ""},
    {"5;\xff\r\nhello\r\n0\r\n\r\n", END, "hello", ""},
    {"0\r\nX-Sum: 1\r\nY:2\r\n\r\nz", END, "", "[x-sum: 1][y: 2]", 1},
    {"1\r\na\r\n0\r\nContent-Length: 1\r\nTransfer-Encoding: gzip\r\nHost: h\r\n\r\n", END, "a", ""},
    {"0\r\nTrailer: a\r\nX: 1\r\nAuthorization: a\r\n\r\n", END, "", "[x: 1]"},
    {"", AGW_H1_MORE, "", ""},
    {"5", AGW_H1_MORE, "", ""},
    {"5\r\nhel", AGW_H1_MORE, "hel", ""},
    {"5\r\nhello", AGW_H1_MORE, "hello", ""},
    {"5\r\nhello\r\n0\r\n", AGW_H1_MORE, "hello", ""},
    {"5\r\nhello\r\n0\r\nX: 1\r\n", AGW_H1_MORE, "hello", ""},
    {"\r\n", BAD},
    {"\n", BAD},
    {" 5\r\nhello\r\n", BAD},
    {"g\r\n", BAD},
    {"-5\r\n", BAD},
    {"+5\r\n", BAD},
    {"0x5\r\n", BAD},
    {";a\r\n", BAD},
    {"5 \r\nhello\r\n", BAD},
    {"5 a\r\nhello\r\n", BAD},
    {"5 5\r\nhello\r\n", BAD},
    {"5,5\r\nhello\r\n", BAD},
    {"5\nhello\r\n", BAD},
    {"5\rhello\r\n", BAD},
    {"5\r\r\nhello\r\n", BAD},
    {"5;a\nhello\r\n", BAD},
    {"5;a\rb\r\nhello\r\n", BAD},
    {"5;a\x01\r\nhello\r\n", BAD},
    {"5;a\x7f\r\nhello\r\n", BAD},
    {"00000000000000005\r\nhello\r\n", BAD},
    {"10000000000000000\r\nhello\r\n", BAD},
    {"5\r\nhello0\r\n\r\n", BAD},
    {"5\r\nhello\n0\r\n\r\n", BAD},
    {"5\r\nhello\r0\r\n\r\n", BAD},
    {"5\r\nhello\r\n\r\n", BAD},
    {"5\r\nhello!\r\n0\r\n\r\n", BAD},
    {"0\r\nX: 1\n\r\n", BAD},
    {"0\r\n\n", BAD},
    {"0\r\nX : 1\r\n\r\n", BAD},
    {"0\r\nX: 1\r\n y\r\n\r\n", BAD},
    {"0\r\nX: \x01\r\n\r\n", BAD},
    {"0\r\nX\r\n\r\n", BAD},
    {"0\r\n: 1\r\n\r\n", BAD},
    {"0\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", BAD},
};

struct run {
    struct agw_arena arena;
    struct agw_h1_body body;
    char data[OUT_MAX];
    size_t data_n;
    size_t used;
    int r;
};

static void start(struct run *run, enum agw_h1_framing framing, int64_t length)
{
    struct agw_h1_head head = {.framing = framing};

    agw_arena_init(&run->arena, 0, 0);
    agw_h1_body_init(&run->body, &head, length, &run->arena);
    run->data_n = run->used = 0;
    run->r = AGW_H1_MORE;
}

/* Feeds one piece, in memory of exactly its size. */
static void feed(struct run *run, const char *text, size_t n)
{
    unsigned char *p = malloc(n ? n : 1);
    size_t done = 0, used = 0, at, length;

    memcpy(p, text, n);
    do {
        run->r = agw_h1_body_next(&run->body, p + done, n - done, &used, &at, &length);
        if (run->r < 0)
            break;
        assert_true(used <= n - done);
        if (run->r == AGW_H1_DATA) {
            assert_true(length > 0 && at + length == used);
            assert_true(run->data_n + length <= OUT_MAX);
            memcpy(run->data + run->data_n, p + done + at, length);
            run->data_n += length;
        }
        done += used;
    } while (run->r == AGW_H1_DATA);
    if (run->r == AGW_H1_MORE)
        assert_int_equal(done, n);
    run->used += done;
    free(p);
}

static void check(const struct run *run, const struct example *e)
{
    char trailers[DESCRIBE_MAX] = "";

    if (run->r != e->r)
        fail_msg("%s\n  gave %d (%s), expected %d", e->text, run->r, run->body.reason ? run->body.reason : "",
                 e->r);
    if (e->r < 0) {
        assert_non_null(run->body.reason);
        return;
    }
    assert_int_equal(run->data_n, strlen(e->data));
    assert_memory_equal(run->data, e->data, run->data_n);
    if (run->body.trailers)
        describe_fields(run->body.trailers, trailers, sizeof(trailers));
    assert_string_equal(trailers, e->trailers);
    assert_int_equal(run->used, strlen(e->text) - e->rest);
}

static void test_chunked_at_every_cut(void **state)
{
    static struct run run;

    for (size_t i = 0; i < AGW_ARRAY_LEN(chunked); i++) {
        const struct example *e = &chunked[i];
        size_t n = strlen(e->text);
        for (size_t cut = 0; cut <= n; cut++) {
            start(&run, AGW_H1_CHUNKED, AGW_LENGTH_UNKNOWN);
            feed(&run, e->text, cut);
            if (run.r == AGW_H1_MORE)
                feed(&run, e->text + cut, n - cut);
            check(&run, e);
            agw_arena_free(&run.arena);
        }
    }
}

static void test_chunked_bytewise(void **state)
{
    static struct run run;

    for (size_t i = 0; i < AGW_ARRAY_LEN(chunked); i++) {
        const struct example *e = &chunked[i];
        start(&run, AGW_H1_CHUNKED, AGW_LENGTH_UNKNOWN);
        for (size_t k = 0; k < strlen(e->text) && run.r == AGW_H1_MORE; k++)
            feed(&run, e->text + k, 1);
        check(&run, e);
        agw_arena_free(&run.arena);
    }
}

static void test_chunk_size_of_64_bits(void **state)
{
    static struct run run;

    start(&run, AGW_H1_CHUNKED, AGW_LENGTH_UNKNOWN);
    feed(&run, "ffffffffffffffff\r\nabc", 21);
    assert_int_equal(run.r, AGW_H1_MORE);
    assert_int_equal(run.data_n, 3);
    assert_true(run.body.left == UINT64_MAX - 3);
    agw_arena_free(&run.arena);
}

/* Data comes out where it came in, not copied. */
static void test_runs_point_into_the_input(void **state)
{
    static const unsigned char text[] = "3\r\nabc\r\n2\r\nde";
    struct agw_h1_head head = {.framing = AGW_H1_CHUNKED};
    struct agw_h1_body body;
    size_t used, at, length;

    agw_h1_body_init(&body, &head, AGW_LENGTH_UNKNOWN, NULL);
    assert_int_equal(agw_h1_body_next(&body, text, sizeof(text) - 1, &used, &at, &length), AGW_H1_DATA);
    assert_true(at == 3 && length == 3 && used == 6);
    assert_int_equal(agw_h1_body_next(&body, text + 6, sizeof(text) - 7, &used, &at, &length), AGW_H1_DATA);
    assert_true(at == 5 && length == 2 && used == 7);
}

static void test_length(void **state)
{
    static struct run run;

    start(&run, AGW_H1_LENGTH, 5);
    feed(&run, "he", 2);
    assert_int_equal(run.r, AGW_H1_MORE);
    assert_int_equal(agw_h1_body_eof(&run.body), AGW_EPROTO);
    assert_false(agw_h1_body_is_over(&run.body));
    feed(&run, "lloGET /", 8);
    assert_true(agw_h1_body_is_over(&run.body));
    assert_int_equal(run.r, AGW_H1_END);
    assert_int_equal(run.used, 5);
    assert_memory_equal(run.data, "hello", 5);
    feed(&run, "x", 1);
    assert_int_equal(run.r, AGW_H1_END);
    assert_int_equal(run.used, 5);
    assert_int_equal(agw_h1_body_eof(&run.body), 0);

    start(&run, AGW_H1_LENGTH, 0);
    feed(&run, "", 0);
    assert_int_equal(run.r, AGW_H1_END);
    start(&run, AGW_H1_LENGTH, INT64_MAX);
    feed(&run, "abc", 3);
    assert_int_equal(run.r, AGW_H1_MORE);
    assert_true(run.body.left == (uint64_t)INT64_MAX - 3);
}

static void test_until_close_and_tunnel(void **state)
{
    static struct run run;
    static const enum agw_h1_framing framings[] = {AGW_H1_UNTIL_CLOSE, AGW_H1_TUNNEL};

    for (size_t i = 0; i < 2; i++) {
        start(&run, framings[i], AGW_LENGTH_UNKNOWN);
        feed(&run, "0\r\n\r\n", 5);
        feed(&run, "", 0);
        assert_int_equal(run.r, AGW_H1_MORE);
        assert_int_equal(run.data_n, 5);
        assert_int_equal(agw_h1_body_eof(&run.body), 0);
        feed(&run, "", 0);
        assert_int_equal(run.r, AGW_H1_END);
    }
}

static void test_no_body(void **state)
{
    static struct run run;

    start(&run, AGW_H1_NO_BODY, 10);
    feed(&run, "next", 4);
    assert_int_equal(run.r, AGW_H1_END);
    assert_int_equal(run.used, 0);
    assert_int_equal(agw_h1_body_eof(&run.body), 0);
}

static void test_eof_inside_chunked(void **state)
{
    static const char text[] = "3\r\nabc\r\n0\r\nX: 1\r\n\r\n";
    static struct run run;

    for (size_t n = 0; n < sizeof(text); n++) {
        start(&run, AGW_H1_CHUNKED, AGW_LENGTH_UNKNOWN);
        feed(&run, text, n);
        assert_int_equal(agw_h1_body_eof(&run.body), n == sizeof(text) - 1 ? 0 : AGW_EPROTO);
        agw_arena_free(&run.arena);
    }
}

static void test_line_limit(void **state)
{
    static struct run run;

    start(&run, AGW_H1_CHUNKED, AGW_LENGTH_UNKNOWN);
    feed(&run, "5;", 2);
    for (int i = 0; i < 400; i++)
        feed(&run, "x", 1);
    assert_int_equal(run.r, AGW_H1_MORE);
    for (int i = 0; i < 200 && run.r == AGW_H1_MORE; i++)
        feed(&run, "x", 1);
    assert_int_equal(run.r, AGW_ELIMIT);
    assert_non_null(run.body.reason);
}

/* One byte of data behind 90 bytes of extension, over and over: refused; the same extension before 1 KiB:
 * fine. */
static void test_extension_overhead(void **state)
{
    static struct run run;
    char line[128], data[1026];
    int i, n = snprintf(line, sizeof(line), "1;%090d\r\nx\r\n", 0);

    start(&run, AGW_H1_CHUNKED, AGW_LENGTH_UNKNOWN);
    for (i = 0; i < 1000 && run.r == AGW_H1_MORE; i++)
        feed(&run, line, (size_t)n);
    assert_int_equal(run.r, AGW_ELIMIT);
    assert_true(i > 100);

    memset(data, 'd', 1024);
    memcpy(data + 1024, "\r\n", 2);
    start(&run, AGW_H1_CHUNKED, AGW_LENGTH_UNKNOWN);
    for (i = 0; i < 1000 && run.r == AGW_H1_MORE; i++) {
        feed(&run, line, (size_t)snprintf(line, sizeof(line), "400;%090d\r\n", 0));
        feed(&run, data, sizeof(data));
        run.data_n = 0;
    }
    assert_int_equal(run.r, AGW_H1_MORE);
}

/* Chunks of one byte without extensions are bad style and no attack. */
static void test_small_chunks(void **state)
{
    static struct run run;

    start(&run, AGW_H1_CHUNKED, AGW_LENGTH_UNKNOWN);
    for (int i = 0; i < 60000; i++)
        feed(&run, "1\r\nx\r\n", 6);
    assert_int_equal(run.r, AGW_H1_MORE);
    assert_int_equal(run.data_n, 60000);
}

static void test_trailer_limits(void **state)
{
    static struct run run;
    char line[128];
    int n = snprintf(line, sizeof(line), "X: %0100d\r\n", 0), i;

    start(&run, AGW_H1_CHUNKED, AGW_LENGTH_UNKNOWN);
    feed(&run, "0\r\n", 3);
    for (i = 0; i < 1000 && run.r == AGW_H1_MORE; i++)
        feed(&run, line, (size_t)n);
    assert_int_equal(run.r, AGW_ELIMIT);
    assert_int_equal(i, AGW_H1_TRAILER_MAX / n + 1);
    agw_arena_free(&run.arena);

    for (int fields = AGW_H1_TRAILERS; fields <= AGW_H1_TRAILERS + 1; fields++) {
        start(&run, AGW_H1_CHUNKED, AGW_LENGTH_UNKNOWN);
        feed(&run, "0\r\n", 3);
        for (i = 0; i < fields; i++)
            feed(&run, "X: 1\r\n", 6);
        feed(&run, "\r\n", 2);
        assert_int_equal(run.r, fields == AGW_H1_TRAILERS ? AGW_H1_END : AGW_ELIMIT);
        agw_arena_free(&run.arena);
    }
}

static void test_no_memory(void **state)
{
    static struct run run;
    static char text[2000];
    bool reached = true;
    int k = snprintf(text, sizeof(text), "1\r\na\r\n0\r\n");

    for (int i = 0; i < 30; i++)
        k += snprintf(text + k, sizeof(text) - (size_t)k, "X-%d: %040d\r\n", i, i);
    k += snprintf(text + k, sizeof(text) - (size_t)k, "\r\n");
    for (long n = 1; reached; n++) {
        const unsigned char *p = (const unsigned char *)text;
        size_t left = (size_t)k, used, at, length;
        int r;
        start(&run, AGW_H1_CHUNKED, AGW_LENGTH_UNKNOWN);
        failmalloc_at(n);
        while ((r = agw_h1_body_next(&run.body, p, left < 100 ? left : 100, &used, &at, &length)) >= 0 &&
               r != AGW_H1_END) {
            p += used;
            left -= used;
        }
        reached = failmalloc_count() >= n;
        failmalloc_at(0);
        assert_int_equal(r, reached ? AGW_ENOMEM : AGW_H1_END);
        agw_arena_free(&run.arena);
        assert_true(reached || n > 3);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chunked_at_every_cut),
        cmocka_unit_test(test_chunked_bytewise),
        cmocka_unit_test(test_chunk_size_of_64_bits),
        cmocka_unit_test(test_runs_point_into_the_input),
        cmocka_unit_test(test_length),
        cmocka_unit_test(test_until_close_and_tunnel),
        cmocka_unit_test(test_no_body),
        cmocka_unit_test(test_eof_inside_chunked),
        cmocka_unit_test(test_line_limit),
        cmocka_unit_test(test_extension_overhead),
        cmocka_unit_test(test_small_chunks),
        cmocka_unit_test(test_trailer_limits),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
