/* Access log: one line a request, written by a thread of its own.
 *
 * A worker copies the record into a ring that only it writes and only the log thread reads: no lock, no
 * formatting, and a system call only when a ring fills while the log thread naps. A full ring drops the
 * record and counts it. The log thread formats and writes; lines appear within AGW_ACCESS_NAP_MS. A reader of
 * stdout that stops reading costs records, never a worker's time. Text lines are key=value, values in quotes
 * when they need it; JSON lines are objects. What is empty is left out. Bytes that a client chose can neither
 * end a line nor break the JSON. Ownership: the record and its strings are the caller's, copied before
 * agw_access_log_write returns. Threads: as said. */
#ifndef AGW_TELEMETRY_ACCESS_LOG_H
#define AGW_TELEMETRY_ACCESS_LOG_H

#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"
#include "base/str.h"

#define AGW_ACCESS_NAP_MS 100

/* X(field, most bytes that are kept: enough for real ones, and the ring is not one client's) */
#define AGW_ACCESS_TEXTS(X)                                                                                  \
    X(client, 64)           /* address and port */                                                           \
    X(client_identity, 256) /* SPIFFE id */                                                                  \
    X(method, 32)                                                                                            \
    X(host, 256)                                                                                             \
    X(path, 2048)   /* with query */                                                                         \
    X(protocol, 16) /* "HTTP/1.1" */                                                                         \
    X(listener, 512)                                                                                         \
    X(route, 512)                                                                                            \
    X(backend, 512)                                                                                          \
    X(upstream, 64) /* address and port the request went to */                                               \
    X(request_id, 128)                                                                                       \
    X(user_agent, 512)                                                                                       \
    X(mcp_method, 64)                                                                                        \
    X(mcp_target, 256) /* tool, prompt or resource */                                                        \
    X(grpc_status, 2)                                                                                        \
    X(a2a_method, 64)                                                                                        \
    X(a2a_task, 128)                                                                                         \
    X(a2a_context, 128)                                                                                      \
    X(a2a_state, 32)                                                                                         \
    X(a2a_error, 12)                                                                                         \
    X(error, 256) /* why the gateway answered itself, or what broke off */

enum {
#define X(field, max) +1
    AGW_ACCESS_TEXT_COUNT = 0 AGW_ACCESS_TEXTS(X)
#undef X
};

struct agw_access_record {
    uint64_t wall_ns;             /* when the request head was in, since 1970 */
    uint64_t duration_ns;         /* to the last byte sent */
    uint64_t bytes_in, bytes_out; /* of the bodies */
    unsigned status;              /* 0: the client left before one was sent */
    union {
        struct {
#define X(field, max) struct agw_str field;
            AGW_ACCESS_TEXTS(X)
#undef X
        };
        struct agw_str texts[AGW_ACCESS_TEXT_COUNT];
    };
};

struct agw_access_log_options {
    unsigned workers;
    bool json;         /* else text */
    const char *path;  /* NULL: stdout */
    size_t ring_bytes; /* of each worker; rounded up to a power of two, at least 64 KiB; 0: 1 MiB */
};

struct agw_access_log;

/* Opens the file and starts the thread. AGW_EIO, AGW_ENOMEM. */
int agw_access_log_start(const struct agw_access_log_options *options, struct agw_access_log **ret_log,
                         struct agw_error *err);
/* Writes what is left (for at most two seconds if nobody takes it), ends the thread and frees the log. No
 * worker may write any more. NULL is fine. */
void agw_access_log_stop(struct agw_access_log *log);
/* On the thread of worker |worker|. Never blocks. |log| may be NULL. */
void agw_access_log_write(struct agw_access_log *log, unsigned worker, const struct agw_access_record *r);
/* From any thread: opens the path again, after it was moved away. */
void agw_access_log_reopen(struct agw_access_log *log);
/* From any thread: records dropped by full rings or failed writes. */
uint64_t agw_access_log_dropped(const struct agw_access_log *log);
/* Lets the registry report the dropped records; before other threads start. The log must outlive the reading.
 */
struct agw_metrics_registry;
void agw_access_log_export(struct agw_access_log *log, struct agw_metrics_registry *registry);

#endif
