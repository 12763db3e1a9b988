#include "base/pmap.h"

#include <stdlib.h>
#include "base/check.h"
#include "base/err.h"

#define BITS 5
#define HASH_BITS 64

struct slot {
    uint64_t hash; /* of a leaf */
    void *p;       /* a value, or a struct agw_pmap_node */
};

/* A slot for each bit of |used|, in order of bits; those of |leaves| are values. Below HASH_BITS keys have
 * equal hashes: such a node is a plain list, |used| is 0 and |leaves| counts. */
struct agw_pmap_node {
    uint32_t refs;
    uint32_t used, leaves;
    struct slot slots[];
};

/* The compiler's own is a call unless the CPU is known to have the instruction. */
static inline uint32_t bits_in(uint32_t x)
{
    x -= x >> 1 & 0x55555555u;
    x = (x & 0x33333333u) + (x >> 2 & 0x33333333u);
    return ((x + (x >> 4)) & 0x0f0f0f0fu) * 0x01010101u >> 24;
}

static uint32_t slot_count(const struct agw_pmap_node *n)
{
    return n->used ? bits_in(n->used) : n->leaves;
}

static uint32_t bit_of(uint64_t hash, unsigned shift)
{
    return 1u << (hash >> shift & ((1u << BITS) - 1));
}

static uint32_t index_of(const struct agw_pmap_node *n, uint32_t bit)
{
    return bits_in(n->used & (bit - 1));
}

static bool is_leaf(const struct agw_pmap_node *n, uint32_t i)
{
    if (!n->used)
        return true;
    uint32_t rest = n->used;
    while (i--)
        rest &= rest - 1;
    return n->leaves & rest & -rest;
}

static struct agw_str key_of(const struct agw_pmap *m, const void *value)
{
    return *(const struct agw_str *)(const void *)((const char *)value + m->key_offset);
}

static bool same(const struct agw_pmap *m, const struct slot *s, uint64_t hash, struct agw_str key)
{
    return s->hash == hash && agw_str_eq(key_of(m, s->p), key);
}

static struct agw_pmap_node *node_new(uint32_t slots)
{
    struct agw_pmap_node *n = malloc(sizeof(*n) + slots * sizeof(n->slots[0]));
    if (n)
        *n = (struct agw_pmap_node){.refs = 1};
    return n;
}

static void node_unref(struct agw_pmap_node *n)
{
    if (!n || --n->refs)
        return;
    for (uint32_t i = 0, count = slot_count(n); i < count; i++) {
        if (is_leaf(n, i))
            agw_shared_unref(n->slots[i].p);
        else
            node_unref(n->slots[i].p);
    }
    free(n);
}

static void slot_ref(const struct agw_pmap_node *n, uint32_t i)
{
    if (is_leaf(n, i))
        agw_shared_ref(n->slots[i].p);
    else
        ((struct agw_pmap_node *)n->slots[i].p)->refs++;
}

/* Makes |*at| a node of this map alone, with room for |more| slots. */
static int own(struct agw_pmap_node **at, uint32_t more)
{
    struct agw_pmap_node *n = *at, *mine;
    uint32_t count = slot_count(n);
    if (n->refs == 1) {
        mine = more ? realloc(n, sizeof(*n) + (count + more) * sizeof(n->slots[0])) : n;
        if (!mine)
            return AGW_ENOMEM;
        *at = mine;
        return 0;
    }
    mine = node_new(count + more);
    if (!mine)
        return AGW_ENOMEM;
    mine->used = n->used;
    mine->leaves = n->leaves;
    memcpy(mine->slots, n->slots, count * sizeof(n->slots[0]));
    for (uint32_t i = 0; i < count; i++)
        slot_ref(mine, i);
    n->refs--; /* it had others */
    *at = mine;
    return 0;
}

void agw_pmap_init(struct agw_pmap *m, size_t key_offset)
{
    *m = (struct agw_pmap){.key_offset = (uint32_t)key_offset};
}

void agw_pmap_free(struct agw_pmap *m)
{
    node_unref(m->root);
    m->root = NULL;
    m->count = 0;
}

void agw_pmap_copy(struct agw_pmap *copy, const struct agw_pmap *m)
{
    *copy = *m;
    if (m->root)
        m->root->refs++;
}

static void *get_in_list(const struct agw_pmap *m, const struct agw_pmap_node *n, uint64_t hash,
                         struct agw_str key)
{
    for (uint32_t i = 0; i < n->leaves; i++)
        if (same(m, &n->slots[i], hash, key))
            return n->slots[i].p;
    return NULL;
}

void *agw_pmap_get(const struct agw_pmap *m, uint64_t hash, struct agw_str key)
{
    unsigned shift = 0;
    for (const struct agw_pmap_node *n = m->root; n; shift += BITS) {
        if (!n->used)
            return get_in_list(m, n, hash, key);
        uint32_t bit = bit_of(hash, shift);
        if (!(n->used & bit))
            return NULL;
        const struct slot *s = &n->slots[index_of(n, bit)];
        if (n->leaves & bit)
            return same(m, s, hash, key) ? s->p : NULL;
        n = s->p;
    }
    return NULL;
}

/* Puts |s| where |bit| says into |*at|, which must have no slot for it. */
static int insert(struct agw_pmap_node **at, uint32_t bit, const struct slot *s)
{
    int code = own(at, 1);
    if (code)
        return code;
    struct agw_pmap_node *n = *at;
    uint32_t i = index_of(n, bit), count = slot_count(n);
    memmove(&n->slots[i + 1], &n->slots[i], (count - i) * sizeof(n->slots[0]));
    n->slots[i] = *s;
    n->used |= bit;
    n->leaves |= bit;
    return 0;
}

/* A node with two leaves whose hashes are equal up to |shift|. */
static struct agw_pmap_node *pair(const struct slot *a, const struct slot *b, unsigned shift)
{
    struct agw_pmap_node *n = node_new(2);
    if (!n)
        return NULL;
    if (shift >= HASH_BITS) {
        n->slots[0] = *a;
        n->slots[1] = *b;
        n->leaves = 2;
        return n;
    }
    uint32_t abit = bit_of(a->hash, shift), bbit = bit_of(b->hash, shift);
    if (abit == bbit) {
        n->slots[0].hash = 0;
        n->slots[0].p = pair(a, b, shift + BITS);
        n->used = abit;
        if (n->slots[0].p)
            return n;
        free(n);
        return NULL;
    }
    n->slots[abit > bbit] = *a;
    n->slots[bbit > abit] = *b;
    n->used = n->leaves = abit | bbit;
    return n;
}

static void replace(struct slot *at, const struct slot *s)
{
    void *old = at->p;
    *at = *s;
    agw_shared_unref(old);
}

static int put_in_list(struct agw_pmap *m, struct agw_pmap_node **at, const struct slot *s, bool *ret_added)
{
    struct agw_str key = key_of(m, s->p);
    bool there = get_in_list(m, *at, s->hash, key) != NULL;
    int code = own(at, !there);
    if (code)
        return code;
    struct agw_pmap_node *n = *at;
    *ret_added = !there;
    if (!there) {
        n->slots[n->leaves++] = *s;
        return 0;
    }
    uint32_t i = 0;
    while (!same(m, &n->slots[i], s->hash, key))
        i++;
    replace(&n->slots[i], s);
    return 0;
}

/* The slot's reference is the map's when this succeeds. */
static int put(struct agw_pmap *m, struct agw_pmap_node **at, unsigned shift, const struct slot *s,
               bool *ret_added)
{
    if (!(*at)->used)
        return put_in_list(m, at, s, ret_added);
    uint32_t bit = bit_of(s->hash, shift);
    if (!((*at)->used & bit)) {
        *ret_added = true;
        return insert(at, bit, s);
    }
    int code = own(at, 0);
    if (code)
        return code;
    struct agw_pmap_node *n = *at;
    struct slot *here = &n->slots[index_of(n, bit)];
    if (!(n->leaves & bit)) {
        struct agw_pmap_node *child = here->p;
        code = put(m, &child, shift + BITS, s, ret_added);
        here->p = child;
        return code;
    }
    if (same(m, here, s->hash, key_of(m, s->p))) {
        *ret_added = false;
        replace(here, s);
        return 0;
    }
    struct agw_pmap_node *both = pair(here, s, shift + BITS);
    if (!both)
        return AGW_ENOMEM;
    *here = (struct slot){0, both};
    n->leaves &= ~bit;
    *ret_added = true;
    return 0;
}

int agw_pmap_put(struct agw_pmap *m, uint64_t hash, void *value, bool *ret_added)
{
    struct slot s = {hash, value};
    bool added = true;
    int code = 0;
    agw_shared_ref(value); /* before: it may be what is there */
    if (!m->root) {
        m->root = node_new(1);
        if (!m->root) {
            agw_shared_unref(value);
            return AGW_ENOMEM;
        }
        m->root->used = m->root->leaves = bit_of(hash, 0);
        m->root->slots[0] = s;
    } else {
        code = put(m, &m->root, 0, &s, &added);
    }
    if (code) {
        agw_shared_unref(value);
        return code;
    }
    m->count += added;
    if (ret_added)
        *ret_added = added;
    return 0;
}

/* Takes slot |i| (|bit|; 0 in a list) out of |*at|, which is the map's own. */
static void drop(struct agw_pmap_node *n, uint32_t bit, uint32_t i)
{
    uint32_t count = slot_count(n);
    memmove(&n->slots[i], &n->slots[i + 1], (count - i - 1) * sizeof(n->slots[0]));
    if (bit) {
        n->used &= ~bit;
        n->leaves &= ~bit;
    } else {
        n->leaves--;
    }
}

/* A node left with one leaf gives it to its parent's slot. */
static void pull_up(struct agw_pmap_node *n, uint32_t bit, struct slot *here)
{
    struct agw_pmap_node *child = here->p;
    if (slot_count(child) != 1 || !is_leaf(child, 0))
        return;
    struct slot only = child->slots[0];
    free(child); /* its own since the removal: the leaf's reference moves */
    *here = only;
    n->leaves |= bit;
}

/* The key is there. */
static int take(struct agw_pmap *m, struct agw_pmap_node **at, unsigned shift, uint64_t hash,
                struct agw_str key)
{
    int code = own(at, 0);
    if (code)
        return code;
    struct agw_pmap_node *n = *at;
    uint32_t bit = n->used ? bit_of(hash, shift) : 0, i = 0;
    if (bit)
        i = index_of(n, bit);
    else
        while (!same(m, &n->slots[i], hash, key))
            i++;
    struct slot *here = &n->slots[i];
    if (bit && !(n->leaves & bit)) {
        struct agw_pmap_node *child = here->p;
        code = take(m, &child, shift + BITS, hash, key);
        here->p = child;
        if (!code)
            pull_up(n, bit, here);
        return code;
    }
    void *value = here->p;
    drop(n, bit, i);
    agw_shared_unref(value);
    return 0;
}

int agw_pmap_remove(struct agw_pmap *m, uint64_t hash, struct agw_str key)
{
    if (!agw_pmap_get(m, hash, key))
        return 0;
    int code = take(m, &m->root, 0, hash, key);
    if (code)
        return code;
    if (--m->count == 0) {
        free(m->root);
        m->root = NULL;
    }
    return 0;
}

static int each(const struct agw_pmap_node *n, int (*fn)(void *ctx, void *value), void *ctx)
{
    int code = 0;
    for (uint32_t i = 0, count = slot_count(n); !code && i < count; i++)
        code = is_leaf(n, i) ? fn(ctx, n->slots[i].p) : each(n->slots[i].p, fn, ctx);
    return code;
}

int agw_pmap_each(const struct agw_pmap *m, int (*fn)(void *ctx, void *value), void *ctx)
{
    return m->root ? each(m->root, fn, ctx) : 0;
}

/* --- difference --- */
struct diff {
    const struct agw_pmap *a, *b;
    int (*fn)(void *ctx, void *in_a, void *in_b);
    void *ctx;
};

/* One side has a leaf or a list where the other has something else: each key is looked up. */
static int diff_leaf(const struct diff *d, const struct slot *s, bool of_a)
{
    void *other = agw_pmap_get(of_a ? d->b : d->a, s->hash, key_of(d->a, s->p));
    if (other == s->p || (other && !of_a)) /* a key in both is told from |a|'s side */
        return 0;
    return of_a ? d->fn(d->ctx, s->p, other) : d->fn(d->ctx, NULL, s->p);
}

static int diff_all(const struct diff *d, const struct slot *s, bool leaf, bool of_a)
{
    if (leaf)
        return diff_leaf(d, s, of_a);
    const struct agw_pmap_node *n = s->p;
    int code = 0;
    for (uint32_t i = 0, count = slot_count(n); !code && i < count; i++)
        code = diff_all(d, &n->slots[i], is_leaf(n, i), of_a);
    return code;
}

static int diff_nodes(const struct diff *d, const struct agw_pmap_node *a, const struct agw_pmap_node *b);

static int diff_slots(const struct diff *d, const struct agw_pmap_node *a, const struct agw_pmap_node *b,
                      uint32_t bit)
{
    const struct slot *as = a->used & bit ? &a->slots[index_of(a, bit)] : NULL;
    const struct slot *bs = b->used & bit ? &b->slots[index_of(b, bit)] : NULL;
    int code = 0;
    if (as && bs && as->p == bs->p)
        return 0;
    if (as && bs && !(a->leaves & bit) && !(b->leaves & bit))
        return diff_nodes(d, as->p, bs->p);
    if (as)
        code = diff_all(d, as, a->leaves & bit, true);
    return !code && bs ? diff_all(d, bs, b->leaves & bit, false) : code;
}

static int diff_nodes(const struct diff *d, const struct agw_pmap_node *a, const struct agw_pmap_node *b)
{
    int code = 0;
    if (!a->used || !b->used) {
        const struct slot as = {0, (void *)a}, bs = {0, (void *)b};
        code = diff_all(d, &as, false, true);
        return code ? code : diff_all(d, &bs, false, false);
    }
    for (uint32_t rest = a->used | b->used; !code && rest; rest &= rest - 1)
        code = diff_slots(d, a, b, rest & -rest);
    return code;
}

int agw_pmap_diff(const struct agw_pmap *a, const struct agw_pmap *b,
                  int (*fn)(void *ctx, void *in_a, void *in_b), void *ctx)
{
    struct diff d = {a, b, fn, ctx};
    const struct slot as = {0, a->root}, bs = {0, b->root};
    if (a->root == b->root)
        return 0;
    if (a->root && b->root)
        return diff_nodes(&d, a->root, b->root);
    return a->root ? diff_all(&d, &as, false, true) : diff_all(&d, &bs, false, false);
}
