/* Filters and timeouts, and what is not served. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "translated.h"

#define HEAD                                                                                                 \
    "route/default/r.00.http {key=default/r.00.http listener_key=default/gw.http name={kind=HTTPRoute "      \
    "name=r "                                                                                                \
    "namespace=default} matches={path={path_prefix=/}}"
#define BACKEND                                                                                              \
    "backends={backend={service={namespace=default hostname=s.default.svc.cluster.local} port=80} weight=1"

static void rule_filters(void **state)
{
    expect_resources(
        GATEWAY ROUTE
        "  rules:\n"
        "  - timeouts: {request: 1m30s, backendRequest: 500ms}\n"
        "    filters:\n"
        "    - type: RequestHeaderModifier\n"
        "      requestHeaderModifier: {set: [{name: A, value: b}], add: [{name: C, value: d}], remove: [E]}\n"
        "    - {type: ResponseHeaderModifier, responseHeaderModifier: {remove: [X]}}\n"
        "    - type: URLRewrite\n"
        "      urlRewrite: {hostname: h.com, path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}\n",
        "route/",
        HEAD
        " traffic_policies={request_header_modifier={add={name=C value=d} set={name=A value=b} remove=E}} "
        "traffic_policies={response_header_modifier={remove=X}} "
        "traffic_policies={url_rewrite={host=h.com prefix=/}} "
        "traffic_policies={timeout={request={seconds=90} backend_request={nanos=500000000}}}}\n");
    expect_resources(GATEWAY ROUTE "  rules: [{timeouts: {request: 0s}}]\n", "route/", HEAD "}\n");
}

static void cors(void **state)
{
    struct translated t;

    expect_resources(
        GATEWAY ROUTE
        "  rules: [{filters: [{type: CORS, cors: {allowOrigins: ['https://*.a.b'], allowMethods: "
        "[GET, PUT], allowHeaders: [x-a], exposeHeaders: [x-b], allowCredentials: true, maxAge: "
        "60}}]}]\n",
        "route/",
        HEAD " traffic_policies={cors={allow_credentials=1 allow_headers=x-a allow_methods=GET "
             "allow_methods=PUT allow_origins=https://*.a.b expose_headers=x-b max_age={seconds=60}}}}\n");
    expect_resources(GATEWAY ROUTE "  rules: [{filters: [{type: CORS, cors: {}}]}]\n", "route/",
                     HEAD " traffic_policies={cors={max_age={seconds=5}}}}\n");
    t = translate(
        GATEWAY ROUTE
        "  rules: [{filters: [{type: CORS, cors: {allowOrigins: ['*', 'https://a.b'], allowMethods: "
        "[FETCH], maxAge: 0}}]}]\n");
    assert_non_null(strstr(t.findings, "allowMethods[0]: \"FETCH\" is not one of GET, "));
    assert_non_null(strstr(t.findings, "maxAge: must be 1 to "));
    translated_free(&t);
    t = translate(GATEWAY ROUTE
                  "  rules: [{filters: [{type: CORS, cors: {allowOrigins: ['*', 'https://a.b']}}]}]\n");
    assert_non_null(strstr(t.findings, "cors.allowOrigins[0]: * must stand alone"));
    translated_free(&t);
}

static void retry(void **state)
{
    struct translated t;

    expect_resources(
        GATEWAY ROUTE "  rules: [{retry: {codes: [500, 503], attempts: 2, backoff: 100ms}}]\n", "route/",
        HEAD " traffic_policies={retry={retry_status_codes=500 retry_status_codes=503 attempts=2 "
             "backoff={nanos=100000000}}}}\n");
    expect_resources(GATEWAY ROUTE "  rules: [{retry: {}}]\n", "route/",
                     HEAD " traffic_policies={retry={attempts=1}}}\n");
    t = translate(GATEWAY ROUTE "  rules: [{retry: {codes: [200], attempts: 0, backoff: soon}}]\n");
    assert_non_null(strstr(t.findings, "retry.codes[0]: must be 400 to 599, is 200"));
    assert_non_null(strstr(t.findings, "retry.attempts: must be 1 to "));
    assert_non_null(strstr(t.findings, "retry.backoff: \"soon\" is not a duration"));
    translated_free(&t);
}

#define MIRROR "backend={service={namespace=default hostname=s.default.svc.cluster.local} port=80}"

static void mirrors(void **state)
{
    struct translated t;

    expect_resources(
        GATEWAY SERVICE ROUTE
        "  rules:\n"
        "  - filters:\n"
        "    - {type: RequestMirror, requestMirror: {backendRef: {name: s, port: 80}}}\n"
        "    - {type: RequestMirror, requestMirror: {backendRef: {name: s, port: 80}, percent: 25}}\n"
        "    - {type: RequestMirror, requestMirror: {backendRef: {name: s, port: 80}, fraction: {numerator: "
        "1, "
        "denominator: 8}}}\n"
        "    backendRefs:\n"
        "    - name: s\n"
        "      port: 80\n"
        "      filters: [{type: RequestMirror, requestMirror: {backendRef: {name: s, port: 80}}}]\n",
        "route/",
        HEAD " " BACKEND " backend_policies={request_mirror={mirrors={" MIRROR " percentage=100}}}} "
             "traffic_policies={request_mirror={mirrors={" MIRROR " percentage=100} mirrors={" MIRROR
             " percentage=25} mirrors={" MIRROR " percentage=12.5}}}}\n");
    t = translate(GATEWAY ROUTE
                  "  rules: [{filters: [{type: RequestMirror, requestMirror: {backendRef: {name: s, "
                  "port: 80}}}]}]\n");
    expect_lines(t.resources, "route/", HEAD "}\n"); /* the rule works without the copies */
    assert_non_null(strstr(t.findings, "there is no Service default/s: nothing is mirrored to it "
                                       "(BackendNotFound)"));
    translated_free(&t);
    t = translate(GATEWAY ROUTE
                  "  rules: [{filters: [{type: RequestMirror, requestMirror: {backendRef: {name: s}, "
                  "percent: 1, fraction: {numerator: 3, denominator: 2}}}]}]\n");
    assert_non_null(strstr(t.findings, "backendRef.port: is required for a Service"));
    assert_non_null(strstr(t.findings, "fraction: must not be set together with percent"));
    assert_non_null(strstr(t.findings, "fraction: numerator must not be larger than denominator"));
    translated_free(&t);
}

static void redirects(void **state)
{
    expect_resources(
        GATEWAY ROUTE
        "  rules: [{filters: [{type: RequestRedirect, requestRedirect: {scheme: https, port: 8443, "
        "statusCode: 301, path: {type: ReplaceFullPath, replaceFullPath: /x}}}]}]\n",
        "route/", HEAD " traffic_policies={request_redirect={scheme=https full=/x port=8443 status=301}}}\n");
    expect_resources(GATEWAY ROUTE
                     "  rules: [{filters: [{type: RequestRedirect, requestRedirect: {hostname: a.b}}]}]\n",
                     "route/", HEAD " traffic_policies={request_redirect={host=a.b status=302}}}\n");
}

static void backend_filters(void **state)
{
    expect_resources(
        GATEWAY SERVICE ROUTE
        "  rules: [{backendRefs: [{name: s, port: 80, filters: [{type: RequestHeaderModifier, "
        "requestHeaderModifier: {set: [{name: A, value: b}]}}]}]}]\n",
        "route/", HEAD " " BACKEND " backend_policies={request_header_modifier={set={name=A value=b}}}}}\n");
}

/* A rule with a filter that is not served loses its backends and all else: it answers 500. */
static void unserved_rule_filter(void **state)
{
    struct translated t = translate(
        GATEWAY SERVICE ROUTE "  rules:\n"
                              "  - backendRefs: [{name: s, port: 80}]\n"
                              "    filters:\n"
                              "    - {type: RequestHeaderModifier, requestHeaderModifier: {remove: [X]}}\n"
                              "    - {type: ExternalAuth, externalAuth: {}}\n"
                              "  - matches: [{path: {value: /ok}}]\n"
                              "    backendRefs: [{name: s, port: 80}]\n");

    assert_string_equal(
        t.findings,
        "warning: m.yaml:29: HTTPRoute default/r: spec.rules[0].filters[1]: the filter ExternalAuth "
        "is not served here: requests are answered 500 (UnsupportedValue)\n");
    expect_lines(t.resources, "route/",
                 HEAD " traffic_policies={direct_response={status=500 body=a filter of this route is not "
                      "served\\n}}}\n"
                      "route/default/r.01.http {key=default/r.01.http listener_key=default/gw.http "
                      "name={kind=HTTPRoute name=r "
                      "namespace=default} matches={path={path_prefix=/ok}} " BACKEND "}}\n");
    translated_free(&t);
}

static void unserved_backend_filter(void **state)
{
    struct translated t =
        translate(GATEWAY SERVICE ROUTE "  rules:\n"
                                        "  - backendRefs:\n"
                                        "    - {name: s, port: 80, weight: 3, filters: [{type: ExtensionRef, "
                                        "extensionRef: {group: '', kind: Thing, name: x}}]}\n"
                                        "    - {name: s, port: 80}\n");

    expect_lines(t.resources, "route/", HEAD " backends={backend={} weight=3} " BACKEND "}}\n");
    assert_string_equal(
        t.findings,
        "warning: m.yaml:27: HTTPRoute default/r: spec.rules[0].backendRefs[0].filters[0].extensionRef: "
        "kind Thing of group \"\" is no filter that is served: requests are answered 500 (InvalidKind)\n");
    translated_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rule_filters),
        cmocka_unit_test(cors),
        cmocka_unit_test(retry),
        cmocka_unit_test(mirrors),
        cmocka_unit_test(redirects),
        cmocka_unit_test(backend_filters),
        cmocka_unit_test(unserved_rule_filter),
        cmocka_unit_test(unserved_backend_filter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
