/* Inside lib/mcp/transport: links, for transports where a session is one long-lived stream of messages in
 * both directions (HTTP+SSE, a process's pipes) and answers find their requests by id alone.
 *
 *     call on any worker --- letter ---> link on its owner: send, or open
 *          (remote.c)    <-- reply ----  (link.c)           what came back, for whom
 *
 * A link belongs to the worker on which its session began. Its name is the session id that callers are given:
 * mark of the process, worker, key, and random bytes, in the form of a UUID. Ownership: a letter is the
 * owner's from when it is sent; it lives until it is neither waiting for an answer nor in the hands of the
 * link's transport. Threads: each function on the thread that its name's side says. */
#ifndef AGW_MCP_LINK_H
#define AGW_MCP_LINK_H

#include "base/list.h"
#include "config/snapshot.h"
#include "json/tape.h"
#include "mcp/transport/hub.h"
#include "mcp/transport/slots.h"
#include "mcp/transport/transport_int.h"

#define AGW_MCP_LINKS_MAX 4096 /* a worker: each holds a connection or a process */
#define AGW_MCP_LINK_WAITING_MAX                                                                             \
    256 /* requests of one session under way: more than a model asks for at once */
#define AGW_MCP_LINK_IDLE_MS 1800000 /* unused for so long: its client is gone without a word */
/* What a server says while nobody listens is kept for the next who does, the oldest goes first. A client is
 * between two GETs for a moment only. */
#define AGW_MCP_LINK_KEPT_MAX 64
#define AGW_MCP_LINK_KEPT_BYTES (256u << 10)

#define AGW_MCP_LINK_NAME_SIZE 36
void agw_mcp_link_name_write(const struct agw_mcp_link_name *n, char out[AGW_MCP_LINK_NAME_SIZE]);
/* False: none of ours. */
bool agw_mcp_link_name_read(struct agw_str text, struct agw_mcp_link_name *ret_name);

/* An id or a progress token: JSON, and what a string says unescaped. */
struct agw_mcp_tag {
    struct agw_str json, text; /* json empty: none. text.p NULL: no string */
};
/* Reads the value |token| of |doc| (0: none). AGW_ENOMEM. */
int agw_mcp_tag_read(const struct agw_json_doc *doc, uint32_t token, struct agw_arena *arena,
                     struct agw_mcp_tag *ret_tag);
bool agw_mcp_tag_is(const struct agw_mcp_tag *tag, const struct agw_json_doc *doc, uint32_t token);

enum agw_mcp_letter_kind { AGW_MCP_LETTER_SEND, AGW_MCP_LETTER_LISTEN, AGW_MCP_LETTER_END };

struct agw_mcp_reply;
struct agw_mcp_link;

struct agw_mcp_letter {
    struct agw_mcp_mail mail; /* first */
    enum agw_mcp_letter_kind kind;
    struct agw_mcp_link_name to;
    unsigned from;          /* worker */
    struct agw_mcp_key key; /* of the call there */
    struct agw_arena arena;
    struct agw_msg head;    /* HTTP alone: what the request carries besides */
    struct agw_block *body; /* nobody else holds it. NULL: none */
    struct agw_mcp_tag id;  /* a request's */
    struct agw_mcp_tag token;
    bool opening;               /* begins the session: `initialize` */
    bool once;                  /* as in the call */
    struct agw_mcp_reply *last; /* made beforehand: that it has ended can always be told */
    /* the owner's */
    struct agw_mcp_link *link;
    struct agw_list waiting; /* in the link's list, until it has had its last reply */
    bool busy;               /* the transport holds it */
    bool headed;             /* its POST was answered */
    bool paused;
    struct agw_list out; /* the transport's use */
    struct agw_stream *stream;
    size_t read;
    uint8_t tries;
};

struct agw_mcp_link_ops {
    /* Takes the letter: sets |busy| as long as it holds it, tells by agw_mcp_link_sent. */
    void (*send)(struct agw_mcp_link *l, struct agw_mcp_letter *m);
    void (*pause)(struct agw_mcp_link *l, bool paused);
    /* Ends what it has outside, lets go of all letters (agw_mcp_letter_release), frees itself. */
    void (*close)(struct agw_mcp_link *l);
};

struct agw_mcp_link {
    const struct agw_mcp_link_ops *ops;
    struct agw_mcp_transports *transports;
    struct agw_mcp_link_name name;
    struct agw_snapshot *snap; /* pinned; NULL in tests */
    struct agw_list node;
    struct agw_list waiting;
    unsigned waiting_count;
    struct agw_mcp_letter *listener; /* also among |waiting| */
    struct agw_list kept;            /* struct agw_mcp_reply: nobody was there for them */
    unsigned kept_count;
    size_t kept_bytes;
    unsigned paused; /* letters that are */
    struct agw_timer idle;
    uint64_t used_ms;
    struct agw_task reap;
    bool opened, broken;
};

/* --- the caller's side: remote.c --- */
extern const struct agw_mcp_transport agw_mcp_remote;

enum agw_mcp_reply_kind {
    AGW_MCP_REPLY_ACCEPTED, /* |status|: no body, no more */
    AGW_MCP_REPLY_LISTENS,  /* messages follow */
    AGW_MCP_REPLY_MESSAGE,  /* |final|: the answer */
    AGW_MCP_REPLY_ENDED,    /* |status| (an HTTP error) or |code| */
};

struct agw_mcp_reply {
    struct agw_mcp_mail mail; /* first */
    struct agw_mcp_key key;
    enum agw_mcp_reply_kind kind;
    int status, code;
    bool final, opened;
    struct agw_mcp_link_name name; /* with |opened| */
    struct agw_block *block;
    struct agw_list node; /* while kept */
};

void agw_mcp_reply_deliver(struct agw_mcp_transports *t, struct agw_mcp_mail *m);
void agw_mcp_letter_free(struct agw_mcp_letter *m);

/* --- the owner's side: link.c --- */
/* A letter has come; a call that gives up or (un)pauses says so with a note. */
void agw_mcp_letter_deliver(struct agw_mcp_transports *t, struct agw_mcp_mail *m);
enum agw_mcp_note_kind { AGW_MCP_NOTE_CANCEL, AGW_MCP_NOTE_PAUSE, AGW_MCP_NOTE_RESUME };
struct agw_mcp_note {
    struct agw_mcp_mail mail; /* first */
    enum agw_mcp_note_kind kind;
    struct agw_mcp_link_name to;
    unsigned from;
    struct agw_mcp_key key;
};
void agw_mcp_note_deliver(struct agw_mcp_transports *t, struct agw_mcp_mail *m);

/* Gives a zeroed link its name and place. |snap| is pinned until the link is closed. AGW_ENOMEM, AGW_ELIMIT.
 */
int agw_mcp_link_init(struct agw_mcp_link *l, const struct agw_mcp_link_ops *ops,
                      struct agw_mcp_transports *t, struct agw_snapshot *snap);
/* NULL: no such link here, or no more. */
struct agw_mcp_link *agw_mcp_link_find(struct agw_mcp_transports *t, const struct agw_mcp_link_name *name);
/* A message of the server: |block| (taken) holds it all. */
void agw_mcp_link_message(struct agw_mcp_link *l, struct agw_block *block);
/* What became of sending |m|: |status| of an HTTP answer (or 202), or |code| if there was none. */
void agw_mcp_link_sent(struct agw_mcp_link *l, struct agw_mcp_letter *m, int status, int code);
/* The stream is over: all who wait hear |status| (an HTTP error; 0: none) or |code|; |l| goes at the end of
 * the turn. */
void agw_mcp_link_broken(struct agw_mcp_link *l, int status, int code);
/* The transport is done with |m|. */
void agw_mcp_letter_release(struct agw_mcp_letter *m);
/* Closes all, without a word to anybody. */
void agw_mcp_links_close(struct agw_mcp_transports *t);

/* --- transports --- */
/* Begins a link of the call's target on this worker; its name is in |*ret_name|. */
int agw_mcp_sse_open(struct agw_mcp_call *c, struct agw_mcp_letter *m, struct agw_mcp_link_name *ret_name);
int agw_mcp_stdio_open(struct agw_mcp_call *c, struct agw_mcp_link_name *ret_name);

#endif
