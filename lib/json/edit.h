/* Byte edits: a document goes on as slices of the bytes it came as, with a few ranges replaced.
 *
 * Edits are collected in any order, may not overlap (AGW_EINVAL) and are applied over one block in one pass.
 * An edit of length 0 inserts; several inserts at one offset keep their order. Ownership: replacement views
 * must live until agw_json_edits_apply; it copies them. The list is the caller's, in |arena|. Threads: one.
 */
#ifndef AGW_JSON_EDIT_H
#define AGW_JSON_EDIT_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "json/tape.h"
#include "json/writer.h"

struct agw_json_edit {
    uint32_t offset, length; /* bytes of the original to replace */
    struct agw_str text;     /* what stands there instead */
};

struct agw_json_edits {
    struct agw_arena *arena;
    struct agw_json_edit *v;
    uint32_t count, cap;
    int error; /* sticky: a list that misses one edit must not be applied */
};

void agw_json_edits_init(struct agw_json_edits *e, struct agw_arena *arena);
/* Replaces |length| bytes at |offset|. Also returns the sticky error. */
int agw_json_edits_add(struct agw_json_edits *e, uint32_t offset, uint32_t length, struct agw_str text);
/* Replaces the whole token by JSON text. */
int agw_json_edits_token(struct agw_json_edits *e, const struct agw_json_doc *doc, uint32_t token,
                         struct agw_str json);
/* Replaces the token by |s| as a JSON string (quoted and escaped). */
int agw_json_edits_string(struct agw_json_edits *e, const struct agw_json_doc *doc, uint32_t token,
                          struct agw_str s);
/* Appends the whole text with all edits to |out| as slices. |block| holds |text|'s bytes (NULL: they live for
 * ever); the replacements share one new block. AGW_ENOMEM, AGW_EINVAL for edits that overlap or stick out. */
int agw_json_edits_apply(const struct agw_json_edits *e, struct agw_str text, struct agw_block *block,
                         struct agw_chain *out);
/* Writes bytes [from, to) of |text|, one JSON value, with the edits that lie in them: for values that are
 * gathered into a new document. Edits outside the range are left for other calls. AGW_EINVAL as above. */
int agw_json_edits_write(const struct agw_json_edits *e, struct agw_str text, uint32_t from, uint32_t to,
                         struct agw_json_writer *w);

#endif
