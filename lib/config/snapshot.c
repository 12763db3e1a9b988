#include "config/snapshot_build.h"

#include <stdlib.h>
#include "config/rcu.h"

static struct agw_snapshot *current; /* read by workers */
static struct agw_snapshot *retired; /* config thread: not current any more */
static uint64_t generation;          /* config thread */
static unsigned workers = AGW_MAX_WORKERS;

void agw_snapshot_workers(unsigned count)
{
    agw_check(count > 0 && count <= AGW_MAX_WORKERS);
    workers = count;
}

unsigned agw_snapshot_admin(void)
{
    return workers;
}

struct agw_snapshot *agw_snapshot_new(void)
{
    const unsigned pins = workers + 1;
    struct agw_snapshot *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    agw_arena_init(&s->arena, 256, 0);
    agw_pmap_init(&s->backends, offsetof(struct agw_backend, id_text));
    s->private = agw_arena_zalloc(&s->arena, sizeof(*s->private));
    if (s->private)
        s->private->pins = aligned_alloc(AGW_CACHE_LINE, pins * sizeof(struct agw_pin));
    if (!s->private || !s->private->pins) {
        agw_arena_free(&s->arena);
        free(s);
        return NULL;
    }
    s->private->pin_count = pins;
    memset(s->private->pins, 0, pins * sizeof(struct agw_pin));
    return s;
}

int agw_snapshot_on_free(struct agw_snapshot *s, void (*fn)(void *object), void *object)
{
    struct agw_release *r = agw_arena_alloc(&s->arena, sizeof(*r));
    if (!r) {
        fn(object);
        return AGW_ENOMEM;
    }
    *r = (struct agw_release){s->private->release, fn, object};
    s->private->release = r;
    return 0;
}

void agw_snapshot_free(struct agw_snapshot *s)
{
    if (!s)
        return;
    for (struct agw_release *r = s->private->release; r; r = r->next)
        r->fn(r->object);
    agw_pmap_free(&s->backends);
    agw_store_free(s->private->store);
    free(s->private->pins);
    agw_arena_free(&s->arena);
    free(s);
}

struct agw_snapshot *agw_snapshot_current(void)
{
    return __atomic_load_n(&current, __ATOMIC_ACQUIRE);
}

const struct agw_backend *agw_snapshot_backend(const struct agw_snapshot *s, uint32_t id)
{
    const struct agw_backend *b = agw_pmap_get(&s->backends, id, AGW_STR(""));
    agw_check(b);
    return b;
}

const struct agw_bind *agw_snapshot_bind(const struct agw_snapshot *s, struct agw_str key)
{
    uint32_t low = 0, high = s->bind_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = agw_str_cmp(key, s->binds[middle]->key);
        if (order == 0)
            return s->binds[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

/* The count has one writer, so plain adding is enough; the order makes what the worker read happen before the
 * free. */
static void pin_add(struct agw_snapshot *s, unsigned worker, int by)
{
    agw_check(worker < s->private->pin_count);
    uint32_t *count = &s->private->pins[worker].count;
    __atomic_store_n(count, __atomic_load_n(count, __ATOMIC_RELAXED) + (uint32_t)by, __ATOMIC_RELEASE);
}

void agw_snapshot_pin(struct agw_snapshot *s, unsigned worker)
{
    pin_add(s, worker, 1);
}

void agw_snapshot_unpin(struct agw_snapshot *s, unsigned worker)
{
    pin_add(s, worker, -1);
}

void agw_snapshot_publish(struct agw_snapshot *s)
{
    struct agw_snapshot *old = current;
    s->generation = ++generation;
    __atomic_store_n(&current, s, __ATOMIC_RELEASE);
    if (old) {
        old->private->next = retired;
        retired = old;
    }
}

static bool pinned(const struct agw_snapshot *s)
{
    for (unsigned i = 0; i < s->private->pin_count; i++)
        if (__atomic_load_n(&s->private->pins[i].count, __ATOMIC_ACQUIRE))
            return true;
    return false;
}

unsigned agw_snapshot_reclaim(void)
{
    if (!retired)
        return 0;
    /* After this no worker can find a retired snapshot; whoever still uses one has pinned it. */
    agw_rcu_synchronize();
    unsigned held = 0;
    struct agw_snapshot **link = &retired, *s;
    while ((s = *link)) {
        if (pinned(s)) {
            held++;
            link = &s->private->next;
        } else {
            *link = s->private->next;
            agw_snapshot_free(s);
        }
    }
    return held;
}

void agw_snapshot_shutdown(void)
{
    struct agw_snapshot *s = current;
    __atomic_store_n(&current, NULL, __ATOMIC_RELEASE);
    agw_snapshot_free(s);
    while ((s = retired)) {
        retired = s->private->next;
        agw_snapshot_free(s);
    }
    generation = 0;
}
