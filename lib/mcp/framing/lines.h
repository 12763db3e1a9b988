/* Messages that come a line each: bytes in, in pieces of any size, lines out. Pure.
 * Ownership: the reader's buffer is its own (malloc; none while nothing is held back) until
 * agw_mcp_lines_free. Threads: one at a time. Errors: AGW_ELIMIT (a line over AGW_MCP_MESSAGE_MAX),
 * AGW_ENOMEM; then it cannot go on. */
#ifndef AGW_MCP_FRAMING_LINES_H
#define AGW_MCP_FRAMING_LINES_H

#include "base/buf.h"

/* Bytes of one message from a target. Tools answer with images and files in base64; above this the memory of
 * a worker would be theirs to take. Whatever needs no edit passes in any size when it comes as a JSON body.
 */
#define AGW_MCP_MESSAGE_MAX (16u << 20)

struct agw_mcp_lines { /* zeroed: empty */
    char *p;
    size_t n, cap;
};

void agw_mcp_lines_free(struct agw_mcp_lines *l);
/* Takes bytes off the front of |*rest|. 1: *ret_line is a line without its end and the white space around it,
 * in a block of its own, the caller's; call again. 0: |*rest| is used up. Empty lines are left out. */
int agw_mcp_lines_next(struct agw_mcp_lines *l, struct agw_str *rest, struct agw_block **ret_line);

#endif
