#include "json/tape.h"

#include <stdlib.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif
#include "base/check.h"
#include "json/json_int.h"

#define FIRST_TOKENS 64 /* a tools/call has about 20 */

struct parser {
    const unsigned char *start, *p, *end;
    struct agw_json_doc *doc;
    uint32_t open[AGW_JSON_DEPTH]; /* tokens of the containers we are in */
    uint32_t depth;
    const char *reason;
};

static int bad(struct parser *ps, const char *reason)
{
    ps->reason = reason;
    return AGW_EINVAL;
}

void agw_json_doc_init(struct agw_json_doc *doc, uint32_t limit)
{
    *doc = (struct agw_json_doc){.limit = limit ? limit : AGW_JSON_TOKENS_MAX};
}

void agw_json_doc_free(struct agw_json_doc *doc)
{
    free(doc->tokens);
    doc->tokens = NULL;
    doc->count = doc->cap = 0;
}

static int grow(struct parser *ps)
{
    struct agw_json_doc *doc = ps->doc;
    if (doc->cap >= doc->limit) {
        ps->reason = "too many values";
        return AGW_ELIMIT;
    }
    uint32_t cap = doc->cap ? doc->cap * 2 : FIRST_TOKENS;
    if (cap > doc->limit)
        cap = doc->limit;
    struct agw_json_token *tokens = realloc(doc->tokens, (size_t)cap * sizeof *tokens);
    if (!tokens) {
        ps->reason = "out of memory";
        return AGW_ENOMEM;
    }
    doc->tokens = tokens;
    doc->cap = cap;
    return 0;
}

/* Adds a token for the bytes from |from| to the current position; a container's end is set when it closes. */
static inline int add(struct parser *ps, enum agw_json_type type, const unsigned char *from, uint8_t flags)
{
    struct agw_json_doc *doc = ps->doc;
    if (agw_unlikely(doc->count == doc->cap)) {
        int rc = grow(ps);
        if (rc != 0)
            return rc;
    }
    struct agw_json_token *t = &doc->tokens[doc->count++];
    t->offset = (uint32_t)(from - ps->start);
    t->length = (uint32_t)(ps->p - from);
    t->next = doc->count;
    t->type = (uint8_t)type;
    t->flags = flags;
    t->depth = (uint16_t)ps->depth;
    return 0;
}

static inline void skip_space(struct parser *ps)
{
    while (ps->p < ps->end && (*ps->p == ' ' || *ps->p == '\n' || *ps->p == '\r' || *ps->p == '\t'))
        ps->p++;
}

/* First byte at or after |p| that is a quote, a backslash, a control character or not ASCII. */
static inline const unsigned char *scan_plain(const unsigned char *p, const unsigned char *end)
{
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\'), space = _mm_set1_epi8(' ');
    while (end - p >= 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)p);
        /* signed compare: bytes of 0x80 and above are below the space too */
        __m128i hit = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, slash)),
                                   _mm_cmplt_epi8(v, space));
        unsigned mask = (unsigned)_mm_movemask_epi8(hit);
        if (mask != 0)
            return p + __builtin_ctz(mask);
        p += 16;
    }
#endif
    while (p < end && *p >= 0x20 && *p < 0x80 && *p != '"' && *p != '\\')
        p++;
    return p;
}

static int hex4(const unsigned char *p, const unsigned char *end)
{
    int v = 0;
    if (end - p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        unsigned char c = p[i], low = c | 0x20;
        if (c >= '0' && c <= '9')
            v = v * 16 + (c - '0');
        else if (low >= 'a' && low <= 'f')
            v = v * 16 + (low - 'a' + 10);
        else
            return -1;
    }
    return v;
}

/* After "\u": four digits, and for a high surrogate the low one too. */
static int unicode_escape(struct parser *ps)
{
    int unit = hex4(ps->p, ps->end);
    if (unit < 0)
        return bad(ps, "bad \\u escape");
    ps->p += 4;
    if (unit < 0xd800 || unit > 0xdfff)
        return 0;
    if (unit > 0xdbff || ps->end - ps->p < 6 || ps->p[0] != '\\' || ps->p[1] != 'u')
        return bad(ps, "lone surrogate");
    int low = hex4(ps->p + 2, ps->end);
    if (low < 0xdc00 || low > 0xdfff)
        return bad(ps, "lone surrogate");
    ps->p += 6;
    return 0;
}

static int escape(struct parser *ps)
{
    if (ps->end - ps->p < 2)
        return bad(ps, "string does not end");
    unsigned char c = ps->p[1];
    ps->p += 2;
    if (c == 'u')
        return unicode_escape(ps);
    return c != 0 && strchr("\"\\/bfnrt", c) ? 0 : bad(ps, "bad escape");
}

/* At the opening quote. */
static int string(struct parser *ps)
{
    const unsigned char *from = ps->p++;
    uint8_t flags = 0;
    int rc;
    for (;;) {
        ps->p = scan_plain(ps->p, ps->end);
        if (ps->p == ps->end)
            return bad(ps, "string does not end");
        unsigned char c = *ps->p;
        if (c == '"')
            break;
        if (c == '\\') {
            flags = AGW_JSON_ESCAPED;
            if ((rc = escape(ps)) != 0)
                return rc;
        } else if (c >= 0x80) {
            size_t n = agw_json_utf8(ps->p, (size_t)(ps->end - ps->p));
            if (n == 0)
                return bad(ps, "not UTF-8");
            ps->p += n;
        } else {
            return bad(ps, "control character in a string");
        }
    }
    ps->p++;
    return add(ps, AGW_JSON_STRING, from, flags);
}

static bool digits(struct parser *ps)
{
    const unsigned char *from = ps->p;
    while (ps->p < ps->end && *ps->p >= '0' && *ps->p <= '9')
        ps->p++;
    return ps->p > from;
}

static bool take(struct parser *ps, char c)
{
    if (ps->p == ps->end || *ps->p != (unsigned char)c)
        return false;
    ps->p++;
    return true;
}

static int number(struct parser *ps)
{
    const unsigned char *from = ps->p;
    uint8_t flags = AGW_JSON_INTEGER;
    take(ps, '-');
    if (!take(ps, '0') && !digits(ps))
        return bad(ps, "bad number");
    if (take(ps, '.')) {
        flags = 0;
        if (!digits(ps))
            return bad(ps, "bad number");
    }
    if (take(ps, 'e') || take(ps, 'E')) {
        flags = 0;
        if (!take(ps, '+'))
            take(ps, '-');
        if (!digits(ps))
            return bad(ps, "bad number");
    }
    return add(ps, AGW_JSON_NUMBER, from, flags);
}

static int literal(struct parser *ps, const char *word, size_t n, enum agw_json_type type)
{
    const unsigned char *from = ps->p;
    if ((size_t)(ps->end - from) < n || memcmp(from, word, n) != 0)
        return bad(ps, "unknown word");
    ps->p += n;
    return add(ps, type, from, 0);
}

static int open_container(struct parser *ps, enum agw_json_type type)
{
    if (ps->depth == AGW_JSON_DEPTH) {
        ps->reason = "nested too deep";
        return AGW_ELIMIT;
    }
    const unsigned char *from = ps->p++;
    uint32_t index = ps->doc->count;
    int rc = add(ps, type, from, 0);
    if (rc == 0)
        ps->open[ps->depth++] = index;
    return rc;
}

static void close_container(struct parser *ps)
{
    ps->p++;
    struct agw_json_token *t = &ps->doc->tokens[ps->open[--ps->depth]];
    t->length = (uint32_t)(ps->p - ps->start) - t->offset;
    t->next = ps->doc->count;
}

static int value(struct parser *ps)
{
    switch (*ps->p) {
    case '"':
        return string(ps);
    case '{':
        return open_container(ps, AGW_JSON_OBJECT);
    case '[':
        return open_container(ps, AGW_JSON_ARRAY);
    case 't':
        return literal(ps, "true", 4, AGW_JSON_TRUE);
    case 'f':
        return literal(ps, "false", 5, AGW_JSON_FALSE);
    case 'n':
        return literal(ps, "null", 4, AGW_JSON_NULL);
    default:
        return number(ps);
    }
}

/* A member's name and colon; leaves the position at its value. */
static int member(struct parser *ps)
{
    if (*ps->p != '"')
        return bad(ps, "a member's name must be a string");
    int rc = string(ps);
    if (rc != 0)
        return rc;
    skip_space(ps);
    if (!take(ps, ':'))
        return bad(ps, "':' is missing");
    skip_space(ps);
    return 0;
}

static inline bool in_object(const struct parser *ps)
{
    return ps->doc->tokens[ps->open[ps->depth - 1]].type == AGW_JSON_OBJECT;
}

/* After a complete value inside containers: closes those that end here, or passes the comma. */
static int after_value(struct parser *ps)
{
    while (ps->depth > 0) {
        skip_space(ps);
        if (ps->p == ps->end)
            return bad(ps, "text ends early");
        if (*ps->p == (in_object(ps) ? '}' : ']')) {
            close_container(ps);
            continue;
        }
        if (!take(ps, ','))
            return bad(ps, "',' or a closing bracket is missing");
        skip_space(ps);
        return 0;
    }
    return 0;
}

/* Reads values until the root is complete. */
static int document(struct parser *ps)
{
    skip_space(ps);
    do {
        if (ps->p == ps->end)
            return bad(ps, "text ends early");
        int rc = 0;
        if (ps->depth > 0 && in_object(ps) && (rc = member(ps)) != 0)
            return rc;
        if (ps->p == ps->end)
            return bad(ps, "text ends early");
        uint32_t before = ps->depth;
        if ((rc = value(ps)) != 0)
            return rc;
        if (ps->depth > before) {
            skip_space(ps);
            if (ps->p < ps->end && *ps->p == (in_object(ps) ? '}' : ']'))
                close_container(ps);
            else
                continue;
        }
        if ((rc = after_value(ps)) != 0)
            return rc;
    } while (ps->depth > 0);
    skip_space(ps);
    return ps->p == ps->end ? 0 : bad(ps, "text after the value");
}

int agw_json_parse(struct agw_json_doc *doc, struct agw_str text, struct agw_error *err)
{
    doc->text = text;
    doc->count = 0;
    if (text.n >= UINT32_MAX)
        return agw_error_set(err, AGW_ELIMIT, "text over 4 GiB");
    if (text.n == 0)
        return agw_error_set(err, AGW_EINVAL, "empty text");
    const unsigned char *p = (const unsigned char *)text.p;
    struct parser ps = {.start = p, .p = p, .end = p + text.n, .doc = doc};
    int rc = document(&ps);
    if (rc != 0) {
        doc->count = 0;
        return agw_error_set(err, rc, "%s at byte %zu", ps.reason, (size_t)(ps.p - ps.start));
    }
    return 0;
}
