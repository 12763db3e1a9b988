/* Errors of the gateway's own, as clients of each binding read them (A2A 1.0 sections 5.4, 9.5 and 11.6).
 * Over gRPC they are statuses, which lib/grpc writes. Pure. Threads: any. */
#ifndef AGW_A2A_ERROR_H
#define AGW_A2A_ERROR_H

#include "a2a/watch.h"
#include "base/arena.h"

/* The JSON body of an answer with the HTTP status |status|: a JSON-RPC error with the id that the request had
 * (null if it is not known) and |code| (0: the one for |status|), or the status object of HTTP+JSON. Empty if
 * the call is neither's; p NULL: no memory. */
struct agw_str agw_a2a_error_body(const struct agw_a2a_watch *w, int status, int code, struct agw_str message,
                                  struct agw_arena *arena);

#endif
