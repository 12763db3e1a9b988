/* A manifest text run through agw_gwapi_load_text, with all that came out as text. */
#ifndef TESTS_GWAPI_TRANSLATED_H
#define TESTS_GWAPI_TRANSLATED_H

struct translated {
    int rc;
    char *resources;  /* dump.h; empty on failure */
    char *findings;   /* "error: ..." lines */
    char *conditions; /* "Kind ns/name[.part][#parent] Type=True|False Reason" lines, then "attached ..." */
};

/* |yaml| is called m.yaml. */
struct translated translate(const char *yaml);
void translated_free(struct translated *t);

/* Fails the test with both texts unless the lines of |text| that begin with |prefix| are exactly |want|. */
void expect_lines(const char *text, const char *prefix, const char *want);
/* Translates and compares the resources whose ids begin with |prefix|; there must be no findings. */
void expect_resources(const char *yaml, const char *prefix, const char *want);
/* Translates and compares all findings; a config with errors must be refused. */
void expect_findings(const char *yaml, const char *want);

/* A Gateway default/gw with one HTTP listener "http" on port 80. */
#define GATEWAY                                                                                              \
    "apiVersion: gateway.networking.k8s.io/v1\n"                                                             \
    "kind: Gateway\n"                                                                                        \
    "metadata: {name: gw}\n"                                                                                 \
    "spec:\n"                                                                                                \
    "  gatewayClassName: agentgateway\n"                                                                     \
    "  listeners: [{name: http, port: 80, protocol: HTTP}]\n"                                                \
    "---\n"
/* The head of an HTTPRoute default/r on it; what follows is indented by two. */
#define ROUTE                                                                                                \
    "apiVersion: gateway.networking.k8s.io/v1\n"                                                             \
    "kind: HTTPRoute\n"                                                                                      \
    "metadata: {name: r}\n"                                                                                  \
    "spec:\n"                                                                                                \
    "  parentRefs: [{name: gw}]\n"
/* A Service default/s with port 80 and an endpoint. */
#define SERVICE                                                                                              \
    "apiVersion: v1\n"                                                                                       \
    "kind: Service\n"                                                                                        \
    "metadata: {name: s}\n"                                                                                  \
    "spec: {ports: [{port: 80, targetPort: 8080}]}\n"                                                        \
    "---\n"                                                                                                  \
    "apiVersion: discovery.k8s.io/v1\n"                                                                      \
    "kind: EndpointSlice\n"                                                                                  \
    "metadata: {name: s-1, labels: {kubernetes.io/service-name: s}}\n"                                       \
    "addressType: IPv4\n"                                                                                    \
    "ports: [{port: 8080}]\n"                                                                                \
    "endpoints: [{addresses: [127.0.0.1]}]\n"                                                                \
    "---\n"

#endif
