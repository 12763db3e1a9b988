/* AgentgatewayPolicies as far as they are about a Gateway's front. */
#include "gwapi/listener/listener.h"
#include "gwapi/policy/policy.h"

static Pb__FrontendPolicySpec *make_frontend(struct agw_translate *t, const struct agw_object *o)
{
    const struct agw_node *in = agw_field(agw_field(o->spec, "frontend"), "proxyProtocol");
    Pb__FrontendPolicySpec *spec = agw_gwapi_new(t, Pb__FrontendPolicySpec, pb__frontend_policy_spec__init);
    Pb__FrontendPolicySpec__ProxyProtocol *p = agw_gwapi_new(t, Pb__FrontendPolicySpec__ProxyProtocol,
                                                             pb__frontend_policy_spec__proxy_protocol__init);

    if (!spec || !p)
        return NULL;
    if (agw_field_is(in, "version", "V1"))
        p->version = PB__FRONTEND_POLICY_SPEC__PROXY_PROTOCOL__VERSION__V1;
    else if (agw_field_is(in, "version", "All"))
        p->version = PB__FRONTEND_POLICY_SPEC__PROXY_PROTOCOL__VERSION__ALL;
    if (agw_field_is(in, "mode", "Optional"))
        p->mode = PB__FRONTEND_POLICY_SPEC__PROXY_PROTOCOL__MODE__OPTIONAL;
    spec->kind_case = PB__FRONTEND_POLICY_SPEC__KIND_PROXY_PROTOCOL;
    spec->proxy_protocol = p;
    return spec;
}

static bool has_gateway(const struct agw_translate *t, struct agw_str ns, struct agw_str name)
{
    const struct agw_gwapi_gateway *g = t->gateways;

    while (g && !(agw_str_eq(g->object->ns, ns) && agw_str_eq(g->object->name, name)))
        g = g->next;
    return g != NULL;
}

/* A target has one such policy, the oldest: the key is the target's. */
static int put_frontend(struct agw_translate *t, const struct agw_object *o, const struct agw_node *ref,
                        Pb__FrontendPolicySpec *spec)
{
    Pb__Policy *p = agw_gwapi_new(t, Pb__Policy, pb__policy__init);
    Pb__PolicyTarget *target = agw_gwapi_new(t, Pb__PolicyTarget, pb__policy_target__init);
    Pb__PolicyTarget__GatewayTarget *gateway =
        agw_gwapi_new(t, Pb__PolicyTarget__GatewayTarget, pb__policy_target__gateway_target__init);
    struct agw_str name = agw_node_text(ref, "name");
    uint32_t port = (uint32_t)agw_field_int(ref, "port", 0);

    if (!p || !target || !gateway)
        return AGW_ENOMEM;
    p->key =
        agw_gwapi_printf(t, "frontend/%.*s/%.*s:%u:proxyProtocol", AGW_STRF(o->ns), AGW_STRF(name), port);
    if (agw_resource_set_get(t->out, AGW_RESOURCE_POLICY, agw_str_c(p->key))) {
        agw_gwapi_warn(t, o, ref, "an older policy says what is in front of this target: it has no effect");
        return 0;
    }
    gateway->namespace_ = agw_gwapi_text(t, o->ns);
    gateway->name = agw_gwapi_text(t, name);
    if (port) {
        gateway->_port_case = PB__POLICY_TARGET__GATEWAY_TARGET___PORT_PORT;
        gateway->port = port;
    }
    target->kind_case = PB__POLICY_TARGET__KIND_GATEWAY;
    target->gateway = gateway;
    p->target = target;
    p->kind_case = PB__POLICY__KIND_FRONTEND;
    p->frontend = spec;
    return agw_gwapi_put(t, AGW_RESOURCE_POLICY, p, NULL);
}

int agw_gwapi_frontends(struct agw_translate *t)
{
    const struct agw_object *o;
    const struct agw_node *ref;

    agw_objects_each(o, t->objects, AGW_KIND_POLICY)
    {
        Pb__FrontendPolicySpec *spec;

        if (!agw_field(agw_field(o->spec, "frontend"), "proxyProtocol"))
            continue;
        spec = make_frontend(t, o);
        if (!spec)
            return AGW_ENOMEM;
        agw_node_each (ref, agw_field(o->spec, "targetRefs")) {
            struct agw_str name = agw_node_text(ref, "name");

            if (!has_gateway(t, o->ns, name))
                agw_gwapi_warn(t, o, ref, "there is no Gateway %.*s/%.*s of ours", AGW_STRF(o->ns),
                               AGW_STRF(name));
            else if (put_frontend(t, o, ref, spec))
                return AGW_ENOMEM;
        }
    }
    return 0;
}
