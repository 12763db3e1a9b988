/* Certificates, keys and stapled answers out of PEM. */
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include "tls/tls_int.h"

static BIO *view(struct agw_str pem)
{
    return BIO_new_mem_buf(pem.n ? pem.p : "", pem.n < INT_MAX ? (int)pem.n : INT_MAX);
}

static void identity_free(struct agw_tls_identity *id)
{
    X509_free(id->leaf);
    EVP_PKEY_free(id->key);
    sk_X509_pop_free(id->chain, X509_free);
    free(id->staple);
}

void agw_tls_identities_free(struct agw_tls_identities *all)
{
    for (size_t i = 0; i < all->count; i++)
        identity_free(&all->v[i]);
    free(all->v);
    *all = (struct agw_tls_identities){0};
}

static struct agw_tls_identity *add_identity(struct agw_tls_identities *all)
{
    struct agw_tls_identity *v = reallocarray(all->v, all->count + 1, sizeof(*v));

    if (!v)
        return NULL;
    all->v = v;
    v[all->count] = (struct agw_tls_identity){0};
    return &v[all->count++];
}

/* Where the next block with a private key begins at or behind |from|, -1: nowhere. PEM_read_bio_PrivateKey
 * does not tell the end from a bad key. */
static ptrdiff_t next_key(struct agw_str pem, size_t from)
{
    static const struct agw_str begin = {"-----BEGIN ", 11}, end = {"PRIVATE KEY-----", 16};
    ptrdiff_t at;

    while (from < pem.n && (at = agw_str_search(agw_str_from(pem, from), begin)) >= 0) {
        struct agw_str label = agw_str_from(pem, from + (size_t)at + begin.n);
        const char *stop = memchr(label.p, '\n', label.n);
        if (stop)
            label.n = (size_t)(stop - label.p);
        if (agw_str_search(label, end) >= 0)
            return (ptrdiff_t)from + at;
        from += (size_t)at + begin.n;
    }
    return -1;
}

static int read_key(struct agw_tls_identities *all, struct agw_str pem, struct agw_error *err)
{
    BIO *bio = view(pem);
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, agw_tls_no_pass_phrase, NULL) : NULL;

    BIO_free(bio);
    if (!key)
        return agw_tls_error(err, "private key");
    struct agw_tls_identity *id = add_identity(all);
    if (!id) {
        EVP_PKEY_free(key);
        return agw_error_set(err, AGW_ENOMEM, "private key: %s", agw_err_text(AGW_ENOMEM));
    }
    id->key = key;
    return 0;
}

/* One identity a key, for now without certificates. */
static int read_keys(struct agw_tls_identities *all, struct agw_str pem, struct agw_error *err)
{
    ptrdiff_t at = next_key(pem, 0);
    int rc = at < 0 ? read_key(all, pem, err) : 0; /* it says what is wrong */

    while (!rc && at >= 0) {
        rc = read_key(all, agw_str_from(pem, (size_t)at), err);
        at = next_key(pem, (size_t)at + 1);
    }
    return rc;
}

static bool fits(X509 *cert, EVP_PKEY *key)
{
    bool same = X509_check_private_key(cert, key) == 1;
    if (!same)
        ERR_clear_error();
    return same;
}

/* The first certificate must be the first key's; from then on one that fits the next key begins its chain. */
static int add_cert(struct agw_tls_identities *all, size_t *at, X509 *cert, struct agw_error *err)
{
    struct agw_tls_identity *id = &all->v[*at];

    if (!id->leaf) {
        if (X509_check_private_key(cert, id->key) != 1)
            return agw_tls_error(err, "private key");
        if (X509_up_ref(cert) != 1)
            return AGW_ENOMEM;
        id->leaf = cert;
        return 0;
    }
    if (*at + 1 < all->count && fits(cert, all->v[*at + 1].key)) {
        ++*at;
        return add_cert(all, at, cert, err);
    }
    if (!id->chain && !(id->chain = sk_X509_new_null()))
        return AGW_ENOMEM;
    if (X509_up_ref(cert) != 1)
        return AGW_ENOMEM;
    if (sk_X509_push(id->chain, cert) > 0)
        return 0;
    X509_free(cert);
    return AGW_ENOMEM;
}

static bool is_about(OCSP_BASICRESP *basic, X509 *leaf, int64_t *ret_until)
{
    for (int i = 0; i < OCSP_resp_count(basic); i++) {
        OCSP_SINGLERESP *one = OCSP_resp_get0(basic, i);
        ASN1_INTEGER *serial = NULL;
        ASN1_GENERALIZEDTIME *next = NULL;
        struct tm tm;
        OCSP_id_get0_info(NULL, NULL, NULL, &serial, (OCSP_CERTID *)OCSP_SINGLERESP_get0_id(one));
        if (!serial || ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(leaf)) != 0)
            continue;
        OCSP_single_get0_status(one, NULL, NULL, NULL, &next);
        *ret_until = next && ASN1_TIME_to_tm(next, &tm) ? (int64_t)timegm(&tm) : INT64_MAX;
        return true;
    }
    return false;
}

/* An answer of a certificate's OCSP responder (RFC 6960), for the certificate before it. */
static int add_staple(struct agw_tls_identity *id, const unsigned char *der, long n, struct agw_error *err)
{
    const unsigned char *p = der;
    OCSP_RESPONSE *answer = d2i_OCSP_RESPONSE(NULL, &p, n);
    OCSP_BASICRESP *basic = answer ? OCSP_response_get1_basic(answer) : NULL;
    int rc = 0;

    if (!id->leaf)
        rc = agw_error_set(err, AGW_EINVAL, "OCSP response: no certificate before it");
    else if (!answer || p != der + n)
        rc = agw_error_set(err, AGW_EINVAL, "OCSP response: malformed");
    else if (OCSP_response_status(answer) != OCSP_RESPONSE_STATUS_SUCCESSFUL || !basic)
        rc = agw_error_set(err, AGW_EINVAL, "OCSP response: the responder did not answer the question");
    else if (!is_about(basic, id->leaf, &id->staple_until))
        rc = agw_error_set(err, AGW_EINVAL, "OCSP response: is about another certificate");
    if (!rc) {
        free(id->staple);
        id->staple = malloc((size_t)n);
        rc = id->staple ? 0 : AGW_ENOMEM;
    }
    if (!rc) {
        memcpy(id->staple, der, (size_t)n);
        id->staple_n = (int)n;
    }
    OCSP_BASICRESP_free(basic);
    OCSP_RESPONSE_free(answer);
    ERR_clear_error();
    return rc;
}

static int add_block(struct agw_tls_identities *all, size_t *at, const char *name, const unsigned char *der,
                     long n, struct agw_error *err)
{
    const unsigned char *p = der;
    bool trusted = strcmp(name, PEM_STRING_X509_TRUSTED) == 0;

    if (strcmp(name, AGW_TLS_PEM_OCSP) == 0)
        return add_staple(&all->v[*at], der, n, err);
    if (!trusted && strcmp(name, PEM_STRING_X509) != 0 && strcmp(name, PEM_STRING_X509_OLD) != 0)
        return 0;
    X509 *cert = trusted ? d2i_X509_AUX(NULL, &p, n) : d2i_X509(NULL, &p, n);
    int rc = cert ? add_cert(all, at, cert, err) : agw_tls_error(err, "certificate");
    X509_free(cert);
    return rc;
}

static int read_certs(struct agw_tls_identities *all, size_t from, struct agw_str pem, struct agw_error *err)
{
    size_t at = from;
    BIO *bio = view(pem);
    int rc = bio ? 0 : AGW_ENOMEM;

    while (!rc) {
        char *name = NULL, *header = NULL;
        unsigned char *der = NULL;
        long n;
        if (PEM_read_bio(bio, &name, &header, &der, &n) != 1)
            break;
        rc = add_block(all, &at, name, der, n, err);
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_free(der);
    }
    BIO_free(bio);
    if (!rc && (!all->v[from].leaf || !agw_tls_pem_end()))
        return agw_tls_error(err, "certificate");
    if (!rc && at + 1 < all->count)
        rc = agw_error_set(err, AGW_ETLS, "private key: number %zu fits no certificate", at - from + 2);
    return rc == AGW_ENOMEM ? agw_error_set(err, rc, "certificate: %s", agw_err_text(rc)) : rc;
}

int agw_tls_identities_read(struct agw_tls_identities *all, const struct agw_tls_cert_pem *pem,
                            struct agw_error *err)
{
    size_t from = all->count;

    ERR_clear_error();
    int rc = read_keys(all, pem->key, err);
    return rc ? rc : read_certs(all, from, pem->cert_chain, err);
}

/* --- names --- */

static int add_name(struct agw_tls_names *names, const char *p, size_t n)
{
    if (n == 0 || n > AGW_TLS_NAME_MAX || memchr(p, 0, n))
        return 0; /* no name that a client could ask for */
    char **v = reallocarray(names->v, names->count + 1, sizeof(*v));
    if (!v)
        return AGW_ENOMEM;
    names->v = v;
    char *copy = agw_tls_copy_name(agw_str(p, n));
    if (!copy)
        return AGW_ENOMEM;
    for (char *c = copy; *c; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c | 0x20);
    size_t at = names->count++;
    for (; at > 0 && strcmp(v[at - 1], copy) > 0; at--)
        v[at] = v[at - 1];
    v[at] = copy;
    return 0;
}

int agw_tls_names_read(struct agw_tls_names *names, const X509 *cert)
{
    GENERAL_NAMES *list = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    char common[AGW_TLS_NAME_MAX + 1];
    int rc = 0;

    for (int i = 0; !rc && i < sk_GENERAL_NAME_num(list); i++) {
        const GENERAL_NAME *g = sk_GENERAL_NAME_value(list, i);
        if (g->type == GEN_DNS)
            rc = add_name(names, (const char *)ASN1_STRING_get0_data(g->d.dNSName),
                          (size_t)ASN1_STRING_length(g->d.dNSName));
    }
    GENERAL_NAMES_free(list);
    ERR_clear_error();
    if (rc || names->count)
        return rc;
    int n = X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, common, sizeof(common));
    return n > 0 ? add_name(names, common, (size_t)n) : 0;
}

void agw_tls_names_free(struct agw_tls_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->v[i]);
    free(names->v);
    *names = (struct agw_tls_names){0};
}

bool agw_tls_names_equal(const struct agw_tls_names *a, const struct agw_tls_names *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (strcmp(a->v[i], b->v[i]) != 0)
            return false;
    return true;
}
