#include "http/msg.h"

#include "base/check.h"
#include "base/err.h"

#define X(name) [AGW_METHOD_##name] = {#name, sizeof(#name) - 1},
static const struct agw_str methods[] = {{"", 0}, AGW_METHOD_LIST(X)};
#undef X

/* RFC 9110 section 15, RFC 6585, RFC 8470, RFC 4918, RFC 5842, RFC 2774, RFC 8297 */
static const char *const reasons[] = {
    [100] = "Continue",
    [101] = "Switching Protocols",
    [102] = "Processing",
    [103] = "Early Hints",
    [200] = "OK",
    [201] = "Created",
    [202] = "Accepted",
    [203] = "Non-Authoritative Information",
    [204] = "No Content",
    [205] = "Reset Content",
    [206] = "Partial Content",
    [207] = "Multi-Status",
    [208] = "Already Reported",
    [226] = "IM Used",
    [300] = "Multiple Choices",
    [301] = "Moved Permanently",
    [302] = "Found",
    [303] = "See Other",
    [304] = "Not Modified",
    [305] = "Use Proxy",
    [307] = "Temporary Redirect",
    [308] = "Permanent Redirect",
    [400] = "Bad Request",
    [401] = "Unauthorized",
    [402] = "Payment Required",
    [403] = "Forbidden",
    [404] = "Not Found",
    [405] = "Method Not Allowed",
    [406] = "Not Acceptable",
    [407] = "Proxy Authentication Required",
    [408] = "Request Timeout",
    [409] = "Conflict",
    [410] = "Gone",
    [411] = "Length Required",
    [412] = "Precondition Failed",
    [413] = "Content Too Large",
    [414] = "URI Too Long",
    [415] = "Unsupported Media Type",
    [416] = "Range Not Satisfiable",
    [417] = "Expectation Failed",
    [421] = "Misdirected Request",
    [422] = "Unprocessable Content",
    [423] = "Locked",
    [424] = "Failed Dependency",
    [425] = "Too Early",
    [426] = "Upgrade Required",
    [428] = "Precondition Required",
    [429] = "Too Many Requests",
    [431] = "Request Header Fields Too Large",
    [451] = "Unavailable For Legal Reasons",
    [500] = "Internal Server Error",
    [501] = "Not Implemented",
    [502] = "Bad Gateway",
    [503] = "Service Unavailable",
    [504] = "Gateway Timeout",
    [505] = "HTTP Version Not Supported",
    [506] = "Variant Also Negotiates",
    [507] = "Insufficient Storage",
    [508] = "Loop Detected",
    [510] = "Not Extended",
    [511] = "Network Authentication Required",
};

void agw_msg_init(struct agw_msg *m, struct agw_arena *arena)
{
    *m = (struct agw_msg){.arena = arena, .version = AGW_HTTP_11};
    agw_headers_init(&m->headers, arena);
}

/* Copies |s| to *at and moves *at behind it; the empty view stays empty. */
static struct agw_str put(char **at, struct agw_str s)
{
    struct agw_str copy = {s.p ? *at : NULL, s.n};

    if (s.n)
        memcpy(*at, s.p, s.n);
    *at += s.n;
    return copy;
}

static size_t text_size(const struct agw_msg *m)
{
    size_t n = m->method_text.n + m->scheme.n + m->authority.n + m->path.n + m->reason.n + m->upgrade.n;

    for (uint32_t i = 0; i < m->headers.n; i++)
        n += m->headers.v[i].name.n + m->headers.v[i].value.n;
    return n;
}

int agw_msg_copy(struct agw_msg *to, const struct agw_msg *from, struct agw_arena *arena)
{
    struct agw_msg m = *from;
    char *at;

    m.arena = arena;
    memset(&m.written, 0, sizeof(m.written));
    agw_headers_init(&m.headers, arena);
    if (from->headers.n && agw_headers_reserve(&m.headers, from->headers.n) < 0)
        return AGW_ENOMEM;
    at = agw_arena_alloc(arena, text_size(from));
    if (!at)
        return AGW_ENOMEM;
    m.method_text = put(&at, from->method_text);
    m.scheme = put(&at, from->scheme);
    m.authority = put(&at, from->authority);
    m.path = put(&at, from->path);
    m.reason = put(&at, from->reason);
    m.upgrade = put(&at, from->upgrade);
    for (uint32_t i = 0; i < from->headers.n; i++) {
        const struct agw_header *f = &from->headers.v[i];
        struct agw_header *copy = &m.headers.v[m.headers.n++];
        copy->name = put(&at, f->name);
        copy->value = put(&at, f->value);
        copy->id = f->id;
    }
    *to = m;
    return 0;
}

enum agw_method agw_method_lookup(struct agw_str text)
{
    for (size_t i = AGW_METHOD_OTHER + 1; i < AGW_ARRAY_LEN(methods); i++) {
        if (agw_str_eq(methods[i], text))
            return (enum agw_method)i;
    }
    return AGW_METHOD_OTHER;
}

struct agw_str agw_method_name(enum agw_method m)
{
    return methods[m];
}

const char *agw_http_reason(int status)
{
    if (status < 0 || (size_t)status >= AGW_ARRAY_LEN(reasons) || !reasons[status])
        return "";
    return reasons[status];
}
