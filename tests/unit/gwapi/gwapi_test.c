/* Loading as a whole: the shipped example, bad input, memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "dump.h"
#include "failmalloc.h"
#include "gwapi/gwapi.h"
#include "translated.h"

static void quickstart(void **state)
{
    struct agw_gwapi_report report;
    struct agw_resource_set set;
    char *text;

    agw_gwapi_report_init(&report);
    assert_int_equal(agw_gwapi_load("examples/quickstart", &set, &report), 0);
    assert_null(report.texts.first); /* not even a note */
    text = dump_set(&set);
    expect_lines(text, "bind/",
                 "bind/8080/gateway-system/quickstart @127.0.0.1 {key=8080/gateway-system/quickstart "
                 "port=8080}\n");
    expect_lines(
        text, "policy/",
        "policy/a2a/agents/hello/80 {key=a2a/agents/hello/80 name={name=hello namespace=agents kind=Service} "
        "target={service={namespace=agents hostname=hello.agents.svc.cluster.local port=80}} "
        "backend={a2a={}}}\n");
    free(text);
    agw_resource_set_free(&set);
    agw_gwapi_report_free(&report);
}

static void nothing_there(void **state)
{
    struct agw_resource_set set = {.by_id = {.count = 77}};
    struct agw_gwapi_report report;

    agw_gwapi_report_init(&report);
    assert_int_equal(agw_gwapi_load("no/such/place", &set, &report), AGW_EIO);
    assert_int_equal(set.by_id.count, 77); /* untouched */
    assert_string_equal(report.texts.first->text.p, "no/such/place: No such file or directory");
    agw_gwapi_report_free(&report);
    expect_findings("", "warning: no Gateway of class agentgateway: nothing listens\n");
}

/* An object with an error: all of it is reported, nothing is made, and what would only follow from it is not
 * said. */
static void refused_whole(void **state)
{
    expect_findings(GATEWAY "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r}\n"
                            "spec:\n  parentRefs: [{name: gone}]\n  hostnmaes: [a.com]\n---\n" SERVICE
                            "a: [\n",
                    "error: m.yaml:28:1: did not find expected node content while parsing a flow node\n");
    expect_findings(
        GATEWAY "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r}\n"
                "spec:\n  parentRefs: [{name: gone}]\n  hostnmaes: [a.com]\n",
        "error: m.yaml:13: HTTPRoute default/r: spec.hostnmaes: unknown field (did you mean hostnames?)\n");
}

/* Loads |yaml|, or the directory |path|, with every allocation failing once. */
static long fail_each(const char *path, const char *yaml)
{
    long n;

    for (n = 1;; n++) {
        struct agw_gwapi_report report;
        struct agw_resource_set set;
        bool reached;
        int rc;

        agw_gwapi_report_init(&report);
        failmalloc_at(n);
        rc = path ? agw_gwapi_load(path, &set, &report)
                  : agw_gwapi_load_text("m.yaml", agw_str_c(yaml), &set, &report);
        reached = failmalloc_count() >= n;
        failmalloc_at(0);
        assert_int_equal(rc, reached ? AGW_ENOMEM : 0);
        if (rc == 0)
            agw_resource_set_free(&set);
        agw_gwapi_report_free(&report);
        if (!reached)
            return n;
    }
}

static void out_of_memory(void **state)
{
    static const char routes[] = GATEWAY SERVICE ROUTE
        "  hostnames: [a.com]\n"
        "  rules:\n"
        "  - matches: [{path: {value: /a}, method: GET, headers: [{name: a, value: b}], queryParams: [{name: "
        "c, "
        "value: d}]}]\n"
        "    filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: a, value: b}], "
        "remove: "
        "[c]}}, {type: URLRewrite, urlRewrite: {hostname: h}}]\n"
        "    timeouts: {request: 1s}\n"
        "    backendRefs: [{name: s, port: 80, filters: [{type: CORS, cors: {}}]}, {name: gone, port: 1}]\n"
        "  - filters: [{type: RequestRedirect, requestRedirect: {hostname: h}}]\n";
    static const char backends[] = GATEWAY
        "apiVersion: agentgateway.dev/v1alpha1\nkind: AgentgatewayBackend\nmetadata: {name: b}\nspec:\n"
        "  a2a: {host: h, port: 1}\n"
        "  policies: {http: {version: HTTP1, requestTimeout: 1s}, tcp: {keepalive: {time: 1s}}, "
        "health: {eviction: {restoreHealth: 1}}, tls: {sni: b.com, alpnProtocols: [h2], "
        "verifySubjectAltNames: [x], keyExchangeGroups: [X25519], caCertificateRefs: [{name: ca}], "
        "mtlsCertificateRef: [{name: c}]}}\n---\n"
        "apiVersion: v1\nkind: Service\nmetadata: {name: m}\n"
        "spec: {ports: [{port: 1, appProtocol: agentgateway.dev/mcp}]}\n---\n"
        "apiVersion: agentgateway.dev/v1alpha1\nkind: AgentgatewayBackend\nmetadata: {name: sel}\n"
        "spec: {mcp: {targets: [{name: t, selector: {services: {}}}]}}\n---\n"
        "apiVersion: v1\nkind: Secret\nmetadata: {name: c}\ntype: kubernetes.io/tls\n"
        "data: {tls.crt: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t, tls.key: "
        "LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0t}\n---\n"
        "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: g2}\nspec:\n"
        "  gatewayClassName: agentgateway\n  addresses: [{value: 127.0.0.1}]\n"
        "  listeners: [{name: s, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: c}]}}]\n";

    assert_true(fail_each(NULL, routes) > 5);
    assert_true(fail_each(NULL, backends) > 5);
    assert_true(fail_each("examples/quickstart", NULL) > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quickstart),
        cmocka_unit_test(nothing_there),
        cmocka_unit_test(refused_whole),
        cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
