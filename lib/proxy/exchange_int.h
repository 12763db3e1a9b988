/* Inside lib/proxy: the exchange, shared by its steps, its two sides and its accounting. */
#ifndef AGW_PROXY_EXCHANGE_INT_H
#define AGW_PROXY_EXCHANGE_INT_H

#include "a2a/card.h"
#include "a2a/directory.h"
#include "a2a/relay.h"
#include "a2a/watch.h"
#include "balance/session.h"
#include "grpc/message.h"
#include "proxy/exchange.h"

/* The steps, in the order of a forwarded request. Next steps by name: docs/exchange.dot draws them and a test
 * compares. */
#define AGW_STEP_LIST(X)                                                                                     \
    X(BEGIN, begin)       /* normalise; refuse what no route could take */                                   \
    X(LISTENER, listener) /* by Host or SNI; 421 */                                                          \
    X(ROUTE, route)       /* 404 */                                                                          \
    X(ROUTE_POLICY, route_policy)                                                                            \
    X(AGENT, agent)     /* of several agents, the one that owns a call's task */                             \
    X(BACKEND, backend) /* weighted choice; protocol-aware backends take over here */                        \
    X(BACKEND_POLICY, backend_policy)                                                                        \
    X(CONNECT, connect) /* pick an endpoint, open the stream, send the head */                               \
    X(PAUSE, pause)     /* a timer runs until the next try, or as a policy wants it */                       \
    X(AWAIT, await)     /* the response head, or a reason to try again */                                    \
    X(RESPOND, respond) /* policies on the response, its head to the client */                               \
    X(RELAY, relay)     /* bodies move until both directions have ended */                                   \
    X(REPLY, reply)     /* the gateway's own answer */                                                       \
    X(FINISH, finish)

enum agw_step {
#define X(name, fn) AGW_STEP_##name,
    AGW_STEP_LIST(X)
#undef X
        AGW_STEP_COUNT
};

enum agw_step_result { AGW_STEP_MORE, AGW_STEP_WAIT, AGW_STEP_DONE };

#define AGW_EXCHANGE_MAGIC 0x65786368u

/* Made when an exchange is to wait for a timer. */
struct agw_exchange_pause {
    struct agw_timer timer;
    struct agw_exchange *exchange;
    enum agw_step next;
    struct agw_stream *left; /* whose answer is not passed on; NULL: none */
};

/* Made when the backend is an A2A agent. */
struct agw_exchange_agent {
    struct agw_a2a_watch watch;
    struct agw_a2a_base base;  /* of a card */
    struct agw_str none_match; /* the client's If-None-Match: about our bytes of a card, not the agent's */
    struct agw_chain body;     /* of the answer, being collected */
    enum { AGW_AGENT_PASS, AGW_AGENT_CARD, AGW_AGENT_JSON, AGW_AGENT_EVENTS } answer; /* what becomes of it */
    /* Where ids carry their owner (a2a/owner.h); relay NULL: not here. */
    struct agw_a2a_relay *relay;
    const struct agw_backend_ref *ref; /* the owner's; NULL: any */
    uint64_t replica;                  /* 0: any */
    /* While the cards of agents are awaited. */
    struct agw_a2a_waiter waiter;
    struct agw_exchange *exchange;
    struct agw_a2a_need need;
    bool asking;
    bool chosen; /* ref and replica are; only the agent's version is asked for */
    int error;   /* JSON-RPC code of the gateway's own answer; 0: by its status */
};

struct agw_exchange {
    uint32_t magic;
    enum agw_step step;
    struct agw_worker *worker;
    struct agw_server_conn *conn;
    struct agw_snapshot *snap;
    struct agw_stream *down; /* NULL once closed */
    struct agw_stream *up;   /* NULL: none yet, or over */
    struct agw_msg *req;
    struct agw_msg *resp; /* the upstream's final head */
    struct agw_policy_ctx ctx;
    const struct agw_backend_ref *ref;
    const struct agw_endpoint *endpoint; /* of this try, or the last one */
    struct agw_pick pick;
    bool judged;              /* of this try */
    struct agw_list *mirrors; /* that are fed with the body; NULL: never any */

    struct agw_chain held;   /* request body that came before the upstream stream was open */
    struct agw_chain replay; /* request body sent so far, while a second try is possible */
    struct agw_headers *req_trailers;
    size_t up_credit, down_credit; /* body bytes forwarded and not yet given back to their reader */
    size_t credited; /* bytes at the front of |held| that count in up_credit or were given back */

    struct agw_timer request_timer, backend_timer;
    struct agw_timer idle_timer; /* not set anew with each byte: when it fires it looks at |moved_ms| */
    uint64_t moved_ms;           /* when something came last, from either side */
    uint64_t start_ns, start_wall_ns;
    uint64_t bytes_in, bytes_out;          /* bodies */
    uint32_t tries, stale, retries;        /* all; over stale connections; by policy */
    struct agw_exchange_pause *pause;      /* NULL: never paused */
    uint32_t grpc_timeout_ms;              /* the client's deadline; 0: none */
    int broken;                            /* the client's stream is to be reset with this code */
    int8_t grpc_status;                    /* sent to the client, or AGW_GRPC_NONE */
    int status;                            /* sent to the client; 0: none yet */
    const char *reason;                    /* of the gateway's own answer, static text */
    struct agw_str mcp_method, mcp_target; /* for the log */
    struct agw_exchange_agent *agent;      /* NULL: the backend is no agent */
    struct agw_keys_waiter keys;           /* while a policy awaits an issuer's keys */
    struct agw_session *session;           /* what the client brought; NULL: the route keeps none */

    bool begun;       /* the route's policies have been asked; */
    bool ref_passed;  /* those of |ref| have all let the request pass */
    bool req_end;     /* the request is here to its end */
    bool req_sent;    /* and handed to the upstream to its end */
    bool resp_head;   /* the final head went to the client */
    bool resp_end;    /* the response is here to its end */
    bool upgrade_due; /* asked for and not answered: what the client sends meanwhile is held */
    bool upgraded;    /* 101: bytes both ways */
    bool no_replay;   /* the body was too large to keep, or an answer came */
    bool idempotent;  /* may be sent again though it may have been received */
    bool grpc;        /* the client speaks gRPC */
    bool leaving;     /* the answer is complete and nobody waits for the rest of the request */
    bool running;     /* inside agw_exchange_run */
};

/* --- exchange.c --- */
/* Runs steps until one waits. The exchange may be gone afterwards. */
void agw_exchange_run(struct agw_exchange *x);
/* Goes on at |step|; the caller runs. */
static inline enum agw_step_result agw_exchange_next(struct agw_exchange *x, enum agw_step step)
{
    x->step = step;
    return AGW_STEP_MORE;
}
/* Answers |status| with a short text, or breaks the stream off if a head went out already: at the end of
 * agw_exchange_run, which the caller calls. */
enum agw_step_result agw_exchange_fail(struct agw_exchange *x, int status, const char *reason);
/* Runs all policies on x->ctx.resp, the head that goes to the client. */
void agw_exchange_response(struct agw_exchange *x);
/* The client's stream is over: writes the exchange down and lets go of all it holds. */
void agw_exchange_end(struct agw_exchange *x, int close_code);
/* The step functions' table entry for |step|, for traces and tests. */
const char *agw_step_name(enum agw_step step);

/* --- exchange_steps.c --- */
#define X(name, fn) enum agw_step_result agw_step_##fn(struct agw_exchange *x);
AGW_STEP_LIST(X)
#undef X

/* --- exchange_down.c: the client's side --- */
extern const struct agw_stream_events agw_exchange_down_events;
/* Tells a client that waits for it to send its body. */
void agw_exchange_say_continue(struct agw_exchange *x);
int agw_exchange_send_body(struct agw_exchange *x, struct agw_chain *data); /* to the upstream */
/* Sends copies of the request as it stands to the mirrors of the route and of x->ref. */
void agw_exchange_mirror(struct agw_exchange *x);
void agw_exchange_push_request(struct agw_exchange *x); /* what is held, and the end, to the upstream */

/* --- exchange_up.c: the upstream's side --- */
extern const struct agw_stream_events agw_exchange_up_events;
void agw_exchange_drop_upstream(struct agw_exchange *x, int code);
/* What this try says about its endpoint, once a try. */
void agw_exchange_judge(struct agw_exchange *x, enum agw_judgement judged);

/* --- exchange_retry.c: trying again --- */
/* Keeps |data|, which is being sent, as long as it may have to be sent again. */
void agw_exchange_keep(struct agw_exchange *x, const struct agw_chain *data);
/* Makes what an earlier try took the next to be sent. AGW_ENOMEM. */
int agw_exchange_rewind(struct agw_exchange *x);
/* True if the stream that ended with |code| ran on a connection that was gone already: CONNECT follows. */
bool agw_exchange_retry_stale(struct agw_exchange *x, int code, bool unsent);
/* True if the policy has the request tried again: the upstream is let go and the exchange pauses. */
bool agw_exchange_retry(struct agw_exchange *x);
bool agw_exchange_retry_status(struct agw_exchange *x, int status);
/* Before each try of a request with a retry policy. AGW_ENOMEM. */
int agw_exchange_retry_begin(struct agw_exchange *x);
/* Comes back to the route's policies after x->ctx.wait_ms. */
enum agw_step_result agw_exchange_delay(struct agw_exchange *x);
void agw_exchange_pause_cancel(struct agw_exchange *x);

/* --- agents.c: agent cards, what calls are about --- */
/* The backend is an agent: its calls are looked at from now on. AGW_ENOMEM. */
int agw_exchange_agent_begin(struct agw_exchange *x);
/* True if the request is a call whose task may belong to one of several agents: it is held until it is whole.
 */
bool agw_exchange_agent_holds(struct agw_exchange *x);
/* Held to its end: gives the message the ids that its owner knows, finds that owner, or who can do what is
 * asked. 0, AGW_AGENT_ASKING (the step runs again when more is known), or the status to answer. */
#define AGW_AGENT_ASKING (-1)
int agw_exchange_agent_find(struct agw_exchange *x, const char **ret_why);
/* A piece of a request that is held. */
void agw_exchange_agent_collect(struct agw_exchange *x, struct agw_chain *data);
/* The agent's final head is here. True: what follows is collected; nothing goes out yet. */
bool agw_exchange_agent_head(struct agw_exchange *x);
/* Looks at a piece of the answer, and maps it. True: it is kept, or x has failed. */
bool agw_exchange_agent_body(struct agw_exchange *x, struct agw_chain *data);
/* The answer's end is here. True: what was collected is sent, with its end. */
bool agw_exchange_agent_end(struct agw_exchange *x);
void agw_exchange_agent_free(struct agw_exchange *x);
/* Makes the gateway's own error |m| one in the call's binding (A2A 1.0 sections 9.5 and 11.6). AGW_ENOMEM. */
int agw_exchange_agent_reply(struct agw_exchange *x, struct agw_msg *m, struct agw_str *body);

/* --- grpc.c: all do nothing, or answer 0 or false, for exchanges that are not gRPC's --- */
void agw_exchange_grpc_begin(struct agw_exchange *x);
/* The client's deadline makes the request timeout tighter. */
void agw_exchange_grpc_deadline(struct agw_exchange *x);
/* Notes the status in trailers, or in a head that is all of the answer. */
void agw_exchange_grpc_note(struct agw_exchange *x, const struct agw_headers *h);
/* Ends an answer whose head went out by trailers with a status. False: the stream must be broken off. */
bool agw_exchange_grpc_cut(struct agw_exchange *x, int status, const char *reason);
/* Makes the gateway's own answer |m| one for gRPC if it is an error. AGW_ENOMEM. */
int agw_exchange_grpc_reply(struct agw_exchange *x, struct agw_msg *m, struct agw_str *body);

/* --- upgrade.c --- */
/* Before routing: what may be asked of a backend. AGW_ENOMEM. */
int agw_exchange_upgrade_begin(struct agw_exchange *x);
/* The backend has answered a request with an upgrade. 0, or the status that the client gets instead. */
int agw_exchange_upgrade_answer(struct agw_exchange *x, const char **ret_why);

/* Hands the client's stream over. AGW_ENOMEM: it is ours still. */
int agw_exchange_mcp(struct agw_exchange *x);

/* --- account.c: access log and metrics --- */
void agw_exchange_account(struct agw_exchange *x, int close_code);

#endif
