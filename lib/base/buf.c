#include "base/buf.h"

#include <stdlib.h>
#include "base/check.h"
#include "base/err.h"

void agw_block_pool_init(struct agw_block_pool *pool, unsigned keep)
{
    *pool = (struct agw_block_pool){.keep = keep};
}

void agw_block_pool_free(struct agw_block_pool *pool)
{
    agw_check(pool->live == 0);
    while (pool->free) {
        struct agw_block *next = pool->free->next;
        free(pool->free);
        pool->free = next;
    }
    pool->idle = 0;
}

static struct agw_block *block_alloc(size_t cap, struct agw_block_pool *pool)
{
    struct agw_block *b = malloc(sizeof(*b) + cap);
    if (!b)
        return NULL;
    b->refs = 1;
    b->cap = (uint32_t)cap;
    b->len = 0;
    b->pool = pool;
    b->next = NULL;
    return b;
}

struct agw_block *agw_block_get(struct agw_block_pool *pool)
{
    struct agw_block *b = pool->free;
    if (agw_likely(b)) {
        pool->free = b->next;
        pool->idle--;
        b->refs = 1;
        b->len = 0;
        b->next = NULL;
    } else if (!(b = block_alloc(AGW_BLOCK_SIZE, pool))) {
        return NULL;
    }
    pool->live++;
    return b;
}

struct agw_block *agw_block_new(size_t cap)
{
    return cap <= UINT32_MAX ? block_alloc(cap, NULL) : NULL;
}

void agw_block_unref(struct agw_block *b)
{
    if (!b || --b->refs)
        return;
    struct agw_block_pool *pool = b->pool;
    if (pool)
        pool->live--;
    if (!pool || pool->idle >= pool->keep) {
        free(b);
        return;
    }
    b->next = pool->free;
    pool->free = b;
    pool->idle++;
}

static inline struct agw_slice *slices(struct agw_chain *c)
{
    return (c->v ? c->v : c->in) + c->first;
}

static inline uint32_t capacity(const struct agw_chain *c)
{
    return c->v ? c->cap : AGW_CHAIN_INLINE;
}

static inline struct agw_slice *last(struct agw_chain *c)
{
    return c->count ? slices(c) + c->count - 1 : NULL;
}

void agw_chain_init(struct agw_chain *c)
{
    c->v = NULL;
    c->first = c->count = c->cap = 0;
    c->bytes = 0;
}

void agw_chain_clear(struct agw_chain *c)
{
    struct agw_slice *s = slices(c);
    for (uint32_t i = 0; i < c->count; i++)
        agw_block_unref(s[i].block);
    free(c->v);
    agw_chain_init(c);
}

static void shift_down(struct agw_chain *c)
{
    struct agw_slice *s = slices(c);
    memmove(s - c->first, s, c->count * sizeof(*s));
    c->first = 0;
}

/* Makes room for |n| more slices at the end. */
static int reserve(struct agw_chain *c, size_t n)
{
    size_t cap = capacity(c);
    if (agw_likely(c->first + c->count + n <= cap))
        return 0;
    /* Sliding is cheap for the inline slices; else only when half is free, so that its cost spreads out. */
    if (c->count + n <= cap && (!c->v || c->first >= cap / 2)) {
        shift_down(c);
        return 0;
    }
    while (cap < c->count + n)
        cap *= 2;
    cap = cap == capacity(c) ? cap * 2 : cap;
    struct agw_slice *v = cap <= UINT32_MAX ? malloc(cap * sizeof(*v)) : NULL;
    if (!v)
        return AGW_ENOMEM;
    memcpy(v, slices(c), c->count * sizeof(*v));
    free(c->v);
    c->v = v;
    c->cap = (uint32_t)cap;
    c->first = 0;
    return 0;
}

static inline bool continues(const struct agw_slice *s, const struct agw_block *block, const unsigned char *p)
{
    return s && s->block == block && s->p + s->n == p;
}

/* Room must be reserved; takes over the reference. */
static void push(struct agw_chain *c, struct agw_block *block, const unsigned char *p, size_t n)
{
    struct agw_slice *s = last(c);
    c->bytes += n;
    if (continues(s, block, p)) {
        s->n += n;
        agw_block_unref(block);
        return;
    }
    slices(c)[c->count++] = (struct agw_slice){block, p, n};
}

int agw_chain_add(struct agw_chain *c, struct agw_block *block, const void *p, size_t n)
{
    if (n == 0)
        return 0;
    struct agw_slice *s = last(c);
    if (continues(s, block, p)) {
        s->n += n;
        c->bytes += n;
        return 0;
    }
    int r = reserve(c, 1);
    if (r)
        return r;
    slices(c)[c->count++] = (struct agw_slice){block ? agw_block_ref(block) : NULL, p, n};
    c->bytes += n;
    return 0;
}

int agw_chain_add_static(struct agw_chain *c, const void *p, size_t n)
{
    return agw_chain_add(c, NULL, p, n);
}

/* Bytes that may be written behind the last slice: its block has no other holder and ends where the slice
 * ends. */
static size_t tail_room(struct agw_chain *c)
{
    struct agw_slice *s = last(c);
    if (!s || !s->block || s->block->refs != 1 || s->p + s->n != s->block->data + s->block->len)
        return 0;
    return s->block->cap - s->block->len;
}

static void release_list(struct agw_block *b)
{
    while (b) {
        struct agw_block *next = b->next;
        agw_block_unref(b);
        b = next;
    }
}

static struct agw_block *get_list(struct agw_block_pool *pool, size_t count)
{
    struct agw_block *list = NULL;
    while (count--) {
        struct agw_block *b = agw_block_get(pool);
        if (!b) {
            release_list(list);
            return NULL;
        }
        b->next = list;
        list = b;
    }
    return list;
}

static size_t fill(struct agw_block *b, const unsigned char *p, size_t n)
{
    size_t room = b->cap - b->len;
    if (n > room)
        n = room;
    memcpy(b->data + b->len, p, n);
    b->len += (uint32_t)n;
    return n;
}

int agw_chain_copy(struct agw_chain *c, struct agw_block_pool *pool, const void *p, size_t n)
{
    const unsigned char *at = p;
    size_t room = tail_room(c);
    if (n == 0)
        return 0;
    size_t count = n > room ? (n - room + AGW_BLOCK_SIZE - 1) / AGW_BLOCK_SIZE : 0;
    int r = reserve(c, count);
    if (r)
        return r;
    struct agw_block *list = get_list(pool, count);
    if (count && !list)
        return AGW_ENOMEM;
    if (room) {
        struct agw_slice *s = last(c);
        size_t k = fill(s->block, at, n);
        s->n += k;
        c->bytes += k;
        at += k;
        n -= k;
    }
    while (list) {
        struct agw_block *b = list;
        list = b->next;
        b->next = NULL;
        size_t k = fill(b, at, n);
        push(c, b, b->data, k);
        at += k;
        n -= k;
    }
    return 0;
}

int agw_chain_move(struct agw_chain *to, struct agw_chain *from)
{
    if (from->count == 0)
        return 0;
    if (to->count == 0 && from->v) {
        free(to->v);
        *to = *from;
        agw_chain_init(from);
        return 0;
    }
    int r = reserve(to, from->count);
    if (r)
        return r;
    struct agw_slice *s = slices(from);
    for (uint32_t i = 0; i < from->count; i++)
        push(to, s[i].block, s[i].p, s[i].n);
    free(from->v);
    agw_chain_init(from);
    return 0;
}

static void drop_first(struct agw_chain *c, uint32_t count, size_t bytes)
{
    c->first += count;
    c->count -= count;
    c->bytes -= bytes;
    if (c->count == 0) { /* an empty chain holds no memory */
        free(c->v);
        agw_chain_init(c);
    }
}

int agw_chain_move_n(struct agw_chain *to, struct agw_chain *from, size_t n)
{
    agw_check(n <= from->bytes);
    if (n == from->bytes)
        return agw_chain_move(to, from);
    struct agw_slice *s = slices(from);
    uint32_t whole = 0;
    size_t rest = n;
    while (rest >= s[whole].n)
        rest -= s[whole++].n;
    int r = reserve(to, (size_t)whole + (rest > 0));
    if (r)
        return r;
    for (uint32_t i = 0; i < whole; i++)
        push(to, s[i].block, s[i].p, s[i].n);
    if (rest) {
        struct agw_slice *part = &s[whole];
        push(to, part->block ? agw_block_ref(part->block) : NULL, part->p, rest);
        part->p += rest;
        part->n -= rest;
    }
    drop_first(from, whole, n);
    return 0;
}

void agw_chain_consume(struct agw_chain *c, size_t n)
{
    agw_check(n <= c->bytes);
    struct agw_slice *s = slices(c);
    uint32_t whole = 0;
    size_t rest = n;
    while (whole < c->count && rest >= s[whole].n) {
        rest -= s[whole].n;
        agw_block_unref(s[whole++].block);
    }
    if (rest) {
        s[whole].p += rest;
        s[whole].n -= rest;
    }
    drop_first(c, whole, n);
}

const struct agw_slice *agw_chain_at(const struct agw_chain *c, uint32_t i)
{
    agw_check(i < c->count);
    return (c->v ? c->v : c->in) + c->first + i;
}

int agw_chain_iov(const struct agw_chain *c, struct iovec *iov, int max)
{
    const struct agw_slice *s = (c->v ? c->v : c->in) + c->first;
    int n = 0;
    for (; n < max && (uint32_t)n < c->count; n++)
        iov[n] = (struct iovec){(void *)(uintptr_t)s[n].p, s[n].n};
    return n;
}

size_t agw_chain_peek(const struct agw_chain *c, void *out, size_t n)
{
    const struct agw_slice *s = (c->v ? c->v : c->in) + c->first;
    char *at = out;
    if (n > c->bytes)
        n = c->bytes;
    for (size_t left = n, k; left; left -= k, at += k, s++) {
        k = left < s->n ? left : s->n;
        memcpy(at, s->p, k);
    }
    return n;
}

int agw_chain_flatten(struct agw_chain *c, struct agw_block **ret_block, struct agw_str *ret_bytes)
{
    if (c->count == 1) {
        const struct agw_slice *s = agw_chain_at(c, 0);
        *ret_block = s->block ? agw_block_ref(s->block) : NULL;
        *ret_bytes = agw_str((const char *)s->p, s->n);
    } else {
        struct agw_block *b = agw_block_new(c->bytes ? c->bytes : 1);
        if (!b)
            return AGW_ENOMEM;
        b->len = (uint32_t)agw_chain_peek(c, b->data, c->bytes);
        *ret_block = b;
        *ret_bytes = agw_str((const char *)b->data, b->len);
    }
    agw_chain_clear(c);
    return 0;
}
