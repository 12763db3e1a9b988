#include "http/sse.h"

#include <stdlib.h>
#include "base/err.h"

#define FIRST_CAP 256
#define KEEP_CAP 16384 /* a buffer that grew beyond this for one event is given back after it */
#define WINDOW 256
#define RETRY_DIGITS 10 /* 115 days; longer numbers are ignored */

static const unsigned char bom[3] = {0xef, 0xbb, 0xbf};

const struct agw_sse_limits agw_sse_default_limits = {
    .event = 16777216, /* tool results may carry base64 images; larger ones belong in a resource */
    .field = 1024,     /* types and ids are names; MCP ids are below 100 bytes */
};

void agw_sse_init(struct agw_sse *s, const struct agw_sse_limits *limits)
{
    *s = (struct agw_sse){.limits = limits ? limits : &agw_sse_default_limits};
}

static void drop(struct agw_sse_text *t)
{
    free(t->p);
    *t = (struct agw_sse_text){0};
}

void agw_sse_free(struct agw_sse *s)
{
    drop(&s->line);
    drop(&s->data);
    drop(&s->type);
    drop(&s->id);
}

static int append(struct agw_sse_text *t, const char *p, size_t n, uint32_t limit)
{
    uint64_t need = (uint64_t)t->n + n, cap = t->cap ? t->cap : FIRST_CAP;
    char *grown;

    if (need > limit)
        return AGW_ELIMIT;
    if (n == 0)
        return 0;
    if (need > t->cap) {
        while (cap < need)
            cap *= 2;
        grown = realloc(t->p, cap);
        if (!grown)
            return AGW_ENOMEM;
        t->p = grown;
        t->cap = (uint32_t)cap;
    }
    memcpy(t->p + t->n, p, n);
    t->n += (uint32_t)n;
    return 0;
}

static int assign(struct agw_sse_text *t, struct agw_str value, uint32_t limit)
{
    t->n = 0;
    return append(t, value.p, value.n, limit);
}

static int add_data(struct agw_sse *s, struct agw_str value)
{
    int r = s->has_data ? append(&s->data, "\n", 1, s->limits->event) : 0;

    s->has_data = true;
    return r < 0 ? r : append(&s->data, value.p, value.n, s->limits->event);
}

static int set_id(struct agw_sse *s, struct agw_str value)
{
    if (value.n && memchr(value.p, 0, value.n))
        return 0;
    s->has_id = true;
    return assign(&s->id, value, s->limits->field);
}

static void set_retry(struct agw_sse *s, struct agw_str value)
{
    uint64_t ms;

    if (value.n > RETRY_DIGITS || agw_str_u64(value, &ms) < 0)
        return;
    s->retry_ms = ms;
    s->has_retry = true;
}

static int take_line(struct agw_sse *s, struct agw_str line)
{
    const char *colon = memchr(line.p, ':', line.n);
    struct agw_str name = agw_str(line.p, colon ? (size_t)(colon - line.p) : line.n);
    struct agw_str value = colon ? agw_str_from(line, name.n + 1) : agw_str(NULL, 0);

    if (value.n && value.p[0] == ' ')
        value = agw_str_from(value, 1);
    if (agw_str_eq(name, AGW_STR("data")))
        return add_data(s, value);
    if (agw_str_eq(name, AGW_STR("event")))
        return assign(&s->type, value, s->limits->field);
    if (agw_str_eq(name, AGW_STR("id")))
        return set_id(s, value);
    if (agw_str_eq(name, AGW_STR("retry")))
        set_retry(s, value);
    return 0; /* a comment, or a field to ignore */
}

/* Forgets the event delivered by the call before; its views end here. */
static void reset(struct agw_sse *s)
{
    if (s->data.cap > KEEP_CAP)
        drop(&s->data);
    s->data.n = 0;
    s->type.n = 0;
    s->has_data = s->has_id = s->has_retry = s->delivered = false;
}

/* An empty line: true if it ends an event. Without data there is none, but its id stays. */
static bool dispatch(struct agw_sse *s, struct agw_sse_event *ret_event)
{
    if (!s->has_data) {
        reset(s);
        return false;
    }
    *ret_event = (struct agw_sse_event){
        .type = {s->type.p, s->type.n},
        .data = {s->data.n ? s->data.p : "", s->data.n},
        .id = {s->id.p, s->id.n},
        .has_id = s->has_id,
        .has_retry = s->has_retry,
        .retry_ms = s->has_retry ? s->retry_ms : 0,
    };
    s->delivered = true;
    return true;
}

/* Bytes before the first CR or LF. In windows: looking for an LF through all that follows, once a line, would
 * be quadratic in a stream that ends its lines by CR. */
static size_t line_length(const char *p, size_t n)
{
    for (size_t at = 0; at < n; at += WINDOW) {
        size_t k = n - at < WINDOW ? n - at : WINDOW;
        const char *lf = memchr(p + at, '\n', k);
        const char *cr = memchr(p + at, '\r', lf ? (size_t)(lf - p) - at : k);
        if (cr || lf)
            return (size_t)((cr ? cr : lf) - p);
    }
    return n;
}

/* A whole line whose last |n| bytes stand at |p|, the start perhaps in s->line. 1: it ended an event. */
static int end_line(struct agw_sse *s, const char *p, size_t n, struct agw_sse_event *ret_event)
{
    struct agw_str line = {p, n};
    int r;

    if (s->line.n) {
        r = append(&s->line, p, n, s->limits->event);
        if (r < 0)
            return r;
        line = agw_str(s->line.p, s->line.n);
    }
    if (line.n == 0)
        return dispatch(s, ret_event);
    if (line.n > s->limits->event)
        return AGW_ELIMIT;
    r = take_line(s, line);
    s->line.n = 0;
    if (s->line.cap > KEEP_CAP)
        drop(&s->line);
    return r;
}

/* Skips the byte order mark at the stream's start. Returns the bytes used; bytes that turn out to be no mark
 * go to the line buffer, which |*ret_error| reports on. */
static size_t skip_bom(struct agw_sse *s, const unsigned char *p, size_t n, int *ret_error)
{
    size_t at = 0;

    while (at < n && s->bom < sizeof(bom)) {
        if (p[at] != bom[s->bom]) {
            *ret_error = append(&s->line, (const char *)bom, s->bom, s->limits->event);
            s->bom = sizeof(bom);
            break;
        }
        s->bom++;
        at++;
    }
    return at;
}

int agw_sse_next(struct agw_sse *s, const unsigned char *p, size_t n, size_t *ret_used,
                 struct agw_sse_event *ret_event)
{
    size_t at = 0, length;
    int r = 0;

    if (s->delivered)
        reset(s);
    if (s->bom < sizeof(bom))
        at = skip_bom(s, p, n, &r);
    while (r == 0 && at < n) {
        if (s->after_cr && p[at] == '\n')
            at++;
        s->after_cr = false;
        length = line_length((const char *)p + at, n - at);
        if (length == n - at) {
            r = append(&s->line, (const char *)p + at, length, s->limits->event);
            at = n;
            break;
        }
        r = end_line(s, (const char *)p + at, length, ret_event);
        s->after_cr = p[at + length] == '\r';
        at += length + 1;
    }
    if (r >= 0)
        *ret_used = at;
    return r < 0 ? r : r == 1 ? AGW_SSE_EVENT : AGW_SSE_MORE;
}
