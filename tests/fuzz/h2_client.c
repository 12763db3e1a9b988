/* Bytes from a hostile upstream: four requests are under way, one of them HEAD, one with a body. */
#include <stdlib.h>
#include "base/err.h"
#include "h2/h2.h"

#define STREAMS 4

struct stream {
    struct agw_h2_stream *st;
    struct agw_arena arena;
};

static void on_head(struct agw_h2 *h, void *stream, struct agw_msg *msg, bool end)
{
    struct stream *s = stream;
    const uint8_t *mode = agw_h2_user(h);
    if (msg->status < 100 || msg->status > 599 || !s->st)
        abort();
    if (*mode & 1)
        agw_h2_reset(s->st, AGW_ETIMEOUT);
}

static void on_body(struct agw_h2 *h, void *stream, struct agw_block *block, const unsigned char *p, size_t n)
{
    struct stream *s = stream;
    const uint8_t *mode = agw_h2_user(h);
    if (p < block->data || p + n > block->data + block->cap)
        abort();
    if (*mode & 2)
        agw_h2_consume(s->st, n);
}

static void on_end(struct agw_h2 *h, void *stream, struct agw_headers *trailers)
{
    struct stream *s = stream;
    const uint8_t *mode = agw_h2_user(h);
    if (*mode & 4)
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

static void on_goaway(struct agw_h2 *h)
{
    if (agw_h2_room(h) != 0)
        abort();
}

static const struct agw_h2_events events = {
    .on_head = on_head,
    .on_body = on_body,
    .on_end = on_end,
    .on_drain = on_drain,
    .on_close = on_close,
    .on_goaway = on_goaway,
};

static void request(struct agw_h2 *h, struct stream *s, unsigned i)
{
    struct agw_msg m;
    agw_arena_init(&s->arena, 1024, 0);
    agw_msg_init(&m, &s->arena);
    m.method = i == 1 ? AGW_METHOD_HEAD : i == 2 ? AGW_METHOD_POST : AGW_METHOD_GET;
    m.scheme = AGW_STR("http");
    m.authority = AGW_STR("a");
    m.path = AGW_STR("/");
    m.length = AGW_LENGTH_UNKNOWN;
    s->st = NULL;
    if (agw_h2_request(h, &m, i != 2, &s->arena, s, &s->st) || i != 2)
        return;
    struct agw_chain c;
    agw_chain_init(&c);
    agw_chain_add_static(&c, "body", 4);
    agw_h2_body(s->st, &c);
}

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
    struct stream streams[STREAMS];
    struct agw_block_pool pool;
    struct agw_chain out;
    if (n < 2)
        return 0;
    uint8_t mode = data[0];
    agw_block_pool_init(&pool, 4);
    agw_chain_init(&out);
    struct agw_h2 *h = agw_h2_client_new(&agw_h2_default_limits, &events, &pool, &mode);
    for (unsigned i = 0; i < STREAMS; i++)
        request(h, &streams[i], i);
    agw_h2_output(h, &out, 65536);
    agw_chain_clear(&out);
    size_t step = 1 + data[1] * 4u;
    int rc = 0;
    for (size_t at = 2; at < n && rc == 0; at += step)
        rc = feed(h, &out, data + at, n - at < step ? n - at : step, at);
    agw_h2_free(h, AGW_ERESET);
    for (unsigned i = 0; i < STREAMS; i++)
        agw_arena_free(&streams[i].arena);
    agw_block_pool_free(&pool);
    return 0;
}
