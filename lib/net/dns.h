/* Asynchronous DNS by c-ares on the loop, with a small cache by TTL (at least 1 s, at most 60 s; failures 1
 * s). An answer that has expired serves up to 60 s more while a new one is fetched, and as long as no name
 * server answers; that there is no such name is an answer. /etc/hosts counts. Threads: the loop's own. */
#ifndef AGW_NET_DNS_H
#define AGW_NET_DNS_H

#include "base/err.h"
#include "event/loop.h"
#include "net/addr.h"

#define AGW_DNS_ADDRS 16 /* most addresses kept for a name */

struct agw_dns;
struct agw_dns_query; /* opaque; one look-up under way */

/* The library must have been set up once by agw_dns_global_init (main thread). Opens no socket before the
 * first query. */
int agw_dns_global_init(void);
void agw_dns_global_free(void);
struct agw_dns *agw_dns_new(struct agw_loop *loop, struct agw_error *err);
/* Outstanding queries end without a callback. Not from inside an agw_dns_fn. */
void agw_dns_free(struct agw_dns *dns);
/* Asks these servers instead of /etc/resolv.conf's: "10.0.0.10", "127.0.0.1:5353", comma-separated. Before
 * the first query. AGW_ENOMEM; a bad list makes every query fail. */
int agw_dns_set_servers(struct agw_dns *dns, struct agw_str servers);

typedef void agw_dns_fn(void *ctx, int code, const struct agw_addr *addrs, size_t count);
/* Looks |host| up (IP literals too; "localhost" is loopback without asking anybody). Addresses carry |port|;
 * they are in the order to try them: RFC 6724's, with IPv6 and IPv4 taking turns (RFC 8305 section 4). |fn|
 * is called exactly once: from inside this call if the answer is at hand, else later; code 0 or AGW_EDNS.
 * Returns a handle to cancel, or NULL when |fn| was already called. */
struct agw_dns_query *agw_dns_resolve(struct agw_dns *dns, struct agw_str host, uint16_t port, agw_dns_fn *fn,
                                      void *ctx);
void agw_dns_cancel(struct agw_dns_query *q); /* |fn| is not called any more */

#endif
