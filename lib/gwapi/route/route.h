/* Routes: their matches and filters, and the listeners that they are attached to. Conventions as in
 * gwapi/base/translate.h. */
#ifndef AGW_GWAPI_ROUTE_ROUTE_H
#define AGW_GWAPI_ROUTE_ROUTE_H

#include "gwapi/backend/backend.h"
#include "gwapi/base/translate.h"
#include "gwapi/listener/listener.h"
#include "gwapi/policy/policy.h"

int agw_gwapi_http_routes(struct agw_translate *t);
int agw_gwapi_l4_routes(struct agw_translate *t);

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

/* --- match.c --- */
int agw_gwapi_matches(struct agw_translate *t, const struct agw_node *rule, Pb__RouteMatch ***ret_matches,
                      size_t *ret_count);

/* Conditions on headers of a rule's match. */
int agw_gwapi_header_matches(struct agw_translate *t, const struct agw_node *list, Pb__RouteMatch *out);

/* As agw_gwapi_matches, for a rule of a GRPCRoute. */
int agw_gwapi_grpc_matches(struct agw_translate *t, const struct agw_node *rule,
                           Pb__RouteMatch ***ret_matches, size_t *ret_count);

/* --- attach.c --- */
/* A listener that a route is attached to, and the hostnames that they share (none: any). */
struct agw_gwapi_attachment {
    struct agw_gwapi_attachment *next;
    struct agw_gwapi_attachment *peer; /* of the same kind on the same listener */
    const struct agw_gwapi_parent *parent;
    struct agw_gwapi_listener *listener;
    char **hostnames;
    size_t hostname_count;
};
/* Finds the listeners of all parents of |route|, each once; records why others refuse it. HTTPRoutes and
 * GRPCRoutes come oldest first: of two whose hostnames meet on a listener the later is refused there. */
int agw_gwapi_attach(struct agw_translate *t, const struct agw_object *route,
                     struct agw_gwapi_attachment **ret_first);
/* What the resources of |route| are named by; |rule| may be NULL. */
int agw_gwapi_route_name(struct agw_translate *t, const struct agw_object *route, const struct agw_node *rule,
                         Pb__RouteName **ret_name);
/* The key of a route on a listener: |key|, which names route, rule and listener; with the ListenerSet's name
 * too if it is one's, with the Gateway's when listeners of two Gateways are called the same. */
char *agw_gwapi_route_key(struct agw_translate *t, enum agw_resource_kind kind, char *key,
                          const struct agw_gwapi_attachment *a);

#endif
