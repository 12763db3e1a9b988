/* Socket addresses: IPv4, IPv6, unix path. Plain values. Threads: any. */
#ifndef AGW_NET_ADDR_H
#define AGW_NET_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <sys/un.h>
#include "base/err.h"
#include "base/str.h"

struct agw_addr {
    socklen_t n; /* 0: unset */
    union {
        struct sockaddr sa;
        struct sockaddr_in in4;
        struct sockaddr_in6 in6;
        struct sockaddr_un un;
    } u;
};

/* Probes on a connection that says nothing; 0: the system's own value. */
struct agw_keepalive {
    bool on;
    uint32_t idle_s, interval_s, probes;
};
#define AGW_KEEPALIVE_MAX_S 32767 /* what Linux takes (MAX_TCP_KEEPIDLE, MAX_TCP_KEEPINTVL) */
#define AGW_KEEPALIVE_MAX_PROBES 127
/* Whole seconds for |ms|, as the system takes them. */
static inline uint32_t agw_keepalive_seconds(uint32_t ms)
{
    uint32_t s = ms / 1000 + (ms % 1000 > 0);
    return s > AGW_KEEPALIVE_MAX_S ? AGW_KEEPALIVE_MAX_S : s;
}

#define AGW_ADDR_TEXT 128 /* room for any text form with NUL; unix paths are cut */

/* "127.0.0.1" / "::1" (brackets allowed) and a port to an address. AGW_EINVAL for names and junk. */
int agw_addr_ip(struct agw_str ip, uint16_t port, struct agw_addr *ret_addr);
/* "1.2.3.4:80", "[::1]:80", ":80" (all addresses, dual stack). Names are not resolved: AGW_EINVAL, but
 * "localhost" is 127.0.0.1 (RFC 6761 section 6.3). */
int agw_addr_parse(struct agw_str text, struct agw_addr *ret_addr, struct agw_error *err);
/* AGW_EINVAL: empty, too long (107 bytes) or with a NUL. */
int agw_addr_unix(struct agw_str path, struct agw_addr *ret_addr);
/* What the kernel filled in; an IPv4-mapped IPv6 address becomes the IPv4 address it stands for. */
void agw_addr_from(const struct sockaddr_storage *sa, socklen_t n, struct agw_addr *ret_addr);
uint16_t agw_addr_port(const struct agw_addr *a); /* 0 for unix */
void agw_addr_set_port(struct agw_addr *a, uint16_t port);
bool agw_addr_eq(const struct agw_addr *a, const struct agw_addr *b);
bool agw_addr_is_loopback(const struct agw_addr *a);
/* "1.2.3.4:80", "[::1]:80", "unix:/path" into |out| (AGW_ADDR_TEXT bytes); agw_addr_format_ip leaves the port
 * out. Return the length. */
size_t agw_addr_format(const struct agw_addr *a, char *out);
size_t agw_addr_format_ip(const struct agw_addr *a, char *out);

#endif
