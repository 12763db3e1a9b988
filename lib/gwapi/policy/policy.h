/* Policies, and the messages that they share with filters. Conventions as in gwapi/base/translate.h. */
#ifndef AGW_GWAPI_POLICY_POLICY_H
#define AGW_GWAPI_POLICY_POLICY_H

#include "gwapi/backend/backend.h"
#include "gwapi/base/translate.h"

int agw_gwapi_frontends(struct agw_translate *t); /* policies about gateways, which are known */
int agw_gwapi_backend_tls_policies(struct agw_translate *t);
int agw_gwapi_policies(struct agw_translate *t);

/* --- message.c --- */
/* From the fields of a filter; NULL when memory is out. */
Pb__HeaderModifier *agw_gwapi_header_modifier(struct agw_translate *t, const struct agw_node *n);
Pb__CORS *agw_gwapi_cors(struct agw_translate *t, const struct agw_node *n);
Pb__Retry *agw_gwapi_retry(struct agw_translate *t, const struct agw_node *n);

/* --- backend_tls_policy.c --- */
/* |route|, or a copy for the listeners of |g| whose backends are shown the Gateway's client certificate. */
int agw_gwapi_show_client_cert(struct agw_translate *t, const struct agw_gwapi_gateway *g, Pb__Route *route,
                               Pb__Route **ret_route);
/* True if a BackendTLSPolicy says how to speak TLS to |ref|. */
bool agw_gwapi_has_tls(const struct agw_translate *t, const Pb__BackendReference *ref);
/* Has TLS spoken to the Service of |b| when no BackendTLSPolicy says how: with the Service's name, which a
 * certificate of the system's roots must have. */
int agw_gwapi_default_tls(struct agw_translate *t, Pb__RouteBackend *b);

#endif
