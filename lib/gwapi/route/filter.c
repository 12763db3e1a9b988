/* HTTPRoute filters and timeouts to policies of a route or of a backend reference. */
#include "gwapi/route/route.h"

/* --- messages --- */

static Pb__RequestRedirect *redirect(struct agw_translate *t, const struct agw_node *n)
{
    Pb__RequestRedirect *r = agw_gwapi_new(t, Pb__RequestRedirect, pb__request_redirect__init);
    const struct agw_node *path = agw_field(n, "path");

    if (!r)
        return NULL;
    r->scheme = agw_gwapi_text(t, agw_node_text(n, "scheme"));
    r->host = agw_gwapi_text(t, agw_node_text(n, "hostname"));
    r->port = (uint32_t)agw_field_int(n, "port", 0);
    r->status = (uint32_t)agw_field_int(n, "statusCode", 302);
    if (agw_field_is(path, "type", "ReplaceFullPath")) {
        r->path_case = PB__REQUEST_REDIRECT__PATH_FULL;
        r->full = agw_gwapi_text(t, agw_node_text(path, "replaceFullPath"));
    } else if (path) {
        r->path_case = PB__REQUEST_REDIRECT__PATH_PREFIX;
        r->prefix = agw_gwapi_text(t, agw_node_text(path, "replacePrefixMatch"));
    }
    return r;
}

static Pb__UrlRewrite *rewrite(struct agw_translate *t, const struct agw_node *n)
{
    Pb__UrlRewrite *r = agw_gwapi_new(t, Pb__UrlRewrite, pb__url_rewrite__init);
    const struct agw_node *path = agw_field(n, "path");

    if (!r)
        return NULL;
    r->host = agw_gwapi_text(t, agw_node_text(n, "hostname"));
    if (agw_field_is(path, "type", "ReplaceFullPath")) {
        r->path_case = PB__URL_REWRITE__PATH_FULL;
        r->full = agw_gwapi_text(t, agw_node_text(path, "replaceFullPath"));
    } else if (path) {
        r->path_case = PB__URL_REWRITE__PATH_PREFIX;
        r->prefix = agw_gwapi_text(t, agw_node_text(path, "replacePrefixMatch"));
    }
    return r;
}

static double mirror_percentage(const struct agw_node *m)
{
    const struct agw_node *part = agw_field(m, "fraction");

    if (part)
        return 100.0 * (double)agw_field_int(part, "numerator", 0) /
               (double)agw_field_int(part, "denominator", 100);
    return (double)agw_field_int(m, "percent", 100);
}

/* Adds the filter |f| of |list|, if it is one, to *mirrors: many filters make one policy. A reference that
 * does not resolve costs only its copies. */
static int mirror(struct agw_translate *t, const struct agw_object *route, const struct agw_node *list,
                  const struct agw_node *f, Pb__RequestMirrors **mirrors)
{
    const struct agw_node *spec = agw_field(f, "requestMirror"), *ref = agw_field(spec, "backendRef");
    Pb__RequestMirrors__Mirror *m;
    struct agw_gwapi_refusal refusal;

    if (!agw_field_is(f, "type", "RequestMirror"))
        return 0;
    m = agw_gwapi_new(t, Pb__RequestMirrors__Mirror, pb__request_mirrors__mirror__init);
    if (!m || agw_gwapi_backend_ref(t, route, ref, &m->backend, &refusal))
        return AGW_ENOMEM;
    m->percentage = mirror_percentage(spec);
    if (!refusal.reason && agw_gwapi_wants_tls(t, route, ref) && !agw_gwapi_has_tls(t, m->backend))
        refusal = (struct agw_gwapi_refusal){
            "UnsupportedProtocol", AGW_STR("copies go over TLS only where a BackendTLSPolicy says how")};
    if (refusal.reason) {
        agw_gwapi_refs_condition(t, route, ref, &refusal, "nothing is mirrored to it");
        return 0;
    }
    if (!*mirrors) {
        *mirrors = agw_gwapi_new(t, Pb__RequestMirrors, pb__request_mirrors__init);
        if (!*mirrors || !((*mirrors)->mirrors = agw_gwapi_pointers(t, list->count)))
            return AGW_ENOMEM;
    }
    (*mirrors)->mirrors[(*mirrors)->n_mirrors++] = m;
    return 0;
}

/* --- of a rule --- */

/* Fills |spec| from a filter; its kind stays unset when the filter is not served here. */
static int rule_filter(struct agw_translate *t, const struct agw_node *f, Pb__TrafficPolicySpec *spec)
{
    const void *made;

    if (agw_field_is(f, "type", "RequestHeaderModifier")) {
        spec->kind_case = PB__TRAFFIC_POLICY_SPEC__KIND_REQUEST_HEADER_MODIFIER;
        made = spec->request_header_modifier =
            agw_gwapi_header_modifier(t, agw_field(f, "requestHeaderModifier"));
    } else if (agw_field_is(f, "type", "ResponseHeaderModifier")) {
        spec->kind_case = PB__TRAFFIC_POLICY_SPEC__KIND_RESPONSE_HEADER_MODIFIER;
        made = spec->response_header_modifier =
            agw_gwapi_header_modifier(t, agw_field(f, "responseHeaderModifier"));
    } else if (agw_field_is(f, "type", "RequestRedirect")) {
        spec->kind_case = PB__TRAFFIC_POLICY_SPEC__KIND_REQUEST_REDIRECT;
        made = spec->request_redirect = redirect(t, agw_field(f, "requestRedirect"));
    } else if (agw_field_is(f, "type", "URLRewrite")) {
        spec->kind_case = PB__TRAFFIC_POLICY_SPEC__KIND_URL_REWRITE;
        made = spec->url_rewrite = rewrite(t, agw_field(f, "urlRewrite"));
    } else if (agw_field_is(f, "type", "CORS")) {
        spec->kind_case = PB__TRAFFIC_POLICY_SPEC__KIND_CORS;
        made = spec->cors = agw_gwapi_cors(t, agw_field(f, "cors"));
    } else {
        return 0;
    }
    return made ? 0 : AGW_ENOMEM;
}

static int add_timeouts(struct agw_translate *t, const struct agw_node *timeouts,
                        Pb__TrafficPolicySpec **specs, size_t *count)
{
    Pb__TrafficPolicySpec *spec = agw_gwapi_new(t, Pb__TrafficPolicySpec, pb__traffic_policy_spec__init);
    Pb__Timeout *timeout = agw_gwapi_new(t, Pb__Timeout, pb__timeout__init);

    if (!spec || !timeout)
        return AGW_ENOMEM;
    timeout->request = agw_gwapi_duration(t, agw_node_text(timeouts, "request"));
    timeout->backend_request = agw_gwapi_duration(t, agw_node_text(timeouts, "backendRequest"));
    spec->kind_case = PB__TRAFFIC_POLICY_SPEC__KIND_TIMEOUT;
    spec->timeout = timeout;
    if (timeout->request || timeout->backend_request)
        specs[(*count)++] = spec;
    return 0;
}

static int add_retry(struct agw_translate *t, const struct agw_node *retry, Pb__TrafficPolicySpec **specs,
                     size_t *count)
{
    Pb__TrafficPolicySpec *spec;

    if (!retry)
        return 0;
    spec = agw_gwapi_new(t, Pb__TrafficPolicySpec, pb__traffic_policy_spec__init);
    if (!spec || !(spec->retry = agw_gwapi_retry(t, retry)))
        return AGW_ENOMEM;
    spec->kind_case = PB__TRAFFIC_POLICY_SPEC__KIND_RETRY;
    specs[(*count)++] = spec;
    return 0;
}

static int add_persistence(struct agw_translate *t, const struct agw_node *n, Pb__TrafficPolicySpec **specs,
                           size_t *count)
{
    Pb__TrafficPolicySpec *spec;
    Pb__SessionPersistence *out;

    if (!n)
        return 0;
    spec = agw_gwapi_new(t, Pb__TrafficPolicySpec, pb__traffic_policy_spec__init);
    out = agw_gwapi_new(t, Pb__SessionPersistence, pb__session_persistence__init);
    if (!spec || !out)
        return AGW_ENOMEM;
    if (agw_field_is(n, "type", "Header"))
        out->type = PB__SESSION_PERSISTENCE__TYPE__HEADER;
    out->session_name = agw_gwapi_text(t, agw_node_text(n, "sessionName"));
    out->absolute_timeout = agw_gwapi_duration(t, agw_node_text(n, "absoluteTimeout"));
    out->idle_timeout = agw_gwapi_duration(t, agw_node_text(n, "idleTimeout"));
    out->permanent = agw_field_is(agw_field(n, "cookieConfig"), "lifetimeType", "Permanent");
    spec->kind_case = PB__TRAFFIC_POLICY_SPEC__KIND_SESSION_PERSISTENCE;
    spec->session_persistence = out;
    specs[(*count)++] = spec;
    return 0;
}

int agw_gwapi_rule_filters(struct agw_translate *t, const struct agw_object *route,
                           const struct agw_node *rule, Pb__TrafficPolicySpec ***ret_specs, size_t *ret_count,
                           const struct agw_node **ret_unserved)
{
    const struct agw_node *list = agw_field(rule, "filters"), *f, *unserved = NULL;
    Pb__TrafficPolicySpec **specs = agw_gwapi_pointers(t, (list ? list->count : 0) + 3);
    Pb__RequestMirrors *mirrors = NULL;
    size_t count = 0;

    if (!specs)
        return AGW_ENOMEM;
    agw_node_each (f, list) {
        Pb__TrafficPolicySpec *spec = agw_gwapi_new(t, Pb__TrafficPolicySpec, pb__traffic_policy_spec__init);
        bool first = !mirrors;

        if (!spec || rule_filter(t, f, spec) || mirror(t, route, list, f, &mirrors))
            return AGW_ENOMEM;
        if (first && mirrors) {
            spec->kind_case = PB__TRAFFIC_POLICY_SPEC__KIND_REQUEST_MIRROR;
            spec->request_mirror = mirrors;
        }
        if (spec->kind_case != PB__TRAFFIC_POLICY_SPEC__KIND__NOT_SET)
            specs[count++] = spec;
        else if (!unserved && !agw_field_is(f, "type", "RequestMirror"))
            unserved = f;
    }
    if (add_timeouts(t, agw_field(rule, "timeouts"), specs, &count) ||
        add_retry(t, agw_field(rule, "retry"), specs, &count) ||
        add_persistence(t, agw_field(rule, "sessionPersistence"), specs, &count))
        return AGW_ENOMEM;
    *ret_specs = specs;
    *ret_count = count;
    *ret_unserved = unserved;
    return 0;
}

/* --- of a backendRef --- */

/* As rule_filter; the wire has no URL rewrite for a backend. */
static int ref_filter(struct agw_translate *t, const struct agw_node *f, Pb__BackendPolicySpec *spec)
{
    const void *made;

    if (agw_field_is(f, "type", "RequestHeaderModifier")) {
        spec->kind_case = PB__BACKEND_POLICY_SPEC__KIND_REQUEST_HEADER_MODIFIER;
        made = spec->request_header_modifier =
            agw_gwapi_header_modifier(t, agw_field(f, "requestHeaderModifier"));
    } else if (agw_field_is(f, "type", "ResponseHeaderModifier")) {
        spec->kind_case = PB__BACKEND_POLICY_SPEC__KIND_RESPONSE_HEADER_MODIFIER;
        made = spec->response_header_modifier =
            agw_gwapi_header_modifier(t, agw_field(f, "responseHeaderModifier"));
    } else if (agw_field_is(f, "type", "RequestRedirect")) {
        spec->kind_case = PB__BACKEND_POLICY_SPEC__KIND_REQUEST_REDIRECT;
        made = spec->request_redirect = redirect(t, agw_field(f, "requestRedirect"));
    } else {
        return 0;
    }
    return made ? 0 : AGW_ENOMEM;
}

int agw_gwapi_ref_filters(struct agw_translate *t, const struct agw_object *route, const struct agw_node *ref,
                          Pb__BackendPolicySpec ***ret_specs, size_t *ret_count,
                          const struct agw_node **ret_unserved)
{
    const struct agw_node *list = agw_field(ref, "filters"), *f, *unserved = NULL;
    Pb__BackendPolicySpec **specs = agw_gwapi_pointers(t, list ? list->count : 0);
    Pb__RequestMirrors *mirrors = NULL;
    size_t count = 0;

    if (!specs)
        return AGW_ENOMEM;
    agw_node_each (f, list) {
        Pb__BackendPolicySpec *spec = agw_gwapi_new(t, Pb__BackendPolicySpec, pb__backend_policy_spec__init);
        bool first = !mirrors;

        if (!spec || ref_filter(t, f, spec) || mirror(t, route, list, f, &mirrors))
            return AGW_ENOMEM;
        if (first && mirrors) {
            spec->kind_case = PB__BACKEND_POLICY_SPEC__KIND_REQUEST_MIRROR;
            spec->request_mirror = mirrors;
        }
        if (spec->kind_case != PB__BACKEND_POLICY_SPEC__KIND__NOT_SET)
            specs[count++] = spec;
        else if (!unserved && !agw_field_is(f, "type", "RequestMirror"))
            unserved = f;
    }
    *ret_specs = specs;
    *ret_count = count;
    *ret_unserved = unserved;
    return 0;
}
