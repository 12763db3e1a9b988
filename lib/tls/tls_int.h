/* Inside of the TLS folder: the filter, which both sides share, and OpenSSL's reasons in words.
 * Threads: a filter belongs to its connection's loop; contexts are shared and immutable. */
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
    bool no_alpn; /* server: ALPN is not answered */
    char *name;   /* server: the SNI received; client: the name verified; NULL when there is none */
    struct agw_tls_server *server;
    struct agw_tls_server *(*select)(void *ctx, struct agw_str sni, void **ret_choice);
    void *select_ctx, *choice;
};

/* A filter over a new SSL of |ctx|, which keeps its own reference on it. NULL: out of memory. */
struct agw_tls *agw_tls_filter_new(SSL_CTX *ctx, bool server);
/* Releases what agw_tls_filter_new made. */
void agw_tls_filter_free(struct agw_filter *f);
/* A copy with a NUL; NULL when memory is out. */
char *agw_tls_copy_name(struct agw_str name);

/* Options that both sides share: TLS 1.2 and later, no compression, no renegotiation, small idle connections.
 */
SSL_CTX *agw_tls_ctx_new(const SSL_METHOD *method);
/* Certificate chain (leaf first) and key into |ctx|. Never asks for a pass phrase. */
int agw_tls_use_pem(SSL_CTX *ctx, struct agw_str chain, struct agw_str key, struct agw_error *err);
/* Fills |err| with "|what|: reason" from OpenSSL's queue, which is empty then. Returns AGW_ETLS, or
 * AGW_ENOMEM. */
int agw_tls_error(struct agw_error *err, const char *what);

/* The host_name of a server_name extension (RFC 6066 section 3), a view into |ext|. AGW_EPROTO when
 * malformed. */
int agw_tls_sni_parse(const unsigned char *ext, size_t n, struct agw_str *ret_name);

#endif
