/* AgentgatewayPolicy, of which some of `traffic` is served, and what HTTPRoute says in the same words. */
#include "base/check.h"
#include "gwapi/kind/kind.h"

static const char *const cors_methods[] = {"GET",     "HEAD",  "POST",  "PUT", "DELETE", "CONNECT",
                                           "OPTIONS", "TRACE", "PATCH", "*",   NULL};

#define A_NAME .min = 1, .max = 256, AGW_FORM(agw_is_token, "a header name")

const struct agw_field agw_fields_cors[] = {
    AGW_BOOLEAN("allowCredentials"),
    {.name = "allowOrigins",
     .type = AGW_FIELD_TEXT,
     .list = true,
     .max_items = 64,
     .min = 1,
     .max = 253,
     AGW_FORM(agw_is_origin, "* or an origin such as https://a.example.com or https://*.example.com")},
    {.name = "allowMethods", .type = AGW_FIELD_TEXT, .list = true, .max_items = 9, .one_of = cors_methods},
    {.name = "allowHeaders", .type = AGW_FIELD_TEXT, .list = true, .max_items = 64, A_NAME},
    {.name = "exposeHeaders", .type = AGW_FIELD_TEXT, .list = true, .max_items = 64, A_NAME},
    AGW_INT("maxAge", .min = 1, .max = INT32_MAX),
    AGW_END,
};

const struct agw_field agw_fields_retry[] = {
    {.name = "codes", .type = AGW_FIELD_INT, .list = true, .min = 400, .max = 599},
    AGW_INT("attempts", .min = 1, .max = INT32_MAX),
    AGW_TEXT("backoff", AGW_FORM(agw_is_duration, "a duration such as 1m30s or 500ms")),
    AGW_END,
};

static const char *const inheritances[] = {"Default", "Override", NULL};
static const char *const phases[] = {"PostRouting", "PreRouting", NULL};
static const char *const host_modes[] = {"Auto", "None", NULL};

#define A_SECTION .min = 1, .max = 253, AGW_A_SUBDOMAIN

static const char *const proxy_versions[] = {"V1", "V2", "All", NULL};
static const char *const proxy_modes[] = {"Strict", "Optional", NULL};

static const struct agw_field proxy_protocol[] = {
    AGW_TEXT("version", .one_of = proxy_versions),
    AGW_TEXT("mode", .one_of = proxy_modes),
    AGW_END,
};

static bool lasts(struct agw_str text, uint64_t least_ms)
{
    uint64_t ms;

    return agw_duration_ms(text, &ms) == 0 && ms >= least_ms;
}

static bool is_a_second(struct agw_str text)
{
    return lasts(text, 1000);
}

static bool is_a_tenth(struct agw_str text)
{
    return lasts(text, 100);
}

#define A_SECOND AGW_FORM(is_a_second, "a duration of a second or more, such as 1m30s")
#define A_SIZE(n)                                                                                            \
    {                                                                                                        \
        .name = n, .type = AGW_FIELD_INT_OR_TEXT, .min = 1, .max = UINT32_MAX,                               \
        AGW_FORM(agw_is_size, "a number of bytes such as 65536 or 64Ki, below 4Gi")                          \
    }

static const char *const header_cases[] = {"Lowercase", "Preserve", NULL};

static const struct agw_field http[] = {
    A_SIZE("maxBufferSize"),
    A_SIZE("http2WindowSize"),
    A_SIZE("http2ConnectionWindowSize"),
    A_SIZE("http2FrameSize"),
    A_SIZE("http2MaxHeaderSize"),
    AGW_INT("http1MaxHeaders", .min = 1, .max = 4096),
    AGW_TEXT("http1IdleTimeout", A_SECOND),
    AGW_TEXT("http1HeaderCase", .one_of = header_cases),
    AGW_TEXT("http2KeepaliveInterval", A_SECOND),
    AGW_TEXT("http2KeepaliveTimeout", A_SECOND),
    AGW_TEXT("maxConnectionDuration", A_SECOND),
    AGW_END,
};

static const struct agw_field keepalive[] = {
    AGW_TEXT("time", A_SECOND),
    AGW_TEXT("interval", A_SECOND),
    AGW_INT("retries", .min = 1, .max = 64),
    AGW_END,
};

static const struct agw_field tcp[] = {
    AGW_MAP("keepalive", keepalive, .required = true),
    AGW_END,
};

static const char *const alpn_protocols[] = {"h2", "http/1.1", NULL};
static const char *const tls_versions[] = {"1.2", "1.3", NULL};
static const char *const groups[] = {"P-256", "P-384", "X25519", "X25519_MLKEM768", NULL};
static const char *const suites[] = {
    "TLS13_AES_128_GCM_SHA256",
    "TLS13_AES_256_GCM_SHA384",
    "TLS13_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    NULL,
};

#define A_LIST(n, values)                                                                                    \
    {                                                                                                        \
        .name = n, .type = AGW_FIELD_TEXT, .list = true, .min_items = 1, .max_items = 16, .one_of = values   \
    }

static const struct agw_field frontend_tls[] = {
    AGW_TEXT("handshakeTimeout", AGW_FORM(is_a_tenth, "a duration of 100ms or more")),
    A_LIST("alpnProtocols", alpn_protocols),
    A_LIST("cipherSuites", suites),
    A_LIST("keyExchangeGroups", groups),
    AGW_TEXT("minProtocolVersion", .one_of = tls_versions),
    AGW_TEXT("maxProtocolVersion", .one_of = tls_versions),
    AGW_END,
};

const struct agw_field agw_fields_frontend[] = {
    AGW_MAP("proxyProtocol", proxy_protocol),
    AGW_MAP("http", http),
    AGW_MAP("tcp", tcp),
    AGW_MAP("tls", frontend_tls),
    AGW_UNSERVED("accessLog"),
    AGW_UNSERVED("connect"),
    AGW_UNSERVED("metrics"),
    AGW_UNSERVED("networkAuthorization"),
    AGW_UNSERVED("tracing"),
    AGW_END,
};

static const struct agw_field target_ref[] = {
    AGW_TEXT("group", AGW_A_GROUP, .required = true),
    AGW_TEXT("kind", AGW_A_KIND, .required = true),
    AGW_TEXT("name", .min = 1, .max = 253, .required = true),
    AGW_TEXT("sectionName", A_SECTION),
    AGW_INT("port", AGW_A_PORT),
    AGW_END,
};

static const struct agw_field target_selector[] = {
    AGW_TEXT("group", AGW_A_GROUP, .required = true),
    AGW_TEXT("kind", AGW_A_KIND, .required = true),
    AGW_TEXT("sectionName", A_SECTION),
    {.name = "matchLabels", .type = AGW_FIELD_TEXTS, .required = true},
    AGW_UNSERVED("port"),
    AGW_END,
};

static const struct agw_field strategy[] = {
    AGW_TEXT("inheritance", .one_of = inheritances),
    AGW_END,
};

static const struct agw_field policy_retry[] = {
    {.name = "codes", .type = AGW_FIELD_INT, .list = true, .min = 400, .max = 599},
    AGW_INT("attempts", .min = 1, .max = INT32_MAX),
    AGW_TEXT("backoff", AGW_FORM(agw_is_duration, "a duration such as 1m30s or 500ms")),
    AGW_UNSERVED("precondition"),
    AGW_UNSERVED("condition"),
    AGW_END,
};

static const struct agw_field timeouts[] = {
    AGW_TEXT("request", AGW_FORM(agw_is_duration, "a duration such as 1m30s or 500ms")),
    AGW_END,
};

static const struct agw_field delay[] = {
    AGW_TEXT("duration", .min = 1, .max = 16384, .required = true),
    AGW_END,
};

static const struct agw_field direct_response[] = {
    AGW_INT("status", .min = 200, .max = 599, .required = true),
    AGW_TEXT("body", .min = 1, .max = 4096),
    AGW_UNSERVED("bodyExpression"),
    AGW_UNSERVED("headers"),
    AGW_UNSERVED("conditional"),
    AGW_END,
};

static const struct agw_field header_modifiers[] = {
    AGW_MAP("request", agw_fields_header_modifier),
    AGW_MAP("response", agw_fields_header_modifier),
    AGW_END,
};

static const struct agw_field host_rewrite[] = {
    AGW_TEXT("mode", .one_of = host_modes, .required = true),
    AGW_END,
};

static const struct agw_field traffic[] = {
    AGW_TEXT("phase", .one_of = phases),
    AGW_MAP("cors", agw_fields_cors),
    AGW_MAP("retry", policy_retry),
    AGW_MAP("timeouts", timeouts),
    AGW_MAP("delay", delay),
    AGW_MAP("directResponse", direct_response),
    AGW_MAP("headerModifiers", header_modifiers),
    AGW_MAP("hostRewrite", host_rewrite),
    AGW_UNSERVED("apiKeyAuthentication"),
    AGW_UNSERVED("authorization"),
    AGW_UNSERVED("basicAuthentication"),
    AGW_UNSERVED("buffer"),
    AGW_UNSERVED("csrf"),
    AGW_UNSERVED("extAuth"),
    AGW_UNSERVED("extProc"),
    AGW_MAP("jwtAuthentication", agw_fields_jwt),
    AGW_UNSERVED("rateLimit"),
    AGW_UNSERVED("transformation"),
    AGW_END,
};

static const struct agw_field policy_spec[] = {
    AGW_LIST("targetRefs", target_ref, .min_items = 1, .max_items = 16),
    AGW_LIST("targetSelectors", target_selector, .min_items = 1, .max_items = 16),
    AGW_MAP("strategy", strategy),
    AGW_MAP("traffic", traffic),
    AGW_MAP("backend", agw_fields_backend_policies),
    AGW_MAP("frontend", agw_fields_frontend),
    AGW_END,
};

const struct agw_field agw_fields_policy[] = {
    AGW_OBJECT(policy_spec),
};

/* --- rules --- */

bool agw_rules_cors(struct agw_report *r, const struct agw_object *o, const struct agw_node *cors)
{
    static const char *const lists[] = {"allowOrigins", "allowMethods", "allowHeaders"};
    const struct agw_node *n;
    bool ok = true;

    for (size_t i = 0; i < AGW_ARRAY_LEN(lists); i++) {
        const struct agw_node *list = agw_field(cors, lists[i]);

        agw_node_each (n, list) {
            if (agw_str_eq(n->text, AGW_STR("*")) && list->count > 1) {
                agw_report_error(r, o, n, NULL, "* must stand alone");
                ok = false;
            }
        }
    }
    return ok;
}

#define FRAME_MIN 16384
#define FRAME_MAX 1677215 /* as the API says */

static bool check_front(struct agw_report *r, const struct agw_object *o, const struct agw_node *frontend)
{
    static const char *const parts[] = {"http", "tls"};
    const struct agw_node *in = agw_field(frontend, "http");
    uint64_t n;
    bool ok = true;

    if (frontend && frontend->count == 0) {
        agw_report_error(r, o, frontend, NULL, "needs a member");
        ok = false;
    }
    for (size_t i = 0; i < AGW_ARRAY_LEN(parts); i++) {
        const struct agw_node *part = agw_field(frontend, parts[i]);

        if (part && part->count == 0) {
            agw_report_error(r, o, part, NULL, "needs a member");
            ok = false;
        }
    }
    if (agw_field_quantity(in, "http2FrameSize", &n) && (n < FRAME_MIN || n > FRAME_MAX)) {
        agw_report_error(r, o, in, "http2FrameSize", "must be from %d to %d bytes", FRAME_MIN, FRAME_MAX);
        ok = false;
    }
    return ok;
}

/* What is in front of a connection is decided before its listener is known. */
bool agw_rules_frontend(struct agw_report *r, const struct agw_object *o)
{
    const struct agw_node *frontend = agw_field(o->spec, "frontend"), *ref;
    bool ok = check_front(r, o, frontend);

    if (frontend && !agw_field(o->spec, "targetRefs")) {
        agw_report_error(r, o, frontend, NULL, "needs targetRefs");
        return false;
    }
    agw_node_each (ref, frontend ? agw_field(o->spec, "targetRefs") : NULL) {
        if (!agw_field_is(ref, "group", AGW_GROUP_GATEWAY) || !agw_field_is(ref, "kind", "Gateway")) {
            agw_report_error(r, o, agw_field(ref, "kind"), NULL, "frontend can target a Gateway alone");
            ok = false;
        }
        if (agw_field(ref, "sectionName")) {
            agw_report_error(
                r, o, agw_field(ref, "sectionName"), NULL,
                "frontend can target a Gateway or a port: no listener is known when a connection "
                "begins");
            ok = false;
        }
    }
    return ok;
}

static bool is_of(const struct agw_node *target, const char *group, const char *kind)
{
    return agw_field_is(target, "kind", kind) && agw_field_is(target, "group", group);
}

/* Kinds that the API lets policies aim at; of backends only what is said of backends. */
static bool check_target(struct agw_report *r, const struct agw_object *o, const struct agw_node *target)
{
    static const char *const kinds[] = {"Gateway", "ListenerSet", "HTTPRoute", "GRPCRoute"};
    bool of_traffic = agw_field(o->spec, "traffic") != NULL;

    for (size_t i = 0; i < AGW_ARRAY_LEN(kinds); i++) {
        if (is_of(target, AGW_GROUP_GATEWAY, kinds[i]))
            return true;
    }
    if (!of_traffic && is_of(target, "", "Service")) {
        if (!agw_field(agw_field(o->spec, "backend"), "mcp"))
            return true;
        agw_report_error(r, o, target, "kind", "backend.mcp must not be said of a Service");
        return false;
    }
    if (!of_traffic && is_of(target, AGW_GROUP_AGENTGATEWAY, "AgentgatewayBackend")) {
        if (!agw_field(target, "sectionName"))
            return true;
        agw_report_error(r, o, target, "sectionName", "policies of a part of a backend are not served");
        return false;
    }
    agw_report_error(r, o, target, "kind", "%s policies of %.*s %.*s are not served",
                     of_traffic ? "traffic" : "backend", AGW_STRF(agw_node_text(target, "group")),
                     AGW_STRF(agw_node_text(target, "kind")));
    return false;
}

static bool check_tokens(struct agw_report *r, const struct agw_object *o,
                         const struct agw_node *traffic_node)
{
    const struct agw_node *jwt = agw_field(traffic_node, "jwtAuthentication"),
                          *other =
                              agw_field(agw_field(agw_field(o->spec, "backend"), "mcp"), "authentication");

    if (jwt && other) {
        agw_report_error(r, o, other, NULL, "must not be set together with traffic.jwtAuthentication");
        return false;
    }
    return agw_rules_jwt(r, o, jwt);
}

bool agw_rules_policy(struct agw_report *r, const struct agw_object *o)
{
    const struct agw_node *refs = agw_field(o->spec, "targetRefs"),
                          *selectors = agw_field(o->spec, "targetSelectors"), *n,
                          *traffic_node = agw_field(o->spec, "traffic");
    bool ok = agw_rules_cors(r, o, agw_field(traffic_node, "cors")) && agw_rules_frontend(r, o) &&
              agw_rules_backend_policies(r, o, agw_field(o->spec, "backend")) &&
              check_tokens(r, o, traffic_node);

    if (!refs == !selectors) {
        agw_report_error(r, o, o->spec, NULL, "needs exactly one of targetRefs and targetSelectors");
        ok = false;
    }
    if (agw_field(o->spec, "backend") && agw_field(o->spec, "backend")->count == 0) {
        agw_report_error(r, o, o->spec, "backend", "needs a member");
        ok = false;
    }
    if (agw_field_is(traffic_node, "phase", "PreRouting")) {
        agw_report_error(r, o, traffic_node, "phase", "PreRouting is not served by this version");
        ok = false;
    }
    agw_node_each (n, refs) {
        ok = check_target(r, o, n) && ok;
        if (!agw_field(o->spec, "frontend") && agw_field(n, "port")) {
            agw_report_error(r, o, n, "port", "policies of a port are not served");
            ok = false;
        }
    }
    agw_node_each (n, selectors)
        ok = check_target(r, o, n) && ok;
    return ok;
}
