/* A listener of a Gateway or a ListenerSet: what it says, and the resources that it makes. */
#include "base/check.h"
#include "gwapi/listener/listener_int.h"

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

static int listener_tls(struct agw_translate *t, const struct agw_gwapi_parent *p,
                        const struct agw_gwapi_listener *l, Pb__TLSConfig **ret_tls)
{
    struct agw_gwapi_place place = {.object = p->object, .part = l->name, .parent = -1};
    const struct agw_node *tls = agw_field(l->node, "tls");
    struct agw_gwapi_refusal refusal = {0};
    int rc = agw_gwapi_listener_tls(t, p, l, ret_tls, &refusal);

    if (rc)
        return rc;
    if (refusal.reason)
        agw_gwapi_condition(t, &place, agw_field(tls, "certificateRefs"), "ResolvedRefs", false,
                            refusal.reason, "%.*s: %s", AGW_STRF(refusal.message),
                            (*ret_tls)->cert.len ? "the others are served" : "handshakes are refused");
    return 0;
}

/* Of a ListenerSet's listener the set's name, too. */
static int set_name(struct agw_translate *t, const struct agw_gwapi_parent *p, Pb__ListenerName *name)
{
    if (p->object->kind != AGW_KIND_LISTENER_SET)
        return 0;
    name->listener_set = agw_gwapi_new(t, Pb__ResourceName, pb__resource_name__init);
    if (!name->listener_set)
        return AGW_ENOMEM;
    name->listener_set->namespace_ = agw_gwapi_text(t, p->object->ns);
    name->listener_set->name = agw_gwapi_text(t, p->object->name);
    return 0;
}

static int put_listener(struct agw_translate *t, const struct agw_gwapi_parent *p,
                        const struct agw_gwapi_listener *l)
{
    Pb__Listener *out = agw_gwapi_new(t, Pb__Listener, pb__listener__init);
    Pb__ListenerName *name = agw_gwapi_new(t, Pb__ListenerName, pb__listener_name__init);
    const struct agw_object *g = p->gateway->object;
    int rc;

    if (!out || !name || set_name(t, p, name))
        return AGW_ENOMEM;
    name->gateway_namespace = agw_gwapi_text(t, g->ns);
    name->gateway_name = agw_gwapi_text(t, g->name);
    name->listener_name = agw_gwapi_text(t, l->name);
    out->key = agw_gwapi_text(t, l->key);
    out->bind_key = agw_gwapi_printf(t, "%u/%.*s/%.*s", l->port, AGW_STRF(g->ns), AGW_STRF(g->name));
    out->name = name;
    out->hostname = agw_gwapi_text(t, l->hostname);
    out->protocol = l->protocol->wire;
    if (l->protocol->bind == PB__BIND__PROTOCOL__TLS && !l->passthrough) {
        rc = listener_tls(t, p, l, &out->tls);
        if (rc)
            return rc;
    }
    return agw_gwapi_put(t, AGW_RESOURCE_LISTENER, out, NULL);
}

static int put_bind(struct agw_translate *t, const struct agw_gwapi_parent *p,
                    const struct agw_gwapi_listener *l)
{
    struct agw_side side = {.addrs = p->gateway->addrs, .addr_count = p->gateway->addr_count};
    const struct agw_object *g = p->gateway->object;
    Pb__Bind *bind = agw_gwapi_new(t, Pb__Bind, pb__bind__init);

    if (!bind)
        return AGW_ENOMEM;
    bind->key = agw_gwapi_printf(t, "%u/%.*s/%.*s", l->port, AGW_STRF(g->ns), AGW_STRF(g->name));
    if (t->failed)
        return AGW_ENOMEM;
    if (agw_resource_set_get(t->out, AGW_RESOURCE_BIND, agw_str_c(bind->key)))
        return 0; /* a listener before this one made it */
    bind->port = l->port;
    bind->protocol = l->protocol->bind;
    bind->tunnel_protocol = l->protocol->tunnel;
    return agw_gwapi_put(t, AGW_RESOURCE_BIND, bind, &side);
}

int agw_gwapi_put_listener(struct agw_translate *t, const struct agw_gwapi_parent *p,
                           struct agw_gwapi_listener *l)
{
    struct agw_gwapi_place place = {.object = p->object, .part = l->name, .parent = -1};

    agw_gwapi_condition(t, &place, NULL, "Accepted", true, "Accepted", "%s", "");
    check_kinds(t, &place, l);
    l->serves = true;
    return put_bind(t, p, l) || put_listener(t, p, l) ? AGW_ENOMEM : 0;
}

/* --- what it says --- */

bool agw_gwapi_check_protocol(struct agw_translate *t, const struct agw_gwapi_place *place,
                              const struct agw_gwapi_listener *l)
{
    const struct agw_node *protocol = agw_field(l->node, "protocol");

    if (l->protocol)
        return true;
    agw_gwapi_condition(
        t, place, protocol, "Accepted", false, "UnsupportedProtocol",
        "protocol %.*s is not served, HTTP, HTTPS, TLS, TCP and HBONE are: the listener serves nothing",
        AGW_STRF(protocol->text));
    return false;
}

bool agw_gwapi_allows_namespace(const struct agw_translate *t, const struct agw_object *owner,
                                const struct agw_node *namespaces, const char *from, struct agw_str ns)
{
    struct agw_str who = agw_field_text(namespaces, "from", agw_str_c(from));

    if (agw_str_eq(who, AGW_STR("All")))
        return true;
    if (agw_str_eq(who, AGW_STR("Selector")))
        return agw_field(namespaces, "selector") &&
               agw_namespace_selected(t->objects, ns, agw_field(namespaces, "selector"));
    return agw_str_eq(who, AGW_STR("Same")) && agw_str_eq(owner->ns, ns);
}

int agw_gwapi_read_listeners(struct agw_translate *t, struct agw_gwapi_parent *p, char separator)
{
    const struct agw_node *list = agw_field(p->object->spec, "listeners"), *n;

    p->listeners = agw_arena_zalloc(&t->arena, list->count * sizeof(*p->listeners));
    if (!p->listeners)
        return AGW_ENOMEM;
    agw_node_each (n, list) {
        struct agw_gwapi_listener *l = &p->listeners[p->listener_count++];

        l->node = n;
        l->name = agw_node_text(n, "name");
        l->hostname = agw_node_text(n, "hostname");
        l->port = (uint16_t)agw_field_int(n, "port", 0);
        l->protocol = find_protocol(n);
        l->passthrough = l->protocol && l->protocol->passthrough_routes &&
                         agw_field_is(agw_field(n, "tls"), "mode", "Passthrough");
        l->key = agw_arena_printf(&t->arena, "%.*s/%.*s%c%.*s", AGW_STRF(p->object->ns),
                                  AGW_STRF(p->object->name), separator, AGW_STRF(l->name));
        if (!l->key.p)
            return AGW_ENOMEM;
    }
    return 0;
}
