#include "net/pipe.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* Idle ones that are kept: as many as a worker's turn is likely to need again; each is two descriptors. */
#define IDLE_MAX 64

void agw_pipe_pool_init(struct agw_pipe_pool *pool, unsigned max)
{
    *pool = (struct agw_pipe_pool){.max = max};
    agw_list_init(&pool->idle);
}

static void drop(struct agw_pipe_pool *pool, struct agw_pipe *p)
{
    close(p->in);
    close(p->out);
    free(p);
    pool->open--;
}

void agw_pipe_pool_free(struct agw_pipe_pool *pool)
{
    struct agw_list *node;

    while ((node = agw_list_pop(&pool->idle)))
        drop(pool, agw_list_entry(node, struct agw_pipe, node));
    pool->idle_count = 0;
    agw_check(pool->open == 0);
}

struct agw_pipe *agw_pipe_get(struct agw_pipe_pool *pool)
{
    int fds[2];
    struct agw_list *node = agw_list_pop(&pool->idle);

    if (node) {
        pool->idle_count--;
        return agw_list_entry(node, struct agw_pipe, node);
    }
    struct agw_pipe *p = pool->open < pool->max ? malloc(sizeof(*p)) : NULL;
    if (!p)
        return NULL;
    if (pipe2(fds, O_NONBLOCK | O_CLOEXEC)) {
        free(p);
        return NULL;
    }
    *p = (struct agw_pipe){.in = fds[1], .out = fds[0]};
    agw_list_init(&p->node);
    pool->open++;
    return p;
}

void agw_pipe_put(struct agw_pipe_pool *pool, struct agw_pipe *p)
{
    if (!p)
        return;
    if (p->n > 0 || pool->idle_count >= IDLE_MAX) {
        drop(pool, p);
        return;
    }
    agw_list_push_front(&pool->idle, &p->node);
    pool->idle_count++;
}
