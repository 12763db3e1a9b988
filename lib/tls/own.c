#include "tls/own.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include "tls/tls_int.h"

/* What one certificate makes. */
struct contexts {
    struct agw_tls_client *client;
    struct agw_tls_server *server;
    struct agw_str domain; /* behind the struct */
};

struct agw_tls_own {
    _Atomic(struct contexts *) now; /* NULL: none yet */
    void (*grace)(void);
    struct agw_str others; /* trust domains, separated by commas; behind the struct */
};

struct agw_tls_own *agw_tls_own_new(struct agw_str trust_domains, void (*grace)(void))
{
    struct agw_tls_own *own = calloc(1, sizeof(*own) + trust_domains.n);
    if (!own)
        return NULL;
    if (trust_domains.n)
        memcpy(own + 1, trust_domains.p, trust_domains.n);
    own->others = agw_str((const char *)(own + 1), trust_domains.n);
    own->grace = grace;
    return own;
}

static void contexts_free(struct contexts *c)
{
    if (!c)
        return;
    agw_tls_client_unref(c->client);
    agw_tls_server_unref(c->server);
    free(c);
}

void agw_tls_own_free(struct agw_tls_own *own)
{
    if (!own)
        return;
    contexts_free(atomic_load(&own->now));
    free(own);
}

/* --- SPIFFE ids --- */

static bool domain_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
}

struct agw_str agw_spiffe_domain(struct agw_str id)
{
    const struct agw_str scheme = AGW_STR("spiffe://");
    if (!agw_str_starts(id, scheme) || id.n > AGW_SPIFFE_ID_MAX)
        return AGW_STR("");
    struct agw_str rest = agw_str_from(id, scheme.n);
    size_t n = 0;
    while (n < rest.n && domain_char(rest.p[n]))
        n++;
    bool ends = n == rest.n || rest.p[n] == '/';
    return ends ? agw_str(rest.p, n) : AGW_STR("");
}

static bool listed(struct agw_str list, struct agw_str domain)
{
    while (list.n) {
        const char *comma = memchr(list.p, ',', list.n);
        size_t n = comma ? (size_t)(comma - list.p) : list.n;
        if (agw_str_eq(agw_str_trim(agw_str(list.p, n)), domain))
            return true;
        list = agw_str_from(list, comma ? n + 1 : n);
    }
    return false;
}

/* The one URI of a certificate. AGW_ETLS: it has none, or several, which the X.509-SVID specification forbids
 * (section 2). */
static int only_uri(const struct agw_tls_subject_name *names, size_t count, struct agw_str *ret_uri)
{
    struct agw_str uri = AGW_STR("");
    unsigned found = 0;
    for (size_t i = 0; i < count; i++) {
        if (names[i].type != AGW_TLS_NAME_URI)
            continue;
        uri = names[i].text;
        found++;
    }
    if (found != 1 || agw_spiffe_domain(uri).n == 0)
        return AGW_ETLS;
    *ret_uri = uri;
    return 0;
}

int agw_tls_own_peer(const struct agw_tls_own *own, const struct agw_filter *f, struct agw_arena *arena,
                     struct agw_str *ret_id, struct agw_error *err)
{
    const struct contexts *now = atomic_load_explicit(&own->now, memory_order_acquire);
    struct agw_tls_peer peer;
    struct agw_str id;
    int rc = agw_tls_peer(f, arena, &peer);
    if (rc == AGW_ENOMEM)
        return rc;
    if (rc || !peer.verified || only_uri(peer.names, peer.name_count, &id))
        return agw_error_set(err, AGW_ETLS, "the peer's certificate has no SPIFFE id");
    struct agw_str domain = agw_spiffe_domain(id);
    if ((!now || !agw_str_eq(domain, now->domain)) && !listed(own->others, domain))
        return agw_error_set(err, AGW_ETLS, "the peer %.*s is of another trust domain", AGW_STRF(id));
    *ret_id = id;
    return 0;
}

/* --- a new certificate --- */

/* *ret_c: with the trust domain of |leaf|, and nothing else yet. */
static int contexts_new(X509 *leaf, struct contexts **ret_c, struct agw_error *err)
{
    GENERAL_NAMES *list = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
    struct agw_str domain = AGW_STR("");
    unsigned uris = 0;
    for (int i = 0; i < sk_GENERAL_NAME_num(list); i++) {
        const GENERAL_NAME *g = sk_GENERAL_NAME_value(list, i);
        if (g->type != GEN_URI)
            continue;
        domain = agw_spiffe_domain(
            agw_str((const char *)ASN1_STRING_get0_data(g->d.ia5), (size_t)ASN1_STRING_length(g->d.ia5)));
        uris++;
    }
    struct contexts *c = NULL;
    int rc = 0;
    if (uris != 1 || domain.n == 0)
        rc = agw_error_set(err, AGW_EINVAL, "certificate: its names have no spiffe:// URI, or several");
    else if (!(c = calloc(1, sizeof(*c) + domain.n)))
        rc = agw_error_set(err, AGW_ENOMEM, "TLS: %s", agw_err_text(AGW_ENOMEM));
    if (c) {
        c->domain = agw_str(memcpy((char *)(c + 1), domain.p, domain.n), domain.n);
        *ret_c = c;
    }
    GENERAL_NAMES_free(list);
    ERR_clear_error();
    return rc;
}

static int read_leaf(const struct agw_tls_own_conf *conf, struct contexts **ret_c, struct agw_error *err)
{
    struct agw_tls_identities all = {0};
    struct agw_tls_cert_pem pem = {conf->cert_pem, conf->key_pem};
    int rc = agw_tls_identities_read(&all, &pem, err);
    if (!rc)
        rc = contexts_new(all.v[0].leaf, ret_c, err);
    agw_tls_identities_free(&all);
    return rc;
}

static int fill(struct contexts *c, const struct agw_tls_own_conf *conf, struct agw_error *err)
{
    const struct agw_str h2 = AGW_STR("h2");
    struct agw_tls_cert_pem pem = {conf->cert_pem, conf->key_pem};
    struct agw_tls_server_conf server = {.certs = &pem,
                                         .cert_count = 1,
                                         .params.min_version = AGW_TLS_1_3,
                                         .client_auth = AGW_TLS_CLIENT_REQUIRED,
                                         .client_ca_pem = conf->ca_pem,
                                         .alpn = &h2,
                                         .alpn_count = 1,
                                         .no_tickets = true,
                                         .partial_chain = true};
    struct agw_tls_client_conf client = {.cert_pem = conf->cert_pem,
                                         .key_pem = conf->key_pem,
                                         .ca_pem = conf->ca_pem,
                                         .any_name = true,
                                         .alpn_h2 = true,
                                         .params.min_version = AGW_TLS_1_3,
                                         .partial_chain = true};
    if (conf->ca_pem.n == 0)
        return agw_error_set(err, AGW_EINVAL, "the trust bundle is empty");
    c->server = agw_tls_server_new(&server, err);
    c->client = c->server ? agw_tls_client_new(&client, err) : NULL;
    return c->client ? 0 : err->code;
}

int agw_tls_own_set(struct agw_tls_own *own, const struct agw_tls_own_conf *conf, struct agw_error *err)
{
    struct agw_error unseen = {0};
    struct contexts *c = NULL;
    if (!err)
        err = &unseen;
    err->code = 0;
    int rc = read_leaf(conf, &c, err);
    if (!rc)
        rc = fill(c, conf, err);
    if (rc) {
        contexts_free(c);
        return rc;
    }
    struct contexts *old = atomic_exchange(&own->now, c);
    if (old) {
        own->grace();
        contexts_free(old);
    }
    return 0;
}

/* --- reading --- */

struct agw_tls_server *agw_tls_own_server(const struct agw_tls_own *own)
{
    const struct contexts *now = atomic_load_explicit(&own->now, memory_order_acquire);
    return now ? now->server : NULL;
}

struct agw_tls_client *agw_tls_own_client(const struct agw_tls_own *own)
{
    const struct contexts *now = atomic_load_explicit(&own->now, memory_order_acquire);
    return now ? now->client : NULL;
}
