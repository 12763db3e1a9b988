/* nghttp2's receive callbacks: frames to events. */
#include "h2/h2_int.h"

/* Runs shorter than this are gathered in a block of the stream while earlier bytes are unconsumed: a peer
 * must not make us hold a whole block for each byte it sends. */
#define SMALL_RUN 1024
#define SMALL_BLOCK 4000

static struct agw_h2_stream *stream_of(struct agw_h2 *h, int32_t id)
{
    return nghttp2_session_get_stream_user_data(h->ng, id);
}

/* Counts what costs us work and moves no data. */
static int on_begin_frame(nghttp2_session *ng, const nghttp2_frame_hd *hd, void *user)
{
    struct agw_h2 *h = user;
    (void)ng;
    switch (hd->type) {
    case NGHTTP2_HEADERS:
    case NGHTTP2_CONTINUATION: /* nghttp2 bounds their number */
    case NGHTTP2_GOAWAY:
        break;
    case NGHTTP2_DATA:
        if (hd->length == 0 && !(hd->flags & NGHTTP2_FLAG_END_STREAM))
            agw_h2_count_control(h);
        break;
    case NGHTTP2_RST_STREAM:
        if (h->server)
            agw_h2_count_reset(h);
        break;
    default:
        agw_h2_count_control(h);
        break;
    }
    return 0;
}

static void refuse(struct agw_h2 *h, struct agw_h2_stream *st, int32_t id)
{
    if (st) {
        agw_h2_reset(st, AGW_EREFUSED);
        return;
    }
    if (h->mem.failed || nghttp2_submit_rst_stream(h->ng, NGHTTP2_FLAG_NONE, id, NGHTTP2_REFUSED_STREAM))
        agw_h2_fail(h, AGW_ENOMEM);
}

static struct agw_h2_stream *begin_request(struct agw_h2 *h, int32_t id)
{
    struct agw_h2_stream *st = agw_h2_stream_new(h);
    if (!st) {
        refuse(h, NULL, id);
        return NULL;
    }
    st->id = id;
    nghttp2_session_set_stream_user_data(h->ng, id, st);
    void *user = NULL;
    st->arena = h->events->on_stream(h, st, &user);
    st->user = user;
    if (!st->arena) {
        st->user = NULL;
        refuse(h, st, id);
    }
    return st;
}

static int on_begin_headers(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
    struct agw_h2 *h = user;
    struct agw_h2_stream *st = stream_of(h, frame->hd.stream_id);
    (void)ng;
    if (h->error)
        return 0;
    if (h->server && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
        st = begin_request(h, frame->hd.stream_id);
    h->section = st;
    if (st) {
        st->moved = true;
        h->section_ms = h->now_ms;
        agw_h2_section_begin(st);
    }
    return 0;
}

static int on_header(nghttp2_session *ng, const nghttp2_frame *frame, nghttp2_rcbuf *name,
                     nghttp2_rcbuf *value, uint8_t flags, void *user)
{
    struct agw_h2 *h = user;
    (void)ng;
    (void)frame;
    (void)flags;
    if (h->section && h->section->user && !h->error)
        agw_h2_section_field(h->section, name, value);
    return 0;
}

/* nghttp2 would skip a field with a bad name or value; we refuse the message. */
static int on_invalid_header(nghttp2_session *ng, const nghttp2_frame *frame, nghttp2_rcbuf *name,
                             nghttp2_rcbuf *value, uint8_t flags, void *user)
{
    struct agw_h2 *h = user;
    (void)ng;
    (void)frame;
    (void)name;
    (void)value;
    (void)flags;
    if (h->section)
        agw_h2_fault(h->section, 400, "bad field name or value");
    return 0;
}

static int code_of_fault(int fault)
{
    return fault == 431 ? AGW_ELIMIT : fault == 503 ? AGW_ENOMEM : AGW_EPROTO;
}

static void request_done(struct agw_h2_stream *st, bool end)
{
    struct agw_h2 *h = st->h;
    st->remote_end = end;
    if (!st->fault)
        agw_h2_request_complete(st, end);
    if (st->fault) {
        agw_h2_answer_fault(st);
        if (h->events->on_refused)
            h->events->on_refused(h, st->fault, st->fault_reason);
        agw_h2_stream_closed(st, code_of_fault(st->fault));
        return;
    }
    st->head_done = true;
    h->events->on_head(h, st->user, st->msg, end);
}

static void response_done(struct agw_h2_stream *st, bool end)
{
    struct agw_h2 *h = st->h;
    st->remote_end = end;
    if (!st->fault)
        agw_h2_response_complete(st, end);
    if (st->fault) {
        agw_h2_stream_abort(st, code_of_fault(st->fault));
        return;
    }
    st->head_done = st->msg->status >= 200 || st->msg->status == 101;
    h->events->on_head(h, st->user, st->msg, end);
}

static void section_done(struct agw_h2_stream *st, bool end)
{
    struct agw_h2 *h = st->h;
    if (!st->user) {
        st->remote_end = st->remote_end || end;
        return;
    }
    if (!st->head_done) {
        if (h->server)
            request_done(st, end);
        else
            response_done(st, end);
        return;
    }
    st->remote_end = true; /* nghttp2 lets no trailers pass without END_STREAM */
    if (st->fault)
        agw_h2_stream_abort(st, code_of_fault(st->fault));
    else
        h->events->on_end(h, st->user, st->trailers && st->trailers->n ? st->trailers : NULL);
}

static void data_done(struct agw_h2 *h, const nghttp2_frame *frame)
{
    bool end = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    if (!end) {
        if (frame->hd.length > 0 && frame->hd.length <= frame->data.padlen)
            agw_h2_count_control(h);
        return;
    }
    struct agw_h2_stream *st = stream_of(h, frame->hd.stream_id);
    if (!st || st->remote_end)
        return;
    st->remote_end = true;
    if (st->user)
        h->events->on_end(h, st->user, NULL);
}

static int on_frame(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
    struct agw_h2 *h = user;
    struct agw_h2_stream *st;
    (void)ng;
    if (h->error)
        return 0;
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        st = h->section;
        h->section = NULL;
        if (st)
            section_done(st, frame->hd.flags & NGHTTP2_FLAG_END_STREAM);
        break;
    case NGHTTP2_DATA:
        data_done(h, frame);
        break;
    case NGHTTP2_RST_STREAM:
        st = stream_of(h, frame->hd.stream_id);
        if (st)
            st->peer_reset = true;
        break;
    case NGHTTP2_PING:
        if (frame->hd.flags & NGHTTP2_FLAG_ACK)
            agw_h2_final_goaway(h);
        break;
    case NGHTTP2_SETTINGS:
        h->settings_in |= !(frame->hd.flags & NGHTTP2_FLAG_ACK);
        if (h->events->on_settings && !(frame->hd.flags & NGHTTP2_FLAG_ACK))
            h->events->on_settings(h);
        break;
    case NGHTTP2_GOAWAY:
        h->goaway_in = true;
        h->events->on_goaway(h);
        break;
    default:
        break;
    }
    return 0;
}

/* Copies a small run behind those gathered before. NULL: out of memory. */
static const unsigned char *gather(struct agw_h2_stream *st, const unsigned char *p, size_t n)
{
    struct agw_block *b = st->small;
    if (!b || b->cap - b->len < n) {
        agw_block_unref(b);
        b = st->small = agw_block_new(SMALL_BLOCK);
    }
    if (!b)
        return NULL;
    unsigned char *at = b->data + b->len;
    memcpy(at, p, n);
    b->len += (uint32_t)n;
    return at;
}

static int on_data(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *p, size_t n, void *user)
{
    struct agw_h2 *h = user;
    struct agw_h2_stream *st = stream_of(h, id);
    struct agw_block *block = h->block;
    (void)flags;
    if (!st || !st->user || h->error) {
        nghttp2_session_consume_connection(ng, n);
        return 0;
    }
    bool small = n < SMALL_RUN && st->unconsumed > 0;
    st->unconsumed += n;
    st->came += (uint32_t)n;
    if (small) {
        p = gather(st, p, n);
        block = st->small;
        if (!p) {
            agw_h2_stream_abort(st, AGW_ENOMEM);
            return 0;
        }
    }
    h->events->on_body(h, st->user, block, p, n);
    return 0;
}

static int close_code(const struct agw_h2_stream *st, uint32_t wire)
{
    if (wire != NGHTTP2_NO_ERROR)
        return agw_h2_code_from_wire(wire);
    /* A server may cut the request's rest short with NO_ERROR once it has answered in full. */
    return st->remote_end && (st->end_sent || !st->h->server) ? 0 : AGW_ERESET;
}

static int on_stream_close(nghttp2_session *ng, int32_t id, uint32_t wire, void *user)
{
    struct agw_h2 *h = user;
    struct agw_h2_stream *st = stream_of(h, id);
    (void)ng;
    if (!st)
        return 0;
    /* Resets that the peer's errors made nghttp2 send cost as much as its own. */
    if (h->server && wire != NGHTTP2_NO_ERROR && !st->reset && !st->peer_reset)
        agw_h2_count_reset(h);
    agw_h2_stream_closed(st, close_code(st, wire));
    agw_h2_stream_free(st);
    return 0;
}

void agw_h2_recv_callbacks(nghttp2_session_callbacks *cb)
{
    nghttp2_session_callbacks_set_on_begin_frame_callback(cb, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback2(cb, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback2(cb, on_invalid_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
}
