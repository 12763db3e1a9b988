/* TLSRoutes and TCPRoutes to TCP routes: one for each listener. */
#include "gwapi/route/route.h"

/* A route of unknown age comes after all others: keys tell the order over xDS. */
#define LAST_SECOND 9999999999ull

static int add_backend(struct agw_translate *t, const struct agw_object *o, const struct agw_node *ref,
                       Pb__TCPRoute *route)
{
    struct agw_gwapi_place place = {.object = o, .parent = -1};
    Pb__RouteBackend *b = agw_gwapi_new(t, Pb__RouteBackend, pb__route_backend__init);
    struct agw_gwapi_refusal refusal;

    if (!b || agw_gwapi_backend_ref(t, o, ref, &b->backend, &refusal))
        return AGW_ENOMEM;
    b->weight = (int32_t)agw_field_int(ref, "weight", 1);
    if (refusal.reason)
        agw_gwapi_condition(t, &place, ref, "ResolvedRefs", false, refusal.reason,
                            "%.*s: its connections are closed", AGW_STRF(refusal.message));
    route->backends[route->n_backends++] = b;
    return 0;
}

/* The first rule: there is nothing by which a second one could be chosen. */
static int make_route(struct agw_translate *t, const struct agw_object *o, Pb__TCPRoute **ret_route)
{
    const struct agw_node *rule = agw_field(o->spec, "rules")->first;
    const struct agw_node *refs = agw_field(rule, "backendRefs"), *ref;
    Pb__TCPRoute *route = agw_gwapi_new(t, Pb__TCPRoute, pb__tcproute__init);

    if (!route || agw_gwapi_route_name(t, o, rule, &route->name))
        return AGW_ENOMEM;
    *ret_route = route;
    if (!refs || refs->count == 0)
        return 0;
    route->backends = agw_gwapi_pointers(t, refs->count);
    if (!route->backends)
        return AGW_ENOMEM;
    agw_node_each (ref, refs) {
        if (add_backend(t, o, ref, route))
            return AGW_ENOMEM;
    }
    return 0;
}

/* "SECONDS/ns/name.00[.tls].listener", so that of two routes the older one's key comes first. */
static char *route_key(struct agw_translate *t, const struct agw_object *o,
                       const struct agw_gwapi_attachment *a)
{
    bool known = o->created_ns != AGW_CREATED_UNKNOWN;
    unsigned long long second = known ? o->created_ns / 1000000000ull : LAST_SECOND;
    char *key = agw_gwapi_printf(t, "%010llu/%.*s/%.*s.00%s.%.*s", second, AGW_STRF(o->ns), AGW_STRF(o->name),
                                 o->kind == AGW_KIND_TLS_ROUTE ? ".tls" : "", AGW_STRF(a->listener->name));

    return agw_gwapi_route_key(t, AGW_RESOURCE_TCP_ROUTE, key, a);
}

static int add_route(struct agw_translate *t, const struct agw_object *o)
{
    struct agw_side side = {.created_ns = o->created_ns};
    struct agw_gwapi_attachment *a;
    Pb__TCPRoute *route;

    if (agw_gwapi_attach(t, o, &a))
        return AGW_ENOMEM;
    if (!a)
        return 0;
    if (make_route(t, o, &route))
        return AGW_ENOMEM;
    for (; a; a = a->next) {
        route->key = route_key(t, o, a);
        route->listener_key = agw_gwapi_text(t, a->listener->key);
        route->hostnames = a->hostnames;
        route->n_hostnames = a->hostname_count;
        if (agw_gwapi_put(t, AGW_RESOURCE_TCP_ROUTE, route, &side))
            return AGW_ENOMEM;
    }
    return 0;
}

int agw_gwapi_l4_routes(struct agw_translate *t)
{
    static const enum agw_kind kinds[] = {AGW_KIND_TLS_ROUTE, AGW_KIND_TCP_ROUTE};
    const struct agw_object *o;

    for (int i = 0; i < 2; i++) {
        agw_objects_each(o, t->objects, kinds[i])
        {
            if (add_route(t, o))
                return AGW_ENOMEM;
        }
    }
    return 0;
}
