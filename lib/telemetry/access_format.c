#include "base/check.h"
#include "base/clock.h"
#include "telemetry/access_log_int.h"

const uint16_t agw_access_limits[AGW_ACCESS_TEXT_COUNT] = {
#define X(field, max) max,
    AGW_ACCESS_TEXTS(X)
#undef X
};

static const char names[AGW_ACCESS_TEXT_COUNT][16] = {
#define X(field, max) #field,
    AGW_ACCESS_TEXTS(X)
#undef X
};

struct line {
    char *at;
    bool json;
};

static void put(struct line *l, const char *p, size_t n)
{
    memcpy(l->at, p, n);
    l->at += n;
}

static void put_u64(struct line *l, uint64_t value)
{
    char digits[20], *at = digits + sizeof(digits);
    do {
        *--at = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    put(l, at, (size_t)(digits + sizeof(digits) - at));
}

/* Milliseconds with microseconds behind the point. */
static void put_ms(struct line *l, uint64_t ns)
{
    unsigned us = (unsigned)(ns / 1000 % 1000);
    put_u64(l, ns / AGW_NS_PER_MS);
    *l->at++ = '.';
    *l->at++ = (char)('0' + us / 100);
    *l->at++ = (char)('0' + us / 10 % 10);
    *l->at++ = (char)('0' + us % 10);
}

static void put_key(struct line *l, const char *name)
{
    if (l->json)
        put(l, ",\"", 2);
    else
        *l->at++ = ' ';
    put(l, name, strlen(name));
    put(l, "\":", l->json ? 2 : 0);
    if (!l->json)
        *l->at++ = '=';
}

enum { PLAIN, SPACED, SPECIAL, HIGH };

/* SPACED: text values that hold it go in quotes. */
static inline int class_of(unsigned char c)
{
    if (c >= 0x80)
        return HIGH;
    if (c < 0x20 || c == 0x7f || c == '"' || c == '\\')
        return SPECIAL;
    return c == ' ' || c == '=' ? SPACED : PLAIN;
}

/* A byte of U+0080 to U+009F, which terminals obey like control characters. */
static bool is_c1(struct agw_str s, size_t i)
{
    unsigned char c = (unsigned char)s.p[i];
    if (c == 0xc2)
        return i + 1 < s.n && (unsigned char)s.p[i + 1] < 0xa0;
    return c < 0xa0 && i > 0 && (unsigned char)s.p[i - 1] == 0xc2;
}

static inline bool is_special(struct agw_str s, size_t i, int class, bool json, bool utf8)
{
    return class == SPECIAL || (class == HIGH && (!utf8 || (!json && is_c1(s, i))));
}

static void put_escape(struct line *l, unsigned char c)
{
    static const char hex[16] = "0123456789abcdef";
    if (c == '"' || c == '\\') {
        *l->at++ = '\\';
        *l->at++ = (char)c;
    } else if (l->json && c >= 0x80) {
        put(l, "\\ufffd", 6);
    } else {
        put(l, l->json ? "\\u00" : "\\x", l->json ? 4 : 2);
        *l->at++ = hex[c >> 4];
        *l->at++ = hex[c & 15];
    }
}

static void put_quoted(struct line *l, struct agw_str s, bool utf8)
{
    size_t plain = 0;
    *l->at++ = '"';
    for (size_t i = 0; i < s.n; i++) {
        int class = class_of((unsigned char)s.p[i]);
        if (is_special(s, i, class, l->json, utf8)) {
            put(l, s.p + plain, i - plain);
            put_escape(l, (unsigned char)s.p[i]);
            plain = i + 1;
        }
    }
    put(l, s.p + plain, s.n - plain);
    *l->at++ = '"';
}

static void put_text(struct line *l, struct agw_str s)
{
    int highest = PLAIN;
    bool special = false;
    for (size_t i = 0; i < s.n; i++) {
        int class = class_of((unsigned char)s.p[i]);
        special |= is_special(s, i, class, l->json, true);
        highest = class > highest ? class : highest;
    }
    bool utf8 = highest != HIGH || agw_str_is_utf8(s);
    if (special || !utf8) {
        put_quoted(l, s, utf8);
        return;
    }
    bool quotes = l->json || highest != PLAIN;
    put(l, "\"", quotes);
    put(l, s.p, s.n);
    put(l, "\"", quotes);
}

static void put_number(struct line *l, const char *name, uint64_t value)
{
    put_key(l, name);
    put_u64(l, value);
}

static void put_numbers(struct line *l, const struct agw_access_record *r)
{
    put_number(l, "status", r->status);
    put_number(l, "bytes_in", r->bytes_in);
    put_number(l, "bytes_out", r->bytes_out);
    put_key(l, "duration_ms");
    put_ms(l, r->duration_ns);
}

char *agw_access_format(const struct agw_access_record *r, bool json, char *out)
{
    /* The numbers stand behind the protocol, where people who read such logs look for them. */
    const size_t numbers_at =
        offsetof(struct agw_access_record, listener) - offsetof(struct agw_access_record, texts);
    struct line l = {.at = out, .json = json};
    char time[25];
    agw_clock_rfc3339(r->wall_ns, time);
    put(&l, json ? "{\"time\":\"" : "time=", json ? 9 : 5);
    put(&l, time, sizeof(time) - 1);
    put(&l, "\"", json);
    for (size_t i = 0; i < AGW_ACCESS_TEXT_COUNT; i++) {
        if (i == numbers_at / sizeof(struct agw_str))
            put_numbers(&l, r);
        if (r->texts[i].n == 0)
            continue;
        put_key(&l, names[i]);
        put_text(&l, r->texts[i]);
    }
    put(&l, json ? "}\n" : "\n", json ? 2 : 1);
    agw_check(l.at <= out + AGW_ACCESS_LINE_MAX);
    return l.at;
}
