#include "grpc/message.h"

#include "base/err.h"

static const struct agw_str texts[AGW_GRPC_STATUS_MAX + 1] = {
#define T(s)                                                                                                 \
    {                                                                                                        \
        s, sizeof(s) - 1                                                                                     \
    }
    T("0"), T("1"),  T("2"),  T("3"),  T("4"),  T("5"),  T("6"),  T("7"),  T("8"),
    T("9"), T("10"), T("11"), T("12"), T("13"), T("14"), T("15"), T("16"),
#undef T
};

bool agw_grpc_is_request(const struct agw_msg *req)
{
    const struct agw_str want = AGW_STR("application/grpc");
    if (req->version != AGW_HTTP_2)
        return false;
    struct agw_str type = agw_headers_value(&req->headers, AGW_HDR_CONTENT_TYPE);
    if (type.n < want.n || !agw_str_ieq(agw_str(type.p, want.n), want))
        return false;
    return type.n == want.n || type.p[want.n] == '+' || type.p[want.n] == ';';
}

/* --- deadline --- */

/* Nanoseconds of a unit; 0: no unit. */
static uint64_t unit_ns(char unit)
{
    switch (unit) {
    case 'H':
        return 3600000000000u;
    case 'M':
        return 60000000000u;
    case 'S':
        return 1000000000u;
    case 'm':
        return 1000000u;
    case 'u':
        return 1000u;
    case 'n':
        return 1;
    default:
        return 0;
    }
}

int agw_grpc_timeout_ms(struct agw_str text, uint32_t *ret_ms)
{
    uint64_t value;
    if (text.n < 2 || text.n > 9 || agw_str_u64(agw_str(text.p, text.n - 1), &value))
        return AGW_EINVAL;
    uint64_t unit = unit_ns(text.p[text.n - 1]);
    if (unit == 0)
        return AGW_EINVAL;
    /* 99999999 hours are more nanoseconds than 64 bits hold. */
    uint64_t ms = unit >= 1000000 ? value * (unit / 1000000) : value * unit / 1000000;
    *ret_ms = ms == 0 ? 1 : ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ms;
    return 0;
}

/* --- status --- */

enum agw_grpc_status agw_grpc_status_of(int http_status)
{
    switch (http_status) {
    case 400:
        return AGW_GRPC_INTERNAL;
    case 401:
        return AGW_GRPC_UNAUTHENTICATED;
    case 403:
        return AGW_GRPC_PERMISSION_DENIED;
    case 404:
        return AGW_GRPC_UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
        return AGW_GRPC_UNAVAILABLE;
    case 504:
        return AGW_GRPC_DEADLINE_EXCEEDED;
    default:
        return AGW_GRPC_UNKNOWN;
    }
}

/* "Percent-Byte-Unencoded": visible ASCII and space, but for '%'. */
static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c <= 0x7e && c != '%';
}

/* p is NULL when memory is out. */
static struct agw_str percent_encoded(struct agw_arena *arena, struct agw_str s)
{
    static const char hex[] = "0123456789ABCDEF";
    char *out = agw_arena_alloc(arena, s.n * 3), *at = out;
    if (!out)
        return (struct agw_str){0};
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        /* a field's value has no space at its ends */
        bool plain = is_plain(c) && !(c == ' ' && (i == 0 || i + 1 == s.n));
        if (plain) {
            *at++ = (char)c;
            continue;
        }
        *at++ = '%';
        *at++ = hex[c >> 4];
        *at++ = hex[c & 15];
    }
    return agw_str(out, (size_t)(at - out));
}

int agw_grpc_add_status(struct agw_headers *h, enum agw_grpc_status status, struct agw_str message)
{
    struct agw_str text = percent_encoded(h->arena, message);
    if (!text.p)
        return AGW_ENOMEM;
    int rc = agw_headers_add(h, AGW_HDR_OTHER, AGW_STR("grpc-status"), agw_grpc_status_text(status));
    if (rc == 0 && text.n > 0)
        rc = agw_headers_add(h, AGW_HDR_OTHER, AGW_STR("grpc-message"), text);
    return rc;
}

int agw_grpc_make_reply(struct agw_msg *m, struct agw_str message)
{
    enum agw_grpc_status status = agw_grpc_status_of(m->status);
    agw_headers_remove_id(&m->headers, AGW_HDR_CONTENT_ENCODING);
    agw_headers_remove_id(&m->headers, AGW_HDR_TRAILER);
    if (agw_headers_set_id(&m->headers, AGW_HDR_CONTENT_TYPE, AGW_STR("application/grpc")))
        return AGW_ENOMEM;
    m->status = 200;
    m->reason = AGW_STR("");
    m->length = AGW_LENGTH_UNKNOWN;
    return agw_grpc_add_status(&m->headers, status, message);
}

enum agw_grpc_status agw_grpc_status_in(const struct agw_headers *h)
{
    const struct agw_header *f = h ? agw_headers_find(h, AGW_STR("grpc-status")) : NULL;
    uint64_t code;
    if (!f || agw_str_u64(f->value, &code) || code > AGW_GRPC_STATUS_MAX)
        return AGW_GRPC_NONE;
    return (enum agw_grpc_status)code;
}

struct agw_str agw_grpc_status_text(enum agw_grpc_status status)
{
    return status < 0 || status > AGW_GRPC_STATUS_MAX ? AGW_STR("") : texts[status];
}
