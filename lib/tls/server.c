#include "tls/tls_int.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/map.h"

#define KEY_TYPES 3 /* of certificates for the same names: RSA, ECDSA, EdDSA */

/* Certificates for the same names, one a key type. */
struct site {
    SSL_CTX *ctx;
    struct agw_tls_names names;
    unsigned count;
    struct {
        const X509 *leaf; /* the context's */
        int key_type;
        unsigned char *staple;
        int staple_n;
        int64_t staple_until;
    } v[KEY_TYPES];
};

struct agw_tls_server {
    unsigned refs; /* atomic */
    struct site **sites;
    size_t site_count;
    struct agw_map by_name;
    enum agw_tls_client_auth client_auth;
    bool no_tickets;
    char groups[AGW_TLS_GROUPS_MAX]; /* empty: the library's */
    unsigned char *alpn;             /* as on the wire */
    unsigned alpn_n;
};

/* --- what is said in a handshake --- */

static int select_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_n, const unsigned char *in,
                       unsigned in_n, void *arg)
{
    const struct agw_tls_server *s = arg;
    unsigned char *chosen;

    if (SSL_select_next_proto(&chosen, out_n, s->alpn, s->alpn_n, in, in_n) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL; /* no_application_protocol, RFC 7301 section 3.2 */
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/* The stapled answer for the certificate in use, as long as it is fresh. */
static int staple(SSL *ssl, void *arg)
{
    const struct site *site = arg;
    const X509 *leaf = SSL_get_certificate(ssl);

    for (unsigned i = 0; i < site->count; i++) {
        if (site->v[i].leaf != leaf || !site->v[i].staple || site->v[i].staple_until <= (int64_t)time(NULL))
            continue;
        unsigned char *copy = OPENSSL_memdup(site->v[i].staple, (size_t)site->v[i].staple_n);
        if (!copy)
            return SSL_TLSEXT_ERR_NOACK;
        SSL_set_tlsext_status_ocsp_resp(ssl, copy, site->v[i].staple_n);
        return SSL_TLSEXT_ERR_OK;
    }
    return SSL_TLSEXT_ERR_NOACK;
}

/* Whatever a client shows is let in; what it is worth stays in the session's verify result. */
static int let_in(int ok, X509_STORE_CTX *ctx)
{
    return 1;
}

/* --- making one --- */

/* Where tickets are good: under certificates of the same names, after the same was asked of clients. All
 * contexts share the ticket keys of the base context, so they are good after a reload, too. */
static int set_session_id(const struct site *site, const struct agw_tls_server_conf *conf)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    bool fine = md && EVP_DigestInit_ex(md, EVP_sha256(), NULL);

    for (size_t i = 0; fine && i < site->names.count; i++)
        fine = EVP_DigestUpdate(md, site->names.v[i], strlen(site->names.v[i]) + 1);
    if (fine && site->names.count == 0) { /* nothing to know it by but the certificate */
        unsigned char own[EVP_MAX_MD_SIZE];
        unsigned own_n = 0;
        fine = X509_digest(site->v[0].leaf, EVP_sha256(), own, &own_n) && EVP_DigestUpdate(md, own, own_n);
    }
    fine = fine && EVP_DigestUpdate(md, &conf->client_auth, sizeof(conf->client_auth)) &&
           EVP_DigestUpdate(md, conf->client_ca_pem.p, conf->client_ca_pem.n) &&
           EVP_DigestFinal_ex(md, digest, &n) && SSL_CTX_set_session_id_context(site->ctx, digest, n);
    EVP_MD_CTX_free(md);
    return fine ? 0 : AGW_ENOMEM;
}

/* The list of names that clients choose their certificate by. */
static int set_ca_names(SSL_CTX *ctx)
{
    STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(SSL_CTX_get_cert_store(ctx));

    for (int i = 0; i < sk_X509_OBJECT_num(objects); i++) {
        X509 *cert = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(objects, i));
        if (cert && SSL_CTX_add_client_CA(ctx, cert) != 1)
            return AGW_ENOMEM;
    }
    return 0;
}

static int set_client_auth(SSL_CTX *ctx, const struct agw_tls_server_conf *conf, struct agw_error *err)
{
    int rc = 0;

    if (conf->client_auth == AGW_TLS_CLIENT_ANONYMOUS)
        return 0;
    if (conf->client_ca_pem.n || conf->client_auth == AGW_TLS_CLIENT_REQUIRED)
        rc = agw_tls_add_roots(SSL_CTX_get_cert_store(ctx), conf->client_ca_pem, err);
    if (!rc && conf->partial_chain)
        rc = agw_tls_trust_partial(SSL_CTX_get_cert_store(ctx), err);
    if (rc)
        agw_error_prefix(err, "client");
    else if (set_ca_names(ctx))
        rc = agw_tls_error(err, "client CA certificate");
    return rc;
}

static struct site *site_for(struct agw_tls_server *s, const struct agw_tls_names *names)
{
    for (size_t i = 0; i < s->site_count; i++)
        if (agw_tls_names_equal(&s->sites[i]->names, names))
            return s->sites[i];
    return NULL;
}

/* Takes |names|. */
static struct site *site_new(struct agw_tls_server *s, struct agw_tls_names *names)
{
    struct site **v = reallocarray(s->sites, s->site_count + 1, sizeof(*v));
    struct site *site = v ? calloc(1, sizeof(*site)) : NULL;

    if (v)
        s->sites = v;
    if (!site)
        return NULL;
    v[s->site_count++] = site;
    site->names = *names;
    *names = (struct agw_tls_names){0};
    site->ctx = agw_tls_ctx_new(TLS_server_method());
    return site->ctx ? site : NULL;
}

/* Of two certificates with one type of key the first counts. */
static int site_add(struct site *site, struct agw_tls_identity *id, struct agw_error *err)
{
    int key_type = EVP_PKEY_get_base_id(id->key);

    for (unsigned i = 0; i < site->count; i++)
        if (site->v[i].key_type == key_type)
            return 0;
    if (site->count == KEY_TYPES)
        return 0;
    if (SSL_CTX_use_cert_and_key(site->ctx, id->leaf, id->key, id->chain, 1) != 1)
        return agw_tls_error(err, "certificate");
    unsigned at = site->count++;
    site->v[at].leaf = id->leaf;
    site->v[at].key_type = key_type;
    site->v[at].staple = id->staple; /* taken */
    site->v[at].staple_n = id->staple_n;
    site->v[at].staple_until = id->staple_until;
    id->staple = NULL;
    return 0;
}

static int add_identity(struct agw_tls_server *s, struct agw_tls_identity *id, struct agw_error *err)
{
    struct agw_tls_names names = {0};
    int rc = agw_tls_names_read(&names, id->leaf);
    struct site *site = rc ? NULL : site_for(s, &names);

    if (!rc && !site)
        site = site_new(s, &names);
    agw_tls_names_free(&names);
    if (!site)
        return agw_error_set(err, AGW_ENOMEM, "TLS: %s", agw_err_text(AGW_ENOMEM));
    return site_add(site, id, err);
}

static int add_certs(struct agw_tls_server *s, const struct agw_tls_server_conf *conf, struct agw_error *err)
{
    int rc = 0;

    if (conf->cert_count == 0)
        return agw_error_set(err, AGW_EINVAL, "TLS: no certificate");
    for (size_t i = 0; !rc && i < conf->cert_count; i++) {
        struct agw_tls_identities all = {0};
        rc = agw_tls_identities_read(&all, &conf->certs[i], err);
        for (size_t k = 0; !rc && k < all.count; k++)
            rc = add_identity(s, &all.v[k], err);
        agw_tls_identities_free(&all);
        if (rc && rc != AGW_ENOMEM && conf->cert_count > 1)
            agw_error_prefix(err, "certificate %zu of %zu", i + 1, conf->cert_count);
    }
    return rc;
}

static int finish_site(struct agw_tls_server *s, struct site *site, const struct agw_tls_server_conf *conf,
                       struct agw_error *err)
{
    int rc = agw_tls_set_params(site->ctx, &conf->params, err);

    if (!rc)
        rc = set_client_auth(site->ctx, conf, err);
    if (rc)
        return rc;
    if (set_session_id(site, conf))
        return agw_tls_error(err, "TLS session id");
    if (!conf->no_alpn)
        SSL_CTX_set_alpn_select_cb(site->ctx, select_alpn, s);
    SSL_CTX_set_tlsext_status_cb(site->ctx, staple);
    SSL_CTX_set_tlsext_status_arg(site->ctx, site);
    for (size_t i = 0; !rc && i < site->names.count; i++) {
        struct agw_str name = agw_str_c(site->names.v[i]);
        if (!agw_map_get(&s->by_name, name))
            rc = agw_map_put(&s->by_name, name, site, NULL);
    }
    return rc ? agw_error_set(err, rc, "TLS: %s", agw_err_text(rc)) : 0;
}

static int set_protocols(struct agw_tls_server *s, const struct agw_tls_server_conf *conf,
                         struct agw_error *err)
{
    /* the last for clients that speak HTTP/1.0 and offer nothing else, as curl does when it is told to */
    static const struct agw_str usual[] = {{"h2", 2}, {"http/1.1", 8}, {"http/1.0", 8}};
    const struct agw_str *list = conf->alpn_count ? conf->alpn : usual;
    size_t count = conf->alpn_count ? conf->alpn_count : AGW_ARRAY_LEN(usual), n = 0;

    for (size_t i = 0; i < count; i++) {
        if (list[i].n == 0 || list[i].n > UCHAR_MAX)
            return agw_error_set(err, AGW_EINVAL, "TLS: an ALPN protocol has 1 to 255 bytes");
        n += 1 + list[i].n;
    }
    if (!(s->alpn = malloc(n)))
        return agw_error_set(err, AGW_ENOMEM, "TLS: %s", agw_err_text(AGW_ENOMEM));
    for (size_t i = 0; i < count; i++) {
        s->alpn[s->alpn_n++] = (unsigned char)list[i].n;
        memcpy(s->alpn + s->alpn_n, list[i].p, list[i].n);
        s->alpn_n += (unsigned)list[i].n;
    }
    return 0;
}

static int configure(struct agw_tls_server *s, const struct agw_tls_server_conf *conf, struct agw_error *err)
{
    s->client_auth = conf->client_auth;
    s->no_tickets = conf->no_tickets;
    int rc = add_certs(s, conf, err);
    if (!rc)
        rc = set_protocols(s, conf, err);
    if (!rc)
        rc = agw_tls_groups_list(&conf->params, s->groups, err);
    for (size_t i = 0; !rc && i < s->site_count; i++)
        rc = finish_site(s, s->sites[i], conf, err);
    return rc;
}

struct agw_tls_server *agw_tls_server_new(const struct agw_tls_server_conf *conf, struct agw_error *err)
{
    struct agw_tls_server *s = calloc(1, sizeof(*s));

    if (!s) {
        agw_error_set(err, AGW_ENOMEM, "TLS: %s", agw_err_text(AGW_ENOMEM));
        return NULL;
    }
    s->refs = 1;
    agw_map_init(&s->by_name);
    ERR_clear_error();
    if (configure(s, conf, err)) {
        agw_tls_server_unref(s);
        return NULL;
    }
    return s;
}

static void site_free(struct site *site)
{
    for (unsigned i = 0; i < site->count; i++)
        free(site->v[i].staple);
    agw_tls_names_free(&site->names);
    SSL_CTX_free(site->ctx);
    free(site);
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
    for (size_t i = 0; i < s->site_count; i++)
        site_free(s->sites[i]);
    agw_map_free(&s->by_name);
    free(s->sites);
    free(s->alpn);
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

static const struct site *site_of(const struct agw_tls_server *s, struct agw_str name)
{
    char any[AGW_TLS_NAME_MAX + 1];
    const struct site *site = name.n ? agw_map_get(&s->by_name, name) : NULL;
    const char *dot = name.n ? memchr(name.p, '.', name.n) : NULL;

    if (!site && dot && dot != name.p) { /* a wildcard stands for one label, RFC 6125 section 6.4.3 */
        size_t rest = name.n - (size_t)(dot - name.p);
        any[0] = '*';
        memcpy(any + 1, dot, rest);
        site = agw_map_get(&s->by_name, agw_str(any, rest + 1));
    }
    return site ? site : s->sites[0];
}

/* SSL_set_SSL_CTX takes certificates and callbacks along; what else a context says, it does not. */
static bool take_over(SSL *ssl, const struct agw_tls_server *s, const struct site *site)
{
    int verify = s->client_auth == AGW_TLS_CLIENT_ANONYMOUS ? SSL_VERIFY_NONE
                 : s->client_auth == AGW_TLS_CLIENT_REQUIRED
                     ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT
                     : SSL_VERIFY_PEER;

    if (!SSL_set_SSL_CTX(ssl, site->ctx))
        return false;
    if (s->no_tickets && (SSL_set_num_tickets(ssl, 0) != 1 || !SSL_set_options(ssl, SSL_OP_NO_TICKET)))
        return false;
    SSL_set_verify(ssl, verify, s->client_auth == AGW_TLS_CLIENT_ASKED ? let_in : NULL);
    return SSL_set_min_proto_version(ssl, SSL_CTX_get_min_proto_version(site->ctx)) &&
           SSL_set_max_proto_version(ssl, SSL_CTX_get_max_proto_version(site->ctx)) &&
           (!s->groups[0] || SSL_set1_groups_list(ssl, s->groups) == 1);
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
    if (!take_over(ssl, s, site_of(s, agw_str_c(t->name)))) {
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
    SSL_CTX *ctx = agw_tls_ctx_new(TLS_server_method());
    if (!ctx || agw_tls_use_tickets(ctx)) {
        SSL_CTX_free(ctx);
        return;
    }
    SSL_CTX_set_client_hello_cb(ctx, on_client_hello, NULL);
    base = ctx;
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
