#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/check.h"
#include "net/output.h"

static struct agw_loop loop;
static struct agw_conn conn;
static struct agw_output out;
static int peer, flushes, last_code;

static void nothing(struct agw_conn *c) {}

static void on_writable(struct agw_conn *c)
{
    agw_output_kick(&out);
}

static const struct agw_conn_events events = {nothing, NULL, nothing, on_writable};

static void on_flush(struct agw_output *o, int code)
{
    flushes++;
    last_code = code;
}

static int setup(void **state)
{
    int fds[2];
    struct agw_addr none = {0};

    flushes = last_code = 0;
    if (agw_loop_init(&loop, 0) || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds))
        return -1;
    peer = fds[1];
    if (agw_conn_accept(&conn, &loop, fds[0], &none, &events))
        return -1;
    agw_output_init(&out, &conn, on_flush);
    return 0;
}

static int teardown(void **state)
{
    agw_output_free(&out);
    agw_conn_close(&conn, false);
    if (peer >= 0)
        close(peer);
    agw_loop_free(&loop);
    return 0;
}

static void start(void)
{
    agw_conn_start(&conn);
    agw_loop_turn(&loop, 0);
    assert_true(conn.ready);
}

/* Pieces added in one turn go out together at its end. */
static void test_one_flush_a_turn(void **state)
{
    char got[32];

    start();
    for (int i = 0; i < 3; i++) {
        assert_int_equal(agw_chain_add_static(&out.chain, "abc", 3), 0);
        agw_output_kick(&out);
    }
    assert_int_equal(recv(peer, got, sizeof(got), 0), -1);
    agw_loop_turn(&loop, 0);
    assert_int_equal(flushes, 1);
    assert_int_equal(out.sent, 9);
    assert_int_equal(recv(peer, got, sizeof(got), 0), 9);
    assert_memory_equal(got, "abcabcabc", 9);
}

static void test_waits_for_handshake(void **state)
{
    assert_int_equal(agw_chain_add_static(&out.chain, "abc", 3), 0);
    agw_output_kick(&out);
    agw_loop_turn(&loop, 0);
    assert_int_equal(out.sent, 0);
    assert_int_equal(flushes, 0);
}

/* More than the socket takes: the rest follows as the peer reads. */
static void test_short_writes(void **state)
{
    static char got[65536];
    size_t total = 200 * AGW_BLOCK_SIZE, received = 0;

    start();
    for (int i = 0; i < 200; i++) {
        struct agw_block *b = agw_block_get(&loop.blocks);
        assert_non_null(b);
        memset(b->data, i, AGW_BLOCK_SIZE);
        assert_int_equal(agw_chain_add(&out.chain, b, b->data, AGW_BLOCK_SIZE), 0);
        agw_block_unref(b);
    }
    assert_int_equal(agw_output_write(&out), AGW_EAGAIN);
    assert_int_equal(flushes, 0);
    for (int turn = 0; turn < 10000 && received < total; turn++) {
        ssize_t n = recv(peer, got, sizeof(got), 0);
        for (ssize_t i = 0; i < n; i++)
            if ((unsigned char)got[i] != (received + (size_t)i) / AGW_BLOCK_SIZE)
                fail_msg("byte %zu differs", received + (size_t)i);
        received += n > 0 ? (size_t)n : 0;
        agw_loop_turn(&loop, 1);
    }
    assert_int_equal(received, total);
    assert_int_equal(out.sent, total);
    assert_true(agw_chain_empty(&out.chain));
    assert_true(flushes > 1);
    assert_int_equal(last_code, 0);
}

static void test_error_is_told(void **state)
{
    start();
    close(peer);
    peer = -1;
    assert_int_equal(agw_chain_add_static(&out.chain, "abc", 3), 0);
    agw_output_kick(&out);
    agw_loop_turn(&loop, 0);
    assert_int_equal(flushes, 1);
    assert_int_equal(last_code, AGW_ERESET);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_one_flush_a_turn),
        TEST(test_waits_for_handshake),
        TEST(test_short_writes),
        TEST(test_error_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
