/* Inside lib/mcp/era: targets of one era for clients of the other.
 *
 *     leg ── start ──> cross.c ── known.c: what does the target speak?
 *                        │   └─── caller.c: the session that the gateway keeps for a client without
 *                        │         feed.c: what its server announces; errand.c: what for
 *                        ├── watch.c, standing.c: what a server without sessions announces, and what the
 * client's │         session has said once └── lib/mcp/bridge: the message in the other era's form
 *
 * A crossing stands between a leg and its call: what comes back reaches the leg's callbacks as if the target
 * were of the client's era. Ownership: a crossing is its leg's, in the exchange's arena; a caller is its
 * worker's. Threads: the loop's own. */
#ifndef AGW_MCP_ERA_INT_H
#define AGW_MCP_ERA_INT_H

#include "crypto/digest.h"
#include "mcp/bridge/announce.h"
#include "mcp/bridge/level.h"
#include "mcp/exchange.h"

#define AGW_MCP_ERA_MS 600000     /* how long it counts what a target speaks: servers are upgraded in place */
#define AGW_MCP_ERA_DOUBT_MS 5000 /* an odd answer does not make us ask more often than this */
#define AGW_MCP_ERAS_MAX 4096     /* a worker: more than the targets of any configuration */
#define AGW_MCP_CALLERS_MAX 1024  /* sessions a worker keeps for clients without: each may be a process */
#define AGW_MCP_CALLER_IDLE_MS 300000   /* unused for so long: the client is gone, as far as one can tell */
#define AGW_MCP_RENEWED_IDLE_MS 1800000 /* the same for clients of old, as for links */
#define AGW_MCP_INITIALIZED_MAX 65536   /* bytes of an InitializeResult that is kept to answer from */

/* --- known.c: what targets speak --- */
enum agw_mcp_speaks { AGW_MCP_MAYBE, AGW_MCP_YES, AGW_MCP_NO };
/* The place of a target, as a key. p NULL: no memory. */
struct agw_str agw_mcp_place(const struct agw_backend *b, uint32_t target, struct agw_arena *arena);
/* Whether |target| speaks 2026-07-28 (|modern|), or revisions with sessions. */
enum agw_mcp_speaks agw_mcp_era(struct agw_mcp_exchange *x, uint32_t target, bool modern);
/* Remembers it; nothing where memory is out. */
void agw_mcp_era_learn(struct agw_mcp_exchange *x, uint32_t target, bool modern, enum agw_mcp_speaks speaks);
/* An answer says that this may have changed: the next request asks anew. */
void agw_mcp_era_doubt(struct agw_mcp_exchange *x, uint32_t target);
/* An answer with |status|: it may be that the target is no more of the era that it was. */
void agw_mcp_era_seems_over(const struct agw_mcp_leg *leg, int status);
void agw_mcp_eras_free(struct agw_mcp *m);

/* --- caller.c --- */
struct agw_mcp_caller;
struct agw_mcp_round;
struct agw_mcp_feed;
struct agw_mcp_listener;
struct agw_mcp_errand;
struct agw_mcp_watch;

enum agw_mcp_verdict {
    AGW_MCP_VERDICT_READY,  /* guest->caller has a session */
    AGW_MCP_VERDICT_MODERN, /* none is needed */
    AGW_MCP_VERDICT_FAILED, /* |failed| says why */
};

/* Who waits for a caller's session, or uses it. */
struct agw_mcp_guest {
    struct agw_list node;
    struct agw_mcp_caller *caller; /* NULL: none */
    /* |failed|: gone after the call. */
    void (*decided)(struct agw_mcp_guest *g, enum agw_mcp_verdict verdict, struct agw_mcp_leg *failed);
};

/* Finds the session with |target| for the client of |x|, or begins one (|begin|); asks a target what it
 * speaks if a client without a session needs to know. 1: it is there. 0: |g| will be told. AGW_ENOTFOUND,
 * AGW_ENOMEM, AGW_ELIMIT (all are in use). */
int agw_mcp_caller_join(struct agw_mcp_exchange *x, uint32_t target, bool begin, struct agw_mcp_guest *g);
/* |g| waits or uses no longer; fine at any time. */
void agw_mcp_caller_leave(struct agw_mcp_guest *g);
/* The session is gone: nobody new is given it. */
void agw_mcp_caller_expired(struct agw_mcp_caller *c);
const struct agw_mcp_peer *agw_mcp_caller_peer(const struct agw_mcp_caller *c);
/* The message with its InitializeResult. */
struct agw_str agw_mcp_caller_initialized(const struct agw_mcp_caller *c);
/* Whether it is the same caller as the one with |digest|; and the digest of the client of |x|. AGW_ENOMEM. */
bool agw_mcp_caller_is(const struct agw_mcp_caller *c, const char digest[AGW_SHA256_SIZE]);
int agw_mcp_caller_digest(struct agw_mcp_exchange *x, uint32_t target, char ret_digest[AGW_SHA256_SIZE]);
/* The level that the session was told; 0: none yet. It is the lowest that anybody asked for: who wants less
 * is spared the rest here. */
agw_mcp_level agw_mcp_caller_level(const struct agw_mcp_caller *c);
void agw_mcp_caller_set_level(struct agw_mcp_caller *c, agw_mcp_level level);
/* An exchange of our own over the session. NULL: no memory; the server's own expiry must do. */
struct agw_mcp_exchange *agw_mcp_caller_exchange(struct agw_mcp_caller *c);
struct agw_mcp *agw_mcp_caller_owner(const struct agw_mcp_caller *c);
uint32_t agw_mcp_caller_target(const struct agw_mcp_caller *c);
struct agw_mcp_feed **agw_mcp_caller_feed(struct agw_mcp_caller *c); /* NULL in it: nobody listens */
/* Answers the server's own request in the scratch document: a ping; whatever else is refused. */
void agw_mcp_caller_answer(struct agw_mcp_caller *c, const struct agw_jsonrpc *message);
/* A number that no request over this session has had. */
uint64_t agw_mcp_caller_number(struct agw_mcp_caller *c);
/* Sends |text|, one JSON-RPC message, and looks at no answer. */
void agw_mcp_caller_tell(struct agw_mcp_caller *c, struct agw_str text);
void agw_mcp_callers_init(struct agw_mcp *m);
void agw_mcp_callers_free(struct agw_mcp *m);
/* A client's request without the header fields of 2026-07-28. NULL: no memory. */
struct agw_msg *agw_mcp_plain_request(const struct agw_mcp_exchange *x, struct agw_arena *arena);

/* --- known.c: sessions that were ended --- */
/* The client has ended the session that |req| names: all workers remember it for a while. */
void agw_mcp_ended_add(struct agw_mcp *m, const struct agw_msg *req);
bool agw_mcp_ended_has(const struct agw_mcp *m, const struct agw_msg *req);

/* --- cross.c --- */
enum agw_mcp_cross_kind {
    AGW_MCP_TO_LEGACY, /* a client of 2026-07-28, a server of old */
    AGW_MCP_TO_MODERN, /* a client of old, a server of 2026-07-28 */
    AGW_MCP_BEGIN,     /* `initialize`: which of the two its server is, turns out */
    AGW_MCP_RENEW,     /* both are of old: a session that the server forgets is begun anew */
};

struct agw_mcp_crossing {
    struct agw_mcp_guest guest;
    struct agw_mcp_leg *leg;
    const struct agw_mcp_call_ops *ops; /* who gets what comes of it */
    enum agw_mcp_cross_kind kind;
    enum agw_method http;
    uint32_t deadline_ms;
    bool raw_json; /* as the leg had it */
    uint32_t raw_from;
    bool pending; /* waits for a session or for |task| */
    bool gone;
    bool expired, again; /* the session was; a second one was taken */
    bool asking;         /* AGW_MCP_BEGIN: by server/discover; AGW_MCP_TO_LEGACY: for the level */
    struct agw_mcp_key parked, answers; /* park.c: this waits for the client; this brings its answer */
    struct agw_str question;            /* the server's id of what it asked; empty: nothing */
    unsigned heard_by;                  /* worker of who brought the answer ... */
    struct agw_mcp_key hears;           /* ... and waits; turn 0: nobody does */
    struct agw_timer patience;
    struct agw_mcp_key round; /* park.c: the client of old is asked; turn 0: it is not */
    struct agw_mcp_round *asks;
    struct agw_str extra;              /* members for params of the next round, with a comma; empty: none */
    bool state;                        /* the request goes on with one that was parked */
    agw_mcp_level level;               /* the client wants log messages from it on; 0: none */
    struct agw_mcp_listener *listener; /* feed.c; NULL: it is none */
    struct agw_mcp_watch *watch;       /* watch.c, likewise */
    struct agw_mcp_watch *watch_room;  /* of the last one: a stream is opened again and again */
    struct agw_str cancel_key;         /* standing.c; empty: it cannot be cancelled */
    struct agw_task task;
    int code;                /* |task|: of on_done */
    struct agw_chain local;  /* |task|: our own answer; may be empty */
    struct agw_block *block; /* holds |text| */
    struct agw_str text;     /* the request, with the target's names */
    struct agw_str method, id;
    struct agw_str number, token; /* over there its id and progress token; the client's token */
    struct agw_msg *response;     /* an error's head ... */
    struct agw_chain held;        /* ... and its body, or the error message alone */
};

extern const struct agw_mcp_call_ops agw_mcp_cross_ops; /* of calls for a crossing */
/* A message for the leg. |message| is empty afterwards. */
void agw_mcp_cross_give(struct agw_mcp_crossing *cr, struct agw_chain *message);
/* The message in the scratch document with |edits|, unless |rc| says why there are none. */
void agw_mcp_cross_give_edited(struct agw_mcp_crossing *cr, const struct agw_mcp_frame *f,
                               const struct agw_json_edits *edits, int rc);
/* The last event: now, or later, after what is in |local| or |response|. 1. */
void agw_mcp_cross_finish(struct agw_mcp_crossing *cr, int code);
int agw_mcp_cross_later(struct agw_mcp_crossing *cr, int code);
/* The error that was held back, and the last event. */
void agw_mcp_cross_finish_error(struct agw_mcp_crossing *cr);
/* A JSON-RPC error for the leg, or {"result":{}}, and the last event, both later. 1, or AGW_ENOMEM. */
int agw_mcp_cross_refuse(struct agw_mcp_crossing *cr, int code, struct agw_str text);
int agw_mcp_cross_reply_empty(struct agw_mcp_crossing *cr);
/* The server has forgotten the session: the request was not looked at, so it goes over a new one. */
void agw_mcp_cross_try_again(struct agw_mcp_crossing *cr);
/* Takes the leg over if it is one that crosses; then ops get what comes of it, later. |body| is taken. 1: it
 * does. 0: it does not. AGW_ENOMEM. */
int agw_mcp_cross(struct agw_mcp_leg *leg, const struct agw_mcp_call_ops *ops, enum agw_method method,
                  struct agw_chain *body, uint32_t deadline_ms);
/* Nothing of it is with a transport. */
bool agw_mcp_cross_pending(const struct agw_mcp_leg *leg);
/* The leg is given up: no event follows. A server of old is told, if it is at work on the request. */
void agw_mcp_cross_cancel(struct agw_mcp_leg *leg);
/* The leg goes, and nobody is told. */
void agw_mcp_cross_free(struct agw_mcp_leg *leg);

/* --- to_legacy.c: a client of 2026-07-28, a server of old --- */
bool agw_mcp_cross_is_removed(struct agw_str method); /* 2026-07-28 has it no more */
/* The session is there: the request goes over it. 1, AGW_ENOMEM. */
int agw_mcp_cross_send_legacy(struct agw_mcp_crossing *cr);
/* A message of a server of old. */
void agw_mcp_cross_to_modern(struct agw_mcp_crossing *cr, const struct agw_mcp_frame *f);
/* The server is at work on what nobody waits for. */
void agw_mcp_cross_tell_cancelled(struct agw_mcp_crossing *cr);

/* The server's answer to what it was told about the level, before the request itself goes. */
void agw_mcp_cross_done_level(struct agw_mcp_crossing *cr, int code);

/* --- to_modern.c: a client of old, a server of 2026-07-28 --- */
/* Whatever the client sent. 1, AGW_ENOMEM. */
int agw_mcp_cross_begin_modern(struct agw_mcp_crossing *cr);
/* Sends the request, perhaps once more. 1. */
int agw_mcp_cross_send_modern(struct agw_mcp_crossing *cr);
/* 405, later. 1, AGW_ENOMEM. */
int agw_mcp_cross_no_stream(struct agw_mcp_crossing *cr);
/* A message of a server of 2026-07-28. */
void agw_mcp_cross_to_legacy(struct agw_mcp_crossing *cr, const struct agw_mcp_frame *f);
/* `initialize`: asks by server/discover instead. 1. What came, and its end. */
int agw_mcp_cross_discover(struct agw_mcp_crossing *cr);
void agw_mcp_cross_frame_of_begin(struct agw_mcp_crossing *cr, const struct agw_mcp_frame *f);
void agw_mcp_cross_done_begin(struct agw_mcp_crossing *cr, int code);

/* --- feed.c: what servers of old announce --- */
#define AGW_MCP_FEEDS_MAX 768 /* a worker: each holds a caller, and requests need some, too */

/* The request is subscriptions/listen: it listens on its caller's feed. 1, AGW_ENOMEM. */
int agw_mcp_feed_join(struct agw_mcp_crossing *cr);
void agw_mcp_feed_leave(struct agw_mcp_crossing *cr); /* fine at any time */
void agw_mcp_feed_free(struct agw_mcp_feed *f);       /* NULL is fine */
/* What the errand came to, URI by URI, and at its end. */
void agw_mcp_feed_subscribed(struct agw_mcp_crossing *cr, uint32_t at, bool accepted);
void agw_mcp_feed_acknowledge(struct agw_mcp_crossing *cr);

/* --- watch.c: what servers of 2026-07-28 announce --- */
/* The request is a GET of old. 1, AGW_ENOMEM. */
int agw_mcp_watch_begin(struct agw_mcp_crossing *cr);
void agw_mcp_watch_leave(struct agw_mcp_crossing *cr); /* fine at any time */
/* The session subscribes to something else. */
void agw_mcp_watch_refresh(struct agw_mcp_watch *w);
void agw_mcp_watch_end(struct agw_mcp_watch *w); /* the session is over */
struct agw_mcp_watch *agw_mcp_watch_at(struct agw_list *node);
uint32_t agw_mcp_watch_target(const struct agw_mcp_watch *w);

/* --- errand.c: requests of our own --- */
/* Subscribes to |uris| (copied) for |listener|, or, without one, unsubscribes. NULL: no memory. */
struct agw_mcp_errand *agw_mcp_errand_new(struct agw_mcp_caller *c, const struct agw_str *uris,
                                          uint32_t count, struct agw_mcp_crossing *listener);
/* It goes, and tells nobody. How many were asked for. */
uint32_t agw_mcp_errand_drop(struct agw_mcp_errand *e);
void agw_mcp_errands_free(struct agw_mcp *m); /* after the exchanges */

/* --- standing.c: what clients of old say once, and about their requests on other workers --- */
#define AGW_MCP_STANDINGS_MAX 4096      /* sessions a worker: few clients set a level or subscribe */
#define AGW_MCP_WISHES_BYTES (4u << 20) /* URIs of all of them: 40,000 of 100 bytes */
#define AGW_MCP_HEARINGS_MAX 4096 /* a worker: each is a stream at a server for as long as the client's */

/* The session of |x| wants log messages from |level| on. AGW_ENOMEM. */
int agw_mcp_standing_level(struct agw_mcp_exchange *x, agw_mcp_level level);
agw_mcp_level agw_mcp_standing_level_of(struct agw_mcp_exchange *x); /* 0: it did not say */
/* The session of |x| subscribes to |uri| of |target|, or (|on| false) no more. AGW_ENOMEM, AGW_ELIMIT. */
int agw_mcp_standing_wish(struct agw_mcp_exchange *x, uint32_t target, struct agw_str uri, bool on);
/* What it has subscribed to, in |arena|. AGW_ENOMEM. */
int agw_mcp_standing_uris(struct agw_mcp_exchange *x, uint32_t target, struct agw_arena *arena,
                          struct agw_mcp_uri **ret_uris, uint32_t *ret_count);
/* |node| is a watch of the session's, until it is removed from its list. AGW_ENOMEM. */
int agw_mcp_standing_watch(struct agw_mcp_exchange *x, struct agw_list *node);
/* The client has ended the session that |req| names: so do its watches, on all workers. */
void agw_mcp_standing_end(struct agw_mcp *m, const struct agw_msg *req);
/* The request is under way and its client may cancel it by a message; and is no more, fine at any time. */
void agw_mcp_cancellable_add(struct agw_mcp_crossing *cr);
void agw_mcp_cancellable_remove(struct agw_mcp_crossing *cr);
/* The message of |cr| is notifications/cancelled: the request that it names ends, on whatever worker, later.
 * AGW_ENOMEM. */
int agw_mcp_cancellable_end(struct agw_mcp_crossing *cr);
void agw_mcp_standings_init(struct agw_mcp *m);
void agw_mcp_standings_free(struct agw_mcp *m);

/* --- park.c: what servers of old ask clients of 2026-07-28 --- */
#define AGW_MCP_PARKED_MAX 1024     /* a worker: each holds a request to a server */
#define AGW_MCP_PARKED_MS 300000    /* a person is asked; then the server's request is given up */
#define AGW_MCP_QUESTION_MAX 262144 /* bytes of what is asked, or answered: samplings carry conversations */

/* The server's request (in the scratch document) becomes the answer to the client's, whose own request waits
 * here. False: it cannot be asked; nothing was done. */
bool agw_mcp_ask(struct agw_mcp_crossing *cr, const struct agw_jsonrpc *message);
/* More of the server while the client is not there. */
void agw_mcp_parked_frame(struct agw_mcp_crossing *cr, const struct agw_mcp_frame *f);
/* The request is over; whoever waits for it is told. Fine when it is not parked. */
void agw_mcp_unpark(struct agw_mcp_crossing *cr, int code);
/* Brings the client's answer to where its request waits, and waits for what comes of it. 1. 0: its
 * requestState is none of ours. AGW_ENOMEM. */
int agw_mcp_answer(struct agw_mcp_crossing *cr);
void agw_mcp_answer_drop(struct agw_mcp_crossing *cr); /* it waits no longer; fine at any time */

/* --- park.c: what servers of 2026-07-28 ask clients of old --- */
#define AGW_MCP_ROUND_MAX 8   /* questions of one result: a server asks one or two */
#define AGW_MCP_ROUNDS_MAX 32 /* results in a row that ask: some server may never have enough */

/* The result (in the scratch document) becomes requests to the client; its answers go with the request that
 * is then sent once more. False: it cannot be; nothing was done. */
bool agw_mcp_round_begin(struct agw_mcp_crossing *cr, const struct agw_jsonrpc *message);
/* No call is under way: goes on if all answers are in, or else waits. */
void agw_mcp_round_go_on(struct agw_mcp_crossing *cr);
void agw_mcp_round_drop(struct agw_mcp_crossing *cr); /* fine at any time */
/* Brings a client's response to who asked, if it is one of ours. AGW_ENOMEM. */
int agw_mcp_round_answer(struct agw_mcp_crossing *cr);
#endif
