#include "base/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/check.h"

#define ALIGN 16
#define BLOCK_MAX 65536 /* blocks stop doubling here */
#define BLOCK_MIN 256

struct agw_arena_block {
    struct agw_arena_block *older;
    size_t size; /* with this header; more than BLOCK_MAX or the next size: made for one request */
    _Alignas(ALIGN) char data[];
};

void agw_arena_init(struct agw_arena *a, size_t first, size_t limit)
{
    if (first < BLOCK_MIN)
        first = BLOCK_MIN;
    *a = (struct agw_arena){.first = (first + ALIGN - 1) / ALIGN * ALIGN, .limit = limit};
}

static bool over_limit(const struct agw_arena *a, size_t n)
{
    return a->limit && (n > a->limit || a->used > a->limit - n);
}

static void free_blocks(struct agw_arena_block *b)
{
    while (b) {
        struct agw_arena_block *older = b->older;
        free(b);
        b = older;
    }
}

#ifdef AGW_ARENA_MALLOC

void *agw_arena_alloc(struct agw_arena *a, size_t n)
{
    struct agw_arena_block *b;
    if (n > PTRDIFF_MAX - sizeof(*b) || over_limit(a, n) || !(b = malloc(sizeof(*b) + n)))
        return NULL;
    b->older = a->blocks;
    b->size = sizeof(*b) + n;
    a->blocks = b;
    a->used += n;
    return b->data;
}

void agw_arena_reset(struct agw_arena *a)
{
    agw_arena_free(a);
}

#else

static struct agw_arena_block *block_new(size_t size)
{
    struct agw_arena_block *b = malloc(size);
    if (b)
        b->size = size;
    return b;
}

/* Only the list's first block serves small requests. One that is bigger than the next block would be goes
 * behind it. */
static size_t next_size(const struct agw_arena *a)
{
    if (!a->end)
        return a->first;
    size_t size = a->blocks->size;
    return size >= BLOCK_MAX ? size : size * 2 < BLOCK_MAX ? size * 2 : BLOCK_MAX;
}

static void *alloc_apart(struct agw_arena *a, size_t n)
{
    struct agw_arena_block *b = block_new(sizeof(*b) + n);
    if (!b)
        return NULL;
    struct agw_arena_block **at = a->end ? &a->blocks->older : &a->blocks;
    b->older = *at;
    *at = b;
    a->used += n;
    return b->data;
}

static void open_block(struct agw_arena *a, struct agw_arena_block *b)
{
    a->next = b->data;
    a->end = (char *)b + b->size;
}

static __attribute__((noinline)) void *alloc_slow(struct agw_arena *a, size_t n)
{
    size_t size = next_size(a);
    if (n > size - sizeof(struct agw_arena_block))
        return alloc_apart(a, n);
    struct agw_arena_block *b = block_new(size);
    if (!b)
        return NULL;
    b->older = a->blocks;
    a->blocks = b;
    open_block(a, b);
    char *p = a->next;
    a->next += n;
    a->used += n;
    return p;
}

void *agw_arena_alloc(struct agw_arena *a, size_t n)
{
    if (agw_unlikely(n > PTRDIFF_MAX / 2))
        return NULL;
    n = n ? (n + ALIGN - 1) & ~(size_t)(ALIGN - 1) : ALIGN;
    if (agw_unlikely(over_limit(a, n)))
        return NULL;
    if (agw_unlikely((size_t)(a->end - a->next) < n))
        return alloc_slow(a, n);
    char *p = a->next;
    a->next += n;
    a->used += n;
    return p;
}

void agw_arena_reset(struct agw_arena *a)
{
    struct agw_arena_block *b = a->blocks, *first = NULL;
    while (b) {
        struct agw_arena_block *older = b->older;
        if (b->size == a->first && !first)
            first = b;
        else
            free(b);
        b = older;
    }
    a->blocks = first;
    a->next = a->end = NULL;
    a->used = 0;
    if (first) {
        first->older = NULL;
        open_block(a, first);
    }
}

#endif

void agw_arena_free(struct agw_arena *a)
{
    free_blocks(a->blocks);
    a->blocks = NULL;
    a->next = a->end = NULL;
    a->used = 0;
}

void *agw_arena_zalloc(struct agw_arena *a, size_t n)
{
    void *p = agw_arena_alloc(a, n);
    return p ? memset(p, 0, n) : NULL;
}

void *agw_arena_copy(struct agw_arena *a, const void *p, size_t n)
{
    void *copy = agw_arena_alloc(a, n);
    if (copy && n)
        memcpy(copy, p, n);
    return copy;
}

struct agw_str agw_arena_str(struct agw_arena *a, struct agw_str s)
{
    return agw_arena_join(a, &s, 1);
}

struct agw_str agw_arena_lower(struct agw_arena *a, struct agw_str s)
{
    char *p = s.n < SIZE_MAX ? agw_arena_alloc(a, s.n + 1) : NULL;
    if (!p)
        return (struct agw_str){NULL, 0};
    for (size_t i = 0; i < s.n; i++)
        p[i] = s.p[i] >= 'A' && s.p[i] <= 'Z' ? (char)(s.p[i] | 0x20) : s.p[i];
    p[s.n] = 0;
    return agw_str(p, s.n);
}

struct agw_str agw_arena_printf(struct agw_arena *a, const char *format, ...)
{
    char small[256];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(small, sizeof(small), format, args);
    va_end(args);
    if (n < 0)
        return (struct agw_str){NULL, 0};
    if ((size_t)n < sizeof(small))
        return agw_arena_str(a, agw_str(small, (size_t)n));
    char *p = agw_arena_alloc(a, (size_t)n + 1);
    if (!p)
        return (struct agw_str){NULL, 0};
    va_start(args, format);
    vsnprintf(p, (size_t)n + 1, format, args);
    va_end(args);
    return agw_str(p, (size_t)n);
}

struct agw_str agw_arena_join(struct agw_arena *a, const struct agw_str *parts, size_t count)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        if (__builtin_add_overflow(n, parts[i].n, &n))
            return (struct agw_str){NULL, 0};
    }
    char *p = n < SIZE_MAX ? agw_arena_alloc(a, n + 1) : NULL;
    if (!p)
        return (struct agw_str){NULL, 0};
    char *at = p;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].n)
            memcpy(at, parts[i].p, parts[i].n);
        at += parts[i].n;
    }
    *at = 0;
    return agw_str(p, n);
}
