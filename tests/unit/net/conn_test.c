#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>
#include "base/check.h"
#include "base/clock.h"
#include "net/conn.h"
#include "net/listen.h"

#define BULK (4u << 20)

/* One end: sends |to_send| bytes of a pattern and checks what it reads against the same pattern. */
struct end {
    struct agw_conn conn;
    int ready, failed, readable, writable;
    int code, read_code, write_code;
    char reason[256];
    size_t to_send, sent, received;
    bool stop_reading, close_on_read, shutdown_when_sent;
};

static struct agw_loop loop;
static struct agw_listen server;
static struct end client, accepted;

static unsigned char pattern(size_t at)
{
    return (unsigned char)(at * 31 + (at >> 8) * 7 + (at >> 16));
}

static void pump_out(struct end *e)
{
    unsigned char buf[3][5000];
    struct iovec iov[3];

    while (e->sent < e->to_send) {
        size_t at = e->sent;
        for (int i = 0; i < 3; i++) {
            size_t n = e->to_send - at < sizeof(buf[0]) ? e->to_send - at : sizeof(buf[0]);
            for (size_t k = 0; k < n; k++)
                buf[i][k] = pattern(at + k);
            iov[i] = (struct iovec){buf[i], n};
            at += n;
        }
        ssize_t n = agw_conn_writev(&e->conn, iov, 3);
        if (n < 0) {
            e->write_code = (int)n;
            return;
        }
        e->sent += (size_t)n;
    }
    if (e->shutdown_when_sent)
        agw_conn_shutdown(&e->conn);
}

static void pump_in(struct end *e)
{
    unsigned char buf[7000];

    while (!e->stop_reading) {
        ssize_t n = agw_conn_read(&e->conn, buf, sizeof(buf));
        if (n <= 0) {
            e->read_code = (int)n;
            return;
        }
        for (ssize_t i = 0; i < n; i++)
            if (buf[i] != pattern(e->received + (size_t)i))
                fail_msg("byte %zu differs", e->received + (size_t)i);
        e->received += (size_t)n;
    }
}

static void on_ready(struct agw_conn *c)
{
    struct end *e = c->user;
    e->ready++;
    pump_out(e);
}

static void on_failed(struct agw_conn *c, int code, const char *reason)
{
    struct end *e = c->user;
    e->failed++;
    e->code = code;
    snprintf(e->reason, sizeof(e->reason), "%s", reason);
    agw_conn_close(c, false);
}

static void on_readable(struct agw_conn *c)
{
    struct end *e = c->user;
    e->readable++;
    if (e->close_on_read)
        agw_conn_close(c, true);
    else
        pump_in(e);
}

static void on_writable(struct agw_conn *c)
{
    struct end *e = c->user;
    e->writable++;
    pump_out(e);
}

static const struct agw_conn_events events = {on_ready, on_failed, on_readable, on_writable};

static void on_accept(struct agw_listen *l, int fd, const struct agw_addr *peer)
{
    assert_int_equal(agw_conn_accept(&accepted.conn, &loop, fd, peer, &events), 0);
    accepted.conn.user = &accepted;
    agw_conn_start(&accepted.conn);
}

static int setup(void **state)
{
    struct agw_addr a;

    memset(&client, 0, sizeof(client));
    memset(&accepted, 0, sizeof(accepted));
    client.conn.watch.fd = accepted.conn.watch.fd = -1;
    client.conn.user = &client;
    accepted.conn.user = &accepted;
    if (agw_loop_init(&loop, 0) || agw_addr_parse(AGW_STR("127.0.0.1:0"), &a, NULL))
        return -1;
    return agw_listen_start(&server, &loop, agw_listen_socket(&a, NULL), on_accept);
}

static int teardown(void **state)
{
    agw_conn_close(&client.conn, false);
    agw_conn_close(&accepted.conn, false);
    agw_listen_stop(&server);
    agw_conn_close(&accepted.conn, false);
    agw_loop_free(&loop);
    return 0;
}

static void connect_client(void)
{
    struct agw_error err;
    assert_int_equal(agw_conn_connect(&client.conn, &loop, &server.addr, &events, &err), 0);
    agw_conn_start(&client.conn);
    assert_int_equal(client.ready, 0);
}

#define turn_until(condition)                                                                                \
    do {                                                                                                     \
        uint64_t end_ = agw_clock_ns() + 10 * AGW_NS_PER_S;                                                  \
        while (!(condition) && agw_clock_ns() < end_)                                                        \
            agw_loop_turn(&loop, 20);                                                                        \
        assert_true(condition);                                                                              \
    } while (0)

static void turns(int n)
{
    while (n-- > 0)
        agw_loop_turn(&loop, 5);
}

static void test_connect_and_exchange(void **state)
{
    client.to_send = 1000;
    accepted.to_send = 2000;
    connect_client();
    turn_until(client.received == 2000 && accepted.received == 1000);
    assert_int_equal(client.ready, 1);
    assert_int_equal(accepted.ready, 1);
    assert_int_equal(client.writable, 0); /* nobody was short of room, so nobody is told */
    assert_int_equal(accepted.writable, 0);
    assert_int_equal(client.read_code, AGW_EAGAIN);
    assert_true(agw_addr_eq(agw_conn_local(&client.conn), &accepted.conn.peer));
    assert_true(agw_addr_eq(agw_conn_local(&accepted.conn), &client.conn.peer));
    assert_ptr_equal(client.conn.user, &client);
}

/* A socket that is empty is not asked again before it has news. */
static void test_no_needless_calls(void **state)
{
    client.to_send = 100;
    connect_client();
    turn_until(accepted.received == 100);
    assert_false(accepted.conn.read_ready);
    int seen = accepted.readable;
    turns(3);
    assert_int_equal(accepted.readable, seen);
    client.to_send = 200;
    pump_out(&client);
    turn_until(accepted.received == 200);
}

/* Small enough that writes are short all the time; a small window would make loopback wait for its timers. */
static void small_buffer(struct end *e)
{
    int n = 16384;
    setsockopt(e->conn.watch.fd, SOL_SOCKET, SO_SNDBUF, &n, sizeof(n));
}

static void test_bulk_both_ways(void **state)
{
    connect_client();
    turn_until(client.ready && accepted.ready);
    small_buffer(&client);
    small_buffer(&accepted);
    client.to_send = accepted.to_send = BULK;
    pump_out(&client);
    assert_true(client.sent < BULK);
    assert_int_equal(client.write_code, AGW_EAGAIN);
    assert_false(client.conn.write_ready);
    pump_out(&accepted);
    turn_until(client.received == BULK && accepted.received == BULK);
    assert_true(client.writable > 0 && accepted.writable > 0);
}

static void test_refused(void **state)
{
    struct agw_error err;
    struct agw_addr gone = server.addr;
    char text[AGW_ADDR_TEXT];

    agw_listen_stop(&server);
    int rc = agw_conn_connect(&client.conn, &loop, &gone, &events, &err);
    if (rc == 0) {
        agw_conn_start(&client.conn);
        turn_until(client.failed);
        assert_int_equal(client.code, AGW_EREFUSED);
        agw_addr_format(&gone, text);
        assert_non_null(strstr(client.reason, text));
        assert_non_null(strstr(client.reason, "refused"));
    } else {
        assert_int_equal(rc, AGW_EREFUSED);
    }
    assert_int_equal(client.ready, 0);
    assert_false(agw_conn_is_open(&client.conn));
}

static void test_connect_fails_at_once(void **state)
{
    struct agw_addr a;
    struct agw_error err = {0};

    assert_int_equal(agw_addr_unix(AGW_STR("/nonexistent/agw.sock"), &a), 0);
    assert_int_equal(agw_conn_connect(&client.conn, &loop, &a, &events, &err), AGW_EIO);
    assert_non_null(strstr(err.text, "unix:/nonexistent/agw.sock"));
    assert_false(agw_conn_is_open(&client.conn));
    agw_conn_close(&client.conn, false);
    turns(2);
    assert_int_equal(client.ready + client.failed, 0);
}

/* A unix connect succeeds inside the call; the news still comes later. */
static void test_unix_is_deferred(void **state)
{
    struct agw_addr a;
    char path[64];

    snprintf(path, sizeof(path), "/tmp/agw-conn-test-%d", (int)getpid());
    assert_int_equal(agw_addr_unix(agw_str_c(path), &a), 0);
    agw_listen_stop(&server);
    assert_int_equal(agw_listen_start(&server, &loop, agw_listen_socket(&a, NULL), on_accept), 0);
    client.to_send = 10;
    connect_client();
    turn_until(client.ready && accepted.received == 10);
    unlink(path);
}

/* Our end is closed for writing; the peer still answers, and then ends, too. */
static void test_half_close(void **state)
{
    client.to_send = 3000;
    client.shutdown_when_sent = true;
    connect_client();
    turn_until(accepted.read_code == AGW_EEOF);
    assert_int_equal(accepted.received, 3000);
    accepted.to_send = 5000;
    accepted.shutdown_when_sent = true;
    pump_out(&accepted);
    turn_until(client.read_code == AGW_EEOF);
    assert_int_equal(client.received, 5000);
    char c;
    assert_int_equal(agw_conn_read(&client.conn, &c, 1), AGW_EEOF);
}

/* Bytes and FIN arrive as one event: short reads must not hide the end. */
static void test_end_behind_bytes(void **state)
{
    accepted.stop_reading = true;
    client.to_send = 20000;
    client.shutdown_when_sent = true;
    connect_client();
    turn_until(accepted.conn.hangup);
    turns(3);
    accepted.stop_reading = false;
    agw_conn_want_read(&accepted.conn);
    turn_until(accepted.read_code == AGW_EEOF);
    assert_int_equal(accepted.received, 20000);
}

static void test_want_read(void **state)
{
    accepted.stop_reading = true;
    client.to_send = 5000;
    connect_client();
    turn_until(client.sent == 5000 && accepted.readable > 0);
    turns(3);
    assert_int_equal(accepted.received, 0);
    accepted.stop_reading = false;
    int seen = accepted.readable;
    agw_conn_want_read(&accepted.conn);
    agw_conn_want_read(&accepted.conn);
    assert_int_equal(accepted.readable, seen);
    turn_until(accepted.received == 5000);
}

static void test_reset(void **state)
{
    connect_client();
    turn_until(client.ready && accepted.ready);
    agw_conn_close(&accepted.conn, true);
    turn_until(client.read_code == AGW_ERESET);
    char c = 'x';
    struct iovec iov = {&c, 1};
    assert_int_equal(agw_conn_writev(&client.conn, &iov, 1), AGW_ERESET);
    agw_conn_close(&client.conn, false);
    agw_conn_close(&client.conn, false);
}

static void test_blocked_writer_hears_of_reset(void **state)
{
    connect_client();
    turn_until(client.ready && accepted.ready);
    accepted.stop_reading = true;
    client.to_send = 64u << 20;
    pump_out(&client);
    turns(20);
    assert_int_equal(client.write_code, AGW_EAGAIN);
    agw_conn_close(&accepted.conn, true);
    turn_until(client.write_code == AGW_ERESET || client.read_code == AGW_ERESET);
}

/* --- connections whose memory goes away inside a callback (what ASan is for) --- */

static int freed;

static void free_it(struct agw_conn *c)
{
    agw_conn_close(c, false);
    free(c);
    freed++;
}

static void keep_it(struct agw_conn *c) {}

static void free_failed(struct agw_conn *c, int code, const char *reason)
{
    assert_true(strlen(reason) > 0);
    free_it(c);
}

static void free_in(const struct agw_conn_events *ev)
{
    struct agw_error err;
    struct agw_conn *c = calloc(1, sizeof(*c));

    freed = 0;
    accepted.to_send = 10;
    assert_non_null(c);
    assert_int_equal(agw_conn_connect(c, &loop, &server.addr, ev, &err), 0);
    agw_conn_start(c);
    turn_until(freed == 1);
    turns(3);
    assert_int_equal(freed, 1);
}

static void test_free_in_ready(void **state)
{
    static const struct agw_conn_events ev = {free_it, free_failed, keep_it, keep_it};
    free_in(&ev);
}

static void test_free_in_readable(void **state)
{
    static const struct agw_conn_events ev = {keep_it, free_failed, free_it, keep_it};
    free_in(&ev);
}

static void test_close_before_event(void **state)
{
    connect_client();
    agw_conn_close(&client.conn, false);
    turns(3);
    assert_int_equal(client.ready + client.failed, 0);
}

static void test_bad_fd(void **state)
{
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    struct agw_addr none = {0};

    assert_true(fd >= 0);
    assert_int_not_equal(agw_conn_accept(&client.conn, &loop, fd, &none, &events),
                         0); /* epoll refuses files */
    assert_false(agw_conn_is_open(&client.conn));
    assert_int_equal(fcntl(fd, F_GETFD), -1);
}

/* --- a filter of our own --- */

struct upper {
    struct agw_filter filter;
    int starts, start_code;
};

static int frees;

static int upper_start(struct agw_filter *f, struct agw_error *err)
{
    struct upper *u = (struct upper *)f;
    int rc = f->next->ops->start(f->next, err);
    if (rc)
        return rc;
    u->starts++;
    return u->start_code;
}

static ssize_t upper_read(struct agw_filter *f, void *buf, size_t n)
{
    return f->next->ops->read(f->next, buf, n);
}

static ssize_t upper_writev(struct agw_filter *f, const struct iovec *iov, int count)
{
    return f->next->ops->writev(f->next, iov, count);
}

static bool upper_buffered(const struct agw_filter *f)
{
    return false;
}

static void upper_shutdown(struct agw_filter *f)
{
    f->next->ops->shutdown(f->next);
}

static void upper_free(struct agw_filter *f)
{
    frees++;
    free(f);
}

static const struct agw_filter_ops upper_ops = {"upper",        upper_start,    upper_read, upper_writev,
                                                upper_buffered, upper_shutdown, upper_free};

static struct upper *push_upper(int start_code)
{
    struct upper *u = calloc(1, sizeof(*u));
    assert_non_null(u);
    u->filter.ops = &upper_ops;
    u->start_code = start_code;
    agw_conn_push(&client.conn, &u->filter);
    return u;
}

static void test_filters_chain(void **state)
{
    struct agw_error err;

    frees = 0;
    client.to_send = 100;
    assert_int_equal(agw_conn_connect(&client.conn, &loop, &server.addr, &events, &err), 0);
    struct upper *low = push_upper(0), *high = push_upper(0);
    assert_ptr_equal(client.conn.top, &high->filter);
    assert_ptr_equal(high->filter.next, &low->filter);
    assert_ptr_equal(low->filter.next, &client.conn.socket);
    agw_conn_start(&client.conn);
    turn_until(accepted.received == 100);
    assert_int_equal(low->starts, 1);
    agw_conn_close(&client.conn, false);
    assert_int_equal(frees, 2);
}

static void test_filter_fails(void **state)
{
    struct agw_error err;

    frees = 0;
    assert_int_equal(agw_conn_connect(&client.conn, &loop, &server.addr, &events, &err), 0);
    push_upper(AGW_EPROTO);
    agw_conn_start(&client.conn);
    turn_until(client.failed);
    assert_int_equal(client.code, AGW_EPROTO);
    assert_string_equal(client.reason, agw_err_text(AGW_EPROTO));
    turns(3);
    assert_int_equal(client.failed, 1);
    assert_int_equal(client.ready, 0);
    assert_int_equal(frees, 1);
}

/* Ten thousand idle connections are a few MiB: the struct is what each costs here. */
static void test_size(void **state)
{
    assert_true(sizeof(struct agw_conn) <= 384);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_connect_and_exchange),
        TEST(test_no_needless_calls),
        TEST(test_bulk_both_ways),
        TEST(test_refused),
        TEST(test_connect_fails_at_once),
        TEST(test_unix_is_deferred),
        TEST(test_half_close),
        TEST(test_end_behind_bytes),
        TEST(test_want_read),
        TEST(test_reset),
        TEST(test_blocked_writer_hears_of_reset),
        TEST(test_free_in_ready),
        TEST(test_free_in_readable),
        TEST(test_close_before_event),
        TEST(test_bad_fd),
        TEST(test_filters_chain),
        TEST(test_filter_fails),
        cmocka_unit_test(test_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
