/* The PROXY protocol, versions 1 and 2 (the HAProxy project's proxy-protocol.txt): who is in front tells the
 * client's address before the first byte. A pure parser, and a connection filter that stands on the socket.
 *
 * Threads: the parser's any; a filter belongs to its connection's loop. */
#ifndef AGW_NET_PROXY_H
#define AGW_NET_PROXY_H

#include "net/conn.h"

/* "PROXY UNKNOWN", two IPv6 addresses, two ports and CR LF: section 2.1 names this as the longest line. */
#define AGW_PROXY_V1_MAX 107
/* Addresses and TLVs: senders that add a client certificate to the TLVs need some kilobytes. */
#define AGW_PROXY_V2_MAX 8192

enum { AGW_PROXY_V1 = 1, AGW_PROXY_V2 = 2 };

struct agw_proxy_header {
    size_t size; /* bytes that it takes */
    struct agw_addr src,
        dst; /* n == 0: none given, the connection's own count (LOCAL, UNKNOWN, other families) */
};

/* Looks for a header of one of |versions| at the start of |n| bytes. 0; AGW_EAGAIN: all good so far, more
 * bytes are needed; AGW_ENOTFOUND: these bytes begin with no such header; AGW_EPROTO: they do, and it is
 * malformed; AGW_ELIMIT: it is longer than the limits above. |*ret_why| tells the last two in words. */
int agw_proxy_parse(const unsigned char *p, size_t n, unsigned versions, struct agw_proxy_header *ret,
                    const char **ret_why);

/* A filter that takes the header off and sets the connection's peer and local addresses. Without |optional| a
 * connection that does not begin with a header fails with AGW_EPROTO. NULL: out of memory. */
struct agw_filter *agw_proxy_filter(unsigned versions, bool optional);

#endif
