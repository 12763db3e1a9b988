/* Arena: memory freed all at once, for one request, one connection or one snapshot.
 *
 * Blocks grow from |first| bytes, doubling to 64 KiB; larger requests get a block of their own.
 * Ownership: what an arena hands out lives until agw_arena_reset or agw_arena_free. Threads: one at a time.
 * Errors: NULL when memory is out, or when |limit| bytes would be exceeded.
 * With -Darena_malloc=true each allocation is a malloc of its own, so that ASan sees overruns. */
#ifndef AGW_BASE_ARENA_H
#define AGW_BASE_ARENA_H

#include <stdarg.h>
#include <stddef.h>
#include "base/str.h"

struct agw_arena_block;

struct agw_arena {
    char *next, *end;
    struct agw_arena_block *blocks; /* newest first */
    size_t first;                   /* size of the first block, bytes */
    size_t used;                    /* bytes handed out by all blocks */
    size_t limit;                   /* most bytes to hand out; 0 = no limit */
};

/* Makes an empty arena; allocates nothing yet. */
void agw_arena_init(struct agw_arena *a, size_t first, size_t limit);
/* |n| bytes aligned to 16; uninitialised / zeroed. n == 0 gives a valid unique pointer. */
void *agw_arena_alloc(struct agw_arena *a, size_t n) __attribute__((malloc));
void *agw_arena_zalloc(struct agw_arena *a, size_t n) __attribute__((malloc));
/* Copies; agw_arena_str adds a NUL after the view's end (not counted in n). p is NULL when memory is out. */
void *agw_arena_copy(struct agw_arena *a, const void *p, size_t n);
struct agw_str agw_arena_str(struct agw_arena *a, struct agw_str s);
struct agw_str agw_arena_lower(struct agw_arena *a, struct agw_str s); /* ASCII lower case */
struct agw_str agw_arena_printf(struct agw_arena *a, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Joins |count| views. */
struct agw_str agw_arena_join(struct agw_arena *a, const struct agw_str *parts, size_t count);
/* Frees all but the first block, which is used again. */
void agw_arena_reset(struct agw_arena *a);
/* Frees everything; the arena is empty and may be used again. */
void agw_arena_free(struct agw_arena *a);

#endif
