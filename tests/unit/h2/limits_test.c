#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "pair.h"

static struct raw r;

#define GET ":method", "GET", ":scheme", "http", ":path", "/", ":authority", "a"

static int set_up(void **state)
{
    return raw_init(&r, NULL) ? 0 : -1;
}

static int tear_down(void **state)
{
    raw_free(&r);
    return 0;
}

static void calm(void)
{
    raw_run(&r);
    assert_int_equal(r.s.error, AGW_ELIMIT);
    assert_int_equal(r.goaway_code, NGHTTP2_ENHANCE_YOUR_CALM);
    assert_true(agw_h2_done(r.s.h));
}

static void test_rapid_reset(void **state)
{
    int i;
    for (i = 0; i < 5000 && !r.s.error; i++) {
        r.s.n %= RECS - 1;
        int32_t id = raw_request(&r, true, GET, NULL);
        nghttp2_submit_rst_stream(r.ng, 0, id, i % 2 ? NGHTTP2_CANCEL : NGHTTP2_NO_ERROR);
        raw_run(&r);
        agw_arena_free(&r.s.recs[r.s.n - 1].arena);
    }
    assert_int_equal(i, agw_h2_default_limits.resets_burst + 1);
    calm();
}

static void test_slow_resets_are_fine(void **state)
{
    for (int i = 0; i < 2000; i++) {
        r.s.n %= RECS - 1;
        int32_t id = raw_request(&r, true, GET, NULL);
        nghttp2_submit_rst_stream(r.ng, 0, id, NGHTTP2_CANCEL);
        r.now_ms += 20;
        raw_run(&r);
        agw_arena_free(&r.s.recs[r.s.n - 1].arena);
    }
    assert_int_equal(r.s.error, 0);
}

/* The peer makes us send the resets (CVE-2025-8671): the same limit. */
static void test_provoked_resets(void **state)
{
    for (int i = 0; i < 5000 && r.goaway_code == UINT32_MAX; i++) {
        r.s.n %= RECS - 1;
        raw_request(&r, true, GET, "connection", "x", NULL);
        agw_arena_free(&r.s.recs[r.s.n - 1].arena);
    }
    assert_int_equal(r.goaway_code, NGHTTP2_ENHANCE_YOUR_CALM);
    assert_true(agw_h2_done(r.s.h));
}

static void flood(uint8_t type, uint8_t flags, int32_t id, const void *payload, size_t n)
{
    int i;
    raw_request(&r, false, GET, NULL);
    for (i = 0; i < 20000 && !r.s.error; i++)
        raw_frame(&r, type, flags, id, payload, n);
    assert_in_range(i, 900, agw_h2_default_limits.control_burst + 1);
    calm();
}

static void test_ping_flood(void **state)
{
    flood(NGHTTP2_PING, 0, 0, "12345678", 8);
}

static void test_settings_flood(void **state)
{
    flood(NGHTTP2_SETTINGS, 0, 0, NULL, 0);
}

static void test_window_update_flood(void **state)
{
    flood(NGHTTP2_WINDOW_UPDATE, 0, 0, "\0\0\0\1", 4);
}

static void test_empty_data_flood(void **state)
{
    flood(NGHTTP2_DATA, 0, 1, NULL, 0);
}

static void test_padding_only_flood(void **state)
{
    flood(NGHTTP2_DATA, NGHTTP2_FLAG_PADDED, 1, "\2\0\0", 3);
}

static void test_priority_flood(void **state)
{
    flood(NGHTTP2_PRIORITY, 0, 1, "\0\0\0\0\0", 5);
}

static void test_steady_pings_are_fine(void **state)
{
    raw_run(&r);
    for (int i = 0; i < 20000; i++) {
        raw_frame(&r, NGHTTP2_PING, 0, 0, "12345678", 8);
        r.now_ms += 5;
        if (i % 100 == 0)
            raw_run(&r);
    }
    raw_run(&r);
    assert_int_equal(r.s.error, 0);
    assert_int_equal(r.pongs, 20000);
}

static void test_continuation_flood(void **state)
{
    raw_run(&r);
    raw_frame(&r, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM, 1, "\x82", 1);
    for (int i = 0; i < 100 && !r.s.error; i++)
        raw_frame(&r, NGHTTP2_CONTINUATION, 0, 1, "\x84", 0);
    assert_int_not_equal(r.s.error, 0);
}

static void test_section_left_open(void **state)
{
    raw_run(&r);
    raw_frame(&r, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM, 1, "\x82", 1);
    assert_int_equal(agw_h2_sweep(r.s.h), 0);
    assert_int_equal(agw_h2_sweep(r.s.h), AGW_ETIMEOUT);
}

static void test_too_many_streams(void **state)
{
    for (int i = 0; i < 150; i++)
        raw_request(&r, true, GET, NULL);
    assert_int_equal(r.s.n, agw_h2_default_limits.streams);
    assert_int_equal(agw_h2_streams(r.s.h), agw_h2_default_limits.streams);
}

static void test_no_preface(void **state)
{
    static const char text[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    struct agw_block *b = agw_block_new(sizeof(text));
    memcpy(b->data, text, sizeof(text));
    assert_int_equal(agw_h2_input(r.s.h, b, b->data, sizeof(text) - 1, 1), AGW_EPROTO);
    assert_int_equal(agw_h2_input(r.s.h, b, b->data, sizeof(text) - 1, 1), AGW_EPROTO);
    agw_block_unref(b);
}

/* Downloads draw WINDOW_UPDATEs; however many, they are no flood. */
static void test_updates_for_data_are_fine(void **state)
{
    static struct pair p;
    assert_true(pair_init(&p, NULL, NULL));
    struct rec *c = pair_open(&p, AGW_METHOD_GET, "/", true);
    pair_run(&p);
    struct rec *s = &p.s.recs[0];
    agw_h2_respond(s->st, pair_response(s, 200), false);
    for (int i = 0; i < 4000; i++) {
        assert_int_equal(pair_body(s, 32768), 0);
        pair_run(&p);
    }
    assert_int_equal(c->body, 4000 * 32768);
    assert_int_equal(p.s.error, 0);
    assert_int_equal(p.c.error, 0);
    pair_free(&p);
}

/* One byte a frame, unconsumed: the memory held stays near the bytes sent, not a block for each. */
static void test_tiny_frames_hold_little(void **state)
{
    int32_t id = raw_request(&r, false, GET, NULL);
    r.s.hold = true;
    for (int i = 0; i < 3000; i++)
        raw_frame(&r, NGHTTP2_DATA, 0, id, "x", 1);
    assert_int_equal(r.s.recs[0].body, 3000);
    assert_int_equal(r.s.error, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_rapid_reset),
        T(test_slow_resets_are_fine),
        T(test_provoked_resets),
        T(test_ping_flood),
        T(test_settings_flood),
        T(test_window_update_flood),
        T(test_empty_data_flood),
        T(test_padding_only_flood),
        T(test_priority_flood),
        T(test_steady_pings_are_fine),
        T(test_continuation_flood),
        T(test_section_left_open),
        T(test_too_many_streams),
        T(test_no_preface),
        T(test_tiny_frames_hold_little),
        cmocka_unit_test(test_updates_for_data_are_fine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
