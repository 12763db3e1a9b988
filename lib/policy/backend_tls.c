#include "policy/policy_int.h"

/* TLS to a backend. The compiler makes the context (and falls back to nothing weaker when that fails). */
static struct agw_str bytes(const ProtobufCBinaryData *b)
{
    return agw_str((const char *)b->data, b->len);
}

static int set_alpn(const Pb__Alpn *alpn, struct agw_tls_client_conf *conf, struct agw_error *err)
{
    for (size_t i = 0; alpn && i < alpn->n_protocols; i++) {
        struct agw_str name = agw_str_c(alpn->protocols[i]);
        if (agw_str_eq(name, AGW_STR("h2")))
            conf->alpn_h2 = true;
        else if (agw_str_eq(name, AGW_STR("http/1.1")))
            conf->alpn_http1 = true;
        else
            return agw_error_set(err, AGW_EUNSUPPORTED, "backendTLS: protocol \"%.50s\" is not supported",
                                 alpn->protocols[i]);
    }
    return 0;
}

static int set_names(const Pb__BackendPolicySpec__BackendTLS *in, struct agw_tls_client_conf *conf,
                     struct agw_error *err)
{
    if (in->_hostname_case)
        conf->sni = agw_str_c(in->hostname);
    if (in->verification == PB__BACKEND_POLICY_SPEC__BACKEND_TLS__VERIFICATION_MODE__INSECURE_ALL)
        conf->insecure = true;
    else if (in->verification != PB__BACKEND_POLICY_SPEC__BACKEND_TLS__VERIFICATION_MODE__STRICT)
        return agw_error_set(err, AGW_EUNSUPPORTED,
                             "backendTLS: verification without the host is not supported");
    if (in->n_verify_subject_alt_names == 0)
        return 0;
    if (in->n_verify_subject_alt_names > 1 || strstr(in->verify_subject_alt_names[0], "://"))
        return agw_error_set(err, AGW_EUNSUPPORTED,
                             "backendTLS: more than one subject name, or a URI, is not supported");
    conf->verify_host = agw_str_c(in->verify_subject_alt_names[0]);
    return 0;
}

static int transport(const void *spec, struct agw_arena *arena, struct agw_transport *t,
                     struct agw_error *err)
{
    const Pb__BackendPolicySpec__BackendTLS *in = spec;
    t->tls = true;
    if ((in->_cert_case != 0) != (in->_key_case != 0))
        return agw_error_set(err, AGW_EINVAL,
                             "backendTLS: a certificate needs a key and a key a certificate");
    if (in->_root_case && in->root.len == 0)
        return agw_error_set(err, AGW_EINVAL, "backendTLS: the list of trusted roots is empty");
    if (in->_cert_case) {
        t->tls_conf.cert_pem = bytes(&in->cert);
        t->tls_conf.key_pem = bytes(&in->key);
    }
    if (in->_root_case)
        t->tls_conf.ca_pem = bytes(&in->root);
    int code = set_names(in, &t->tls_conf, err);
    return code ? code : set_alpn(in->alpn, &t->tls_conf, err);
}

const struct agw_policy_ops agw_policy_backend_tls = {.kind = AGW_POLICY_BACKEND_TLS, .transport = transport};
