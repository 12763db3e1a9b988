/* Kubernetes objects: what a manifest or the API server says, checked against its kind's schema and indexed.
 *
 * Ownership: objects live in the arena of their set, next to the nodes they point to. Threads: one at a time;
 * read-only once loaded. Errors: AGW_ENOMEM; what is wrong with an object goes to the report and the object
 * is left out. */
#ifndef AGW_GWAPI_OBJECT_OBJECT_H
#define AGW_GWAPI_OBJECT_OBJECT_H

#include "base/map.h"
#include "gwapi/schema/object.h"

struct agw_objects {
    struct agw_arena *arena;
    struct agw_object *first[AGW_KIND_COUNT];
    struct agw_map by_key; /* "Kind/ns/name" */
    uint32_t count;
};

void agw_objects_init(struct agw_objects *set, struct agw_arena *arena);
void agw_objects_free(struct agw_objects *set);

/* Takes a document: one object, or a List of them. |file| and |doc| must live as long as the set. Objects of
 * kinds that change nothing here are noted and left out; objects with errors are reported and left out. */
int agw_objects_add(struct agw_objects *set, const char *file, const struct agw_node *doc,
                    struct agw_report *report);
/* Brings each kind's list in order (struct agw_object, |next|); call it after the last add. */
void agw_objects_sort(struct agw_objects *set);
/* NULL when absent. |ns| is ignored for kinds without namespace. */
const struct agw_object *agw_objects_get(const struct agw_objects *set, enum agw_kind kind, struct agw_str ns,
                                         struct agw_str name);
/* True if |a| comes before |b|: it is older, or as old and its namespace and name come first. */
bool agw_object_before(const struct agw_object *a, const struct agw_object *b);
#define agw_objects_each(pos, set, of_kind) for ((pos) = (set)->first[of_kind]; (pos); (pos) = (pos)->next)

/* A label or annotation of the object, empty when absent. */
struct agw_str agw_object_label(const struct agw_object *o, const char *name);
struct agw_str agw_object_annotation(const struct agw_object *o, const char *name);
/* Evaluates a metav1.LabelSelector against the labels of |o| (NULL: no labels). An empty selector matches
 * all. */
bool agw_object_selected(const struct agw_object *o, const struct agw_node *selector);
/* The same for the namespace |ns|, declared or not. As in a cluster it carries its name as the label
 * kubernetes.io/metadata.name. */
bool agw_namespace_selected(const struct agw_objects *set, struct agw_str ns,
                            const struct agw_node *selector);

#endif
