/* Gateways: classes, addresses, binds, listeners, conflicts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "translated.h"

#define GW(name, spec)                                                                                       \
    "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: " name "}\n"                  \
    "spec:\n  gatewayClassName: agentgateway\n" spec "---\n"
#define HTTP80 "  listeners: [{name: http, port: 80, protocol: HTTP}]\n"

static void addresses(void **state)
{
    expect_resources(GW("gw", HTTP80), "bind/", "bind/80/default/gw {key=80/default/gw port=80}\n");
    expect_resources(GW("gw", "  addresses: [{value: 127.0.0.1}, {type: IPAddress, value: '::1'}]\n" HTTP80),
                     "bind/", "bind/80/default/gw @127.0.0.1 @::1 {key=80/default/gw port=80}\n");
    expect_resources(GW("gw", "  addresses: [{type: IPAddress}]\n" HTTP80), "bind/",
                     "bind/80/default/gw {key=80/default/gw port=80}\n");
    expect_findings(
        GW("gw", "  addresses: [{type: Hostname, value: localhost}]\n" HTTP80),
        "error: m.yaml:6: Gateway default/gw: spec.addresses[0].type: type Hostname cannot be bound; use "
        "IPAddress\n");
    expect_findings(
        GW("gw", "  addresses: [{value: localhost}]\n" HTTP80),
        "error: m.yaml:6: Gateway default/gw: spec.addresses[0].value: \"localhost\" is not an IP address\n");
    expect_findings(
        GW("gw", "  addresses: [{value: 1.2.3.4}, {value: 1.2.3.4}]\n" HTTP80),
        "error: m.yaml:6: Gateway default/gw: spec.addresses[1].value: \"1.2.3.4\" is there twice\n");
}

static void classes(void **state)
{
    static const char other[] =
        "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: gw}\n"
        "spec:\n  gatewayClassName: nginx\n" HTTP80 "---\n";
    static const char declared[] =
        "apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: {name: mine}\n"
        "spec: {controllerName: agentgateway.dev/agentgateway}\n---\n"
        "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: gw}\n"
        "spec:\n  gatewayClassName: mine\n" HTTP80;
    static const char taken[] =
        "apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\n"
        "metadata: {name: agentgateway}\nspec: {controllerName: example.com/other}\n---\n" GW("gw", HTTP80);

    expect_findings(
        other,
        "note: m.yaml:5: Gateway default/gw: spec.gatewayClassName: left out: class nginx is not ours\n"
        "warning: no Gateway of class agentgateway: nothing listens\n");
    expect_resources(
        declared, "listener/",
        "listener/default/gw.http {key=default/gw.http bind_key=80/default/gw name={gateway_name=gw "
        "gateway_namespace=default listener_name=http} protocol=HTTP}\n");
    expect_findings(taken, "note: m.yaml:10: Gateway default/gw: spec.gatewayClassName: left out: class "
                           "agentgateway is not ours\n"
                           "warning: no Gateway of class agentgateway: nothing listens\n");
}

static void two_gateways_on_one_port(void **state)
{
#define ON(ip) "  addresses: [{value: " ip "}]\n" HTTP80
    expect_findings(
        GW("a", HTTP80) GW("b", HTTP80),
        "error: m.yaml:13: Gateway default/b: spec.listeners[0].port: port 80 of the same address belongs to "
        "Gateway default/a (m.yaml:1)\n");
    expect_findings(
        GW("a", ON("127.0.0.1")) GW("b", HTTP80),
        "error: m.yaml:14: Gateway default/b: spec.listeners[0].port: port 80 of the same address belongs to "
        "Gateway default/a (m.yaml:1)\n");
    expect_findings(
        GW("a", ON("127.0.0.1")) GW("b", ON("0.0.0.0")),
        "error: m.yaml:15: Gateway default/b: spec.listeners[0].port: port 80 of the same address belongs to "
        "Gateway default/a (m.yaml:1)\n");
    expect_resources(GW("a", ON("127.0.0.1")) GW("b", ON("127.0.0.2")), "bind/",
                     "bind/80/default/a @127.0.0.1 {key=80/default/a port=80}\n"
                     "bind/80/default/b @127.0.0.2 {key=80/default/b port=80}\n");
    expect_findings(GW("a", HTTP80) GW("b", "  listeners: [{name: http, port: 81, protocol: HTTP}]\n"), "");
}

static void listeners(void **state)
{
    struct translated t = translate(
        GW("gw", "  listeners:\n"
                 "  - {name: a, port: 80, protocol: HTTP, hostname: a.com}\n"
                 "  - {name: b, port: 80, protocol: HTTP, hostname: '*.a.com'}\n"
                 "  - {name: t, port: 81, protocol: TCP}\n"
                 "  - {name: u, port: 83, protocol: example.com/quic}\n"
                 "  - {name: x, port: 82, protocol: HTTP}\n"
                 "  - {name: y, port: 82, protocol: HTTPS, tls: {certificateRefs: [{name: c}]}}\n"
                 "  - {name: g, port: 83, protocol: HTTP, allowedRoutes: {kinds: [{kind: TCPRoute}]}}\n"));

    assert_int_equal(t.rc, 0);
    expect_lines(t.resources, "bind/",
                 "bind/80/default/gw {key=80/default/gw port=80}\n"
                 "bind/81/default/gw {key=81/default/gw port=81 protocol=TCP}\n"
                 "bind/83/default/gw {key=83/default/gw port=83}\n");
    expect_lines(t.conditions, "Gateway",
                 "Gateway default/gw.a Accepted=True Accepted\n"
                 "Gateway default/gw.b Accepted=True Accepted\n"
                 "Gateway default/gw.t Accepted=True Accepted\n"
                 "Gateway default/gw.u Accepted=False UnsupportedProtocol\n"
                 "Gateway default/gw.x Conflicted=True ProtocolConflict\n"
                 "Gateway default/gw.y Conflicted=True ProtocolConflict\n"
                 "Gateway default/gw.g Accepted=True Accepted\n"
                 "Gateway default/gw.g ResolvedRefs=False InvalidRouteKinds\n");
    translated_free(&t);
    expect_findings(
        GW("gw", "  listeners:\n  - {name: a, port: 80, protocol: HTTP}\n  - {name: b, port: 80, protocol: "
                 "HTTP}\n"),
        "error: m.yaml:8: Gateway default/gw: spec.listeners[1]: same port, protocol and hostname as "
        "listener a\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(addresses), cmocka_unit_test(classes),
                                       cmocka_unit_test(two_gateways_on_one_port),
                                       cmocka_unit_test(listeners)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
