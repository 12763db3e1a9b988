/* What is said of backends, by themselves or by AgentgatewayPolicies: http, tls, tcp, health, loadBalancer,
 * mcp, auth.
 */
#include "base/check.h"
#include "gwapi/backend/backend.h"
#include "gwapi/base/secret.h"

/* --- policies of endpoints and sockets --- */

static int eviction(struct agw_translate *t, const struct agw_node *n, Pb__BackendPolicySpec__Health *health)
{
    Pb__BackendPolicySpec__Eviction *out =
        agw_gwapi_new(t, Pb__BackendPolicySpec__Eviction, pb__backend_policy_spec__eviction__init);

    if (!out)
        return AGW_ENOMEM;
    health->eviction = out;
    out->duration =
        agw_gwapi_duration(t, agw_field(n, "duration") ? agw_node_text(n, "duration") : AGW_STR("3s"));
    if (agw_field(n, "consecutiveFailures")) {
        out->_consecutive_failures_case =
            PB__BACKEND_POLICY_SPEC__EVICTION___CONSECUTIVE_FAILURES_CONSECUTIVE_FAILURES;
        out->consecutive_failures = (int32_t)agw_field_int(n, "consecutiveFailures", 0);
    }
    if (agw_field(n, "healthThreshold")) { /* percents here, shares of 1 on the wire */
        out->_health_threshold_case = PB__BACKEND_POLICY_SPEC__EVICTION___HEALTH_THRESHOLD_HEALTH_THRESHOLD;
        out->health_threshold = (double)agw_field_int(n, "healthThreshold", 0) / 100;
    }
    if (agw_field(n, "restoreHealth")) {
        out->_restore_health_case = PB__BACKEND_POLICY_SPEC__EVICTION___RESTORE_HEALTH_RESTORE_HEALTH;
        out->restore_health = (double)agw_field_int(n, "restoreHealth", 0) / 100;
    }
    return out->duration ? 0 : AGW_ENOMEM;
}

static int active_check(struct agw_translate *t, const struct agw_node *n,
                        Pb__BackendPolicySpec__Health *health)
{
    Pb__ActiveHealthCheck *out = agw_gwapi_new(t, Pb__ActiveHealthCheck, pb__active_health_check__init);
    const struct agw_node *http = agw_field(n, "http"), *list = agw_field(http, "expectedStatuses"), *status;

    if (!out)
        return AGW_ENOMEM;
    health->active = out;
    out->interval = agw_gwapi_duration(t, agw_node_text(n, "interval"));
    out->timeout = agw_gwapi_duration(t, agw_node_text(n, "timeout"));
    out->unhealthy_threshold = (uint32_t)agw_field_int(n, "unhealthyThreshold", 0);
    out->healthy_threshold = (uint32_t)agw_field_int(n, "healthyThreshold", 0);
    if (!http)
        return 0;
    out->http = agw_gwapi_new(t, Pb__ActiveHealthCheck__HTTP, pb__active_health_check__http__init);
    if (!out->http)
        return AGW_ENOMEM;
    out->http->path = agw_gwapi_text(t, agw_node_text(http, "path"));
    out->http->host = agw_gwapi_text(t, agw_node_text(http, "host"));
    if (!list)
        return 0;
    out->http->expected_statuses = agw_arena_zalloc(&t->arena, list->count * sizeof(uint32_t));
    if (!out->http->expected_statuses)
        return AGW_ENOMEM;
    agw_node_each (status, list)
        out->http->expected_statuses[out->http->n_expected_statuses++] = (uint32_t)status->number;
    return 0;
}

static int backend_health(struct agw_translate *t, const struct agw_node *health, Pb__BackendPolicySpec *spec)
{
    Pb__BackendPolicySpec__Health *out =
        agw_gwapi_new(t, Pb__BackendPolicySpec__Health, pb__backend_policy_spec__health__init);

    if (!out)
        return AGW_ENOMEM;
    out->unhealthy_condition = agw_gwapi_text(t, agw_node_text(health, "unhealthyCondition"));
    spec->kind_case = PB__BACKEND_POLICY_SPEC__KIND_HEALTH;
    spec->health = out;
    if (agw_field(health, "active") && active_check(t, agw_field(health, "active"), out))
        return AGW_ENOMEM;
    return agw_field(health, "eviction") ? eviction(t, agw_field(health, "eviction"), out) : 0;
}

static int load_balancer(struct agw_translate *t, const struct agw_node *n, Pb__BackendPolicySpec *spec)
{
    Pb__LoadBalancer *out = agw_gwapi_new(t, Pb__LoadBalancer, pb__load_balancer__init);
    const struct agw_node *hash = agw_field(n, "consistentHash");

    if (!out)
        return AGW_ENOMEM;
    if (agw_field_is(n, "type", "RoundRobin"))
        out->type = PB__LOAD_BALANCER__TYPE__ROUND_ROBIN;
    else if (hash)
        out->type = PB__LOAD_BALANCER__TYPE__CONSISTENT_HASH;
    out->slow_start = agw_gwapi_duration(t, agw_node_text(agw_field(n, "slowStart"), "window"));
    spec->kind_case = PB__BACKEND_POLICY_SPEC__KIND_LOAD_BALANCER;
    spec->load_balancer = out;
    if (!hash)
        return 0;
    out->consistent_hash =
        agw_gwapi_new(t, Pb__LoadBalancer__ConsistentHash, pb__load_balancer__consistent_hash__init);
    if (!out->consistent_hash)
        return AGW_ENOMEM;
    if (agw_field_is(hash, "type", "Header"))
        out->consistent_hash->source = PB__LOAD_BALANCER__CONSISTENT_HASH__SOURCE__HEADER;
    else if (agw_field_is(hash, "type", "Cookie"))
        out->consistent_hash->source = PB__LOAD_BALANCER__CONSISTENT_HASH__SOURCE__COOKIE;
    else if (agw_field_is(hash, "type", "QueryParameter"))
        out->consistent_hash->source = PB__LOAD_BALANCER__CONSISTENT_HASH__SOURCE__QUERY_PARAMETER;
    out->consistent_hash->name = agw_gwapi_text(t, agw_node_text(hash, "name"));
    return 0;
}

static int backend_tcp(struct agw_translate *t, const struct agw_node *tcp, Pb__BackendPolicySpec *spec)
{
    Pb__BackendPolicySpec__BackendTCP *out =
        agw_gwapi_new(t, Pb__BackendPolicySpec__BackendTCP, pb__backend_policy_spec__backend_tcp__init);
    const struct agw_node *keep = agw_field(tcp, "keepalive");

    if (!out)
        return AGW_ENOMEM;
    out->connect_timeout = agw_gwapi_duration(t, agw_node_text(tcp, "connectTimeout"));
    spec->kind_case = PB__BACKEND_POLICY_SPEC__KIND_BACKEND_TCP;
    spec->backend_tcp = out;
    if (!keep)
        return 0;
    out->keepalive = agw_gwapi_new(t, Pb__KeepaliveConfig, pb__keepalive_config__init);
    if (!out->keepalive)
        return AGW_ENOMEM;
    out->keepalive->time = agw_gwapi_duration(t, agw_node_text(keep, "time"));
    out->keepalive->interval = agw_gwapi_duration(t, agw_node_text(keep, "interval"));
    if (agw_field(keep, "retries")) {
        out->keepalive->_retries_case = PB__KEEPALIVE_CONFIG___RETRIES_RETRIES;
        out->keepalive->retries = (uint32_t)agw_field_int(keep, "retries", 0);
    }
    return 0;
}

/* --- tls --- */

static int backend_ca(struct agw_translate *t, const struct agw_object *backend, const struct agw_node *tls,
                      Pb__BackendPolicySpec__BackendTLS *out, const char **ret_why)
{
    const struct agw_node *list = agw_field(tls, "caCertificateRefs");
    const struct agw_object *map;
    struct agw_str ca;

    if (!list || list->count == 0)
        return 0;
    map = agw_objects_get(t->objects, AGW_KIND_CONFIG_MAP, backend->ns, agw_node_text(list->first, "name"));
    ca = map ? agw_node_text(agw_field(map->node, "data"), "ca.crt") : AGW_STR("");
    out->_root_case = PB__BACKEND_POLICY_SPEC__BACKEND_TLS___ROOT_ROOT;
    out->root.data = (uint8_t *)agw_gwapi_text(t, ca);
    out->root.len = ca.n;
    if (!agw_gwapi_is_pem(&out->root, "CERTIFICATE-----"))
        *ret_why = "caCertificateRefs names no ConfigMap with certificates in ca.crt";
    return 0;
}

static int backend_cert(struct agw_translate *t, const struct agw_object *backend, const struct agw_node *tls,
                        Pb__BackendPolicySpec__BackendTLS *out, const char **ret_why)
{
    const struct agw_node *list = agw_field(tls, "mtlsCertificateRef");
    const struct agw_object *secret = NULL;
    const char *why;
    int rc;

    if (!list || list->count == 0)
        return 0;
    if (agw_gwapi_is_secret_ref(list->first) && !agw_field(list->first, "namespace"))
        secret =
            agw_objects_get(t->objects, AGW_KIND_SECRET, backend->ns, agw_node_text(list->first, "name"));
    rc = secret ? agw_gwapi_tls_secret(t, secret, &out->cert, &out->key, &why) : AGW_EINVAL;
    out->_cert_case = PB__BACKEND_POLICY_SPEC__BACKEND_TLS___CERT_CERT;
    out->_key_case = PB__BACKEND_POLICY_SPEC__BACKEND_TLS___KEY_KEY;
    if (rc != AGW_EINVAL)
        return rc;
    *ret_why = "mtlsCertificateRef names no usable Secret of type kubernetes.io/tls";
    return 0;
}

static int groups(struct agw_translate *t, const struct agw_node *list,
                  Pb__BackendPolicySpec__BackendTLS *out)
{
    static const char *const names[] = {"", "X25519", "P-256", "P-384", "X25519_MLKEM768", NULL};
    const struct agw_node *n;
    int i;

    if (!list || list->count == 0)
        return 0;
    out->key_exchange_groups = agw_arena_zalloc(&t->arena, list->count * sizeof(*out->key_exchange_groups));
    if (!out->key_exchange_groups)
        return AGW_ENOMEM;
    agw_node_each (n, list) {
        for (i = 1; names[i] && !agw_str_eq(n->text, agw_str_c(names[i]));)
            i++;
        out->key_exchange_groups[out->n_key_exchange_groups++] = (Pb__TLSConfig__KeyExchangeGroup)i;
    }
    return 0;
}

static int backend_tls(struct agw_translate *t, const struct agw_object *backend, const struct agw_node *tls,
                       Pb__BackendPolicySpec *spec, const char **ret_why)
{
    Pb__BackendPolicySpec__BackendTLS *out =
        agw_gwapi_new(t, Pb__BackendPolicySpec__BackendTLS, pb__backend_policy_spec__backend_tls__init);
    struct agw_str sni = agw_node_text(tls, "sni");
    const struct agw_node *alpn = agw_field(tls, "alpnProtocols");

    if (!out)
        return AGW_ENOMEM;
    if (agw_field_is(tls, "insecureSkipVerify", "All"))
        out->verification = PB__BACKEND_POLICY_SPEC__BACKEND_TLS__VERIFICATION_MODE__INSECURE_ALL;
    else if (agw_field_is(tls, "insecureSkipVerify", "Hostname"))
        out->verification = PB__BACKEND_POLICY_SPEC__BACKEND_TLS__VERIFICATION_MODE__INSECURE_HOST;
    if (sni.n) {
        out->_hostname_case = PB__BACKEND_POLICY_SPEC__BACKEND_TLS___HOSTNAME_HOSTNAME;
        out->hostname = agw_gwapi_text(t, sni);
    }
    out->verify_subject_alt_names =
        agw_gwapi_texts(t, agw_field(tls, "verifySubjectAltNames"), &out->n_verify_subject_alt_names);
    if (alpn) {
        out->alpn = agw_gwapi_new(t, Pb__Alpn, pb__alpn__init);
        if (!out->alpn)
            return AGW_ENOMEM;
        out->alpn->protocols = agw_gwapi_texts(t, alpn, &out->alpn->n_protocols);
    }
    spec->kind_case = PB__BACKEND_POLICY_SPEC__KIND_BACKEND_TLS;
    spec->backend_tls = out;
    if (groups(t, agw_field(tls, "keyExchangeGroups"), out) || backend_ca(t, backend, tls, out, ret_why))
        return AGW_ENOMEM;
    return backend_cert(t, backend, tls, out, ret_why);
}

static int backend_http(struct agw_translate *t, const struct agw_node *http, Pb__BackendPolicySpec *spec)
{
    Pb__BackendPolicySpec__BackendHTTP *out =
        agw_gwapi_new(t, Pb__BackendPolicySpec__BackendHTTP, pb__backend_policy_spec__backend_http__init);

    if (!out)
        return AGW_ENOMEM;
    if (agw_field_is(http, "version", "HTTP1"))
        out->version = PB__BACKEND_POLICY_SPEC__BACKEND_HTTP__HTTP_VERSION__HTTP1;
    else if (agw_field_is(http, "version", "HTTP2"))
        out->version = PB__BACKEND_POLICY_SPEC__BACKEND_HTTP__HTTP_VERSION__HTTP2;
    out->request_timeout = agw_gwapi_duration(t, agw_node_text(http, "requestTimeout"));
    spec->kind_case = PB__BACKEND_POLICY_SPEC__KIND_BACKEND_HTTP;
    spec->backend_http = out;
    return 0;
}

int agw_gwapi_backend_policies(struct agw_translate *t, const struct agw_object *owner,
                               const struct agw_node *policies, Pb__BackendPolicySpec ***ret_specs,
                               size_t *ret_count, const char **ret_why)
{
    static const char *const names[] = {"http", "tls", "tcp", "health", "loadBalancer", "mcp", "mcp", "auth"};
    /* one to spare: the caller's own */
    Pb__BackendPolicySpec **specs = agw_gwapi_pointers(t, AGW_ARRAY_LEN(names) + 1);
    size_t count = 0;

    *ret_why = NULL;
    t->owner = owner;
    if (!specs)
        return AGW_ENOMEM;
    for (size_t i = 0; i < AGW_ARRAY_LEN(names); i++) {
        const struct agw_node *n = agw_field(policies, names[i]);
        Pb__BackendPolicySpec *spec;

        if (!n)
            continue;
        spec = agw_gwapi_new(t, Pb__BackendPolicySpec, pb__backend_policy_spec__init);
        if (!spec || (i == 0   ? backend_http(t, n, spec)
                      : i == 1 ? backend_tls(t, owner, n, spec, ret_why)
                      : i == 2 ? backend_tcp(t, n, spec)
                      : i == 3 ? backend_health(t, n, spec)
                      : i == 4 ? load_balancer(t, n, spec)
                      : i == 5 ? agw_gwapi_mcp_authorization(t, n, spec)
                      : i == 6 ? agw_gwapi_mcp_authentication(t, n, spec)
                               : agw_gwapi_backend_auth(t, owner, n, spec)))
            return AGW_ENOMEM;
        if (spec->kind_case != PB__BACKEND_POLICY_SPEC__KIND__NOT_SET)
            specs[count++] = spec;
    }
    *ret_specs = specs;
    *ret_count = count;
    return 0;
}
