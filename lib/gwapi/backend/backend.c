/* AgentgatewayBackends, and Services whose port speaks MCP, to backends. */
#include "gwapi/backend/backend.h"

#include "config/snapshot.h"

static int put_backend(struct agw_translate *t, const struct agw_object *o, char *key, Pb__Backend *b)
{
    Pb__ResourceName *name = agw_gwapi_new(t, Pb__ResourceName, pb__resource_name__init);

    if (!name)
        return AGW_ENOMEM;
    name->namespace_ = agw_gwapi_text(t, o->ns);
    name->name = agw_gwapi_text(t, o->name);
    b->key = key;
    b->name = name;
    return agw_gwapi_put(t, AGW_RESOURCE_BACKEND, b, NULL);
}

/* Fills the policies. When one cannot be made the backend must not be reached without it: its kind is taken
 * away, which answers 500. */
static int set_policies(struct agw_translate *t, const struct agw_object *o, const struct agw_node *policies,
                        Pb__Backend *b)
{
    const char *why = NULL;
    int rc = agw_gwapi_backend_policies(t, o, policies, &b->inline_policies, &b->n_inline_policies, &why);

    if (rc || !why)
        return rc;
    agw_gwapi_warn(t, o, agw_field(policies, "tls"), "%s: requests are answered 500", why);
    b->kind_case = PB__BACKEND__KIND__NOT_SET;
    b->n_inline_policies = 0;
    return 0;
}

/* --- static, a2a --- */

static int static_kind(struct agw_translate *t, const struct agw_node *n, Pb__Backend *b)
{
    Pb__StaticBackend *s = agw_gwapi_new(t, Pb__StaticBackend, pb__static_backend__init);

    if (!s)
        return AGW_ENOMEM;
    s->host = agw_gwapi_text(t, agw_node_text(n, "host"));
    s->port = (int32_t)agw_field_int(n, "port", 0);
    s->unix_path = agw_gwapi_text(t, agw_node_text(n, "unixPath"));
    b->kind_case = PB__BACKEND__KIND_STATIC;
    b->static_ = s;
    return 0;
}

static int dynamic_kind(struct agw_translate *t, Pb__Backend *b)
{
    b->dynamic = agw_gwapi_new(t, Pb__DynamicForwardProxy, pb__dynamic_forward_proxy__init);
    b->kind_case = PB__BACKEND__KIND_DYNAMIC;
    return b->dynamic ? 0 : AGW_ENOMEM;
}

static int add_a2a(struct agw_translate *t, Pb__Backend *b)
{
    Pb__BackendPolicySpec *spec = agw_gwapi_new(t, Pb__BackendPolicySpec, pb__backend_policy_spec__init);
    Pb__BackendPolicySpec__A2a *a2a =
        agw_gwapi_new(t, Pb__BackendPolicySpec__A2a, pb__backend_policy_spec__a2a__init);

    if (!spec || !a2a)
        return AGW_ENOMEM;
    spec->kind_case = PB__BACKEND_POLICY_SPEC__KIND_A2A;
    spec->a2a = a2a;
    b->inline_policies[b->n_inline_policies++] = spec;
    return 0;
}

/* --- mcp targets --- */

/* |s|: where it is, `static` or `openapi`. */
static int static_target(struct agw_translate *t, const struct agw_object *o, const struct agw_node *target,
                         const struct agw_node *s, Pb__BackendReference *ref)
{
    struct agw_str other = agw_node_text(agw_field(s, "backendRef"), "name");
    Pb__Backend *b = agw_gwapi_new(t, Pb__Backend, pb__backend__init);

    if (!b)
        return AGW_ENOMEM;
    ref->kind_case = PB__BACKEND_REFERENCE__KIND_BACKEND;
    if (other.n) {
        ref->backend = agw_gwapi_printf(t, "%.*s/%.*s", AGW_STRF(o->ns), AGW_STRF(other));
        if (!agw_objects_get(t->objects, AGW_KIND_BACKEND, o->ns, other))
            agw_gwapi_warn(t, o, agw_field(s, "backendRef"), "there is no AgentgatewayBackend %.*s/%.*s",
                           AGW_STRF(o->ns), AGW_STRF(other));
        return 0;
    }
    ref->backend = agw_gwapi_printf(t, "%.*s/%.*s/%.*s", AGW_STRF(o->ns), AGW_STRF(o->name),
                                    AGW_STRF(agw_node_text(target, "name")));
    if (static_kind(t, s, b) || set_policies(t, o, agw_field(s, "policies"), b))
        return AGW_ENOMEM;
    return put_backend(t, o, ref->backend, b);
}

static int add_static_target(struct agw_translate *t, const struct agw_object *o,
                             const struct agw_node *target, Pb__MCPBackend *mcp)
{
    const struct agw_node *openapi = agw_field(target, "openapi"),
                          *s = openapi ? openapi : agw_field(target, "static");
    Pb__MCPTarget *out = agw_gwapi_new(t, Pb__MCPTarget, pb__mcptarget__init);
    Pb__BackendReference *ref = agw_gwapi_new(t, Pb__BackendReference, pb__backend_reference__init);

    if (!out || !ref)
        return AGW_ENOMEM;
    out->name = agw_gwapi_text(t, agw_node_text(target, "name"));
    out->backend = ref;
    out->path = agw_gwapi_text(t, agw_node_text(s, "path"));
    if (agw_field_is(s, "protocol", "SSE"))
        out->protocol = PB__MCPTARGET__PROTOCOL__SSE;
    else if (agw_field_is(s, "protocol", "StreamableHTTP"))
        out->protocol = PB__MCPTARGET__PROTOCOL__STREAMABLE_HTTP;
    if (openapi) {
        out->openapi = agw_gwapi_new(t, Pb__MCPTarget__OpenApi, pb__mcptarget__open_api__init);
        if (!out->openapi)
            return AGW_ENOMEM;
        out->openapi->document = agw_gwapi_text(t, agw_node_text(openapi, "document"));
    }
    mcp->targets[mcp->n_targets++] = out;
    return static_target(t, o, target, s, ref);
}

static int environment(struct agw_translate *t, const struct agw_node *env, Pb__MCPTarget__Stdio *out)
{
    const struct agw_node *value;

    if (!env || env->count == 0)
        return 0;
    out->env = agw_gwapi_pointers(t, env->count);
    if (!out->env)
        return AGW_ENOMEM;
    agw_node_each (value, env)
        out->env[out->n_env++] =
            agw_gwapi_printf(t, "%.*s=%.*s", AGW_STRF(value->key), AGW_STRF(value->text));
    return 0;
}

static int add_process(struct agw_translate *t, const struct agw_object *o, const struct agw_node *target,
                       Pb__MCPBackend *mcp)
{
    const struct agw_node *s = agw_field(target, "stdio");
    Pb__MCPTarget *out = agw_gwapi_new(t, Pb__MCPTarget, pb__mcptarget__init);
    Pb__MCPTarget__Stdio *stdio = agw_gwapi_new(t, Pb__MCPTarget__Stdio, pb__mcptarget__stdio__init);

    if (!out || !stdio)
        return AGW_ENOMEM;
    if (t->report->for_others) {
        agw_report_error(
            &t->report->texts, o, s, NULL,
            "starts a process: only a gateway that reads this file itself (agentgateway -f) does so");
        return 0;
    }
    out->name = agw_gwapi_text(t, agw_node_text(target, "name"));
    out->stdio = stdio;
    stdio->cmd = agw_gwapi_text(t, agw_node_text(s, "cmd"));
    stdio->args = agw_gwapi_texts(t, agw_field(s, "args"), &stdio->n_args);
    stdio->clear_env = agw_field_int(s, "clearEnv", 0) != 0;
    mcp->targets[mcp->n_targets++] = out;
    return environment(t, agw_field(s, "env"), stdio);
}

int agw_gwapi_service_target(struct agw_translate *t, const struct agw_object *service,
                             const struct agw_node *port, Pb__MCPTarget **ret_target)
{
    Pb__MCPTarget *out = agw_gwapi_new(t, Pb__MCPTarget, pb__mcptarget__init);
    struct agw_str name = agw_object_annotation(service, "agentgateway.dev/mcp-target-name");
    struct agw_str path = agw_object_annotation(service, "agentgateway.dev/mcp-path"),
                   port_name = agw_node_text(port, "name");
    uint32_t number = (uint32_t)agw_field_int(port, "port", 0);

    if (!out)
        return AGW_ENOMEM;
    if (path.n == 0)
        path = agw_object_annotation(service, "kgateway.dev/mcp-path");
    if (name.n)
        out->name = agw_gwapi_text(t, name);
    else if (port_name.n)
        out->name = agw_gwapi_printf(t, "%.*s-%.*s", AGW_STRF(service->name), AGW_STRF(port_name));
    else
        out->name = agw_gwapi_printf(t, "%.*s-%u", AGW_STRF(service->name), number);
    out->path = agw_gwapi_text(t, path);
    out->protocol = agw_gwapi_app_protocol(port) == AGW_APP_MCP_SSE
                        ? PB__MCPTARGET__PROTOCOL__SSE
                        : PB__MCPTARGET__PROTOCOL__STREAMABLE_HTTP;
    *ret_target = out;
    return agw_gwapi_service_ref(t, service, number, &out->backend);
}

static bool is_mcp(const struct agw_node *port)
{
    enum agw_gwapi_protocol p = agw_gwapi_app_protocol(port);

    return p == AGW_APP_MCP || p == AGW_APP_MCP_SSE;
}

/* Without a selector for namespaces: the backend's own alone. */
static bool selects(const struct agw_translate *t, const struct agw_object *o,
                    const struct agw_node *selector, const struct agw_object *service)
{
    const struct agw_node *namespaces = agw_field(selector, "namespaces"),
                          *services = agw_field(selector, "services");

    if (namespaces) {
        if (!agw_namespace_selected(t->objects, service->ns, namespaces))
            return false;
    } else if (!agw_str_eq(service->ns, o->ns)) {
        return false;
    }
    return !services || agw_object_selected(service, services);
}

static int add_selected_targets(struct agw_translate *t, const struct agw_object *o,
                                const struct agw_node *target, Pb__MCPBackend *mcp)
{
    const struct agw_node *selector = agw_field(target, "selector"), *port;
    size_t before = mcp->n_targets;
    const struct agw_object *service;

    agw_objects_each(service, t->objects, AGW_KIND_SERVICE)
    {
        if (!selects(t, o, selector, service))
            continue;
        agw_node_each (port, agw_field(service->spec, "ports")) {
            if (!is_mcp(port))
                continue;
            if (mcp->n_targets == AGW_MCP_TARGETS_MAX) {
                agw_gwapi_warn(t, o, selector, "finds more than %d targets; the rest is left out",
                               AGW_MCP_TARGETS_MAX);
                return 0;
            }
            if (agw_gwapi_service_target(t, service, port, &mcp->targets[mcp->n_targets]))
                return AGW_ENOMEM;
            mcp->n_targets++;
        }
    }
    if (mcp->n_targets == before)
        agw_gwapi_warn(t, o, selector, "finds no Service with a port of appProtocol agentgateway.dev/mcp");
    return 0;
}

static void set_modes(struct agw_translate *t, const struct agw_object *o, const struct agw_node *n,
                      Pb__MCPBackend *mcp)
{
    if (agw_field_is(n, "failureMode", "FailOpen"))
        mcp->failure_mode = PB__MCPBACKEND__FAILURE_MODE__FAIL_OPEN;
    if (agw_field_is(n, "sessionRouting", "Stateless")) {
        agw_gwapi_warn(t, o, agw_field(n, "sessionRouting"),
                       "Stateless sends calls without a session: targets that want one refuse them");
        mcp->stateful_mode = PB__MCPBACKEND__STATEFUL_MODE__STATELESS;
    }
    if (agw_field_is(n, "prefixMode", "Always"))
        mcp->prefix_mode = PB__MCPBACKEND__PREFIX_MODE__ALWAYS;
    else if (agw_field_is(n, "prefixMode", "Never"))
        mcp->prefix_mode = PB__MCPBACKEND__PREFIX_MODE__NEVER;
}

static int add_tools(struct agw_translate *t, const struct agw_node *list, Pb__MCPBackend *mcp)
{
    const struct agw_node *tool;
    size_t n = 0;

    agw_node_each (tool, list)
        n++;
    if (n && !(mcp->tools = agw_gwapi_pointers(t, n)))
        return AGW_ENOMEM;
    agw_node_each (tool, list) {
        Pb__MCPBackend__ToolRule *out =
            agw_gwapi_new(t, Pb__MCPBackend__ToolRule, pb__mcpbackend__tool_rule__init);
        if (!out)
            return AGW_ENOMEM;
        out->target = agw_gwapi_text(t, agw_node_text(tool, "target"));
        out->name = agw_gwapi_text(t, agw_node_text(tool, "name"));
        out->pattern = agw_gwapi_text(t, agw_node_text(tool, "pattern"));
        out->rename = agw_gwapi_text(t, agw_node_text(tool, "rename"));
        out->title = agw_gwapi_text(t, agw_node_text(tool, "title"));
        out->description = agw_gwapi_text(t, agw_node_text(tool, "description"));
        mcp->tools[mcp->n_tools++] = out;
    }
    return 0;
}

static int add_search(struct agw_translate *t, const struct agw_node *search, Pb__MCPBackend *mcp)
{
    if (!search)
        return 0;
    mcp->tool_search = agw_gwapi_new(t, Pb__MCPBackend__ToolSearch, pb__mcpbackend__tool_search__init);
    if (!mcp->tool_search)
        return AGW_ENOMEM;
    mcp->tool_search->pinned = agw_gwapi_texts(t, agw_field(search, "pinned"), &mcp->tool_search->n_pinned);
    mcp->tool_search->max_results = (uint32_t)agw_field_int(search, "maxResults", 0);
    return 0;
}

static int mcp_kind(struct agw_translate *t, const struct agw_object *o, const struct agw_node *n,
                    Pb__Backend *b)
{
    Pb__MCPBackend *mcp = agw_gwapi_new(t, Pb__MCPBackend, pb__mcpbackend__init);
    const struct agw_node *target;
    int rc = 0;

    if (!mcp)
        return AGW_ENOMEM;
    mcp->targets = agw_gwapi_pointers(t, AGW_MCP_TARGETS_MAX);
    if (!mcp->targets)
        return AGW_ENOMEM;
    set_modes(t, o, n, mcp);
    mcp->allowed_origins = agw_gwapi_texts(t, agw_field(n, "allowedOrigins"), &mcp->n_allowed_origins);
    agw_node_each (target, agw_field(n, "targets")) {
        bool single = !agw_field(target, "selector");
        if (single && mcp->n_targets == AGW_MCP_TARGETS_MAX) {
            agw_gwapi_warn(t, o, target, "is one more than the %d that there may be; it is left out",
                           AGW_MCP_TARGETS_MAX);
            continue;
        }
        rc = agw_field(target, "stdio")      ? add_process(t, o, target, mcp)
             : agw_field(target, "selector") ? add_selected_targets(t, o, target, mcp)
                                             : add_static_target(t, o, target, mcp);
        if (rc)
            return rc;
    }
    b->kind_case = PB__BACKEND__KIND_MCP;
    b->mcp = mcp;
    rc = add_tools(t, agw_field(n, "tools"), mcp);
    return rc ? rc : add_search(t, agw_field(n, "toolSearch"), mcp);
}

/* --- both sources --- */

static int add_backend(struct agw_translate *t, const struct agw_object *o)
{
    const struct agw_node *s = agw_field(o->spec, "static"), *a2a = agw_field(o->spec, "a2a");
    Pb__Backend *b = agw_gwapi_new(t, Pb__Backend, pb__backend__init);
    int rc;

    if (!b)
        return AGW_ENOMEM;
    if (agw_field(o->spec, "dynamicForwardProxy"))
        rc = dynamic_kind(t, b);
    else if (s || a2a)
        rc = static_kind(t, s ? s : a2a, b);
    else
        rc = mcp_kind(t, o, agw_field(o->spec, "mcp"), b);
    if (!rc)
        rc = set_policies(t, o, agw_field(o->spec, "policies"), b);
    if (rc || b->kind_case == PB__BACKEND__KIND__NOT_SET)
        return rc; /* left out: what refers to it answers 500 */
    if (a2a && add_a2a(t, b))
        return AGW_ENOMEM;
    return put_backend(t, o, agw_gwapi_printf(t, "%.*s/%.*s", AGW_STRF(o->ns), AGW_STRF(o->name)), b);
}

char *agw_gwapi_service_backend_key(struct agw_translate *t, const struct agw_object *service, uint32_t port)
{
    /* a colon is in no Kubernetes name: never the key of an AgentgatewayBackend */
    return agw_gwapi_printf(t, "%.*s/%.*s:%u", AGW_STRF(service->ns), AGW_STRF(service->name), port);
}

static int add_service_backend(struct agw_translate *t, const struct agw_object *service,
                               const struct agw_node *port)
{
    Pb__Backend *b = agw_gwapi_new(t, Pb__Backend, pb__backend__init);
    Pb__MCPBackend *mcp = agw_gwapi_new(t, Pb__MCPBackend, pb__mcpbackend__init);

    if (!b || !mcp)
        return AGW_ENOMEM;
    mcp->targets = agw_gwapi_pointers(t, 1);
    if (!mcp->targets || agw_gwapi_service_target(t, service, port, &mcp->targets[0]))
        return AGW_ENOMEM;
    mcp->n_targets = 1;
    b->kind_case = PB__BACKEND__KIND_MCP;
    b->mcp = mcp;
    return put_backend(
        t, service, agw_gwapi_service_backend_key(t, service, (uint32_t)agw_field_int(port, "port", 0)), b);
}

int agw_gwapi_backends(struct agw_translate *t)
{
    const struct agw_object *o;
    const struct agw_node *port;

    agw_objects_each(o, t->objects, AGW_KIND_BACKEND)
    {
        if (add_backend(t, o))
            return AGW_ENOMEM;
    }
    agw_objects_each(o, t->objects, AGW_KIND_SERVICE)
    {
        agw_node_each (port, agw_field(o->spec, "ports")) {
            if (is_mcp(port) && add_service_backend(t, o, port))
                return AGW_ENOMEM;
        }
    }
    return 0;
}
