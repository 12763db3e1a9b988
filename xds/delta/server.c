/* The published set: entries by name, ordered by their last change. */
#include "xds/delta/server.h"

#include <stdio.h>
#include <stdlib.h>
#include "base/check.h"
#include "xds/delta/server_int.h"

#define SWEEP_MIN 64 /* fewer removed names than this are not worth a walk */
#define NOBODY UINT64_MAX

/* --- bytes --- */

size_t agw_delta_varint_size(uint64_t value)
{
    size_t n = 1;
    while (value >>= 7)
        n++;
    return n;
}

unsigned char *agw_delta_varint(unsigned char *p, uint64_t value)
{
    for (; value > 0x7f; value >>= 7)
        *p++ = (unsigned char)(value | 0x80);
    *p++ = (unsigned char)value;
    return p;
}

size_t agw_delta_field_size(size_t n)
{
    return 1 + agw_delta_varint_size(n) + n;
}

static unsigned char *field_head(unsigned char *p, unsigned field, size_t n)
{
    *p++ = (unsigned char)(field << 3 | 2);
    return agw_delta_varint(p, n);
}

unsigned char *agw_delta_field(unsigned char *p, unsigned field, struct agw_str value)
{
    p = field_head(p, field, value.n);
    if (value.n)
        memcpy(p, value.p, value.n);
    return p + value.n;
}

/* --- entries --- */

/* The same in every process, unlike agw_hash: a client brings versions back to a server that was restarted.
 * Two bodies of one name with one hash get different versions in agw_delta_server_put. */
static uint64_t stable_hash(struct agw_str s)
{
    uint64_t h = 14695981039346656037u; /* FNV-1a */
    for (size_t i = 0; i < s.n; i++)
        h = (h ^ (unsigned char)s.p[i]) * 1099511628211u;
    return h ^ h >> 32;
}

/* Field numbers of DeltaDiscoveryResponse, Resource and Any. */
enum { RESPONSE_RESOURCES = 2, RESOURCE_VERSION = 1, RESOURCE_ANY = 2, RESOURCE_NAME = 3 };
enum { ANY_TYPE = 1, ANY_VALUE = 2 };

static struct agw_delta_entry *entry_new(enum agw_delta_type type, struct agw_str name, struct agw_str body,
                                         uint64_t hash)
{
    size_t any = agw_delta_field_size(agw_delta_type_url(type).n) + agw_delta_field_size(body.n);
    size_t inner = agw_delta_field_size(name.n) + agw_delta_field_size(16) + agw_delta_field_size(any);
    size_t n = agw_delta_field_size(inner);
    struct agw_delta_entry *e = malloc(sizeof(*e) + n);
    if (!e)
        return NULL;
    atomic_init(&e->refs, 1);
    e->hash = hash;
    snprintf(e->version, sizeof(e->version), "%016llx", (unsigned long long)hash);
    unsigned char *p = field_head(e->storage, RESPONSE_RESOURCES, inner);
    p = agw_delta_field(p, RESOURCE_NAME, name);
    p = agw_delta_field(p, RESOURCE_VERSION, agw_str(e->version, 16));
    p = field_head(p, RESOURCE_ANY, any);
    p = agw_delta_field(p, ANY_TYPE, agw_delta_type_url(type));
    p = agw_delta_field(p, ANY_VALUE, body);
    agw_check(p == e->storage + n);
    e->wire = agw_str((char *)e->storage, n);
    e->body = agw_str((char *)p - body.n, body.n);
    return e;
}

struct agw_str agw_delta_entry_wire(const struct agw_delta_entry *e)
{
    return e->wire;
}

struct agw_delta_entry *agw_delta_entry_ref(struct agw_delta_entry *e)
{
    atomic_fetch_add_explicit(&e->refs, 1, memory_order_relaxed);
    return e;
}

void agw_delta_entry_unref(struct agw_delta_entry *e)
{
    if (e && atomic_fetch_sub_explicit(&e->refs, 1, memory_order_acq_rel) == 1)
        free(e);
}

/* --- tables and scopes --- */

static void table_init(struct agw_delta_table *t)
{
    *t = (struct agw_delta_table){.sweep_at = SWEEP_MIN};
    agw_map_init(&t->by_name);
    agw_list_init(&t->changes);
}

static void slot_free(struct agw_delta_table *t, struct agw_delta_slot *slot)
{
    agw_map_take(&t->by_name, slot->name);
    agw_list_remove(&slot->node);
    agw_delta_entry_unref(slot->entry);
    free(slot);
}

static void table_free(struct agw_delta_table *t)
{
    struct agw_list *pos, *tmp;
    agw_list_each (pos, tmp, &t->changes)
        slot_free(t, agw_list_entry(pos, struct agw_delta_slot, node));
    agw_map_free(&t->by_name);
}

/* A slot that is not live yet; the caller makes it so or frees it. */
static struct agw_delta_slot *slot_new(struct agw_delta_table *t, struct agw_str name)
{
    struct agw_delta_slot *slot = malloc(sizeof(*slot) + name.n);
    if (!slot)
        return NULL;
    *slot = (struct agw_delta_slot){.name = agw_str(slot->storage, name.n)};
    memcpy(slot->storage, name.p, name.n);
    agw_list_init(&slot->node);
    if (agw_map_put(&t->by_name, slot->name, slot, NULL)) {
        free(slot);
        return NULL;
    }
    return slot;
}

static void slot_changed(struct agw_delta_server *s, struct agw_delta_table *t, struct agw_delta_slot *slot)
{
    slot->seq = ++s->seq;
    agw_list_remove(&slot->node);
    agw_list_push(&t->changes, &slot->node);
}

static void scope_init(struct agw_delta_scope *scope)
{
    *scope = (struct agw_delta_scope){0};
    for (unsigned i = 0; i < AGW_DELTA_TYPES; i++)
        table_init(&scope->tables[i]);
}

static void scope_clear(struct agw_delta_scope *scope)
{
    for (unsigned i = 0; i < AGW_DELTA_TYPES; i++)
        table_free(&scope->tables[i]);
    free(scope->storage);
}

struct agw_delta_scope *agw_delta_scope_get(struct agw_delta_server *s, struct agw_str role)
{
    struct agw_delta_scope *scope = agw_map_get(&s->roles, role);
    if (scope)
        return scope;
    scope = malloc(sizeof(*scope));
    if (!scope)
        return NULL;
    scope_init(scope);
    scope->storage = malloc(role.n);
    if (scope->storage) {
        memcpy(scope->storage, role.p, role.n);
        scope->role = agw_str(scope->storage, role.n);
    }
    if (!scope->storage || agw_map_put(&s->roles, scope->role, scope, NULL)) {
        scope_clear(scope);
        free(scope);
        return NULL;
    }
    return scope;
}

void agw_delta_scope_drop(struct agw_delta_server *s, struct agw_delta_scope *scope)
{
    if (scope->streams || scope == &s->everybody)
        return;
    for (unsigned i = 0; i < AGW_DELTA_TYPES; i++)
        if (scope->tables[i].live)
            return;
    agw_map_take(&s->roles, scope->role);
    scope_clear(scope);
    free(scope);
}

struct agw_delta_entry *agw_delta_scope_find(const struct agw_delta_scope *scope, enum agw_delta_type type,
                                             struct agw_str name)
{
    const struct agw_delta_slot *slot = agw_map_get(&scope->tables[type].by_name, name);
    return slot ? slot->entry : NULL;
}

/* --- the server --- */

struct agw_delta_server *agw_delta_server_new(const struct agw_delta_callbacks *callbacks)
{
    struct agw_delta_server *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->callbacks = *callbacks;
    scope_init(&s->everybody);
    agw_map_init(&s->roles);
    agw_list_init(&s->streams);
    return s;
}

void agw_delta_server_free(struct agw_delta_server *s)
{
    struct agw_map_slot *at;
    if (!s)
        return;
    agw_check(agw_list_empty(&s->streams));
    for (uint32_t cursor = 0; (at = agw_map_next(&s->roles, &cursor));) {
        scope_clear(at->value);
        free(at->value);
    }
    agw_map_free(&s->roles);
    scope_clear(&s->everybody);
    free(s);
}

void agw_delta_server_stats(const struct agw_delta_server *s, struct agw_delta_stats *ret_stats)
{
    *ret_stats = s->stats;
}

static int check_put(const struct agw_delta_server *s, struct agw_str role, struct agw_str name,
                     struct agw_str body, struct agw_error *err)
{
    if (name.n == 0 || !agw_str_is_utf8(name) || agw_str_find(name, 0) >= 0)
        return agw_error_set(err, AGW_EINVAL, "\"%.*s\" cannot be a resource's name", AGW_STRF(name));
    if (name.n > AGW_DELTA_MAX_NAME || role.n > AGW_DELTA_MAX_ROLE)
        return agw_error_set(err, AGW_ELIMIT, "the name or role of %.100s is too long", name.p);
    if (body.n > AGW_DELTA_MAX_BODY)
        return agw_error_set(err, AGW_ELIMIT, "%.*s has %zu bytes, the limit is %u", AGW_STRF(name), body.n,
                             AGW_DELTA_MAX_BODY);
    return 0;
}

/* Makes |entry| (taken) what |name| says. */
static int publish(struct agw_delta_server *s, struct agw_delta_table *t, struct agw_str name,
                   struct agw_delta_entry *entry)
{
    struct agw_delta_slot *slot = agw_map_get(&t->by_name, name);
    if (!slot && !(slot = slot_new(t, name))) {
        agw_delta_entry_unref(entry);
        return AGW_ENOMEM;
    }
    if (!slot->entry) {
        if (slot->seq) /* it was removed and is back */
            t->removed--;
        t->live++;
        s->stats.resources++;
    }
    agw_delta_entry_unref(slot->entry);
    slot->entry = entry;
    slot->mark = s->mark;
    slot_changed(s, t, slot);
    return 0;
}

static void unpublish(struct agw_delta_server *s, struct agw_delta_table *t, struct agw_delta_slot *slot,
                      struct agw_delta_change *change)
{
    agw_delta_entry_unref(slot->entry);
    slot->entry = NULL;
    t->live--;
    t->removed++;
    s->stats.resources--;
    slot_changed(s, t, slot);
    if (change)
        change->removed++;
}

void agw_delta_server_remove(struct agw_delta_server *s, enum agw_delta_type type, struct agw_str role,
                             struct agw_str name, struct agw_delta_change *change)
{
    struct agw_delta_scope *scope = role.n ? agw_map_get(&s->roles, role) : &s->everybody;
    struct agw_delta_slot *slot = scope ? agw_map_get(&scope->tables[type].by_name, name) : NULL;
    if (slot && slot->entry)
        unpublish(s, &scope->tables[type], slot, change);
}

/* A client knows a resource by its name alone: one that goes to everybody now leaves the roles, and the other
 * way round. */
static void take_from_others(struct agw_delta_server *s, const struct agw_delta_scope *scope,
                             enum agw_delta_type type, struct agw_str name, struct agw_delta_change *change)
{
    struct agw_map_slot *at;
    if (scope != &s->everybody) {
        agw_delta_server_remove(s, type, AGW_STR(""), name, change);
        return;
    }
    for (uint32_t cursor = 0; (at = agw_map_next(&s->roles, &cursor));)
        agw_delta_server_remove(s, type, at->key, name, change);
}

/* |old| is what |name| said until now, or NULL. */
static int put_body(struct agw_delta_server *s, struct agw_delta_scope *scope, enum agw_delta_type type,
                    struct agw_str name, struct agw_str body, const struct agw_delta_entry *old)
{
    uint64_t hash = stable_hash(body);
    struct agw_delta_entry *entry = entry_new(type, name, body, old && old->hash == hash ? hash + 1 : hash);
    return entry ? publish(s, &scope->tables[type], name, entry) : AGW_ENOMEM;
}

int agw_delta_server_put(struct agw_delta_server *s, enum agw_delta_type type, struct agw_str role,
                         struct agw_str name, struct agw_str body, struct agw_delta_change *change,
                         struct agw_error *err)
{
    struct agw_delta_change unused = {0};
    struct agw_delta_change *count = change ? change : &unused;
    int rc = check_put(s, role, name, body, err);
    if (rc)
        return rc;
    struct agw_delta_scope *scope = role.n ? agw_delta_scope_get(s, role) : &s->everybody;
    if (!scope)
        return agw_error_set(err, AGW_ENOMEM, "out of memory");
    struct agw_delta_slot *slot = agw_map_get(&scope->tables[type].by_name, name);
    bool known = slot && slot->entry;
    if (known && agw_str_eq(slot->entry->body, body)) {
        slot->mark = s->mark;
        count->same++;
        return 0;
    }
    if (!known && s->stats.resources >= AGW_DELTA_MAX_RESOURCES)
        return agw_error_set(err, AGW_ELIMIT, "more than %d resources", AGW_DELTA_MAX_RESOURCES);
    if (put_body(s, scope, type, name, body, known ? slot->entry : NULL))
        return agw_error_set(err, AGW_ENOMEM, "out of memory");
    if (known) {
        count->updated++;
        return 0;
    }
    count->added++;
    take_from_others(s, scope, type, name, change);
    return 0;
}

void agw_delta_server_set_begin(struct agw_delta_server *s)
{
    s->mark++;
}

static void remove_unmarked(struct agw_delta_server *s, struct agw_delta_scope *scope,
                            struct agw_delta_change *change)
{
    for (unsigned i = 0; i < AGW_DELTA_TYPES; i++) {
        struct agw_delta_table *t = &scope->tables[i];
        struct agw_map_slot *at;
        for (uint32_t cursor = 0; (at = agw_map_next(&t->by_name, &cursor));) {
            struct agw_delta_slot *slot = at->value;
            if (slot->entry && slot->mark != s->mark)
                unpublish(s, t, slot, change);
        }
    }
}

void agw_delta_server_set_end(struct agw_delta_server *s, struct agw_delta_change *change)
{
    struct agw_map_slot *at;
    remove_unmarked(s, &s->everybody, change);
    for (uint32_t cursor = 0; (at = agw_map_next(&s->roles, &cursor));)
        remove_unmarked(s, at->value, change);
}

/* --- forgetting --- */

/* How far the slowest stream has been told. */
static uint64_t slowest(const struct agw_delta_server *s, const struct agw_delta_scope *scope, unsigned type)
{
    unsigned side = scope != &s->everybody;
    uint64_t least = NOBODY;
    struct agw_list *pos, *tmp;
    agw_list_each (pos, tmp, &s->streams) {
        const struct agw_delta_stream *st = agw_list_entry(pos, struct agw_delta_stream, node);
        const struct agw_delta_sub *sub = &st->subs[type];
        if (sub->subscribed && !st->evicted && (side == 0 || st->scope == scope) && sub->seen[side] < least)
            least = sub->seen[side];
    }
    return least;
}

/* Streams that were not told of changes that an earlier batch already brought. */
static void evict(struct agw_delta_server *s, const struct agw_delta_scope *scope, unsigned type)
{
    unsigned side = scope != &s->everybody;
    struct agw_list *pos, *tmp;
    agw_list_each (pos, tmp, &s->streams) {
        struct agw_delta_stream *st = agw_list_entry(pos, struct agw_delta_stream, node);
        const struct agw_delta_sub *sub = &st->subs[type];
        bool here = sub->subscribed && (side == 0 || st->scope == scope);
        if (here && !st->evicted && sub->pending && sub->seen[side] < s->flushed) {
            st->evicted = true;
            s->stats.evicted++;
        }
    }
}

static void forget(struct agw_delta_table *t, uint64_t known)
{
    struct agw_list *pos, *tmp;
    agw_list_each (pos, tmp, &t->changes) {
        struct agw_delta_slot *slot = agw_list_entry(pos, struct agw_delta_slot, node);
        if (slot->seq > known || t->removed == 0)
            break;
        if (!slot->entry) {
            slot_free(t, slot);
            t->removed--;
        }
    }
}

/* The walk costs what the table holds, so it waits until that many names were removed since the last. */
static void sweep(struct agw_delta_server *s, struct agw_delta_scope *scope, unsigned type)
{
    struct agw_delta_table *t = &scope->tables[type];
    if (t->removed < t->sweep_at)
        return;
    forget(t, slowest(s, scope, type));
    if (t->removed > AGW_DELTA_MAX_REMOVED && t->removed > t->live) {
        evict(s, scope, type);
        forget(t, slowest(s, scope, type));
    }
    uint32_t at = t->live / 2 > 2 * t->removed ? t->live / 2 : 2 * t->removed;
    t->sweep_at = at > SWEEP_MIN ? at : SWEEP_MIN;
}

void agw_delta_server_flush(struct agw_delta_server *s)
{
    struct agw_map_slot *at;
    for (unsigned i = 0; i < AGW_DELTA_TYPES; i++)
        sweep(s, &s->everybody, i);
    for (uint32_t cursor = 0; (at = agw_map_next(&s->roles, &cursor));) {
        struct agw_delta_scope *scope = at->value;
        for (unsigned i = 0; i < AGW_DELTA_TYPES; i++)
            sweep(s, scope, i);
        agw_delta_scope_drop(s, scope);
    }
    s->flushed = s->seq;
}
