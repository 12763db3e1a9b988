/* GatewayClass, Gateway, ListenerSet, ReferenceGrant; AgentgatewayPolicy as far as it is about a Gateway's
 * front. */
#include "gwapi/kind/kind.h"

static const struct agw_field class_spec[] = {
    AGW_TEXT("controllerName", .required = true, .min = 1, .max = 253),
    AGW_ANY("parametersRef"),
    AGW_TEXT("description", .max = 64),
    AGW_END,
};

const struct agw_field agw_fields_gateway_class[] = {
    AGW_OBJECT(class_spec),
};

/* --- Gateway --- */

static const char *const tls_modes[] = {"Terminate", "Passthrough", NULL};
static const char *const from_namespaces[] = {"All", "Selector", "Same", "None", NULL};

static const struct agw_field listener_tls[] = {
    AGW_TEXT("mode", .one_of = tls_modes),
    AGW_LIST("certificateRefs", agw_fields_secret_ref, .max_items = 64),
    AGW_TEXTS("options"),
    AGW_UNSERVED("frontendValidation"),
    AGW_END,
};

static const struct agw_field route_kind[] = {
    AGW_TEXT("group", AGW_A_GROUP),
    AGW_TEXT("kind", AGW_A_KIND, .required = true),
    AGW_END,
};

static const struct agw_field route_namespaces[] = {
    AGW_TEXT("from", .one_of = from_namespaces),
    AGW_MAP("selector", agw_fields_label_selector),
    AGW_END,
};

static const struct agw_field allowed_routes[] = {
    AGW_MAP("namespaces", route_namespaces),
    AGW_LIST("kinds", route_kind, .max_items = 8),
    AGW_END,
};

static const struct agw_field listener[] = {
    AGW_TEXT("name", AGW_A_SUBDOMAIN, .required = true),
    AGW_TEXT("hostname", .max = 253, AGW_FORM(agw_is_hostname, AGW_HOST_FORM)),
    AGW_INT("port", AGW_A_PORT, .required = true),
    AGW_TEXT("protocol", .required = true, .min = 1, .max = 255),
    AGW_MAP("tls", listener_tls),
    AGW_MAP("allowedRoutes", allowed_routes),
    AGW_END,
};

static const struct agw_field address[] = {
    AGW_TEXT("type", .min = 1, .max = 253),
    AGW_TEXT("value", .max = 253),
    AGW_END,
};

static const struct agw_field frontend_config[] = {
    AGW_MAP("validation", agw_fields_frontend_validation),
    AGW_END,
};

static const struct agw_field frontend_port[] = {
    AGW_INT("port", AGW_A_PORT, .required = true),
    AGW_MAP("tls", frontend_config, .required = true),
    AGW_END,
};

static const struct agw_field frontend_tls[] = {
    AGW_MAP("default", frontend_config, .required = true),
    AGW_LIST("perPort", frontend_port, .max_items = 64),
    AGW_END,
};

static const struct agw_field backend_tls[] = {
    AGW_MAP("clientCertificateRef", agw_fields_secret_ref),
    AGW_END,
};

static const struct agw_field gateway_tls[] = {
    AGW_MAP("frontend", frontend_tls),
    AGW_MAP("backend", backend_tls),
    AGW_END,
};

#define LISTENERS                                                                                            \
    AGW_LIST("listeners", listener, .required = true, .min_items = 1, .max_items = 64, .unique = "name")

static const struct agw_field allowed_listeners[] = {
    AGW_MAP("namespaces", route_namespaces),
    AGW_END,
};

static const struct agw_field gateway_spec[] = {
    AGW_TEXT("gatewayClassName", .required = true, .min = 1, .max = 253),
    LISTENERS,
    AGW_LIST("addresses", address, .max_items = 16),
    AGW_ANY("infrastructure"), /* the deployer's, in a cluster */
    AGW_MAP("tls", gateway_tls),
    AGW_UNSERVED("backendTLS"),
    AGW_MAP("allowedListeners", allowed_listeners),
    AGW_UNSERVED("defaultScope"),
    AGW_END,
};

const struct agw_field agw_fields_gateway[] = {
    AGW_OBJECT(gateway_spec),
};

static const struct agw_field parent_gateway[] = {
    AGW_TEXT("group", AGW_A_GROUP),
    AGW_TEXT("kind", AGW_A_KIND),
    AGW_TEXT("namespace", AGW_A_LABEL),
    AGW_TEXT("name", AGW_A_SUBDOMAIN, .required = true),
    AGW_END,
};

static const struct agw_field set_spec[] = {
    AGW_MAP("parentRef", parent_gateway, .required = true),
    LISTENERS,
    AGW_END,
};

const struct agw_field agw_fields_listener_set[] = {
    AGW_OBJECT(set_spec),
};

static bool same_place(const struct agw_node *a, const struct agw_node *b)
{
    return agw_field_int(a, "port", 0) == agw_field_int(b, "port", 0) &&
           agw_str_eq(agw_node_text(a, "protocol"), agw_node_text(b, "protocol")) &&
           agw_str_eq(agw_node_text(a, "hostname"), agw_node_text(b, "hostname"));
}

/* One member of a listener against its protocol. */
static bool refuse(struct agw_report *r, const struct agw_object *o, const struct agw_node *l,
                   const struct agw_node *at, const char *member, const char *what)
{
    agw_report_error(r, o, at, member, "%s on a listener of protocol %.*s", what,
                     AGW_STRF(agw_node_text(l, "protocol")));
    return false;
}

static bool check_listener(struct agw_report *r, const struct agw_object *o, const struct agw_node *l)
{
    const struct agw_node *tls = agw_field(l, "tls"), *certificates = agw_field(tls, "certificateRefs");
    bool https = agw_field_is(l, "protocol", "HTTPS"), is_tls = https || agw_field_is(l, "protocol", "TLS");
    bool tcp = agw_field_is(l, "protocol", "TCP");

    if (tcp && agw_field(l, "hostname"))
        return refuse(r, o, l, agw_field(l, "hostname"), NULL, "must not be set");
    if (tls && (tcp || agw_field_is(l, "protocol", "HTTP")))
        return refuse(r, o, l, tls, NULL, "must not be set");
    if (!is_tls)
        return true;
    if (agw_field_is(tls, "mode", "Passthrough"))
        return https ? refuse(r, o, l, agw_field(tls, "mode"), NULL, "must be Terminate") : true;
    if (!certificates || certificates->count == 0)
        return refuse(r, o, l, tls ? tls : l, tls ? "certificateRefs" : "tls.certificateRefs", "is required");
    return true;
}

static bool check_addresses(struct agw_report *r, const struct agw_object *o)
{
    const struct agw_node *a, *b, *list = agw_field(o->spec, "addresses");

    agw_node_each (a, list) {
        for (b = list->first; b != a; b = b->next) {
            if (agw_node_text(a, "value").n == 0 ||
                !agw_str_eq(agw_node_text(a, "value"), agw_node_text(b, "value")))
                continue;
            agw_report_error(r, o, agw_field(a, "value"), NULL, "\"%.*s\" is there twice",
                             AGW_STRF(agw_node_text(a, "value")));
            return false;
        }
    }
    return true;
}

static bool check_frontend(struct agw_report *r, const struct agw_object *o)
{
    const struct agw_node *list = agw_field(agw_field(agw_field(o->spec, "tls"), "frontend"), "perPort"), *a,
                          *b;

    agw_node_each (a, list) {
        for (b = list->first; b != a; b = b->next) {
            if (agw_field_int(a, "port", 0) != agw_field_int(b, "port", 0))
                continue;
            agw_report_error(r, o, agw_field(a, "port"), NULL, "is there twice");
            return false;
        }
    }
    return true;
}

static bool check_listeners(struct agw_report *r, const struct agw_object *o)
{
    const struct agw_node *list = agw_field(o->spec, "listeners"), *a, *b;
    bool ok = true;

    agw_node_each (a, list) {
        ok = check_listener(r, o, a) && ok;
        for (b = list->first; b != a; b = b->next) {
            if (!same_place(a, b))
                continue;
            agw_report_error(r, o, a, NULL, "same port, protocol and hostname as listener %.*s",
                             AGW_STRF(agw_node_text(b, "name")));
            ok = false;
        }
    }
    return ok;
}

bool agw_rules_gateway(struct agw_report *r, const struct agw_object *o)
{
    bool ok = check_addresses(r, o) && check_frontend(r, o);

    return check_listeners(r, o) && ok;
}

bool agw_rules_listener_set(struct agw_report *r, const struct agw_object *o)
{
    return check_listeners(r, o);
}

/* --- ReferenceGrant --- */

static const struct agw_field grant_from[] = {
    AGW_TEXT("group", AGW_A_GROUP, .required = true),
    AGW_TEXT("kind", AGW_A_KIND, .required = true),
    AGW_TEXT("namespace", AGW_A_LABEL, .required = true),
    AGW_END,
};

static const struct agw_field grant_to[] = {
    AGW_TEXT("group", AGW_A_GROUP, .required = true),
    AGW_TEXT("kind", AGW_A_KIND, .required = true),
    AGW_TEXT("name", .min = 1, .max = 253),
    AGW_END,
};

static const struct agw_field grant_spec[] = {
    AGW_LIST("from", grant_from, .required = true, .min_items = 1, .max_items = 16),
    AGW_LIST("to", grant_to, .required = true, .min_items = 1, .max_items = 16),
    AGW_END,
};

const struct agw_field agw_fields_reference_grant[] = {
    AGW_HEAD,
    AGW_MAP("spec", grant_spec, .required = true),
    AGW_END,
};
