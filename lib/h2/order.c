/* What a client may send on which stream (RFC 9113 sections 5.1 and 5.1.1). nghttp2 forgets a stream once it
 * is closed and then ignores what still comes on it. A client that sends frames on a stream that it has
 * itself ended, or opens one below the highest, is broken or tries us: its connection ends. Streams that we
 * reset may get frames for a while; their client has not ended them, so they pass here. PRIORITY, which
 * nghttp2 skips, is checked as far as it must be. */
#include "h2/h2_int.h"

#define FRAME_HEAD 9
#define DEPENDENCY 4 /* bytes in front of a PRIORITY frame's payload */
#define PREFACE_SIZE 24
#define REMEMBERED                                                                                           \
    64 /* streams below the highest; what comes on older ones is ignored as nghttp2 does it                  \
        */

void agw_h2_order_init(struct agw_h2_order *o)
{
    *o = (struct agw_h2_order){.left = PREFACE_SIZE};
}

static uint32_t read_u32(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint32_t frame_length(const struct agw_h2_order *o)
{
    return (uint32_t)o->head[0] << 16 | (uint32_t)o->head[1] << 8 | o->head[2];
}

/* Bytes of the frame to be seen before it is judged. */
static unsigned needed(const struct agw_h2_order *o)
{
    if (o->head_n < FRAME_HEAD || o->head[3] != NGHTTP2_PRIORITY || frame_length(o) < DEPENDENCY)
        return FRAME_HEAD;
    return FRAME_HEAD + DEPENDENCY;
}

static void open_stream(struct agw_h2_order *o, uint32_t id)
{
    uint32_t ahead = (id - o->last) / 2;
    o->opened = ahead < REMEMBERED ? o->opened << ahead : 0;
    o->ended = ahead < REMEMBERED ? o->ended << ahead : 0;
    o->opened |= 1;
    o->last = id;
}

/* The bit of a stream that is remembered, 0 for others. */
static uint64_t bit_of(const struct agw_h2_order *o, uint32_t id)
{
    uint32_t below = (o->last - id) / 2;
    return id <= o->last && below < REMEMBERED ? UINT64_C(1) << below : 0;
}

static uint32_t judge_priority(const struct agw_h2_order *o, uint32_t id)
{
    bool on_itself = o->head_n > FRAME_HEAD && (read_u32(o->head + FRAME_HEAD) & INT32_MAX) == id;
    return id == 0 || on_itself ? NGHTTP2_PROTOCOL_ERROR : 0;
}

/* DATA and HEADERS. */
static uint32_t judge_message(struct agw_h2_order *o, uint32_t id, bool headers, bool end)
{
    if (id % 2 == 0) /* nghttp2 refuses these */
        return 0;
    if (headers && id > o->last)
        open_stream(o, id);
    uint64_t bit = bit_of(o, id);
    if (bit & o->ended)
        return NGHTTP2_STREAM_CLOSED;
    if (bit & ~o->opened)
        return NGHTTP2_PROTOCOL_ERROR;
    if (end)
        o->ended |= bit;
    return 0;
}

static uint32_t judge(struct agw_h2_order *o)
{
    uint32_t id = read_u32(o->head + 5) & INT32_MAX;
    switch (o->head[3]) {
    case NGHTTP2_DATA:
    case NGHTTP2_HEADERS:
        return judge_message(o, id, o->head[3] == NGHTTP2_HEADERS, o->head[4] & NGHTTP2_FLAG_END_STREAM);
    case NGHTTP2_RST_STREAM:
        if (id % 2)
            o->ended |= bit_of(o, id);
        return 0;
    case NGHTTP2_PRIORITY:
        return judge_priority(o, id);
    default:
        return 0;
    }
}

/* Collects a frame's first bytes; returns how many it took. *ret_error is set once they are judged. */
static size_t take_head(struct agw_h2_order *o, const unsigned char *p, size_t n, uint32_t *ret_error)
{
    size_t took = 0;
    while (took < n && o->head_n < needed(o)) {
        size_t part = needed(o) - o->head_n;
        if (part > n - took)
            part = n - took;
        memcpy(o->head + o->head_n, p + took, part);
        o->head_n += (uint8_t)part;
        took += part;
    }
    if (o->head_n < needed(o))
        return took;
    *ret_error = judge(o);
    o->left = frame_length(o) - (o->head_n - FRAME_HEAD);
    o->head_n = 0;
    return took;
}

size_t agw_h2_order_check(struct agw_h2_order *o, const unsigned char *p, size_t n, uint32_t *ret_error)
{
    size_t at = 0;
    while (at < n) {
        if (o->left >= n - at) {
            o->left -= (uint32_t)(n - at);
            return n;
        }
        at += o->left;
        o->left = 0;
        size_t took = take_head(o, p + at, n - at, ret_error);
        if (*ret_error)
            return at;
        at += took;
    }
    return n;
}
