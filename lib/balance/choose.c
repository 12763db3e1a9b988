#include <math.h>
#include "balance/balancer_int.h"

static bool is_same(const struct agw_endpoint *a, const struct agw_endpoint *b)
{
    return a == b || (b && a->hash == b->hash && agw_str_eq(a->key, b->key));
}

/* One of the active, each with a chance of its weight. */
static uint32_t draw(const struct agw_balance_set *s, struct agw_rng *rng)
{
    if (!s->sums)
        return s->active[agw_rng_below(rng, s->active_count)];
    uint32_t low = 0, high = s->active_count - 1;
    /* The sums are far below 2^64: what the remainder favours cannot be measured. */
    uint64_t at = agw_rng_next(rng) % s->sums[high];
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (s->sums[middle] > at)
            high = middle;
        else
            low = middle + 1;
    }
    return s->active[low];
}

/* The best score in the nearest bucket, of those that are |out| or not. count: there is none. Where it
 * begins is random, so that equals share. */
static uint32_t best(const struct agw_balance_set *s, const struct agw_backend *backend,
                     const struct agw_endpoint *avoid, bool out, struct agw_rng *rng)
{
    uint32_t found = s->count, from = agw_rng_below(rng, s->count);
    double score = 0;
    for (uint32_t k = 0; k < s->count; k++) {
        uint32_t i = (from + k) % s->count;
        double mine = agw_stats_score(s->stats[i]);
        if (agw_stats_out(s->stats[i]) != out || is_same(backend->endpoints[i], avoid))
            continue;
        if (found < s->count) {
            uint32_t a = agw_balance_bucket(backend, i), b = agw_balance_bucket(backend, found);
            if (a > b || (a == b && mine <= score))
                continue;
        }
        found = i;
        score = mine;
    }
    return found;
}

static uint32_t scan(const struct agw_balance_set *s, const struct agw_backend *backend,
                     const struct agw_endpoint *avoid, struct agw_rng *rng)
{
    uint32_t at = best(s, backend, avoid, false, rng);
    if (at == s->count)
        at = best(s, backend, avoid, true, rng);
    return at < s->count ? at : scan(s, backend, NULL, rng); /* there is but the one to avoid */
}

/* By chance, more so the longer it has been there. */
static bool is_warm(struct agw_balancer *b, const struct agw_load_balancer *how, struct agw_endpoint_stats *s)
{
    if (!how || !how->slow_start_ms || !s->since_ms)
        return true;
    double share = agw_stats_warmth(s, how->slow_start_ms, b->loop->now_ms);
    return share >= 1 || agw_rng_below(&b->loop->rng, UINT32_MAX) < share * UINT32_MAX;
}

/* Where nearly all are new, one of them has to do. */
#define WARM_TRIES 8

static uint32_t draw_warm(struct agw_balancer *b, const struct agw_balance_set *s,
                          const struct agw_load_balancer *how)
{
    uint32_t at = draw(s, &b->loop->rng);
    for (unsigned i = 1; i < WARM_TRIES && !is_warm(b, how, s->stats[at]); i++)
        at = draw(s, &b->loop->rng);
    return at;
}

static uint32_t two_choices(struct agw_balancer *b, const struct agw_balance_set *s,
                            const struct agw_backend *backend, const struct agw_endpoint *avoid)
{
    uint32_t x = draw_warm(b, s, backend->balancer), y = draw_warm(b, s, backend->balancer);
    bool use_x = !is_same(backend->endpoints[x], avoid), use_y = !is_same(backend->endpoints[y], avoid);
    if (use_x && use_y)
        return agw_stats_score(s->stats[y]) > agw_stats_score(s->stats[x]) ? y : x;
    return use_x ? x : use_y ? y : scan(s, backend, avoid, &b->loop->rng);
}

/* Smooth weighted round robin: each gains its weight, the richest is next and pays for all. */
static uint32_t next_by_weight(struct agw_balance_set *s, const struct agw_backend *backend)
{
    uint32_t next = s->active[0];
    int64_t sum = 0;
    for (uint32_t k = 0; k < s->active_count; k++) {
        uint32_t i = s->active[k];
        s->credit[i] += backend->places[i].weight;
        sum += backend->places[i].weight;
        if (s->credit[i] > s->credit[next])
            next = i;
    }
    s->credit[next] -= sum;
    return next;
}

static uint32_t round_robin(struct agw_balancer *b, struct agw_balance_set *s,
                            const struct agw_backend *backend, const struct agw_endpoint *avoid)
{
    for (uint32_t k = 0; k < s->active_count + WARM_TRIES; k++) {
        uint32_t at = s->credit ? next_by_weight(s, backend) : s->active[s->turn++ % s->active_count];
        if (!is_same(backend->endpoints[at], avoid) &&
            (k >= s->active_count || is_warm(b, backend->balancer, s->stats[at])))
            return at;
    }
    return scan(s, backend, avoid, &b->loop->rng);
}

/* The finalizer of SplitMix64: each bit of |x| changes each of the result with a chance of a half. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ x >> 27) * 0x94d049bb133111ebull;
    return x ^ x >> 31;
}

/* Rendezvous hashing (Thaler and Ravishankar), by weight as in Schindelhauer and Schomaker's logarithmic
 * method: an endpoint that comes or goes moves only what is its own. */
static uint32_t by_hash(const struct agw_balance_set *s, const struct agw_backend *backend, uint64_t hash,
                        const struct agw_endpoint *avoid)
{
    uint32_t found = s->count;
    double most = 0;
    for (uint32_t k = 0; k < s->active_count; k++) {
        uint32_t i = s->active[k];
        double u = ((double)(mix(hash ^ s->stats[i]->token) >> 11) + 1) / 0x1p53; /* (0, 1] */
        double score = s->sums ? backend->places[i].weight / (1e-18 - log(u)) : u;
        if (score > most && !is_same(backend->endpoints[i], avoid)) {
            most = score;
            found = i;
        }
    }
    return found;
}

/* count: none. */
static uint32_t preferred(const struct agw_balance_set *s, uint64_t token)
{
    for (uint32_t i = 0; token && i < s->count; i++)
        if (s->stats[i]->token == token && !agw_stats_out(s->stats[i]))
            return i;
    return s->count;
}

uint32_t agw_balance_choose_at(struct agw_balancer *b, struct agw_balance_set *s,
                               const struct agw_backend *backend, const struct agw_pick_hint *hint)
{
    const struct agw_load_balancer *how = backend->balancer;
    uint32_t at = preferred(s, hint->prefer);
    if (at < s->count)
        return at;
    if (s->active_count == 0)
        return scan(s, backend, hint->avoid, &b->loop->rng);
    if (how && how->way == AGW_BALANCE_ROUND_ROBIN)
        return round_robin(b, s, backend, hint->avoid);
    if (how && how->way == AGW_BALANCE_HASH && hint->hash)
        at = by_hash(s, backend, hint->hash, hint->avoid);
    return at < s->count ? at : two_choices(b, s, backend, hint->avoid);
}
