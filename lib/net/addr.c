#include "net/addr.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#define IP_TEXT 64 /* longer than any IPv6 text */

static bool ip_text(struct agw_str ip, char out[IP_TEXT])
{
    if (ip.n == 0 || ip.n >= IP_TEXT || memchr(ip.p, 0, ip.n))
        return false;
    memcpy(out, ip.p, ip.n);
    out[ip.n] = 0;
    return true;
}

int agw_addr_ip(struct agw_str ip, uint16_t port, struct agw_addr *ret_addr)
{
    struct agw_addr a = {0};
    char text[IP_TEXT];
    bool bracket = ip.n >= 2 && ip.p[0] == '[' && ip.p[ip.n - 1] == ']';

    if (bracket)
        ip = agw_str(ip.p + 1, ip.n - 2);
    if (!ip_text(ip, text))
        return AGW_EINVAL;
    if (!bracket && inet_pton(AF_INET, text, &a.u.in4.sin_addr) == 1) {
        a.u.in4.sin_family = AF_INET;
        a.n = sizeof(a.u.in4);
    } else if (inet_pton(AF_INET6, text, &a.u.in6.sin6_addr) == 1) {
        a.u.in6.sin6_family = AF_INET6;
        a.n = sizeof(a.u.in6);
    } else {
        return AGW_EINVAL;
    }
    agw_addr_set_port(&a, port);
    *ret_addr = a;
    return 0;
}

/* Offset of the colon before the port, or -1. An IPv6 address must be in brackets: "::1:80" could mean two
 * things. */
static ptrdiff_t port_colon(struct agw_str text)
{
    if (text.n && text.p[0] == '[') {
        ptrdiff_t end = agw_str_find(text, ']');
        return end > 0 && (size_t)end + 1 < text.n && text.p[end + 1] == ':' ? end + 1 : -1;
    }
    ptrdiff_t colon = agw_str_find(text, ':');
    if (colon < 0 || agw_str_find(agw_str_from(text, (size_t)colon + 1), ':') >= 0)
        return -1;
    return colon;
}

int agw_addr_parse(struct agw_str text, struct agw_addr *ret_addr, struct agw_error *err)
{
    uint64_t port;
    ptrdiff_t colon = port_colon(text);

    if (colon < 0)
        return agw_error_set(err, AGW_EINVAL, "address \"%.*s\": expected host:port", AGW_STRF(text));
    struct agw_str host = agw_str(text.p, (size_t)colon);
    if (agw_str_u64(agw_str_from(text, (size_t)colon + 1), &port) || port > UINT16_MAX)
        return agw_error_set(err, AGW_EINVAL, "address \"%.*s\": bad port", AGW_STRF(text));
    if (host.n == 0)
        host = AGW_STR("::");
    else if (agw_str_ieq(host, AGW_STR("localhost")))
        host = AGW_STR("127.0.0.1");
    if (agw_addr_ip(host, (uint16_t)port, ret_addr))
        return agw_error_set(err, AGW_EINVAL, "address \"%.*s\": not an IP address", AGW_STRF(text));
    return 0;
}

int agw_addr_unix(struct agw_str path, struct agw_addr *ret_addr)
{
    struct agw_addr a = {0};

    if (path.n == 0 || path.n >= sizeof(a.u.un.sun_path) || memchr(path.p, 0, path.n))
        return AGW_EINVAL;
    a.u.un.sun_family = AF_UNIX;
    memcpy(a.u.un.sun_path, path.p, path.n);
    a.n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.n + 1);
    *ret_addr = a;
    return 0;
}

void agw_addr_from(const struct sockaddr_storage *sa, socklen_t n, struct agw_addr *ret_addr)
{
    struct agw_addr a = {0};

    a.n = n < sizeof(a.u) ? n : sizeof(a.u);
    memcpy(&a.u, sa, a.n);
    if (a.n >= sizeof(a.u.in6) && a.u.sa.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&a.u.in6.sin6_addr)) {
        struct sockaddr_in in4 = {.sin_family = AF_INET, .sin_port = a.u.in6.sin6_port};
        memcpy(&in4.sin_addr, a.u.in6.sin6_addr.s6_addr + 12, 4);
        a = (struct agw_addr){.n = sizeof(in4), .u.in4 = in4};
    }
    *ret_addr = a;
}

uint16_t agw_addr_port(const struct agw_addr *a)
{
    switch (a->n ? a->u.sa.sa_family : AF_UNSPEC) {
    case AF_INET:
        return ntohs(a->u.in4.sin_port);
    case AF_INET6:
        return ntohs(a->u.in6.sin6_port);
    default:
        return 0;
    }
}

void agw_addr_set_port(struct agw_addr *a, uint16_t port)
{
    if (a->u.sa.sa_family == AF_INET)
        a->u.in4.sin_port = htons(port);
    else if (a->u.sa.sa_family == AF_INET6)
        a->u.in6.sin6_port = htons(port);
}

/* NUL-terminated or not: the kernel may leave the last NUL out. */
static struct agw_str unix_path(const struct agw_addr *a)
{
    size_t head = offsetof(struct sockaddr_un, sun_path);
    size_t room = a->n > head ? a->n - head : 0;
    return agw_str(a->u.un.sun_path, strnlen(a->u.un.sun_path, room));
}

bool agw_addr_eq(const struct agw_addr *a, const struct agw_addr *b)
{
    if (a->n == 0 || b->n == 0)
        return a->n == b->n;
    if (a->u.sa.sa_family != b->u.sa.sa_family)
        return false;
    switch (a->u.sa.sa_family) {
    case AF_INET:
        return a->u.in4.sin_port == b->u.in4.sin_port && a->u.in4.sin_addr.s_addr == b->u.in4.sin_addr.s_addr;
    case AF_INET6:
        return a->u.in6.sin6_port == b->u.in6.sin6_port && a->u.in6.sin6_scope_id == b->u.in6.sin6_scope_id &&
               IN6_ARE_ADDR_EQUAL(&a->u.in6.sin6_addr, &b->u.in6.sin6_addr);
    case AF_UNIX:
        return agw_str_eq(unix_path(a), unix_path(b));
    default:
        return false;
    }
}

bool agw_addr_is_loopback(const struct agw_addr *a)
{
    switch (a->n ? a->u.sa.sa_family : AF_UNSPEC) {
    case AF_INET:
        return ntohl(a->u.in4.sin_addr.s_addr) >> 24 == 127;
    case AF_INET6:
        return IN6_IS_ADDR_LOOPBACK(&a->u.in6.sin6_addr) ||
               (IN6_IS_ADDR_V4MAPPED(&a->u.in6.sin6_addr) && a->u.in6.sin6_addr.s6_addr[12] == 127);
    case AF_UNIX:
        return true;
    default:
        return false;
    }
}

/* Decimal without snprintf: this is in the access log of each request. */
static size_t put_u(char *out, unsigned v)
{
    char digits[10];
    size_t n = 0;

    do {
        digits[n++] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    for (size_t i = 0; i < n; i++)
        out[i] = digits[n - 1 - i];
    return n;
}

static size_t put_ip4(char *out, const void *ip)
{
    const unsigned char *b = ip;
    size_t n = 0;

    for (int i = 0; i < 4; i++) {
        if (i)
            out[n++] = '.';
        n += put_u(out + n, b[i]);
    }
    return n;
}

static size_t put_ip6(char *out, const struct in6_addr *ip, bool brackets)
{
    size_t n = 0;

    if (brackets)
        out[n++] = '[';
    if (!inet_ntop(AF_INET6, ip, out + n, INET6_ADDRSTRLEN))
        out[n] = 0;
    n += strlen(out + n);
    if (brackets)
        out[n++] = ']';
    return n;
}

static size_t format(const struct agw_addr *a, char *out, bool port)
{
    size_t n = 0;

    switch (a->n ? a->u.sa.sa_family : AF_UNSPEC) {
    case AF_INET:
        n = put_ip4(out, &a->u.in4.sin_addr);
        break;
    case AF_INET6:
        n = put_ip6(out, &a->u.in6.sin6_addr, port);
        break;
    case AF_UNIX: {
        struct agw_str path = unix_path(a);
        n = (size_t)snprintf(out, AGW_ADDR_TEXT, "unix:%.*s", AGW_STRF(path));
        port = false;
        break;
    }
    default:
        out[n++] = '-';
        port = false;
    }
    if (port) {
        out[n++] = ':';
        n += put_u(out + n, agw_addr_port(a));
    }
    out[n] = 0;
    return n;
}

size_t agw_addr_format(const struct agw_addr *a, char *out)
{
    return format(a, out, true);
}

size_t agw_addr_format_ip(const struct agw_addr *a, char *out)
{
    return format(a, out, false);
}
