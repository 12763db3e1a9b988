/* Namespace, Service, EndpointSlice, Secret, ConfigMap. */
#include <arpa/inet.h>
#include "gwapi/kind/kind.h"

const struct agw_field agw_fields_metadata[] = {
    AGW_TEXT("name", AGW_A_SUBDOMAIN, .required = true),
    AGW_TEXT("namespace", AGW_A_LABEL),
    AGW_TEXTS("labels"),
    AGW_TEXTS("annotations"),
    AGW_TEXT("creationTimestamp", AGW_FORM(agw_is_timestamp, "an RFC 3339 time")),
    AGW_INT("generation"),
    AGW_ANY("uid"),
    AGW_ANY("resourceVersion"),
    AGW_ANY("selfLink"),
    AGW_ANY("generateName"),
    AGW_ANY("deletionTimestamp"),
    AGW_ANY("deletionGracePeriodSeconds"),
    AGW_ANY("ownerReferences"),
    AGW_ANY("finalizers"),
    AGW_ANY("managedFields"),
    AGW_END,
};

static const char *const operators[] = {"In", "NotIn", "Exists", "DoesNotExist", NULL};

static const struct agw_field label_expression[] = {
    AGW_TEXT("key", .required = true, .min = 1, .max = 317),
    AGW_TEXT("operator", .required = true, .one_of = operators),
    {.name = "values", .type = AGW_FIELD_TEXT, .list = true},
    AGW_END,
};

const struct agw_field agw_fields_label_selector[] = {
    AGW_TEXTS("matchLabels"),
    AGW_LIST("matchExpressions", label_expression),
    AGW_END,
};

const struct agw_field agw_fields_namespace[] = {
    AGW_HEAD,
    AGW_ANY("spec"),
    AGW_ANY("status"),
    AGW_END,
};

/* --- Service --- */

static const char *const protocols[] = {"TCP", "UDP", "SCTP", NULL};
static const char *const service_types[] = {"ClusterIP", "NodePort", "LoadBalancer", "ExternalName", NULL};

static const struct agw_field service_port[] = {
    AGW_TEXT("name", .min = 0, .max = 63),
    AGW_INT("port", AGW_A_PORT, .required = true),
    {.name = "targetPort", .type = AGW_FIELD_INT_OR_TEXT, AGW_A_PORT},
    AGW_TEXT("protocol", .one_of = protocols),
    AGW_TEXT("appProtocol", .min = 1, .max = 317),
    AGW_ANY("nodePort"),
    AGW_END,
};

static const struct agw_field service_spec[] = {
    AGW_LIST("ports", service_port),
    AGW_TEXTS("selector"),
    AGW_TEXT("type", .one_of = service_types),
    AGW_TEXT("externalName", AGW_A_SUBDOMAIN),
    AGW_TEXT("clusterIP"),
    {.name = "clusterIPs", .type = AGW_FIELD_TEXT, .list = true, .max_items = 2},
    AGW_ANY("ipFamilies"),
    AGW_ANY("ipFamilyPolicy"),
    AGW_ANY("sessionAffinity"),
    AGW_ANY("sessionAffinityConfig"),
    AGW_ANY("externalIPs"),
    AGW_ANY("externalTrafficPolicy"),
    AGW_ANY("internalTrafficPolicy"),
    AGW_ANY("trafficDistribution"),
    AGW_ANY("healthCheckNodePort"),
    AGW_ANY("publishNotReadyAddresses"),
    AGW_ANY("allocateLoadBalancerNodePorts"),
    AGW_ANY("loadBalancerIP"),
    AGW_ANY("loadBalancerClass"),
    AGW_ANY("loadBalancerSourceRanges"),
    AGW_END,
};

const struct agw_field agw_fields_service[] = {
    AGW_OBJECT(service_spec),
};

/* With more than one port each needs a name of its own: slices are matched to ports by it. */
bool agw_rules_service(struct agw_report *r, const struct agw_object *o)
{
    const struct agw_node *ports = agw_field(o->spec, "ports"), *p, *q;
    bool ok = true;

    agw_node_each (p, ports) {
        struct agw_str name = agw_node_text(p, "name");

        if (ports->count > 1 && name.n == 0) {
            agw_report_error(r, o, p, "name", "is required when a Service has more than one port");
            ok = false;
        }
        for (q = ports->first; q != p && name.n; q = q->next) {
            if (!agw_str_eq(agw_node_text(q, "name"), name))
                continue;
            agw_report_error(r, o, p, "name", "\"%.*s\" is there twice", AGW_STRF(name));
            ok = false;
            break;
        }
    }
    return ok;
}

/* --- EndpointSlice --- */

static const char *const address_types[] = {"IPv4", "IPv6", "FQDN", NULL};

static const struct agw_field slice_port[] = {
    AGW_TEXT("name", .min = 0, .max = 63),
    AGW_INT("port", AGW_A_PORT),
    AGW_TEXT("protocol", .one_of = protocols),
    AGW_TEXT("appProtocol"),
    AGW_END,
};

static const struct agw_field slice_conditions[] = {
    AGW_BOOLEAN("ready"),
    AGW_BOOLEAN("serving"),
    AGW_BOOLEAN("terminating"),
    AGW_END,
};

static const struct agw_field slice_endpoint[] = {
    {.name = "addresses",
     .type = AGW_FIELD_TEXT,
     .list = true,
     .required = true,
     .min_items = 1,
     .max_items = 100},
    AGW_MAP("conditions", slice_conditions),
    AGW_TEXT("hostname"),
    AGW_TEXT("nodeName"),
    AGW_TEXT("zone"),
    AGW_ANY("targetRef"),
    AGW_ANY("hints"),
    AGW_ANY("deprecatedTopology"),
    AGW_END,
};

const struct agw_field agw_fields_endpoint_slice[] = {
    AGW_HEAD,
    AGW_TEXT("addressType", .one_of = address_types, .required = true),
    AGW_LIST("endpoints", slice_endpoint, .max_items = 1000),
    AGW_LIST("ports", slice_port, .max_items = 20000),
    AGW_END,
};

static bool address_fits(const struct agw_node *a, bool v4, bool v6)
{
    char bytes[16];

    if (v4)
        return inet_pton(AF_INET, a->text.p, bytes) == 1;
    if (v6)
        return inet_pton(AF_INET6, a->text.p, bytes) == 1;
    return agw_is_subdomain(a->text);
}

bool agw_rules_endpoint_slice(struct agw_report *r, const struct agw_object *o)
{
    bool v4 = agw_field_is(o->node, "addressType", "IPv4"), v6 = agw_field_is(o->node, "addressType", "IPv6");
    const struct agw_node *e, *a;
    bool ok = true;

    agw_node_each (e, agw_field(o->node, "endpoints")) {
        agw_node_each (a, agw_field(e, "addresses")) {
            if (address_fits(a, v4, v6))
                continue;
            agw_report_error(r, o, a, NULL, "\"%.*s\" is not an address of type %.*s", AGW_STRF(a->text),
                             AGW_STRF(agw_node_text(o->node, "addressType")));
            ok = false;
        }
    }
    return ok;
}

/* --- Secret, ConfigMap --- */

const struct agw_field agw_fields_secret[] = {
    AGW_HEAD, AGW_TEXT("type"), AGW_TEXTS("data"), AGW_TEXTS("stringData"), AGW_BOOLEAN("immutable"), AGW_END,
};

bool agw_rules_secret(struct agw_report *r, const struct agw_object *o)
{
    const struct agw_node *m;
    bool ok = true;

    if (!agw_field_is(o->node, "type", "kubernetes.io/tls"))
        return true;
    for (int i = 0; i < 2; i++) {
        const char *key = i ? "tls.key" : "tls.crt";

        m = agw_field(agw_field(o->node, "stringData"), key);
        if (!m && !agw_field(agw_field(o->node, "data"), key)) {
            agw_report_error(r, o, NULL, i ? "data[tls.key]" : "data[tls.crt]",
                             "is required in a Secret of this type");
            ok = false;
        }
    }
    return ok;
}

const struct agw_field agw_fields_config_map[] = {
    AGW_HEAD, AGW_TEXTS("data"), AGW_TEXTS("binaryData"), AGW_BOOLEAN("immutable"), AGW_END,
};
