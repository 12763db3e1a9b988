#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "failmalloc.h"
#include "net/conn.h"
#include "net/pipe.h"

static void test_bounded_and_used_again(void **state)
{
    struct agw_pipe_pool pool;

    agw_pipe_pool_init(&pool, 2);
    struct agw_pipe *a = agw_pipe_get(&pool), *b = agw_pipe_get(&pool);
    assert_non_null(a);
    assert_non_null(b);
    assert_null(agw_pipe_get(&pool));
    int fd = a->in;
    agw_pipe_put(&pool, a);
    a = agw_pipe_get(&pool);
    assert_int_equal(a->in, fd);
    b->n = 1; /* it would give these bytes to somebody else */
    agw_pipe_put(&pool, b);
    assert_int_equal(pool.open, 1);
    assert_int_equal(pool.idle_count, 0);
    agw_pipe_put(&pool, a);
    agw_pipe_put(&pool, NULL);
    failmalloc_at(1);
    assert_non_null(agw_pipe_get(&pool)); /* an idle one */
    assert_null(agw_pipe_get(&pool));
    failmalloc_at(0);
    agw_pipe_put(&pool, a);
    agw_pipe_pool_free(&pool);
}

static void nothing(struct agw_conn *c) {}

static const struct agw_conn_events events = {nothing, NULL, nothing, nothing};

static void test_splice(void **state)
{
    struct agw_loop loop;
    struct agw_conn from, to;
    struct agw_addr none = {0};
    struct agw_pipe_pool pool;
    int in[2], out[2];
    char buf[100];

    assert_int_equal(agw_loop_init(&loop, 0), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, in), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, out), 0);
    assert_int_equal(agw_conn_accept(&from, &loop, in[0], &none, &events), 0);
    assert_int_equal(agw_conn_accept(&to, &loop, out[0], &none, &events), 0);
    agw_pipe_pool_init(&pool, 1);
    struct agw_pipe *p = agw_pipe_get(&pool);
    assert_true(agw_conn_is_plain(&from));
    assert_int_equal(agw_conn_splice_in(&from, p->in, 100), AGW_EAGAIN);
    assert_false(from.read_ready);
    assert_int_equal(send(in[1], "hello", 5, 0), 5);
    from.read_ready = true;
    assert_int_equal(agw_conn_splice_in(&from, p->in, 100), 5);
    assert_int_equal(agw_conn_splice_out(&to, p->out, 5), 5);
    assert_int_equal(recv(out[1], buf, sizeof(buf), 0), 5);
    assert_memory_equal(buf, "hello", 5);
    close(in[1]);
    from.hangup = true;
    assert_int_equal(agw_conn_splice_in(&from, p->in, 100), AGW_EEOF);
    assert_int_equal(write(p->in, "x", 1), 1);
    close(out[1]);
    assert_int_equal(agw_conn_splice_out(&to, p->out, 1), AGW_ERESET);
    p->n = 1;
    agw_pipe_put(&pool, p);
    agw_pipe_pool_free(&pool);
    agw_conn_close(&from, false);
    agw_conn_close(&to, false);
    agw_loop_free(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bounded_and_used_again),
                                       cmocka_unit_test(test_splice)};
    signal(SIGPIPE, SIG_IGN); /* as the gateway */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
