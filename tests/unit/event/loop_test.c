#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/err.h"
#include "event/loop.h"

static struct agw_loop loop;

static int setup(void **state)
{
    return agw_loop_init(&loop, 3);
}

static int teardown(void **state)
{
    agw_loop_free(&loop);
    return 0;
}

struct probe {
    struct agw_watch watch;
    struct agw_task task;
    struct agw_timer timer;
    struct probe *remove; /* the other's watch goes in our event */
    unsigned events;
    int calls;
    int peer;
};

static void on_event(struct agw_watch *w, unsigned events)
{
    struct probe *p = agw_container_of(w, struct probe, watch);
    p->events |= events;
    p->calls++;
    if (p->remove)
        agw_watch_remove(&loop, &p->remove->watch);
}

static void pair(struct probe *p)
{
    int fds[2];
    *p = (struct probe){0};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    p->peer = fds[1];
    p->watch = (struct agw_watch){.fd = -1, .on_event = on_event};
    assert_int_equal(agw_watch_add(&loop, &p->watch, fds[0]), 0);
    assert_int_equal(p->watch.fd, fds[0]);
}

static void unpair(struct probe *p, int fd)
{
    agw_watch_remove(&loop, &p->watch);
    assert_int_equal(p->watch.fd, -1);
    agw_watch_remove(&loop, &p->watch); /* once more is harmless */
    close(fd);
    if (p->peer >= 0)
        close(p->peer);
}

static void test_starts_with_a_clock_and_an_index(void **state)
{
    assert_int_equal(loop.index, 3);
    assert_true(loop.now_ns > 0 && loop.now_ms == loop.now_ns / AGW_NS_PER_MS);
    uint64_t before = loop.now_ns;
    usleep(2000);
    agw_loop_turn(&loop, 0);
    assert_true(loop.now_ns >= before + 2000000);
    assert_true(loop.wall_ns > 1700000000ull * AGW_NS_PER_S);
}

static void test_edges(void **state)
{
    struct probe p;
    pair(&p);
    int fd = p.watch.fd;
    agw_loop_turn(&loop, 0);
    assert_int_equal(p.events, AGW_WRITABLE);
    agw_loop_turn(&loop, 0);
    assert_int_equal(p.calls, 1); /* edge-triggered: no news, no event */
    p.events = 0;
    assert_int_equal(write(p.peer, "x", 1), 1);
    agw_loop_turn(&loop, 1000);
    assert_int_equal(p.events & (AGW_READABLE | AGW_HANGUP), AGW_READABLE);
    close(p.peer);
    p.peer = -1;
    agw_loop_turn(&loop, 1000);
    assert_int_equal(p.events & AGW_HANGUP, AGW_HANGUP);
    unpair(&p, fd);
}

static void test_hangup_comes_with_readable(void **state)
{
    struct probe p;
    pair(&p);
    int fd = p.watch.fd;
    agw_loop_turn(&loop, 0);
    p.events = 0;
    shutdown(p.peer, SHUT_WR);
    agw_loop_turn(&loop, 1000);
    assert_int_equal(p.events & (AGW_READABLE | AGW_HANGUP), AGW_READABLE | AGW_HANGUP);
    unpair(&p, fd);
}

static void test_level(void **state)
{
    struct probe p = {.watch = {.fd = -1, .on_event = on_event}};
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(agw_watch_add_level(&loop, &p.watch, fds[0]), 0);
    agw_loop_turn(&loop, 0);
    assert_int_equal(p.calls, 0);
    assert_int_equal(write(fds[1], "x", 1), 1);
    agw_loop_turn(&loop, 0);
    agw_loop_turn(&loop, 0);
    assert_int_equal(p.calls, 2);
    agw_watch_remove(&loop, &p.watch);
    agw_loop_turn(&loop, 0);
    assert_int_equal(p.calls, 2);
    close(fds[0]);
    close(fds[1]);
}

static void test_bad_fd(void **state)
{
    struct agw_watch w = {.fd = -1, .on_event = on_event};
    assert_int_equal(agw_watch_add(&loop, &w, 99999), AGW_EIO);
    assert_int_equal(w.fd, -1);
}

static void test_removed_in_the_same_turn_gets_no_event(void **state)
{
    struct probe p[2];
    pair(&p[0]);
    pair(&p[1]);
    int fds[2] = {p[0].watch.fd, p[1].watch.fd};
    p[0].remove = &p[1];
    p[1].remove = &p[0];
    agw_loop_turn(&loop, 0); /* both are writable: whoever comes first removes the other */
    assert_int_equal(p[0].calls + p[1].calls, 1);
    unpair(&p[0], fds[0]);
    unpair(&p[1], fds[1]);
}

static struct probe *reborn;

static void on_event_rebirth(struct agw_watch *w, unsigned events)
{
    struct probe *other = agw_container_of(w, struct probe, watch)->remove;
    if (!other || other->watch.fd < 0 || reborn)
        return;
    int fd = other->watch.fd, fds[2];
    agw_watch_remove(&loop, &other->watch);
    close(fd);
    close(other->peer);
    assert_int_equal(pipe(fds), 0); /* most likely the same number again */
    other->peer = fds[1];
    other->calls = 0;
    other->watch.on_event = on_event;
    assert_int_equal(agw_watch_add(&loop, &other->watch, fds[0]), 0);
    reborn = other;
}

static void test_reused_memory_gets_no_old_event(void **state)
{
    struct probe p[2];
    reborn = NULL;
    pair(&p[0]);
    pair(&p[1]);
    p[0].remove = &p[1];
    p[1].remove = &p[0];
    p[0].watch.on_event = p[1].watch.on_event = on_event_rebirth;
    agw_loop_turn(&loop, 0);
    assert_non_null(reborn);
    assert_int_equal(reborn->calls, 0);
    unpair(&p[0], p[0].watch.fd);
    unpair(&p[1], p[1].watch.fd);
}

static int order[8], ordered;

static void on_task(struct agw_task *t)
{
    struct probe *p = agw_container_of(t, struct probe, task);
    order[ordered++ & 7] = p->peer;
    if (p->remove)
        agw_loop_defer(&loop, &p->remove->task);
    p->calls++;
}

static void test_tasks_run_in_the_turn_they_are_deferred_in(void **state)
{
    struct probe p[3] = {{.peer = 0}, {.peer = 1}, {.peer = 2}};
    ordered = 0;
    for (int i = 0; i < 3; i++)
        agw_task_init(&p[i].task, on_task);
    p[0].remove = &p[2];
    agw_loop_defer(&loop, &p[0].task);
    agw_loop_defer(&loop, &p[1].task);
    agw_loop_defer(&loop, &p[0].task); /* pending already */
    agw_loop_turn(&loop, -1);          /* does not block: there is work */
    assert_int_equal(ordered, 3);
    assert_true(order[0] == 0 && order[1] == 1 && order[2] == 2);
    agw_loop_defer(&loop, &p[1].task);
    agw_task_cancel(&p[1].task);
    agw_task_cancel(&p[1].task);
    agw_loop_turn(&loop, 0);
    assert_int_equal(ordered, 3);
}

static void test_a_task_that_defers_itself_does_not_stop_the_turn(void **state)
{
    struct probe p = {.remove = &p};
    agw_task_init(&p.task, on_task);
    agw_loop_defer(&loop, &p.task);
    agw_loop_turn(&loop, -1);
    assert_true(p.calls > 1 && p.calls < 1000);
    int calls = p.calls;
    agw_loop_turn(&loop, -1); /* still pending: does not block */
    assert_true(p.calls > calls);
    agw_task_cancel(&p.task);
}

static void on_timer(struct agw_timer *t)
{
    agw_container_of(t, struct probe, timer)->calls++;
}

static void on_timer_stop(struct agw_timer *t)
{
    on_timer(t);
    agw_loop_stop(&loop);
}

static void test_timers_wake_the_loop(void **state)
{
    struct probe p = {0}, q = {0};
    uint64_t start = agw_clock_ns();
    agw_timer_init(&p.timer, on_timer);
    agw_timer_init(&q.timer, on_timer_stop);
    agw_timer_set(&loop.timers, &p.timer, loop.now_ms + 10);
    agw_timer_set(&loop.timers, &q.timer, loop.now_ms + 30);
    agw_loop_run(&loop);
    assert_int_equal(p.calls, 1);
    assert_int_equal(q.calls, 1);
    uint64_t took = (agw_clock_ns() - start) / AGW_NS_PER_MS;
    assert_true(took >= 28 && took < 2000);
}

static int before, after;

static void count_before(struct agw_loop *l)
{
    assert_ptr_equal(l, &loop);
    assert_int_equal(before, after);
    before++;
}

static void count_after(struct agw_loop *l)
{
    after++;
    assert_int_equal(before, after);
}

static void test_hooks_surround_every_wait(void **state)
{
    before = after = 0;
    loop.before_wait = count_before;
    loop.after_wait = count_after;
    for (int i = 0; i < 5; i++)
        agw_loop_turn(&loop, i & 1);
    assert_int_equal(before, 5);
    assert_int_equal(after, 5);
    loop.before_wait = loop.after_wait = NULL;
}

static struct agw_task late_task;

static void defer_late(struct agw_loop *l)
{
    if (before++ == 0)
        agw_loop_defer(l, &late_task);
}

static void on_late(struct agw_task *t)
{
    agw_loop_stop(&loop);
}

static void test_work_from_the_hook_is_not_slept_over(void **state)
{
    before = 0;
    agw_task_init(&late_task, on_late);
    loop.before_wait = defer_late;
    agw_loop_run(&loop);
    assert_int_equal(before, 1);
    loop.before_wait = NULL;
}

static void test_stop_before_run_counts(void **state)
{
    agw_loop_stop(&loop);
    agw_loop_run(&loop);
}

static void test_out_of_fds(void **state)
{
    struct agw_loop l;
    struct rlimit old, low;
    int fds[256], n = 0;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    low = (struct rlimit){64, old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    while (n < 256 && (fds[n] = dup(0)) >= 0)
        n++;
    assert_in_range(n, 1, 64);
    assert_int_equal(agw_loop_init(&l, 0), AGW_EIO); /* no epoll */
    close(fds[--n]);
    assert_int_equal(agw_loop_init(&l, 0), AGW_EIO); /* no eventfd */
    agw_loop_free(&l);
    while (n)
        close(fds[--n]);
    setrlimit(RLIMIT_NOFILE, &old);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_starts_with_a_clock_and_an_index, setup, teardown),
        cmocka_unit_test_setup_teardown(test_edges, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hangup_comes_with_readable, setup, teardown),
        cmocka_unit_test_setup_teardown(test_level, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_fd, setup, teardown),
        cmocka_unit_test_setup_teardown(test_removed_in_the_same_turn_gets_no_event, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reused_memory_gets_no_old_event, setup, teardown),
        cmocka_unit_test_setup_teardown(test_tasks_run_in_the_turn_they_are_deferred_in, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_task_that_defers_itself_does_not_stop_the_turn, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_timers_wake_the_loop, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hooks_surround_every_wait, setup, teardown),
        cmocka_unit_test_setup_teardown(test_work_from_the_hook_is_not_slept_over, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stop_before_run_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_out_of_fds, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
