#include "mcp/framing/lines.h"

#include <stdlib.h>
#include "base/err.h"

#define FIRST_CAP 1024
#define KEEP_CAP 65536 /* a buffer that grew beyond this for one line is given back after it */

void agw_mcp_lines_free(struct agw_mcp_lines *l)
{
    free(l->p);
    *l = (struct agw_mcp_lines){0};
}

static int hold_back(struct agw_mcp_lines *l, struct agw_str part)
{
    size_t cap = l->cap ? l->cap : FIRST_CAP;
    if (l->n + part.n > AGW_MCP_MESSAGE_MAX)
        return AGW_ELIMIT;
    if (part.n == 0)
        return 0;
    while (cap < l->n + part.n)
        cap *= 2;
    if (cap != l->cap) {
        char *grown = realloc(l->p, cap);
        if (!grown)
            return AGW_ENOMEM;
        l->p = grown;
        l->cap = cap;
    }
    memcpy(l->p + l->n, part.p, part.n);
    l->n += part.n;
    return 0;
}

static struct agw_str trim(struct agw_str line)
{
    line = agw_str_trim(line);
    while (line.n && line.p[line.n - 1] == '\r')
        line = agw_str_trim(agw_str(line.p, line.n - 1));
    return line;
}

static int copy_line(struct agw_str line, struct agw_block **ret_line)
{
    struct agw_block *b = agw_block_new(line.n);
    if (!b)
        return AGW_ENOMEM;
    memcpy(b->data, line.p, line.n);
    b->len = (uint32_t)line.n;
    *ret_line = b;
    return 1;
}

/* A whole line: what was held back, and |part|. */
static int end_line(struct agw_mcp_lines *l, struct agw_str part, struct agw_block **ret_line)
{
    struct agw_str line = part;
    if (l->n) {
        int rc = hold_back(l, part);
        if (rc != 0)
            return rc;
        line = agw_str(l->p, l->n);
    }
    if (line.n > AGW_MCP_MESSAGE_MAX)
        return AGW_ELIMIT;
    line = trim(line);
    int rc = line.n ? copy_line(line, ret_line) : 0;
    l->n = 0;
    if (l->cap > KEEP_CAP)
        agw_mcp_lines_free(l);
    return rc;
}

int agw_mcp_lines_next(struct agw_mcp_lines *l, struct agw_str *rest, struct agw_block **ret_line)
{
    ptrdiff_t end;
    while ((end = agw_str_find(*rest, '\n')) >= 0) {
        struct agw_str part = agw_str(rest->p, (size_t)end);
        *rest = agw_str_from(*rest, (size_t)end + 1);
        int rc = end_line(l, part, ret_line);
        if (rc != 0)
            return rc;
    }
    struct agw_str part = *rest;
    *rest = agw_str_from(*rest, rest->n);
    return hold_back(l, part);
}
