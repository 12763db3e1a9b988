/* What one worker knows of an endpoint, and the arithmetic on it. */
#ifndef AGW_BALANCE_STATS_H
#define AGW_BALANCE_STATS_H

#include "base/list.h"
#include "config/policy.h"

/* Weight of the newest sample. */
#define AGW_EWMA_ALPHA 0.3
/* How much a request that is pending makes an endpoint's latency count. */
#define AGW_PENDING_COST 0.1
/* An endpoint that comes back and fails again is left out longer each time, at most so many times the
 * policy's duration. */
#define AGW_EJECTED_MAX 100
/* Slow start: the share of its requests that an endpoint gets at once, so that it gets any to warm up by. */
#define AGW_SLOW_START_LEAST 0.1

struct agw_endpoint_stats {
    double health;    /* 1: all of the last answers were good */
    double latency_s; /* 0: not measured */
    uint32_t pending;
    uint32_t failures; /* in a row */
    uint32_t ejected;  /* times left out */
    bool evicted;
    bool down;           /* by its active checks */
    uint64_t until_ms;   /* while evicted: when it comes back */
    uint64_t forgive_ms; /* then a good answer makes |ejected| begin anew */
    double restore_health;
    uint64_t since_ms;    /* when it joined or came back; 0: long ago */
    struct agw_list node; /* the balancer's list of those that are evicted */
    uint32_t refs;        /* sets that have it */
    uint64_t token;
    size_t key_n;
    char key[];
};

static inline double agw_ewma(double old, double sample)
{
    return old * (1 - AGW_EWMA_ALPHA) + sample * AGW_EWMA_ALPHA;
}

/* The higher, the better. */
static inline double agw_stats_score(const struct agw_endpoint_stats *s)
{
    return s->health / (1 + s->latency_s * (1 + AGW_PENDING_COST * s->pending));
}

static inline void agw_stats_good(struct agw_endpoint_stats *s, double latency_s, uint64_t now_ms)
{
    s->health = agw_ewma(s->health, 1);
    s->latency_s = s->latency_s > 0 ? agw_ewma(s->latency_s, latency_s) : latency_s;
    s->failures = 0;
    if (now_ms >= s->forgive_ms)
        s->ejected = 0;
}

/* True: |policy| (may be NULL) wants it left out. */
static inline bool agw_stats_bad(struct agw_endpoint_stats *s, const struct agw_eviction *policy)
{
    s->health = agw_ewma(s->health, 0);
    s->failures++;
    if (!policy || s->evicted)
        return false;
    return (policy->failures && s->failures >= policy->failures) || s->health < policy->health;
}

static inline void agw_stats_evict(struct agw_endpoint_stats *s, const struct agw_eviction *policy,
                                   uint64_t now_ms)
{
    if (s->ejected < AGW_EJECTED_MAX)
        s->ejected++;
    uint64_t out = (uint64_t)policy->duration_ms * s->ejected;
    s->evicted = true;
    s->until_ms = now_ms + out;
    s->forgive_ms = s->until_ms + out; /* it has to do well as long as it was out */
    s->restore_health = policy->restore_health;
}

/* It gets requests only where all are out. */
static inline bool agw_stats_out(const struct agw_endpoint_stats *s)
{
    return s->evicted || s->down;
}

/* Its share of what it would get, between AGW_SLOW_START_LEAST and 1, |window_ms| after it came. */
static inline double agw_stats_warmth(struct agw_endpoint_stats *s, uint32_t window_ms, uint64_t now_ms)
{
    if (!s->since_ms)
        return 1;
    double share = (double)(now_ms - s->since_ms) / window_ms;
    if (share >= 1)
        s->since_ms = 0;
    return share >= 1 ? 1 : share > AGW_SLOW_START_LEAST ? share : AGW_SLOW_START_LEAST;
}

static inline void agw_stats_down(struct agw_endpoint_stats *s, bool down, uint64_t now_ms)
{
    s->down = down;
    if (!down)
        s->since_ms = now_ms;
}

static inline void agw_stats_return(struct agw_endpoint_stats *s, uint64_t now_ms)
{
    s->evicted = false;
    s->since_ms = now_ms;
    s->failures = 0;
    if (s->restore_health >= 0)
        s->health = s->restore_health;
}

#endif
