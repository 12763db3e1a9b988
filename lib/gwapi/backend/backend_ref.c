/* References across objects: what they resolve to, and whether the target's namespace grants it. */
#include <stdio.h>
#include "gwapi/backend/backend.h"

/* --- backendRef --- */

struct target {
    struct agw_str group, kind, ns, name;
    uint32_t port;
    bool l4; /* connections, not requests: what the port's protocol is does not matter */
};

__attribute__((format(printf, 4, 5))) static int refuse(struct agw_translate *t,
                                                        struct agw_gwapi_refusal *refusal, const char *reason,
                                                        const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    refusal->reason = reason;
    refusal->message = agw_arena_str(&t->arena, agw_str_c(text));
    return refusal->message.p ? 0 : AGW_ENOMEM;
}

static int backend_by_key(struct agw_translate *t, char *key, Pb__BackendReference *ref)
{
    ref->kind_case = PB__BACKEND_REFERENCE__KIND_BACKEND;
    ref->backend = key;
    return t->failed ? AGW_ENOMEM : 0;
}

static bool has_slice(const struct agw_translate *t, const struct agw_object *service)
{
    const struct agw_object *o;

    agw_objects_each(o, t->objects, AGW_KIND_ENDPOINT_SLICE)
    {
        if (agw_str_eq(o->ns, service->ns) &&
            agw_str_eq(agw_object_label(o, AGW_SERVICE_NAME_LABEL), service->name))
            return true;
    }
    return false;
}

static int resolve_service(struct agw_translate *t, const struct target *to, Pb__BackendReference **ref,
                           struct agw_gwapi_refusal *refusal)
{
    const struct agw_object *service = agw_objects_get(t->objects, AGW_KIND_SERVICE, to->ns, to->name);
    const struct agw_node *port;

    if (!service)
        return refuse(t, refusal, "BackendNotFound", "there is no Service %.*s/%.*s", AGW_STRF(to->ns),
                      AGW_STRF(to->name));
    if (agw_field_is(service->spec, "type", "ExternalName"))
        return refuse(t, refusal, "BackendNotFound",
                      "Service %.*s/%.*s is of type ExternalName, which is not served", AGW_STRF(to->ns),
                      AGW_STRF(to->name));
    port = agw_gwapi_service_port(service, to->port);
    if (!port)
        return refuse(t, refusal, "BackendNotFound", "Service %.*s/%.*s has no TCP port %u", AGW_STRF(to->ns),
                      AGW_STRF(to->name), to->port);
    if (!has_slice(t, service))
        agw_gwapi_warn(t, service, NULL, "has no EndpointSlice: requests are answered 503");
    if (to->l4)
        return agw_gwapi_service_ref(t, service, to->port, ref);
    switch (agw_gwapi_app_protocol(port)) {
    case AGW_APP_MCP:
    case AGW_APP_MCP_SSE:
        return backend_by_key(t, agw_gwapi_service_backend_key(t, service, to->port), *ref);
    default:
        return agw_gwapi_service_ref(t, service, to->port, ref);
    }
}

static int resolve_backend(struct agw_translate *t, const struct target *to, Pb__BackendReference *ref,
                           struct agw_gwapi_refusal *refusal)
{
    if (!agw_objects_get(t->objects, AGW_KIND_BACKEND, to->ns, to->name))
        return refuse(t, refusal, "BackendNotFound", "there is no AgentgatewayBackend %.*s/%.*s",
                      AGW_STRF(to->ns), AGW_STRF(to->name));
    return backend_by_key(t, agw_gwapi_printf(t, "%.*s/%.*s", AGW_STRF(to->ns), AGW_STRF(to->name)), ref);
}

static struct target target_of(const struct agw_object *route, const struct agw_node *ref)
{
    return (struct target){.group = agw_field_text(ref, "group", AGW_STR("")),
                           .kind = agw_field_text(ref, "kind", AGW_STR("Service")),
                           .ns = agw_field_text(ref, "namespace", route->ns),
                           .name = agw_node_text(ref, "name"),
                           .port = (uint32_t)agw_field_int(ref, "port", 0),
                           .l4 = route->kind == AGW_KIND_TCP_ROUTE || route->kind == AGW_KIND_TLS_ROUTE};
}

static bool is_service(const struct target *to)
{
    return agw_str_eq(to->kind, AGW_STR("Service")) && to->group.n == 0;
}

bool agw_gwapi_wants_tls(const struct agw_translate *t, const struct agw_object *route,
                         const struct agw_node *ref)
{
    struct target to = target_of(route, ref);
    const struct agw_object *service =
        is_service(&to) ? agw_objects_get(t->objects, AGW_KIND_SERVICE, to.ns, to.name) : NULL;
    const struct agw_node *port = service ? agw_gwapi_service_port(service, to.port) : NULL;

    return port && agw_gwapi_app_protocol(port) == AGW_APP_TLS;
}

int agw_gwapi_backend_ref(struct agw_translate *t, const struct agw_object *route, const struct agw_node *ref,
                          Pb__BackendReference **ret_ref, struct agw_gwapi_refusal *ret_refusal)
{
    struct target to = target_of(route, ref);
    const char *from = agw_gwapi_text(t, route->kind_name);
    bool service = is_service(&to);
    bool backend = agw_str_eq(to.kind, AGW_STR("AgentgatewayBackend")) &&
                   agw_str_eq(to.group, AGW_STR(AGW_GROUP_AGENTGATEWAY));

    *ret_refusal = (struct agw_gwapi_refusal){0};
    *ret_ref = agw_gwapi_new(t, Pb__BackendReference, pb__backend_reference__init);
    if (!*ret_ref)
        return AGW_ENOMEM;
    if (!service && !backend)
        return refuse(t, ret_refusal, "InvalidKind", "kind %.*s of group \"%.*s\" is not served",
                      AGW_STRF(to.kind), AGW_STRF(to.group));
    if (!agw_gwapi_granted(t->objects, from, route->ns, to.group, to.kind, to.ns, to.name))
        return refuse(t, ret_refusal, "RefNotPermitted",
                      "no ReferenceGrant in namespace %.*s lets %ss of %.*s refer to %.*s %.*s",
                      AGW_STRF(to.ns), from, AGW_STRF(route->ns), AGW_STRF(to.kind), AGW_STRF(to.name));
    return service ? resolve_service(t, &to, ret_ref, ret_refusal)
                   : resolve_backend(t, &to, *ret_ref, ret_refusal);
}
