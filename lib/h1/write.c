#include "h1/h1_int.h"

#include "base/check.h"
#include "base/err.h"

#define LENGTH_DIGITS 20
/* Most bytes that the codec itself puts into a head: start line without its strings, Host, framing,
 * Connection. */
#define OWN_MAX 256

/* Where a head is being built: a piece of a block with room for all of it. */
struct writer {
    struct agw_block *block;
    unsigned char *start, *at;
};

static inline void put(struct writer *w, const char *p, size_t n)
{
    memcpy(w->at, p, n);
    w->at += n;
}

static inline void put_str(struct writer *w, struct agw_str s)
{
    if (s.n)
        put(w, s.p, s.n);
}

#define PUT(w, literal) put(w, literal, sizeof(literal) - 1)

static void put_u64(struct writer *w, uint64_t value)
{
    char digits[LENGTH_DIGITS];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    put(w, digits + at, sizeof(digits) - at);
}

/* Room for |n| bytes behind the chain's last slice if nobody else holds its block, else in a new block. */
static int open_writer(struct writer *w, struct agw_chain *out, struct agw_block_pool *pool, size_t n)
{
    const struct agw_slice *last = out->count ? agw_chain_at(out, out->count - 1) : NULL;
    struct agw_block *b = last ? last->block : NULL;

    if (b && b->refs == 1 && last->p + last->n == b->data + b->len && b->cap - b->len >= n)
        agw_block_ref(b);
    else
        b = n <= AGW_BLOCK_SIZE ? agw_block_get(pool) : agw_block_new(n);
    if (!b)
        return AGW_ENOMEM;
    w->block = b;
    w->start = w->at = b->data + b->len;
    return 0;
}

static int close_writer(struct writer *w, struct agw_chain *out)
{
    size_t n = (size_t)(w->at - w->start);
    int r;

    agw_check(n <= w->block->cap - w->block->len);
    r = agw_chain_add(out, w->block, w->start, n);
    if (r == 0)
        w->block->len += (uint32_t)n;
    agw_block_unref(w->block);
    return r;
}

/* --- fields --- */

static size_t fields_size(const struct agw_headers *h)
{
    size_t n = 0;

    for (uint32_t i = 0; i < h->n; i++)
        n += h->v[i].name.n + h->v[i].value.n + 4;
    return n;
}

/* True if the value stands behind the name as it would be written: a parsed head that nobody changed. */
static inline bool is_line(const struct agw_header *f)
{
    const char *end = f->name.p + f->name.n;
    return f->value.p == end + 2 && end[0] == ':' && end[1] == ' ';
}

/* True if |next| is the line that follows |f| in the same text. */
static inline bool follows(const struct agw_header *f, const struct agw_header *next)
{
    const char *end = f->value.p + f->value.n;
    return next->name.p == end + 2 && end[0] == '\r' && end[1] == '\n';
}

/* The text at |p| as the peer wrote it, where that is kept. */
static inline const char *as_written(const struct agw_msg *msg, const char *p)
{
    uintptr_t at = (uintptr_t)p - (uintptr_t)msg->written.lower;
    return at < msg->written.n ? msg->written.cased + at : p;
}

/* A run of fields that stand in one parsed head as they are written goes out in one copy; returns its last
 * index. */
static inline uint32_t put_run(struct writer *w, const struct agw_msg *msg, uint32_t i)
{
    const struct agw_headers *h = &msg->headers;
    const char *start = h->v[i].name.p;

    while (i + 1 < h->n && follows(&h->v[i], &h->v[i + 1]) && is_line(&h->v[i + 1]) &&
           !agw_hdr_is_framing(h->v[i + 1].id))
        i++;
    put(w, as_written(msg, start), (size_t)(h->v[i].value.p + h->v[i].value.n - start));
    return i;
}

/* The end-to-end fields; what frames is never taken from them. */
static void put_fields(struct writer *w, const struct agw_msg *msg)
{
    const struct agw_headers *h = &msg->headers;
    for (uint32_t i = 0; i < h->n; i++) {
        const struct agw_header *f = &h->v[i];
        if (agw_hdr_is_framing(f->id))
            continue;
        if (is_line(f)) {
            i = put_run(w, msg, i);
        } else {
            put(w, as_written(msg, f->name.p), f->name.n);
            PUT(w, ": ");
            put_str(w, f->value);
        }
        PUT(w, "\r\n");
    }
}

static void put_length(struct writer *w, int64_t length)
{
    PUT(w, "content-length: ");
    put_u64(w, (uint64_t)length);
    PUT(w, "\r\n");
}

/* Upgrade, and Connection with all that it must name. */
static void put_connection(struct writer *w, const struct agw_msg *msg, bool te, const char *persistence)
{
    const char *options[3];
    size_t n = 0;

    if (msg->upgrade.n) {
        PUT(w, "upgrade: ");
        put_str(w, msg->upgrade);
        PUT(w, "\r\n");
        options[n++] = "upgrade";
    }
    if (te) {
        PUT(w, "te: trailers\r\n");
        options[n++] = "te";
    }
    if (persistence)
        options[n++] = persistence;
    for (size_t i = 0; i < n; i++) {
        put_str(w, i ? AGW_STR(", ") : AGW_STR("connection: "));
        put_str(w, agw_str_c(options[i]));
    }
    if (n)
        PUT(w, "\r\n");
}

/* --- requests --- */

/* Servers expect a length with these methods even when there is no body (RFC 9110 section 8.6). */
static bool wants_length(enum agw_method method)
{
    return method == AGW_METHOD_POST || method == AGW_METHOD_PUT || method == AGW_METHOD_PATCH;
}

static enum agw_h1_framing request_framing(const struct agw_msg *msg, bool end)
{
    if (msg->method == AGW_METHOD_CONNECT)
        return AGW_H1_TUNNEL;
    if (end || msg->length == 0)
        return AGW_H1_NO_BODY;
    return msg->length > 0 ? AGW_H1_LENGTH : AGW_H1_CHUNKED;
}

static void put_request_framing(struct writer *w, const struct agw_msg *msg, enum agw_h1_framing framing)
{
    if (framing == AGW_H1_LENGTH)
        put_length(w, msg->length);
    else if (framing == AGW_H1_CHUNKED)
        PUT(w, "transfer-encoding: chunked\r\n");
    else if (framing == AGW_H1_NO_BODY && wants_length(msg->method))
        PUT(w, "content-length: 0\r\n");
    if (msg->expect_continue && (framing == AGW_H1_LENGTH || framing == AGW_H1_CHUNKED))
        PUT(w, "expect: 100-continue\r\n");
}

int agw_h1_write_request(struct agw_chain *out, struct agw_block_pool *pool, const struct agw_msg *msg,
                         bool end, bool keep_alive, enum agw_h1_framing *ret_framing)
{
    struct agw_str method = msg->method_text.n ? msg->method_text : agw_method_name(msg->method);
    enum agw_h1_framing framing = request_framing(msg, end);
    struct writer w;
    int r = open_writer(&w, out, pool,
                        OWN_MAX + method.n + msg->path.n + msg->authority.n + msg->upgrade.n +
                            fields_size(&msg->headers));

    if (r < 0)
        return r;
    put_str(&w, method);
    PUT(&w, " ");
    put_str(&w, msg->path);
    PUT(&w, " HTTP/1.1\r\nhost: ");
    put_str(&w, msg->authority);
    PUT(&w, "\r\n");
    put_fields(&w, msg);
    put_request_framing(&w, msg, framing);
    put_connection(&w, msg, msg->te_trailers, keep_alive ? NULL : "close");
    PUT(&w, "\r\n");
    r = close_writer(&w, out);
    if (r == 0)
        *ret_framing = framing;
    return r;
}

/* --- responses --- */

static enum agw_h1_framing response_framing(const struct agw_msg *msg, bool end,
                                            enum agw_http_version version, enum agw_method method)
{
    if (msg->status == 101 || (method == AGW_METHOD_CONNECT && msg->status / 100 == 2))
        return AGW_H1_TUNNEL;
    if (msg->status < 200 || msg->status == 204 || msg->status == 304 || method == AGW_METHOD_HEAD)
        return AGW_H1_NO_BODY;
    if (end || msg->length == 0)
        return AGW_H1_NO_BODY;
    if (msg->length > 0)
        return AGW_H1_LENGTH;
    return version == AGW_HTTP_10 ? AGW_H1_UNTIL_CLOSE : AGW_H1_CHUNKED;
}

static void put_response_framing(struct writer *w, const struct agw_msg *msg, enum agw_method method,
                                 enum agw_h1_framing framing)
{
    if (framing == AGW_H1_LENGTH) {
        put_length(w, msg->length);
    } else if (framing == AGW_H1_CHUNKED) {
        PUT(w, "transfer-encoding: chunked\r\n");
    } else if (framing == AGW_H1_NO_BODY && msg->status >= 200 && msg->status != 204) {
        if (method != AGW_METHOD_HEAD && msg->status != 304)
            PUT(w, "content-length: 0\r\n");
        else if (msg->length > 0) /* what GET would get; 0 may only mean that there is no body here */
            put_length(w, msg->length);
    }
}

static void put_status_line(struct writer *w, const struct agw_msg *msg, struct agw_str reason)
{
    int s = msg->status;
    char digits[4] = {(char)('0' + s / 100 % 10), (char)('0' + s / 10 % 10), (char)('0' + s % 10), ' '};

    PUT(w, "HTTP/1.1 ");
    put(w, digits, sizeof(digits));
    put_str(w, reason);
    PUT(w, "\r\n");
}

int agw_h1_write_response(struct agw_chain *out, struct agw_block_pool *pool, const struct agw_msg *msg,
                          bool end, enum agw_http_version version, enum agw_method method, bool keep_alive,
                          enum agw_h1_framing *ret_framing)
{
    struct agw_str reason = msg->reason.n ? msg->reason : agw_str_c(agw_http_reason(msg->status));
    enum agw_h1_framing framing = response_framing(msg, end, version, method);
    const char *persistence = NULL;
    struct writer w;
    int r = open_writer(&w, out, pool, OWN_MAX + reason.n + msg->upgrade.n + fields_size(&msg->headers));

    if (r < 0)
        return r;
    if (framing == AGW_H1_UNTIL_CLOSE || (!keep_alive && framing != AGW_H1_TUNNEL && msg->status >= 200))
        persistence = "close";
    else if (version == AGW_HTTP_10 && keep_alive && framing != AGW_H1_TUNNEL)
        persistence = "keep-alive";
    put_status_line(&w, msg, reason);
    put_fields(&w, msg);
    put_response_framing(&w, msg, method, framing);
    put_connection(&w, msg, false, persistence);
    PUT(&w, "\r\n");
    r = close_writer(&w, out);
    if (r == 0)
        *ret_framing = framing;
    return r;
}

/* --- bodies --- */

static size_t chunk_line(size_t n, char out[20])
{
    static const char hex[] = "0123456789abcdef";
    char digits[16];
    size_t at = sizeof(digits), k;

    do {
        digits[--at] = hex[n & 15];
        n >>= 4;
    } while (n);
    k = sizeof(digits) - at;
    memcpy(out, digits + at, k);
    memcpy(out + k, "\r\n", 2);
    return k + 2;
}

int agw_h1_write_body(struct agw_chain *out, struct agw_block_pool *pool, enum agw_h1_framing framing,
                      struct agw_chain *data)
{
    char line[20];

    if (framing == AGW_H1_NO_BODY) { /* bytes here would be read as the next message */
        agw_chain_clear(data);
        return 0;
    }
    if (framing != AGW_H1_CHUNKED)
        return agw_chain_move(out, data);
    if (agw_chain_empty(data)) /* a chunk of no bytes would end the body */
        return 0;
    if (agw_chain_copy(out, pool, line, chunk_line(data->bytes, line)) < 0 || agw_chain_move(out, data) < 0)
        return AGW_ENOMEM;
    return agw_chain_add_static(out, "\r\n", 2);
}

static int write_trailers(struct agw_chain *out, struct agw_block_pool *pool,
                          const struct agw_headers *trailers)
{
    struct writer w;
    int r = open_writer(&w, out, pool, OWN_MAX + fields_size(trailers));

    if (r < 0)
        return r;
    PUT(&w, "0\r\n");
    for (uint32_t i = 0; i < trailers->n; i++) {
        const struct agw_header *f = &trailers->v[i];
        if (!agw_hdr_in_trailers(f->id))
            continue;
        put_str(&w, f->name);
        PUT(&w, ": ");
        put_str(&w, f->value);
        PUT(&w, "\r\n");
    }
    PUT(&w, "\r\n");
    return close_writer(&w, out);
}

int agw_h1_write_end(struct agw_chain *out, struct agw_block_pool *pool, enum agw_h1_framing framing,
                     const struct agw_headers *trailers)
{
    static const char end[] = "0\r\n\r\n";

    if (framing != AGW_H1_CHUNKED)
        return 0;
    if (trailers && trailers->n)
        return write_trailers(out, pool, trailers);
    return agw_chain_add_static(out, end, sizeof(end) - 1);
}
