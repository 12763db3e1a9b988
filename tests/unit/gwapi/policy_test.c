/* AgentgatewayPolicies: fields, targets, who wins. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "translated.h"

#define POLICY_HEAD(name)                                                                                    \
    "---\napiVersion: agentgateway.dev/v1alpha1\nkind: AgentgatewayPolicy\nmetadata: {name: " name           \
    ", namespace: default}\nspec: "
#define POLICY(name, spec) POLICY_HEAD(name) spec "\n"
#define RULES "  rules: [{}]\n"
#define ON_ROUTE "targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: r}]"
#define NAME(n) "name={name=" n " namespace=default kind=AgentgatewayPolicy}"
#define ROUTE_TARGET "target={route={name=r namespace=default kind=HTTPRoute}}"
#define KEY "traffic/HTTPRoute/default/r"
#define HEAD(what) "policy/" KEY ":" what " {key=" KEY ":" what " " NAME("p") " " ROUTE_TARGET " traffic="

static const char all_fields[] = POLICY(
    "p", "{" ON_ROUTE ", traffic: {cors: {allowOrigins: ['*']}, retry: {codes: [503], attempts: 2}, "
         "timeouts: {request: 2s}, delay: {duration: '100'}, directResponse: {status: 503, body: shut}, "
         "headerModifiers: {request: {remove: [a]}, response: {set: [{name: b, value: c}]}}, "
         "hostRewrite: {mode: Auto}}}");

static const char *const made[] = {
    HEAD("cors") "{cors={allow_origins=* max_age={seconds=5}}}}\n",
    HEAD("delay") "{delay={duration=100}}}\n",
    HEAD("direct-response") "{direct_response={status=503 body=shut}}}\n",
    HEAD("host-rewrite") "{host_rewrite={mode=AUTO}}}\n",
    HEAD("request-headers") "{request_header_modifier={remove=a}}}\n",
    HEAD("response-headers") "{response_header_modifier={set={name=b value=c}}}}\n",
    HEAD("retry") "{retry={retry_status_codes=503 attempts=2}}}\n",
    HEAD("timeout") "{timeout={request={seconds=2}}}}\n",
};

static void every_field(void **state)
{
    char yaml[2048], want[4096];
    size_t n = 0;

    snprintf(yaml, sizeof(yaml), "%s%s", GATEWAY ROUTE RULES, all_fields);
    for (size_t i = 0; i < sizeof(made) / sizeof(*made); i++)
        n += (size_t)snprintf(want + n, sizeof(want) - n, "%s", made[i]);
    expect_resources(yaml, "policy/", want);
}

static void targets(void **state)
{
    struct translated t = translate(GATEWAY ROUTE RULES POLICY(
        "p",
        "{targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: gw, sectionName: http}, "
        "{group: "
        "gateway.networking.k8s.io, kind: Gateway, name: gw}, {group: gateway.networking.k8s.io, kind: "
        "Gateway, name: missing}], strategy: {inheritance: Override}, traffic: {delay: {duration: '1'}}}"));

    assert_non_null(
        strstr(t.resources, "key=traffic/Gateway/default/gw:delay " NAME(
                                "p") " target={gateway={name=gw namespace=default}} traffic={delay="));
    assert_non_null(strstr(t.resources, "target={gateway={name=gw namespace=default listener=http}}"));
    assert_non_null(strstr(t.resources, "inheritance=OVERRIDE"));
    assert_non_null(strstr(t.findings, "spec.targetRefs[2]: there is no Gateway default/missing: no effect"));
    translated_free(&t);
}

static void selectors(void **state)
{
    struct translated t = translate(
        GATEWAY
        "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n"
        "metadata: {name: a, labels: {team: x}}\nspec: {parentRefs: [{name: gw}], rules: [{}]}\n"
        "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n"
        "metadata: {name: b, labels: {team: y}}\nspec: {parentRefs: [{name: gw}], rules: [{}]}\n" POLICY(
            "p", "{targetSelectors: [{group: gateway.networking.k8s.io, kind: HTTPRoute, matchLabels: "
                 "{team: x}, sectionName: one}], traffic: {delay: {duration: '1'}}}"));

    assert_non_null(strstr(t.resources, "key=traffic/HTTPRoute/default/a/one:delay"));
    assert_non_null(strstr(t.resources, "target={route={name=a namespace=default route_rule=one"));
    assert_null(strstr(t.resources, "key=traffic/HTTPRoute/default/b"));
    translated_free(&t);
}

/* Without times the name decides; each field on its own. */
static void older_policy_wins(void **state)
{
    struct translated t = translate(GATEWAY ROUTE RULES POLICY(
        "b", "{" ON_ROUTE ", traffic: {delay: {duration: '2'}, hostRewrite: "
             "{mode: None}}}") POLICY("a", "{" ON_ROUTE ", traffic: {delay: {duration: '1'}}}"));

    expect_lines(t.resources, "policy/",
                 "policy/" KEY ":delay {key=" KEY
                 ":delay " NAME("a") " " ROUTE_TARGET " traffic={delay={duration=1}}}\npolicy/" KEY
                                     ":host-rewrite {key=" KEY
                                     ":host-rewrite " NAME("b") " " ROUTE_TARGET
                                                                " traffic={host_rewrite={}}}\n");
    assert_non_null(strstr(t.findings,
                           "AgentgatewayPolicy default/b: spec.traffic.delay: an older policy says it of "
                           "HTTPRoute/default/r already: no effect there"));
    translated_free(&t);
}

#define ON_GATEWAY "targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: gw}]"
#define FRONT(what)                                                                                          \
    "policy/frontend/default/gw:0:" what " {key=frontend/default/gw:0:" what                                 \
    " target={gateway={name=gw namespace=default}} frontend="

static void fronts(void **state)
{
    expect_resources(
        GATEWAY POLICY(
            "p", "{" ON_GATEWAY
                 ", frontend: {http: {maxBufferSize: 2Mi, http1MaxHeaders: 99, http1IdleTimeout: 10s, "
                 "http1HeaderCase: Preserve, http2WindowSize: 1, http2ConnectionWindowSize: 1.5k, "
                 "http2FrameSize: '16384', http2KeepaliveInterval: 20s, http2KeepaliveTimeout: 3s, "
                 "http2MaxHeaderSize: 64Ki, maxConnectionDuration: 1h}, "
                 "tcp: {keepalive: {time: 60s, interval: 5s, retries: 3}}, "
                 "tls: {handshakeTimeout: 2500ms, alpnProtocols: [http/1.1], cipherSuites: "
                 "[TLS13_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384], keyExchangeGroups: "
                 "[P-256, X25519_MLKEM768], minProtocolVersion: '1.2', maxProtocolVersion: '1.3'}}}"),
        "policy/",
        FRONT("http") "{http={max_buffer_size=2097152 http1_max_headers=99 http1_idle_timeout={seconds=10} "
                      "http2_window_size=1 http2_connection_window_size=1500 http2_frame_size=16384 "
                      "http2_keepalive_interval={seconds=20} http2_keepalive_timeout={seconds=3} "
                      "max_connection_duration={seconds=3600} http2_max_header_size=65536 "
                      "http1_header_case=PRESERVE}}}\n" FRONT(
                          "tcp") "{tcp={keepalives={time={seconds=60} interval={seconds=5} "
                                 "retries=3}}}}\n" FRONT(
                                     "tls") "{tls={handshake_timeout={seconds=2 "
                                            "nanos=500000000} alpn={protocols=http/1.1} "
                                            "cipher_suites=TLS_AES_128_GCM_SHA256 "
                                            "cipher_suites=TLS_ECDHE_RSA_WITH_AES_256_GCM_"
                                            "SHA384 min_version=TLS_V1_2 "
                                            "max_version=TLS_V1_3 key_exchange_groups=P256 "
                                            "key_exchange_groups=X25519_MLKEM768}}}\n");
}

#define ON_BACKEND "targetRefs: [{group: agentgateway.dev, kind: AgentgatewayBackend, name: b}]"
#define NAMED(n) "name={name=" n " namespace=default kind=AgentgatewayPolicy} "

static void of_backends(void **state)
{
    expect_resources(
        GATEWAY
        "---\napiVersion: v1\nkind: Service\nmetadata: {name: s}\n"
        "spec: {ports: [{name: web, port: 80}, {name: other, port: 81}]}\n"
        "---\napiVersion: agentgateway.dev/v1alpha1\nkind: AgentgatewayBackend\nmetadata: {name: b}\n"
        "spec: {static: {host: b.example, port: 80}}\n" POLICY(
            "p", "{targetRefs: [{group: '', kind: Service, name: s, sectionName: web}], backend: {health: "
                 "{active: {interval: 2s, unhealthyThreshold: 2, http: {path: /ok, expectedStatuses: [200, "
                 "204]}}}, loadBalancer: {type: ConsistentHash, consistentHash: {type: Header, name: "
                 "X-User}, slowStart: {window: 10s}}}}")
            POLICY("q", "{targetRefs: [{group: '', kind: Service, name: s}], backend: {loadBalancer: {type: "
                        "RoundRobin}}}")
                POLICY("r", "{" ON_BACKEND ", backend: {tcp: {connectTimeout: 1s}}}"),
        "policy/",
        "policy/backend/AgentgatewayBackend/default/b:backend_tcp "
        "{key=backend/AgentgatewayBackend/default/b:backend_tcp " NAMED(
            "r") "target={backend={name=b namespace=default}} "
                 "backend={backend_tcp={connect_timeout={seconds=1}}}}\n"
                 "policy/backend/Service/default/s/web:health "
                 "{key=backend/Service/default/s/web:health " NAMED(
                     "p") "target={service={namespace=default hostname=s.default.svc.cluster.local port=80}} "
                          "backend={health={active={interval={seconds=2} unhealthy_threshold=2 "
                          "http={path=/ok expected_statuses=200 expected_statuses=204}}}}}\n"
                          "policy/backend/Service/default/s/web:load_balancer "
                          "{key=backend/Service/default/s/web:load_balancer " NAMED(
                              "p") "target={service={namespace=default hostname=s.default.svc.cluster.local "
                                   "port=80}} backend={load_balancer={type=CONSISTENT_HASH "
                                   "consistent_hash={source=HEADER name=X-User} "
                                   "slow_start={seconds=10}}}}\n"
                                   "policy/backend/Service/default/s:load_balancer "
                                   "{key=backend/Service/default/s:load_balancer " NAMED(
                                       "q") "target={service={namespace=default "
                                            "hostname=s.default.svc.cluster.local}} "
                                            "backend={load_balancer={type=ROUND_ROBIN}}}\n");
}

#define AUTHORIZE(action, expression)                                                                        \
    "backend: {mcp: {authorization: {action: " action ", policy: {matchExpressions: ['" expression "']}}}}}" \
    "\n"
#define ON_BACKEND "targetRefs: [{group: agentgateway.dev, kind: AgentgatewayBackend, name: b}]"
#define AUTHORIZED(target, name, message, rule)                                                              \
    "policy/backend/" target ":mcp_authorization/default/" name " {key=backend/" target                      \
    ":mcp_authorization/default/" name " " NAME(name) " target={" message                                    \
                                                      "} backend={mcp_authorization={" rule "}}}\n"

/* Each of several policies for one place is one more. */
static void authorization_of_mcp(void **state)
{
    expect_resources(
        GATEWAY ROUTE RULES POLICY_HEAD("p") "{" ON_BACKEND ", " AUTHORIZE("Deny", "a")
            POLICY_HEAD("q") "{" ON_BACKEND ", " AUTHORIZE("Require", "b")
                POLICY_HEAD("r") "{" ON_ROUTE ", " AUTHORIZE(
                    "Allow", "c") "---\napiVersion: agentgateway.dev/v1alpha1\nkind: "
                                  "AgentgatewayBackend\nmetadata: {name: b}\n"
                                  "spec: {static: {host: b.com, port: 1}}\n",
        "policy/",
        AUTHORIZED("AgentgatewayBackend/default/b", "p", "backend={name=b namespace=default}", "deny=a")
            AUTHORIZED("AgentgatewayBackend/default/b", "q", "backend={name=b namespace=default}",
                       "require=b") AUTHORIZED("HTTPRoute/default/r", "r",
                                               "route={name=r namespace=default kind=HTTPRoute}", "allow=c"));
}

#define PROVIDER(issuer) "{issuer: " issuer ", audiences: [a], jwks: {inline: '{}'}}"

static void tokens(void **state)
{
    expect_resources(
        GATEWAY ROUTE RULES POLICY_HEAD(
            "p") "{" ON_ROUTE
                 ", traffic: {jwtAuthentication: {providers: [" PROVIDER(
                     "i") "], location: "
                          "{header: {name: X-T, prefix: 'T '}}, mcp: {resourceMetadata: {s: [x, 1.5, "
                          "true, null], m: {k: v}}}}}}\n" POLICY_HEAD(
                              "q") "{" ON_ROUTE
                                   ", backend: {mcp: {authentication: {issuer: i, mode: Permissive, jwks: "
                                   "{inline: '{}'}}}}}\n",
        "policy/",
        "policy/backend/HTTPRoute/default/r:mcp_authentication "
        "{key=backend/HTTPRoute/default/r:mcp_authentication " NAME(
            "q") " " ROUTE_TARGET " backend={mcp_authentication={issuer=i jwks_inline={} mode=PERMISSIVE}}}\n"
                 "policy/traffic/HTTPRoute/default/r:jwt {key=traffic/HTTPRoute/default/r:jwt " NAME(
                     "p") " " ROUTE_TARGET " traffic={jwt={mode=STRICT providers={issuer=i audiences=a "
                          "inline={}} mcp={resource_metadata={"
                          "extra={key=s value={list_value={values={string_value=x} values={number_value=1.5} "
                          "values={bool_value=1} "
                          "values={null_value=NULL_VALUE}}}} extra={key=m value={struct_value={fields={key=k "
                          "value={string_value=v}}}}}}} "
                          "authorization_location={header={name=X-T prefix=T }}}}}\n");
}

static const char *const refusals[][2] = {
    {"{" ON_ROUTE ", traffic: {phase: PreRouting, cors: {}}}", "traffic.phase: PreRouting is not served"},
    {"{" ON_ROUTE ", traffic: {jwtAuthentication: {}}}", "traffic.jwtAuthentication.providers: is required"},
    {"{" ON_ROUTE
     ", traffic: {jwtAuthentication: {providers: [" PROVIDER("i") "], mode: Optional, mcp: {}}}}",
     "jwtAuthentication.mcp: needs mode Strict"},
    {"{" ON_ROUTE
     ", traffic: {jwtAuthentication: {providers: [" PROVIDER("i") ", " PROVIDER("j") "], mcp: {}}}}",
     "jwtAuthentication.mcp: needs exactly one provider"},
    {"{" ON_ROUTE ", traffic: {jwtAuthentication: {providers: [{issuer: i, jwks: {remote: {}}}]}}}",
     "jwks.remote.backendRef: is required"},
    {"{" ON_ROUTE ", traffic: {jwtAuthentication: {providers: [{issuer: i, jwks: {remote: {backendRef: "
     "{name: s}, jwksPath: /k}}}]}}}",
     "jwks.remote.backendRef.port: is required for a Service"},
    {"{" ON_ROUTE ", traffic: {jwtAuthentication: {providers: [{issuer: i, jwks: {inline: '{}', remote: "
     "{backendRef: {name: s, port: 1}, jwksPath: /k}}}]}}}",
     "jwks: needs exactly one of inline and remote"},
    {"{" ON_ROUTE ", traffic: {jwtAuthentication: {providers: [" PROVIDER("i") "], location: {cookie: {}}}}}",
     "location.cookie: is not served"},
    {"{" ON_ROUTE
     ", backend: {mcp: {authentication: {issuer: i, jwks: {inline: '{}'}, resourceMetadata: 1}}}}",
     "resourceMetadata: must be a map"},
    {"{" ON_ROUTE ", backend: {mcp: {authentication: {issuer: i, jwks: {jwksPath: /k}}}}}",
     "jwks: needs backendRef and jwksPath"},
    {"{" ON_ROUTE
     ", backend: {mcp: {authentication: {issuer: i, jwks: {inline: '{}'}, provider: Keycloak}}}}",
     "authentication.provider: needs keys that are fetched"},
    {"{" ON_ROUTE ", backend: {mcp: {authentication: {issuer: i, jwks: {inline: '{}', cacheDuration: 5m}}}}}",
     "jwks: needs either inline, or backendRef and jwksPath"},
    {"{" ON_ROUTE ", traffic: {jwtAuthentication: {providers: [" PROVIDER(
         "i") "]}}, backend: {mcp: "
              "{authentication: {issuer: i, jwks: {inline: '{}'}}}}}",
     "must not be set together with traffic.jwtAuthentication"},
    {"{" ON_ROUTE ", traffic: {retry: {condition: 'true'}}}", "retry.condition: is not served"},
    {"{" ON_ROUTE ", backend: {}}", "spec.backend: needs a member"},
    {"{" ON_ROUTE ", backend: {auth: {key: a, passthrough: {}}}}",
     "spec.backend.auth: needs exactly one of key, secretRef and passthrough"},
    {"{" ON_ROUTE ", backend: {auth: {gcp: {}}}}", "spec.backend.auth.gcp: is not served"},
    {"{" ON_ROUTE ", backend: {mcp: {}}}", "spec.backend.mcp: needs a member"},
    {"{" ON_ROUTE ", backend: {mcp: {guardrails: {}}}}", "spec.backend.mcp.guardrails: is not served"},
    {"{" ON_ROUTE ", backend: {mcp: {authorization: {policy: {matchExpressions: []}}}}}",
     "matchExpressions: must have 1 or more items"},
    {"{targetRefs: [{group: '', kind: Service, name: s}], backend: {mcp: {authorization: {policy: "
     "{matchExpressions: [a]}}}}}",
     "backend.mcp must not be said of a Service"},
    {"{" ON_ROUTE ", backend: {loadBalancer: {type: ConsistentHash}}}", "consistentHash belongs to type"},
    {"{" ON_ROUTE ", backend: {loadBalancer: {type: RoundRobin, consistentHash: {type: SourceIP}}}}",
     "consistentHash belongs to type"},
    {"{" ON_ROUTE ", backend: {loadBalancer: {type: ConsistentHash, consistentHash: {type: Header}}}}",
     "needs the name of the header, cookie or parameter"},
    {"{" ON_ROUTE ", backend: {loadBalancer: {type: ConsistentHash, consistentHash: {type: SourceIP, name: "
     "x}}}}",
     "SourceIP has no name"},
    {"{" ON_ROUTE ", backend: {loadBalancer: {type: RoundRobin, slowStart: {window: 1ms}}}}",
     "a duration from 100ms to 24h"},
    {"{" ON_ROUTE ", backend: {health: {active: {http: {expectedStatuses: [99]}}}}}", "must be 100 to 599"},
    {"{" ON_BACKEND ", traffic: {cors: {}}}", "traffic policies of agentgateway.dev AgentgatewayBackend"},
    {"{targetRefs: [{group: agentgateway.dev, kind: AgentgatewayBackend, name: b, sectionName: x}], "
     "backend: "
     "{tcp: {}}}",
     "policies of a part of a backend are not served"},
    {"{" ON_ROUTE ", frontend: {proxyProtocol: {}}}", "frontend can target a Gateway alone"},
    {"{" ON_ROUTE ", frontend: {metrics: {}}}", "spec.frontend.metrics: is not served"},
    {"{" ON_GATEWAY ", frontend: {}}", "spec.frontend: needs a member"},
    {"{" ON_GATEWAY ", frontend: {http: {}}}", "spec.frontend.http: needs a member"},
    {"{" ON_GATEWAY ", frontend: {http: {http1MaxHeaders: 4097}}}", "must be 1 to 4096, is 4097"},
    {"{" ON_GATEWAY ", frontend: {http: {http1IdleTimeout: 999ms}}}", "a duration of a second or more"},
    {"{" ON_GATEWAY ", frontend: {http: {http2WindowSize: 4Gi}}}", "below 4Gi"},
    {"{" ON_GATEWAY ", frontend: {http: {http2WindowSize: 0}}}", "http2WindowSize: must be"},
    {"{" ON_GATEWAY ", frontend: {http: {http2FrameSize: 16383}}}", "must be from 16384 to 1677215"},
    {"{" ON_GATEWAY ", frontend: {http: {http2FrameSize: 2Mi}}}", "must be from 16384 to 1677215"},
    {"{" ON_GATEWAY ", frontend: {tls: {alpnProtocols: [h3]}}}", "alpnProtocols[0]"},
    {"{" ON_GATEWAY ", frontend: {tcp: {}}}", "tcp.keepalive: is required"},
    {"{" ON_ROUTE ", traffic: {cors: {allowHeaders: ['*', a]}}}", "allowHeaders[0]: * must stand alone"},
    {"{" ON_ROUTE ", traffic: {directResponse: {status: 199}}}", "status: must be 200 to 599, is 199"},
    {"{traffic: {}}", "needs exactly one of targetRefs and targetSelectors"},
    {"{targetRefs: [{group: '', kind: Service, name: s}], traffic: {}}", "are not served"},
};

static void refused(void **state)
{
    for (size_t i = 0; i < sizeof(refusals) / sizeof(*refusals); i++) {
        char yaml[2048];

        snprintf(yaml, sizeof(yaml), "%s%s\n", GATEWAY ROUTE RULES POLICY_HEAD("p"), refusals[i][0]);
        struct translated t = translate(yaml);
        if (!strstr(t.findings, refusals[i][1]))
            fail_msg("%s: %s", refusals[i][0], t.findings);
        translated_free(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_field),
                                       cmocka_unit_test(targets),
                                       cmocka_unit_test(fronts),
                                       cmocka_unit_test(of_backends),
                                       cmocka_unit_test(selectors),
                                       cmocka_unit_test(older_policy_wins),
                                       cmocka_unit_test(authorization_of_mcp),
                                       cmocka_unit_test(tokens),
                                       cmocka_unit_test(refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
