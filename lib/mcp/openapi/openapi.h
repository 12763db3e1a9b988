/* An OpenAPI 3.0 or 3.1 document as a table of MCP tools: one operation, one tool.
 *
 * Ownership: a table lives in the arena it was made in and views nothing else; it does not change. Threads:
 * made on any, read on all. Errors: AGW_EINVAL (what the document says is wrong or unknown), AGW_ELIMIT,
 * AGW_ENOMEM; the reason begins with a JSON Pointer (RFC 6901) into the document, or with LINE:COLUMN where
 * it is neither JSON nor YAML. */
#ifndef AGW_MCP_OPENAPI_OPENAPI_H
#define AGW_MCP_OPENAPI_OPENAPI_H

#include <stdbool.h>
#include "base/arena.h"
#include "base/err.h"
#include "http/msg.h"

#define AGW_OPENAPI_DOCUMENT_MAX                                                                             \
    (2u << 20)                    /* bytes; GitHub's whole API as YAML has 8 MiB, no model reads that */
#define AGW_OPENAPI_TOOLS_MAX 512 /* of one document: found by name one by one, and listed to models */
#define AGW_OPENAPI_PARAMS_MAX 64 /* of one operation */
#define AGW_OPENAPI_REFS_MAX 256  /* schemas that one tool refers to, also by others */
#define AGW_OPENAPI_HOPS_MAX 16   /* $ref to $ref to ...: also what ends a circle of them */
/* Bytes of all tools: each repeats the schemas that it refers to, so that a small document could grow. One
 * message of a target has 16 MiB at most. */
#define AGW_OPENAPI_TEXT_MAX (4u << 20)
#define AGW_OPENAPI_NAME_MAX 96 /* MCP says 128, and a target's name goes before it */

enum agw_openapi_in {
    AGW_OPENAPI_PATH,
    AGW_OPENAPI_QUERY,
    AGW_OPENAPI_HEADER,
    AGW_OPENAPI_COOKIE,
    AGW_OPENAPI_IN_COUNT
};
extern const char *const agw_openapi_in_names[AGW_OPENAPI_IN_COUNT];

/* How arrays and objects are written (OpenAPI 3.1.1 section 4.8.12.3); JSON: `content`, not `schema`. */
enum agw_openapi_style {
    AGW_OPENAPI_SIMPLE,
    AGW_OPENAPI_FORM,
    AGW_OPENAPI_SPACE,
    AGW_OPENAPI_PIPE,
    AGW_OPENAPI_DEEP,
    AGW_OPENAPI_JSON
};

struct agw_openapi_param {
    struct agw_str name; /* header fields: lower case */
    enum agw_openapi_in in;
    enum agw_openapi_style style;
    bool explode, required;
};

enum agw_openapi_body {
    AGW_OPENAPI_BODY_NONE,
    AGW_OPENAPI_BODY_JSON,
    AGW_OPENAPI_BODY_FORM,
    AGW_OPENAPI_BODY_TEXT,
    AGW_OPENAPI_BODY_BYTES /* the argument is base64 */
};

struct agw_openapi_tool {
    struct agw_str name;
    struct agw_str json; /* the tool as tools/list shows it */
    struct agw_str method;
    struct agw_str path; /* with {name} where arguments stand, behind the base path of servers[0] */
    const struct agw_openapi_param *params;
    uint32_t param_count;
    enum agw_openapi_body body;
    struct agw_str media; /* of the body */
    bool body_required;
    bool has_output; /* it has an outputSchema: an answer is an object, or an error */
};

struct agw_openapi {
    struct agw_str title, version, description;
    const struct agw_openapi_tool *tools; /* in the document's order */
    uint32_t count;
    uint32_t left_out;     /* operations that need what is not supported */
    struct agw_str reason; /* why the first of them was */
};

/* Reads the document |text|, JSON or YAML. */
int agw_openapi_load(struct agw_str text, struct agw_arena *arena, const struct agw_openapi **ret_table,
                     struct agw_error *err);
/* NULL: none of that name. */
const struct agw_openapi_tool *agw_openapi_find(const struct agw_openapi *o, struct agw_str name);

#endif
