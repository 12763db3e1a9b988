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

/* Without this OpenSSL asks on the terminal. */
static int no_pass_phrase(char *buf, int size, int writing, void *ctx)
{
    return -1;
}

static BIO *view(struct agw_str pem)
{
    return BIO_new_mem_buf(pem.n ? pem.p : "", pem.n < INT_MAX ? (int)pem.n : INT_MAX);
}

/* True if the error is only "no more PEM blocks"; clears it. */
static bool at_end(void)
{
    unsigned long e = ERR_peek_last_error();
    bool end = ERR_GET_LIB(e) == ERR_LIB_PEM && ERR_GET_REASON(e) == PEM_R_NO_START_LINE;

    if (end)
        ERR_clear_error();
    return end;
}

static int use_chain(SSL_CTX *ctx, struct agw_str pem, struct agw_error *err)
{
    int rc = AGW_ENOMEM;
    BIO *bio = view(pem);
    X509 *cert = bio ? PEM_read_bio_X509_AUX(bio, NULL, no_pass_phrase, NULL) : NULL;

    if (!cert || SSL_CTX_use_certificate(ctx, cert) != 1 || SSL_CTX_clear_chain_certs(ctx) != 1)
        goto out;
    for (;;) {
        X509_free(cert);
        cert = PEM_read_bio_X509(bio, NULL, no_pass_phrase, NULL);
        if (!cert)
            break;
        if (SSL_CTX_add1_chain_cert(ctx, cert) != 1)
            goto out;
    }
    rc = at_end() ? 0 : AGW_ETLS;
out:
    if (rc)
        rc = agw_tls_error(err, "certificate");
    X509_free(cert);
    BIO_free(bio);
    return rc;
}

static int use_key(SSL_CTX *ctx, struct agw_str pem, struct agw_error *err)
{
    int rc = 0;
    BIO *bio = view(pem);
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_pass_phrase, NULL) : NULL;

    if (!key || SSL_CTX_use_PrivateKey(ctx, key) != 1 || SSL_CTX_check_private_key(ctx) != 1)
        rc = agw_tls_error(err, "private key");
    EVP_PKEY_free(key);
    BIO_free(bio);
    return rc;
}

int agw_tls_use_pem(SSL_CTX *ctx, struct agw_str chain, struct agw_str key, struct agw_error *err)
{
    ERR_clear_error();
    int rc = use_chain(ctx, chain, err);
    return rc ? rc : use_key(ctx, key, err);
}
