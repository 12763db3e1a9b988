/* HTTPRoutes and GRPCRoutes to routes: one for each rule and listener. */
#include "gwapi/gwapi_int.h"

/* --- matches --- */

static int path_match(struct agw_translate *t, const struct agw_node *path, Pb__PathMatch **ret_match)
{
    struct agw_str type = agw_field_text(path, "type", AGW_STR("PathPrefix"));
    Pb__PathMatch *m = agw_gwapi_new(t, Pb__PathMatch, pb__path_match__init);
    char *value = agw_gwapi_text(t, agw_field_text(path, "value", AGW_STR("/")));

    if (!m)
        return AGW_ENOMEM;
    if (agw_str_eq(type, AGW_STR("Exact"))) {
        m->kind_case = PB__PATH_MATCH__KIND_EXACT;
        m->exact = value;
    } else if (agw_str_eq(type, AGW_STR("RegularExpression"))) {
        m->kind_case = PB__PATH_MATCH__KIND_REGEX;
        m->regex = value;
    } else {
        m->kind_case = PB__PATH_MATCH__KIND_PATH_PREFIX;
        m->path_prefix = value;
    }
    *ret_match = m;
    return 0;
}

/* Of a header that is named twice, in whatever case, only the first counts. */
static bool named_before(const struct agw_node *list, const struct agw_node *item)
{
    const struct agw_node *n;

    for (n = list->first; n != item; n = n->next) {
        if (agw_str_ieq(agw_node_text(n, "name"), agw_node_text(item, "name")))
            return true;
    }
    return false;
}

int agw_gwapi_header_matches(struct agw_translate *t, const struct agw_node *list, Pb__RouteMatch *out)
{
    const struct agw_node *n;

    if (!list || list->count == 0)
        return 0;
    out->headers = agw_gwapi_pointers(t, list->count);
    if (!out->headers)
        return AGW_ENOMEM;
    agw_node_each (n, list) {
        Pb__HeaderMatch *m;

        if (named_before(list, n))
            continue;
        m = agw_gwapi_new(t, Pb__HeaderMatch, pb__header_match__init);
        if (!m)
            return AGW_ENOMEM;
        m->name = agw_gwapi_text(t, agw_node_text(n, "name"));
        m->exact = agw_gwapi_text(t, agw_node_text(n, "value"));
        m->value_case = agw_field_is(n, "type", "RegularExpression") ? PB__HEADER_MATCH__VALUE_REGEX
                                                                     : PB__HEADER_MATCH__VALUE_EXACT;
        out->headers[out->n_headers++] = m;
    }
    return 0;
}

static int query_matches(struct agw_translate *t, const struct agw_node *list, Pb__RouteMatch *out)
{
    const struct agw_node *n;

    if (!list || list->count == 0)
        return 0;
    out->query_params = agw_gwapi_pointers(t, list->count);
    if (!out->query_params)
        return AGW_ENOMEM;
    agw_node_each (n, list) {
        Pb__QueryMatch *m = agw_gwapi_new(t, Pb__QueryMatch, pb__query_match__init);

        if (!m)
            return AGW_ENOMEM;
        m->name = agw_gwapi_text(t, agw_node_text(n, "name"));
        m->exact = agw_gwapi_text(t, agw_node_text(n, "value"));
        m->value_case = agw_field_is(n, "type", "RegularExpression") ? PB__QUERY_MATCH__VALUE_REGEX
                                                                     : PB__QUERY_MATCH__VALUE_EXACT;
        out->query_params[out->n_query_params++] = m;
    }
    return 0;
}

/* |match| may be NULL: everything. */
static int one_match(struct agw_translate *t, const struct agw_node *match, Pb__RouteMatch **ret_match)
{
    Pb__RouteMatch *m = agw_gwapi_new(t, Pb__RouteMatch, pb__route_match__init);
    struct agw_str method = agw_node_text(match, "method");

    if (!m || path_match(t, agw_field(match, "path"), &m->path) ||
        agw_gwapi_header_matches(t, agw_field(match, "headers"), m) ||
        query_matches(t, agw_field(match, "queryParams"), m))
        return AGW_ENOMEM;
    if (method.n) {
        m->method = agw_gwapi_new(t, Pb__MethodMatch, pb__method_match__init);
        if (!m->method)
            return AGW_ENOMEM;
        m->method->exact = agw_gwapi_text(t, method);
    }
    *ret_match = m;
    return 0;
}

typedef int one_match_fn(struct agw_translate *t, const struct agw_node *match, Pb__RouteMatch **ret_match);

/* |one| of each; a rule without any has one that matches everything. */
static int all_matches(struct agw_translate *t, const struct agw_node *rule, one_match_fn *one,
                       Pb__RouteMatch ***ret_matches, size_t *ret_count)
{
    const struct agw_node *list = agw_field(rule, "matches"), *n;
    size_t count = list && list->count ? list->count : 1, i = 0;
    Pb__RouteMatch **matches = agw_gwapi_pointers(t, count);

    if (!matches)
        return AGW_ENOMEM;
    if (!list || list->count == 0) {
        if (one(t, NULL, &matches[0]))
            return AGW_ENOMEM;
    }
    agw_node_each (n, list) {
        if (one(t, n, &matches[i++]))
            return AGW_ENOMEM;
    }
    *ret_matches = matches;
    *ret_count = count;
    return 0;
}

int agw_gwapi_matches(struct agw_translate *t, const struct agw_node *rule, Pb__RouteMatch ***ret_matches,
                      size_t *ret_count)
{
    return all_matches(t, rule, one_match, ret_matches, ret_count);
}

/* --- GRPCRoute: a method's name is the path of its requests, /service/method --- */
/* A service or a method that a match leaves open. */
#define ANY_NAME "[^/]+"

/* Where the order of routes is by path kind and then by the path's length, these come out as GRPCRoute wants
 * it: both named, the longest service, the longest method, anything. */
static void set_path(struct agw_translate *t, struct agw_str service, struct agw_str method, Pb__PathMatch *m)
{
    if (service.n && method.n) {
        m->kind_case = PB__PATH_MATCH__KIND_EXACT;
        m->exact = agw_gwapi_printf(t, "/%.*s/%.*s", AGW_STRF(service), AGW_STRF(method));
    } else if (service.n) {
        m->kind_case = PB__PATH_MATCH__KIND_PATH_PREFIX;
        m->path_prefix = agw_gwapi_printf(t, "/%.*s", AGW_STRF(service));
    } else {
        m->kind_case = PB__PATH_MATCH__KIND_REGEX;
        m->regex = method.n ? agw_gwapi_printf(t, "/" ANY_NAME "/%.*s", AGW_STRF(method))
                            : agw_gwapi_text(t, AGW_STR("/.*"));
    }
}

static int set_regex(struct agw_translate *t, struct agw_str service, struct agw_str method, Pb__PathMatch *m)
{
    struct agw_str text =
        agw_arena_printf(&t->arena, "/(?:%.*s)/(?:%.*s)", AGW_STRF(service.n ? service : AGW_STR(ANY_NAME)),
                         AGW_STRF(method.n ? method : AGW_STR(ANY_NAME)));

    if (!text.p)
        return AGW_ENOMEM;
    m->kind_case = PB__PATH_MATCH__KIND_REGEX;
    m->regex = (char *)text.p;
    return 0;
}

/* |match| may be NULL: everything. */
static int one_grpc_match(struct agw_translate *t, const struct agw_node *match, Pb__RouteMatch **ret_match)
{
    Pb__RouteMatch *m = agw_gwapi_new(t, Pb__RouteMatch, pb__route_match__init);
    Pb__PathMatch *path = agw_gwapi_new(t, Pb__PathMatch, pb__path_match__init);
    const struct agw_node *n = agw_field(match, "method");
    struct agw_str service = agw_node_text(n, "service"), method = agw_node_text(n, "method");

    if (!m || !path)
        return AGW_ENOMEM;
    if (!agw_field_is(n, "type", "RegularExpression"))
        set_path(t, service, method, path);
    else if (set_regex(t, service, method, path))
        return AGW_ENOMEM;
    m->path = path;
    *ret_match = m;
    return agw_gwapi_header_matches(t, agw_field(match, "headers"), m);
}

int agw_gwapi_grpc_matches(struct agw_translate *t, const struct agw_node *rule,
                           Pb__RouteMatch ***ret_matches, size_t *ret_count)
{
    return all_matches(t, rule, one_grpc_match, ret_matches, ret_count);
}

/* --- rules --- */

/* What a rule is on every listener; made once. */
struct rule {
    const struct agw_object *object;
    const struct agw_node *node; /* NULL: a route without rules has one that matches everything */
    unsigned index;
    Pb__Route *route; /* key, listener_key and hostnames are set for each listener */
};

/* --- backends --- */

void agw_gwapi_refs_condition(struct agw_translate *t, const struct agw_object *route,
                              const struct agw_node *at, const struct agw_gwapi_refusal *refusal,
                              const char *what)
{
    struct agw_gwapi_place place = {.object = route, .parent = -1};

    agw_gwapi_condition(t, &place, at, "ResolvedRefs", false, refusal->reason, "%.*s: %s",
                        AGW_STRF(refusal->message), what);
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
        agw_gwapi_ref_filters(t, o, ref, &b->backend_policies, &b->n_backend_policies, &unserved))
        return AGW_ENOMEM;
    b->weight = (int32_t)agw_field_int(ref, "weight", 1);
    if (refusal.reason)
        agw_gwapi_refs_condition(t, o, ref, &refusal, "answered 500");
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
    static const char *const ignored[] = {"sessionPersistence", NULL};
    unsigned i;

    for (i = 0; ignored[i]; i++) {
        if (agw_field(r->node, ignored[i]))
            agw_gwapi_warn(t, r->object, agw_field(r->node, ignored[i]),
                           "is not served: the rule works without it");
    }
}

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
    if (set_name(t, r) || add_matches(t, r) ||
        agw_gwapi_rule_filters(t, r->object, r->node, &route->traffic_policies, &route->n_traffic_policies,
                               &unserved) ||
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

/* "ns/name.NN.listener", "ns/name.NN.grpc.listener" of a GRPCRoute; with the Gateway's name too when
 * listeners of two Gateways are called the same. */
static char *route_key(struct agw_translate *t, const struct rule *r, const struct agw_gwapi_attachment *a)
{
    char *key =
        agw_gwapi_printf(t, "%.*s/%.*s.%02u%s.%.*s", AGW_STRF(r->object->ns), AGW_STRF(r->object->name),
                         r->index, is_grpc(r) ? ".grpc" : "", AGW_STRF(a->listener->name));

    if (!agw_resource_set_get(t->out, AGW_RESOURCE_ROUTE, agw_str_c(key)))
        return key;
    return agw_gwapi_printf(t, "%s.%.*s.%.*s", key, AGW_STRF(a->gateway->object->ns),
                            AGW_STRF(a->gateway->object->name));
}

static int put_rule(struct agw_translate *t, const struct rule *r, const struct agw_gwapi_attachment *a)
{
    struct agw_side side = {.created_ns = r->object->created_ns};
    Pb__Route *route;

    if (agw_gwapi_show_client_cert(t, a->gateway, r->route, &route))
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
