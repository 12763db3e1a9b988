#include "pair.h"

#include <stdarg.h>
#include <stdlib.h>

/* --- recorded events --- */

static struct rec *rec_new(struct end *e)
{
    struct rec *r = &e->recs[e->n];
    if (e->n == RECS)
        return NULL;
    e->n++;
    memset(r, 0, sizeof(*r));
    r->end = e;
    agw_arena_init(&r->arena, 2048, 0);
    return r;
}

static struct agw_arena *on_stream(struct agw_h2 *h, struct agw_h2_stream *st, void **ret_stream)
{
    struct end *e = agw_h2_user(h);
    struct rec *r = e->refuse ? NULL : rec_new(e);
    if (!r)
        return NULL;
    r->st = st;
    *ret_stream = r;
    return &r->arena;
}

static void on_head(struct agw_h2 *h, void *stream, struct agw_msg *msg, bool end)
{
    struct end *e = agw_h2_user(h);
    struct rec *r = stream;
    r->heads++;
    if (msg->status >= 100 && msg->status < 200)
        r->last_1xx = msg->status;
    r->msg = msg;
    r->head_end = end;
    if (e->quick)
        agw_h2_respond(r->st, pair_response(r, 200), true);
}

static void on_body(struct agw_h2 *h, void *stream, struct agw_block *block, const unsigned char *p, size_t n)
{
    struct end *e = agw_h2_user(h);
    struct rec *r = stream;
    if (p < block->data || p + n > block->data + block->cap)
        abort();
    for (size_t i = 0; i < n && r->body + i < sizeof(r->bytes); i++)
        r->bytes[r->body + i] = p[i];
    r->body += n;
    if (!e->hold)
        agw_h2_consume(r->st, n);
}

static void on_end(struct agw_h2 *h, void *stream, struct agw_headers *trailers)
{
    struct rec *r = stream;
    (void)h;
    r->ends++;
    r->trailers = trailers;
}

static void on_drain(struct agw_h2 *h, void *stream)
{
    struct rec *r = stream;
    (void)h;
    r->drains++;
}

static void on_close(struct agw_h2 *h, void *stream, int code)
{
    struct rec *r = stream;
    (void)h;
    r->closes++;
    r->code = code;
    r->st = NULL;
}

static void on_goaway(struct agw_h2 *h)
{
    struct end *e = agw_h2_user(h);
    e->goaways++;
}

static const struct agw_h2_events events = {
    .on_stream = on_stream,
    .on_head = on_head,
    .on_body = on_body,
    .on_end = on_end,
    .on_drain = on_drain,
    .on_close = on_close,
    .on_goaway = on_goaway,
};

static void end_free(struct end *e)
{
    agw_h2_free(e->h, AGW_ERESET);
    for (unsigned i = 0; i < e->n; i++)
        agw_arena_free(&e->recs[i].arena);
}

static int feed(struct end *to, const void *p, size_t n, uint64_t now_ms)
{
    struct agw_block *b = agw_block_new(n);
    if (!b)
        return AGW_ENOMEM;
    memcpy(b->data, p, n);
    b->len = (uint32_t)n;
    int rc = agw_h2_input(to->h, b, b->data, n, now_ms);
    agw_block_unref(b);
    if (rc && !to->error)
        to->error = rc;
    return rc;
}

/* --- pair --- */

bool pair_init(struct pair *p, const struct agw_h2_limits *client, const struct agw_h2_limits *server)
{
    memset(p, 0, sizeof(*p));
    p->now_ms = 1000;
    agw_block_pool_init(&p->pool, 4);
    p->c.pool = p->s.pool = &p->pool;
    p->c.h = agw_h2_client_new(client ? client : &agw_h2_default_limits, &events, &p->pool, &p->c);
    p->s.h = agw_h2_server_new(server ? server : &agw_h2_default_limits, &events, &p->pool, &p->s);
    if (p->c.h && p->s.h)
        return true;
    pair_free(p);
    return false;
}

void pair_free(struct pair *p)
{
    end_free(&p->c);
    end_free(&p->s);
    if (p->pool.live)
        abort();
    agw_block_pool_free(&p->pool);
}

void pair_move(struct pair *p, struct end *from, struct end *to)
{
    struct agw_chain out;
    agw_chain_init(&out);
    int rc = agw_h2_output(from->h, &out, 65536);
    if (rc && !from->error)
        from->error = rc;
    for (uint32_t i = 0; i < out.count; i++) {
        const struct agw_slice *s = agw_chain_at(&out, i);
        feed(to, s->p, s->n, p->now_ms);
    }
    agw_chain_clear(&out);
}

void pair_run(struct pair *p)
{
    for (int i = 0; i < 1000; i++) {
        bool cw = agw_h2_want_write(p->c.h), sw = agw_h2_want_write(p->s.h);
        if (!cw && !sw)
            return;
        if (cw)
            pair_move(p, &p->c, &p->s);
        if (sw)
            pair_move(p, &p->s, &p->c);
        if (p->c.error || p->s.error) {
            pair_move(p, &p->c, &p->s);
            pair_move(p, &p->s, &p->c);
            return;
        }
    }
}

struct agw_msg *pair_request(struct rec *r, enum agw_method method, const char *path)
{
    struct agw_msg *m = agw_arena_alloc(&r->arena, sizeof(*m));
    if (!m)
        return NULL;
    agw_msg_init(m, &r->arena);
    m->method = method;
    m->method_text = agw_method_name(method);
    m->scheme = AGW_STR("http");
    m->authority = AGW_STR("a.example");
    m->path = agw_str_c(path);
    m->length = AGW_LENGTH_UNKNOWN;
    return m;
}

struct agw_msg *pair_response(struct rec *r, int status)
{
    struct agw_msg *m = agw_arena_alloc(&r->arena, sizeof(*m));
    if (!m)
        return NULL;
    agw_msg_init(m, &r->arena);
    m->status = status;
    m->length = AGW_LENGTH_UNKNOWN;
    return m;
}

struct rec *pair_open(struct pair *p, enum agw_method method, const char *path, bool end)
{
    struct rec *r = rec_new(&p->c);
    struct agw_msg *m = r ? pair_request(r, method, path) : NULL;
    if (!m || agw_h2_request(p->c.h, m, end, &r->arena, r, &r->st))
        return NULL;
    return r;
}

int pair_body(struct rec *r, size_t n)
{
    struct agw_chain data;
    struct agw_block *b = agw_block_new(n);
    if (!b)
        return AGW_ENOMEM;
    for (size_t i = 0; i < n; i++)
        b->data[i] = (unsigned char)('a' + i % 26);
    b->len = (uint32_t)n;
    agw_chain_init(&data);
    int rc = agw_chain_add(&data, b, b->data, n);
    agw_block_unref(b);
    if (rc == 0)
        rc = agw_h2_body(r->st, &data);
    agw_chain_clear(&data);
    return rc;
}

/* --- raw --- */

static int raw_on_frame(nghttp2_session *ng, const nghttp2_frame *f, void *user)
{
    struct raw *r = user;
    (void)ng;
    if (f->hd.type == NGHTTP2_RST_STREAM)
        r->reset_code = f->rst_stream.error_code;
    if (f->hd.type == NGHTTP2_GOAWAY)
        r->goaway_code = f->goaway.error_code;
    if (f->hd.type == NGHTTP2_PING && (f->hd.flags & NGHTTP2_FLAG_ACK))
        r->pongs++;
    return 0;
}

static int raw_on_header(nghttp2_session *ng, const nghttp2_frame *f, const uint8_t *name, size_t n,
                         const uint8_t *value, size_t vn, uint8_t flags, void *user)
{
    struct raw *r = user;
    (void)ng;
    (void)f;
    (void)flags;
    if (n == 7 && memcmp(name, ":status", 7) == 0 && vn == 3)
        r->status = (value[0] - '0') * 100 + (value[1] - '0') * 10 + (value[2] - '0');
    return 0;
}

bool raw_init(struct raw *r, const struct agw_h2_limits *server)
{
    memset(r, 0, sizeof(*r));
    r->now_ms = 1000;
    r->reset_code = r->goaway_code = UINT32_MAX;
    agw_block_pool_init(&r->pool, 4);
    r->s.pool = &r->pool;
    r->s.h = agw_h2_server_new(server ? server : &agw_h2_default_limits, &events, &r->pool, &r->s);
    nghttp2_session_callbacks *cb;
    nghttp2_option *opt;
    nghttp2_session_callbacks_new(&cb);
    nghttp2_option_new(&opt);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, raw_on_frame);
    nghttp2_session_callbacks_set_on_header_callback(cb, raw_on_header);
    nghttp2_option_set_no_http_messaging(opt, 1);
    nghttp2_option_set_max_send_header_block_length(opt, 1 << 20);
    nghttp2_session_client_new2(&r->ng, cb, r, opt);
    nghttp2_session_callbacks_del(cb);
    nghttp2_option_del(opt);
    nghttp2_submit_settings(r->ng, 0, NULL, 0);
    return r->s.h != NULL;
}

void raw_run(struct raw *r)
{
    struct agw_chain out;
    for (int i = 0; i < 200; i++) {
        const uint8_t *p;
        ssize_t n;
        bool moved = false;
        while ((n = nghttp2_session_mem_send(r->ng, &p)) > 0) {
            feed(&r->s, p, (size_t)n, r->now_ms);
            moved = true;
        }
        agw_chain_init(&out);
        agw_h2_output(r->s.h, &out, 65536);
        for (uint32_t k = 0; k < out.count; k++) {
            const struct agw_slice *s = agw_chain_at(&out, k);
            nghttp2_session_mem_recv(r->ng, s->p, s->n);
            moved = true;
        }
        agw_chain_clear(&out);
        if (!moved)
            return;
    }
}

void raw_free(struct raw *r)
{
    end_free(&r->s);
    nghttp2_session_del(r->ng);
    if (r->pool.live)
        abort();
    agw_block_pool_free(&r->pool);
}

int32_t raw_request(struct raw *r, int end, ...)
{
    nghttp2_nv nv[400];
    size_t n = 0;
    va_list ap;
    va_start(ap, end);
    for (const char *name; n < 400 && (name = va_arg(ap, const char *)); n++) {
        const char *value = va_arg(ap, const char *);
        nv[n] = (nghttp2_nv){(uint8_t *)name, (uint8_t *)value, strlen(name), strlen(value),
                             NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE};
    }
    va_end(ap);
    int32_t id = nghttp2_submit_headers(r->ng, end ? NGHTTP2_FLAG_END_STREAM : 0, -1, NULL, nv, n, NULL);
    r->status = 0;
    r->reset_code = UINT32_MAX;
    raw_run(r);
    return id;
}

void raw_frame(struct raw *r, uint8_t type, uint8_t flags, int32_t id, const void *payload, size_t n)
{
    unsigned char f[9 + 16384] = {(unsigned char)(n >> 16),
                                  (unsigned char)(n >> 8),
                                  (unsigned char)n,
                                  type,
                                  flags,
                                  (unsigned char)(id >> 24),
                                  (unsigned char)(id >> 16),
                                  (unsigned char)(id >> 8),
                                  (unsigned char)id};
    if (n)
        memcpy(f + 9, payload, n);
    feed(&r->s, f, 9 + n, r->now_ms);
}
