#include "failmalloc.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

void *__real_malloc(size_t n);
void *__real_calloc(size_t count, size_t n);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t count, size_t n);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_reallocarray(void *p, size_t count, size_t n);

static atomic_long calls;
static atomic_long fail_at;
static atomic_bool fail_later;

static void restart(long n, bool later)
{
    atomic_store(&fail_at, n);
    atomic_store(&fail_later, later);
    atomic_store(&calls, 0);
}

void failmalloc_at(long n)
{
    restart(n, false);
}

void failmalloc_from(long n)
{
    restart(n, true);
}

long failmalloc_count(void)
{
    return atomic_load(&calls);
}

static bool fails(void)
{
    long call = atomic_fetch_add(&calls, 1) + 1;
    long at = atomic_load(&fail_at);
    if (at == 0 || call < at || (call > at && !atomic_load(&fail_later)))
        return false;
    errno = ENOMEM;
    return true;
}

void *__wrap_malloc(size_t n)
{
    return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t count, size_t n)
{
    return fails() ? NULL : __real_calloc(count, n);
}

void *__wrap_realloc(void *p, size_t n)
{
    return fails() ? NULL : __real_realloc(p, n);
}

void *__wrap_reallocarray(void *p, size_t count, size_t n)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, n, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return fails() ? NULL : __real_realloc(p, bytes);
}
