/* What the TLS tests share: certificates made on the spot, and two ends on one loop that send a pattern and
 * check it. */
#ifndef TLS_HELPER_H
#define TLS_HELPER_H

#include <openssl/ssl.h>
#include "base/clock.h"
#include "net/listen.h"
#include "tls/tls.h"

struct cert {
    X509 *x509;
    EVP_PKEY *key;
    char *cert_pem, *key_pem;
};

/* |type|: "EC" or "RSA". |issuer| NULL: self-signed. |san|: "DNS:a.test,IP:127.0.0.1", NULL for a CA. |days|
 * < 0: expired. */
struct cert *cert_new(const char *type, const struct cert *issuer, const char *san, int days);
void cert_free(struct cert *c);
struct agw_tls_cert_pem cert_pem(const struct cert *c);
struct agw_tls_server *server_of(const struct cert *c);

struct end {
    struct agw_conn conn;
    int ready, failed, readable, writable;
    int code, read_code, write_code;
    char reason[600];
    size_t to_send, sent, received;
    size_t piece; /* bytes of each iovec */
    bool stop_reading, shutdown_when_sent, no_check;
};

extern struct agw_loop loop;
extern struct agw_listen listener;
extern struct end client, server;
extern struct agw_tls_sessions *client_sessions; /* what |client| resumes; NULL: nothing */
extern const char *client_peers;                 /* agw_tls_expect of |client|; NULL: nobody */
extern struct agw_tls_server *(*selector)(void *ctx, struct agw_str sni,
                                          void **ret_choice); /* NULL: accepted connections stay plain */
extern void *selector_ctx;

/* A test's set-up and tear-down: loop, listener on 127.0.0.1, both ends closed. */
int tls_setup(void **state);
int tls_teardown(void **state);
/* Connects |client| to the listener, through TLS if |tls|. */
void connect_client(struct agw_tls_client *tls, const char *host);
/* One handshake between contexts made for it; both ends have succeeded or failed after it. */
void handshake_between(const struct agw_tls_server_conf *of_server,
                       const struct agw_tls_client_conf *of_client, const char *host);
/* The same against contexts that live on. */
void handshake_with(struct agw_tls_server *s, struct agw_tls_client *c, const char *host);
void pump_in(struct end *e);
void pump_out(struct end *e);

#define turn_until(condition)                                                                                \
    do {                                                                                                     \
        uint64_t end_ = agw_clock_ns() + 20 * AGW_NS_PER_S;                                                  \
        while (!(condition) && agw_clock_ns() < end_)                                                        \
            agw_loop_turn(&loop, 20);                                                                        \
        assert_true(condition);                                                                              \
    } while (0)

/* Runs |fn| on a thread with a blocking socket while the loop turns here; returns what it returned. For a
 * peer that is plain OpenSSL. The socket is connected to the listener, or (|accepting|) accepts what |client|
 * connects to. */
struct peer {
    int fd;
    int (*fn)(struct peer *p);
    void *ctx;
    int result;
    volatile bool done;
};
int run_peer(struct peer *p);
int run_accepting_peer(struct peer *p, struct agw_tls_client *tls, const char *host);

#endif
