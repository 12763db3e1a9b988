/* BackendTLSPolicies, and what a Gateway says about client certificates. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "failmalloc.h"
#include "gwapi/gwapi.h"
#include "translated.h"

#define POLICY(name, spec)                                                                                   \
    "apiVersion: gateway.networking.k8s.io/v1\nkind: BackendTLSPolicy\nmetadata: {name: " name               \
    "}\nspec:\n" spec "---\n"
#define TO_S "  targetRefs: [{group: '', kind: Service, name: s}]\n"
#define SYSTEM "  validation: {hostname: h.test, wellKnownCACertificates: System}\n"
#define CERT                                                                                                 \
    "-----BEGIN CERTIFICATE-----\\n"                                                                         \
    "MIIBdTCCARugAwIBAgIUfzFVso0c2xGf9pP6PBUPeLFnB8kwCgYIKoZIzj0EAwIw\\n"                                    \
    "DzENMAsGA1UEAwwEdGVzdDAgFw0yNjExMjQwNDQ2MjRaGA8yMTI2MTAzMTA0NDYy\\n"                                    \
    "NFowDzENMAsGA1UEAwwEdGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABKO0\\n"                                    \
    "EcVi4VG6gWWOZYpkxbz5FjvVwmGLJ14JiYKboEkphvhbu4X6QE6Q3eAwld5Xa+yY\\n"                                    \
    "5drRC7xcvFN0daNND6ijUzBRMB0GA1UdDgQWBBQsJA5rLY6Zm/R6TxCbipbxRTQp\\n"                                    \
    "tzAfBgNVHSMEGDAWgBQsJA5rLY6Zm/R6TxCbipbxRTQptzAPBgNVHRMBAf8EBTAD\\n"                                    \
    "AQH/MAoGCCqGSM49BAMCA0gAMEUCIQDguWvv6qfAn+fc3IPoXQD5Rk3XaYAPqAMB\\n"                                    \
    "WGUROTgEsgIgG/+NjIvHa4HMq5uQnidYtDsjiQoY76ky1LTGgZcIBX8=\\n"                                            \
    "-----END CERTIFICATE-----\\n"
#define KEY                                                                                                  \
    "-----BEGIN PRIVATE KEY-----\\n"                                                                         \
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg811t3nJx6rfYDzuw\\n"                                    \
    "T1M4EZA4Obo9vsUn29ibc4Z4GU2hRANCAASjtBHFYuFRuoFljmWKZMW8+RY71cJh\\n"                                    \
    "iydeCYmCm6BJKYb4W7uF+kBOkN3gMJXeV2vsmOXa0Qu8XLxTdHWjTQ+o\\n"                                            \
    "-----END PRIVATE KEY-----\\n"

#define CA "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ca}\ndata: {ca.crt: \"" CERT "\"}\n---\n"
#define WITH_CA                                                                                              \
    "  validation: {hostname: h.test, caCertificateRefs: [{group: '', kind: ConfigMap, name: ca}]}\n"

static void a_policy(void **state)
{
    expect_resources(GATEWAY SERVICE POLICY("p", TO_S SYSTEM), "policy/",
                     "policy/backendtls/default/p/s/0 {key=backendtls/default/p/s/0 name={name=p "
                     "namespace=default kind=BackendTLSPolicy} target={service={namespace=default "
                     "hostname=s.default.svc.cluster.local}} backend={backend_tls={hostname=h.test}}}\n");
    expect_resources(GATEWAY SERVICE CA POLICY("p", TO_S WITH_CA), "policy/",
                     "policy/backendtls/default/p/s/0 {key=backendtls/default/p/s/0 name={name=p "
                     "namespace=default kind=BackendTLSPolicy} target={service={namespace=default "
                     "hostname=s.default.svc.cluster.local}} backend={backend_tls={root=" CERT
                     " hostname=h.test}}}\n");
}

static void expect_condition(const char *yaml, const char *want)
{
    struct translated t = translate(yaml);
    if (!strstr(t.conditions, want))
        fail_msg("\"%s\" is not in\n%s\n%s", want, t.conditions, t.findings);
    translated_free(&t);
}

#define P "BackendTLSPolicy default/p "

static void targets(void **state)
{
    expect_condition(GATEWAY POLICY("p", TO_S SYSTEM), P "Accepted=False TargetNotFound");
    expect_condition(
        GATEWAY SERVICE POLICY(
            "p", "  targetRefs: [{group: '', kind: Service, name: s, sectionName: none}]\n" SYSTEM),
        P "Accepted=False TargetNotFound");
    expect_condition(
        GATEWAY SERVICE POLICY("p", "  targetRefs: [{group: apps, kind: Deployment, name: s}]\n" SYSTEM),
        P "Accepted=False Invalid");
    expect_condition(GATEWAY SERVICE POLICY("o", TO_S SYSTEM) POLICY("p", TO_S SYSTEM),
                     P "Accepted=False Conflicted");
}

static void roots(void **state)
{
    expect_condition(GATEWAY SERVICE POLICY("p", TO_S WITH_CA),
                     P "ResolvedRefs=False InvalidCACertificateRef");
    expect_condition(GATEWAY SERVICE POLICY("p", TO_S WITH_CA), P "Accepted=False NoValidCACertificate");
    expect_condition(GATEWAY SERVICE POLICY("p", TO_S "  validation: {hostname: h.test, caCertificateRefs: "
                                                      "[{group: '', kind: Service, name: s}]}\n"),
                     P "ResolvedRefs=False InvalidKind");
}

static void mistakes(void **state)
{
#define BAD(validation, at, why)                                                                             \
    expect_findings(GATEWAY SERVICE POLICY("p", TO_S "  validation: {hostname: h.test" validation "}\n"),    \
                    "error: m.yaml:25: BackendTLSPolicy default/p: spec.validation" at ": " why "\n")
    BAD("", "", "needs exactly one of caCertificateRefs and wellKnownCACertificates");
    BAD(", wellKnownCACertificates: Mine", ".wellKnownCACertificates", "\"Mine\" is not known, System is");
    BAD(", wellKnownCACertificates: System, subjectAltNames: [{type: URI, hostname: a.test}]",
        ".subjectAltNames[0]", "needs hostname with type Hostname, uri with type URI, and nothing else");
    BAD(", wellKnownCACertificates: System, subjectAltNames: [{type: URI, uri: 'urn:x'}]",
        ".subjectAltNames[0].uri", "must be a URI with a scheme and an authority");
}

/* --- Gateways --- */

#define TLS_GATEWAY(tls)                                                                                     \
    "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: gw}\nspec:\n"                 \
    "  gatewayClassName: agentgateway\n  tls: " tls "\n  listeners:\n"                                       \
    "  - {name: s, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: c}]}}\n"                       \
    "  - {name: t, port: 444, protocol: HTTPS, tls: {certificateRefs: [{name: c}], options: "                \
    "{agentgateway.dev/cipher-suites: 'TLS_AES_128_GCM_SHA256', kgateway.dev/ecdh-curves: P-384}}}\n---\n"   \
    "apiVersion: v1\nkind: Secret\nmetadata: {name: c}\ntype: kubernetes.io/tls\n"                           \
    "stringData: {tls.crt: \"" CERT "\", tls.key: \"" KEY "\"}\n---\n"
#define VALIDATE(ca) "{frontend: {default: {validation: {caCertificateRefs: [" ca "]}}}}"
#define CA_REF "{group: '', kind: ConfigMap, name: ca}"

static void frontend(void **state)
{
    expect_condition(TLS_GATEWAY(VALIDATE(CA_REF)),
                     "Gateway default/gw.s ResolvedRefs=False InvalidCACertificateRef");
    expect_condition(TLS_GATEWAY(VALIDATE(CA_REF)),
                     "Gateway default/gw.s Accepted=False NoValidCACertificate");
    expect_condition(TLS_GATEWAY(VALIDATE("{group: '', kind: Pod, name: ca}")),
                     "Gateway default/gw.t ResolvedRefs=False InvalidCACertificateKind");
    expect_condition(TLS_GATEWAY("{frontend: {default: {validation: {caCertificateRefs: [" CA_REF
                                 "], mode: AllowInsecureFallback}}}}") CA,
                     "Gateway default/gw InsecureFrontendValidationMode=True ConfigurationChanged");
    expect_findings(
        TLS_GATEWAY("{frontend: {default: {}, perPort: [{port: 443, tls: {}}, {port: 443, tls: {}}]}}"),
        "error: m.yaml:6: Gateway default/gw: spec.tls.frontend.perPort[1].port: is there twice\n");
}

/* --- memory --- */

static void out_of_memory(void **state)
{
    static const char all[] = TLS_GATEWAY("{frontend: {default: {validation: {caCertificateRefs: [" CA_REF
                                          "]}}}, backend: {clientCertificateRef: {name: c}}}")
        CA SERVICE POLICY("p", TO_S WITH_CA) ROUTE "  rules: [{backendRefs: [{name: s, port: 80}]}]\n";

    for (long n = 1;; n++) {
        struct agw_gwapi_report report;
        struct agw_resource_set set;

        agw_gwapi_report_init(&report);
        failmalloc_at(n);
        int rc = agw_gwapi_load_text("m.yaml", agw_str_c(all), &set, &report);
        bool reached = failmalloc_count() >= n;
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
        cmocka_unit_test(a_policy), cmocka_unit_test(targets),  cmocka_unit_test(roots),
        cmocka_unit_test(mistakes), cmocka_unit_test(frontend), cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
