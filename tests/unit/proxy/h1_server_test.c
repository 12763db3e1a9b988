/* The client's HTTP/1.1 connection, in front of a whole worker. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "proxy/server/h1_server_int.h"
#include "proxy/rig.h"

#define BIG (24u << 20) /* more than the socket buffers of loopback take */

static struct peer client, backend;

static int set_up(void **state)
{
    client = backend = (struct peer){.fd = -1};
    return rig_set_up(state);
}

static int tear_down(void **state)
{
    peer_close(&client);
    peer_close(&backend);
    peer_turns(&rig.worker.loop, 5);
    return rig_tear_down(state);
}

static void answer(const char *text)
{
    peer_expect(&backend, "\r\n\r\n");
    peer_say(&backend, text);
}

static struct agw_server_limits *limits_of(struct agw_server_conn *c)
{
    static struct agw_server_limits l;
    l = *c->limits;
    c->limits = &l;
    return &l;
}

static struct agw_server_conn *the_conn(void)
{
    peer_turns(&rig.worker.loop, 3);
    assert_int_equal(rig.worker.conn_count, 1);
    return agw_list_entry(rig.worker.conns.next, struct agw_server_conn, node);
}

static char *big_body(size_t n)
{
    char *body = malloc(n);
    assert_non_null(body);
    for (size_t i = 0; i < n; i++)
        body[i] = (char)('a' + i % 23);
    return body;
}

static void say_chunk(const char *body, size_t n)
{
    char line[16];
    snprintf(line, sizeof(line), "%zx\r\n", n);
    peer_say(&backend, line);
    peer_say_n(&backend, body, n);
    peer_say(&backend, "\r\n");
    peer_sleep(&rig.worker.loop, 2);
}

/* The backend answers while the client reads nothing: all of the answer is with the gateway, and a part of it
 * does not go out. Returns the length of the body. */
static size_t answer_that_fills_the_socket(const struct agw_server_conn *c, const char *body)
{
    const struct agw_h1_server *h = c->proto;
    size_t n = 0;
    peer_expect(&backend, "\r\n\r\n");
    peer_say(&backend, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    while (h->out.chain.bytes == 0 && n < BIG) {
        say_chunk(body, 32768);
        n += 32768;
    }
    say_chunk(body, 60000);
    peer_say(&backend, "0\r\n\r\n");
    for (int i = 0; h->stream && i < 2000; i++)
        agw_loop_turn(&rig.worker.loop, 1);
    assert_null(h->stream);
    assert_true(h->out.chain.bytes > AGW_STREAM_HIGH);
    return n + 60000;
}

static void test_pipelining(void **state)
{
    rig_connect(&client);
    peer_say(&client, "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\nGET /3 "
                      "HTTP/1.1\r\nHost: a\r\n\r\n");
    rig_accept(&backend);
    for (int i = 1; i <= 3; i++) {
        char line[32] = "GET /0 HTTP/1.1\r\n", body[] = "\r\n\r\nbody 0";
        line[5] = body[9] = (char)('0' + i);
        peer_expect(&backend, line);
        peer_expect_nothing(&client);
        peer_expect(&backend, "\r\n\r\n");
        assert_int_equal(backend.n, 0); /* the next waits for this one's answer */
        peer_say(&backend, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n");
        peer_say(&backend, body + 4);
        peer_expect(&client, body);
    }
    assert_int_equal(agw_client_stats(rig.worker.client)->connects, 1);
    assert_int_equal(agw_client_stats(rig.worker.client)->reuses, 2);
}

/* Requests behind an answer that the client is slow to read are served when it has read on. */
static void test_pipelining_behind_a_slow_reader(void **state)
{
    char *body = big_body(65536);
    rig_connect(&client);
    rig_warm_up(&client, &backend);
    peer_say(&client, "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n");
    size_t n = answer_that_fills_the_socket(the_conn(), body);
    peer_expect_nothing(&backend);
    peer_expect_n(&client, n);
    peer_expect(&client, "\r\n0\r\n\r\n");
    peer_expect(&backend, "GET /2 HTTP/1.1\r\n");
    free(body);
}

/* A client that closes its direction when the gateway has all of the answer still gets what is under way. */
static void test_half_closed_client(void **state)
{
    char *body = big_body(65536);
    rig_connect(&client);
    rig_warm_up(&client, &backend);
    peer_say(&client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    size_t n = answer_that_fills_the_socket(the_conn(), body);
    peer_shut(&client);
    peer_turns(&rig.worker.loop, 5);
    peer_expect_n(&client, n);
    peer_expect(&client, "\r\n0\r\n\r\n");
    assert_int_equal(peer_expect_end(&client), 1);
    free(body);
}

/* The same for a gateway that is told to drain. */
static void test_drain_behind_an_answer(void **state)
{
    char *body = big_body(65536);
    rig_connect(&client);
    rig_warm_up(&client, &backend);
    peer_say(&client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    size_t n = answer_that_fills_the_socket(the_conn(), body);
    agw_worker_drain(&rig.worker);
    peer_sleep(&rig.worker.loop, 20);
    peer_expect_n(&client, n);
    peer_expect(&client, "\r\n0\r\n\r\n");
    assert_int_equal(peer_expect_end(&client), 1);
    free(body);
}

static void test_continue(void **state)
{
    rig_connect(&client);
    peer_say(&client, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
    rig_accept(&backend);
    peer_expect(&backend, "POST / ");
    peer_expect(&backend, "expect: 100-continue\r\n\r\n");
    peer_say(&backend, "HTTP/1.1 100 Continue\r\n\r\n");
    peer_expect(&client, "HTTP/1.1 100 Continue\r\n\r\n");
    peer_say(&client, "body");
    peer_expect(&backend, "body");
    peer_say(&backend, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    peer_expect(&client, "\r\n\r\nok");
}

static void test_no_continue_after_the_answer(void **state)
{
    rig.backend->endpoint_count = 0;
    rig_connect(&client);
    peer_say(&client, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
    peer_expect(&client, "HTTP/1.1 503 ");
    assert_false(peer_heard(&client, "100 Continue"));
    peer_expect(&client, "connection: close");
    assert_int_equal(peer_expect_end(&client), 1);
}

static void test_http_10(void **state)
{
    rig_connect(&client);
    peer_say(&client, "GET /1 HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n");
    rig_accept(&backend);
    answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    peer_expect(&client, "connection: keep-alive");
    peer_expect(&client, "\r\n\r\nok");
    /* A body of unknown length ends with the connection. */
    peer_say(&client, "GET /2 HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n");
    answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
    peer_expect(&client, "connection: close");
    peer_expect(&client, "\r\n\r\nabc");
    assert_int_equal(peer_expect_end(&client), 1);
    assert_int_equal(client.n, 0);
}

static void test_http_10_closes(void **state)
{
    rig_connect(&client);
    peer_say(&client, "GET /1 HTTP/1.0\r\nHost: a\r\n\r\n");
    rig_accept(&backend);
    answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    peer_expect(&client, "\r\n\r\nok");
    assert_int_equal(peer_expect_end(&client), 1);
}

static void test_head_and_no_content(void **state)
{
    rig_connect(&client);
    peer_say(&client, "HEAD /1 HTTP/1.1\r\nHost: a\r\n\r\n");
    rig_accept(&backend);
    answer("HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n");
    peer_expect(&client, "content-length: 12345");
    peer_expect(&client, "\r\n\r\n");
    peer_say(&client, "GET /2 HTTP/1.1\r\nHost: a\r\n\r\n");
    answer("HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n");
    peer_expect(&client, "HTTP/1.1 304 Not Modified\r\netag: \"x\"\r\n\r\n");
    peer_say(&client, "GET /3 HTTP/1.1\r\nHost: a\r\n\r\n");
    answer("HTTP/1.1 204 No Content\r\n\r\n");
    peer_expect(&client, "HTTP/1.1 204 No Content\r\n\r\n");
    assert_int_equal(client.n, 0);
    assert_int_equal(agw_client_stats(rig.worker.client)->connects, 1);
}

/* The answer is here before the request is: it reaches a client that reads only after it has said everything.
 */
static void test_early_answer(void **state)
{
    char *body = big_body(BIG);
    rig_connect(&client);
    peer_say(&client, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 25165824\r\n\r\n");
    rig_accept(&backend);
    answer("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nno\n");
    peer_say_n(&client, body, BIG);
    peer_expect(&client, "HTTP/1.1 413 ");
    peer_expect(&client, "connection: close");
    peer_expect(&client, "\r\n\r\nno\n");
    assert_int_equal(peer_expect_end(&client), 1);
    peer_expect_end(&backend);
    free(body);
}

/* The backend closes as soon as it has answered: what it said must not be lost by our writing on. */
static void test_early_answer_and_close(void **state)
{
    char *body = big_body(BIG);
    rig_connect(&client);
    peer_say(&client, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 25165824\r\n\r\n");
    rig_accept(&backend);
    answer("HTTP/1.1 413 Content Too Large\r\nConnection: close\r\n\r\nno\n");
    peer_close(&backend);
    peer_say_n(&client, body, BIG);
    peer_expect(&client, "HTTP/1.1 413 ");
    peer_expect(&client, "\r\n\r\n");
    peer_expect(&client, "no\n");
    free(body);
}

static void test_refused(void **state)
{
    static const struct {
        const char *text, *status;
    } cases[] = {
        {"GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "},
        {"GET / HTTP/1.1\nHost: a\n\n", "HTTP/1.1 400 "},
        {"GET / HTTP/1.1\r\nHost : a\r\n\r\n", "HTTP/1.1 400 "},
        {"GET / HTTP/3.0\r\nHost: a\r\n\r\n", "HTTP/1.1 505 "},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
         "HTTP/1.1 400 "},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", "HTTP/1.1 400 "},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "HTTP/1.1 501 "},
        {"GET / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n", "HTTP/1.1 417 "},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        rig_connect(&client);
        peer_say(&client, cases[i].text);
        peer_say(&client, "and more that nobody reads");
        peer_expect(&client, cases[i].status);
        peer_expect(&client, "\r\ndate: ");
        peer_expect(&client, "connection: close");
        assert_int_equal(peer_expect_end(&client), 1);
        peer_close(&client);
    }
    assert_int_equal(rig_conns(), 0);
}

/* Neither HTTP/1.1 nor HTTP/2 (RFC 9113 section 3.4): there is nothing that the peer could read. */
static void test_other_protocol_is_hung_up_on(void **state)
{
    static const char *const openings[] = {"INVALID CONNECTION PREFACE\r\n\r\n", "EHLO there friend\r\n\r\n",
                                           "SETUP rtsp://a/ RTSP/1.0\r\n\r\n"};
    for (size_t i = 0; i < sizeof(openings) / sizeof(openings[0]); i++) {
        rig_connect(&client);
        peer_say(&client, openings[i]);
        assert_int_equal(peer_expect_end(&client), 1);
        assert_false(peer_heard(&client, "HTTP"));
        peer_close(&client);
    }
    rig_connect(&client);
    peer_say(&client, "GET / FTP/1.1\r\n\r\n");
    peer_expect(&client, "HTTP/1.1 400 ");
    assert_int_equal(peer_expect_end(&client), 1);
}

/* 431 is read by a client that goes on sending its fields. */
static void test_refused_head_of_any_size(void **state)
{
    static char line[1000];
    memset(line, 'x', sizeof(line));
    memcpy(line, "a: ", 3);
    memcpy(line + sizeof(line) - 2, "\r\n", 2);
    rig_connect(&client);
    peer_say(&client, "GET / HTTP/1.1\r\nHost: a\r\n");
    for (int i = 0; i < 3000; i++)
        peer_say_n(&client, line, sizeof(line));
    peer_expect(&client, "HTTP/1.1 431 ");
    assert_int_equal(peer_expect_end(&client), 1);
}

static void test_malformed_body(void **state)
{
    rig_connect(&client);
    peer_say(&client, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    rig_accept(&backend);
    peer_expect(&backend, "abc");
    peer_say(&client, "xyz\r\n");
    peer_expect(&client, "HTTP/1.1 400 ");
    assert_int_equal(peer_expect_end(&client), 1);
    assert_true(peer_expect_end(&backend) != 0);
    assert_false(peer_heard(&backend, "0\r\n\r\n")); /* the backend must not take it for whole */
}

static void test_client_leaves(void **state)
{
    rig_connect(&client);
    peer_say(&client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    rig_accept(&backend);
    peer_expect(&backend, "\r\n\r\n");
    peer_close(&client);
    peer_expect_end(&backend);
    assert_int_equal(rig_conns(), 0);
}

static void test_slow_head_after_a_request(void **state)
{
    rig_connect(&client);
    rig_warm_up(&client, &backend);
    limits_of(the_conn())->head_ms = 50;
    peer_say(&client, "GET / HT");
    peer_expect(&client, "HTTP/1.1 408 ");
    peer_expect(&client, "connection: close");
    assert_int_equal(peer_expect_end(&client), 1);
}

/* The time is for the whole head: a byte now and then does not win any. */
static void test_head_by_the_byte(void **state)
{
    unsigned said = 0;
    rig_connect(&client);
    rig_warm_up(&client, &backend);
    limits_of(the_conn())->head_ms = 100;
    for (; said < 40 && !peer_heard(&client, "HTTP/1.1 408 "); said++) {
        peer_say(&client, said ? "x" : "G");
        peer_sleep(&rig.worker.loop, 10);
        peer_hear(&client);
    }
    assert_in_range(said, 5, 20);
}

static void test_slow_body(void **state)
{
    rig_connect(&client);
    rig_warm_up(&client, &backend);
    limits_of(the_conn())->body_ms = 50;
    peer_say(&client, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nshort");
    peer_expect(&backend, "short");
    peer_expect(&client, "HTTP/1.1 408 ");
    assert_int_equal(peer_expect_end(&client), 1);
    peer_expect_end(&backend);
}

/* The time is the client's alone: not the backend's, whose answer takes longer than that. */
static void test_slow_answer_is_no_slow_body(void **state)
{
    rig_connect(&client);
    rig_warm_up(&client, &backend);
    limits_of(the_conn())->body_ms = 50;
    peer_say(&client, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbo");
    peer_sleep(&rig.worker.loop, 20);
    peer_say(&client, "dy");
    peer_expect(&backend, "body");
    peer_sleep(&rig.worker.loop, 150);
    peer_say(&backend, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    peer_expect(&client, "\r\n\r\nok");
}

/* Says a byte of a long body every 10 ms until something is heard; returns how many. */
static unsigned trickle(unsigned most)
{
    unsigned said = 0;
    peer_say(&client, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 900\r\n\r\n");
    peer_expect(&backend, "\r\n\r\n");
    for (; said < most && client.n == 0; said++) {
        peer_say(&client, "x");
        peer_sleep(&rig.worker.loop, 10);
        peer_hear(&client);
    }
    return said;
}

static void test_body_below_the_rate(void **state)
{
    rig_connect(&client);
    rig_warm_up(&client, &backend);
    struct agw_server_limits *l = limits_of(the_conn());
    l->body_ms = 100;
    l->body_rate =
        200; /* a byte buys 5 ms of the 10, or on a busy machine more, that it takes: 200 ms in all */
    uint64_t begun = rig.worker.loop.now_ms;
    unsigned said = trickle(100);
    assert_in_range(said, 1, 40);
    assert_true(rig.worker.loop.now_ms - begun >= 100 + 5 * (said - 1));
    peer_expect(&client, "HTTP/1.1 408 ");
    assert_int_equal(peer_expect_end(&client), 1);
    peer_expect_end(&backend);
}

static void test_body_at_the_rate(void **state)
{
    rig_connect(&client);
    rig_warm_up(&client, &backend);
    struct agw_server_limits *l = limits_of(the_conn());
    l->body_ms = 500;
    l->body_rate = 10; /* a byte buys 100 ms */
    assert_int_equal(trickle(80), 80);
    l->body_rate = 0; /* and now 500 */
    for (int i = 0; i < 3; i++) {
        peer_say(&client, "x");
        peer_sleep(&rig.worker.loop, 250);
    }
    peer_expect_nothing(&client);
}

/* It is the backend that does not read on: no time of the client's goes by. */
static void test_body_that_nobody_reads(void **state)
{
    char *body = big_body(BIG);
    rig_connect(&client);
    rig_warm_up(&client, &backend);
    limits_of(the_conn())->body_ms = 50;
    peer_say(&client, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 25165824\r\n\r\n");
    for (int i = 0; i < 300; i++) {
        ssize_t k = send(client.fd, body, 65536, MSG_NOSIGNAL | MSG_DONTWAIT);
        (void)k;
        agw_loop_turn(&rig.worker.loop, 1);
    }
    peer_sleep(&rig.worker.loop, 150);
    peer_hear(&client);
    assert_int_equal(client.n + (size_t)client.end, 0);
    free(body);
}

/* Who waits for a 100 does not send: until it has it, it is not late, and then it is. */
static void test_body_that_waits_for_a_100(void **state)
{
    rig_connect(&client);
    rig_warm_up(&client, &backend);
    limits_of(the_conn())->body_ms = 50;
    peer_say(&client, "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n");
    peer_expect(&backend, "\r\n\r\n");
    peer_sleep(&rig.worker.loop, 150);
    peer_hear(&client);
    assert_int_equal(client.n, 0);
    peer_say(&backend, "HTTP/1.1 100 Continue\r\n\r\n");
    peer_expect(&client, "HTTP/1.1 100 ");
    peer_expect(&client, "HTTP/1.1 408 ");
}

static void test_last_request_of_an_old_connection(void **state)
{
    rig_connect(&client);
    rig_warm_up(&client, &backend);
    struct agw_server_conn *c = the_conn();
    peer_say(&client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    peer_expect(&backend, "\r\n\r\n");
    c->expires_ms = rig.worker.loop.now_ms;
    peer_say(&backend, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    peer_expect(&client, "connection: close");
    peer_expect(&client, "ok");
    assert_int_equal(peer_expect_end(&client), 1);
}

static void test_idle_connection_gets_old(void **state)
{
    rig_connect(&client);
    peer_turns(&rig.worker.loop, 3);
    the_conn()->expires_ms = rig.worker.loop.now_ms + 500; /* enough for a request on a busy machine */
    rig_warm_up(&client, &backend);
    peer_expect_nothing(&client);
    assert_int_equal(peer_expect_end(&client), 1);
}

static void test_stalled_reader(void **state)
{
    char *body = big_body(BIG);
    rig_connect(&client);
    rig_warm_up(&client, &backend);
    limits_of(the_conn())->stall_ms = 50;
    peer_say(&client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    answer("HTTP/1.1 200 OK\r\nContent-Length: 25165824\r\n\r\n");
    for (int i = 0; i < 400 && rig.worker.conn_count > 0; i++) {
        ssize_t k = send(backend.fd, body, 65536, MSG_NOSIGNAL | MSG_DONTWAIT);
        (void)k;
        agw_loop_turn(&rig.worker.loop, 1);
    }
    peer_sleep(&rig.worker.loop, 200);
    assert_int_equal(rig.worker.conn_count, 0);
    free(body);
}

static void test_idle(void **state)
{
    rig_connect(&client);
    rig_warm_up(&client, &backend);
    limits_of(the_conn())->idle_ms = 30;
    peer_say(&client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    peer_expect(&client, "ok");
    assert_int_equal(peer_expect_end(&client), 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_pipelining),
        TEST(test_pipelining_behind_a_slow_reader),
        TEST(test_half_closed_client),
        TEST(test_drain_behind_an_answer),
        TEST(test_continue),
        TEST(test_no_continue_after_the_answer),
        TEST(test_http_10),
        TEST(test_http_10_closes),
        TEST(test_head_and_no_content),
        TEST(test_early_answer),
        TEST(test_early_answer_and_close),
        TEST(test_refused),
        TEST(test_other_protocol_is_hung_up_on),
        TEST(test_refused_head_of_any_size),
        TEST(test_malformed_body),
        TEST(test_client_leaves),
        TEST(test_slow_head_after_a_request),
        TEST(test_head_by_the_byte),
        TEST(test_body_below_the_rate),
        TEST(test_body_at_the_rate),
        TEST(test_body_that_nobody_reads),
        TEST(test_body_that_waits_for_a_100),
        TEST(test_last_request_of_an_old_connection),
        TEST(test_idle_connection_gets_old),
        TEST(test_slow_body),
        TEST(test_slow_answer_is_no_slow_body),
        TEST(test_stalled_reader),
        TEST(test_idle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
