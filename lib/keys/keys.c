#include "keys/keys.h"

#include <stdio.h>
#include <stdlib.h>
#include "base/log.h"
#include "base/map.h"
#include "client/fetch.h"
#include "config/snapshot.h"
#include "json/tape.h"
#include "jwt/jwks.h"
#include "keys/age.h"

struct source {
    struct agw_list node; /* k->sources, the one used last at the end */
    struct agw_keys *k;
    struct agw_keys_age age;
    struct agw_fetch fetch;
    struct agw_arena rooms[2]; /* |keys| are in |room|, the next ones go into the other */
    unsigned room;
    struct agw_jwks keys;
    bool document;       /* no keys, but: */
    struct agw_str text; /* a JSON object, in |room| */
    bool warned;
    size_t key_n;
    char key[]; /* as key_of writes it */
};

struct agw_keys {
    struct agw_key_finder finder; /* first */
    struct agw_loop *loop;
    struct agw_client *client;
    struct agw_balancer *balancer;
    struct agw_keys_stats stats;
    struct agw_map by_key;
    struct agw_list sources, waiters;
    uint32_t count;
};

static void wake(struct agw_keys *k)
{
    struct agw_list waiting, *node;
    agw_list_move(&waiting, &k->waiters);
    while ((node = agw_list_pop(&waiting))) {
        struct agw_keys_waiter *w = agw_list_entry(node, struct agw_keys_waiter, node);
        w->ready(w);
    }
}

/* --- fetching --- */

static int take_document(struct source *s, struct agw_str text, struct agw_error *err)
{
    struct agw_json_doc doc;
    agw_json_doc_init(&doc, 0);
    int code = agw_json_parse(&doc, text, err);
    if (code == 0 && agw_json_type(&doc, 0) != AGW_JSON_OBJECT)
        code = agw_error_set(err, AGW_EINVAL, "no JSON object");
    agw_json_doc_free(&doc);
    if (code == 0)
        s->text = text;
    return code;
}

/* What came takes the place of what is there, if it is a set of keys. */
static int take(struct source *s, struct agw_error *err)
{
    struct agw_arena *room = &s->rooms[!s->room];
    struct agw_chain *body = &s->fetch.body;
    agw_arena_reset(room);
    if (s->fetch.head->status != 200)
        return agw_error_set(err, AGW_EPROTO, "status %d", s->fetch.head->status);
    char *text = agw_arena_alloc(room, body->bytes + 1);
    if (!text)
        return agw_error_set(err, AGW_ENOMEM, "out of memory");
    struct agw_str came = agw_str(text, agw_chain_peek(body, text, body->bytes));
    int code = s->document ? take_document(s, came, err) : agw_jwks_parse(came, room, &s->keys, err);
    if (code == 0)
        s->room = !s->room;
    return code;
}

static void tell(struct source *s, int code, const char *why)
{
    if (code == 0 && s->warned)
        agw_info("keys", "%.*s: fetched again", (int)s->key_n, s->key);
    else if (code != 0 && !s->warned)
        agw_warn("keys", "%.*s: cannot be fetched: %s%s", (int)s->key_n, s->key, why,
                 s->age.have ? "; the last keys serve on for a while" : "");
    s->warned = code != 0;
}

static void on_fetched(struct agw_fetch *f, int code)
{
    struct source *s = agw_container_of(f, struct source, fetch);
    struct agw_keys *k = s->k;
    struct agw_error err = {0};
    if (code == 0)
        code = take(s, &err);
    else
        agw_error_set(&err, code, "%s", agw_err_text(code));
    agw_chain_clear(&f->body);
    k->stats.fetches++;
    k->stats.failures += code != 0;
    tell(s, code, err.text);
    agw_keys_tried(&s->age, k->loop->now_ms, code == 0);
    wake(k); /* |s| may be gone */
}

static void start(struct source *s, const struct agw_backend *b, struct agw_str path, bool unknown)
{
    struct agw_keys *k = s->k;
    struct agw_pick pick = {0};
    if (b->kind == AGW_BACKEND_STATIC || b->kind == AGW_BACKEND_SERVICE)
        agw_balance_pick(k->balancer, b, NULL, &pick);
    agw_balance_release(k->balancer, &pick);
    agw_keys_trying(&s->age, k->loop->now_ms, unknown);
    if (pick.endpoint && agw_fetch_start(&s->fetch, pick.endpoint, b->auto_host, path) == 0)
        return;
    k->stats.fetches++;
    k->stats.failures++;
    tell(s, AGW_ENOTFOUND,
         pick.endpoint ? "out of memory"
         : b->reason   ? b->reason
                       : "the backend has no endpoint");
    agw_keys_tried(&s->age, k->loop->now_ms, false);
}

/* --- sources --- */

static void source_free(struct source *s)
{
    agw_map_take(&s->k->by_key, agw_str(s->key, s->key_n));
    agw_list_remove(&s->node);
    s->k->count--;
    agw_fetch_free(&s->fetch);
    agw_arena_free(&s->rooms[0]);
    agw_arena_free(&s->rooms[1]);
    free(s);
}

static struct source *source_new(struct agw_keys *k, struct agw_str key, uint32_t fresh_ms)
{
    if (k->count >= AGW_KEYS_SOURCES_MAX) {
        struct source *oldest = agw_list_entry(k->sources.next, struct source, node);
        if (agw_fetch_running(&oldest->fetch)) /* somebody waits for it */
            return NULL;
        source_free(oldest);
    }
    struct source *s = calloc(1, sizeof(*s) + key.n);
    if (!s)
        return NULL;
    s->k = k;
    s->age.fresh_ms = agw_keys_fresh_ms(fresh_ms);
    s->key_n = key.n;
    memcpy(s->key, key.p, key.n);
    if (agw_map_put(&k->by_key, agw_str(s->key, s->key_n), s, NULL)) {
        free(s);
        return NULL;
    }
    agw_fetch_init(&s->fetch, k->loop, k->client, AGW_JWKS_MAX, AGW_KEYS_FETCH_MS, on_fetched);
    agw_arena_init(&s->rooms[0], 1024, 0);
    agw_arena_init(&s->rooms[1], 1024, 0);
    agw_list_push(&k->sources, &s->node);
    k->count++;
    return s;
}

/* Longest key: what the API's limits of names and paths let one be, and more. */
#define KEY_MAX 4096

/* What logs say, too: the backend (a name without spaces), where its keys are, how long they are good for:
 * policies that agree share them. 0: too long. */
static size_t key_of(const struct agw_backend *b, const struct agw_key_source *from, bool document, char *out)
{
    int n = snprintf(out, KEY_MAX, "%.*s %.*s %sfor %u ms", AGW_STRF(b->key), AGW_STRF(from->path),
                     document ? "(a document) " : "", from->fresh_ms);
    return n > 0 && n < KEY_MAX ? (size_t)n : 0;
}

/* 0: |*ret_source| may be used. */
static int look_up(struct agw_keys *k, const struct agw_snapshot *snap, const struct agw_key_source *from,
                   bool document, bool unknown, struct source **ret_source)
{
    const struct agw_backend *b = agw_snapshot_backend(snap, from->backend);
    char text[KEY_MAX];
    struct agw_str key = agw_str(text, key_of(b, from, document, text));
    struct source *s = agw_map_get(&k->by_key, key);
    if (!s && (key.n == 0 || !(s = source_new(k, key, from->fresh_ms))))
        return AGW_ENOTFOUND;
    s->document = document;
    agw_list_remove(&s->node);
    agw_list_push(&k->sources, &s->node);
    if (!agw_fetch_running(&s->fetch) && agw_keys_due(&s->age, k->loop->now_ms, unknown))
        start(s, b, from->path, unknown);
    bool good = agw_keys_good(&s->age, k->loop->now_ms);
    if (agw_fetch_running(&s->fetch) && (!good || (unknown && !s->age.failed)))
        return AGW_EAGAIN;
    if (!good)
        return AGW_ENOTFOUND;
    k->stats.stale += k->loop->now_ms >= s->age.got_ms + s->age.fresh_ms;
    *ret_source = s;
    return 0;
}

static int find(struct agw_key_finder *f, const struct agw_snapshot *snap, const struct agw_key_source *from,
                bool unknown, const struct agw_jwks **ret_keys)
{
    struct source *s;
    int code = look_up((struct agw_keys *)(void *)f, snap, from, false, unknown, &s);
    if (code == 0)
        *ret_keys = &s->keys;
    return code;
}

static int find_document(struct agw_key_finder *f, const struct agw_snapshot *snap,
                         const struct agw_key_source *from, struct agw_str *ret_text)
{
    struct source *s;
    int code = look_up((struct agw_keys *)(void *)f, snap, from, true, false, &s);
    if (code == 0)
        *ret_text = s->text;
    return code;
}

/* --- all of them --- */

struct agw_keys *agw_keys_new(struct agw_loop *loop, struct agw_client *client, struct agw_balancer *balancer)
{
    struct agw_keys *k = calloc(1, sizeof(*k));
    if (!k)
        return NULL;
    k->finder.find = find;
    k->finder.document = find_document;
    k->loop = loop;
    k->client = client;
    k->balancer = balancer;
    agw_map_init(&k->by_key);
    agw_list_init(&k->sources);
    agw_list_init(&k->waiters);
    return k;
}

void agw_keys_free(struct agw_keys *k)
{
    if (!k)
        return;
    while (!agw_list_empty(&k->sources))
        source_free(agw_list_entry(k->sources.next, struct source, node));
    agw_map_free(&k->by_key);
    free(k);
}

struct agw_key_finder *agw_keys_finder(struct agw_keys *k)
{
    return k ? &k->finder : NULL;
}

const struct agw_keys_stats *agw_keys_stats(const struct agw_keys *k)
{
    return &k->stats;
}

void agw_keys_wait(struct agw_keys *k, struct agw_keys_waiter *w)
{
    agw_keys_leave(w); /* it may wait already */
    agw_list_push(&k->waiters, &w->node);
}

void agw_keys_leave(struct agw_keys_waiter *w)
{
    if (w->node.next)
        agw_list_remove(&w->node);
}
