#include "json/pointer.h"

#include <string.h>
#include "base/check.h"

static unsigned hex_value(unsigned char c)
{
    return c <= '9' ? c - 0u - '0' : (c | 0x20u) - 'a' + 10u;
}

static unsigned unit_at(const char *p)
{
    const unsigned char *u = (const unsigned char *)p;
    return hex_value(u[0]) << 12 | hex_value(u[1]) << 8 | hex_value(u[2]) << 4 | hex_value(u[3]);
}

static size_t encode_utf8(unsigned code, char out[4])
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t n = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = n - 1; i > 0; i--, code >>= 6)
        out[i] = (char)(0x80 | (code & 0x3f));
    out[0] = (char)(lead[n] | code);
    return n;
}

/* Reads one escape at |p| (a backslash); the tape has checked it. Returns how many bytes of text it takes. */
static size_t read_escape(const char *p, char out[4], size_t *ret_n)
{
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    if (p[1] != 'u') {
        const char *known = strchr(from, p[1]);
        out[0] = known ? to[known - from] : p[1];
        *ret_n = 1;
        return 2;
    }
    unsigned code = unit_at(p + 2);
    if (code < 0xd800 || code > 0xdfff) {
        *ret_n = encode_utf8(code, out);
        return 6;
    }
    code = 0x10000 + ((code - 0xd800) << 10) + (unit_at(p + 8) - 0xdc00);
    *ret_n = encode_utf8(code, out);
    return 12;
}

static bool escaped_is(struct agw_str in, struct agw_str s)
{
    size_t i = 0, k = 0;
    while (i < in.n) {
        char piece[4] = {in.p[i]};
        size_t n = 1;
        i += in.p[i] == '\\' ? read_escape(in.p + i, piece, &n) : 1;
        if (s.n - k < n || memcmp(piece, s.p + k, n) != 0)
            return false;
        k += n;
    }
    return k == s.n;
}

bool agw_json_is(const struct agw_json_doc *doc, uint32_t string, struct agw_str s)
{
    if (agw_json_type(doc, string) != AGW_JSON_STRING)
        return false;
    struct agw_str in = agw_json_inside(doc, string);
    if (doc->tokens[string].flags & AGW_JSON_ESCAPED)
        return escaped_is(in, s);
    return agw_str_eq(in, s);
}

uint32_t agw_json_get(const struct agw_json_doc *doc, uint32_t object, struct agw_str name)
{
    agw_json_each_member(doc, object, k)
    {
        if (agw_json_is(doc, k, name))
            return k + 1;
    }
    return 0;
}

int agw_json_get_unique(const struct agw_json_doc *doc, uint32_t object, struct agw_str name,
                        uint32_t *ret_value)
{
    uint32_t found = 0;
    agw_json_each_member(doc, object, k)
    {
        if (!agw_json_is(doc, k, name))
            continue;
        if (found != 0)
            return AGW_EEXISTS;
        found = k + 1;
    }
    *ret_value = found;
    return 0;
}

uint32_t agw_json_path(const struct agw_json_doc *doc, uint32_t from, const char *const *names,
                       uint32_t count)
{
    uint32_t at = from;
    for (uint32_t i = 0; i < count; i++) {
        at = agw_json_get(doc, at, agw_str_c(names[i]));
        if (at == 0)
            return 0;
    }
    return at;
}

int agw_json_unescape(const struct agw_json_doc *doc, uint32_t token, struct agw_arena *arena,
                      struct agw_str *ret_text)
{
    if (agw_json_type(doc, token) != AGW_JSON_STRING)
        return AGW_EINVAL;
    struct agw_str in = agw_json_inside(doc, token);
    if (!(doc->tokens[token].flags & AGW_JSON_ESCAPED)) {
        *ret_text = in;
        return 0;
    }
    char *out = agw_arena_alloc(arena, in.n);
    if (!out)
        return AGW_ENOMEM;
    size_t n = 0;
    for (size_t i = 0; i < in.n;) {
        if (in.p[i] != '\\') {
            out[n++] = in.p[i++];
            continue;
        }
        char piece[4];
        size_t len;
        i += read_escape(in.p + i, piece, &len);
        memcpy(out + n, piece, len);
        n += len;
    }
    *ret_text = agw_str(out, n);
    return 0;
}

int agw_json_to_i64(const struct agw_json_doc *doc, uint32_t token, int64_t *ret_value)
{
    if (agw_json_type(doc, token) != AGW_JSON_NUMBER || !(doc->tokens[token].flags & AGW_JSON_INTEGER))
        return AGW_EINVAL;
    struct agw_str s = agw_json_text(doc, token);
    bool negative = s.p[0] == '-';
    int64_t v = 0;
    for (size_t i = negative; i < s.n; i++) {
        int digit = s.p[i] - '0';
        if (__builtin_mul_overflow(v, 10, &v) ||
            __builtin_sub_overflow(v, digit, &v)) /* below zero reaches further */
            return AGW_ELIMIT;
    }
    if (!negative && __builtin_sub_overflow((int64_t)0, v, &v))
        return AGW_ELIMIT;
    *ret_value = v;
    return 0;
}
