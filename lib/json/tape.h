/* JSON tape: a document parsed in place into an array of 16-byte tokens in document order, each with the
 * index that follows its subtree. Nothing is unescaped, converted or copied: a value is forwarded as the
 * bytes it came as.
 *
 * Strict: RFC 8259 grammar, one value with white space around it, no byte order mark, strict UTF-8 (RFC
 * 3629), no lone surrogate escapes. Duplicate member names are kept and visible (pointer.h says who notices
 * them). Layout: an object's tokens are key, value, key, value, ...; keys are string tokens. Ownership: a
 * document keeps a view of the text, which the caller keeps alive and unchanged, and owns its tokens; it may
 * be used for many parses one after the other, which allocate only when they need more tokens than before.
 * Threads: one at a time. */
#ifndef AGW_JSON_TAPE_H
#define AGW_JSON_TAPE_H

#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"
#include "base/str.h"

#define AGW_JSON_DEPTH 128 /* real messages nest under 20 levels; bounds every recursive reader above us */
#define AGW_JSON_TOKENS_MAX                                                                                  \
    (1u << 20) /* 16 MiB of tokens: what one peer's message may cost beyond its own bytes */

enum agw_json_type {
    AGW_JSON_OBJECT,
    AGW_JSON_ARRAY,
    AGW_JSON_STRING,
    AGW_JSON_NUMBER,
    AGW_JSON_TRUE,
    AGW_JSON_FALSE,
    AGW_JSON_NULL
};

enum {
    AGW_JSON_ESCAPED = 1, /* string: holds at least one backslash */
    AGW_JSON_INTEGER = 2, /* number: no fraction, no exponent */
};

struct agw_json_token {
    uint32_t offset; /* of the first byte; strings: of the opening quote */
    uint32_t length; /* bytes, with brackets and quotes */
    uint32_t next;   /* index of the token after this subtree */
    uint8_t type;    /* enum agw_json_type */
    uint8_t flags;
    uint16_t depth; /* 0 for the root */
};

struct agw_json_doc {
    struct agw_str text;
    struct agw_json_token *tokens; /* tokens[0] is the root */
    uint32_t count, cap;
    uint32_t limit; /* most tokens */
};

/* |limit| tokens at most; 0 means AGW_JSON_TOKENS_MAX. Allocates nothing. */
void agw_json_doc_init(struct agw_json_doc *doc, uint32_t limit);
/* Releases the tokens; the document may be used again. */
void agw_json_doc_free(struct agw_json_doc *doc);
/* Parses the whole of |text|. AGW_EINVAL (not JSON), AGW_ELIMIT (depth, tokens, 4 GiB), AGW_ENOMEM, with the
 * byte offset in |err|. After a failure the document is empty (count 0). */
int agw_json_parse(struct agw_json_doc *doc, struct agw_str text, struct agw_error *err);

/* The bytes of a token as they stand in the text, with quotes and brackets. */
static inline struct agw_str agw_json_text(const struct agw_json_doc *doc, uint32_t token)
{
    return agw_str(doc->text.p + doc->tokens[token].offset, doc->tokens[token].length);
}

/* The inside of a string token, still escaped. */
static inline struct agw_str agw_json_inside(const struct agw_json_doc *doc, uint32_t token)
{
    return agw_str(doc->text.p + doc->tokens[token].offset + 1, doc->tokens[token].length - 2);
}

static inline enum agw_json_type agw_json_type(const struct agw_json_doc *doc, uint32_t token)
{
    return (enum agw_json_type)doc->tokens[token].type;
}

#endif
