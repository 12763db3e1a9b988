/* The store: every resource the gateway knows, by id, from all sources. Takes them in any order; joins
 * nothing.
 *
 * The usual turn of a config thread: clone the store, apply what came, compile the clone, then publish and
 * keep it, or free it and stay with the old one. A clone shares all that is not changed, so that it costs
 * nothing, and comparing it with the old store costs what changed. Ownership: the store holds references on
 * its resources. Threads: the config thread; others may read a store that it keeps for them. Errors:
 * AGW_ENOMEM; the store is unchanged then. */
#ifndef AGW_CONFIG_STORE_H
#define AGW_CONFIG_STORE_H

#include "base/pmap.h"
#include "config/resource.h"

/* Sources do not see each other's resources; where ids are equal, the first source in this list counts. */
enum agw_source { AGW_SOURCE_FILES, AGW_SOURCE_XDS, AGW_SOURCES };

struct agw_store {
    struct agw_pmap by_id[AGW_SOURCES]; /* -> struct agw_resource */
};

/* What an apply did, added up by the caller's own struct. */
struct agw_store_change {
    uint32_t added, updated, removed, same;
};

struct agw_store *agw_store_new(void);
struct agw_store *agw_store_clone(const struct agw_store *s);
void agw_store_free(struct agw_store *s);

/* Makes |set| all that |source| says. Resources that say the same as before stay the objects they were. */
int agw_store_replace(struct agw_store *s, enum agw_source source, const struct agw_resource_set *set,
                      struct agw_store_change *change);
/* Adds or updates one; takes its own reference. */
int agw_store_put(struct agw_store *s, enum agw_source source, struct agw_resource *r,
                  struct agw_store_change *change);
/* Removes by id ("route/ns/name.00"); absent ids are fine. */
int agw_store_remove(struct agw_store *s, enum agw_source source, struct agw_str id,
                     struct agw_store_change *change);

uint32_t agw_store_count(const struct agw_store *s);
/* NULL when absent. */
struct agw_resource *agw_store_get(const struct agw_store *s, struct agw_str id);

/* Calls |fn| for each resource that counts, in no order, until one answers non-zero, which is returned. */
int agw_store_each(const struct agw_store *s, int (*fn)(void *ctx, struct agw_resource *r), void *ctx);
/* Calls |fn| for each id that stands for another object in |now| than in |was|: NULL is absent. */
int agw_store_diff(const struct agw_store *was, const struct agw_store *now,
                   int (*fn)(void *ctx, struct agw_resource *was, struct agw_resource *now), void *ctx);

#endif
