#include "http/uri.h"

#include <arpa/inet.h>
#include "base/err.h"

#define PORT_DIGITS 5

static bool is_alpha(char c)
{
    return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int hex_value(char c)
{
    if (is_digit(c))
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* reg-name (RFC 3986 section 3.2.2) without '%', which no DNS name needs, and without ',', which is what a
 * proxy that joins two Host lines would leave behind. */
static const bool name_char[256] = {
    ['a' ... 'z'] = true, ['A' ... 'Z'] = true, ['0' ... '9'] = true, ['-'] = true, ['.'] = true,
    ['_'] = true,         ['~'] = true,         ['!'] = true,         ['$'] = true, ['&'] = true,
    ['\''] = true,        ['('] = true,         [')'] = true,         ['*'] = true, ['+'] = true,
    [';'] = true,         ['='] = true,
};

static bool is_ipv6(struct agw_str s)
{
    char text[INET6_ADDRSTRLEN];
    unsigned char address[16];

    if (s.n >= sizeof(text) || memchr(s.p, 0, s.n))
        return false;
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    return inet_pton(AF_INET6, text, address) == 1;
}

static bool is_port(struct agw_str s)
{
    uint32_t port = 0;

    if (s.n > PORT_DIGITS)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (!is_digit(s.p[i]))
            return false;
        port = port * 10 + (uint32_t)(s.p[i] - '0');
    }
    return port <= UINT16_MAX;
}

/* Takes the host off the front of |authority|; false for junk. */
static bool take_host(struct agw_str authority, struct agw_str *ret_host, struct agw_str *ret_rest)
{
    size_t n = 0;
    ptrdiff_t close;

    if (authority.p[0] == '[') {
        close = agw_str_find(authority, ']');
        if (close < 0)
            return false;
        *ret_host = agw_str(authority.p + 1, (size_t)close - 1);
        *ret_rest = agw_str_from(authority, (size_t)close + 1);
        return is_ipv6(*ret_host);
    }
    while (n < authority.n && name_char[(unsigned char)authority.p[n]])
        n++;
    *ret_host = agw_str(authority.p, n);
    *ret_rest = agw_str_from(authority, n);
    return n > 0;
}

int agw_authority_split(struct agw_str authority, struct agw_str *ret_host, struct agw_str *ret_port)
{
    struct agw_str host, rest;

    if (authority.n == 0 || !take_host(authority, &host, &rest))
        return AGW_EINVAL;
    if (rest.n) {
        if (rest.p[0] != ':' || !is_port(agw_str_from(rest, 1)))
            return AGW_EINVAL;
        rest = agw_str_from(rest, 1);
    }
    *ret_host = host;
    *ret_port = rest;
    return 0;
}

/* scheme, RFC 3986 section 3.1; returns its length, 0 when there is none before "://". */
static size_t scheme_length(struct agw_str text)
{
    size_t n = 0;

    if (text.n == 0 || !is_alpha(text.p[0]))
        return 0;
    while (n < text.n && (is_alpha(text.p[n]) || is_digit(text.p[n]) || strchr("+-.", text.p[n])) &&
           text.p[n])
        n++;
    return text.n - n >= 3 && memcmp(text.p + n, "://", 3) == 0 ? n : 0;
}

static bool is_clean(struct agw_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c <= 0x20 || c >= 0x7f || c == '#')
            return false;
    }
    return true;
}

int agw_uri_parse(struct agw_str text, struct agw_uri *ret_uri)
{
    struct agw_uri uri = {0};
    struct agw_str rest;
    size_t n = scheme_length(text);

    if (n == 0)
        return AGW_EINVAL;
    uri.scheme = agw_str(text.p, n);
    rest = agw_str_from(text, n + 3);
    n = 0;
    while (n < rest.n && rest.p[n] != '/' && rest.p[n] != '?')
        n++;
    if (agw_authority_split(agw_str(rest.p, n), &uri.host, &uri.port) < 0)
        return AGW_EINVAL;
    rest = agw_str_from(rest, n);
    if (!is_clean(rest))
        return AGW_EINVAL;
    agw_path_split(rest, &uri.path, &uri.query, &uri.has_query);
    *ret_uri = uri;
    return 0;
}

void agw_path_split(struct agw_str target, struct agw_str *ret_path, struct agw_str *ret_query,
                    bool *ret_has_query)
{
    const char *mark = target.n ? memchr(target.p, '?', target.n) : NULL;
    size_t n = mark ? (size_t)(mark - target.p) : target.n;

    *ret_path = agw_str(target.p, n);
    *ret_query = mark ? agw_str_from(target, n + 1) : agw_str(NULL, 0);
    *ret_has_query = mark != NULL;
}

/* Takes the pair before the next '&' off the front of |query|. */
static bool next_pair(struct agw_str *query, struct agw_str *ret_name, struct agw_str *ret_value)
{
    const char *amp, *equals;
    struct agw_str pair = *query;

    if (query->n == 0)
        return false;
    amp = memchr(query->p, '&', query->n);
    if (amp)
        pair.n = (size_t)(amp - query->p);
    *query = agw_str_from(*query, amp ? pair.n + 1 : pair.n);
    equals = pair.n ? memchr(pair.p, '=', pair.n) : NULL;
    *ret_name = equals ? agw_str(pair.p, (size_t)(equals - pair.p)) : pair;
    *ret_value = equals ? agw_str_from(pair, ret_name->n + 1) : agw_str("", 0);
    return true;
}

/* The character at s[i], decoded; moves *i behind it. -1 for a bad escape. */
static int next_char(struct agw_str s, bool form, size_t *i)
{
    char c = s.p[(*i)++];
    int high, low;

    if (c == '+' && form)
        return ' ';
    if (c != '%')
        return (unsigned char)c;
    if (s.n - *i < 2)
        return -1;
    high = hex_value(s.p[*i]);
    low = hex_value(s.p[*i + 1]);
    *i += 2;
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

static bool equals_decoded(struct agw_str encoded, struct agw_str plain)
{
    size_t i = 0, k = 0;

    while (i < encoded.n) {
        int c = next_char(encoded, true, &i);
        if (c < 0 || k == plain.n || (unsigned char)plain.p[k++] != c)
            return false;
    }
    return k == plain.n;
}

bool agw_query_get(struct agw_str query, struct agw_str name, struct agw_arena *arena,
                   struct agw_str *ret_value)
{
    struct agw_str key, value;

    while (next_pair(&query, &key, &value)) {
        if (!equals_decoded(key, name))
            continue;
        value = agw_percent_decode(value, true, arena);
        if (value.p)
            *ret_value = value;
        return value.p != NULL;
    }
    return false;
}

struct agw_str agw_percent_decode(struct agw_str s, bool form, struct agw_arena *arena)
{
    char *out;
    size_t n = 0, i = 0;

    if (s.n == 0)
        return agw_str("", 0);
    if (!memchr(s.p, '%', s.n) && !(form && memchr(s.p, '+', s.n)))
        return s;
    out = agw_arena_alloc(arena, s.n);
    if (!out)
        return agw_str(NULL, 0);
    while (i < s.n) {
        int c = next_char(s, form, &i);
        if (c < 0)
            return agw_str(NULL, 0);
        out[n++] = (char)c;
    }
    return agw_str(out, n);
}

static bool is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

struct agw_str agw_percent_encode(struct agw_str s, struct agw_arena *arena)
{
    static const char digits[] = "0123456789ABCDEF";
    char *out = agw_arena_alloc(arena, 3 * s.n);
    size_t n = 0;
    for (size_t i = 0; out && i < s.n; i++) {
        if (is_unreserved(s.p[i])) {
            out[n++] = s.p[i];
            continue;
        }
        out[n++] = '%';
        out[n++] = digits[(unsigned char)s.p[i] >> 4];
        out[n++] = digits[(unsigned char)s.p[i] & 15];
    }
    return agw_str(out, n);
}
