/* Gateways to binds and listeners. */
#include <string.h>
#include "gwapi/gwapi_int.h"

/* --- whose it is --- */

/* True if the class is ours: declared with our controller's name, or our own name and not declared at all. */
static bool our_class(const struct agw_objects *objects, struct agw_str name)
{
    const struct agw_object *class = agw_objects_get(objects, AGW_KIND_GATEWAY_CLASS, AGW_STR(""), name);

    if (class)
        return agw_field_is(class->spec, "controllerName", AGW_CONTROLLER_NAME);
    return agw_str_eq(name, AGW_STR(AGW_CLASS_NAME));
}

/* --- addresses --- */

static bool is_any(const struct agw_addr *a)
{
    static const struct in6_addr any6 = IN6ADDR_ANY_INIT;

    if (a->u.sa.sa_family == AF_INET)
        return a->u.in4.sin_addr.s_addr == INADDR_ANY;
    return a->u.sa.sa_family == AF_INET6 && memcmp(&a->u.in6.sin6_addr, &any6, sizeof(any6)) == 0;
}

static void add_address(struct agw_translate *t, struct agw_gwapi_gateway *g, const struct agw_node *a)
{
    struct agw_report *texts = &t->report->texts;
    struct agw_str type = agw_field_text(a, "type", AGW_STR("IPAddress")), value = agw_node_text(a, "value");

    if (!agw_str_eq(type, AGW_STR("IPAddress"))) {
        agw_report_error(texts, g->object, agw_field(a, "type"), NULL,
                         "type %.*s cannot be bound; use IPAddress", AGW_STRF(type));
        return;
    }
    if (value.n == 0) /* "assign one": all of this machine's */
        return;
    if (agw_addr_ip(value, 0, &g->addrs[g->addr_count])) {
        agw_report_error(texts, g->object, agw_field(a, "value"), NULL, "\"%.*s\" is not an IP address",
                         AGW_STRF(value));
        return;
    }
    g->addr_count++;
}

static int add_addresses(struct agw_translate *t, struct agw_gwapi_gateway *g)
{
    const struct agw_node *list = agw_field(g->object->spec, "addresses"), *a;

    if (!list || list->count == 0)
        return 0;
    g->addrs = agw_arena_zalloc(&t->arena, list->count * sizeof(*g->addrs));
    if (!g->addrs)
        return AGW_ENOMEM;
    agw_node_each (a, list)
        add_address(t, g, a);
    return 0;
}

static bool share_address(const struct agw_gwapi_gateway *a, const struct agw_gwapi_gateway *b)
{
    uint32_t i, j;

    if (a->addr_count == 0 || b->addr_count == 0)
        return true;
    for (i = 0; i < a->addr_count; i++) {
        for (j = 0; j < b->addr_count; j++) {
            if (is_any(&a->addrs[i]) || is_any(&b->addrs[j]) || agw_addr_eq(&a->addrs[i], &b->addrs[j]))
                return true;
        }
    }
    return false;
}

/* Two Gateways never merge: a port of an address has one owner. */
static void check_conflicts(struct agw_translate *t, const struct agw_gwapi_gateway *g)
{
    const struct agw_gwapi_gateway *other;
    uint32_t i, j;

    for (other = t->gateways; other != g; other = other->next) {
        if (!share_address(g, other))
            continue;
        for (i = 0; i < g->listener_count; i++) {
            for (j = 0; j < other->listener_count && g->listeners[i].port != other->listeners[j].port;)
                j++;
            if (j == other->listener_count)
                continue;
            agw_report_error(&t->report->texts, g->object, agw_field(g->listeners[i].node, "port"), NULL,
                             "port %u of the same address belongs to Gateway %.*s/%.*s (%s:%u)",
                             g->listeners[i].port, AGW_STRF(other->object->ns), AGW_STRF(other->object->name),
                             other->object->file, other->object->node->line);
            break; /* once is enough for two Gateways */
        }
    }
}

/* --- listeners --- */

static bool takes_routes(const struct agw_node *listener, const char *kind)
{
    const struct agw_node *kinds = agw_field(agw_field(listener, "allowedRoutes"), "kinds"), *k;

    if (!kinds || kinds->count == 0)
        return true;
    agw_node_each (k, kinds) {
        if (agw_field_is(k, "kind", kind) &&
            agw_str_eq(agw_field_text(k, "group", AGW_STR(AGW_GROUP_GATEWAY)), AGW_STR(AGW_GROUP_GATEWAY)))
            return true;
    }
    return false;
}

/* Protocols of one letter share a port, those of two do not; 0: not TCP or not known, in nobody's way. */
static char protocol_group(const struct agw_gwapi_listener *l)
{
    if (l->https || agw_field_is(l->node, "protocol", "TLS"))
        return 'S';
    if (agw_field_is(l->node, "protocol", "HTTP"))
        return 'H';
    return agw_field_is(l->node, "protocol", "TCP") ? 'T' : 0;
}

/* HTTP and HTTPS on one port: nobody wins. */
static bool protocol_conflict(const struct agw_gwapi_gateway *g, const struct agw_gwapi_listener *l)
{
    uint32_t i;

    for (i = 0; i < g->listener_count; i++) {
        char group = protocol_group(&g->listeners[i]);

        if (g->listeners[i].port == l->port && group && group != protocol_group(l))
            return true;
    }
    return false;
}

static bool check_listener(struct agw_translate *t, const struct agw_gwapi_gateway *g,
                           const struct agw_gwapi_listener *l)
{
    struct agw_gwapi_place place = {.object = g->object, .part = l->name, .parent = -1};
    struct agw_str protocol = agw_node_text(l->node, "protocol");

    if (!l->https && !agw_str_eq(protocol, AGW_STR("HTTP"))) {
        agw_gwapi_condition(t, &place, agw_field(l->node, "protocol"), "Accepted", false,
                            "UnsupportedProtocol",
                            "protocol %.*s is not served, HTTP and HTTPS are: the listener serves nothing",
                            AGW_STRF(protocol));
        return false;
    }
    if (protocol_conflict(g, l)) {
        agw_gwapi_condition(t, &place, agw_field(l->node, "protocol"), "Conflicted", true, "ProtocolConflict",
                            "another listener uses port %u with another protocol", l->port);
        return false;
    }
    agw_gwapi_condition(t, &place, NULL, "Accepted", true, "Accepted", "%s", "");
    if (!l->takes_http && !l->takes_grpc)
        agw_gwapi_condition(t, &place, agw_field(agw_field(l->node, "allowedRoutes"), "kinds"),
                            "ResolvedRefs", false, "InvalidRouteKinds",
                            "of the kinds only HTTPRoute and GRPCRoute are served");
    return true;
}

static int listener_tls(struct agw_translate *t, const struct agw_gwapi_gateway *g,
                        const struct agw_gwapi_listener *l, Pb__TLSConfig **ret_tls)
{
    struct agw_gwapi_place place = {.object = g->object, .part = l->name, .parent = -1};
    const struct agw_node *tls = agw_field(l->node, "tls");
    struct agw_gwapi_refusal refusal = {0};
    int rc = agw_gwapi_listener_tls(t, g->object, l, ret_tls, &refusal);

    if (rc)
        return rc;
    if (refusal.reason)
        agw_gwapi_condition(t, &place, agw_field(tls, "certificateRefs"), "ResolvedRefs", false,
                            refusal.reason, "%.*s: %s", AGW_STRF(refusal.message),
                            (*ret_tls)->cert.len ? "the others are served" : "handshakes are refused");
    return 0;
}

static int put_listener(struct agw_translate *t, const struct agw_gwapi_gateway *g,
                        const struct agw_gwapi_listener *l)
{
    Pb__Listener *out = agw_gwapi_new(t, Pb__Listener, pb__listener__init);
    Pb__ListenerName *name = agw_gwapi_new(t, Pb__ListenerName, pb__listener_name__init);
    int rc;

    if (!out || !name)
        return AGW_ENOMEM;
    name->gateway_namespace = agw_gwapi_text(t, g->object->ns);
    name->gateway_name = agw_gwapi_text(t, g->object->name);
    name->listener_name = agw_gwapi_text(t, l->name);
    out->key = agw_gwapi_text(t, l->key);
    out->bind_key =
        agw_gwapi_printf(t, "%u/%.*s/%.*s", l->port, AGW_STRF(g->object->ns), AGW_STRF(g->object->name));
    out->name = name;
    out->hostname = agw_gwapi_text(t, l->hostname);
    out->protocol = l->https ? PB__PROTOCOL__HTTPS : PB__PROTOCOL__HTTP;
    if (l->https) {
        rc = listener_tls(t, g, l, &out->tls);
        if (rc)
            return rc;
    }
    return agw_gwapi_put(t, AGW_RESOURCE_LISTENER, out, NULL);
}

static int put_bind(struct agw_translate *t, const struct agw_gwapi_gateway *g,
                    const struct agw_gwapi_listener *l)
{
    struct agw_side side = {.addrs = g->addrs, .addr_count = g->addr_count};
    Pb__Bind *bind = agw_gwapi_new(t, Pb__Bind, pb__bind__init);

    if (!bind)
        return AGW_ENOMEM;
    bind->key =
        agw_gwapi_printf(t, "%u/%.*s/%.*s", l->port, AGW_STRF(g->object->ns), AGW_STRF(g->object->name));
    if (t->failed)
        return AGW_ENOMEM;
    if (agw_resource_set_get(t->out, AGW_RESOURCE_BIND, agw_str_c(bind->key)))
        return 0; /* a listener before this one made it */
    bind->port = l->port;
    bind->protocol = l->https ? PB__BIND__PROTOCOL__TLS : PB__BIND__PROTOCOL__HTTP;
    return agw_gwapi_put(t, AGW_RESOURCE_BIND, bind, &side);
}

static int read_listeners(struct agw_translate *t, struct agw_gwapi_gateway *g)
{
    const struct agw_node *list = agw_field(g->object->spec, "listeners"), *n;

    g->listeners = agw_arena_zalloc(&t->arena, list->count * sizeof(*g->listeners));
    if (!g->listeners)
        return AGW_ENOMEM;
    agw_node_each (n, list) {
        struct agw_gwapi_listener *l = &g->listeners[g->listener_count++];

        l->node = n;
        l->name = agw_node_text(n, "name");
        l->hostname = agw_node_text(n, "hostname");
        l->port = (uint16_t)agw_field_int(n, "port", 0);
        l->https = agw_field_is(n, "protocol", "HTTPS");
        l->takes_http = takes_routes(n, "HTTPRoute");
        l->takes_grpc = takes_routes(n, "GRPCRoute");
        l->key = agw_arena_printf(&t->arena, "%.*s/%.*s.%.*s", AGW_STRF(g->object->ns),
                                  AGW_STRF(g->object->name), AGW_STRF(l->name));
        if (!l->key.p)
            return AGW_ENOMEM;
    }
    return 0;
}

static int put_listeners(struct agw_translate *t, struct agw_gwapi_gateway *g)
{
    uint32_t i;

    for (i = 0; i < g->listener_count; i++) {
        struct agw_gwapi_listener *l = &g->listeners[i];

        l->serves = check_listener(t, g, l);
        if (l->serves && (put_bind(t, g, l) || put_listener(t, g, l)))
            return AGW_ENOMEM;
    }
    return 0;
}

static int add_gateway(struct agw_translate *t, const struct agw_object *o, struct agw_gwapi_gateway **at)
{
    struct agw_gwapi_gateway *g = agw_arena_zalloc(&t->arena, sizeof(*g));

    if (!g)
        return AGW_ENOMEM;
    g->object = o;
    *at = g;
    if (add_addresses(t, g) || read_listeners(t, g) || agw_gwapi_client_cert(t, g))
        return AGW_ENOMEM;
    check_conflicts(t, g);
    return put_listeners(t, g);
}

int agw_gwapi_gateways(struct agw_translate *t)
{
    struct agw_gwapi_gateway **at = &t->gateways;
    const struct agw_object *o;

    agw_objects_each(o, t->objects, AGW_KIND_GATEWAY)
    {
        struct agw_str class = agw_node_text(o->spec, "gatewayClassName");

        if (!our_class(t->objects, class)) {
            agw_report_add(&t->report->texts, AGW_REPORT_NOTE, o, agw_field(o->spec, "gatewayClassName"),
                           NULL, "left out: class %.*s is not ours", AGW_STRF(class));
            continue;
        }
        if (add_gateway(t, o, at))
            return AGW_ENOMEM;
        at = &(*at)->next;
    }
    if (!t->gateways)
        agw_report_text(&t->report->texts, AGW_REPORT_WARNING,
                        "no Gateway of class " AGW_CLASS_NAME ": nothing listens");
    return 0;
}
