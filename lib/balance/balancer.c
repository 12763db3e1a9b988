#include <stdlib.h>
#include <string.h>
#include "balance/balancer_int.h"

#define SWEEP_MS 10000 /* what is gone from the configuration is forgotten within this */

uint64_t agw_balance_token(const struct agw_endpoint *e)
{
    char text[AGW_ADDR_TEXT];
    uint64_t hash = AGW_PATH_HASH;
    if (e->addr.n > 0)
        return agw_path_hash(hash, text, agw_addr_format(&e->addr, text)) | 1;
    unsigned char port[2] = {(unsigned char)(e->port >> 8), (unsigned char)e->port};
    return agw_path_hash(agw_path_hash(hash, e->host.p, e->host.n), (const char *)port, 2) | 1;
}

/* --- what is known of endpoints --- */
static void stats_free(struct agw_balancer *b, struct agw_endpoint_stats *s)
{
    if (s->evicted)
        b->numbers.evicted--;
    agw_list_remove(&s->node);
    agw_map_take(&b->stats, agw_str(s->key, s->key_n));
    free(s);
}

static void stats_put(struct agw_balancer *b, struct agw_endpoint_stats *s)
{
    if (--s->refs == 0 && s->pending == 0)
        stats_free(b, s);
}

void agw_balance_key(const struct agw_backend *backend, const struct agw_endpoint *e, char *out)
{
    char *at = mempcpy(out, backend->key.p, backend->key.n);
    *at++ = '\n';
    memcpy(at, e->key.p, e->key.n);
}

/* With one more reference. NULL: out of memory. */
static struct agw_endpoint_stats *stats_get(struct agw_balancer *b, const struct agw_backend *backend,
                                            const struct agw_endpoint *e)
{
    size_t n = AGW_BALANCE_KEY_SIZE(backend, e);
    struct agw_endpoint_stats *s = calloc(1, sizeof(*s) + n);
    if (!s)
        return NULL;
    agw_balance_key(backend, e, s->key);
    struct agw_endpoint_stats *known = agw_map_get(&b->stats, agw_str(s->key, n));
    if (known || agw_map_put(&b->stats, agw_str(s->key, n), s, NULL)) {
        free(s);
        s = known;
    } else {
        s->key_n = n;
        s->health = 1;
        s->token = agw_balance_token(e);
        s->down = agw_map_get(&b->down, agw_str(s->key, n)) != NULL;
        agw_list_init(&s->node);
    }
    if (s)
        s->refs++;
    return s;
}

/* --- sets --- */
static void set_free(struct agw_balancer *b, struct agw_balance_set *s)
{
    for (uint32_t i = 0; i < s->count; i++)
        stats_put(b, s->stats[i]);
    free(s->stats);
    free(s->active);
    free(s->sums);
    free(s->credit);
    free(s->key);
    free(s);
}

static void set_drop(struct agw_balancer *b, struct agw_balance_set *s)
{
    b->sets[s->id] = NULL;
    b->set_count--;
    set_free(b, s);
}

static struct agw_balance_set *set_new(struct agw_balancer *b, const struct agw_backend *backend)
{
    uint32_t n = backend->endpoint_count;
    struct agw_balance_set *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    *s = (struct agw_balance_set){.serial = backend->serial,
                                  .id = backend->id,
                                  .epoch = b->epoch - 1,
                                  .turn = (uint32_t)agw_rng_next(&b->loop->rng)};
    s->stats = calloc(n, sizeof(struct agw_endpoint_stats *));
    s->active = calloc(n, sizeof(*s->active));
    s->sums = backend->places ? calloc(n, sizeof(*s->sums)) : NULL;
    s->credit = backend->places ? calloc(n, sizeof(*s->credit)) : NULL;
    s->key_n = backend->key.n;
    s->key = malloc(backend->key.n + 1);
    bool whole = s->stats && s->active && s->key && ((s->sums && s->credit) || !backend->places);
    while (whole && s->count < n) {
        s->stats[s->count] = stats_get(b, backend, backend->endpoints[s->count]);
        if (s->stats[s->count])
            s->count++;
        else
            whole = false;
    }
    if (!whole) {
        set_free(b, s);
        return NULL;
    }
    memcpy(s->key, backend->key.p, backend->key.n);
    return s;
}

static void set_refresh(struct agw_balancer *b, struct agw_balance_set *s, const struct agw_backend *backend)
{
    uint64_t sum = 0;
    s->epoch = b->epoch;
    s->active_count = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        if (agw_stats_out(s->stats[i]))
            continue;
        if (s->active_count && agw_balance_bucket(backend, i) != agw_balance_bucket(backend, s->active[0]))
            break;
        s->active[s->active_count] = i;
        if (s->sums)
            s->sums[s->active_count] = sum += backend->places[i].weight;
        s->active_count++;
    }
}

static bool make_room(struct agw_balancer *b, uint32_t id)
{
    if (id < b->set_room)
        return true;
    uint32_t room = b->set_room ? b->set_room : 16;
    while (room <= id)
        room *= 2;
    struct agw_balance_set **sets = reallocarray(b->sets, room, sizeof(struct agw_balance_set *));
    if (!sets)
        return false;
    memset(sets + b->set_room, 0, (room - b->set_room) * sizeof(struct agw_balance_set *));
    b->sets = sets;
    b->set_room = room;
    return true;
}

/* Puts a new set for |backend| in place of the one there was. The new one comes first, so that what both have
 * stays. */
static struct agw_balance_set *set_replace(struct agw_balancer *b, const struct agw_backend *backend)
{
    struct agw_balance_set *made = set_new(b, backend), *old = b->sets[backend->id];
    if (!made)
        return NULL;
    for (uint32_t i = 0; old && i < made->count; i++) /* those that joined: they begin slowly */
        if (made->stats[i]->refs == 1)
            made->stats[i]->since_ms = b->loop->now_ms;
    if (old)
        set_free(b, old);
    else
        b->set_count++;
    b->sets[backend->id] = made;
    if (!agw_timer_armed(&b->sweep))
        agw_timer_set(&b->loop->timers, &b->sweep, b->loop->now_ms + SWEEP_MS);
    return made;
}

/* NULL: out of memory, or |backend| is of a snapshot that was replaced: what a newer one says stays. */
static struct agw_balance_set *set_for(struct agw_balancer *b, const struct agw_backend *backend)
{
    struct agw_balance_set *s = backend->id < b->set_room ? b->sets[backend->id] : NULL;
    if (!s || s->serial != backend->serial) {
        if ((s && s->serial > backend->serial) || !make_room(b, backend->id))
            return NULL;
        s = set_replace(b, backend);
    }
    if (s && s->epoch != b->epoch)
        set_refresh(b, s, backend);
    return s;
}

/* --- choosing --- */
void agw_balance_choose(struct agw_balancer *b, const struct agw_backend *backend,
                        const struct agw_pick_hint *hint, struct agw_pick *ret_pick)
{
    static const struct agw_pick_hint none;
    struct agw_rng *rng = &b->loop->rng;
    struct agw_balance_set *s = set_for(b, backend);
    if (!s) {
        *ret_pick = (struct agw_pick){.endpoint = agw_balance_endpoint(backend, rng)};
        return;
    }
    if (!hint)
        hint = &none;
    uint32_t at = agw_balance_choose_at(b, s, backend, hint);
    s->stats[at]->pending++;
    *ret_pick = (struct agw_pick){
        .endpoint = backend->endpoints[at], .stats = s->stats[at], .start_ns = b->loop->now_ns};
}

/* --- outcomes --- */
static void arm_return(struct agw_balancer *b)
{
    struct agw_list *node, *tmp;
    uint64_t next = UINT64_MAX;
    agw_list_each (node, tmp, &b->evicted) {
        struct agw_endpoint_stats *s = agw_list_entry(node, struct agw_endpoint_stats, node);
        if (s->until_ms < next)
            next = s->until_ms;
    }
    if (next < UINT64_MAX)
        agw_timer_set(&b->loop->timers, &b->back, next);
    else
        agw_timer_cancel(&b->loop->timers, &b->back);
}

static void on_back(struct agw_timer *t)
{
    struct agw_balancer *b = agw_container_of(t, struct agw_balancer, back);
    struct agw_list *node, *tmp;
    agw_list_each (node, tmp, &b->evicted) {
        struct agw_endpoint_stats *s = agw_list_entry(node, struct agw_endpoint_stats, node);
        if (s->until_ms > b->loop->now_ms)
            continue;
        agw_list_remove(&s->node);
        agw_stats_return(s, b->loop->now_ms);
        b->numbers.evicted--;
        b->epoch++;
    }
    arm_return(b);
}

static void evict(struct agw_balancer *b, struct agw_endpoint_stats *s, const struct agw_eviction *policy)
{
    agw_stats_evict(s, policy, b->loop->now_ms);
    agw_list_push(&b->evicted, &s->node);
    b->numbers.evictions++;
    b->numbers.evicted++;
    b->epoch++;
    arm_return(b);
}

void agw_balance_note(struct agw_balancer *b, const struct agw_backend *backend, struct agw_pick *p,
                      bool good)
{
    double latency_s = (double)(b->loop->now_ns - p->start_ns) / 1e9;
    if (good)
        agw_stats_good(p->stats, latency_s, b->loop->now_ms);
    else if (agw_stats_bad(p->stats, backend->eviction))
        evict(b, p->stats, backend->eviction);
}

static struct agw_balance_down *down_new(struct agw_balancer *b, struct agw_str key)
{
    struct agw_balance_down *d = malloc(sizeof(*d) + key.n);
    if (!d)
        return NULL;
    d->count = 0;
    memcpy(d->key, key.p, key.n);
    if (!agw_map_put(&b->down, agw_str(d->key, key.n), d, NULL))
        return d;
    free(d);
    return NULL;
}

int agw_balance_down(struct agw_balancer *b, struct agw_str key, bool down)
{
    struct agw_endpoint_stats *s = agw_map_get(&b->stats, key);
    struct agw_balance_down *d = agw_map_get(&b->down, key);
    if (down && !d && !(d = down_new(b, key)))
        return AGW_ENOMEM;
    if (!d)
        return 0;
    d->count += down ? 1 : -1u;
    if (d->count != (down ? 1 : 0))
        return 0; /* another check says so still, or said so before */
    if (!down) {
        agw_map_take(&b->down, key);
        free(d);
    }
    b->numbers.down = b->down.count;
    b->epoch++;
    if (s)
        agw_stats_down(s, down, b->loop->now_ms);
    return 0;
}

void agw_balance_end(struct agw_balancer *b, struct agw_pick *p)
{
    struct agw_endpoint_stats *s = p->stats;
    p->stats = NULL;
    if (--s->pending == 0 && s->refs == 0)
        stats_free(b, s);
}

/* --- life --- */
void agw_balancer_sweep(struct agw_balancer *b, const struct agw_snapshot *snap)
{
    if (!snap || snap->generation == b->swept)
        return;
    b->swept = snap->generation;
    for (uint32_t id = 0; id < b->set_room; id++) {
        struct agw_balance_set *s = b->sets[id];
        const struct agw_backend *now = s ? agw_pmap_get(&snap->backends, id, AGW_STR("")) : NULL;
        if (!s || (now && now->serial == s->serial))
            continue;
        bool same = now && agw_str_eq(now->key, agw_str(s->key, s->key_n));
        if (!same || now->endpoint_count < 2 || !set_replace(b, now))
            set_drop(b, s);
    }
}

static void on_sweep(struct agw_timer *t)
{
    struct agw_balancer *b = agw_container_of(t, struct agw_balancer, sweep);
    agw_balancer_sweep(b, agw_snapshot_current());
    if (b->set_count)
        agw_timer_set(&b->loop->timers, t, b->loop->now_ms + SWEEP_MS);
}

struct agw_balancer *agw_balancer_new(struct agw_loop *loop)
{
    struct agw_balancer *b = calloc(1, sizeof(*b));
    if (!b)
        return NULL;
    b->loop = loop;
    agw_map_init(&b->stats);
    agw_map_init(&b->down);
    agw_list_init(&b->evicted);
    agw_timer_init(&b->back, on_back);
    agw_timer_init(&b->sweep, on_sweep);
    return b;
}

void agw_balancer_free(struct agw_balancer *b)
{
    struct agw_map_slot *slot;
    if (!b)
        return;
    agw_timer_cancel(&b->loop->timers, &b->back);
    agw_timer_cancel(&b->loop->timers, &b->sweep);
    for (uint32_t id = 0; id < b->set_room; id++)
        if (b->sets[id])
            set_drop(b, b->sets[id]);
    for (uint32_t cursor = 0; (slot = agw_map_next(&b->stats, &cursor));) /* those that are pending */
        free(slot->value);
    agw_map_free(&b->stats);
    for (uint32_t cursor = 0; (slot = agw_map_next(&b->down, &cursor));)
        free(slot->value);
    agw_map_free(&b->down);
    free(b->sets);
    free(b);
}

const struct agw_balancer_stats *agw_balancer_stats(const struct agw_balancer *b)
{
    return &b->numbers;
}
