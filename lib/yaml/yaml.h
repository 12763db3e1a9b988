/* YAML text to trees of nodes, for Kubernetes manifests: a stream of documents, each a JSON value.
 *
 * What is read is the subset that means the same in JSON, with the scalars of YAML 1.2's core schema: of the
 * plain words, null, true and false (also capitalised) are special, yes, no, on and off are strings.
 * (Kubernetes' own loader still reads those four as booleans; a string is what people mean, and a field that
 * wants a boolean refuses it with its line.) Numbers are decimal, 0x or 0o; a leading zero is refused,
 * because YAML 1.1 reads octal there. JSON files are read by the same loader. Refused, with line and column:
 * duplicate keys, keys that are not scalars, merge keys, tags, NUL characters, text that is not UTF-8, and
 * whatever exceeds the limits below. Aliases are expanded by copying. Ownership: everything lives in the
 * caller's arena; the text may go. Threads: any. Errors: AGW_EINVAL, AGW_ELIMIT, AGW_ENOMEM; the text begins
 * with "LINE:COLUMN: ", both 1-based. */
#ifndef AGW_YAML_YAML_H
#define AGW_YAML_YAML_H

#include "json/tree.h"

#define AGW_YAML_MAX_BYTES (16u << 20) /* one file; the API server takes at most 3 MiB an object */
#define AGW_YAML_MAX_DEPTH 64          /* the deepest CRD field we know has 17 levels */
#define AGW_YAML_MAX_NODES 500000      /* about 50 MB of arena */
#define AGW_YAML_MAX_ANCHORS 256       /* looked up one by one */
#define AGW_YAML_MAX_ALIAS_NODES 10000 /* nodes made by aliases: stops nested aliases that double */

/* Reads all documents of |text|. *ret_docs is a list node whose children are the documents in order;
 * documents without content are left out. A node's line is that of its key if it is a member of a map. */
int agw_yaml_load(struct agw_str text, struct agw_arena *arena, const struct agw_node **ret_docs,
                  struct agw_error *err);

#endif
