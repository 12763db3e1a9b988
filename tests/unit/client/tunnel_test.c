/* A connection over a stream, against a stream that the test plays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "client/client_int.h"
#include "client/tunnel.h"
#include "failmalloc.h"

static struct {
    struct agw_loop loop;
    struct agw_arena arena;
    struct agw_conn conn;
    /* the stream */
    struct agw_stream s;
    int status, ends, resets, detaches, fails;
    size_t pending, written, consumed;
    /* the connection */
    int ready, failed, readable, writable, code;
    char reason[128], got[256];
    size_t got_n;
    bool idle;
} t;

static int write_head(struct agw_stream *s, const struct agw_msg *msg, bool end)
{
    t.status = msg->status;
    return 0;
}

static int write_body(struct agw_stream *s, struct agw_chain *data)
{
    size_t n = data->bytes;
    agw_chain_clear(data);
    if (t.fails)
        return AGW_ECLOSED;
    t.written += n;
    t.pending += n;
    return 0;
}

static int write_end(struct agw_stream *s, const struct agw_headers *trailers)
{
    t.ends++;
    return 0;
}

static size_t pending(const struct agw_stream *s)
{
    return t.pending;
}

static void consume(struct agw_stream *s, size_t n)
{
    t.consumed += n;
}

static void reset(struct agw_stream *s, int code)
{
    t.resets++;
}

static void detach(struct agw_stream *s)
{
    t.detaches++;
}

static const struct agw_stream_ops ops = {write_head, write_body, write_end, pending, consume, reset, detach};

static void on_ready(struct agw_conn *c)
{
    t.ready++;
}

static void on_failed(struct agw_conn *c, int code, const char *reason)
{
    t.failed++;
    t.code = code;
    snprintf(t.reason, sizeof(t.reason), "%s", reason);
    agw_conn_close(c, false);
}

static void on_readable(struct agw_conn *c)
{
    t.readable++;
    while (!t.idle) {
        ssize_t n = agw_conn_read(c, t.got + t.got_n, 3); /* in small pieces */
        if (n <= 0) {
            t.code = (int)n;
            return;
        }
        t.got_n += (size_t)n;
    }
}

static void on_writable(struct agw_conn *c)
{
    t.writable++;
}

static const struct agw_conn_events events = {on_ready, on_failed, on_readable, on_writable};

static void turns(int n)
{
    for (int i = 0; i < n; i++)
        agw_loop_turn(&t.loop, 1);
}

static int set_up(void **state)
{
    memset(&t, 0, sizeof(t));
    agw_arena_init(&t.arena, 1024, 0);
    t.s = (struct agw_stream){.ops = &ops, .arena = &t.arena};
    return agw_loop_init(&t.loop, 0);
}

static int tear_down(void **state)
{
    agw_conn_close(&t.conn, true);
    agw_arena_free(&t.arena);
    assert_int_equal(t.loop.blocks.live, 0);
    agw_loop_free(&t.loop);
    return 0;
}

static void accept_one(void)
{
    struct agw_addr peer = {0};
    assert_int_equal(agw_tunnel_accept(&t.conn, &t.loop, &t.s, false, &peer, &events), 0);
    agw_conn_start(&t.conn);
    turns(1);
}

static void comes(const char *text)
{
    struct agw_chain data;
    agw_chain_init(&data);
    assert_int_equal(agw_chain_copy(&data, &t.loop.blocks, text, strlen(text)), 0);
    t.s.events->on_body(&t.s, &data);
    agw_chain_clear(&data);
}

static void test_it_is_granted_and_bytes_come(void **state)
{
    accept_one();
    assert_int_equal(t.status, 200);
    assert_int_equal(t.ready, 1);
    assert_true(agw_conn_is_open(&t.conn));
    assert_false(agw_conn_is_plain(&t.conn));
    comes("hello ");
    comes("world");
    assert_int_equal(t.got_n, 0); /* never from inside of the stream's event */
    turns(1);
    assert_string_equal(t.got, "hello world");
    assert_int_equal(t.consumed, 11);
    assert_int_equal(t.code, AGW_EAGAIN);
}

static void test_what_is_not_read_is_not_given_back(void **state)
{
    accept_one();
    t.idle = true;
    comes("hello");
    turns(2);
    assert_int_equal(t.consumed, 0);
    assert_true(agw_conn_may_read(&t.conn));
    t.idle = false;
    agw_conn_want_read(&t.conn);
    turns(1);
    assert_int_equal(t.consumed, 5);
}

static void test_bytes_before_an_end_and_before_a_reset_count(void **state)
{
    accept_one();
    comes("last");
    t.s.events->on_end(&t.s, NULL);
    turns(1);
    assert_string_equal(t.got, "last");
    assert_int_equal(t.code, AGW_EEOF);
    t.s.events->on_close(&t.s, AGW_EPROTO);
    turns(1);
    assert_int_equal(t.code, AGW_ERESET);
    agw_conn_close(&t.conn, false);
    assert_int_equal(t.resets + t.detaches, 0); /* it is over */
}

static void test_a_slow_stream_makes_writes_short(void **state)
{
    static char bytes[100000];
    struct iovec iov[] = {{bytes, 40000}, {bytes + 40000, 60000}};
    accept_one();
    assert_int_equal(agw_conn_writev(&t.conn, iov, 2), AGW_STREAM_HIGH + 1);
    assert_int_equal(agw_conn_writev(&t.conn, iov, 2), AGW_EAGAIN);
    t.s.events->on_drain(&t.s);
    turns(1);
    assert_int_equal(t.writable, 1);
    t.pending = AGW_STREAM_HIGH - 10;
    assert_int_equal(agw_conn_writev(&t.conn, iov, 2), 11);
    t.pending = 0;
    t.s.events->on_drain(&t.s);
    turns(1);
    assert_int_equal(agw_conn_writev(&t.conn, iov, 1), 40000);
    assert_int_equal(agw_conn_writev(&t.conn, iov, 1), AGW_STREAM_HIGH + 1 - 40000);
    assert_int_equal(t.written, 2 * (AGW_STREAM_HIGH + 1) + 11);
    t.fails = 1;
    t.pending = 0;
    assert_int_equal(agw_conn_writev(&t.conn, iov, 1), AGW_ECLOSED);
}

static void test_half_closes(void **state)
{
    char byte = 'x';
    struct iovec iov = {&byte, 1};
    accept_one();
    agw_conn_shutdown(&t.conn);
    agw_conn_shutdown(&t.conn);
    assert_int_equal(t.ends, 1);
    assert_int_equal(agw_conn_writev(&t.conn, &iov, 1), AGW_ERESET);
    comes("still");
    turns(1);
    assert_string_equal(t.got, "still");
    t.s.events->on_end(&t.s, NULL);
    turns(1);
    agw_conn_close(&t.conn, false);
    assert_int_equal(t.detaches, 1); /* what waits is still sent */
    assert_int_equal(t.resets, 0);
}

static void test_a_closed_connection_waits_for_the_other_end(void **state)
{
    accept_one();
    t.idle = true;
    comes("unread");
    turns(1);
    agw_conn_close(&t.conn, false);
    assert_false(agw_conn_is_open(&t.conn));
    assert_int_equal(t.ends, 1);
    assert_int_equal(t.resets + t.detaches, 0);
    assert_int_equal(t.consumed, 6);
    comes("more");
    assert_int_equal(t.consumed, 10);
    t.s.events->on_drain(&t.s);
    t.s.events->on_end(&t.s, NULL);
    assert_int_equal(t.detaches, 1);
}

static void test_it_does_not_wait_for_ever(void **state)
{
    accept_one();
    agw_conn_close(&t.conn, false);
    t.loop.now_ms += AGW_TUNNEL_LINGER_MS;
    agw_timer_wheel_advance(&t.loop.timers, t.loop.now_ms);
    assert_int_equal(t.resets, 1);
}

static void test_the_stream_ends_first_while_it_waits(void **state)
{
    accept_one();
    agw_conn_close(&t.conn, false);
    t.s.events->on_close(&t.s, AGW_ERESET);
    assert_int_equal(t.resets + t.detaches, 0);
}

static void test_a_reset_is_passed_on(void **state)
{
    accept_one();
    agw_conn_close(&t.conn, true);
    assert_int_equal(t.resets, 1);
    assert_int_equal(t.detaches, 0);
}

static void test_closed_with_news_under_way(void **state)
{
    accept_one();
    int before = t.readable;
    comes("x");
    agw_conn_close(&t.conn, true);
    turns(2);
    assert_int_equal(t.readable, before);
}

static void test_out_of_memory(void **state)
{
    struct agw_addr peer = {0};
    failmalloc_at(1);
    assert_int_equal(agw_tunnel_accept(&t.conn, &t.loop, &t.s, false, &peer, &events), AGW_ENOMEM);
    failmalloc_at(0);
    assert_null(t.s.events);
    accept_one();
    static char bytes[1000];
    struct iovec iov = {bytes, sizeof(bytes)};
    failmalloc_at(1);
    assert_int_equal(agw_conn_writev(&t.conn, &iov, 1), AGW_ENOMEM);
    failmalloc_at(0);
    assert_int_equal(agw_conn_writev(&t.conn, &iov, 1), sizeof(bytes));
}

/* --- a client's --- */

static void try_to_connect(struct agw_client *client, const struct agw_endpoint *to, long n)
{
    struct agw_error err = {0};
    t.failed = 0;
    failmalloc_at(n);
    int code = agw_tunnel_connect(&t.conn, client, to, &events, &err);
    assert_true(code == 0 || code == AGW_ENOMEM);
    if (code == 0) {
        agw_conn_start(&t.conn);
        for (int i = 0; i < 20 && !t.failed; i++)
            turns(1);
    }
    failmalloc_at(0);
    agw_conn_close(&t.conn, false);
    assert_false(agw_conn_is_open(&t.conn));
}

/* Nobody listens at port 1. */
static void test_connecting_where_nobody_is(void **state)
{
    struct agw_endpoint via = {.http = AGW_UPSTREAM_HTTP2, .peers = AGW_STR("spiffe://a/b")};
    struct agw_endpoint to = {.host = AGW_STR("a.test"), .port = 80, .tunnel = &via};
    agw_addr_ip(AGW_STR("127.0.0.1"), 1, &via.addr);
    assert_int_equal(agw_endpoint_key(&via, AGW_STR("own "), &t.arena), 0);
    assert_int_equal(agw_endpoint_key(&to, AGW_STR(""), &t.arena), 0);
    assert_true(agw_str_starts(to.key, AGW_STR("a.test:80|h1|")));
    assert_true(memmem(to.key.p, to.key.n, "|through 127.0.0.1:1|h2|own spiffe://a/b|", 41) != NULL);
    for (long n = 0; n < 40; n++) {
        struct agw_client *client = agw_client_new(&t.loop, NULL, &agw_client_default_limits);
        try_to_connect(client, &to, n);
        if (n == 0) {
            assert_int_equal(t.code, AGW_EREFUSED);
            assert_string_equal(t.reason, "tunnel: connection refused");
        }
        agw_client_free(client);
    }
}

static void test_the_client_ends_before_the_tunnel_stands(void **state)
{
    struct agw_error err;
    struct agw_endpoint via = {.http = AGW_UPSTREAM_HTTP2};
    struct agw_endpoint to = {.port = 80, .tunnel = &via};
    struct agw_client *client = agw_client_new(&t.loop, NULL, &agw_client_default_limits);
    agw_addr_ip(AGW_STR("127.0.0.1"), 1, &via.addr);
    agw_addr_ip(AGW_STR("127.0.0.1"), 80, &to.addr);
    assert_int_equal(agw_endpoint_key(&via, AGW_STR(""), &t.arena), 0);
    assert_int_equal(agw_tunnel_connect(&t.conn, client, &to, &events, &err), 0);
    agw_conn_close(&t.conn, false);
    agw_client_free(client);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_it_is_granted_and_bytes_come),
        TEST(test_what_is_not_read_is_not_given_back),
        TEST(test_bytes_before_an_end_and_before_a_reset_count),
        TEST(test_a_slow_stream_makes_writes_short),
        TEST(test_half_closes),
        TEST(test_a_closed_connection_waits_for_the_other_end),
        TEST(test_it_does_not_wait_for_ever),
        TEST(test_the_stream_ends_first_while_it_waits),
        TEST(test_a_reset_is_passed_on),
        TEST(test_closed_with_news_under_way),
        TEST(test_out_of_memory),
        TEST(test_connecting_where_nobody_is),
        TEST(test_the_client_ends_before_the_tunnel_stands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
