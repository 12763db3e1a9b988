/* The handshake of WebSocket as HTTP/1.1 (RFC 6455 section 4) and HTTP/2 (RFC 8441 section 5) have it, for a
 * gateway whose two sides may differ. In HTTP/2 key and accept do not exist: a client's stand-in makes the
 * key and checks the accept, a server's stand-in computes it.
 *
 * Pure. Ownership: what is added lives in the message's arena. Threads: any. */
#ifndef AGW_WEBSOCKET_WEBSOCKET_H
#define AGW_WEBSOCKET_WEBSOCKET_H

#include "http/msg.h"

#define AGW_WEBSOCKET_NONCE 16 /* bytes that a key is made of */

/* True if |upgrade|, the Upgrade field of a request or :protocol, is this protocol. */
bool agw_websocket_is(struct agw_str upgrade);
/* Gives a request from HTTP/2 the key that an HTTP/1.1 server asks for, in place of one that is there.
 * |nonce| has AGW_WEBSOCKET_NONCE random bytes. AGW_ENOMEM. */
int agw_websocket_add_key(struct agw_headers *req, const unsigned char *nonce);
/* Adds the accept that answers the key of |req|. AGW_EINVAL without a key, AGW_ENOMEM. */
int agw_websocket_add_accept(struct agw_headers *resp, const struct agw_headers *req);
/* True if |resp| has the accept that answers the key of |req|. */
bool agw_websocket_accepted(const struct agw_headers *resp, const struct agw_headers *req);

#endif
