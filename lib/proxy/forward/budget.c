#include "proxy/forward/budget.h"
#include <stdlib.h>

/* Thousandths of a retry. What comes in fades by a hundredth each tick, so that about ten seconds count. */
#define TICK_MS 100
#define FADE 100
#define PER_REQUEST 200 /* a fifth: what Envoy and Gateway API's retry budget begin with */
#define PER_TICK 1000   /* ten a second: a quiet backend is retried all the same */
#define AT_REST (PER_TICK * FADE)
#define FORGET_TICKS 1000 /* nothing of before is left then */

struct agw_retry_balance {
    uint64_t tick; /* 0: never used */
    uint64_t milli;
};

void agw_retry_budgets_free(struct agw_retry_budgets *b)
{
    free(b->v);
    *b = (struct agw_retry_budgets){0};
}

/* A number that another backend had before comes with what is left: it fades. */
static struct agw_retry_balance *find(struct agw_retry_budgets *b, uint32_t backend)
{
    if (backend < b->count)
        return &b->v[backend];
    uint32_t count = backend + 1 > 2 * b->count ? backend + 1 : 2 * b->count;
    struct agw_retry_balance *v = reallocarray(b->v, count, sizeof(*v));
    if (!v)
        return NULL;
    for (uint32_t i = b->count; i < count; i++)
        v[i] = (struct agw_retry_balance){0};
    b->v = v;
    b->count = count;
    return &v[backend];
}

static struct agw_retry_balance *find_now(struct agw_retry_budgets *b, uint32_t backend, uint64_t now_ms)
{
    struct agw_retry_balance *r = find(b, backend);
    uint64_t tick = now_ms / TICK_MS + 1;
    if (!r)
        return NULL;
    if (r->tick == 0 || tick - r->tick > FORGET_TICKS)
        r->milli = AT_REST;
    else
        for (; r->tick < tick; r->tick++)
            r->milli += PER_TICK - r->milli / FADE;
    r->tick = tick;
    return r;
}

void agw_retry_budget_request(struct agw_retry_budgets *b, uint32_t backend, uint64_t now_ms)
{
    struct agw_retry_balance *r = find_now(b, backend, now_ms);
    if (r)
        r->milli += PER_REQUEST;
}

bool agw_retry_budget_take(struct agw_retry_budgets *b, uint32_t backend, uint64_t now_ms)
{
    struct agw_retry_balance *r = find_now(b, backend, now_ms);
    if (!r || r->milli < 1000) {
        b->denied++;
        return false;
    }
    b->taken++;
    r->milli -= 1000;
    return true;
}
