/* Bytes from a hostile client: the server session answers, streams bodies back, resets and drains as the
 * input's first byte says. After the preface, which is added when it is missing, so that mutations reach the
 * frames. */
#include <stdlib.h>
#include "base/err.h"
#include "h2/h2.h"

#define STREAMS 256

struct stream {
    struct agw_h2_stream *st;
    struct agw_arena arena;
};

struct fuzz {
    struct stream streams[STREAMS];
    unsigned n;
    uint8_t mode;
};

static struct agw_arena *on_stream(struct agw_h2 *h, struct agw_h2_stream *st, void **ret_stream)
{
    struct fuzz *f = agw_h2_user(h);
    if (f->n == STREAMS || (f->mode & 1 && f->n % 7 == 6))
        return NULL;
    struct stream *s = &f->streams[f->n++];
    s->st = st;
    agw_arena_init(&s->arena, 1024, 0);
    *ret_stream = s;
    return &s->arena;
}

static void answer(struct stream *s, unsigned mode)
{
    struct agw_msg m;
    agw_msg_init(&m, &s->arena);
    m.status = 200;
    m.length = AGW_LENGTH_UNKNOWN;
    agw_h2_respond(s->st, &m, mode & 2);
    if (mode & 2)
        return;
    struct agw_chain c;
    static const char text[] = "a few bytes of body";
    agw_chain_init(&c);
    agw_chain_add_static(&c, text, sizeof(text));
    agw_h2_body(s->st, &c);
    if (mode & 4)
        agw_h2_end(s->st, &m.headers);
}

static void on_head(struct agw_h2 *h, void *stream, struct agw_msg *msg, bool end)
{
    struct fuzz *f = agw_h2_user(h);
    struct stream *s = stream;
    if (msg->path.n == 0 || (end && msg->length != 0))
        abort();
    if (f->mode & 8)
        agw_h2_reset(s->st, AGW_EIO);
    else if (f->mode & 16)
        answer(s, f->mode);
}

static void on_body(struct agw_h2 *h, void *stream, struct agw_block *block, const unsigned char *p, size_t n)
{
    struct fuzz *f = agw_h2_user(h);
    struct stream *s = stream;
    if (p < block->data || p + n > block->data + block->cap)
        abort();
    if (!(f->mode & 32))
        agw_h2_consume(s->st, n);
}

static void on_end(struct agw_h2 *h, void *stream, struct agw_headers *trailers)
{
    struct fuzz *f = agw_h2_user(h);
    struct stream *s = stream;
    if (f->mode & 16)
        return;
    answer(s, f->mode | 4);
    agw_h2_detach(s->st);
}

static void on_drain(struct agw_h2 *h, void *stream) {}

static void on_close(struct agw_h2 *h, void *stream, int code)
{
    struct stream *s = stream;
    if (code > 0)
        abort();
    s->st = NULL;
}

static void on_goaway(struct agw_h2 *h) {}

static const struct agw_h2_events events = {
    .on_stream = on_stream,
    .on_head = on_head,
    .on_body = on_body,
    .on_end = on_end,
    .on_drain = on_drain,
    .on_close = on_close,
    .on_goaway = on_goaway,
};

static int feed(struct agw_h2 *h, struct agw_chain *out, const void *p, size_t n, uint64_t now_ms)
{
    struct agw_block *b = agw_block_new(n);
    if (!b)
        return -1;
    memcpy(b->data, p, n);
    b->len = (uint32_t)n;
    int rc = agw_h2_input(h, b, b->data, n, now_ms);
    agw_block_unref(b);
    if (agw_h2_output(h, out, 65536) && rc == 0)
        rc = -1;
    agw_chain_clear(out);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
    static struct fuzz f;
    struct agw_block_pool pool;
    struct agw_chain out;
    if (n < 2)
        return 0;
    f.n = 0;
    f.mode = data[0];
    agw_block_pool_init(&pool, 4);
    agw_chain_init(&out);
    struct agw_h2 *h = agw_h2_server_new(&agw_h2_default_limits, &events, &pool, &f);
    size_t step = 1 + data[1] * 4u;
    int rc = feed(h, &out, preface, sizeof(preface) - 1, 1);
    for (size_t at = 2; at < n && rc == 0; at += step)
        rc = feed(h, &out, data + at, n - at < step ? n - at : step, at);
    if (f.mode & 64)
        agw_h2_shutdown(h);
    agw_h2_sweep(h);
    agw_h2_output(h, &out, 65536);
    agw_chain_clear(&out);
    agw_h2_free(h, AGW_ERESET);
    for (unsigned i = 0; i < f.n; i++)
        agw_arena_free(&f.streams[i].arena);
    agw_block_pool_free(&pool);
    return 0;
}
