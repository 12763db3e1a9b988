/* Inside lib/mcp/transport: what a transport is, and what it may use of a call. */
#ifndef AGW_MCP_TRANSPORT_INT_H
#define AGW_MCP_TRANSPORT_INT_H

#include "json/tape.h"
#include "mcp/transport/hub.h"
#include "mcp/transport/transport.h"

struct agw_mcp_transports {
    struct agw_loop *loop;
    struct agw_client *client;
    struct agw_balancer *balancer; /* NULL: chance chooses endpoints */
    void *user;
    struct agw_mcp_hub *hub, *own_hub; /* own: alone, without other workers */
    struct agw_mcp_slots calls;        /* over links: struct agw_mcp_call */
    struct agw_mcp_slots links;        /* that this worker owns */
    struct agw_list link_list;
    struct agw_json_doc doc; /* the message in hand, never kept over a callback */
};

/* Messages of a target's batch: it answers one request, and may have a few words about it. */
#define AGW_MCP_ANSWER_BATCH_MAX 64

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

/* A call to an HTTP API (rest.c). In the call's arena: idle streams are many, and have none. */
struct agw_mcp_rest {
    struct agw_mcp_call *call;
    const struct agw_openapi_tool *tool;
    struct agw_str id;         /* of the request, as JSON */
    struct agw_msg *head;      /* of the target's own answer; NULL: none came */
    struct agw_block *message; /* what the call is answered with */
    struct agw_task ready;
    int status;         /* without a message */
    bool local, modern; /* nothing is asked of the target; of 2026-07-28 */
};

extern const struct agw_mcp_transport agw_mcp_streamable, agw_mcp_rest;

/* Sends c->head and c->body over HTTP; |events| have the call as owner. AGW_ENOMEM, AGW_ENOTFOUND. */
int agw_mcp_http_open(struct agw_mcp_call *c, const struct agw_stream_events *events);
/* For those events: a stream that a pooled connection lost is opened again, else the call ends. */
void agw_mcp_http_closed(struct agw_stream *s, int code);
void agw_mcp_http_let_go(struct agw_mcp_call *c);
/* What was read goes back to the connection. */
void agw_mcp_http_give_back(struct agw_mcp_call *c);

/* Makes c->response of a transport that has no HTTP of its own, and hands it on: |length| of a JSON body (0:
 * none), |session|: the id of a new session (empty: none). False: the call is over. */
bool agw_mcp_call_answer(struct agw_mcp_call *c, int status, enum agw_mcp_form form, size_t length,
                         struct agw_str session);
/* Hands |block|, the one message of the answer, on as the JSON body that it would be, and ends the call. */
void agw_mcp_call_whole(struct agw_mcp_call *c, struct agw_block *block, struct agw_str session);
/* The head is here: c->response and c->form are set. */
void agw_mcp_call_head_came(struct agw_mcp_call *c);
/* Hands the frame on, or what is in it if it is a batch (2025-03-26); the last one has the event's id. The
 * call may be over then. AGW_EPROTO: a batch that is none; AGW_ENOMEM. */
int agw_mcp_call_frame(struct agw_mcp_call *c, const struct agw_mcp_frame *f);
/* What stands in the Host field for |e|. p is NULL: no memory. */
struct agw_str agw_mcp_authority(const struct agw_endpoint *e, struct agw_arena *arena);
/* The last event: on_done with |code|. Nothing if the call has ended before. */
void agw_mcp_call_finish(struct agw_mcp_call *c, int code);
#endif
