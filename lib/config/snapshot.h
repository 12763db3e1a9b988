/* The compiled configuration: immutable, fully resolved, read by all workers.
 *
 * The compiler (config/compile/compile.h) makes a snapshot from the store; agw_snapshot_publish makes it
 * current. Snapshots share what is equal in them: every part is counted (base/shared.h) and goes with the
 * last snapshot that has it, after a grace period and once no worker pins one. Threads: made, counted and
 * freed on the config thread; read on any. Workers pin with their own index only. */
#ifndef AGW_CONFIG_SNAPSHOT_H
#define AGW_CONFIG_SNAPSHOT_H

#include <stdint.h>
#include "base/arena.h"
#include "base/map.h"
#include "base/pmap.h"
#include "client/client.h"
#include "config/policy.h"
#include "http/front.h"
#include "http/msg.h"
#include "http/origin.h"
#include "net/addr.h"
#include "regex/regex.h"
#include "tls/tls.h"

struct agw_route;
struct agw_backend;

enum agw_bind_protocol {
    AGW_BIND_HTTP,
    AGW_BIND_TLS,
    AGW_BIND_TCP,
    AGW_BIND_HBONE /* tunnels to the other binds of its gateway, by port */
};

/* --- backends --- */
enum agw_backend_kind {
    AGW_BACKEND_STATIC,  /* one endpoint */
    AGW_BACKEND_SERVICE, /* endpoints of a service's port */
    AGW_BACKEND_DYNAMIC, /* where the request's authority says: endpoints[0] has all but host and port */
    AGW_BACKEND_MCP,     /* targets behind one /mcp */
    AGW_BACKEND_INVALID, /* a reference that does not resolve: 500 with |reason| */
};

#define AGW_MCP_PINNED_MAX 64         /* each tool of a list is held against all */
#define AGW_MCP_SEARCH_RESULTS_MAX 50 /* more is what search is to keep out of a context */
#define AGW_MCP_SEARCH_RESULTS 5      /* if the config does not say */
#define AGW_MCP_TOOL_RULES_MAX 256    /* of a backend: each name that is looked up is held against all */
#define AGW_MCP_TARGETS_MAX                                                                                  \
    128 /* of one backend: a session's id carries them all, and a head has room for no more */

enum agw_mcp_protocol {
    AGW_MCP_STREAMABLE_HTTP,
    AGW_MCP_SSE, /* HTTP+SSE of 2024-11-05 */
    AGW_MCP_STDIO,
    AGW_MCP_OPENAPI, /* an HTTP API: operations of its document are the tools */
};

struct agw_openapi; /* mcp/openapi/openapi.h */

/* A process that is a target. */
struct agw_mcp_stdio {
    const char *const *argv; /* NULL at the end, argv[0] is looked for in PATH */
    const char *const *env;  /* "NAME=VALUE", NULL at the end: over the gateway's own, or alone */
    bool clear_env;
};

struct agw_mcp_target {
    struct agw_str name;
    struct agw_backend *backend; /* STATIC or SERVICE: where it is; NULL: a process */
    struct agw_str path;         /* "/mcp" or "/sse" if the config names none */
    enum agw_mcp_protocol protocol;
    const struct agw_mcp_stdio *stdio;
    const struct agw_openapi *openapi;
    const struct agw_backend_auth *auth; /* of its own backend; NULL: as the MCP backend's */
};

/* What a virtual server says of tools of one target: see mcp/virtual/select.h. */
struct agw_mcp_tool_rule {
    uint32_t target;
    struct agw_str name, pattern;              /* one of them is empty */
    struct agw_str rename, title, description; /* empty: as the target has it */
};

/* Tools are found, not listed: see mcp/virtual/search.h. */
struct agw_mcp_tool_search {
    const struct agw_str *pinned; /* names, as clients see them: listed all the same */
    uint32_t pinned_count;
    uint32_t max_results;
};

enum agw_mcp_prefix { AGW_MCP_PREFIX_CONDITIONAL, AGW_MCP_PREFIX_ALWAYS, AGW_MCP_PREFIX_NEVER };

struct agw_mcp_backend {
    struct agw_mcp_target *targets;
    uint32_t count;
    bool stateless;
    bool fail_open;
    enum agw_mcp_prefix prefix;
    const struct agw_origin_pattern *origins; /* pages that may ask, besides those of the gateway's hosts */
    uint32_t origin_count;
    const struct agw_mcp_tool_rule *rules;    /* the tools that are shown */
    uint32_t rule_count;                      /* 0: all of them are, as they are */
    const struct agw_mcp_tool_search *search; /* NULL: all that are shown are listed */
};

/* Where an endpoint stands among those of its backend. */
struct agw_place {
    uint32_t bucket; /* 0: nearest; the list is sorted by it */
    uint32_t weight;
};

struct agw_backend {
    struct agw_shared shared;
    struct agw_str key;  /* "ns/name", "service/ns/host:port" */
    struct agw_str name; /* for metrics and logs: "ns/name" or "host:port" */
    enum agw_backend_kind kind;
    const char *reason;                    /* INVALID: why, for logs */
    const struct agw_endpoint **endpoints; /* STATIC, SERVICE, DYNAMIC; healthy ones only */
    uint32_t endpoint_count;
    const struct agw_place *places;           /* by endpoint; NULL: all in bucket 0 and of weight 1 */
    const struct agw_eviction *eviction;      /* NULL: none is ever left out */
    const struct agw_health_check *check;     /* NULL: none */
    const struct agw_load_balancer *balancer; /* NULL: two choices, without slow start */
    uint64_t serial;                          /* another for each struct agw_backend ever made */
    bool is_a2a;              /* an A2A agent: cards are rewritten, JSON-RPC methods counted */
    struct agw_str auto_host; /* STATIC by name: the authority to send, unless a policy decided; else empty */
    const struct agw_mcp_backend *mcp;
    /* Backend phase: all levels merged, but for the kinds that the backendRef itself sets. */
    struct agw_policy_set policies;
    struct agw_str id_text; /* the key in the snapshot's map, which goes by number alone: empty */
    uint32_t id;            /* for agw_snapshot_backend */
};

/* Where a share of the requests goes besides. */
struct agw_mirror_ref {
    uint32_t backend; /* a number as in struct agw_backend_ref */
    uint32_t share;   /* of AGW_MIRROR_ALL */
};
#define AGW_MIRROR_ALL 1000000

struct agw_mirror_refs {
    const struct agw_mirror_ref *v;
    uint32_t count;
};

/* By number, not by pointer: what becomes of a backend does not touch the routes to it. One backend may stand
 * for several struct agw_backend (same key, other id) where routes reach it by different policies. */
struct agw_backend_ref {
    uint32_t weight;
    uint32_t backend;               /* INVALID ones stand for what does not resolve */
    struct agw_policy_set policies; /* the backendRef's own; no kind that the backend has too */
    struct agw_mirror_refs mirrors;
};

/* --- routes --- */
enum agw_path_kind { AGW_PATH_EXACT, AGW_PATH_PREFIX, AGW_PATH_REGEX };

struct agw_value_match { /* header or query parameter */
    struct agw_str name; /* headers: lower case */
    struct agw_str value;
    struct agw_regex *regex; /* NULL: exact */
};

/* One match of one route rule; a route with three matches gives three. */
struct agw_match {
    enum agw_path_kind path_kind;
    uint32_t order;      /* within the route */
    struct agw_str path; /* PREFIX: without trailing slash */
    struct agw_regex *path_regex;
    struct agw_str method; /* empty: any */
    const struct agw_value_match *headers, *query;
    uint32_t header_count, query_count;
    const struct agw_route *route;
};

struct agw_route { /* one rule of an HTTPRoute, or of a TCPRoute or TLSRoute */
    struct agw_shared shared;
    struct agw_str key;   /* as on the wire */
    struct agw_str label; /* "ns/name" for metrics */
    uint64_t created_ns;  /* 0: unknown */
    const struct agw_backend_ref *backends;
    uint32_t backend_count;
    uint32_t weight_total;
    struct agw_policy_set policies; /* route phase */
    struct agw_mirror_refs mirrors;
    uint32_t request_timeout_ms, backend_timeout_ms; /* 0: none */
};

/* Matches of one path (or all regular expressions of a host), in order of precedence. Holds their routes. */
struct agw_match_group {
    struct agw_shared shared;
    struct agw_str path;
    uint32_t count;
    const struct agw_match *matches[];
};

/* Most '/' in a prefix: what Gateway API's 1,024 characters of a path can hold. Bounds what one look-up
 * probes. */
#define AGW_PATH_DEPTH 512

/* FNV-1a, continued from |hash| (AGW_PATH_HASH to begin): one pass over a request's path gives all its
 * prefixes' hashes. */
#define AGW_PATH_HASH 0xcbf29ce484222325ull
static inline uint64_t agw_path_hash(uint64_t hash, const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        hash = (hash ^ (unsigned char)p[i]) * 0x100000001b3ull;
    return hash;
}

/* What one hostname's requests are matched against: exact paths, then prefixes from the longest, then the
 * regular expressions. */
struct agw_host_bucket {
    struct agw_shared shared;
    struct agw_str host;                     /* "a.b", or ".b" for "*.b", empty: any */
    struct agw_pmap exact, prefix;           /* path, by agw_path_hash -> struct agw_match_group */
    struct agw_match_group *regex;           /* NULL: none */
    uint32_t prefix_longest, prefix_deepest; /* bytes and '/' of the longest and deepest prefix, or more */
};

/* --- binds --- */
struct agw_listener {
    struct agw_shared shared;
    struct agw_str key, name, gateway; /* gateway: "ns/name" */
    struct agw_str label;              /* "ns/gateway[/ns/listener set]/listener" for metrics */
    struct agw_str hostname;           /* lower case; "*.x" or empty */
    bool tls;
    bool l4;          /* TCP or TLS: connections are relayed to a backend, whatever they carry */
    bool passthrough; /* TLS that the backend ends; else |tls| says whether it is ended here */
    struct agw_tls_server
        *tls_server;        /* HTTPS, TLS; NULL when its certificate is bad: handshakes are refused */
    uint32_t handshake_ms;  /* 0: no policy says */
    struct agw_front front; /* TLS; else the listener is not known when a connection begins */
    struct agw_pmap hosts;  /* exact and ".suffix" keys, "" for any, by agw_hash -> struct agw_host_bucket */
    const struct agw_host_bucket *any; /* routes without hostname, or NULL */
    bool names, wildcards;             /* |hosts| has other keys than "", and suffixes */
    uint16_t port;
};

/* What is expected in front of a connection's first byte (net/proxy.h). */
struct agw_proxy_use {
    unsigned versions; /* 0: no PROXY header */
    bool optional;
};

struct agw_bind {
    struct agw_shared shared;
    struct agw_str key;
    enum agw_bind_protocol protocol;
    struct agw_addr *addrs; /* to listen on */
    uint32_t addr_count;
    uint16_t port;
    struct agw_proxy_use proxy;
    struct agw_front front; /* of connections without TLS */
    struct agw_keepalive keepalive;
    bool peek; /* TLS: the ClientHello decides whether a connection is HTTP, and whether TLS ends here */
    const struct agw_listener **listeners;
    uint32_t listener_count;
    uint32_t handshake_ms; /* the longest of the listeners': which is meant is not known yet; 0: none says */
};

#define AGW_MAX_WORKERS 256

struct agw_snapshot {
    struct agw_arena arena;
    uint64_t generation; /* 1, 2, ... */
    uint64_t made_wall_ns;
    const struct agw_bind **binds; /* sorted by key */
    uint32_t bind_count;
    struct agw_pmap backends; /* by id -> struct agw_backend */
    uint32_t route_count, listener_count;
    struct agw_snapshot_private *private; /* pins, resources to release, dump source */
};

/* --- reading --- */
/* The current snapshot, NULL before the first. Worker: valid until its next quiescent state, unless pinned.
 */
struct agw_snapshot *agw_snapshot_current(void);
/* Keeps |s| alive beyond the turn. |worker| is the caller's own index. */
void agw_snapshot_pin(struct agw_snapshot *s, unsigned worker);
void agw_snapshot_unpin(struct agw_snapshot *s, unsigned worker);
/* The index of the one other thread that may pin: the admin pages'. */
unsigned agw_snapshot_admin(void);
/* The backend that a reference names. Never NULL. */
const struct agw_backend *agw_snapshot_backend(const struct agw_snapshot *s, uint32_t id);
const struct agw_bind *agw_snapshot_bind(const struct agw_snapshot *s, struct agw_str key); /* NULL: none */

/* --- writing: the config thread alone --- */
/* How many workers there are, before the first snapshot is made (AGW_MAX_WORKERS without). */
void agw_snapshot_workers(unsigned count);
/* Makes |s| current. Older ones are freed by agw_snapshot_reclaim when nobody uses them. */
void agw_snapshot_publish(struct agw_snapshot *s);
/* Waits a grace period and frees old snapshots that no worker pins. Returns how many are still held. */
unsigned agw_snapshot_reclaim(void);
/* Frees a snapshot that was not published. NULL is fine. */
void agw_snapshot_free(struct agw_snapshot *s);
/* At exit, after all workers are gone. */
void agw_snapshot_shutdown(void);

#endif
