/* What AgentgatewayBackends say in `policies` and AgentgatewayPolicies in `backend`: http, tls, tcp, health
 * and loadBalancer are served. */
#include "gwapi/kind/kind.h"

static bool is_a_while(struct agw_str text)
{
    uint64_t ms;

    return agw_duration_ms(text, &ms) == 0 && ms >= 100 && ms <= 86400000;
}

#define A_WHILE AGW_FORM(is_a_while, "a duration from 100ms to 24h")

static const char *const http_versions[] = {"HTTP1", "HTTP2", NULL};
static const char *const skip_modes[] = {"All", "Hostname", NULL};
static const char *const groups[] = {"P-256", "P-384", "X25519", "X25519_MLKEM768", NULL};

static const struct agw_field policy_http[] = {
    AGW_TEXT("version", .one_of = http_versions),
    AGW_TEXT("requestTimeout", AGW_FORM(agw_is_duration, "a duration such as 1m30s")),
    AGW_END,
};

const struct agw_field agw_fields_name_ref[] = {
    AGW_TEXT("name", AGW_A_SUBDOMAIN, .required = true),
    AGW_END,
};

static const struct agw_field policy_tls[] = {
    AGW_TEXT("sni", AGW_A_SUBDOMAIN),
    AGW_TEXT("insecureSkipVerify", .one_of = skip_modes),
    {.name = "verifySubjectAltNames",
     .type = AGW_FIELD_TEXT,
     .list = true,
     .min_items = 1,
     .max_items = 16,
     .min = 1,
     .max = 256},
    {.name = "alpnProtocols",
     .type = AGW_FIELD_TEXT,
     .list = true,
     .min_items = 1,
     .max_items = 16,
     .min = 1,
     .max = 64},
    {.name = "keyExchangeGroups", .type = AGW_FIELD_TEXT, .list = true, .one_of = groups},
    AGW_LIST("caCertificateRefs", agw_fields_name_ref, .max_items = 1),
    AGW_LIST("mtlsCertificateRef", agw_fields_secret_ref, .max_items = 1),
    AGW_END,
};

static const struct agw_field keepalive[] = {
    AGW_TEXT("time", AGW_FORM(agw_is_duration, "a duration such as 1m30s")),
    AGW_TEXT("interval", AGW_FORM(agw_is_duration, "a duration such as 1m30s")),
    AGW_INT("retries", .min = 1, .max = 64),
    AGW_END,
};

static const struct agw_field policy_tcp[] = {
    AGW_TEXT("connectTimeout", AGW_FORM(agw_is_duration, "a duration such as 1m30s")),
    AGW_MAP("keepalive", keepalive),
    AGW_END,
};

static const struct agw_field eviction[] = {
    AGW_TEXT("duration", AGW_FORM(agw_is_duration, "a duration such as 1m30s")),
    AGW_INT("consecutiveFailures", .min = 0, .max = INT32_MAX),
    AGW_INT("healthThreshold", .min = 0, .max = 100),
    AGW_INT("restoreHealth", .min = 0, .max = 100),
    AGW_END,
};

static const struct agw_field check_http[] = {
    AGW_TEXT("path", .min = 1, .max = 1024, AGW_FORM(agw_is_absolute_path, "an absolute path")),
    AGW_TEXT("host", .min = 1, .max = 253, AGW_FORM(agw_is_host, "an IP address or a DNS name")),
    {.name = "expectedStatuses",
     .type = AGW_FIELD_INT,
     .list = true,
     .min_items = 1,
     .max_items = 16,
     .min = 100,
     .max = 599},
    AGW_END,
};

/* Of our own: the API has no active checks. */
static const struct agw_field check[] = {
    AGW_TEXT("interval", A_WHILE),
    AGW_TEXT("timeout", A_WHILE),
    AGW_INT("unhealthyThreshold", .min = 1, .max = 100),
    AGW_INT("healthyThreshold", .min = 1, .max = 100),
    AGW_MAP("http", check_http),
    AGW_END,
};

static const struct agw_field policy_health[] = {
    AGW_TEXT("unhealthyCondition", .min = 1, .max = 16384),
    AGW_MAP("eviction", eviction),
    AGW_MAP("active", check),
    AGW_END,
};

static const char *const balancer_types[] = {"PowerOfTwoChoices", "RoundRobin", "ConsistentHash", NULL};
static const char *const hash_sources[] = {"SourceIP", "Header", "Cookie", "QueryParameter", NULL};

static const struct agw_field consistent_hash[] = {
    AGW_TEXT("type", .one_of = hash_sources, .required = true),
    AGW_TEXT("name", .min = 1, .max = 256,
             AGW_FORM(agw_is_token, "the name of a header, cookie or parameter")),
    AGW_END,
};

static const struct agw_field slow_start[] = {
    AGW_TEXT("window", A_WHILE, .required = true),
    AGW_END,
};

/* Of our own, too. */
static const struct agw_field load_balancer[] = {
    AGW_TEXT("type", .one_of = balancer_types, .required = true),
    AGW_MAP("consistentHash", consistent_hash),
    AGW_MAP("slowStart", slow_start),
    AGW_END,
};

const struct agw_field agw_fields_backend_policies[] = {
    AGW_MAP("http", policy_http),
    AGW_MAP("tls", policy_tls),
    AGW_UNSERVED("ai"),
    AGW_MAP("auth", agw_fields_auth),
    AGW_UNSERVED("extAuth"),
    AGW_MAP("health", policy_health),
    AGW_MAP("loadBalancer", load_balancer),
    AGW_MAP("mcp", agw_fields_mcp_policies),
    AGW_MAP("tcp", policy_tcp),
    AGW_UNSERVED("transformation"),
    AGW_UNSERVED("tunnel"),
    AGW_END,
};

/* --- rules --- */

static bool check_tls(struct agw_report *r, const struct agw_object *o, const struct agw_node *policies)
{
    const struct agw_node *tls = agw_field(policies, "tls"), *skip = agw_field(tls, "insecureSkipVerify");

    if (skip && agw_field(tls, "verifySubjectAltNames")) {
        agw_report_error(r, o, skip, NULL, "must not be set together with verifySubjectAltNames");
        return false;
    }
    if (agw_field_is(tls, "insecureSkipVerify", "All") && agw_field(tls, "caCertificateRefs")) {
        agw_report_error(r, o, skip, NULL, "All must not be set together with caCertificateRefs");
        return false;
    }
    return true;
}

/* The name is for all sources but the client's address. */
static bool check_balancer(struct agw_report *r, const struct agw_object *o, const struct agw_node *policies)
{
    const struct agw_node *balancer = agw_field(policies, "loadBalancer"),
                          *hash = agw_field(balancer, "consistentHash");
    bool hashes = agw_field_is(balancer, "type", "ConsistentHash"),
         by_ip = agw_field_is(hash, "type", "SourceIP");

    if (hashes != !!hash) {
        agw_report_error(r, o, balancer, NULL, "consistentHash belongs to type ConsistentHash");
        return false;
    }
    if (hash && by_ip == !!agw_field(hash, "name")) {
        agw_report_error(r, o, hash, NULL,
                         by_ip ? "SourceIP has no name"
                               : "needs the name of the header, cookie or parameter");
        return false;
    }
    return true;
}

bool agw_rules_backend_policies(struct agw_report *r, const struct agw_object *o,
                                const struct agw_node *policies)
{
    const struct agw_node *mcp = agw_field(policies, "mcp");
    bool ok = check_tls(r, o, policies);

    ok = agw_rules_auth(r, o, agw_field(policies, "auth")) && ok;
    ok = agw_rules_mcp(r, o, mcp) && ok;
    if (mcp && mcp->count == 0) {
        agw_report_error(r, o, mcp, NULL, "needs a member");
        ok = false;
    }
    return check_balancer(r, o, policies) && ok;
}
