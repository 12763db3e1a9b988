/* An exchange (one request of a client) and its legs (one call a target), shared by handler.c (the client's
 * request), reply.c (the client's answer), relay.c (one target), gather.c (many), and mcp/era. For these
 * alone: who serves requests includes mcp/handler.h.
 *
 * Memory: an exchange is one malloc with an arena; it goes at the end of the turn in which it was closed, so
 * that whoever is on the stack may still look at it. */
#ifndef AGW_MCP_EXCHANGE_H
#define AGW_MCP_EXCHANGE_H

#include "base/map.h"
#include "json/edit.h"
#include "mcp/cache/lists.h"
#include "mcp/guard/circuit.h"
#include "mcp/handler.h"
#include "mcp/message/merge.h"
#include "mcp/message/passage.h"
#include "mcp/message/router.h"
#include "mcp/transport/hub.h"
#include "mcp/transport/transport.h"

#define AGW_MCP_ERROR_MAX 65536        /* bytes of a target's error body that are kept to be passed on */
#define AGW_MCP_EVENT_ID_MAX 1024      /* bytes of an event id; longer ones cannot be resumed from */
#define AGW_MCP_LINGER_MS 2000         /* for the end of an answer whose message is here */
#define AGW_MCP_SILENCE_MS 500         /* a GET that no target refused by then is answered */
#define AGW_MCP_PATIENCE_MS 5000       /* who has a client wait for so long is to blame when it leaves */
#define AGW_MCP_CLEANUP_MS 5000        /* for ending sessions nobody waits for */
#define AGW_MCP_SUBSCRIBED_MAX 256     /* resources in one filter: each is compared with each acknowledged */
#define AGW_MCP_REOPEN_MAX 64          /* streams opened again: each takes memory of the client's stream */
#define AGW_MCP_ENDED_MAX 1024         /* sessions that were ended: who goes on with one does so at once */
#define AGW_MCP_PASSAGE_MIN (1u << 20) /* bytes of an answer that is edited as it passes, not held */
#define AGW_MCP_SCRATCH_MAX 65536      /* tokens (1 MiB) a worker's scratch document may keep */

struct agw_mcp {
    struct agw_loop *loop;
    struct agw_mcp_transports *transports;
    struct agw_metrics *metrics;
    struct agw_seal *seal;
    struct agw_mcp_lists *lists;
    struct agw_mcp_circuits *circuits;
    struct agw_mcp_settings settings;
    struct agw_list exchanges;
    struct agw_mcp_slots legacy; /* streams of GET /sse: struct agw_mcp_exchange */
    struct agw_mcp_slots posts;  /* POST /sse that wait for the stream's worker, likewise */
    unsigned active;
    uint32_t body_max;                   /* of the next exchange */
    const struct agw_mcp_bridge *bridge; /* NULL: every target is of its client's era */
    struct agw_map eras, callers;        /* mcp/era */
    struct agw_list caller_list;
    struct agw_timer caller_timer;
    struct agw_map standings, cancellable;
    struct agw_list standing_list, errands;
    unsigned feeds, watches;
    size_t wish_bytes;
    bool ending;                                    /* exchanges go, in any order */
    struct agw_mcp_slots parked, answering, rounds; /* struct agw_mcp_crossing (era/park.c) */
    unsigned renewed;                               /* callers in place of a client's own session */
    uint64_t ended[AGW_MCP_ENDED_MAX];              /* hashes of session ids; a ring */
    unsigned ended_at;
    /* The message in hand, never kept over a callback; streams live for days, so theirs must not grow an
     * arena. */
    struct agw_json_doc scratch;
    struct agw_arena scratch_arena;
};

struct agw_mcp_exchange;
struct agw_mcp_leg;

/* What stands between a leg and a target of the other era: the room mcp/era, above this one. */
struct agw_mcp_bridge {
    /* Takes the leg over if it is one that crosses; then ops get what comes of it, later. |body| is taken. 1:
     * it does. 0: it does not. AGW_ENOMEM. */
    int (*cross)(struct agw_mcp_leg *leg, const struct agw_mcp_call_ops *ops, enum agw_method method,
                 struct agw_chain *body, uint32_t deadline_ms);
    /* For legs that cross. Nothing of it is with a transport. */
    bool (*pending)(const struct agw_mcp_leg *leg);
    /* The leg is given up: no event follows. A server of old is told, if it is at work on the request. */
    void (*cancel)(struct agw_mcp_leg *leg);
    void (*release)(struct agw_mcp_leg *leg); /* it goes, and nobody is told */
    /* The target's answer had |status|: it may be that it is no more of the era that it was. */
    void (*doubt)(const struct agw_mcp_leg *leg, int status);
    /* The client has ended the session that |req| names. */
    void (*ended)(struct agw_mcp *m, const struct agw_msg *req);
    void (*free)(struct agw_mcp *m); /* after the exchanges */
};

/* One page of a list, or another answer kept until all are in. */
struct agw_mcp_page {
    struct agw_mcp_page *next;
    struct agw_block *block;         /* holds doc.text */
    struct agw_mcp_listing *listing; /* ... or holds |doc| */
    struct agw_json_doc doc;
    uint32_t result;
    uint64_t taken_ms; /* when it came */
};

/* Why a leg gave no result. */
struct agw_mcp_failure {
    bool set;
    int code;                 /* of the transport: negative enum agw_err; 0: the target answered */
    struct agw_msg *response; /* an HTTP error, with |body| */
    struct agw_chain body;    /* ... or, without |response|, a JSON-RPC error message */
};

struct agw_mcp_crossing; /* mcp/era */
struct agw_mcp_caller;

struct agw_mcp_leg {
    struct agw_mcp_call call; /* first: callbacks get it */
    struct agw_mcp_exchange *x;
    uint32_t target;
    bool used;           /* takes part */
    bool again;          /* its call takes an earlier one's place, and memory */
    bool answered;       /* its final answer is here */
    bool settled;        /* gathering: nothing more is waited for */
    uint64_t started_ms; /* gathering */
    int skip;            /* its circuit is open: not asked, fails with this code */
    bool raw_json;       /* its JSON answer may pass unread */
    bool resumable;      /* an event id went to the client: the target may end the stream and go on later */
    bool watching;       /* its GET stream tells of changed lists */
    bool primed;         /* an event that has an id alone is held back; it is last_id */
    uint32_t pages_read;
    struct agw_mcp_page *pages, **pages_end;
    struct agw_mcp_failure failure;
    struct agw_str own_method;       /* asked on our own behalf; empty: the client's request goes on */
    struct agw_str last_id;          /* the last event id worth remembering, to go on from there */
    struct agw_arena arena;          /* of a call that takes an earlier one's place */
    char *id_room;                   /* AGW_MCP_EVENT_ID_MAX bytes for it */
    struct agw_mcp_passage *passage; /* its answer is edited as it passes */
    struct agw_mcp_ticket *ticket;   /* its answer may be kept; see lists.c */
    uint32_t raw_from;               /* bytes: an answer so long passes; 0: none does */
    bool to_head;                    /* its deadline ends with the answer's head */
    bool plain;                      /* the target gets it as it is, whatever it speaks */
    bool bridged;                    /* the target speaks 2026-07-28 and says so to a client of old */
    bool parked;                     /* answered by a question; the call goes on without the client */
    const struct agw_msg *from;      /* the client's fields to send; NULL: its request's own */
    struct agw_mcp_crossing *cross;
};

enum agw_mcp_out { AGW_MCP_OUT_NONE, AGW_MCP_OUT_EVENTS, AGW_MCP_OUT_RAW, AGW_MCP_OUT_ENDED };

struct agw_mcp_exchange {
    struct agw_mcp *m;
    struct agw_list node;
    struct agw_arena arena;
    struct agw_snapshot *snap;
    const struct agw_backend *backend;
    const struct agw_mcp_backend *conf;
    struct agw_mcp_client client;
    struct agw_task reap, abort;
    int abort_code; /* 0: the answer is whole, and the stream is left */
    bool closed;

    /* the client's request */
    struct agw_stream *down; /* NULL: gone, or a clean-up of our own */
    struct agw_msg *req;
    struct agw_chain body;
    bool body_done;
    size_t dropped;          /* body bytes that came after the answer */
    struct agw_block *block; /* holds |text| */
    struct agw_str text;
    struct agw_json_doc doc;
    struct agw_jsonrpc message;
    struct agw_str id; /* JSON of the request's id; empty: none */
    const struct agw_mcp_method *method;
    enum agw_mcp_version header_version; /* of MCP-Protocol-Version */
    bool modern;                         /* 2026-07-28: no session, complete in itself */
    struct agw_str version_text;         /* the revision as the client wrote it */
    struct agw_mcp_session session;
    struct agw_str new_session; /* id to hand out with the answer */

    /* the targets */
    struct agw_mcp_leg *legs; /* one a target of the backend; or, for one target alone, its own */
    uint32_t leg_count;
    uint32_t running;                           /* calls without on_done */
    uint32_t waiting;                           /* gathering: legs that are not settled */
    uint32_t timeout_ms;                        /* 0: none of our own */
    bool silent;                                /* answers are read and dropped: notifications, DELETE */
    bool tolerant;                              /* no failure matters */
    bool joined;                                /* the client was handed the session */
    void (*finish)(struct agw_mcp_exchange *x); /* all legs of a gathering are done */
    const struct agw_mcp_method *listing;       /* the list that is gathered */
    bool drain;                                 /* read all pages of it */
    struct agw_mcp_cursor cursor, next;
    struct agw_str wanted;           /* bare name whose owner is looked up */
    const struct agw_mcp_view *view; /* what kept lists depend on; NULL: not looked at yet */
    uint32_t kept, asked;            /* pages */
    bool unseen;                     /* no list may be kept */
    struct agw_mcp_subscription *subscription;
    struct agw_mcp_caller *opens; /* an exchange of our own, for its session */
    void *own;                    /* another of our own: what it is for; NULL: nothing any more */

    /* the client's answer */
    enum agw_mcp_out out;
    struct agw_timer keepalive, deadline;
    bool old;                      /* GET or POST /sse */
    struct agw_mcp_legacy *legacy; /* GET */
    struct agw_mcp_batch *batch;
    struct agw_mcp_turns *turns; /* of one of these two; NULL: none */
    struct agw_mcp_key post;     /* POST */
    bool wrote;                  /* since the last tick */
    uint32_t body_max;           /* bytes of the client's message */
    struct agw_mcp_report report;
};

#define AGW_MCP_LEG(c) ((struct agw_mcp_leg *)(c))

/* A call is under way, or something stands for it. */
static inline bool agw_mcp_leg_busy(const struct agw_mcp_leg *leg)
{
    return leg->call.running || (leg->cross && leg->x->m->bridge->pending(leg));
}

/* --- handler.c --- */
/* An exchange without a client, for clean-ups. NULL: no memory. */
struct agw_mcp_exchange *agw_mcp_exchange_new(struct agw_mcp *m, const struct agw_backend *b,
                                              struct agw_snapshot *snap);
/* Gives |c| a copy of the request of |x|, and the credentials of its client. AGW_ENOMEM. */
int agw_mcp_act_for(struct agw_mcp_exchange *c, const struct agw_mcp_exchange *x);
/* Cancels the legs, reports, and frees it at the end of the turn. */
void agw_mcp_exchange_close(struct agw_mcp_exchange *x, int code);
/* Breaks the client's stream off at the end of the turn: memory ran out, or it broke itself. */
void agw_mcp_abort(struct agw_mcp_exchange *x, int code);
/* Ends the legs: those whose answer is here may read on to their end, so that the connection can be used
 * again; the rest is cut off. */
void agw_mcp_let_go(struct agw_mcp_exchange *x);
/* To be called first in every on_done. False: nobody waits for this leg any more. */
bool agw_mcp_leg_over(struct agw_mcp_leg *leg);
/* Makes the legs, one a target and all unused, unless they are there. AGW_ENOMEM. */
int agw_mcp_make_legs(struct agw_mcp_exchange *x);
/* The leg of |target|; makes it alone if there are none: a call of one target among many should not pay for
 * all. NULL: no memory. */
struct agw_mcp_leg *agw_mcp_make_leg(struct agw_mcp_exchange *x, uint32_t target);
#define agw_mcp_each_leg(x, leg)                                                                             \
    for (struct agw_mcp_leg *leg = (x)->legs; leg && leg < (x)->legs + (x)->leg_count; leg++)
/* Builds and starts the leg's call; |body| is taken. A failure to do so reaches ops->on_done like any other.
 */
void agw_mcp_start_leg(struct agw_mcp_leg *leg, const struct agw_mcp_call_ops *ops, enum agw_method method,
                       struct agw_chain *body, uint32_t deadline_ms);
/* The same without a look at what the target speaks, and without counting it among x->running. |rc|: 0, or
 * why it could not be prepared. */
void agw_mcp_begin_call(struct agw_mcp_leg *leg, const struct agw_mcp_call_ops *ops, enum agw_method method,
                        struct agw_chain *body, uint32_t deadline_ms, int rc);
/* The session's entry for the leg's target. */
static inline const struct agw_mcp_peer *agw_mcp_leg_peer(const struct agw_mcp_leg *leg)
{
    return leg->x->session.peers ? &leg->x->session.peers[leg->target] : NULL;
}
/* The request's bytes with |edits| (NULL: none) as a chain. */
int agw_mcp_request_body(struct agw_mcp_exchange *x, const struct agw_json_edits *edits,
                         struct agw_chain *ret_body);

/* The request as it is, or with the target's own names to the target it names. */
void agw_mcp_relay_whole(struct agw_mcp_exchange *x, uint32_t target);
void agw_mcp_route_one(struct agw_mcp_exchange *x);

/* --- check.c: false: the client was answered --- */
/* True if an Accept field names |type| or a range over it; quality values are not weighed. */
bool agw_mcp_accepts(const struct agw_msg *req, struct agw_str type);
bool agw_mcp_check_types(struct agw_mcp_exchange *x);
bool agw_mcp_check_version(struct agw_mcp_exchange *x); /* sets x->header_version */
bool agw_mcp_load_session(struct agw_mcp_exchange *x);
/* Where every request stands alone: all targets, nothing known about them. AGW_ENOMEM. */
int agw_mcp_stateless_session(struct agw_mcp_exchange *x);

/* --- modern.c: clients of 2026-07-28 --- */
bool agw_mcp_is_bare(const struct agw_mcp_exchange *x);   /* one target, which says itself what it has */
bool agw_mcp_is_modern(const struct agw_mcp_exchange *x); /* the message in hand */
void agw_mcp_modern(struct agw_mcp_exchange *x);
/* 400, "unsupported version": those from |newest| to |oldest| are. Without 2026-07-28 among them the client
 * begins again with `initialize`. */
void agw_mcp_reply_version(struct agw_mcp_exchange *x, enum agw_mcp_version newest,
                           enum agw_mcp_version oldest);
void agw_mcp_reply_older(struct agw_mcp_exchange *x); /* all but 2026-07-28 */
/* The code of the JSON-RPC error in the failure's body, or 0. */
int64_t agw_mcp_error_code(const struct agw_mcp_leg *leg);
/* The failure says that the target does not know the method. */
bool agw_mcp_lacks_method(const struct agw_mcp_leg *leg);
/* The failure of a server/discover says that the target is of an older revision. */
bool agw_mcp_is_older(const struct agw_mcp_leg *leg);
/* Mcp-Method and Mcp-Name for the leg's target. AGW_ENOMEM. */
int agw_mcp_standard_fields(struct agw_mcp_leg *leg, struct agw_mcp_call_fields *fields);
/* The client's _meta for requests of our own, without what belongs to its own request alone. */
int agw_mcp_write_meta(struct agw_mcp_exchange *x, struct agw_json_writer *w);

static inline void agw_mcp_doubt_era(const struct agw_mcp_leg *leg, int status)
{
    if (leg->x->m->bridge)
        leg->x->m->bridge->doubt(leg, status);
}

/* --- subscribe.c: subscriptions/listen --- */
void agw_mcp_subscribe(struct agw_mcp_exchange *x);
void agw_mcp_subscribe_again(struct agw_mcp_exchange *x); /* to targets whose stream ended */

/* --- reply.c: all of them may end the exchange's answer; nothing may be sent after an end --- */
void agw_mcp_reply_status(struct agw_mcp_exchange *x, int status); /* no body */
void agw_mcp_reply_json(struct agw_mcp_exchange *x, int status, struct agw_chain *body);
/* A JSON-RPC error as the whole answer, or as the last event if events went out already. */
void agw_mcp_reply_error(struct agw_mcp_exchange *x, int status, int code, struct agw_str message);
void agw_mcp_reply_error_data(struct agw_mcp_exchange *x, int status, int code, struct agw_str message,
                              struct agw_str data);
/* The final message: JSON if nothing was sent, else the last event. |body| is taken. */
/* {"result":{}} */
void agw_mcp_reply_empty(struct agw_mcp_exchange *x);
void agw_mcp_reply_message(struct agw_mcp_exchange *x, struct agw_chain *body);
void agw_mcp_reply_failure(struct agw_mcp_exchange *x, struct agw_mcp_leg *leg);
/* The target's head as ours, its body follows by agw_mcp_reply_bytes. */
void agw_mcp_reply_raw_head(struct agw_mcp_exchange *x, const struct agw_msg *from, bool end);
void agw_mcp_reply_bytes(struct agw_mcp_exchange *x, struct agw_chain *data);
/* Starts the event stream (no-op if it runs). False: it cannot be. */
bool agw_mcp_reply_events(struct agw_mcp_exchange *x);
/* One event. |body| (may be NULL) is taken; |id| is the target's event id. */
void agw_mcp_reply_event(struct agw_mcp_exchange *x, struct agw_chain *body,
                         const struct agw_mcp_frame *frame, uint32_t target, bool get_stream);
void agw_mcp_reply_end(struct agw_mcp_exchange *x);
/* Bytes of the event stream as they are. |text| lives as long as the stream. AGW_ENOMEM. */
int agw_mcp_reply_text(struct agw_mcp_exchange *x, struct agw_str text);
/* Reads an event id of ours: which target, from a GET stream or an answer, the target's own id. False: none
 * of ours. */
bool agw_mcp_event_id(struct agw_str text, uint32_t count, uint32_t *ret_target, bool *ret_get_stream,
                      struct agw_str *ret_id);

/* --- relay.c: one target --- */
/* Sends |body| (taken) to |target| and passes its answer on. */
void agw_mcp_relay(struct agw_mcp_exchange *x, uint32_t target, struct agw_chain *body);
void agw_mcp_listen(struct agw_mcp_exchange *x); /* GET */
/* Opens the streams again that targets have closed meanwhile; called now and then. */
void agw_mcp_listen_again(struct agw_mcp_exchange *x);
/* Reads a message of a target into the scratch document and passes it on as an event if it is no answer.
 * *ret_final: it is the answer, the message is in *ret_message. AGW_EPROTO, AGW_ENOMEM. */
int agw_mcp_pass(struct agw_mcp_leg *leg, const struct agw_mcp_frame *f, bool get_stream,
                 struct agw_jsonrpc *ret_message, bool *ret_final);
/* Reads it into the scratch document, no more. AGW_EPROTO, AGW_ENOMEM. */
int agw_mcp_read_frame(struct agw_mcp_leg *leg, const struct agw_mcp_frame *f,
                       struct agw_jsonrpc *ret_message);
/* The message in the scratch document with the edits the client needs, as a chain. */
int agw_mcp_edited(struct agw_mcp_leg *leg, const struct agw_mcp_frame *f, const struct agw_jsonrpc *message,
                   struct agw_chain *ret_body);
/* Keeps the first AGW_MCP_ERROR_MAX bytes of an error's body. */
void agw_mcp_keep_error(struct agw_mcp_leg *leg, struct agw_chain *data);
/* Slows the targets down while the client is slow. */
void agw_mcp_throttle(struct agw_mcp_exchange *x);

/* --- turn.c: messages that come another way than by a POST each --- */
struct agw_mcp_turns;

struct agw_mcp_turn_ops {
    /* An answer's head, before anything of it goes out; may be NULL. AGW_ENOMEM. */
    int (*on_head)(struct agw_mcp_turns *all, const struct agw_msg *head);
    void (*on_over)(struct agw_mcp_turns *all, enum agw_method method, int status); /* and it is gone */
};

struct agw_mcp_turns {
    struct agw_mcp_exchange *x; /* its client gets what comes of them */
    const struct agw_mcp_turn_ops *ops;
    struct agw_list list;
    unsigned count;
};

struct agw_mcp_turn_request {
    const struct agw_msg *from; /* the fields of its request */
    struct agw_str session;     /* in place of its own; empty: its own */
    struct agw_block *body;     /* holds |text| */
    struct agw_str text;        /* p NULL: it is a GET, which listens */
    struct agw_str id;          /* JSON of the request's id; empty: nobody waits for an answer */
};

void agw_mcp_turns_init(struct agw_mcp_turns *all, struct agw_mcp_exchange *x,
                        const struct agw_mcp_turn_ops *ops);
/* Events come later, never from inside. AGW_ENOMEM. */
int agw_mcp_turn_start(struct agw_mcp_turns *all, const struct agw_mcp_turn_request *r);
void agw_mcp_turns_drain(struct agw_mcp_turns *all);
/* |silent|: nobody hears of it. */
void agw_mcp_turns_close(struct agw_mcp_turns *all, bool silent);

/* --- batch.c --- */
#define AGW_MCP_BATCH_MAX 64 /* messages: each may be a request to a target */
/* The client's message is an array (in x->doc), its session is here. */
void agw_mcp_batch(struct agw_mcp_exchange *x);
void agw_mcp_batch_close(struct agw_mcp_exchange *x, bool silent); /* fine without one */

/* --- legacy.c: clients of HTTP+SSE --- */
#define AGW_MCP_LEGACY_MAX 65536    /* streams a worker: connections have their own limit */
#define AGW_MCP_LEGACY_TURNS_MAX 64 /* requests of one client under way */

/* A stream of GET /sse. */
struct agw_mcp_legacy {
    struct agw_mcp_exchange *x;
    struct agw_mcp_key key;
    struct agw_mcp_turns turns;
    struct agw_str session; /* id of the session within; empty: none yet */
    struct agw_timer listen;
};

/* What its sessionId says, sealed. */
struct agw_mcp_legacy_name {
    uint32_t mark, worker;
    struct agw_mcp_key key;
};

/* A message that was posted, and its outcome. */
struct agw_mcp_legacy_letter {
    struct agw_mcp_mail mail; /* first */
    struct agw_mcp_legacy_name to;
    unsigned from;
    struct agw_mcp_key from_key;
    struct agw_arena arena;
    struct agw_msg head;
    struct agw_block *body;
    struct agw_str id;
    int status;
};

bool agw_mcp_legacy_path(const struct agw_msg *req);
void agw_mcp_legacy_listen(struct agw_mcp_exchange *x); /* GET */
void agw_mcp_legacy_post(struct agw_mcp_exchange *x);
/* |silent|: no events for the turns, the session is left alone. */
void agw_mcp_legacy_close(struct agw_mcp_exchange *x, bool silent);

/* --- lists.c: lists that are kept --- */
/* Adds the leg's page at |cursor| (p NULL: the first) if it is here. */
bool agw_mcp_take_kept(struct agw_mcp_leg *leg, struct agw_str cursor);
/* The page that was asked for after agw_mcp_take_kept has come in |doc|: keeps it if it may be kept. */
void agw_mcp_keep_list(struct agw_mcp_leg *leg, const struct agw_json_doc *doc, uint32_t result);
/* A list of the one target, which keeps its own names: from here, or relayed. */
void agw_mcp_list_whole(struct agw_mcp_exchange *x);
/* Lists of |kinds| (AGW_MCP_CAP_*) of the leg's target are out of date, on all workers. */
void agw_mcp_forget_lists(struct agw_mcp_leg *leg, uint32_t kinds);
/* Forgets what a notification says has changed. */
void agw_mcp_heed_change(struct agw_mcp_leg *leg, const struct agw_jsonrpc *message);
/* The leg's GET stream is open, and is no longer; both are fine at any time. */
void agw_mcp_watch_lists(struct agw_mcp_leg *leg);
void agw_mcp_unwatch_lists(struct agw_mcp_leg *leg);

/* --- health.c: targets that fail --- */
/* Before a leg of a fan-out is started: 0, or with which code it fails at once. */
int agw_mcp_check_health(struct agw_mcp_leg *leg);
/* It has settled. */
void agw_mcp_note_health(struct agw_mcp_leg *leg);
/* Nobody waits any more: targets that were waited for have failed if it was long. */
void agw_mcp_note_impatience(struct agw_mcp_exchange *x);
/* Tells the client, if it may be told, which targets a joined list is without. */
void agw_mcp_warn_of_missing(struct agw_mcp_exchange *x);

/* --- gather.c: many targets --- */
void agw_mcp_add_page(struct agw_mcp_leg *leg, struct agw_mcp_page *page);
void agw_mcp_initialize(struct agw_mcp_exchange *x);
/* Visible ASCII, AGW_MCP_SID_MAX bytes at most. */
bool agw_mcp_valid_sid(struct agw_str sid);
void agw_mcp_list(struct agw_mcp_exchange *x);
void agw_mcp_discover(struct agw_mcp_exchange *x);
void agw_mcp_all(struct agw_mcp_exchange *x);    /* request to all, empty result */
void agw_mcp_notify(struct agw_mcp_exchange *x); /* the client's message to all, 202 */
void agw_mcp_notify_one(struct agw_mcp_exchange *x, uint32_t target, struct agw_chain *body);
void agw_mcp_end_session(struct agw_mcp_exchange *x); /* DELETE */
/* Reads the lists of tools (or prompts), all pages, for a request about |name| (not empty); then |finish|,
 * unless a failure was the answer. */
void agw_mcp_find(struct agw_mcp_exchange *x, struct agw_str name,
                  void (*finish)(struct agw_mcp_exchange *x));
/* What they hold that the client may use. NULL: the client was answered. */
struct agw_mcp_part *agw_mcp_found_parts(struct agw_mcp_exchange *x, uint32_t *ret_count);
/* A call of one of the gateway's own tools, by its name; lists.c. False: it was answered, or is being. True:
 * the request in hand is now the one that it stands for. */
bool agw_mcp_own_call(struct agw_mcp_exchange *x, struct agw_str name);
void agw_mcp_find_and_relay(struct agw_mcp_exchange *x, struct agw_str name); /* bare names: ask who has it */
/* Ends the targets' sessions, for nobody holds x->session any more. */
void agw_mcp_abandon_session(struct agw_mcp_exchange *x);

#endif
