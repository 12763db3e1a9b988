/* HTTPRoute. */
#include "base/check.h"
#include "gwapi/kind/kind.h"
#include "regex/regex.h"

static const char *const value_match_types[] = {"Exact", "RegularExpression", NULL};
static const char *const path_match_types[] = {"Exact", "PathPrefix", "RegularExpression", NULL};
static const char *const methods[] = {"GET",     "HEAD",    "POST",  "PUT",   "DELETE",
                                      "CONNECT", "OPTIONS", "TRACE", "PATCH", NULL};
static const char *const path_types[] = {"ReplaceFullPath", "ReplacePrefixMatch", NULL};
static const char *const schemes[] = {"http", "https", NULL};
static const char *const filter_types[] = {"RequestHeaderModifier",
                                           "ResponseHeaderModifier",
                                           "RequestMirror",
                                           "RequestRedirect",
                                           "URLRewrite",
                                           "ExtensionRef",
                                           "CORS",
                                           "ExternalAuth",
                                           NULL};

/* Filters, the member that each uses, and whether there may be more than one of it. */
static const struct {
    const char *type, *member;
    bool many;
} filters[] = {
    {"RequestHeaderModifier", "requestHeaderModifier", false},
    {"ResponseHeaderModifier", "responseHeaderModifier", false},
    {"RequestMirror", "requestMirror", true},
    {"RequestRedirect", "requestRedirect", false},
    {"URLRewrite", "urlRewrite", false},
    {"ExtensionRef", "extensionRef", true},
    {"CORS", "cors", false},
    {"ExternalAuth", "externalAuth", false},
};

#define A_HEADER .min = 1, .max = 256, AGW_FORM(agw_is_token, "a header name")
#define A_DURATION AGW_FORM(agw_is_duration, "a duration such as 1m30s or 500ms")

const struct agw_field agw_fields_parent_ref[] = {
    AGW_TEXT("group", AGW_A_GROUP),
    AGW_TEXT("kind", AGW_A_KIND),
    AGW_TEXT("namespace", AGW_A_LABEL),
    AGW_TEXT("name", AGW_A_SUBDOMAIN, .required = true),
    AGW_TEXT("sectionName", AGW_A_SUBDOMAIN),
    AGW_INT("port", AGW_A_PORT),
    AGW_END,
};

static const struct agw_field path_match[] = {
    AGW_TEXT("type", .one_of = path_match_types),
    AGW_TEXT("value", .min = 1, .max = 1024),
    AGW_END,
};

const struct agw_field agw_fields_value_match[] = {
    AGW_TEXT("type", .one_of = value_match_types),
    AGW_TEXT("name", A_HEADER, .required = true),
    AGW_TEXT("value", .min = 1, .max = 4096, .required = true),
    AGW_END,
};

static const struct agw_field match[] = {
    AGW_MAP("path", path_match),
    AGW_LIST("headers", agw_fields_value_match, .max_items = 16, .unique = "name"),
    AGW_LIST("queryParams", agw_fields_value_match, .max_items = 16, .unique = "name"),
    AGW_TEXT("method", .one_of = methods),
    AGW_END,
};

static const struct agw_field header[] = {
    AGW_TEXT("name", A_HEADER, .required = true),
    AGW_TEXT("value", .min = 1, .max = 4096, AGW_FORM(agw_is_field_value, "a header value"),
             .required = true),
    AGW_END,
};

const struct agw_field agw_fields_header_modifier[] = {
    AGW_LIST("set", header, .max_items = 16, .unique = "name"),
    AGW_LIST("add", header, .max_items = 16, .unique = "name"),
    {.name = "remove", .type = AGW_FIELD_TEXT, .list = true, .max_items = 16, A_HEADER},
    AGW_END,
};

static const struct agw_field path_modifier[] = {
    AGW_TEXT("type", .one_of = path_types, .required = true),
    AGW_TEXT("replaceFullPath", .max = 1024, AGW_FORM(agw_is_absolute_path, "an absolute path")),
    AGW_TEXT("replacePrefixMatch", .max = 1024),
    AGW_END,
};

static const struct agw_field redirect[] = {
    AGW_TEXT("scheme", .one_of = schemes),
    AGW_TEXT("hostname", AGW_FORM(agw_is_precise_hostname, "a host name in lower case")),
    AGW_MAP("path", path_modifier),
    AGW_INT("port", AGW_A_PORT),
    AGW_INT("statusCode", .min = 301, .max = 308),
    AGW_END,
};

static const struct agw_field rewrite[] = {
    AGW_TEXT("hostname", AGW_FORM(agw_is_precise_hostname, "a host name in lower case")),
    AGW_MAP("path", path_modifier),
    AGW_END,
};

static const struct agw_field mirror_ref[] = {
    AGW_OBJECT_REF,
    AGW_END,
};

static const struct agw_field fraction[] = {
    AGW_INT("numerator", .min = 0, .max = INT32_MAX, .required = true),
    AGW_INT("denominator", .min = 1, .max = INT32_MAX),
    AGW_END,
};

static const struct agw_field mirror[] = {
    AGW_MAP("backendRef", mirror_ref, .required = true),
    AGW_INT("percent", .min = 0, .max = 100),
    AGW_MAP("fraction", fraction),
    AGW_END,
};

const struct agw_field agw_fields_extension_ref[] = {
    AGW_TEXT("group", AGW_A_GROUP, .required = true),
    AGW_TEXT("kind", AGW_A_KIND, .required = true),
    AGW_TEXT("name", .min = 1, .max = 253, .required = true),
    AGW_END,
};

/* A filter that is not served yet is not looked into: the rule answers 500. */
static const struct agw_field filter[] = {
    AGW_TEXT("type", .one_of = filter_types, .required = true),
    AGW_MAP("requestHeaderModifier", agw_fields_header_modifier),
    AGW_MAP("responseHeaderModifier", agw_fields_header_modifier),
    AGW_MAP("requestRedirect", redirect),
    AGW_MAP("urlRewrite", rewrite),
    AGW_MAP("requestMirror", mirror),
    AGW_MAP("extensionRef", agw_fields_extension_ref),
    AGW_MAP("cors", agw_fields_cors),
    AGW_ANY("externalAuth"),
    AGW_END,
};

static const struct agw_field backend_ref[] = {
    AGW_BACKEND_REF,
    AGW_LIST("filters", filter, .max_items = 16),
    AGW_END,
};

static const struct agw_field timeouts[] = {
    AGW_TEXT("request", A_DURATION),
    AGW_TEXT("backendRequest", A_DURATION),
    AGW_END,
};

static const char *const session_types[] = {"Cookie", "Header", NULL};
static const char *const lifetimes[] = {"Permanent", "Session", NULL};

static const struct agw_field cookie_config[] = {
    AGW_TEXT("lifetimeType", .one_of = lifetimes),
    AGW_END,
};

const struct agw_field agw_fields_session_persistence[] = {
    AGW_TEXT("sessionName", .min = 1, .max = 128, AGW_FORM(agw_is_token, "the name of a cookie or header")),
    AGW_TEXT("absoluteTimeout", A_DURATION),
    AGW_TEXT("idleTimeout", A_DURATION),
    AGW_TEXT("type", .one_of = session_types),
    AGW_MAP("cookieConfig", cookie_config),
    AGW_END,
};

static const struct agw_field rule[] = {
    AGW_TEXT("name", AGW_A_SUBDOMAIN),
    AGW_LIST("matches", match, .max_items = 64),
    AGW_LIST("filters", filter, .max_items = 16),
    AGW_LIST("backendRefs", backend_ref, .max_items = 16),
    AGW_MAP("timeouts", timeouts),
    AGW_MAP("retry", agw_fields_retry),
    AGW_MAP("sessionPersistence", agw_fields_session_persistence),
    AGW_END,
};

static const struct agw_field route_spec[] = {
    AGW_PARENT_REFS, AGW_HOSTNAMES, AGW_LIST("rules", rule, .max_items = 16), AGW_ANY("useDefaultGateways"),
    AGW_END,
};

const struct agw_field agw_fields_http_route[] = {
    AGW_OBJECT(route_spec),
};

/* --- rules --- */

struct ctx {
    struct agw_report *report;
    const struct agw_object *object;
    bool ok;
};

#define refuse(c, at, member, ...)                                                                           \
    do {                                                                                                     \
        (c)->ok = false;                                                                                     \
        agw_report_error((c)->report, (c)->object, at, member, __VA_ARGS__);                                 \
    } while (0)

static void check_path_modifier(struct ctx *c, const struct agw_node *p)
{
    bool full = agw_field_is(p, "type", "ReplaceFullPath");
    const char *want = full ? "replaceFullPath" : "replacePrefixMatch",
               *other = full ? "replacePrefixMatch" : "replaceFullPath";
    struct agw_str prefix = agw_node_text(p, "replacePrefixMatch");

    if (!agw_field(p, want))
        refuse(c, p, want, "is required with this type");
    else if (agw_field(p, other))
        refuse(c, agw_field(p, other), NULL, "must not be set with this type");
    else if (prefix.n && !agw_is_absolute_path(prefix))
        refuse(c, agw_field(p, "replacePrefixMatch"), NULL, "must be an absolute path or empty");
}

static void check_redirect_status(struct ctx *c, const struct agw_node *r)
{
    int64_t status = agw_field_int(r, "statusCode", 302);

    if (status > 303 && status < 307)
        refuse(c, agw_field(r, "statusCode"), NULL, "must be 301, 302, 303, 307 or 308, is %d", (int)status);
}

/* The member that the type names is there, and no other one. */
static void check_union(struct ctx *c, const struct agw_node *f)
{
    size_t i;

    for (i = 0; i < AGW_ARRAY_LEN(filters); i++) {
        const struct agw_node *m = agw_field(f, filters[i].member);
        bool typed = agw_field_is(f, "type", filters[i].type);

        if (typed && !m)
            refuse(c, f, filters[i].member, "is required with type %s", filters[i].type);
        else if (!typed && m)
            refuse(c, m, NULL, "must not be set with type %.*s", AGW_STRF(agw_node_text(f, "type")));
    }
}

static const struct agw_node *of_type(const struct agw_node *list, const char *type)
{
    const struct agw_node *f;

    agw_node_each (f, list) {
        if (agw_field_is(f, "type", type))
            return f;
    }
    return NULL;
}

static void check_repeated(struct ctx *c, const struct agw_node *list)
{
    const struct agw_node *f;
    size_t i;

    for (i = 0; i < AGW_ARRAY_LEN(filters); i++) {
        unsigned count = 0;

        agw_node_each (f, list) {
            if (agw_field_is(f, "type", filters[i].type) && ++count == 2 && !filters[i].many)
                refuse(c, f, NULL, "a second %s", filters[i].type);
        }
    }
    if (of_type(list, "RequestRedirect") && of_type(list, "URLRewrite"))
        refuse(c, list, NULL, "RequestRedirect and URLRewrite must not be used together");
}

static bool replaces_prefix(const struct agw_node *f)
{
    const struct agw_node *path = agw_field(agw_field(f, "requestRedirect"), "path");

    if (!path)
        path = agw_field(agw_field(f, "urlRewrite"), "path");
    return agw_field_is(path, "type", "ReplacePrefixMatch");
}

/* What replaces a prefix must know which: exactly one match, of a prefix. A rule without matches matches "/".
 */
static bool one_prefix(const struct agw_node *matches)
{
    const struct agw_node *path;

    if (!matches || matches->count == 0)
        return true;
    path = agw_field(matches->first, "path");
    return matches->count == 1 && (!agw_field(path, "type") || agw_field_is(path, "type", "PathPrefix"));
}

static bool is_service(const struct agw_node *ref)
{
    return agw_node_text(ref, "group").n == 0 &&
           (!agw_field(ref, "kind") || agw_field_is(ref, "kind", "Service"));
}

static void check_mirror(struct ctx *c, const struct agw_node *m)
{
    const struct agw_node *ref = agw_field(m, "backendRef"), *part = agw_field(m, "fraction");

    if (ref && is_service(ref) && !agw_field(ref, "port"))
        refuse(c, ref, "port", "is required for a Service");
    if (part && agw_field(m, "percent"))
        refuse(c, part, NULL, "must not be set together with percent");
    if (part && agw_field_int(part, "numerator", 0) > agw_field_int(part, "denominator", 100))
        refuse(c, part, NULL, "numerator must not be larger than denominator");
}

static void check_filters(struct ctx *c, const struct agw_node *list, const struct agw_node *matches)
{
    const struct agw_node *f, *redirects;

    agw_node_each (f, list) {
        check_union(c, f);
        redirects = agw_field(f, "requestRedirect");
        check_redirect_status(c, redirects);
        if (agw_field(redirects, "path"))
            check_path_modifier(c, agw_field(redirects, "path"));
        if (agw_field(agw_field(f, "urlRewrite"), "path"))
            check_path_modifier(c, agw_field(agw_field(f, "urlRewrite"), "path"));
        check_mirror(c, agw_field(f, "requestMirror"));
        if (!agw_rules_cors(c->report, c->object, agw_field(f, "cors")))
            c->ok = false;
        if (replaces_prefix(f) && !one_prefix(matches))
            refuse(c, f, NULL, "ReplacePrefixMatch needs a rule with exactly one match, of type PathPrefix");
    }
    check_repeated(c, list);
}

static bool is_regex(const struct agw_node *test)
{
    return agw_field_is(test, "type", "RegularExpression");
}

bool agw_rules_regex(struct agw_report *r, const struct agw_object *o, const struct agw_node *value)
{
    struct agw_error err = {0};
    struct agw_regex *regex;

    if (!value)
        return true;
    if (agw_regex_new(value->text, &regex, &err)) {
        agw_report_error(r, o, value, NULL, "\"%.*s\": %s", AGW_STRF(value->text), err.text);
        return false;
    }
    agw_regex_free(regex);
    return true;
}

static void check_regex(struct ctx *c, const struct agw_node *test)
{
    if (is_regex(test) && !agw_rules_regex(c->report, c->object, agw_field(test, "value")))
        c->ok = false;
}

/* Written as elsewhere, a path that ends with "*": legal, and hardly ever what is meant. */
static void warn_glob(struct ctx *c, const struct agw_node *path)
{
    const struct agw_node *value = agw_field(path, "value");

    if (value && !is_regex(path) && agw_str_ends(value->text, AGW_STR("*")))
        agw_report_add(c->report, AGW_REPORT_WARNING, c->object, value, NULL,
                       "\"%.*s\": the * stands for itself; PathPrefix matches all below a path without it",
                       AGW_STRF(value->text));
}

static void check_match(struct ctx *c, const struct agw_node *m)
{
    const struct agw_node *path = agw_field(m, "path"), *value = agw_field(path, "value"), *n;

    check_regex(c, path);
    warn_glob(c, path);
    agw_node_each (n, agw_field(m, "headers"))
        check_regex(c, n);
    agw_node_each (n, agw_field(m, "queryParams"))
        check_regex(c, n);
    if (value && !is_regex(path) && !agw_is_path(value->text))
        refuse(
            c, value, NULL,
            "\"%.*s\" is not an absolute path in normal form (begins with /; no //, /./, /../, %%2f, ? or #)",
            AGW_STRF(value->text));
}

static void check_timeouts(struct ctx *c, const struct agw_node *t)
{
    uint64_t request = 0, backend = 0;

    agw_duration_ms(agw_node_text(t, "request"), &request);
    agw_duration_ms(agw_node_text(t, "backendRequest"), &backend);
    if (request && backend > request)
        refuse(c, agw_field(t, "backendRequest"), NULL, "must not be longer than request");
}

/* The Gateway API's own rules of the field, and a name that a header may have. */
bool agw_rules_session_persistence(struct agw_report *r, const struct agw_object *o, const struct agw_node *p)
{
    const struct agw_node *cookie = agw_field(p, "cookieConfig");
    struct ctx c = {.report = r, .object = o, .ok = true};
    uint64_t absolute = 0;

    agw_duration_ms(agw_node_text(p, "absoluteTimeout"), &absolute);
    if (agw_field_is(cookie, "lifetimeType", "Permanent") && !absolute)
        refuse(&c, p, "absoluteTimeout", "is required with the cookie lifetimeType Permanent");
    if (cookie && agw_field_is(p, "type", "Header"))
        refuse(&c, cookie, NULL, "must not be set with type Header");
    return c.ok;
}

static void check_rule(struct ctx *c, const struct agw_node *n)
{
    const struct agw_node *matches = agw_field(n, "matches"), *refs = agw_field(n, "backendRefs"), *m;

    agw_node_each (m, matches)
        check_match(c, m);
    check_filters(c, agw_field(n, "filters"), matches);
    agw_node_each (m, refs) {
        if (is_service(m) && !agw_field(m, "port"))
            refuse(c, m, "port", "is required for a Service");
        check_filters(c, agw_field(m, "filters"), matches);
    }
    if (refs && refs->count && of_type(agw_field(n, "filters"), "RequestRedirect"))
        refuse(c, refs, NULL, "must not be used together with the filter RequestRedirect");
    check_timeouts(c, agw_field(n, "timeouts"));
    if (!agw_rules_session_persistence(c->report, c->object, agw_field(n, "sessionPersistence")))
        c->ok = false;
}

bool agw_rules_filters(struct agw_report *r, const struct agw_object *o, const struct agw_node *list)
{
    struct ctx c = {.report = r, .object = o, .ok = true};

    check_filters(&c, list, NULL);
    return c.ok;
}

bool agw_rules_http_route(struct agw_report *r, const struct agw_object *o)
{
    struct ctx c = {.report = r, .object = o, .ok = true};
    const struct agw_node *n;

    agw_node_each (n, agw_field(o->spec, "rules"))
        check_rule(&c, n);
    return c.ok;
}
