/* The exchange: bodies in both directions at each other's pace, tunnels, reloads, drain, MCP deadlines,
 * memory running out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "failmalloc.h"
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

static char *big_body(size_t n)
{
    char *body = malloc(n);
    assert_non_null(body);
    for (size_t i = 0; i < n; i++)
        body[i] = (char)('a' + i % 23);
    return body;
}

/* |from| says |n| bytes while |to| reads nothing, then all of it. Between them the gateway holds little. */
static void check_pace(struct peer *from, struct peer *to, const char *body, size_t n)
{
    size_t sent = 0;
    int stuck = 0;
    while (sent < n && stuck < 50) {
        ssize_t k = send(from->fd, body + sent, n - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        sent += k > 0 ? (size_t)k : 0;
        stuck = k > 0 ? 0 : stuck + 1;
        agw_loop_turn(&rig.worker.loop, 0);
    }
    assert_true(sent < n); /* back-pressure */
    assert_true(rig.worker.loop.blocks.live * AGW_BLOCK_SIZE < 1u << 20);
    while (sent < n) {
        ssize_t k = send(from->fd, body + sent, n - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        sent += k > 0 ? (size_t)k : 0;
        peer_hear(to);
        assert_int_equal(to->end, 0);
        agw_loop_turn(&rig.worker.loop, 1);
    }
}

static void test_big_request(void **state)
{
    char *body = big_body(BIG);
    rig_connect(&client);
    peer_say(&client, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 25165824\r\n\r\n");
    rig_accept(&backend);
    peer_expect(&backend, "\r\n\r\n");
    check_pace(&client, &backend, body, BIG);
    peer_expect_n(&backend, BIG);
    assert_memory_equal(backend.heard, body, BIG);
    peer_say(&backend, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    peer_expect(&client, "\r\n\r\nok");
    assert_int_equal(agw_client_stats(rig.worker.client)->idle, 1);
    free(body);
}

static void test_big_answer(void **state)
{
    char *body = big_body(BIG);
    rig_connect(&client);
    peer_say(&client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    rig_accept(&backend);
    peer_expect(&backend, "\r\n\r\n");
    peer_say(&backend, "HTTP/1.1 200 OK\r\nContent-Length: 25165824\r\n\r\n");
    check_pace(&backend, &client, body, BIG);
    peer_expect(&client, "\r\n\r\n");
    peer_expect_n(&client, BIG);
    assert_memory_equal(client.heard, body, BIG);
    free(body);
}

static void test_chunks_and_trailers(void **state)
{
    rig_connect(&client);
    peer_say(&client, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    rig_accept(&backend);
    peer_expect(&backend, "transfer-encoding: chunked\r\n");
    peer_expect(&backend, "3\r\nabc\r\n");
    /* An answer that begins before the request has ended, and both go on. */
    peer_say(&backend, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nto\r\n");
    peer_expect(&client, "2\r\nto\r\n");
    peer_say(&client, "3\r\ndef\r\n0\r\nX-Sum: 6\r\n\r\n");
    peer_expect(&backend, "3\r\ndef\r\n0\r\nx-sum: 6\r\n\r\n");
    peer_say(&backend, "3\r\nand\r\n0\r\nX-Sum: 5\r\n\r\n");
    peer_expect(&client, "3\r\nand\r\n0\r\nx-sum: 5\r\n\r\n");
    peer_turns(&rig.worker.loop, 3);
    assert_int_equal(agw_client_stats(rig.worker.client)->idle, 1);
}

/* The answer ends first, on a connection that would live on: the rest of the request has no reader. */
static void test_answer_ends_before_the_request(void **state)
{
    rig_connect(&client);
    peer_say(&client, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    rig_accept(&backend);
    peer_expect(&backend, "3\r\nabc\r\n");
    peer_say(&backend, "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
    peer_expect(&client, "HTTP/1.1 403 ");
    peer_expect(&client, "connection: close");
    peer_expect(&client, "\r\n\r\nno");
    peer_say(&client, "3\r\ndef\r\n0\r\n\r\n");
    assert_int_equal(peer_expect_end(&client), 1);
    peer_expect_end(&backend);
    assert_int_equal(agw_client_stats(rig.worker.client)->open, 0);
}

/* --- tunnels --- */

static void upgrade(void)
{
    rig_connect(&client);
    peer_say(&client, "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n");
    rig_accept(&backend);
    peer_expect(&backend, "upgrade: echo\r\n");
    peer_expect(&backend, "\r\n\r\n");
    peer_say(&backend,
             "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nhello");
    peer_expect(&client, "HTTP/1.1 101 Switching Protocols\r\n");
    peer_expect(&client, "upgrade: echo\r\n");
    peer_expect(&client, "\r\n\r\nhello");
    peer_say(&client, "and back");
    peer_expect(&backend, "and back");
}

static void test_tunnel_closed_by_the_client(void **state)
{
    upgrade();
    peer_say(&client, "last");
    peer_shut(&client);
    peer_expect(&backend, "last");
    assert_int_equal(peer_expect_end(&backend), 1);
    peer_say(&backend, "still here");
    peer_expect(&client, "still here");
    peer_close(&backend);
    assert_int_equal(peer_expect_end(&client), 1);
    peer_close(&client);
    assert_int_equal(rig_conns(), 0);
}

static void test_tunnel_closed_by_the_backend(void **state)
{
    upgrade();
    peer_say(&backend, "last");
    peer_shut(&backend);
    peer_expect(&client, "last");
    assert_int_equal(peer_expect_end(&client), 1);
    peer_say(&client, "still here");
    peer_expect(&backend, "still here");
    peer_say(&client, ", and here");
    peer_expect(&backend, ", and here");
    peer_close(&client);
    peer_expect_end(&backend);
    assert_int_equal(rig_conns(), 0);
}

static void test_tunnel_reset_by_the_backend(void **state)
{
    upgrade();
    peer_shut(&backend);
    assert_int_equal(peer_expect_end(&client), 1);
    peer_reset(&backend);
    peer_say(&client, "into the void");
    peer_turns(&rig.worker.loop, 5);
    peer_say(&client, "again");
    peer_turns(&rig.worker.loop, 20);
    assert_int_equal(rig.worker.conn_count, 0);
}

/* All that the client said before it closed arrives, however slow the backend reads. */
static void test_tunnel_takes_all(void **state)
{
    char *body = big_body(BIG);
    upgrade();
    check_pace(&client, &backend, body, BIG);
    peer_shut(&backend); /* nothing comes back any more */
    peer_shut(&client);
    peer_expect_n(&backend, BIG);
    assert_memory_equal(backend.heard, body, BIG);
    assert_int_equal(peer_expect_end(&backend), 1);
    free(body);
}

static void test_refused_upgrade(void **state)
{
    rig_connect(&client);
    peer_say(&client, "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n");
    rig_accept(&backend);
    peer_expect(&backend, "\r\n\r\n");
    peer_say(&backend, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno");
    peer_expect(&client, "\r\n\r\nno");
    /* Both connections go on as HTTP. */
    peer_say(&client, "GET /2 HTTP/1.1\r\nHost: a\r\n\r\n");
    peer_expect(&backend, "GET /2 ");
    assert_int_equal(agw_client_stats(rig.worker.client)->connects, 1);
}

static void test_no_upgrade_behind_a_body(void **state)
{
    rig_connect(&client);
    peer_say(
        &client,
        "POST / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 4\r\n\r\nbody");
    rig_accept(&backend);
    peer_expect(&backend, "body");
    assert_false(peer_heard(&backend, "upgrade"));
}

/* --- life of the gateway --- */

static void test_drain(void **state)
{
    struct peer idle, sniffed;
    rig_connect(&idle);
    rig_warm_up(&idle, &backend);
    rig_connect(&sniffed);
    rig_connect(&client);
    peer_say(&client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    peer_expect(&backend, "\r\n\r\n");
    agw_worker_drain(&rig.worker);
    assert_int_equal(peer_expect_end(&idle), 1);
    peer_expect_nothing(&client);
    peer_say(&backend, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    peer_expect(&client, "connection: close");
    peer_expect(&client, "\r\n\r\nok");
    assert_int_equal(peer_expect_end(&client), 1);
    /* Who has said nothing yet gets one answer. */
    peer_say(&sniffed, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    peer_expect(&backend, "\r\n\r\n");
    peer_say(&backend, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    peer_expect(&sniffed, "connection: close");
    assert_int_equal(peer_expect_end(&sniffed), 1);
    peer_close(&idle);
    peer_close(&sniffed);
}

static void test_stop_in_each_state(void **state)
{
    struct peer p[6];
    for (int i = 0; i < 6; i++)
        rig_connect(&p[i]);
    rig_warm_up(&p[0], &backend);
    peer_say(&p[1], "GET / HT");
    peer_say(&p[2], "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    peer_expect(&backend, "\r\n\r\n");
    peer_say(&backend, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort");
    peer_expect(&p[2], "short");
    peer_say(&p[3], "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nshort");
    peer_say(&p[4], "nonsense\r\n\r\n");
    peer_expect(&p[4], "HTTP/1.1 400 ");
    agw_worker_stop(&rig.worker);
    for (int i = 0; i < 6; i++) {
        peer_expect_end(&p[i]);
        peer_close(&p[i]);
    }
    assert_int_equal(rig.worker.conn_count, 0);
}

/* A reload that takes the bind away: what is under way is finished, and the connections go. */
static void test_bind_removed(void **state)
{
    struct peer idle, silent;
    rig_connect(&idle);
    rig_warm_up(&idle, &backend);
    rig_connect(&silent);
    rig_connect(&client);
    peer_say(&client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    peer_expect(&backend, "\r\n\r\n");
    rig_publish(false);
    assert_int_equal(peer_expect_end(&idle), 1);
    peer_say(&backend, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    peer_expect(&client, "connection: close");
    peer_expect(&client, "\r\n\r\nok");
    assert_int_equal(peer_expect_end(&client), 1);
    peer_say(&silent, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    peer_expect(&silent, "HTTP/1.1 404 ");
    peer_expect(&silent, "connection: close");
    assert_int_equal(peer_expect_end(&silent), 1);
    peer_close(&idle);
    peer_close(&silent);
    assert_int_equal(rig_conns(), 0);
}

static void test_reload_under_way(void **state)
{
    rig_connect(&client);
    peer_say(&client, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbo");
    rig_accept(&backend);
    peer_expect(&backend, "bo");
    rig_publish(true);
    rig_publish(true);
    peer_say(&client, "dy");
    peer_expect(&backend, "dy");
    peer_say(&backend, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    peer_expect(&client, "\r\n\r\nok");
    peer_say(&client, "GET /2 HTTP/1.1\r\nHost: a\r\n\r\n");
    peer_expect(&backend, "GET /2 "); /* the pool outlives the snapshot */
}

/* --- MCP --- */

static const char call[] =
    "POST /mcp HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    "Accept: application/json, text/event-stream\r\nContent-Length: 75\r\n\r\n"
    "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"tools/call\",\"params\":{\"name\":\"t\"} ,\"x\":1}";

static void test_mcp_timeout(void **state)
{
    rig_make_mcp();
    rig.route->request_timeout_ms = 50;
    rig_connect(&client);
    peer_say(&client, call);
    rig_accept(&backend);
    peer_expect(&backend, "tools/call");
    peer_expect(&client, "HTTP/1.1 504 ");
    peer_expect(&client, "\r\ndate: ");
    peer_expect(&client, "\"id\":7");
    peer_expect(&client, "request timeout");
    peer_expect_end(&backend);
    peer_turns(&rig.worker.loop, 5);
    assert_int_equal(agw_mcp_active(rig.worker.mcp), 0);
}

static void test_mcp_timeout_inside_the_answer(void **state)
{
    rig_make_mcp();
    rig.route->backend_timeout_ms = 50;
    rig_connect(&client);
    peer_say(&client, call);
    rig_accept(&backend);
    peer_expect(&backend, "tools/call");
    peer_say(&backend, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
                       "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{}}\n\n");
    peer_expect(&client, "notifications/message");
    peer_expect_end(&client);
    peer_expect_end(&backend);
    assert_int_equal(rig_conns(), 0);
    assert_int_equal(agw_mcp_active(rig.worker.mcp), 0);
}

/* The time is over once the answer is out, however slow the client is with its next request. */
static void test_mcp_timeout_is_the_answers(void **state)
{
    rig_make_mcp();
    rig.route->request_timeout_ms = 50;
    rig_connect(&client);
    peer_say(&client, "PATCH /mcp HTTP/1.1\r\nHost: a\r\n\r\n");
    peer_expect(&client, "HTTP/1.1 405 ");
    peer_expect(&client, "\r\n\r\n");
    peer_sleep(&rig.worker.loop, 100);
    peer_expect_nothing(&client);
    peer_say(&client, "PATCH /mcp HTTP/1.1\r\nHost: a\r\n\r\n");
    peer_expect(&client, "HTTP/1.1 405 ");
}

/* --- memory runs out --- */

/* Lets the exchange go on, whatever is left of it, until nothing more comes. */
static void play(bool *ret_answered)
{
    bool accepted = false, answered = false;
    for (int i = 0; i < 200; i++) {
        agw_loop_turn(&rig.worker.loop, 0);
        if (!accepted) {
            struct sockaddr_storage sa;
            socklen_t n = sizeof(sa);
            int fd = accept4(rig.listener, (struct sockaddr *)&sa, &n, SOCK_NONBLOCK);
            if (fd >= 0) {
                backend = (struct peer){.loop = &rig.worker.loop, .fd = fd};
                accepted = true;
            }
        }
        char some[4096];
        ssize_t k = accepted ? recv(backend.fd, some, sizeof(some), MSG_DONTWAIT) : -1;
        if (k > 0 && !answered && memmem(some, (size_t)k, "body", 4)) {
            static const char text[] =
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 2\r\n\r\n";
            k = send(backend.fd, text, sizeof(text) - 1, MSG_NOSIGNAL);
            answered = true;
        }
        k = recv(client.fd, some, sizeof(some), MSG_DONTWAIT);
        if (k == 0)
            break;
        if (k > 0 && memmem(some, (size_t)k, "HTTP/1.1 ", 9))
            *ret_answered = true;
        if (k > 0 && memmem(some, (size_t)k, "x-sum: 2", 8))
            break;
    }
}

static void test_out_of_memory(void **state)
{
    long n = 1, served = 0;
    for (bool reached = true; reached; n++) {
        bool answered = false;
        rig_connect(&client);
        peer_say(&client, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
                          "chunked\r\n\r\n4\r\nbody\r\n0\r\nX-Sum: 4\r\n\r\n");
        failmalloc_at(n);
        play(&answered);
        reached = failmalloc_count() >= n;
        failmalloc_at(0);
        served += answered;
        peer_close(&client);
        peer_close(&backend);
        peer_turns(&rig.worker.loop, 8);
        assert_int_equal(rig.worker.conn_count, 0);
        assert_int_equal(rig.snap->private->pins[0].count, 0);
        assert_int_equal(agw_client_stats(rig.worker.client)->open, 0);
        assert_true(n < 1000);
    }
    assert_true(n > 3); /* few: an arena holds most of it */
    assert_true(served > 2);
    rig_check_serves();
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_big_request),
        TEST(test_big_answer),
        TEST(test_chunks_and_trailers),
        TEST(test_answer_ends_before_the_request),
        TEST(test_tunnel_closed_by_the_client),
        TEST(test_tunnel_closed_by_the_backend),
        TEST(test_tunnel_reset_by_the_backend),
        TEST(test_tunnel_takes_all),
        TEST(test_refused_upgrade),
        TEST(test_no_upgrade_behind_a_body),
        TEST(test_drain),
        TEST(test_stop_in_each_state),
        TEST(test_bind_removed),
        TEST(test_reload_under_way),
        TEST(test_mcp_timeout),
        TEST(test_mcp_timeout_inside_the_answer),
        TEST(test_mcp_timeout_is_the_answers),
        TEST(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
