/* Kubernetes objects: what a manifest or the API server says, checked against its kind's schema and indexed.
 *
 * Ownership: objects live in the arena of their set, next to the nodes they point to. Threads: one at a time;
 * read-only once loaded. Errors: AGW_ENOMEM; what is wrong with an object goes to the report and the object
 * is left out. */
#ifndef AGW_GWAPI_OBJECT_OBJECT_H
#define AGW_GWAPI_OBJECT_OBJECT_H

#include "base/map.h"
#include "gwapi/object/report.h"
#include "gwapi/object/schema.h"

#define AGW_GROUP_GATEWAY "gateway.networking.k8s.io"
#define AGW_GROUP_AGENTGATEWAY "agentgateway.dev"
#define AGW_DEFAULT_NAMESPACE "default"
/* Younger than anything: an object without a time loses ties to those that have one. */
#define AGW_CREATED_UNKNOWN ((uint64_t)INT64_MAX)

/* X(NAME, "Kind", group, versions, has a namespace, table of fields, rules beyond the table or NULL) */
#define AGW_KIND_LIST(X)                                                                                     \
    X(NAMESPACE, "Namespace", "", "v1", false, agw_fields_namespace, NULL)                                   \
    X(SERVICE, "Service", "", "v1", true, agw_fields_service, agw_rules_service)                             \
    X(SECRET, "Secret", "", "v1", true, agw_fields_secret, agw_rules_secret)                                 \
    X(CONFIG_MAP, "ConfigMap", "", "v1", true, agw_fields_config_map, NULL)                                  \
    X(ENDPOINT_SLICE, "EndpointSlice", "discovery.k8s.io", "v1", true, agw_fields_endpoint_slice,            \
      agw_rules_endpoint_slice)                                                                              \
    X(GATEWAY_CLASS, "GatewayClass", AGW_GROUP_GATEWAY, "v1 v1beta1", false, agw_fields_gateway_class, NULL) \
    X(GATEWAY, "Gateway", AGW_GROUP_GATEWAY, "v1 v1beta1", true, agw_fields_gateway, agw_rules_gateway)      \
    X(HTTP_ROUTE, "HTTPRoute", AGW_GROUP_GATEWAY, "v1 v1beta1", true, agw_fields_http_route,                 \
      agw_rules_http_route)                                                                                  \
    X(GRPC_ROUTE, "GRPCRoute", AGW_GROUP_GATEWAY, "v1", true, agw_fields_grpc_route, agw_rules_grpc_route)   \
    X(TLS_ROUTE, "TLSRoute", AGW_GROUP_GATEWAY, "v1 v1alpha3 v1alpha2", true, agw_fields_tls_route,          \
      agw_rules_l4_route)                                                                                    \
    X(TCP_ROUTE, "TCPRoute", AGW_GROUP_GATEWAY, "v1 v1alpha2", true, agw_fields_tcp_route,                   \
      agw_rules_l4_route)                                                                                    \
    X(REFERENCE_GRANT, "ReferenceGrant", AGW_GROUP_GATEWAY, "v1 v1beta1", true, agw_fields_reference_grant,  \
      NULL)                                                                                                  \
    X(BACKEND_TLS_POLICY, "BackendTLSPolicy", AGW_GROUP_GATEWAY, "v1 v1alpha3", true,                        \
      agw_fields_backend_tls_policy, agw_rules_backend_tls_policy)                                           \
    X(BACKEND, "AgentgatewayBackend", AGW_GROUP_AGENTGATEWAY, "v1alpha1", true, agw_fields_backend,          \
      agw_rules_backend)                                                                                     \
    X(POLICY, "AgentgatewayPolicy", AGW_GROUP_AGENTGATEWAY, "v1alpha1", true, agw_fields_policy,             \
      agw_rules_policy)

enum agw_kind {
#define X(name, kind, group, versions, namespaced, fields, rules) AGW_KIND_##name,
    AGW_KIND_LIST(X)
#undef X
        AGW_KIND_COUNT
};

struct agw_object {
    enum agw_kind kind;
    struct agw_str kind_name, ns, name; /* ns is empty for kinds without namespace */
    const char *file;                   /* where it was read */
    const struct agw_node *node, *spec; /* the whole; its "spec" or NULL */
    uint64_t created_ns;                /* metadata.creationTimestamp since 1970, or AGW_CREATED_UNKNOWN */
    int64_t generation;
    struct agw_object *next; /* of its kind: oldest first, then by namespace and name */
};

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
