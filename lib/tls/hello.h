/* The ClientHello before TLS is ended, if it is ended here at all: which server a client asks for.
 *
 * The scanner is pure and goes on where it stopped, so that a hello that comes byte by byte costs no more
 * than one that comes at once. The filter reads the hello and gives the same bytes to whoever reads above it:
 * a TLS filter that is stacked on it (agw_conn_stack), or a relay that passes them on untouched. Threads: the
 * scanner's any; a filter belongs to its connection's loop. */
#ifndef AGW_TLS_HELLO_H
#define AGW_TLS_HELLO_H

#include "net/conn.h"

/* Bytes read for a ClientHello, record headers included. Real ones take 0.5 to 2 KiB (post-quantum key
 * shares); the rest is room for session tickets. */
#define AGW_TLS_HELLO_MAX 32768

struct agw_tls_hello {
    size_t at;   /* start of the next record's header */
    size_t body; /* handshake bytes in the records before it */
    size_t want; /* handshake bytes of the ClientHello; 0: not known yet */
    unsigned sni_n;
    char sni[256]; /* lower case, with a NUL; empty: the client names nobody */
};

/* Looks at the |n| bytes that have come so far, all of them from the first; |h| is zeroed before the first
 * call. 0: |h->sni| is set; AGW_EAGAIN: more is needed; AGW_EPROTO: not a TLS ClientHello (RFC 8446
 * sections 4.1.2 and 5.1); AGW_ELIMIT: longer than AGW_TLS_HELLO_MAX. */
int agw_tls_hello_scan(struct agw_tls_hello *h, const unsigned char *p, size_t n);

/* A filter that is ready when the hello is there. NULL: out of memory. */
struct agw_filter *agw_tls_peek_filter(void);
/* True if the connection has such a filter, with the name that its client asked for. */
bool agw_tls_peeked(const struct agw_conn *c, struct agw_str *ret_sni);

#endif
