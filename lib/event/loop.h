/* Event loop: one a thread, edge-triggered epoll. It is also the thread's context: clock, block pool, rng.
 *
 * A turn: wait; read the clock; dispatch fd events; run expired timers; drain the mailbox; run deferred tasks
 * (until none is left, also those added meanwhile); call the turn hook (RCU quiescent state, flushes).
 * Ownership: the caller owns struct agw_watch, agw_timer and agw_task memory (intrusive) and removes them
 * before freeing it; that is allowed at any time, also inside callbacks for events of the same turn. Threads:
 * all calls on the loop's own thread, but agw_loop_stop and agw_loop_post, which any thread may call. */
#ifndef AGW_EVENT_LOOP_H
#define AGW_EVENT_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/list.h"
#include "base/rng.h"
#include "event/timer.h"

enum { AGW_READABLE = 1, AGW_WRITABLE = 2, AGW_HANGUP = 4 /* peer closed or error; comes with READABLE */ };

struct agw_watch {
    int fd; /* -1 when not watched */
    void (*on_event)(struct agw_watch *w, unsigned events);
};

struct agw_task {
    struct agw_list node; /* unlinked: not pending */
    void (*run)(struct agw_task *t);
};

/* A message to another thread's loop. The sender allocates, |run| owns it on the loop's thread. A loop that
 * ends before it ran it calls |drop| (NULL: nothing to do) in agw_loop_free instead. */
struct agw_post {
    struct agw_post *next;
    void (*run)(struct agw_post *p, void *loop_ctx);
    void (*drop)(struct agw_post *p);
};

struct agw_loop_impl;

struct agw_loop {
    uint64_t now_ns; /* monotonic, read once a turn */
    uint64_t now_ms;
    uint64_t wall_ns; /* of this turn */
    struct agw_block_pool blocks;
    struct agw_block
        *reading; /* the block that connections now read into (net/input.h); released by agw_loop_free */
    struct agw_rng rng;
    unsigned index; /* worker number, 0 for others */
    void *ctx;      /* the thread's own object, handed to posts */
    void (*before_wait)(
        struct agw_loop *loop); /* hooks, may be NULL: just before / after blocking in epoll */
    void (*after_wait)(struct agw_loop *loop);
    struct agw_timer_wheel timers;
    struct agw_loop_impl *impl;
};

/* AGW_ENOMEM or AGW_EIO (no fds). */
int agw_loop_init(struct agw_loop *loop, unsigned index);
/* All watches, timers and tasks must be gone. */
void agw_loop_free(struct agw_loop *loop);
/* Runs until agw_loop_stop. */
void agw_loop_run(struct agw_loop *loop);
/* One turn; waits at most |max_wait_ms| (-1: as long as needed). For tests. */
void agw_loop_turn(struct agw_loop *loop, int max_wait_ms);
void agw_loop_stop(struct agw_loop *loop);

/* Watches |fd| for both directions, edge-triggered, until agw_watch_remove. AGW_ENOMEM / AGW_EIO. */
int agw_watch_add(struct agw_loop *loop, struct agw_watch *w, int fd);
/* As above, level-triggered and for reading alone (listeners, eventfds). */
int agw_watch_add_level(struct agw_loop *loop, struct agw_watch *w, int fd);
void agw_watch_remove(struct agw_loop *loop, struct agw_watch *w); /* does not close the fd */

void agw_task_init(struct agw_task *t, void (*run)(struct agw_task *t));
/* Runs the task at the end of this turn; already pending is a no-op. */
void agw_loop_defer(struct agw_loop *loop, struct agw_task *t);
void agw_task_cancel(struct agw_task *t);

/* From any thread, until agw_loop_free: wakes the loop and runs |p| there. Lock-free. After agw_loop_stop a
 * post may never run. */
void agw_loop_post(struct agw_loop *loop, struct agw_post *p);

#endif
