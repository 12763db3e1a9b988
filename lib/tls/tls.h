/* TLS by OpenSSL, as a filter on struct agw_conn.
 *
 * Ownership: create / free pairs; a filter keeps a reference to its context, so a context may be dropped
 * while connections live on. Threads: contexts are made on the config thread, are immutable then and may be
 * shared; a filter belongs to its connection's loop. Errors: AGW_ETLS with OpenSSL's reason in words. An end
 * of the stream without close_notify reads as AGW_ERESET, for it may be a truncation. */
#ifndef AGW_TLS_TLS_H
#define AGW_TLS_TLS_H

#include "base/arena.h"
#include "base/err.h"
#include "net/conn.h"

/* --- what both sides may be told --- */
enum agw_tls_version { AGW_TLS_ANY, AGW_TLS_1_2, AGW_TLS_1_3 };

/* All zero: TLS 1.2 and later with the library's suites and groups. Names are IANA's for cipher suites, and
 * X25519, P-256, P-384 (or P256, P384) and X25519_MLKEM768 for groups; one that is not known is AGW_EINVAL.
 */
struct agw_tls_params {
    enum agw_tls_version min_version, max_version;
    const char *const *suites; /* best first */
    size_t suite_count;
    const char *const
        *groups; /* those that the library lacks are left out; AGW_EUNSUPPORTED if it has none */
    size_t group_count;
};
bool agw_tls_has_group(const char *name);
/* 0 if |pem| holds CA certificates, one or more, that can be used; AGW_ETLS, AGW_ENOMEM. */
int agw_tls_check_roots(struct agw_str pem, struct agw_error *err);

/* --- server --- */
#define AGW_TLS_PEM_OCSP "OCSP RESPONSE" /* label of a PEM block behind the certificate that it is about */

/* Several certificates with their keys may stand in one pair of texts: one that fits the next key begins a
 * chain of its own. */
struct agw_tls_cert_pem {
    struct agw_str cert_chain; /* PEM, leaf first */
    struct agw_str key;        /* PEM */
};

enum agw_tls_client_auth {
    AGW_TLS_CLIENT_ANONYMOUS, /* no certificate is asked for */
    AGW_TLS_CLIENT_REQUIRED,  /* one that |client_ca_pem| vouches for, or no connection */
    AGW_TLS_CLIENT_ASKED,     /* any or none is let in; agw_tls_peer says what it is worth */
};

struct agw_tls_server_conf {
    const struct agw_tls_cert_pem *certs; /* one or more */
    size_t cert_count;
    struct agw_tls_params params;
    enum agw_tls_client_auth client_auth;
    struct agw_str client_ca_pem; /* may be empty with AGW_TLS_CLIENT_ASKED: nobody is verified then */
    const struct agw_str *alpn;   /* in order of preference; none: "h2", "http/1.1", "http/1.0" */
    size_t alpn_count;
    bool no_alpn;       /* the protocol is nobody's here: what a client offers is left unanswered */
    bool no_tickets;    /* nothing is resumed */
    bool partial_chain; /* what |client_ca_pem| has is trusted, be it a root or not */
};

struct agw_tls_server;

/* The certificate is chosen by the server name that a client sends: equal, "*.rest", else the first; of those
 * with the same names by the key types that the client takes. Tickets are on and good across contexts whose
 * certificates have the same names and that ask the same of clients. NULL with |err|: AGW_ETLS, AGW_EINVAL
 * (no certificate; a name in |params|), AGW_EUNSUPPORTED, AGW_ENOMEM. */
struct agw_tls_server *agw_tls_server_new(const struct agw_tls_server_conf *conf, struct agw_error *err);
struct agw_tls_server *agw_tls_server_ref(struct agw_tls_server *s); /* atomic */
void agw_tls_server_unref(struct agw_tls_server *s);

/* Makes a server filter; |ctx| must outlive the handshake. NULL: out of memory.
 * |select| chooses the certificates for a ClientHello: |sni| is lower case, empty when absent. Its result is
 * borrowed (the filter takes its own reference); NULL refuses with unrecognized_name. |ret_choice| is the
 * caller's own note (the listener chosen), kept with the connection. */
struct agw_filter *agw_tls_server_filter(struct agw_tls_server *(*select)(void *ctx, struct agw_str sni,
                                                                          void **ret_choice),
                                         void *ctx);

/* --- client --- */
struct agw_tls_client_conf {
    struct agw_str ca_pem;            /* empty: the system's roots */
    struct agw_str cert_pem, key_pem; /* client certificate, or empty */
    struct agw_str sni;               /* empty: the filter's |host| */
    struct agw_str verify_host;       /* empty: |sni| */
    /* Instead of |verify_host|: the certificate must have one of these, DNS names, IP addresses or URIs. */
    const struct agw_str *subject_names;
    size_t subject_name_count;
    bool insecure;            /* no verification at all */
    bool any_name;            /* the chain is verified, the name is not */
    bool partial_chain;       /* what |ca_pem| has is trusted, be it a root or not */
    bool alpn_h2, alpn_http1; /* protocols offered */
    struct agw_tls_params params;
};
struct agw_tls_client;
/* NULL with |err|: AGW_ETLS, AGW_EINVAL, AGW_EUNSUPPORTED, AGW_ENOMEM. Copies what it keeps. */
struct agw_tls_client *agw_tls_client_new(const struct agw_tls_client_conf *conf, struct agw_error *err);
struct agw_tls_client *agw_tls_client_ref(struct agw_tls_client *c);
void agw_tls_client_unref(struct agw_tls_client *c);

/* Sessions that the next connection to the same endpoint may resume. All zero: none. Loop's own. */
#define AGW_TLS_SESSIONS 4 /* a server sends two at a time; older ones are worth less */
struct agw_tls_sessions {
    void *v[AGW_TLS_SESSIONS]; /* oldest first */
    unsigned count;
};
void agw_tls_sessions_clear(struct agw_tls_sessions *s);

/* |host|: used as SNI and name to verify where |conf| has none; may be empty. An IP address is verified and
 * not sent (RFC 6066 section 3). |sessions|: taken from and added to, for connections with the same |c| and
 * |host|; outlives the filter; NULL: none. NULL: out of memory. */
struct agw_filter *agw_tls_client_filter(struct agw_tls_client *c, struct agw_str host,
                                         struct agw_tls_sessions *sessions);

/* The server of |f|, a client's filter before its handshake, must show one of |ids|, URIs separated by
 * spaces, as the only URI of its certificate (X.509-SVID section 2). AGW_ENOMEM. */
int agw_tls_expect(struct agw_filter *f, struct agw_str ids);

/* --- either, after the handshake --- */
struct agw_filter *agw_tls_find(struct agw_conn *c); /* the connection's TLS filter or NULL */
/* "h2", "http/1.1", or empty when none was agreed on. */
struct agw_str agw_tls_alpn(const struct agw_filter *f);
/* Server: what the client sent, lower case. Client: the name that was verified. Empty when there is none. */
struct agw_str agw_tls_sni(const struct agw_filter *f);
void *agw_tls_choice(const struct agw_filter *f);
const char *agw_tls_version(const struct agw_filter *f);
bool agw_tls_resumed(const struct agw_filter *f);

enum agw_tls_name_type { AGW_TLS_NAME_DNS, AGW_TLS_NAME_URI, AGW_TLS_NAME_EMAIL, AGW_TLS_NAME_IP };
struct agw_tls_subject_name {
    enum agw_tls_name_type type;
    struct agw_str text;
};
/* Whose certificate the other side showed. */
struct agw_tls_peer {
    bool verified;          /* a root vouches for it; else it is only what somebody says */
    struct agw_str subject; /* RFC 2253: "CN=client,O=example" */
    const struct agw_tls_subject_name *names;
    size_t name_count;
    unsigned char sha256[32]; /* of the certificate */
};
#define AGW_TLS_PEER_NAMES_MAX 64 /* more than any client has; bounds what one request's arena takes */
/* Reads it into |arena|. AGW_EEOF: there is none; AGW_ENOMEM. */
int agw_tls_peer(const struct agw_filter *f, struct agw_arena *arena, struct agw_tls_peer *ret_peer);
/* The same of the certificate that we showed; it counts as verified. */
int agw_tls_self(const struct agw_filter *f, struct agw_arena *arena, struct agw_tls_peer *ret_self);

#endif
