/* AgentgatewayPolicies as far as they are about a Gateway's front. */
#include "base/check.h"
#include "gwapi/listener/listener.h"
#include "gwapi/policy/policy.h"

/* Fill |spec| from the field's node; AGW_ENOMEM. */
typedef int front_fn(struct agw_translate *t, const struct agw_node *in, Pb__FrontendPolicySpec *spec);

static int fill_proxy(struct agw_translate *t, const struct agw_node *in, Pb__FrontendPolicySpec *spec)
{
    Pb__FrontendPolicySpec__ProxyProtocol *p = agw_gwapi_new(t, Pb__FrontendPolicySpec__ProxyProtocol,
                                                             pb__frontend_policy_spec__proxy_protocol__init);

    if (!p)
        return AGW_ENOMEM;
    if (agw_field_is(in, "version", "V1"))
        p->version = PB__FRONTEND_POLICY_SPEC__PROXY_PROTOCOL__VERSION__V1;
    else if (agw_field_is(in, "version", "All"))
        p->version = PB__FRONTEND_POLICY_SPEC__PROXY_PROTOCOL__VERSION__ALL;
    if (agw_field_is(in, "mode", "Optional"))
        p->mode = PB__FRONTEND_POLICY_SPEC__PROXY_PROTOCOL__MODE__OPTIONAL;
    spec->kind_case = PB__FRONTEND_POLICY_SPEC__KIND_PROXY_PROTOCOL;
    spec->proxy_protocol = p;
    return 0;
}

/* The size that a member says; *ret_case: it says one. The field's number is its case. */
static uint32_t size_of(const struct agw_node *in, const char *name, int number, int *ret_case)
{
    uint64_t n;

    if (!agw_field_quantity(in, name, &n))
        return 0;
    *ret_case = number;
    return (uint32_t)n;
}

#define SIZE(member, NUMBER, field)                                                                          \
    do {                                                                                                     \
        int number = 0;                                                                                      \
        h->member = size_of(in, field, PB__FRONTEND_POLICY_SPEC__HTTP___##NUMBER, &number);                  \
        h->_##member##_case = number;                                                                        \
    } while (0)

static int fill_http(struct agw_translate *t, const struct agw_node *in, Pb__FrontendPolicySpec *spec)
{
    Pb__FrontendPolicySpec__HTTP *h =
        agw_gwapi_new(t, Pb__FrontendPolicySpec__HTTP, pb__frontend_policy_spec__http__init);

    if (!h)
        return AGW_ENOMEM;
    SIZE(max_buffer_size, MAX_BUFFER_SIZE_MAX_BUFFER_SIZE, "maxBufferSize");
    SIZE(http1_max_headers, HTTP1_MAX_HEADERS_HTTP1_MAX_HEADERS, "http1MaxHeaders");
    SIZE(http2_window_size, HTTP2_WINDOW_SIZE_HTTP2_WINDOW_SIZE, "http2WindowSize");
    SIZE(http2_connection_window_size, HTTP2_CONNECTION_WINDOW_SIZE_HTTP2_CONNECTION_WINDOW_SIZE,
         "http2ConnectionWindowSize");
    SIZE(http2_frame_size, HTTP2_FRAME_SIZE_HTTP2_FRAME_SIZE, "http2FrameSize");
    SIZE(http2_max_header_size, HTTP2_MAX_HEADER_SIZE_HTTP2_MAX_HEADER_SIZE, "http2MaxHeaderSize");
    h->http1_idle_timeout = agw_gwapi_duration(t, agw_node_text(in, "http1IdleTimeout"));
    h->http2_keepalive_interval = agw_gwapi_duration(t, agw_node_text(in, "http2KeepaliveInterval"));
    h->http2_keepalive_timeout = agw_gwapi_duration(t, agw_node_text(in, "http2KeepaliveTimeout"));
    h->max_connection_duration = agw_gwapi_duration(t, agw_node_text(in, "maxConnectionDuration"));
    if (agw_field_is(in, "http1HeaderCase", "Preserve"))
        h->http1_header_case = PB__FRONTEND_POLICY_SPEC__HTTP__HTTPHEADER_CASE__PRESERVE;
    spec->kind_case = PB__FRONTEND_POLICY_SPEC__KIND_HTTP;
    spec->http = h;
    return 0;
}

static int fill_tcp(struct agw_translate *t, const struct agw_node *in, Pb__FrontendPolicySpec *spec)
{
    const struct agw_node *keep = agw_field(in, "keepalive");
    Pb__FrontendPolicySpec__TCP *tcp =
        agw_gwapi_new(t, Pb__FrontendPolicySpec__TCP, pb__frontend_policy_spec__tcp__init);
    Pb__KeepaliveConfig *k = agw_gwapi_new(t, Pb__KeepaliveConfig, pb__keepalive_config__init);

    if (!tcp || !k)
        return AGW_ENOMEM;
    k->time = agw_gwapi_duration(t, agw_node_text(keep, "time"));
    k->interval = agw_gwapi_duration(t, agw_node_text(keep, "interval"));
    if (agw_field(keep, "retries")) {
        k->_retries_case = PB__KEEPALIVE_CONFIG___RETRIES_RETRIES;
        k->retries = (uint32_t)agw_field_int(keep, "retries", 0);
    }
    tcp->keepalives = k;
    spec->kind_case = PB__FRONTEND_POLICY_SPEC__KIND_TCP;
    spec->tcp = tcp;
    return 0;
}

static int tls_values(struct agw_translate *t, const struct agw_node *list,
                      const ProtobufCEnumDescriptor *type, int **ret_values, size_t *ret_count)
{
    const struct agw_node *n;

    if (!list)
        return 0;
    *ret_values = agw_arena_alloc(&t->arena, (list->count + 1) * sizeof(int));
    if (!*ret_values)
        return AGW_ENOMEM;
    agw_node_each (n, list)
        (*ret_values)[(*ret_count)++] = agw_gwapi_tls_value(t, type, n->text);
    return t->failed ? AGW_ENOMEM : 0;
}

static Pb__Alpn *alpn(struct agw_translate *t, const struct agw_node *list)
{
    Pb__Alpn *a = list ? agw_gwapi_new(t, Pb__Alpn, pb__alpn__init) : NULL;
    const struct agw_node *n;

    if (!a)
        return NULL;
    a->protocols = agw_gwapi_pointers(t, list->count);
    if (!a->protocols)
        return NULL;
    agw_node_each (n, list)
        a->protocols[a->n_protocols++] = agw_gwapi_text(t, n->text);
    return a;
}

static int tls_version(const struct agw_node *in, const char *name)
{
    return agw_field_is(in, name, "1.3") ? PB__TLSCONFIG__TLSVERSION__TLS_V1_3
                                         : PB__TLSCONFIG__TLSVERSION__TLS_V1_2;
}

static int fill_tls(struct agw_translate *t, const struct agw_node *in, Pb__FrontendPolicySpec *spec)
{
    Pb__FrontendPolicySpec__TLS *tls =
        agw_gwapi_new(t, Pb__FrontendPolicySpec__TLS, pb__frontend_policy_spec__tls__init);
    int *suites = NULL, *groups = NULL;

    if (!tls ||
        tls_values(t, agw_field(in, "cipherSuites"), &pb__tlsconfig__cipher_suite__descriptor, &suites,
                   &tls->n_cipher_suites) ||
        tls_values(t, agw_field(in, "keyExchangeGroups"), &pb__tlsconfig__key_exchange_group__descriptor,
                   &groups, &tls->n_key_exchange_groups))
        return AGW_ENOMEM;
    tls->cipher_suites = (Pb__TLSConfig__CipherSuite *)suites;
    tls->key_exchange_groups = (Pb__TLSConfig__KeyExchangeGroup *)groups;
    tls->handshake_timeout = agw_gwapi_duration(t, agw_node_text(in, "handshakeTimeout"));
    tls->alpn = alpn(t, agw_field(in, "alpnProtocols"));
    if (agw_field(in, "minProtocolVersion")) {
        tls->_min_version_case = PB__FRONTEND_POLICY_SPEC__TLS___MIN_VERSION_MIN_VERSION;
        tls->min_version = (Pb__TLSConfig__TLSVersion)tls_version(in, "minProtocolVersion");
    }
    if (agw_field(in, "maxProtocolVersion")) {
        tls->_max_version_case = PB__FRONTEND_POLICY_SPEC__TLS___MAX_VERSION_MAX_VERSION;
        tls->max_version = (Pb__TLSConfig__TLSVersion)tls_version(in, "maxProtocolVersion");
    }
    spec->kind_case = PB__FRONTEND_POLICY_SPEC__KIND_TLS;
    spec->tls = tls;
    return t->failed ? AGW_ENOMEM : 0;
}

static const struct {
    const char *field;
    front_fn *fill;
} fronts[] = {
    {"proxyProtocol", fill_proxy},
    {"http", fill_http},
    {"tcp", fill_tcp},
    {"tls", fill_tls},
};

static bool has_gateway(const struct agw_translate *t, struct agw_str ns, struct agw_str name)
{
    const struct agw_gwapi_gateway *g = t->gateways;

    while (g && !(agw_str_eq(g->object->ns, ns) && agw_str_eq(g->object->name, name)))
        g = g->next;
    return g != NULL;
}

/* A target has one policy of a field, the oldest: the key is the target's. */
static int put_frontend(struct agw_translate *t, const struct agw_object *o, const struct agw_node *ref,
                        const char *field, Pb__FrontendPolicySpec *spec)
{
    Pb__Policy *p = agw_gwapi_new(t, Pb__Policy, pb__policy__init);
    Pb__PolicyTarget *target = agw_gwapi_new(t, Pb__PolicyTarget, pb__policy_target__init);
    Pb__PolicyTarget__GatewayTarget *gateway =
        agw_gwapi_new(t, Pb__PolicyTarget__GatewayTarget, pb__policy_target__gateway_target__init);
    struct agw_str name = agw_node_text(ref, "name");
    uint32_t port = (uint32_t)agw_field_int(ref, "port", 0);

    if (!p || !target || !gateway)
        return AGW_ENOMEM;
    p->key = agw_gwapi_printf(t, "frontend/%.*s/%.*s:%u:%s", AGW_STRF(o->ns), AGW_STRF(name), port, field);
    if (agw_resource_set_get(t->out, AGW_RESOURCE_POLICY, agw_str_c(p->key))) {
        agw_gwapi_warn(t, o, ref, "an older policy says %s of this target: it has no effect", field);
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

static int put_fronts(struct agw_translate *t, const struct agw_object *o, const struct agw_node *ref)
{
    for (size_t i = 0; i < AGW_ARRAY_LEN(fronts); i++) {
        const struct agw_node *in = agw_field(agw_field(o->spec, "frontend"), fronts[i].field);
        Pb__FrontendPolicySpec *spec =
            in ? agw_gwapi_new(t, Pb__FrontendPolicySpec, pb__frontend_policy_spec__init) : NULL;

        if (in && (!spec || fronts[i].fill(t, in, spec) || put_frontend(t, o, ref, fronts[i].field, spec)))
            return AGW_ENOMEM;
    }
    return 0;
}

int agw_gwapi_frontends(struct agw_translate *t)
{
    const struct agw_object *o;
    const struct agw_node *ref;

    agw_objects_each(o, t->objects, AGW_KIND_POLICY)
    {
        if (!agw_field(o->spec, "frontend"))
            continue;
        agw_node_each (ref, agw_field(o->spec, "targetRefs")) {
            struct agw_str name = agw_node_text(ref, "name");

            if (!has_gateway(t, o->ns, name))
                agw_gwapi_warn(t, o, ref, "there is no Gateway %.*s/%.*s of ours", AGW_STRF(o->ns),
                               AGW_STRF(name));
            else if (put_fronts(t, o, ref))
                return AGW_ENOMEM;
        }
    }
    return 0;
}
