#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <cmocka.h>
#include "config/compile/fixture.h"

void fx_init(struct fixture *f, const struct agw_policy_ops *const *table, size_t count)
{
    struct agw_compile_options options = {.policies = table, .policy_count = count};
    *f = (struct fixture){0};
    agw_arena_init(&f->arena, 4096, 0);
    agw_resource_set_init(&f->set);
    agw_notes_init(&f->notes);
    f->store = agw_store_new();
    f->compiler = agw_compiler_new(&options);
    assert_non_null(f->store);
    assert_non_null(f->compiler);
}

void fx_free(struct fixture *f)
{
    agw_snapshot_free(f->snap);
    agw_compiler_free(f->compiler);
    agw_store_free(f->store);
    agw_resource_set_free(&f->set);
    agw_notes_free(&f->notes);
    agw_arena_free(&f->arena);
}

void *fx_new(struct fixture *f, const ProtobufCMessageDescriptor *type)
{
    void *m = agw_proto_new(&f->arena, type);
    assert_non_null(m);
    return m;
}

char *fx_text(struct fixture *f, const char *text)
{
    char *copy = agw_arena_copy(&f->arena, text, strlen(text) + 1);
    assert_non_null(copy);
    return copy;
}

void fx_add(struct fixture *f, enum agw_resource_kind kind, const void *message, const struct agw_side *side)
{
    struct agw_error err = {0};
    int code = agw_resource_set_add(&f->set, kind, message, side, &err);
    if (code)
        fail_msg("%s", err.text);
}

/* Appends to a protobuf-c repeated field. */
static void append(struct fixture *f, size_t *count, void *list, void *item)
{
    void **old, **v = agw_arena_alloc(&f->arena, (*count + 1) * sizeof(*v));
    assert_non_null(v);
    memcpy(&old, list, sizeof(old));
    if (*count)
        memcpy(v, old, *count * sizeof(*v));
    v[(*count)++] = item;
    memcpy(list, &v, sizeof(v));
}

void fx_bind(struct fixture *f, const char *key, unsigned port)
{
    Pb__Bind *b = fx_new(f, &pb__bind__descriptor);
    b->key = fx_text(f, key);
    b->port = port;
    fx_add(f, AGW_RESOURCE_BIND, b, NULL);
}

Pb__Listener *fx_listener(struct fixture *f, const char *bind, const char *key, const char *hostname)
{
    Pb__Listener *l = fx_new(f, &pb__listener__descriptor);
    l->key = fx_text(f, key);
    l->bind_key = fx_text(f, bind);
    l->hostname = fx_text(f, hostname);
    l->protocol = PB__PROTOCOL__HTTP;
    l->name = fx_new(f, &pb__listener_name__descriptor);
    l->name->gateway_name = fx_text(f, "gw");
    l->name->gateway_namespace = fx_text(f, "ns");
    l->name->listener_name = fx_text(f, key);
    return l;
}

Pb__RouteMatch *fx_match(struct fixture *f, char kind, const char *path)
{
    Pb__RouteMatch *m = fx_new(f, &pb__route_match__descriptor);
    m->path = fx_new(f, &pb__path_match__descriptor);
    m->path->kind_case = kind == 'e'   ? PB__PATH_MATCH__KIND_EXACT
                         : kind == 'p' ? PB__PATH_MATCH__KIND_PATH_PREFIX
                                       : PB__PATH_MATCH__KIND_REGEX;
    m->path->exact = fx_text(f, path);
    return m;
}

void fx_route_add_match(struct fixture *f, Pb__Route *r, Pb__RouteMatch *m)
{
    append(f, &r->n_matches, &r->matches, m);
}

Pb__Route *fx_route(struct fixture *f, const char *listener, const char *key, const char *hostname, char kind,
                    const char *path)
{
    Pb__Route *r = fx_new(f, &pb__route__descriptor);
    r->key = fx_text(f, key);
    r->listener_key = fx_text(f, listener);
    r->name = fx_new(f, &pb__route_name__descriptor);
    r->name->kind = fx_text(f, "HTTPRoute");
    r->name->namespace_ = fx_text(f, "ns");
    r->name->name = fx_text(f, key);
    if (hostname)
        append(f, &r->n_hostnames, &r->hostnames, fx_text(f, hostname));
    if (path)
        fx_route_add_match(f, r, fx_match(f, kind, path));
    return r;
}

void fx_match_header(struct fixture *f, Pb__RouteMatch *m, const char *name, const char *value)
{
    Pb__HeaderMatch *h = fx_new(f, &pb__header_match__descriptor);
    h->name = fx_text(f, name);
    h->value_case = PB__HEADER_MATCH__VALUE_EXACT;
    h->exact = fx_text(f, value);
    append(f, &m->n_headers, &m->headers, h);
}

void fx_match_query(struct fixture *f, Pb__RouteMatch *m, const char *name, const char *value)
{
    Pb__QueryMatch *q = fx_new(f, &pb__query_match__descriptor);
    q->name = fx_text(f, name);
    q->value_case = PB__QUERY_MATCH__VALUE_EXACT;
    q->exact = fx_text(f, value);
    append(f, &m->n_query_params, &m->query_params, q);
}

void fx_match_method(struct fixture *f, Pb__RouteMatch *m, const char *method)
{
    m->method = fx_new(f, &pb__method_match__descriptor);
    m->method->exact = fx_text(f, method);
}

static Pb__RouteBackend *new_ref(struct fixture *f, Pb__Route *r, int weight)
{
    Pb__RouteBackend *b = fx_new(f, &pb__route_backend__descriptor);
    b->backend = fx_new(f, &pb__backend_reference__descriptor);
    b->weight = weight;
    append(f, &r->n_backends, &r->backends, b);
    return b;
}

Pb__RouteBackend *fx_ref(struct fixture *f, Pb__Route *r, const char *key, int weight)
{
    Pb__RouteBackend *b = new_ref(f, r, weight);
    b->backend->kind_case = PB__BACKEND_REFERENCE__KIND_BACKEND;
    b->backend->backend = fx_text(f, key);
    return b;
}

Pb__RouteBackend *fx_ref_service(struct fixture *f, Pb__Route *r, const char *ns, const char *host,
                                 unsigned port, int weight)
{
    Pb__RouteBackend *b = new_ref(f, r, weight);
    b->backend->kind_case = PB__BACKEND_REFERENCE__KIND_SERVICE;
    b->backend->service = fx_new(f, &pb__backend_reference__service__descriptor);
    b->backend->service->namespace_ = fx_text(f, ns);
    b->backend->service->hostname = fx_text(f, host);
    b->backend->port = port;
    return b;
}

Pb__Backend *fx_static(struct fixture *f, const char *ns, const char *name, const char *host, int port)
{
    Pb__Backend *b = fx_new(f, &pb__backend__descriptor);
    b->key = (char *)agw_arena_printf(&f->arena, "%s/%s", ns, name).p;
    b->name = fx_new(f, &pb__resource_name__descriptor);
    b->name->name = fx_text(f, name);
    b->name->namespace_ = fx_text(f, ns);
    b->kind_case = PB__BACKEND__KIND_STATIC;
    b->static_ = fx_new(f, &pb__static_backend__descriptor);
    b->static_->host = fx_text(f, host);
    b->static_->port = port;
    return b;
}

static Istio__Port *new_port(struct fixture *f, unsigned port, unsigned target)
{
    Istio__Port *p = fx_new(f, &istio__port__descriptor);
    p->service_port = port;
    p->target_port = target;
    return p;
}

void fx_service(struct fixture *f, const char *ns, const char *host, unsigned port, unsigned target)
{
    Istio__Service *s = fx_new(f, &istio__service__descriptor);
    s->namespace_ = fx_text(f, ns);
    s->hostname = fx_text(f, host);
    append(f, &s->n_ports, &s->ports, new_port(f, port, target));
    fx_add(f, AGW_RESOURCE_SERVICE, s, NULL);
}

Istio__Workload *fx_workload(struct fixture *f, const char *uid, const char *service, unsigned last_byte)
{
    Istio__Workload *w = fx_new(f, &istio__workload__descriptor);
    Istio__Workload__ServicesEntry *e = fx_new(f, &istio__workload__services_entry__descriptor);
    uint8_t ip[4] = {127, 0, 0, (uint8_t)last_byte};
    w->uid = fx_text(f, uid);
    w->n_addresses = 1;
    w->addresses = agw_arena_alloc(&f->arena, sizeof(*w->addresses));
    w->addresses[0] = (ProtobufCBinaryData){4, agw_arena_copy(&f->arena, ip, 4)};
    e->key = fx_text(f, service);
    e->value = fx_new(f, &istio__port_list__descriptor);
    append(f, &w->n_services, &w->services, e);
    return w;
}

Pb__TrafficPolicySpec *fx_traffic(struct fixture *f, Pb__TrafficPolicySpec__KindCase kind, void *message)
{
    Pb__TrafficPolicySpec *s = fx_new(f, &pb__traffic_policy_spec__descriptor);
    s->kind_case = kind;
    s->timeout = message;
    return s;
}

Pb__BackendPolicySpec *fx_backend_policy(struct fixture *f, Pb__BackendPolicySpec__KindCase kind,
                                         void *message)
{
    Pb__BackendPolicySpec *s = fx_new(f, &pb__backend_policy_spec__descriptor);
    s->kind_case = kind;
    s->a2a = message;
    return s;
}

void fx_route_policy(struct fixture *f, Pb__Route *r, Pb__TrafficPolicySpec *spec)
{
    append(f, &r->n_traffic_policies, &r->traffic_policies, spec);
}

Pb__HeaderModifier *fx_set_header(struct fixture *f, const char *name, const char *value)
{
    Pb__HeaderModifier *m = fx_new(f, &pb__header_modifier__descriptor);
    Pb__Header *h = fx_new(f, &pb__header__descriptor);
    h->name = fx_text(f, name);
    h->value = fx_text(f, value);
    append(f, &m->n_set, &m->set, h);
    return m;
}

void fx_compile(struct fixture *f)
{
    struct agw_store_change change = {0};
    agw_snapshot_free(f->snap);
    f->snap = NULL;
    assert_int_equal(agw_store_replace(f->store, AGW_SOURCE_FILES, &f->set, &change), 0);
    assert_int_equal(agw_compiler_run(f->compiler, f->store, f->now_ns, &f->snap, &f->notes), 0);
}

const struct agw_listener *fx_out_listener(const struct fixture *f, const char *bind, const char *key)
{
    const struct agw_bind *b = agw_snapshot_bind(f->snap, agw_str_c(bind));
    for (uint32_t i = 0; b && i < b->listener_count; i++)
        if (agw_str_eq(b->listeners[i]->key, agw_str_c(key)))
            return b->listeners[i];
    return NULL;
}

const struct agw_backend *fx_backend(const struct fixture *f, const struct agw_backend_ref *ref)
{
    return agw_snapshot_backend(f->snap, ref->backend);
}

static int first_match(void *ctx, void *value)
{
    *(const struct agw_match **)ctx = ((const struct agw_match_group *)value)->matches[0];
    return 1;
}

const struct agw_match *fx_any_match(const struct agw_listener *l)
{
    const struct agw_match *m = NULL;
    assert_non_null(l->any);
    if (!agw_pmap_each(&l->any->exact, first_match, &m) && !agw_pmap_each(&l->any->prefix, first_match, &m))
        m = l->any->regex->matches[0];
    return m;
}

const struct agw_note *fx_note(const struct fixture *f, const char *id, const char *text)
{
    for (const struct agw_note *n = f->notes.first; n; n = n->next)
        if (agw_str_eq(n->id, agw_str_c(id)) && agw_str_search(n->text, agw_str_c(text)) >= 0)
            return n;
    return NULL;
}

struct agw_msg *fx_request(struct fixture *f, const char *method, const char *authority, const char *path)
{
    struct agw_msg *m = agw_arena_alloc(&f->arena, sizeof(*m));
    assert_non_null(m);
    agw_msg_init(m, &f->arena);
    m->method_text = agw_str_c(method);
    m->method = agw_method_lookup(m->method_text);
    m->authority = agw_str_c(authority);
    m->path = agw_str_c(path);
    return m;
}
