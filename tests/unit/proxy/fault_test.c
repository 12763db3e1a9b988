/* What a client gets when its backend misbehaves: one line a fault, exact statuses; afterwards the gateway
 * still serves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "proxy/rig.h"

#define CUT (-1) /* a head went out; then the connection breaks */
#define HEAD(status, fields) "HTTP/1.1 " status "\r\n" fields "\r\n"

enum act { FIN, RST, STAY };

struct fault {
    const char *name;
    const char *says;
    enum act then;
    int status;
    const char *body; /* of a good answer, or what arrives before the cut */
};

static const struct fault faults[] = {
    {"silence, then the end", "", FIN, 502, NULL},
    {"silence, then a reset", "", RST, 502, NULL},
    {"the end inside the head", "HTTP/1.1 200 OK\r\nContent-", FIN, 502, NULL},
    {"a reset inside the head", "HTTP/1.1 200 OK\r\nContent-", RST, 502, NULL},
    {"no HTTP", "SSH-2.0-OpenSSH_9.2\r\n\r\n", STAY, 502, NULL},
    {"bytes of noise", "\x16\x03\x01\x02\x00\x01\xfc\r\n\r\n", STAY, 502, NULL},
    {"status of two digits", HEAD("20 OK", ""), STAY, 502, NULL},
    {"both kinds of length", HEAD("200 OK", "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n") "ok", STAY,
     502, NULL},
    {"lengths that differ", HEAD("200 OK", "Content-Length: 2\r\nContent-Length: 3\r\n") "ok", STAY, 502,
     NULL},
    {"length with a sign", HEAD("200 OK", "Content-Length: +2\r\n") "ok", STAY, 502, NULL},
    {"line folding", HEAD("200 OK", "A: b\r\n c\r\nContent-Length: 2\r\n") "ok", STAY, 502, NULL},
    {"unknown coding", HEAD("200 OK", "Transfer-Encoding: gzip, chunked\r\n"), STAY, 502, NULL},
    {"an upgrade nobody asked for", HEAD("101 Switching Protocols", "Connection: upgrade\r\nUpgrade: x\r\n"),
     STAY, 502, NULL},
    {"interim answer, then the end", HEAD("103 Early Hints", "Link: </a>\r\n"), FIN, 502, NULL},
    {"body too short", HEAD("200 OK", "Content-Length: 9\r\n") "short", FIN, CUT, "short"},
    {"body too short and a reset", HEAD("200 OK", "Content-Length: 9\r\n") "short", RST, CUT, NULL},
    {"chunked body without end", HEAD("200 OK", "Transfer-Encoding: chunked\r\n") "5\r\nshort\r\n", FIN, CUT,
     "short"},
    {"malformed chunk", HEAD("200 OK", "Transfer-Encoding: chunked\r\n") "5\r\nshort\r\nxyz\r\n", STAY, CUT,
     "short"},
    {"body too long", HEAD("200 OK", "Content-Length: 2\r\n") "ok, and more", STAY, 200, "ok"},
    {"answer to the next request too",
     HEAD("200 OK", "Content-Length: 2\r\n") "ok" HEAD("200 OK", "Content-Length: 0\r\n"), STAY, 200, "ok"},
    {"body until the end", HEAD("200 OK", "") "all of it", FIN, 200, "all of it"},
    {"body in spite of 204", HEAD("204 No Content", "") "what", STAY, 204, ""},
};

static void act(struct peer *backend, enum act what)
{
    peer_turns(&rig.worker.loop, 5); /* what was said is read before a reset overtakes it */
    if (what == FIN)
        peer_close(backend);
    else if (what == RST)
        peer_reset(backend);
}

static void expect_status(struct peer *client, int status, const char *name)
{
    char line[32];
    snprintf(line, sizeof(line), "HTTP/1.1 %d ", status);
    peer_expect_n(client, strlen(line));
    if (!peer_heard(client, line))
        fail_msg("%s: %s", name, client->heard);
}

static void check(const struct fault *f, struct peer *client)
{
    if (f->status == CUT) {
        peer_expect_end(client);
        if (!peer_heard(client, "HTTP/1.1 200 OK") || (f->body && !peer_heard(client, f->body)))
            fail_msg("%s: %s", f->name, client->heard);
        assert_false(peer_heard(client, "\r\n0\r\n"));
        return;
    }
    if (strncmp(f->says, "HTTP/1.1 103", 12) == 0)
        peer_expect(client, "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n");
    expect_status(client, f->status, f->name);
    if (f->status >= 500) {
        peer_expect(client, "\r\ndate: ");
        peer_expect(client, " GMT\r\n");
    }
    peer_expect(client, "\r\n\r\n");
    if (f->body)
        peer_expect(client, f->body);
}

/* On a fresh connection to the backend, or on one that has served a request. */
static void run(const struct fault *f, bool reused)
{
    struct peer client, backend;
    rig_connect(&client);
    if (reused)
        rig_warm_up(&client, &backend);
    peer_say(&client, "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody");
    if (!reused)
        rig_accept(&backend);
    peer_expect(&backend, "POST /x HTTP/1.1\r\n");
    peer_expect(&backend, "\r\n\r\nbody");
    peer_say(&backend, f->says);
    act(&backend, f->then);
    check(f, &client);
    peer_close(&client);
    if (f->then == STAY) {
        peer_expect_end(&backend); /* such a connection is not used again */
        peer_close(&backend);
    }
    assert_int_equal(rig_conns(), 0);
    assert_int_equal(agw_client_stats(rig.worker.client)->open, 0);
    assert_int_equal(agw_client_stats(rig.worker.client)->idle, 0);
}

static void test_faults(void **state)
{
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        run(&faults[i], false);
        run(&faults[i], true);
        rig_check_serves();
    }
}

static void test_nobody_listens(void **state)
{
    struct peer client;
    close(rig.listener);
    rig_connect(&client);
    peer_say(&client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    expect_status(&client, 503, "refused");
    peer_expect(&client, "the backend refused the connection\n");
    /* The client's connection lives on. */
    peer_say(&client, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    expect_status(&client, 503, "refused again");
    peer_expect(&client, "\r\n\r\n");
    peer_expect_nothing(&client);
    peer_close(&client);
    struct agw_addr addr;
    rig.listener = peer_listen(&addr);
}

static void test_no_endpoint(void **state)
{
    struct peer client;
    rig.backend->endpoint_count = 0;
    rig_connect(&client);
    peer_say(&client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    expect_status(&client, 503, "no endpoint");
    peer_close(&client);
}

static void test_interim_flood(void **state)
{
    struct peer client, backend;
    rig_connect(&client);
    peer_say(&client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    rig_accept(&backend);
    peer_expect(&backend, "\r\n\r\n");
    for (int i = 0; i < 40; i++)
        peer_say(&backend, "HTTP/1.1 100 Continue\r\n\r\n");
    expect_status(&client, 502, "flood");
    peer_close(&backend);
    peer_close(&client);
    rig_check_serves();
}

static void test_header_bomb(void **state)
{
    static char line[1000];
    struct peer client, backend;
    rig_connect(&client);
    peer_say(&client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    rig_accept(&backend);
    peer_expect(&backend, "\r\n\r\n");
    memset(line, 'x', sizeof(line));
    memcpy(line, "a: ", 3);
    memcpy(line + sizeof(line) - 2, "\r\n", 2);
    peer_say(&backend, "HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < 300; i++)
        peer_say_n(&backend, line, sizeof(line));
    expect_status(&client, 502, "bomb");
    peer_close(&backend);
    peer_close(&client);
    rig_check_serves();
}

/* A request that may be sent twice is, when the connection turns out to be dead; another only if nothing of
 * it left. */
static void test_retry(void **state)
{
    struct peer client, backend, second;
    rig_connect(&client);
    rig_warm_up(&client, &backend);
    peer_say(&client, "PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody");
    peer_expect(&backend, "\r\n\r\nbody");
    peer_close(&backend);
    rig_accept(&second);
    peer_expect(&second, "PUT /x HTTP/1.1\r\n");
    peer_expect(&second, "\r\n\r\nbody");
    peer_say(&second, "HTTP/1.1 204 No Content\r\n\r\n");
    expect_status(&client, 204, "retry");
    peer_close(&client);
    peer_close(&second);
}

static void test_retry_of_what_was_not_sent(void **state)
{
    struct peer client, backend, second;
    rig_connect(&client);
    rig_warm_up(&client, &backend);
    /* The end of the old connection and the request come in one turn: the request first. */
    peer_say(&client, "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody");
    peer_close(&backend);
    rig_accept(&second);
    peer_expect(&second, "POST /x HTTP/1.1\r\n");
    peer_expect(&second, "\r\n\r\nbody");
    peer_say(&second, "HTTP/1.1 204 No Content\r\n\r\n");
    expect_status(&client, 204, "retry");
    peer_close(&client);
    peer_close(&second);
}

/* The backend announces that it closes soon: the connection is not used that long (Node.js: 5 s). */
static void test_keep_alive_hint(void **state)
{
    struct peer client, backend;
    rig_connect(&client);
    peer_say(&client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    rig_accept(&backend);
    peer_expect(&backend, "\r\n\r\n");
    peer_say(&backend, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nKeep-Alive: timeout=2\r\n\r\nok");
    peer_expect(&client, "\r\n\r\nok");
    assert_false(peer_heard(&client, "keep-alive"));
    peer_expect_nothing(&backend);
    assert_int_equal(agw_client_stats(rig.worker.client)->idle, 1);
    peer_sleep(&rig.worker.loop, 2100); /* the clean-up runs once a second */
    assert_int_equal(peer_expect_end(&backend), 1);
    assert_int_equal(agw_client_stats(rig.worker.client)->idle, 0);
    peer_close(&backend);
    peer_close(&client);
}

static void test_keep_alive_too_short(void **state)
{
    struct peer client, backend;
    rig_connect(&client);
    peer_say(&client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    rig_accept(&backend);
    peer_expect(&backend, "\r\n\r\n");
    peer_say(&backend, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nKeep-Alive: timeout=1\r\n\r\nok");
    peer_expect(&client, "\r\n\r\nok");
    assert_int_equal(peer_expect_end(&backend), 1);
    peer_close(&backend);
    peer_close(&client);
}

/* The timeout fires in each state of the exchange. */
static void test_timeout_before_the_head(void **state)
{
    struct peer client, backend;
    rig.route->request_timeout_ms = 50;
    rig_connect(&client);
    peer_say(&client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    rig_accept(&backend);
    expect_status(&client, 504, "timeout");
    peer_expect(&client, "request timeout\n");
    peer_expect_end(&backend);
    peer_close(&backend);
    rig_check_serves();
    peer_close(&client);
}

static void test_timeout_of_the_backend(void **state)
{
    struct peer client, backend;
    rig.route->backend_timeout_ms = 50;
    rig_connect(&client);
    peer_say(&client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    rig_accept(&backend);
    expect_status(&client, 504, "timeout");
    peer_expect(&client, "backend timeout\n");
    peer_close(&backend);
    peer_close(&client);
}

static void test_timeout_inside_the_answer(void **state)
{
    struct peer client, backend;
    rig.route->request_timeout_ms = 50;
    rig_connect(&client);
    peer_say(&client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    rig_accept(&backend);
    peer_expect(&backend, "\r\n\r\n");
    peer_say(&backend, HEAD("200 OK", "Content-Length: 9\r\n") "short");
    peer_expect(&client, "short");
    peer_expect_end(&client);
    peer_expect_end(&backend);
    peer_close(&client);
    peer_close(&backend);
    rig_check_serves();
}

static void test_timeout_inside_the_request(void **state)
{
    struct peer client, backend;
    rig.route->request_timeout_ms = 50;
    rig_connect(&client);
    peer_say(&client, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nshort");
    rig_accept(&backend);
    peer_expect(&backend, "short");
    expect_status(&client, 504, "timeout");
    peer_expect(&client, "request timeout\n");
    assert_int_equal(peer_expect_end(&client), 1);
    peer_close(&client);
    peer_close(&backend);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_set_up, rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_faults),
        TEST(test_nobody_listens),
        TEST(test_no_endpoint),
        TEST(test_interim_flood),
        TEST(test_header_bomb),
        TEST(test_retry),
        TEST(test_retry_of_what_was_not_sent),
        TEST(test_keep_alive_hint),
        TEST(test_keep_alive_too_short),
        TEST(test_timeout_before_the_head),
        TEST(test_timeout_of_the_backend),
        TEST(test_timeout_inside_the_answer),
        TEST(test_timeout_inside_the_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
