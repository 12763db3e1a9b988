/* One translation: what its parts share, how they make messages and say what they find.
 *
 * Functions return 0 or AGW_ENOMEM; everything else becomes a finding. Ownership: messages live in the
 * translation's arena until they are put. Threads: one. */
#ifndef AGW_GWAPI_BASE_TRANSLATE_H
#define AGW_GWAPI_BASE_TRANSLATE_H

#include "config/resource.h"
#include "gwapi/base/report.h"
#include "gwapi/object/object.h"
#include "gwapi/schema/names.h"

#define AGW_CONTROLLER_NAME "agentgateway.dev/agentgateway"
#define AGW_CLASS_NAME "agentgateway"

struct agw_gwapi_gateway;
struct agw_gwapi_backend_tls;

struct agw_translate {
    const struct agw_objects *objects;
    struct agw_resource_set *out;
    struct agw_gwapi_report *report;
    struct agw_arena arena;                    /* messages while they are made */
    struct agw_gwapi_gateway *gateways;        /* ours, oldest first */
    struct agw_gwapi_backend_tls *backend_tls; /* by BackendTLSPolicies, first the one that counts */
    const struct agw_object *owner;            /* whose policies are read: where references count from */
    bool failed;                               /* a text could not be copied */
};

/* --- making messages --- */
/* Text for a message field; "" and |failed| when memory is out, which agw_gwapi_put reports. */
char *agw_gwapi_text(struct agw_translate *t, struct agw_str s);
char *agw_gwapi_printf(struct agw_translate *t, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The texts of a list node; |ret_count| gets their number. NULL when memory is out or the list is empty. */
char **agw_gwapi_texts(struct agw_translate *t, const struct agw_node *list, size_t *ret_count);
/* Room for |n| pointers, zeroed; NULL when memory is out. */
void *agw_gwapi_pointers(struct agw_translate *t, size_t n);
/* A message made by its init function, in the arena; NULL when memory is out. */
#define agw_gwapi_new(t, type, init)                                                                         \
    ({                                                                                                       \
        type *made_ = agw_arena_alloc(&(t)->arena, sizeof(type));                                            \
        if (made_)                                                                                           \
            init(made_);                                                                                     \
        made_;                                                                                               \
    })
/* A duration message, NULL for 0 ("0s" means none) or when memory is out. */
Google__Protobuf__Duration *agw_gwapi_duration(struct agw_translate *t, struct agw_str text);
/* Adds to the result. A key that is there already is our mistake and becomes an error in the report. */
int agw_gwapi_put(struct agw_translate *t, enum agw_resource_kind kind, const void *message,
                  const struct agw_side *side);

/* --- findings --- */
/* Where a condition belongs. */
struct agw_gwapi_place {
    const struct agw_object *object;
    struct agw_str part;
    int parent; /* -1: none */
};
/* Records a condition; one with a message is also a warning about |at|. */
void agw_gwapi_condition(struct agw_translate *t, const struct agw_gwapi_place *place,
                         const struct agw_node *at, const char *type, bool status, const char *reason,
                         const char *format, ...) __attribute__((format(printf, 7, 8)));
#define agw_gwapi_warn(t, o, at, ...)                                                                        \
    agw_report_add(&(t)->report->texts, AGW_REPORT_WARNING, o, at, NULL, __VA_ARGS__)

/* --- references --- */
/* True if an object of |kind| (Gateway API's group) in |from_ns| may refer to |to_ns|/|name|. */
bool agw_gwapi_granted(const struct agw_objects *objects, const char *kind, struct agw_str from_ns,
                       struct agw_str group, struct agw_str to_kind, struct agw_str to_ns,
                       struct agw_str name);
struct agw_gwapi_refusal {
    const char *reason; /* NULL: resolved */
    struct agw_str message;
};
/* A reference at |at| does not resolve: so for all parents of the route. |what| follows. */
void agw_gwapi_refs_condition(struct agw_translate *t, const struct agw_object *route,
                              const struct agw_node *at, const struct agw_gwapi_refusal *refusal,
                              const char *what);

#endif
