#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "net/listen.h"

#define MANY 100

static struct agw_loop loop;
static int accepted[MANY * 2];
static int count;
static int per_turn_max;
static struct agw_addr last_peer;
static bool stop_inside;

static void on_accept(struct agw_listen *l, int fd, const struct agw_addr *peer)
{
    assert_true(count < MANY * 2);
    accepted[count++] = fd;
    last_peer = *peer;
    if (stop_inside)
        agw_listen_stop(l);
}

static void close_all(void)
{
    for (int i = 0; i < count; i++)
        close(accepted[i]);
    count = 0;
}

static int setup(void **state)
{
    stop_inside = false;
    count = 0;
    agw_log_level(AGW_LOG_ERROR);
    return agw_loop_init(&loop, 0);
}

static int teardown(void **state)
{
    close_all();
    agw_loop_free(&loop);
    return 0;
}

static int listen_on(const char *text)
{
    struct agw_addr a;
    struct agw_error err = {0};
    assert_int_equal(agw_addr_parse(agw_str_c(text), &a, NULL), 0);
    int fd = agw_listen_socket(&a, &err);
    if (fd < 0)
        print_error("%s\n", err.text);
    assert_true(fd >= 0);
    return fd;
}

static int connect_to(const struct agw_addr *a)
{
    int fd = socket(a->u.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    connect(fd, &a->u.sa, a->n);
    return fd;
}

/* Turns until |n| are accepted or two seconds have passed. */
static void turn_until(int n)
{
    uint64_t end = agw_clock_ns() + 2 * AGW_NS_PER_S;
    while (count < n && agw_clock_ns() < end) {
        int before = count;
        agw_loop_turn(&loop, 20);
        if (count - before > per_turn_max)
            per_turn_max = count - before;
    }
    assert_int_equal(count, n);
}

static void test_accepts(void **state)
{
    struct agw_listen l;
    int clients[MANY], one = 0;
    socklen_t n = sizeof(one);

    assert_int_equal(agw_listen_start(&l, &loop, listen_on("127.0.0.1:0"), on_accept), 0);
    assert_int_not_equal(agw_addr_port(&l.addr), 0);
    for (int i = 0; i < MANY; i++)
        clients[i] = connect_to(&l.addr);
    per_turn_max = 0;
    turn_until(MANY);
    assert_true(per_turn_max <= 64);
    assert_true(agw_addr_is_loopback(&last_peer));
    assert_int_equal(last_peer.u.sa.sa_family, AF_INET);
    assert_true(fcntl(accepted[0], F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(accepted[0], F_GETFD) & FD_CLOEXEC);
    assert_int_equal(getsockopt(accepted[0], IPPROTO_TCP, TCP_NODELAY, &one, &n), 0);
    assert_int_not_equal(one, 0);
    for (int i = 0; i < MANY; i++)
        close(clients[i]);
    agw_listen_stop(&l);
    agw_listen_stop(&l);
    assert_int_equal(l.fd, -1);
}

/* Nobody who was in the queue when the port closed is reset. */
static void test_stop_drains(void **state)
{
    struct agw_listen l;
    int clients[MANY];
    char c;

    assert_int_equal(agw_listen_start(&l, &loop, listen_on("127.0.0.1:0"), on_accept), 0);
    for (int i = 0; i < MANY; i++)
        clients[i] = connect_to(&l.addr);
    agw_listen_stop(&l);
    assert_int_equal(count, MANY);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(write(accepted[i], "x", 1), 1);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(read(clients[i], &c, 1), 1);
        close(clients[i]);
    }
    int late = connect_to(&l.addr);
    assert_int_equal(write(late, "x", 1), -1);
    close(late);
}

static void test_stop_inside_callback(void **state)
{
    struct agw_listen l;

    stop_inside = true;
    assert_int_equal(agw_listen_start(&l, &loop, listen_on("127.0.0.1:0"), on_accept), 0);
    int a = connect_to(&l.addr), b = connect_to(&l.addr);
    turn_until(2);
    assert_int_equal(l.fd, -1);
    close(a);
    close(b);
}

/* Workers share a port. */
static void test_reuseport(void **state)
{
    struct agw_listen a, b;
    char text[AGW_ADDR_TEXT];

    assert_int_equal(agw_listen_start(&a, &loop, listen_on("127.0.0.1:0"), on_accept), 0);
    agw_addr_format(&a.addr, text);
    assert_int_equal(agw_listen_start(&b, &loop, listen_on(text), on_accept), 0);
    int clients[MANY];
    for (int i = 0; i < MANY; i++)
        clients[i] = connect_to(&a.addr);
    turn_until(MANY);
    for (int i = 0; i < MANY; i++)
        close(clients[i]);
    agw_listen_stop(&a);
    agw_listen_stop(&b);
}

static void test_dual_stack(void **state)
{
    struct agw_listen l;
    struct agw_addr to;

    assert_int_equal(agw_listen_start(&l, &loop, listen_on(":0"), on_accept), 0);
    assert_int_equal(agw_addr_ip(AGW_STR("127.0.0.1"), agw_addr_port(&l.addr), &to), 0);
    int fd = connect_to(&to);
    turn_until(1);
    assert_int_equal(last_peer.u.sa.sa_family, AF_INET); /* not ::ffff:127.0.0.1 */
    close(fd);
    agw_listen_stop(&l);
}

static void test_unix(void **state)
{
    struct agw_addr a;
    struct agw_error err;
    struct agw_listen l;
    char path[64];

    snprintf(path, sizeof(path), "/tmp/agw-listen-test-%d", (int)getpid());
    assert_int_equal(agw_addr_unix(agw_str_c(path), &a), 0);
    int fd = agw_listen_socket(&a, &err);
    assert_true(fd >= 0);
    assert_int_equal(agw_listen_socket(&a, &err), AGW_EIO);
    assert_int_equal(agw_listen_start(&l, &loop, fd, on_accept), 0);
    assert_true(agw_addr_eq(&l.addr, &a));
    int client = connect_to(&a);
    turn_until(1);
    close(client);
    agw_listen_stop(&l);
    unlink(path);
}

static void test_errors(void **state)
{
    struct agw_addr a;
    struct agw_error err = {0};

    assert_int_equal(agw_addr_parse(AGW_STR("203.0.113.7:80"), &a, NULL), 0); /* TEST-NET-3: not ours */
    assert_int_equal(agw_listen_socket(&a, &err), AGW_EIO);
    assert_non_null(strstr(err.text, "203.0.113.7:80"));
    assert_non_null(strstr(err.text, "assign"));

    struct agw_listen l;
    assert_int_not_equal(agw_listen_start(&l, &loop, open("/dev/null", O_RDONLY | O_CLOEXEC), on_accept), 0);
    assert_int_equal(l.fd, -1);
}

/* Out of fds: the listener rests instead of spinning, and goes on when there are fds again. */
static void test_out_of_fds(void **state)
{
    struct agw_listen l;
    struct rlimit old, low;

    assert_int_equal(agw_listen_start(&l, &loop, listen_on("127.0.0.1:0"), on_accept), 0);
    int client = connect_to(&l.addr);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    low = old;
    low.rlim_cur = (rlim_t)client + 1;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    agw_loop_turn(&loop, 50);
    assert_true(l.paused);
    int turns = 0;
    for (uint64_t end = agw_clock_ns() + 250 * AGW_NS_PER_MS; agw_clock_ns() < end; turns++)
        agw_loop_turn(&loop, 250);
    assert_true(turns < 40);
    assert_int_equal(count, 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    turn_until(1);
    assert_false(l.paused);
    close(client);
    agw_listen_stop(&l);
}

static void test_stop_while_paused(void **state)
{
    struct agw_listen l;
    struct rlimit old, low;

    assert_int_equal(agw_listen_start(&l, &loop, listen_on("127.0.0.1:0"), on_accept), 0);
    int client = connect_to(&l.addr);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    low = old;
    low.rlim_cur = (rlim_t)client + 1;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    agw_loop_turn(&loop, 50);
    assert_true(l.paused);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    agw_listen_stop(&l);
    assert_int_equal(count, 1);
    close(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_accepts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stop_drains, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stop_inside_callback, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reuseport, setup, teardown),
        cmocka_unit_test_setup_teardown(test_dual_stack, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unix, setup, teardown),
        cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_out_of_fds, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stop_while_paused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
