/* Certificates and keys in Secrets and ConfigMaps. */
#include <string.h>
#include "gwapi/base/secret.h"
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
int agw_gwapi_secret_bytes(struct agw_translate *t, const struct agw_object *o, const char *key,
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

bool agw_gwapi_is_pem(const ProtobufCBinaryData *bytes, const char *what)
{
    struct agw_str text = agw_str((const char *)bytes->data, bytes->len);

    return agw_str_search(text, AGW_STR("-----BEGIN ")) >= 0 && agw_str_search(text, agw_str_c(what)) >= 0;
}

/* True if OpenSSL takes the two and the key belongs to the certificate. |*ret_why| otherwise; AGW_ENOMEM. */
int agw_gwapi_check_pair(struct agw_translate *t, const ProtobufCBinaryData *cert,
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
    rc = agw_gwapi_secret_bytes(t, secret, "tls.crt", &cert);
    if (rc || !agw_gwapi_is_pem(&cert, "CERTIFICATE-----"))
        return rc ? rc : AGW_EINVAL;
    *ret_why = "has no PEM private key in tls.key";
    rc = agw_gwapi_secret_bytes(t, secret, "tls.key", &key);
    if (rc || !agw_gwapi_is_pem(&key, "PRIVATE KEY-----"))
        return rc ? rc : AGW_EINVAL;
    rc = agw_gwapi_check_pair(t, &cert, &key, ret_why);
    if (rc)
        return rc;
    *ret_cert = cert;
    *ret_key = key;
    return 0;
}

bool agw_gwapi_is_secret_ref(const struct agw_node *ref)
{
    return agw_node_text(ref, "group").n == 0 &&
           (!agw_field(ref, "kind") || agw_field_is(ref, "kind", "Secret"));
}

int agw_gwapi_pem_join(struct agw_translate *t, ProtobufCBinaryData *all, const ProtobufCBinaryData *more)
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
        rc = agw_gwapi_secret_bytes(t, o, "ca.crt", &pem);
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
        return agw_gwapi_pem_join(t, all, &pem);
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
