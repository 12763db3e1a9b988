/* Inside of the loop, shared by loop.c and mailbox.c. */
#ifndef AGW_EVENT_LOOP_INT_H
#define AGW_EVENT_LOOP_INT_H

#include <stdatomic.h>
#include <sys/epoll.h>
#include "base/check.h"
#include "event/loop.h"

#define AGW_LOOP_EVENTS                                                                                      \
    256 /* events per epoll_wait: a turn stays short, and one call serves a busy worker                      \
         */

/* Posts from other threads, newest first. |asleep|: the loop is or may soon be in epoll_wait, and needs the
 * eventfd. */
struct agw_mailbox {
    _Alignas(AGW_CACHE_LINE) _Atomic(struct agw_post *) head;
    atomic_bool asleep;
    atomic_bool stop;
    _Alignas(AGW_CACHE_LINE) struct agw_watch wake;
};

struct agw_loop_impl {
    struct agw_mailbox mailbox;
    int epoll_fd;
    int ready, done; /* events of this turn: how many, how many have been dispatched */
    struct agw_list tasks;
    struct epoll_event events[AGW_LOOP_EVENTS];
};

/* Opens the eventfd and watches it; AGW_EIO. */
int agw_mailbox_open(struct agw_loop *loop);
void agw_mailbox_close(struct agw_loop *loop);
/* Says that the loop is about to wait; false if there is mail or a stop to see to first. */
bool agw_mailbox_sleep(struct agw_mailbox *m);
static inline void agw_mailbox_awake(struct agw_mailbox *m)
{
    atomic_store_explicit(&m->asleep, false, memory_order_relaxed);
}
static inline bool agw_mailbox_has_mail(struct agw_mailbox *m)
{
    return atomic_load_explicit(&m->head, memory_order_relaxed) != NULL;
}
/* Runs what has arrived, oldest first. */
void agw_mailbox_drain(struct agw_loop *loop);

#endif
