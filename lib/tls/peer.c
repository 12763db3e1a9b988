/* What a peer's certificate says. */
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>
#include "tls/tls_int.h"

static int set_subject(X509 *cert, struct agw_arena *arena, struct agw_tls_peer *peer)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *p;
    int rc = AGW_ENOMEM;

    if (bio && X509_NAME_print_ex(bio, X509_get_subject_name(cert), 0, XN_FLAG_RFC2253) >= 0) {
        long n = BIO_get_mem_data(bio, &p);
        peer->subject = agw_arena_str(arena, agw_str(p, n > 0 ? (size_t)n : 0));
        rc = peer->subject.p ? 0 : AGW_ENOMEM;
    }
    BIO_free(bio);
    return rc;
}

/* False: a name of a kind that nobody uses, or one that is not text. */
static bool text_of(const GENERAL_NAME *g, char ip[INET6_ADDRSTRLEN], struct agw_tls_subject_name *ret_name)
{
    static const enum agw_tls_name_type types[] = {
        [GEN_DNS] = AGW_TLS_NAME_DNS, [GEN_URI] = AGW_TLS_NAME_URI, [GEN_EMAIL] = AGW_TLS_NAME_EMAIL};

    if (g->type == GEN_IPADD) {
        int n = ASN1_STRING_length(g->d.ip);
        const unsigned char *bytes = ASN1_STRING_get0_data(g->d.ip);
        if ((n != 4 && n != 16) || !inet_ntop(n == 4 ? AF_INET : AF_INET6, bytes, ip, INET6_ADDRSTRLEN))
            return false;
        *ret_name = (struct agw_tls_subject_name){AGW_TLS_NAME_IP, agw_str_c(ip)};
        return true;
    }
    if (g->type != GEN_DNS && g->type != GEN_URI && g->type != GEN_EMAIL)
        return false;
    const char *p = (const char *)ASN1_STRING_get0_data(g->d.ia5);
    int n = ASN1_STRING_length(g->d.ia5);
    if (n <= 0 || memchr(p, 0, (size_t)n)) /* "a\0.b" is no name of "a" */
        return false;
    *ret_name = (struct agw_tls_subject_name){types[g->type], agw_str(p, (size_t)n)};
    return true;
}

static int set_names(X509 *cert, struct agw_arena *arena, struct agw_tls_peer *peer)
{
    struct agw_tls_subject_name names[AGW_TLS_PEER_NAMES_MAX];
    GENERAL_NAMES *list = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    char ip[INET6_ADDRSTRLEN];
    size_t count = 0;
    int rc = 0;

    for (int i = 0; !rc && i < sk_GENERAL_NAME_num(list) && count < AGW_TLS_PEER_NAMES_MAX; i++) {
        if (!text_of(sk_GENERAL_NAME_value(list, i), ip, &names[count]))
            continue;
        names[count].text = agw_arena_str(arena, names[count].text);
        rc = names[count++].text.p ? 0 : AGW_ENOMEM;
    }
    GENERAL_NAMES_free(list);
    if (rc || count == 0)
        return rc;
    peer->names = agw_arena_copy(arena, names, count * sizeof(names[0]));
    peer->name_count = count;
    return peer->names ? 0 : AGW_ENOMEM;
}

static int describe(X509 *cert, bool verified, struct agw_arena *arena, struct agw_tls_peer *ret_peer)
{
    struct agw_tls_peer peer = {.verified = verified};

    if (!cert)
        return AGW_EEOF;
    int rc = X509_digest(cert, EVP_sha256(), peer.sha256, NULL) == 1 ? 0 : AGW_ENOMEM;
    if (!rc)
        rc = set_subject(cert, arena, &peer);
    if (!rc)
        rc = set_names(cert, arena, &peer);
    ERR_clear_error();
    if (!rc)
        *ret_peer = peer;
    return rc;
}

int agw_tls_peer(const struct agw_filter *f, struct agw_arena *arena, struct agw_tls_peer *ret_peer)
{
    const struct agw_tls *t = (const struct agw_tls *)f; /* the filter is the first member */
    bool verified =
        SSL_get_verify_result(t->ssl) == X509_V_OK && SSL_get_verify_mode(t->ssl) != SSL_VERIFY_NONE;

    return describe(SSL_get0_peer_certificate(t->ssl), verified, arena, ret_peer);
}

int agw_tls_self(const struct agw_filter *f, struct agw_arena *arena, struct agw_tls_peer *ret_self)
{
    const struct agw_tls *t = (const struct agw_tls *)f;

    return describe(SSL_get_certificate(t->ssl), true, arena, ret_self);
}
