/* Services, backends, and the references to them. Conventions as in gwapi/base/translate.h. */
#ifndef AGW_GWAPI_BACKEND_BACKEND_H
#define AGW_GWAPI_BACKEND_BACKEND_H

#include "gwapi/base/translate.h"

#define AGW_SERVICE_NAME_LABEL "kubernetes.io/service-name" /* on an EndpointSlice: whose it is */

/* Services and EndpointSlices to services and workloads. */
int agw_gwapi_services(struct agw_translate *t);
/* AgentgatewayBackends, and Services whose port speaks MCP, to backends. */
int agw_gwapi_backends(struct agw_translate *t);

/* --- service.c --- */
enum agw_gwapi_protocol { AGW_APP_PLAIN, AGW_APP_TLS, AGW_APP_A2A, AGW_APP_MCP, AGW_APP_MCP_SSE };
/* What appProtocol makes of a Service's port. */
enum agw_gwapi_protocol agw_gwapi_app_protocol(const struct agw_node *port);
/* "name.ns.svc.cluster.local" */
char *agw_gwapi_host(struct agw_translate *t, const struct agw_object *service);
/* The Service's port of this number, NULL when there is none. */
const struct agw_node *agw_gwapi_service_port(const struct agw_object *service, int64_t number);
int agw_gwapi_service_ref(struct agw_translate *t, const struct agw_object *service, uint32_t port,
                          Pb__BackendReference **ret_ref);

/* --- backend.c --- */
/* An MCP target for a Service's port. */
int agw_gwapi_service_target(struct agw_translate *t, const struct agw_object *service,
                             const struct agw_node *port, Pb__MCPTarget **ret_target);
/* Key of the backend made of a Service's port with appProtocol agentgateway.dev/mcp. */
char *agw_gwapi_service_backend_key(struct agw_translate *t, const struct agw_object *service, uint32_t port);

/* --- backend_ref.c --- */
/* Resolves a backendRef of |route|. *ret_ref has no kind when it does not resolve: such a share answers 500,
 * or closes connections. */
int agw_gwapi_backend_ref(struct agw_translate *t, const struct agw_object *route, const struct agw_node *ref,
                          Pb__BackendReference **ret_ref, struct agw_gwapi_refusal *ret_refusal);
/* True if |ref| of |route| is to a Service's port whose appProtocol is one over TLS. */
bool agw_gwapi_wants_tls(const struct agw_translate *t, const struct agw_object *route,
                         const struct agw_node *ref);

/* --- mcp_policy.c --- */
/* Fill |spec| from the field `mcp`; no kind is set where it does not say it. */
int agw_gwapi_mcp_authorization(struct agw_translate *t, const struct agw_node *mcp,
                                Pb__BackendPolicySpec *spec);
int agw_gwapi_mcp_authentication(struct agw_translate *t, const struct agw_node *mcp,
                                 Pb__BackendPolicySpec *spec);
/* From the field `jwtAuthentication`. */
int agw_gwapi_jwt(struct agw_translate *t, const struct agw_node *n, Pb__TrafficPolicySpec *spec);
/* From a field `location`; NULL: no memory. */
Pb__AuthorizationLocation *agw_gwapi_location(struct agw_translate *t, const struct agw_node *n);

/* --- auth_policy.c --- */
/* From the field `auth` of |o|. */
int agw_gwapi_backend_auth(struct agw_translate *t, const struct agw_object *o, const struct agw_node *n,
                           Pb__BackendPolicySpec *spec);

/* --- backend_policy.c --- */
/* An AgentgatewayBackend's `policies` or an AgentgatewayPolicy's `backend`; |ret_why| is set when its TLS
 * cannot be made: the backend must not be reached without it, and the data plane refuses it as it is. */
int agw_gwapi_backend_policies(struct agw_translate *t, const struct agw_object *owner,
                               const struct agw_node *policies, Pb__BackendPolicySpec ***ret_specs,
                               size_t *ret_count, const char **ret_why);

#endif
