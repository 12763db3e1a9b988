#include "h1/h1_int.h"

#include "base/check.h"
#include "base/err.h"
#include "h1/scan_int.h"

/* Fields named by one Connection header; each is searched for among all fields. Real senders name two or
 * three. */
#define CONNECTION_OPTIONS 32
#define KEEP_ALIVE_MAX 86400 /* seconds; a peer that promises more promises enough */

const unsigned char agw_h1_token[256] = {
    ['!'] = '!', ['#'] = '#', ['$'] = '$', ['%'] = '%', ['&'] = '&', ['\''] = '\'', ['*'] = '*', ['+'] = '+',
    ['-'] = '-', ['.'] = '.', ['0'] = '0', ['1'] = '1', ['2'] = '2', ['3'] = '3',   ['4'] = '4', ['5'] = '5',
    ['6'] = '6', ['7'] = '7', ['8'] = '8', ['9'] = '9', ['A'] = 'a', ['B'] = 'b',   ['C'] = 'c', ['D'] = 'd',
    ['E'] = 'e', ['F'] = 'f', ['G'] = 'g', ['H'] = 'h', ['I'] = 'i', ['J'] = 'j',   ['K'] = 'k', ['L'] = 'l',
    ['M'] = 'm', ['N'] = 'n', ['O'] = 'o', ['P'] = 'p', ['Q'] = 'q', ['R'] = 'r',   ['S'] = 's', ['T'] = 't',
    ['U'] = 'u', ['V'] = 'v', ['W'] = 'w', ['X'] = 'x', ['Y'] = 'y', ['Z'] = 'z',   ['^'] = '^', ['_'] = '_',
    ['`'] = '`', ['a'] = 'a', ['b'] = 'b', ['c'] = 'c', ['d'] = 'd', ['e'] = 'e',   ['f'] = 'f', ['g'] = 'g',
    ['h'] = 'h', ['i'] = 'i', ['j'] = 'j', ['k'] = 'k', ['l'] = 'l', ['m'] = 'm',   ['n'] = 'n', ['o'] = 'o',
    ['p'] = 'p', ['q'] = 'q', ['r'] = 'r', ['s'] = 's', ['t'] = 't', ['u'] = 'u',   ['v'] = 'v', ['w'] = 'w',
    ['x'] = 'x', ['y'] = 'y', ['z'] = 'z', ['|'] = '|', ['~'] = '~',
};

static int bad(struct agw_h1_fields *f, const char *reason)
{
    return agw_h1_fail(f->head, AGW_EPROTO, 400, reason);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

/* One list element of Connection. Names of end-to-end fields are only noted. */
static void take_option(struct agw_h1_fields *f, struct agw_str option)
{
    if (agw_str_ieq(option, AGW_STR("close")))
        f->close = true;
    else if (agw_str_ieq(option, AGW_STR("keep-alive")))
        f->keep_alive = true;
    else if (agw_str_ieq(option, AGW_STR("upgrade")))
        f->names_upgrade = true;
    else if (option.n && !agw_str_ieq(option, AGW_STR("te")))
        f->names_others = true;
}

static int take_connection(struct agw_h1_fields *f, struct agw_str value)
{
    struct agw_str rest = value, option;
    bool others = f->names_others;

    f->names_others = false;
    while (agw_str_split(&rest, ',', &option)) {
        if (++f->options > CONNECTION_OPTIONS)
            return agw_h1_fail(f->head, AGW_ELIMIT, 400, "too many options in Connection");
        take_option(f, option);
    }
    if (f->names_others && agw_headers_add_id(f->out, AGW_HDR_CONNECTION, value) < 0)
        return agw_h1_fail(f->head, AGW_ENOMEM, 503, "out of memory");
    f->names_others |= others;
    return 0;
}

/* 1*DIGIT, at most INT64_MAX. A list, even of equal values, a sign or any other character is refused. */
static int take_length(struct agw_h1_fields *f, struct agw_str value)
{
    int64_t length = 0;

    if (f->has_length)
        return bad(f, "Content-Length stands twice");
    if (value.n == 0)
        return bad(f, "Content-Length is empty");
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] < '0' || value.p[i] > '9')
            return bad(f, "Content-Length is not a number");
    }
    for (size_t i = 0; i < value.n; i++) {
        if (__builtin_mul_overflow(length, 10, &length) ||
            __builtin_add_overflow(length, value.p[i] - '0', &length))
            return agw_h1_fail(f->head, AGW_ELIMIT, 413, "Content-Length is too large");
    }
    f->has_length = true;
    f->length = length;
    return 0;
}

static void take_te(struct agw_h1_fields *f, struct agw_str value)
{
    struct agw_str coding;

    while (agw_str_split(&value, ',', &coding))
        f->te_trailers |= agw_str_ieq(coding, AGW_STR("trailers"));
}

/* "timeout=5, max=1000": how long the peer keeps the connection when nothing is asked on it. What is no
 * number says nothing; 0 means that the connection is about to close. */
static void take_keep_alive(struct agw_h1_fields *f, struct agw_str value)
{
    struct agw_str rest = value, hint, name;
    uint64_t seconds;

    while (agw_str_split(&rest, ',', &hint)) {
        if (!agw_str_split(&hint, '=', &name) || !agw_str_ieq(name, AGW_STR("timeout")) ||
            agw_str_u64(agw_str_trim(hint), &seconds))
            continue;
        f->keep_alive_s = seconds < KEEP_ALIVE_MAX ? (uint32_t)seconds : KEEP_ALIVE_MAX;
        f->close |= seconds == 0;
    }
}

/* |value| is kept whole. h2c is noted whatever its version: behind it are requests that nobody here would
 * see. */
static void take_upgrade(struct agw_h1_fields *f, struct agw_str value)
{
    struct agw_str rest = value, protocol, name;

    if (!f->upgrade.n)
        f->upgrade = value;
    while (agw_str_split(&rest, ',', &protocol)) {
        if (agw_str_split(&protocol, '/', &name))
            f->offers_h2c |= agw_str_ieq(name, AGW_STR("h2c"));
    }
}

static int take_once(struct agw_h1_fields *f, bool *seen, struct agw_str *ret_value, struct agw_str value,
                     const char *reason)
{
    if (*seen)
        return bad(f, reason);
    *seen = true;
    *ret_value = value;
    return 0;
}

/* A field that belongs to the connection, or to the message's framing. */
static int take(struct agw_h1_fields *f, enum agw_hdr id, struct agw_str value)
{
    switch (id) {
    case AGW_HDR_CONNECTION:
        return take_connection(f, value);
    case AGW_HDR_CONTENT_LENGTH:
        return take_length(f, value);
    case AGW_HDR_TRANSFER_ENCODING:
        return take_once(f, &f->has_coding, &f->coding, value, "Transfer-Encoding stands twice");
    case AGW_HDR_HOST:
        return take_once(f, &f->has_host, &f->host, value, "Host stands twice");
    case AGW_HDR_EXPECT:
        return take_once(f, &f->has_expect, &f->expect, value, "Expect stands twice");
    case AGW_HDR_TE:
        take_te(f, value);
        return 0;
    case AGW_HDR_UPGRADE:
        take_upgrade(f, value);
        return 0;
    case AGW_HDR_KEEP_ALIVE:
        take_keep_alive(f, value);
        return 0;
    default:
        return 0; /* Proxy-Connection */
    }
}

/* Why the name that starts at |p| and stops before its colon is wrong. */
static const char *name_fault(const char *p, const char *stop)
{
    if (p == stop)
        return is_space(*p) ? "a line starts with white space (obs-fold)" : "a field has no name";
    if (is_space(*stop))
        return "white space before the colon of a field";
    if (*stop == '\r')
        return "a field line has no colon";
    return "forbidden character in a field name";
}

static void cut(struct agw_headers *h, struct agw_header *field)
{
    memmove(field, field + 1, (size_t)(h->v + h->n - field - 1) * sizeof(*field));
    h->n--;
}

/* Removes what Connection named. A field that the gateway itself knows stays: naming one end-to-end is a
 * mistake or an attempt to make it vanish behind the gateway's back. */
static void remove_named(struct agw_h1_fields *f)
{
    struct agw_header *connection;

    while ((connection = agw_headers_get(f->out, AGW_HDR_CONNECTION))) {
        struct agw_str rest = connection->value, option;
        cut(f->out, connection);
        while (agw_str_split(&rest, ',', &option)) {
            char *name = (char *)option.p; /* the text is ours */
            for (size_t i = 0; i < option.n; i++)
                name[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] | 0x20 : name[i]);
            if (option.n && agw_hdr_lookup(option) == AGW_HDR_OTHER)
                agw_headers_remove(f->out, option);
        }
    }
}

static inline int add(struct agw_h1_fields *f, struct agw_str name, struct agw_str value)
{
    struct agw_headers *out = f->out;
    enum agw_hdr id = agw_hdr_lookup(name);

    if (agw_hdr_is_framing(id))
        return f->trailers ? 0 : take(f, id, value);
    if (f->trailers && !agw_hdr_in_trailers(id))
        return 0;
    if (agw_unlikely(out->n == out->cap) && agw_headers_reserve(out, 1) < 0)
        return agw_h1_fail(f->head, AGW_ENOMEM, 503, "out of memory");
    out->v[out->n++] = (struct agw_header){.name = name, .value = value, .id = id};
    return 0;
}

int agw_h1_fields_parse(struct agw_h1_fields *f, char *p)
{
    int r;

    for (uint32_t count = 0; *p != '\r'; count++) {
        char *name = p, *colon = scan_name(p), *value, *end;
        if (agw_unlikely(*colon != ':' || colon == name))
            return bad(f, name_fault(name, colon));
        if (agw_unlikely(count == f->limit))
            return agw_h1_fail(f->head, AGW_ELIMIT, 431, "too many header fields");
        for (value = colon + 1; is_space(*value); value++)
            ;
        end = scan_value(value);
        if (agw_unlikely(end[0] != '\r' || end[1] != '\n'))
            return bad(f, "control character in a field value");
        p = end + 2;
        while (end > value && is_space(end[-1]))
            end--;
        r = add(f, agw_str(name, (size_t)(colon - name)), agw_str(value, (size_t)(end - value)));
        if (agw_unlikely(r < 0))
            return r;
    }
    if (p[1] != '\n')
        return bad(f, "bare CR");
    if (agw_unlikely(f->names_others))
        remove_named(f);
    return 0;
}
