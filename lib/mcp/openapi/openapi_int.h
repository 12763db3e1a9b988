/* Inside lib/mcp/openapi: the document as a tree, and schemas on their way into a tool. */
#ifndef AGW_MCP_OPENAPI_OPENAPI_INT_H
#define AGW_MCP_OPENAPI_OPENAPI_INT_H

#include "json/tree.h"
#include "json/writer.h"
#include "mcp/openapi/openapi.h"

/* A document that is being read. */
struct agw_openapi_doc {
    const struct agw_node *root;
    struct agw_arena *scratch; /* of the tree; gone when the table is there */
    bool v30;                  /* else 3.1 */
    struct agw_error *err;     /* never NULL */
};

/* --- document.c --- */
/* Parses |text| and reads its version. */
int agw_openapi_open(struct agw_openapi_doc *d, struct agw_str text);
/* Sets d->err to the pointer of |n| and the text. Returns |code|. */
int agw_openapi_error(const struct agw_openapi_doc *d, int code, const struct agw_node *n, const char *format,
                      ...) __attribute__((format(printf, 4, 5)));
/* What the $ref |ref|, a string, names. Only "#" and "#/...". */
int agw_openapi_resolve(const struct agw_openapi_doc *d, const struct agw_node *ref,
                        const struct agw_node **ret_node);
/* Follows $ref, if |*node| (NULL is fine) is one, until there is none. */
int agw_openapi_follow(const struct agw_openapi_doc *d, const struct agw_node **node);
/* Writes |n| as the JSON value it is. */
void agw_openapi_write_value(struct agw_json_writer *w, const struct agw_node *n);

/* --- schema.c --- */
/* The schemas that one JSON Schema refers to: they become its $defs. */
struct agw_openapi_defs {
    const struct agw_openapi_doc *doc;
    struct agw_json_writer *w;
    uint32_t count;
    const struct agw_node *v[AGW_OPENAPI_REFS_MAX];
    struct agw_str names[AGW_OPENAPI_REFS_MAX];
};

/* Writes |schema| as JSON Schema 2020-12. |description|: where it has none of its own; may be NULL. Nests as
 * deep as the document, which the YAML loader limits. */
int agw_openapi_schema(struct agw_openapi_defs *defs, const struct agw_node *schema,
                       const struct agw_node *description);
/* Writes the members of |schema| into an object that is open. */
int agw_openapi_schema_members(struct agw_openapi_defs *defs, const struct agw_node *schema,
                               const struct agw_node *description);
/* Writes the member $defs, if there are any. */
int agw_openapi_schema_defs(struct agw_openapi_defs *defs);
/* *ret_object: all that |schema| allows are objects. */
int agw_openapi_is_object(const struct agw_openapi_doc *d, const struct agw_node *schema, bool *ret_object);

/* --- tool.c --- */
/* What an operation takes and gives, while its tool is made. */
struct agw_openapi_operation {
    const struct agw_node *node, *item, *path; /* the operation, its path item, that under its path */
    const struct agw_node *params[AGW_OPENAPI_PARAMS_MAX];  /* parameter objects, by index of |v| */
    const struct agw_node *schemas[AGW_OPENAPI_PARAMS_MAX]; /* NULL: any value */
    struct agw_openapi_param v[AGW_OPENAPI_PARAMS_MAX];
    uint32_t count;
    const struct agw_node *body, *body_schema; /* the request body object */
    const struct agw_node *output;             /* NULL: none */
};

/* Reads an operation's parameters and bodies into |op| and |t|. AGW_EUNSUPPORTED, with the reason in d->err:
 * it needs what we do not have. */
int agw_openapi_read(const struct agw_openapi_doc *d, struct agw_openapi_operation *op,
                     struct agw_openapi_tool *t, struct agw_arena *arena);

/* --- describe.c --- */
/* Writes the tool as tools/list shows it. */
int agw_openapi_describe(const struct agw_openapi_doc *d, const struct agw_openapi_operation *op,
                         const struct agw_openapi_tool *t, struct agw_json_writer *w);

#endif
