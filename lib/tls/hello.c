#include "tls/hello.h"

#include <stdlib.h>
#include <string.h>
#include "net/ahead.h"
#include "tls/tls_int.h"

#define RECORD_HEADER 5
#define RECORD_MAX 16384 /* RFC 8446 section 5.1 */
#define TYPE_HANDSHAKE 22
#define CLIENT_HELLO 1
#define EXT_SERVER_NAME 0
#define RANDOM 32

/* Goes through handshake bytes past the headers of the records that carry them. |n|: handshake bytes left. */
struct cursor {
    const unsigned char *p;
    size_t left; /* in the record at |p| */
    size_t n;
};

static size_t u16(const unsigned char *p)
{
    return (size_t)p[0] << 8 | p[1];
}

/* Into |out|, or nowhere when it is NULL. False when there are not so many. */
static bool take(struct cursor *c, unsigned char *out, size_t n)
{
    if (n > c->n)
        return false;
    c->n -= n;
    while (n > 0) {
        if (c->left == 0) {
            c->left = u16(c->p + 3);
            c->p += RECORD_HEADER;
        }
        size_t part = n < c->left ? n : c->left;
        if (out) {
            memcpy(out, c->p, part);
            out += part;
        }
        c->p += part;
        c->left -= part;
        n -= part;
    }
    return true;
}

/* A length of |bytes| bytes (1 or 2) and as many bytes as it says, which are skipped. */
static bool skip_vector(struct cursor *c, unsigned bytes)
{
    unsigned char b[2] = {0, 0};

    return take(c, b + 2 - bytes, bytes) && take(c, NULL, u16(b));
}

static int keep_name(struct agw_tls_hello *h, struct cursor *c, size_t n)
{
    unsigned char ext[AGW_TLS_NAME_MAX + 5];
    struct agw_str name;

    if (n > sizeof(ext) || !take(c, ext, n) || agw_tls_sni_parse(ext, n, &name) || h->sni_n)
        return AGW_EPROTO;
    for (size_t i = 0; i < name.n; i++) {
        char ch = name.p[i];
        h->sni[i] = ch >= 'A' && ch <= 'Z' ? (char)(ch | 0x20) : ch;
    }
    h->sni_n = (unsigned)name.n;
    return 0;
}

static int read_extensions(struct agw_tls_hello *h, struct cursor *c)
{
    unsigned char head[4];

    if (!take(c, head, 2) || u16(head) != c->n)
        return AGW_EPROTO;
    while (c->n > 0) {
        if (!take(c, head, 4))
            return AGW_EPROTO;
        size_t type = u16(head), n = u16(head + 2);
        if (type == EXT_SERVER_NAME ? keep_name(h, c, n) : !take(c, NULL, n))
            return AGW_EPROTO;
    }
    return 0;
}

/* All of it is there. */
static int read_hello(struct agw_tls_hello *h, const unsigned char *p)
{
    struct cursor c = {.p = p, .n = h->want};

    if (!take(&c, NULL, 4 + 2 + RANDOM) || !skip_vector(&c, 1) || !skip_vector(&c, 2) || !skip_vector(&c, 1))
        return AGW_EPROTO;
    return c.n == 0 ? 0 : read_extensions(h, &c); /* before TLS 1.2 there may be none */
}

/* The head of the message may be spread over records, too. */
static int read_size(struct agw_tls_hello *h, const unsigned char *p)
{
    struct cursor c = {.p = p, .n = h->body};
    unsigned char head[4];

    if (!take(&c, head, sizeof(head)))
        return 0;
    if (head[0] != CLIENT_HELLO)
        return AGW_EPROTO;
    h->want = 4 + ((size_t)head[1] << 16 | u16(head + 2));
    return h->want > AGW_TLS_HELLO_MAX ? AGW_ELIMIT : 0;
}

/* What can be told of a record by the first |n| bytes of its header. */
static bool header_ok(const unsigned char *p, size_t n)
{
    if (n >= 1 && p[0] != TYPE_HANDSHAKE)
        return false;
    if (n >= 2 && p[1] != 3)
        return false;
    return n < RECORD_HEADER || (u16(p + 3) >= 1 && u16(p + 3) <= RECORD_MAX);
}

int agw_tls_hello_scan(struct agw_tls_hello *h, const unsigned char *p, size_t n)
{
    for (;;) {
        const unsigned char *record = p + h->at;
        size_t have = n - h->at;

        if (have == 0 || !header_ok(record, have < RECORD_HEADER ? have : RECORD_HEADER))
            return have ? AGW_EPROTO : n >= AGW_TLS_HELLO_MAX ? AGW_ELIMIT : AGW_EAGAIN;
        if (have < RECORD_HEADER || have < RECORD_HEADER + u16(record + 3))
            return n >= AGW_TLS_HELLO_MAX ? AGW_ELIMIT : AGW_EAGAIN;
        h->at += RECORD_HEADER + u16(record + 3);
        h->body += u16(record + 3);
        if (h->want == 0) {
            int rc = read_size(h, p);
            if (rc)
                return rc;
        }
        if (h->want && h->body >= h->want)
            return read_hello(h, p);
    }
}

/* --- the filter --- */

struct peek {
    struct agw_filter filter; /* first */
    struct agw_ahead ahead;
    struct agw_tls_hello hello;
    bool done;
};

static const struct agw_filter_ops peek_ops;

static struct peek *of(const struct agw_filter *f)
{
    return (struct peek *)f;
}

static int peek_start(struct agw_filter *f, struct agw_error *err)
{
    struct peek *x = of(f);
    int rc = f->next->ops->start(f->next, err);

    if (rc)
        return rc;
    while (!x->done) {
        rc = agw_ahead_fill(&x->ahead, f->next, AGW_TLS_HELLO_MAX);
        if (rc == AGW_EEOF)
            return agw_error_set(err, AGW_ERESET, "the connection ended before its ClientHello");
        if (rc)
            return rc;
        rc = agw_tls_hello_scan(&x->hello, x->ahead.p, x->ahead.n);
        if (rc && rc != AGW_EAGAIN)
            return agw_error_set(err, rc, "no TLS ClientHello: %s", agw_err_text(rc));
        x->done = rc == 0;
    }
    return 0;
}

static ssize_t peek_read(struct agw_filter *f, void *buf, size_t n)
{
    return agw_ahead_read(&of(f)->ahead, f->next, buf, n);
}

static ssize_t peek_writev(struct agw_filter *f, const struct iovec *iov, int count)
{
    return f->next->ops->writev(f->next, iov, count);
}

static bool peek_buffered(const struct agw_filter *f)
{
    return !agw_ahead_empty(&of(f)->ahead) || f->next->ops->buffered(f->next);
}

static void peek_shutdown(struct agw_filter *f)
{
    f->next->ops->shutdown(f->next);
}

static void peek_free(struct agw_filter *f)
{
    agw_ahead_free(&of(f)->ahead);
    free(f);
}

static bool peek_plain(const struct agw_filter *f)
{
    return of(f)->done && agw_ahead_empty(&of(f)->ahead);
}

static const struct agw_filter_ops peek_ops = {
    .name = "peek",
    .start = peek_start,
    .read = peek_read,
    .writev = peek_writev,
    .buffered = peek_buffered,
    .shutdown = peek_shutdown,
    .free = peek_free,
    .plain = peek_plain,
};

struct agw_filter *agw_tls_peek_filter(void)
{
    struct peek *x = calloc(1, sizeof(*x));

    if (!x)
        return NULL;
    x->filter.ops = &peek_ops;
    return &x->filter;
}

bool agw_tls_peeked(const struct agw_conn *c, struct agw_str *ret_sni)
{
    for (const struct agw_filter *f = c->top; f; f = f->next) {
        if (f->ops != &peek_ops)
            continue;
        *ret_sni = agw_str(of(f)->hello.sni, of(f)->hello.sni_n);
        return true;
    }
    return false;
}
