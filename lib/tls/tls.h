/* TLS by OpenSSL, as a filter on struct agw_conn.
 *
 * Ownership: create / free pairs; a filter keeps a reference to its context, so a context may be dropped
 * while connections live on. Threads: contexts are made on the config thread, are immutable then and may be
 * shared; a filter belongs to its connection's loop. Errors: AGW_ETLS with OpenSSL's reason in words. An end
 * of the stream without close_notify reads as AGW_ERESET, for it may be a truncation. */
#ifndef AGW_TLS_TLS_H
#define AGW_TLS_TLS_H

#include "base/err.h"
#include "net/conn.h"

/* --- server --- */
struct agw_tls_cert_pem {
    struct agw_str cert_chain; /* PEM, leaf first */
    struct agw_str key;        /* PEM */
};

struct agw_tls_server; /* one certificate set with its ALPN list */

/* |certs|: one or more (for example RSA and ECDSA); the first of each key type counts. ALPN "h2" and
 * "http/1.1"; TLS 1.2 and later; tickets are on and good across contexts with the same certificates. NULL
 * with |err|: AGW_ETLS, AGW_EINVAL (no certificate), AGW_ENOMEM. */
struct agw_tls_server *agw_tls_server_new(const struct agw_tls_cert_pem *certs, size_t count,
                                          struct agw_error *err);
struct agw_tls_server *agw_tls_server_ref(struct agw_tls_server *s); /* atomic */
void agw_tls_server_unref(struct agw_tls_server *s);

/* Makes a server filter; |ctx| must outlive the handshake. NULL: out of memory.
 * |select| chooses the certificate for a ClientHello: |sni| is lower case, empty when absent. Its result is
 * borrowed (the filter takes its own reference); NULL refuses with unrecognized_name. |ret_choice| is the
 * caller's own note (the listener chosen), kept with the connection. */
struct agw_filter *agw_tls_server_filter(struct agw_tls_server *(*select)(void *ctx, struct agw_str sni,
                                                                          void **ret_choice),
                                         void *ctx);

/* The connection's protocol is nobody's here: what the client offers by ALPN is left unanswered. Before the
 * handshake. */
void agw_tls_leave_alpn(struct agw_filter *f);

/* --- client --- */
struct agw_tls_client_conf {
    struct agw_str ca_pem;            /* empty: the system's roots */
    struct agw_str cert_pem, key_pem; /* client certificate, or empty */
    struct agw_str sni;               /* empty: none sent, no name checked unless |verify_host| is set */
    struct agw_str verify_host;       /* empty: |sni| */
    bool insecure;                    /* no verification at all */
    bool alpn_h2, alpn_http1;         /* protocols offered */
};
struct agw_tls_client;
/* NULL with |err|: AGW_ETLS, AGW_EINVAL, AGW_ENOMEM. Copies what it keeps. */
struct agw_tls_client *agw_tls_client_new(const struct agw_tls_client_conf *conf, struct agw_error *err);
struct agw_tls_client *agw_tls_client_ref(struct agw_tls_client *c);
void agw_tls_client_unref(struct agw_tls_client *c);
/* |host|: used as SNI and name to verify where |conf| has none; may be empty. An IP address is verified and
 * not sent (RFC 6066 section 3). NULL: out of memory. */
struct agw_filter *agw_tls_client_filter(struct agw_tls_client *c, struct agw_str host);

/* --- either, after the handshake --- */
struct agw_filter *agw_tls_find(struct agw_conn *c); /* the connection's TLS filter or NULL */
/* "h2", "http/1.1", or empty when none was agreed on. */
struct agw_str agw_tls_alpn(const struct agw_filter *f);
/* Server: what the client sent, lower case. Client: the name that was verified. Empty when there is none. */
struct agw_str agw_tls_sni(const struct agw_filter *f);
void *agw_tls_choice(const struct agw_filter *f);
const char *agw_tls_version(const struct agw_filter *f);

#endif
