#include "event/loop_int.h"

#include <sys/eventfd.h>
#include <unistd.h>
#include "base/err.h"

static void on_wake(struct agw_watch *w, unsigned events)
{
    uint64_t count;
    ssize_t r = read(w->fd, &count, sizeof(count));
    (void)r; /* the mail itself is drained once a turn */
}

int agw_mailbox_open(struct agw_loop *loop)
{
    struct agw_mailbox *m = &loop->impl->mailbox;
    m->wake = (struct agw_watch){.fd = -1, .on_event = on_wake};
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (fd < 0)
        return AGW_EIO;
    int r = agw_watch_add_level(loop, &m->wake, fd);
    if (r)
        close(fd);
    return r;
}

static void drop_mail(struct agw_mailbox *m)
{
    struct agw_post *p = atomic_exchange_explicit(&m->head, NULL, memory_order_acquire);
    while (p) {
        struct agw_post *next = p->next;
        if (p->drop)
            p->drop(p);
        p = next;
    }
}

void agw_mailbox_close(struct agw_loop *loop)
{
    struct agw_watch *wake = &loop->impl->mailbox.wake;
    int fd = wake->fd;
    drop_mail(&loop->impl->mailbox);
    agw_watch_remove(loop, wake);
    close(fd);
}

/* Sequentially consistent order on |asleep| against |head| and |stop|: either the loop sees the news, or the
 * sender sees that the loop sleeps. */
bool agw_mailbox_sleep(struct agw_mailbox *m)
{
    atomic_store(&m->asleep, true);
    if (!atomic_load(&m->head) && !atomic_load(&m->stop))
        return true;
    agw_mailbox_awake(m);
    return false;
}

/* Of many senders, the first that finds the loop asleep pays for the system call. */
static void wake_up(struct agw_mailbox *m)
{
    uint64_t one = 1;
    if (!atomic_load(&m->asleep) || !atomic_exchange(&m->asleep, false))
        return;
    ssize_t r = write(m->wake.fd, &one, sizeof(one));
    (void)r; /* fails only when the counter is full: then it is readable anyway */
}

void agw_loop_post(struct agw_loop *loop, struct agw_post *p)
{
    struct agw_mailbox *m = &loop->impl->mailbox;
    p->next = atomic_load_explicit(&m->head, memory_order_relaxed);
    while (!atomic_compare_exchange_weak(&m->head, &p->next, p)) {
    }
    wake_up(m);
}

void agw_loop_stop(struct agw_loop *loop)
{
    atomic_store(&loop->impl->mailbox.stop, true);
    wake_up(&loop->impl->mailbox);
}

void agw_mailbox_drain(struct agw_loop *loop)
{
    struct agw_mailbox *m = &loop->impl->mailbox;
    if (!agw_mailbox_has_mail(m))
        return;
    struct agw_post *p = atomic_exchange_explicit(&m->head, NULL, memory_order_acquire), *oldest = NULL;
    while (p) {
        struct agw_post *next = p->next;
        p->next = oldest;
        oldest = p;
        p = next;
    }
    while (oldest) {
        p = oldest;
        oldest = p->next;
        p->run(p, loop->ctx);
    }
}
