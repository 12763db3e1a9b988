/* Processes that are targets: started, watched and ended on a thread of their own, since starting one blocks.
 *
 * Each runs in a process group of its own, with pipes for standard input and output, which go to the worker
 * that asked, and for standard error, which goes to the log line by line. It gets no other descriptor of
 * ours. It ends when its worker says so, its pipes are closed, or the gateway ends, however that ends. One
 * that ends at once is started again ever later. Ownership: jobs are the receiver's. Threads: made and freed
 * where no worker runs; the rest on any worker. */
#ifndef AGW_MCP_SUPERVISOR_H
#define AGW_MCP_SUPERVISOR_H

#include "base/err.h"
#include "config/snapshot.h"
#include "mcp/transport/hub.h"
#include "mcp/transport/transport.h"

#define AGW_MCP_PROCESSES_MAX 256         /* at once: each is a runtime with tens of MiB */
#define AGW_MCP_PROCESS_LINE 900          /* bytes of a line of standard error that are logged */
#define AGW_MCP_PROCESS_LINES 200         /* of one process in ten seconds; the rest is counted */
#define AGW_MCP_PROCESS_GRACE_MS 2000     /* from closed input to SIGTERM, and from there to SIGKILL */
#define AGW_MCP_PROCESS_SHORT_MS 5000     /* ended sooner than this: failed */
#define AGW_MCP_PROCESS_DELAY_MAX_MS 5000 /* before the next start of what failed again and again */

struct agw_mcp_supervisor;

/* AGW_ENOMEM, AGW_EIO with |err|: NULL. */
struct agw_mcp_supervisor *agw_mcp_supervisor_new(struct agw_mcp_hub *hub, struct agw_error *err);
/* Ends all processes and waits until they are gone. Nothing is sent to workers any more. NULL is fine. */
void agw_mcp_supervisor_free(struct agw_mcp_supervisor *s);

enum agw_mcp_job_kind {
    AGW_MCP_JOB_STARTED, /* |process|, |in| and |out|: the receiver closes them */
    AGW_MCP_JOB_FAILED,  /* |code| */
    AGW_MCP_JOB_EXITED,
};

/* What the supervisor tells the worker of |link|. */
struct agw_mcp_job {
    struct agw_mcp_mail mail; /* first; deliver is agw_mcp_job_deliver (stdio.c) */
    enum agw_mcp_job_kind kind;
    struct agw_mcp_link_name link;
    struct agw_mcp_key process;
    int in, out; /* its standard input and output, non-blocking; -1: none */
    int code;
};
void agw_mcp_job_deliver(struct agw_mcp_transports *t, struct agw_mcp_mail *m);

/* Starts |stdio| (copied) for |link|; jobs tell |link|->worker what comes of it. |name|: the target's, for
 * the log. AGW_ENOMEM: nothing will come. */
int agw_mcp_supervisor_start(struct agw_mcp_supervisor *s, const struct agw_mcp_stdio *stdio,
                             struct agw_str name, const struct agw_mcp_link_name *link);
/* It is not needed any more; its pipes are closed already. |wanted|: false if it was the one that closed
 * them. */
void agw_mcp_supervisor_stop(struct agw_mcp_supervisor *s, struct agw_mcp_key process, bool wanted);

#endif
