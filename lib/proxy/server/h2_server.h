/* A downstream HTTP/2 connection: one struct agw_stream a request, handed to the connection's handler.
 * Ownership: the session's state is c->proto; see proxy/server/server_conn.h. A stream's arena is its own and
 * lives until the stream is closed, reset or detached. Threads: the loop's own. */
#ifndef AGW_PROXY_SERVER_H2_SERVER_H
#define AGW_PROXY_SERVER_H2_SERVER_H

#include "net/input.h"
#include "proxy/server/server_conn.h"

/* Takes |c| over; |in| (moved from) holds what was read already. AGW_ENOMEM: nothing was taken. Requests may
 * come from a deferred task, never from inside this call. */
int agw_h2_server_start(struct agw_server_conn *c, struct agw_input *in);

#endif
