/* Field sections (RFC 9113 section 8.3) to the neutral message. nghttp2 has checked names, values, the order
 * and number of pseudo fields, connection-specific fields, TE and Content-Length's form before a field comes
 * here. */
#include "h2/h2_int.h"

/* A section this many times over the limit is no mistake any more: the connection ends. */
#define BOMB_FACTOR 16

void agw_h2_fault(struct agw_h2_stream *st, int status, const char *reason)
{
    if (st->fault)
        return;
    st->fault = (int16_t)status;
    st->fault_reason = reason;
}

static void no_memory(struct agw_h2_stream *st)
{
    agw_h2_fault(st, 503, "out of memory");
}

void agw_h2_section_begin(struct agw_h2_stream *st)
{
    st->list_bytes = st->fields = st->cookies = 0;
    if (!st->arena)
        return;
    if (st->head_done) {
        st->trailers = agw_arena_alloc(st->arena, sizeof(*st->trailers));
        if (st->trailers)
            agw_headers_init(st->trailers, st->arena);
        else
            no_memory(st);
        return;
    }
    st->msg = agw_arena_alloc(st->arena, sizeof(*st->msg));
    if (!st->msg) {
        no_memory(st);
        return;
    }
    agw_msg_init(st->msg, st->arena);
    st->msg->version = AGW_HTTP_2;
    st->msg->length = AGW_LENGTH_UNKNOWN;
}

/* Static table entries live for ever; the rest is copied. p is NULL when memory is out. */
static struct agw_str keep(struct agw_h2_stream *st, nghttp2_rcbuf *text)
{
    nghttp2_vec v = nghttp2_rcbuf_get_buf(text);
    struct agw_str s = agw_str((const char *)v.base, v.len);
    return nghttp2_rcbuf_is_static(text) ? s : agw_arena_str(st->arena, s);
}

static struct agw_str view(nghttp2_rcbuf *text)
{
    nghttp2_vec v = nghttp2_rcbuf_get_buf(text);
    return agw_str((const char *)v.base, v.len);
}

static void pseudo(struct agw_h2_stream *st, struct agw_str name, nghttp2_rcbuf *value)
{
    struct agw_msg *m = st->msg;
    struct agw_str v = keep(st, value);
    if (!v.p) {
        no_memory(st);
        return;
    }
    /* nghttp2 lets no others through: the second letter, or the third, tells them apart. */
    switch (name.p[1]) {
    case 'm':
        m->method_text = v;
        break;
    case 'a':
        m->authority = agw_arena_lower(st->arena, v);
        if (!m->authority.p)
            no_memory(st);
        break;
    case 's':
        if (name.p[2] == 'c')
            m->scheme = v;
        else
            m->status = (v.p[0] - '0') * 100 + (v.p[1] - '0') * 10 + (v.p[2] - '0');
        break;
    default:
        if (name.p[2] == 'a')
            m->path = v;
        else
            m->upgrade = v;
        break;
    }
}

/* RFC 9113 section 8.3.1: a Host that names something else is an attempt to be routed two ways. */
static void host(struct agw_h2_stream *st, struct agw_str v)
{
    struct agw_msg *m = st->msg;
    if (m->authority.p) {
        if (!agw_str_ieq(m->authority, v))
            agw_h2_fault(st, 400, "host differs from :authority");
        return;
    }
    m->authority = agw_arena_lower(st->arena, v);
    if (!m->authority.p)
        no_memory(st);
}

static void content_length(struct agw_h2_stream *st, struct agw_str v)
{
    uint64_t n;
    if (agw_str_u64(v, &n) || n > INT64_MAX)
        agw_h2_fault(st, 400, "bad content-length");
    else
        st->msg->length = (int64_t)n;
}

/* Fields that become part of the message itself. True: taken. */
static bool framing_field(struct agw_h2_stream *st, enum agw_hdr id, struct agw_str v)
{
    switch (id) {
    case AGW_HDR_CONTENT_LENGTH:
        content_length(st, v);
        return true;
    case AGW_HDR_HOST:
        if (!st->h->server)
            return false;
        host(st, v);
        return true;
    case AGW_HDR_TE:
        st->msg->te_trailers = true;
        return true;
    case AGW_HDR_EXPECT:
        if (!agw_str_ieq(v, AGW_STR("100-continue")))
            return false;
        st->msg->expect_continue = true;
        return true;
    default:
        return false;
    }
}

static void regular(struct agw_h2_stream *st, nghttp2_rcbuf *name, nghttp2_rcbuf *value)
{
    enum agw_hdr id = agw_hdr_lookup(view(name));
    if (st->head_done ? !agw_hdr_in_trailers(id) : framing_field(st, id, view(value)))
        return;
    struct agw_str n = id == AGW_HDR_OTHER ? keep(st, name) : agw_hdr_name(id);
    struct agw_str v = keep(st, value);
    if (!st->h->server && v.p)
        v = agw_str_trim(v); /* session.c says why there may be something */
    if (!n.p || !v.p || agw_headers_add(st->head_done ? st->trailers : &st->msg->headers, id, n, v)) {
        no_memory(st);
        return;
    }
    st->cookies += id == AGW_HDR_COOKIE;
    if (id == AGW_HDR_OTHER && agw_str_eq(n, AGW_STR("priority")))
        st->has_priority = true;
}

void agw_h2_section_field(struct agw_h2_stream *st, nghttp2_rcbuf *name, nghttp2_rcbuf *value)
{
    const struct agw_h2_limits *limits = st->h->limits;
    struct agw_str n = view(name);
    st->list_bytes += (uint32_t)(n.n + view(value).n + 32);
    st->fields++;
    if (st->list_bytes > limits->header_list || st->fields > limits->headers)
        agw_h2_fault(st, 431, "field section too large");
    if (st->list_bytes / BOMB_FACTOR > limits->header_list)
        agw_h2_fail(st->h, AGW_ELIMIT);
    if (st->fault)
        return;
    if (n.n > 0 && n.p[0] == ':')
        pseudo(st, n, value);
    else
        regular(st, name, value);
}

/* RFC 9113 section 8.2.3: crumbs become one field again for whoever does not speak HTTP/2. */
static void join_cookies(struct agw_h2_stream *st)
{
    struct agw_headers *h = &st->msg->headers;
    size_t total = 0;
    for (uint32_t i = 0; i < h->n; i++)
        if (h->v[i].id == AGW_HDR_COOKIE)
            total += h->v[i].value.n + 2;
    char *text = agw_arena_alloc(st->arena, total);
    if (!text) {
        no_memory(st);
        return;
    }
    struct agw_header *first = NULL;
    size_t at = 0;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < h->n; i++) {
        struct agw_header f = h->v[i];
        if (f.id == AGW_HDR_COOKIE) {
            if (at > 0) {
                memcpy(text + at, "; ", 2);
                at += 2;
            }
            memcpy(text + at, f.value.p, f.value.n);
            at += f.value.n;
            if (first)
                continue;
            first = &h->v[kept];
        }
        h->v[kept++] = f;
    }
    h->n = kept;
    first->value = agw_str(text, at);
}

static bool authority_valid(struct agw_str a)
{
    if (a.n == 0)
        return false;
    for (size_t i = 0; i < a.n; i++) {
        unsigned char c = (unsigned char)a.p[i];
        if (c <= ' ' || c >= 0x7f || strchr("@/?#\\\"<>^`{|}", c))
            return false;
    }
    return true;
}

static bool path_valid(const struct agw_msg *m)
{
    struct agw_str p = m->path;
    if (p.n == 1 && p.p[0] == '*')
        return m->method == AGW_METHOD_OPTIONS;
    if (p.n == 0 || p.p[0] != '/')
        return false;
    for (size_t i = 0; i < p.n; i++) {
        unsigned char c = (unsigned char)p.p[i];
        if (c <= ' ' || c == 0x7f || c == '#')
            return false;
    }
    return true;
}

/* NULL, or what is wrong with the request's target. */
static const char *target_fault(struct agw_msg *m)
{
    if (!authority_valid(m->authority))
        return "bad :authority";
    if (m->method == AGW_METHOD_CONNECT && m->upgrade.n == 0) {
        m->path = m->authority;
        return m->scheme.n == 0 ? NULL : "CONNECT with :scheme";
    }
    if (m->upgrade.n > 0 && !agw_header_name_valid(m->upgrade))
        return "bad :protocol";
    if (!agw_str_eq(m->scheme, AGW_STR("http")) && !agw_str_eq(m->scheme, AGW_STR("https")))
        return "unknown :scheme";
    return path_valid(m) ? NULL : "bad :path";
}

/* Extended CONNECT, in the form that all versions of HTTP share. */
static void to_upgrade(struct agw_h2_stream *st)
{
    st->extended = true;
    st->msg->method = AGW_METHOD_GET;
    st->msg->method_text = agw_method_name(AGW_METHOD_GET);
    st->msg->length = 0;
}

void agw_h2_request_complete(struct agw_h2_stream *st, bool end)
{
    struct agw_msg *m = st->msg;
    m->method = agw_method_lookup(m->method_text);
    const char *wrong = target_fault(m);
    if (!agw_header_name_valid(m->method_text))
        wrong = "bad :method";
    if (wrong) {
        agw_h2_fault(st, 400, wrong);
        return;
    }
    if (m->path.n > st->h->limits->target) {
        agw_h2_fault(st, 414, "request target too long");
        return;
    }
    if (m->upgrade.n > 0)
        to_upgrade(st);
    else if (end)
        m->length = 0;
    else if (m->method == AGW_METHOD_CONNECT)
        m->length = AGW_LENGTH_UNKNOWN;
    if (st->cookies > 1)
        join_cookies(st);
}

void agw_h2_response_complete(struct agw_h2_stream *st, bool end)
{
    struct agw_msg *m = st->msg;
    if (m->status < 100 || m->status > 599) {
        agw_h2_fault(st, 400, "bad :status");
        return;
    }
    if (st->extended && m->status < 300 && m->status >= 200)
        m->status = 101;
    if (m->status < 200 || m->status == 204)
        m->length = 0;
    else if (end && m->length == AGW_LENGTH_UNKNOWN && !st->to_head && m->status != 304)
        m->length = 0;
}
