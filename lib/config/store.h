/* The store: every resource the gateway knows, by id, from all sources. Takes them in any order; joins
 * nothing.
 *
 * The usual turn of a config thread: clone the store, apply what came, compile the clone, then publish and
 * keep it, or free it and stay with the old one. A clone shares the resources. Ownership: the store holds
 * references on its resources. Threads: the config thread. Errors: AGW_ENOMEM; the store is unchanged then.
 */
#ifndef AGW_CONFIG_STORE_H
#define AGW_CONFIG_STORE_H

#include "config/resource.h"

/* Sources do not see each other's resources; where ids are equal, the first source in this list counts. */
enum agw_source { AGW_SOURCE_FILES, AGW_SOURCE_XDS, AGW_SOURCES };

struct agw_store {
    struct agw_map by_id[AGW_SOURCES]; /* -> struct agw_resource */
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
void agw_store_remove(struct agw_store *s, enum agw_source source, struct agw_str id,
                      struct agw_store_change *change);

uint32_t agw_store_count(const struct agw_store *s);
/* NULL when absent. */
struct agw_resource *agw_store_get(const struct agw_store *s, struct agw_str id);

struct agw_store_cursor {
    unsigned source;
    uint32_t slot;
};
/* All resources that count, in no order: start with a zero cursor; NULL at the end. */
struct agw_resource *agw_store_next(const struct agw_store *s, struct agw_store_cursor *cursor);

#endif
