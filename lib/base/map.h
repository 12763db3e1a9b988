/* Hash map from byte strings to pointers: open addressing, seeded SipHash-1-3 so that a peer cannot choose
 * collisions. Keys are not copied: the caller keeps them alive (often inside the value).
 * Ownership: the map owns its table alone. Threads: one writer, or many readers of a map that no longer
 * changes. Errors: AGW_ENOMEM. Deleting keeps iteration order unspecified. */
#ifndef AGW_BASE_MAP_H
#define AGW_BASE_MAP_H

#include <stdint.h>
#include "base/str.h"

struct agw_map_slot {
    uint64_t hash; /* 0 = never used, 1 = deleted */
    struct agw_str key;
    void *value;
};

struct agw_map {
    struct agw_map_slot *slots;
    uint32_t cap; /* power of two, or 0 */
    uint32_t count, dead;
};

void agw_map_init(struct agw_map *m); /* allocates nothing */
void agw_map_free(struct agw_map *m);
/* NULL when absent. */
void *agw_map_get(const struct agw_map *m, struct agw_str key);
void *agw_map_get_hashed(const struct agw_map *m, struct agw_str key, uint64_t hash);
/* Sets or replaces; on replacing, the stored key becomes |key| too. |value| is not NULL. |ret_old| may be
 * NULL. */
int agw_map_put(struct agw_map *m, struct agw_str key, void *value, void **ret_old);
/* Removes and returns the value, NULL when absent. */
void *agw_map_take(struct agw_map *m, struct agw_str key);
/* Iteration: start with *cursor = 0; NULL at the end. Removing the returned entry is allowed. */
struct agw_map_slot *agw_map_next(const struct agw_map *m, uint32_t *cursor);
/* The seeded hash used by all maps of this process; never 0 or 1. */
uint64_t agw_hash(struct agw_str s);

#endif
