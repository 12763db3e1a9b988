/* Body bytes: reference-counted blocks, slices of them, and chains of slices that move without copying.
 *
 * Invariants: a slice holds one reference on its block; a chain owns its slices; chain.bytes is the sum of
 * the slices' lengths; no slice in a chain is empty. Threads: blocks, pools and chains belong to one worker;
 * reference counts are not atomic. Errors: NULL or AGW_ENOMEM when memory is out; then nothing was changed.
 */
#ifndef AGW_BASE_BUF_H
#define AGW_BASE_BUF_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include "base/str.h"

#define AGW_BLOCK_SIZE 16384 /* data bytes of a pooled block: one TLS record, one HTTP/2 default frame */

struct agw_block_pool;

struct agw_block {
    uint32_t refs;
    uint32_t cap;                /* bytes of data */
    uint32_t len;                /* bytes written so far; a reader fills data[len..cap) */
    struct agw_block_pool *pool; /* NULL: goes back to malloc */
    struct agw_block *next;      /* in the pool's free list */
    unsigned char data[];
};

/* Recycles blocks of AGW_BLOCK_SIZE; keeps at most |keep| idle ones. Owned by one worker. */
struct agw_block_pool {
    struct agw_block *free;
    unsigned idle, keep;
    unsigned live; /* blocks now in use, for metrics and leak tests */
};

void agw_block_pool_init(struct agw_block_pool *pool, unsigned keep);
void agw_block_pool_free(struct agw_block_pool *pool); /* agw_check: no live block */
struct agw_block *agw_block_get(struct agw_block_pool *pool);
struct agw_block *agw_block_new(size_t cap); /* any size, from malloc */
static inline struct agw_block *agw_block_ref(struct agw_block *b)
{
    b->refs++;
    return b;
}
void agw_block_unref(struct agw_block *b); /* NULL is fine */

struct agw_slice {
    struct agw_block *block; /* NULL: static bytes that outlive everything */
    const unsigned char *p;
    size_t n;
};

#define AGW_CHAIN_INLINE 4

struct agw_chain {
    struct agw_slice *v; /* NULL while the inline slices are in use */
    uint32_t first, count, cap;
    size_t bytes;
    struct agw_slice in[AGW_CHAIN_INLINE];
};

void agw_chain_init(struct agw_chain *c);
void agw_chain_clear(struct agw_chain *c); /* drops all slices; the chain is empty and usable */
static inline bool agw_chain_empty(const struct agw_chain *c)
{
    return c->bytes == 0;
}
/* Appends; takes its own reference on |block|. Neighbouring slices of one block are joined. n == 0 is a
 * no-op. */
int agw_chain_add(struct agw_chain *c, struct agw_block *block, const void *p, size_t n);
/* Appends bytes that live for ever (literals). */
int agw_chain_add_static(struct agw_chain *c, const void *p, size_t n);
/* Copies |n| bytes into blocks of |pool|, filling the chain's last block first if it alone holds it. */
int agw_chain_copy(struct agw_chain *c, struct agw_block_pool *pool, const void *p, size_t n);
/* Moves all of |from| (or its first |n| bytes) to the end of |to|; |from| keeps the rest. */
int agw_chain_move(struct agw_chain *to, struct agw_chain *from);
int agw_chain_move_n(struct agw_chain *to, struct agw_chain *from, size_t n);
/* Drops the first |n| bytes (n <= bytes). */
void agw_chain_consume(struct agw_chain *c, size_t n);
/* The i-th slice, i < count. */
const struct agw_slice *agw_chain_at(const struct agw_chain *c, uint32_t i);
/* Fills |iov| with up to |max| slices from the front; returns how many. */
int agw_chain_iov(const struct agw_chain *c, struct iovec *iov, int max);
/* All bytes of |c|, which is empty afterwards, in one piece: the slice itself if there is but one, else a
 * copy. *ret_block, the caller's reference, holds them; it may be NULL for static bytes. AGW_ENOMEM: |c| is
 * as it was. */
int agw_chain_flatten(struct agw_chain *c, struct agw_block **ret_block, struct agw_str *ret_bytes);
/* Copies the first min(n, bytes) bytes out; returns how many. The chain is unchanged. */
size_t agw_chain_peek(const struct agw_chain *c, void *out, size_t n);

#endif
