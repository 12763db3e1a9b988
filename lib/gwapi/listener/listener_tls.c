/* Certificates and TLS settings of listeners. */
#include <string.h>
#include "gwapi/base/secret.h"
#include "gwapi/listener/listener.h"
#include "tls/tls.h"

/* --- certificates --- */

static int refuse(struct agw_translate *t, struct agw_gwapi_refusal *refusal, const char *reason,
                  struct agw_str ns, struct agw_str name, const char *why)
{
    refusal->reason = reason;
    refusal->message = agw_arena_printf(&t->arena, "Secret %.*s/%.*s %s", AGW_STRF(ns), AGW_STRF(name), why);
    return refusal->message.p ? 0 : AGW_ENOMEM;
}

/* The Secret that |ref| of |from|, a Gateway or a ListenerSet, names; NULL when *|refusal| says why there is
 * none to use. */
static const struct agw_object *referred_secret(struct agw_translate *t, const struct agw_object *from,
                                                const struct agw_node *ref, struct agw_gwapi_refusal *refusal,
                                                int *ret_rc)
{
    struct agw_str ns = agw_field_text(ref, "namespace", from->ns), name = agw_node_text(ref, "name");
    const struct agw_object *secret;

    if (!agw_gwapi_is_secret_ref(ref)) {
        *ret_rc = refuse(t, refusal, "InvalidCertificateRef", ns, name,
                         "is meant, but the reference is to another kind");
        return NULL;
    }
    if (!agw_gwapi_granted(t->objects, from->kind == AGW_KIND_GATEWAY ? "Gateway" : "ListenerSet", from->ns,
                           AGW_STR(""), AGW_STR("Secret"), ns, name)) {
        *ret_rc =
            refuse(t, refusal, "RefNotPermitted", ns, name,
                   from->kind == AGW_KIND_GATEWAY ? "is not granted to this Gateway by a ReferenceGrant"
                                                  : "is not granted to this ListenerSet by a ReferenceGrant");
        return NULL;
    }
    secret = agw_objects_get(t->objects, AGW_KIND_SECRET, ns, name);
    if (!secret)
        *ret_rc = refuse(t, refusal, "InvalidCertificateRef", ns, name, "does not exist");
    return secret;
}

/* The Secret's answer of the certificate's OCSP responder, behind the certificate that it is about. */
static int add_staple(struct agw_translate *t, const struct agw_object *secret, ProtobufCBinaryData *cert,
                      const ProtobufCBinaryData *key)
{
    ProtobufCBinaryData der, with = *cert, pem;
    const char *why = NULL;
    char *text;
    size_t n;
    int rc = agw_gwapi_secret_bytes(t, secret, "tls.ocsp-staple", &der);

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
    if (t->failed || agw_gwapi_pem_join(t, &with, &pem))
        return AGW_ENOMEM;
    rc = agw_gwapi_check_pair(t, &with, key, &why);
    if (rc == AGW_EINVAL) {
        agw_gwapi_warn(t, secret, NULL, "tls.ocsp-staple is left out: %s", why);
        return 0;
    }
    *cert = with;
    return rc;
}

/* All that can be used, in one: the data plane takes them apart by their keys. */
static int listener_certs(struct agw_translate *t, const struct agw_object *from, const struct agw_node *list,
                          Pb__TLSConfig *out, struct agw_gwapi_refusal *first)
{
    const struct agw_node *ref;

    agw_node_each (ref, list) {
        struct agw_gwapi_refusal refusal = {0};
        ProtobufCBinaryData cert, key;
        const char *why = NULL;
        int rc = 0;
        const struct agw_object *secret = referred_secret(t, from, ref, &refusal, &rc);

        if (secret)
            rc = agw_gwapi_tls_secret(t, secret, &cert, &key, &why);
        if (rc == AGW_EINVAL)
            rc = refuse(t, &refusal, "InvalidCertificateRef", secret->ns, secret->name, why);
        else if (secret && !rc &&
                 (add_staple(t, secret, &cert, &key) || agw_gwapi_pem_join(t, &out->cert, &cert) ||
                  agw_gwapi_pem_join(t, &out->private_key, &key)))
            rc = AGW_ENOMEM;
        if (rc)
            return rc;
        if (!first->reason)
            *first = refusal;
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

static int frontend_validation(struct agw_translate *t, const struct agw_gwapi_parent *parent,
                               const struct agw_gwapi_listener *l, Pb__TLSConfig *out)
{
    const struct agw_object *gateway = parent->gateway->object;
    const struct agw_node *v = validation_of(gateway, l->port);
    struct agw_gwapi_place place = {.object = parent->object, .part = l->name, .parent = -1};
    struct agw_gwapi_place whole = {.object = gateway, .parent = -1};
    struct agw_gwapi_refusal refusal;
    bool own = parent->object == gateway; /* what it says is in the object that the finding is about */

    if (!v)
        return 0;
    if (agw_gwapi_ca_refs(t, gateway, agw_field(v, "caCertificateRefs"), "InvalidCACertificateKind",
                          &out->root, &refusal))
        return AGW_ENOMEM;
    out->_root_case = PB__TLSCONFIG___ROOT_ROOT;
    if (refusal.reason)
        agw_gwapi_condition(t, &place, own ? agw_field(v, "caCertificateRefs") : NULL, "ResolvedRefs", false,
                            refusal.reason, "%.*s", AGW_STRF(refusal.message));
    if (out->root.len == 0) { /* STRICT with no root refuses everybody */
        agw_gwapi_condition(t, &place, own ? v : NULL, "Accepted", false, "NoValidCACertificate",
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

static int version_option(struct agw_translate *t, const struct agw_object *from, const struct agw_node *n,
                          Pb__TLSConfig__TLSVersion *ret_version)
{
    if (agw_str_eq(n->text, AGW_STR("1.2")))
        *ret_version = PB__TLSCONFIG__TLSVERSION__TLS_V1_2;
    else if (agw_str_eq(n->text, AGW_STR("1.3")))
        *ret_version = PB__TLSCONFIG__TLSVERSION__TLS_V1_3;
    else
        agw_report_error(&t->report->texts, from, n, NULL, "must be 1.2 or 1.3, not \"%.*s\"",
                         AGW_STRF(n->text));
    return 0;
}

int agw_gwapi_tls_value(struct agw_translate *t, const ProtobufCEnumDescriptor *type, struct agw_str name)
{
    bool p = name.n > 2 && name.p[0] == 'P' && name.p[1] == '-'; /* P-256 is P256 on the wire */
    char *text = p ? agw_gwapi_printf(t, "P%.*s", (int)name.n - 2, name.p + 2) : agw_gwapi_text(t, name);
    const ProtobufCEnumValue *v;

    if (strcmp(text, "X25519MLKEM768") == 0)
        text = (char *)"X25519_MLKEM768";
    if (strncmp(text, "TLS13_", 6) == 0)
        text = agw_gwapi_printf(t, "TLS_%s", text + 6);
    v = protobuf_c_enum_descriptor_get_value_by_name(type, text);
    return v ? v->value : 0;
}

/* The values of |type| that a list with commas names. */
static int list_option(struct agw_translate *t, const struct agw_object *from, const struct agw_node *n,
                       const ProtobufCEnumDescriptor *type, int **ret_values, size_t *ret_count)
{
    struct agw_str rest = n->text, name;

    *ret_values = agw_arena_alloc(&t->arena, (n->text.n + 1) * sizeof(int));
    if (!*ret_values)
        return AGW_ENOMEM;
    while (agw_str_split(&rest, ',', &name)) {
        int v = agw_gwapi_tls_value(t, type, name);

        if (t->failed)
            return AGW_ENOMEM;
        if (v)
            (*ret_values)[(*ret_count)++] = v;
        else
            agw_report_error(&t->report->texts, from, n, NULL, "\"%.*s\" is not known", AGW_STRF(name));
    }
    return 0;
}

static int options(struct agw_translate *t, const struct agw_object *from, const struct agw_node *tls,
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
            rc = version_option(t, from, n, &out->min_version);
        } else if (OPTION(name, "max-tls-version")) {
            out->_max_version_case = PB__TLSCONFIG___MAX_VERSION_MAX_VERSION;
            rc = version_option(t, from, n, &out->max_version);
        } else if (OPTION(name, "cipher-suites")) {
            rc = list_option(t, from, n, &pb__tlsconfig__cipher_suite__descriptor, &v, &out->n_cipher_suites);
            out->cipher_suites = (Pb__TLSConfig__CipherSuite *)v;
        } else if (OPTION(name, "ecdh-curves")) {
            rc = list_option(t, from, n, &pb__tlsconfig__key_exchange_group__descriptor, &v,
                             &out->n_key_exchange_groups);
            out->key_exchange_groups = (Pb__TLSConfig__KeyExchangeGroup *)v;
        } else {
            agw_gwapi_warn(t, from, n, "is not served and has no effect");
        }
    }
    return rc;
}

int agw_gwapi_listener_tls(struct agw_translate *t, const struct agw_gwapi_parent *parent,
                           const struct agw_gwapi_listener *l, Pb__TLSConfig **ret_tls,
                           struct agw_gwapi_refusal *ret_refusal)
{
    const struct agw_node *tls = agw_field(l->node, "tls");
    Pb__TLSConfig *out = agw_gwapi_new(t, Pb__TLSConfig, pb__tlsconfig__init);

    *ret_refusal = (struct agw_gwapi_refusal){0};
    *ret_tls = out;
    if (!out || listener_certs(t, parent->object, agw_field(tls, "certificateRefs"), out, ret_refusal))
        return AGW_ENOMEM;
    return options(t, parent->object, tls, out) || frontend_validation(t, parent, l, out) ? AGW_ENOMEM : 0;
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
