/* Connections through HTTP/2: a CONNECT stream (RFC 9113 section 8.5) is the bottom of a struct agw_conn, in
 * place of a socket. What stands above, TLS or a protocol, does not see the difference.
 *
 * Flow control is tied both ways: what is not read from the connection is not given back to the stream's
 * window, and a write is short while more than AGW_STREAM_HIGH bytes of the stream wait. A connection closed
 * with bytes on their way lets them arrive, as a socket does.
 *
 * Ownership: the tunnel is the connection's, and goes with it. Threads: the loop's own. */
#ifndef AGW_CLIENT_TUNNEL_H
#define AGW_CLIENT_TUNNEL_H

#include "client/client.h"
#include "net/conn.h"

/* How long a closed connection's stream may wait for the other side's end. */
#define AGW_TUNNEL_LINGER_MS 30000

/* As agw_conn_connect, to |to| through |to|->tunnel: :authority is |to|'s address, or its name and port. A
 * connection to the tunnel's endpoint is taken from |client|'s pools, which outlive the tunnel. An answer
 * without 2xx fails as AGW_EREFUSED. AGW_ENOMEM: nothing is open. */
int agw_tunnel_connect(struct agw_conn *c, struct agw_client *client, const struct agw_endpoint *to,
                       const struct agw_conn_events *events, struct agw_error *err);

/* As agw_conn_accept, for a CONNECT request whose head came as |s|, with its |end|: takes it over and answers
 * 200. AGW_ENOMEM: nothing was taken. */
int agw_tunnel_accept(struct agw_conn *c, struct agw_loop *loop, struct agw_stream *s, bool end,
                      const struct agw_addr *peer, const struct agw_conn_events *events);

#endif
