/* Gateways to binds and listeners. */
#include <string.h>
#include "gwapi/listener/listener_int.h"

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

bool agw_gwapi_share_address(const struct agw_gwapi_gateway *a, const struct agw_gwapi_gateway *b)
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
        if (!agw_gwapi_share_address(g, other))
            continue;
        for (i = 0; i < g->own.listener_count; i++) {
            for (j = 0;
                 j < other->own.listener_count && g->own.listeners[i].port != other->own.listeners[j].port;)
                j++;
            if (j == other->own.listener_count)
                continue;
            agw_report_error(&t->report->texts, g->object, agw_field(g->own.listeners[i].node, "port"), NULL,
                             "port %u of the same address belongs to Gateway %.*s/%.*s (%s:%u)",
                             g->own.listeners[i].port, AGW_STRF(other->object->ns),
                             AGW_STRF(other->object->name), other->object->file, other->object->node->line);
            break; /* once is enough for two Gateways */
        }
    }
}

/* --- its own listeners --- */

/* Why |l| cannot be told from another listener of its Gateway, NULL: it can. Protocols that begin alike
 * (HTTPS and TLS) share a port, each hostname once; of those that are in each other's way nobody wins. */
static const char *conflict(const struct agw_gwapi_gateway *g, const struct agw_gwapi_listener *l)
{
    const char *found = NULL;
    uint32_t i;

    for (i = 0; i < g->own.listener_count; i++) {
        const struct agw_gwapi_listener *other = &g->own.listeners[i];

        if (other == l || other->port != l->port || !other->protocol)
            continue;
        if (other->protocol->bind != l->protocol->bind || other->protocol->tunnel != l->protocol->tunnel)
            return "ProtocolConflict";
        if (agw_str_eq(other->hostname, l->hostname))
            found = "HostnameConflict";
    }
    return found;
}

static int put_listeners(struct agw_translate *t, struct agw_gwapi_gateway *g)
{
    uint32_t i;

    for (i = 0; i < g->own.listener_count; i++) {
        struct agw_gwapi_listener *l = &g->own.listeners[i];
        struct agw_gwapi_place place = {.object = g->object, .part = l->name, .parent = -1};
        const char *why;

        if (!agw_gwapi_check_protocol(t, &place, l))
            continue;
        why = conflict(g, l);
        if (why)
            agw_gwapi_condition(t, &place, agw_field(l->node, "protocol"), "Conflicted", true, why,
                                "another listener uses port %u with %s", l->port,
                                strcmp(why, "ProtocolConflict") == 0 ? "another protocol" : "this hostname");
        else if (agw_gwapi_put_listener(t, &g->own, l))
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
    g->own = (struct agw_gwapi_parent){.object = o, .gateway = g};
    g->last = &g->own;
    *at = g;
    if (add_addresses(t, g) || agw_gwapi_read_listeners(t, &g->own, '.') || agw_gwapi_client_cert(t, g))
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

/* --- what status says of them --- */

static int report_count(struct agw_translate *t, const struct agw_object *o, struct agw_str listener,
                        uint32_t count)
{
    struct agw_arena *arena = &t->report->texts.arena;
    struct agw_gwapi_attached *a = agw_arena_zalloc(arena, sizeof(*a));

    if (!a)
        return AGW_ENOMEM;
    a->kind = agw_arena_str(arena, o->kind_name);
    a->ns = agw_arena_str(arena, o->ns);
    a->name = agw_arena_str(arena, o->name);
    a->listener = agw_arena_str(arena, listener);
    a->count = count;
    if (!a->kind.p || !a->ns.p || !a->name.p || !a->listener.p)
        return AGW_ENOMEM;
    a->next = t->report->attached;
    t->report->attached = a;
    return 0;
}

int agw_gwapi_report_attached(struct agw_translate *t)
{
    const struct agw_gwapi_gateway *g;
    const struct agw_gwapi_parent *p;
    uint32_t i;

    for (g = t->gateways; g; g = g->next) {
        if (g->set_count && report_count(t, g->object, AGW_STR(""), g->set_count))
            return AGW_ENOMEM;
        for (p = &g->own; p; p = p->next) {
            for (i = 0; i < p->listener_count; i++) {
                if (report_count(t, p->object, p->listeners[i].name, p->listeners[i].attached))
                    return AGW_ENOMEM;
            }
        }
    }
    return 0;
}
