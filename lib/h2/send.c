/* Messages to frames: field sections for nghttp2, bodies through a data provider that hands slices on without
 * copying. */
#include "h2/h2_int.h"

#include <stdio.h>
#include <stdlib.h>
#include "http/stream.h"

/* DATA up to this size is copied behind its frame header: cheaper than another iovec entry and a block held
 * longer. */
#define COPY_MAX 1200
/* A response known to be shorter goes out in one frame and needs no fair share. */
#define ONE_FRAME 16384
#define FRAME_HEAD 9

/* --- field sections --- */

#define NV_INLINE 48

struct nv_list {
    nghttp2_nv *v;
    size_t n;
    nghttp2_nv in[NV_INLINE];
    char length[24], status[4];
};

static int nv_init(struct nv_list *l, size_t fields)
{
    /* Pseudo fields, content-length, te and expect besides. */
    size_t most = fields + 8;
    l->n = 0;
    l->v = most <= NV_INLINE ? l->in : malloc(most * sizeof(*l->v));
    return l->v ? 0 : AGW_ENOMEM;
}

static void nv_free(struct nv_list *l)
{
    if (l->v != l->in)
        free(l->v);
}

/* nghttp2 copies what is not static: the message's arena may go before the frame does. */
static void nv_add(struct nv_list *l, struct agw_str name, struct agw_str value, bool static_name)
{
    l->v[l->n++] = (nghttp2_nv){
        .name = (uint8_t *)name.p,
        .value = (uint8_t *)value.p,
        .namelen = name.n,
        .valuelen = value.n,
        .flags = static_name ? NGHTTP2_NV_FLAG_NO_COPY_NAME : NGHTTP2_NV_FLAG_NONE,
    };
}

/* RFC 9113 section 8.2.2, and fields that stand in the message itself. */
static bool not_sent(enum agw_hdr id)
{
    switch (id) {
    case AGW_HDR_CONNECTION:
    case AGW_HDR_KEEP_ALIVE:
    case AGW_HDR_PROXY_CONNECTION:
    case AGW_HDR_TRANSFER_ENCODING:
    case AGW_HDR_UPGRADE:
    case AGW_HDR_TE:
    case AGW_HDR_CONTENT_LENGTH:
        return true;
    default:
        return false;
    }
}

/* RFC 8441 section 5: extended CONNECT does without them. */
static bool is_handshake(const struct agw_header *f)
{
    return agw_str_eq(f->name, AGW_STR("sec-websocket-key")) ||
           agw_str_eq(f->name, AGW_STR("sec-websocket-accept"));
}

static void nv_fields(struct nv_list *l, const struct agw_headers *h, bool request, bool extended)
{
    for (uint32_t i = 0; i < h->n; i++) {
        const struct agw_header *f = &h->v[i];
        if (not_sent(f->id) || (request && f->id == AGW_HDR_HOST) || (extended && is_handshake(f)))
            continue;
        bool known = f->id != AGW_HDR_OTHER;
        nv_add(l, known ? agw_hdr_name(f->id) : f->name, f->value, known);
    }
}

static void nv_length(struct nv_list *l, int64_t length)
{
    int n = snprintf(l->length, sizeof(l->length), "%lld", (long long)length);
    nv_add(l, AGW_STR("content-length"), agw_str(l->length, (size_t)n), true);
}

/* RFC 9110 section 8.6: a length of 0 is said where content is usual. */
static bool says_length(const struct agw_msg *m)
{
    switch (m->method) {
    case AGW_METHOD_CONNECT:
        return false;
    case AGW_METHOD_POST:
    case AGW_METHOD_PUT:
    case AGW_METHOD_PATCH:
        return m->length >= 0;
    default:
        return m->length > 0;
    }
}

static void nv_pseudo(struct nv_list *l, const struct agw_msg *m)
{
    bool tunnel = m->method == AGW_METHOD_CONNECT && m->upgrade.n == 0;
    bool known = m->method != AGW_METHOD_OTHER;
    bool extended = m->upgrade.n > 0;
    if (extended)
        nv_add(l, AGW_STR(":method"), agw_method_name(AGW_METHOD_CONNECT), true);
    else
        nv_add(l, AGW_STR(":method"), known ? agw_method_name(m->method) : m->method_text, true);
    if (tunnel) {
        nv_add(l, AGW_STR(":authority"), m->path, true);
        return;
    }
    if (extended)
        nv_add(l, AGW_STR(":protocol"), m->upgrade, true);
    nv_add(l, AGW_STR(":scheme"), m->scheme.n ? m->scheme : AGW_STR("http"), true);
    nv_add(l, AGW_STR(":path"), m->path, true);
    nv_add(l, AGW_STR(":authority"), m->authority, true);
}

static void nv_request(struct nv_list *l, const struct agw_msg *m, bool end)
{
    nv_pseudo(l, m);
    nv_fields(l, &m->headers, true, m->upgrade.n > 0);
    if (m->te_trailers)
        nv_add(l, AGW_STR("te"), AGW_STR("trailers"), true);
    if (m->expect_continue && !end)
        nv_add(l, AGW_STR("expect"), AGW_STR("100-continue"), true);
    if (says_length(m))
        nv_length(l, m->length);
}

static void nv_response(struct nv_list *l, const struct agw_msg *m)
{
    unsigned s = m->status == 101 ? 200 : (unsigned)m->status;
    l->status[0] = (char)('0' + s / 100);
    l->status[1] = (char)('0' + s / 10 % 10);
    l->status[2] = (char)('0' + s % 10);
    nv_add(l, AGW_STR(":status"), agw_str(l->status, 3), true);
    nv_fields(l, &m->headers, false, m->status == 101);
    if (m->length >= 0 && m->status >= 200 && m->status != 204)
        nv_length(l, m->length);
}

/* --- trailers that wait for the body --- */

struct agw_h2_trailers {
    size_t n;
    nghttp2_nv v[];
};

static bool any_trailers(const struct agw_headers *h)
{
    for (uint32_t i = 0; h && i < h->n; i++)
        if (agw_hdr_in_trailers(h->v[i].id))
            return true;
    return false;
}

static struct agw_h2_trailers *trailers_copy(const struct agw_headers *h)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < h->n; i++)
        bytes += h->v[i].name.n + h->v[i].value.n;
    struct agw_h2_trailers *t = malloc(sizeof(*t) + h->n * sizeof(t->v[0]) + bytes);
    if (!t)
        return NULL;
    t->n = 0;
    uint8_t *text = (uint8_t *)(t->v + h->n);
    for (uint32_t i = 0; i < h->n; i++) {
        const struct agw_header *f = &h->v[i];
        if (!agw_hdr_in_trailers(f->id))
            continue;
        t->v[t->n++] = (nghttp2_nv){text, text + f->name.n, f->name.n, f->value.n, NGHTTP2_NV_FLAG_NONE};
        memcpy(text, f->name.p, f->name.n);
        if (f->value.n)
            memcpy(text + f->name.n, f->value.p, f->value.n);
        text += f->name.n + f->value.n;
    }
    return t;
}

void agw_h2_send_drop(struct agw_h2_stream *st)
{
    agw_chain_clear(&st->pending);
    free(st->out_trailers);
    st->out_trailers = NULL;
}

/* --- DATA --- */

static ssize_t read_body(nghttp2_session *ng, int32_t id, uint8_t *buf, size_t most, uint32_t *flags,
                         nghttp2_data_source *source, void *user)
{
    struct agw_h2_stream *st = source->ptr;
    size_t n = st->pending.bytes < most ? st->pending.bytes : most;
    (void)buf;
    (void)user;
    if (n == 0 && !st->local_end) {
        st->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (!st->local_end || n < st->pending.bytes)
        return (ssize_t)n;
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (st->out_trailers) {
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        if (nghttp2_submit_trailer(ng, id, st->out_trailers->v, st->out_trailers->n))
            return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    return (ssize_t)n;
}

/* Small pieces share a block of their own, so that they join to one slice and never ask for a block each. */
int agw_h2_out_copy(struct agw_h2 *h, const void *p, size_t n)
{
    const unsigned char *from = p;
    while (n > 0) {
        struct agw_block *b = h->tail;
        if (!b || b->len == b->cap) {
            agw_block_unref(b);
            b = h->tail = agw_block_get(h->pool);
        }
        if (!b)
            return AGW_ENOMEM;
        size_t part = b->cap - b->len < n ? b->cap - b->len : n;
        memcpy(b->data + b->len, from, part);
        int rc = agw_chain_add(h->out, b, b->data + b->len, part);
        if (rc)
            return rc;
        b->len += (uint32_t)part;
        from += part;
        n -= part;
    }
    return 0;
}

static int copy_body(struct agw_h2 *h, struct agw_chain *from, size_t n)
{
    size_t left = n;
    for (uint32_t i = 0; left > 0; i++) {
        const struct agw_slice *s = agw_chain_at(from, i);
        size_t part = s->n < left ? s->n : left;
        int rc = agw_h2_out_copy(h, s->p, part);
        if (rc)
            return rc;
        left -= part;
    }
    agw_chain_consume(from, n);
    return 0;
}

static int send_body(nghttp2_session *ng, nghttp2_frame *frame, const uint8_t *head, size_t n,
                     nghttp2_data_source *source, void *user)
{
    struct agw_h2 *h = user;
    struct agw_h2_stream *st = source->ptr;
    (void)ng;
    (void)frame;
    if (h->out->bytes >= h->out_max)
        return NGHTTP2_ERR_WOULDBLOCK;
    int rc = agw_h2_out_copy(h, head, FRAME_HEAD);
    if (rc == 0 && n > 0)
        rc = n <= COPY_MAX ? copy_body(h, &st->pending, n) : agw_chain_move_n(h->out, &st->pending, n);
    if (rc) {
        h->error = rc;
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    st->moved = true;
    agw_h2_credit_control(h);
    if (st->high && st->pending.bytes < AGW_STREAM_LOW) {
        st->high = false;
        if (st->user && agw_list_empty(&st->drain))
            agw_list_push(&h->drain, &st->drain);
    }
    return 0;
}

static int on_sent(nghttp2_session *ng, const nghttp2_frame *frame, void *user)
{
    struct agw_h2 *h = user;
    if (frame->hd.type == NGHTTP2_GOAWAY) {
        if (frame->goaway.error_code != NGHTTP2_NO_ERROR && !h->error)
            h->error = agw_h2_code_from_wire(frame->goaway.error_code);
        return 0;
    }
    bool message = frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS;
    if (!message || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        return 0;
    struct agw_h2_stream *st = nghttp2_session_get_stream_user_data(ng, frame->hd.stream_id);
    if (!st)
        return 0;
    st->end_sent = true;
    if (!st->user && !st->remote_end && h->server)
        agw_h2_reset(st, 0);
    return 0;
}

/* A field section that does not fit, for one: the peer would wait for ever. */
static int on_not_sent(nghttp2_session *ng, const nghttp2_frame *frame, int why, void *user)
{
    (void)user;
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat == NGHTTP2_HCAT_REQUEST)
        return 0;
    struct agw_h2_stream *st = nghttp2_session_get_stream_user_data(ng, frame->hd.stream_id);
    if (st)
        agw_h2_stream_abort(st, why == NGHTTP2_ERR_NOMEM ? AGW_ENOMEM : AGW_EIO);
    return 0;
}

void agw_h2_send_callbacks(nghttp2_session_callbacks *cb)
{
    nghttp2_session_callbacks_set_send_data_callback(cb, send_body);
    nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_sent);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(cb, on_not_sent);
}

/* --- calls --- */

int agw_h2_request(struct agw_h2 *h, const struct agw_msg *msg, bool end, struct agw_arena *arena,
                   void *stream, struct agw_h2_stream **ret_stream)
{
    if (h->error || h->mem.failed)
        return AGW_ECLOSED;
    if (msg->upgrade.n > 0 && agw_h2_takes_upgrades(h) != 1)
        return AGW_EUNSUPPORTED;
    struct nv_list l;
    if (nv_init(&l, msg->headers.n))
        return AGW_ENOMEM;
    int32_t id = NGHTTP2_ERR_NOMEM;
    struct agw_h2_stream *st = agw_h2_stream_new(h);
    if (!st)
        goto out;
    st->arena = arena;
    st->user = stream;
    st->to_head = msg->method == AGW_METHOD_HEAD;
    st->extended = msg->upgrade.n > 0;
    st->submitted = true;
    st->provider = !end;
    st->local_end = end;
    nghttp2_data_provider body = {.source.ptr = st, .read_callback = read_body};
    nv_request(&l, msg, end);
    id = nghttp2_submit_request(h->ng, NULL, l.v, l.n, end ? NULL : &body, st);
    if (id < 0) {
        agw_h2_stream_free(st);
        goto out;
    }
    st->id = id;
    *ret_stream = st;
out:
    nv_free(&l);
    return id < 0 ? agw_h2_code_from_ng(id) : 0;
}

/* RFC 9218 section 10: without a signal from the client, long answers share the connection instead of
 * queueing. */
static void share_bandwidth(struct agw_h2_stream *st, const struct agw_msg *msg)
{
    if (st->has_priority || (msg->length >= 0 && msg->length <= ONE_FRAME))
        return;
    nghttp2_extpri pri = {.urgency = NGHTTP2_EXTPRI_DEFAULT_URGENCY, .inc = 1};
    nghttp2_session_change_extpri_stream_priority(st->h->ng, st->id, &pri, 0);
}

static int submit_response(struct agw_h2_stream *st, struct nv_list *l, bool end)
{
    nghttp2_data_provider body = {.source.ptr = st, .read_callback = read_body};
    if (st->h->mem.failed)
        return AGW_ENOMEM;
    int rv = nghttp2_submit_response(st->h->ng, st->id, l->v, l->n, end ? NULL : &body);
    if (rv)
        return agw_h2_code_from_ng(rv);
    st->submitted = true;
    st->provider = !end;
    st->local_end = end;
    return 0;
}

int agw_h2_respond(struct agw_h2_stream *st, const struct agw_msg *msg, bool end)
{
    struct nv_list l;
    if (st->submitted || st->local_end || st->h->error || st->h->mem.failed)
        return AGW_ECLOSED;
    if (nv_init(&l, msg->headers.n))
        return AGW_ENOMEM;
    int rc;
    nv_response(&l, msg);
    bool interim = msg->status < 200 && !(msg->status == 101 && st->extended);
    if (interim)
        rc = agw_h2_code_from_ng(
            nghttp2_submit_headers(st->h->ng, NGHTTP2_FLAG_NONE, st->id, NULL, l.v, l.n, NULL));
    else
        rc = submit_response(st, &l, end);
    nv_free(&l);
    if (rc == 0 && !end && !interim)
        share_bandwidth(st, msg);
    return rc;
}

void agw_h2_answer_fault(struct agw_h2_stream *st)
{
    struct nv_list l;
    struct agw_msg m;
    agw_msg_init(&m, NULL);
    m.status = st->fault;
    m.length = 0;
    l.n = 0;
    l.v = l.in;
    nv_response(&l, &m);
    if (submit_response(st, &l, true))
        agw_h2_fail(st->h, AGW_ENOMEM);
}

static int resume(struct agw_h2_stream *st)
{
    if (st->h->mem.failed)
        return AGW_ENOMEM;
    if (!st->deferred)
        return 0;
    st->deferred = false;
    return agw_h2_code_from_ng(nghttp2_session_resume_data(st->h->ng, st->id));
}

int agw_h2_body(struct agw_h2_stream *st, struct agw_chain *data)
{
    if (!st->provider || st->local_end) {
        agw_chain_clear(data);
        return AGW_ECLOSED;
    }
    int rc = agw_chain_move(&st->pending, data);
    if (rc) {
        agw_chain_clear(data);
        return rc;
    }
    st->high = st->high || st->pending.bytes > AGW_STREAM_HIGH;
    return st->pending.bytes > 0 ? resume(st) : 0;
}

int agw_h2_end(struct agw_h2_stream *st, const struct agw_headers *trailers)
{
    if (!st->provider || st->local_end)
        return AGW_ECLOSED;
    if (any_trailers(trailers)) {
        st->out_trailers = trailers_copy(trailers);
        if (!st->out_trailers)
            return AGW_ENOMEM;
    }
    st->local_end = true;
    return resume(st);
}

size_t agw_h2_pending(const struct agw_h2_stream *st)
{
    return st->pending.bytes;
}
