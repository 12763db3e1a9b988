/* Bytes read from a connection and not yet understood.
 *
 * All connections of a loop read into one shared block, so that the memory stays hot in cache and an idle
 * connection holds none. Only what is left of an incomplete message is kept in a block of the connection's
 * own. Ownership: the connection embeds one; agw_input_free at its end. Threads: the loop's own. */
#ifndef AGW_NET_INPUT_H
#define AGW_NET_INPUT_H

#include "base/buf.h"
#include "net/conn.h"

struct agw_input {
    struct agw_block *block; /* a reference; NULL when empty */
    const unsigned char *p;  /* the bytes not yet taken: contiguous, inside |block| */
    size_t n;
    bool own; /* |block| is this connection's alone */
};

void agw_input_init(struct agw_input *in);
void agw_input_free(struct agw_input *in);
/* Reads once and adds the bytes to p..p+n. 0, AGW_EAGAIN, AGW_EEOF, AGW_ELIMIT (n would exceed |max|),
 * another error. */
int agw_input_fill(struct agw_input *in, struct agw_conn *c, size_t max);
/* The first |n| bytes are done with (slices of |block| may live on). */
static inline void agw_input_take(struct agw_input *in, size_t n)
{
    if (n == 0) /* |p| may be NULL */
        return;
    in->p += n;
    in->n -= n;
}
/* Before returning to the loop: gives the block back, or keeps a private copy of what is left. AGW_ENOMEM. */
int agw_input_park(struct agw_input *in, struct agw_loop *loop);

#endif
