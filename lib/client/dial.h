/* A connection to an endpoint: its name resolved, its addresses raced (RFC 8305), TLS shaken hands, through a
 * tunnel where it has one.
 *
 * Ownership: the dial is its maker's until |done|, or agw_dial_cancel. Threads: the client's own. Errors:
 * from |done|, which never comes from inside agw_dial_start. */
#ifndef AGW_CLIENT_DIAL_H
#define AGW_CLIENT_DIAL_H

#include "client/client.h"
#include "net/conn.h"

struct agw_dial;

/* |conn|: ready, allocated by malloc and the callee's now (with events and user to set); NULL: it failed with
 * |code| (AGW_ETIMEOUT, AGW_EDNS, AGW_EREFUSED, ...), |reason| in words. The dial is gone. */
typedef void agw_dial_done(void *owner, struct agw_conn *conn, int code, const char *reason);

/* |to| and |sessions| (of TLS, to resume; may be NULL) live until the dial is over. NULL: out of memory. */
struct agw_dial *agw_dial_start(struct agw_client *c, const struct agw_endpoint *to,
                                struct agw_tls_sessions *sessions, agw_dial_done *done, void *owner);
void agw_dial_cancel(struct agw_dial *d); /* |done| does not follow */

/* For a list that the owner keeps; alone at first. */
struct agw_list *agw_dial_node(struct agw_dial *d);
struct agw_dial *agw_dial_of(struct agw_list *node);

#endif
