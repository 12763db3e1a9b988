/* Bytes that a filter read before it knew what they are, for whoever reads above it. Ownership: the filter
 * embeds one; agw_ahead_free at its end. Threads: the loop's own. */
#ifndef AGW_NET_AHEAD_H
#define AGW_NET_AHEAD_H

#include "net/conn.h"

struct agw_ahead {
    unsigned char *p;  /* NULL when empty */
    size_t at, n, cap; /* of the |n| bytes at |p|, those before |at| are done with */
};

void agw_ahead_free(struct agw_ahead *a);
/* Reads once from |below| and adds the bytes, of which there are at most |max|. 0, AGW_EAGAIN, AGW_EEOF,
 * AGW_ELIMIT (|max| are there), AGW_ENOMEM, or another error of the read. */
int agw_ahead_fill(struct agw_ahead *a, struct agw_filter *below, size_t max);
/* Gives what is here, then what |below| has. As a filter's read. */
ssize_t agw_ahead_read(struct agw_ahead *a, struct agw_filter *below, void *buf, size_t n);
static inline bool agw_ahead_empty(const struct agw_ahead *a)
{
    return a->at == a->n;
}

#endif
