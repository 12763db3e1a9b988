/* Which listener and which route a request goes to (Gateway API: hostname before path, then the order of
 * matches that the compiler sorted).
 *
 * Everything returned belongs to the snapshot. Threads: any; nothing is written but the arena given. */
#ifndef AGW_ROUTE_MATCH_H
#define AGW_ROUTE_MATCH_H

#include "config/snapshot.h"

/* Hosts longer than a name can be match nothing but the listener without a hostname. */
#define AGW_HOST_MAX 255

/* The bind's listener whose hostname fits best: equal, longest "*.suffix", none. |authority| may carry a
 * port, in any case. NULL: none fits. */
const struct agw_listener *agw_listener_for_host(const struct agw_bind *bind, struct agw_str authority);
/* The same for a TLS server name; empty when the client sent none. */
const struct agw_listener *agw_listener_for_sni(const struct agw_bind *bind, struct agw_str sni);
/* True when |authority| belongs to another listener than |chosen|, which the TLS handshake picked: 421 (RFC
 * 9110 section 15.5.20). A host that no listener serves better is not misdirected: it finds no route. */
bool agw_listener_misdirected(const struct agw_bind *bind, const struct agw_listener *chosen,
                              struct agw_str authority);

/* The first match in precedence order; NULL: no route (404), as for a host that is not one of |l|'s when TLS
 * chose |l|. |arena| is used for decoding query parameters alone. */
const struct agw_match *agw_route_match(const struct agw_listener *l, const struct agw_msg *req,
                                        struct agw_arena *arena);

/* True if |l|'s hostname or one of its routes' fits |authority|: a host that the configuration knows. */
bool agw_host_named(const struct agw_listener *l, struct agw_str authority);

/* The route of a connection that asks for |sni| (lower case; empty: for nobody) on a listener that is |l4|:
 * by hostname, the most specific first, and of a hostname's routes the oldest. NULL: none. */
const struct agw_route *agw_route_for_connection(const struct agw_listener *l, struct agw_str sni);

#endif
