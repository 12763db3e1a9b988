#include "h1/h1_int.h"

#include "base/check.h"
#include "base/err.h"
#include "h1/scan_int.h"

#define SIZE_DIGITS 16     /* hexadecimal digits of a 64-bit chunk size */
#define LINE_MAX_BYTES 512 /* of a chunk-size line: signed chunks carry extensions of about 90 bytes */
#define OVERHEAD_MAX                                                                                         \
    16384 /* extension bytes ahead of data: many small chunks must not smuggle in work for nothing */
#define TEXT_FIRST 512

enum state {
    STATE_SIZE, /* of chunked: in the digits */
    STATE_SPACE,
    STATE_EXTENSION,
    STATE_SIZE_LF,
    STATE_DATA, /* of a chunk, or of the other framings */
    STATE_DATA_CR,
    STATE_DATA_LF,
    STATE_TRAILERS,
    STATE_OVER,
};

void agw_h1_body_init(struct agw_h1_body *b, const struct agw_h1_head *h, int64_t length,
                      struct agw_arena *arena)
{
    *b = (struct agw_h1_body){.framing = h->framing, .state = STATE_DATA, .arena = arena};
    if (h->framing == AGW_H1_CHUNKED)
        b->state = STATE_SIZE;
    else if (h->framing == AGW_H1_LENGTH)
        b->left = (uint64_t)length;
    if (h->framing == AGW_H1_NO_BODY || (h->framing == AGW_H1_LENGTH && length == 0))
        b->state = STATE_OVER;
}

static int bad(struct agw_h1_body *b, const char *reason)
{
    b->reason = reason;
    return AGW_EPROTO;
}

static int too_much(struct agw_h1_body *b, const char *reason)
{
    b->reason = reason;
    return AGW_ELIMIT;
}

static int hex_value(unsigned char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte after the size, or in the extensions, which nobody here reads (RFC 9112 section 7.1.1). */
static int take_extension(struct agw_h1_body *b, unsigned char c)
{
    if (c == '\r')
        b->state = STATE_SIZE_LF;
    else if (c == ';')
        b->state = STATE_EXTENSION;
    else if (b->state != STATE_EXTENSION && (c == ' ' || c == '\t'))
        b->state = STATE_SPACE;
    else if (b->state != STATE_EXTENSION || (c < 0x20 && c != '\t') || c == 0x7f)
        return bad(b, "malformed chunk size");
    return 0;
}

static int take_size(struct agw_h1_body *b, unsigned char c)
{
    int digit = hex_value(c);

    if (digit < 0)
        return b->line == 1 ? bad(b, "malformed chunk size") : take_extension(b, c);
    if (b->line > SIZE_DIGITS)
        return bad(b, "chunk size is too large");
    b->left = b->left << 4 | (unsigned)digit;
    return 0;
}

/* The LF of a chunk-size line. */
static int end_size(struct agw_h1_body *b, unsigned char c)
{
    if (c != '\n')
        return bad(b, "bare CR after a chunk size");
    b->line = 0;
    b->state = b->left ? STATE_DATA : STATE_TRAILERS;
    return 0;
}

/* One byte of a chunk-size line. */
static int take_line_byte(struct agw_h1_body *b, unsigned char c)
{
    if (++b->line > LINE_MAX_BYTES)
        return too_much(b, "chunk-size line is too long");
    if (b->state == STATE_SIZE_LF)
        return end_size(b, c);
    if (b->state == STATE_SIZE)
        return take_size(b, c);
    if (++b->overhead > OVERHEAD_MAX)
        return too_much(b, "too many chunk extensions");
    if (b->state == STATE_SPACE && c == '\r')
        return bad(b, "white space after a chunk size");
    return take_extension(b, c);
}

/* The CR LF behind a chunk's data. */
static int take_data_end(struct agw_h1_body *b, unsigned char c)
{
    if (c != (b->state == STATE_DATA_CR ? '\r' : '\n'))
        return bad(b, "chunk data does not end with CR LF");
    b->state = b->state == STATE_DATA_CR ? STATE_DATA_LF : STATE_SIZE;
    return 0;
}

static int reserve_text(struct agw_h1_body *b, size_t n)
{
    size_t need = b->text_n + n + AGW_H1_PAD, cap = b->text_cap ? b->text_cap : TEXT_FIRST;
    char *text;

    if (need <= b->text_cap)
        return 0;
    while (cap < need)
        cap *= 2;
    text = agw_arena_alloc(b->arena, cap);
    if (!text)
        return AGW_ENOMEM;
    if (b->text_n)
        memcpy(text, b->text, b->text_n);
    b->text = text;
    b->text_cap = (uint32_t)cap;
    return 0;
}

static int parse_trailers(struct agw_h1_body *b)
{
    struct agw_h1_head head = {0};
    struct agw_h1_fields f = {.head = &head, .limit = AGW_H1_TRAILERS, .trailers = true};
    int r;

    f.out = agw_arena_alloc(b->arena, sizeof(*f.out));
    if (!f.out)
        return AGW_ENOMEM;
    agw_headers_init(f.out, b->arena);
    memset(b->text + b->text_n, 0, AGW_H1_PAD);
    r = agw_h1_fields_parse(&f, b->text);
    b->reason = head.reason;
    if (r == 0 && f.out->n)
        b->trailers = f.out;
    return r;
}

/* Collects trailer lines through the empty one. */
static int take_trailers(struct agw_h1_body *b, const unsigned char *p, size_t n, size_t *at)
{
    while (*at < n) {
        const unsigned char *lf = memchr(p + *at, '\n', n - *at);
        size_t k = lf ? (size_t)(lf - p) - *at + 1 : n - *at;
        if (b->text_n + k > AGW_H1_TRAILER_MAX)
            return too_much(b, "trailer section is too long");
        if (reserve_text(b, k) < 0)
            return AGW_ENOMEM;
        memcpy(b->text + b->text_n, p + *at, k);
        b->text_n += (uint32_t)k;
        *at += k;
        if (!lf)
            return AGW_H1_MORE;
        if (b->text_n < 2 || b->text[b->text_n - 2] != '\r')
            return bad(b, "bare LF in the trailer section");
        if (b->text_n == 2 || (b->text_n >= 4 && b->text[b->text_n - 3] == '\n')) {
            b->state = STATE_OVER;
            return b->text_n == 2 ? 0 : parse_trailers(b);
        }
    }
    return AGW_H1_MORE;
}

/* Behind the last chunk; nearly always an empty line. */
static int end_chunked(struct agw_h1_body *b, const unsigned char *p, size_t n, size_t *at)
{
    if (b->text_n == 0 && n - *at >= 2 && p[*at] == '\r' && p[*at + 1] == '\n') {
        *at += 2;
        b->state = STATE_OVER;
        return 0;
    }
    return take_trailers(b, p, n, at);
}

/* What frames the chunks, up to the next data or the end. */
static int skip_framing(struct agw_h1_body *b, const unsigned char *p, size_t n, size_t *at)
{
    int r = 0;

    while (r == 0 && *at < n && b->state != STATE_DATA && b->state != STATE_OVER) {
        if (b->state == STATE_TRAILERS)
            r = end_chunked(b, p, n, at);
        else if (b->state == STATE_DATA_CR || b->state == STATE_DATA_LF)
            r = take_data_end(b, p[(*at)++]);
        else
            r = take_line_byte(b, p[(*at)++]);
    }
    return r;
}

/* A run of data is going out. */
static void count_data(struct agw_h1_body *b, size_t n)
{
    if (b->framing != AGW_H1_LENGTH && b->framing != AGW_H1_CHUNKED)
        return;
    b->left -= n;
    b->overhead -= b->overhead < n ? b->overhead : (uint32_t)n;
    if (b->left == 0)
        b->state = b->framing == AGW_H1_CHUNKED ? STATE_DATA_CR : STATE_OVER;
}

int agw_h1_body_next(struct agw_h1_body *b, const unsigned char *p, size_t n, size_t *ret_used,
                     size_t *ret_at, size_t *ret_len)
{
    size_t at = 0, run;
    int r = skip_framing(b, p, n, &at);

    if (r < 0)
        return r;
    if (b->state == STATE_OVER) {
        *ret_used = at;
        return AGW_H1_END;
    }
    if (at == n) {
        *ret_used = n;
        return AGW_H1_MORE;
    }
    run = n - at;
    if ((b->framing == AGW_H1_LENGTH || b->framing == AGW_H1_CHUNKED) && run > b->left)
        run = (size_t)b->left;
    count_data(b, run);
    *ret_at = at;
    *ret_len = run;
    *ret_used = at + run;
    return AGW_H1_DATA;
}

int agw_h1_body_eof(struct agw_h1_body *b)
{
    if (b->framing == AGW_H1_UNTIL_CLOSE || b->framing == AGW_H1_TUNNEL)
        b->state = STATE_OVER;
    return b->state == STATE_OVER ? 0 : bad(b, "the connection closed inside the body");
}
