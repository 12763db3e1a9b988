/* Sessions of clients that stay with one backend and endpoint (Gateway API's sessionPersistence, GEP-1619),
 * and what the requests of one client have in common (consistent hashing).
 *
 * Nothing is stored: the client brings the session back, sealed, in a cookie or header. It says which backend
 * and endpoint, since when, and when it was used last; all gateways with one session key read it. What cannot
 * be read, or is over, counts as none, so that a new session begins. Threads: any; |siv| is shared. Errors:
 * none but memory. */
#ifndef AGW_BALANCE_SESSION_H
#define AGW_BALANCE_SESSION_H

#include "balance/balancer.h"
#include "crypto/siv.h"

#define AGW_SESSION_PURPOSE "session persistence" /* for agw_siv_new */

struct agw_session {
    uint64_t backend;         /* agw_session_backend; 0: a new session */
    uint64_t replica;         /* agw_balance_token */
    uint32_t begun_s, seen_s; /* Unix time */
};

/* Tells backends of a route apart by key, the same in all processes; never 0. */
static inline uint64_t agw_session_backend(struct agw_str key)
{
    return agw_balance_hash(key);
}

/* What |req| brings; zero without. */
struct agw_session agw_session_read(const struct agw_siv *siv, const struct agw_persistence *how,
                                    const struct agw_route *route, const struct agw_msg *req, uint32_t now_s);

/* After the answer of |e| in |backend|: tells the client what it is to bring, if that is not |session| as it
 * came. |match| gives the cookie's path; |secure|: the client is connected by TLS. AGW_ENOMEM. */
int agw_session_write(const struct agw_siv *siv, const struct agw_persistence *how,
                      const struct agw_session *session, const struct agw_match *match,
                      const struct agw_backend *backend, const struct agw_endpoint *e, bool secure,
                      uint32_t now_s, struct agw_headers *resp);

/* The reference of |route| that |session| is with; NULL: none, or it gets no requests any more. */
const struct agw_backend_ref *agw_session_ref(const struct agw_session *session,
                                              const struct agw_route *route, const struct agw_snapshot *snap);

/* What |how| (consistent hashing) wants to know of a request, for struct agw_pick_hint; 0: it has it not, or
 * |how| asks for nothing. */
uint64_t agw_request_hash(const struct agw_load_balancer *how, const struct agw_msg *req,
                          const struct agw_addr *client, struct agw_arena *arena);

#endif
