/* Services, EndpointSlices and appProtocol. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include "translated.h"

#define SVC(ports)                                                                                           \
    "apiVersion: v1\nkind: Service\nmetadata: {name: s, namespace: n}\nspec:\n  ports: [" ports "]\n---\n"
#define SLICE(name, type, ports, endpoints)                                                                  \
    "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"                                                 \
    "metadata: {name: " name ", namespace: n, labels: {kubernetes.io/service-name: s}}\n"                    \
    "addressType: " type "\nports: [" ports "]\nendpoints: [" endpoints "]\n---\n"
#define UID "workload/Kubernetes/discovery.k8s.io/EndpointSlice/n/"
#define NO_GATEWAY "warning: no Gateway of class agentgateway: nothing listens\n"

static void expect(const char *yaml, const char *prefix, const char *want, const char *findings)
{
    struct translated t = translate(yaml);

    assert_int_equal(t.rc, 0);
    assert_string_equal(t.findings, findings);
    expect_lines(t.resources, prefix, want);
    translated_free(&t);
}

static void protocols(void **state)
{
    expect(SVC("{name: a, port: 1, appProtocol: kubernetes.io/h2c}, {name: b, port: 2, appProtocol: "
               "kubernetes.io/ws}, "
               "{name: c, port: 3, targetPort: web}, {name: d, port: 4, targetPort: 44, protocol: TCP}, "
               "{name: e, port: 5, protocol: UDP}, {name: f, port: 6, appProtocol: example.com/x}"),
           "service/",
           "service/n/s.n.svc.cluster.local {name=s namespace=n hostname=s.n.svc.cluster.local "
           "ports={service_port=1 app_protocol=HTTP2} ports={service_port=2 "
           "app_protocol=HTTP11} "
           "ports={service_port=3} ports={service_port=4} ports={service_port=6}}\n",
           NO_GATEWAY);
}

static void a2a(void **state)
{
    static const char *const names[] = {"agentgateway.dev/a2a", "kgateway.dev/a2a"};
    size_t i;

    for (i = 0; i < 2; i++) {
        char yaml[512];

        snprintf(yaml, sizeof(yaml), SVC("{port: 7, appProtocol: %s}"), names[i]);
        expect(yaml, "policy/",
               "policy/a2a/n/s/7 {key=a2a/n/s/7 name={name=s namespace=n kind=Service} "
               "target={service={namespace=n "
               "hostname=s.n.svc.cluster.local port=7}} backend={a2a={}}}\n",
               NO_GATEWAY);
    }
}

static void slices(void **state)
{
    expect(
        SVC("{name: a, port: 80, targetPort: web}, {name: b, port: 81}")
            SLICE("s1", "IPv4", "{name: a, port: 8080}",
                  "{addresses: [10.0.0.1]}, {addresses: [10.0.0.2], conditions: "
                  "{ready: false}}, {addresses: [10.0.0.1]}")
                SLICE("s2", "IPv6", "{name: b, port: 9090}, {name: a, port: 9000}",
                      "{addresses: ['::1'], conditions: {ready: true}}"),
        "workload/",
        UID
        "s1/10.0.0.1 {name=s1 namespace=n addresses=10.0.0.1 workload_type=POD "
        "uid=Kubernetes/discovery.k8s.io/"
        "EndpointSlice/n/s1/10.0.0.1 services={key=n/s.n.svc.cluster.local value={ports={service_port=80 "
        "target_port=8080}}}}\n" UID
        "s1/10.0.0.2 {name=s1 namespace=n addresses=10.0.0.2 workload_type=POD status=UNHEALTHY "
        "uid=Kubernetes/discovery.k8s.io/EndpointSlice/n/s1/10.0.0.2 services={key=n/s.n.svc.cluster.local "
        "value={ports={service_port=80 target_port=8080}}}}\n" UID
        "s2/::1 {name=s2 namespace=n addresses=0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1 workload_type=POD "
        "uid=Kubernetes/discovery.k8s.io/EndpointSlice/n/s2/::1 services={key=n/s.n.svc.cluster.local "
        "value={ports={service_port=80 target_port=9000} ports={service_port=81 target_port=9090}}}}\n",
        NO_GATEWAY);
}

static void slices_that_fit_nothing(void **state)
{
    expect(SVC("{name: a, port: 80}") SLICE("s1", "IPv4", "{name: z, port: 8080}", ""), "workload/", "",
           "warning: m.yaml:11: EndpointSlice n/s1: ports: no port has the name of one of Service "
           "s\n" NO_GATEWAY);
    expect(SLICE("s1", "IPv4", "{port: 8080}", "{addresses: [10.0.0.1]}"), "workload/", "",
           "warning: m.yaml:1: EndpointSlice n/s1: the label kubernetes.io/service-name names no Service of "
           "namespace n\n" NO_GATEWAY);
}

static void cluster_ip(void **state)
{
    expect("apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {clusterIP: 10.96.0.7, ports: [{port: "
           "1}]}\n",
           "service/",
           "service/default/s.default.svc.cluster.local {name=s namespace=default "
           "hostname=s.default.svc.cluster.local "
           "addresses={address=10.96.0.7} ports={service_port=1}}\n",
           NO_GATEWAY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(protocols),  cmocka_unit_test(a2a),
        cmocka_unit_test(slices),     cmocka_unit_test(slices_that_fit_nothing),
        cmocka_unit_test(cluster_ip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
