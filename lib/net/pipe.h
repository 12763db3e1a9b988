/* Pipes for agw_conn_splice_in and _out: a bounded number, kept for use again. Threads: one. */
#ifndef AGW_NET_PIPE_H
#define AGW_NET_PIPE_H

#include <stddef.h>
#include "base/list.h"

struct agw_pipe {
    struct agw_list node; /* the pool's, while idle */
    int in, out;          /* written at |in|, read at |out| */
    size_t n;             /* bytes inside: kept by whoever moves them */
};

struct agw_pipe_pool {
    struct agw_list idle;
    unsigned idle_count, open, max;
};

void agw_pipe_pool_init(struct agw_pipe_pool *pool, unsigned max);
/* All pipes must have been put back. */
void agw_pipe_pool_free(struct agw_pipe_pool *pool);
/* An empty pipe; NULL when |max| are open, or the process has no descriptor or memory left. */
struct agw_pipe *agw_pipe_get(struct agw_pipe_pool *pool);
/* Gives it back; one that still holds bytes is closed. NULL is fine. */
void agw_pipe_put(struct agw_pipe_pool *pool, struct agw_pipe *p);

#endif
