/* AgentgatewayBackend: static, mcp, a2a and dynamicForwardProxy are served. */
#include "gwapi/kind/kind.h"

const struct agw_field agw_fields_secret_ref[] = {
    AGW_TEXT("group", AGW_A_GROUP),
    AGW_TEXT("kind", AGW_A_KIND),
    AGW_TEXT("name", AGW_A_SUBDOMAIN, .required = true),
    AGW_TEXT("namespace", AGW_A_LABEL),
    AGW_END,
};

static const struct agw_field static_backend[] = {
    AGW_TEXT("host", .min = 1, .max = 256, AGW_FORM(agw_is_host, "an IP address or a DNS name")),
    AGW_INT("port", AGW_A_PORT),
    AGW_TEXT("unixPath", .min = 1, .max = 107),
    AGW_END,
};

static const struct agw_field a2a_backend[] = {
    AGW_TEXT("host", .min = 1, .max = 256, AGW_FORM(agw_is_host, "an IP address or a DNS name"),
             .required = true),
    AGW_INT("port", AGW_A_PORT, .required = true),
    AGW_END,
};

static const char *const mcp_protocols[] = {"SSE", "StreamableHTTP", NULL};
static const char *const failure_modes[] = {"FailClosed", "FailOpen", NULL};
static const char *const prefix_modes[] = {"Always", "Conditional", "Never", NULL};
static const char *const session_modes[] = {"Stateful", "Stateless", NULL};

static const struct agw_field mcp_static[] = {
    AGW_TEXT("host", .min = 1, .max = 256, AGW_FORM(agw_is_host, "an IP address or a DNS name")),
    AGW_MAP("backendRef", agw_fields_name_ref),
    AGW_INT("port", AGW_A_PORT, .required = true),
    AGW_TEXT("path", .min = 1, .max = 1024, AGW_FORM(agw_is_absolute_path, "an absolute path")),
    AGW_TEXT("protocol", .one_of = mcp_protocols),
    AGW_MAP("policies", agw_fields_backend_policies),
    AGW_END,
};

static const struct agw_field mcp_selector[] = {
    AGW_MAP("namespaces", agw_fields_label_selector),
    AGW_MAP("services", agw_fields_label_selector),
    AGW_END,
};

static const struct agw_field mcp_stdio[] = {
    AGW_TEXT("cmd", .min = 1, .max = 4096, .required = true),
    {.name = "args", .type = AGW_FIELD_TEXT, .list = true, .max_items = 256, .max = 131072},
    AGW_TEXTS("env"),
    AGW_BOOLEAN("clearEnv"),
    AGW_END,
};

static const struct agw_field mcp_openapi[] = {
    AGW_TEXT("document", .min = 1, .max = 2097152, .required = true),
    AGW_TEXT("host", .min = 1, .max = 256, AGW_FORM(agw_is_host, "an IP address or a DNS name")),
    AGW_MAP("backendRef", agw_fields_name_ref),
    AGW_INT("port", AGW_A_PORT, .required = true),
    AGW_MAP("policies", agw_fields_backend_policies),
    AGW_END,
};

static const struct agw_field mcp_target[] = {
    AGW_TEXT("name", AGW_A_SUBDOMAIN, .required = true),
    AGW_MAP("static", mcp_static),
    AGW_MAP("selector", mcp_selector),
    AGW_MAP("stdio", mcp_stdio),
    AGW_MAP("openapi", mcp_openapi),
    AGW_END,
};

/* All pages at once are what the check is there to stop. */
static bool is_page(struct agw_str s)
{
    ptrdiff_t star = agw_str_find(s, '*');

    return agw_is_origin(s) && (star < 0 || agw_str_starts(agw_str_from(s, (size_t)star), AGW_STR("*.")));
}

#define A_TOOL .min = 1, .max = 128

static const struct agw_field mcp_tool[] = {
    AGW_TEXT("target", AGW_A_SUBDOMAIN, .required = true),
    AGW_TEXT("name", .min = 1, .max = 1024), /* a target may call its tools what it likes */
    AGW_TEXT("pattern", .min = 1, .max = 1024),
    AGW_TEXT("rename", A_TOOL, AGW_FORM(agw_is_tool_name, "a name of letters, digits, _, - and .")),
    AGW_TEXT("title", .min = 1, .max = 1024),
    AGW_TEXT("description", .min = 1, .max = 16384),
    AGW_END,
};

static const struct agw_field tool_search[] = {
    {.name = "pinned", .type = AGW_FIELD_TEXT, .list = true, .max_items = 64, .min = 1, .max = 1024},
    AGW_INT("maxResults", .min = 1, .max = 50),
    AGW_END,
};

static const struct agw_field mcp_backend[] = {
    AGW_LIST("targets", mcp_target, .required = true, .min_items = 1, .max_items = 32, .unique = "name"),
    AGW_TEXT("failureMode", .one_of = failure_modes),
    AGW_TEXT("prefixMode", .one_of = prefix_modes),
    AGW_TEXT("sessionRouting", .one_of = session_modes),
    {.name = "allowedOrigins",
     .type = AGW_FIELD_TEXT,
     .list = true,
     .max_items = 64,
     .min = 1,
     .max = 253,
     AGW_FORM(is_page, "an origin such as https://a.example.com or https://*.example.com")},
    AGW_LIST("tools", mcp_tool, .min_items = 1, .max_items = 256),
    AGW_MAP("toolSearch", tool_search),
    AGW_END,
};

static const struct agw_field nothing[] = {AGW_END};

static const struct agw_field backend_spec[] = {
    AGW_MAP("static", static_backend),
    AGW_MAP("mcp", mcp_backend),
    AGW_MAP("a2a", a2a_backend),
    AGW_UNSERVED("ai"),
    AGW_UNSERVED("aws"),
    AGW_MAP("dynamicForwardProxy", nothing),
    AGW_MAP("policies", agw_fields_backend_policies),
    AGW_END,
};

const struct agw_field agw_fields_backend[] = {
    AGW_OBJECT(backend_spec),
};

/* --- rules --- */

static bool check_static(struct agw_report *r, const struct agw_object *o, const struct agw_node *s)
{
    bool host = agw_field(s, "host") != NULL, port = agw_field(s, "port") != NULL,
         path = agw_field(s, "unixPath") != NULL;

    if (path ? !host && !port : host && port)
        return true;
    agw_report_error(r, o, s, NULL, "needs either host and port, or unixPath");
    return false;
}

/* POSIX leaves other names to the system; no shell could use them. */
static bool is_variable(struct agw_str name)
{
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool letter = ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '_';
        if (!letter && (i == 0 || c < '0' || c > '9'))
            return false;
    }
    return name.n > 0;
}

static bool check_process(struct agw_report *r, const struct agw_object *o, const struct agw_node *stdio)
{
    const struct agw_node *value, *env = agw_field(stdio, "env");
    bool ok = true;

    if (!env)
        return true;
    agw_node_each (value, env) {
        if (is_variable(value->key))
            continue;
        agw_report_error(r, o, value, NULL,
                         "must be named by letters, digits and _, not beginning with a digit");
        ok = false;
    }
    return ok;
}

static bool check_target(struct agw_report *r, const struct agw_object *o, const struct agw_node *target)
{
    const struct agw_node *s = agw_field(target, "static"), *selector = agw_field(target, "selector"),
                          *openapi = agw_field(target, "openapi");

    if (!!s + !!selector + !!agw_field(target, "stdio") + !!openapi != 1) {
        agw_report_error(r, o, target, NULL, "needs exactly one of static, selector, stdio and openapi");
        return false;
    }
    s = s ? s : openapi;
    if (!check_process(r, o, agw_field(target, "stdio")))
        return false;
    if (selector && !agw_field(selector, "services") && !agw_field(selector, "namespaces")) {
        agw_report_error(r, o, selector, NULL, "needs services or namespaces");
        return false;
    }
    if (s && !agw_field(s, "host") == !agw_field(s, "backendRef")) {
        agw_report_error(r, o, s, NULL, "needs exactly one of host and backendRef");
        return false;
    }
    if (agw_field(s, "backendRef") && agw_field(s, "policies")) {
        agw_report_error(r, o, agw_field(s, "policies"), NULL, "must not be set together with backendRef");
        return false;
    }
    return agw_rules_backend_policies(r, o, agw_field(s, "policies"));
}

static bool is_same(const struct agw_node *a, const struct agw_node *b, const char *field)
{
    struct agw_str text = agw_node_text(a, field);
    return text.n && agw_str_eq(text, agw_node_text(b, field));
}

/* Where a selector finds targets, it may find this one later. */
static bool is_target(const struct agw_node *mcp, const struct agw_node *tool)
{
    const struct agw_node *target;

    agw_node_each (target, agw_field(mcp, "targets"))
        if (agw_field(target, "selector") ||
            agw_str_eq(agw_node_text(target, "name"), agw_node_text(tool, "target")))
            return true;
    return false;
}

static const char *tool_fault(const struct agw_node *mcp, const struct agw_node *tool, const char **ret_field)
{
    const struct agw_node *other;
    bool named = agw_field(tool, "name") != NULL;

    *ret_field = NULL;
    if (named == !!agw_field(tool, "pattern"))
        return "needs exactly one of name and pattern";
    if (!named && (agw_field(tool, "rename") || agw_field(tool, "title") || agw_field(tool, "description")))
        return "says rename, title or description of a pattern: they are of one tool, given by name";
    if (!is_target(mcp, tool)) {
        *ret_field = "target";
        return "is none of the targets";
    }
    if (agw_field(mcp, "toolSearch") &&
        (agw_field_is(tool, "rename", "search_tools") || agw_field_is(tool, "rename", "call_tool"))) {
        *ret_field = "rename";
        return "is a tool of the gateway's own, by toolSearch";
    }
    agw_node_each (other, agw_field(mcp, "tools")) {
        if (other == tool)
            break;
        if (is_same(other, tool, "rename")) {
            *ret_field = "rename";
            return "is the name of another tool of the list";
        }
        if (is_same(other, tool, "target") && is_same(other, tool, "name")) {
            *ret_field = "name";
            return "is in the list already";
        }
    }
    return NULL;
}

static bool check_tools(struct agw_report *r, const struct agw_object *o, const struct agw_node *mcp)
{
    const struct agw_node *tool;
    const char *field, *fault;
    bool ok = true;

    agw_node_each (tool, agw_field(mcp, "tools")) {
        fault = tool_fault(mcp, tool, &field);
        if (fault)
            agw_report_error(r, o, field ? agw_field(tool, field) : tool, NULL, "%s", fault);
        ok = ok && !fault;
    }
    return ok;
}

bool agw_rules_backend(struct agw_report *r, const struct agw_object *o)
{
    const struct agw_node *s = agw_field(o->spec, "static"), *mcp = agw_field(o->spec, "mcp"), *target;
    bool ok = true;

    if (!!s + !!mcp + !!agw_field(o->spec, "a2a") + !!agw_field(o->spec, "dynamicForwardProxy") != 1) {
        agw_report_error(r, o, o->spec, NULL,
                         "needs exactly one of static, mcp, a2a and dynamicForwardProxy");
        return false;
    }
    if (s)
        ok = check_static(r, o, s);
    agw_node_each (target, agw_field(mcp, "targets"))
        ok = check_target(r, o, target) && ok;
    ok = check_tools(r, o, mcp) && ok;
    return agw_rules_backend_policies(r, o, agw_field(o->spec, "policies")) && ok;
}
