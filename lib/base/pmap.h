/* Persistent hash map: a copy costs nothing and shares all nodes; a change copies the path to what changes,
 * about log32(n) small nodes, or changes in place what no copy shares. A hash array mapped trie.
 *
 * Values begin with a struct agw_shared and hold their key as a struct agw_str at |key_offset|, which does
 * not change while they are in a map. Ownership: a map holds a reference on each value. Threads: one thread
 * changes and copies maps; any may look things up in a copy that the changing thread keeps for it.
 * Errors: AGW_ENOMEM; the map then holds what it held. */
#ifndef AGW_BASE_PMAP_H
#define AGW_BASE_PMAP_H

#include <stdbool.h>
#include "base/shared.h"
#include "base/str.h"

struct agw_pmap_node;

struct agw_pmap {
    struct agw_pmap_node *root;
    uint32_t count;
    uint32_t key_offset; /* of the struct agw_str in a value, bytes */
};

void agw_pmap_init(struct agw_pmap *m, size_t key_offset); /* allocates nothing */
void agw_pmap_free(struct agw_pmap *m);                    /* gives all references back; empty afterwards */
/* Makes |copy| (uninitialised) another map with the same content. */
void agw_pmap_copy(struct agw_pmap *copy, const struct agw_pmap *m);

/* |hash|: of the key, always by the same function for one map. NULL when absent. */
void *agw_pmap_get(const struct agw_pmap *m, uint64_t hash, struct agw_str key);
/* Sets or replaces what has the key of |value|; takes a reference of its own. |*ret_added|, which may be
 * NULL: it was not there before. */
int agw_pmap_put(struct agw_pmap *m, uint64_t hash, void *value, bool *ret_added);
/* Removes; an absent key is fine. A node that a copy shares must be copied: AGW_ENOMEM. */
int agw_pmap_remove(struct agw_pmap *m, uint64_t hash, struct agw_str key);
/* Calls |fn| for each value, in no order, until one answers non-zero, which is returned. The map may not be
 * changed meanwhile. */
int agw_pmap_each(const struct agw_pmap *m, int (*fn)(void *ctx, void *value), void *ctx);
/* Calls |fn| for each key that has different values (objects) in |a| and |b|; NULL stands for absent. What
 * both maps share is skipped unseen, so that comparing a map with a changed copy costs what the change cost.
 * Stops as agw_pmap_each does. */
int agw_pmap_diff(const struct agw_pmap *a, const struct agw_pmap *b,
                  int (*fn)(void *ctx, void *in_a, void *in_b), void *ctx);

#endif
