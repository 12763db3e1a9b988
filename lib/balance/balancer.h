/* Which endpoint of a backend takes a request, in the nearest bucket that has an active one: power of two
 * choices by health, latency and load, or round robin, or by a hash of the request (struct
 * agw_load_balancer); and which ones are left out for a while because they fail, or until they pass their
 * checks (balance/probe.h).
 *
 * One balancer a worker; what it knows of an endpoint is that worker's own and nobody else's. It is kept by
 * the backend's and the endpoint's keys, so that it survives a new snapshot, and goes when no backend of the
 * current one has the endpoint. Backends of one endpoint are not looked at: there is nothing to choose.
 *
 * For who tries again or keeps clients at one endpoint: struct agw_pick_hint has the endpoint of the last try
 * in |avoid| (another is taken if there is any), and in |prefer| the agw_balance_token of the one that is
 * wanted (taken if it is there and active).
 *
 * A pick is counted as pending until agw_balance_release; in between agw_balance_sample says once how it
 * went. Ownership: a pick is the caller's memory. Threads: the loop's own. Errors: none: without memory an
 * endpoint is chosen at random. */
#ifndef AGW_BALANCE_BALANCER_H
#define AGW_BALANCE_BALANCER_H

#include "balance/judge.h"
#include "balance/pick.h"
#include "event/loop.h"

struct agw_balancer;
struct agw_endpoint_stats;

struct agw_pick {
    const struct agw_endpoint *endpoint; /* NULL: the backend has none */
    struct agw_endpoint_stats *stats;    /* NULL: nothing is kept */
    uint64_t start_ns;
};

struct agw_pick_hint {
    const struct agw_endpoint *avoid; /* NULL: none; of any snapshot */
    uint64_t prefer;                  /* 0: none */
    uint64_t hash; /* agw_balance_hash of what the backend goes by; 0: the request has it not */
};

struct agw_balancer_stats {
    uint64_t evictions;
    uint32_t evicted; /* now */
    uint32_t down;    /* endpoints that do not pass their checks, now */
};

/* NULL: out of memory. */
struct agw_balancer *agw_balancer_new(struct agw_loop *loop);
void agw_balancer_free(struct agw_balancer *b); /* picks that are not released must not be used any more */
const struct agw_balancer_stats *agw_balancer_stats(const struct agw_balancer *b);

/* Forgets what |s|, the current snapshot, does not have any more. The balancer does so itself, at most every
 * ten seconds. */
void agw_balancer_sweep(struct agw_balancer *b, const struct agw_snapshot *s);

void agw_balance_choose(struct agw_balancer *b, const struct agw_backend *backend,
                        const struct agw_pick_hint *hint, struct agw_pick *ret_pick);

/* Chooses; |hint| may be NULL. |backend| is STATIC or SERVICE. */
static inline void agw_balance_pick(struct agw_balancer *b, const struct agw_backend *backend,
                                    const struct agw_pick_hint *hint, struct agw_pick *ret_pick)
{
    if (backend->endpoint_count > 1)
        agw_balance_choose(b, backend, hint, ret_pick);
    else
        *ret_pick = (struct agw_pick){.endpoint = backend->endpoint_count ? backend->endpoints[0] : NULL};
}

void agw_balance_note(struct agw_balancer *b, const struct agw_backend *backend, struct agw_pick *p,
                      bool good);
void agw_balance_end(struct agw_balancer *b, struct agw_pick *p);

/* How the request went. Good: its latency counts, from the pick to now. May leave the endpoint out from now
 * on, if |backend| (the one that was picked from) says so. */
static inline void agw_balance_sample(struct agw_balancer *b, const struct agw_backend *backend,
                                      struct agw_pick *p, enum agw_judgement judged)
{
    if (p->stats && judged != AGW_JUDGED_NOT)
        agw_balance_note(b, backend, p, judged == AGW_JUDGED_GOOD);
}

/* An endpoint passes a check no more, or again; |key| is agw_balance_key's. It may have several checks: it is
 * down while one says so. What is not known here is remembered. AGW_ENOMEM: it stays as it was. */
int agw_balance_down(struct agw_balancer *b, struct agw_str key, bool down);

/* What tells an endpoint of a backend apart from all others: AGW_BALANCE_KEY_SIZE bytes to |out|. */
#define AGW_BALANCE_KEY_SIZE(backend, e) ((backend)->key.n + 1 + (e)->key.n)
void agw_balance_key(const struct agw_backend *backend, const struct agw_endpoint *e, char *out);

/* The request is over. Harmless a second time. */
static inline void agw_balance_release(struct agw_balancer *b, struct agw_pick *p)
{
    if (p->stats)
        agw_balance_end(b, p);
}

/* Tells an endpoint apart from others of its backend, by its address or name and port: the same in all
 * processes, never 0. For cookies. */
uint64_t agw_balance_token(const struct agw_endpoint *e);

/* Of a value that requests are kept together by: the same in all processes, never 0. */
static inline uint64_t agw_balance_hash(struct agw_str value)
{
    return agw_path_hash(AGW_PATH_HASH, value.p, value.n) | 1;
}

#endif
