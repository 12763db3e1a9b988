#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
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

static struct rec *last(void)
{
    return &r.s.recs[r.s.n - 1];
}

static void test_good(void **state)
{
    raw_request(&r, true, GET, "cookie", "a=1", "x-y", "z", "cookie", "b=2", "te", "trailers", "cookie",
                "c=3", NULL);
    assert_int_equal(last()->heads, 1);
    struct agw_msg *m = last()->msg;
    assert_true(m->te_trailers);
    assert_int_equal(m->headers.n, 2);
    struct agw_str c = agw_headers_value(&m->headers, AGW_HDR_COOKIE);
    assert_true(agw_str_eq(c, AGW_STR("a=1; b=2; c=3")));
    assert_int_equal(m->headers.v[1].id, AGW_HDR_OTHER);
    assert_true(agw_str_eq(m->scheme, AGW_STR("http")));
}

static void test_host(void **state)
{
    raw_request(&r, true, ":method", "GET", ":scheme", "http", ":path", "/", "host", "B.Example:80", NULL);
    assert_int_equal(last()->heads, 1);
    assert_true(agw_str_eq(last()->msg->authority, AGW_STR("b.example:80")));
    assert_int_equal(last()->msg->headers.n, 0);
    raw_request(&r, true, GET, "host", "A", NULL);
    assert_int_equal(last()->heads, 1);
    assert_int_equal(last()->msg->headers.n, 0);
    raw_request(&r, true, GET, "host", "b", NULL);
    assert_int_equal(r.status, 400);
    assert_int_equal(last()->heads, 0);
    assert_int_equal(last()->closes, 1);
    assert_int_equal(last()->code, AGW_EPROTO);
}

static void test_length_and_expect(void **state)
{
    raw_request(&r, false, GET, "content-length", "12", "expect", "100-Continue", NULL);
    assert_int_equal(last()->msg->length, 12);
    assert_true(last()->msg->expect_continue);
    assert_int_equal(last()->msg->headers.n, 0);
    assert_false(last()->head_end);
    raw_request(&r, true, GET, "content-length", "12", NULL); /* ends without them */
    assert_int_equal(last()->heads, 0);
    assert_int_equal(last()->code, AGW_EPROTO);
    raw_request(&r, false, GET, "content-length", "99999999999999999999", NULL);
    assert_int_equal(last()->heads, 0);
    raw_request(&r, false, GET, "content-length", "1", "content-length", "1", NULL);
    assert_int_equal(last()->heads, 0);
}

static void test_body_against_length(void **state)
{
    int32_t id = raw_request(&r, false, GET, "content-length", "3", NULL);
    raw_frame(&r, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, id, "ab", 2);
    raw_run(&r);
    assert_int_equal(last()->ends, 0);
    assert_int_equal(last()->closes, 1);
    assert_int_equal(last()->code, AGW_EPROTO);
    id = raw_request(&r, false, GET, "content-length", "3", NULL);
    raw_frame(&r, NGHTTP2_DATA, 0, id, "abcd", 4);
    raw_run(&r);
    assert_int_equal(last()->body, 0);
    assert_int_equal(last()->code, AGW_EPROTO);
}

static void test_connect(void **state)
{
    raw_request(&r, false, ":method", "CONNECT", ":authority", "h.example:443", NULL);
    assert_int_equal(last()->heads, 1);
    assert_int_equal(last()->msg->method, AGW_METHOD_CONNECT);
    assert_true(agw_str_eq(last()->msg->path, AGW_STR("h.example:443")));
    raw_request(&r, false, ":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":path",
                "/chat", ":authority", "a", NULL);
    assert_int_equal(last()->heads, 1);
    assert_true(agw_str_eq(last()->msg->upgrade, AGW_STR("websocket")));
    assert_true(agw_str_eq(last()->msg->path, AGW_STR("/chat")));
    assert_int_equal(last()->msg->method, AGW_METHOD_GET);
    assert_int_equal(last()->msg->length, 0);
    raw_request(&r, false, ":method", "GET", ":protocol", "websocket", ":scheme", "https", ":path", "/chat",
                ":authority", "a", NULL);
    assert_int_equal(last()->heads, 0);
    raw_request(&r, false, ":method", "CONNECT", ":path", "/", ":authority", "a", NULL);
    assert_int_equal(last()->heads, 0);
}

static void test_options_star(void **state)
{
    raw_request(&r, true, ":method", "OPTIONS", ":scheme", "http", ":path", "*", ":authority", "a", NULL);
    assert_int_equal(last()->heads, 1);
    raw_request(&r, true, ":method", "GET", ":scheme", "http", ":path", "*", ":authority", "a", NULL);
    assert_int_equal(last()->heads, 0);
}

/* Each must not reach the user: answered 400 or reset. */
static void bad(int32_t id)
{
    (void)id;
    assert_int_equal(last()->heads, 0);
    assert_int_equal(last()->closes, 1);
    assert_int_equal(last()->code, AGW_EPROTO);
    assert_true(r.status == 400 || r.reset_code == NGHTTP2_PROTOCOL_ERROR);
    assert_int_equal(r.s.error, 0); /* one stream's fault is not the connection's */
    assert_int_equal(agw_h2_streams(r.s.h), 0);
}

static void test_bad_pseudo(void **state)
{
    bad(raw_request(&r, true, ":method", "GET", ":scheme", "http", ":path", "/", NULL));
    bad(raw_request(&r, true, ":method", "GET", ":scheme", "http", ":authority", "a", NULL));
    bad(raw_request(&r, true, ":scheme", "http", ":path", "/", ":authority", "a", NULL));
    bad(raw_request(&r, true, GET, ":path", "/", NULL));
    bad(raw_request(&r, true, GET, ":status", "200", NULL));
    bad(raw_request(&r, true, GET, ":new", "1", NULL));
    bad(raw_request(&r, true, ":method", "GET", "x", "y", ":scheme", "http", ":path", "/", ":authority", "a",
                    NULL));
    bad(raw_request(&r, true, ":method", "G ET", ":scheme", "http", ":path", "/", ":authority", "a", NULL));
    bad(raw_request(&r, true, ":method", "GET", ":scheme", "ftp", ":path", "/", ":authority", "a", NULL));
    bad(raw_request(&r, true, ":method", "GET", ":scheme", "http", ":path", "", ":authority", "a", NULL));
    bad(raw_request(&r, true, ":method", "GET", ":scheme", "http", ":path", "x", ":authority", "a", NULL));
    bad(raw_request(&r, true, ":method", "GET", ":scheme", "http", ":path", "/a b", ":authority", "a", NULL));
    bad(raw_request(&r, true, ":method", "GET", ":scheme", "http", ":path", "/a#b", ":authority", "a", NULL));
    bad(raw_request(&r, true, ":method", "GET", ":scheme", "http", ":path", "http://b/", ":authority", "a",
                    NULL));
    bad(raw_request(&r, true, ":method", "GET", ":scheme", "http", ":path", "/", ":authority", "u@a", NULL));
    bad(raw_request(&r, true, ":method", "GET", ":scheme", "http", ":path", "/", ":authority", "a/b", NULL));
    bad(raw_request(&r, true, ":method", "GET", ":scheme", "http", ":path", "/", ":authority", "", NULL));
    bad(raw_request(&r, true, ":method", "GET", ":scheme", "http", ":path", "/", "host", "a", "host", "a",
                    NULL));
}

static void test_bad_fields(void **state)
{
    bad(raw_request(&r, true, GET, "connection", "close", NULL));
    bad(raw_request(&r, true, GET, "transfer-encoding", "chunked", NULL));
    bad(raw_request(&r, true, GET, "keep-alive", "1", NULL));
    bad(raw_request(&r, true, GET, "proxy-connection", "x", NULL));
    bad(raw_request(&r, true, GET, "upgrade", "x", NULL));
    bad(raw_request(&r, true, GET, "te", "gzip", NULL));
    bad(raw_request(&r, true, GET, "X-Upper", "x", NULL));
    bad(raw_request(&r, true, GET, "x y", "x", NULL));
    bad(raw_request(&r, true, GET, "", "x", NULL));
    bad(raw_request(&r, true, GET, "x", "a\r\nb: c", NULL));
    bad(raw_request(&r, true, GET, "x", "a\x01", NULL));
    bad(raw_request(&r, true, GET, "x", " a", NULL));
    bad(raw_request(&r, true, GET, "content-length", "-1", NULL));
    bad(raw_request(&r, true, GET, "content-length", "+1", NULL));
    bad(raw_request(&r, true, GET, "content-length", "", NULL));
}

static void test_trailers(void **state)
{
    int32_t id = raw_request(&r, false, GET, NULL);
    nghttp2_nv nv[] = {{(uint8_t *)"x-sum", (uint8_t *)"1", 5, 1, 0},
                       {(uint8_t *)"host", (uint8_t *)"b", 4, 1, 0},
                       {(uint8_t *)"authorization", (uint8_t *)"c", 13, 1, 0},
                       {(uint8_t *)"x-forwarded-for", (uint8_t *)"d", 15, 1, 0}};
    nghttp2_submit_headers(r.ng, NGHTTP2_FLAG_END_STREAM, id, NULL, nv, 4, NULL);
    raw_run(&r);
    assert_int_equal(last()->ends, 1);
    assert_int_equal(last()->trailers->n, 1);
    assert_string_equal(last()->trailers->v[0].name.p, "x-sum");
    /* A pseudo field among them, or no END_STREAM. */
    id = raw_request(&r, false, GET, NULL);
    nghttp2_nv pseudo = {(uint8_t *)":path", (uint8_t *)"/", 5, 1, 0};
    nghttp2_submit_headers(r.ng, NGHTTP2_FLAG_END_STREAM, id, NULL, &pseudo, 1, NULL);
    raw_run(&r);
    assert_int_equal(last()->ends, 0);
    assert_int_equal(last()->code, AGW_EPROTO);
    id = raw_request(&r, false, GET, NULL);
    nghttp2_submit_headers(r.ng, 0, id, NULL, nv, 1, NULL);
    raw_run(&r);
    assert_int_equal(last()->ends, 0);
    assert_int_equal(last()->closes, 1);
}

static void test_section_too_large(void **state)
{
    char *value = malloc(30001);
    memset(value, 'v', 30000);
    value[30000] = 0;
    raw_request(&r, true, GET, "a", value, "b", value, NULL);
    assert_int_equal(last()->heads, 1);
    raw_request(&r, true, GET, "a", value, "b", value, "c", value, NULL);
    assert_int_equal(r.status, 431);
    assert_int_equal(last()->heads, 0);
    assert_int_equal(last()->code, AGW_ELIMIT);
    free(value);
    raw_request(&r, true, GET, NULL); /* the connection lives on */
    assert_int_equal(last()->heads, 1);
}

static void test_too_many_fields(void **state)
{
    nghttp2_nv nv[300];
    const char *first[] = {GET};
    for (int i = 0; i < 300; i++)
        nv[i] = i < 4 ? (nghttp2_nv){(uint8_t *)first[2 * i], (uint8_t *)first[2 * i + 1],
                                     strlen(first[2 * i]), strlen(first[2 * i + 1]), 0}
                      : (nghttp2_nv){(uint8_t *)"cookie", (uint8_t *)"a=b", 6, 3, 0};
    nghttp2_submit_headers(r.ng, NGHTTP2_FLAG_END_STREAM, -1, NULL, nv, 256, NULL);
    raw_run(&r);
    assert_int_equal(last()->heads, 1);
    assert_int_equal(last()->msg->headers.n, 1);
    nghttp2_submit_headers(r.ng, NGHTTP2_FLAG_END_STREAM, -1, NULL, nv, 257, NULL);
    raw_run(&r);
    assert_int_equal(r.status, 431);
    assert_int_equal(last()->heads, 0);
}

/* An HPACK bomb: one table entry named again and again. */
static void test_bomb(void **state)
{
    static char value[2901];
    memset(value, 'v', 2900);
    raw_request(&r, true, GET, "x", value, NULL);
    unsigned char block[2048];
    memset(block, 0x80 | 62, sizeof(block));
    raw_frame(&r, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 101, block,
              sizeof(block));
    raw_run(&r);
    assert_int_equal(r.s.error, AGW_ELIMIT);
    assert_int_equal(r.goaway_code, NGHTTP2_ENHANCE_YOUR_CALM);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_good),       T(test_host),     T(test_length_and_expect), T(test_body_against_length),
        T(test_connect),    T(test_trailers), T(test_options_star),      T(test_bad_pseudo),
        T(test_bad_fields), T(test_bomb),     T(test_section_too_large), T(test_too_many_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
