/* Secrets and ConfigMaps as listeners' certificates and backends' TLS policies. */
#include <string.h>
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

/* The Secret that |ref| of the Gateway names, NULL when *|refusal| says why there is none to use. */
static const struct agw_object *referred_secret(struct agw_translate *t, const struct agw_object *gateway,
                                                const struct agw_node *ref, struct agw_gwapi_refusal *refusal,
                                                int *ret_rc)
{
    struct agw_str ns = agw_field_text(ref, "namespace", gateway->ns), name = agw_node_text(ref, "name");
    const struct agw_object *secret;

    if (!is_secret_ref(ref)) {
        *ret_rc = refuse(t, refusal, "InvalidCertificateRef", ns, name,
                         "is meant, but the reference is to another kind");
        return NULL;
    }
    if (!agw_gwapi_granted(t->objects, "Gateway", gateway->ns, AGW_STR(""), AGW_STR("Secret"), ns, name)) {
        *ret_rc = refuse(t, refusal, "RefNotPermitted", ns, name,
                         "is not granted to this Gateway by a ReferenceGrant");
        return NULL;
    }
    secret = agw_objects_get(t->objects, AGW_KIND_SECRET, ns, name);
    if (!secret)
        *ret_rc = refuse(t, refusal, "InvalidCertificateRef", ns, name, "does not exist");
    return secret;
}

static int join(struct agw_translate *t, ProtobufCBinaryData *all, const ProtobufCBinaryData *more)
{
    uint8_t *p = all->len ? agw_arena_alloc(&t->arena, all->len + 1 + more->len) : more->data;

    if (!p)
        return AGW_ENOMEM;
    if (all->len == 0) {
        *all = *more;
        return 0;
    }
    memcpy(p, all->data, all->len);
    p[all->len] = '\n';
    memcpy(p + all->len + 1, more->data, more->len);
    *all = (ProtobufCBinaryData){all->len + 1 + more->len, p};
    return 0;
}

/* The Secret's answer of the certificate's OCSP responder, behind the certificate that it is about. */
static int add_staple(struct agw_translate *t, const struct agw_object *secret, ProtobufCBinaryData *cert,
                      const ProtobufCBinaryData *key)
{
    ProtobufCBinaryData der, with = *cert, pem;
    const char *why = NULL;
    char *text;
    size_t n;
    int rc = secret_bytes(t, secret, "tls.ocsp-staple", &der);

    if (rc)
        return rc == AGW_EINVAL ? 0 : rc;
    text = agw_arena_alloc(&t->arena, der.len / 3 * 4 + 5);
    if (!text)
        return AGW_ENOMEM;
    n = agw_base64_encode(der.data, der.len, false, text);
    pem.data = (uint8_t *)agw_gwapi_printf(
        t, "\n-----BEGIN " AGW_TLS_PEM_OCSP "-----\n%.*s\n-----END " AGW_TLS_PEM_OCSP "-----\n", (int)n,
        text);
    pem.len = strlen((char *)pem.data);
    if (t->failed || join(t, &with, &pem))
        return AGW_ENOMEM;
    rc = check_pair(t, &with, key, &why);
    if (rc == AGW_EINVAL) {
        agw_gwapi_warn(t, secret, NULL, "tls.ocsp-staple is left out: %s", why);
        return 0;
    }
    *cert = with;
    return rc;
}

/* All that can be used, in one: the data plane takes them apart by their keys. */
static int listener_certs(struct agw_translate *t, const struct agw_object *gateway,
                          const struct agw_node *list, Pb__TLSConfig *out, struct agw_gwapi_refusal *first)
{
    const struct agw_node *ref;

    agw_node_each (ref, list) {
        struct agw_gwapi_refusal refusal = {0};
        ProtobufCBinaryData cert, key;
        const char *why = NULL;
        int rc = 0;
        const struct agw_object *secret = referred_secret(t, gateway, ref, &refusal, &rc);

        if (secret)
            rc = agw_gwapi_tls_secret(t, secret, &cert, &key, &why);
        if (rc == AGW_EINVAL)
            rc = refuse(t, &refusal, "InvalidCertificateRef", secret->ns, secret->name, why);
        else if (secret && !rc &&
                 (add_staple(t, secret, &cert, &key) || join(t, &out->cert, &cert) ||
                  join(t, &out->private_key, &key)))
            rc = AGW_ENOMEM;
        if (rc)
            return rc;
        if (!first->reason)
            *first = refusal;
    }
    return 0;
}

/* --- CA certificates --- */

static int ca_ref(struct agw_translate *t, const struct agw_object *from, const struct agw_node *ref,
                  const char *kind_reason, ProtobufCBinaryData *all, struct agw_gwapi_refusal *refusal)
{
    struct agw_str ns = agw_field_text(ref, "namespace", from->ns), name = agw_node_text(ref, "name");
    struct agw_str kind = agw_field_text(ref, "kind", AGW_STR("ConfigMap"));
    bool secret = agw_str_eq(kind, AGW_STR("Secret"));
    const struct agw_object *o;
    const char *why = NULL, *reason = "InvalidCACertificateRef";
    ProtobufCBinaryData pem = {0};
    struct agw_error err = {0};
    int rc = 0;

    o = agw_objects_get(t->objects, secret ? AGW_KIND_SECRET : AGW_KIND_CONFIG_MAP, ns, name);
    if (agw_node_text(ref, "group").n || (!secret && !agw_str_eq(kind, AGW_STR("ConfigMap")))) {
        why = "is of a kind that holds no certificates here";
        reason = kind_reason;
    } else if (!agw_gwapi_granted(t->objects, agw_gwapi_text(t, from->kind_name), from->ns, AGW_STR(""), kind,
                                  ns, name)) {
        why = "is not granted by a ReferenceGrant";
        reason = "RefNotPermitted";
    } else if (!o) {
        why = "does not exist";
    } else if (secret) {
        rc = secret_bytes(t, o, "ca.crt", &pem);
    } else {
        struct agw_str text = agw_node_text(agw_field(o->node, "data"), "ca.crt");
        pem = (ProtobufCBinaryData){text.n, (uint8_t *)agw_gwapi_text(t, text)};
    }
    if (rc == AGW_ENOMEM || t->failed)
        return AGW_ENOMEM;
    if (!why && agw_tls_check_roots(agw_str((char *)pem.data, pem.len), &err)) {
        if (err.code == AGW_ENOMEM)
            return AGW_ENOMEM;
        why = "has no certificates in ca.crt that can be used";
    }
    if (!why)
        return join(t, all, &pem);
    refusal->reason = reason;
    refusal->message =
        agw_arena_printf(&t->arena, "%.*s %.*s/%.*s %s", AGW_STRF(kind), AGW_STRF(ns), AGW_STRF(name), why);
    return refusal->message.p ? 0 : AGW_ENOMEM;
}

int agw_gwapi_ca_refs(struct agw_translate *t, const struct agw_object *from, const struct agw_node *list,
                      const char *kind_reason, ProtobufCBinaryData *ret_pem,
                      struct agw_gwapi_refusal *ret_refusal)
{
    const struct agw_node *ref;

    *ret_pem = (ProtobufCBinaryData){0, (uint8_t *)""};
    *ret_refusal = (struct agw_gwapi_refusal){0};
    agw_node_each (ref, list) {
        struct agw_gwapi_refusal refusal = {0};

        if (ca_ref(t, from, ref, kind_reason, ret_pem, &refusal))
            return AGW_ENOMEM;
        if (!ret_refusal->reason)
            *ret_refusal = refusal;
    }
    return 0;
}

/* --- client certificates in front --- */

/* What is asked of clients on |port|: an entry for the port stands for all of it. */
static const struct agw_node *validation_of(const struct agw_object *gateway, uint16_t port)
{
    const struct agw_node *frontend = agw_field(agw_field(gateway->spec, "tls"), "frontend"), *p;

    agw_node_each (p, agw_field(frontend, "perPort")) {
        if (agw_field_int(p, "port", 0) == port)
            return agw_field(agw_field(p, "tls"), "validation");
    }
    return agw_field(agw_field(frontend, "default"), "validation");
}

static int frontend_validation(struct agw_translate *t, const struct agw_object *gateway,
                               const struct agw_gwapi_listener *l, Pb__TLSConfig *out)
{
    const struct agw_node *v = validation_of(gateway, l->port);
    struct agw_gwapi_place place = {.object = gateway, .part = l->name, .parent = -1};
    struct agw_gwapi_place whole = {.object = gateway, .parent = -1};
    struct agw_gwapi_refusal refusal;

    if (!v)
        return 0;
    if (agw_gwapi_ca_refs(t, gateway, agw_field(v, "caCertificateRefs"), "InvalidCACertificateKind",
                          &out->root, &refusal))
        return AGW_ENOMEM;
    out->_root_case = PB__TLSCONFIG___ROOT_ROOT;
    if (refusal.reason)
        agw_gwapi_condition(t, &place, agw_field(v, "caCertificateRefs"), "ResolvedRefs", false,
                            refusal.reason, "%.*s", AGW_STRF(refusal.message));
    if (out->root.len == 0) { /* STRICT with no root refuses everybody */
        agw_gwapi_condition(t, &place, v, "Accepted", false, "NoValidCACertificate",
                            "no client can be verified: handshakes are refused");
        return 0;
    }
    if (!agw_field_is(v, "mode", "AllowInsecureFallback"))
        return 0;
    out->mtls_mode = PB__TLSCONFIG__MTLSMODE__ALLOW_INSECURE_FALLBACK;
    agw_gwapi_condition(t, &whole, agw_field(v, "mode"), "InsecureFrontendValidationMode", true,
                        "ConfigurationChanged",
                        "clients on port %u are let in whatever certificate they show", l->port);
    return 0;
}

/* --- options --- */

#define OPTION(end, key) agw_str_eq(agw_str_from(end, end.p[0] == 'k' ? 13 : 17), AGW_STR(key))

static bool our_option(struct agw_str name)
{
    return agw_str_starts(name, AGW_STR("agentgateway.dev/")) ||
           agw_str_starts(name, AGW_STR("kgateway.dev/"));
}

static int version_option(struct agw_translate *t, const struct agw_object *gateway, const struct agw_node *n,
                          Pb__TLSConfig__TLSVersion *ret_version)
{
    if (agw_str_eq(n->text, AGW_STR("1.2")))
        *ret_version = PB__TLSCONFIG__TLSVERSION__TLS_V1_2;
    else if (agw_str_eq(n->text, AGW_STR("1.3")))
        *ret_version = PB__TLSCONFIG__TLSVERSION__TLS_V1_3;
    else
        agw_report_error(&t->report->texts, gateway, n, NULL, "must be 1.2 or 1.3, not \"%.*s\"",
                         AGW_STRF(n->text));
    return 0;
}

/* The values of |type| that a list with commas names. */
static int list_option(struct agw_translate *t, const struct agw_object *gateway, const struct agw_node *n,
                       const ProtobufCEnumDescriptor *type, int **ret_values, size_t *ret_count)
{
    struct agw_str rest = n->text, name;

    *ret_values = agw_arena_alloc(&t->arena, (n->text.n + 1) * sizeof(int));
    if (!*ret_values)
        return AGW_ENOMEM;
    while (agw_str_split(&rest, ',', &name)) {
        bool p = name.n > 2 && name.p[0] == 'P' && name.p[1] == '-'; /* P-256 is P256 on the wire */
        char *text = p ? agw_gwapi_printf(t, "P%.*s", (int)name.n - 2, name.p + 2) : agw_gwapi_text(t, name);
        const ProtobufCEnumValue *v;

        if (strcmp(text, "X25519MLKEM768") == 0)
            text = (char *)"X25519_MLKEM768";
        if (strncmp(text, "TLS13_", 6) == 0)
            text = agw_gwapi_printf(t, "TLS_%s", text + 6);
        v = protobuf_c_enum_descriptor_get_value_by_name(type, text);
        if (t->failed)
            return AGW_ENOMEM;
        if (v && v->value)
            (*ret_values)[(*ret_count)++] = v->value;
        else
            agw_report_error(&t->report->texts, gateway, n, NULL, "\"%.*s\" is not known", AGW_STRF(name));
    }
    return 0;
}

static int options(struct agw_translate *t, const struct agw_object *gateway, const struct agw_node *tls,
                   Pb__TLSConfig *out)
{
    const struct agw_node *n;
    int rc = 0, *v;

    agw_node_each (n, agw_field(tls, "options")) {
        struct agw_str name = n->key;

        if (rc)
            return rc;
        if (!our_option(name))
            continue;
        if (OPTION(name, "min-tls-version")) {
            out->_min_version_case = PB__TLSCONFIG___MIN_VERSION_MIN_VERSION;
            rc = version_option(t, gateway, n, &out->min_version);
        } else if (OPTION(name, "max-tls-version")) {
            out->_max_version_case = PB__TLSCONFIG___MAX_VERSION_MAX_VERSION;
            rc = version_option(t, gateway, n, &out->max_version);
        } else if (OPTION(name, "cipher-suites")) {
            rc = list_option(t, gateway, n, &pb__tlsconfig__cipher_suite__descriptor, &v,
                             &out->n_cipher_suites);
            out->cipher_suites = (Pb__TLSConfig__CipherSuite *)v;
        } else if (OPTION(name, "ecdh-curves")) {
            rc = list_option(t, gateway, n, &pb__tlsconfig__key_exchange_group__descriptor, &v,
                             &out->n_key_exchange_groups);
            out->key_exchange_groups = (Pb__TLSConfig__KeyExchangeGroup *)v;
        } else {
            agw_gwapi_warn(t, gateway, n, "is not served and has no effect");
        }
    }
    return rc;
}

int agw_gwapi_listener_tls(struct agw_translate *t, const struct agw_object *gateway,
                           const struct agw_gwapi_listener *l, Pb__TLSConfig **ret_tls,
                           struct agw_gwapi_refusal *ret_refusal)
{
    const struct agw_node *tls = agw_field(l->node, "tls");
    Pb__TLSConfig *out = agw_gwapi_new(t, Pb__TLSConfig, pb__tlsconfig__init);

    *ret_refusal = (struct agw_gwapi_refusal){0};
    *ret_tls = out;
    if (!out || listener_certs(t, gateway, agw_field(tls, "certificateRefs"), out, ret_refusal))
        return AGW_ENOMEM;
    return options(t, gateway, tls, out) || frontend_validation(t, gateway, l, out) ? AGW_ENOMEM : 0;
}

int agw_gwapi_client_cert(struct agw_translate *t, struct agw_gwapi_gateway *g)
{
    const struct agw_node *backend = agw_field(agw_field(g->object->spec, "tls"), "backend");
    const struct agw_node *ref = agw_field(backend, "clientCertificateRef");
    struct agw_gwapi_place place = {.object = g->object, .parent = -1};
    struct agw_gwapi_refusal refusal = {0};
    const struct agw_object *secret;
    const char *why = NULL;
    int rc = 0;

    if (!ref)
        return 0;
    secret = referred_secret(t, g->object, ref, &refusal, &rc);
    if (secret)
        rc = agw_gwapi_tls_secret(t, secret, &g->client_cert, &g->client_key, &why);
    if (rc == AGW_EINVAL)
        rc = refuse(t, &refusal, "InvalidClientCertificateRef", secret->ns, secret->name, why);
    if (!rc && refusal.reason)
        agw_gwapi_condition(t, &place, ref, "ResolvedRefs", false,
                            strcmp(refusal.reason, "RefNotPermitted") == 0 ? refusal.reason
                                                                           : "InvalidClientCertificateRef",
                            "%.*s: backends are shown no certificate", AGW_STRF(refusal.message));
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
