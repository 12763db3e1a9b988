#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "failmalloc.h"
#include "net/input.h"

static struct agw_loop loop;
static struct agw_conn conn;
static struct agw_input in;
static int peer;

static void nothing(struct agw_conn *c) {}

static const struct agw_conn_events events = {nothing, NULL, nothing, nothing};

static int setup(void **state)
{
    int fds[2];
    struct agw_addr none = {0};

    if (agw_loop_init(&loop, 0) || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds))
        return -1;
    peer = fds[1];
    agw_input_init(&in);
    return agw_conn_accept(&conn, &loop, fds[0], &none, &events);
}

static int teardown(void **state)
{
    agw_input_free(&in);
    agw_conn_close(&conn, false);
    close(peer);
    agw_loop_free(&loop);
    return 0;
}

/* The peer sends; the connection learns of it as from an event. */
static void arrive(const void *p, size_t n)
{
    assert_int_equal(send(peer, p, n, 0), (ssize_t)n);
    conn.read_ready = true;
}

static struct agw_str rest(void)
{
    return agw_str((const char *)in.p, in.n);
}

static void test_message_leaves_nothing_behind(void **state)
{
    arrive("hello", 5);
    assert_int_equal(agw_input_fill(&in, &conn, 1000), 0);
    assert_true(agw_str_eq(rest(), AGW_STR("hello")));
    agw_input_take(&in, 5);
    assert_int_equal(agw_input_fill(&in, &conn, 1000), AGW_EAGAIN);
    assert_int_equal(agw_input_park(&in, &loop), 0);
    assert_null(in.block); /* an idle connection holds no memory */
}

static void test_parts_are_joined(void **state)
{
    arrive("GET / HT", 8);
    assert_int_equal(agw_input_fill(&in, &conn, 1000), 0);
    agw_input_take(&in, 4);
    assert_int_equal(agw_input_park(&in, &loop), 0);
    assert_true(in.own);
    memset(loop.reading->data, '#', 100); /* other connections read there now */
    arrive("TP/1.1\r\n", 8);
    assert_int_equal(agw_input_fill(&in, &conn, 1000), 0);
    assert_true(agw_str_eq(rest(), AGW_STR("/ HTTP/1.1\r\n")));
}

static void test_limit(void **state)
{
    static char bytes[40000];
    int rc = 0;

    for (size_t at = 0; at < sizeof(bytes); at++)
        bytes[at] = (char)(at % 251);
    arrive(bytes, sizeof(bytes));
    while (rc == 0)
        rc = agw_input_fill(&in, &conn, 30000);
    assert_int_equal(rc, AGW_ELIMIT);
    assert_true(in.n >= 30000 && in.n <= sizeof(bytes));
    assert_memory_equal(in.p, bytes, in.n);
}

/* Slices of the shared block outlive the input, and later reads do not write over them. */
static void test_slices_stay(void **state)
{
    arrive("first", 5);
    assert_int_equal(agw_input_fill(&in, &conn, 1000), 0);
    struct agw_block *held = agw_block_ref(in.block);
    const unsigned char *p = in.p;
    agw_input_take(&in, 5);
    assert_int_equal(agw_input_park(&in, &loop), 0);
    arrive("second", 6);
    assert_int_equal(agw_input_fill(&in, &conn, 1000), 0);
    assert_memory_equal(p, "first", 5);
    assert_true(agw_str_eq(rest(), AGW_STR("second")));
    agw_block_unref(held);
}

static void test_end_and_error(void **state)
{
    arrive("x", 1);
    shutdown(peer, SHUT_WR);
    conn.hangup = true;
    assert_int_equal(agw_input_fill(&in, &conn, 1000), 0);
    assert_int_equal(agw_input_fill(&in, &conn, 1000), AGW_EEOF);
    assert_true(agw_str_eq(rest(), AGW_STR("x")));
}

static void test_out_of_memory(void **state)
{
    arrive("abc", 3);
    failmalloc_at(1);
    assert_int_equal(agw_input_fill(&in, &conn, 1000), AGW_ENOMEM);
    failmalloc_at(0);
    assert_int_equal(agw_input_fill(&in, &conn, 1000), 0);
    failmalloc_at(1);
    assert_int_equal(agw_input_park(&in, &loop), AGW_ENOMEM);
    failmalloc_at(0);
    assert_true(agw_str_eq(rest(), AGW_STR("abc")));
    assert_int_equal(agw_input_park(&in, &loop), 0);
    assert_true(agw_str_eq(rest(), AGW_STR("abc")));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_message_leaves_nothing_behind),
        TEST(test_parts_are_joined),
        TEST(test_limit),
        TEST(test_slices_stay),
        TEST(test_end_and_error),
        TEST(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
