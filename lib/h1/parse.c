#include "h1/h1_int.h"

#include "base/check.h"
#include "base/err.h"
#include "h1/scan_int.h"
#include "http/uri.h"

#define EMPTY_LINES 2  /* before a request: old clients send CR LF after a body (RFC 9112 section 2.2) */
#define METHOD_MAX 64  /* bytes; the longest registered method has 17 */
#define VERSION_SIZE 8 /* "HTTP/1.1" */
#define LINE_REST (METHOD_MAX + VERSION_SIZE + 4) /* of a request line, beside the target */

const struct agw_h1_limits agw_h1_default_limits = {
    .head = 65536, /* cookies and tokens of real clients fit in 32 KiB; one head of this size costs one arena
                      block */
    .target = 16384, /* browsers and proxies stop at 8 KiB or above */
    .headers = 128,  /* browsers send about 20, chains of proxies some tens */
};
const struct agw_h1_limits agw_h1_cased_limits = {
    .head = 65536, .target = 16384, .headers = 128, .keep_case = true};

void agw_h1_head_init(struct agw_h1_head *h, const struct agw_h1_limits *limits)
{
    *h = (struct agw_h1_head){.limits = limits ? limits : &agw_h1_default_limits};
}

static int bad(struct agw_h1_head *h, const char *reason)
{
    return agw_h1_fail(h, AGW_EPROTO, 400, reason);
}

/* --- the end of the head --- */

/* Bytes of the empty lines before the head. AGW_EAGAIN: not yet to be seen. */
static int skip_empty_lines(struct agw_h1_head *h, const unsigned char *p, size_t n, size_t *ret_skip)
{
    size_t skip = 0;

    while (skip < n && p[skip] == '\r') {
        if (skip == EMPTY_LINES * 2)
            return bad(h, "empty lines instead of a head");
        if (skip + 1 == n)
            return AGW_EAGAIN;
        if (p[skip + 1] != '\n')
            return bad(h, "bare CR");
        skip += 2;
    }
    *ret_skip = skip;
    return skip == n ? AGW_EAGAIN : 0;
}

/* The LF at |at|: 1 if it ends the head that starts at |start|. All LFs before it passed this test. */
static inline int check_lf(const unsigned char *p, size_t start, size_t at)
{
    if (at == start || p[at - 1] != '\r')
        return AGW_EPROTO;
    return at - start >= 3 && p[at - 2] == '\n';
}

#ifdef __SSE2__
/* Looks at whole groups of 16 bytes from *at; 0 if none of their LFs ends the head. *at moves behind what was
 * seen. */
static inline int scan_groups(const unsigned char *p, size_t start, size_t n, size_t *at)
{
    const __m128i lf = _mm_set1_epi8('\n');
    size_t i = *at;
    int r;

    for (; n - i >= 16; i += 16) {
        __m128i x = _mm_loadu_si128((const __m128i *)(p + i));
        unsigned mask = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(x, lf));
        for (; mask; mask &= mask - 1) {
            r = check_lf(p, start, i + first_bit(mask));
            if (r) {
                *at = i + first_bit(mask) + 1;
                return r;
            }
        }
    }
    *at = i;
    return 0;
}
#else
static inline int scan_groups(const unsigned char *p, size_t start, size_t n, size_t *at)
{
    return 0;
}
#endif

/* 1: *ret_end is behind the head's last LF; 0: not within |n| bytes. */
static int scan_end(const unsigned char *p, size_t start, size_t from, size_t n, size_t *ret_end)
{
    size_t at = from;
    int r = scan_groups(p, start, n, &at);

    for (; r == 0 && at < n; at++) {
        if (p[at] == '\n' && (r = check_lf(p, start, at)) == 1) {
            *ret_end = at + 1;
            return r;
        }
    }
    *ret_end = at;
    return r;
}

/* What can be said of a head whose end has not come. */
static int unfinished(struct agw_h1_head *h, const unsigned char *p, size_t n)
{
    size_t line_max = h->limits->target + LINE_REST;

    if (!agw_h1_token[p[0]])
        return bad(h, "a head starts with a forbidden character");
    if (n > line_max && !memchr(p, '\n', line_max))
        return agw_h1_fail(h, AGW_ELIMIT, 414, "the first line is too long");
    if (n >= h->limits->head)
        return agw_h1_fail(h, AGW_ELIMIT, 431, "the head is too long");
    return AGW_EAGAIN;
}

/* Finds where the head at p + skip ends. AGW_EAGAIN: more bytes needed. */
static int find_end(struct agw_h1_head *h, const unsigned char *p, size_t skip, size_t n, size_t *ret_end)
{
    size_t from = h->scanned > skip ? h->scanned : skip;
    size_t most = n - skip > h->limits->head ? skip + h->limits->head : n;
    size_t end;
    int r;

    if (from > most)
        from = most;
    r = scan_end(p, skip, from, most, &end);
    if (r < 0)
        return bad(h, "bare LF");
    if (r == 0) {
        h->scanned = most;
        return unfinished(h, p + skip, most - skip);
    }
    *ret_end = end;
    return 0;
}

/* The arena's copy of the head, padded for the scanners; *ret_text is NULL on failure. */
static int copy_head(struct agw_h1_head *h, const unsigned char *p, size_t n, struct agw_msg *msg,
                     char **ret_text)
{
    char *text = agw_arena_alloc(msg->arena, n + AGW_H1_PAD);

    if (h->limits->keep_case) {
        msg->written.cased = agw_arena_copy(msg->arena, p, n);
        msg->written.lower = text;
        msg->written.n = n;
    }
    if (!text || (h->limits->keep_case && !msg->written.cased))
        return agw_h1_fail(h, AGW_ENOMEM, 503, "out of memory");
    memcpy(text, p, n);
    memset(text + n, 0, AGW_H1_PAD);
    *ret_text = text;
    return 0;
}

/* --- start lines --- */

static int parse_version(struct agw_h1_head *h, const char *p, enum agw_http_version *ret_version)
{
    if (memcmp(p, "HTTP/1.1", VERSION_SIZE) == 0)
        *ret_version = AGW_HTTP_11;
    else if (memcmp(p, "HTTP/1.0", VERSION_SIZE) == 0)
        *ret_version = AGW_HTTP_10;
    else if (memcmp(p, "HTTP/", 5) == 0 && p[5] >= '0' && p[5] <= '9' && p[6] == '.' && p[7] >= '0' &&
             p[7] <= '9')
        return agw_h1_fail(h, AGW_EUNSUPPORTED, 505, "HTTP version");
    else
        return bad(h, "malformed HTTP version");
    return 0;
}

/* method SP request-target SP HTTP-version CRLF. *ret_target is not yet looked into. */
static int parse_request_line(struct agw_h1_head *h, char *p, struct agw_msg *msg, struct agw_str *ret_target,
                              char **ret_next)
{
    char *start = p;
    int r;

    while (agw_h1_token[(unsigned char)*p])
        p++;
    if (p == start || *p != ' ')
        return bad(h, "malformed method");
    if (p - start > METHOD_MAX)
        return agw_h1_fail(h, AGW_EUNSUPPORTED, 501, "method is too long");
    msg->method_text = agw_str(start, (size_t)(p - start));
    msg->method = agw_method_lookup(msg->method_text);
    start = ++p;
    p = scan_target(p);
    if (p == start || *p != ' ')
        return bad(h, *p == '\r' && p != start ? "no HTTP version"
                                               : "forbidden character in the request target");
    *ret_target = agw_str(start, (size_t)(p - start));
    if (ret_target->n > h->limits->target)
        return agw_h1_fail(h, AGW_ELIMIT, 414, "the request target is too long");
    r = parse_version(h, ++p, &msg->version);
    if (r < 0) {
        h->foreign = msg->method == AGW_METHOD_OTHER && !agw_str_ieq(agw_str(p, 4), AGW_STR("HTTP"));
        return r;
    }
    p += VERSION_SIZE;
    if (p[0] != '\r' || p[1] != '\n')
        return bad(h, "malformed HTTP version");
    *ret_next = p + 2;
    return 0;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* HTTP-version SP status-code [SP reason-phrase] CRLF */
static int parse_status_line(struct agw_h1_head *h, char *p, struct agw_msg *msg, char **ret_next)
{
    int r = parse_version(h, p, &msg->version);
    char *reason;

    if (r < 0)
        return r;
    p += VERSION_SIZE;
    if (*p++ != ' ' || !is_digit(p[0]) || !is_digit(p[1]) || !is_digit(p[2]))
        return bad(h, "malformed status code");
    msg->status = (p[0] - '0') * 100 + (p[1] - '0') * 10 + (p[2] - '0');
    if (msg->status < 100 || msg->status > 599)
        return bad(h, "status code out of range");
    p += 3;
    if (*p != ' ' && *p != '\r')
        return bad(h, "malformed status code");
    reason = *p == ' ' ? ++p : p;
    p = scan_value(p);
    if (p[0] != '\r' || p[1] != '\n')
        return bad(h, "control character in the reason phrase");
    msg->reason = agw_str(reason, (size_t)(p - reason));
    *ret_next = p + 2;
    return 0;
}

/* --- the request target and Host --- */

/* host[:port], lower-cased in place: the text is ours. */
static int set_authority(struct agw_h1_head *h, struct agw_str authority, struct agw_msg *msg,
                         const char *reason)
{
    struct agw_str host, port;
    char *p = (char *)authority.p;

    if (agw_authority_split(authority, &host, &port) < 0)
        return bad(h, reason);
    for (size_t i = 0; i < authority.n; i++)
        p[i] = (char)(p[i] >= 'A' && p[i] <= 'Z' ? p[i] | 0x20 : p[i]);
    msg->authority = authority;
    return 0;
}

/* RFC 9112 section 3.2: one Host in HTTP/1.1. Its value counts only if the target does not name the
 * authority. */
static int set_host(struct agw_h1_head *h, const struct agw_h1_fields *f, struct agw_msg *msg)
{
    struct agw_str host, port;

    if (!f->has_host)
        return msg->version == AGW_HTTP_10 ? 0 : bad(h, "no Host");
    if (!msg->authority.n)
        return set_authority(h, f->host, msg, "malformed Host");
    if (agw_authority_split(f->host, &host, &port) < 0)
        return bad(h, "malformed Host");
    return 0;
}

/* Length of "http://" or "https://" at the front, else 0. */
static size_t scheme_length(struct agw_str target)
{
    if (target.n >= 7 && agw_str_ieq(agw_str(target.p, 7), AGW_STR("http://")))
        return 7;
    if (target.n >= 8 && agw_str_ieq(agw_str(target.p, 8), AGW_STR("https://")))
        return 8;
    return 0;
}

/* Absolute form (section 3.2.2): the path gets the '/' that it may lack. */
static int set_absolute(struct agw_h1_head *h, struct agw_str target, struct agw_msg *msg)
{
    size_t scheme = scheme_length(target);
    struct agw_str rest = agw_str_from(target, scheme);
    size_t n = 0;
    int r;

    if (scheme == 0)
        return bad(h, "malformed request target");
    while (n < rest.n && rest.p[n] != '/' && rest.p[n] != '?')
        n++;
    r = set_authority(h, agw_str(rest.p, n), msg, "malformed authority in the request target");
    if (r < 0)
        return r;
    rest = agw_str_from(rest, n);
    if (rest.n == 0)
        rest = msg->method == AGW_METHOD_OPTIONS ? AGW_STR("*") : AGW_STR("/");
    else if (rest.p[0] == '?')
        rest = agw_arena_join(msg->arena, (struct agw_str[]){AGW_STR("/"), rest}, 2);
    if (!rest.p)
        return agw_h1_fail(h, AGW_ENOMEM, 503, "out of memory");
    msg->path = rest;
    return 0;
}

/* host:port (section 3.2.3); the port has no default. */
static int set_connect(struct agw_h1_head *h, struct agw_str target, struct agw_msg *msg)
{
    struct agw_str host, port;

    if (agw_authority_split(target, &host, &port) < 0 || port.n == 0)
        return bad(h, "CONNECT needs host:port");
    msg->path = target;
    return set_authority(h, target, msg, "CONNECT needs host:port");
}

static int set_target(struct agw_h1_head *h, struct agw_str target, struct agw_msg *msg)
{
    if (msg->method == AGW_METHOD_CONNECT)
        return set_connect(h, target, msg);
    if (agw_likely(target.p[0] == '/')) {
        msg->path = target;
        return 0;
    }
    if (target.n == 1 && target.p[0] == '*' && msg->method == AGW_METHOD_OPTIONS) {
        msg->path = target;
        return 0;
    }
    return set_absolute(h, target, msg);
}

/* --- framing (section 6) --- */

/* Transfer-Encoding: all that is served is one final "chunked". */
static int check_coding(struct agw_h1_head *h, const struct agw_h1_fields *f, enum agw_http_version version)
{
    struct agw_str rest = f->coding, coding = {NULL, 0};
    unsigned chunked = 0, count = 0;

    if (version == AGW_HTTP_10)
        return bad(h, "Transfer-Encoding in HTTP/1.0");
    if (f->has_length)
        return bad(h, "both Content-Length and Transfer-Encoding");
    if (agw_likely(agw_str_ieq(f->coding, AGW_STR("chunked"))))
        return 0;
    while (agw_str_split(&rest, ',', &coding)) {
        count++;
        if (coding.n == 0)
            return bad(h, "empty element in Transfer-Encoding");
        chunked += agw_str_ieq(coding, AGW_STR("chunked"));
    }
    if (count < 2 || chunked != 1 || !agw_str_ieq(coding, AGW_STR("chunked")))
        return bad(h, "Transfer-Encoding does not end with one chunked");
    return agw_h1_fail(h, AGW_EUNSUPPORTED, 501, "Transfer-Encoding other than chunked");
}

static void set_length(struct agw_h1_head *h, const struct agw_h1_fields *f, struct agw_msg *msg)
{
    if (f->has_coding) {
        h->framing = AGW_H1_CHUNKED;
        msg->length = AGW_LENGTH_UNKNOWN;
    } else {
        h->framing = f->length ? AGW_H1_LENGTH : AGW_H1_NO_BODY;
        msg->length = f->length;
    }
}

static int set_expect(struct agw_h1_head *h, const struct agw_h1_fields *f, struct agw_msg *msg)
{
    if (!f->has_expect ||
        msg->version == AGW_HTTP_10) /* RFC 9110 section 10.1.1: 1.0 clients cannot mean it */
        return 0;
    if (!agw_str_ieq(f->expect, AGW_STR("100-continue")))
        return agw_h1_fail(h, AGW_EUNSUPPORTED, 417, "Expect other than 100-continue");
    msg->expect_continue = h->framing != AGW_H1_NO_BODY;
    return 0;
}

static bool keeps_alive(const struct agw_h1_fields *f, enum agw_http_version version)
{
    return !f->close && (version == AGW_HTTP_11 || f->keep_alive);
}

/* Fields of both kinds of head. */
static int parse_fields(struct agw_h1_head *h, struct agw_h1_fields *f, char *p, struct agw_msg *msg)
{
    int r = agw_h1_fields_parse(f, p);

    if (r < 0)
        return r;
    h->keep_alive = keeps_alive(f, msg->version);
    h->keep_alive_s = f->keep_alive_s;
    if (f->names_upgrade && !f->offers_h2c && msg->version == AGW_HTTP_11)
        msg->upgrade = f->upgrade;
    msg->te_trailers = f->te_trailers;
    return 0;
}

static int set_request_framing(struct agw_h1_head *h, const struct agw_h1_fields *f, struct agw_msg *msg)
{
    int r = f->has_coding ? check_coding(h, f, msg->version) : 0;

    if (r < 0)
        return r;
    set_length(h, f, msg);
    if (msg->method == AGW_METHOD_CONNECT &&
        h->framing != AGW_H1_NO_BODY) /* would be taken for tunnel data */
        return bad(h, "CONNECT with a body");
    return set_expect(h, f, msg);
}

int agw_h1_parse_request(struct agw_h1_head *h, const unsigned char *p, size_t n, struct agw_msg *msg)
{
    struct agw_h1_fields f = {.head = h, .out = &msg->headers, .limit = h->limits->headers};
    struct agw_str target;
    size_t skip, end;
    char *text;
    int r;

    if ((r = skip_empty_lines(h, p, n, &skip)) < 0 || (r = find_end(h, p, skip, n, &end)) < 0 ||
        (r = copy_head(h, p + skip, end - skip, msg, &text)) < 0 ||
        (r = parse_request_line(h, text, msg, &target, &text)) < 0 ||
        (r = parse_fields(h, &f, text, msg)) < 0 || (r = set_target(h, target, msg)) < 0 ||
        (r = set_host(h, &f, msg)) < 0 || (r = set_request_framing(h, &f, msg)) < 0)
        return r;
    h->used = end;
    return 0;
}

/* Section 6.3, for responses. */
static int set_response_framing(struct agw_h1_head *h, const struct agw_h1_fields *f, enum agw_method to,
                                struct agw_msg *msg)
{
    bool success = msg->status / 100 == 2;
    int r;

    if (msg->status == 101 || (to == AGW_METHOD_CONNECT && success)) {
        h->framing = AGW_H1_TUNNEL;
        h->keep_alive = false;
        msg->length = AGW_LENGTH_UNKNOWN;
        return 0;
    }
    if (msg->status < 200 || msg->status == 204) { /* no body, whatever the fields say */
        h->framing = AGW_H1_NO_BODY;
        msg->length = 0;
        return 0;
    }
    if (f->has_coding && (r = check_coding(h, f, msg->version)) < 0)
        return r;
    if (to == AGW_METHOD_HEAD || msg->status == 304) {
        h->framing = AGW_H1_NO_BODY;
        msg->length = f->has_length ? f->length : AGW_LENGTH_UNKNOWN;
    } else if (f->has_coding || f->has_length) {
        set_length(h, f, msg);
    } else {
        h->framing = AGW_H1_UNTIL_CLOSE;
        h->keep_alive = false;
        msg->length = AGW_LENGTH_UNKNOWN;
    }
    return 0;
}

static int parse_response(struct agw_h1_head *h, const unsigned char *p, size_t n, enum agw_method to,
                          struct agw_msg *msg)
{
    struct agw_h1_fields f = {.head = h, .out = &msg->headers, .limit = h->limits->headers};
    size_t end;
    char *text;
    int r;

    if (n == 0)
        return AGW_EAGAIN;
    if ((r = find_end(h, p, 0, n, &end)) < 0)
        return r;
    if ((r = copy_head(h, p, end, msg, &text)) < 0 || (r = parse_status_line(h, text, msg, &text)) < 0 ||
        (r = parse_fields(h, &f, text, msg)) < 0 || (r = set_response_framing(h, &f, to, msg)) < 0)
        return r;
    msg->te_trailers = false;
    h->used = end;
    return 0;
}

int agw_h1_parse_response(struct agw_h1_head *h, const unsigned char *p, size_t n, enum agw_method to,
                          struct agw_msg *msg)
{
    int r = parse_response(h, p, n, to, msg);

    if (r < 0 && r != AGW_EAGAIN)
        h->status = 502;
    return r;
}
