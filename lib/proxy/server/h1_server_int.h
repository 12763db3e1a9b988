/* Inside lib/proxy: the HTTP/1.1 server's connection and stream, shared by h1_server.c and
 * h1_server_stream.c. */
#ifndef AGW_PROXY_SERVER_H1_SERVER_INT_H
#define AGW_PROXY_SERVER_H1_SERVER_INT_H

#include "h1/h1.h"
#include "net/input.h"
#include "net/output.h"
#include "proxy/server/h1_server.h"

struct agw_h1_server;

struct agw_h1_server_stream {
    struct agw_stream s;
    struct agw_h1_server *h;
    struct agw_arena arena;
    struct agw_msg msg;
    struct agw_h1_body body;
    enum agw_h1_framing out_framing;
    size_t unread;         /* body bytes given to the owner and not consumed */
    uint64_t paced_ms;     /* until when |body_left_ms| was counted; 0: its time does not run */
    uint32_t body_left_ms; /* that the body may still be late */
    size_t came;           /* body bytes that were not counted yet */
    bool req_done;         /* the request is read to its end */
    bool head_sent;        /* the final response head is written */
    bool resp_done;        /* the response is written to its end */
    bool keep_alive;
    bool upgrading; /* asked for an upgrade and not yet answered: the bytes behind the head wait */
    bool asks;      /* the client waits for a 100 before it sends the body */
    bool tunnel;    /* 101 was sent: bytes both ways until the end */
    bool detached;  /* nobody listens any more */
};

struct agw_h1_server {
    struct agw_server_conn *c;
    struct agw_h1_server_stream *stream; /* NULL: between requests */
    struct agw_input in;
    struct agw_output out;
    struct agw_h1_head head;
    struct agw_task step;   /* goes on with the input, or ends the stream, outside the owner's calls */
    uint64_t deadline_ms;   /* 0: none; the timer may fire earlier and looks again */
    uint64_t sent_mark;     /* out.sent when the stall deadline was set */
    unsigned depth;         /* callbacks under way: the state lives until they return */
    int broken;             /* the code with which the stream is to end, set by ops */
    bool paused;            /* the owner does not consume */
    bool high;              /* pending() went above AGW_STREAM_HIGH */
    bool last;              /* no request after this one */
    bool in_head;           /* a part of a head is here, and its deadline runs */
    uint64_t linger_end_ms; /* lingering ends then at the latest */
    bool lingering;         /* all is answered; reading and dropping until the peer closes */
    bool closed;
};

extern const struct agw_stream_ops agw_h1_server_stream_ops;

/* A new stream with an empty arena, or NULL. */
struct agw_h1_server_stream *agw_h1_server_stream_new(struct agw_h1_server *h);
void agw_h1_server_stream_free(struct agw_h1_server_stream *st);
/* Ends the stream towards its owner, who may be gone already. */
void agw_h1_server_stream_close(struct agw_h1_server_stream *st, int code);

#endif
