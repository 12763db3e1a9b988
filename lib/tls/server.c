#include "tls/tls_int.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct agw_tls_server {
    unsigned refs; /* atomic */
    SSL_CTX *ctx;
};

static int select_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_n, const unsigned char *in,
                       unsigned in_n, void *arg)
{
    static const unsigned char ours[] = "\x02h2\x08http/1.1"; /* in our order of preference */
    const struct agw_tls *t = SSL_get_app_data(ssl);
    unsigned char *chosen;

    if (t && t->no_alpn)
        return SSL_TLSEXT_ERR_NOACK;
    if (SSL_select_next_proto(&chosen, out_n, ours, sizeof(ours) - 1, in, in_n) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL; /* no_application_protocol, RFC 7301 section 3.2 */
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/* A ticket resumes only under the leaf certificates it was issued for. All contexts share the ticket keys of
 * the base context, so it does so after a reload, too. */
static int set_session_id(SSL_CTX *ctx, const struct agw_tls_cert_pem *certs, size_t count)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    bool fine = md && EVP_DigestInit_ex(md, EVP_sha256(), NULL);

    for (size_t i = 0; fine && i < count; i++)
        fine = EVP_DigestUpdate(md, certs[i].cert_chain.p, certs[i].cert_chain.n);
    fine = fine && EVP_DigestFinal_ex(md, digest, &n) && SSL_CTX_set_session_id_context(ctx, digest, n);
    EVP_MD_CTX_free(md);
    return fine ? 0 : AGW_ENOMEM;
}

/* Last to first: of two certificates with one type of key OpenSSL keeps what came last, and the first shall
 * count. */
static int use_certs(SSL_CTX *ctx, const struct agw_tls_cert_pem *certs, size_t count, struct agw_error *err)
{
    for (size_t i = count; i-- > 0;) {
        int rc = agw_tls_use_pem(ctx, certs[i].cert_chain, certs[i].key, err);
        if (rc) {
            if (count > 1)
                agw_error_prefix(err, "certificate %zu of %zu", i + 1, count);
            return rc;
        }
    }
    return 0;
}

struct agw_tls_server *agw_tls_server_new(const struct agw_tls_cert_pem *certs, size_t count,
                                          struct agw_error *err)
{
    struct agw_tls_server *s = calloc(1, sizeof(*s));

    if (!s) {
        agw_error_set(err, AGW_ENOMEM, "TLS: %s", agw_err_text(AGW_ENOMEM));
        return NULL;
    }
    s->refs = 1;
    s->ctx = agw_tls_ctx_new(TLS_server_method());
    if (!s->ctx) {
        agw_tls_error(err, "TLS context");
        goto fail;
    }
    if (count == 0) {
        agw_error_set(err, AGW_EINVAL, "TLS: no certificate");
        goto fail;
    }
    if (use_certs(s->ctx, certs, count, err))
        goto fail;
    if (set_session_id(s->ctx, certs, count)) {
        agw_tls_error(err, "TLS session id");
        goto fail;
    }
    SSL_CTX_set_alpn_select_cb(s->ctx, select_alpn, NULL);
    return s;
fail:
    agw_tls_server_unref(s);
    return NULL;
}

struct agw_tls_server *agw_tls_server_ref(struct agw_tls_server *s)
{
    __atomic_fetch_add(&s->refs, 1, __ATOMIC_RELAXED);
    return s;
}

void agw_tls_server_unref(struct agw_tls_server *s)
{
    if (!s || __atomic_fetch_sub(&s->refs, 1, __ATOMIC_ACQ_REL) != 1)
        return;
    SSL_CTX_free(s->ctx);
    free(s);
}

/* --- the choice by ClientHello --- */

static int read_sni(SSL *ssl, struct agw_tls *t)
{
    const unsigned char *ext;
    size_t n;
    struct agw_str name;

    if (!SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &ext, &n))
        return 0;
    int rc = agw_tls_sni_parse(ext, n, &name);
    if (rc)
        return rc;
    free(t->name);
    t->name = agw_tls_copy_name(name);
    if (!t->name)
        return AGW_ENOMEM;
    for (char *p = t->name; *p; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p | 0x20);
    return 0;
}

/* This is the earliest hook, before session tickets are looked at: a session thus resumes under the chosen
 * context. */
static int on_client_hello(SSL *ssl, int *alert, void *arg)
{
    struct agw_tls *t = SSL_get_app_data(ssl);

    int rc = read_sni(ssl, t);
    if (rc) {
        *alert = rc == AGW_ENOMEM ? SSL_AD_INTERNAL_ERROR : SSL_AD_DECODE_ERROR;
        return SSL_CLIENT_HELLO_ERROR;
    }
    if (t->server) /* a second ClientHello after HelloRetryRequest: the choice stands */
        return SSL_CLIENT_HELLO_SUCCESS;
    struct agw_tls_server *s = t->select(t->select_ctx, agw_str_c(t->name), &t->choice);
    if (!s) {
        t->refused = true;
        *alert = SSL_AD_UNRECOGNIZED_NAME;
        return SSL_CLIENT_HELLO_ERROR;
    }
    t->server = agw_tls_server_ref(s);
    if (!SSL_set_SSL_CTX(ssl, s->ctx)) {
        *alert = SSL_AD_INTERNAL_ERROR;
        return SSL_CLIENT_HELLO_ERROR;
    }
    return SSL_CLIENT_HELLO_SUCCESS;
}

/* --- the base context: what all server connections begin with; it also holds the ticket keys of the process
 * --- */

static SSL_CTX *base;
static pthread_once_t base_once = PTHREAD_ONCE_INIT;

static void make_base(void)
{
    base = agw_tls_ctx_new(TLS_server_method());
    if (base)
        SSL_CTX_set_client_hello_cb(base, on_client_hello, NULL);
}

void agw_tls_leave_alpn(struct agw_filter *f)
{
    ((struct agw_tls *)f)->no_alpn = true;
}

struct agw_filter *agw_tls_server_filter(struct agw_tls_server *(*select)(void *ctx, struct agw_str sni,
                                                                          void **ret_choice),
                                         void *ctx)
{
    pthread_once(&base_once, make_base);
    struct agw_tls *t = base ? agw_tls_filter_new(base, true) : NULL;
    if (!t)
        return NULL;
    t->select = select;
    t->select_ctx = ctx;
    return &t->filter;
}
