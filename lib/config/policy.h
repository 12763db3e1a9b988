/* The seam for policies: one file a policy in lib/policy, run in the fixed order of the kinds below.
 *
 * A policy is a const struct agw_policy_ops. The compiler calls |compile| once for each place it is attached
 * to; workers call |request| and |response| with that configuration. Nothing here may block or keep pointers
 * past the exchange. Threads: compile on the config thread; the rest on any worker. */
#ifndef AGW_CONFIG_POLICY_H
#define AGW_CONFIG_POLICY_H

#include "base/arena.h"
#include "base/err.h"
#include "http/msg.h"
#include "net/addr.h"
#include "tls/tls.h"

struct agw_route;
struct agw_match;
struct agw_listener;
struct agw_backend;
struct agw_resource;

/* Kinds in the order in which they run on requests (reference order of phases); responses run in list order
 * too. */
#define AGW_POLICY_LIST(X)                                                                                   \
    X(TIMEOUT, "timeout")                                                                                    \
    X(CORS, "cors")                                                                                          \
    X(RETRY, "retry")                                                                                        \
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
    X(BACKEND_REQUEST_HEADERS, "backendRequestHeaderModifier")                                               \
    X(BACKEND_RESPONSE_HEADERS, "backendResponseHeaderModifier")                                             \
    X(A2A, "a2a")

enum agw_policy_kind {
#define X(name, text) AGW_POLICY_##name,
    AGW_POLICY_LIST(X)
#undef X
        AGW_POLICY_COUNT
};

enum agw_verdict {
    AGW_CONTINUE,
    AGW_RESPOND,
    AGW_WAIT, /* route phase only: go on with the next one after ctx->wait_ms */
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
    uint32_t wait_ms;                                /* AGW_WAIT */
    uint32_t resume;            /* the policy to go on with: not the first, after a wait */
    struct agw_str cors_origin; /* the client's, if it is allowed; else empty */
    bool cors_preflight;
    bool host_set; /* the upstream's Host is decided: a backend's own name does not replace it */
};

/* When an endpoint that fails is left out for a while. The times of one endpoint add up: the second time it
 * is out twice as long. */
struct agw_eviction {
    uint32_t duration_ms;
    uint32_t failures;     /* in a row; 0: this does not count */
    double health;         /* out when its health falls below; 0: this does not count */
    double restore_health; /* its health when it comes back; negative: as it was */
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
        ctx->resume = verdict == AGW_WAIT ? i + 1 : 0;
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
