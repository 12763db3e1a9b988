#include "tls/tls_int.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>

/* Reads take what the socket has in one call (read ahead) instead of a header and a body; buffers go back
 * when empty. */
SSL_CTX *agw_tls_ctx_new(const SSL_METHOD *method)
{
    SSL_CTX *ctx = SSL_CTX_new(method);

    if (!ctx)
        return NULL;
    if (!SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION)) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(ctx, 1);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); /* tickets need none, and it takes a lock */
    return ctx;
}

int agw_tls_no_pass_phrase(char *buf, int size, int writing, void *ctx)
{
    return -1;
}

bool agw_tls_pem_end(void)
{
    unsigned long e = ERR_peek_last_error();
    bool end = ERR_GET_LIB(e) == ERR_LIB_PEM && ERR_GET_REASON(e) == PEM_R_NO_START_LINE;

    if (end)
        ERR_clear_error();
    return end;
}

int agw_tls_add_roots(X509_STORE *store, struct agw_str pem, struct agw_error *err)
{
    int rc = 0, count = 0;
    X509 *cert;

    ERR_clear_error();
    BIO *bio = BIO_new_mem_buf(pem.n ? pem.p : "", pem.n < INT_MAX ? (int)pem.n : INT_MAX);
    while (!rc && bio && (cert = PEM_read_bio_X509(bio, NULL, agw_tls_no_pass_phrase, NULL))) {
        if (X509_STORE_add_cert(store, cert) != 1)
            rc = agw_tls_error(err, "CA certificate");
        X509_free(cert);
        count++;
    }
    if (!rc && (count == 0 || !agw_tls_pem_end()))
        rc = agw_tls_error(err, "CA certificate");
    ERR_clear_error();
    BIO_free(bio);
    return rc;
}

int agw_tls_trust_partial(X509_STORE *store, struct agw_error *err)
{
    return X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN) == 1 ? 0
                                                                       : agw_tls_error(err, "CA certificate");
}

int agw_tls_check_roots(struct agw_str pem, struct agw_error *err)
{
    X509_STORE *store = X509_STORE_new();
    int rc = store ? agw_tls_add_roots(store, pem, err)
                   : agw_error_set(err, AGW_ENOMEM, "CA certificate: %s", agw_err_text(AGW_ENOMEM));

    X509_STORE_free(store);
    return rc;
}
