/* HTTPRoutes to routes: one for each rule and listener. */
#include "gwapi/gwapi_int.h"

/* What a rule is on every listener; made once. */
struct rule {
    const struct agw_object *object;
    const struct agw_node *node; /* NULL: a route without rules has one that matches everything */
    unsigned index;
    Pb__Route *route; /* key, listener_key and hostnames are set for each listener */
};

/* --- backends --- */

/* The same finding for all parents: that is how status reports it. */
static void refs_condition(struct agw_translate *t, const struct agw_object *o, const struct agw_node *at,
                           const char *reason, struct agw_str message)
{
    struct agw_gwapi_place place = {.object = o, .parent = -1};

    agw_gwapi_condition(t, &place, at, "ResolvedRefs", false, reason, "%.*s: answered 500",
                        AGW_STRF(message));
}

static void unserved_filter(struct agw_translate *t, const struct agw_object *o, const struct agw_node *f)
{
    struct agw_gwapi_place place = {.object = o, .parent = -1};

    agw_gwapi_condition(t, &place, f, "Accepted", false, "UnsupportedValue",
                        "the filter %.*s is not served here: requests are answered 500",
                        AGW_STRF(agw_node_text(f, "type")));
}

static int add_backend(struct agw_translate *t, const struct agw_object *o, const struct agw_node *ref,
                       Pb__Route *route)
{
    Pb__RouteBackend *b = agw_gwapi_new(t, Pb__RouteBackend, pb__route_backend__init);
    const struct agw_node *unserved = NULL;
    struct agw_gwapi_refusal refusal;

    if (!b || agw_gwapi_backend_ref(t, o, ref, &b->backend, &refusal) ||
        agw_gwapi_ref_filters(t, ref, &b->backend_policies, &b->n_backend_policies, &unserved))
        return AGW_ENOMEM;
    b->weight = (int32_t)agw_field_int(ref, "weight", 1);
    if (refusal.reason)
        refs_condition(t, o, ref, refusal.reason, refusal.message);
    if (unserved) {
        unserved_filter(t, o, unserved);
        b->backend = agw_gwapi_new(t, Pb__BackendReference, pb__backend_reference__init);
        if (!b->backend)
            return AGW_ENOMEM;
    }
    route->backends[route->n_backends++] = b;
    return 0;
}

static int add_backends(struct agw_translate *t, const struct rule *r)
{
    const struct agw_node *list = agw_field(r->node, "backendRefs"), *ref;

    if (!list || list->count == 0)
        return 0;
    r->route->backends = agw_gwapi_pointers(t, list->count);
    if (!r->route->backends)
        return AGW_ENOMEM;
    agw_node_each (ref, list) {
        if (add_backend(t, r->object, ref, r->route))
            return AGW_ENOMEM;
    }
    return 0;
}

/* --- the rule --- */

static int set_name(struct agw_translate *t, const struct rule *r)
{
    Pb__RouteName *name = agw_gwapi_new(t, Pb__RouteName, pb__route_name__init);
    struct agw_str rule_name = agw_node_text(r->node, "name");

    if (!name)
        return AGW_ENOMEM;
    name->kind = agw_gwapi_text(t, r->object->kind_name);
    name->namespace_ = agw_gwapi_text(t, r->object->ns);
    name->name = agw_gwapi_text(t, r->object->name);
    if (rule_name.n) {
        name->_rule_name_case = PB__ROUTE_NAME___RULE_NAME_RULE_NAME;
        name->rule_name = agw_gwapi_text(t, rule_name);
    }
    r->route->name = name;
    return 0;
}

/* Fields that change less than what is served: the rule works, and a warning says what it lacks. */
static void warn_ignored(struct agw_translate *t, const struct rule *r)
{
    static const char *const ignored[] = {"retry", "sessionPersistence", NULL};
    unsigned i;

    for (i = 0; ignored[i]; i++) {
        if (agw_field(r->node, ignored[i]))
            agw_gwapi_warn(t, r->object, agw_field(r->node, ignored[i]),
                           "is not served: the rule works without it");
    }
}

static int make_rule(struct agw_translate *t, struct rule *r)
{
    const struct agw_node *unserved = NULL;
    Pb__Route *route = agw_gwapi_new(t, Pb__Route, pb__route__init);

    if (!route)
        return AGW_ENOMEM;
    r->route = route;
    if (set_name(t, r) || agw_gwapi_matches(t, r->node, &route->matches, &route->n_matches) ||
        agw_gwapi_rule_filters(t, r->node, &route->traffic_policies, &route->n_traffic_policies, &unserved) ||
        add_backends(t, r))
        return AGW_ENOMEM;
    if (unserved) { /* no backends and no redirect: 500 */
        unserved_filter(t, r->object, unserved);
        route->n_traffic_policies = 0;
        route->n_backends = 0;
    }
    warn_ignored(t, r);
    return 0;
}

/* "ns/name.NN.listener"; with the Gateway's name too when listeners of two Gateways are called the same. */
static char *route_key(struct agw_translate *t, const struct rule *r, const struct agw_gwapi_attachment *a)
{
    char *key = agw_gwapi_printf(t, "%.*s/%.*s.%02u.%.*s", AGW_STRF(r->object->ns), AGW_STRF(r->object->name),
                                 r->index, AGW_STRF(a->listener->name));

    if (!agw_resource_set_get(t->out, AGW_RESOURCE_ROUTE, agw_str_c(key)))
        return key;
    return agw_gwapi_printf(t, "%s.%.*s.%.*s", key, AGW_STRF(a->gateway->object->ns),
                            AGW_STRF(a->gateway->object->name));
}

static int put_rule(struct agw_translate *t, const struct rule *r, const struct agw_gwapi_attachment *a)
{
    struct agw_side side = {.created_ns = r->object->created_ns};

    r->route->key = route_key(t, r, a);
    r->route->listener_key = agw_gwapi_text(t, a->listener->key);
    r->route->hostnames = a->hostnames;
    r->route->n_hostnames = a->hostname_count;
    return agw_gwapi_put(t, AGW_RESOURCE_ROUTE, r->route, &side);
}

static int add_rule(struct agw_translate *t, struct rule *r, const struct agw_gwapi_attachment *first)
{
    const struct agw_gwapi_attachment *a;

    if (make_rule(t, r))
        return AGW_ENOMEM;
    for (a = first; a; a = a->next) {
        if (put_rule(t, r, a))
            return AGW_ENOMEM;
    }
    return 0;
}

static int add_route(struct agw_translate *t, const struct agw_object *o)
{
    const struct agw_node *rules = agw_field(o->spec, "rules"), *n;
    struct agw_gwapi_attachment *first;
    struct rule r = {.object = o};

    if (agw_gwapi_attach(t, o, &first))
        return AGW_ENOMEM;
    if (!first)
        return 0;
    if (!rules || rules->count == 0)
        return add_rule(t, &r, first);
    agw_node_each (n, rules) {
        r.node = n;
        if (add_rule(t, &r, first))
            return AGW_ENOMEM;
        r.index++;
    }
    return 0;
}

/* --- what status says of listeners --- */

int agw_gwapi_report_attached(struct agw_translate *t)
{
    struct agw_arena *arena = &t->report->texts.arena;
    const struct agw_gwapi_gateway *g;
    uint32_t i;

    for (g = t->gateways; g; g = g->next) {
        for (i = 0; i < g->listener_count; i++) {
            struct agw_gwapi_attached *a = agw_arena_zalloc(arena, sizeof(*a));

            if (!a)
                return AGW_ENOMEM;
            a->ns = agw_arena_str(arena, g->object->ns);
            a->gateway = agw_arena_str(arena, g->object->name);
            a->listener = agw_arena_str(arena, g->listeners[i].name);
            a->routes = g->listeners[i].attached;
            if (!a->ns.p || !a->gateway.p || !a->listener.p)
                return AGW_ENOMEM;
            a->next = t->report->attached;
            t->report->attached = a;
        }
    }
    return 0;
}

int agw_gwapi_http_routes(struct agw_translate *t)
{
    const struct agw_object *o;

    agw_objects_each(o, t->objects, AGW_KIND_HTTP_ROUTE)
    {
        if (add_route(t, o))
            return AGW_ENOMEM;
    }
    return 0;
}
