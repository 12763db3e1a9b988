#include "tls/tls_int.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "net/addr.h"

struct agw_tls_client {
    unsigned refs; /* atomic */
    SSL_CTX *ctx;
    char *sni, *verify_host; /* NULL: the filter's |host| */
    char **subject_names;    /* none: |verify_host| */
    size_t subject_name_count;
    bool insecure, any_name;
};

static X509_STORE *roots;
static pthread_once_t roots_once = PTHREAD_ONCE_INIT;

static void load_roots(void)
{
    roots = X509_STORE_new();
    if (roots)
        X509_STORE_set_default_paths(roots);
    ERR_clear_error(); /* a system without roots verifies nobody, which is said when it happens */
}

/* The system's roots, loaded once and shared by all contexts. */
static int use_system_roots(SSL_CTX *ctx, struct agw_error *err)
{
    pthread_once(&roots_once, load_roots);
    if (!roots)
        return agw_error_set(err, AGW_ENOMEM, "TLS roots: %s", agw_err_text(AGW_ENOMEM));
    SSL_CTX_set1_cert_store(ctx, roots);
    return 0;
}

static int set_alpn(SSL_CTX *ctx, bool h2, bool http1)
{
    unsigned char list[16];
    unsigned n = 0;

    if (h2) {
        memcpy(list + n, "\x02h2", 3);
        n += 3;
    }
    if (http1) {
        memcpy(list + n, "\x08http/1.1", 9);
        n += 9;
    }
    return n == 0 || SSL_CTX_set_alpn_protos(ctx, list, n) == 0 ? 0 : AGW_ENOMEM;
}

static int set_names(struct agw_tls_client *c, const struct agw_tls_client_conf *conf, struct agw_error *err)
{
    if (conf->sni.n > AGW_TLS_NAME_MAX || conf->verify_host.n > AGW_TLS_NAME_MAX)
        return agw_error_set(err, AGW_EINVAL, "TLS: host name too long");
    if (conf->sni.n)
        c->sni = agw_tls_copy_name(conf->sni);
    if (conf->verify_host.n)
        c->verify_host = agw_tls_copy_name(conf->verify_host);
    if ((conf->sni.n && !c->sni) || (conf->verify_host.n && !c->verify_host))
        return agw_error_set(err, AGW_ENOMEM, "TLS: %s", agw_err_text(AGW_ENOMEM));
    return 0;
}

static int set_subject_names(struct agw_tls_client *c, const struct agw_tls_client_conf *conf,
                             struct agw_error *err)
{
    if (conf->subject_name_count == 0)
        return 0;
    if (!(c->subject_names = calloc(conf->subject_name_count, sizeof(*c->subject_names))))
        return agw_error_set(err, AGW_ENOMEM, "TLS: %s", agw_err_text(AGW_ENOMEM));
    for (size_t i = 0; i < conf->subject_name_count; i++) {
        if (conf->subject_names[i].n == 0 || memchr(conf->subject_names[i].p, 0, conf->subject_names[i].n))
            return agw_error_set(err, AGW_EINVAL, "TLS: an empty subject name");
        if (!(c->subject_names[i] = agw_tls_copy_name(conf->subject_names[i])))
            return agw_error_set(err, AGW_ENOMEM, "TLS: %s", agw_err_text(AGW_ENOMEM));
        c->subject_name_count++;
    }
    return 0;
}

/* --- who the server is, where one of several names is enough --- */

static bool has_uri(X509 *cert, const char *uri)
{
    GENERAL_NAMES *list = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    bool found = false;
    size_t n = strlen(uri);

    for (int i = 0; !found && i < sk_GENERAL_NAME_num(list); i++) {
        const GENERAL_NAME *g = sk_GENERAL_NAME_value(list, i);
        found = g->type == GEN_URI && (size_t)ASN1_STRING_length(g->d.ia5) == n &&
                memcmp(ASN1_STRING_get0_data(g->d.ia5), uri, n) == 0;
    }
    GENERAL_NAMES_free(list);
    return found;
}

static bool is_ip(const char *name)
{
    struct agw_addr a;
    return agw_addr_ip(agw_str_c(name), 0, &a) == 0;
}

static bool has_name(X509 *cert, const char *name)
{
    if (strstr(name, "://"))
        return has_uri(cert, name);
    if (is_ip(name))
        return X509_check_ip_asc(cert, name, 0) == 1;
    return X509_check_host(cert, name, 0, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1;
}

/* |ids|: separated by spaces. */
static bool is_listed(const char *ids, const char *id, size_t n)
{
    for (const char *at = ids; *at;) {
        size_t length = strcspn(at, " ");
        if (length == n && memcmp(at, id, n) == 0)
            return true;
        at += length + strspn(at + length, " ");
    }
    return false;
}

static bool is_peer(X509 *cert, const char *ids)
{
    GENERAL_NAMES *list = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    unsigned uris = 0;
    bool found = false;

    for (int i = 0; i < sk_GENERAL_NAME_num(list); i++) {
        const GENERAL_NAME *g = sk_GENERAL_NAME_value(list, i);
        if (g->type != GEN_URI)
            continue;
        uris++;
        found = is_listed(ids, (const char *)ASN1_STRING_get0_data(g->d.ia5),
                          (size_t)ASN1_STRING_length(g->d.ia5));
    }
    GENERAL_NAMES_free(list);
    return uris == 1 && found;
}

/* After OpenSSL's own checks of each certificate of the chain. */
static int verify_names(int ok, X509_STORE_CTX *store)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    const struct agw_tls *t = SSL_get_app_data(ssl);
    const struct agw_tls_client *c = t->client;

    if (!ok || X509_STORE_CTX_get_error_depth(store) > 0)
        return ok;
    if (t->peers && !is_peer(X509_STORE_CTX_get_current_cert(store), t->peers)) {
        X509_STORE_CTX_set_error(store, X509_V_ERR_HOSTNAME_MISMATCH);
        return 0;
    }
    if (c->subject_name_count == 0)
        return ok;
    for (size_t i = 0; i < c->subject_name_count; i++)
        if (has_name(X509_STORE_CTX_get_current_cert(store), c->subject_names[i]))
            return 1;
    X509_STORE_CTX_set_error(store, X509_V_ERR_HOSTNAME_MISMATCH);
    return 0;
}

/* --- sessions --- */

void agw_tls_sessions_clear(struct agw_tls_sessions *s)
{
    while (s->count)
        SSL_SESSION_free(s->v[--s->count]);
}

/* OpenSSL's reference becomes ours if this returns 1. */
static int on_session(SSL *ssl, SSL_SESSION *session)
{
    const struct agw_tls *t = SSL_get_app_data(ssl);
    struct agw_tls_sessions *s = t->sessions;

    if (!s || !SSL_SESSION_is_resumable(session))
        return 0;
    if (s->count == AGW_TLS_SESSIONS) {
        SSL_SESSION_free(s->v[0]);
        s->count--;
        memmove(s->v, s->v + 1, s->count * sizeof(s->v[0]));
    }
    s->v[s->count++] = session;
    return 1;
}

/* A ticket of TLS 1.3 is used once (RFC 8446 appendix C.4): the server sends new ones. */
static void use_session(struct agw_tls *t)
{
    struct agw_tls_sessions *s = t->sessions;
    SSL_SESSION *session = s && s->count ? s->v[s->count - 1] : NULL;

    if (!session)
        return;
    bool kept =
        SSL_set_session(t->ssl, session) == 1 && SSL_SESSION_get_protocol_version(session) < TLS1_3_VERSION;
    if (kept)
        return;
    s->count--;
    SSL_SESSION_free(session);
}

static int set_roots(struct agw_tls_client *c, const struct agw_tls_client_conf *conf, struct agw_error *err)
{
    if (conf->insecure)
        return 0;
    if (conf->ca_pem.n == 0)
        return use_system_roots(c->ctx, err);
    X509_STORE *store = SSL_CTX_get_cert_store(c->ctx);
    int rc = agw_tls_add_roots(store, conf->ca_pem, err);
    return rc || !conf->partial_chain ? rc : agw_tls_trust_partial(store, err);
}

static int set_certificate(struct agw_tls_client *c, const struct agw_tls_client_conf *conf,
                           struct agw_error *err)
{
    struct agw_tls_identities all = {0};
    struct agw_tls_cert_pem pem = {conf->cert_pem, conf->key_pem};

    if (!conf->cert_pem.n && !conf->key_pem.n)
        return 0;
    int rc = agw_tls_identities_read(&all, &pem, err);
    for (size_t i = all.count; !rc && i-- > 0;)
        if (SSL_CTX_use_cert_and_key(c->ctx, all.v[i].leaf, all.v[i].key, all.v[i].chain, 1) != 1)
            rc = agw_tls_error(err, "certificate");
    agw_tls_identities_free(&all);
    if (rc)
        agw_error_prefix(err, "client");
    return rc;
}

static int configure(struct agw_tls_client *c, const struct agw_tls_client_conf *conf, struct agw_error *err)
{
    int rc = set_names(c, conf, err);

    if (rc)
        return rc;
    ERR_clear_error();
    c->insecure = conf->insecure;
    c->any_name = conf->any_name;
    c->ctx = agw_tls_ctx_new(TLS_client_method());
    if (!c->ctx || set_alpn(c->ctx, conf->alpn_h2, conf->alpn_http1))
        return agw_tls_error(err, "TLS context");
    SSL_CTX_set_verify(c->ctx, conf->insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, verify_names);
    SSL_CTX_set_session_cache_mode(c->ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(c->ctx, on_session);
    rc = agw_tls_set_params(c->ctx, &conf->params, err);
    if (!rc)
        rc = set_subject_names(c, conf, err);
    if (!rc)
        rc = set_roots(c, conf, err);
    return rc ? rc : set_certificate(c, conf, err);
}

struct agw_tls_client *agw_tls_client_new(const struct agw_tls_client_conf *conf, struct agw_error *err)
{
    struct agw_tls_client *c = calloc(1, sizeof(*c));

    if (!c) {
        agw_error_set(err, AGW_ENOMEM, "TLS: %s", agw_err_text(AGW_ENOMEM));
        return NULL;
    }
    c->refs = 1;
    if (configure(c, conf, err)) {
        agw_tls_client_unref(c);
        return NULL;
    }
    return c;
}

struct agw_tls_client *agw_tls_client_ref(struct agw_tls_client *c)
{
    __atomic_fetch_add(&c->refs, 1, __ATOMIC_RELAXED);
    return c;
}

void agw_tls_client_unref(struct agw_tls_client *c)
{
    if (!c || __atomic_fetch_sub(&c->refs, 1, __ATOMIC_ACQ_REL) != 1)
        return;
    SSL_CTX_free(c->ctx);
    free(c->sni);
    free(c->verify_host);
    for (size_t i = 0; i < c->subject_name_count; i++)
        free(c->subject_names[i]);
    free(c->subject_names);
    free(c);
}

/* --- one connection --- */

static bool set_verify_name(SSL *ssl, const char *name)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);

    if (is_ip(name))
        return X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1;
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return X509_VERIFY_PARAM_set1_host(param, name, 0) == 1;
}

/* |host| as TLS wants it: an IPv6 literal without brackets, a name without its final dot (RFC 6066 section
 * 3). */
static struct agw_str bare(struct agw_str host)
{
    if (host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
        return agw_str(host.p + 1, host.n - 2);
    if (host.n > 1 && host.p[host.n - 1] == '.')
        host.n--;
    return host;
}

static int set_host(struct agw_tls *t, const struct agw_tls_client *c, struct agw_str host)
{
    struct agw_str sni = bare(c->sni ? agw_str_c(c->sni) : host);
    struct agw_str verify = c->verify_host ? bare(agw_str_c(c->verify_host)) : sni;

    if (sni.n) {
        char *name = agw_tls_copy_name(sni);
        bool fine = name && (is_ip(name) || SSL_set_tlsext_host_name(t->ssl, name) == 1);
        free(name);
        if (!fine)
            return AGW_ENOMEM;
    }
    if (verify.n) {
        t->name = agw_tls_copy_name(verify);
        bool check = !c->insecure && !c->any_name && c->subject_name_count == 0;
        if (!t->name || (check && !set_verify_name(t->ssl, t->name)))
            return AGW_ENOMEM;
    }
    return 0;
}

struct agw_filter *agw_tls_client_filter(struct agw_tls_client *c, struct agw_str host,
                                         struct agw_tls_sessions *sessions)
{
    struct agw_tls *t = agw_tls_filter_new(c->ctx, false);

    if (!t)
        return NULL;
    t->client = agw_tls_client_ref(c);
    t->sessions = sessions;
    if (set_host(t, c, host)) {
        ERR_clear_error();
        agw_tls_filter_free(&t->filter);
        return NULL;
    }
    use_session(t);
    return &t->filter;
}

int agw_tls_expect(struct agw_filter *f, struct agw_str ids)
{
    struct agw_tls *t = (struct agw_tls *)f; /* the filter is the first member */

    free(t->peers);
    t->peers = agw_tls_copy_name(ids);
    return t->peers ? 0 : AGW_ENOMEM;
}
