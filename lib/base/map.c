#include "base/map.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include "base/check.h"
#include "base/err.h"
#include "base/rng.h"

enum { SLOT_UNUSED = 0, SLOT_DELETED = 1, CAP_MIN = 8 };

static uint64_t hash_key[2];
static atomic_bool hash_key_set;

static void set_hash_key(void)
{
    agw_random(hash_key, sizeof(hash_key));
    atomic_store_explicit(&hash_key_set, true, memory_order_release);
}

static __attribute__((noinline)) void need_hash_key(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, set_hash_key);
}

static inline uint64_t rotl(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

static inline void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotl(v[1], 13) ^ v[0];
    v[0] = rotl(v[0], 32);
    v[2] += v[3];
    v[3] = rotl(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotl(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotl(v[1], 17) ^ v[2];
    v[2] = rotl(v[2], 32);
}

static inline uint64_t load64(const char *p)
{
    uint64_t x;
    memcpy(&x, p, sizeof(x));
    return x;
}

/* The last 0 to 7 bytes, and the length in the top byte. */
static inline uint64_t load_tail(const char *p, size_t n, size_t total)
{
    uint64_t x = 0;
    memcpy(&x, p, n);
    return x | (uint64_t)total << 56;
}

static uint64_t siphash13(struct agw_str s, uint64_t k0, uint64_t k1)
{
    uint64_t v[4] = {k0 ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du, k0 ^ 0x6c7967656e657261u,
                     k1 ^ 0x7465646279746573u};
    const char *p = s.n ? s.p : ""; /* the empty view may be NULL */
    const char *end = p + (s.n & ~(size_t)7);
    for (; p != end; p += 8) {
        uint64_t m = load64(p);
        v[3] ^= m;
        sip_round(v);
        v[0] ^= m;
    }
    uint64_t m = s.n & 7 ? load_tail(p, s.n & 7, s.n) : (uint64_t)s.n << 56;
    v[3] ^= m;
    sip_round(v);
    v[0] ^= m;
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t agw_hash(struct agw_str s)
{
    if (agw_unlikely(!atomic_load_explicit(&hash_key_set, memory_order_acquire)))
        need_hash_key();
    uint64_t h = siphash13(s, hash_key[0], hash_key[1]);
    return h > SLOT_DELETED ? h : h + 2;
}

void agw_map_init(struct agw_map *m)
{
    *m = (struct agw_map){0};
}

void agw_map_free(struct agw_map *m)
{
    free(m->slots);
    agw_map_init(m);
}

static struct agw_map_slot *find(const struct agw_map *m, struct agw_str key, uint64_t hash)
{
    if (m->count == 0)
        return NULL;
    uint32_t mask = m->cap - 1;
    for (uint32_t i = (uint32_t)hash & mask;; i = (i + 1) & mask) {
        struct agw_map_slot *s = &m->slots[i];
        if (s->hash == hash && agw_str_eq(s->key, key))
            return s;
        if (s->hash == SLOT_UNUSED)
            return NULL;
    }
}

void *agw_map_get_hashed(const struct agw_map *m, struct agw_str key, uint64_t hash)
{
    struct agw_map_slot *s = find(m, key, hash);
    return s ? s->value : NULL;
}

void *agw_map_get(const struct agw_map *m, struct agw_str key)
{
    return m->count ? agw_map_get_hashed(m, key, agw_hash(key)) : NULL;
}

/* The first slot that is free for a key known to be absent. */
static struct agw_map_slot *find_free(struct agw_map_slot *slots, uint32_t cap, uint64_t hash)
{
    uint32_t mask = cap - 1, i = (uint32_t)hash & mask;
    while (slots[i].hash > SLOT_DELETED)
        i = (i + 1) & mask;
    return &slots[i];
}

static int rehash(struct agw_map *m, uint32_t cap)
{
    struct agw_map_slot *slots = calloc(cap, sizeof(*slots));
    if (!slots)
        return AGW_ENOMEM;
    for (uint32_t i = 0; i < m->cap; i++) {
        if (m->slots[i].hash > SLOT_DELETED)
            *find_free(slots, cap, m->slots[i].hash) = m->slots[i];
    }
    free(m->slots);
    m->slots = slots;
    m->cap = cap;
    m->dead = 0;
    return 0;
}

/* At least a quarter of the slots stays unused, so that every probe ends soon. */
static int reserve_one(struct agw_map *m)
{
    if (m->cap == 0)
        return rehash(m, CAP_MIN);
    if (m->count + m->dead + 1 <= m->cap - m->cap / 4)
        return 0;
    if (m->count + 1 <= m->cap / 2)
        return rehash(m, m->cap); /* mostly deleted ones */
    return m->cap > UINT32_MAX / 2 ? AGW_ENOMEM : rehash(m, m->cap * 2);
}

int agw_map_put(struct agw_map *m, struct agw_str key, void *value, void **ret_old)
{
    agw_check(value);
    uint64_t hash = agw_hash(key);
    struct agw_map_slot *s = find(m, key, hash);
    if (s) {
        if (ret_old)
            *ret_old = s->value;
        s->key = key;
        s->value = value;
        return 0;
    }
    int r = reserve_one(m);
    if (r)
        return r;
    s = find_free(m->slots, m->cap, hash);
    m->dead -= s->hash == SLOT_DELETED;
    *s = (struct agw_map_slot){hash, key, value};
    m->count++;
    if (ret_old)
        *ret_old = NULL;
    return 0;
}

void *agw_map_take(struct agw_map *m, struct agw_str key)
{
    struct agw_map_slot *s = m->count ? find(m, key, agw_hash(key)) : NULL;
    if (!s)
        return NULL;
    void *value = s->value;
    uint32_t mask = m->cap - 1, i = (uint32_t)(s - m->slots);
    *s = (struct agw_map_slot){.hash = SLOT_DELETED};
    m->dead++;
    m->count--;
    /* Deleted slots right before an unused one end no probe differently: make them unused again. */
    if (m->slots[(i + 1) & mask].hash == SLOT_UNUSED) {
        for (; m->slots[i].hash == SLOT_DELETED; i = (i - 1) & mask) {
            m->slots[i].hash = SLOT_UNUSED;
            m->dead--;
        }
    }
    return value;
}

struct agw_map_slot *agw_map_next(const struct agw_map *m, uint32_t *cursor)
{
    while (*cursor < m->cap) {
        struct agw_map_slot *s = &m->slots[(*cursor)++];
        if (s->hash > SLOT_DELETED)
            return s;
    }
    return NULL;
}
