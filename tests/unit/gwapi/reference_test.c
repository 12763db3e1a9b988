/* backendRefs that resolve and that do not, and ReferenceGrants. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <stdbool.h>
#include <cmocka.h>
#include "translated.h"

#define RULE(ref) "  rules:\n  - backendRefs:\n    - " ref "\n"
#define RT(ref) GATEWAY SERVICE ROUTE RULE(ref)

static void expect_refused(const char *yaml, const char *condition, const char *finding)
{
    struct translated t = translate(yaml);

    assert_string_equal(t.findings, finding);
    expect_lines(t.conditions, "HTTPRoute default/r Res", condition);
    expect_lines(t.resources, "route/",
                 "route/default/r.00.http {key=default/r.00.http listener_key=default/gw.http "
                 "name={kind=HTTPRoute name=r "
                 "namespace=default} matches={path={path_prefix=/}} backends={backend={} weight=1}}\n");
    translated_free(&t);
}

#define WHERE "warning: m.yaml:27: HTTPRoute default/r: spec.rules[0].backendRefs[0]: "

static void refused(void **state)
{
    expect_refused(RT("{name: x, port: 80}"), "HTTPRoute default/r ResolvedRefs=False BackendNotFound\n",
                   WHERE "there is no Service default/x: answered 500 (BackendNotFound)\n");
    expect_refused(RT("{name: s, port: 81}"), "HTTPRoute default/r ResolvedRefs=False BackendNotFound\n",
                   WHERE "Service default/s has no TCP port 81: answered 500 (BackendNotFound)\n");
    expect_refused(RT("{kind: Foo, group: example.com, name: x}"),
                   "HTTPRoute default/r ResolvedRefs=False InvalidKind\n",
                   WHERE "kind Foo of group \"example.com\" is not served: answered 500 (InvalidKind)\n");
    expect_refused(RT("{kind: AgentgatewayBackend, group: agentgateway.dev, name: x}"),
                   "HTTPRoute default/r ResolvedRefs=False BackendNotFound\n",
                   WHERE "there is no AgentgatewayBackend default/x: answered 500 (BackendNotFound)\n");
    expect_refused(
        RT("{name: x, namespace: other, port: 80}"),
        "HTTPRoute default/r ResolvedRefs=False RefNotPermitted\n",
        WHERE
        "no ReferenceGrant in namespace other lets HTTPRoutes of default refer to Service x: answered 500 "
        "(RefNotPermitted)\n");
}

/* A port over TLS: its reference says so, unless a BackendTLSPolicy does; copies are not sent without one. */
static void over_tls(void **state)
{
#define TLS_SERVICE(protocol)                                                                                \
    "apiVersion: v1\nkind: Service\nmetadata: {name: s}\n"                                                   \
    "spec: {ports: [{port: 80, appProtocol: " protocol "}]}\n---\n"                                          \
    "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"                                                 \
    "metadata: {name: s-1, labels: {kubernetes.io/service-name: s}}\n"                                       \
    "addressType: IPv4\nports: [{port: 8080}]\nendpoints: [{addresses: [127.0.0.1]}]\n---\n"
#define TLS_POLICY                                                                                           \
    "\n---\napiVersion: gateway.networking.k8s.io/v1\nkind: BackendTLSPolicy\nmetadata: {name: p}\n"         \
    "spec: {targetRefs: [{group: '', kind: Service, name: s}], validation: {hostname: s.test, "              \
    "wellKnownCACertificates: System}}\n"
#define BACKEND                                                                                              \
    "route/default/r.00.http {key=default/r.00.http listener_key=default/gw.http name={kind=HTTPRoute "      \
    "name=r namespace=default} matches={path={path_prefix=/}} backends={backend={service={"                  \
    "namespace=default hostname=s.default.svc.cluster.local} port=80} weight=1"
    expect_resources(GATEWAY TLS_SERVICE("kubernetes.io/wss") ROUTE RULE("{name: s, port: 80}"), "route/",
                     BACKEND " backend_policies={backend_tls={hostname=s.default.svc.cluster.local}}}}\n");
    expect_resources(GATEWAY TLS_SERVICE("https") ROUTE RULE("{name: s, port: 80}"), "route/",
                     BACKEND " backend_policies={backend_tls={hostname=s.default.svc.cluster.local}}}}\n");
    expect_resources(GATEWAY TLS_SERVICE("https") ROUTE RULE("{name: s, port: 80}") TLS_POLICY, "route/",
                     BACKEND "}}\n");
#define COPIES                                                                                               \
    RULE("{name: s, port: 80}")                                                                              \
    "    filters: [{type: RequestMirror, requestMirror: {backendRef: {name: s, port: 80}}}]\n"
    expect_findings(GATEWAY TLS_SERVICE("https") ROUTE COPIES,
                    "warning: m.yaml:28: HTTPRoute default/r: "
                    "spec.rules[0].filters[0].requestMirror.backendRef: copies go over TLS only where a "
                    "BackendTLSPolicy says how: nothing is mirrored to it (UnsupportedProtocol)\n");
    expect_findings(GATEWAY TLS_SERVICE("https") ROUTE COPIES TLS_POLICY, "");
}

static const char far_service[] =
    "---\n"
    "apiVersion: v1\nkind: Service\nmetadata: {name: x, namespace: other}\n"
    "spec: {ports: [{port: 80}]}\n---\n"
    "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
    "metadata: {name: x, namespace: other, labels: {kubernetes.io/service-name: x}}\n"
    "addressType: IPv4\nports: [{port: 80}]\nendpoints: []\n---\n";

/* Whether the reference from default to other/x resolves with this grant. */
static void expect_grant(bool want, const char *ns, const char *from, const char *to)
{
    char yaml[4096];
    struct translated t;

    snprintf(yaml, sizeof(yaml),
             "%s%sapiVersion: gateway.networking.k8s.io/v1beta1\nkind: ReferenceGrant\nmetadata: {name: g, "
             "namespace: %s}\n"
             "spec: {from: [%s], to: [%s]}\n",
             RT("{name: x, namespace: other, port: 80}"), far_service, ns, from, to);
    t = translate(yaml);
    if (strncmp(t.findings, want ? "" : WHERE, want ? 1 : strlen(WHERE)) != 0)
        fail_msg("%s -> %s in %s: %s", from, to, ns, t.findings);
    translated_free(&t);
}

static void grants(void **state)
{
#define FROM "{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: default}"
    expect_grant(true, "other", FROM, "{group: '', kind: Service}");
    expect_grant(true, "other", FROM, "{group: '', kind: Secret}, {group: '', kind: Service, name: x}");
    expect_grant(false, "other", FROM, "{group: '', kind: Service, name: y}");
    expect_grant(false, "other", FROM, "{group: '', kind: Secret}");
    expect_grant(false, "default", FROM,
                 "{group: '', kind: Service}"); /* the source cannot grant to itself */
    expect_grant(false, "other", "{group: gateway.networking.k8s.io, kind: GRPCRoute, namespace: default}",
                 "{group: '', kind: Service}");
    expect_grant(false, "other", "{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: elsewhere}",
                 "{group: '', kind: Service}");
    expect_grant(false, "other", "{group: '', kind: HTTPRoute, namespace: default}",
                 "{group: '', kind: Service}");
}

static void no_slice(void **state)
{
    expect_findings(
        GATEWAY
        "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {ports: [{port: 80}]}\n---\n" ROUTE RULE(
            "{name: s, port: 80}"),
        "warning: m.yaml:8: Service default/s: has no EndpointSlice: requests are answered 503\n");
}

static void services_that_are_not_served(void **state)
{
#define SVC(spec) "apiVersion: v1\nkind: Service\nmetadata: {name: e}\nspec: {" spec "}\n---\n"
    expect_refused(
        GATEWAY SVC("type: ExternalName, externalName: a.com, ports: [{port: 80}]")
            ROUTE RULE("{name: e, port: 80}"),
        "HTTPRoute default/r ResolvedRefs=False BackendNotFound\n",
        "warning: m.yaml:20: HTTPRoute default/r: spec.rules[0].backendRefs[0]: Service default/e is of type "
        "ExternalName, which is not served: answered 500 (BackendNotFound)\n");
    expect_refused(GATEWAY SVC("ports: [{port: 80, protocol: UDP}]") ROUTE RULE("{name: e, port: 80}"),
                   "HTTPRoute default/r ResolvedRefs=False BackendNotFound\n",
                   "warning: m.yaml:20: HTTPRoute default/r: spec.rules[0].backendRefs[0]: Service default/e "
                   "has no TCP port "
                   "80: answered 500 (BackendNotFound)\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refused),
        cmocka_unit_test(over_tls),
        cmocka_unit_test(grants),
        cmocka_unit_test(no_slice),
        cmocka_unit_test(services_that_are_not_served),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
