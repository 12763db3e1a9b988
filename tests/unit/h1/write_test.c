#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "base/check.h"
#include "base/err.h"
#include "h1/h1.h"
#include "describe.h"
#include "failmalloc.h"

#define S(literal)                                                                                           \
    {                                                                                                        \
        literal, sizeof(literal) - 1                                                                         \
    }

struct fixture {
    struct agw_arena arena;
    struct agw_block_pool pool;
    struct agw_chain out;
    struct agw_msg msg;
};

static int setup(void **state)
{
    struct fixture *x = calloc(1, sizeof(*x));

    agw_arena_init(&x->arena, 0, 0);
    agw_block_pool_init(&x->pool, 4);
    agw_chain_init(&x->out);
    agw_msg_init(&x->msg, &x->arena);
    *state = x;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *x = *state;

    agw_chain_clear(&x->out);
    agw_block_pool_free(&x->pool);
    agw_arena_free(&x->arena);
    free(x);
    return 0;
}

/* The chain's bytes as a string, and an empty chain. */
static const char *take(struct fixture *x)
{
    char *text = agw_arena_alloc(&x->arena, x->out.bytes + 1);

    text[agw_chain_peek(&x->out, text, x->out.bytes)] = '\0';
    agw_chain_clear(&x->out);
    return text;
}

struct request {
    enum agw_method method;
    int64_t length;
    bool end, keep_alive, expect, te;
    struct agw_str upgrade;
    const char *expected; /* behind the start line and Host */
    enum agw_h1_framing framing;
};

static const struct request requests[] = {
    {AGW_METHOD_GET, 0, true, true, .expected = "\r\n", .framing = AGW_H1_NO_BODY},
    {AGW_METHOD_GET, 0, false, true, .expected = "\r\n", .framing = AGW_H1_NO_BODY},
    {AGW_METHOD_GET, AGW_LENGTH_UNKNOWN, true, true, .expected = "\r\n", .framing = AGW_H1_NO_BODY},
    {AGW_METHOD_GET, 0, true, false, .expected = "connection: close\r\n\r\n", .framing = AGW_H1_NO_BODY},
    {AGW_METHOD_POST, 0, true, true, .expected = "content-length: 0\r\n\r\n", .framing = AGW_H1_NO_BODY},
    {AGW_METHOD_PUT, 7, true, true, .expected = "content-length: 0\r\n\r\n", .framing = AGW_H1_NO_BODY},
    {AGW_METHOD_PATCH, 0, true, true, .expected = "content-length: 0\r\n\r\n", .framing = AGW_H1_NO_BODY},
    {AGW_METHOD_DELETE, 0, true, true, .expected = "\r\n", .framing = AGW_H1_NO_BODY},
    {AGW_METHOD_POST, 7, false, true, .expected = "content-length: 7\r\n\r\n", .framing = AGW_H1_LENGTH},
    {AGW_METHOD_GET, INT64_MAX, false, true, .expected = "content-length: 9223372036854775807\r\n\r\n",
     .framing = AGW_H1_LENGTH},
    {AGW_METHOD_POST, AGW_LENGTH_UNKNOWN, false, true, .expected = "transfer-encoding: chunked\r\n\r\n",
     .framing = AGW_H1_CHUNKED},
    {AGW_METHOD_POST, 7, false, true, .expect = true,
     .expected = "content-length: 7\r\nexpect: 100-continue\r\n\r\n", .framing = AGW_H1_LENGTH},
    {AGW_METHOD_POST, 0, true, true, .expect = true, .expected = "content-length: 0\r\n\r\n",
     .framing = AGW_H1_NO_BODY},
    {AGW_METHOD_GET, 0, true, true, .te = true, .expected = "te: trailers\r\nconnection: te\r\n\r\n",
     .framing = AGW_H1_NO_BODY},
    {AGW_METHOD_GET, 0, true, true, .upgrade = S("websocket"),
     .expected = "upgrade: websocket\r\nconnection: upgrade\r\n\r\n", .framing = AGW_H1_NO_BODY},
    {AGW_METHOD_GET, 0, true, false, .te = true, .upgrade = S("x"),
     .expected = "upgrade: x\r\nte: trailers\r\nconnection: upgrade, te, close\r\n\r\n",
     .framing = AGW_H1_NO_BODY},
    {AGW_METHOD_CONNECT, AGW_LENGTH_UNKNOWN, false, true, .expected = "\r\n", .framing = AGW_H1_TUNNEL},
};

static void test_requests(void **state)
{
    struct fixture *x = *state;

    for (size_t i = 0; i < AGW_ARRAY_LEN(requests); i++) {
        const struct request *q = &requests[i];
        enum agw_h1_framing framing;
        char expected[512];
        x->msg.method = q->method;
        x->msg.authority = AGW_STR("a.example:8080");
        x->msg.path = AGW_STR("/p?q");
        x->msg.length = q->length;
        x->msg.expect_continue = q->expect;
        x->msg.te_trailers = q->te;
        x->msg.upgrade = q->upgrade;
        assert_int_equal(agw_h1_write_request(&x->out, &x->pool, &x->msg, q->end, q->keep_alive, &framing),
                         0);
        snprintf(expected, sizeof(expected), "%.*s /p?q HTTP/1.1\r\nhost: a.example:8080\r\n%s",
                 AGW_STRF(agw_method_name(q->method)), q->expected);
        assert_string_equal(take(x), expected);
        assert_int_equal(framing, q->framing);
    }
}

struct response {
    int status;
    int64_t length;
    bool end, keep_alive;
    const char *expected; /* behind the status line */
    enum agw_h1_framing framing;
    enum agw_method method;
    enum agw_http_version version; /* 0: 1.1 */
    struct agw_str upgrade;
};

static const struct response responses[] = {
    {200, 0, true, true, "content-length: 0\r\n\r\n", AGW_H1_NO_BODY},
    {200, 0, false, true, "content-length: 0\r\n\r\n", AGW_H1_NO_BODY},
    {200, 5, false, true, "content-length: 5\r\n\r\n", AGW_H1_LENGTH},
    {200, 5, false, false, "content-length: 5\r\nconnection: close\r\n\r\n", AGW_H1_LENGTH},
    {200, AGW_LENGTH_UNKNOWN, false, true, "transfer-encoding: chunked\r\n\r\n", AGW_H1_CHUNKED},
    {200, AGW_LENGTH_UNKNOWN, true, true, "content-length: 0\r\n\r\n", AGW_H1_NO_BODY},
    {100, 0, false, true, "\r\n", AGW_H1_NO_BODY},
    {103, 0, false, false, "\r\n", AGW_H1_NO_BODY},
    {204, 0, true, true, "\r\n", AGW_H1_NO_BODY},
    {204, 5, false, true, "\r\n", AGW_H1_NO_BODY},
    {304, 0, true, true, "\r\n", AGW_H1_NO_BODY},
    {304, AGW_LENGTH_UNKNOWN, true, true, "\r\n", AGW_H1_NO_BODY},
    {304, 5, true, true, "content-length: 5\r\n\r\n", AGW_H1_NO_BODY},
    {205, 0, true, true, "content-length: 0\r\n\r\n", AGW_H1_NO_BODY},
    {200, 5, true, true, "content-length: 5\r\n\r\n", AGW_H1_NO_BODY, AGW_METHOD_HEAD},
    {200, 5, false, true, "content-length: 5\r\n\r\n", AGW_H1_NO_BODY, AGW_METHOD_HEAD},
    {200, 0, true, true, "\r\n", AGW_H1_NO_BODY, AGW_METHOD_HEAD},
    {200, AGW_LENGTH_UNKNOWN, true, true, "\r\n", AGW_H1_NO_BODY, AGW_METHOD_HEAD},
    {200, 5, false, true, "\r\n", AGW_H1_TUNNEL, AGW_METHOD_CONNECT},
    {403, 5, false, true, "content-length: 5\r\n\r\n", AGW_H1_LENGTH, AGW_METHOD_CONNECT},
    {101, 0, false, true, "upgrade: websocket\r\nconnection: upgrade\r\n\r\n", AGW_H1_TUNNEL,
     .upgrade = S("websocket")},
    {101, 0, false, false, "upgrade: websocket\r\nconnection: upgrade\r\n\r\n", AGW_H1_TUNNEL,
     .upgrade = S("websocket")},
    {200, 5, false, true, "content-length: 5\r\nconnection: keep-alive\r\n\r\n", AGW_H1_LENGTH,
     AGW_METHOD_GET, AGW_HTTP_10},
    {200, 5, false, false, "content-length: 5\r\nconnection: close\r\n\r\n", AGW_H1_LENGTH, AGW_METHOD_GET,
     AGW_HTTP_10},
    {200, AGW_LENGTH_UNKNOWN, false, true, "connection: close\r\n\r\n", AGW_H1_UNTIL_CLOSE, AGW_METHOD_GET,
     AGW_HTTP_10},
};

static void test_responses(void **state)
{
    struct fixture *x = *state;

    for (size_t i = 0; i < AGW_ARRAY_LEN(responses); i++) {
        const struct response *q = &responses[i];
        enum agw_h1_framing framing;
        char expected[512];
        x->msg.status = q->status;
        x->msg.length = q->length;
        x->msg.upgrade = q->upgrade;
        assert_int_equal(agw_h1_write_response(&x->out, &x->pool, &x->msg, q->end,
                                               q->version ? q->version : AGW_HTTP_11, q->method,
                                               q->keep_alive, &framing),
                         0);
        snprintf(expected, sizeof(expected), "HTTP/1.1 %d %s\r\n%s", q->status, agw_http_reason(q->status),
                 q->expected);
        assert_string_equal(take(x), expected);
        assert_int_equal(framing, q->framing);
    }
}

static void test_reason_and_unknown_status(void **state)
{
    struct fixture *x = *state;
    enum agw_h1_framing framing;

    x->msg.status = 299;
    agw_h1_write_response(&x->out, &x->pool, &x->msg, true, AGW_HTTP_11, AGW_METHOD_GET, true, &framing);
    assert_string_equal(take(x), "HTTP/1.1 299 \r\ncontent-length: 0\r\n\r\n");
    x->msg.reason = AGW_STR("Very Well");
    agw_h1_write_response(&x->out, &x->pool, &x->msg, true, AGW_HTTP_11, AGW_METHOD_GET, true, &framing);
    assert_string_equal(take(x), "HTTP/1.1 299 Very Well\r\ncontent-length: 0\r\n\r\n");
}

/* Whatever put framing fields into the message, they do not go out. */
static void test_framing_fields_are_not_sent(void **state)
{
    struct fixture *x = *state;
    enum agw_h1_framing framing;
    static const enum agw_hdr ids[] = {AGW_HDR_CONNECTION,
                                       AGW_HDR_CONTENT_LENGTH,
                                       AGW_HDR_EXPECT,
                                       AGW_HDR_HOST,
                                       AGW_HDR_KEEP_ALIVE,
                                       AGW_HDR_PROXY_CONNECTION,
                                       AGW_HDR_TRANSFER_ENCODING,
                                       AGW_HDR_TE,
                                       AGW_HDR_UPGRADE};

    agw_headers_add(&x->msg.headers, AGW_HDR_OTHER, AGW_STR("a"), AGW_STR("1"));
    for (size_t i = 0; i < AGW_ARRAY_LEN(ids); i++)
        agw_headers_add_id(&x->msg.headers, ids[i], AGW_STR("evil"));
    agw_headers_add(&x->msg.headers, AGW_HDR_OTHER, AGW_STR("b"), AGW_STR(""));
    x->msg.method = AGW_METHOD_GET;
    x->msg.path = AGW_STR("/");
    assert_int_equal(agw_h1_write_request(&x->out, &x->pool, &x->msg, true, true, &framing), 0);
    assert_string_equal(take(x), "GET / HTTP/1.1\r\nhost: \r\na: 1\r\nb: \r\n\r\n");
}

static void parse_request(struct fixture *x, const char *text, struct agw_msg *msg)
{
    struct agw_h1_head head;

    agw_msg_init(msg, &x->arena);
    agw_h1_head_init(&head, NULL);
    assert_int_equal(agw_h1_parse_request(&head, (const unsigned char *)text, strlen(text), msg), 0);
}

/* A parsed head goes out in runs; what was changed, removed or added between must show. */
static void test_changed_heads(void **state)
{
    static const char text[] =
        "GET / HTTP/1.1\r\nA: 1\r\nB:2\r\nC:  3 \r\nHost: h\r\nD: 4\r\nE: 5\r\nConnection: x\r\n"
        "F: \r\nG: 7\r\n\r\n";
    struct fixture *x = *state;
    struct agw_msg msg;
    enum agw_h1_framing framing;

    parse_request(x, text, &msg);
    agw_h1_write_request(&x->out, &x->pool, &msg, true, true, &framing);
    assert_string_equal(
        take(x), "GET / HTTP/1.1\r\nhost: h\r\na: 1\r\nb: 2\r\nc: 3\r\nd: 4\r\ne: 5\r\nf: \r\ng: 7\r\n\r\n");

    agw_headers_remove(&msg.headers, AGW_STR("d"));
    agw_headers_set(&msg.headers, AGW_STR("e"), AGW_STR("five"));
    agw_headers_set(&msg.headers, AGW_STR("new"), AGW_STR("n"));
    msg.headers.v[0].value = agw_str(msg.headers.v[0].value.p, 0);
    agw_h1_write_request(&x->out, &x->pool, &msg, true, true, &framing);
    assert_string_equal(
        take(x),
        "GET / HTTP/1.1\r\nhost: h\r\na: \r\nb: 2\r\nc: 3\r\ne: five\r\nf: \r\ng: 7\r\nnew: n\r\n\r\n");
}

/* Written and parsed again, the same message. */
static void test_round_trip(void **state)
{
    static const char *const texts[] = {
        "GET /a?b HTTP/1.1\r\nHost: H.example\r\nAccept: */*\r\nX-A:b\r\nCookie: a=b; c=d\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 12\r\nExpect: 100-continue\r\nTE: trailers\r\n\r\n",
        "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\nX: \xff \t y\r\n\r\n",
        "GET /chat HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX: k\r\n\r\n",
        "CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n",
        "BREW / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
    };
    struct fixture *x = *state;

    for (size_t i = 0; i < AGW_ARRAY_LEN(texts); i++) {
        struct agw_h1_head head = {0};
        struct agw_msg first, second;
        enum agw_h1_framing framing;
        char before[DESCRIBE_MAX], after[DESCRIBE_MAX];
        parse_request(x, texts[i], &first);
        describe(0, &head, &first, false, before);
        agw_h1_write_request(&x->out, &x->pool, &first, false, true, &framing);
        parse_request(x, take(x), &second);
        describe(0, &head, &second, false, after);
        assert_string_equal(after, before);
    }
}

/* A head and the next one share a block; a head that does not fit gets one of its own. */
static void test_blocks(void **state)
{
    struct fixture *x = *state;
    enum agw_h1_framing framing;
    char *big = agw_arena_zalloc(&x->arena, 40000);

    x->msg.status = 200;
    for (int i = 0; i < 10; i++)
        agw_h1_write_response(&x->out, &x->pool, &x->msg, true, AGW_HTTP_11, AGW_METHOD_GET, true, &framing);
    assert_int_equal(x->out.count, 1);
    assert_int_equal(x->pool.live, 1);
    memset(big, 'x', 40000);
    agw_headers_add(&x->msg.headers, AGW_HDR_OTHER, AGW_STR("big"), agw_str(big, 40000));
    assert_int_equal(
        agw_h1_write_response(&x->out, &x->pool, &x->msg, true, AGW_HTTP_11, AGW_METHOD_GET, true, &framing),
        0);
    assert_int_equal(x->out.count, 2);
    assert_int_equal(x->pool.live, 1);
    assert_true(x->out.bytes > 40000);
}

/* A block that someone else holds too is not written into. */
static void test_shared_block_is_left_alone(void **state)
{
    struct fixture *x = *state;
    enum agw_h1_framing framing;
    struct agw_block *b = agw_block_get(&x->pool);

    memcpy(b->data, "abc", 3);
    b->len = 3;
    agw_chain_add(&x->out, b, b->data, 3);
    x->msg.status = 200;
    agw_h1_write_response(&x->out, &x->pool, &x->msg, true, AGW_HTTP_11, AGW_METHOD_GET, true, &framing);
    assert_int_equal(b->len, 3);
    assert_int_equal(x->out.count, 2);
    agw_block_unref(b);
    assert_string_equal(take(x), "abcHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
}

static void write_piece(struct fixture *x, enum agw_h1_framing framing, const char *text)
{
    struct agw_chain data;

    agw_chain_init(&data);
    agw_chain_copy(&data, &x->pool, text, strlen(text));
    assert_int_equal(agw_h1_write_body(&x->out, &x->pool, framing, &data), 0);
    assert_true(agw_chain_empty(&data));
}

static void test_bodies(void **state)
{
    struct fixture *x = *state;
    struct agw_headers trailers;

    write_piece(x, AGW_H1_CHUNKED, "hello");
    write_piece(x, AGW_H1_CHUNKED, "");
    write_piece(x, AGW_H1_CHUNKED, "0123456789abcdefg");
    assert_int_equal(agw_h1_write_end(&x->out, &x->pool, AGW_H1_CHUNKED, NULL), 0);
    assert_string_equal(take(x), "5\r\nhello\r\n11\r\n0123456789abcdefg\r\n0\r\n\r\n");

    agw_headers_init(&trailers, &x->arena);
    assert_int_equal(agw_h1_write_end(&x->out, &x->pool, AGW_H1_CHUNKED, &trailers), 0);
    assert_string_equal(take(x), "0\r\n\r\n");
    agw_headers_add(&trailers, AGW_HDR_OTHER, AGW_STR("grpc-status"), AGW_STR("0"));
    agw_headers_add_id(&trailers, AGW_HDR_CONTENT_LENGTH, AGW_STR("9"));
    agw_headers_add(&trailers, AGW_HDR_OTHER, AGW_STR("x"), AGW_STR(""));
    assert_int_equal(agw_h1_write_end(&x->out, &x->pool, AGW_H1_CHUNKED, &trailers), 0);
    assert_string_equal(take(x), "0\r\ngrpc-status: 0\r\nx: \r\n\r\n");

    write_piece(x, AGW_H1_LENGTH, "hello");
    write_piece(x, AGW_H1_UNTIL_CLOSE, " you");
    write_piece(x, AGW_H1_TUNNEL, "!");
    write_piece(x, AGW_H1_NO_BODY, "dropped");
    assert_int_equal(agw_h1_write_end(&x->out, &x->pool, AGW_H1_LENGTH, &trailers), 0);
    assert_int_equal(agw_h1_write_end(&x->out, &x->pool, AGW_H1_NO_BODY, NULL), 0);
    assert_string_equal(take(x), "hello you!");
}

static int write_all(struct fixture *x, struct agw_chain *out, struct agw_chain *data,
                     const struct agw_headers *trailers)
{
    enum agw_h1_framing framing;
    int r = agw_h1_write_request(out, &x->pool, &x->msg, false, true, &framing);

    if (r == 0)
        r = agw_h1_write_body(out, &x->pool, framing, data);
    if (r == 0)
        r = agw_h1_write_end(out, &x->pool, framing, trailers);
    return r;
}

static void test_no_memory(void **state)
{
    struct fixture *x = *state;
    bool reached = true;
    struct agw_block *b = agw_block_new(100);

    x->msg.method = AGW_METHOD_POST;
    x->msg.path = AGW_STR("/");
    x->msg.length = AGW_LENGTH_UNKNOWN;
    agw_headers_add(&x->msg.headers, AGW_HDR_OTHER, AGW_STR("x"), AGW_STR("y"));
    agw_block_pool_free(&x->pool);
    agw_block_pool_init(&x->pool, 0);
    for (long n = 1; reached; n++) {
        struct agw_chain out, data;
        int r;
        agw_chain_init(&out);
        agw_chain_init(&data);
        for (size_t i = 0; i < 4; i++)
            agw_chain_add(&data, b, b->data + i * 10, 5);
        failmalloc_at(n);
        r = write_all(x, &out, &data, &x->msg.headers);
        reached = failmalloc_count() >= n;
        failmalloc_at(0);
        assert_int_equal(r, reached ? AGW_ENOMEM : 0);
        agw_chain_clear(&out);
        agw_chain_clear(&data);
        assert_int_equal(x->pool.live, 0);
        assert_int_equal(b->refs, 1);
        assert_true(reached || n > 2);
    }
    agw_block_unref(b);
}

/* A head that is passed on with a name added, one changed and one removed: the rest as it came. */
static void test_case_is_kept(void **state)
{
    static const char in[] =
        "GET / HTTP/1.1\r\nHost: a\r\nX-One: 1\r\nx-TWO:2\r\nX-Three: 3\r\nX-Four: 4\r\n\r\n";
    static const char want[] =
        "GET / HTTP/1.1\r\nhost: a\r\nX-One: 1\r\nx-TWO: 2\r\nX-Four: 5\r\nx-five: 5\r\n\r\n";
    struct agw_h1_head head;
    struct agw_msg msg, copy;
    struct agw_arena arena;
    struct agw_block_pool pool;
    struct agw_chain out;
    enum agw_h1_framing framing;
    char got[256];
    agw_arena_init(&arena, 512, 0);
    agw_block_pool_init(&pool, 0);
    agw_msg_init(&msg, &arena);
    agw_h1_head_init(&head, &agw_h1_cased_limits);
    assert_int_equal(agw_h1_parse_request(&head, (const unsigned char *)in, sizeof(in) - 1, &msg), 0);
    assert_true(agw_str_eq(msg.headers.v[0].name, AGW_STR("x-one")));
    agw_headers_remove(&msg.headers, AGW_STR("x-three"));
    agw_headers_find(&msg.headers, AGW_STR("x-four"))->value = AGW_STR("5");
    assert_int_equal(agw_headers_add(&msg.headers, AGW_HDR_OTHER, AGW_STR("x-five"), AGW_STR("5")), 0);
    assert_int_equal(agw_msg_copy(&copy, &msg, &arena), 0);
    assert_null(copy.written.cased);
    agw_chain_init(&out);
    assert_int_equal(agw_h1_write_request(&out, &pool, &msg, true, true, &framing), 0);
    size_t n = agw_chain_peek(&out, got, sizeof(got));
    assert_int_equal(n, sizeof(want) - 1);
    assert_memory_equal(got, want, n);
    agw_chain_clear(&out);
    agw_block_pool_free(&pool);
    agw_arena_free(&arena);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_requests),
        TEST(test_responses),
        TEST(test_reason_and_unknown_status),
        TEST(test_framing_fields_are_not_sent),
        TEST(test_changed_heads),
        TEST(test_case_is_kept),
        TEST(test_round_trip),
        TEST(test_blocks),
        TEST(test_shared_block_is_left_alone),
        TEST(test_bodies),
        TEST(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
