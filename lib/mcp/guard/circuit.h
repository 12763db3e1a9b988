/* Circuits: targets that fail again and again are left alone for a while, so that those who ask all targets
 * need not wait for them each time.
 *
 *     closed -- AGW_MCP_CIRCUIT_FAILURES in a row --> open -- its time is over --> half open: one may try
 *       ^                                              ^                              |
 *       '---------------- it works -------------------(+-- it does not: twice the time '
 *
 * One worker's; only targets that fail take memory. Pure: time is an argument, in milliseconds. Threads: one.
 * Errors: what cannot be remembered for want of memory or room counts as closed. */
#ifndef AGW_MCP_GUARD_CIRCUIT_H
#define AGW_MCP_GUARD_CIRCUIT_H

#include <stdbool.h>
#include <stdint.h>

#define AGW_MCP_CIRCUIT_FAILURES 5   /* in a row: one or two are an accident, or a restart */
#define AGW_MCP_CIRCUIT_OPEN_MS 2000 /* at first: about what a restart takes */
#define AGW_MCP_CIRCUIT_OPEN_MAX_MS                                                                          \
    60000                         /* doubled up to this: nobody waits for longer for what works again */
#define AGW_MCP_CIRCUITS_MAX 4096 /* targets that fail at the same time; then all are forgotten */

struct agw_mcp_circuits;

struct agw_mcp_circuits *agw_mcp_circuits_new(void);    /* NULL: no memory */
void agw_mcp_circuits_free(struct agw_mcp_circuits *c); /* NULL is fine */
/* 0: the target may be asked; if its circuit was open, the caller is the one who tries. Else the code that it
 * failed with last. |backend|: its serial. */
int agw_mcp_circuit_check(struct agw_mcp_circuits *c, uint64_t backend, uint32_t target, uint64_t now_ms);
/* What came of asking: 0, or why it failed (negative enum agw_err). True: this opened a circuit (code), or
 * closed one that was open (0). */
bool agw_mcp_circuit_note(struct agw_mcp_circuits *c, uint64_t backend, uint32_t target, int code,
                          uint64_t now_ms);

#endif
