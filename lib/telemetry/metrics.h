/* Metrics: counters, gauges and histograms by labels, kept by each thread for itself and added up by the
 * reader.
 *
 * A registry has one part (struct agw_metrics) for each worker and one for the thread that applies config.
 * Its thread writes plain stores without locks or atomic read-modify-writes; agw_metrics_write reads all
 * parts meanwhile. A series is made when it is used first, copies its labels, and stays at its address until
 * the registry is freed. Labels are bounded: over AGW_METRIC_SERIES_MAX series of a family (in one part), or
 * without memory, values go to one series whose labels all say "overflow". So nothing here fails after
 * agw_metrics_registry_new. Ownership: the caller owns the registry and ends all threads that use it before
 * freeing it. */
#ifndef AGW_TELEMETRY_METRICS_H
#define AGW_TELEMETRY_METRICS_H

#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/str.h"

#define AGW_METRIC_SERIES_MAX 4096 /* a mistake in labels costs at most about 1 MiB a family and part */
#define AGW_METRIC_LABELS_MAX 4
#define AGW_METRIC_LABEL_BYTES                                                                               \
    512 /* longer label values are cut: ours are names from config, far shorter                              \
         */
#define AGW_METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* X(id, type, name, help, labels...) */
#define AGW_METRIC_FAMILIES(X)                                                                               \
    X(BUILD_INFO, GAUGE, "agentgateway_build_info", "Always 1; the label tells the version.", "version")     \
    X(REQUESTS, COUNTER, "agentgateway_requests_total", "Requests that have ended, by status sent.",         \
      "listener", "route", "backend", "code")                                                                \
    X(DURATION, HISTOGRAM, "agentgateway_request_duration_seconds",                                          \
      "From the request head to the last byte of the response.", "listener", "route")                        \
    X(CONNS, GAUGE, "agentgateway_downstream_connections", "Open connections of clients.", "bind")           \
    X(CONNS_TOTAL, COUNTER, "agentgateway_downstream_connections_total", "Connections accepted.", "bind")    \
    X(CONNS_REFUSED, COUNTER, "agentgateway_downstream_connections_refused_total",                           \
      "Connections closed at once because there are too many, by what is scarce.", "reason")                 \
    X(TCP_CONNS, COUNTER, "agentgateway_tcp_connections_total",                                              \
      "Relayed connections that have ended, by how.", "listener", "route", "backend", "result")              \
    X(TCP_RECEIVED, COUNTER, "agentgateway_tcp_received_bytes_total",                                        \
      "Bytes passed from clients to backends on relayed connections.", "listener", "route", "backend")       \
    X(TCP_SENT, COUNTER, "agentgateway_tcp_sent_bytes_total",                                                \
      "Bytes passed from backends to clients on relayed connections.", "listener", "route", "backend")       \
    X(UPSTREAM_CONNECTS, COUNTER, "agentgateway_upstream_connects_total", "Connections made to backends.")   \
    X(UPSTREAM_REUSES, COUNTER, "agentgateway_upstream_reuses_total",                                        \
      "Requests sent on a connection that served one before.")                                               \
    X(UPSTREAM_FAILURES, COUNTER, "agentgateway_upstream_connect_failures_total",                            \
      "Connections to backends that failed before they were ready.")                                         \
    X(UPSTREAM_OPEN, GAUGE, "agentgateway_upstream_connections", "Open connections to backends.")            \
    X(UPSTREAM_IDLE, GAUGE, "agentgateway_upstream_idle_connections",                                        \
      "Open connections to backends that carry no request.")                                                 \
    X(UPSTREAM_WAITING, GAUGE, "agentgateway_upstream_waiting_requests",                                     \
      "Requests that wait for a connection to a backend.")                                                   \
    X(UPSTREAM_OVERFLOWS, COUNTER, "agentgateway_upstream_overflows_total",                                  \
      "Requests refused because a limit of an endpoint was reached.")                                        \
    X(UPSTREAM_EVICTIONS, COUNTER, "agentgateway_upstream_evictions_total",                                  \
      "Times that an endpoint was left out because it failed.")                                              \
    X(UPSTREAM_EVICTED, GAUGE, "agentgateway_upstream_evicted_endpoints",                                    \
      "Endpoints that are left out now.")                                                                    \
    X(UPSTREAM_CHECKS, COUNTER, "agentgateway_upstream_health_checks_total",                                 \
      "Active checks of endpoints that were begun.")                                                         \
    X(UPSTREAM_CHECK_FAILURES, COUNTER, "agentgateway_upstream_health_check_failures_total",                 \
      "Active checks that an endpoint did not pass.")                                                        \
    X(UPSTREAM_DOWN, GAUGE, "agentgateway_upstream_unhealthy_endpoints",                                     \
      "Endpoints that do not pass their active checks now.")                                                 \
    X(RETRIES, COUNTER, "agentgateway_retries_total", "Requests sent again as a retry policy says.")         \
    X(RETRIES_DENIED, COUNTER, "agentgateway_retries_denied_total",                                          \
      "Retries that the budget did not allow.")                                                              \
    X(MIRRORS, COUNTER, "agentgateway_mirrors_total", "Copies of requests sent to mirrors.")                 \
    X(MIRRORS_DROPPED, COUNTER, "agentgateway_mirrors_dropped_total",                                        \
      "Copies that were not sent, or not to their end.")                                                     \
    X(KEY_FETCHES, COUNTER, "agentgateway_key_fetches_total", "Fetches of issuers' keys that have ended.")   \
    X(KEY_FETCH_FAILURES, COUNTER, "agentgateway_key_fetch_failures_total",                                  \
      "Fetches of issuers' keys that gave none.")                                                            \
    X(KEYS_STALE, COUNTER, "agentgateway_keys_stale_total",                                                  \
      "Tokens checked by keys that had outlived their time.")                                                \
    X(MCP_REQUESTS, COUNTER, "agentgateway_mcp_requests_total", "MCP messages by method and target.",        \
      "backend", "method", "target")                                                                         \
    X(MCP_LISTS, COUNTER, "agentgateway_mcp_list_pages_total",                                               \
      "Pages of targets' lists: kept ones, and those that were asked for.", "backend", "result")             \
    X(MCP_SKIPPED, COUNTER, "agentgateway_mcp_targets_skipped_total",                                        \
      "Times that a target was not asked with others because it had failed again and again.", "backend",     \
      "target")                                                                                              \
    X(A2A_REQUESTS, COUNTER, "agentgateway_a2a_requests_total", "Calls to A2A agents by method.", "backend", \
      "method")                                                                                              \
    X(A2A_STATES, COUNTER, "agentgateway_a2a_task_states_total",                                             \
      "Answers of A2A agents by the state of the task that they told last.", "backend", "state")             \
    X(A2A_ERRORS, COUNTER, "agentgateway_a2a_errors_total", "JSON-RPC errors that A2A agents answered.",     \
      "backend", "code")                                                                                     \
    X(GRPC_REQUESTS, COUNTER, "agentgateway_grpc_requests_total",                                            \
      "gRPC calls that have ended, by the status sent.", "route", "backend", "grpc_status")                  \
    X(CONFIG_VERSION, GAUGE, "agentgateway_config_version", "Generation of the config that is served.")      \
    X(CONFIG_SYNCHRONIZED, GAUGE, "agentgateway_config_synchronized",                                        \
      "1 when a config has been received and applied.")                                                      \
    X(CONFIG_RELOADS, COUNTER, "agentgateway_config_reloads_total", "Configs received, by result.",          \
      "result")                                                                                              \
    X(CONFIG_PUBLISHED, GAUGE, "agentgateway_config_published_timestamp_seconds",                            \
      "When the config that is served was published, in seconds since 1970.")                                \
    X(CONFIG_HELD, GAUGE, "agentgateway_config_routes_held",                                                 \
      "Routes whose newest version waits for its backends.")                                                 \
    X(CONFIG_FROM_DISK, GAUGE, "agentgateway_config_from_disk",                                              \
      "1 while what is served was read from disk and no control plane has confirmed it.")                    \
    X(XDS_CONNECTED, GAUGE, "agentgateway_xds_connected", "1 while a stream to the control plane is open.")  \
    X(XDS_STREAMS, COUNTER, "agentgateway_xds_streams_total", "Streams opened to the control plane.")        \
    X(XDS_RESPONSES, COUNTER, "agentgateway_xds_responses_total",                                            \
      "Responses of the control plane, by type and by what was answered.", "type", "result")                 \
    X(XDS_APPLY, HISTOGRAM, "agentgateway_xds_apply_seconds",                                                \
      "From a response's bytes to its config in force on all workers.")                                      \
    X(ACCESS_LOG_DROPPED, COUNTER, "agentgateway_access_log_dropped_total",                                  \
      "Access log records that were not written.")

enum agw_metric_type { AGW_METRIC_COUNTER, AGW_METRIC_GAUGE, AGW_METRIC_HISTOGRAM };

enum agw_metric_family {
#define X(id, ...) AGW_METRIC_##id,
    AGW_METRIC_FAMILIES(X)
#undef X
        AGW_METRIC_FAMILY_COUNT
};

struct agw_metrics_registry;
struct agw_metrics; /* the part of one thread */
struct agw_metric;  /* one series */

/* Parts for |workers| workers and the config thread; sets build_info. NULL: out of memory. */
struct agw_metrics_registry *agw_metrics_registry_new(unsigned workers);
void agw_metrics_registry_free(struct agw_metrics_registry *r); /* NULL is fine */
/* The part of worker |index|; agw_check that there is one. */
struct agw_metrics *agw_metrics_shard(struct agw_metrics_registry *r, unsigned index);

/* The part of the thread that applies config. */
struct agw_metrics *agw_metrics_config_shard(struct agw_metrics_registry *r);

/* --- on the part's own thread --- */

/* The series of |labels|, which has as many values as the family has labels (none: NULL). Never NULL. */
struct agw_metric *agw_metrics_get(struct agw_metrics *m, enum agw_metric_family family,
                                   const struct agw_str *labels);
void agw_metric_add(struct agw_metric *metric, int64_t n);
void agw_metric_set(struct agw_metric *metric, uint64_t value);
void agw_metric_observe(struct agw_metric *metric, uint64_t ns); /* histograms */

struct agw_metrics_request {
    struct agw_str listener, route, backend; /* empty when there is none */
    unsigned code;                           /* status sent; 0 when the client left before one */
    uint64_t duration_ns;
};

/* Counts a request that has ended, and its duration. */
void agw_metrics_request(struct agw_metrics *m, const struct agw_metrics_request *r);

struct agw_metrics_tcp {
    struct agw_str listener, route, backend; /* empty when there is none */
    struct agw_str result;                   /* one of a fixed list */
};
/* Counts a relayed connection that has ended. */
void agw_metrics_tcp_closed(struct agw_metrics *m, const struct agw_metrics_tcp *t);

/* Counts an MCP message. |method| must come from the known ones and |target| from config, else they fill the
 * family. */
void agw_metrics_mcp(struct agw_metrics *m, struct agw_str backend, struct agw_str method,
                     struct agw_str target);

/* Counts an A2A request; |method| is one of the known ones. */
void agw_metrics_a2a(struct agw_metrics *m, struct agw_str backend, struct agw_str method);
void agw_metrics_a2a_state(struct agw_metrics *m, struct agw_str backend, struct agw_str state);
void agw_metrics_a2a_error(struct agw_metrics *m, struct agw_str backend, struct agw_str code);

/* Counts a gRPC call that has ended; |status| is its code as text, empty if none was sent. */
void agw_metrics_grpc(struct agw_metrics *m, struct agw_str route, struct agw_str backend,
                      struct agw_str status);

/* The connection counters of a bind, looked up once: agw_metrics_conn_opened and _closed take them from
 * here. */
struct agw_metrics_conns {
    struct agw_metric *open, *total;
};
void agw_metrics_conns_init(struct agw_metrics *m, struct agw_str bind, struct agw_metrics_conns *conns);
void agw_metrics_conn_opened(struct agw_metrics *m, struct agw_metrics_conns *conns);
void agw_metrics_conn_closed(struct agw_metrics *m, struct agw_metrics_conns *conns);

/* Numbers of the worker's upstream client since its start, and now. */
struct agw_metrics_upstream {
    uint64_t connects, reuses, connect_failures;
    uint64_t open, idle;
    uint64_t waiting, overflows;
    uint64_t evictions, evicted;
    uint64_t checks, check_failures, down;
};
void agw_metrics_upstream(struct agw_metrics *m, const struct agw_metrics_upstream *now);

/* Numbers of what the worker sends beside the requests themselves, since its start. */
struct agw_metrics_forward {
    uint64_t retries, retries_denied, mirrors, mirrors_dropped;
};
void agw_metrics_forward(struct agw_metrics *m, const struct agw_metrics_forward *now);

/* Numbers of issuers' keys, since the worker's start. */
void agw_metrics_keys(struct agw_metrics *m, uint64_t fetches, uint64_t failures, uint64_t stale);

/* --- on the thread that applies config --- */

void agw_metrics_config(struct agw_metrics_registry *r, uint64_t version, bool synchronized);
/* |wall_ns|: when it was published; |held|: routes that wait. */
void agw_metrics_config_published(struct agw_metrics_registry *r, uint64_t wall_ns, uint32_t held);
void agw_metrics_config_reload(struct agw_metrics_registry *r, bool ok);

/* --- before other threads start / on the reader's thread --- */

/* Adds what |read| returns to the family's series without labels. |read| is called by agw_metrics_write. */
void agw_metrics_source(struct agw_metrics_registry *r, enum agw_metric_family family,
                        uint64_t (*read)(void *ctx), void *ctx);

/* Appends all series in the Prometheus text format 0.0.4, those of one name sorted by their labels. From any
 * thread, one at a time; does not disturb the writers. AGW_ENOMEM: |out| may hold a part. */
int agw_metrics_write(struct agw_metrics_registry *r, struct agw_chain *out, struct agw_block_pool *pool);

#endif
