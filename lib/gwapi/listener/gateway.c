/* Gateways to binds and listeners. */
#include <string.h>
#include "base/check.h"
#include "gwapi/listener/listener.h"

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

static const struct agw_gwapi_listen_protocol protocols[] = {
    {"HTTP", PB__PROTOCOL__HTTP, PB__BIND__PROTOCOL__HTTP, "HTTPRoute GRPCRoute", NULL},
    {"HTTPS", PB__PROTOCOL__HTTPS, PB__BIND__PROTOCOL__TLS, "HTTPRoute GRPCRoute", NULL},
    {"TLS", PB__PROTOCOL__TLS, PB__BIND__PROTOCOL__TLS, "TLSRoute TCPRoute", "TLSRoute"},
    {"TCP", PB__PROTOCOL__TCP, PB__BIND__PROTOCOL__TCP, "TCPRoute", NULL},
    {"HBONE", PB__PROTOCOL__HBONE, PB__BIND__PROTOCOL__HTTP, "", NULL,
     .tunnel = PB__BIND__TUNNEL_PROTOCOL__HBONE_GATEWAY},
};

static const struct agw_gwapi_listen_protocol *find_protocol(const struct agw_node *listener)
{
    size_t i;

    for (i = 0; i < AGW_ARRAY_LEN(protocols); i++) {
        if (agw_field_is(listener, "protocol", protocols[i].name))
            return &protocols[i];
    }
    return NULL;
}

static const char *route_kinds(const struct agw_gwapi_listener *l)
{
    if (!l->protocol)
        return "";
    return l->passthrough ? l->protocol->passthrough_routes : l->protocol->routes;
}

/* True if |word| is one of |list|, which has spaces between. */
static bool is_word_of(struct agw_str list, struct agw_str word)
{
    size_t at = 0, i;

    for (i = 0; i <= list.n; i++) {
        if (i < list.n && list.p[i] != ' ')
            continue;
        if (agw_str_eq(agw_str(list.p + at, i - at), word))
            return true;
        at = i + 1;
    }
    return false;
}

/* True if the listener's protocol goes with this entry of allowedRoutes.kinds. */
static bool serves_kind(const struct agw_gwapi_listener *l, const struct agw_node *k)
{
    return agw_str_eq(agw_field_text(k, "group", AGW_STR(AGW_GROUP_GATEWAY)), AGW_STR(AGW_GROUP_GATEWAY)) &&
           is_word_of(agw_str_c(route_kinds(l)), agw_node_text(k, "kind"));
}

static const struct agw_node *allowed_kinds(const struct agw_gwapi_listener *l)
{
    return agw_field(agw_field(l->node, "allowedRoutes"), "kinds");
}

bool agw_gwapi_takes(const struct agw_gwapi_listener *l, struct agw_str kind)
{
    const struct agw_node *kinds = allowed_kinds(l), *k;

    if (!kinds || kinds->count == 0)
        return is_word_of(agw_str_c(route_kinds(l)), kind);
    agw_node_each (k, kinds) {
        if (serves_kind(l, k) && agw_str_eq(agw_node_text(k, "kind"), kind))
            return true;
    }
    return false;
}

/* Protocols that share a way to begin share a port (HTTPS and TLS); of others nobody wins. */
static bool protocol_conflict(const struct agw_gwapi_gateway *g, const struct agw_gwapi_listener *l)
{
    uint32_t i;

    for (i = 0; i < g->listener_count; i++) {
        const struct agw_gwapi_listen_protocol *other = g->listeners[i].protocol;

        if (g->listeners[i].port == l->port && other &&
            (other->bind != l->protocol->bind || other->tunnel != l->protocol->tunnel))
            return true;
    }
    return false;
}

static void check_kinds(struct agw_translate *t, const struct agw_gwapi_place *place,
                        const struct agw_gwapi_listener *l)
{
    const struct agw_node *k;

    agw_node_each (k, allowed_kinds(l)) {
        if (serves_kind(l, k))
            continue;
        agw_gwapi_condition(t, place, k, "ResolvedRefs", false, "InvalidRouteKinds",
                            "%.*s is none of the kinds that this listener takes: %s",
                            AGW_STRF(agw_node_text(k, "kind")), route_kinds(l));
        return;
    }
}

static bool check_listener(struct agw_translate *t, const struct agw_gwapi_gateway *g,
                           const struct agw_gwapi_listener *l)
{
    struct agw_gwapi_place place = {.object = g->object, .part = l->name, .parent = -1};
    struct agw_str protocol = agw_node_text(l->node, "protocol");

    if (!l->protocol) {
        agw_gwapi_condition(
            t, &place, agw_field(l->node, "protocol"), "Accepted", false, "UnsupportedProtocol",
            "protocol %.*s is not served, HTTP, HTTPS, TLS, TCP and HBONE are: the listener serves nothing",
            AGW_STRF(protocol));
        return false;
    }
    if (protocol_conflict(g, l)) {
        agw_gwapi_condition(t, &place, agw_field(l->node, "protocol"), "Conflicted", true, "ProtocolConflict",
                            "another listener uses port %u with another protocol", l->port);
        return false;
    }
    agw_gwapi_condition(t, &place, NULL, "Accepted", true, "Accepted", "%s", "");
    check_kinds(t, &place, l);
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
    out->protocol = l->protocol->wire;
    if (l->protocol->bind == PB__BIND__PROTOCOL__TLS && !l->passthrough) {
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
    bind->protocol = l->protocol->bind;
    bind->tunnel_protocol = l->protocol->tunnel;
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
        l->protocol = find_protocol(n);
        l->passthrough = l->protocol && l->protocol->passthrough_routes &&
                         agw_field_is(agw_field(n, "tls"), "mode", "Passthrough");
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
