/* Resources and stores in a few words, for tests of the compiler and of what runs on its snapshots. */
#ifndef TESTS_CONFIG_FIXTURE_H
#define TESTS_CONFIG_FIXTURE_H

#include "config/compile/compile.h"
#include "proto/message.h"

struct fixture {
    struct agw_arena arena; /* messages being built */
    struct agw_resource_set set;
    struct agw_store *store;
    struct agw_compiler *compiler;
    struct agw_notes notes;
    struct agw_snapshot *snap;
    uint64_t now_ns; /* of the next compile */
};

/* A fixture with the policies of |table| (may be empty). */
void fx_init(struct fixture *f, const struct agw_policy_ops *const *table, size_t count);
void fx_free(struct fixture *f);
void *fx_new(struct fixture *f, const ProtobufCMessageDescriptor *type);
char *fx_text(struct fixture *f, const char *text);
/* Adds a message to the set; fails the test if it is refused. */
void fx_add(struct fixture *f, enum agw_resource_kind kind, const void *message, const struct agw_side *side);

void fx_bind(struct fixture *f, const char *key, unsigned port);
Pb__Listener *fx_listener(struct fixture *f, const char *bind, const char *key, const char *hostname);
/* A route on |listener| for |hostname| (NULL: none), not yet added; kind 'e'xact, 'p'refix, 'r'egex for its
 * one match. */
Pb__Route *fx_route(struct fixture *f, const char *listener, const char *key, const char *hostname, char kind,
                    const char *path);
Pb__RouteMatch *fx_match(struct fixture *f, char kind, const char *path);
void fx_route_add_match(struct fixture *f, Pb__Route *r, Pb__RouteMatch *m);
void fx_match_header(struct fixture *f, Pb__RouteMatch *m, const char *name, const char *value);
void fx_match_query(struct fixture *f, Pb__RouteMatch *m, const char *name, const char *value);
void fx_match_method(struct fixture *f, Pb__RouteMatch *m, const char *method);
/* Appends a reference to backend |key|. */
Pb__RouteBackend *fx_ref(struct fixture *f, Pb__Route *r, const char *key, int weight);
Pb__RouteBackend *fx_ref_service(struct fixture *f, Pb__Route *r, const char *ns, const char *host,
                                 unsigned port, int weight);
Pb__Backend *fx_static(struct fixture *f, const char *ns, const char *name, const char *host, int port);
void fx_service(struct fixture *f, const char *ns, const char *host, unsigned port, unsigned target);
Istio__Workload *fx_workload(struct fixture *f, const char *uid, const char *service, unsigned last_byte);
Pb__TrafficPolicySpec *fx_traffic(struct fixture *f, Pb__TrafficPolicySpec__KindCase kind, void *message);
Pb__BackendPolicySpec *fx_backend_policy(struct fixture *f, Pb__BackendPolicySpec__KindCase kind,
                                         void *message);
void fx_route_policy(struct fixture *f, Pb__Route *r, Pb__TrafficPolicySpec *spec);
Pb__HeaderModifier *fx_set_header(struct fixture *f, const char *name, const char *value);

/* Puts the set into the store and compiles it; fx->snap is the result (unpublished). */
void fx_compile(struct fixture *f);
const struct agw_listener *fx_out_listener(const struct fixture *f, const char *bind, const char *key);
/* The backend that a reference names. */
const struct agw_backend *fx_backend(const struct fixture *f, const struct agw_backend_ref *ref);
/* A match of a route without hostname: the first of any. */
const struct agw_match *fx_any_match(const struct agw_listener *l);
/* The first note about |id| that contains |text|, or NULL. */
const struct agw_note *fx_note(const struct fixture *f, const char *id, const char *text);
struct agw_msg *fx_request(struct fixture *f, const char *method, const char *authority, const char *path);

#endif
