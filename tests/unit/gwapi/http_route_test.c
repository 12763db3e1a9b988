/* HTTPRoutes: keys, matches, weights, times. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "translated.h"

static void defaults(void **state)
{
    expect_resources(
        GATEWAY ROUTE, "route/",
        "route/default/r.00.http {key=default/r.00.http listener_key=default/gw.http name={kind=HTTPRoute "
        "name=r namespace=default} matches={path={path_prefix=/}}}\n");
}

static void matches(void **state)
{
    expect_resources(
        GATEWAY ROUTE
        "  rules:\n"
        "  - name: first\n"
        "    matches:\n"
        "    - {path: {type: Exact, value: /a}, method: GET}\n"
        "    - {path: {value: /b/}, headers: [{name: X-A, value: '1'}, {name: x-a, value: '2'}]}\n"
        "    - {queryParams: [{name: q, type: RegularExpression, value: '[0-9]+'}]}\n"
        "  - matches: [{path: {type: RegularExpression, value: '/c.*'}}]\n",
        "route/",
        "route/default/r.00.http {key=default/r.00.http listener_key=default/gw.http name={kind=HTTPRoute "
        "name=r "
        "namespace=default rule_name=first} matches={path={exact=/a} method={exact=GET}} "
        "matches={path={path_prefix=/b/} headers={name=X-A exact=1}} "
        "matches={path={path_prefix=/} query_params={name=q regex=[0-9]+}}}\n"
        "route/default/r.01.http {key=default/r.01.http listener_key=default/gw.http name={kind=HTTPRoute "
        "name=r "
        "namespace=default} matches={path={regex=/c.*}}}\n");
}

static void weights(void **state)
{
    expect_resources(
        GATEWAY SERVICE ROUTE "  rules: [{backendRefs: [{name: s, port: 80}, {name: s, port: 80, weight: 0}, "
                              "{name: s, port: 80, weight: 9}]}]\n",
        "route/",
        "route/default/r.00.http {key=default/r.00.http listener_key=default/gw.http name={kind=HTTPRoute "
        "name=r namespace=default} matches={path={path_prefix=/}} "
        "backends={backend={service={namespace=default hostname=s.default.svc.cluster.local} port=80} "
        "weight=1} "
        "backends={backend={service={namespace=default hostname=s.default.svc.cluster.local} port=80}} "
        "backends={backend={service={namespace=default hostname=s.default.svc.cluster.local} port=80} "
        "weight=9}}\n");
}

static void creation_time(void **state)
{
    expect_resources(
        GATEWAY "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n"
                "metadata: {name: r, creationTimestamp: 2026-01-02T03:04:05Z}\n"
                "spec: {parentRefs: [{name: gw}]}\n",
        "route/",
        "route/default/r.00.http created=1767323045 {key=default/r.00.http listener_key=default/gw.http "
        "name={kind=HTTPRoute name=r namespace=default} matches={path={path_prefix=/}}}\n");
}

static void same_listener_name_on_two_gateways(void **state)
{
    expect_resources(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: g2}\nspec:\n"
        "  gatewayClassName: agentgateway\n  listeners: [{name: http, port: 81, protocol: "
        "HTTP}]\n---\n" GATEWAY
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r}\n"
        "spec: {parentRefs: [{name: gw}, {name: g2}]}\n",
        "route/",
        "route/default/r.00.http {key=default/r.00.http listener_key=default/gw.http name={kind=HTTPRoute "
        "name=r namespace=default} matches={path={path_prefix=/}}}\n"
        "route/default/r.00.http.default.g2 {key=default/r.00.http.default.g2 listener_key=default/g2.http "
        "name={kind=HTTPRoute name=r namespace=default} matches={path={path_prefix=/}}}\n");
}

static void session_persistence(void **state)
{
    expect_resources(
        GATEWAY ROUTE "  rules: [{sessionPersistence: {sessionName: s, absoluteTimeout: 1h, idleTimeout: 5m, "
                      "cookieConfig: {lifetimeType: Permanent}}}]\n",
        "route/",
        "route/default/r.00.http {key=default/r.00.http listener_key=default/gw.http name={kind=HTTPRoute "
        "name=r namespace=default} matches={path={path_prefix=/}} "
        "traffic_policies={session_persistence={session_name=s absolute_timeout={seconds=3600} "
        "idle_timeout={seconds=300} permanent=1}}}\n");
    expect_findings(
        GATEWAY ROUTE "  rules: [{sessionPersistence: {cookieConfig: {lifetimeType: Permanent}}}]\n",
        "error: m.yaml:13: HTTPRoute default/r: spec.rules[0].sessionPersistence.absoluteTimeout: "
        "is required with the cookie lifetimeType Permanent\n");
    expect_findings(
        GATEWAY ROUTE "  rules: [{sessionPersistence: {type: Header, cookieConfig: {}}}]\n",
        "error: m.yaml:13: HTTPRoute default/r: spec.rules[0].sessionPersistence.cookieConfig: must "
        "not be set with type Header\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(matches),
        cmocka_unit_test(weights),
        cmocka_unit_test(creation_time),
        cmocka_unit_test(same_listener_name_on_two_gateways),
        cmocka_unit_test(session_persistence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
