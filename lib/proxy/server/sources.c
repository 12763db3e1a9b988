#include "proxy/server/sources.h"

#include <stdlib.h>
#include <string.h>
#include "base/check.h"
#include "base/err.h"

#define FIRST_CAP 64

void agw_sources_init(struct agw_sources *s, uint64_t seed)
{
    *s = (struct agw_sources){.seed = seed};
}

void agw_sources_free(struct agw_sources *s)
{
    free(s->v);
    s->v = NULL;
    s->cap = s->used = 0;
}

/* RFC 6890: no host has an address in ::/64 but those that stand for IPv4 ones and loopback; these two keys
 * never are another's prefix. */
#define IPV4 0x0000ffff00000000ull
#define LOOPBACK 1

static uint64_t big_endian(const uint8_t *p, unsigned n)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < n; i++)
        value = value << 8 | p[i];
    return value;
}

uint64_t agw_source_of(const struct agw_addr *addr)
{
    if (addr->n == 0)
        return 0;
    if (addr->u.sa.sa_family == AF_INET)
        return IPV4 | big_endian((const uint8_t *)&addr->u.in4.sin_addr, 4);
    if (addr->u.sa.sa_family != AF_INET6)
        return 0;
    const struct in6_addr *ip = &addr->u.in6.sin6_addr;
    if (IN6_IS_ADDR_V4MAPPED(ip))
        return IPV4 | big_endian(ip->s6_addr + 12, 4);
    uint64_t prefix = big_endian(ip->s6_addr, 8);
    return prefix ? prefix : LOOPBACK;
}

static uint32_t home(const struct agw_sources *s, uint64_t key)
{
    uint64_t h = key ^ s->seed;
    h = (h ^ h >> 32) * 0xd6e8feb86659fd93ull;
    h = (h ^ h >> 32) * 0xd6e8feb86659fd93ull;
    return (uint32_t)(h ^ h >> 32) & (s->cap - 1);
}

/* Where |key| is, or belongs. */
static struct agw_source_count *find(const struct agw_sources *s, uint64_t key)
{
    uint32_t i = home(s, key);
    while (s->v[i].key && s->v[i].key != key)
        i = (i + 1) & (s->cap - 1);
    return &s->v[i];
}

static int grow(struct agw_sources *s)
{
    struct agw_sources next = *s;
    next.cap = s->cap ? s->cap * 2 : FIRST_CAP;
    next.v = calloc(next.cap, sizeof(*next.v));
    if (!next.v)
        return AGW_ENOMEM;
    for (uint32_t i = 0; i < s->cap; i++)
        if (s->v[i].key)
            *find(&next, s->v[i].key) = s->v[i];
    free(s->v);
    *s = next;
    return 0;
}

int agw_sources_add(struct agw_sources *s, uint64_t source, uint32_t max)
{
    if ((s->used + 1) * 2 > s->cap && grow(s))
        return AGW_ENOMEM;
    struct agw_source_count *at = find(s, source);
    if (at->count >= max)
        return AGW_ELIMIT;
    s->used += at->key == 0;
    at->key = source;
    at->count++;
    return 0;
}

/* Those behind it that would no longer be found move up. */
static void take_out(struct agw_sources *s, uint32_t hole)
{
    uint32_t mask = s->cap - 1;
    for (uint32_t i = (hole + 1) & mask; s->v[i].key; i = (i + 1) & mask) {
        uint32_t wants = home(s, s->v[i].key);
        if (((i - wants) & mask) < ((i - hole) & mask))
            continue;
        s->v[hole] = s->v[i];
        hole = i;
    }
    s->v[hole] = (struct agw_source_count){0};
    s->used--;
}

void agw_sources_remove(struct agw_sources *s, uint64_t source)
{
    agw_check(s->cap > 0);
    struct agw_source_count *at = find(s, source);
    agw_check(at->count > 0);
    if (--at->count == 0)
        take_out(s, (uint32_t)(at - s->v));
}
