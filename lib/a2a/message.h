/* A2A over JSON-RPC: which method a request calls, for metrics and logs; the request itself is passed on
 * unread.
 *
 * Looks at the first AGW_A2A_PEEK_MAX bytes alone, which may be cut anywhere. Pure. Threads: any. */
#ifndef AGW_A2A_MESSAGE_H
#define AGW_A2A_MESSAGE_H

#include <stdbool.h>
#include "base/str.h"

#define AGW_A2A_PEEK_MAX                                                                                     \
    16384 /* clients write jsonrpc, id and method before params, or params without files */

struct agw_a2a_message {
    struct agw_str
        method;     /* static: one of the specification's names, "other", or empty when none was seen */
    bool streaming; /* the answer is a stream of events */
};

/* Reads the method out of the first bytes of a body. */
struct agw_a2a_message agw_a2a_peek(struct agw_str body);

#endif
