/* TLSRoute and TCPRoute. */
#include "gwapi/object/kinds.h"

static const struct agw_field backend_ref[] = {
    AGW_TEXT("group", AGW_A_GROUP),
    AGW_TEXT("kind", AGW_A_KIND),
    AGW_TEXT("namespace", AGW_A_LABEL),
    AGW_TEXT("name", .min = 1, .max = 253, .required = true),
    AGW_INT("port", AGW_A_PORT),
    AGW_INT("weight", .min = 0, .max = 1000000),
    AGW_END,
};

static const struct agw_field rule[] = {
    AGW_TEXT("name", AGW_A_SUBDOMAIN),
    AGW_LIST("backendRefs", backend_ref, .max_items = 16),
    AGW_END,
};

static const struct agw_field tls_spec[] = {
    AGW_LIST("parentRefs", agw_fields_parent_ref, .max_items = 32),
    {.name = "hostnames",
     .type = AGW_FIELD_TEXT,
     .list = true,
     .max_items = 16,
     AGW_FORM(agw_is_hostname, AGW_HOST_FORM)},
    AGW_LIST("rules", rule, .required = true, .min_items = 1, .max_items = 16),
    AGW_ANY("useDefaultGateways"),
    AGW_END,
};

static const struct agw_field tcp_spec[] = {
    AGW_LIST("parentRefs", agw_fields_parent_ref, .max_items = 32),
    AGW_LIST("rules", rule, .required = true, .min_items = 1, .max_items = 16),
    AGW_ANY("useDefaultGateways"),
    AGW_END,
};

const struct agw_field agw_fields_tls_route[] = {
    AGW_TEXT("apiVersion"),
    AGW_TEXT("kind"),
    AGW_MAP("metadata", agw_fields_metadata, .required = true),
    AGW_MAP("spec", tls_spec, .required = true),
    AGW_ANY("status"),
    AGW_END,
};

const struct agw_field agw_fields_tcp_route[] = {
    AGW_TEXT("apiVersion"),
    AGW_TEXT("kind"),
    AGW_MAP("metadata", agw_fields_metadata, .required = true),
    AGW_MAP("spec", tcp_spec, .required = true),
    AGW_ANY("status"),
    AGW_END,
};

bool agw_rules_l4_route(struct agw_report *r, const struct agw_object *o)
{
    const struct agw_node *rules = agw_field(o->spec, "rules"), *n, *ref;
    bool ok = true;

    agw_node_each (n, rules) {
        agw_node_each (ref, agw_field(n, "backendRefs")) {
            if (agw_node_text(ref, "group").n || agw_field(ref, "port") ||
                (agw_field(ref, "kind") && !agw_field_is(ref, "kind", "Service")))
                continue;
            agw_report_error(r, o, ref, "port", "is required for a Service");
            ok = false;
        }
    }
    if (rules && rules->count > 1)
        agw_report_add(r, AGW_REPORT_WARNING, o, rules, NULL,
                       "connections have nothing to match: only the first rule is used");
    return ok;
}
