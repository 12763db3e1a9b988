/* One Kubernetes object and the kinds that there are.
 *
 * Ownership: objects and nodes live in the arena of the set that they are in (gwapi/object/object.h).
 * Threads: read-only once loaded. */
#ifndef AGW_GWAPI_SCHEMA_OBJECT_H
#define AGW_GWAPI_SCHEMA_OBJECT_H

#include "gwapi/schema/report.h"
#include "gwapi/schema/schema.h"

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
    X(LISTENER_SET, "ListenerSet", AGW_GROUP_GATEWAY, "v1", true, agw_fields_listener_set,                   \
      agw_rules_listener_set)                                                                                \
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

#endif
