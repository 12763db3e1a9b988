/* Connections relayed by a whole worker, with scripted peers on both sides. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include "failmalloc.h"
#include "proxy/l4/l4_int.h"
#include "proxy/rig.h"

#define BIG (24u << 20) /* more than the socket buffers of loopback take */

static struct peer client, backend;
static struct agw_l4_limits limits;

static int set_up(void **state)
{
    client = backend = (struct peer){.fd = -1};
    int rc = rig_set_up(state);
    struct agw_bind *bind = (struct agw_bind *)rig.snap->binds[0];
    bind->protocol = AGW_BIND_TCP;
    ((struct agw_listener *)bind->listeners[0])->l4 = true;
    limits = agw_l4_default_limits;
    rig.worker.l4->limits = &limits;
    return rc;
}

static int tear_down(void **state)
{
    peer_close(&client);
    peer_close(&backend);
    peer_turns(&rig.worker.loop, 5);
    return rig_tear_down(state);
}

static void connect_both(void)
{
    rig_connect(&client);
    rig_accept(&backend);
}

static struct agw_l4_session *the_session(void)
{
    peer_turns(&rig.worker.loop, 3);
    assert_int_equal(rig.worker.conn_count, 1);
    struct agw_server_conn *c = agw_list_entry(rig.worker.conns.next, struct agw_server_conn, node);
    assert_string_equal(c->ops->name, "l4");
    return c->proto;
}

static void test_both_ways_and_the_end(void **state)
{
    connect_both();
    peer_say(&backend, "welcome");
    peer_expect(&client, "welcome");
    peer_say(&client, "question");
    peer_shut(&client);
    peer_expect(&backend, "question");
    assert_int_equal(peer_expect_end(&backend), 1);
    peer_say(&backend, "answer");
    peer_expect(&client, "answer");
    assert_int_equal(rig_conns(), 1);
    peer_close(&backend);
    assert_int_equal(peer_expect_end(&client), 1);
    assert_int_equal(rig_conns(), 0);
}

static void test_reset_goes_through(void **state)
{
    connect_both();
    peer_turns(&rig.worker.loop, 3);
    peer_reset(&client);
    assert_int_equal(peer_expect_end(&backend), ECONNRESET);
    assert_int_equal(rig_conns(), 0);
}

static char *bytes(size_t n)
{
    char *p = malloc(n);
    assert_non_null(p);
    for (size_t i = 0; i < n; i++)
        p[i] = (char)(i * 31 + (i >> 8) * 7);
    return p;
}

static void send_all(struct peer *from, struct peer *to, const char *p)
{
    for (size_t at = 0; at < BIG; at += 1 << 20) {
        peer_say_n(from, p + at, 1 << 20);
        peer_expect_n(to, at + (1 << 20));
    }
    assert_memory_equal(to->heard, p, BIG);
}

static void move_much(unsigned pipes)
{
    char *big = bytes(BIG);
    limits.pipes = pipes;
    rig.worker.l4->pipes.max = pipes;
    connect_both();
    send_all(&client, &backend, big);
    send_all(&backend, &client, big);
    const struct agw_l4_session *s = the_session();
    assert_null(s->in.pipe);
    assert_null(s->in.left);
    assert_int_equal(rig.worker.l4->pipes.open, pipes ? 1 : 0);
    assert_int_equal(s->in.bytes + s->out.bytes, 2ull * BIG);
    free(big);
}

static void test_bulk_through_pipes(void **state)
{
    move_much(8);
}

static void test_bulk_without_a_pipe(void **state)
{
    move_much(0);
}

/* Nobody reads: the writer is stopped, and what is held is one buffer. */
static void test_slow_reader(void **state)
{
    for (unsigned pipes = 0; pipes < 2; pipes++) {
        char *big = bytes(65536);
        rig.worker.l4->pipes.max = pipes;
        connect_both();
        const struct agw_l4_session *s = the_session();
        size_t sent = 0;
        for (int idle = 0; idle < 50;) {
            ssize_t n = send(client.fd, big, 65536, MSG_DONTWAIT | MSG_NOSIGNAL);
            idle = n > 0 ? 0 : idle + 1;
            sent += n > 0 ? (size_t)n : 0;
            agw_loop_turn(&rig.worker.loop, 1);
        }
        assert_true(sent < BIG);
        assert_true((s->in.left != NULL) != (s->in.pipe && s->in.pipe->n > 0));
        assert_true(s->in.n - s->in.at <= AGW_L4_BUFFER);
        peer_expect_n(&backend, sent);
        peer_forget(&backend);
        free(big);
        peer_close(&client);
        peer_expect_end(&backend);
        peer_close(&backend);
        peer_turns(&rig.worker.loop, 5);
        assert_int_equal(rig_conns(), 0);
    }
}

static void test_idle_and_drain(void **state)
{
    limits.idle_ms = 100;
    connect_both();
    peer_say(&client, "x");
    peer_expect(&backend, "x");
    assert_int_equal(peer_expect_end(&client), 1);
    assert_int_equal(peer_expect_end(&backend), 1);
    assert_int_equal(rig_conns(), 0);
    peer_close(&client);
    peer_close(&backend);

    limits = agw_l4_default_limits;
    limits.drain_idle_ms = 150;
    connect_both();
    peer_say(&client, "x");
    peer_expect(&backend, "x");
    rig_publish(false);
    agw_acceptors_sync(&rig.worker, rig.snap);
    for (int i = 0; i < 5; i++) { /* it talks: it stays */
        peer_sleep(&rig.worker.loop, 60);
        peer_say(&client, "y");
        peer_expect(&backend, "y");
    }
    assert_int_equal(peer_expect_end(&client), 1);
    assert_int_equal(rig_conns(), 0);
}

static void test_backend_that_is_not_there(void **state)
{
    limits.tries = 2;
    ((struct agw_endpoint *)rig.backend->endpoints[0])->addr.u.in4.sin_port = htons(1);
    rig_connect(&client);
    assert_int_equal(peer_expect_end(&client), ECONNRESET);
    peer_close(&client);
    rig.route->weight_total = 0;
    rig_connect(&client);
    assert_int_equal(peer_expect_end(&client), ECONNRESET);
    assert_int_equal(rig_conns(), 0);
}

/* Each allocation fails once, with the gateway's memory cold: bytes arrive, or the connection is closed. */
static void test_without_memory(void **state)
{
    char *big = bytes(200000);
    limits.tries = 1;
    for (unsigned pipes = 0; pipes < 2; pipes++) {
        rig.worker.l4->pipes.max = pipes;
        for (long at = 1;; at++) {
            bool closed = false;
            failmalloc_at(0);
            rig_connect(&client);
            failmalloc_at(at);
            size_t sent = 0;
            backend.fd = -1;
            for (int i = 0; i < 200 && !closed; i++) {
                ssize_t n = sent < 200000
                                ? send(client.fd, big + sent, 200000 - sent, MSG_DONTWAIT | MSG_NOSIGNAL)
                                : 0;
                sent += n > 0 ? (size_t)n : 0;
                agw_loop_turn(&rig.worker.loop, 0);
                closed = rig.worker.conn_count == 0 && i > 20;
            }
            bool reached = failmalloc_count() >= at;
            failmalloc_at(0);
            if (!closed) {
                rig_accept(&backend);
                peer_expect_n(&backend, sent);
                assert_memory_equal(backend.heard, big, sent);
            } else if (peer_waits(&rig.worker.loop, rig.listener)) {
                rig_accept(&backend);
            }
            peer_close(&client);
            peer_close(&backend);
            peer_turns(&rig.worker.loop, 5);
            assert_int_equal(rig_conns(), 0);
            if (!reached)
                break;
        }
    }
    free(big);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_both_ways_and_the_end),     TEST(test_reset_goes_through), TEST(test_bulk_through_pipes),
        TEST(test_bulk_without_a_pipe),       TEST(test_slow_reader),        TEST(test_idle_and_drain),
        TEST(test_backend_that_is_not_there), TEST(test_without_memory),
    };
    signal(SIGPIPE, SIG_IGN); /* as the gateway */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
