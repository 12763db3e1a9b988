/* Inside lib/mcp/transport: what a transport is, and what it may use of a call. */
#ifndef AGW_MCP_TRANSPORT_INT_H
#define AGW_MCP_TRANSPORT_INT_H

#include "mcp/transport/transport.h"

struct agw_mcp_transports {
    struct agw_loop *loop;
    struct agw_client *client;
};

struct agw_mcp_transport {
    /* Sends what the call holds. Events come later, never from inside. 0, or why not: then let_go follows. */
    int (*start)(struct agw_mcp_call *c);
    /* Gives back all that it holds for the call, wherever it stands; also when start was not reached. No
     * event follows. */
    void (*let_go)(struct agw_mcp_call *c);
    /* May be NULL: nothing to do. */
    void (*pause)(struct agw_mcp_call *c);
    void (*resume)(struct agw_mcp_call *c);
};

extern const struct agw_mcp_transport agw_mcp_streamable;

/* The last event: on_done with |code|. Nothing if the call has ended before. */
void agw_mcp_call_finish(struct agw_mcp_call *c, int code);
#endif
