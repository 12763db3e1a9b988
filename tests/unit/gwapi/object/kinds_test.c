/* Rules of the kinds that go beyond their tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "gwapi/object/read.h"

static void expect(const char *yaml, const char *want)
{
    struct agw_manifests m;
    struct agw_report r;
    struct agw_report_item *i;
    char *got;
    size_t n;
    FILE *out = open_memstream(&got, &n);

    agw_report_init(&r);
    assert_int_equal(agw_manifests_parse("m.yaml", agw_str_c(yaml), &m, &r), 0);
    for (i = r.first; i; i = i->next)
        fprintf(out, "%s\n", i->text.p);
    fclose(out);
    if (strcmp(got, want) != 0)
        fail_msg("got:\n%s\nwant:\n%s", got, want);
    free(got);
    agw_manifests_free(&m);
    agw_report_free(&r);
}

#define HR(spec)                                                                                             \
    "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r}\nspec:\n" spec
#define R(line, rest) "m.yaml:" line ": HTTPRoute default/r: spec.rules[0]" rest "\n"
#define GW(listener)                                                                                         \
    "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: g}\nspec:\n"                  \
    "  gatewayClassName: c\n  listeners:\n  - " listener "\n"
#define G(rest) "m.yaml:7: Gateway default/g: spec.listeners[0]" rest "\n"
#define BE(spec)                                                                                             \
    "apiVersion: agentgateway.dev/v1alpha1\nkind: AgentgatewayBackend\nmetadata: {name: b}\nspec:\n" spec
#define B(line, rest) "m.yaml:" line ": AgentgatewayBackend default/b: spec" rest "\n"

static void route_paths(void **state)
{
    expect(HR("  rules: [{matches: [{path: {value: a}}]}]\n"),
           R("5", ".matches[0].path.value: \"a\" is not an absolute path in normal form (begins with /; no "
                  "//, /./, /../, %2f, ? or #)"));
    expect(HR("  rules: [{matches: [{path: {type: Exact, value: /a/../b}}]}]\n"),
           R("5", ".matches[0].path.value: \"/a/../b\" is not an absolute path in normal form (begins with "
                  "/; no //, /./, /../, %2f, ? or #)"));
    expect(HR("  rules: [{matches: [{path: {type: RegularExpression, value: 'a.*'}}]}]\n"), "");
    expect(HR("  rules: [{matches: [{path: {value: /a/*}}]}]\n"),
           R("5", ".matches[0].path.value: \"/a/*\": the * stands for itself; PathPrefix matches all below a "
                  "path without it"));
    expect(HR("  rules: [{matches: [{path: {type: Prefix, value: /}}]}]\n"),
           R("5", ".matches[0].path.type: \"Prefix\" is not one of Exact, PathPrefix, RegularExpression"));
}

#define GR(spec)                                                                                             \
    "apiVersion: gateway.networking.k8s.io/v1\nkind: GRPCRoute\nmetadata: {name: r}\nspec:\n" spec
#define GRR(rest) "m.yaml:5: GRPCRoute default/r: spec.rules[0]" rest "\n"

static void grpc_methods(void **state)
{
    expect(GR("  rules: [{matches: [{method: {service: .a.B_1, method: C}}, {method: {method: c}}]}]\n"), "");
    expect(GR("  rules: [{matches: [{method: {}}]}]\n"),
           GRR(".matches[0].method: service or method is required"));
    expect(GR("  rules: [{matches: [{method: {service: a..b}}]}]\n"),
           GRR(".matches[0].method.service: \"a..b\" is not a service's name, such as helloworld.Greeter"));
    expect(GR("  rules: [{matches: [{method: {method: 1a}}]}]\n"),
           GRR(".matches[0].method.method: \"1a\" is not a method's name, such as SayHello"));
    expect(GR("  rules: [{matches: [{method: {type: RegularExpression, service: '('}}]}]\n"),
           GRR(".matches[0].method.service: \"(\": regular expression: missing ): ("));
    expect(GR("  rules: [{matches: [{headers: [{name: a, type: RegularExpression, value: '['}]}]}]\n"),
           GRR(".matches[0].headers[0].value: \"[\": regular expression: missing ]: ["));
    expect(GR("  rules: [{filters: [{type: URLRewrite}]}]\n"),
           GRR(".filters[0].type: \"URLRewrite\" is not one of RequestHeaderModifier, "
               "ResponseHeaderModifier, RequestMirror, ExtensionRef"));
    expect(GR("  rules: [{filters: [{type: RequestHeaderModifier}]}]\n"),
           GRR(".filters[0].requestHeaderModifier: is required with type RequestHeaderModifier"));
    expect(GR("  rules: [{backendRefs: [{name: s}]}]\n"),
           GRR(".backendRefs[0].port: is required for a Service"));
}

static void route_filters(void **state)
{
    expect(HR("  rules: [{filters: [{type: URLRewrite}]}]\n"),
           R("5", ".filters[0].urlRewrite: is required with type URLRewrite"));
    expect(HR("  rules: [{filters: [{type: URLRewrite, urlRewrite: {}, requestRedirect: {}}]}]\n"),
           R("5", ".filters[0].requestRedirect: must not be set with type URLRewrite"));
    expect(HR("  rules: [{filters: [{type: URLRewrite, urlRewrite: {}}, {type: URLRewrite, urlRewrite: "
              "{}}]}]\n"),
           R("5", ".filters[1]: a second URLRewrite"));
    expect(HR("  rules: [{filters: [{type: URLRewrite, urlRewrite: {}}, {type: RequestRedirect, "
              "requestRedirect: {}}]}]\n"),
           R("5", ".filters: RequestRedirect and URLRewrite must not be used together"));
    expect(HR("  rules: [{filters: [{type: RequestRedirect, requestRedirect: {statusCode: 305}}]}]\n"),
           R("5", ".filters[0].requestRedirect.statusCode: must be 301, 302, 303, 307 or 308, is 305"));
    expect(HR("  rules: [{filters: [{type: RequestRedirect, requestRedirect: {}}], backendRefs: [{name: s, "
              "port: 1}]}]\n"),
           R("5", ".backendRefs: must not be used together with the filter RequestRedirect"));
    expect(HR("  rules: [{filters: [{type: Foo}]}]\n"),
           R("5", ".filters[0].type: \"Foo\" is not one of RequestHeaderModifier, ResponseHeaderModifier, "
                  "RequestMirror, "
                  "RequestRedirect, URLRewrite, ExtensionRef, CORS, ExternalAuth"));
    expect(HR("  rules: [{filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: a, "
              "value: \"b\\r\\nc: "
              "d\"}]}}]}]\n"),
           R("5", ".filters[0].requestHeaderModifier.set[0].value: \"b\r\nc: d\" is not a header value"));
}

static void route_prefix_replacement(void **state)
{
#define REPLACE                                                                                              \
    "filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /x}}}]"
    expect(HR("  rules: [{" REPLACE "}]\n"), "");
    expect(HR("  rules: [{matches: [{path: {value: /a}}], " REPLACE "}]\n"), "");
    expect(HR("  rules: [{matches: [{path: {type: Exact, value: /a}}], " REPLACE "}]\n"),
           R("5", ".filters[0]: ReplacePrefixMatch needs a rule with exactly one match, of type PathPrefix"));
    expect(HR("  rules: [{matches: [{path: {value: /a}}, {path: {value: /b}}], " REPLACE "}]\n"),
           R("5", ".filters[0]: ReplacePrefixMatch needs a rule with exactly one match, of type PathPrefix"));
    expect(HR("  rules: [{filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplaceFullPath, "
              "replacePrefixMatch: /x}}}]}]\n"),
           R("5", ".filters[0].urlRewrite.path.replaceFullPath: is required with this type"));
}

static void route_rest(void **state)
{
    expect(HR("  rules: [{backendRefs: [{name: s}]}]\n"),
           R("5", ".backendRefs[0].port: is required for a Service"));
    expect(HR("  rules: [{timeouts: {request: 1s, backendRequest: 2s}}]\n"),
           R("5", ".timeouts.backendRequest: must not be longer than request"));
    expect(HR("  rules: [{timeouts: {request: 0s, backendRequest: 2s}}]\n"), "");
    expect(HR("  rules: [{timeouts: {request: 1.5s}}]\n"),
           R("5", ".timeouts.request: \"1.5s\" is not a duration such as 1m30s or 500ms"));
    expect(HR("  hostnames: ['*']\n"), "m.yaml:5: HTTPRoute default/r: spec.hostnames[0]: \"*\" is not a "
                                       "host name in lower case, such as a.example.com or *.example.com\n");
}

static void gateways(void **state)
{
    expect(GW("{name: a, port: 1, protocol: HTTP, tls: {}}"),
           G(".tls: must not be set on a listener of protocol HTTP"));
    expect(GW("{name: a, port: 1, protocol: HTTPS}"),
           G(".tls.certificateRefs: is required on a listener of protocol HTTPS"));
    expect(GW("{name: a, port: 1, protocol: HTTPS, tls: {mode: Passthrough}}"),
           G(".tls.mode: must be Terminate on a listener of protocol HTTPS"));
    expect(GW("{name: a, port: 1, protocol: HTTPS, tls: {certificateRefs: []}}"),
           G(".tls.certificateRefs: is required on a listener of protocol HTTPS"));
    expect(GW("{name: a, port: 1, protocol: HTTP}\n  - {name: a, port: 2, protocol: HTTP}"),
           "m.yaml:8: Gateway default/g: spec.listeners[1].name: \"a\" is there twice\n");
}

static void backends(void **state)
{
    expect(BE("  {}\n"), B("4", ": needs exactly one of static, mcp, a2a and dynamicForwardProxy"));
    expect(BE("  static: {host: a, port: 1}\n  a2a: {host: a, port: 1}\n"),
           B("4", ": needs exactly one of static, mcp, a2a and dynamicForwardProxy"));
    expect(BE("  static: {host: a}\n"), B("5", ".static: needs either host and port, or unixPath"));
    expect(BE("  static: {host: a, port: 1, unixPath: /x}\n"),
           B("5", ".static: needs either host and port, or unixPath"));
    expect(BE("  static: {host: 'http://a', port: 1}\n"),
           B("5", ".static.host: \"http://a\" is not an IP address or a DNS name"));
    expect(BE("  mcp: {allowedOrigins: ['https://*:1'], targets: [{name: a, stdio: {cmd: a}}]}\n"),
           B("5", ".mcp.allowedOrigins[0]: \"https://*:1\" is not an origin such as https://a.example.com or "
                  "https://*.example.com"));
#define TOOLS(list) BE("  mcp: {targets: [{name: a, stdio: {cmd: a}}], tools: [" list "]}\n")
#define T(at, says) B("5", ".mcp.tools" at says)
    expect(TOOLS(""), T("", ": must have 1 or more items, has 0"));
    expect(TOOLS("{target: a}"), T("[0]", ": needs exactly one of name and pattern"));
    expect(TOOLS("{target: a, name: b, pattern: c}"), T("[0]", ": needs exactly one of name and pattern"));
    expect(TOOLS("{target: a, pattern: ''}"), T("[0].pattern", ": must have 1 to 1024 characters, has 0"));
    expect(TOOLS("{target: a, pattern: b, rename: c}"),
           T("[0]", ": says rename, title or description of a pattern: they are of one tool, given by name"));
    expect(TOOLS("{target: b, name: c}"), T("[0].target", ": is none of the targets"));
    expect(TOOLS("{target: a, name: b, rename: 'c d'}"),
           T("[0].rename", ": \"c d\" is not a name of letters, digits, _, - and ."));
    expect(BE("  mcp: {targets: [{name: a, stdio: {cmd: a}}], toolSearch: {}, tools: [{target: a, name: b, "
              "rename: call_tool}]}\n"),
           T("[0].rename", ": is a tool of the gateway's own, by toolSearch"));
    expect(BE("  mcp: {targets: [{name: a, stdio: {cmd: a}}], toolSearch: {maxResults: 51}}\n"),
           B("5", ".mcp.toolSearch.maxResults: must be 1 to 50, is 51"));
    expect(TOOLS("{target: a, name: b, rename: c}, {target: a, name: d, rename: c}"),
           T("[1].rename", ": is the name of another tool of the list"));
    expect(TOOLS("{target: a, name: b}, {target: a, name: b, rename: c}"),
           T("[1].name", ": is in the list already"));
    expect(BE("  mcp: {targets: [{name: b, selector: {services: {}}}], tools: [{target: later, name: c}]}\n"),
           "");
    expect(BE("  mcp: {targets: []}\n"), B("5", ".mcp.targets: must have 1 or more items, has 0"));
    expect(BE("  mcp: {targets: [{name: a}]}\n"),
           B("5", ".mcp.targets[0]: needs exactly one of static, selector, stdio and openapi"));
    expect(BE("  mcp: {targets: [{name: a, selector: {}}]}\n"),
           B("5", ".mcp.targets[0].selector: needs services or namespaces"));
    expect(BE("  mcp: {targets: [{name: a, static: {port: 1}}]}\n"),
           B("5", ".mcp.targets[0].static: needs exactly one of host and backendRef"));
    expect(BE("  static: {host: a, port: 1}\n  policies: {tls: {insecureSkipVerify: All, "
              "verifySubjectAltNames: [x]}}\n"),
           B("6", ".policies.tls.insecureSkipVerify: must not be set together with verifySubjectAltNames"));
}

static void core(void **state)
{
    expect("apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {ports: [{port: 1, name: a}, {port: 2, "
           "name: a}]}\n",
           "m.yaml:4: Service default/s: spec.ports[1].name: \"a\" is there twice\n");
    expect("apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {ports: [{port: 1, name: a}, {port: "
           "2}]}\n",
           "m.yaml:4: Service default/s: spec.ports[1].name: is required when a Service has more than one "
           "port\n");
    expect("apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: s}\naddressType: IPv4\n"
           "endpoints:\n- addresses: ['::1']\n",
           "m.yaml:6: EndpointSlice default/s: endpoints[0].addresses[0]: \"::1\" is not an address of type "
           "IPv4\n");
    expect(
        "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ntype: kubernetes.io/tls\ndata: {tls.crt: ''}\n",
        "m.yaml:1: Secret default/s: data[tls.key]: is required in a Secret of this type\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(route_paths),   cmocka_unit_test(grpc_methods),
        cmocka_unit_test(route_filters), cmocka_unit_test(route_prefix_replacement),
        cmocka_unit_test(route_rest),    cmocka_unit_test(gateways),
        cmocka_unit_test(backends),      cmocka_unit_test(core),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
