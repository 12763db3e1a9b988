/* Which listeners a route is attached to, and under which hostnames. */
#include "gwapi/route/route.h"

/* --- hostnames --- */

static bool is_wild(struct agw_str h)
{
    return agw_str_starts(h, AGW_STR("*."));
}

/* True if |h|, exact or itself a wildcard, lies within the wildcard |wild|. */
static bool within(struct agw_str wild, struct agw_str h)
{
    struct agw_str suffix = agw_str_from(wild, 1); /* ".a.com" */

    return h.n > suffix.n + (is_wild(h) ? 1 : 0) && agw_str_ends(h, suffix);
}

/* The names that both mean; false when there are none. */
static bool intersect(struct agw_str listener, struct agw_str route, struct agw_str *ret_common)
{
    if (listener.n == 0 || agw_str_eq(listener, route) || (is_wild(listener) && within(listener, route)))
        *ret_common = route;
    else if (is_wild(route) && within(route, listener))
        *ret_common = listener;
    else
        return false;
    return true;
}

static bool listed(const struct agw_gwapi_attachment *a, struct agw_str name)
{
    size_t i;

    for (i = 0; i < a->hostname_count; i++) {
        if (agw_str_eq(agw_str_c(a->hostnames[i]), name))
            return true;
    }
    return false;
}

/* Fills the attachment's hostnames. *ret_any is false when the route and the listener share none. */
static int common_hostnames(struct agw_translate *t, const struct agw_object *route,
                            struct agw_gwapi_attachment *a, bool *ret_any)
{
    const struct agw_node *list = agw_field(route->spec, "hostnames"), *n;
    struct agw_str host = a->listener->hostname;

    a->hostnames = agw_gwapi_pointers(t, list ? list->count + 1 : 1);
    if (!a->hostnames)
        return AGW_ENOMEM;
    agw_node_each (n, list) {
        struct agw_str common;

        if (intersect(host, n->text, &common) && !listed(a, common))
            a->hostnames[a->hostname_count++] = agw_gwapi_text(t, common);
    }
    *ret_any = a->hostname_count > 0;
    if (!list || list->count == 0) {
        *ret_any = true;
        if (host.n)
            a->hostnames[a->hostname_count++] = agw_gwapi_text(t, host);
    }
    return 0;
}

/* --- one parent --- */

/* How far the listeners of a parent let the route come; the furthest names the reason. */
enum progress { NO_LISTENER, NOT_ALLOWED, NO_HOSTNAME, CONFLICTED, ATTACHED };

static const char *const reasons[] = {"NoMatchingParent", "NotAllowedByListeners",
                                      "NoMatchingListenerHostname", "HostnameConflict", "Accepted"};
static const char *const messages[] = {"no listener of this parent has this sectionName and port",
                                       "no listener of this parent allows this route's namespace and kind",
                                       "no hostname of the route is one of the listener's",
                                       "an older route of the other kind has this hostname", ""};

static bool is_meant(const struct agw_node *parent, const struct agw_gwapi_listener *l)
{
    struct agw_str section = agw_node_text(parent, "sectionName");

    return (section.n == 0 || agw_str_eq(section, l->name)) &&
           agw_field_int(parent, "port", l->port) == l->port;
}

static bool is_attached(const struct agw_gwapi_attachment *a, const struct agw_gwapi_listener *l)
{
    for (; a; a = a->next) {
        if (a->listener == l)
            return true;
    }
    return false;
}

/* --- HTTPRoutes and GRPCRoutes do not share hostnames of a listener --- */

static bool overlap(const struct agw_gwapi_attachment *a, const struct agw_gwapi_attachment *b)
{
    struct agw_str common;
    size_t i, k;

    for (i = 0; i < a->hostname_count; i++) {
        for (k = 0; k < b->hostname_count; k++) {
            if (intersect(agw_str_c(a->hostnames[i]), agw_str_c(b->hostnames[k]), &common))
                return true;
        }
    }
    return a->hostname_count == 0 || b->hostname_count == 0; /* any */
}

/* Takes |a| into the listener's list of its kind, unless one of the other kind is in its way. */
static bool claim_hostnames(struct agw_gwapi_listener *l, bool grpc, struct agw_gwapi_attachment *a)
{
    struct agw_gwapi_attachment **own = grpc ? &l->grpc : &l->http, *other = grpc ? l->http : l->grpc;

    for (; other; other = other->peer) {
        if (overlap(a, other))
            return false;
    }
    a->peer = *own;
    *own = a;
    return true;
}

static int try_listener(struct agw_translate *t, const struct agw_object *route,
                        const struct agw_gwapi_parent *p, struct agw_gwapi_listener *l,
                        struct agw_gwapi_attachment **first, enum progress *progress)
{
    struct agw_gwapi_attachment *a, **end = first;
    bool any, grpc = route->kind == AGW_KIND_GRPC_ROUTE;

    *progress = NOT_ALLOWED;
    if (!agw_gwapi_takes(l, route->kind_name) ||
        !agw_gwapi_allows_namespace(
            t, p->object, agw_field(agw_field(l->node, "allowedRoutes"), "namespaces"), "Same", route->ns))
        return 0;
    a = agw_arena_zalloc(&t->arena, sizeof(*a));
    if (!a)
        return AGW_ENOMEM;
    a->parent = p;
    a->listener = l;
    if (common_hostnames(t, route, a, &any))
        return AGW_ENOMEM;
    *progress = any ? CONFLICTED : NO_HOSTNAME;
    if (!any || !claim_hostnames(l, grpc, a))
        return 0;
    *progress = ATTACHED;
    l->attached++;
    if (is_attached(*first, l) || !l->serves)
        return 0;
    while (*end)
        end = &(*end)->next;
    *end = a;
    return 0;
}

static bool is_gateway(const struct agw_node *ref)
{
    return agw_str_eq(agw_field_text(ref, "kind", AGW_STR("Gateway")), AGW_STR("Gateway"));
}

static int try_listeners(struct agw_translate *t, const struct agw_gwapi_place *place,
                         const struct agw_node *ref, const struct agw_gwapi_parent *p,
                         struct agw_gwapi_attachment **first)
{
    enum progress best = NO_LISTENER, got;
    uint32_t i;

    for (i = 0; i < p->listener_count; i++) {
        if (!is_meant(ref, &p->listeners[i]))
            continue;
        if (try_listener(t, place->object, p, &p->listeners[i], first, &got))
            return AGW_ENOMEM;
        best = got > best ? got : best;
    }
    agw_gwapi_condition(t, place, ref, "Accepted", best == ATTACHED, reasons[best], "%s", messages[best]);
    return 0;
}

static const struct agw_gwapi_parent *find_parent(const struct agw_translate *t, enum agw_kind kind,
                                                  struct agw_str ns, struct agw_str name)
{
    const struct agw_object *o = agw_objects_get(t->objects, kind, ns, name);
    const struct agw_gwapi_gateway *g;
    const struct agw_gwapi_parent *p;

    for (g = o ? t->gateways : NULL; g; g = g->next) {
        for (p = &g->own; p; p = kind == AGW_KIND_GATEWAY ? NULL : p->next) {
            if (p->object == o)
                return p;
        }
    }
    return NULL;
}

/* The route names a parent that is not there; a Gateway of that name elsewhere is probably meant. */
static void warn_missing(struct agw_translate *t, const struct agw_object *route,
                         const struct agw_node *parent, struct agw_str ns, struct agw_str name)
{
    const struct agw_gwapi_gateway *g = is_gateway(parent) ? t->gateways : NULL;
    struct agw_str kind = agw_field_text(parent, "kind", AGW_STR("Gateway"));

    while (g && !agw_str_eq(g->object->name, name))
        g = g->next;
    if (g)
        agw_gwapi_warn(t, route, parent,
                       "there is no Gateway %.*s/%.*s: the route serves nothing there (namespace: %.*s is "
                       "missing if %.*s/%.*s is meant)",
                       AGW_STRF(ns), AGW_STRF(name), AGW_STRF(g->object->ns), AGW_STRF(g->object->ns),
                       AGW_STRF(name));
    else
        agw_gwapi_warn(t, route, parent, "there is no %.*s %.*s/%.*s: the route serves nothing there",
                       AGW_STRF(kind), AGW_STRF(ns), AGW_STRF(name));
}

static int try_parent(struct agw_translate *t, const struct agw_gwapi_place *place,
                      const struct agw_node *ref, struct agw_gwapi_attachment **first)
{
    struct agw_str ns = agw_field_text(ref, "namespace", place->object->ns),
                   name = agw_node_text(ref, "name");
    struct agw_str group = agw_field_text(ref, "group", AGW_STR(AGW_GROUP_GATEWAY));
    bool gateway = is_gateway(ref), set = agw_field_is(ref, "kind", "ListenerSet");
    enum agw_kind kind = set ? AGW_KIND_LISTENER_SET : AGW_KIND_GATEWAY;
    const struct agw_gwapi_parent *p;

    if ((!gateway && !set) || !agw_str_eq(group, AGW_STR(AGW_GROUP_GATEWAY))) {
        agw_gwapi_warn(t, place->object, ref, "parents of kind %.*s are not served",
                       AGW_STRF(agw_field_text(ref, "kind", AGW_STR("Gateway"))));
        return 0;
    }
    p = find_parent(t, kind, ns, name);
    if (p)
        return try_listeners(t, place, ref, p, first);
    if (!agw_objects_get(t->objects, kind, ns, name)) /* otherwise another controller's */
        warn_missing(t, place->object, ref, ns, name);
    return 0;
}

int agw_gwapi_attach(struct agw_translate *t, const struct agw_object *route,
                     struct agw_gwapi_attachment **ret_first)
{
    struct agw_gwapi_place place = {.object = route};
    struct agw_gwapi_attachment *first = NULL;
    const struct agw_node *parent;

    agw_node_each (parent, agw_field(route->spec, "parentRefs")) {
        if (try_parent(t, &place, parent, &first))
            return AGW_ENOMEM;
        place.parent++;
    }
    if (place.parent == 0)
        agw_gwapi_warn(t, route, NULL, "has no parentRefs: it serves nothing");
    *ret_first = first;
    return 0;
}

/* --- what all routes are named by --- */

int agw_gwapi_route_name(struct agw_translate *t, const struct agw_object *route, const struct agw_node *rule,
                         Pb__RouteName **ret_name)
{
    Pb__RouteName *name = agw_gwapi_new(t, Pb__RouteName, pb__route_name__init);
    struct agw_str rule_name = agw_node_text(rule, "name");

    if (!name)
        return AGW_ENOMEM;
    name->kind = agw_gwapi_text(t, route->kind_name);
    name->namespace_ = agw_gwapi_text(t, route->ns);
    name->name = agw_gwapi_text(t, route->name);
    if (rule_name.n) {
        name->_rule_name_case = PB__ROUTE_NAME___RULE_NAME_RULE_NAME;
        name->rule_name = agw_gwapi_text(t, rule_name);
    }
    *ret_name = name;
    return 0;
}

char *agw_gwapi_route_key(struct agw_translate *t, enum agw_resource_kind kind, char *key,
                          const struct agw_gwapi_attachment *a)
{
    const struct agw_object *gateway = a->parent->gateway->object, *parent = a->parent->object;

    if (parent != gateway)
        return agw_gwapi_printf(t, "%s:%.*s.%.*s", key, AGW_STRF(parent->ns), AGW_STRF(parent->name));
    if (!agw_resource_set_get(t->out, kind, agw_str_c(key)))
        return key;
    return agw_gwapi_printf(t, "%s.%.*s.%.*s", key, AGW_STRF(gateway->ns), AGW_STRF(gateway->name));
}
