/* The seam for policies: one file a policy in lib/policy, run in the fixed order of the kinds below.
 *
 * A policy is a const struct agw_policy_ops. The compiler calls |compile| once for each place it is attached
 * to; workers call |request| and |response| with that configuration. Nothing here may block or keep pointers
 * past the exchange. Threads: compile on the config thread; the rest on any worker. */
#ifndef AGW_CONFIG_POLICY_H
#define AGW_CONFIG_POLICY_H

#include "base/arena.h"
#include "base/err.h"
#include "config/access.h"
#include "http/msg.h"
#include "net/addr.h"
#include "tls/tls.h"

struct agw_route;
struct agw_match;
struct agw_listener;
struct agw_backend;
struct agw_resource;
struct agw_backend_auth; /* config/backend_auth.h */

/* Kinds in the order in which they run on requests (reference order of phases); responses run in list order
 * too. */
#define AGW_POLICY_LIST(X)                                                                                   \
    X(TIMEOUT, "timeout")                                                                                    \
    X(CORS, "cors")                                                                                          \
    X(JWT, "jwtAuthentication")                                                                              \
    X(RETRY, "retry")                                                                                        \
    X(SESSION_PERSISTENCE, "sessionPersistence")                                                             \
    X(MIRROR, "requestMirror")                                                                               \
    X(RESPONSE_HEADERS, "responseHeaderModifier")                                                            \
    X(REQUEST_HEADERS, "requestHeaderModifier")                                                              \
    X(HOST_REWRITE, "hostRewrite")                                                                           \
    X(URL_REWRITE, "urlRewrite")                                                                             \
    X(REDIRECT, "requestRedirect")                                                                           \
    X(DELAY, "delay")                                                                                        \
    X(DIRECT_RESPONSE, "directResponse")                                                                     \
    X(BACKEND_TLS, "backendTLS")                                                                             \
    X(BACKEND_HTTP, "backendHTTP")                                                                           \
    X(BACKEND_TCP, "backendTCP")                                                                             \
    X(BACKEND_HEALTH, "health")                                                                              \
    X(LOAD_BALANCER, "loadBalancer")                                                                         \
    X(BACKEND_REQUEST_HEADERS, "backendRequestHeaderModifier")                                               \
    X(BACKEND_RESPONSE_HEADERS, "backendResponseHeaderModifier")                                             \
    X(A2A, "a2a")                                                                                            \
    X(MCP_AUTHENTICATION, "mcpAuthentication")                                                               \
    X(BACKEND_AUTH, "auth")                                                                                  \
    X(MCP_AUTHORIZATION_1, "mcpAuthorization") /* they add up: one does not replace another */               \
    X(MCP_AUTHORIZATION_2, "mcpAuthorization")                                                               \
    X(MCP_AUTHORIZATION_3, "mcpAuthorization")                                                               \
    X(MCP_AUTHORIZATION_4, "mcpAuthorization")                                                               \
    X(MCP_AUTHORIZATION_5, "mcpAuthorization")                                                               \
    X(MCP_AUTHORIZATION_6, "mcpAuthorization")                                                               \
    X(MCP_AUTHORIZATION_7, "mcpAuthorization")                                                               \
    X(MCP_AUTHORIZATION_8, "mcpAuthorization")

enum agw_policy_kind {
#define X(name, text) AGW_POLICY_##name,
    AGW_POLICY_LIST(X)
#undef X
        AGW_POLICY_COUNT
};

/* Kinds of which several are in force at once have AGW_ACCESS_POLICIES_MAX places, this being the first. */
#define AGW_POLICY_MCP_AUTHORIZATION AGW_POLICY_MCP_AUTHORIZATION_1

enum agw_verdict {
    AGW_CONTINUE,
    AGW_RESPOND,
    AGW_WAIT,    /* route phase only: go on with the next one after ctx->wait_ms */
    AGW_AWAIT,   /* ask the same one again when ctx->keys has news */
    AGW_FORWARD, /* to the backend ctx->forward instead, past all other policies of the way */
};

/* Where an issuer publishes its keys (JSON Web Key Set). */
struct agw_key_source {
    uint32_t backend;  /* for agw_snapshot_backend */
    uint32_t fresh_ms; /* keys are good for */
    struct agw_str path;
};

struct agw_jwks;
struct agw_snapshot;

/* Who has them: lib/keys, for policies that need not know it. One a worker; the loop's own thread. */
struct agw_key_finder {
    /* Keys of |source| of |s|, valid until the loop's next turn. |unknown|: they are known, and lack the one
     * that a token names. AGW_EAGAIN: they are coming. AGW_ENOTFOUND: they cannot be had now. */
    int (*find)(struct agw_key_finder *f, const struct agw_snapshot *s, const struct agw_key_source *source,
                bool unknown, const struct agw_jwks **ret_keys);
    /* The same of a JSON object, as its text. */
    int (*document)(struct agw_key_finder *f, const struct agw_snapshot *s,
                    const struct agw_key_source *source, struct agw_str *ret_text);
};

#define AGW_RETRY_CODE_MIN 400
#define AGW_RETRY_CODE_MAX 599

struct agw_retry {
    uint32_t attempts;   /* besides the first */
    uint32_t backoff_ms; /* 0: the gateway's own */
    uint64_t codes[4];   /* bit by status - AGW_RETRY_CODE_MIN */
};

static inline bool agw_retry_has(const struct agw_retry *r, int status)
{
    unsigned bit = (unsigned)status - AGW_RETRY_CODE_MIN;
    return bit <= AGW_RETRY_CODE_MAX - AGW_RETRY_CODE_MIN && (r->codes[bit / 64] >> bit % 64 & 1);
}

/* Sessions of clients that stay with one backend and endpoint. */
struct agw_persistence {
    bool header;         /* else a cookie */
    bool permanent;      /* the cookie outlives the browser */
    struct agw_str name; /* of the cookie or header (lower case); empty: agw_route.session_name */
    uint32_t absolute_s; /* a session's life; 0: any */
    uint32_t idle_s;     /* between two requests; 0: any */
};

/* What a policy may see and change. Made by the exchange; lives as long as it. */
struct agw_policy_ctx {
    struct agw_arena *arena;
    struct agw_msg *req; /* as it will be sent upstream */
    struct agw_msg
        *resp; /* response phase, or filled by a policy that answers AGW_RESPOND (status, headers) */
    struct agw_str resp_body;                         /* AGW_RESPOND: body, in the arena or static */
    struct agw_str original_authority, original_path; /* as the client sent them */
    bool tls;                                         /* the client's connection */
    const struct agw_filter *tls_filter; /* of it, for agw_tls_peer: who the client is; NULL: plain */
    uint16_t port;                       /* the listener's port */
    const struct agw_addr *client;
    struct agw_str client_identity; /* SPIFFE id, verified; empty: not known */
    const struct agw_listener *listener;
    const struct agw_route *route;
    const struct agw_match *match;
    const struct agw_backend *backend;
    uint32_t request_timeout_ms, backend_timeout_ms; /* 0: none */
    const struct agw_retry *retry;                   /* NULL: none */
    const struct agw_persistence *persistence;       /* NULL: none */
    uint32_t wait_ms;                                /* AGW_WAIT */
    uint32_t resume;            /* the policy to go on with: not the first, after a wait */
    struct agw_str cors_origin; /* the client's, if it is allowed; else empty */
    bool cors_preflight;
    const struct agw_json_doc *claims;           /* of the client's token, verified; NULL: none */
    struct agw_str token;                        /* that token, taken off the request; empty: none */
    uint64_t wall_ns;                            /* when the request came */
    const struct agw_backend_auth *backend_auth; /* of an MCP backend's targets; NULL: none */
    const struct agw_access_rules *access[AGW_ACCESS_POLICIES_MAX]; /* that all have a say, for lib/mcp */
    uint32_t access_count;
    struct agw_key_finder *keys; /* NULL: none */
    const struct agw_snapshot *snap;
    uint32_t forward;   /* AGW_FORWARD: a number for agw_snapshot_backend */
    bool open_to_pages; /* the answer may be read by any page */
    bool host_set;      /* the upstream's Host is decided: a backend's own name does not replace it */
};

/* When an endpoint that fails is left out for a while. The times of one endpoint add up: the second time it
 * is out twice as long. */
struct agw_eviction {
    uint32_t duration_ms;
    uint32_t failures;     /* in a row; 0: this does not count */
    double health;         /* out when its health falls below; 0: this does not count */
    double restore_health; /* its health when it comes back; negative: as it was */
};

/* What tells endpoints that work from those that do not, without a client's request. */
struct agw_health_check {
    uint32_t interval_ms, timeout_ms;
    uint32_t unhealthy, healthy; /* in a row */
    bool http;                   /* else a connection is all */
    struct agw_str path, host;   /* host: empty: the endpoint's own name or address */
    uint64_t statuses[8];        /* bit by status - 100 */
};

/* How a request's endpoint is chosen. */
enum agw_balance_way {
    AGW_BALANCE_TWO_CHOICES, /* by health, latency and load */
    AGW_BALANCE_ROUND_ROBIN,
    AGW_BALANCE_HASH /* requests of one value go to one endpoint; those without one by two choices */
};

enum agw_hash_source { AGW_HASH_SOURCE_IP, AGW_HASH_HEADER, AGW_HASH_COOKIE, AGW_HASH_QUERY };

struct agw_load_balancer {
    enum agw_balance_way way;
    enum agw_hash_source source;
    struct agw_str name;    /* of the header (lower case), the cookie or the parameter */
    uint32_t slow_start_ms; /* an endpoint that joins or comes back gets its whole share after; 0: at once */
};

/* How a backend is reached, gathered while it is compiled. The strings of |tls_conf| live as long as the
 * snapshot. */
struct agw_transport {
    bool tls;
    const struct agw_resource *tls_owner; /* whose policy asks for TLS */
    struct agw_tls_client_conf tls_conf;
    bool http1, http2; /* the protocol a policy asks for; neither: the backend's own, or by ALPN */
    bool a2a;
    const char *warning; /* set by |transport|: a part of the policy that has no effect, and why; static */
    bool evict;          /* by |eviction| */
    struct agw_eviction eviction;
    const struct agw_health_check *check; /* NULL: none. As |balancer|, in the part that is being made */
    bool balance;                         /* by |balancer| */
    struct agw_load_balancer balancer;
    uint32_t connect_ms; /* 0: the default */
    struct agw_keepalive keepalive;
    bool raw; /* the connection is relayed: no HTTP protocol is offered by ALPN unless a policy says so */
};

struct agw_policy_ops {
    enum agw_policy_kind kind;
    /* |compile| copies what it takes from |spec|: messages of routes and backends need not be kept then,
     * which take more memory than all that is made of them. */
    bool own_conf;
    /* |spec| is the policy's message as in proto/resource.proto (its own type) and lives as long as the
     * snapshot, unless |own_conf|; *ret_conf lives in |arena|. NULL: |spec| is the configuration. AGW_EINVAL
     * / AGW_EUNSUPPORTED with the field and the reason, AGW_ENOMEM. */
    int (*compile)(const void *spec, struct agw_arena *arena, const void **ret_conf, struct agw_error *err);
    /* What it refers to: a BackendReference for the |i|th, NULL behind the last. NULL: it never does. */
    const void *(*reference)(const void *spec, uint32_t i);
    /* The number of the |i|th backend (for agw_snapshot_backend), before |conf| is published. */
    void (*resolved)(const void *conf, uint32_t i, uint32_t backend);
    /* Backend kinds: what it says about the connection; NULL: nothing. Errors as compile's. */
    int (*transport)(const void *spec, struct agw_arena *arena, struct agw_transport *t,
                     struct agw_error *err);
    enum agw_verdict (*request)(const void *conf, struct agw_policy_ctx *ctx); /* NULL: nothing to do */
    void (*response)(const void *conf, struct agw_policy_ctx *ctx);            /* NULL: nothing to do */
    /* On the response after all others, those of the backend too. NULL: nothing to do. */
    void (*last)(const void *conf, struct agw_policy_ctx *ctx);
};

struct agw_policy_use {
    const struct agw_policy_ops *ops;
    const void *conf;
};

/* Policies of one place, sorted by kind. */
struct agw_policy_set {
    const struct agw_policy_use *v;
    uint32_t count;
};

/* Runs the request side in order; the first verdict that is not CONTINUE ends it. */
static inline enum agw_verdict agw_policy_request(const struct agw_policy_set *set,
                                                  struct agw_policy_ctx *ctx)
{
    for (uint32_t i = ctx->resume; i < set->count; i++) {
        const struct agw_policy_use *use = &set->v[i];
        enum agw_verdict verdict = use->ops->request ? use->ops->request(use->conf, ctx) : AGW_CONTINUE;
        if (verdict == AGW_CONTINUE)
            continue;
        ctx->resume = verdict == AGW_WAIT ? i + 1 : verdict == AGW_AWAIT ? i : 0;
        return verdict;
    }
    ctx->resume = 0;
    return AGW_CONTINUE;
}

static inline void agw_policy_response(const struct agw_policy_set *set, struct agw_policy_ctx *ctx)
{
    for (uint32_t i = 0; i < set->count; i++) {
        const struct agw_policy_use *use = &set->v[i];
        if (use->ops->response)
            use->ops->response(use->conf, ctx);
    }
}

static inline void agw_policy_last(const struct agw_policy_set *set, struct agw_policy_ctx *ctx)
{
    for (uint32_t i = 0; i < set->count; i++) {
        const struct agw_policy_use *use = &set->v[i];
        if (use->ops->last)
            use->ops->last(use->conf, ctx);
    }
}

#endif
