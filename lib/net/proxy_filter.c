#include <stdlib.h>
#include "net/ahead.h"
#include "net/proxy.h"

struct proxy {
    struct agw_filter filter; /* first */
    struct agw_ahead ahead;
    unsigned versions;
    bool optional, done;
};

static struct proxy *of(const struct agw_filter *f)
{
    return (struct proxy *)f;
}

static void apply(struct proxy *x, const struct agw_proxy_header *h)
{
    struct agw_conn *c = x->filter.conn;

    if (h->src.n) {
        c->peer = h->src;
        c->local = h->dst;
    }
    x->ahead.at = h->size;
    if (agw_ahead_empty(&x->ahead))
        agw_ahead_free(&x->ahead);
}

/* AGW_EAGAIN: more bytes are needed. */
static int look(struct proxy *x, struct agw_error *err)
{
    struct agw_proxy_header h;
    const char *why = "";
    int rc = agw_proxy_parse(x->ahead.p, x->ahead.n, x->versions, &h, &why);

    if (rc == 0)
        apply(x, &h);
    else if (rc == AGW_ENOTFOUND && x->optional)
        rc = 0;
    else if (rc == AGW_ENOTFOUND)
        rc = agw_error_set(err, AGW_EPROTO, "the connection does not begin with a PROXY header");
    else if (rc != AGW_EAGAIN)
        agw_error_set(err, rc, "%s", why);
    return rc;
}

static int proxy_start(struct agw_filter *f, struct agw_error *err)
{
    struct proxy *x = of(f);
    int rc = f->next->ops->start(f->next, err);

    while (!rc && !x->done) {
        rc = look(x, err);
        x->done = rc == 0;
        if (rc != AGW_EAGAIN)
            break;
        /* one byte more than the longest header, so that it is the parser that finds one too long */
        rc = agw_ahead_fill(&x->ahead, f->next, AGW_PROXY_V2_MAX + 17);
        if (rc == AGW_EEOF && x->optional) {
            x->done = true;
            rc = 0;
        } else if (rc == AGW_EEOF) {
            rc = agw_error_set(err, AGW_ERESET, "the connection ended before its PROXY header");
        }
    }
    return rc;
}

static ssize_t proxy_read(struct agw_filter *f, void *buf, size_t n)
{
    return agw_ahead_read(&of(f)->ahead, f->next, buf, n);
}

static ssize_t proxy_writev(struct agw_filter *f, const struct iovec *iov, int count)
{
    return f->next->ops->writev(f->next, iov, count);
}

static bool proxy_buffered(const struct agw_filter *f)
{
    return !agw_ahead_empty(&of(f)->ahead) || f->next->ops->buffered(f->next);
}

static void proxy_shutdown(struct agw_filter *f)
{
    f->next->ops->shutdown(f->next);
}

static void proxy_free(struct agw_filter *f)
{
    agw_ahead_free(&of(f)->ahead);
    free(f);
}

static bool proxy_plain(const struct agw_filter *f)
{
    return of(f)->done && agw_ahead_empty(&of(f)->ahead);
}

static const struct agw_filter_ops proxy_ops = {
    .name = "proxy",
    .start = proxy_start,
    .read = proxy_read,
    .writev = proxy_writev,
    .buffered = proxy_buffered,
    .shutdown = proxy_shutdown,
    .free = proxy_free,
    .plain = proxy_plain,
};

struct agw_filter *agw_proxy_filter(unsigned versions, bool optional)
{
    struct proxy *x = calloc(1, sizeof(*x));

    if (!x)
        return NULL;
    x->filter.ops = &proxy_ops;
    x->versions = versions;
    x->optional = optional;
    return &x->filter;
}
