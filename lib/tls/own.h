/* The certificate that the gateway itself has in a mesh (an X.509-SVID of SPIFFE) and whom it trusts there;
 * replaced while it is used. Connections that stand keep what they were made with.
 *
 * Ownership: made and freed by the caller, who outlives all users. Threads: agw_tls_own_set on one thread at
 * a time, none of the readers'; the others on any that passes quiescent states (see |grace|). Errors:
 * AGW_ETLS, AGW_EINVAL, AGW_ENOMEM, with the reason in words. */
#ifndef AGW_TLS_OWN_H
#define AGW_TLS_OWN_H

#include "tls/tls.h"

struct agw_tls_own;

struct agw_tls_own_conf {
    struct agw_str cert_pem, key_pem; /* chain, leaf first; the leaf has one spiffe:// URI among its names */
    struct agw_str ca_pem;            /* who vouches for peers */
};

/* |trust_domains|: of peers that are let in besides our own one's, separated by commas; may be empty. |grace|
 * returns once nobody uses what was read before. NULL: out of memory. */
struct agw_tls_own *agw_tls_own_new(struct agw_str trust_domains, void (*grace)(void));
void agw_tls_own_free(struct agw_tls_own *own); /* NULL is fine */

/* From now on new connections use these. On an error the former ones stay. */
int agw_tls_own_set(struct agw_tls_own *own, const struct agw_tls_own_conf *conf, struct agw_error *err);

/* Contexts for TLS 1.3 with "h2", borrowed until the thread's next quiescent state; NULL: there is no
 * certificate yet. The client's verifies the chain: whose certificate it must be says agw_tls_expect. Nothing
 * is resumed: a certificate of an hour is not to be worth more than that. */
struct agw_tls_server *agw_tls_own_server(const struct agw_tls_own *own);
struct agw_tls_client *agw_tls_own_client(const struct agw_tls_own *own);

/* Whom the other side of |f| (made from agw_tls_own_server, shaken hands) is: its SPIFFE id in |arena|.
 * AGW_ETLS: it has none, more than one URI, or one of another trust domain. */
int agw_tls_own_peer(const struct agw_tls_own *own, const struct agw_filter *f, struct agw_arena *arena,
                     struct agw_str *ret_id, struct agw_error *err);

#define AGW_SPIFFE_ID_MAX 2048 /* SPIFFE-ID specification, section 2.3 */
/* The trust domain of a SPIFFE id ("spiffe://domain/path"), a view into it; empty: it is none. */
struct agw_str agw_spiffe_domain(struct agw_str id);

#endif
