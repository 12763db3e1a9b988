#include "net/proxy.h"

#include <arpa/inet.h>
#include <string.h>

static const char v1_mark[] = "PROXY ";
static const unsigned char v2_mark[12] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d,
                                          0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};

#define V2_FIXED 16 /* the mark, version and command, family, length */
#define V2_IN4 12   /* two addresses and two ports */
#define V2_IN6 36

static int bad(const char **ret_why, const char *why)
{
    *ret_why = why;
    return AGW_EPROTO;
}

static bool begins(const unsigned char *p, size_t n, const void *mark, size_t mark_n)
{
    return memcmp(p, mark, n < mark_n ? n : mark_n) == 0;
}

static void set_address(struct agw_addr *a, int family, const void *ip, uint16_t port)
{
    struct sockaddr_storage sa = {.ss_family = (sa_family_t)family};

    if (family == AF_INET)
        memcpy(&((struct sockaddr_in *)&sa)->sin_addr, ip, 4);
    else
        memcpy(&((struct sockaddr_in6 *)&sa)->sin6_addr, ip, 16);
    agw_addr_from(&sa, family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6), a);
    agw_addr_set_port(a, port);
}

/* --- version 1: a line of text --- */

/* The next word of |*rest|, which loses it and one space. */
static struct agw_str word(struct agw_str *rest)
{
    const char *space = rest->n ? memchr(rest->p, ' ', rest->n) : NULL;
    struct agw_str w = agw_str(rest->p, space ? (size_t)(space - rest->p) : rest->n);

    *rest = agw_str_from(*rest, space ? w.n + 1 : w.n);
    return w;
}

/* Decimal without needless zeros, at most 65535; -1 otherwise. */
static int port_of(struct agw_str w)
{
    int n = 0;

    if (w.n == 0 || w.n > 5 || (w.n > 1 && w.p[0] == '0'))
        return -1;
    for (size_t i = 0; i < w.n; i++) {
        if (w.p[i] < '0' || w.p[i] > '9')
            return -1;
        n = n * 10 + (w.p[i] - '0');
    }
    return n <= 65535 ? n : -1;
}

static bool ip_of(int family, struct agw_str w, void *ret_ip)
{
    char text[INET6_ADDRSTRLEN];

    if (w.n == 0 || w.n >= sizeof(text))
        return false;
    memcpy(text, w.p, w.n);
    text[w.n] = 0;
    return inet_pton(family, text, ret_ip) == 1;
}

static int parse_line(struct agw_str line, struct agw_proxy_header *h, const char **ret_why)
{
    unsigned char src[16], dst[16];
    bool space_at_end = agw_str_ends(line, AGW_STR(" "));
    struct agw_str family = word(&line);
    int af = agw_str_eq(family, AGW_STR("TCP4")) ? AF_INET : AF_INET6;

    if (agw_str_eq(family, AGW_STR("UNKNOWN"))) /* the rest is to be ignored */
        return 0;
    if (af == AF_INET6 && !agw_str_eq(family, AGW_STR("TCP6")))
        return bad(ret_why, "PROXY v1: the family is none of TCP4, TCP6, UNKNOWN");
    if (!ip_of(af, word(&line), src) || !ip_of(af, word(&line), dst))
        return bad(ret_why, "PROXY v1: an address is malformed");
    int src_port = port_of(word(&line)), dst_port = port_of(word(&line));
    if (src_port < 0 || dst_port < 0)
        return bad(ret_why, "PROXY v1: a port is malformed");
    if (line.n || space_at_end)
        return bad(ret_why, "PROXY v1: the line goes on behind the ports");
    set_address(&h->src, af, src, (uint16_t)src_port);
    set_address(&h->dst, af, dst, (uint16_t)dst_port);
    return 0;
}

static int parse_v1(const unsigned char *p, size_t n, struct agw_proxy_header *h, const char **ret_why)
{
    size_t most = n < AGW_PROXY_V1_MAX ? n : AGW_PROXY_V1_MAX, mark = sizeof(v1_mark) - 1;
    const unsigned char *cr = memchr(p, '\r', most);

    if (n < mark)
        return AGW_EAGAIN;
    if (!cr && most < AGW_PROXY_V1_MAX)
        return AGW_EAGAIN;
    if (!cr || cr == p + AGW_PROXY_V1_MAX - 1) {
        *ret_why = "PROXY v1: the line is longer than 107 bytes";
        return AGW_ELIMIT;
    }
    if (cr + 1 == p + n)
        return AGW_EAGAIN;
    if (cr[1] != '\n')
        return bad(ret_why, "PROXY v1: the line does not end with CR LF");
    h->size = (size_t)(cr + 2 - p);
    return parse_line(agw_str((const char *)p + mark, (size_t)(cr - p) - mark), h, ret_why);
}

/* --- version 2: binary --- */

static uint16_t u16(const unsigned char *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

/* Families other than TCP over IPv4 and IPv6 say nothing that a TCP connection could use. */
static int parse_body(const unsigned char *p, size_t n, unsigned family, struct agw_proxy_header *h,
                      const char **ret_why)
{
    size_t want = family == 0x11 ? V2_IN4 : family == 0x21 ? V2_IN6 : 0;

    if (want == 0)
        return 0;
    if (n < want)
        return bad(ret_why, "PROXY v2: the addresses are cut off");
    size_t ip = (want - 4) / 2;
    int af = family == 0x11 ? AF_INET : AF_INET6;
    set_address(&h->src, af, p, u16(p + 2 * ip));
    set_address(&h->dst, af, p + ip, u16(p + 2 * ip + 2));
    return 0;
}

static int parse_v2(const unsigned char *p, size_t n, struct agw_proxy_header *h, const char **ret_why)
{
    if (n < V2_FIXED)
        return AGW_EAGAIN;
    unsigned version = p[12] >> 4, command = p[12] & 15;
    size_t length = u16(p + 14);
    if (version != 2)
        return bad(ret_why, "PROXY v2: the version is not 2");
    if (command > 1)
        return bad(ret_why, "PROXY v2: the command is neither LOCAL nor PROXY");
    if (length > AGW_PROXY_V2_MAX) {
        *ret_why = "PROXY v2: the header is longer than 8192 bytes";
        return AGW_ELIMIT;
    }
    if (n < V2_FIXED + length)
        return AGW_EAGAIN;
    h->size = V2_FIXED + length;
    return command == 1 ? parse_body(p + V2_FIXED, length, p[13], h, ret_why) : 0;
}

int agw_proxy_parse(const unsigned char *p, size_t n, unsigned versions, struct agw_proxy_header *ret,
                    const char **ret_why)
{
    struct agw_proxy_header h = {0};
    int rc = AGW_ENOTFOUND;

    if (n == 0)
        return AGW_EAGAIN;
    if ((versions & AGW_PROXY_V1) && begins(p, n, v1_mark, sizeof(v1_mark) - 1))
        rc = parse_v1(p, n, &h, ret_why);
    else if ((versions & AGW_PROXY_V2) && begins(p, n, v2_mark, sizeof(v2_mark)))
        rc = parse_v2(p, n, &h, ret_why);
    if (rc == 0)
        *ret = h;
    return rc;
}
