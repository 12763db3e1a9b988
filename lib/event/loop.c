#include "event/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/err.h"
#include "event/loop_int.h"

#define BLOCKS_KEPT 512 /* 8 MiB of idle buffers a worker */
#define TASK_ROUNDS_MAX                                                                                      \
    64 /* a task that always defers another must not keep fds and timers waiting for ever */

static void read_clocks(struct agw_loop *loop)
{
    loop->now_ns = agw_clock_ns();
    loop->now_ms = loop->now_ns / AGW_NS_PER_MS;
    loop->wall_ns = agw_clock_wall_ns();
}

int agw_loop_init(struct agw_loop *loop, unsigned index)
{
    struct agw_loop_impl *impl = aligned_alloc(AGW_CACHE_LINE, sizeof(*impl));
    int r = AGW_EIO;
    uint64_t seed;
    if (!impl)
        return AGW_ENOMEM;
    memset(impl, 0, sizeof(*impl));
    *loop = (struct agw_loop){.index = index, .impl = impl};
    agw_list_init(&impl->tasks);
    impl->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (impl->epoll_fd < 0)
        goto out;
    if ((r = agw_mailbox_open(loop)))
        goto out;
    agw_random(&seed, sizeof(seed));
    agw_rng_init(&loop->rng, seed);
    agw_block_pool_init(&loop->blocks, BLOCKS_KEPT);
    read_clocks(loop);
    agw_timer_wheel_init(&loop->timers, loop->now_ms);
    return 0;
out:
    if (impl->epoll_fd >= 0)
        close(impl->epoll_fd);
    free(impl);
    loop->impl = NULL;
    return r;
}

void agw_loop_free(struct agw_loop *loop)
{
    struct agw_loop_impl *impl = loop->impl;
    if (!impl)
        return;
    agw_check(agw_list_empty(&impl->tasks));
    agw_check(agw_timer_wheel_wait(&loop->timers, loop->now_ms) < 0);
    agw_mailbox_close(loop);
    close(impl->epoll_fd);
    agw_block_unref(loop->reading);
    loop->reading = NULL;
    agw_block_pool_free(&loop->blocks);
    free(impl);
    loop->impl = NULL;
}

static int add(struct agw_loop *loop, struct agw_watch *w, int fd, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.ptr = w};
    if (epoll_ctl(loop->impl->epoll_fd, EPOLL_CTL_ADD, fd, &e) < 0)
        return errno == ENOMEM || errno == ENOSPC ? AGW_ENOMEM : AGW_EIO;
    w->fd = fd;
    return 0;
}

int agw_watch_add(struct agw_loop *loop, struct agw_watch *w, int fd)
{
    return add(loop, w, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
}

int agw_watch_add_level(struct agw_loop *loop, struct agw_watch *w, int fd)
{
    return add(loop, w, fd, EPOLLIN);
}

void agw_watch_remove(struct agw_loop *loop, struct agw_watch *w)
{
    struct agw_loop_impl *impl = loop->impl;
    if (w->fd < 0)
        return;
    epoll_ctl(impl->epoll_fd, EPOLL_CTL_DEL, w->fd, NULL);
    w->fd = -1;
    /* An fd has one event a turn: if it is still to come, nobody may see it. */
    for (int i = impl->done; i < impl->ready; i++) {
        if (impl->events[i].data.ptr == w) {
            impl->events[i].data.ptr = NULL;
            break;
        }
    }
}

static unsigned events_of(uint32_t e)
{
    unsigned events = (e & EPOLLIN ? AGW_READABLE : 0) | (e & EPOLLOUT ? AGW_WRITABLE : 0);
    return e & (EPOLLRDHUP | EPOLLHUP | EPOLLERR) ? events | AGW_READABLE | AGW_HANGUP : events;
}

static void dispatch(struct agw_loop_impl *impl)
{
    while (impl->done < impl->ready) {
        struct epoll_event *e = &impl->events[impl->done++];
        struct agw_watch *w = e->data.ptr;
        if (w)
            w->on_event(w, events_of(e->events));
    }
    impl->ready = impl->done = 0;
}

void agw_task_init(struct agw_task *t, void (*run)(struct agw_task *t))
{
    agw_list_init(&t->node);
    t->run = run;
}

void agw_loop_defer(struct agw_loop *loop, struct agw_task *t)
{
    if (agw_list_empty(&t->node))
        agw_list_push(&loop->impl->tasks, &t->node);
}

void agw_task_cancel(struct agw_task *t)
{
    agw_list_remove(&t->node);
}

static void run_tasks(struct agw_loop_impl *impl)
{
    for (int round = 0; round < TASK_ROUNDS_MAX && !agw_list_empty(&impl->tasks); round++) {
        struct agw_list batch, *node;
        agw_list_move(&batch, &impl->tasks);
        while ((node = agw_list_pop(&batch))) {
            struct agw_task *t = agw_list_entry(node, struct agw_task, node);
            t->run(t);
        }
    }
}

static int wait_ms(struct agw_loop *loop, int max_wait_ms)
{
    struct agw_loop_impl *impl = loop->impl;
    if (!agw_list_empty(&impl->tasks) || agw_mailbox_has_mail(&impl->mailbox))
        return 0;
    int ms = agw_timer_wheel_wait(&loop->timers, loop->now_ms);
    return ms < 0 || (max_wait_ms >= 0 && max_wait_ms < ms) ? max_wait_ms : ms;
}

static void wait_for_events(struct agw_loop *loop, int max_wait_ms)
{
    struct agw_loop_impl *impl = loop->impl;
    if (loop->before_wait)
        loop->before_wait(loop);
    int ms = wait_ms(loop, max_wait_ms); /* after the hook, which may have given the loop work */
    if (ms != 0 && !agw_mailbox_sleep(&impl->mailbox))
        ms = 0;
    int n = epoll_wait(impl->epoll_fd, impl->events, AGW_LOOP_EVENTS, ms);
    if (ms != 0)
        agw_mailbox_awake(&impl->mailbox);
    agw_check(n >= 0 || errno == EINTR);
    impl->ready = n > 0 ? n : 0;
    impl->done = 0;
    if (loop->after_wait)
        loop->after_wait(loop);
}

void agw_loop_turn(struct agw_loop *loop, int max_wait_ms)
{
    wait_for_events(loop, max_wait_ms);
    read_clocks(loop);
    dispatch(loop->impl);
    agw_timer_wheel_advance(&loop->timers, loop->now_ms);
    agw_mailbox_drain(loop);
    run_tasks(loop->impl);
}

void agw_loop_run(struct agw_loop *loop)
{
    atomic_bool *stop = &loop->impl->mailbox.stop;
    while (!atomic_load_explicit(stop, memory_order_acquire))
        agw_loop_turn(loop, -1);
    atomic_store(stop, false);
}
