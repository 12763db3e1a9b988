/* nghttp2's memory. Every block is on a list of its session: when an allocation has failed inside nghttp2 its
 * structures cannot be trusted any more (1.52 frees an item twice, for one), so the session is not called
 * again and its memory is given back from the list. */
#include "h2/h2_int.h"

#include <stdlib.h>

static struct agw_h2_mem_block *block_of(void *p)
{
    return (struct agw_h2_mem_block *)((char *)p - sizeof(struct agw_h2_mem_block));
}

static void *enlist(struct agw_h2_mem *m, struct agw_h2_mem_block *b)
{
    if (!b) {
        m->failed = true;
        return NULL;
    }
    agw_list_push(&m->blocks, &b->node);
    return b + 1;
}

static void *mem_malloc(size_t n, void *user)
{
    return enlist(user, malloc(sizeof(struct agw_h2_mem_block) + n));
}

static void mem_free(void *p, void *user)
{
    (void)user;
    if (!p)
        return;
    agw_list_remove(&block_of(p)->node);
    free(block_of(p));
}

static void *mem_calloc(size_t count, size_t n, void *user)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, n, &bytes))
        return enlist(user, NULL);
    void *p = mem_malloc(bytes, user);
    if (p)
        memset(p, 0, bytes);
    return p;
}

static void *mem_realloc(void *p, size_t n, void *user)
{
    struct agw_h2_mem *m = user;
    if (!p)
        return mem_malloc(n, user);
    struct agw_h2_mem_block *b = block_of(p);
    agw_list_remove(&b->node);
    struct agw_h2_mem_block *grown = realloc(b, sizeof(*b) + n);
    if (!grown) {
        m->failed = true;
        agw_list_push(&m->blocks, &b->node);
        return NULL;
    }
    return enlist(m, grown);
}

nghttp2_mem agw_h2_mem_init(struct agw_h2_mem *m)
{
    agw_list_init(&m->blocks);
    m->failed = false;
    return (nghttp2_mem){m, mem_malloc, mem_free, mem_calloc, mem_realloc};
}

void agw_h2_mem_drop(struct agw_h2_mem *m)
{
    struct agw_list *node;
    while ((node = agw_list_pop(&m->blocks)))
        free(agw_list_entry(node, struct agw_h2_mem_block, node));
}
