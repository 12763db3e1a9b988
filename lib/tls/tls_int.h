/* Inside of the TLS folder: the filter, which both sides share, certificates out of PEM, ticket keys, and
 * OpenSSL's reasons in words. Threads: a filter belongs to its connection's loop; contexts are shared and
 * immutable; ticket keys are anybody's. */
#ifndef AGW_TLS_TLS_INT_H
#define AGW_TLS_TLS_INT_H

#include <openssl/ssl.h>
#include "tls/tls.h"

#define AGW_TLS_NAME_MAX 255 /* bytes of a host name, RFC 1035 section 2.3.4 */

struct agw_tls {
    struct agw_filter filter;
    SSL *ssl;
    int io;       /* the error that the filter below gave, 0 while it works */
    int broken;   /* what reads and writes give after a fatal error */
    bool drained; /* the last read wanted more from below */
    bool refused; /* |select| knows no certificate for |name| */
    char *name;   /* server: the SNI received; client: the name verified; NULL when there is none */
    char *peers;  /* client: agw_tls_expect; NULL: nobody in particular */
    struct agw_tls_server *server;     /* NULL: a client's, or not chosen yet */
    struct agw_tls_client *client;     /* NULL: a server's */
    struct agw_tls_sessions *sessions; /* client: where new ones go; NULL: nowhere */
    struct agw_tls_server *(*select)(void *ctx, struct agw_str sni, void **ret_choice);
    void *select_ctx, *choice;
};

/* A filter over a new SSL of |ctx|, which keeps its own reference on it. NULL: out of memory. */
struct agw_tls *agw_tls_filter_new(SSL_CTX *ctx, bool server);
/* Releases what agw_tls_filter_new made. */
void agw_tls_filter_free(struct agw_filter *f);
/* A copy with a NUL; NULL when memory is out. */
char *agw_tls_copy_name(struct agw_str name);

/* --- ctx.c --- */
/* Options that both sides share: TLS 1.2 and later, no compression, no renegotiation, small idle connections.
 */
SSL_CTX *agw_tls_ctx_new(const SSL_METHOD *method);
/* Adds the certificates of a PEM text, one or more, to |store|. */
int agw_tls_add_roots(X509_STORE *store, struct agw_str pem, struct agw_error *err);
/* Whatever |store| has is an anchor, not only what is signed by itself: trust bundles have intermediates. */
int agw_tls_trust_partial(X509_STORE *store, struct agw_error *err);
/* For OpenSSL, which otherwise asks on the terminal. */
int agw_tls_no_pass_phrase(char *buf, int size, int writing, void *ctx);
/* True if the error is only "no more PEM blocks"; clears it. */
bool agw_tls_pem_end(void);
/* Fills |err| with "|what|: reason" from OpenSSL's queue, which is empty then. Returns AGW_ETLS, or
 * AGW_ENOMEM. */
int agw_tls_error(struct agw_error *err, const char *what);

/* --- params.c --- */
#define AGW_TLS_GROUPS_MAX 64
/* Into |ctx|. Names that nobody knows and parameters that leave no version are errors. */
int agw_tls_set_params(SSL_CTX *ctx, const struct agw_tls_params *p, struct agw_error *err);
/* The groups that this library has, as it writes them; empty when none were given. */
int agw_tls_groups_list(const struct agw_tls_params *p, char list[AGW_TLS_GROUPS_MAX], struct agw_error *err);

/* --- identity.c --- */
struct agw_tls_identity {
    X509 *leaf;
    STACK_OF(X509) * chain; /* NULL: none */
    EVP_PKEY *key;
    unsigned char *staple; /* an OCSP response; NULL: none */
    int staple_n;
    int64_t staple_until; /* seconds since 1970 */
};

struct agw_tls_identities {
    struct agw_tls_identity *v;
    size_t count;
};

/* Adds those of |pem|. On an error |all| has some of them and is to be freed all the same. */
int agw_tls_identities_read(struct agw_tls_identities *all, const struct agw_tls_cert_pem *pem,
                            struct agw_error *err);
void agw_tls_identities_free(struct agw_tls_identities *all);

struct agw_tls_names {
    char **v; /* sorted, lower case */
    size_t count;
};

/* The DNS names of |cert|, or its common name when it has none (RFC 6125 section 6.4.4). */
int agw_tls_names_read(struct agw_tls_names *names, const X509 *cert);
bool agw_tls_names_equal(const struct agw_tls_names *a, const struct agw_tls_names *b);
void agw_tls_names_free(struct agw_tls_names *names);

/* --- tickets.c --- */
/* A key seals tickets for an hour: one that leaks opens little. */
#define AGW_TLS_TICKET_KEY_MS (60 * 60 * 1000)
/* Tickets are good for two hours: clients come back within minutes, and a client certificate that was revoked
 * is not asked for again for that long. */
#define AGW_TLS_TICKET_S (2 * 60 * 60)

struct agw_tls_ticket_key {
    unsigned char name[16], cipher[32], mac[32];
    uint64_t made_ms;
};

/* The key to seal with at |now_ms| (monotonic); NULL when there is none for want of memory. Valid for as long
 * as a key is. */
const struct agw_tls_ticket_key *agw_tls_ticket_key(uint64_t now_ms);
/* The key of this name if tickets under it are still good. *|ret_newest|: new tickets would be under it, too.
 */
const struct agw_tls_ticket_key *agw_tls_ticket_key_named(const unsigned char name[16], uint64_t now_ms,
                                                          bool *ret_newest);
int agw_tls_use_tickets(SSL_CTX *ctx);

/* --- sni.c --- */
/* The host_name of a server_name extension (RFC 6066 section 3), a view into |ext|. AGW_EPROTO when
 * malformed. */
int agw_tls_sni_parse(const unsigned char *ext, size_t n, struct agw_str *ret_name);

#endif
