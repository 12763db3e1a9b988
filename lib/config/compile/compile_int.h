/* The parts of the compiler. Functions return 0 or AGW_ENOMEM; everything else becomes a note.
 *
 * Records (struct agw_..._rec, agw_variant) are what the compiler knows of a resource from run to run; units
 * are what it makes of them: immutable, counted, shared by snapshots. A run marks the records that a change
 * touches and makes their units anew, in the order listeners, routes, backends. */
#ifndef AGW_CONFIG_COMPILE_COMPILE_INT_H
#define AGW_CONFIG_COMPILE_COMPILE_INT_H

#include "base/list.h"
#include "config/compile/compile.h"
#include "config/snapshot_build.h"
#include "config/tls/cache.h"

/* Where |wanted| is, or belongs, among |n| items in the order of their keys; |key_of| is the key of item
 * |at|. */
#define agw_place_of(n, wanted, at, key_of)                                                                  \
    ({                                                                                                       \
        uint32_t low_ = 0, high_ = (n);                                                                      \
        while (low_ < high_) {                                                                               \
            uint32_t at = low_ + (high_ - low_) / 2;                                                         \
            if (agw_str_cmp(key_of, wanted) < 0)                                                             \
                low_ = at + 1;                                                                               \
            else                                                                                             \
                high_ = at;                                                                                  \
        }                                                                                                    \
        low_;                                                                                                \
    })

struct agw_listener_rec;
struct agw_unit;

/* Units of one kind mostly need as much memory as the one before: so much is taken in one block. */
enum agw_unit_room { AGW_ROOM_ROUTE, AGW_ROOM_BACKEND, AGW_ROOM_OTHER, AGW_ROOMS };
#define AGW_UNIT_ROOM 256 /* beside the object, for the first */

struct agw_compiler {
    const struct agw_policy_ops *policies[AGW_POLICY_COUNT]; /* by kind; NULL: not implemented */
    bool ipv4_only, local;
    uint64_t hold_ns;
    struct agw_self self;
    struct agw_resource *own; /* the gateway's workload, held; NULL: not seen */
    struct agw_tls_cache *tls;
    struct agw_tls_own *certificate; /* the gateway's own in a mesh, or NULL */
    bool told_plain;                 /* a note said that HBONE is not used */
    struct agw_store *seen;          /* what the last run compiled */
    uint32_t runs;
    bool back;   /* the next run's, see struct agw_compile */
    bool broken; /* memory ran out half-way: nothing below is to be trusted */

    struct agw_map targets;   /* target text -> struct target (policy.c) */
    struct agw_map confs;     /* policy and kind -> struct shared_conf (policy.c) */
    struct agw_map members;   /* "ns/host" -> struct members (endpoint.c) */
    struct agw_map sources;   /* resource id -> struct agw_source_rec */
    struct agw_map variants;  /* identity -> struct agw_variant */
    struct agw_map listeners; /* key -> struct agw_listener_rec */
    struct agw_map routes;    /* resource id -> struct agw_route_rec */
    struct agw_list dirty_listeners, dirty_routes, dirty_variants;
    struct agw_list mcp_variants;
    struct agw_list settling; /* routes with a version that is not served yet */
    uint32_t held;
    struct policy_ref *policy_refs; /* backends that policies refer to */

    struct agw_bind_rec *binds; /* sorted by key */
    uint32_t bind_count;
    bool binds_changed;
    struct agw_pmap backends; /* for the next snapshot */
    uint32_t *free_ids, free_id_count, free_id_cap, next_id;
    uint64_t serials; /* of backends made; never begins anew */
    uint32_t route_count, listener_count;
    uint32_t rooms[AGW_ROOMS]; /* what the last unit of each kind needed, bytes */
};

/* One run. */
struct agw_compile {
    struct agw_compiler *compiler;
    const struct agw_store *store;
    struct agw_arena *arena;  /* of the unit being made */
    struct agw_arena scratch; /* this run's */
    struct agw_notes *notes;
    struct agw_map touched; /* targets of policies that changed, as agw_compile_touch writes them */
    bool gateways_touched;  /* among them were gateways and listener sets */
    uint64_t now_ns;
    bool conf_failed; /* a shared policy is wrong */
    bool back;        /* to what was served before: nothing that changes is held */
    bool anew;        /* everything is made anew: nothing was live that could serve on */
};

struct agw_resource *agw_compile_find(struct agw_compile *c, enum agw_resource_kind kind, struct agw_str key);
int agw_compile_note(struct agw_compile *c, enum agw_note_level level, const struct agw_resource *r,
                     const char *format, ...) __attribute__((format(printf, 4, 5)));
#define agw_compile_warn(c, r, ...) agw_compile_note(c, AGW_NOTE_WARNING, r, __VA_ARGS__)
#define agw_compile_error(c, r, ...) agw_compile_note(c, AGW_NOTE_ERROR, r, __VA_ARGS__)
/* |text| copied into the unit being made; p is NULL when memory is out. */
static inline struct agw_str agw_compile_text(struct agw_compile *c, const char *text)
{
    return *text ? agw_arena_str(c->arena, agw_str_c(text)) : AGW_STR("");
}
/* A compiled regex owned by the unit; *ret_regex is NULL when the pattern is bad (a warning says so). */
int agw_compile_regex(struct agw_compile *c, const struct agw_resource *r, const char *what,
                      const char *pattern, struct agw_regex **ret_regex);
/* Puts a record on a list of things to do, once. */
static inline void agw_compile_mark(struct agw_list *list, struct agw_list *node)
{
    if (agw_list_empty(node))
        agw_list_push(list, node);
}

/* --- unit.c --- */
/* A unit while it is made; on the maker's stack. */
struct agw_unit_build {
    struct agw_arena arena; /* c->arena meanwhile */
    struct agw_arena *outer;
    struct agw_unit *unit;
    enum agw_unit_room room;
};

/* A zeroed object of |size| bytes that begins with a struct agw_shared and has memory of its own, from
 * c->arena until agw_unit_end. NULL: out of memory, and there is nothing to end. */
void *agw_unit_begin(struct agw_compile *c, size_t size, enum agw_unit_room room, struct agw_unit_build *b);
void agw_unit_end(struct agw_compile *c, struct agw_unit_build *b);
/* Has |fn(object)| called when the unit being made is freed; at once if this fails with AGW_ENOMEM. */
int agw_unit_on_free(struct agw_compile *c, void (*fn)(void *object), void *object);
/* Keeps a counted object (a resource, another unit) as long as the unit being made. */
int agw_unit_hold(struct agw_compile *c, void *shared);
/* The same, and keeps the resource open. */
int agw_unit_hold_open(struct agw_compile *c, struct agw_resource *r);

/* --- policy.c --- */
/* What wins for each kind at one place, while levels are merged. */
struct agw_spec {
    const void *message; /* of the policy's own type; NULL: none */
    struct agw_resource *owner;
    bool locked; /* inheritance OVERRIDE: nothing later replaces it */
};

struct agw_specs {
    struct agw_spec v[AGW_POLICY_COUNT];
    const char
        *refuse; /* a policy that must not be skipped cannot run: requests are answered 500 with this */
};

/* A Policy came, changed or went (NULL on one side): files it under its target, warns about what is not
 * supported, touches the targets. */
int agw_compile_policy_changed(struct agw_compile *c, struct agw_resource *was, struct agw_resource *now);
void agw_compile_policies_free(struct agw_compiler *c);
/* Forgets compiled policies that no unit holds, and those that failed (who needs one in a later run is to
 * hear of it again), or |all|. */
void agw_compile_confs_sweep(struct agw_compiler *c, bool all);
/* Lets go of backends that policies referred to which no unit holds any more. */
void agw_compile_policy_refs_sweep(struct agw_compile *c);
void agw_compile_policy_refs_free(struct agw_compiler *c); /* all; their variants go by agw_variants_free */
/* True if a policy aimed at |target| ("route/KIND/NS/NAME", "service/NS/HOST", "backend/NS/NAME", without
 * what is behind) changed in this run. */
bool agw_compile_touched(const struct agw_compile *c, struct agw_str target);
bool agw_specs_equal(const struct agw_specs *a, const struct agw_specs *b);
/* Adds what is aimed at a target to route-phase specs: later calls win. Targets are texts:
 * gateway/NS/NAME[/listener/L], listener_set/NS/NAME[/S], route/KIND/NS/NAME[/RULE], service/NS/HOST[/PORT],
 * backend/NS/NAME[/SECTION]. */
void agw_compile_traffic_at(struct agw_compile *c, struct agw_specs *s, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Adds to backend-phase specs: earlier calls win. */
void agw_compile_backend_at(struct agw_compile *c, struct agw_specs *s, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The first frontend policy of |kind| (a number of FrontendPolicySpec's oneof) aimed at a target, with whose
 * it is; NULL: none. */
const Pb__FrontendPolicySpec *agw_compile_frontend_at(struct agw_compile *c, unsigned kind,
                                                      struct agw_resource **ret_owner, const char *format,
                                                      ...) __attribute__((format(printf, 4, 5)));
/* The same for policies inside |owner|. */
void agw_compile_inline_traffic(struct agw_compile *c, struct agw_specs *s, struct agw_resource *owner,
                                Pb__TrafficPolicySpec *const *specs, size_t count);
void agw_compile_inline_backend(struct agw_compile *c, struct agw_specs *s, struct agw_resource *owner,
                                Pb__BackendPolicySpec *const *specs, size_t count);
/* Warns about those that are not supported; once an owner. */
int agw_compile_check_traffic(struct agw_compile *c, const struct agw_resource *owner,
                              Pb__TrafficPolicySpec *const *specs, size_t count);
int agw_compile_check_backend(struct agw_compile *c, const struct agw_resource *owner,
                              Pb__BackendPolicySpec *const *specs, size_t count);
/* Adds from |from| the kinds that |s| does not have. */
void agw_compile_inherit(struct agw_specs *s, const struct agw_specs *from);
/* Compiles what won into the unit being made. A policy that fails makes an error note and sets |s->refuse|.
 */
int agw_compile_set(struct agw_compile *c, struct agw_specs *s, struct agw_policy_set *ret_set);

/* --- variant.c: backends as routes reach them --- */
/* Backend-phase policies on the way to a backend, most specific first; between |route| and |listener| come
 * those of the backend itself. */
struct agw_backend_levels {
    const struct agw_specs *own; /* the reference's */
    const struct agw_specs *route, *listener;
    bool raw; /* see struct agw_transport */
};
enum { AGW_LEVEL_OWN, AGW_LEVEL_ROUTE, AGW_LEVEL_LISTENER, AGW_LEVELS };

/* A Backend or Service that is referred to, there or not: who depends on it. */
struct agw_source_rec {
    struct agw_list variants;
    struct agw_str id; /* behind the struct */
};

/* What one level says; kept, so that the backend can be made anew without its routes. */
struct agw_level {
    struct agw_kept_spec *specs; /* each holds its owner */
    uint32_t count;
    const char *refuse; /* own copy */
};

/* A backend reached by certain policies: one number for routes to keep while its unit changes. */
struct agw_variant {
    uint32_t id, users;
    struct agw_list dirty;         /* in dirty_variants */
    struct agw_list node;          /* in source->variants */
    struct agw_list mcp;           /* in mcp_variants, or alone */
    struct agw_source_rec *source; /* NULL: refers to nothing; |reason| says why */
    uint32_t port;                 /* of a service */
    bool raw;
    const char *reason;
    struct agw_level *levels;      /* AGW_LEVELS; NULL: they all say nothing */
    struct agw_variant **children; /* MCP targets; counted */
    uint32_t child_count;
    bool cold;              /* not there, or no endpoint (yet) */
    bool is_mcp, is_target; /* an MCP backend, a target of one */
    struct agw_str identity;
    struct agw_str key; /* of the backend, inside |identity| or static */
};

/* The variant for |ref| (NULL: none given) with one more user; made dirty when new. */
int agw_variant_get(struct agw_compile *c, const Pb__BackendReference *ref,
                    const struct agw_backend_levels *levels, struct agw_variant **ret_variant);
/* One that answers 500 with |reason|. */
int agw_variant_refused(struct agw_compile *c, struct agw_str key, const char *reason,
                        struct agw_variant **ret_variant);
void agw_variant_put(struct agw_compile *c, struct agw_variant *v);
/* What |level| says. */
void agw_variant_specs(const struct agw_variant *v, unsigned level, struct agw_specs *ret_specs);
/* Makes what is dirty, and what depends on it. */
int agw_variants_make(struct agw_compile *c);
/* The unit of |v|, made if need be. */
int agw_variant_backend(struct agw_compile *c, struct agw_variant *v, struct agw_backend **ret_backend);
/* Marks those that refer to the resource |id|. */
void agw_variants_touch(struct agw_compile *c, struct agw_str id);
void agw_variants_touch_services(struct agw_compile *c); /* all services */
void agw_variants_touch_mcp(struct agw_compile *c);
void agw_variants_touch_policies(struct agw_compile *c); /* those that c->touched means */
void agw_variants_free(struct agw_compiler *c);

/* --- backend.c --- */
bool agw_compile_is_transport(enum agw_policy_kind kind);
/* Warns about a backend of a kind that is not supported, and about its policies. */
int agw_compile_check_backend_kind(struct agw_compile *c, const struct agw_resource *r);
/* Makes the unit for |v|. */
int agw_compile_backend(struct agw_compile *c, struct agw_variant *v, struct agw_backend **ret_backend);
/* Compiles the part of |own| that the reference itself runs: what says nothing about the connection. Sets
 * |own->refuse| when that cannot run. */
int agw_compile_own(struct agw_compile *c, struct agw_specs *own, struct agw_policy_set *ret_set);

/* --- endpoint.c --- */
/* Files a workload under its services, and touches them. */
int agw_compile_workload_changed(struct agw_compile *c, struct agw_resource *was, struct agw_resource *now);
void agw_compile_members_free(struct agw_compiler *c);
/* Give |b| its endpoints; a bad address or TLS setting makes an error note and |*ret_reason|. */
int agw_compile_static_endpoint(struct agw_compile *c, struct agw_backend *b, const struct agw_resource *r,
                                struct agw_transport *t, const char **ret_reason);
int agw_compile_dynamic_endpoint(struct agw_compile *c, struct agw_backend *b, struct agw_transport *t,
                                 const char **ret_reason);
int agw_compile_service_endpoints(struct agw_compile *c, struct agw_backend *b,
                                  const struct agw_resource *service, uint32_t port, struct agw_transport *t,
                                  const char **ret_reason);

/* --- bind.c, listener.c --- */
struct agw_bind_rec {
    struct agw_bind *bind;               /* addresses and so on, without listeners; a unit */
    struct agw_bind *out;                /* with them, for the next snapshot */
    struct agw_listener_rec **listeners; /* sorted by key */
    uint32_t listener_count;
    bool changed;
};

/* A listener that exists or that routes wait for. */
struct agw_listener_rec {
    struct agw_str key; /* behind the struct */
    struct agw_list dirty;
    struct agw_list routes;            /* struct agw_route_rec */
    struct agw_bind_rec *bind;         /* NULL: it does not listen */
    struct agw_listener *base;         /* all but the hosts; a unit */
    struct agw_listener *out;          /* with them, for the next snapshot */
    struct agw_specs traffic, backend; /* of gateway and listener */
    struct agw_pmap hosts;
    uint32_t names, wildcards; /* among |hosts| */
    bool exists;               /* there is a resource, though it may not be able to listen */
    bool changed;              /* |out| is to be made anew */
};

int agw_compile_binds(struct agw_compile *c);
void agw_compile_binds_free(struct agw_compiler *c);
/* The bind with this key, NULL: none. */
struct agw_bind_rec *agw_compile_bind_of(struct agw_compiler *c, struct agw_str key);
/* What the bind's gateway wants in front of a connection: its own word, unless a policy says more. */
int agw_compile_proxy(struct agw_compile *c, const struct agw_bind_rec *b, struct agw_proxy_use *ret_use);

/* --- front.c --- */
/* The frontend policy of |kind| for a listener, most specific first; NULL: none. */
const Pb__FrontendPolicySpec *agw_compile_frontend_of(struct agw_compile *c, unsigned kind,
                                                      const Pb__ListenerName *n, uint16_t port,
                                                      struct agw_resource **ret_owner);
/* The same before the listener is known: only the port and the gateway can say. */
const Pb__FrontendPolicySpec *agw_compile_frontend_of_bind(struct agw_compile *c, unsigned kind,
                                                           const struct agw_bind_rec *b,
                                                           struct agw_resource **ret_owner);
int agw_compile_front(struct agw_compile *c, const struct agw_resource *owner,
                      const Pb__FrontendPolicySpec__HTTP *in, struct agw_front *ret_front);
/* What policies say of all connections of a bind. */
int agw_compile_bind_front(struct agw_compile *c, const struct agw_bind_rec *b, struct agw_bind *bind);

/* --- listener.c --- */
int agw_compile_listeners(struct agw_compile *c);
/* The record for |key|, made if need be. */
int agw_listener_rec_get(struct agw_compiler *c, struct agw_str key, struct agw_listener_rec **ret_rec);
/* Frees it when it stands for nothing. */
void agw_listener_rec_release(struct agw_compiler *c, struct agw_listener_rec *l);
void agw_compile_listeners_free(struct agw_compiler *c);

/* --- route.c, match.c --- */
/* What routes have in common on the wire. */
struct agw_route_in {
    const char *listener_key, *kind; /* |kind|: when the name does not tell */
    const Pb__RouteName *name;
    char *const *hostnames;
    size_t hostname_count;
    Pb__RouteBackend *const *backends;
    size_t backend_count;
    bool l4, elsewhere; /* |elsewhere|: on a service or in a group, not on a listener */
};
struct agw_route_in agw_route_in(const struct agw_resource *r);

/* A version of a route. */
struct agw_route_unit {
    struct agw_route route; /* first: the unit begins with its count */
    struct agw_match *matches;
    struct agw_variant **variants; /* one a reference; the compiler's, read by nobody else */
    struct agw_resource *resource; /* held */
    uint32_t match_count;
    uint32_t variant_count; /* 0 once they are given back */
    uint32_t kind_length;   /* before |route.label| stands "KIND/", what policies aim at; 0: nothing does */
};

struct agw_route_rec {
    struct agw_str id; /* of |resource|, which the compiler's store holds */
    struct agw_resource *resource;
    struct agw_list dirty, settling;
    struct agw_list node; /* in listener->routes */
    struct agw_listener_rec *listener;
    struct agw_route_unit *live, *next; /* served; to be served */
    uint64_t since_ns;                  /* |next| waits from then on; 0: not yet */
};

int agw_compile_route_changed(struct agw_compile *c, struct agw_resource *was, struct agw_resource *now);
void agw_routes_touch_policies(struct agw_compile *c);
int agw_compile_routes(struct agw_compile *c);
/* Serves what can be served or has waited long enough. */
int agw_compile_settle(struct agw_compile *c);
/* Takes all that is served of |l|'s routes away and marks them. */
void agw_routes_restart(struct agw_compile *c, struct agw_listener_rec *l);
void agw_compile_routes_free(struct agw_compiler *c);
/* Compiles the matches of |u|, leaving out those that can never be true. */
int agw_compile_matches(struct agw_compile *c, const struct agw_resource *r, struct agw_route_unit *u);

/* --- host.c --- */
/* Adds or removes all matches of |u| in the listener's table. */
int agw_hosts_add(struct agw_compile *c, struct agw_listener_rec *l, const struct agw_route_unit *u);
int agw_hosts_remove(struct agw_compile *c, struct agw_listener_rec *l, const struct agw_route_unit *u);

#endif
