/* Inside lib/h2: the session, its streams and how the files divide the work. */
#ifndef AGW_H2_H2_INT_H
#define AGW_H2_H2_INT_H

#include <nghttp2/nghttp2.h>
#include "base/err.h"
#include "base/list.h"
#include "h2/h2.h"

/* Token bucket on the caller's clock. */
struct agw_h2_bucket {
    uint32_t tokens;
    uint64_t filled_ms;
};

struct agw_h2_mem_block {
    struct agw_list node;
};

struct agw_h2_mem {
    struct agw_list blocks;
    bool failed; /* nghttp2 must not be called any more */
};

/* What the client has done to its latest streams: see order.c. Bit 0 stands for |last|, bit 1 for the one
 * before. */
struct agw_h2_order {
    uint64_t opened, ended;
    uint32_t last;          /* the highest stream opened */
    uint32_t left;          /* bytes until the next frame */
    unsigned char head[13]; /* of the frame that is coming in */
    uint8_t head_n;
};

struct agw_h2_trailers; /* a copy of what is to follow the body */

struct agw_h2_stream {
    struct agw_h2 *h;
    struct agw_list open;  /* h->open, or linked through h->spare */
    struct agw_list drain; /* h->drain: on_drain is due */
    int32_t id;
    void *user;              /* NULL: detached */
    struct agw_arena *arena; /* NULL: nobody listens */
    struct agw_msg *msg;     /* being received */
    struct agw_headers *trailers;
    struct agw_chain pending; /* to send */
    struct agw_h2_trailers *out_trailers;
    struct agw_block *small; /* gathers small runs while others are unconsumed */
    size_t unconsumed;       /* body bytes given out and not given back */
    uint32_t list_bytes, fields, cookies;
    uint32_t came, body_left_ms; /* agw_h2_pace: body bytes since the last call; 0: not begun */
    int16_t fault;               /* status for a request that will not reach the user; 0: none */
    const char *fault_reason;
    bool head_done; /* the (final) head was delivered */
    bool remote_end;
    bool submitted;    /* the (final) head went to nghttp2 */
    bool provider;     /* a data provider is attached */
    bool deferred;     /* the data provider waits for agw_h2_body */
    bool local_end;    /* the user ended our direction */
    bool end_sent;     /* END_STREAM left */
    bool high;         /* pending went above AGW_STREAM_HIGH */
    bool moved;        /* since the last sweep */
    bool has_priority; /* the client signalled one (RFC 9218) */
    bool reset;        /* RST_STREAM was submitted */
    bool peer_reset;   /* RST_STREAM came */
    bool to_head;      /* client: the request was HEAD */
    bool unpaced;
    bool extended; /* extended CONNECT (RFC 8441) */
};

struct agw_h2 {
    nghttp2_session *ng;
    struct agw_h2_mem mem;
    const struct agw_h2_limits *limits;
    const struct agw_h2_events *events;
    struct agw_block_pool *pool;
    void *user;
    struct agw_block *block; /* of the input under way */
    struct agw_chain *out;   /* of the output under way */
    struct agw_block *tail;  /* of the output under way: takes frame heads and small bodies */
    size_t out_max;
    struct agw_list open, drain, spare;
    struct agw_h2_stream *section; /* whose field section is coming in */
    unsigned count, spare_count;
    int error; /* why the connection must end; 0 while it lives */
    uint64_t now_ms, section_ms;
    struct agw_h2_bucket resets, control;
    struct agw_h2_order order; /* server */
    bool settings_in;          /* the peer's first SETTINGS came */
    bool server, goaway_in, shutting, final_goaway;
};

/* --- session.c --- */
struct agw_h2_stream *agw_h2_stream_new(struct agw_h2 *h); /* NULL: out of memory */
void agw_h2_stream_free(struct agw_h2_stream *st);
/* Tells the user that the stream is over, once. */
void agw_h2_stream_closed(struct agw_h2_stream *st, int code);
/* Tells the user and sends RST_STREAM. */
void agw_h2_stream_abort(struct agw_h2_stream *st, int code);
/* Ends the connection with |code|; the first reason stays. */
void agw_h2_fail(struct agw_h2 *h, int code);
/* The same with the peer's mistake as an error code of the wire. */
void agw_h2_fail_wire(struct agw_h2 *h, uint32_t error_code);
void agw_h2_final_goaway(struct agw_h2 *h);

/* --- order.c --- */
void agw_h2_order_init(struct agw_h2_order *o);
/* Looks at the frame heads in the next |n| bytes of the connection. Returns how many bytes are in order; if
 * it is not all, *ret_error becomes the error code (of the wire) of the connection, else it is left alone. */
size_t agw_h2_order_check(struct agw_h2_order *o, const unsigned char *p, size_t n, uint32_t *ret_error);

/* --- mem.c --- */
nghttp2_mem agw_h2_mem_init(struct agw_h2_mem *m);
void agw_h2_mem_drop(struct agw_h2_mem *m); /* frees all that nghttp2 has */

/* --- codes.c --- */
int agw_h2_code_from_ng(int ng_error);
int agw_h2_code_from_wire(uint32_t error_code);
uint32_t agw_h2_code_to_wire(int code);

/* --- recv.c --- */
void agw_h2_recv_callbacks(nghttp2_session_callbacks *cb);

/* --- head.c: field sections to the neutral message. Trouble is noted in st->fault. --- */
void agw_h2_fault(struct agw_h2_stream *st, int status, const char *reason);
void agw_h2_section_begin(struct agw_h2_stream *st);
void agw_h2_section_field(struct agw_h2_stream *st, nghttp2_rcbuf *name, nghttp2_rcbuf *value);
/* What needs the whole section; |end|: END_STREAM came with it. */
void agw_h2_request_complete(struct agw_h2_stream *st, bool end);
void agw_h2_response_complete(struct agw_h2_stream *st, bool end);

/* --- send.c --- */
void agw_h2_send_callbacks(nghttp2_session_callbacks *cb);
/* Copies to h->out. AGW_ENOMEM. */
int agw_h2_out_copy(struct agw_h2 *h, const void *p, size_t n);
/* Answers a bad request without its user. */
void agw_h2_answer_fault(struct agw_h2_stream *st);
void agw_h2_send_drop(struct agw_h2_stream *st); /* forgets what was to be sent */

/* --- limits.c --- */
void agw_h2_limits_init(struct agw_h2 *h);
/* False: over the limit, the session was failed. */
bool agw_h2_count_control(struct agw_h2 *h);
bool agw_h2_count_reset(struct agw_h2 *h);
/* A DATA frame left: its receiver may answer with WINDOW_UPDATEs. */
void agw_h2_credit_control(struct agw_h2 *h);

#endif
