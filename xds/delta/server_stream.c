/* One client's stream: its requests, and what it has not been told yet. */
#include <stdio.h>
#include <stdlib.h>
#include "base/check.h"
#include "proto/message.h"
#include "proto/xds.pb-c.h"
#include "xds/delta/server_int.h"

/* Field numbers of DeltaDiscoveryResponse. */
enum { RESPONSE_TYPE = 4, RESPONSE_NONCE = 5, RESPONSE_REMOVED = 6 };

#define NONCE_TEXT 17 /* 64 bits in hex, and NUL */

/* --- its life --- */

int agw_delta_stream_open(struct agw_delta_server *s, void *owner, struct agw_delta_stream **ret_stream,
                          struct agw_error *err)
{
    if (s->stats.streams >= AGW_DELTA_MAX_STREAMS)
        return agw_error_set(err, AGW_ELIMIT, "%d clients are connected already", AGW_DELTA_MAX_STREAMS);
    struct agw_delta_stream *st = calloc(1, sizeof(*st));
    if (!st)
        return agw_error_set(err, AGW_ENOMEM, "out of memory");
    st->server = s;
    st->owner = owner;
    agw_list_push(&s->streams, &st->node);
    s->stats.streams++;
    *ret_stream = st;
    return 0;
}

static void forget_initial(struct agw_delta_sub *sub)
{
    agw_map_free(&sub->initial);
    agw_arena_free(&sub->arena);
}

void agw_delta_stream_close(struct agw_delta_stream *st)
{
    if (!st)
        return;
    agw_list_remove(&st->node);
    st->server->stats.streams--;
    for (unsigned i = 0; i < AGW_DELTA_TYPES; i++)
        forget_initial(&st->subs[i]);
    for (unsigned i = 0; i < st->other_count; i++)
        free(st->other[i]);
    if (st->scope) {
        st->scope->streams--;
        agw_delta_scope_drop(st->server, st->scope);
    }
    free((char *)st->node_id.p);
    free(st);
}

/* --- requests --- */

static struct agw_str role_of(const Xds__Node *node)
{
    const Google__Protobuf__Struct *metadata = node ? node->metadata : NULL;
    struct agw_str role = {0};
    for (size_t i = 0; metadata && i < metadata->n_fields; i++) {
        const Google__Protobuf__Value *value = metadata->fields[i]->value;
        bool text = value && value->kind_case == GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE;
        if (text && agw_str_eq(agw_str_c(metadata->fields[i]->key), AGW_STR("role")))
            role = agw_str_c(value->string_value); /* of a map's equal keys the last counts */
    }
    return role;
}

static int check_role(struct agw_str role, struct agw_error *err)
{
    ptrdiff_t tilde = agw_str_find(role, '~');
    if (role.n == 0)
        return agw_error_set(err, AGW_EINVAL, "the first request has no text node.metadata.role");
    if (role.n > AGW_DELTA_MAX_ROLE)
        return agw_error_set(err, AGW_ELIMIT, "node.metadata.role is longer than %d bytes",
                             AGW_DELTA_MAX_ROLE);
    if (tilde <= 0 || (size_t)tilde + 1 == role.n)
        return agw_error_set(err, AGW_EINVAL, "node.metadata.role \"%.*s\" is not <namespace>~<gateway>",
                             AGW_STRF(role));
    return 0;
}

/* The first request of the stream says whom it is for. */
static int introduce(struct agw_delta_stream *st, const Xds__Node *node, struct agw_error *err)
{
    const struct agw_delta_callbacks *cb = &st->server->callbacks;
    struct agw_str role = role_of(node), id = agw_str_c(node ? node->id : "");
    int rc = check_role(role, err);
    if (rc == 0 && id.n > AGW_DELTA_MAX_NODE_ID)
        rc = agw_error_set(err, AGW_ELIMIT, "node.id is longer than %d bytes", AGW_DELTA_MAX_NODE_ID);
    if (rc == 0 && cb->admit)
        rc = cb->admit(cb->arg, st->owner, role, id, err);
    if (rc)
        return rc;
    char *copy = malloc(id.n + 1);
    struct agw_delta_scope *scope = copy ? agw_delta_scope_get(st->server, role) : NULL;
    if (!scope) {
        free(copy);
        return agw_error_set(err, AGW_ENOMEM, "out of memory");
    }
    memcpy(copy, id.p, id.n);
    copy[id.n] = '\0';
    st->node_id = agw_str(copy, id.n);
    st->scope = scope;
    scope->streams++;
    return 0;
}

static int check_names(const Xds__DeltaDiscoveryRequest *req, struct agw_error *err)
{
    bool all = req->n_resource_names_unsubscribe == 0;
    for (size_t i = 0; all && i < req->n_resource_names_subscribe; i++)
        all = agw_str_eq(agw_str_c(req->resource_names_subscribe[i]), AGW_STR("*"));
    return all ? 0
               : agw_error_set(err, AGW_EUNSUPPORTED,
                               "single resources cannot be subscribed to, a type is sent as a whole");
}

/* Takes |arena|, which holds |req|, if it succeeds. */
static int subscribe(struct agw_delta_stream *st, struct agw_delta_sub *sub,
                     const Xds__DeltaDiscoveryRequest *req, struct agw_arena *arena, struct agw_error *err)
{
    struct agw_map initial;
    if (req->n_initial_resource_versions > AGW_DELTA_MAX_VERSIONS)
        return agw_error_set(err, AGW_ELIMIT, "more than %d initial_resource_versions",
                             AGW_DELTA_MAX_VERSIONS);
    agw_map_init(&initial);
    for (size_t i = 0; i < req->n_initial_resource_versions; i++) {
        const Xds__DeltaDiscoveryRequest__InitialResourceVersionsEntry *e = req->initial_resource_versions[i];
        if (agw_map_put(&initial, agw_str_c(e->key), e->value, NULL)) {
            agw_map_free(&initial);
            return agw_error_set(err, AGW_ENOMEM, "out of memory");
        }
    }
    sub->subscribed = true;
    sub->start = st->server->seq;
    sub->initial = initial;
    sub->arena = *arena;
    agw_arena_init(arena, 0, 0);
    return 0;
}

/* A request after the first of its type: an answer, or nothing that we wait for. */
static void answered(struct agw_delta_stream *st, enum agw_delta_type type,
                     const Xds__DeltaDiscoveryRequest *req)
{
    struct agw_delta_server *s = st->server;
    struct agw_delta_sub *sub = &st->subs[type];
    char want[NONCE_TEXT];
    snprintf(want, sizeof(want), "%llx", (unsigned long long)sub->pending);
    if (sub->pending == 0 || strcmp(req->response_nonce, want)) {
        s->stats.stale++;
        return;
    }
    sub->pending = 0;
    if (!req->error_detail) {
        s->stats.acks++;
        return;
    }
    s->stats.nacks++;
    if (s->callbacks.nack) {
        struct agw_delta_nack nack = {st->scope->role, st->node_id, agw_delta_type_url(type),
                                      agw_str_c(req->error_detail->message)};
        s->callbacks.nack(s->callbacks.arg, st->owner, &nack);
    }
}

/* As go-control-plane answers for a type that it has nothing of: once, with nothing in it, so that a client
 * that waits for its first response goes on. */
static int other_type(struct agw_delta_stream *st, const Xds__DeltaDiscoveryRequest *req,
                      struct agw_error *err)
{
    struct agw_str url = agw_str_c(req->type_url);
    for (unsigned i = 0; i < st->other_count; i++)
        if (agw_str_eq(agw_str_c(st->other[i]), url))
            return 0;
    if (url.n == 0)
        return agw_error_set(err, AGW_EINVAL, "a request without type_url");
    if (url.n > AGW_DELTA_MAX_NAME || st->other_count == AGW_DELTA_MAX_OTHER_TYPES)
        return agw_error_set(err, AGW_ELIMIT, "more than %d types that are not served, or a type too long",
                             AGW_DELTA_MAX_OTHER_TYPES);
    char *copy = malloc(url.n + 1);
    if (!copy)
        return agw_error_set(err, AGW_ENOMEM, "out of memory");
    memcpy(copy, url.p, url.n + 1);
    st->other[st->other_count++] = copy;
    return 0;
}

static int take_request(struct agw_delta_stream *st, const Xds__DeltaDiscoveryRequest *req,
                        struct agw_arena *arena, struct agw_error *err)
{
    int rc = st->scope ? 0 : introduce(st, req->node, err);
    if (rc == 0)
        rc = check_names(req, err);
    if (rc)
        return rc;
    enum agw_delta_type type = agw_delta_type_of(agw_str_c(req->type_url));
    if (type < AGW_DELTA_TYPES) {
        if (!st->subs[type].subscribed)
            return subscribe(st, &st->subs[type], req, arena, err);
        answered(st, type, req);
        return 0;
    }
    return other_type(st, req, err);
}

int agw_delta_stream_receive(struct agw_delta_stream *st, const void *data, size_t n, struct agw_error *err)
{
    struct agw_arena arena;
    void *req;
    if (n > AGW_DELTA_MAX_REQUEST)
        return agw_error_set(err, AGW_ELIMIT, "a request of %zu bytes, the limit is %u", n,
                             AGW_DELTA_MAX_REQUEST);
    agw_arena_init(&arena, 512, AGW_DELTA_MAX_REQUEST_MEMORY);
    int rc = agw_proto_unpack(&xds__delta_discovery_request__descriptor, data, n, &arena, &req, err);
    if (rc == 0)
        rc = take_request(st, req, &arena, err);
    agw_arena_free(&arena);
    return rc;
}

/* --- responses --- */

/* A response while it is made. */
struct draft {
    struct agw_delta_stream *st;
    enum agw_delta_type type;
    struct agw_delta_entry **entries; /* one reference each */
    uint32_t count, cap;
    unsigned char *removed; /* fields, packed */
    size_t removed_n, removed_cap;
    size_t bytes;
    uint64_t seen[2];
    bool full;
};

static void *grow(void *p, size_t unit, size_t need, size_t *cap)
{
    size_t next = *cap ? *cap * 2 : 16;
    while (next < need)
        next *= 2;
    void *bigger = reallocarray(p, next, unit);
    if (bigger)
        *cap = next;
    return bigger;
}

static int add_entry(struct draft *d, struct agw_delta_entry *e)
{
    if (d->count == d->cap) {
        size_t cap = d->cap;
        void *bigger = grow(d->entries, sizeof(struct agw_delta_entry *), cap + 1, &cap);
        if (!bigger)
            return AGW_ENOMEM;
        d->entries = bigger;
        d->cap = (uint32_t)cap;
    }
    d->entries[d->count++] = agw_delta_entry_ref(e);
    d->bytes += e->wire.n;
    return 0;
}

static int add_removed(struct draft *d, struct agw_str name)
{
    size_t n = agw_delta_field_size(name.n);
    if (d->removed_n + n > d->removed_cap) {
        void *bigger = grow(d->removed, 1, d->removed_n + n, &d->removed_cap);
        if (!bigger)
            return AGW_ENOMEM;
        d->removed = bigger;
    }
    agw_delta_field(d->removed + d->removed_n, RESPONSE_REMOVED, name);
    d->removed_n += n;
    d->bytes += n;
    return 0;
}

static bool visible(const struct draft *d, struct agw_str name)
{
    const struct agw_delta_stream *st = d->st;
    return agw_delta_scope_find(&st->server->everybody, d->type, name) ||
           agw_delta_scope_find(st->scope, d->type, name);
}

static int add_slot(struct draft *d, const struct agw_delta_slot *slot)
{
    const struct agw_delta_sub *sub = &d->st->subs[d->type];
    bool since = slot->seq > sub->start; /* then what it brought no longer tells what it has */
    if (slot->entry) {
        const char *has = sub->complete || since ? NULL : agw_map_get(&sub->initial, slot->name);
        return has && strcmp(has, slot->entry->version) == 0 ? 0 : add_entry(d, slot->entry);
    }
    /* Removed before it subscribed: it never had it from this stream, and |initial| tells if from another.
     * Still visible: it has moved between everybody and the role. */
    return !since || visible(d, slot->name) ? 0 : add_removed(d, slot->name);
}

/* What |side|'s table has after |seen|, oldest change first. */
static int add_changes(struct draft *d, unsigned side)
{
    struct agw_delta_scope *scope = side ? d->st->scope : &d->st->server->everybody;
    struct agw_list *head = &scope->tables[d->type].changes, *at = head;
    while (at->prev != head && agw_list_entry(at->prev, struct agw_delta_slot, node)->seq > d->seen[side])
        at = at->prev;
    for (; at != head; at = at->next) {
        const struct agw_delta_slot *slot = agw_list_entry(at, struct agw_delta_slot, node);
        if (d->bytes >= AGW_DELTA_RESPONSE_BYTES) {
            d->full = true;
            return 0;
        }
        if (add_slot(d, slot))
            return AGW_ENOMEM;
        d->seen[side] = slot->seq;
    }
    return 0;
}

/* What the client brought and is no more. */
static int add_unknown(struct draft *d)
{
    struct agw_map_slot *at;
    for (uint32_t cursor = 0; (at = agw_map_next(&d->st->subs[d->type].initial, &cursor));)
        if (!visible(d, at->key) && add_removed(d, at->key))
            return AGW_ENOMEM;
    return 0;
}

static void draft_free(struct draft *d)
{
    for (uint32_t i = 0; i < d->count; i++)
        agw_delta_entry_unref(d->entries[i]);
    free(d->entries);
    free(d->removed);
}

/* Takes the draft's entries if it succeeds. */
static struct agw_delta_response *finish(struct draft *d, struct agw_str url)
{
    char nonce[NONCE_TEXT];
    size_t nonce_n =
        (size_t)snprintf(nonce, sizeof(nonce), "%llx", (unsigned long long)d->st->last_nonce + 1);
    size_t n = agw_delta_field_size(url.n) + agw_delta_field_size(nonce_n) + d->removed_n;
    struct agw_delta_response *r = malloc(sizeof(*r) + n);
    if (!r)
        return NULL;
    unsigned char *head = (unsigned char *)(r + 1), *p = head;
    p = agw_delta_field(p, RESPONSE_TYPE, url);
    p = agw_delta_field(p, RESPONSE_NONCE, agw_str(nonce, nonce_n));
    if (d->removed_n)
        memcpy(p, d->removed, d->removed_n);
    *r = (struct agw_delta_response){.head = agw_str((char *)head, n),
                                     .entries = d->entries,
                                     .count = d->count,
                                     .bytes = n + d->bytes - d->removed_n};
    d->entries = NULL;
    d->count = 0;
    d->st->last_nonce++;
    d->st->server->stats.responses++;
    d->st->server->stats.bytes += r->bytes;
    return r;
}

static int respond(struct agw_delta_stream *st, enum agw_delta_type type,
                   struct agw_delta_response **ret_response)
{
    struct agw_delta_sub *sub = &st->subs[type];
    struct draft d = {.st = st, .type = type, .seen = {sub->seen[0], sub->seen[1]}};
    int rc = add_changes(&d, 0);
    if (rc == 0 && !d.full)
        rc = add_changes(&d, 1);
    if (rc == 0 && !d.full && !sub->complete)
        rc = add_unknown(&d);
    if (rc)
        goto out;
    /* Nothing is left of a change that was undone; only the first response says so much. */
    bool silent = sub->complete && d.bytes == 0;
    struct agw_delta_response *r = silent ? NULL : finish(&d, agw_delta_type_url(type));
    if (!r && !silent) {
        rc = AGW_ENOMEM;
        goto out;
    }
    memcpy(sub->seen, d.seen, sizeof(d.seen));
    if (!sub->complete && !d.full) {
        sub->complete = true;
        forget_initial(sub);
    }
    if (silent) {
        rc = AGW_EAGAIN;
        goto out;
    }
    sub->pending = st->last_nonce;
    *ret_response = r;
out:
    draft_free(&d);
    return rc;
}

static uint64_t last_change(const struct agw_delta_table *t)
{
    return agw_list_empty(&t->changes) ? 0
                                       : agw_list_entry(t->changes.prev, struct agw_delta_slot, node)->seq;
}

static bool has_news(const struct agw_delta_stream *st, enum agw_delta_type type)
{
    const struct agw_delta_sub *sub = &st->subs[type];
    if (!sub->subscribed || sub->pending)
        return false;
    return !sub->complete || last_change(&st->server->everybody.tables[type]) > sub->seen[0] ||
           last_change(&st->scope->tables[type]) > sub->seen[1];
}

static int respond_other(struct agw_delta_stream *st, struct agw_delta_response **ret_response)
{
    struct draft d = {.st = st};
    struct agw_delta_response *r = finish(&d, agw_str_c(st->other[st->other_answered]));
    if (!r)
        return AGW_ENOMEM;
    st->other_answered++;
    *ret_response = r;
    return 0;
}

int agw_delta_stream_next(struct agw_delta_stream *st, struct agw_delta_response **ret_response)
{
    if (st->evicted)
        return AGW_ELIMIT;
    for (unsigned i = 0; i < AGW_DELTA_TYPES; i++) {
        int rc = has_news(st, i) ? respond(st, i, ret_response) : AGW_EAGAIN;
        if (rc != AGW_EAGAIN)
            return rc;
    }
    return st->other_answered < st->other_count ? respond_other(st, ret_response) : AGW_EAGAIN;
}

void agw_delta_response_free(struct agw_delta_response *r)
{
    if (!r)
        return;
    for (uint32_t i = 0; i < r->count; i++)
        agw_delta_entry_unref(r->entries[i]);
    free(r->entries);
    free(r);
}
