/* Pages of targets' lists, kept for the next who asks the same: one worker's cache.
 *
 * What is kept is the target's own bytes and their tokens, in one piece of memory of their size. It is found
 * by the whole key alone: backend as it was configured, target, what was asked, by whom; a digest that
 * differs in one bit is another entry, so no answer crosses users. An entry goes when its time is over, when
 * its epoch is (its target has said that the list has changed, or the stream that would say so has ended),
 * and when newer ones need its room.
 *
 * Ownership: the cache's; a listing that was found is counted and outlives its entry. Threads: one. Errors:
 * what cannot be kept for want of memory is not kept. Times are the loop's, in milliseconds. */
#ifndef AGW_MCP_CACHE_LISTS_H
#define AGW_MCP_CACHE_LISTS_H

#include "base/list.h"
#include "crypto/digest.h"
#include "json/tape.h"

#define AGW_MCP_LISTS_BYTES (16u << 20) /* a worker: 50 targets' tools, 300 KiB with tokens, for 50 users */
#define AGW_MCP_LISTING_MAX (1u << 20)  /* of them one page may take: the rest is others' */
#define AGW_MCP_WATCHES_MAX                                                                                  \
    32768 /* a worker: 20,000 clients that listen, and some that were not long ago; 200 bytes each */
#define AGW_MCP_LISTS_TTL_MAX_MS                                                                             \
    3600000 /* whatever a target says: nobody waits for longer than an hour for a new tool */

/* No padding: compared as bytes. */
struct agw_mcp_list_key {
    uint64_t backend; /* struct agw_backend's serial: another for each configuration of it */
    uint32_t target;
    uint32_t kind; /* AGW_MCP_CAP_* of the method */
    unsigned char asked[AGW_SHA256_SIZE], asker[AGW_SHA256_SIZE];
};

struct agw_mcp_lists;

struct agw_mcp_listing {
    struct agw_json_doc doc; /* a target's message; the tokens are the listing's */
    uint32_t result;
    uint64_t taken_ms; /* when it came */
    /* private */
    struct agw_mcp_list_key key;
    uint64_t until_ms;
    uint32_t epoch;
    size_t size;
    unsigned refs;
    struct agw_list used; /* least recently first */
};

/* |bytes|: at most, of all entries. NULL: no memory. */
struct agw_mcp_lists *agw_mcp_lists_new(size_t bytes);
void agw_mcp_lists_free(struct agw_mcp_lists *l); /* NULL is fine */
/* The caller's count; NULL: none, or too old, or of another |epoch|. */
struct agw_mcp_listing *agw_mcp_lists_find(struct agw_mcp_lists *l, const struct agw_mcp_list_key *key,
                                           uint32_t epoch, uint64_t now_ms);
void agw_mcp_listing_unref(struct agw_mcp_listing *e); /* NULL is fine */
/* Copies |doc| for |ttl_ms|; replaces what |key| had. |epoch|: of when it was asked for. */
void agw_mcp_lists_keep(struct agw_mcp_lists *l, const struct agw_mcp_list_key *key, uint32_t epoch,
                        const struct agw_json_doc *doc, uint32_t result, uint64_t now_ms, uint64_t ttl_ms);
/* Bytes of all entries. */
size_t agw_mcp_lists_size(const struct agw_mcp_lists *l);

/* Some worker reads a stream on which the target will say that lists of |session| (its own id) change, since
 * |epoch|, which is over when the stream is. The longest unused are forgotten when there are too many. */
void agw_mcp_lists_watch(struct agw_mcp_lists *l, uint64_t backend, uint32_t target, struct agw_str session,
                         uint32_t epoch);
/* False: nobody would hear of a change; |epoch|: now. */
bool agw_mcp_lists_watched(struct agw_mcp_lists *l, uint64_t backend, uint32_t target, struct agw_str session,
                           uint32_t epoch);
unsigned agw_mcp_lists_watches(const struct agw_mcp_lists *l); /* that are remembered */

#endif
