/* Streaming JSON writer (RFC 8259): objects, arrays and values in order, commas and escapes done here.
 *
 * Writes into memory that grows (agw_json_writer_init, then agw_json_writer_text) or block by block to the
 * end of a chain (agw_json_writer_init_chain), which bounds what one block costs however long the document
 * is. Ownership: the writer owns its block until it is flushed or freed; the chain is the caller's. Errors
 * are sticky: calls after a failure do nothing, agw_json_writer_end tells. Order is the caller's duty
 * (agw_check): a key before each value in an object, no key elsewhere, at most AGW_JSON_WRITER_DEPTH open
 * containers. Threads: one. */
#ifndef AGW_JSON_WRITER_H
#define AGW_JSON_WRITER_H

#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/str.h"

#define AGW_JSON_WRITER_DEPTH 128 /* what our own parser accepts */

struct agw_json_writer {
    struct agw_chain *chain;     /* NULL: grow one block */
    struct agw_block_pool *pool; /* blocks for the chain; NULL: malloc */
    struct agw_block *block;
    uint32_t flushed; /* bytes of |block| the chain already holds */
    int error;        /* first failure, or 0 */
    uint16_t depth;
    bool after_key;
    uint64_t comma[AGW_JSON_WRITER_DEPTH / 64]; /* one bit a level: an item was written */
};

/* Grows in memory; allocates at the first byte. */
void agw_json_writer_init(struct agw_json_writer *w);
/* Appends to |chain| with blocks of |pool| (NULL: malloc). Bytes are in the chain after agw_json_writer_end
 * or _flush. */
void agw_json_writer_init_chain(struct agw_json_writer *w, struct agw_chain *chain,
                                struct agw_block_pool *pool);
/* Chain mode: hands what was written so far to the chain. 0 or the sticky error. */
int agw_json_writer_flush(struct agw_json_writer *w);
/* Ends the document: agw_check that all containers are closed, flushes, releases memory in chain mode.
 * 0, AGW_ENOMEM, or AGW_ELIMIT (over 4 GiB in memory). After an error the chain may hold a part. */
int agw_json_writer_end(struct agw_json_writer *w);
/* Memory mode: the bytes so far; valid until the next call on |w|. */
struct agw_str agw_json_writer_text(const struct agw_json_writer *w);
/* Memory mode: moves the bytes to the end of |chain| without copying; the writer is empty afterwards. */
int agw_json_writer_take(struct agw_json_writer *w, struct agw_chain *chain);
/* Releases memory; fine at any time, also twice. */
void agw_json_writer_free(struct agw_json_writer *w);
/* All of it at once: ends the document unless |rc|, what came of writing it, is an error; in memory mode
 * moves the bytes to the end of |chain| (else NULL); releases memory. |rc|, or as agw_json_writer_end. */
int agw_json_writer_finish(struct agw_json_writer *w, int rc, struct agw_chain *chain);

void agw_json_begin_object(struct agw_json_writer *w);
void agw_json_end_object(struct agw_json_writer *w);
void agw_json_begin_array(struct agw_json_writer *w);
void agw_json_end_array(struct agw_json_writer *w);
void agw_json_key(struct agw_json_writer *w, struct agw_str key);
/* Escapes as RFC 8259 section 7 asks; bytes that are not UTF-8 become U+FFFD. */
void agw_json_string(struct agw_json_writer *w, struct agw_str s);
void agw_json_int(struct agw_json_writer *w, int64_t v);
void agw_json_uint(struct agw_json_writer *w, uint64_t v);
void agw_json_double(struct agw_json_writer *w,
                     double v); /* shortest text that reads back; null for NaN and infinity */
void agw_json_bool(struct agw_json_writer *w, bool v);
void agw_json_null(struct agw_json_writer *w);
/* One value as text the caller knows to be valid JSON; not checked, not escaped. */
void agw_json_raw(struct agw_json_writer *w, struct agw_str json);
/* Continues the value that agw_json_raw began. */
void agw_json_more(struct agw_json_writer *w, struct agw_str json);

/* Key and value in one call. */
void agw_json_put_string(struct agw_json_writer *w, const char *key, struct agw_str v);
void agw_json_put_int(struct agw_json_writer *w, const char *key, int64_t v);
void agw_json_put_uint(struct agw_json_writer *w, const char *key, uint64_t v);
void agw_json_put_bool(struct agw_json_writer *w, const char *key, bool v);
void agw_json_put_raw(struct agw_json_writer *w, const char *key, struct agw_str json);

/* The escaped form of |s| without quotes, into |arena| (|s| itself when nothing needs escaping). p is NULL:
 * no memory. */
struct agw_arena;
struct agw_str agw_json_escape(struct agw_str s, struct agw_arena *arena);

#endif
