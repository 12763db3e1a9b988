#include "net/cidr.h"

#include <string.h>
#include "base/check.h"

static const unsigned char *bytes_of(const struct agw_addr *a)
{
    return a->u.sa.sa_family == AF_INET ? (const unsigned char *)&a->u.in4.sin_addr
                                        : (const unsigned char *)&a->u.in6.sin6_addr;
}

static bool same_bits(const unsigned char *a, const unsigned char *b, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;
    if (memcmp(a, b, whole) != 0)
        return false;
    return rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

int agw_cidr_parse(struct agw_str text, struct agw_cidr *ret_cidr)
{
    struct agw_cidr c;
    ptrdiff_t slash = agw_str_find(text, '/');
    struct agw_str ip = slash < 0 ? text : agw_str(text.p, (size_t)slash);
    if (agw_addr_ip(ip, 0, &c.base))
        return AGW_EINVAL;
    const unsigned char *at = bytes_of(&c.base);
    uint64_t most = c.base.u.sa.sa_family == AF_INET ? 32 : 128, bits = most;
    if (slash >= 0 && (agw_str_u64(agw_str_from(text, (size_t)slash + 1), &bits) || bits > most))
        return AGW_EINVAL;
    c.bits = (uint8_t)bits;
    /* A range that is written as one of its addresses is a mistake. */
    for (uint64_t i = bits; i < most; i++)
        if (at[i / 8] >> (7 - i % 8) & 1)
            return AGW_EINVAL;
    *ret_cidr = c;
    return 0;
}

static const struct agw_str not_routed[] = {
    {"127.0.0.0/8", 11},   {"10.0.0.0/8", 10}, {"172.16.0.0/12", 13}, {"192.168.0.0/16", 14},
    {"100.64.0.0/10", 13}, {"::1/128", 7},     {"fc00::/7", 8},
};

static int add(struct agw_cidr *v, uint32_t *count, struct agw_str item)
{
    if (*count == AGW_CIDRS_MAX)
        return AGW_ELIMIT;
    int rc = agw_cidr_parse(item, &v[*count]);
    *count += rc == 0;
    return rc;
}

static int add_item(struct agw_cidr *v, uint32_t *count, struct agw_str item)
{
    int rc = 0;
    if (!agw_str_eq(item, AGW_STR("private")))
        return add(v, count, item);
    for (size_t i = 0; rc == 0 && i < AGW_ARRAY_LEN(not_routed); i++)
        rc = add(v, count, not_routed[i]);
    return rc;
}

int agw_cidrs_parse(struct agw_str text, struct agw_arena *arena, struct agw_cidrs *ret_cidrs,
                    struct agw_error *err)
{
    struct agw_cidr v[AGW_CIDRS_MAX];
    struct agw_str rest = text, item;
    uint32_t count = 0;
    int rc = 0;
    *ret_cidrs = (struct agw_cidrs){NULL, 0};
    if (agw_str_eq(text, AGW_STR("none")))
        return 0;
    while (rc == 0 && agw_str_split(&rest, ',', &item))
        rc = add_item(v, &count, item);
    if (rc == AGW_EINVAL)
        return agw_error_set(err, rc, "'%.*s' is no address and no range", AGW_STRF(item));
    if (rc)
        return agw_error_set(err, rc, "more than %d ranges", AGW_CIDRS_MAX);
    ret_cidrs->v = agw_arena_copy(arena, v, count * sizeof(*v));
    ret_cidrs->count = count;
    return ret_cidrs->v ? 0 : agw_error_set(err, AGW_ENOMEM, "out of memory");
}

bool agw_cidr_has(const struct agw_cidr *c, const struct agw_addr *a)
{
    return a->u.sa.sa_family == c->base.u.sa.sa_family && same_bits(bytes_of(&c->base), bytes_of(a), c->bits);
}

bool agw_cidrs_have(const struct agw_cidrs *c, const struct agw_addr *a)
{
    if (a->u.sa.sa_family != AF_INET && a->u.sa.sa_family != AF_INET6)
        return false;
    for (uint32_t i = 0; i < c->count; i++)
        if (agw_cidr_has(&c->v[i], a))
            return true;
    return false;
}
