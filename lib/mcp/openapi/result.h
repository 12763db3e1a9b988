/* An operation's HTTP answer as the result of a tools/call.
 *
 * Pure. Ownership: nothing is kept. Threads: one at a time. */
#ifndef AGW_MCP_OPENAPI_RESULT_H
#define AGW_MCP_OPENAPI_RESULT_H

#include "json/tape.h"
#include "json/writer.h"
#include "mcp/openapi/openapi.h"

/* Bytes of an answer's body. JSON stands in a result twice, and escaping makes a byte six at worst: what
 * comes of it stays under the 16 MiB that a target's message may have. */
#define AGW_OPENAPI_ANSWER_MAX (2u << 20)

struct agw_openapi_answer {
    int status;
    struct agw_str media; /* Content-Type, empty: none */
    struct agw_str body;
};

/* Writes the members of a CallToolResult into an object that is open. |doc|: to parse with. AGW_ENOMEM. */
int agw_openapi_result(const struct agw_openapi_tool *t, const struct agw_openapi_answer *a,
                       struct agw_json_doc *doc, struct agw_json_writer *w);
/* A result that says what went wrong, for the model. */
void agw_openapi_failure(struct agw_json_writer *w, struct agw_str reason);

#endif
