/* AgentgatewayPolicies to policies: one for each target and field of `traffic` and `backend`. */
#include "base/check.h"
#include "gwapi/policy/policy.h"

struct policy {
    const struct agw_object *object;
    const struct agw_node *traffic;
    Pb__BackendPolicySpec **backend; /* made once for all targets */
    size_t backend_count;
};

/* --- fields --- */

/* Fill |spec| from the field's node; AGW_ENOMEM. */
typedef int fill_fn(struct agw_translate *t, const struct agw_node *n, Pb__TrafficPolicySpec *spec);

static int fill_cors(struct agw_translate *t, const struct agw_node *n, Pb__TrafficPolicySpec *spec)
{
    spec->kind_case = PB__TRAFFIC_POLICY_SPEC__KIND_CORS;
    spec->cors = agw_gwapi_cors(t, n);
    return spec->cors ? 0 : AGW_ENOMEM;
}

static int fill_retry(struct agw_translate *t, const struct agw_node *n, Pb__TrafficPolicySpec *spec)
{
    spec->kind_case = PB__TRAFFIC_POLICY_SPEC__KIND_RETRY;
    spec->retry = agw_gwapi_retry(t, n);
    return spec->retry ? 0 : AGW_ENOMEM;
}

static int fill_timeouts(struct agw_translate *t, const struct agw_node *n, Pb__TrafficPolicySpec *spec)
{
    spec->kind_case = PB__TRAFFIC_POLICY_SPEC__KIND_TIMEOUT;
    spec->timeout = agw_gwapi_new(t, Pb__Timeout, pb__timeout__init);
    if (!spec->timeout)
        return AGW_ENOMEM;
    spec->timeout->request = agw_gwapi_duration(t, agw_node_text(n, "request"));
    return 0;
}

static int fill_delay(struct agw_translate *t, const struct agw_node *n, Pb__TrafficPolicySpec *spec)
{
    spec->kind_case = PB__TRAFFIC_POLICY_SPEC__KIND_DELAY;
    spec->delay = agw_gwapi_new(t, Pb__Delay, pb__delay__init);
    if (!spec->delay)
        return AGW_ENOMEM;
    spec->delay->duration = agw_gwapi_text(t, agw_node_text(n, "duration"));
    return 0;
}

static int fill_direct_response(struct agw_translate *t, const struct agw_node *n,
                                Pb__TrafficPolicySpec *spec)
{
    struct agw_str body = agw_node_text(n, "body");

    spec->kind_case = PB__TRAFFIC_POLICY_SPEC__KIND_DIRECT_RESPONSE;
    spec->direct_response = agw_gwapi_new(t, Pb__DirectResponse, pb__direct_response__init);
    if (!spec->direct_response)
        return AGW_ENOMEM;
    spec->direct_response->status = (uint32_t)agw_field_int(n, "status", 0);
    spec->direct_response->body = (ProtobufCBinaryData){body.n, (uint8_t *)agw_gwapi_text(t, body)};
    return 0;
}

static int fill_request_headers(struct agw_translate *t, const struct agw_node *n,
                                Pb__TrafficPolicySpec *spec)
{
    if (!agw_field(n, "request"))
        return 0;
    spec->kind_case = PB__TRAFFIC_POLICY_SPEC__KIND_REQUEST_HEADER_MODIFIER;
    spec->request_header_modifier = agw_gwapi_header_modifier(t, agw_field(n, "request"));
    return spec->request_header_modifier ? 0 : AGW_ENOMEM;
}

static int fill_response_headers(struct agw_translate *t, const struct agw_node *n,
                                 Pb__TrafficPolicySpec *spec)
{
    if (!agw_field(n, "response"))
        return 0;
    spec->kind_case = PB__TRAFFIC_POLICY_SPEC__KIND_RESPONSE_HEADER_MODIFIER;
    spec->response_header_modifier = agw_gwapi_header_modifier(t, agw_field(n, "response"));
    return spec->response_header_modifier ? 0 : AGW_ENOMEM;
}

static int fill_host_rewrite(struct agw_translate *t, const struct agw_node *n, Pb__TrafficPolicySpec *spec)
{
    Pb__TrafficPolicySpec__HostRewrite *h =
        agw_gwapi_new(t, Pb__TrafficPolicySpec__HostRewrite, pb__traffic_policy_spec__host_rewrite__init);
    if (!h)
        return AGW_ENOMEM;
    if (agw_field_is(n, "mode", "Auto"))
        h->mode = PB__TRAFFIC_POLICY_SPEC__HOST_REWRITE__MODE__AUTO;
    spec->kind_case = PB__TRAFFIC_POLICY_SPEC__KIND_HOST_REWRITE;
    spec->host_rewrite = h;
    return 0;
}

static const struct {
    const char *field, *key;
    fill_fn *fill;
} fields[] = {
    {"cors", "cors", fill_cors},
    {"retry", "retry", fill_retry},
    {"timeouts", "timeout", fill_timeouts},
    {"delay", "delay", fill_delay},
    {"directResponse", "direct-response", fill_direct_response},
    {"headerModifiers", "request-headers", fill_request_headers},
    {"headerModifiers", "response-headers", fill_response_headers},
    {"hostRewrite", "host-rewrite", fill_host_rewrite},
    {"jwtAuthentication", "jwt", agw_gwapi_jwt},
};

/* --- one target --- */

struct target {
    Pb__PolicyTarget *message;
    struct agw_str text; /* begins the keys of what is aimed at it */
};

/* Puts |policy|, whose kind is set. Its key says target and field, so that of two policies for one place the
 * older one is in force; |at| is where it was said. */
static int put(struct agw_translate *t, const struct policy *p, const struct target *to, Pb__Policy *policy,
               const char *part, const char *field, const struct agw_node *at)
{
    Pb__TypedResourceName *name = agw_gwapi_new(t, Pb__TypedResourceName, pb__typed_resource_name__init);

    if (!name)
        return AGW_ENOMEM;
    name->kind = agw_gwapi_text(t, p->object->kind_name);
    name->namespace_ = agw_gwapi_text(t, p->object->ns);
    name->name = agw_gwapi_text(t, p->object->name);
    policy->key = agw_gwapi_printf(t, "%s/%.*s:%s", part, AGW_STRF(to->text), field);
    policy->name = name;
    policy->target = to->message;
    if (!agw_resource_set_get(t->out, AGW_RESOURCE_POLICY, agw_str_c(policy->key)))
        return agw_gwapi_put(t, AGW_RESOURCE_POLICY, policy, NULL);
    agw_gwapi_warn(t, p->object, at, "an older policy says it of %.*s already: no effect there",
                   AGW_STRF(to->text));
    return 0;
}

static int put_field(struct agw_translate *t, const struct policy *p, const struct target *to, size_t i)
{
    const struct agw_node *n = agw_field(p->traffic, fields[i].field);
    Pb__Policy *policy = agw_gwapi_new(t, Pb__Policy, pb__policy__init);
    Pb__TrafficPolicySpec *spec = agw_gwapi_new(t, Pb__TrafficPolicySpec, pb__traffic_policy_spec__init);

    if (!n)
        return 0;
    t->owner = p->object;
    if (!policy || !spec || fields[i].fill(t, n, spec))
        return AGW_ENOMEM;
    if (spec->kind_case == PB__TRAFFIC_POLICY_SPEC__KIND__NOT_SET)
        return 0;
    if (agw_field_is(agw_field(p->object->spec, "strategy"), "inheritance", "Override"))
        policy->inheritance = PB__POLICY__INHERITANCE__OVERRIDE;
    policy->kind_case = PB__POLICY__KIND_TRAFFIC;
    policy->traffic = spec;
    return put(t, p, to, policy, "traffic", fields[i].key, n);
}

static int put_backend(struct agw_translate *t, const struct policy *p, const struct target *to,
                       Pb__BackendPolicySpec *spec)
{
    Pb__Policy *policy = agw_gwapi_new(t, Pb__Policy, pb__policy__init);
    const ProtobufCFieldDescriptor *kind = protobuf_c_message_descriptor_get_field(
        &pb__backend_policy_spec__descriptor, (unsigned)spec->kind_case);

    if (!policy)
        return AGW_ENOMEM;
    policy->kind_case = PB__POLICY__KIND_BACKEND;
    policy->backend = spec;
    /* authorization adds up: each policy counts */
    const char *key = spec->kind_case != PB__BACKEND_POLICY_SPEC__KIND_MCP_AUTHORIZATION
                          ? kind->name
                          : agw_gwapi_printf(t, "%s/%.*s/%.*s", kind->name, AGW_STRF(p->object->ns),
                                             AGW_STRF(p->object->name));
    return put(t, p, to, policy, "backend", key, agw_field(p->object->spec, "backend"));
}

/* A Service by its host, and by port if |section| is the number or name of one. */
static int service_target(struct agw_translate *t, const struct agw_object *service, struct agw_str section,
                          Pb__PolicyTarget *m)
{
    Pb__PolicyTarget__ServiceTarget *s =
        agw_gwapi_new(t, Pb__PolicyTarget__ServiceTarget, pb__policy_target__service_target__init);
    const struct agw_node *port;

    if (!s)
        return AGW_ENOMEM;
    s->namespace_ = agw_gwapi_text(t, service->ns);
    s->hostname = agw_gwapi_host(t, service);
    m->kind_case = PB__POLICY_TARGET__KIND_SERVICE;
    m->service = s;
    agw_node_each (port, section.n ? agw_field(service->spec, "ports") : NULL) {
        uint32_t number = (uint32_t)agw_field_int(port, "port", 0);

        if (!agw_str_eq(agw_node_text(port, "name"), section) &&
            !agw_str_eq(agw_str_c(agw_gwapi_printf(t, "%u", number)), section))
            continue;
        s->_port_case = PB__POLICY_TARGET__SERVICE_TARGET___PORT_PORT;
        s->port = number;
    }
    return 0;
}

static int backend_target(struct agw_translate *t, struct agw_str ns, struct agw_str name,
                          Pb__PolicyTarget *m)
{
    Pb__PolicyTarget__BackendTarget *b =
        agw_gwapi_new(t, Pb__PolicyTarget__BackendTarget, pb__policy_target__backend_target__init);

    if (!b)
        return AGW_ENOMEM;
    b->namespace_ = agw_gwapi_text(t, ns);
    b->name = agw_gwapi_text(t, name);
    m->kind_case = PB__POLICY_TARGET__KIND_BACKEND;
    m->backend = b;
    return 0;
}

static int make_target(struct agw_translate *t, struct agw_str kind, struct agw_str ns, struct agw_str name,
                       struct agw_str section, struct target *ret)
{
    Pb__PolicyTarget *m = agw_gwapi_new(t, Pb__PolicyTarget, pb__policy_target__init);
    Pb__PolicyTarget__RouteTarget *r =
        agw_gwapi_new(t, Pb__PolicyTarget__RouteTarget, pb__policy_target__route_target__init);
    Pb__PolicyTarget__GatewayTarget *g =
        agw_gwapi_new(t, Pb__PolicyTarget__GatewayTarget, pb__policy_target__gateway_target__init);
    Pb__PolicyTarget__ListenerSetTarget *l =
        agw_gwapi_new(t, Pb__PolicyTarget__ListenerSetTarget, pb__policy_target__listener_set_target__init);

    if (!m || !r || !g || !l)
        return AGW_ENOMEM;
    r->namespace_ = g->namespace_ = l->namespace_ = agw_gwapi_text(t, ns);
    r->name = g->name = l->name = agw_gwapi_text(t, name);
    r->kind = agw_gwapi_text(t, kind);
    if (section.n) {
        r->_route_rule_case = PB__POLICY_TARGET__ROUTE_TARGET___ROUTE_RULE_ROUTE_RULE;
        g->_listener_case = PB__POLICY_TARGET__GATEWAY_TARGET___LISTENER_LISTENER;
        l->_section_case = PB__POLICY_TARGET__LISTENER_SET_TARGET___SECTION_SECTION;
        r->route_rule = g->listener = l->section = agw_gwapi_text(t, section);
    }
    if (agw_str_eq(kind, AGW_STR("Service"))) {
        const struct agw_object *service = agw_objects_get(t->objects, AGW_KIND_SERVICE, ns, name);

        if (service && service_target(t, service, section, m))
            return AGW_ENOMEM;
    } else if (agw_str_eq(kind, AGW_STR("AgentgatewayBackend"))) {
        if (backend_target(t, ns, name, m))
            return AGW_ENOMEM;
    } else if (agw_str_eq(kind, AGW_STR("Gateway"))) {
        m->kind_case = PB__POLICY_TARGET__KIND_GATEWAY;
        m->gateway = g;
    } else if (agw_str_eq(kind, AGW_STR("ListenerSet"))) {
        m->kind_case = PB__POLICY_TARGET__KIND_LISTENER_SET;
        m->listener_set = l;
    } else {
        m->kind_case = PB__POLICY_TARGET__KIND_ROUTE;
        m->route = r;
    }
    ret->message = m;
    ret->text = agw_str_c(agw_gwapi_printf(t, "%.*s/%.*s/%.*s%s%.*s", AGW_STRF(kind), AGW_STRF(ns),
                                           AGW_STRF(name), section.n ? "/" : "", AGW_STRF(section)));
    return 0;
}

static int put_target(struct agw_translate *t, const struct policy *p, const struct agw_node *at,
                      struct agw_str ns, struct agw_str name)
{
    struct target to;

    if (make_target(t, agw_node_text(at, "kind"), ns, name, agw_node_text(at, "sectionName"), &to))
        return AGW_ENOMEM;
    if (to.message->kind_case == PB__POLICY_TARGET__KIND__NOT_SET)
        return 0; /* a Service that is not there */
    for (size_t i = 0; i < AGW_ARRAY_LEN(fields); i++) {
        if (put_field(t, p, &to, i))
            return AGW_ENOMEM;
    }
    for (size_t i = 0; i < p->backend_count; i++) {
        if (put_backend(t, p, &to, p->backend[i]))
            return AGW_ENOMEM;
    }
    return 0;
}

/* --- all targets --- */

/* The kinds that the object's rules let through. */
static enum agw_kind kind_of(const struct agw_node *target)
{
    static const struct {
        const char *name;
        enum agw_kind kind;
    } kinds[] = {{"Gateway", AGW_KIND_GATEWAY},
                 {"ListenerSet", AGW_KIND_LISTENER_SET},
                 {"GRPCRoute", AGW_KIND_GRPC_ROUTE},
                 {"Service", AGW_KIND_SERVICE},
                 {"AgentgatewayBackend", AGW_KIND_BACKEND}};

    for (size_t i = 0; i < AGW_ARRAY_LEN(kinds); i++) {
        if (agw_field_is(target, "kind", kinds[i].name))
            return kinds[i].kind;
    }
    return AGW_KIND_HTTP_ROUTE;
}

static int put_ref(struct agw_translate *t, const struct policy *p, const struct agw_node *ref)
{
    struct agw_str name = agw_node_text(ref, "name");

    if (!agw_objects_get(t->objects, kind_of(ref), p->object->ns, name))
        agw_gwapi_warn(t, p->object, ref, "there is no %.*s %.*s/%.*s: no effect",
                       AGW_STRF(agw_node_text(ref, "kind")), AGW_STRF(p->object->ns), AGW_STRF(name));
    return put_target(t, p, ref, p->object->ns, name);
}

static int put_selected(struct agw_translate *t, const struct policy *p, const struct agw_node *selector)
{
    const struct agw_object *o;

    agw_objects_each(o, t->objects, kind_of(selector))
    {
        if (agw_str_eq(o->ns, p->object->ns) && agw_object_selected(o, selector) &&
            put_target(t, p, selector, o->ns, o->name))
            return AGW_ENOMEM;
    }
    return 0;
}

static int make_policy(struct agw_translate *t, const struct agw_object *o, struct policy *p)
{
    const struct agw_node *backend = agw_field(o->spec, "backend");
    const char *why = NULL;

    *p = (struct policy){.object = o, .traffic = agw_field(o->spec, "traffic")};
    if (agw_gwapi_backend_policies(t, o, backend, &p->backend, &p->backend_count, &why))
        return AGW_ENOMEM;
    if (why)
        agw_gwapi_warn(t, o, agw_field(backend, "tls"), "%s: requests are answered 500", why);
    return 0;
}

int agw_gwapi_policies(struct agw_translate *t)
{
    const struct agw_object *o;
    const struct agw_node *n;
    struct policy p;

    agw_objects_each(o, t->objects, AGW_KIND_POLICY)
    {
        if (make_policy(t, o, &p))
            return AGW_ENOMEM;
        if (!p.traffic && p.backend_count == 0)
            continue; /* agw_gwapi_frontends has the rest */
        agw_node_each (n, agw_field(o->spec, "targetRefs")) {
            if (put_ref(t, &p, n))
                return AGW_ENOMEM;
        }
        agw_node_each (n, agw_field(o->spec, "targetSelectors")) {
            if (put_selected(t, &p, n))
                return AGW_ENOMEM;
        }
    }
    return 0;
}
