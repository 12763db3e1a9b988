/* ListenerSets: listeners that others add to a Gateway. */
#include "base/check.h"
#include "gwapi/listener/listener_int.h"

/* What is taken on each Gateway, by "ns/gateway:port" its protocol, by "ns/gateway:port:hostname" that it is.
 * A colon is in no name. */
struct claims {
    struct agw_translate *t;
    struct agw_map map;
};

static struct agw_str port_key(struct claims *c, const struct agw_gwapi_gateway *g, uint16_t port)
{
    return agw_arena_printf(&c->t->arena, "%.*s/%.*s:%u", AGW_STRF(g->object->ns), AGW_STRF(g->object->name),
                            port);
}

/* p is NULL when memory is out, as it may be in |port|. */
static struct agw_str host_key(struct claims *c, struct agw_str port, struct agw_str hostname)
{
    if (!port.p)
        return port;
    return agw_arena_printf(&c->t->arena, "%.*s:%.*s", AGW_STRF(port), AGW_STRF(hostname));
}

static int claim(struct claims *c, const struct agw_gwapi_parent *p, const struct agw_gwapi_listener *l)
{
    struct agw_str port = port_key(c, p->gateway, l->port), name = host_key(c, port, l->hostname);

    if (!port.p || !name.p || agw_map_put(&c->map, port, (void *)l->protocol, NULL) ||
        agw_map_put(&c->map, name, (void *)l->protocol, NULL))
        return AGW_ENOMEM;
    return 0;
}

static int claim_own(struct claims *c)
{
    const struct agw_gwapi_gateway *g;
    uint32_t i;

    for (g = c->t->gateways; g; g = g->next) {
        for (i = 0; i < g->own.listener_count; i++) {
            if (g->own.listeners[i].serves && claim(c, &g->own, &g->own.listeners[i]))
                return AGW_ENOMEM;
        }
    }
    return 0;
}

/* *ret_free stays false, after a condition, if another Gateway has the port of an address that they share. */
static int check_others(struct claims *c, const struct agw_gwapi_place *place,
                        const struct agw_gwapi_parent *p, const struct agw_gwapi_listener *l, bool *ret_free)
{
    const struct agw_gwapi_gateway *g;

    for (g = c->t->gateways; g; g = g->next) {
        struct agw_str port;

        if (g == p->gateway || !agw_gwapi_share_address(g, p->gateway))
            continue;
        port = port_key(c, g, l->port);
        if (!port.p)
            return AGW_ENOMEM;
        if (!agw_map_get(&c->map, port))
            continue;
        agw_gwapi_condition(c->t, place, agw_field(l->node, "port"), "Programmed", false, "PortUnavailable",
                            "port %u of the same address belongs to another Gateway", l->port);
        return 0;
    }
    *ret_free = true;
    return 0;
}

/* A listener of a ListenerSet against all that come before it. Texts name no other object: whoever wrote the
 * set may not be allowed to see it. *ret_free: it can be. */
static int check_claims(struct claims *c, const struct agw_gwapi_place *place,
                        const struct agw_gwapi_parent *p, const struct agw_gwapi_listener *l, bool *ret_free)
{
    struct agw_str port = port_key(c, p->gateway, l->port), name = host_key(c, port, l->hostname);
    const struct agw_gwapi_listen_protocol *taken;

    *ret_free = false;
    if (!port.p || !name.p)
        return AGW_ENOMEM;
    taken = agw_map_get(&c->map, port);
    if (!taken)
        return check_others(c, place, p, l, ret_free);
    if (taken->bind != l->protocol->bind || taken->tunnel != l->protocol->tunnel)
        agw_gwapi_condition(c->t, place, agw_field(l->node, "protocol"), "Conflicted", true,
                            "ProtocolConflict", "port %u is used with another protocol", l->port);
    else if (agw_map_get(&c->map, name))
        agw_gwapi_condition(c->t, place, l->node, "Conflicted", true, "HostnameConflict",
                            "port %u is used with this protocol and hostname", l->port);
    else
        *ret_free = true;
    return 0;
}

static int add_listeners(struct claims *c, struct agw_gwapi_parent *p)
{
    struct agw_gwapi_place whole = {.object = p->object, .parent = -1};
    uint32_t i, served = 0;
    bool is_free;

    for (i = 0; i < p->listener_count; i++) {
        struct agw_gwapi_listener *l = &p->listeners[i];
        struct agw_gwapi_place place = {.object = p->object, .part = l->name, .parent = -1};

        if (!agw_gwapi_check_protocol(c->t, &place, l))
            continue;
        if (check_claims(c, &place, p, l, &is_free))
            return AGW_ENOMEM;
        if (!is_free)
            continue;
        if (claim(c, p, l) || agw_gwapi_put_listener(c->t, p, l))
            return AGW_ENOMEM;
        served++;
    }
    if (served)
        p->gateway->set_count++;
    agw_gwapi_condition(c->t, &whole, NULL, "Accepted", served > 0,
                        served == p->listener_count ? "Accepted" : "ListenersNotValid", "%s",
                        served ? "" : "none of its listeners can be served");
    return 0;
}

/* --- its Gateway --- */

/* NULL after a warning, unless the Gateway is another controller's. */
static struct agw_gwapi_gateway *find_gateway(struct agw_translate *t, const struct agw_object *o)
{
    const struct agw_node *ref = agw_field(o->spec, "parentRef");
    struct agw_str ns = agw_field_text(ref, "namespace", o->ns), name = agw_node_text(ref, "name");
    struct agw_gwapi_gateway *g;

    if (!agw_str_eq(agw_field_text(ref, "group", AGW_STR(AGW_GROUP_GATEWAY)), AGW_STR(AGW_GROUP_GATEWAY)) ||
        !agw_str_eq(agw_field_text(ref, "kind", AGW_STR("Gateway")), AGW_STR("Gateway"))) {
        agw_gwapi_warn(t, o, ref, "only a Gateway can be its parent: it serves nothing");
        return NULL;
    }
    for (g = t->gateways; g; g = g->next) {
        if (agw_str_eq(g->object->ns, ns) && agw_str_eq(g->object->name, name))
            return g;
    }
    if (!agw_objects_get(t->objects, AGW_KIND_GATEWAY, ns, name))
        agw_gwapi_warn(t, o, ref, "there is no Gateway %.*s/%.*s: it serves nothing", AGW_STRF(ns),
                       AGW_STRF(name));
    return NULL;
}

static int add_set(struct claims *c, const struct agw_object *o)
{
    struct agw_gwapi_gateway *g = find_gateway(c->t, o);
    struct agw_gwapi_place place = {.object = o, .parent = -1};
    const struct agw_node *allowed;
    struct agw_gwapi_parent *p;

    if (!g)
        return 0;
    p = agw_arena_zalloc(&c->t->arena, sizeof(*p));
    if (!p)
        return AGW_ENOMEM;
    p->object = o;
    p->gateway = g;
    g->last->next = p;
    g->last = p;
    allowed = agw_field(agw_field(g->object->spec, "allowedListeners"), "namespaces");
    if (!agw_gwapi_allows_namespace(c->t, g->object, allowed, "None", o->ns)) {
        agw_gwapi_condition(c->t, &place, agw_field(o->spec, "parentRef"), "Accepted", false, "NotAllowed",
                            "allowedListeners of the Gateway leaves it out");
        return 0;
    }
    return agw_gwapi_read_listeners(c->t, p, ':') || add_listeners(c, p) ? AGW_ENOMEM : 0;
}

int agw_gwapi_listener_sets(struct agw_translate *t)
{
    struct claims c = {.t = t};
    const struct agw_object *o;
    int rc;

    if (!t->objects->first[AGW_KIND_LISTENER_SET])
        return 0;
    agw_map_init(&c.map);
    rc = claim_own(&c);
    agw_objects_each(o, t->objects, AGW_KIND_LISTENER_SET)
    {
        if (!rc)
            rc = add_set(&c, o);
    }
    agw_map_free(&c.map);
    return rc;
}
