/* A tool's arguments as the HTTP request of its operation.
 *
 * Pure. What an argument says cannot leave its place: values of a path and a query are percent-encoded, those
 * of fields must be valid values, and only what the document declares can be set. Ownership: the request
 * views the arguments' text and |arena|. Threads: one at a time. */
#ifndef AGW_MCP_OPENAPI_REQUEST_H
#define AGW_MCP_OPENAPI_REQUEST_H

#include "json/pointer.h"
#include "mcp/openapi/openapi.h"

#define AGW_OPENAPI_TARGET_MAX 8192 /* bytes of path and query: what servers take in a request line */

struct agw_openapi_request {
    struct agw_str path;        /* with the query */
    struct agw_headers headers; /* Accept, Content-Type, Cookie, and those that are declared */
    struct agw_str body;
};

/* |arguments|: a token of |doc|, 0: none. AGW_EINVAL, AGW_ELIMIT: |err| says what is wrong with them, for the
 * model that wrote them. AGW_ENOMEM. */
int agw_openapi_request(const struct agw_openapi_tool *t, const struct agw_json_doc *doc, uint32_t arguments,
                        struct agw_arena *arena, struct agw_openapi_request *ret_request,
                        struct agw_error *err);

#endif
