/* Inside lib/client: pools, the streams they hand out and the connections that carry them. */
#ifndef AGW_CLIENT_CLIENT_INT_H
#define AGW_CLIENT_CLIENT_INT_H

#include "base/map.h"
#include "client/client.h"
#include "net/input.h"
#include "net/output.h"

/* Interim responses before the final one: a peer that sends them without end holds the exchange. */
#define AGW_INTERIM_MAX 16

struct agw_pool;
struct agw_h1_conn;
struct agw_h2_conn;
struct agw_h2_stream;

/* A request. Until a connection is there, writes are kept here (ops = the waiting ones);
 * agw_client_stream_attach then hands them to the connection's own ops, which a transport sets in s.ops
 * before calling it. */
struct agw_client_stream {
    struct agw_stream s; /* what the owner sees */
    struct agw_client *client;
    struct agw_pool *pool;
    struct agw_list node; /* pool->waiting, the connection's list of streams, or client->dying */
    /* kept while waiting */
    const struct agw_msg *head;
    const struct agw_headers *trailers;
    struct agw_chain body;
    bool head_end, ended;
    /* while attached: exactly one is set */
    struct agw_h1_conn *h1;
    struct agw_h2_conn *h2;
    struct agw_h2_stream *h2_stream; /* NULL before the head was submitted */
    bool h2_answered;                /* a head came */
    unsigned h2_interim;             /* heads of interim responses so far */
    const struct agw_msg *upgrade;   /* waits to hear whether the peer takes upgrades */
    enum agw_method method;
    bool reused;
    bool unsent; /* until it has a connection; then said by h1_conn when it closes */
    bool silent; /* said with the end: its connection was lost before a byte of the answer */
    struct agw_addr peer;
    struct agw_task closing; /* delivers on_close(close_code), then frees */
    int close_code;
};

struct agw_pool {
    struct agw_client *client;
    struct agw_endpoint to;     /* own copy, key included */
    struct agw_endpoint tunnel; /* the same, where to.tunnel points */
    struct agw_list all;        /* client->pools */
    struct agw_list dynamic;    /* client->dynamic, or alone */
    struct agw_list idle;       /* h1, most recently used first */
    struct agw_list busy;       /* h1 */
    struct agw_list h2;         /* h2 connections that take streams */
    struct agw_list waiting;    /* agw_client_stream */
    struct agw_list dials;      /* client/dial.h */
    uint32_t idle_count, open, dialing, waiting_count;
    uint32_t streams; /* that exist: waiting, on a connection, or about to hear of their end */
    uint64_t used_ms;
    struct agw_tls_sessions sessions; /* outlive the pool's connections */
};

struct agw_client {
    struct agw_loop *loop;
    struct agw_dns *dns;
    const struct agw_client_limits *limits;
    struct agw_client_stats stats;
    struct agw_map pools; /* key -> agw_pool */
    struct agw_list all;
    struct agw_list dynamic; /* pools of dynamic endpoints, least recently used first */
    uint32_t dynamic_count;
    struct agw_list dying;           /* streams whose on_close is due */
    struct agw_list tunnels;         /* connections through streams, the lingering ones too */
    struct agw_timer tick;           /* closes idle connections and unused pools */
    struct agw_client_stream *spare; /* free list by s.owner */
};

/* --- stream.c --- */
struct agw_client_stream *
agw_client_stream_new(struct agw_pool *pool);          /* waiting, in no list; NULL: no memory */
void agw_client_stream_drop_all(struct agw_client *c); /* the dying, without an event, and the spare ones */
/* Replays what was kept to s.ops; the transport has set s.ops and its pointer. */
void agw_client_stream_attach(struct agw_client_stream *cs);
/* Ends the stream with on_close(code) from a deferred task. The transport has forgotten it. */
void agw_client_stream_fail(struct agw_client_stream *cs, int code);
/* Tells the owner at once (from within an event), then frees. */
void agw_client_stream_close(struct agw_client_stream *cs, int code);
/* Frees without an event: after reset and detach. */
void agw_client_stream_free(struct agw_client_stream *cs);

/* --- pool.c --- */
void agw_pool_serve(struct agw_pool *p); /* gives waiting streams connections, dials more if allowed */
bool agw_pool_attach(struct agw_pool *p, struct agw_client_stream *cs); /* false: no connection is free now */
void agw_pool_close(struct agw_pool *p); /* ends all connections; streams are freed without events */
void agw_pool_free(struct agw_pool *p);
void agw_pool_trim(struct agw_pool *p, uint64_t now_ms);
bool agw_pool_unused(const struct agw_pool *p);
void agw_pool_count_waiting(struct agw_pool *p, int by);

/* --- tunnel.c --- */
/* What lingers of connections that are closed. */
void agw_client_tunnels_end(struct agw_client *c);

/* --- h1_conn.c --- */
/* Takes over |conn| (ready, allocated by malloc). NULL: out of memory, |conn| is closed and freed. */
struct agw_h1_conn *agw_h1_conn_new(struct agw_pool *pool, struct agw_conn *conn);
void agw_h1_conn_attach(struct agw_h1_conn *h, struct agw_client_stream *cs);
void agw_h1_conn_close(struct agw_h1_conn *h); /* closes and frees; a stream on it fails */
/* True when the connection carries no stream and its time is over. */
bool agw_h1_conn_expired(const struct agw_h1_conn *h, uint64_t now_ms);
struct agw_h1_conn *agw_h1_conn_of(struct agw_list *node);

/* --- h2_conn.c --- */
/* Takes over |conn| (ready, allocated by malloc); starts the HTTP/2 session. Links itself into pool->h2;
 * after GOAWAY it stays there without room until its streams are over. When it dies it fails its streams,
 * lowers pool->open, frees itself and calls agw_pool_serve. NULL: out of memory, |conn| is closed and freed.
 */
struct agw_h2_conn *agw_h2_conn_new(struct agw_pool *pool, struct agw_conn *conn);
unsigned agw_h2_conn_room(const struct agw_h2_conn *h); /* streams it could still take */
void agw_h2_conn_attach(struct agw_h2_conn *h, struct agw_client_stream *cs);
void agw_h2_conn_close(struct agw_h2_conn *h); /* closes and frees, its streams without an event */
bool agw_h2_conn_idle(const struct agw_h2_conn *h, uint64_t *ret_since_ms); /* no stream open */
/* False: how many streams the peer takes is to be known first, and is not yet. */
bool agw_h2_conn_settled(const struct agw_h2_conn *h);
bool agw_h2_conn_retired(const struct agw_h2_conn *h); /* too old, or has served enough: takes no stream */
struct agw_h2_conn *agw_h2_conn_of(struct agw_list *node);

#endif
