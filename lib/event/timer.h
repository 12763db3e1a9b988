/* Hierarchical timer wheel, 1 ms ticks: add and cancel in constant time, pure (the clock is an argument).
 * Ownership: timers are the caller's memory. Threads: one. A timer fires once, never early. */
#ifndef AGW_EVENT_TIMER_H
#define AGW_EVENT_TIMER_H

#include <stdbool.h>
#include <stdint.h>
#include "base/list.h"

#define AGW_TIMER_LEVELS 5
#define AGW_TIMER_SLOTS 64 /* 64^5 ms = 12 days; later deadlines are clamped and re-armed */

struct agw_timer {
    struct agw_list node; /* unlinked: not armed */
    uint64_t due_ms;
    void (*fire)(struct agw_timer *t);
};

struct agw_timer_wheel {
    uint64_t now_ms;                    /* all timers due at or before it have fired */
    uint64_t pending[AGW_TIMER_LEVELS]; /* one bit a slot that holds timers */
    struct agw_list slots[AGW_TIMER_LEVELS][AGW_TIMER_SLOTS];
};

void agw_timer_wheel_init(struct agw_timer_wheel *w, uint64_t now_ms);
void agw_timer_init(struct agw_timer *t, void (*fire)(struct agw_timer *t));
/* (Re)arms for |due_ms|; a time that has passed fires at the next advance. */
void agw_timer_set(struct agw_timer_wheel *w, struct agw_timer *t, uint64_t due_ms);
void agw_timer_cancel(struct agw_timer_wheel *w, struct agw_timer *t); /* fine when not armed */
static inline bool agw_timer_armed(const struct agw_timer *t)
{
    return !agw_list_empty(&t->node);
}
/* Fires all that are due at |now_ms|; callbacks may add and cancel. */
void agw_timer_wheel_advance(struct agw_timer_wheel *w, uint64_t now_ms);
/* Milliseconds until the wheel next needs an advance; -1 when it is empty. May be earlier than the next
 * timer. */
int agw_timer_wheel_wait(const struct agw_timer_wheel *w, uint64_t now_ms);

#endif
