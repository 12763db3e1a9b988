#include "mcp/cache/lists.h"

#include <stdlib.h>
#include <string.h>
#include "base/map.h"

_Static_assert(sizeof(struct agw_mcp_list_key) == 16 + 2 * AGW_SHA256_SIZE, "keys are compared as bytes");

struct agw_mcp_lists {
    struct agw_map entries, watches;
    struct agw_list used, watched; /* least recently first */
    size_t size, most;
};

/* A stream of one session with one target. */
struct watch {
    struct agw_list node;
    uint32_t epoch;
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
    agw_list_init(&l->watched);
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
    l->size -= e->size;
    agw_mcp_listing_unref(e);
}

static void forget(struct agw_mcp_lists *l, struct watch *w)
{
    agw_map_take(&l->watches, agw_str(w->key, w->n));
    agw_list_remove(&w->node);
    free(w);
}

void agw_mcp_lists_free(struct agw_mcp_lists *l)
{
    if (!l)
        return;
    while (!agw_list_empty(&l->used))
        drop(l, agw_list_entry(l->used.next, struct agw_mcp_listing, used));
    while (!agw_list_empty(&l->watched))
        forget(l, agw_list_entry(l->watched.next, struct watch, node));
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
    return e;
}

void agw_mcp_lists_keep(struct agw_mcp_lists *l, const struct agw_mcp_list_key *key, uint32_t epoch,
                        const struct agw_json_doc *doc, uint32_t result, uint64_t now_ms, uint64_t ttl_ms)
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

bool agw_mcp_lists_watched(struct agw_mcp_lists *l, uint64_t backend, uint32_t target, struct agw_str session,
                           uint32_t epoch)
{
    char room[WATCH_HEAD + SESSION_MAX];
    if (session.n == 0 || session.n > SESSION_MAX)
        return false;
    struct watch *w = agw_map_get(&l->watches, watch_key(room, backend, target, session));
    if (!w)
        return false;
    if (w->epoch != epoch) {
        forget(l, w);
        return false;
    }
    agw_list_remove(&w->node);
    agw_list_push(&l->watched, &w->node);
    return true;
}

void agw_mcp_lists_watch(struct agw_mcp_lists *l, uint64_t backend, uint32_t target, struct agw_str session,
                         uint32_t epoch)
{
    if (session.n == 0 || session.n > SESSION_MAX ||
        agw_mcp_lists_watched(l, backend, target, session, epoch))
        return;
    struct watch *w = malloc(sizeof *w + WATCH_HEAD + session.n);
    if (!w)
        return;
    struct agw_str key = watch_key(w->key, backend, target, session);
    w->n = (uint32_t)key.n;
    w->epoch = epoch;
    if (l->watches.count >= AGW_MCP_WATCHES_MAX)
        forget(l, agw_list_entry(l->watched.next, struct watch, node));
    if (agw_map_put(&l->watches, key, w, NULL) == 0)
        agw_list_push(&l->watched, &w->node);
    else
        free(w);
}

unsigned agw_mcp_lists_watches(const struct agw_mcp_lists *l)
{
    return l->watches.count;
}
