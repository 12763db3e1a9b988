/* One request and its response (docs/architecture.md draws the steps).
 *
 * An exchange is made when a request head has come and lives in the request's arena. It walks a table of
 * named steps; a step answers MORE (go on), WAIT (an event will go on) or DONE. It pins the snapshot it began
 * with until its end. Threads: the worker's. */
#ifndef AGW_PROXY_EXCHANGE_H
#define AGW_PROXY_EXCHANGE_H

#include "http/stream.h"
#include "proxy/acceptor.h"

/* Takes |s| over; |msg| is the request. To be called from on_request. */
void agw_exchange_start(struct agw_worker *w, struct agw_server_conn *c, struct agw_stream *s,
                        struct agw_msg *msg, bool end);
/* Accounts for what the codec refused before there was an exchange. */
void agw_exchange_refused(struct agw_worker *w, struct agw_server_conn *c, int status, const char *reason);

#endif
