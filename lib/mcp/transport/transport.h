/* One message to one target, whatever transport the target speaks: sent, and what comes back cut into
 * JSON-RPC messages. The model is Streamable HTTP: a request (POST), the stream of what a server says unasked
 * (GET), the end of a session (DELETE); the other transports answer as a server of that kind would.
 *
 * Ownership: a call is the owner's memory (zeroed before agw_mcp_call_init), its strings live in the arena
 * given, which must outlive it. The owner ends it by agw_mcp_call_cancel or gets on_done; then the call holds
 * nothing any more. Callbacks may cancel this and other calls. Threads: the loop's own. */
#ifndef AGW_MCP_TRANSPORT_H
#define AGW_MCP_TRANSPORT_H

#include "balance/balancer.h"
#include "client/client.h"
#include "config/snapshot.h"
#include "event/loop.h"
#include "http/sse.h"
#include "mcp/framing/lines.h"
#include "mcp/transport/slots.h"

#define AGW_MCP_TRIES_MAX 3 /* stale pooled connections in a row; then the target is really gone */

enum agw_mcp_form {
    AGW_MCP_FORM_NONE,   /* no answer yet */
    AGW_MCP_FORM_EMPTY,  /* accepted, no body */
    AGW_MCP_FORM_JSON,   /* one message: on_frame at its end */
    AGW_MCP_FORM_EVENTS, /* on_frame for each event */
    AGW_MCP_FORM_RAW,    /* errors, and JSON the owner wants unread: on_bytes */
};

struct agw_mcp_frame {
    struct agw_block *block; /* holds |text|; the owner takes its own reference to keep it */
    struct agw_str text;     /* one message; empty: an event that carries an id alone */
    struct agw_str id;       /* event id, valid during the call */
    bool has_id, has_retry;
    uint64_t retry_ms;
};

/* A worker's transports: what they keep between calls. */
struct agw_mcp_transports;
struct agw_mcp_hub; /* mcp/transport/hub.h */
struct agw_mcp_transports *agw_mcp_transports_new(struct agw_loop *loop, struct agw_client *client);
/* From now on sessions of the other workers in |hub| are reached, too. Before the loop runs. */
void agw_mcp_transports_join(struct agw_mcp_transports *t, struct agw_mcp_hub *hub);
struct agw_mcp_hub *agw_mcp_transports_hub(const struct agw_mcp_transports *t);
/* Endpoints are chosen by |balancer|; without one by chance. Before the loop runs. */
void agw_mcp_transports_balance(struct agw_mcp_transports *t, struct agw_balancer *balancer);
/* Whose they are, for mail that is addressed to it. */
void agw_mcp_transports_belong(struct agw_mcp_transports *t, void *user);
void *agw_mcp_transports_user(const struct agw_mcp_transports *t);
/* Ends the sessions that it keeps. After the last call has ended, before the client is freed. NULL is fine.
 */
void agw_mcp_transports_free(struct agw_mcp_transports *t);

struct agw_mcp_call;
struct agw_mcp_transport;
struct agw_mcp_note;

/* A session that a worker keeps for its target (link.h). */
struct agw_mcp_link_name {
    uint32_t mark;
    uint8_t worker;
    struct agw_mcp_key key; /* slot: 24 bits */
    uint32_t random;
};

struct agw_mcp_call_ops {
    void (*on_head)(struct agw_mcp_call *c); /* c->response and c->form are set */
    void (*on_frame)(struct agw_mcp_call *c, const struct agw_mcp_frame *f);
    void (*on_bytes)(struct agw_mcp_call *c, struct agw_chain *data); /* take what you want */
    /* Last event. 0, or why it broke: AGW_ETIMEOUT, AGW_EREFUSED, AGW_EDNS, ... (http/stream.h), AGW_EPROTO,
     * AGW_ELIMIT, AGW_ENOTFOUND (no endpoint), AGW_EUNSUPPORTED (a transport we do not speak). */
    void (*on_done)(struct agw_mcp_call *c, int code);
};

/* What a request carries besides the client's own header fields. */
struct agw_mcp_call_fields {
    enum agw_method method; /* POST, GET, DELETE */
    struct agw_str session; /* the target's session id; empty: none */
    struct agw_str version; /* MCP-Protocol-Version; empty: none */
    struct agw_str last_event_id;
    /* 2026-07-28: Mcp-Method and Mcp-Name, in place of the client's; method empty: the client's go on. */
    struct agw_str rpc_method, rpc_name;
    /* What the target is asked with where it has nothing of its own (NULL: nothing), and the client's token
     * if the gateway took it. */
    const struct agw_backend_auth *auth;
    struct agw_str token;
};

struct agw_mcp_call {
    /* set by agw_mcp_call_init */
    const struct agw_mcp_call_ops *ops;
    const struct agw_mcp_transport *transport;
    struct agw_mcp_transports *transports;
    struct agw_loop *loop;
    struct agw_arena *arena;
    const struct agw_mcp_target *target;
    const struct agw_endpoint *endpoint; /* NULL: none is there */
    struct agw_pick pick;                /* that it was chosen by, until the call ends */
    /* set by the owner before agw_mcp_call_start */
    struct agw_msg head;       /* by agw_mcp_call_head */
    struct agw_chain body;     /* released once an answer begins */
    struct agw_snapshot *snap; /* holds |target|; sessions that outlive the call pin it. NULL in tests */
    uint32_t deadline_ms;      /* 0: none */
    bool deadline_to_head;     /* the deadline ends with the answer's head, not with its end */
    bool raw_json;             /* a JSON answer goes to on_bytes */
    uint32_t raw_from; /* ... one of so many bytes, if that is known beforehand; 0: none for its size */
    bool once; /* may have an effect: not sent again once a byte of it has left (RFC 9110 section 9.2.2) */
    /* to read */
    struct agw_msg *response; /* NULL: no head came */
    bool large;               /* it comes by on_bytes because of its size */
    enum agw_mcp_form form;
    bool running;
    /* private */
    struct {
        const struct agw_stream_events *events;
        struct agw_stream *stream;
        struct agw_chain input;
        struct agw_sse sse;
        size_t held; /* body bytes not given back to the connection */
        uint8_t tries;
    } http;
    struct {
        struct agw_mcp_key key;
        struct agw_mcp_link_name to;
        struct agw_mcp_note *cancel; /* made beforehand */
        bool open;                   /* somebody has our letter */
    } remote;
    struct agw_mcp_rest *rest; /* transport_int.h; NULL: the target is no HTTP API */
    struct agw_mcp_call_fields fields;
    struct agw_timer timer;
    struct agw_task failed; /* reports a start that failed, later */
    int fail_code;
    bool paused, ignored;
};

/* |pin|: agw_mcp_pin of the endpoint wanted (0: any); another is taken if it is gone. agw_mcp_call_start must
 * follow: the endpoint counts it as pending. */
void agw_mcp_call_init(struct agw_mcp_call *c, const struct agw_mcp_call_ops *ops,
                       struct agw_mcp_transports *transports, struct agw_arena *arena,
                       const struct agw_mcp_target *target, uint64_t pin);
/* Whether a request makes sense to |target| outside of a session: not where the stream is the session. */
bool agw_mcp_target_stateless(const struct agw_mcp_target *target);
/* A number for an endpoint that is the same in every process (agw_hash is seeded). Never 0. */
uint64_t agw_mcp_pin(struct agw_str endpoint_key);
/* agw_mcp_pin of the endpoint that the call went to; 0 where there is no choice. */
uint64_t agw_mcp_call_pin(const struct agw_mcp_call *c);
/* Whether a client's field goes on to targets as it is; credentials do where they are passed through. */
bool agw_mcp_goes_on(const struct agw_header *h);
/* Builds c->head: the client's fields but those that belong to its own connection, session or body, and its
 * credentials unless they are passed through. Call after c->body is filled. AGW_ENOMEM; AGW_EUNSUPPORTED: a
 * credential for the target is missing. */
int agw_mcp_call_head(struct agw_mcp_call *c, const struct agw_msg *from,
                      const struct agw_mcp_call_fields *fields);
/* Sends it. |code|: 0, or why it could not be prepared: then on_done reports that. Events come later, never
 * from inside; on_done comes exactly once unless it is cancelled. */
void agw_mcp_call_start(struct agw_mcp_call *c, int code);
/* Ends it without an event; fine in any state. */
void agw_mcp_call_cancel(struct agw_mcp_call *c);
/* The owner has what it wants: reads on to the answer's end for |ms| at most, so that the connection can
 * serve again. Only on_done follows. */
void agw_mcp_call_linger(struct agw_mcp_call *c, uint32_t ms);
/* Stops and resumes reading: at most the stream's window arrives after a pause. */
void agw_mcp_call_pause(struct agw_mcp_call *c);
void agw_mcp_call_resume(struct agw_mcp_call *c);

#endif
