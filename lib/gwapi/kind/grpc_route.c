/* GRPCRoute. */
#include "gwapi/kind/kind.h"

static const char *const match_types[] = {"Exact", "RegularExpression", NULL};
static const char *const filter_types[] = {"RequestHeaderModifier", "ResponseHeaderModifier", "RequestMirror",
                                           "ExtensionRef", NULL};

static const struct agw_field method_match[] = {
    AGW_TEXT("type", .one_of = match_types),
    AGW_TEXT("service", .max = 1024),
    AGW_TEXT("method", .max = 1024),
    AGW_END,
};

static const struct agw_field match[] = {
    AGW_MAP("method", method_match),
    AGW_LIST("headers", agw_fields_value_match, .max_items = 16, .unique = "name"),
    AGW_END,
};

static const struct agw_field filter[] = {
    AGW_TEXT("type", .one_of = filter_types, .required = true),
    AGW_MAP("requestHeaderModifier", agw_fields_header_modifier),
    AGW_MAP("responseHeaderModifier", agw_fields_header_modifier),
    AGW_ANY("requestMirror"),
    AGW_MAP("extensionRef", agw_fields_extension_ref),
    AGW_END,
};

static const struct agw_field backend_ref[] = {
    AGW_BACKEND_REF,
    AGW_LIST("filters", filter, .max_items = 16),
    AGW_END,
};

static const struct agw_field rule[] = {
    AGW_TEXT("name", AGW_A_SUBDOMAIN),
    AGW_LIST("matches", match, .max_items = 64),
    AGW_LIST("filters", filter, .max_items = 16),
    AGW_LIST("backendRefs", backend_ref, .max_items = 16),
    AGW_MAP("sessionPersistence", agw_fields_session_persistence),
    AGW_END,
};

static const struct agw_field route_spec[] = {
    AGW_PARENT_REFS, AGW_HOSTNAMES, AGW_LIST("rules", rule, .max_items = 16), AGW_ANY("useDefaultGateways"),
    AGW_END,
};

const struct agw_field agw_fields_grpc_route[] = {
    AGW_OBJECT(route_spec),
};

/* --- rules --- */

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* A name of protobuf's: letters, digits and '_', not a digit first. */
static bool is_identifier(struct agw_str s)
{
    size_t i;

    if (s.n == 0 || !is_letter(s.p[0]))
        return false;
    for (i = 1; i < s.n; i++) {
        if (!is_letter(s.p[i]) && !(s.p[i] >= '0' && s.p[i] <= '9'))
            return false;
    }
    return true;
}

/* Identifiers joined by dots; one before them is allowed, as in protobuf. */
static bool is_service_name(struct agw_str s)
{
    size_t at = s.n > 0 && s.p[0] == '.' ? 1 : 0, dot;

    for (; at <= s.n; at = dot + 1) {
        for (dot = at; dot < s.n && s.p[dot] != '.'; dot++)
            continue;
        if (!is_identifier(agw_str(s.p + at, dot - at)))
            return false;
    }
    return true;
}

static bool check_method(struct agw_report *r, const struct agw_object *o, const struct agw_node *m)
{
    const struct agw_node *service = agw_field(m, "service"), *method = agw_field(m, "method");
    bool ok = true;

    if (!m)
        return true;
    if (agw_node_text(m, "service").n == 0 && agw_node_text(m, "method").n == 0) {
        agw_report_error(r, o, m, NULL, "service or method is required");
        return false;
    }
    if (agw_field_is(m, "type", "RegularExpression")) {
        ok = agw_rules_regex(r, o, service);
        return agw_rules_regex(r, o, method) && ok;
    }
    if (agw_node_text(m, "service").n && !is_service_name(service->text)) {
        ok = false;
        agw_report_error(r, o, service, NULL, "\"%.*s\" is not a service's name, such as helloworld.Greeter",
                         AGW_STRF(service->text));
    }
    if (agw_node_text(m, "method").n && !is_identifier(method->text)) {
        ok = false;
        agw_report_error(r, o, method, NULL, "\"%.*s\" is not a method's name, such as SayHello",
                         AGW_STRF(method->text));
    }
    return ok;
}

static bool check_match(struct agw_report *r, const struct agw_object *o, const struct agw_node *m)
{
    bool ok = check_method(r, o, agw_field(m, "method"));
    const struct agw_node *n;

    agw_node_each (n, agw_field(m, "headers")) {
        if (agw_field_is(n, "type", "RegularExpression"))
            ok &= agw_rules_regex(r, o, agw_field(n, "value"));
    }
    return ok;
}

static bool check_ref(struct agw_report *r, const struct agw_object *o, const struct agw_node *ref)
{
    bool service = agw_node_text(ref, "group").n == 0 &&
                   (!agw_field(ref, "kind") || agw_field_is(ref, "kind", "Service"));

    if (service && !agw_field(ref, "port")) {
        agw_report_error(r, o, ref, "port", "is required for a Service");
        return false;
    }
    return agw_rules_filters(r, o, agw_field(ref, "filters"));
}

bool agw_rules_grpc_route(struct agw_report *r, const struct agw_object *o)
{
    const struct agw_node *item, *n;
    bool ok = true;

    agw_node_each (item, agw_field(o->spec, "rules")) {
        agw_node_each (n, agw_field(item, "matches"))
            ok &= check_match(r, o, n);
        ok &= agw_rules_filters(r, o, agw_field(item, "filters"));
        agw_node_each (n, agw_field(item, "backendRefs"))
            ok &= check_ref(r, o, n);
        ok &= agw_rules_session_persistence(r, o, agw_field(item, "sessionPersistence"));
    }
    return ok;
}
