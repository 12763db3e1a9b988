/* A parsed document as a tree of nodes, made by the YAML loader (and the JSON one): for configuration, where
 * each value must be able to say on which line it stands. Not for the request path (that is json/tape.h).
 * Ownership: nodes live in the document's arena. Threads: any, one at a time; read-only after loading. */
#ifndef AGW_JSON_TREE_H
#define AGW_JSON_TREE_H

#include <stdbool.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

enum agw_node_type {
    AGW_NODE_NULL,
    AGW_NODE_BOOL,
    AGW_NODE_INT,
    AGW_NODE_FLOAT,
    AGW_NODE_STRING,
    AGW_NODE_LIST,
    AGW_NODE_MAP
};

struct agw_node {
    enum agw_node_type type;
    uint32_t line;                 /* 1-based line in its file: of the key if it is a member of a map */
    uint32_t column;               /* 1-based, likewise */
    struct agw_str key;            /* when a member of a map */
    struct agw_str text;           /* scalars: as written (strings: unescaped), NUL-terminated */
    int64_t number;                /* INT; BOOL: 0 or 1 */
    const struct agw_node *parent; /* NULL for the list of documents */
    struct agw_node *next, *first, *last; /* siblings, children */
    uint32_t count;                       /* children */
};

/* Member of a map, NULL when absent, when |map| is NULL or not a map. */
const struct agw_node *agw_node_get(const struct agw_node *map, const char *key);
/* Text of a string member, or the empty view. */
struct agw_str agw_node_text(const struct agw_node *map, const char *key);
/* The way from |top| (itself left out) to |n| as "spec.rules[0].name" into |out|, cut at |size| bytes with
 * the NUL. Returns the length. */
size_t agw_node_path(const struct agw_node *top, const struct agw_node *n, char *out, size_t size);
#define agw_node_each(pos, parent) for ((pos) = (parent) ? (parent)->first : NULL; (pos); (pos) = (pos)->next)

#endif
