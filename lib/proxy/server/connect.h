/* CONNECT requests (RFC 9110 section 9.3.6) of a connection that carries tunnels. Threads: the loop's own. */
#ifndef AGW_PROXY_SERVER_CONNECT_H
#define AGW_PROXY_SERVER_CONNECT_H

#include "http/stream.h"
#include "net/addr.h"

/* Where the request wants to go: 0 with host (a view; an IPv6 address without brackets) and port, or the
 * status to refuse it with: 405 for another method or an upgrade, 400 for an authority without host or port.
 */
int agw_connect_target(const struct agw_msg *msg, struct agw_str *ret_host, uint16_t *ret_port);
/* Answers |status| and leaves the stream. */
void agw_connect_refuse(struct agw_stream *s, int status);

#endif
