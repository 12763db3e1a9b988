/* Objects that several owners share, counted. What embeds struct agw_shared as its first member can be kept
 * in a persistent map (base/pmap.h) or anywhere else by reference.
 *
 * Ownership: whoever makes one holds the first reference. Threads: the count is not atomic: references are
 * taken and given back by one thread; others may read the object while that thread holds one for them. */
#ifndef AGW_BASE_SHARED_H
#define AGW_BASE_SHARED_H

#include <stddef.h>
#include <stdint.h>

struct agw_shared {
    uint32_t refs;
    void (*free)(struct agw_shared *s); /* called when the last reference is given back */
};

static inline void agw_shared_init(struct agw_shared *s, void (*fn)(struct agw_shared *s))
{
    s->refs = 1;
    s->free = fn;
}

/* |object|: NULL, or a pointer to something that begins with a struct agw_shared. */
static inline void *agw_shared_ref(void *object)
{
    struct agw_shared *s = object;
    if (s)
        s->refs++;
    return object;
}

static inline void agw_shared_unref(void *object)
{
    struct agw_shared *s = object;
    if (s && --s->refs == 0)
        s->free(s);
}

#endif
