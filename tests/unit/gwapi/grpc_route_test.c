/* GRPCRoutes: matches as paths, keys, references, and whose hostnames a listener serves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include "translated.h"

#define GRPC(name, created)                                                                                  \
    "apiVersion: gateway.networking.k8s.io/v1\nkind: GRPCRoute\n"                                            \
    "metadata: {name: " name ", creationTimestamp: " created "}\nspec:\n  parentRefs: [{name: gw}]\n"
#define HTTP(name, created)                                                                                  \
    "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n"                                            \
    "metadata: {name: " name ", creationTimestamp: " created "}\nspec:\n  parentRefs: [{name: gw}]\n"
#define OLD "2026-01-02T03:04:05Z"
#define NEW "2026-01-02T03:04:06Z"
#define HEAD(index, at)                                                                                      \
    "route/default/r.0" index ".grpc.http created=" at " {key=default/r.0" index                             \
    ".grpc.http listener_key=default/gw.http name={kind=GRPCRoute name=r namespace=default} matches="

static void methods_are_paths(void **state)
{
    expect_resources(
        GATEWAY GRPC(
            "r", OLD) "  rules:\n"
                      "  - matches: [{method: {service: a.B, method: C}}]\n"
                      "  - matches: [{method: {service: a.B}}]\n"
                      "  - matches: [{method: {method: C}}]\n"
                      "  - matches: [{method: {type: RegularExpression, service: 'a|b', method: 'Get.*'}}]\n"
                      "  - matches: [{method: {type: RegularExpression, method: 'Get.*'}}]\n"
                      "  - matches: [{headers: [{name: X-A, value: '1'}, {name: x-a, value: '2'}]}]\n"
                      "  - {}\n",
        "route/",
        HEAD("0", "1767323045") "{path={exact=/a.B/C}}}\n" HEAD(
            "1",
            "1767323045") "{path={path_prefix=/"
                          "a.B}}}\n" HEAD(
                              "2",
                              "1767"
                              "3230"
                              "45") "{path={regex=/[^/]+/C}}}\n" HEAD("3",
                                                                      "1767323045") "{path={regex=/"
                                                                                    "(?:a|b)/"
                                                                                    "(?:Get.*)}}}"
                                                                                    "\n" HEAD(
                                                                                        "4",
                                                                                        "176732304"
                                                                                        "5") "{pat"
                                                                                             "h={"
                                                                                             "rege"
                                                                                             "x=/"
                                                                                             "(?:["
                                                                                             "^/"
                                                                                             "]+)/"
                                                                                             "(?:"
                                                                                             "Get."
                                                                                             "*)}}"
                                                                                             "}"
                                                                                             "\n" HEAD("5", "1767323045") "{path={regex=/.*} headers={name=X-A exact=1}}}\n" HEAD(
                                                                                                 "6",
                                                                                                 "176732"
                                                                                                 "3045") "{pa"
                                                                                                         "th="
                                                                                                         "{re"
                                                                                                         "gex"
                                                                                                         "=/"
                                                                                                         ".*}"
                                                                                                         "}}"
                                                                                                         "\n");
}

static void filters_and_backends(void **state)
{
    expect_resources(
        GATEWAY SERVICE GRPC("r", OLD) "  rules:\n"
                                       "  - filters: [{type: RequestHeaderModifier, requestHeaderModifier: "
                                       "{set: [{name: A, value: b}]}}]\n"
                                       "    backendRefs: [{name: s, port: 80, weight: 3}]\n",
        "route/",
        HEAD("0",
             "1767323045") "{path={regex=/.*}} "
                           "backends={backend={service={namespace=default "
                           "hostname=s.default.svc.cluster.local} port=80} "
                           "weight=3} traffic_policies={request_header_modifier={set={name=A value=b}}}}\n");
}

/* A grant for HTTPRoutes is none for GRPCRoutes. */
static void grants_name_the_kind(void **state)
{
    static const char *const kinds[] = {"HTTPRoute", "GRPCRoute"},
                             *const want[] = {"GRPCRoute default/r ResolvedRefs=False RefNotPermitted\n", ""};
    for (int i = 0; i < 2; i++) {
        char yaml[2048];
        snprintf(yaml, sizeof(yaml),
                 "%sapiVersion: gateway.networking.k8s.io/v1beta1\nkind: ReferenceGrant\n"
                 "metadata: {name: g, namespace: other}\nspec:\n"
                 "  from: [{group: gateway.networking.k8s.io, kind: %s, namespace: default}]\n"
                 "  to: [{group: '', kind: Service}]\n---\n"
                 "apiVersion: v1\nkind: Service\nmetadata: {name: s, namespace: other}\n"
                 "spec: {ports: [{port: 80}]}\n---\n%s"
                 "  rules: [{backendRefs: [{name: s, namespace: other, port: 80}]}]\n",
                 GATEWAY, kinds[i], GRPC("r", OLD));
        struct translated t = translate(yaml);
        expect_lines(t.conditions, "GRPCRoute default/r Res", want[i]);
        translated_free(&t);
    }
}

static void older_route_has_the_hostname(void **state)
{
    static const struct {
        const char *yaml, *http, *grpc;
    } cases[] = {
        /* any host on both */
        {GATEWAY HTTP("h", NEW) "---\n" GRPC("r", OLD), "HostnameConflict", "Accepted"},
        {GATEWAY HTTP("h", OLD) "---\n" GRPC("r", NEW), "Accepted", "HostnameConflict"},
        {GATEWAY HTTP("h", OLD) "  hostnames: [a.com]\n---\n" GRPC("r", NEW), "Accepted", "HostnameConflict"},
        /* a wildcard holds the name */
        {GATEWAY HTTP("h", NEW) "  hostnames: [x.a.com]\n---\n" GRPC("r", OLD) "  hostnames: ['*.a.com']\n",
         "HostnameConflict", "Accepted"},
        {GATEWAY HTTP("h", OLD) "  hostnames: ['*.x.a.com']\n---\n" GRPC("r",
                                                                         NEW) "  hostnames: ['*.a.com']\n",
         "Accepted", "HostnameConflict"},
        /* different names */
        {GATEWAY HTTP("h", OLD) "  hostnames: [a.com]\n---\n" GRPC("r", NEW) "  hostnames: [b.com]\n",
         "Accepted", "Accepted"},
        /* of one age: by name */
        {GATEWAY HTTP("h", OLD) "---\n" GRPC("r", OLD), "Accepted", "HostnameConflict"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct translated t = translate(cases[i].yaml);
        char want[128];
        snprintf(want, sizeof(want), "HTTPRoute default/h#0 Accepted=%s %s\n",
                 cases[i].http[0] == 'A' ? "True" : "False", cases[i].http);
        expect_lines(t.conditions, "HTTPRoute", want);
        snprintf(want, sizeof(want), "GRPCRoute default/r#0 Accepted=%s %s\n",
                 cases[i].grpc[0] == 'A' ? "True" : "False", cases[i].grpc);
        expect_lines(t.conditions, "GRPCRoute", want);
        translated_free(&t);
    }
}

static void other_listeners_serve_a_route_that_one_refuses(void **state)
{
    struct translated t = translate(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: gw}\nspec:\n"
        "  gatewayClassName: agentgateway\n  listeners:\n"
        "  - {name: one, port: 80, protocol: HTTP}\n"
        "  - {name: two, port: 81, protocol: HTTP, allowedRoutes: {kinds: [{kind: GRPCRoute}]}}\n---\n" HTTP(
            "h", OLD) "---\n" GRPC("r", NEW));
    expect_lines(t.conditions, "GRPCRoute", "GRPCRoute default/r#0 Accepted=True Accepted\n");
    expect_lines(t.conditions, "attached", "attached default/gw.two 1\nattached default/gw.one 1\n");
    expect_lines(
        t.resources, "route/",
        "route/default/h.00.one created=1767323045 {key=default/h.00.one listener_key=default/gw.one "
        "name={kind=HTTPRoute name=h namespace=default} matches={path={path_prefix=/}}}\n"
        "route/default/r.00.grpc.two created=1767323046 {key=default/r.00.grpc.two "
        "listener_key=default/gw.two name={kind=GRPCRoute name=r namespace=default} "
        "matches={path={regex=/.*}}}\n");
    translated_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(methods_are_paths),
        cmocka_unit_test(filters_and_backends),
        cmocka_unit_test(grants_name_the_kind),
        cmocka_unit_test(older_route_has_the_hostname),
        cmocka_unit_test(other_listeners_serve_a_route_that_one_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
