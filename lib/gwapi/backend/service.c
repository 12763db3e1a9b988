/* Services and EndpointSlices to services and workloads. */
#include <arpa/inet.h>
#include <string.h>
#include "base/check.h"
#include "gwapi/backend/backend.h"

/* What appProtocol says: how to speak to the endpoints, and what else it makes of the port. */
static const struct {
    const char *name;
    Istio__AppProtocol wire;
    enum agw_gwapi_protocol kind;
} app_protocols[] = {
    {"http", ISTIO__APP_PROTOCOL__HTTP11, AGW_APP_PLAIN},
    {"kubernetes.io/h2c", ISTIO__APP_PROTOCOL__HTTP2, AGW_APP_PLAIN},
    {"kubernetes.io/ws", ISTIO__APP_PROTOCOL__HTTP11, AGW_APP_PLAIN},
    {"kubernetes.io/wss", ISTIO__APP_PROTOCOL__HTTP11, AGW_APP_TLS}, /* RFC 6455 upgrades HTTP/1.1 */
    {"https", ISTIO__APP_PROTOCOL__TLS, AGW_APP_TLS},
    {"http2", ISTIO__APP_PROTOCOL__HTTP2, AGW_APP_PLAIN},
    {"grpc", ISTIO__APP_PROTOCOL__GRPC, AGW_APP_PLAIN},
    {"agentgateway.dev/a2a", ISTIO__APP_PROTOCOL__HTTP11, AGW_APP_A2A},
    {"kgateway.dev/a2a", ISTIO__APP_PROTOCOL__HTTP11, AGW_APP_A2A},
    {"agentgateway.dev/mcp", ISTIO__APP_PROTOCOL__HTTP11, AGW_APP_MCP},
    {"kgateway.dev/mcp", ISTIO__APP_PROTOCOL__HTTP11, AGW_APP_MCP},
    {"agentgateway.dev/mcp-sse", ISTIO__APP_PROTOCOL__HTTP11, AGW_APP_MCP_SSE},
    {"kgateway.dev/mcp-sse", ISTIO__APP_PROTOCOL__HTTP11, AGW_APP_MCP_SSE},
};

static int find_protocol(const struct agw_node *port)
{
    struct agw_str name = agw_node_text(port, "appProtocol");
    size_t i;

    for (i = 0; i < AGW_ARRAY_LEN(app_protocols); i++) {
        if (agw_str_eq(name, agw_str_c(app_protocols[i].name)))
            return (int)i;
    }
    return -1;
}

enum agw_gwapi_protocol agw_gwapi_app_protocol(const struct agw_node *port)
{
    int i = find_protocol(port);

    return i < 0 ? AGW_APP_PLAIN : app_protocols[i].kind;
}

static Istio__AppProtocol wire_protocol(const struct agw_node *port)
{
    int i = find_protocol(port);

    return i < 0 ? ISTIO__APP_PROTOCOL__UNKNOWN : app_protocols[i].wire;
}

char *agw_gwapi_host(struct agw_translate *t, const struct agw_object *service)
{
    return agw_gwapi_printf(t, "%.*s.%.*s.svc.cluster.local", AGW_STRF(service->name), AGW_STRF(service->ns));
}

static bool is_tcp(const struct agw_node *port)
{
    return !agw_field(port, "protocol") || agw_field_is(port, "protocol", "TCP");
}

const struct agw_node *agw_gwapi_service_port(const struct agw_object *service, int64_t number)
{
    const struct agw_node *p;

    agw_node_each (p, agw_field(service->spec, "ports")) {
        if (is_tcp(p) && agw_field_int(p, "port", 0) == number)
            return p;
    }
    return NULL;
}

int agw_gwapi_service_ref(struct agw_translate *t, const struct agw_object *service, uint32_t port,
                          Pb__BackendReference **ret_ref)
{
    Pb__BackendReference *ref = agw_gwapi_new(t, Pb__BackendReference, pb__backend_reference__init);
    Pb__BackendReference__Service *s =
        agw_gwapi_new(t, Pb__BackendReference__Service, pb__backend_reference__service__init);

    if (!ref || !s)
        return AGW_ENOMEM;
    s->namespace_ = agw_gwapi_text(t, service->ns);
    s->hostname = agw_gwapi_host(t, service);
    ref->kind_case = PB__BACKEND_REFERENCE__KIND_SERVICE;
    ref->service = s;
    ref->port = port;
    *ret_ref = ref;
    return 0;
}

/* --- the service --- */

/* Without targetPort: each workload has the number that its slice gives. One here would stand in where a
 * slice lacks the port, and such endpoints must not be used for it. */
static int add_port(struct agw_translate *t, const struct agw_node *port, Istio__Port **ret_port)
{
    Istio__Port *p = agw_gwapi_new(t, Istio__Port, istio__port__init);

    if (!p)
        return AGW_ENOMEM;
    p->service_port = (uint32_t)agw_field_int(port, "port", 0);
    p->app_protocol = wire_protocol(port);
    *ret_port = p;
    return 0;
}

static int add_ports(struct agw_translate *t, const struct agw_object *service, Istio__Service *s)
{
    const struct agw_node *ports = agw_field(service->spec, "ports"), *port;
    int rc;

    if (!ports)
        return 0;
    s->ports = agw_gwapi_pointers(t, ports->count);
    if (!s->ports)
        return AGW_ENOMEM;
    agw_node_each (port, ports) {
        if (!is_tcp(port))
            continue;
        rc = add_port(t, port, &s->ports[s->n_ports]);
        if (rc)
            return rc;
        s->n_ports++;
    }
    return 0;
}

/* Bytes of an IP address, 4 or 16; empty for anything else. */
static int address_bytes(struct agw_translate *t, struct agw_str text, ProtobufCBinaryData *ret_bytes)
{
    char *copy = agw_gwapi_text(t, text);
    unsigned char bytes[16];
    size_t n = 0;

    if (inet_pton(AF_INET, copy, bytes) == 1)
        n = 4;
    else if (inet_pton(AF_INET6, copy, bytes) == 1)
        n = 16;
    ret_bytes->len = n;
    ret_bytes->data = agw_arena_copy(&t->arena, bytes, n);
    return ret_bytes->data ? 0 : AGW_ENOMEM;
}

static int add_cluster_ip(struct agw_translate *t, const struct agw_object *service, Istio__Service *s)
{
    Istio__NetworkAddress *a = agw_gwapi_new(t, Istio__NetworkAddress, istio__network_address__init);

    s->addresses = agw_gwapi_pointers(t, 1);
    if (!a || !s->addresses || address_bytes(t, agw_node_text(service->spec, "clusterIP"), &a->address))
        return AGW_ENOMEM;
    if (a->address.len == 0) /* none, or "None": headless */
        return 0;
    s->addresses[0] = a;
    s->n_addresses = 1;
    return 0;
}

/* Marks a port as an agent's: a policy on the service, as the wire has no other way to say it. */
static int add_a2a_policy(struct agw_translate *t, const struct agw_object *service, uint32_t port)
{
    Pb__Policy *p = agw_gwapi_new(t, Pb__Policy, pb__policy__init);
    Pb__TypedResourceName *name = agw_gwapi_new(t, Pb__TypedResourceName, pb__typed_resource_name__init);
    Pb__PolicyTarget *target = agw_gwapi_new(t, Pb__PolicyTarget, pb__policy_target__init);
    Pb__PolicyTarget__ServiceTarget *s =
        agw_gwapi_new(t, Pb__PolicyTarget__ServiceTarget, pb__policy_target__service_target__init);
    Pb__BackendPolicySpec *spec = agw_gwapi_new(t, Pb__BackendPolicySpec, pb__backend_policy_spec__init);
    Pb__BackendPolicySpec__A2a *a2a =
        agw_gwapi_new(t, Pb__BackendPolicySpec__A2a, pb__backend_policy_spec__a2a__init);

    if (!p || !name || !target || !s || !spec || !a2a)
        return AGW_ENOMEM;
    p->key = agw_gwapi_printf(t, "a2a/%.*s/%.*s/%u", AGW_STRF(service->ns), AGW_STRF(service->name), port);
    name->kind = agw_gwapi_text(t, service->kind_name);
    name->namespace_ = agw_gwapi_text(t, service->ns);
    name->name = agw_gwapi_text(t, service->name);
    p->name = name;
    s->namespace_ = agw_gwapi_text(t, service->ns);
    s->hostname = agw_gwapi_host(t, service);
    s->_port_case = PB__POLICY_TARGET__SERVICE_TARGET___PORT_PORT;
    s->port = port;
    target->kind_case = PB__POLICY_TARGET__KIND_SERVICE;
    target->service = s;
    p->target = target;
    spec->kind_case = PB__BACKEND_POLICY_SPEC__KIND_A2A;
    spec->a2a = a2a;
    p->kind_case = PB__POLICY__KIND_BACKEND;
    p->backend = spec;
    return agw_gwapi_put(t, AGW_RESOURCE_POLICY, p, NULL);
}

static int add_service(struct agw_translate *t, const struct agw_object *service)
{
    Istio__Service *s = agw_gwapi_new(t, Istio__Service, istio__service__init);
    const struct agw_node *port;

    if (!s)
        return AGW_ENOMEM;
    s->name = agw_gwapi_text(t, service->name);
    s->namespace_ = agw_gwapi_text(t, service->ns);
    s->hostname = agw_gwapi_host(t, service);
    if (add_ports(t, service, s) || add_cluster_ip(t, service, s) ||
        agw_gwapi_put(t, AGW_RESOURCE_SERVICE, s, NULL))
        return AGW_ENOMEM;
    agw_node_each (port, agw_field(service->spec, "ports")) {
        if (agw_gwapi_app_protocol(port) == AGW_APP_A2A && is_tcp(port) &&
            add_a2a_policy(t, service, (uint32_t)agw_field_int(port, "port", 0)))
            return AGW_ENOMEM;
    }
    return 0;
}

/* --- its endpoints --- */

/* The number that the slice gives to the Service's port: same name, same protocol; 0 when it has none. */
static uint32_t slice_port(const struct agw_object *slice, const struct agw_node *port)
{
    const struct agw_node *p;

    agw_node_each (p, agw_field(slice->node, "ports")) {
        if (is_tcp(p) && agw_str_eq(agw_node_text(p, "name"), agw_node_text(port, "name")))
            return (uint32_t)agw_field_int(p, "port", 0);
    }
    return 0;
}

/* The slice's ports as the Service numbers them. */
static int map_ports(struct agw_translate *t, const struct agw_object *service,
                     const struct agw_object *slice, Istio__PortList *list)
{
    const struct agw_node *ports = agw_field(service->spec, "ports"), *port;

    list->ports = agw_gwapi_pointers(t, ports ? ports->count : 0);
    if (!list->ports)
        return AGW_ENOMEM;
    agw_node_each (port, ports) {
        uint32_t number = is_tcp(port) ? slice_port(slice, port) : 0;

        if (number == 0)
            continue;
        if (add_port(t, port, &list->ports[list->n_ports]))
            return AGW_ENOMEM;
        list->ports[list->n_ports++]->target_port = number;
    }
    return 0;
}

static int workload_address(struct agw_translate *t, struct agw_str address, Istio__Workload *w)
{
    ProtobufCBinaryData *bytes = agw_arena_zalloc(&t->arena, sizeof(*bytes));

    if (!bytes || address_bytes(t, address, bytes))
        return AGW_ENOMEM;
    if (bytes->len == 0) {
        w->hostname = agw_gwapi_text(t, address);
        return 0;
    }
    w->addresses = bytes;
    w->n_addresses = 1;
    return 0;
}

static int add_workload(struct agw_translate *t, const struct agw_object *service,
                        const struct agw_object *slice, Istio__PortList *ports,
                        const struct agw_node *endpoint, struct agw_str address)
{
    Istio__Workload *w = agw_gwapi_new(t, Istio__Workload, istio__workload__init);
    Istio__Workload__ServicesEntry *entry =
        agw_gwapi_new(t, Istio__Workload__ServicesEntry, istio__workload__services_entry__init);

    if (!w || !entry)
        return AGW_ENOMEM;
    w->uid = agw_gwapi_printf(t, "Kubernetes/discovery.k8s.io/EndpointSlice/%.*s/%.*s/%.*s",
                              AGW_STRF(slice->ns), AGW_STRF(slice->name), AGW_STRF(address));
    if (agw_resource_set_get(t->out, AGW_RESOURCE_WORKLOAD, agw_str_c(w->uid)))
        return 0; /* an address twice in one slice */
    w->name = agw_gwapi_text(t, slice->name);
    w->namespace_ = agw_gwapi_text(t, slice->ns);
    w->workload_type = ISTIO__WORKLOAD_TYPE__POD;
    if (!agw_field_int(agw_field(endpoint, "conditions"), "ready", 1))
        w->status = ISTIO__WORKLOAD_STATUS__UNHEALTHY;
    w->services = agw_gwapi_pointers(t, 1);
    if (!w->services || workload_address(t, address, w))
        return AGW_ENOMEM;
    entry->key = agw_gwapi_printf(t, "%.*s/%s", AGW_STRF(service->ns), agw_gwapi_host(t, service));
    entry->value = ports;
    w->services[0] = entry;
    w->n_services = 1;
    return agw_gwapi_put(t, AGW_RESOURCE_WORKLOAD, w, NULL);
}

static int add_slice(struct agw_translate *t, const struct agw_object *slice)
{
    struct agw_str name = agw_object_label(slice, AGW_SERVICE_NAME_LABEL);
    const struct agw_object *service = agw_objects_get(t->objects, AGW_KIND_SERVICE, slice->ns, name);
    Istio__PortList *ports = agw_gwapi_new(t, Istio__PortList, istio__port_list__init);
    const struct agw_node *e, *a;

    if (!ports)
        return AGW_ENOMEM;
    if (!service) {
        agw_gwapi_warn(t, slice, NULL,
                       "the label " AGW_SERVICE_NAME_LABEL " names no Service of namespace %.*s",
                       AGW_STRF(slice->ns));
        return 0;
    }
    if (map_ports(t, service, slice, ports))
        return AGW_ENOMEM;
    if (ports->n_ports == 0)
        agw_gwapi_warn(t, slice, agw_field(slice->node, "ports"),
                       "no port has the name of one of Service %.*s", AGW_STRF(service->name));
    agw_node_each (e, agw_field(slice->node, "endpoints")) {
        agw_node_each (a, agw_field(e, "addresses")) {
            if (add_workload(t, service, slice, ports, e, a->text))
                return AGW_ENOMEM;
        }
    }
    return 0;
}

int agw_gwapi_services(struct agw_translate *t)
{
    const struct agw_object *o;

    agw_objects_each(o, t->objects, AGW_KIND_SERVICE)
    {
        if (add_service(t, o))
            return AGW_ENOMEM;
    }
    agw_objects_each(o, t->objects, AGW_KIND_ENDPOINT_SLICE)
    {
        if (add_slice(t, o))
            return AGW_ENOMEM;
    }
    return 0;
}
