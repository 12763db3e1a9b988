/* Listeners' certificates. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include "translated.h"

#define TLS(ref)                                                                                             \
    "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: gw}\nspec:\n"                 \
    "  gatewayClassName: agentgateway\n  listeners:\n"                                                       \
    "  - {name: ok, port: 80, protocol: HTTP}\n"                                                             \
    "  - {name: s, port: 443, protocol: HTTPS, tls: {certificateRefs: [" ref "]}}\n---\n"
#define SECRET(ns, type, data)                                                                               \
    "apiVersion: v1\nkind: Secret\nmetadata: {name: c, namespace: " ns "}\ntype: " type "\n" data "---\n"
/* A certificate, its key and another one's, as a YAML string in double quotes has them. */
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
#define OTHER_KEY                                                                                            \
    "-----BEGIN PRIVATE KEY-----\\n"                                                                         \
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg7pHluo+viOCLSwgj\\n"                                    \
    "4ltWWz4ewRo7VZ4nFerqUVA/TG+hRANCAAQcT7qfOkfXsvMvvWsnENeRam2OBd13\\n"                                    \
    "io8sX8CT/GzLQhq+jSUBuBm8hFR+uHsQHh6XsUCSLi3K5zyrDtBUBcfA\\n"                                            \
    "-----END PRIVATE KEY-----\\n"
#define DATA(cert, key) "stringData: {tls.crt: \"" cert "\", tls.key: \"" key "\"}\n"
#define PEM DATA(CERT, KEY)
#define LISTENER(tls)                                                                                        \
    "listener/default/gw.s {key=default/gw.s bind_key=443/default/gw name={gateway_name=gw "                 \
    "gateway_namespace=default listener_name=s} protocol=HTTPS tls={" tls "}}\n"
#define GOOD LISTENER("cert=" CERT " private_key=" KEY)

static void good(void **state)
{
    expect_resources(TLS("{name: c}") SECRET("default", "kubernetes.io/tls", PEM), "listener/default/gw.s",
                     GOOD);
    /* the same in Base64, over lines */
    expect_resources(TLS("{kind: Secret, group: '', name: c}") SECRET(
                         "default", "kubernetes.io/tls",
                         "data:\n  tls.crt: |\n"
                         "    LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1JSUJkVENDQVJ1Z0F3SUJBZ0lVZnpGVnNvMGMy\n"
                         "    eEdmOXBQNlBCVVBlTEZuQjhrd0NnWUlLb1pJemowRUF3SXcKRHpFTk1Bc0dBMVVFQXd3RWRHVnpk\n"
                         "    REFnRncweU5qRXhNalF3TkRRMk1qUmFHQTh5TVRJMk1UQXpNVEEwTkRZeQpORm93RHpFTk1Bc0dB\n"
                         "    MVVFQXd3RWRHVnpkREJaTUJNR0J5cUdTTTQ5QWdFR0NDcUdTTTQ5QXdFSEEwSUFCS08wCkVjVmk0\n"
                         "    Vkc2Z1dXT1pZcGt4Yno1Rmp2VndtR0xKMTRKaVlLYm9Fa3BodmhidTRYNlFFNlEzZUF3bGQ1WGEr\n"
                         "    eVkKNWRyUkM3eGN2Rk4wZGFOTkQ2aWpVekJSTUIwR0ExVWREZ1FXQkJRc0pBNXJMWTZabS9SNlR4\n"
                         "    Q2JpcGJ4UlRRcAp0ekFmQmdOVkhTTUVHREFXZ0JRc0pBNXJMWTZabS9SNlR4Q2JpcGJ4UlRRcHR6\n"
                         "    QVBCZ05WSFJNQkFmOEVCVEFECkFRSC9NQW9HQ0NxR1NNNDlCQU1DQTBnQU1FVUNJUURndVd2djZx\n"
                         "    ZkFuK2ZjM0lQb1hRRDVSazNYYVlBUHFBTUIKV0dVUk9UZ0VzZ0lnRy8rTmpJdkhhNEhNcTV1UW5p\n"
                         "    ZFl0RHNqaVFvWTc2a3kxTFRHZ1pjSUJYOD0KLS0tLS1FTkQgQ0VSVElGSUNBVEUtLS0tLQo=\n"
                         "  tls.key: "
                         "LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0tCk1JR0hBZ0VBTUJNR0J5cUdTTTQ5QWdFR0NDcUdT"
                         "TTQ5QXdFSEJHMHdhd0lCQVFRZzgxMXQzbkp4NnJmWUR6dXcKVDFNNEVaQTRPYm85dnNVbjI5aWJj"
                         "NFo0R1UyaFJBTkNBQVNqdEJIRll1RlJ1b0Zsam1XS1pNVzgrUlk3MWNKaAppeWRlQ1ltQ202QkpL"
                         "WWI0Vzd1RitrQk9rTjNnTUpYZVYydnNtT1hhMFF1OFhMeFRkSFdqVFErbwotLS0tLUVORCBQUklW"
                         "QVRFIEtFWS0tLS0tCg=="
                         "\n"),
                     "listener/default/gw.s", GOOD);
    expect_resources(TLS("{name: c}") SECRET("default", "kubernetes.io/tls", PEM), "bind/443",
                     "bind/443/default/gw {key=443/default/gw port=443 protocol=TLS}\n");
}

/* The listener stays, without certificate: handshakes fail, nothing falls through to another listener. */
static void expect_refused(const char *yaml, const char *reason, const char *why)
{
    char finding[512], condition[128];
    struct translated t = translate(yaml);

    snprintf(finding, sizeof(finding),
             "warning: m.yaml:8: Gateway default/gw: spec.listeners[1].tls.certificateRefs: Secret %s: "
             "handshakes are refused "
             "(%s)\n",
             why, reason);
    snprintf(condition, sizeof(condition), "Gateway default/gw.s ResolvedRefs=False %s\n", reason);
    assert_string_equal(t.findings, finding);
    expect_lines(t.conditions, "Gateway default/gw.s Res", condition);
    expect_lines(t.resources, "listener/default/gw.s", LISTENER(""));
    translated_free(&t);
}

static void bad(void **state)
{
    expect_refused(TLS("{name: c}"), "InvalidCertificateRef", "default/c does not exist");
    expect_refused(TLS("{name: c}") SECRET("default", "Opaque", PEM), "InvalidCertificateRef",
                   "default/c is not of type kubernetes.io/tls");
    expect_refused(TLS("{name: c}")
                       SECRET("default", "kubernetes.io/tls", "data: {tls.crt: '%%%', tls.key: ''}\n"),
                   "InvalidCertificateRef", "default/c has no PEM certificate in tls.crt");
    expect_refused(TLS("{name: c}")
                       SECRET("default", "kubernetes.io/tls",
                              "stringData: {tls.crt: '-----BEGIN CERTIFICATE-----', tls.key: x}\n"),
                   "InvalidCertificateRef", "default/c has no PEM private key in tls.key");
    expect_refused(TLS("{name: c}") SECRET("default", "kubernetes.io/tls", DATA(CERT, OTHER_KEY)),
                   "InvalidCertificateRef", "default/c cannot be used: private key: key values mismatch");
    expect_refused(TLS("{name: c}")
                       SECRET("default", "kubernetes.io/tls",
                              DATA("-----BEGIN CERTIFICATE-----\\nAAAA\\n-----END CERTIFICATE-----\\n", KEY)),
                   "InvalidCertificateRef", "default/c cannot be used: certificate: wrong tag");
    expect_refused(TLS("{kind: ConfigMap, name: c}"), "InvalidCertificateRef",
                   "default/c is meant, but the reference is to another kind");
    expect_refused(TLS("{name: c, namespace: other}") SECRET("other", "kubernetes.io/tls", PEM),
                   "RefNotPermitted", "other/c is not granted to this Gateway by a ReferenceGrant");
}

static void granted(void **state)
{
    expect_resources(
        TLS("{name: c, namespace: other}")
            SECRET("other", "kubernetes.io/tls",
                   PEM) "apiVersion: gateway.networking.k8s.io/v1beta1\nkind: ReferenceGrant\n"
                        "metadata: {name: g, namespace: other}\nspec:\n"
                        "  from: [{group: gateway.networking.k8s.io, kind: Gateway, namespace: default}]\n"
                        "  to: [{group: '', kind: Secret}]\n",
        "listener/default/gw.s", GOOD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good),
        cmocka_unit_test(bad),
        cmocka_unit_test(granted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
