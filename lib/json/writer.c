#include "json/writer.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/arena.h"
#include "base/check.h"
#include "base/err.h"
#include "json/json_int.h"

#define FIRST_BLOCK 512 /* most answers are error objects and short lists */
#define ESCAPE_MAX 6    /* \u00XX, and U+FFFD is 3 */
#define COPY_PIECE 4096 /* a long string is copied in pieces that any block can hold */

void agw_json_writer_init(struct agw_json_writer *w)
{
    *w = (struct agw_json_writer){0};
}

void agw_json_writer_init_chain(struct agw_json_writer *w, struct agw_chain *chain,
                                struct agw_block_pool *pool)
{
    *w = (struct agw_json_writer){.chain = chain, .pool = pool};
}

static void fail(struct agw_json_writer *w, int code)
{
    if (w->error == 0)
        w->error = code;
}

int agw_json_writer_flush(struct agw_json_writer *w)
{
    if (w->error != 0 || !w->chain || !w->block || w->block->len == w->flushed)
        return w->error;
    int rc = agw_chain_add(w->chain, w->block, w->block->data + w->flushed, w->block->len - w->flushed);
    if (rc != 0)
        fail(w, rc);
    else
        w->flushed = w->block->len;
    return w->error;
}

static void drop_block(struct agw_json_writer *w)
{
    agw_block_unref(w->block);
    w->block = NULL;
    w->flushed = 0;
}

/* Chain mode: the full block goes to the chain, a fresh one takes its place. */
static bool next_block(struct agw_json_writer *w)
{
    if (agw_json_writer_flush(w) != 0)
        return false;
    drop_block(w);
    w->block = w->pool ? agw_block_get(w->pool) : agw_block_new(AGW_BLOCK_SIZE);
    if (!w->block)
        fail(w, AGW_ENOMEM);
    return w->block != NULL;
}

/* Memory mode: one block, doubled. */
static bool grow(struct agw_json_writer *w, size_t need)
{
    size_t used = w->block ? w->block->len : 0, cap = w->block ? (size_t)w->block->cap * 2 : FIRST_BLOCK;
    while (cap < used + need)
        cap *= 2;
    if (cap > UINT32_MAX) {
        fail(w, AGW_ELIMIT);
        return false;
    }
    struct agw_block *b = agw_block_new(cap);
    if (!b) {
        fail(w, AGW_ENOMEM);
        return false;
    }
    if (used > 0)
        memcpy(b->data, w->block->data, used);
    b->len = (uint32_t)used;
    agw_block_unref(w->block);
    w->block = b;
    return true;
}

/* Room for |n| bytes (at most COPY_PIECE) at the end, or NULL after a failure. */
static unsigned char *reserve(struct agw_json_writer *w, size_t n)
{
    if (w->error != 0)
        return NULL;
    if (!w->block || w->block->cap - w->block->len < n) {
        if (!(w->chain ? next_block(w) : grow(w, n)))
            return NULL;
    }
    return w->block->data + w->block->len;
}

static void put(struct agw_json_writer *w, const char *p, size_t n)
{
    while (n > 0) {
        size_t piece = n < COPY_PIECE ? n : COPY_PIECE;
        unsigned char *out = reserve(w, piece);
        if (!out)
            return;
        memcpy(out, p, piece);
        w->block->len += (uint32_t)piece;
        p += piece;
        n -= piece;
    }
}

static void put_char(struct agw_json_writer *w, char c)
{
    unsigned char *out = reserve(w, 1);
    if (out) {
        *out = (unsigned char)c;
        w->block->len++;
    }
}

static bool comma_needed(const struct agw_json_writer *w)
{
    return w->comma[w->depth / 64] >> (w->depth % 64) & 1;
}

static void before_value(struct agw_json_writer *w)
{
    if (w->after_key) {
        w->after_key = false;
        return;
    }
    if (w->depth == 0)
        return;
    if (comma_needed(w))
        put_char(w, ',');
    w->comma[w->depth / 64] |= 1ull << (w->depth % 64);
}

static void begin(struct agw_json_writer *w, char c)
{
    before_value(w);
    put_char(w, c);
    agw_check(w->depth + 1 < AGW_JSON_WRITER_DEPTH);
    w->depth++;
    w->comma[w->depth / 64] &= ~(1ull << (w->depth % 64));
}

static void end(struct agw_json_writer *w, char c)
{
    agw_check(w->depth > 0 && !w->after_key);
    w->depth--;
    put_char(w, c);
}

void agw_json_begin_object(struct agw_json_writer *w)
{
    begin(w, '{');
}

void agw_json_end_object(struct agw_json_writer *w)
{
    end(w, '}');
}

void agw_json_begin_array(struct agw_json_writer *w)
{
    begin(w, '[');
}

void agw_json_end_array(struct agw_json_writer *w)
{
    end(w, ']');
}

size_t agw_json_utf8(const unsigned char *p, size_t n)
{
    static const struct {
        unsigned char lead_low, lead_high, second_low, second_high, length;
    } forms[] = {
        {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
        {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
        {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    for (size_t i = 0; i < AGW_ARRAY_LEN(forms); i++) {
        if (p[0] < forms[i].lead_low || p[0] > forms[i].lead_high)
            continue;
        if (n < forms[i].length || p[1] < forms[i].second_low || p[1] > forms[i].second_high)
            return 0;
        for (size_t k = 2; k < forms[i].length; k++)
            if ((p[k] & 0xc0) != 0x80)
                return 0;
        return forms[i].length;
    }
    return 0;
}

/* Bytes from |p| that need no change. */
static size_t plain_run(const unsigned char *p, size_t n)
{
    size_t i = 0;
    while (i < n) {
        if (p[i] < 0x80) {
            if (p[i] < 0x20 || p[i] == '"' || p[i] == '\\')
                break;
            i++;
        } else {
            size_t len = agw_json_utf8(p + i, n - i);
            if (len == 0)
                break;
            i += len;
        }
    }
    return i;
}

/* The escape for one byte that plain_run stopped at; returns its length. */
static size_t escape_byte(unsigned char c, char out[ESCAPE_MAX])
{
    static const char hex[] = "0123456789abcdef";
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    if (c >= 0x80) {
        memcpy(out, "\xef\xbf\xbd", 3);
        return 3;
    }
    const char *known = c ? strchr(from, c) : NULL;
    if (known) {
        out[0] = '\\';
        out[1] = to[known - from];
        return 2;
    }
    memcpy(out, "\\u00", 4);
    out[4] = hex[c >> 4];
    out[5] = hex[c & 15];
    return 6;
}

static void put_escaped(struct agw_json_writer *w, struct agw_str s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    size_t n = s.n;
    while (n > 0) {
        size_t run = plain_run(p, n);
        put(w, (const char *)p, run);
        p += run;
        n -= run;
        if (n == 0)
            return;
        char text[ESCAPE_MAX];
        put(w, text, escape_byte(*p, text));
        p++;
        n--;
    }
}

void agw_json_key(struct agw_json_writer *w, struct agw_str key)
{
    agw_check(!w->after_key && w->depth > 0);
    agw_json_string(w, key);
    put_char(w, ':');
    w->after_key = true;
}

void agw_json_string(struct agw_json_writer *w, struct agw_str s)
{
    before_value(w);
    put_char(w, '"');
    put_escaped(w, s);
    put_char(w, '"');
}

void agw_json_int(struct agw_json_writer *w, int64_t v)
{
    char text[24];
    int n = snprintf(text, sizeof text, "%" PRId64, v);
    agw_json_raw(w, agw_str(text, (size_t)n));
}

void agw_json_uint(struct agw_json_writer *w, uint64_t v)
{
    char text[24];
    int n = snprintf(text, sizeof text, "%" PRIu64, v);
    agw_json_raw(w, agw_str(text, (size_t)n));
}

void agw_json_double(struct agw_json_writer *w, double v)
{
    char text[40];
    int n = 0;
    if (!isfinite(v)) {
        agw_json_null(w);
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        n = snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    agw_json_raw(w, agw_str(text, (size_t)n));
}

void agw_json_bool(struct agw_json_writer *w, bool v)
{
    agw_json_raw(w, v ? AGW_STR("true") : AGW_STR("false"));
}

void agw_json_null(struct agw_json_writer *w)
{
    agw_json_raw(w, AGW_STR("null"));
}

void agw_json_raw(struct agw_json_writer *w, struct agw_str json)
{
    before_value(w);
    put(w, json.p, json.n);
}

void agw_json_more(struct agw_json_writer *w, struct agw_str json)
{
    put(w, json.p, json.n);
}

void agw_json_put_string(struct agw_json_writer *w, const char *key, struct agw_str v)
{
    agw_json_key(w, agw_str_c(key));
    agw_json_string(w, v);
}

void agw_json_put_int(struct agw_json_writer *w, const char *key, int64_t v)
{
    agw_json_key(w, agw_str_c(key));
    agw_json_int(w, v);
}

void agw_json_put_uint(struct agw_json_writer *w, const char *key, uint64_t v)
{
    agw_json_key(w, agw_str_c(key));
    agw_json_uint(w, v);
}

void agw_json_put_bool(struct agw_json_writer *w, const char *key, bool v)
{
    agw_json_key(w, agw_str_c(key));
    agw_json_bool(w, v);
}

void agw_json_put_raw(struct agw_json_writer *w, const char *key, struct agw_str json)
{
    agw_json_key(w, agw_str_c(key));
    agw_json_raw(w, json);
}

int agw_json_writer_end(struct agw_json_writer *w)
{
    agw_check(w->depth == 0 && !w->after_key);
    int rc = agw_json_writer_flush(w);
    if (w->chain)
        drop_block(w);
    return rc;
}

struct agw_str agw_json_writer_text(const struct agw_json_writer *w)
{
    return w->block ? agw_str((const char *)w->block->data, w->block->len) : agw_str(NULL, 0);
}

int agw_json_writer_take(struct agw_json_writer *w, struct agw_chain *chain)
{
    if (w->error != 0 || !w->block)
        return w->error;
    int rc = agw_chain_add(chain, w->block, w->block->data, w->block->len);
    if (rc == 0)
        drop_block(w);
    return rc;
}

void agw_json_writer_free(struct agw_json_writer *w)
{
    drop_block(w);
}

int agw_json_writer_finish(struct agw_json_writer *w, int rc, struct agw_chain *chain)
{
    if (rc == 0)
        rc = agw_json_writer_end(w);
    if (rc == 0 && chain)
        rc = agw_json_writer_take(w, chain);
    agw_json_writer_free(w);
    return rc;
}

struct agw_str agw_json_escape(struct agw_str s, struct agw_arena *arena)
{
    const unsigned char *p = (const unsigned char *)s.p;
    size_t run = plain_run(p, s.n);
    if (run == s.n)
        return s.n ? s : AGW_STR("");
    char *out = s.n < SIZE_MAX / ESCAPE_MAX ? agw_arena_alloc(arena, s.n * ESCAPE_MAX) : NULL;
    if (!out)
        return agw_str(NULL, 0);
    size_t n = 0;
    for (size_t i = 0; i < s.n; run = plain_run(p + i, s.n - i)) {
        memcpy(out + n, p + i, run);
        n += run;
        i += run;
        if (i < s.n)
            n += escape_byte(p[i++], out + n);
    }
    return agw_str(out, n);
}
