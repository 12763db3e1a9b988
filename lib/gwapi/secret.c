/* Secrets and ConfigMaps as listeners' certificates and backends' TLS policies. */
#include "gwapi/gwapi_int.h"
#include "tls/tls.h"

/* --- data --- */

/* Base64 text without its line breaks, which Kubernetes allows in it. p is NULL when memory is out. */
static struct agw_str unwrap(struct agw_translate *t, struct agw_str text)
{
    char *out = agw_arena_alloc(&t->arena, text.n);
    size_t i, n = 0;

    for (i = 0; out && i < text.n; i++) {
        if (text.p[i] != '\n' && text.p[i] != '\r')
            out[n++] = text.p[i];
    }
    return agw_str(out, n);
}

/* The bytes under |key|: stringData as it is, else data decoded from Base64. AGW_EINVAL when they are not
 * there. */
static int secret_bytes(struct agw_translate *t, const struct agw_object *o, const char *key,
                        ProtobufCBinaryData *ret_bytes)
{
    const struct agw_node *plain = agw_field(agw_field(o->node, "stringData"), key);
    const struct agw_node *coded = agw_field(agw_field(o->node, "data"), key);
    struct agw_str text;
    size_t n;

    if (plain) {
        ret_bytes->data = (uint8_t *)agw_gwapi_text(t, plain->text);
        ret_bytes->len = plain->text.n;
        return t->failed ? AGW_ENOMEM : 0;
    }
    if (!coded)
        return AGW_EINVAL;
    text = unwrap(t, coded->text);
    ret_bytes->data = agw_arena_alloc(&t->arena, text.n / 4 * 3 + 3);
    if (!text.p || !ret_bytes->data)
        return AGW_ENOMEM;
    if (agw_base64_decode(text, false, ret_bytes->data, &n))
        return AGW_EINVAL;
    ret_bytes->len = n;
    return 0;
}

static bool is_pem(const ProtobufCBinaryData *bytes, const char *what)
{
    struct agw_str text = agw_str((const char *)bytes->data, bytes->len);

    return agw_str_search(text, AGW_STR("-----BEGIN ")) >= 0 && agw_str_search(text, agw_str_c(what)) >= 0;
}

/* True if OpenSSL takes the two and the key belongs to the certificate. |*ret_why| otherwise; AGW_ENOMEM. */
static int check_pair(struct agw_translate *t, const ProtobufCBinaryData *cert,
                      const ProtobufCBinaryData *key, const char **ret_why)
{
    struct agw_tls_cert_pem pem = {.cert_chain = agw_str((const char *)cert->data, cert->len),
                                   .key = agw_str((const char *)key->data, key->len)};
    struct agw_error err = {0};
    struct agw_tls_server_conf conf = {.certs = &pem, .cert_count = 1};
    struct agw_tls_server *server = agw_tls_server_new(&conf, &err);
    struct agw_str text;

    if (server) {
        agw_tls_server_unref(server);
        return 0;
    }
    if (err.code == AGW_ENOMEM)
        return AGW_ENOMEM;
    text = agw_arena_printf(&t->arena, "cannot be used: %s", err.text);
    *ret_why = text.p;
    return text.p ? AGW_EINVAL : AGW_ENOMEM;
}

int agw_gwapi_tls_secret(struct agw_translate *t, const struct agw_object *secret,
                         ProtobufCBinaryData *ret_cert, ProtobufCBinaryData *ret_key, const char **ret_why)
{
    ProtobufCBinaryData cert, key;
    int rc;

    *ret_why = "is not of type kubernetes.io/tls";
    if (!agw_field_is(secret->node, "type", "kubernetes.io/tls"))
        return AGW_EINVAL;
    *ret_why = "has no PEM certificate in tls.crt";
    rc = secret_bytes(t, secret, "tls.crt", &cert);
    if (rc || !is_pem(&cert, "CERTIFICATE-----"))
        return rc ? rc : AGW_EINVAL;
    *ret_why = "has no PEM private key in tls.key";
    rc = secret_bytes(t, secret, "tls.key", &key);
    if (rc || !is_pem(&key, "PRIVATE KEY-----"))
        return rc ? rc : AGW_EINVAL;
    rc = check_pair(t, &cert, &key, ret_why);
    if (rc)
        return rc;
    *ret_cert = cert;
    *ret_key = key;
    return 0;
}

static bool is_secret_ref(const struct agw_node *ref)
{
    return agw_node_text(ref, "group").n == 0 &&
           (!agw_field(ref, "kind") || agw_field_is(ref, "kind", "Secret"));
}

/* --- listeners --- */

static int refuse(struct agw_translate *t, struct agw_gwapi_refusal *refusal, const char *reason,
                  struct agw_str ns, struct agw_str name, const char *why)
{
    refusal->reason = reason;
    refusal->message = agw_arena_printf(&t->arena, "Secret %.*s/%.*s %s", AGW_STRF(ns), AGW_STRF(name), why);
    return refusal->message.p ? 0 : AGW_ENOMEM;
}

int agw_gwapi_listener_tls(struct agw_translate *t, const struct agw_object *gateway,
                           const struct agw_node *tls, Pb__TLSConfig **ret_tls,
                           struct agw_gwapi_refusal *ret_refusal)
{
    const struct agw_node *ref = agw_field(tls, "certificateRefs")->first;
    struct agw_str ns = agw_field_text(ref, "namespace", gateway->ns), name = agw_node_text(ref, "name");
    Pb__TLSConfig *out = agw_gwapi_new(t, Pb__TLSConfig, pb__tlsconfig__init);
    const struct agw_object *secret;
    const char *why = NULL;
    int rc;

    *ret_refusal = (struct agw_gwapi_refusal){0};
    *ret_tls = out;
    if (!out)
        return AGW_ENOMEM;
    if (!is_secret_ref(ref))
        return refuse(t, ret_refusal, "InvalidCertificateRef", ns, name,
                      "is meant, but the reference is to another kind");
    if (!agw_gwapi_granted(t->objects, "Gateway", gateway->ns, AGW_STR(""), AGW_STR("Secret"), ns, name))
        return refuse(t, ret_refusal, "RefNotPermitted", ns, name,
                      "is not granted to this Gateway by a ReferenceGrant");
    secret = agw_objects_get(t->objects, AGW_KIND_SECRET, ns, name);
    if (!secret)
        return refuse(t, ret_refusal, "InvalidCertificateRef", ns, name, "does not exist");
    rc = agw_gwapi_tls_secret(t, secret, &out->cert, &out->private_key, &why);
    if (rc == AGW_EINVAL)
        return refuse(t, ret_refusal, "InvalidCertificateRef", ns, name, why);
    return rc;
}

/* --- backends --- */

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
    if (!is_pem(&out->root, "CERTIFICATE-----"))
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
    if (is_secret_ref(list->first) && !agw_field(list->first, "namespace"))
        secret =
            agw_objects_get(t->objects, AGW_KIND_SECRET, backend->ns, agw_node_text(list->first, "name"));
    rc = secret ? agw_gwapi_tls_secret(t, secret, &out->cert, &out->key, &why) : AGW_EINVAL;
    if (rc == AGW_EINVAL) {
        *ret_why = "mtlsCertificateRef names no usable Secret of type kubernetes.io/tls";
        return 0;
    }
    out->_cert_case = PB__BACKEND_POLICY_SPEC__BACKEND_TLS___CERT_CERT;
    out->_key_case = PB__BACKEND_POLICY_SPEC__BACKEND_TLS___KEY_KEY;
    return rc;
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
    if (agw_field(tls, "keyExchangeGroups"))
        agw_gwapi_warn(t, backend, agw_field(tls, "keyExchangeGroups"),
                       "is not served: the library's groups are offered");
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

int agw_gwapi_backend_policies(struct agw_translate *t, const struct agw_object *backend,
                               const struct agw_node *policies, Pb__BackendPolicySpec ***ret_specs,
                               size_t *ret_count, const char **ret_why)
{
    static const char *const names[] = {"http", "tls", "tcp", "health"};
    /* one to spare: the caller's own */
    Pb__BackendPolicySpec **specs = agw_gwapi_pointers(t, AGW_ARRAY_LEN(names) + 1);
    size_t count = 0;

    *ret_why = NULL;
    if (!specs)
        return AGW_ENOMEM;
    for (size_t i = 0; i < AGW_ARRAY_LEN(names); i++) {
        const struct agw_node *n = agw_field(policies, names[i]);
        Pb__BackendPolicySpec *spec;

        if (!n)
            continue;
        spec = agw_gwapi_new(t, Pb__BackendPolicySpec, pb__backend_policy_spec__init);
        if (!spec || (i == 0   ? backend_http(t, n, spec)
                      : i == 1 ? backend_tls(t, backend, n, spec, ret_why)
                      : i == 2 ? agw_gwapi_backend_tcp(t, n, spec)
                               : agw_gwapi_backend_health(t, n, spec)))
            return AGW_ENOMEM;
        specs[count++] = spec;
    }
    *ret_specs = specs;
    *ret_count = count;
    return 0;
}
