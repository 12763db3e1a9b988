/* A downstream HTTP/1.1 connection: keep-alive, pipelining (one request at a time, the next waits in the
 * input), 100-continue, upgrades, lingering close. Ownership and threads as in proxy/server/server_conn.h. */
#ifndef AGW_PROXY_SERVER_H1_SERVER_H
#define AGW_PROXY_SERVER_H1_SERVER_H

#include "net/input.h"
#include "proxy/server/server_conn.h"

/* Takes |c| over; |in| (moved from) holds what was read already. AGW_ENOMEM: nothing was taken. Requests may
 * come from a deferred task, never from inside this call. */
int agw_h1_server_start(struct agw_server_conn *c, struct agw_input *in);

#endif
