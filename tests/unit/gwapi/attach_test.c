/* Parents, sections, namespaces and hostnames: who serves a route. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "translated.h"

#define RULE "  rules: [{backendRefs: [{name: s, port: 80}]}]\n"
#define GW(listeners)                                                                                        \
    "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: gw, namespace: infra}\n"      \
    "spec:\n  gatewayClassName: agentgateway\n  listeners:\n" listeners "---\n"
#define HR(ns, spec)                                                                                         \
    "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r, namespace: " ns "}\n"    \
    "spec:\n" spec "---\n"
#define ALL "allowedRoutes: {namespaces: {from: All}}"

/* hostnames of the one route made, or "none" */
static void expect_hosts(const char *listener, const char *route, const char *want)
{
    char yaml[2048], line[512];
    struct translated t;
    int n = snprintf(yaml, sizeof(yaml),
                     "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: gw}\nspec:\n"
                     "  gatewayClassName: agentgateway\n"
                     "  listeners: [{name: http, port: 80, protocol: HTTP%s%s}]\n---\n"
                     "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r}\nspec:\n"
                     "  parentRefs: [{name: gw}]\n  hostnames: [%s]\n",
                     *listener ? ", hostname: " : "", listener, route);

    assert_true(n > 0 && (size_t)n < sizeof(yaml));
    t = translate(yaml);
    snprintf(line, sizeof(line),
             "route/default/r.00.http {key=default/r.00.http listener_key=default/gw.http "
             "name={kind=HTTPRoute name=r "
             "namespace=default}%s%s matches={path={path_prefix=/}}}\n",
             *want ? " " : "", want);
    if (strcmp(want, "none") == 0) {
        expect_lines(t.resources, "route/", "");
        expect_lines(t.conditions, "HTTPRoute",
                     "HTTPRoute default/r#0 Accepted=False NoMatchingListenerHostname\n");
    } else {
        expect_lines(t.resources, "route/", line);
        assert_string_equal(t.findings, "");
    }
    translated_free(&t);
}

static void hostnames(void **state)
{
    expect_hosts("", "", "");
    expect_hosts("a.com", "", "hostnames=a.com");
    expect_hosts("", "b.com, '*.c.com'", "hostnames=b.com hostnames=*.c.com");
    expect_hosts("a.com", "a.com, b.com", "hostnames=a.com");
    expect_hosts("'*.a.com'", "b.a.com, a.com, x.b.a.com", "hostnames=b.a.com hostnames=x.b.a.com");
    expect_hosts("'*.a.com'", "'*.a.com'", "hostnames=*.a.com");
    expect_hosts("'*.a.com'", "'*.b.a.com'", "hostnames=*.b.a.com");
    expect_hosts("'*.b.a.com'", "'*.a.com', x.b.a.com", "hostnames=*.b.a.com hostnames=x.b.a.com");
    expect_hosts("x.a.com", "'*.a.com', '*.com'", "hostnames=x.a.com");
    expect_hosts("a.com", "'*.a.com'", "none");
    expect_hosts("'*.a.com'", "xa.com", "none");
    expect_hosts("a.com", "b.com", "none");
}

static void sections_and_ports(void **state)
{
#define TWO GW("  - {name: a, port: 80, protocol: HTTP}\n  - {name: b, port: 81, protocol: HTTP}\n")
    static const char *const parents[] = {"{name: gw}", "{name: gw, sectionName: b}", "{name: gw, port: 80}",
                                          "{name: gw, sectionName: a, port: 81}",
                                          "{name: gw}, {name: gw, sectionName: a}"};
    static const char *const attached[] = {
        "attached infra/gw.b 1\nattached infra/gw.a 1\n", "attached infra/gw.b 1\nattached infra/gw.a 0\n",
        "attached infra/gw.b 0\nattached infra/gw.a 1\n", "attached infra/gw.b 0\nattached infra/gw.a 0\n",
        "attached infra/gw.b 1\nattached infra/gw.a 2\n"};
    static const char *const conditions[] = {
        "HTTPRoute infra/r#0 Accepted=True Accepted\n", "HTTPRoute infra/r#0 Accepted=True Accepted\n",
        "HTTPRoute infra/r#0 Accepted=True Accepted\n",
        "HTTPRoute infra/r#0 Accepted=False NoMatchingParent\n",
        "HTTPRoute infra/r#0 Accepted=True Accepted\nHTTPRoute infra/r#1 Accepted=True Accepted\n"};
    static const unsigned routes[] = {2, 1, 1, 0, 2};
    size_t i;

    for (i = 0; i < sizeof(parents) / sizeof(*parents); i++) {
        char yaml[1024];
        const char *at;
        unsigned count = 0;
        struct translated t;

        snprintf(yaml, sizeof(yaml),
                 TWO "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n"
                     "metadata: {name: r, namespace: infra}\nspec:\n  parentRefs: [%s]\n",
                 parents[i]);
        t = translate(yaml);
        expect_lines(t.conditions, "attached", attached[i]);
        expect_lines(t.conditions, "HTTPRoute", conditions[i]);
        for (at = t.resources; (at = strstr(at, "\nroute/")) != NULL; at++)
            count++;
        assert_int_equal(count, routes[i]);
        translated_free(&t);
    }
}

static void namespaces(void **state)
{
    static const char refused[] =
        "warning: m.yaml:14: HTTPRoute apps/r: spec.parentRefs[0]: no listener of this parent "
        "allows this route's namespace and kind (NotAllowedByListeners)\n";
#define PARENT "  parentRefs:\n  - {name: gw, namespace: infra}\n"
#define NS(labels) "apiVersion: v1\nkind: Namespace\nmetadata: {name: apps" labels "}\n---\n"
#define SEL(s)                                                                                               \
    "  - {name: a, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: Selector, selector: " s      \
    "}}}\n"
    expect_findings(GW("  - {name: a, port: 80, protocol: HTTP}\n") HR("apps", PARENT), refused);
    expect_findings(GW("  - {name: a, port: 80, protocol: HTTP, " ALL "}\n") HR("apps", PARENT), "");
    expect_findings(GW("  - {name: a, port: 80, protocol: HTTP}\n") HR("infra", PARENT), "");
    expect_findings(GW(SEL("{matchLabels: {team: x}}")) HR("apps", PARENT) NS(", labels: {team: x}"), "");
    expect_findings(GW(SEL("{matchLabels: {team: x}}")) HR("apps", PARENT) NS(", labels: {team: y}"),
                    refused);
    expect_findings(GW(SEL("{matchLabels: {team: x}}")) HR("apps", PARENT), refused);
    /* the label that every namespace has */
    expect_findings(GW(SEL("{matchLabels: {kubernetes.io/metadata.name: apps}}")) HR("apps", PARENT), "");
    expect_findings(GW(SEL("{matchLabels: {kubernetes.io/metadata.name: app}}")) HR("apps", PARENT), refused);
    expect_findings(GW(SEL("{matchExpressions: [{key: kubernetes.io/metadata.name, operator: NotIn, values: "
                           "[apps]}]}")) HR("apps", PARENT) NS(", labels: {team: x}"),
                    refused);
    expect_findings(
        GW(SEL("{matchExpressions: [{key: team, operator: NotIn, values: [y]}]}")) HR("apps", PARENT), "");
    expect_findings(
        GW("  - {name: a, port: 80, protocol: HTTP, allowedRoutes: {kinds: [{kind: TCPRoute}]}}\n")
            HR("infra", PARENT),
        "warning: m.yaml:7: Gateway infra/gw: spec.listeners[0].allowedRoutes.kinds[0]: TCPRoute is none of "
        "the "
        "kinds that this listener takes: HTTPRoute GRPCRoute (InvalidRouteKinds)\n"
        "warning: m.yaml:14: HTTPRoute infra/r: spec.parentRefs[0]: no listener of this parent "
        "allows this route's namespace and kind (NotAllowedByListeners)\n");
}

static void other_parents(void **state)
{
#define A GW("  - {name: a, port: 80, protocol: HTTP}\n")
    expect_findings(A HR("infra", "  parentRefs: [{name: gv}]\n"),
                    "warning: m.yaml:13: HTTPRoute infra/r: spec.parentRefs[0]: there is no Gateway "
                    "infra/gv: the route serves nothing there\n");
    expect_findings(
        A HR("apps", "  parentRefs: [{name: gw}]\n"),
        "warning: m.yaml:13: HTTPRoute apps/r: spec.parentRefs[0]: there is no Gateway apps/gw: the "
        "route serves nothing there (namespace: infra is missing if infra/gw is meant)\n");
    expect_findings(A HR("infra", "  parentRefs: [{group: '', kind: Service, name: s}]\n"),
                    "warning: m.yaml:13: HTTPRoute infra/r: spec.parentRefs[0]: parents of kind Service are "
                    "not served\n");
    expect_findings(A HR("infra", "  hostnames: [a.com]\n"),
                    "warning: m.yaml:9: HTTPRoute infra/r: has no parentRefs: it serves nothing\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hostnames),
        cmocka_unit_test(sections_and_ports),
        cmocka_unit_test(namespaces),
        cmocka_unit_test(other_parents),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
