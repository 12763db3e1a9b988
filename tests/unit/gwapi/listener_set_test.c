/* ListenerSets: who may add listeners to a Gateway, and which of two that cannot both be wins. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "failmalloc.h"
#include "gwapi/gwapi.h"
#include "translated.h"

#define V1(kind, ns, name, more)                                                                             \
    "apiVersion: gateway.networking.k8s.io/v1\nkind: " kind "\nmetadata: {name: " name                       \
    ", namespace: " ns more "}\nspec:\n"
#define GW_OF(name, allowed, listeners)                                                                      \
    V1("Gateway", "infra", name, "")                                                                         \
    "  gatewayClassName: agentgateway\n" allowed "  listeners:\n" listeners "---\n"
#define FROM(who) "  allowedListeners: {namespaces: {from: " who "}}\n"
#define OWN "  - {name: own, port: 80, protocol: HTTP, hostname: own.com}\n"
#define GW GW_OF("gw", FROM("All"), OWN)
#define SET_AT(ns, name, time, listeners)                                                                    \
    V1("ListenerSet", ns, name, ", creationTimestamp: '" time "'")                                           \
    "  parentRef: {name: gw, namespace: infra}\n  listeners:\n" listeners "---\n"
#define SET(ns, name, listeners) SET_AT(ns, name, "2024-01-01T00:00:00Z", listeners)
#define L(name, host) "  - {name: " name ", port: 80, protocol: HTTP, hostname: " host "}\n"
#define HTTP_ROUTE(ns, parent)                                                                               \
    V1("HTTPRoute", ns, "r", "") "  parentRefs: [" parent "]\n  rules: [{name: x}]\n---\n"

static void expect(const char *yaml, const char *prefix, const char *want)
{
    struct translated t = translate(yaml);

    assert_int_equal(t.rc, 0);
    expect_lines(strstr(prefix, "/") ? t.resources : t.conditions, prefix, want);
    translated_free(&t);
}

static void resources(void **state)
{
    expect(GW SET("a", "s", L("own", "s.com") "  - {name: two, port: 81, protocol: TCP}\n"), "listener/",
           "listener/a/s:own {key=a/s:own bind_key=80/infra/gw name={gateway_name=gw gateway_namespace=infra "
           "listener_name=own listener_set={name=s namespace=a}} hostname=s.com protocol=HTTP}\n"
           "listener/a/s:two {key=a/s:two bind_key=81/infra/gw name={gateway_name=gw gateway_namespace=infra "
           "listener_name=two listener_set={name=s namespace=a}} protocol=TCP}\n"
           "listener/infra/gw.own {key=infra/gw.own bind_key=80/infra/gw name={gateway_name=gw "
           "gateway_namespace=infra listener_name=own} hostname=own.com protocol=HTTP}\n");
    expect(GW SET("a", "s", L("x", "s.com") "  - {name: two, port: 81, protocol: TCP}\n"), "bind/",
           "bind/80/infra/gw {key=80/infra/gw port=80}\n"
           "bind/81/infra/gw {key=81/infra/gw port=81 protocol=TCP}\n");
}

static void allowed_namespaces(void **state)
{
    static const char yes[] = "ListenerSet a/s.x Accepted=True Accepted\n"
                              "ListenerSet a/s Accepted=True Accepted\n",
                      no[] = "ListenerSet a/s Accepted=False NotAllowed\n";
#define NS "apiVersion: v1\nkind: Namespace\nmetadata: {name: a, labels: {team: x}}\n---\n"
#define SEL(v) "  allowedListeners: {namespaces: {from: Selector, selector: {matchLabels: {team: " v "}}}}\n"
    expect(GW_OF("gw", "", OWN) SET("a", "s", L("x", "s.com")), "ListenerSet", no);
    expect(GW_OF("gw", "  allowedListeners: {}\n", OWN) SET("a", "s", L("x", "s.com")), "ListenerSet", no);
    expect(GW_OF("gw", FROM("None"), OWN) SET("a", "s", L("x", "s.com")), "ListenerSet", no);
    expect(GW_OF("gw", FROM("Same"), OWN) SET("a", "s", L("x", "s.com")), "ListenerSet", no);
    expect(GW_OF("gw", FROM("Same"), OWN) SET("infra", "s", L("x", "s.com")), "ListenerSet",
           "ListenerSet infra/s.x Accepted=True Accepted\nListenerSet infra/s Accepted=True Accepted\n");
    expect(GW_OF("gw", FROM("All"), OWN) SET("a", "s", L("x", "s.com")), "ListenerSet", yes);
    expect(GW_OF("gw", SEL("x"), OWN) SET("a", "s", L("x", "s.com")) NS, "ListenerSet", yes);
    expect(GW_OF("gw", SEL("y"), OWN) SET("a", "s", L("x", "s.com")) NS, "ListenerSet", no);
    expect(GW_OF("gw", FROM("Selector"), OWN) SET("a", "s", L("x", "s.com")) NS, "ListenerSet", no);
    expect(GW_OF("gw", FROM("None"), OWN) SET("a", "s", L("x", "s.com")), "listener/a", "");
}

static void earlier_wins(void **state)
{
    /* the Gateway's own, then the oldest, then by name */
    expect(
        GW SET_AT("b", "old", "2024-01-01T00:00:00Z", L("x", "own.com") L("y", "shared.com") L("z", "z.com"))
            SET_AT("a", "new", "2025-01-01T00:00:00Z", L("x", "shared.com") L("y", "new.com")),
        "ListenerSet",
        "ListenerSet b/old.x Conflicted=True HostnameConflict\n"
        "ListenerSet b/old.y Accepted=True Accepted\nListenerSet b/old.z Accepted=True Accepted\n"
        "ListenerSet b/old Accepted=True ListenersNotValid\n"
        "ListenerSet a/new.x Conflicted=True HostnameConflict\n"
        "ListenerSet a/new.y Accepted=True Accepted\n"
        "ListenerSet a/new Accepted=True ListenersNotValid\n");
    expect(GW SET("b", "a", L("x", "s.com")) SET("a", "b", L("x", "s.com")), "ListenerSet",
           "ListenerSet a/b.x Accepted=True Accepted\nListenerSet a/b Accepted=True Accepted\n"
           "ListenerSet b/a.x Conflicted=True HostnameConflict\n"
           "ListenerSet b/a Accepted=False ListenersNotValid\n");
    expect(GW SET("a", "s",
                  "  - {name: t, port: 80, protocol: TCP}\n  - {name: u, port: 81, protocol: TCP}\n"
                  "  - {name: v, port: 81, protocol: HTTP}\n  - {name: w, port: 82, protocol: x/y}\n"),
           "ListenerSet",
           "ListenerSet a/s.t Conflicted=True ProtocolConflict\nListenerSet a/s.u Accepted=True Accepted\n"
           "ListenerSet a/s.v Conflicted=True ProtocolConflict\n"
           "ListenerSet a/s.w Accepted=False UnsupportedProtocol\n"
           "ListenerSet a/s Accepted=True ListenersNotValid\n");
    /* what serves nothing stands in nobody's way */
    expect(GW_OF("gw", FROM("All"),
                 "  - {name: a, port: 80, protocol: HTTP}\n  - {name: b, port: 80, protocol: TCP}\n")
               SET("a", "s", "  - {name: x, port: 80, protocol: HTTP}\n"),
           "ListenerSet",
           "ListenerSet a/s.x Accepted=True Accepted\nListenerSet a/s Accepted=True Accepted\n");
}

static void port_of_another_gateway(void **state)
{
    expect(GW GW_OF("other", "", "  - {name: x, port: 81, protocol: HTTP}\n")
               SET("a", "s", "  - {name: x, port: 81, protocol: HTTP}\n" L("y", "y.com")),
           "ListenerSet",
           "ListenerSet a/s.x Programmed=False PortUnavailable\nListenerSet a/s.y Accepted=True Accepted\n"
           "ListenerSet a/s Accepted=True ListenersNotValid\n");
}

static void routes(void **state)
{
#define WITH(parent) GW SET("a", "s", L("own", "s.com") L("two", "t.com")) HTTP_ROUTE("a", parent)
#define OF_SET "kind: ListenerSet, name: s"
    expect(WITH("{" OF_SET "}"), "attached",
           "attached ListenerSet a/s.two 1\nattached ListenerSet a/s.own 1\nattached infra/gw.own 0\n"
           "attached infra/gw 1\n");
    expect(WITH("{" OF_SET ", sectionName: two}"), "route/",
           "route/a/r.00.two:a.s {key=a/r.00.two:a.s listener_key=a/s:two name={kind=HTTPRoute name=r "
           "namespace=a rule_name=x} hostnames=t.com matches={path={path_prefix=/}}}\n");
    expect(WITH("{" OF_SET ", sectionName: no}"), "HTTPRoute",
           "HTTPRoute a/r#0 Accepted=False NoMatchingParent\n");
    expect(WITH("{" OF_SET ", port: 81}"), "HTTPRoute", "HTTPRoute a/r#0 Accepted=False NoMatchingParent\n");
    /* the set's namespace is what allowedRoutes means by Same, and the Gateway's own listeners are not meant
     */
    expect(WITH("{name: gw, namespace: infra, sectionName: two}, {" OF_SET "}"), "HTTPRoute",
           "HTTPRoute a/r#0 Accepted=False NoMatchingParent\nHTTPRoute a/r#1 Accepted=True Accepted\n");
    expect(GW SET("a", "s", L("own", "s.com")) HTTP_ROUTE("infra", "{" OF_SET ", namespace: a}"), "HTTPRoute",
           "HTTPRoute infra/r#0 Accepted=False NotAllowedByListeners\n");
    /* a set that is left out, one that is not there, and one in conflict, which is attached to all the same
     */
    expect(GW_OF("gw", "", OWN) SET("a", "s", L("x", "s.com")) HTTP_ROUTE("a", "{" OF_SET "}"), "HTTPRoute",
           "HTTPRoute a/r#0 Accepted=False NoMatchingParent\n");
    expect(GW SET("a", "s", L("x", "own.com")) HTTP_ROUTE("a", "{" OF_SET "}"), "HTTPRoute",
           "HTTPRoute a/r#0 Accepted=True Accepted\n");
    expect(GW SET("a", "s", L("x", "own.com")) HTTP_ROUTE("a", "{" OF_SET "}"), "route/", "");
    expect_findings(GW HTTP_ROUTE("a", "{" OF_SET "}"),
                    "warning: m.yaml:14: HTTPRoute a/r: spec.parentRefs[0]: there is no ListenerSet a/s: the "
                    "route serves nothing there\n");
}

static void two_sets_with_one_name_of_listener(void **state)
{
    expect(GW SET("a", "s", L("own", "s.com")) SET("a", "t", L("own", "t.com"))
               HTTP_ROUTE("a", "{kind: ListenerSet, name: s}, {kind: ListenerSet, name: t}"),
           "route/",
           "route/a/r.00.own:a.s {key=a/r.00.own:a.s listener_key=a/s:own name={kind=HTTPRoute name=r "
           "namespace=a rule_name=x} hostnames=s.com matches={path={path_prefix=/}}}\n"
           "route/a/r.00.own:a.t {key=a/r.00.own:a.t listener_key=a/t:own name={kind=HTTPRoute name=r "
           "namespace=a rule_name=x} hostnames=t.com matches={path={path_prefix=/}}}\n");
}

static void mistakes(void **state)
{
    expect_findings(
        GW V1("ListenerSet", "a", "s", "") "  parentRef: {name: gw}\n  listeners:\n" L("x", "x.com"),
        "warning: m.yaml:14: ListenerSet a/s: spec.parentRef: there is no Gateway a/gw: it serves "
        "nothing\n");
    expect_findings(
        GW V1("ListenerSet", "a", "s", "") "  parentRef: {kind: Service, group: '', name: gw}\n"
                                           "  listeners:\n" L("x", "x.com"),
        "warning: m.yaml:14: ListenerSet a/s: spec.parentRef: only a Gateway can be its parent: it "
        "serves nothing\n");
    expect_findings(GW V1("ListenerSet", "a", "s", "") "  listeners: []\n",
                    "error: m.yaml:14: ListenerSet a/s: spec.listeners: must have 1 or more items, has 0\n"
                    "error: m.yaml:13: ListenerSet a/s: spec.parentRef: is required\n");
    expect_findings(
        GW SET("a", "s", L("x", "s.com") L("y", "s.com")),
        "error: m.yaml:17: ListenerSet a/s: spec.listeners[1]: same port, protocol and hostname as "
        "listener x\n");
}

static void out_of_memory(void **state)
{
    static const char yaml[] = GW SET("a", "s", L("own", "s.com") L("no", "own.com"))
        SET("b", "t", L("x", "s.com") "  - {name: y, port: 81, protocol: TCP}\n")
            HTTP_ROUTE("a", "{" OF_SET "}");
    struct agw_gwapi_report report;
    struct agw_resource_set set;
    bool reached;
    int rc;

    for (long n = 1;; n++) {
        agw_gwapi_report_init(&report);
        failmalloc_at(n);
        rc = agw_gwapi_load_text("m.yaml", agw_str_c(yaml), &set, &report);
        reached = failmalloc_count() >= n;
        failmalloc_at(0);
        assert_int_equal(rc, reached ? AGW_ENOMEM : 0);
        if (rc == 0)
            agw_resource_set_free(&set);
        agw_gwapi_report_free(&report);
        if (!reached)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resources),    cmocka_unit_test(allowed_namespaces),
        cmocka_unit_test(earlier_wins), cmocka_unit_test(port_of_another_gateway),
        cmocka_unit_test(routes),       cmocka_unit_test(two_sets_with_one_name_of_listener),
        cmocka_unit_test(mistakes),     cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
