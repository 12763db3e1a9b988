/* TCPRoutes and TLSRoutes, and the listeners that take them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "translated.h"

#define GW(listeners)                                                                                        \
    "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: gw}\n"                        \
    "spec:\n  gatewayClassName: agentgateway\n  listeners:\n" listeners "---\n"
#define TCP "  - {name: tcp, port: 90, protocol: TCP}\n"
#define PASS "  - {name: pass, port: 91, protocol: TLS, hostname: '*.a.com', tls: {mode: Passthrough}}\n"
#define TCP_ROUTE "apiVersion: gateway.networking.k8s.io/v1alpha2\nkind: TCPRoute\n"
#define TLS_ROUTE "apiVersion: gateway.networking.k8s.io/v1alpha3\nkind: TLSRoute\n"
#define TO_S "  rules: [{backendRefs: [{name: s, port: 80}]}]\n---\n"
#define S_BACKEND                                                                                            \
    "backends={backend={service={namespace=default hostname=s.default.svc.cluster.local} port=80} weight=1}"

static void tcp_route(void **state)
{
    expect_resources(
        GW(TCP) SERVICE TCP_ROUTE "metadata: {name: r, creationTimestamp: 2026-01-02T03:04:05Z}\n"
                                  "spec:\n  parentRefs: [{name: gw}]\n" TO_S TCP_ROUTE
                                  "metadata: {name: q}\nspec:\n  parentRefs: [{name: gw, sectionName: tcp}]\n"
                                  "  rules: [{name: first, backendRefs: []}]\n",
        "tcp_route/",
        "tcp_route/1767323045/default/r.00.tcp created=1767323045 {key=1767323045/default/r.00.tcp "
        "listener_key=default/gw.tcp name={kind=TCPRoute name=r namespace=default} " S_BACKEND "}\n"
        "tcp_route/9999999999/default/q.00.tcp {key=9999999999/default/q.00.tcp "
        "listener_key=default/gw.tcp name={kind=TCPRoute name=q namespace=default "
        "rule_name=first}}\n");
}

static void tls_route(void **state)
{
    const char *yaml = GW(PASS) SERVICE TLS_ROUTE "metadata: {name: r}\nspec:\n  parentRefs: [{name: gw}]\n"
                                                  "  hostnames: [x.a.com, b.com]\n" TO_S;
    expect_resources(yaml, "tcp_route/",
                     "tcp_route/9999999999/default/r.00.tls.pass {key=9999999999/default/r.00.tls.pass "
                     "listener_key=default/gw.pass name={kind=TLSRoute name=r namespace=default} "
                     "hostnames=x.a.com " S_BACKEND "}\n");
    expect_resources(yaml, "listener/",
                     "listener/default/gw.pass {key=default/gw.pass bind_key=91/default/gw "
                     "name={gateway_name=gw gateway_namespace=default listener_name=pass} hostname=*.a.com "
                     "protocol=TLS}\n");
    expect_resources(yaml, "bind/", "bind/91/default/gw {key=91/default/gw port=91 protocol=TLS}\n");
}

#define HBONE "  - {name: mesh, port: 15008, protocol: HBONE}\n"

static void hbone_listener(void **state)
{
    const char *yaml =
        GW(TCP HBONE) SERVICE TCP_ROUTE "metadata: {name: r}\nspec:\n  parentRefs: [{name: gw}]\n" TO_S;
    expect_resources(yaml, "bind/",
                     "bind/15008/default/gw {key=15008/default/gw port=15008 tunnel_protocol=HBONE_GATEWAY}\n"
                     "bind/90/default/gw {key=90/default/gw port=90 protocol=TCP}\n");
    expect_resources(yaml, "listener/default/gw.mesh",
                     "listener/default/gw.mesh {key=default/gw.mesh bind_key=15008/default/gw "
                     "name={gateway_name=gw gateway_namespace=default listener_name=mesh} protocol=HBONE}\n");
    expect_resources(yaml, "tcp_route/9999999999/default/r.00.mesh", "");
    struct translated t = translate(GW(HBONE "  - {name: plain, port: 15008, protocol: HTTP}\n"));
    assert_int_equal(t.rc, 0);
    expect_lines(t.conditions, "Gateway",
                 "Gateway default/gw.mesh Conflicted=True ProtocolConflict\n"
                 "Gateway default/gw.plain Conflicted=True ProtocolConflict\n");
    translated_free(&t);
}

static void kinds_go_with_protocols(void **state)
{
    struct translated t =
        translate(GW("  - {name: http, port: 80, protocol: HTTP}\n" TCP PASS
                     "  - {name: odd, port: 91, protocol: TLS, hostname: o.com, tls: {mode: Passthrough}, "
                     "allowedRoutes: {kinds: [{kind: TLSRoute}, {kind: TCPRoute}]}}\n") SERVICE TCP_ROUTE
                  "metadata: {name: r}\nspec:\n  parentRefs: [{name: gw}]\n" TO_S ROUTE);

    assert_int_equal(t.rc, 0);
    expect_lines(t.conditions, "attached",
                 "attached default/gw.odd 0\nattached default/gw.pass 0\nattached default/gw.tcp 1\nattached "
                 "default/gw.http 1\n");
    expect_lines(t.conditions, "Gateway default/gw.odd",
                 "Gateway default/gw.odd Accepted=True Accepted\n"
                 "Gateway default/gw.odd ResolvedRefs=False InvalidRouteKinds\n");
    translated_free(&t);
}

static void what_does_not_resolve(void **state)
{
    expect_findings(
        GW(TCP) SERVICE TCP_ROUTE
        "metadata: {name: r}\nspec:\n  parentRefs: [{name: gw}]\n"
        "  rules: [{backendRefs: [{name: t, port: 80}, {name: s, namespace: far, port: 80}]}]\n",
        "warning: m.yaml:26: TCPRoute default/r: spec.rules[0].backendRefs[0]: there is no Service "
        "default/t: its connections are closed (BackendNotFound)\n"
        "warning: m.yaml:26: TCPRoute default/r: spec.rules[0].backendRefs[1]: no ReferenceGrant in "
        "namespace far lets TCPRoutes of default refer to Service s: its connections are closed "
        "(RefNotPermitted)\n");
}

static void mistakes(void **state)
{
    expect_findings(GW("  - {name: a, port: 90, protocol: TCP, hostname: a.com}\n"),
                    "error: m.yaml:7: Gateway default/gw: spec.listeners[0].hostname: must not be set on a "
                    "listener of protocol TCP\n");
    expect_findings(
        GW("  - {name: a, port: 90, protocol: TLS}\n"),
        "error: m.yaml:7: Gateway default/gw: spec.listeners[0].tls.certificateRefs: is required on "
        "a listener of protocol TLS\n");
    expect_findings(GW("  - {name: a, port: 91, protocol: TLS, tls: {mode: Passthrough}}\n"
                       "  - {name: b, port: 91, protocol: HTTPS, tls: {certificateRefs: [{name: c}]}}\n"),
                    "warning: m.yaml:7: Gateway default/gw: spec.listeners[0].protocol: another listener "
                    "uses port 91 with this hostname (HostnameConflict)\n"
                    "warning: m.yaml:8: Gateway default/gw: spec.listeners[1].protocol: another listener "
                    "uses port 91 with this hostname (HostnameConflict)\n");
    expect_findings(
        GW(TCP) TCP_ROUTE "metadata: {name: r}\nspec:\n  parentRefs: [{name: gw}]\n"
                          "  rules: [{backendRefs: [{name: s}]}]\n",
        "error: m.yaml:14: TCPRoute default/r: spec.rules[0].backendRefs[0].port: is required for a "
        "Service\n");
}

#define POLICY(name, spec)                                                                                   \
    "apiVersion: agentgateway.dev/v1alpha1\nkind: AgentgatewayPolicy\nmetadata: {name: " name "}\n"          \
    "spec:\n  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: gw" spec "}\n---\n"

static void proxy_policy(void **state)
{
    expect_resources(
        GATEWAY POLICY("p", ", port: 80}]\n  frontend: {proxyProtocol: {version: All, mode: Optional}")
            POLICY("q", "}]\n  frontend: {proxyProtocol: {}"),
        "policy/",
        "policy/frontend/default/gw:0:proxyProtocol {key=frontend/default/gw:0:proxyProtocol "
        "target={gateway={name=gw namespace=default}} frontend={proxy_protocol={}}}\n"
        "policy/frontend/default/gw:80:proxyProtocol {key=frontend/default/gw:80:proxyProtocol "
        "target={gateway={name=gw namespace=default port=80}} "
        "frontend={proxy_protocol={version=ALL mode=OPTIONAL}}}\n");
    expect_findings(
        GATEWAY POLICY("p", "}]\n  frontend: {proxyProtocol: {}")
            POLICY("q", "}, {group: gateway.networking.k8s.io, kind: Gateway, name: gone}]\n"
                        "  frontend: {proxyProtocol: {}"),
        "warning: m.yaml:19: AgentgatewayPolicy default/q: spec.targetRefs[0]: an older policy says "
        "proxyProtocol of this target: it has no effect\n"
        "warning: m.yaml:19: AgentgatewayPolicy default/q: spec.targetRefs[1]: there is no Gateway "
        "default/gone of ours\n");
    expect_findings(
        GATEWAY POLICY("p", ", sectionName: http}]\n  frontend: {proxyProtocol: {}"),
        "error: m.yaml:12: AgentgatewayPolicy default/p: spec.targetRefs[0].sectionName: frontend "
        "can target a Gateway or a port: no listener is known when a connection begins\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tcp_route),
        cmocka_unit_test(tls_route),
        cmocka_unit_test(hbone_listener),
        cmocka_unit_test(kinds_go_with_protocols),
        cmocka_unit_test(what_does_not_resolve),
        cmocka_unit_test(mistakes),
        cmocka_unit_test(proxy_policy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
