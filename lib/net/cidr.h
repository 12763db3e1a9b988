/* Ranges of addresses (RFC 4632): "10.0.0.0/8", "2001:db8::/32", "192.0.2.1". Plain values. Threads: any. */
#ifndef AGW_NET_CIDR_H
#define AGW_NET_CIDR_H

#include "base/arena.h"
#include "net/addr.h"

/* A list in a configuration has some dozens; each is compared in turn. */
#define AGW_CIDRS_MAX 256

struct agw_cidr {
    struct agw_addr base;
    uint8_t bits;
};

struct agw_cidrs {
    const struct agw_cidr *v;
    uint32_t count;
};

/* AGW_EINVAL: neither an address nor a range, or bits are set behind the prefix. */
int agw_cidr_parse(struct agw_str text, struct agw_cidr *ret_cidr);
/* A comma-separated list, in |arena|; "private" in it stands for loopback and the ranges that are not routed
 * in the internet (RFC 1918, RFC 4193, RFC 6598), "none" alone for the empty list. AGW_EINVAL with the item
 * in |err|, AGW_ELIMIT, AGW_ENOMEM. */
int agw_cidrs_parse(struct agw_str text, struct agw_arena *arena, struct agw_cidrs *ret_cidrs,
                    struct agw_error *err);
bool agw_cidr_has(const struct agw_cidr *c, const struct agw_addr *a);
/* True if one of them has |a|; a unix socket is in none. */
bool agw_cidrs_have(const struct agw_cidrs *c, const struct agw_addr *a);

#endif
