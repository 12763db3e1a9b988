#include "config/tls/message.h"

#include <string.h>

static struct agw_str bytes(const ProtobufCBinaryData *b)
{
    return agw_str((const char *)b->data, b->len);
}

/* --- versions, suites, groups --- */
/* The names of enum values. */
static int names_of(const ProtobufCEnumDescriptor *type, const char *field, const int *v, size_t count,
                    struct agw_arena *arena, const char *const **ret_names, struct agw_error *err)
{
    const char **names = agw_arena_alloc(arena, count * sizeof(char *));
    if (!names)
        return agw_error_set(err, AGW_ENOMEM, "%s", agw_err_text(AGW_ENOMEM));
    for (size_t i = 0; i < count; i++) {
        const ProtobufCEnumValue *value = v[i] ? protobuf_c_enum_descriptor_get_value(type, v[i]) : NULL;
        if (!value)
            return agw_error_set(err, AGW_EINVAL, "%s: value %d is not known", field, v[i]);
        names[i] = value->name;
    }
    *ret_names = names;
    return 0;
}

static int set_version(const char *field, int v, enum agw_tls_version *ret_version, struct agw_error *err)
{
    switch (v) {
    case PB__TLSCONFIG__TLSVERSION__TLS_VERSION_UNSPECIFIED:
        return 0;
    case PB__TLSCONFIG__TLSVERSION__TLS_V1_2:
        *ret_version = AGW_TLS_1_2;
        return 0;
    case PB__TLSCONFIG__TLSVERSION__TLS_V1_3:
        *ret_version = AGW_TLS_1_3;
        return 0;
    default:
        return agw_error_set(err, AGW_EINVAL, "%s: value %d is not known or not served", field, v);
    }
}

static int set_suites(const Pb__TLSConfig__CipherSuite *v, size_t count, struct agw_arena *arena,
                      struct agw_tls_params *p, struct agw_error *err)
{
    if (count == 0)
        return 0;
    p->suite_count = count;
    return names_of(&pb__tlsconfig__cipher_suite__descriptor, "cipher_suites", (const int *)v, count, arena,
                    &p->suites, err);
}

static int set_groups(const Pb__TLSConfig__KeyExchangeGroup *v, size_t count, struct agw_arena *arena,
                      struct agw_tls_params *p, struct agw_error *err)
{
    if (count == 0)
        return 0;
    p->group_count = count;
    return names_of(&pb__tlsconfig__key_exchange_group__descriptor, "key_exchange_groups", (const int *)v,
                    count, arena, &p->groups, err);
}

const char *agw_tls_missing_group(const struct agw_tls_params *p)
{
    for (size_t i = 0; i < p->group_count; i++)
        if (!agw_tls_has_group(p->groups[i]))
            return p->groups[i];
    return NULL;
}

/* --- listeners --- */
static int set_client_auth(const Pb__TLSConfig *tls, struct agw_tls_server_conf *conf, struct agw_error *err)
{
    switch (tls->mtls_mode) {
    case PB__TLSCONFIG__MTLSMODE__DISABLE:
        return 0;
    case PB__TLSCONFIG__MTLSMODE__ALLOW_INSECURE_FALLBACK:
        conf->client_auth = AGW_TLS_CLIENT_ASKED;
        conf->client_ca_pem = tls->_root_case ? bytes(&tls->root) : AGW_STR("");
        return 0;
    case PB__TLSCONFIG__MTLSMODE__STRICT:
        if (!tls->_root_case)
            return 0;
        if (tls->root.len == 0)
            return agw_error_set(err, AGW_EINVAL, "root: the list of trusted roots is empty");
        conf->client_auth = AGW_TLS_CLIENT_REQUIRED;
        conf->client_ca_pem = bytes(&tls->root);
        return 0;
    default:
        return agw_error_set(err, AGW_EINVAL, "mtls_mode: value %d is not known", (int)tls->mtls_mode);
    }
}

int agw_tls_listener_conf(const Pb__TLSConfig *tls, struct agw_arena *arena, struct agw_tls_cert_pem *certs,
                          struct agw_tls_server_conf *ret_conf, struct agw_error *err)
{
    struct agw_tls_server_conf conf = {.certs = certs, .cert_count = 1};
    if (tls->certificate_source != PB__TLSCONFIG__CERTIFICATE_SOURCE__INLINE)
        return agw_error_set(err, AGW_EUNSUPPORTED,
                             "certificate_source: only certificates in the configuration are served");
    *certs = (struct agw_tls_cert_pem){bytes(&tls->cert), bytes(&tls->private_key)};
    int code = set_client_auth(tls, &conf, err);
    if (!code)
        code = set_suites(tls->cipher_suites, tls->n_cipher_suites, arena, &conf.params, err);
    if (!code)
        code = set_groups(tls->key_exchange_groups, tls->n_key_exchange_groups, arena, &conf.params, err);
    if (!code && tls->_min_version_case)
        code = set_version("min_version", tls->min_version, &conf.params.min_version, err);
    if (!code && tls->_max_version_case)
        code = set_version("max_version", tls->max_version, &conf.params.max_version, err);
    if (!code)
        *ret_conf = conf;
    return code;
}

/* --- frontend policies --- */
static int set_protocols(const Pb__Alpn *alpn, bool http, struct agw_arena *arena,
                         struct agw_tls_server_conf *conf, struct agw_error *err)
{
    if (!alpn || alpn->n_protocols == 0)
        return 0;
    struct agw_str *list = agw_arena_alloc(arena, alpn->n_protocols * sizeof(*list));
    if (!list)
        return agw_error_set(err, AGW_ENOMEM, "%s", agw_err_text(AGW_ENOMEM));
    for (size_t i = 0; i < alpn->n_protocols; i++) {
        list[i] = agw_str_c(alpn->protocols[i]);
        if (http && !agw_str_eq(list[i], AGW_STR("h2")) && !agw_str_eq(list[i], AGW_STR("http/1.1")))
            return agw_error_set(err, AGW_EUNSUPPORTED,
                                 "alpn: protocol \"%.50s\" is not served, h2 and http/1.1 are",
                                 alpn->protocols[i]);
    }
    conf->alpn = list;
    conf->alpn_count = alpn->n_protocols;
    conf->no_alpn = false;
    return 0;
}

int agw_tls_frontend_conf(const Pb__FrontendPolicySpec__TLS *tls, bool http, struct agw_arena *arena,
                          struct agw_tls_server_conf *conf, struct agw_error *err)
{
    int code = set_protocols(tls->alpn, http, arena, conf, err);
    if (!code)
        code = set_suites(tls->cipher_suites, tls->n_cipher_suites, arena, &conf->params, err);
    if (!code)
        code = set_groups(tls->key_exchange_groups, tls->n_key_exchange_groups, arena, &conf->params, err);
    if (!code && tls->_min_version_case)
        code = set_version("min_version", tls->min_version, &conf->params.min_version, err);
    if (!code && tls->_max_version_case)
        code = set_version("max_version", tls->max_version, &conf->params.max_version, err);
    return code;
}

/* --- backends --- */
static int offer(const Pb__Alpn *alpn, struct agw_tls_client_conf *conf, struct agw_error *err)
{
    for (size_t i = 0; alpn && i < alpn->n_protocols; i++) {
        struct agw_str name = agw_str_c(alpn->protocols[i]);
        if (agw_str_eq(name, AGW_STR("h2")))
            conf->alpn_h2 = true;
        else if (agw_str_eq(name, AGW_STR("http/1.1")))
            conf->alpn_http1 = true;
        else
            return agw_error_set(err, AGW_EUNSUPPORTED,
                                 "alpn: protocol \"%.50s\" is not served, h2 and http/1.1 are",
                                 alpn->protocols[i]);
    }
    return 0;
}

static int set_names(const Pb__BackendPolicySpec__BackendTLS *tls, struct agw_arena *arena,
                     struct agw_tls_client_conf *conf, struct agw_error *err)
{
    size_t count = tls->n_verify_subject_alt_names;
    if (tls->_hostname_case)
        conf->sni = agw_str_c(tls->hostname);
    if (count == 0)
        return 0;
    struct agw_str *list = agw_arena_alloc(arena, count * sizeof(*list));
    if (!list)
        return agw_error_set(err, AGW_ENOMEM, "%s", agw_err_text(AGW_ENOMEM));
    for (size_t i = 0; i < count; i++)
        list[i] = agw_str_c(tls->verify_subject_alt_names[i]);
    conf->subject_names = list;
    conf->subject_name_count = count;
    return 0;
}

static int set_verification(const Pb__BackendPolicySpec__BackendTLS *tls, struct agw_tls_client_conf *conf,
                            struct agw_error *err)
{
    switch (tls->verification) {
    case PB__BACKEND_POLICY_SPEC__BACKEND_TLS__VERIFICATION_MODE__STRICT:
        return 0;
    case PB__BACKEND_POLICY_SPEC__BACKEND_TLS__VERIFICATION_MODE__INSECURE_HOST:
        conf->any_name = true;
        return 0;
    case PB__BACKEND_POLICY_SPEC__BACKEND_TLS__VERIFICATION_MODE__INSECURE_ALL:
        conf->insecure = true;
        return 0;
    default:
        return agw_error_set(err, AGW_EINVAL, "verification: value %d is not known", (int)tls->verification);
    }
}

int agw_tls_backend_conf(const Pb__BackendPolicySpec__BackendTLS *tls, struct agw_arena *arena,
                         struct agw_tls_client_conf *conf, struct agw_error *err)
{
    if ((tls->_cert_case != 0) != (tls->_key_case != 0))
        return agw_error_set(err, AGW_EINVAL, "a certificate needs a key and a key a certificate");
    if (tls->_root_case && tls->root.len == 0)
        return agw_error_set(err, AGW_ENOTFOUND, "root: the list of trusted roots is empty");
    if (tls->_cert_case) {
        conf->cert_pem = bytes(&tls->cert);
        conf->key_pem = bytes(&tls->key);
    }
    if (tls->_root_case)
        conf->ca_pem = bytes(&tls->root);
    int code = set_verification(tls, conf, err);
    if (!code)
        code = set_names(tls, arena, conf, err);
    if (!code)
        code = set_groups(tls->key_exchange_groups, tls->n_key_exchange_groups, arena, &conf->params, err);
    return code ? code : offer(tls->alpn, conf, err);
}
