/* Server-sent events (text/event-stream, WHATWG HTML section 9.2): bytes in, events out; an event in, bytes
 * out.
 *
 * The reader takes its input in pieces of any size and finds the same events however it is cut.
 * Ownership: the reader owns its buffers (malloc; none while nothing is held back) until agw_sse_free.
 * Threads: one at a time. Errors: AGW_ELIMIT, AGW_ENOMEM; after one the stream cannot be read further. */
#ifndef AGW_HTTP_SSE_H
#define AGW_HTTP_SSE_H

#include "base/buf.h"

/* Limits a peer meets. Reasons stand in sse.c beside the defaults. */
struct agw_sse_limits {
    uint32_t event; /* bytes of one event's data, and of one line */
    uint32_t field; /* bytes of an event's type or id */
};
extern const struct agw_sse_limits agw_sse_default_limits;

struct agw_sse_event {
    struct agw_str type; /* empty: "message" */
    struct agw_str data; /* lines joined by '\n'. To write: p NULL sends no data line */
    struct agw_str id;   /* read: the last id seen in the stream, also by an earlier event */
    bool has_id;         /* this event carries an id line (an empty id resets the reader's last id) */
    bool has_retry;
    uint64_t retry_ms; /* reconnection time, with has_retry */
};

/* Private; freed by agw_sse_free. */
struct agw_sse_text {
    char *p;
    uint32_t n, cap;
};

struct agw_sse {
    const struct agw_sse_limits *limits;
    struct agw_sse_text line; /* the start of a line whose end has not come */
    struct agw_sse_text data, type, id;
    uint64_t retry_ms;
    uint8_t bom; /* bytes of the byte order mark seen; 3 once the stream's start is past */
    bool after_cr, has_data, has_id, has_retry, delivered;
};

enum agw_sse_result { AGW_SSE_MORE, AGW_SSE_EVENT };

/* |limits| NULL: the defaults. Allocates nothing. */
void agw_sse_init(struct agw_sse *s, const struct agw_sse_limits *limits);
void agw_sse_free(struct agw_sse *s);
/* Reads from |n| bytes at |p|. AGW_SSE_EVENT: *ret_event is one event (views until the next call), *ret_used
 * bytes are done with, call again with the rest. AGW_SSE_MORE: all are used up. An event that the stream's
 * end cuts off is dropped, as the standard says. */
int agw_sse_next(struct agw_sse *s, const unsigned char *p, size_t n, size_t *ret_used,
                 struct agw_sse_event *ret_event);

/* Appends the event with its closing empty line. AGW_EINVAL: line ends in |type| or |id|, or NUL in |id|.
 * AGW_ENOMEM may leave a part of the event in |out|. */
int agw_sse_write(struct agw_chain *out, struct agw_block_pool *pool, const struct agw_sse_event *event);
/* Appends a comment line, to keep a silent stream alive. AGW_EINVAL: line ends in |text|. */
int agw_sse_write_comment(struct agw_chain *out, struct agw_block_pool *pool, struct agw_str text);

#endif
