#include "h2/h2_int.h"

#include <stdlib.h>

/* Stream records kept for reuse: a busy connection's usual concurrency. */
#define SPARE_MAX 64
/* Most bytes of a field section we send: what we accept, and what policies add to it. */
#define SEND_SECTION_MAX (256 * 1024)
/* SETTINGS and PING answers that may wait to be sent; the control limit is met before. */
#define ACKS_MAX 1024

/* --- streams --- */

struct agw_h2_stream *agw_h2_stream_new(struct agw_h2 *h)
{
    struct agw_list *node = agw_list_pop(&h->spare);
    struct agw_h2_stream *st;
    if (node) {
        st = agw_list_entry(node, struct agw_h2_stream, open);
        h->spare_count--;
    } else {
        st = malloc(sizeof(*st));
    }
    if (!st)
        return NULL;
    memset(st, 0, offsetof(struct agw_h2_stream, pending));
    memset(&st->out_trailers, 0, sizeof(*st) - offsetof(struct agw_h2_stream, out_trailers));
    agw_chain_init(&st->pending);
    agw_list_init(&st->drain);
    st->h = h;
    st->moved = true;
    agw_list_push(&h->open, &st->open);
    h->count++;
    return st;
}

void agw_h2_stream_free(struct agw_h2_stream *st)
{
    struct agw_h2 *h = st->h;
    agw_h2_send_drop(st);
    agw_block_unref(st->small);
    agw_list_remove(&st->open);
    h->count--;
    if (h->section == st)
        h->section = NULL;
    if (h->spare_count >= SPARE_MAX) {
        free(st);
        return;
    }
    h->spare_count++;
    agw_list_push_front(&h->spare, &st->open);
}

/* From here on nobody listens: what came and was not consumed must not use up the connection's window. */
static void forget_user(struct agw_h2_stream *st)
{
    st->user = NULL;
    st->arena = NULL;
    st->msg = NULL;
    st->trailers = NULL;
    agw_list_remove(&st->drain);
    if (st->unconsumed > 0 && !st->h->mem.failed)
        nghttp2_session_consume_connection(st->h->ng, st->unconsumed);
    st->unconsumed = 0;
}

void agw_h2_stream_closed(struct agw_h2_stream *st, int code)
{
    void *user = st->user;
    if (!user)
        return;
    st->local_end = true;
    forget_user(st);
    st->h->events->on_close(st->h, user, code);
}

static void send_reset(struct agw_h2_stream *st, int code)
{
    if (st->reset)
        return;
    st->reset = true;
    st->local_end = true;
    agw_h2_send_drop(st);
    if (st->h->mem.failed)
        return;
    if (nghttp2_submit_rst_stream(st->h->ng, NGHTTP2_FLAG_NONE, st->id, agw_h2_code_to_wire(code)))
        agw_h2_fail(st->h, AGW_ENOMEM);
}

void agw_h2_stream_abort(struct agw_h2_stream *st, int code)
{
    send_reset(st, code);
    agw_h2_stream_closed(st, code);
}

void agw_h2_reset(struct agw_h2_stream *st, int code)
{
    forget_user(st);
    send_reset(st, code);
}

void agw_h2_detach(struct agw_h2_stream *st)
{
    if (!st->local_end) {
        agw_h2_reset(st, AGW_ECANCELED);
        return;
    }
    forget_user(st);
    /* RFC 9113 section 8.1: a complete answer may be followed by NO_ERROR, the rest of the request is not
     * wanted. */
    if (st->end_sent && !st->remote_end)
        send_reset(st, 0);
}

void agw_h2_consume(struct agw_h2_stream *st, size_t n)
{
    if (n > st->unconsumed)
        n = st->unconsumed;
    if (n == 0 || st->h->mem.failed)
        return;
    st->unconsumed -= n;
    if (st->remote_end)
        nghttp2_session_consume_connection(st->h->ng, n);
    else
        nghttp2_session_consume(st->h->ng, st->id, n);
}

/* --- making and ending a session --- */

static int set_up(struct agw_h2 *h)
{
    nghttp2_settings_entry s[6];
    size_t n = 0;
    s[n++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, h->limits->stream_window};
    s[n++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, h->limits->header_list};
    if (h->limits->frame > agw_h2_default_limits.frame)
        s[n++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_MAX_FRAME_SIZE, h->limits->frame};
    if (h->server) {
        s[n++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, h->limits->streams};
        s[n++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1};
        s[n++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1};
    } else {
        s[n++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_ENABLE_PUSH, 0};
    }
    int rv = nghttp2_submit_settings(h->ng, NGHTTP2_FLAG_NONE, s, n);
    if (rv == 0)
        rv = nghttp2_session_set_local_window_size(h->ng, NGHTTP2_FLAG_NONE, 0,
                                                   (int32_t)h->limits->conn_window);
    return rv;
}

static void set_options(nghttp2_option *opt, const struct agw_h2_limits *limits, bool server)
{
    /* RFC 9113 section 8.2.1 forbids it, and gRPC servers end grpc-message with it: it is cut off instead. */
    if (!server)
        nghttp2_option_set_no_rfc9113_leading_and_trailing_ws_validation(opt, 1);
    nghttp2_option_set_no_auto_window_update(opt, 1);
    nghttp2_option_set_no_closed_streams(opt, 1);
    nghttp2_option_set_max_send_header_block_length(opt, SEND_SECTION_MAX);
    nghttp2_option_set_max_outbound_ack(opt, ACKS_MAX);
    nghttp2_option_set_stream_reset_rate_limit(opt, limits->resets_burst, limits->resets_rate);
}

static int open_session(struct agw_h2 *h)
{
    nghttp2_mem mem = agw_h2_mem_init(&h->mem);
    nghttp2_session_callbacks *cb = NULL;
    nghttp2_option *opt = NULL;
    int rv = nghttp2_session_callbacks_new(&cb);
    if (rv == 0)
        rv = nghttp2_option_new(&opt);
    if (rv)
        goto out;
    agw_h2_recv_callbacks(cb);
    agw_h2_send_callbacks(cb);
    set_options(opt, h->limits, h->server);
    rv = h->server ? nghttp2_session_server_new3(&h->ng, cb, h, opt, &mem)
                   : nghttp2_session_client_new3(&h->ng, cb, h, opt, &mem);
    if (rv == 0)
        rv = set_up(h);
out:
    nghttp2_option_del(opt);
    nghttp2_session_callbacks_del(cb);
    return rv;
}

static void close_session(struct agw_h2 *h)
{
    if (!h->mem.failed)
        nghttp2_session_del(h->ng);
    agw_h2_mem_drop(&h->mem);
}

static struct agw_h2 *session_new(const struct agw_h2_limits *limits, const struct agw_h2_events *events,
                                  struct agw_block_pool *pool, void *user, bool server)
{
    struct agw_h2 *h = calloc(1, sizeof(*h));
    if (!h)
        return NULL;
    h->limits = limits;
    h->events = events;
    h->pool = pool;
    h->user = user;
    h->server = server;
    agw_list_init(&h->open);
    agw_list_init(&h->drain);
    agw_list_init(&h->spare);
    agw_h2_limits_init(h);
    agw_h2_order_init(&h->order);
    if (open_session(h) == 0)
        return h;
    close_session(h);
    free(h);
    return NULL;
}

struct agw_h2 *agw_h2_server_new(const struct agw_h2_limits *limits, const struct agw_h2_events *events,
                                 struct agw_block_pool *pool, void *user)
{
    return session_new(limits, events, pool, user, true);
}

struct agw_h2 *agw_h2_client_new(const struct agw_h2_limits *limits, const struct agw_h2_events *events,
                                 struct agw_block_pool *pool, void *user)
{
    return session_new(limits, events, pool, user, false);
}

void agw_h2_trim(struct agw_h2 *h)
{
    struct agw_list *node;
    while ((node = agw_list_pop(&h->spare)))
        free(agw_list_entry(node, struct agw_h2_stream, open));
    h->spare_count = 0;
}

void agw_h2_free(struct agw_h2 *h, int code)
{
    if (!h)
        return;
    if (!h->error)
        h->error = AGW_ECLOSED;
    while (!agw_list_empty(&h->open)) {
        struct agw_h2_stream *st = agw_list_entry(h->open.next, struct agw_h2_stream, open);
        agw_h2_stream_closed(st, code);
        agw_h2_stream_free(st);
    }
    close_session(h);
    agw_h2_trim(h);
    free(h);
}

void agw_h2_fail(struct agw_h2 *h, int code)
{
    if (h->error)
        return;
    h->error = code;
    if (!h->mem.failed)
        nghttp2_session_terminate_session(h->ng, agw_h2_code_to_wire(code));
}

void agw_h2_fail_wire(struct agw_h2 *h, uint32_t error_code)
{
    if (h->error)
        return;
    h->error = agw_h2_code_from_wire(error_code);
    if (!h->mem.failed)
        nghttp2_session_terminate_session(h->ng, error_code);
}

/* --- orderly end --- */

void agw_h2_final_goaway(struct agw_h2 *h)
{
    if (h->final_goaway || !h->shutting || h->mem.failed)
        return;
    h->final_goaway = true;
    if (nghttp2_submit_goaway(h->ng, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(h->ng),
                              NGHTTP2_NO_ERROR, NULL, 0))
        agw_h2_fail(h, AGW_ENOMEM);
}

void agw_h2_shutdown(struct agw_h2 *h)
{
    if (h->error || h->mem.failed)
        return;
    if (h->shutting || !h->server) {
        h->shutting = true;
        agw_h2_final_goaway(h);
        return;
    }
    h->shutting = true;
    /* Requests on their way are still taken; when the PING's answer is here, all of them are. */
    int rv = nghttp2_submit_shutdown_notice(h->ng);
    if (rv == 0)
        rv = nghttp2_submit_ping(h->ng, NGHTTP2_FLAG_NONE, NULL);
    if (rv)
        agw_h2_fail(h, AGW_ENOMEM);
}

/* --- bytes --- */

int agw_h2_input(struct agw_h2 *h, struct agw_block *block, const unsigned char *p, size_t n, uint64_t now_ms)
{
    if (h->mem.failed)
        agw_h2_fail(h, AGW_ENOMEM);
    if (h->error)
        return h->error;
    uint32_t wrong = 0;
    if (h->server)
        n = agw_h2_order_check(&h->order, p, n, &wrong);
    h->block = block;
    h->now_ms = now_ms;
    ssize_t rv = n > 0 ? nghttp2_session_mem_recv(h->ng, p, n) : 0;
    h->block = NULL;
    if (rv < 0)
        agw_h2_fail(h, agw_h2_code_from_ng((int)rv));
    if (wrong)
        agw_h2_fail_wire(h, wrong);
    return h->error;
}

static void tell_drained(struct agw_h2 *h)
{
    struct agw_list *node;
    while ((node = agw_list_pop(&h->drain))) {
        struct agw_h2_stream *st = agw_list_entry(node, struct agw_h2_stream, drain);
        if (st->user)
            h->events->on_drain(h, st->user);
    }
}

int agw_h2_output(struct agw_h2 *h, struct agw_chain *out, size_t max)
{
    int rc = h->mem.failed ? AGW_ENOMEM : 0;
    h->out = out;
    h->out_max = max;
    while (rc == 0 && out->bytes < max) {
        const uint8_t *p;
        ssize_t n = nghttp2_session_mem_send(h->ng, &p);
        if (n == 0)
            break;
        rc = n < 0 ? agw_h2_code_from_ng((int)n) : agw_h2_out_copy(h, p, (size_t)n);
    }
    h->out = NULL;
    agw_block_unref(h->tail);
    h->tail = NULL;
    if (rc) {
        /* A frame is lost or half written: nothing may follow it. */
        if (!h->error)
            h->error = rc;
        return h->error;
    }
    tell_drained(h);
    return 0;
}

int agw_h2_sweep(struct agw_h2 *h)
{
    struct agw_list *node, *tmp;
    agw_list_each (node, tmp, &h->open) {
        struct agw_h2_stream *st = agw_list_entry(node, struct agw_h2_stream, open);
        bool moved = st->moved;
        st->moved = false;
        if (moved)
            continue;
        if (st == h->section)
            return AGW_ETIMEOUT;
        if (st->pending.bytes > 0)
            agw_h2_stream_abort(st, AGW_ETIMEOUT);
    }
    return 0;
}

void agw_h2_ping(struct agw_h2 *h)
{
    if (!h->error && !h->mem.failed && nghttp2_submit_ping(h->ng, NGHTTP2_FLAG_NONE, NULL))
        agw_h2_fail(h, AGW_ENOMEM);
}

/* --- looking --- */

uint64_t agw_h2_heard_ms(const struct agw_h2 *h)
{
    return h->now_ms;
}

void *agw_h2_user(const struct agw_h2 *h)
{
    return h->user;
}

bool agw_h2_want_write(const struct agw_h2 *h)
{
    return !h->mem.failed && nghttp2_session_want_write(h->ng);
}

bool agw_h2_done(const struct agw_h2 *h)
{
    return h->mem.failed || (!nghttp2_session_want_read(h->ng) && !nghttp2_session_want_write(h->ng));
}

int agw_h2_error(const struct agw_h2 *h)
{
    return h->error;
}

unsigned agw_h2_streams(const struct agw_h2 *h)
{
    return h->count;
}

size_t agw_h2_backlog(const struct agw_h2 *h)
{
    return h->mem.failed ? 0 : nghttp2_session_get_outbound_queue_size(h->ng);
}

int agw_h2_takes_upgrades(const struct agw_h2 *h)
{
    if (h->mem.failed)
        return 0;
    if (!h->settings_in)
        return AGW_EAGAIN;
    return nghttp2_session_get_remote_settings(h->ng, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) == 1;
}

unsigned agw_h2_room(const struct agw_h2 *h)
{
    if (h->error || h->mem.failed || h->goaway_in || h->shutting ||
        !nghttp2_session_check_request_allowed(h->ng))
        return 0;
    uint32_t most = nghttp2_session_get_remote_settings(h->ng, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
    if (most > h->limits->streams)
        most = h->limits->streams;
    return most > h->count ? most - h->count : 0;
}
