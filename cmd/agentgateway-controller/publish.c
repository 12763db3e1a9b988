#include "cmd/agentgateway-controller/publish.h"

#include <stdlib.h>
#include "proto/message.h"

/* One resource as it is published. */
struct item {
    enum agw_delta_type type;
    struct agw_str role, name, body;
};

static struct agw_str listener_role(const struct agw_resource *listener, struct agw_arena *arena)
{
    const Pb__ListenerName *name = listener->listener->name;
    return agw_arena_printf(arena, "%s~%s", name->gateway_namespace, name->gateway_name);
}

/* "<port>/<namespace>/<gateway>" */
static struct agw_str bind_role(const struct agw_resource *bind, struct agw_arena *arena)
{
    struct agw_str rest = bind->key, port, ns;
    agw_str_split(&rest, '/', &port);
    agw_str_split(&rest, '/', &ns);
    return agw_arena_printf(arena, "%.*s~%.*s", AGW_STRF(ns), AGW_STRF(rest));
}

static struct agw_str route_role(const struct agw_resource_set *set, const char *listener_key,
                                 struct agw_arena *arena)
{
    const struct agw_resource *l = agw_resource_set_get(set, AGW_RESOURCE_LISTENER, agw_str_c(listener_key));
    return l ? listener_role(l, arena) : AGW_STR("");
}

/* Empty: all gateways. p is NULL when memory is out. */
static struct agw_str role_of(const struct agw_resource_set *set, const struct agw_resource *r,
                              struct agw_arena *arena)
{
    const Pb__Route *route;
    switch (r->kind) {
    case AGW_RESOURCE_BIND:
        return bind_role(r, arena);
    case AGW_RESOURCE_LISTENER:
        return listener_role(r, arena);
    case AGW_RESOURCE_ROUTE:
        route = (const Pb__Route *)agw_resource_message(r, arena);
        return route ? route_role(set, route->listener_key, arena) : (struct agw_str){NULL, 0};
    case AGW_RESOURCE_TCP_ROUTE:
        return route_role(set, r->tcp_route->listener_key, arena);
    default:
        return AGW_STR("");
    }
}

static int make_item(const struct agw_resource_set *set, const struct agw_resource *r,
                     struct agw_arena *arena, struct item *ret_item)
{
    bool address = r->kind == AGW_RESOURCE_WORKLOAD || r->kind == AGW_RESOURCE_SERVICE;
    struct item item = {.type = address ? AGW_DELTA_ADDRESS : AGW_DELTA_RESOURCE,
                        .role = role_of(set, r, arena),
                        .name = address ? r->key : r->id,
                        .body = agw_resource_pack(r, arena)};
    if (!item.role.p || !item.body.p)
        return AGW_ENOMEM;
    *ret_item = item;
    return 0;
}

/* Packs all before the server is locked: clients are served meanwhile. */
static int make_items(const struct agw_resource_set *set, struct agw_arena *arena, struct item *items)
{
    struct agw_map_slot *at;
    uint32_t n = 0;
    for (uint32_t cursor = 0; (at = agw_map_next(&set->by_id, &cursor));)
        if (make_item(set, at->value, arena, &items[n++]))
            return AGW_ENOMEM;
    return 0;
}

static int put_items(struct agw_delta_server *delta, const struct item *items, uint32_t count,
                     struct agw_delta_change *change, struct agw_error *err)
{
    int rc = 0;
    agw_delta_server_set_begin(delta);
    for (uint32_t i = 0; i < count && rc == 0; i++)
        rc = agw_delta_server_put(delta, items[i].type, items[i].role, items[i].name, items[i].body, change,
                                  err);
    if (rc == 0)
        agw_delta_server_set_end(delta, change);
    return rc;
}

int publish(struct agw_xds_server *server, const struct agw_resource_set *set,
            struct agw_delta_change *change, struct agw_error *err)
{
    struct agw_arena arena;
    uint32_t count = set->by_id.count;
    struct item *items = reallocarray(NULL, count + 1, sizeof(*items));
    agw_arena_init(&arena, 65536, 0);
    int rc = items ? make_items(set, &arena, items) : AGW_ENOMEM;
    if (rc) {
        agw_error_set(err, rc, "out of memory");
        goto out;
    }
    rc = put_items(agw_xds_server_lock(server), items, count, change, err);
    agw_xds_server_unlock(server);
out:
    agw_arena_free(&arena);
    free(items);
    return rc;
}
