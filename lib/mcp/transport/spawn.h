/* Starting a process. Blocks until it runs: for the supervisor's thread alone. */
#ifndef AGW_MCP_SPAWN_H
#define AGW_MCP_SPAWN_H

#include <stdbool.h>
#include <sys/types.h>
#include "base/err.h"

struct agw_mcp_spawned {
    pid_t pid;
    int pidfd;
    int in, out, err; /* our ends of its pipes: non-blocking, closed at exec */
};

/* |argv|, |env| end with NULL; |env| ("NAME=VALUE") goes over our own variables, or stands alone if |clear|.
 * What is secret of ours is never passed on. The process leads a group of its own, and is killed when this
 * thread ends. AGW_ENOTFOUND: no such program; AGW_EIO; AGW_ENOMEM. */
int agw_mcp_spawn(const char *const *argv, const char *const *env, bool clear, struct agw_mcp_spawned *ret,
                  struct agw_error *err);

#endif
