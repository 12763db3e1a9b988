/* AgentgatewayBackends, and Services that speak MCP. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "config/snapshot.h"
#include "gwapi/gwapi.h"
#include "translated.h"

#define BE(name, spec)                                                                                       \
    "apiVersion: agentgateway.dev/v1alpha1\nkind: AgentgatewayBackend\nmetadata: {name: " name               \
    "}\nspec:\n" spec "---\n"
#define NAMED(key, n) "backend/" key " {key=" key " name={name=" n " namespace=default} "

static void single(void **state)
{
    expect_resources(
        GATEWAY BE("a", "  static: {host: a.com, port: 443}\n") BE("b", "  static: {unixPath: /run/b.sock}\n")
            BE("c", "  a2a: {host: 127.0.0.1, port: 3201}\n") BE("d", "  dynamicForwardProxy: {}\n"),
        "backend/",
        NAMED("default/a", "a") "static={host=a.com port=443}}\n" NAMED(
            "default/b",
            "b") "static={unix_path=/run/b.sock}}\n" NAMED("default/c",
                                                           "c") "static={host=127.0.0.1 port=3201} "
                                                                "inline_policies={a2a={}}}\n" NAMED(
                                                                    "default/d", "d") "dynamic={}}\n");
}

static void policies(void **state)
{
    expect_resources(
        GATEWAY BE("a", "  static: {host: a.com, port: 443}\n"
                        "  policies: {http: {version: HTTP2, requestTimeout: 5s}, tls: {sni: b.com, "
                        "insecureSkipVerify: Hostname, alpnProtocols: [h2]}}\n"),
        "backend/",
        NAMED("default/a", "a") "static={host=a.com port=443} inline_policies={backend_http={version=HTTP2 "
                                "request_timeout={seconds=5}}} inline_policies={backend_tls={verification="
                                "INSECURE_HOST hostname=b.com alpn={protocols=h2}}}}\n");
}

static void health_and_tcp(void **state)
{
    expect_resources(
        GATEWAY BE("a",
                   "  static: {host: a.com, port: 443}\n"
                   "  policies: {health: {eviction: {consecutiveFailures: 3, healthThreshold: 50, "
                   "restoreHealth: 25}}, tcp: {connectTimeout: 2s, keepalive: {time: 60s, retries: 4}}}\n")
            BE("b", "  static: {host: b.com, port: 80}\n  policies: {health: {eviction: {duration: 10s}}}\n"),
        "backend/",
        NAMED("default/a", "a") "static={host=a.com port=443} inline_policies={backend_tcp={keepalive={time="
                                "{seconds=60} retries=4} connect_timeout={seconds=2}}} "
                                "inline_policies={health={eviction={duration={seconds=3} "
                                "restore_health=0.25 consecutive_failures=3 health_threshold=0.5}}}}\n" NAMED(
                                    "default/b", "b") "static={host=b.com port=80} inline_policies={health={"
                                                      "eviction={duration={seconds=10}}}}}\n");
}

static void ca(void **state)
{
#define WITH_CA                                                                                              \
    BE("a", "  static: {host: a.com, port: 443}\n  policies: {tls: {caCertificateRefs: [{name: ca}]}}\n")
    struct translated t = translate(GATEWAY WITH_CA);

    /* without its CA the backend must not be reached at all */
    assert_string_equal(t.findings,
                        "warning: m.yaml:13: AgentgatewayBackend default/a: spec.policies.tls: "
                        "caCertificateRefs names no ConfigMap with certificates in ca.crt: requests are "
                        "answered 500\n");
    expect_lines(t.resources, "backend/", "");
    translated_free(&t);
    expect_resources(
        GATEWAY WITH_CA "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ca}\n"
                        "data: {ca.crt: '-----BEGIN CERTIFICATE-----'}\n",
        "backend/",
        NAMED("default/a", "a") "static={host=a.com port=443} "
                                "inline_policies={backend_tls={root=-----BEGIN CERTIFICATE-----}}}\n");
}

static void credentials(void **state)
{
    struct translated t = translate(
        GATEWAY BE("a", "  static: {host: a.com, port: 80}\n"
                        "  policies: {auth: {secretRef: {name: s}, location: {header: {name: X-Key}}}}\n")
            BE("c", "  static: {host: c.com, port: 80}\n  policies: {auth: {passthrough: {}}}\n")
                BE("d", "  static: {host: d.com, port: 80}\n  policies: {auth: {secretRef: {name: "
                        "gone}}}\n") "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: "
                                     "{Authorization: 'Bearer k '}\n");

    assert_string_equal(t.findings,
                        "warning: m.yaml:27: AgentgatewayBackend default/d: spec.policies.auth.secretRef: "
                        "there is no Secret default/gone with text in Authorization: requests are refused\n");
    expect_lines(t.resources, "backend/",
                 NAMED("default/a", "a") "static={host=a.com port=80} inline_policies={auth={key={secret=k "
                                         "authorization_location={header={name=X-Key}}}}}}\n" NAMED(
                                             "default/c", "c") "static={host=c.com port=80} "
                                                               "inline_policies={auth={passthrough={}}}}"
                                                               "\n" NAMED("default/d",
                                                                          "d") "static={host=d.com port=80} "
                                                                               "inline_policies={auth={key={}"
                                                                               "}}}\n");
    translated_free(&t);
}

static void mcp_static(void **state)
{
    struct translated t = translate(
        GATEWAY BE("m", "  mcp:\n"
                        "    failureMode: FailOpen\n"
                        "    sessionRouting: Stateless\n"
                        "    prefixMode: Always\n"
                        "    allowedOrigins: ['https://a.com']\n"
                        "    targets:\n"
                        "    - {name: x, static: {host: x.com, port: 80, path: /p, protocol: SSE}}\n"
                        "    - {name: y, static: {backendRef: {name: b}, port: 81}}\n")
            BE("b", "  static: {host: b.com, port: 81}\n"));

    assert_string_equal(
        t.findings,
        "warning: m.yaml:14: AgentgatewayBackend default/m: spec.mcp.sessionRouting: Stateless sends calls "
        "without a session: targets that want one refuse them\n");
    expect_lines(
        t.resources, "backend/",
        NAMED("default/b", "b") "static={host=b.com port=81}}\n" NAMED(
            "default/m",
            "m") "mcp={targets={name=x backend={backend=default/m/x} path=/p protocol=SSE} "
                 "targets={name=y backend={backend=default/b}} stateful_mode=STATELESS prefix_mode=ALWAYS "
                 "failure_mode=FAIL_OPEN allowed_origins=https://a.com}}\n" NAMED(
                     "default/m/x", "m") "static={host=x.com port=80}}\n");
    translated_free(&t);
}

#define MCP_SERVICE(name, ns, labels, notes)                                                                 \
    "apiVersion: v1\nkind: Service\nmetadata: {name: " name ", namespace: " ns ", labels: {" labels          \
    "}, annotations: {" notes "}}\nspec:\n  ports:\n  - {name: web, port: 80}\n  - {name: mcp, port: 81, "   \
    "appProtocol: agentgateway.dev/mcp}\n---\n"
#define REF(host, ns, port)                                                                                  \
    "backend={service={namespace=" ns " hostname=" host "." ns ".svc.cluster.local} port=" port "}"

static void mcp_stdio(void **state)
{
    struct agw_gwapi_report report;
    struct agw_resource_set set;
    static const char text[] =
        GATEWAY BE("m", "  mcp:\n"
                        "    targets:\n"
                        "    - {name: x, stdio: {cmd: npx, args: [-y, ''], env: {A: b, C: ''}, "
                        "clearEnv: true}}\n");
    expect_resources(
        text, "backend/",
        NAMED("default/m", "m") "mcp={targets={name=x stdio={cmd=npx args=-y args= env=A=b env=C= "
                                "clear_env=1}}}}\n");
    agw_gwapi_report_init(&report);
    report.for_others = true;
    assert_int_equal(agw_gwapi_load_text("m.yaml", agw_str_c(text), &set, &report), AGW_EINVAL);
    assert_int_equal(report.texts.count[AGW_REPORT_ERROR], 1);
    assert_non_null(strstr(report.texts.first->text.p, "spec.mcp.targets[0].stdio: starts a process"));
    agw_gwapi_report_free(&report);
    expect_findings(
        GATEWAY BE("m", "  mcp:\n"
                        "    targets:\n"
                        "    - {name: x, stdio: {cmd: a}, static: {host: h, port: 1}}\n"
                        "    - {name: y, stdio: {cmd: a, env: {1A: b}}}\n"),
        "error: m.yaml:14: AgentgatewayBackend default/m: spec.mcp.targets[0]: needs exactly one of "
        "static, selector, stdio and openapi\n"
        "error: m.yaml:15: AgentgatewayBackend default/m: spec.mcp.targets[1].stdio.env.1A: must be named "
        "by letters, digits and _, not beginning with a digit\n");
}

static void mcp_openapi(void **state)
{
    expect_resources(GATEWAY BE("m", "  mcp:\n"
                                     "    targets:\n"
                                     "    - {name: x, openapi: {host: h, port: 1, document: d}}\n"),
                     "backend/",
                     NAMED("default/m", "m") "mcp={targets={name=x backend={backend=default/m/x} "
                                             "openapi={document=d}}}}\n" NAMED(
                                                 "default/m/x", "m") "static={host=h port=1}}\n");
    expect_findings(
        GATEWAY BE("m", "  mcp:\n"
                        "    targets:\n"
                        "    - {name: x, openapi: {port: 1, document: d}}\n"),
        "error: m.yaml:14: AgentgatewayBackend default/m: spec.mcp.targets[0].openapi: needs exactly one of "
        "host and backendRef\n");
}

static void mcp_selector(void **state)
{
    struct translated t = translate(
        GATEWAY MCP_SERVICE("a", "default", "app: x", "agentgateway.dev/mcp-path: /one") MCP_SERVICE(
            "b", "default", "app: x", "kgateway.dev/mcp-path: /two, agentgateway.dev/mcp-target-name: bee")
            MCP_SERVICE("c", "default", "app: y", "") MCP_SERVICE("d", "other", "app: x", "")
                BE("m", "  mcp: {targets: [{name: t, selector: {services: {matchLabels: {app: x}}}}]}\n")
                    BE("all", "  mcp: {targets: [{name: t, selector: {namespaces: {}, services: "
                              "{matchLabels: {app: x}}}}]}\n")
                        BE("none",
                           "  mcp: {targets: [{name: t, selector: {services: {matchLabels: {app: z}}}}]}\n"));

    expect_lines(
        t.resources, "backend/default/m ",
        NAMED("default/m", "m") "mcp={targets={name=a-mcp " REF(
            "a", "default", "81") " path=/one protocol=STREAMABLE_HTTP} "
                                  "targets={name=bee " REF("b", "default",
                                                           "81") " path=/two protocol=STREAMABLE_HTTP}}}\n");
    expect_lines(
        t.resources, "backend/default/all ",
        NAMED("default/all", "all") "mcp={targets={name=a-mcp " REF(
            "a", "default", "81") " path=/one protocol=STREAMABLE_HTTP} "
                                  "targets={name=bee " REF("b", "default",
                                                           "81") " path=/two protocol=STREAMABLE_HTTP} "
                                                                 "targets={name=d-mcp " REF(
                                                                     "d", "other",
                                                                     "81") " protocol=STREAMABLE_HTTP}}}\n");
    assert_string_equal(t.findings,
                        "warning: m.yaml:56: AgentgatewayBackend default/none: spec.mcp.targets[0].selector: "
                        "finds no Service with a port of appProtocol agentgateway.dev/mcp\n");
    translated_free(&t);
}

/* As many as a session may have, whatever they come from. */
static void mcp_targets_have_a_limit(void **state)
{
    size_t room = 200000, n = 0, found = 0;
    char *yaml = malloc(room);
    assert_non_null(yaml);
    n += (size_t)snprintf(yaml, room, "%s", GATEWAY);
    for (int i = 0; i <= AGW_MCP_TARGETS_MAX; i++)
        n += (size_t)snprintf(
            yaml + n, room - n,
            "apiVersion: v1\nkind: Service\nmetadata: {name: s%d, namespace: default}\nspec:\n"
            "  ports: [{name: mcp, port: 81, appProtocol: agentgateway.dev/mcp}]\n---\n",
            i);
    snprintf(yaml + n, room - n, "%s",
             BE("m", "  mcp: {targets: [{name: t, selector: {services: {}}}, "
                     "{name: late, static: {host: 127.0.0.1, port: 1}}]}\n"));
    struct translated t = translate(yaml);
    char *line = strstr(t.resources, "backend/default/m ");
    assert_non_null(line);
    *strchr(line, '\n') = 0;
    for (const char *p = line; (p = strstr(p, "targets={name=")); p++)
        found++;
    assert_int_equal(found, AGW_MCP_TARGETS_MAX);
    assert_null(strstr(t.resources, "name=late"));
    assert_non_null(strstr(
        t.findings, "spec.mcp.targets[0].selector: finds more than 128 targets; the rest is left out"));
    assert_non_null(strstr(
        t.findings, "spec.mcp.targets[1]: is one more than the 128 that there may be; it is left out"));
    translated_free(&t);
    free(yaml);
}

/* A route straight to a Service's MCP port goes to a backend made of it. */
static void mcp_service(void **state)
{
    struct translated t = translate(GATEWAY MCP_SERVICE(
        "a", "default", "",
        "") "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
            "metadata: {name: a, labels: {kubernetes.io/service-name: a}}\naddressType: IPv4\n"
            "ports: [{name: mcp, port: 1}]\n---\n" ROUTE "  rules: [{backendRefs: [{name: a, port: 81}]}]\n");

    assert_string_equal(t.findings, "");
    expect_lines(t.resources, "backend/",
                 NAMED("default/a:81", "a") "mcp={targets={name=a-mcp " REF(
                     "a", "default", "81") " protocol=STREAMABLE_HTTP}}}\n");
    expect_lines(t.resources, "route/",
                 "route/default/r.00.http {key=default/r.00.http listener_key=default/gw.http "
                 "name={kind=HTTPRoute name=r "
                 "namespace=default} matches={path={path_prefix=/}} backends={backend={backend=default/a:81} "
                 "weight=1}}\n");
    translated_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(single),       cmocka_unit_test(health_and_tcp),
        cmocka_unit_test(policies),     cmocka_unit_test(ca),
        cmocka_unit_test(credentials),  cmocka_unit_test(mcp_static),
        cmocka_unit_test(mcp_selector), cmocka_unit_test(mcp_targets_have_a_limit),
        cmocka_unit_test(mcp_service),  cmocka_unit_test(mcp_stdio),
        cmocka_unit_test(mcp_openapi),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
