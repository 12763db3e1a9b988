#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>
#include "h2/h2_int.h"

enum { END = NGHTTP2_FLAG_END_STREAM };

struct frame {
    unsigned char type, flags;
    uint32_t stream;
    unsigned char length;
    unsigned char payload[8];
};

static size_t preface(unsigned char *to)
{
    memcpy(to, NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN);
    return NGHTTP2_CLIENT_MAGIC_LEN;
}

static size_t put(unsigned char *to, const struct frame *f)
{
    const unsigned char head[9] = {0,
                                   0,
                                   f->length,
                                   f->type,
                                   f->flags,
                                   (unsigned char)(f->stream >> 24),
                                   (unsigned char)(f->stream >> 16),
                                   (unsigned char)(f->stream >> 8),
                                   (unsigned char)f->stream};
    memcpy(to, head, sizeof(head));
    memcpy(to + sizeof(head), f->payload, f->length);
    return sizeof(head) + f->length;
}

/* Feeds the frames in pieces of |step| bytes: the last of them must be the one that draws |expected|. */
static void feed(const struct frame *frames, size_t count, size_t step, uint32_t expected)
{
    unsigned char data[4096];
    size_t n = preface(data), last = 0;
    struct agw_h2_order o;
    uint32_t error = 0;
    for (size_t i = 0; i < count; i++) {
        last = n;
        n += put(data + n, &frames[i]);
    }
    agw_h2_order_init(&o);
    for (size_t at = 0; at < n && !error; at += step) {
        size_t part = n - at < step ? n - at : step;
        size_t good = agw_h2_order_check(&o, data + at, part, &error);
        if (!error)
            assert_int_equal(good, part);
        else
            assert_true(at + part > last && (at + good == last || (good == 0 && at > last)));
    }
    assert_int_equal(error, expected);
}

static void check(const struct frame *frames, size_t count, uint32_t expected)
{
    for (size_t step = 1; step < 100; step++)
        feed(frames, count, step, expected);
}

#define CHECK(expected, ...)                                                                                 \
    do {                                                                                                     \
        const struct frame frames[] = {__VA_ARGS__};                                                         \
        check(frames, sizeof(frames) / sizeof(frames[0]), expected);                                         \
    } while (0)

#define HEADERS(id, flags)                                                                                   \
    {                                                                                                        \
        NGHTTP2_HEADERS, flags, id, 3, "abc"                                                                 \
    }
#define DATA(id, flags)                                                                                      \
    {                                                                                                        \
        NGHTTP2_DATA, flags, id, 2, "xy"                                                                     \
    }
#define RST(id)                                                                                              \
    {                                                                                                        \
        NGHTTP2_RST_STREAM, 0, id, 4, "\0\0\0\x08"                                                           \
    }

static void test_in_order(void **state)
{
    CHECK(0, {NGHTTP2_SETTINGS, 0, 0, 0, ""}, HEADERS(1, 0), DATA(1, 0), HEADERS(3, END), DATA(1, 0),
          HEADERS(1, END), {NGHTTP2_WINDOW_UPDATE, 0, 1, 4, "\0\0\0\1"},
          {NGHTTP2_PRIORITY, 0, 1, 5, "\0\0\0\3\1"}, RST(1), RST(3), {0xbe, END, 3, 2, "??"}, HEADERS(9, 0),
          DATA(9, END));
}

static void test_frames_on_ended_stream(void **state)
{
    CHECK(NGHTTP2_STREAM_CLOSED, HEADERS(1, END), DATA(1, 0));
    CHECK(NGHTTP2_STREAM_CLOSED, HEADERS(1, END), HEADERS(1, END));
    CHECK(NGHTTP2_STREAM_CLOSED, HEADERS(1, 0), DATA(1, END), HEADERS(3, END), DATA(1, END));
    CHECK(NGHTTP2_STREAM_CLOSED, HEADERS(1, 0), RST(1), DATA(1, 0));
    CHECK(NGHTTP2_STREAM_CLOSED, HEADERS(1, 0), RST(1), HEADERS(5, 0), HEADERS(1, END));
}

static void test_stream_below_the_highest(void **state)
{
    CHECK(NGHTTP2_PROTOCOL_ERROR, HEADERS(5, END), HEADERS(3, END));
    CHECK(NGHTTP2_PROTOCOL_ERROR, HEADERS(1, END), HEADERS(7, END), DATA(5, END));
}

static void test_priority(void **state)
{
    CHECK(NGHTTP2_PROTOCOL_ERROR, {NGHTTP2_PRIORITY, 0, 0, 5, "\0\0\0\3\1"});
    CHECK(NGHTTP2_PROTOCOL_ERROR, {NGHTTP2_PRIORITY, 0, 3, 5, "\0\0\0\3\1"});
    CHECK(NGHTTP2_PROTOCOL_ERROR, {NGHTTP2_PRIORITY, 0, 3, 5, "\x80\0\0\3\1"});
    CHECK(0, {NGHTTP2_PRIORITY, 0, 3, 3, "\0\0\0"}, HEADERS(1, END)); /* nghttp2: FRAME_SIZE_ERROR */
}

/* Streams long gone are nobody's to judge: they may be ones that we reset. */
static void test_only_the_latest_are_remembered(void **state)
{
    struct agw_h2_order o;
    unsigned char data[64];
    uint32_t error = 0;
    agw_h2_order_init(&o);
    agw_h2_order_check(&o, data, preface(data), &error);
    for (uint32_t id = 1; id <= 129; id += 2) {
        struct frame f = HEADERS(id, END);
        agw_h2_order_check(&o, data, put(data, &f), &error);
    }
    struct frame old = DATA(1, 0), jump = HEADERS(100001, END), older = DATA(129, 0), remembered = DATA(3, 0);
    struct agw_h2_order before = o;
    assert_int_equal(agw_h2_order_check(&o, data, put(data, &old), &error), 11);
    assert_int_equal(error, 0);
    agw_h2_order_check(&o, data, put(data, &jump), &error);
    agw_h2_order_check(&o, data, put(data, &older), &error);
    assert_int_equal(error, 0);
    assert_int_equal(agw_h2_order_check(&before, data, put(data, &remembered), &error), 0);
    assert_int_equal(error, NGHTTP2_STREAM_CLOSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_order),
        cmocka_unit_test(test_frames_on_ended_stream),
        cmocka_unit_test(test_stream_below_the_highest),
        cmocka_unit_test(test_priority),
        cmocka_unit_test(test_only_the_latest_are_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
