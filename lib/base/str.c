#include "base/str.h"

#include "base/err.h"

static inline unsigned char fold(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
}

bool agw_str_ieq(struct agw_str a, struct agw_str b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++) {
        if (a.p[i] != b.p[i] && fold(a.p[i]) != fold(b.p[i]))
            return false;
    }
    return true;
}

int agw_str_cmp(struct agw_str a, struct agw_str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int r = n ? memcmp(a.p, b.p, n) : 0;
    if (r)
        return r < 0 ? -1 : 1;
    return (a.n > b.n) - (a.n < b.n);
}

bool agw_str_starts(struct agw_str s, struct agw_str prefix)
{
    return s.n >= prefix.n && agw_str_eq(agw_str(s.p, prefix.n), prefix);
}

bool agw_str_ends(struct agw_str s, struct agw_str suffix)
{
    return s.n >= suffix.n && (suffix.n == 0 || memcmp(s.p + s.n - suffix.n, suffix.p, suffix.n) == 0);
}

ptrdiff_t agw_str_find(struct agw_str s, char c)
{
    const char *at = s.n ? memchr(s.p, c, s.n) : NULL;
    return at ? at - s.p : -1;
}

ptrdiff_t agw_str_search(struct agw_str s, struct agw_str needle)
{
    if (needle.n == 0)
        return 0;
    const char *at = s.n ? memmem(s.p, s.n, needle.p, needle.n) : NULL;
    return at ? at - s.p : -1;
}

static inline bool is_ows(char c)
{
    return c == ' ' || c == '\t';
}

struct agw_str agw_str_trim(struct agw_str s)
{
    while (s.n && is_ows(s.p[s.n - 1]))
        s.n--;
    while (s.n && is_ows(*s.p)) {
        s.p++;
        s.n--;
    }
    return s;
}

bool agw_str_split(struct agw_str *rest, char sep, struct agw_str *ret_part)
{
    if (rest->n == 0)
        return false;
    ptrdiff_t at = agw_str_find(*rest, sep);
    size_t n = at < 0 ? rest->n : (size_t)at;
    *ret_part = agw_str_trim(agw_str(rest->p, n));
    *rest = agw_str_from(*rest, at < 0 ? n : n + 1);
    return true;
}

int agw_str_u64(struct agw_str s, uint64_t *ret_value)
{
    uint64_t value = 0;
    if (s.n == 0)
        return AGW_EINVAL;
    for (size_t i = 0; i < s.n; i++) {
        unsigned digit = (unsigned char)s.p[i] - '0';
        if (digit > 9 || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, digit, &value))
            return AGW_EINVAL;
    }
    *ret_value = value;
    return 0;
}

static size_t utf8_length(unsigned char first)
{
    if (first >= 0xc2 && first <= 0xdf)
        return 2;
    if ((first & 0xf0) == 0xe0)
        return 3;
    return first >= 0xf0 && first <= 0xf4 ? 4 : 0;
}

/* Length of the well-formed sequence at |p|, which starts with a byte >= 0x80; 0 if there is none (RFC 3629,
 * section 4). */
static size_t utf8_sequence(const unsigned char *p, size_t left)
{
    size_t n = utf8_length(p[0]);
    if (n == 0 || n > left)
        return 0;
    unsigned char low = p[0] == 0xe0 ? 0xa0 : p[0] == 0xf0 ? 0x90 : 0x80;
    unsigned char high = p[0] == 0xed ? 0x9f : p[0] == 0xf4 ? 0x8f : 0xbf;
    if (p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    }
    return n;
}

bool agw_str_is_utf8(struct agw_str s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    size_t i = 0;
    while (i < s.n) {
        uint64_t word;
        if (s.n - i >= sizeof(word)) {
            memcpy(&word, p + i, sizeof(word));
            if ((word & 0x8080808080808080u) == 0) {
                i += sizeof(word);
                continue;
            }
        }
        size_t n = p[i] < 0x80 ? 1 : utf8_sequence(p + i, s.n - i);
        if (n == 0)
            return false;
        i += n;
    }
    return true;
}
