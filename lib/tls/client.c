#include "tls/tls_int.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "net/addr.h"

struct agw_tls_client {
    unsigned refs; /* atomic */
    SSL_CTX *ctx;
    char *sni, *verify_host; /* NULL: the filter's |host| */
    bool insecure;
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

static int use_ca(SSL_CTX *ctx, struct agw_str pem, struct agw_error *err)
{
    int rc = 0, count = 0;
    X509 *cert;
    BIO *bio = BIO_new_mem_buf(pem.p, pem.n < INT_MAX ? (int)pem.n : INT_MAX);

    while (!rc && bio && (cert = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
        if (X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), cert) != 1)
            rc = agw_tls_error(err, "CA certificate");
        X509_free(cert);
        count++;
    }
    unsigned long e = ERR_peek_last_error();
    bool at_end = ERR_GET_LIB(e) == ERR_LIB_PEM && ERR_GET_REASON(e) == PEM_R_NO_START_LINE;
    if (!rc && (count == 0 || !at_end))
        rc = agw_tls_error(err, "CA certificate");
    ERR_clear_error();
    BIO_free(bio);
    return rc;
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

static int configure(struct agw_tls_client *c, const struct agw_tls_client_conf *conf, struct agw_error *err)
{
    int rc = set_names(c, conf, err);

    if (rc)
        return rc;
    ERR_clear_error();
    c->insecure = conf->insecure;
    c->ctx = agw_tls_ctx_new(TLS_client_method());
    if (!c->ctx || set_alpn(c->ctx, conf->alpn_h2, conf->alpn_http1))
        return agw_tls_error(err, "TLS context");
    SSL_CTX_set_verify(c->ctx, conf->insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
    if (!conf->insecure)
        rc = conf->ca_pem.n ? use_ca(c->ctx, conf->ca_pem, err) : use_system_roots(c->ctx, err);
    if (!rc && (conf->cert_pem.n || conf->key_pem.n)) {
        rc = agw_tls_use_pem(c->ctx, conf->cert_pem, conf->key_pem, err);
        if (rc)
            agw_error_prefix(err, "client");
    }
    return rc;
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
    free(c);
}

/* --- one connection --- */

static bool is_ip(const char *name)
{
    struct agw_addr a;
    return agw_addr_ip(agw_str_c(name), 0, &a) == 0;
}

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
        if (!t->name || (!c->insecure && !set_verify_name(t->ssl, t->name)))
            return AGW_ENOMEM;
    }
    return 0;
}

struct agw_filter *agw_tls_client_filter(struct agw_tls_client *c, struct agw_str host)
{
    struct agw_tls *t = agw_tls_filter_new(c->ctx, false);

    if (!t)
        return NULL;
    if (set_host(t, c, host)) {
        ERR_clear_error();
        agw_tls_filter_free(&t->filter);
        return NULL;
    }
    return &t->filter;
}
