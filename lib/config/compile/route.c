#include <stdio.h>
#include <stdlib.h>
#include "base/err.h"
#include "config/compile/compile_int.h"
#include "proto/message.h"

static bool not_empty(const char *text)
{
    return text && *text;
}

struct agw_route_in agw_route_in(const struct agw_resource *r)
{
    if (r->kind == AGW_RESOURCE_TCP_ROUTE) {
        const Pb__TCPRoute *t = r->tcp_route;
        return (struct agw_route_in){t->listener_key, "TCPRoute",     t->name,
                                     t->hostnames,    t->n_hostnames, t->backends,
                                     t->n_backends,   true,           t->service_key != NULL};
    }
    const Pb__Route *h = r->route;
    return (struct agw_route_in){
        h->listener_key, "HTTPRoute",    h->name,
        h->hostnames,    h->n_hostnames, h->backends,
        h->n_backends,   false,          h->service_key || not_empty(h->route_group_key)};
}

/* --- a version --- */
static int name_route(struct agw_compile *c, const struct agw_resource *r, struct agw_route_unit *u)
{
    const struct agw_route_in in = agw_route_in(r);
    const Pb__RouteName *n = in.name;
    struct agw_route *route = &u->route;
    route->key = route->label = r->key;
    route->created_ns = r->side.created_ns;
    if (!n)
        return 0;
    const char *kind = *n->kind ? n->kind : in.kind;
    struct agw_str target = agw_arena_printf(c->arena, "%s/%s/%s", kind, n->namespace_, n->name);
    if (!target.p)
        return AGW_ENOMEM;
    u->kind_length = (uint32_t)strlen(kind) + 1;
    route->label = agw_str_from(target, u->kind_length);
    return 0;
}

static void merge_route(struct agw_compile *c, struct agw_resource *r, struct agw_specs *traffic,
                        struct agw_specs *backend)
{
    const struct agw_route_in in = agw_route_in(r);
    const Pb__RouteName *n = in.name;
    if (n) {
        const char *kind = *n->kind ? n->kind : in.kind;
        agw_compile_traffic_at(c, traffic, "route/%s/%s/%s", kind, n->namespace_, n->name);
        if (n->rule_name && *n->rule_name) {
            agw_compile_traffic_at(c, traffic, "route/%s/%s/%s/%s", kind, n->namespace_, n->name,
                                   n->rule_name);
            agw_compile_backend_at(c, backend, "route/%s/%s/%s/%s", kind, n->namespace_, n->name,
                                   n->rule_name);
        }
        agw_compile_backend_at(c, backend, "route/%s/%s/%s", kind, n->namespace_, n->name);
    }
    if (!in.l4)
        agw_compile_inline_traffic(c, traffic, r, r->route->traffic_policies, r->route->n_traffic_policies);
}

/* How many more variants the mirrors of a route need. */
static size_t count_mirrors(const struct agw_specs *traffic, const struct agw_specs *backend,
                            const Pb__Route *in)
{
    const Pb__RequestMirrors *m = traffic->v[AGW_POLICY_MIRROR].message;
    const Pb__RequestMirrors *all = backend->v[AGW_POLICY_MIRROR].message;
    size_t n = (m ? m->n_mirrors : 0) + (all ? all->n_mirrors * in->n_backends : 0);
    for (size_t i = 0; i < in->n_backends; i++) {
        const Pb__RouteBackend *b = in->backends[i];
        for (size_t k = 0; k < b->n_backend_policies; k++)
            if (b->backend_policies[k]->kind_case == PB__BACKEND_POLICY_SPEC__KIND_REQUEST_MIRROR &&
                b->backend_policies[k]->request_mirror)
                n += b->backend_policies[k]->request_mirror->n_mirrors;
    }
    return n;
}

/* A mirror is reached as its backend is, without what the route or a reference says of theirs. */
static int compile_mirrors(struct agw_compile *c, const Pb__RequestMirrors *in,
                           const struct agw_specs *listener, struct agw_route_unit *u,
                           struct agw_mirror_refs *out)
{
    static const struct agw_specs none;
    struct agw_backend_levels levels = {&none, &none, listener};
    struct agw_mirror_ref *v = in ? agw_arena_alloc(c->arena, in->n_mirrors * sizeof(*v)) : NULL;
    if (!in)
        return 0;
    if (!v)
        return AGW_ENOMEM;
    for (size_t i = 0; i < in->n_mirrors; i++) {
        struct agw_variant *variant;
        double share = in->mirrors[i]->percentage;
        int code = agw_variant_get(c, in->mirrors[i]->backend, &levels, &variant);
        if (code)
            return code;
        u->variants[u->variant_count++] = variant;
        v[i].backend = variant->id;
        v[i].share = share > 0 && share <= 100 ? (uint32_t)(share * (AGW_MIRROR_ALL / 100.0) + 0.5) : 0;
    }
    *out = (struct agw_mirror_refs){v, (uint32_t)in->n_mirrors};
    return 0;
}

/* The mirrors of the route, then those of its references; their variants stand behind all backends'. */
static int compile_all_mirrors(struct agw_compile *c, struct agw_resource *r, const struct agw_specs *traffic,
                               const struct agw_specs *route, const struct agw_specs *listener,
                               struct agw_backend_ref *refs, struct agw_route_unit *u)
{
    int code = compile_mirrors(c, traffic->v[AGW_POLICY_MIRROR].message, listener, u, &u->route.mirrors);
    for (size_t i = 0; !code && i < r->route->n_backends; i++) {
        const Pb__RouteBackend *in = r->route->backends[i];
        struct agw_specs own = {0};
        agw_compile_inline_backend(c, &own, r, in->backend_policies, in->n_backend_policies);
        agw_compile_inherit(&own, route);
        code = compile_mirrors(c, own.v[AGW_POLICY_MIRROR].message, listener, u, &refs[i].mirrors);
    }
    return code;
}

/* The variant that a reference means, with the policies that the reference runs in |out|. */
static int compile_ref(struct agw_compile *c, struct agw_resource *r, const Pb__RouteBackend *in,
                       const struct agw_specs *route, const struct agw_specs *listener,
                       struct agw_backend_ref *out, struct agw_variant **ret_variant)
{
    struct agw_specs own = {0};
    struct agw_backend_levels levels = {&own, route, listener, r->kind == AGW_RESOURCE_TCP_ROUTE};
    int code = agw_compile_check_backend(c, r, in->backend_policies, in->n_backend_policies);
    if (code)
        return code;
    out->weight = in->weight > 0 ? (uint32_t)in->weight : 0;
    if (in->route_group_key && *in->route_group_key) {
        code = agw_compile_warn(c, r, "delegation to route groups is not supported: requests are refused");
        return code ? code
                    : agw_variant_refused(c, agw_str_c(in->route_group_key), "delegation is not supported",
                                          ret_variant);
    }
    agw_compile_inline_backend(c, &own, r, in->backend_policies, in->n_backend_policies);
    code = agw_compile_own(c, &own, &out->policies); /* may find that it must be refused */
    if (own.refuse && !code)
        return agw_variant_refused(c, r->key, own.refuse, ret_variant);
    return code ? code : agw_variant_get(c, in->backend, &levels, ret_variant);
}

static int compile_refs(struct agw_compile *c, struct agw_resource *r, const struct agw_specs *traffic,
                        const struct agw_specs *route, const struct agw_specs *listener,
                        struct agw_route_unit *u)
{
    const struct agw_route_in in = agw_route_in(r);
    struct agw_backend_ref *refs = agw_arena_zalloc(c->arena, in.backend_count * sizeof(*refs));
    size_t variants = in.backend_count + (in.l4 ? 0 : count_mirrors(traffic, route, r->route));
    u->variants = agw_arena_zalloc(c->arena, variants * sizeof(struct agw_variant *));
    uint64_t total = 0;
    if (!refs || !u->variants)
        return AGW_ENOMEM;
    for (size_t i = 0; i < in.backend_count; i++) {
        int code = compile_ref(c, r, in.backends[i], route, listener, &refs[i], &u->variants[i]);
        if (code)
            return code;
        refs[i].backend = u->variants[i]->id;
        u->variant_count++;
        if (total + refs[i].weight > UINT32_MAX)
            refs[i].weight = 0; /* each is at most 1,000,000 where the Gateway API has checked it */
        total += refs[i].weight;
    }
    u->route.backends = refs;
    u->route.backend_count = (uint32_t)in.backend_count;
    u->route.weight_total = (uint32_t)total;
    return variants == in.backend_count ? 0 : compile_all_mirrors(c, r, traffic, route, listener, refs, u);
}

static void put_variants(struct agw_compile *c, struct agw_route_unit *u)
{
    while (u->variant_count)
        agw_variant_put(c, u->variants[--u->variant_count]);
}

/* Nothing of the route runs, not even a redirect: every request gets 500. */
static int refuse_route(struct agw_compile *c, struct agw_route_unit *u, const char *reason)
{
    struct agw_backend_ref *ref = agw_arena_zalloc(c->arena, sizeof(*ref));
    put_variants(c, u);
    u->variants = agw_arena_zalloc(c->arena, sizeof(struct agw_variant *));
    if (!ref || !u->variants)
        return AGW_ENOMEM;
    int code = agw_variant_refused(c, u->route.key, reason, &u->variants[0]);
    if (code)
        return code;
    *ref = (struct agw_backend_ref){.weight = 1, .backend = u->variants[0]->id};
    u->route.weight_total = u->route.backend_count = u->variant_count = 1;
    u->route.backends = ref;
    u->route.policies = (struct agw_policy_set){0};
    u->route.mirrors = (struct agw_mirror_refs){0};
    return 0;
}

/* What is said of requests. */
static int set_traffic(struct agw_compile *c, struct agw_resource *r, struct agw_specs *traffic,
                       struct agw_route *route)
{
    int code = agw_compile_check_traffic(c, r, r->route->traffic_policies, r->route->n_traffic_policies);
    const Pb__Timeout *timeout = traffic->v[AGW_POLICY_TIMEOUT].message;
    if (timeout) {
        route->request_timeout_ms = agw_proto_ms(timeout->request);
        route->backend_timeout_ms = agw_proto_ms(timeout->backend_request);
    }
    return code ? code : agw_compile_set(c, traffic, &route->policies);
}

static int fill_route(struct agw_compile *c, struct agw_resource *r, const struct agw_listener_rec *l,
                      struct agw_route_unit *u)
{
    struct agw_specs traffic = l->traffic, backend = {0};
    u->resource = r;
    int code = agw_unit_hold(c, r);
    if (!code)
        code = name_route(c, r, u);
    if (code)
        return code;
    merge_route(c, r, &traffic, &backend);
    if (r->kind == AGW_RESOURCE_ROUTE)
        code = set_traffic(c, r, &traffic, &u->route);
    if (!code)
        code = compile_refs(c, r, &traffic, &backend, &l->backend, u);
    if (!code && traffic.refuse)
        code = refuse_route(c, u, traffic.refuse);
    return code ? code : agw_compile_matches(c, r, u);
}

static int compile_route(struct agw_compile *c, struct agw_resource *r, const struct agw_listener_rec *l,
                         struct agw_route_unit **ret_unit)
{
    struct agw_unit_build build;
    struct agw_route_unit *u = agw_unit_begin(c, sizeof(*u), AGW_ROOM_ROUTE, &build);
    if (!u)
        return AGW_ENOMEM;
    int code = agw_resource_open(r);
    if (!code) {
        code = fill_route(c, r, l, u);
        agw_resource_close(r);
    }
    agw_unit_end(c, &build);
    if (code)
        agw_shared_unref(u);
    else
        *ret_unit = u;
    return code;
}

/* --- records --- */
static void set_next(struct agw_compile *c, struct agw_route_rec *rec, struct agw_route_unit *u)
{
    if (rec->next) {
        put_variants(c, rec->next);
        agw_shared_unref(rec->next);
    }
    rec->next = u;
    agw_list_remove(&rec->settling);
    if (u)
        agw_list_push(&c->compiler->settling, &rec->settling);
    else
        rec->since_ns = 0;
}

/* The live version is served no more. */
static int take_live(struct agw_compile *c, struct agw_route_rec *rec)
{
    struct agw_route_unit *u = rec->live;
    if (!u)
        return 0;
    int code = agw_hosts_remove(c, rec->listener, u);
    rec->live = NULL;
    c->compiler->route_count--;
    put_variants(c, u);
    agw_shared_unref(u);
    return code;
}

static struct agw_route_rec *rec_new(struct agw_compiler *c, struct agw_resource *r)
{
    struct agw_route_rec *rec = calloc(1, sizeof(*rec));
    if (!rec)
        return NULL;
    agw_list_init(&rec->dirty);
    agw_list_init(&rec->settling);
    agw_list_init(&rec->node);
    rec->id = r->id;
    if (agw_listener_rec_get(c, agw_str_c(agw_route_in(r).listener_key), &rec->listener) ||
        agw_map_put(&c->routes, rec->id, rec, NULL)) {
        free(rec);
        return NULL;
    }
    agw_list_push(&rec->listener->routes, &rec->node);
    return rec;
}

static void rec_free(struct agw_route_rec *rec)
{
    agw_list_remove(&rec->dirty);
    agw_list_remove(&rec->settling);
    agw_list_remove(&rec->node);
    agw_shared_unref(rec->live);
    agw_shared_unref(rec->next);
    free(rec);
}

static int route_went(struct agw_compile *c, struct agw_route_rec *rec)
{
    struct agw_listener_rec *l = rec->listener;
    int code = take_live(c, rec);
    set_next(c, rec, NULL);
    agw_map_take(&c->compiler->routes, rec->id);
    rec_free(rec);
    agw_listener_rec_release(c->compiler, l);
    return code;
}

/* The record goes on with another resource: its id is that one's now. */
static int route_renew(struct agw_compile *c, struct agw_route_rec *rec, struct agw_resource *now)
{
    rec->id = now->id;
    return agw_map_put(&c->compiler->routes, rec->id, rec, NULL); /* in the old one's place */
}

static int route_came(struct agw_compile *c, struct agw_route_rec *rec, struct agw_resource *now)
{
    int code = 0;
    if (rec)
        code = route_renew(c, rec, now);
    else if (!(rec = rec_new(c->compiler, now)))
        code = AGW_ENOMEM;
    if (code)
        return code;
    rec->resource = now;
    agw_compile_mark(&c->compiler->dirty_routes, &rec->dirty);
    return 0;
}

static int route_changed(struct agw_compile *c, struct agw_resource *was, struct agw_resource *now)
{
    struct agw_route_rec *rec = was ? agw_map_get(&c->compiler->routes, was->id) : NULL;
    bool serve = now && !agw_route_in(now).elsewhere;
    int code = 0;
    if (rec && (!serve || !agw_str_eq(rec->listener->key, agw_str_c(agw_route_in(now).listener_key)))) {
        code = route_went(c, rec);
        rec = NULL;
    }
    if (code || !now)
        return code;
    if (!serve)
        return agw_compile_warn(c, now, "routes of services and route groups are not supported: no effect");
    return route_came(c, rec, now);
}

int agw_compile_route_changed(struct agw_compile *c, struct agw_resource *was, struct agw_resource *now)
{
    int code = now ? agw_resource_open(now) : 0;
    if (code)
        return code;
    code = route_changed(c, was, now);
    if (now)
        agw_resource_close(now);
    return code;
}

/* One without a version is made anew as soon as it can be. */
static bool is_target(struct agw_compile *c, const struct agw_route_rec *rec)
{
    const struct agw_route_unit *u = rec->next ? rec->next : rec->live;
    char text[1024];
    int size = 0;
    if (u && u->kind_length)
        size = snprintf(text, sizeof(text), "route/%.*s", (int)(u->kind_length + u->route.label.n),
                        u->route.label.p - u->kind_length);
    return size > 0 && size < (int)sizeof(text) && agw_compile_touched(c, agw_str(text, (size_t)size));
}

void agw_routes_touch_policies(struct agw_compile *c)
{
    struct agw_map_slot *slot;
    if (c->touched.count == 0)
        return;
    for (uint32_t cursor = 0; (slot = agw_map_next(&c->compiler->routes, &cursor));) {
        struct agw_route_rec *rec = slot->value;
        if (is_target(c, rec))
            agw_compile_mark(&c->compiler->dirty_routes, &rec->dirty);
    }
}

void agw_routes_restart(struct agw_compile *c, struct agw_listener_rec *l)
{
    struct agw_list *node, *tmp;
    agw_list_each (node, tmp, &l->routes)
        agw_compile_mark(&c->compiler->dirty_routes,
                         &agw_list_entry(node, struct agw_route_rec, node)->dirty);
}

/* Requests go to listeners that read HTTP, connections to those that do not. *ret_ok: the listener is there
 * and is one of the route's sort. */
static int check_listener(struct agw_compile *c, const struct agw_route_rec *rec, bool *ret_ok)
{
    const struct agw_listener *l = rec->listener->base;
    bool l4 = rec->resource->kind == AGW_RESOURCE_TCP_ROUTE;
    *ret_ok = l && l->l4 == l4;
    if (!l || *ret_ok)
        return 0;
    return agw_compile_warn(c, rec->resource, "the route's listener serves %s: the route has no effect",
                            l4 ? "HTTP" : "connections, not requests");
}

int agw_compile_routes(struct agw_compile *c)
{
    struct agw_list *node;
    int code = 0;
    while (!code && (node = agw_list_pop(&c->compiler->dirty_routes))) {
        struct agw_route_rec *rec = agw_list_entry(node, struct agw_route_rec, dirty);
        struct agw_route_unit *u = NULL;
        bool ok;
        code = check_listener(c, rec, &ok);
        if (code)
            return code;
        if (ok)
            code = compile_route(c, rec->resource, rec->listener, &u);
        else
            code = take_live(c, rec);
        if (!code)
            set_next(c, rec, u);
        if (c->back) /* what it takes the place of must not serve on */
            rec->since_ns = 1;
    }
    return code;
}

/* --- settling --- */
static bool refers(const struct agw_route_unit *u, const struct agw_variant *v)
{
    for (uint32_t i = 0; u && i < u->variant_count; i++)
        if (u->variants[i]->source == v->source && u->variants[i]->port == v->port)
            return true;
    return false;
}

/* Something that the next version needs and the live one does not is not there yet. */
static bool waits(const struct agw_route_rec *rec)
{
    const struct agw_route_unit *u = rec->next;
    for (uint32_t i = 0; i < u->route.backend_count; i++) /* mirrors, behind them, may come later */
        if (u->route.backends[i].weight && u->variants[i]->cold && !refers(rec->live, u->variants[i]))
            return true;
    return false;
}

static bool held(const struct agw_compile *c, const struct agw_route_rec *rec)
{
    uint64_t hold = c->anew ? 0 : c->compiler->hold_ns;
    return hold && waits(rec) && c->now_ns - rec->since_ns < hold;
}

static int go_live(struct agw_compile *c, struct agw_route_rec *rec)
{
    struct agw_route_unit *u = rec->next;
    rec->next = NULL; /* its users go with it */
    set_next(c, rec, NULL);
    int code = take_live(c, rec);
    if (!code)
        code = agw_hosts_add(c, rec->listener, u);
    rec->live = u;
    c->compiler->route_count++;
    return code;
}

int agw_compile_settle(struct agw_compile *c)
{
    struct agw_compiler *all = c->compiler;
    struct agw_list *node, *tmp;
    int code = 0;
    all->held = 0;
    agw_list_each (node, tmp, &all->settling) {
        struct agw_route_rec *rec = agw_list_entry(node, struct agw_route_rec, settling);
        if (!rec->since_ns)
            rec->since_ns = c->now_ns;
        if (held(c, rec))
            all->held++;
        else if ((code = go_live(c, rec)))
            break;
    }
    return code;
}

uint64_t agw_compiler_due(const struct agw_compiler *c)
{
    uint64_t due = UINT64_MAX;
    struct agw_list *node, *tmp;
    agw_list_each (node, tmp, &c->settling) {
        const struct agw_route_rec *rec = agw_list_entry(node, struct agw_route_rec, settling);
        uint64_t at = rec->since_ns + c->hold_ns;
        due = at < due ? at : due;
    }
    return due;
}

void agw_compile_routes_free(struct agw_compiler *c)
{
    struct agw_map_slot *slot;
    for (uint32_t cursor = 0; (slot = agw_map_next(&c->routes, &cursor));)
        rec_free(slot->value);
    agw_map_free(&c->routes);
}
