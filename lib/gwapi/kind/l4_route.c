/* TLSRoute and TCPRoute. */
#include "gwapi/kind/kind.h"

static const struct agw_field backend_ref[] = {
    AGW_BACKEND_REF,
    AGW_END,
};

static const struct agw_field l4_rule[] = {
    AGW_TEXT("name", AGW_A_SUBDOMAIN),
    AGW_LIST("backendRefs", backend_ref, .max_items = 16),
    AGW_END,
};

static const struct agw_field tls_spec[] = {
    AGW_PARENT_REFS,
    AGW_HOSTNAMES,
    AGW_LIST("rules", l4_rule, .required = true, .min_items = 1, .max_items = 16),
    AGW_ANY("useDefaultGateways"),
    AGW_END,
};

static const struct agw_field tcp_spec[] = {
    AGW_PARENT_REFS,
    AGW_LIST("rules", l4_rule, .required = true, .min_items = 1, .max_items = 16),
    AGW_ANY("useDefaultGateways"),
    AGW_END,
};

const struct agw_field agw_fields_tls_route[] = {
    AGW_OBJECT(tls_spec),
};

const struct agw_field agw_fields_tcp_route[] = {
    AGW_OBJECT(tcp_spec),
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
