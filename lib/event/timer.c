#include "event/timer.h"

#include <limits.h>

/* A timer stands at the level of the highest group of 6 bits in which its due time differs from now, in the
 * slot of that group's value; when the wheel reaches the slot's first millisecond, its timers move to lower
 * levels. The top level is circular. The level-0 slot of now itself holds timers that were overdue when they
 * were set. */

#define BITS 6
#define SLOT_MASK (AGW_TIMER_SLOTS - 1)
#define TOP (AGW_TIMER_LEVELS - 1)
#define TOP_SHIFT (BITS * TOP)

void agw_timer_wheel_init(struct agw_timer_wheel *w, uint64_t now_ms)
{
    w->now_ms = now_ms;
    for (int level = 0; level < AGW_TIMER_LEVELS; level++) {
        w->pending[level] = 0;
        for (int i = 0; i < AGW_TIMER_SLOTS; i++)
            agw_list_init(&w->slots[level][i]);
    }
}

void agw_timer_init(struct agw_timer *t, void (*fire)(struct agw_timer *t))
{
    agw_list_init(&t->node);
    t->due_ms = 0;
    t->fire = fire;
}

static void place(struct agw_timer_wheel *w, struct agw_timer *t)
{
    uint64_t now = w->now_ms, due = t->due_ms > now ? t->due_ms : now;
    unsigned level = due == now ? 0 : (63 - (unsigned)__builtin_clzll(due ^ now)) / BITS;
    unsigned slot;
    if (level < TOP) {
        slot = due >> (BITS * level) & SLOT_MASK;
    } else {
        uint64_t distance = (due >> TOP_SHIFT) - (now >> TOP_SHIFT);
        if (distance > SLOT_MASK)
            distance = SLOT_MASK; /* too far: is placed again when the wheel gets there */
        level = TOP;
        slot = ((now >> TOP_SHIFT) + distance) & SLOT_MASK;
    }
    agw_list_push(&w->slots[level][slot], &t->node);
    w->pending[level] |= 1ull << slot;
}

void agw_timer_cancel(struct agw_timer_wheel *w, struct agw_timer *t)
{
    struct agw_list *head = t->node.prev;
    bool alone = head == t->node.next;
    agw_list_remove(&t->node);
    /* |head| is a slot unless the timer was not armed or is about to fire. */
    size_t index = ((uintptr_t)head - (uintptr_t)w->slots) / sizeof(*head);
    if (alone && (uintptr_t)head >= (uintptr_t)w->slots && index < AGW_TIMER_LEVELS * AGW_TIMER_SLOTS)
        w->pending[index / AGW_TIMER_SLOTS] &= ~(1ull << index % AGW_TIMER_SLOTS);
}

void agw_timer_set(struct agw_timer_wheel *w, struct agw_timer *t, uint64_t due_ms)
{
    if (agw_timer_armed(t))
        agw_timer_cancel(w, t);
    t->due_ms = due_ms;
    place(w, t);
}

/* The slot that needs work first and when; false if the wheel is empty. */
static bool first_slot(const struct agw_timer_wheel *w, unsigned *ret_level, unsigned *ret_slot,
                       uint64_t *ret_ms)
{
    for (unsigned level = 0; level < AGW_TIMER_LEVELS; level++) {
        uint64_t bits = w->pending[level], now = w->now_ms >> (BITS * level);
        if (!bits)
            continue;
        unsigned at = now & SLOT_MASK;
        /* Below the top, slots before the present one are empty, so the rotation does no harm there. */
        uint64_t turned = at ? bits >> at | bits << (AGW_TIMER_SLOTS - at) : bits;
        unsigned distance = (unsigned)__builtin_ctzll(turned);
        *ret_level = level;
        *ret_slot = (at + distance) & SLOT_MASK;
        *ret_ms = distance ? (now + distance) << (BITS * level) : w->now_ms;
        return true;
    }
    return false;
}

static void append_all(struct agw_list *to, struct agw_list *from)
{
    if (agw_list_empty(from))
        return;
    to->prev->next = from->next;
    from->next->prev = to->prev;
    to->prev = from->prev;
    from->prev->next = to;
    agw_list_init(from);
}

static void spread(struct agw_timer_wheel *w, struct agw_list *slot)
{
    struct agw_list moving, *node;
    agw_list_move(&moving, slot);
    while ((node = agw_list_pop(&moving)))
        place(w, agw_list_entry(node, struct agw_timer, node));
}

void agw_timer_wheel_advance(struct agw_timer_wheel *w, uint64_t now_ms)
{
    struct agw_list expired, *node;
    unsigned level, slot;
    uint64_t at;
    agw_list_init(&expired);
    while (first_slot(w, &level, &slot, &at) && (at <= now_ms || at <= w->now_ms)) {
        w->now_ms = at;
        w->pending[level] &= ~(1ull << slot);
        if (level == 0)
            append_all(&expired, &w->slots[0][slot]);
        else
            spread(w, &w->slots[level][slot]);
    }
    if (now_ms > w->now_ms)
        w->now_ms = now_ms;
    /* The wheel is at its new time before the first callback, which may set and cancel any timer. */
    while ((node = agw_list_pop(&expired))) {
        struct agw_timer *t = agw_list_entry(node, struct agw_timer, node);
        t->fire(t);
    }
}

int agw_timer_wheel_wait(const struct agw_timer_wheel *w, uint64_t now_ms)
{
    unsigned level, slot;
    uint64_t at;
    if (!first_slot(w, &level, &slot, &at))
        return -1;
    if (at <= now_ms)
        return 0;
    return at - now_ms > INT_MAX ? INT_MAX : (int)(at - now_ms);
}
