/* Inside of the balancer: what one worker has of a backend, and who chooses from it. */
#ifndef AGW_BALANCE_BALANCER_INT_H
#define AGW_BALANCE_BALANCER_INT_H

#include "balance/balancer.h"
#include "balance/stats.h"

/* A backend as it was picked from last. */
struct agw_balance_set {
    uint64_t serial;
    uint64_t epoch; /* |active| is right for this one */
    uint32_t id, count, active_count;
    struct agw_endpoint_stats **stats; /* by endpoint */
    uint32_t *active;                  /* endpoints of the first bucket that has one which is not evicted */
    uint64_t *sums;                    /* their weights, added up; NULL: all weigh the same */
    int64_t *credit; /* by endpoint, of round robin by weight; NULL: all weigh the same, or another way is
                        wanted */
    uint32_t turn;   /* round robin of equals: who is next among the active */
    size_t key_n;
    char *key; /* the backend's */
};

/* An endpoint that does not pass so many of its checks. */
struct agw_balance_down {
    uint32_t count;
    char key[];
};

struct agw_balancer {
    struct agw_loop *loop;
    struct agw_map stats;          /* key -> agw_endpoint_stats */
    struct agw_map down;           /* keys of endpoints that do not pass their checks -> agw_balance_down */
    struct agw_balance_set **sets; /* by backend id */
    uint32_t set_room, set_count;
    uint64_t epoch; /* counts evictions and returns */
    struct agw_list evicted;
    struct agw_timer back; /* the next return */
    struct agw_timer sweep;
    uint64_t swept; /* generation of the snapshot that was looked at last */
    struct agw_balancer_stats numbers;
};

/* --- choose.c --- */
/* An endpoint of |s|, which was refreshed, by what |backend| wants of its load balancer: an index below
 * s->count. */
uint32_t agw_balance_choose_at(struct agw_balancer *b, struct agw_balance_set *s,
                               const struct agw_backend *backend, const struct agw_pick_hint *hint);

static inline uint32_t agw_balance_bucket(const struct agw_backend *backend, uint32_t at)
{
    return backend->places ? backend->places[at].bucket : 0;
}

#endif
