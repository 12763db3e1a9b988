/* How many retries a worker may send to a backend, so that they cannot multiply an outage: over about ten
 * seconds a fifth of the requests, and ten a second besides.
 *
 * Pure: the clock is an argument. Ownership: the struct is the worker's; free it. Threads: the worker's. */
#ifndef AGW_PROXY_FORWARD_BUDGET_H
#define AGW_PROXY_FORWARD_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

struct agw_retry_balance;

struct agw_retry_budgets { /* zeroed: empty */
    struct agw_retry_balance *v;
    uint32_t count; /* by number of the backend; 16 bytes each */
    uint64_t taken, denied;
};

void agw_retry_budgets_free(struct agw_retry_budgets *b);
/* A request that may be retried goes to |backend| (its number in the snapshot). */
void agw_retry_budget_request(struct agw_retry_budgets *b, uint32_t backend, uint64_t now_ms);
/* True if it may be retried now, which is counted. False also for want of memory. */
bool agw_retry_budget_take(struct agw_retry_budgets *b, uint32_t backend, uint64_t now_ms);

#endif
