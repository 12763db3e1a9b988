/* BackendTLSPolicy, and what Gateways say about the certificates of clients. */
#include "gwapi/kind/kind.h"

static const char *const validation_modes[] = {"AllowValidOnly", "AllowInsecureFallback", NULL};
static const char *const name_types[] = {"Hostname", "URI", NULL};

const struct agw_field agw_fields_frontend_validation[] = {
    AGW_LIST("caCertificateRefs", agw_fields_secret_ref, .required = true, .min_items = 1, .max_items = 8),
    AGW_TEXT("mode", .one_of = validation_modes),
    AGW_END,
};

static const struct agw_field target_ref[] = {
    AGW_TEXT("group", AGW_A_GROUP, .required = true),
    AGW_TEXT("kind", AGW_A_KIND, .required = true),
    AGW_TEXT("name", .min = 1, .max = 253, .required = true),
    AGW_TEXT("sectionName", AGW_A_SUBDOMAIN),
    AGW_END,
};

static const struct agw_field local_ref[] = {
    AGW_TEXT("group", AGW_A_GROUP, .required = true),
    AGW_TEXT("kind", AGW_A_KIND, .required = true),
    AGW_TEXT("name", .min = 1, .max = 253, .required = true),
    AGW_END,
};

static const struct agw_field subject_name[] = {
    AGW_TEXT("type", .one_of = name_types, .required = true),
    AGW_TEXT("hostname", .max = 253, AGW_FORM(agw_is_hostname, AGW_HOST_FORM)),
    AGW_TEXT("uri", .min = 1, .max = 253),
    AGW_END,
};

static const struct agw_field validation[] = {
    AGW_LIST("caCertificateRefs", local_ref, .max_items = 8),
    AGW_TEXT("wellKnownCACertificates", .min = 1, .max = 253),
    AGW_TEXT("hostname", AGW_A_SUBDOMAIN, .required = true),
    AGW_LIST("subjectAltNames", subject_name, .max_items = 5),
    AGW_END,
};

static const struct agw_field spec[] = {
    AGW_LIST("targetRefs", target_ref, .required = true, .min_items = 1, .max_items = 16),
    AGW_MAP("validation", validation, .required = true),
    AGW_TEXTS("options"),
    AGW_END,
};

const struct agw_field agw_fields_backend_tls_policy[] = {
    AGW_OBJECT(spec),
};

static bool check_name(struct agw_report *r, const struct agw_object *o, const struct agw_node *n)
{
    const struct agw_node *uri = agw_field(n, "uri"), *host = agw_field(n, "hostname");

    if (agw_field_is(n, "type", "URI") ? uri && !host : host && !uri) {
        if (!uri || agw_str_search(uri->text, AGW_STR("://")) > 0)
            return true;
        agw_report_error(r, o, uri, NULL, "must be a URI with a scheme and an authority");
        return false;
    }
    agw_report_error(r, o, n, NULL, "needs hostname with type Hostname, uri with type URI, and nothing else");
    return false;
}

bool agw_rules_backend_tls_policy(struct agw_report *r, const struct agw_object *o)
{
    const struct agw_node *v = agw_field(o->spec, "validation"), *refs = agw_field(v, "caCertificateRefs"),
                          *n;
    const struct agw_node *known = agw_field(v, "wellKnownCACertificates");
    bool ok = true;

    if ((refs && refs->count > 0) == (known != NULL)) {
        agw_report_error(r, o, v, NULL, "needs exactly one of caCertificateRefs and wellKnownCACertificates");
        ok = false;
    }
    if (known && !agw_str_eq(known->text, AGW_STR("System"))) {
        agw_report_error(r, o, known, NULL, "\"%.*s\" is not known, System is", AGW_STRF(known->text));
        ok = false;
    }
    agw_node_each (n, agw_field(v, "subjectAltNames"))
        ok = check_name(r, o, n) && ok;
    return ok;
}
