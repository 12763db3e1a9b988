/* The parts of one compile run. Functions return 0 or AGW_ENOMEM; everything else becomes a note. */
#ifndef AGW_CONFIG_COMPILE_INT_H
#define AGW_CONFIG_COMPILE_INT_H

#include "config/compile.h"
#include "config/snapshot_int.h"

struct agw_tls_cache;

struct agw_compiler {
    const struct agw_policy_ops *policies[AGW_POLICY_COUNT]; /* by kind; NULL: not implemented */
    bool ipv4_only;
    struct agw_tls_cache *tls;
};

struct agw_compile {
    struct agw_compiler *compiler;
    struct agw_snapshot *snap;
    struct agw_arena *arena;  /* the snapshot's */
    struct agw_arena scratch; /* this run's */
    struct agw_notes *notes;
    struct agw_map by_id;     /* id -> struct agw_resource, of those that are compiled */
    struct agw_map targets;   /* target text -> struct agw_policy_target */
    struct agw_map confs;     /* compiled policies by spec */
    struct agw_map variants;  /* backends by key and policies */
    struct agw_map members;   /* "ns/host" -> the workloads of that service */
    struct agw_map listeners; /* key -> struct agw_compile_listener */
    struct agw_map hosts;     /* listener key and host -> struct agw_compile_host */
    struct agw_compile_host *host_list;
    struct agw_backend **backends;
    uint32_t backend_cap;
};

/* The resources of one kind, sorted by key. */
#define agw_compile_each(c, kind, i, r)                                                                      \
    for ((i) = 0;                                                                                            \
         (i) < (c)->snap->private->resource_count[kind] && ((r) = (c)->snap->private->resources[kind][i]);   \
         (i)++)

struct agw_resource *agw_compile_find(struct agw_compile *c, enum agw_resource_kind kind, struct agw_str key);
int agw_compile_note(struct agw_compile *c, enum agw_note_level level, const struct agw_resource *r,
                     const char *format, ...) __attribute__((format(printf, 4, 5)));
#define agw_compile_warn(c, r, ...) agw_compile_note(c, AGW_NOTE_WARNING, r, __VA_ARGS__)
#define agw_compile_error(c, r, ...) agw_compile_note(c, AGW_NOTE_ERROR, r, __VA_ARGS__)
/* A compiled regex owned by the snapshot; *ret_regex is NULL when the pattern is bad (a warning says so). */
int agw_compile_regex(struct agw_compile *c, const struct agw_resource *r, const char *what,
                      const char *pattern, struct agw_regex **ret_regex);

/* --- compile_policy.c --- */
/* What wins for each kind at one place, while levels are merged. */
struct agw_spec {
    const void *message; /* of the policy's own type; NULL: none */
    const struct agw_resource *owner;
    bool locked; /* inheritance OVERRIDE: nothing later replaces it */
};

struct agw_specs {
    struct agw_spec v[AGW_POLICY_COUNT];
    const char
        *refuse; /* a policy that must not be skipped cannot run: requests are answered 500 with this */
};

/* Files all Policy resources under their targets; warns about what is not supported. */
int agw_compile_policies(struct agw_compile *c);
/* Adds what is aimed at a target to route-phase specs: later calls win. Targets are texts:
 * gateway/NS/NAME[/listener/L], listener_set/NS/NAME[/S], route/KIND/NS/NAME[/RULE], service/NS/HOST[/PORT],
 * backend/NS/NAME[/SECTION]. */
void agw_compile_traffic_at(struct agw_compile *c, struct agw_specs *s, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Adds to backend-phase specs: earlier calls win. */
void agw_compile_backend_at(struct agw_compile *c, struct agw_specs *s, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same for policies inside |owner|. */
void agw_compile_inline_traffic(struct agw_compile *c, struct agw_specs *s, const struct agw_resource *owner,
                                Pb__TrafficPolicySpec *const *specs, size_t count);
void agw_compile_inline_backend(struct agw_compile *c, struct agw_specs *s, const struct agw_resource *owner,
                                Pb__BackendPolicySpec *const *specs, size_t count);
/* Warns about those that are not supported; once an owner. */
int agw_compile_check_traffic(struct agw_compile *c, const struct agw_resource *owner,
                              Pb__TrafficPolicySpec *const *specs, size_t count);
int agw_compile_check_backend(struct agw_compile *c, const struct agw_resource *owner,
                              Pb__BackendPolicySpec *const *specs, size_t count);
/* Adds from |from| the kinds that |s| does not have. */
void agw_compile_inherit(struct agw_specs *s, const struct agw_specs *from);
/* Compiles what won. A policy that fails makes an error note and sets |s->refuse|. */
int agw_compile_set(struct agw_compile *c, struct agw_specs *s, struct agw_policy_set *ret_set);

/* --- compile_backend.c --- */
/* Backend-phase policies on the way to a backend, most specific first; between |route| and |listener| come
 * those of the backend itself. */
struct agw_backend_levels {
    const struct agw_specs *own; /* the reference's */
    const struct agw_specs *route, *listener;
};

/* Warns about backends of kinds that are not supported, and about their policies. */
int agw_compile_check_backends(struct agw_compile *c);
/* The backend that |ref| (NULL: none given) names. Never NULL on success. */
int agw_compile_reference(struct agw_compile *c, const Pb__BackendReference *ref,
                          const struct agw_backend_levels *levels, const struct agw_backend **ret_backend);
/* Compiles the part of |own| that the reference itself runs: what says nothing about the connection. */
int agw_compile_own(struct agw_compile *c, const struct agw_specs *own, struct agw_policy_set *ret_set);
/* A backend that answers 500; |reason| lives as long as the snapshot. */
int agw_compile_invalid(struct agw_compile *c, struct agw_str key, const char *reason,
                        const struct agw_backend **ret_backend);

/* --- compile_endpoint.c --- */
/* Files workloads under their services. */
int agw_compile_members(struct agw_compile *c);
/* Give |b| its endpoints; a bad address or TLS setting makes an error note and |*ret_reason|. */
int agw_compile_static_endpoint(struct agw_compile *c, struct agw_backend *b, const struct agw_resource *r,
                                struct agw_transport *t, const char **ret_reason);
int agw_compile_service_endpoints(struct agw_compile *c, struct agw_backend *b,
                                  const struct agw_resource *service, uint32_t port, struct agw_transport *t,
                                  const char **ret_reason);

/* --- compile_bind.c --- */
/* A listener being compiled: what routes attach to. */
struct agw_compile_listener {
    struct agw_listener *out;
    const struct agw_resource *resource;
    struct agw_specs traffic, backend; /* of gateway and listener */
};

int agw_compile_binds(struct agw_compile *c);

/* --- compile_route.c --- */
int agw_compile_routes(struct agw_compile *c);

/* --- tls_cache.c --- */
struct agw_tls_cache *agw_tls_cache_new(void);
void agw_tls_cache_free(struct agw_tls_cache *cache);
/* Begins a run; agw_tls_cache_sweep drops what was not asked for since. */
void agw_tls_cache_begin(struct agw_tls_cache *cache);
void agw_tls_cache_sweep(struct agw_tls_cache *cache);
/* A context for this content, new or kept; the caller gets its own reference. AGW_ENOMEM, or as
 * agw_tls_server_new. */
int agw_tls_cache_server(struct agw_tls_cache *cache, struct agw_str cert, struct agw_str key,
                         struct agw_tls_server **ret_server, struct agw_error *err);
/* *ret_id tells contexts of different content apart. */
int agw_tls_cache_client(struct agw_tls_cache *cache, const struct agw_tls_client_conf *conf,
                         struct agw_tls_client **ret_client, uint64_t *ret_id, struct agw_error *err);

#endif
