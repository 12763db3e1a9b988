/* HTTPRoutes and GRPCRoutes to routes: one for each rule and listener. */
#include "gwapi/route/route.h"

/* --- rules --- */

/* What a rule is on every listener; made once. */
struct rule {
    const struct agw_object *object;
    const struct agw_node *node; /* NULL: a route without rules has one that matches everything */
    unsigned index;
    Pb__Route *route; /* key, listener_key and hostnames are set for each listener */
};

/* --- backends --- */

/* No kind of object is a filter here. */
static void unserved_filter(struct agw_translate *t, const struct agw_object *o, const struct agw_node *f)
{
    struct agw_gwapi_place place = {.object = o, .parent = -1};
    const struct agw_node *ref = agw_field(f, "extensionRef");

    if (ref)
        agw_gwapi_condition(
            t, &place, ref, "ResolvedRefs", false, "InvalidKind",
            "kind %.*s of group \"%.*s\" is no filter that is served: requests are answered 500",
            AGW_STRF(agw_node_text(ref, "kind")), AGW_STRF(agw_node_text(ref, "group")));
    else
        agw_gwapi_condition(t, &place, f, "Accepted", false, "UnsupportedValue",
                            "the filter %.*s is not served here: requests are answered 500",
                            AGW_STRF(agw_node_text(f, "type")));
}

/* Nothing of the rule is left but 500, said as a policy of its own: one that is aimed at the route must not
 * answer in place of a filter that lets only some in. */
static int refuse_all(struct agw_translate *t, Pb__Route *route)
{
    struct agw_str body = AGW_STR("a filter of this route is not served\n");
    Pb__TrafficPolicySpec *spec = agw_gwapi_new(t, Pb__TrafficPolicySpec, pb__traffic_policy_spec__init);
    Pb__DirectResponse *answer = agw_gwapi_new(t, Pb__DirectResponse, pb__direct_response__init);

    route->traffic_policies = agw_gwapi_pointers(t, 1);
    if (!spec || !answer || !route->traffic_policies)
        return AGW_ENOMEM;
    answer->status = 500;
    answer->body = (ProtobufCBinaryData){body.n, (uint8_t *)agw_gwapi_text(t, body)};
    spec->kind_case = PB__TRAFFIC_POLICY_SPEC__KIND_DIRECT_RESPONSE;
    spec->direct_response = answer;
    route->traffic_policies[0] = spec;
    route->n_traffic_policies = 1;
    route->n_backends = 0;
    return 0;
}

static int add_backend(struct agw_translate *t, const struct agw_object *o, const struct agw_node *ref,
                       Pb__Route *route)
{
    Pb__RouteBackend *b = agw_gwapi_new(t, Pb__RouteBackend, pb__route_backend__init);
    const struct agw_node *unserved = NULL;
    struct agw_gwapi_refusal refusal;

    if (!b || agw_gwapi_backend_ref(t, o, ref, &b->backend, &refusal) ||
        agw_gwapi_ref_filters(t, o, ref, &b->backend_policies, &b->n_backend_policies, &unserved))
        return AGW_ENOMEM;
    b->weight = (int32_t)agw_field_int(ref, "weight", 1);
    if (refusal.reason)
        agw_gwapi_refs_condition(t, o, ref, &refusal, "answered 500");
    else if (agw_gwapi_wants_tls(t, o, ref) && agw_gwapi_default_tls(t, b))
        return AGW_ENOMEM;
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

static bool is_grpc(const struct rule *r)
{
    return r->object->kind == AGW_KIND_GRPC_ROUTE;
}

static int add_matches(struct agw_translate *t, const struct rule *r)
{
    return is_grpc(r) ? agw_gwapi_grpc_matches(t, r->node, &r->route->matches, &r->route->n_matches)
                      : agw_gwapi_matches(t, r->node, &r->route->matches, &r->route->n_matches);
}

static int make_rule(struct agw_translate *t, struct rule *r)
{
    const struct agw_node *unserved = NULL;
    Pb__Route *route = agw_gwapi_new(t, Pb__Route, pb__route__init);

    if (!route)
        return AGW_ENOMEM;
    r->route = route;
    if (agw_gwapi_route_name(t, r->object, r->node, &route->name) || add_matches(t, r) ||
        agw_gwapi_rule_filters(t, r->object, r->node, &route->traffic_policies, &route->n_traffic_policies,
                               &unserved) ||
        add_backends(t, r))
        return AGW_ENOMEM;
    if (!unserved)
        return 0;
    unserved_filter(t, r->object, unserved);
    return refuse_all(t, route);
}

/* "ns/name.NN.listener", "ns/name.NN.grpc.listener" of a GRPCRoute. */
static char *route_key(struct agw_translate *t, const struct rule *r, const struct agw_gwapi_attachment *a)
{
    char *key =
        agw_gwapi_printf(t, "%.*s/%.*s.%02u%s.%.*s", AGW_STRF(r->object->ns), AGW_STRF(r->object->name),
                         r->index, is_grpc(r) ? ".grpc" : "", AGW_STRF(a->listener->name));

    return agw_gwapi_route_key(t, AGW_RESOURCE_ROUTE, key, a);
}

static int put_rule(struct agw_translate *t, const struct rule *r, const struct agw_gwapi_attachment *a)
{
    struct agw_side side = {.created_ns = r->object->created_ns};
    Pb__Route *route;

    if (agw_gwapi_show_client_cert(t, a->parent->gateway, r->route, &route))
        return AGW_ENOMEM;
    route->key = route_key(t, r, a);
    route->listener_key = agw_gwapi_text(t, a->listener->key);
    route->hostnames = a->hostnames;
    route->n_hostnames = a->hostname_count;
    return agw_gwapi_put(t, AGW_RESOURCE_ROUTE, route, &side);
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

int agw_gwapi_http_routes(struct agw_translate *t)
{
    const struct agw_object *http = t->objects->first[AGW_KIND_HTTP_ROUTE],
                            *grpc = t->objects->first[AGW_KIND_GRPC_ROUTE];

    while (http || grpc) { /* of the two kinds the older first */
        const struct agw_object **o = !http || (grpc && agw_object_before(grpc, http)) ? &grpc : &http;

        if (add_route(t, *o))
            return AGW_ENOMEM;
        *o = (*o)->next;
    }
    return 0;
}
