/* The parts of one translation. Functions return 0 or AGW_ENOMEM; everything else becomes a finding. */
#ifndef AGW_GWAPI_GWAPI_INT_H
#define AGW_GWAPI_GWAPI_INT_H

#include "gwapi/gwapi.h"
#include "gwapi/object/names.h"

#define AGW_SERVICE_NAME_LABEL "kubernetes.io/service-name" /* on an EndpointSlice: whose it is */

/* What a listener's protocol means. */
struct agw_gwapi_listen_protocol {
    const char *name;
    Pb__Protocol wire;
    Pb__Bind__Protocol bind;
    const char *routes;             /* kinds of route that it takes, with spaces between */
    const char *passthrough_routes; /* the same if TLS is passed through; NULL: it never is */
};

struct agw_gwapi_listener {
    const struct agw_node *node;
    const struct agw_gwapi_listen_protocol *protocol; /* NULL: one that is not served */
    struct agw_str key, name, hostname;
    uint16_t port;
    bool passthrough;                         /* TLS is not ended here */
    bool serves;                              /* false: no resource is made, routes find nobody */
    uint32_t attached;                        /* routes */
    struct agw_gwapi_attachment *http, *grpc; /* what was accepted of either kind, by |peer| */
};

struct agw_gwapi_gateway {
    struct agw_gwapi_gateway *next;
    const struct agw_object *object;
    struct agw_gwapi_listener *listeners;
    uint32_t listener_count;
    struct agw_addr *addrs; /* none: all */
    uint32_t addr_count;
    ProtobufCBinaryData client_cert, client_key; /* shown to backends over TLS; empty: none */
};

struct agw_translate {
    const struct agw_objects *objects;
    struct agw_resource_set *out;
    struct agw_gwapi_report *report;
    struct agw_arena arena;                    /* messages while they are made */
    struct agw_gwapi_gateway *gateways;        /* ours, oldest first */
    struct agw_gwapi_backend_tls *backend_tls; /* by BackendTLSPolicies, first the one that counts */
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

/* --- steps, in their order --- */
int agw_gwapi_services(struct agw_translate *t);
int agw_gwapi_backends(struct agw_translate *t);
int agw_gwapi_gateways(struct agw_translate *t);
int agw_gwapi_frontends(struct agw_translate *t); /* policies about gateways, which are known */
int agw_gwapi_backend_tls_policies(struct agw_translate *t);
int agw_gwapi_http_routes(struct agw_translate *t);
int agw_gwapi_l4_routes(struct agw_translate *t);
int agw_gwapi_policies(struct agw_translate *t);
int agw_gwapi_report_attached(struct agw_translate *t); /* after all kinds of route */

/* --- gateway.c --- */
/* True if the listener serves routes of this kind and its allowedRoutes do not leave it out. */
bool agw_gwapi_takes(const struct agw_gwapi_listener *l, struct agw_str kind);

/* --- service.c --- */
enum agw_gwapi_protocol { AGW_APP_PLAIN, AGW_APP_A2A, AGW_APP_MCP, AGW_APP_MCP_SSE, AGW_APP_UNSERVED };
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

/* --- reference.c --- */
/* True if an object of |kind| (Gateway API's group) in |from_ns| may refer to |to_ns|/|name|. */
bool agw_gwapi_granted(const struct agw_objects *objects, const char *kind, struct agw_str from_ns,
                       struct agw_str group, struct agw_str to_kind, struct agw_str to_ns,
                       struct agw_str name);
struct agw_gwapi_refusal {
    const char *reason; /* NULL: resolved */
    struct agw_str message;
};
/* Resolves a backendRef of |route|. *ret_ref has no kind when it does not resolve: such a share answers 500,
 * or closes connections. */
int agw_gwapi_backend_ref(struct agw_translate *t, const struct agw_object *route, const struct agw_node *ref,
                          Pb__BackendReference **ret_ref, struct agw_gwapi_refusal *ret_refusal);

/* --- secret.c --- */
/* Certificate and key of a Secret of type kubernetes.io/tls; AGW_EINVAL with a reason when they are not
 * there. */
int agw_gwapi_tls_secret(struct agw_translate *t, const struct agw_object *secret,
                         ProtobufCBinaryData *ret_cert, ProtobufCBinaryData *ret_key, const char **ret_why);
/* The listener's tls section, and what the Gateway asks of clients on |port|. *ret_tls has no certificate
 * when all references fail, so that handshakes are refused; |ret_refusal| is the first that does. */
int agw_gwapi_listener_tls(struct agw_translate *t, const struct agw_object *gateway,
                           const struct agw_gwapi_listener *l, Pb__TLSConfig **ret_tls,
                           struct agw_gwapi_refusal *ret_refusal);
/* The Gateway's client certificate for backends. */
int agw_gwapi_client_cert(struct agw_translate *t, struct agw_gwapi_gateway *g);
/* The certificates of a list of references to ConfigMaps (and Secrets) with a ca.crt, joined; empty when none
 * is good. |ret_refusal|: the first that is not, with |kind_reason| for one to another kind. */
int agw_gwapi_ca_refs(struct agw_translate *t, const struct agw_object *from, const struct agw_node *list,
                      const char *kind_reason, ProtobufCBinaryData *ret_pem,
                      struct agw_gwapi_refusal *ret_refusal);
/* Policies health and tcp, each to a message of its own. AGW_ENOMEM. */
int agw_gwapi_backend_health(struct agw_translate *t, const struct agw_node *health,
                             Pb__BackendPolicySpec *spec);
int agw_gwapi_backend_tcp(struct agw_translate *t, const struct agw_node *tcp, Pb__BackendPolicySpec *spec);
/* Policies http, tls, tcp and health of an AgentgatewayBackend; |ret_why| is set when one cannot be made: the
 * backend must not be reached without it. */
int agw_gwapi_backend_policies(struct agw_translate *t, const struct agw_object *backend,
                               const struct agw_node *policies, Pb__BackendPolicySpec ***ret_specs,
                               size_t *ret_count, const char **ret_why);

/* --- http_route.c --- */
/* A reference at |at| does not resolve: so for all parents of the route. |what| follows. */
void agw_gwapi_refs_condition(struct agw_translate *t, const struct agw_object *route,
                              const struct agw_node *at, const struct agw_gwapi_refusal *refusal,
                              const char *what);

/* --- filter.c --- */
/* The filters of a rule of |route|. *ret_unserved is the first that is not served: the rule must answer 500
 * then. */
int agw_gwapi_rule_filters(struct agw_translate *t, const struct agw_object *route,
                           const struct agw_node *rule, Pb__TrafficPolicySpec ***ret_specs, size_t *ret_count,
                           const struct agw_node **ret_unserved);
/* The same for those of a backendRef. */
int agw_gwapi_ref_filters(struct agw_translate *t, const struct agw_object *route, const struct agw_node *ref,
                          Pb__BackendPolicySpec ***ret_specs, size_t *ret_count,
                          const struct agw_node **ret_unserved);
/* From the fields of a filter; NULL when memory is out. */
Pb__HeaderModifier *agw_gwapi_header_modifier(struct agw_translate *t, const struct agw_node *n);
Pb__CORS *agw_gwapi_cors(struct agw_translate *t, const struct agw_node *n);
Pb__Retry *agw_gwapi_retry(struct agw_translate *t, const struct agw_node *n);
/* A duration message, NULL for 0 ("0s" means none) or when memory is out. */
Google__Protobuf__Duration *agw_gwapi_duration(struct agw_translate *t, struct agw_str text);

/* --- backend_tls_policy.c --- */
/* |route|, or a copy for the listeners of |g| whose backends are shown the Gateway's client certificate. */
int agw_gwapi_show_client_cert(struct agw_translate *t, const struct agw_gwapi_gateway *g, Pb__Route *route,
                               Pb__Route **ret_route);

/* --- http_route.c --- */
int agw_gwapi_matches(struct agw_translate *t, const struct agw_node *rule, Pb__RouteMatch ***ret_matches,
                      size_t *ret_count);

/* Conditions on headers of a rule's match. */
int agw_gwapi_header_matches(struct agw_translate *t, const struct agw_node *list, Pb__RouteMatch *out);

/* http_route.c: as agw_gwapi_matches, for a rule of a GRPCRoute. */
int agw_gwapi_grpc_matches(struct agw_translate *t, const struct agw_node *rule,
                           Pb__RouteMatch ***ret_matches, size_t *ret_count);

/* --- attach.c --- */
/* A listener that a route is attached to, and the hostnames that they share (none: any). */
struct agw_gwapi_attachment {
    struct agw_gwapi_attachment *next;
    struct agw_gwapi_attachment *peer; /* of the same kind on the same listener */
    struct agw_gwapi_gateway *gateway;
    struct agw_gwapi_listener *listener;
    char **hostnames;
    size_t hostname_count;
};
/* Finds the listeners of all parents of |route|, each once; records why others refuse it. HTTPRoutes and
 * GRPCRoutes come oldest first: of two whose hostnames meet on a listener the later is refused there. */
int agw_gwapi_attach(struct agw_translate *t, const struct agw_object *route,
                     struct agw_gwapi_attachment **ret_first);

#endif
