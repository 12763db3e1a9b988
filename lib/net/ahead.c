#include "net/ahead.h"

#include <stdlib.h>
#include <string.h>

#define FIRST 512 /* an ordinary ClientHello or PROXY header */

void agw_ahead_free(struct agw_ahead *a)
{
    free(a->p);
    *a = (struct agw_ahead){0};
}

static int grow(struct agw_ahead *a, size_t max)
{
    size_t cap = a->cap ? a->cap * 2 : FIRST;
    unsigned char *p;

    if (a->n >= max)
        return AGW_ELIMIT;
    if (cap > max)
        cap = max;
    p = realloc(a->p, cap);
    if (!p)
        return AGW_ENOMEM;
    a->p = p;
    a->cap = cap;
    return 0;
}

int agw_ahead_fill(struct agw_ahead *a, struct agw_filter *below, size_t max)
{
    if (a->n == a->cap) {
        int rc = grow(a, max);
        if (rc)
            return rc;
    }
    ssize_t got = below->ops->read(below, a->p + a->n, a->cap - a->n);
    if (got < 0)
        return (int)got;
    a->n += (size_t)got;
    return 0;
}

ssize_t agw_ahead_read(struct agw_ahead *a, struct agw_filter *below, void *buf, size_t n)
{
    size_t left = a->n - a->at;

    if (left == 0)
        return below->ops->read(below, buf, n);
    if (n > left)
        n = left;
    memcpy(buf, a->p + a->at, n);
    a->at += n;
    if (n == left)
        agw_ahead_free(a);
    return (ssize_t)n;
}
