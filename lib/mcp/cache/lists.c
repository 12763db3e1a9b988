#include "mcp/cache/lists.h"

#include <stdlib.h>
#include <string.h>
#include "base/map.h"

_Static_assert(sizeof(struct agw_mcp_list_key) == 16 + 2 * AGW_SHA256_SIZE, "keys are compared as bytes");

struct agw_mcp_lists {
    struct agw_map entries, watches;
    struct agw_list used;
    size_t size, most;
    uint64_t watch_number;
};

/* Streams of one session with one target. */
struct agw_mcp_watch {
    struct agw_list entries; /* struct agw_mcp_listing */
    uint64_t number;
    unsigned streams;
    uint32_t n; /* of the key */
    char key[];
};

struct agw_mcp_lists *agw_mcp_lists_new(size_t bytes)
{
    struct agw_mcp_lists *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    agw_map_init(&l->entries);
    agw_map_init(&l->watches);
    agw_list_init(&l->used);
    l->most = bytes;
    return l;
}

static struct agw_str key_text(const struct agw_mcp_list_key *key)
{
    return agw_str((const char *)key, sizeof *key);
}

void agw_mcp_listing_unref(struct agw_mcp_listing *e)
{
    if (e && --e->refs == 0)
        free(e);
}

static void drop(struct agw_mcp_lists *l, struct agw_mcp_listing *e)
{
    agw_map_take(&l->entries, key_text(&e->key));
    agw_list_remove(&e->used);
    agw_list_remove(&e->watched);
    l->size -= e->size;
    agw_mcp_listing_unref(e);
}

void agw_mcp_lists_free(struct agw_mcp_lists *l)
{
    uint32_t cursor = 0;
    struct agw_map_slot *slot;
    if (!l)
        return;
    while (!agw_list_empty(&l->used))
        drop(l, agw_list_entry(l->used.next, struct agw_mcp_listing, used));
    while ((slot = agw_map_next(&l->watches, &cursor)))
        free(slot->value);
    agw_map_free(&l->entries);
    agw_map_free(&l->watches);
    free(l);
}

struct agw_mcp_listing *agw_mcp_lists_find(struct agw_mcp_lists *l, const struct agw_mcp_list_key *key,
                                           uint32_t epoch, uint64_t now_ms)
{
    struct agw_mcp_listing *e = agw_map_get(&l->entries, key_text(key));
    if (!e)
        return NULL;
    if (now_ms >= e->until_ms || e->epoch != epoch) {
        drop(l, e);
        return NULL;
    }
    agw_list_remove(&e->used);
    agw_list_push(&l->used, &e->used);
    e->refs++;
    return e;
}

size_t agw_mcp_lists_size(const struct agw_mcp_lists *l)
{
    return l->size;
}

/* The entry, its tokens and its text in one piece. */
static struct agw_mcp_listing *copy_of(const struct agw_json_doc *doc)
{
    size_t tokens = doc->count * sizeof *doc->tokens;
    size_t size = sizeof(struct agw_mcp_listing) + tokens + doc->text.n;
    struct agw_mcp_listing *e = size <= AGW_MCP_LISTING_MAX ? malloc(size) : NULL;
    if (!e)
        return NULL;
    *e = (struct agw_mcp_listing){.size = size, .refs = 1};
    e->doc = (struct agw_json_doc){.tokens = (struct agw_json_token *)(e + 1), .count = doc->count};
    char *text = (char *)(e + 1) + tokens;
    memcpy(e->doc.tokens, doc->tokens, tokens);
    memcpy(text, doc->text.p, doc->text.n);
    e->doc.text = agw_str(text, doc->text.n);
    agw_list_init(&e->used);
    agw_list_init(&e->watched);
    return e;
}

void agw_mcp_lists_keep(struct agw_mcp_lists *l, const struct agw_mcp_list_key *key, uint32_t epoch,
                        const struct agw_json_doc *doc, uint32_t result, struct agw_mcp_watch *watch,
                        uint64_t now_ms, uint64_t ttl_ms)
{
    struct agw_mcp_listing *old = agw_map_get(&l->entries, key_text(key)), *e;
    if (old)
        drop(l, old);
    if (ttl_ms == 0 || !(e = copy_of(doc)))
        return;
    e->key = *key;
    e->epoch = epoch;
    e->result = result;
    e->taken_ms = now_ms;
    e->until_ms = now_ms + (ttl_ms < AGW_MCP_LISTS_TTL_MAX_MS ? ttl_ms : AGW_MCP_LISTS_TTL_MAX_MS);
    while (l->size + e->size > l->most && !agw_list_empty(&l->used))
        drop(l, agw_list_entry(l->used.next, struct agw_mcp_listing, used));
    if (l->size + e->size > l->most || agw_map_put(&l->entries, key_text(&e->key), e, NULL) != 0) {
        agw_mcp_listing_unref(e);
        return;
    }
    l->size += e->size;
    agw_list_push(&l->used, &e->used);
    if (watch)
        agw_list_push(&watch->entries, &e->watched);
}

/* --- watches --- */

#define WATCH_HEAD (sizeof(uint64_t) + sizeof(uint32_t))
#define SESSION_MAX 1024 /* bytes of a target's session id, as in mcp/message/session.h */

static struct agw_str watch_key(char *room, uint64_t backend, uint32_t target, struct agw_str session)
{
    memcpy(room, &backend, sizeof backend);
    memcpy(room + sizeof backend, &target, sizeof target);
    memcpy(room + WATCH_HEAD, session.p, session.n);
    return agw_str(room, WATCH_HEAD + session.n);
}

struct agw_mcp_watch *agw_mcp_lists_watched(const struct agw_mcp_lists *l, uint64_t backend, uint32_t target,
                                            struct agw_str session)
{
    char room[WATCH_HEAD + SESSION_MAX];
    if (session.n == 0 || session.n > SESSION_MAX)
        return NULL;
    return agw_map_get(&l->watches, watch_key(room, backend, target, session));
}

struct agw_mcp_watch *agw_mcp_lists_watch(struct agw_mcp_lists *l, uint64_t backend, uint32_t target,
                                          struct agw_str session)
{
    struct agw_mcp_watch *w = agw_mcp_lists_watched(l, backend, target, session);
    if (w) {
        w->streams++;
        return w;
    }
    if (session.n == 0 || session.n > SESSION_MAX || !(w = malloc(sizeof *w + WATCH_HEAD + session.n)))
        return NULL;
    struct agw_str key = watch_key(w->key, backend, target, session);
    w->n = (uint32_t)key.n;
    w->streams = 1;
    w->number = ++l->watch_number;
    agw_list_init(&w->entries);
    if (agw_map_put(&l->watches, key, w, NULL) == 0)
        return w;
    free(w);
    return NULL;
}

void agw_mcp_lists_unwatch(struct agw_mcp_lists *l, struct agw_mcp_watch *w)
{
    if (!w || --w->streams > 0)
        return;
    while (!agw_list_empty(&w->entries))
        drop(l, agw_list_entry(w->entries.next, struct agw_mcp_listing, watched));
    agw_map_take(&l->watches, agw_str(w->key, w->n));
    free(w);
}

uint64_t agw_mcp_watch_number(const struct agw_mcp_watch *w)
{
    return w->number;
}
