"""The rules of Gateway API that implementations get wrong, each tried through manifests on the running gateway.

Numbers are those of the project's list of such rules; what has no test here is proved elsewhere (of the tests without a
file, those of filters and timeouts are in test_filters):

 1 precedence over all rules of all routes     test_precedence_over_all_routes, test_ties; test_routing: test_precedence_*, test_oldest_*
 2 the hostname decides first                  test_less_specific_hostname_serves_what_the_other_leaves; test_routing: test_host_is_*
 3 prefixes by element                         test_paths_are_compared_as_sent; test_routing: test_paths_match_by_element_*
 4 headers and query parameters                test_header_conditions, test_query_conditions
 5 what Host may look like                     test_forms_of_a_host
 6 hostnames of listener and route             test_wildcards_intersect; test_routing: test_listener_hostname_*
 7 no rule: 404                                test_routing
 8 a request stays with its listener           test_gateways_on_*; test_routing: test_request_stays_*
 9 parentRefs by name and port                 test_one_route_on_*, test_namespace_selector; test_routing: test_parent_reference_*
10 misdirected requests                        test_host_of_no_tls_listener_finds_no_route; test_tls: test_request_for_another_*
11 conflicts of listeners                      test_conflict_of_protocols_stays_on_its_port, test_rule_11_*
12 references that do not resolve              test_share_of_what_does_not_resolve; test_routing: test_backends_that_*
13 weights, no endpoints                       test_share_of_what_does_not_resolve, test_endpoints_that_are_not_ready; test_routing
14 EndpointSlices                              test_target_port_by_name_*, test_slice_without_the_port, test_headless_service, test_rule_14_*
15 filters of a backendRef                     test_backend_filters_come_after_the_rules; test_mirror: test_mirrors_of_a_*
16 appProtocol                                 test_routing: test_h2c_*; test_upgrade: test_rule16_*; test_tls_upstream: test_rule_16_*
17 ReferenceGrant                              test_grants_that_do_not_fit; test_routing: test_reference_*
18 header filters                              test_header_filters_on_one_name, test_response_filter_*
19 redirects                                   test_redirect_statuses, test_redirect_on_https, test_redirect_without_a_host; test_routing: test_redirect
20 path rewrites                               test_prefix_rewrite_joins, test_rewrite_and_header_filters
21 host rewrites                               test_host_of_a_named_backend; test_routing: test_full_path_*
22 mirrors                                    test_mirror
23 CORS                                       test_cors
24 timeouts                                    test_timeout_*; test_routing: test_timeouts
25 retries                                    test_retry
26 filters that are not served                 test_unserved_filter_of_a_backend, test_rule_26_*; test_routing: test_unknown_filter_*
27 certificates                                test_unusable_certificates; test_tls
28 TLSRoutes                                   test_rule_28_*; test_l4: test_rule_28_*
29 BackendTLSPolicy                            test_tls_upstream: test_rule_29_*
30 client certificates of both sides           test_tls_upstream: test_rule_30_*; test_tls_listener
31 GRPCRoutes                                  test_grpc: test_rule31_*
32 TCPRoutes                                   test_l4: test_rule_32_*
33 ListenerSets                                test_listener_sets
"""

import http.client
import ssl

import pytest
import yaml

import manifests as m
from certificates import Authority
from client import Connection, ask
from gateway import eventually, run
from ports import free_port, free_ports
from rules import NAMES, https, served_by, shares

OLD, NEW = "2024-01-01T00:00:00Z", "2025-01-01T00:00:00Z"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("rules-ca"))


# --- matching ---


def test_precedence_over_all_routes(serve):
    """A more specific match wins from wherever it stands: another rule, another route, a newer route."""
    header = {"headers": [{"name": "x", "value": "1"}]}
    two = {"headers": [{"name": "x", "value": "1"}, {"name": "y", "value": "1"}]}
    query = {"queryParams": [{"name": "a", "value": "1"}, {"name": "b", "value": "1"}]}
    site = serve(
        m.route("old", m.rule("v1", matches=[m.prefix("/"), m.prefix("/p"), {**m.prefix("/p"), **query}]), created=OLD),
        m.route(
            "new",
            m.rule("v2", matches=[m.exact("/p/exact"), {**m.prefix("/p"), **header}, m.prefix("/p/longer")]),
            m.rule("v3", matches=[{**m.prefix("/p"), "method": "POST"}, {**m.prefix("/p"), **two}]),
            created=NEW,
        ),
    )
    x, xy = {"x": "1"}, {"x": "1", "y": "1"}
    for path, method, headers, expected in [
        ("/", "GET", {}, "v1"),
        ("/p", "GET", {}, "v1"),
        ("/p", "GET", x, "v2"),
        ("/p", "GET", xy, "v3"),
        ("/p?a=1&b=1", "GET", {}, "v1"),
        ("/p?a=1&b=1", "GET", x, "v2"),  # a header counts before any number of parameters
        ("/p", "POST", x, "v3"),  # a method before any number of headers
        ("/p/exact", "POST", xy, "v2"),  # the path before all
        ("/p/longer/x", "POST", xy, "v2"),
    ]:
        assert served_by(site.port, path, method=method, headers=headers) == expected, (path, method, headers)


def contest(path, *places):
    """Routes that all match |path|; the first place is to win. A place is (namespace, name, created)."""
    return [
        m.route(name, m.rule(m.ref(up, namespace=m.NAMESPACE), matches=[m.prefix(path)]), namespace=ns, created=created)
        for up, (ns, name, created) in zip(NAMES, places)
    ]


def test_ties(serve):
    """Older first; a route without a time is the newest, as if applied now; then namespace/name; then the rule."""
    site = serve(
        [m.grant(m.NAMESPACE, ns) | {"metadata": m.meta(f"from-{ns}")} for ns in ("alpha", "alpha-2", "beta")],
        contest("/age", ("test", "z", OLD), ("test", "b", NEW), ("test", "a", None)),
        contest("/namespace", ("alpha", "z", OLD), ("beta", "a", OLD), ("beta", "b", OLD)),
        # "namespace/name" is compared as one text.
        contest("/one-text", ("alpha-2", "w", OLD), ("alpha", "w", OLD)),
        contest("/untimed-namespace", ("alpha", "y", None), ("beta", "c", None)),
        # A name that begins another one comes first, whatever stands behind it in a key.
        contest("/name", ("test", "web", OLD), ("test", "web-2", OLD), ("test", "web.2", OLD)),
        contest("/untimed-name", ("test", "app", None), ("test", "app-2", None), ("test", "app.2", None)),
        m.route("rules", *(m.rule(up, matches=[m.prefix("/rules")]) for up in NAMES)),
        m.route("many", *(m.rule("v1" if n == 0 else "v2", matches=[m.prefix("/many")]) for n in range(12))),
        m.route("matches", m.rule("v1", matches=[m.prefix(f"/m/{n}") for n in range(20)] + [m.prefix("/matches")])),
    )
    for path in (
        *("/age", "/namespace", "/one-text", "/untimed-namespace", "/name", "/untimed-name"),
        *("/rules", "/many", "/matches", "/m/19"),
    ):
        assert served_by(site.port, path) == "v1", path


def test_less_specific_hostname_serves_what_the_other_leaves(serve):
    site = serve(
        m.route("exact", m.rule("v1", matches=[m.prefix("/only")]), hostnames=["a.b.test"]),
        m.route("long", m.rule("v2", matches=[m.prefix("/only"), m.exact("/exact")]), hostnames=["*.b.test"]),
        m.route("short", m.rule("v3", matches=[m.prefix("/")]), hostnames=["*.test"], created=OLD),
    )
    for host, path, expected in [
        ("a.b.test", "/only", "v1"),
        ("a.b.test", "/exact", "v2"),
        ("a.b.test", "/", "v3"),
        ("c.b.test", "/only", "v2"),
        ("c.b.test", "/other", "v3"),
        ("b.test", "/only", "v3"),
        ("test", "/only", 404),
    ]:
        assert served_by(site.port, path, host) == expected, (host, path)


def test_paths_are_compared_as_sent(serve):
    site = serve(
        m.route(
            "r",
            m.rule("v1", matches=[m.exact("/a%20b"), m.prefix("/enc%C3%A9")]),
            m.rule("v2", matches=[m.prefix("/a")]),
            m.rule("v3", matches=[m.prefix("/x")]),
        )
    )
    for path, expected in {
        "/a%20b": "v1",
        "/enc%C3%A9/x": "v1",
        "/a%2Fb": 404,  # an encoded slash is no border of an element
        "/a/%2F": "v2",
        "/a/../x": "v3",
        "/a/%2e%2E/x": "v3",
        "/x//y": "v3",
        "//x": 404,
    }.items():
        assert served_by(site.port, path) == expected, path
    # What matched is what goes on: nothing is decoded on the way.
    assert ask(site.port, path="/a/%2F?b=%20").json()["path"] == "/a/%2F?b=%20"


def test_many_matches_keep_their_order(serve):
    """With many matches a table of paths is used: it answers as the short list does."""
    filler = [m.rule("v3", matches=[m.prefix(f"/filler/{n}")]) for n in range(12)]
    expression = {"path": {"type": "RegularExpression", "value": "/deep/.*/end"}}
    site = serve(
        m.route("filler", *filler),
        m.route(
            "r",
            m.rule("v1", matches=[m.exact("/deep/a/b"), {**m.prefix("/deep/a"), "headers": [{"name": "x", "value": "1"}]}]),
            m.rule("v2", matches=[m.prefix("/deep"), m.prefix("/deep/a/b/c/")]),
            m.rule("v3", matches=[expression, {**m.exact("/deep/a/b"), "method": "PUT"}]),
        ),
    )
    for path, method, headers, expected in [
        ("/deep/a/b", "GET", {}, "v1"),
        ("/deep/a/b", "PUT", {}, "v3"),
        ("/deep/a/b/", "GET", {"x": "1"}, "v1"),
        ("/deep/a/b/", "GET", {}, "v2"),
        ("/deep/a/b/c", "GET", {"x": "1"}, "v2"),
        ("/deep/a/bb", "GET", {}, "v2"),
        ("/deeper", "GET", {}, 404),
        ("/filler/1", "GET", {}, "v3"),
        ("/filler/12", "GET", {}, 404),
    ]:
        assert served_by(site.port, path, method=method, headers=headers) == expected, (path, method, headers)


def test_header_conditions(serve):
    twice = {"headers": [{"name": "X-Twice", "value": "1"}, {"name": "x-twice", "value": "2"}]}
    expression = {"headers": [{"name": "x-version", "type": "RegularExpression", "value": "v[0-9]"}]}
    host = {"headers": [{"name": "Host", "value": "by-header.test"}]}
    site = serve(
        m.route(
            "r",
            m.rule("v1", matches=[{**m.prefix("/twice"), **twice}]),
            m.rule("v2", matches=[{**m.prefix("/expression"), **expression}]),
            m.rule("v3", matches=[{**m.prefix("/host"), **host}]),
        )
    )
    for path, headers, expected in [
        ("/twice", [("X-TWICE", "1")], "v1"),
        ("/twice", [("X-Twice", "2")], 404),
        ("/twice", [], 404),
        # Of several lines the first counts.
        ("/twice", [("X-Twice", "1"), ("X-Twice", "3")], "v1"),
        ("/twice", [("X-Twice", "3"), ("X-Twice", "1")], 404),
        ("/expression", [("X-Version", "v7")], "v2"),
        ("/expression", [("X-Version", "v77")], 404),
        ("/expression", [("X-Version", "V7")], 404),
    ]:
        assert served_by(site.port, path, headers=headers) == expected, (path, headers)
    assert served_by(site.port, "/host", host="by-header.test") == "v3"
    assert served_by(site.port, "/host", host="other.test") == 404


def test_query_conditions(serve):
    def query(name, value, **extra):
        return {"queryParams": [{"name": name, "value": value, **extra}]}

    site = serve(
        m.route(
            "r",
            m.rule("v1", matches=[{**m.prefix("/q"), **query("animal", "blue whale")}]),
            m.rule("v2", matches=[{**m.prefix("/q"), **query("n", "[0-9]+", type="RegularExpression")}]),
            m.rule("v3", matches=[{**m.prefix("/q"), **query("Animal", "ant")}]),
        )
    )
    for target, expected in {
        "/q?animal=blue+whale": "v1",
        "/q?animal=blue%20whale": "v1",
        "/q?%61nimal=blue%20whale&x": "v1",
        "/q?animal=blue%20whale&animal=ant": "v1",
        "/q?animal=ant&animal=blue%20whale": 404,
        "/q?animal": 404,
        "/q?animal=": 404,
        "/q?animal=Blue%20whale": 404,
        "/q?animal=ant": 404,
        "/q?Animal=ant": "v3",
        "/q?n=12": "v2",
        "/q?n=12a": 404,
        "/q?n=%zz": 404,
        "/q": 404,
    }.items():
        assert served_by(site.port, target) == expected, target


def test_forms_of_a_host(serve):
    port = free_port()
    site = serve(
        m.route("name", m.rule("v1"), hostnames=["name.test"]),
        m.route("wild", m.rule("v2"), hostnames=["*.name.test"]),
        m.route("any", m.rule("v3"), parents=[{"name": "gw", "sectionName": "rest"}]),
        listeners=[m.listener(port, "named", "name.test"), m.listener(port, "wild", "*.name.test"), m.listener(port, "rest")],
    )
    for host, expected in {
        "name.test": "v1",
        "NAME.Test:80": "v1",
        f"name.test:{port}": "v1",
        "name.test.": "v1",
        "a.name.test:1": "v2",
        "a.b.name.test": "v2",
        ".name.test": "v3",
        "xname.test": "v3",
        "127.0.0.1": "v3",
        "[::1]:8080": "v3",
        "localhost:8080": "v3",
    }.items():
        assert served_by(port, host=host) == expected, host
    # The target's host counts, not the field (RFC 9112 section 3.2.2).
    assert served_by(port, "http://name.test/x", host="a.name.test") == "v1"


def test_wildcards_intersect(serve):
    port = free_port()
    site = serve(
        m.route("below", m.rule("v1"), hostnames=["*.b.one.test"]),
        m.route("above", m.rule("v2"), hostnames=["*.two.test", "c.b.two.test"]),
        m.route("outside", m.rule("v3"), hostnames=["one.test", "*.three.test", "b.two.test"]),
        listeners=[m.listener(port, "one", "*.one.test"), m.listener(port, "two", "*.b.two.test")],
    )
    for host, expected in {
        "x.b.one.test": "v1",
        "x.y.b.one.test": "v1",
        "b.one.test": 404,
        "x.one.test": 404,
        "x.b.two.test": "v2",
        "c.b.two.test": "v2",
        "b.two.test": 404,
        "x.two.test": 404,
        "one.test": 404,
        "x.three.test": 404,
    }.items():
        assert served_by(port, host=host) == expected, host
    assert "outside" in site.gateway.log() and "NoMatchingListenerHostname" in site.gateway.log()


# --- Gateways and listeners ---


def answer_at(address, port, host="test"):
    connection = http.client.HTTPConnection(address, port, timeout=20)
    try:
        connection.request("GET", "/", headers={"Host": host})
        answer = connection.getresponse()
        body = answer.read()
        return body if answer.status == 200 else answer.status
    finally:
        connection.close()


def gateway_at(name, address, port):
    made = m.gateway(port, name=name)
    made["spec"]["addresses"][0]["value"] = address
    return made


def parent(name, **extra):
    return [{"name": name, "namespace": m.NAMESPACE, **extra}]


def test_gateways_on_one_port_of_two_addresses(start_gateway, ups):
    port = free_port()
    start_gateway(
        gateway_at("one", "127.0.0.1", port),
        gateway_at("two", "127.0.0.2", port),
        [m.service(name, up.port) for name, up in ups.items()],
        m.route("one", m.rule("v1"), parents=parent("one"), hostnames=["test", "one.test"]),
        m.route("two", m.rule("v2"), parents=parent("two"), hostnames=["test"]),
    )
    assert b'"name": "v1"' in answer_at("127.0.0.1", port)
    assert b'"name": "v2"' in answer_at("127.0.0.2", port)
    assert b'"name": "v1"' in answer_at("127.0.0.1", port, "one.test")
    assert answer_at("127.0.0.2", port, "one.test") == 404


def test_one_route_on_listeners_of_one_name(start_gateway, ups):
    """Of two Gateways, and of one under two names: each attachment stands for itself."""
    port, second = free_ports(2)
    one = gateway_at("one", "127.0.0.1", port)
    one["spec"]["listeners"].append(m.listener(second, "other", "*.test"))
    start_gateway(
        one,
        gateway_at("two", "127.0.0.2", port),
        [m.service(name, up.port) for name, up in ups.items()],
        m.route(
            "r",
            m.rule("v1", matches=[m.prefix("/")]),
            m.rule("v2", matches=[m.exact("/two")]),
            parents=[*parent("one"), *parent("one", sectionName="other"), *parent("two", sectionName="http", port=port)],
        ),
    )
    assert b'"name": "v1"' in answer_at("127.0.0.1", port)
    assert b'"name": "v1"' in answer_at("127.0.0.2", port)
    assert served_by(second, "/two", host="a.test") == "v2"
    assert served_by(second, "/two", host="test") == 404


def validate(room, *objects):
    """What --validate says of the objects, and how it ends."""
    (room / "objects.yaml").write_text(yaml.safe_dump_all(m.flat(objects), sort_keys=False))
    result = run("-f", str(room), "--validate")
    return result.returncode, result.stdout + result.stderr


@pytest.mark.parametrize("addresses", [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1")])
def test_gateways_on_one_address_are_refused(tmp_path, addresses):
    code, said = validate(tmp_path, gateway_at("one", addresses[0], 18080), gateway_at("two", addresses[1], 18080))
    assert code == 1
    assert "Gateway test/two" in said and "Gateway test/one" in said and "18080" in said, said


def test_namespace_selector(start_gateway, ups):
    """The label with the namespace's own name is there without being written, as in a cluster."""
    labelled, named = free_ports(2)
    selected = m.listener(labelled, "labelled", allowed="Selector")
    selected["allowedRoutes"]["namespaces"]["selector"] = {"matchLabels": {"team": "a"}}
    by_name = m.listener(named, "named", allowed="Selector")
    by_name["allowedRoutes"]["namespaces"]["selector"] = {"matchLabels": {"kubernetes.io/metadata.name": "plain"}}
    start_gateway(
        m.gateway(listeners=[selected, by_name]),
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team-a", "labels": {"team": "a"}}},
        [m.service("v1", ups["v1"].port, namespace=ns) for ns in ("team-a", "plain")],
        m.route("a", m.rule("v1", matches=[m.prefix("/a")]), namespace="team-a"),
        m.route("p", m.rule("v1", matches=[m.prefix("/p")]), namespace="plain"),
    )
    found = {(port, path): served_by(port, path) for port in (labelled, named) for path in ("/a", "/p")}
    assert found == {(labelled, "/a"): "v1", (labelled, "/p"): 404, (named, "/a"): 404, (named, "/p"): "v1"}


def test_conflict_of_protocols_stays_on_its_port(start_gateway, ups, authority):
    good, bad, odd = free_ports(3)
    listeners = [
        m.listener(good, "good"),
        m.listener(bad, "plain"),
        m.listener(bad, "secure", None, "HTTPS", ["cert"]),
        m.listener(odd, "beside"),
        m.listener(odd, "unknown", protocol="example.com/quic"),
    ]
    gateway = start_gateway(
        m.gateway(listeners=listeners),
        m.tls_secret("cert", *authority.issue("cert.test")),
        m.service("v1", ups["v1"].port),
        m.route("r", m.rule("v1")),
    )
    assert served_by(good) == "v1"
    assert served_by(odd) == "v1"  # a listener of a protocol that is not served takes nothing from its neighbour
    with pytest.raises(ConnectionRefusedError):
        ask(bad)
    assert "ProtocolConflict" in gateway.log() and "UnsupportedProtocol" in gateway.log()


def test_rule_11_https_and_tls_of_one_hostname_are_in_each_others_way(start_gateway, ups, authority):
    """Nobody wins; other hostnames of the port are served."""
    port = free_port()
    listeners = [
        https(port, "secure", "both.test", "cert"),
        m.tls_listener(port, "through", "both.test"),
        https(port, "good", "good.test", "cert"),
    ]
    gateway = start_gateway(
        m.gateway(listeners=listeners),
        m.tls_secret("cert", *authority.issue("good.test", "both.test")),
        m.service("v1", ups["v1"].port),
        m.route("r", m.rule("v1")),
        m.l4_route("TLSRoute", "t", "v1"),
    )
    ca = str(authority.certificate)
    assert ask(port, host="good.test", tls=ca, server_name="good.test").status == 200
    with pytest.raises((ssl.SSLError, ConnectionError)):
        ask(port, host="both.test", tls=ca, server_name="both.test")
    assert gateway.log().count("(HostnameConflict)") == 2


def test_rule_28_passed_through_listener_takes_tls_routes_alone(start_gateway, ups, authority):
    """Neither an HTTPRoute nor a TCPRoute: nobody there could read what they match or answer."""
    port = free_port()
    gateway = start_gateway(
        m.gateway(listeners=[m.tls_listener(port, "through")]),
        m.service("v1", ups["v1"].port),
        m.route("r", m.rule("v1")),
        m.l4_route("TCPRoute", "t", "v1"),
    )
    with pytest.raises((ssl.SSLError, ConnectionError)):
        ask(port, host="a.test", tls=str(authority.certificate), server_name="a.test")
    assert gateway.log().count("(NotAllowedByListeners)") == 2


# --- backends ---


def test_share_of_what_does_not_resolve(serve, ups):
    unknown = {"group": "example.com", "kind": "Thing", "name": "x", "weight": 1}
    far = m.ref("far", namespace="elsewhere", weight=1)
    site = serve(
        m.service("far", ups["v3"].port, namespace="elsewhere"),
        m.service("empty", 1, addresses=()),
        m.route(
            "r",
            m.rule(m.ref("v1", weight=2), far, unknown, matches=[m.prefix("/half")]),
            m.rule(m.ref("v1"), m.ref("missing", weight=0), {**unknown, "weight": 0}, matches=[m.prefix("/zero")]),
            m.rule(m.ref("v1", weight=0), m.ref("missing", weight=3), matches=[m.prefix("/none")]),
            m.rule(m.ref("v1", weight=0), m.ref("v2", weight=0), matches=[m.prefix("/all-zero")]),
            m.rule(m.ref("v1"), m.ref("empty"), matches=[m.prefix("/empty")]),
            m.rule(m.ref("v1", weight=1000000), m.ref("v2", weight=1000000), matches=[m.prefix("/large")]),
            m.rule(m.ref("v1", weight=0), "v2", m.ref("v3", weight=0), matches=[m.prefix("/last")]),
        ),
    )
    half = shares(site.port, "/half", 400)
    assert set(half) == {"v1", 500} and abs(half["v1"] - 200) <= 50, half
    assert set(shares(site.port, "/zero")) == {"v1"}
    assert set(shares(site.port, "/none")) == {500}
    assert set(shares(site.port, "/all-zero")) == {500}
    empty = shares(site.port, "/empty")
    assert set(empty) == {"v1", 503} and abs(empty["v1"] - 100) <= 40, empty
    assert set(shares(site.port, "/large")) == {"v1", "v2"}
    assert set(shares(site.port, "/last")) == {"v2"}


def slice_of(service, name, ports, endpoints, **extra):
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": m.meta(name, labels={"kubernetes.io/service-name": service}),
        "addressType": "IPv4",
        "ports": [{"name": port, "port": number} for port, number in ports.items()],
        "endpoints": endpoints,
        **extra,
    }


def service_of(name, ports, **spec):
    """ports: {name: (port, targetPort)}"""
    made = [{"name": port, "port": number, "targetPort": target} for port, (number, target) in ports.items()]
    return {"apiVersion": "v1", "kind": "Service", "metadata": m.meta(name), "spec": {"ports": made, **spec}}


HERE = [{"addresses": ["127.0.0.1"]}]


def test_target_port_by_name_may_differ_between_slices(serve, ups):
    site = serve(
        service_of("named", {"web": (80, "http"), "admin": (81, "adm")}),
        slice_of("named", "named-1", {"web": ups["v1"].port, "admin": ups["v3"].port}, HERE),
        slice_of("named", "named-2", {"admin": ups["v3"].port, "web": ups["v2"].port}, HERE),
        m.route("r", m.rule(m.ref("named", 80), matches=[m.prefix("/web")]), m.rule(m.ref("named", 81))),
    )
    assert set(shares(site.port, "/web", 60)) == {"v1", "v2"}
    assert set(shares(site.port, "/admin", 20)) == {"v3"}


def test_rule_14_slices_of_every_address_type_are_one_service(serve, ups):
    site = serve(
        service_of("mixed", {"web": (80, 1)}),
        slice_of("mixed", "mixed-4", {"web": ups["v1"].port}, HERE),
        slice_of("mixed", "mixed-name", {"web": ups["v2"].port}, [{"addresses": ["localhost"]}], addressType="FQDN"),
        slice_of("mixed", "mixed-6", {"web": ups["v3"].port}, [{"addresses": ["::ffff:127.0.0.1"]}], addressType="IPv6"),
        m.route("r", m.rule("mixed")),
    )
    assert set(shares(site.port, n=100)) == {"v1", "v2", "v3"}


def test_slice_without_the_port_has_no_endpoint_for_it(serve, ups):
    """Not even when the Service's targetPort is a number that something listens on."""
    site = serve(
        service_of("partly", {"web": (80, ups["v1"].port), "admin": (81, ups["v3"].port)}),
        slice_of("partly", "partly-1", {"web": ups["v1"].port}, HERE),
        m.route("r", m.rule(m.ref("partly", 80), matches=[m.prefix("/web")]), m.rule(m.ref("partly", 81))),
    )
    assert served_by(site.port, "/web") == "v1"
    assert served_by(site.port, "/admin") == 503


def test_headless_service_uses_the_slices_port(serve, ups):
    site = serve(
        service_of("headless", {"web": (80, 1)}, clusterIP="None"),
        slice_of("headless", "manual", {"web": ups["v2"].port}, HERE),
        m.route("r", m.rule("headless")),
    )
    assert served_by(site.port) == "v2"


def test_endpoints_that_are_not_ready(serve, ups):
    dead = free_port()
    endpoints = [
        {"addresses": ["127.0.0.1"], "conditions": {"ready": True}},
        {"addresses": ["127.0.0.2"], "conditions": {"ready": False, "serving": True, "terminating": True}},
        {"addresses": ["127.0.0.3"], "conditions": {"ready": False}},
    ]
    objects = [
        service_of("mixed", {"web": (80, 1)}),
        slice_of("mixed", "mixed-1", {"web": ups["v1"].port}, endpoints),
        slice_of("mixed", "mixed-2", {"web": dead}, endpoints[1:]),
        m.route("r", m.rule("mixed")),
    ]
    site = serve(*objects)
    assert set(shares(site.port, n=60)) == {"v1"}
    for endpoint in endpoints:
        endpoint["conditions"]["ready"] = False
    site.gateway.apply(m.gateway(site.port), *objects)
    eventually(lambda: served_by(site.port) == 503)
    del endpoints[0]["conditions"]  # nothing said: ready
    site.gateway.apply(m.gateway(site.port), *objects)
    eventually(lambda: served_by(site.port) == "v1")


def test_grants_that_do_not_fit(start_gateway, ups):
    port = free_port()

    def objects(*grants):
        services = [m.service("far", ups["v1"].port, namespace="far-away")]
        return [m.gateway(port), services, m.route("r", m.rule(m.ref("far", namespace="far-away"))), *grants]

    other_kind = m.grant("far-away", m.NAMESPACE)
    other_kind["spec"]["from"][0]["kind"] = "GRPCRoute"
    other_group = m.grant("far-away", m.NAMESPACE)
    other_group["spec"]["from"][0]["group"] = "example.com"
    wrong_place = m.grant(m.NAMESPACE, m.NAMESPACE)
    right = m.grant("far-away", m.NAMESPACE)
    right["spec"]["from"].insert(0, {"group": "example.com", "kind": "Thing", "namespace": "x"})
    right["spec"]["to"].insert(0, {"group": "", "kind": "Secret"})
    gateway = start_gateway(objects())
    for name, grant, expected in [
        ("kind", other_kind, 500),
        ("right", right, "v1"),
        ("group", other_group, 500),
        ("right", right, "v1"),
        ("place", wrong_place, 500),
        ("right", right, "v1"),
        ("target", m.grant("far-away", m.NAMESPACE, kind="Secret"), 500),
    ]:
        gateway.apply(objects(grant))
        eventually(lambda: served_by(port) == expected, 10), name
    assert "RefNotPermitted" in gateway.log()


# --- TLS ---


def test_host_of_no_tls_listener_finds_no_route(start_gateway, ups, authority):
    """421 is for hosts of another listener; the same listener without a route, or nobody's host, is a 404."""
    port = free_port()
    one, two = authority.issue("one.test", "*.one.test"), authority.issue("two.test")
    start_gateway(
        m.gateway(listeners=[https(port, "one", "*.one.test", "one"), https(port, "two", "two.test", "two")]),
        m.tls_secret("one", *one),
        m.tls_secret("two", *two),
        m.service("v1", ups["v1"].port),
        m.route("r", m.rule("v1"), hostnames=["a.one.test", "two.test"]),
    )
    ca = str(authority.certificate)
    with Connection(port, tls=ca, server_name="a.one.test") as connection:
        for host, status in {"a.one.test": 200, "b.one.test": 404, "two.test": 421, "TWO.test:443": 421, "x.org": 404}.items():
            assert connection.ask(host=host).status == status, host
    with pytest.raises((ssl.SSLError, ConnectionError)):
        ask(port, host="a.one.test", tls=ca)  # no server name, and no listener without a hostname


def test_unusable_certificates(start_gateway, ups, authority):
    port = free_port()
    good, other = authority.issue("good.test"), authority.issue("other.test")
    opaque = m.tls_secret("opaque", *good) | {"type": "Opaque"}
    wrong_kind = https(port, "kind", "kind.test", "good")
    wrong_kind["tls"]["certificateRefs"][0].update(kind="ConfigMap")
    granted, refused = https(port, "granted", "granted.test", "granted"), https(port, "refused", "refused.test", "refused")
    for listener in (granted, refused):
        listener["tls"]["certificateRefs"][0]["namespace"] = "vault"
    grant = m.grant("vault", m.NAMESPACE, kind="Secret", name="granted")
    grant["spec"]["from"][0]["kind"] = "Gateway"
    bad = ["missing", "opaque", "empty", "garbage", "mixed"]
    gateway = start_gateway(
        m.gateway(
            listeners=[https(port, "good", "good.test", "good"), *(https(port, n, f"{n}.test", n) for n in bad)]
            + [wrong_kind, granted, refused]
        ),
        m.tls_secret("good", *good),
        opaque,
        m.tls_secret("empty", "", ""),
        m.tls_secret("garbage", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", good[1]),
        m.tls_secret("mixed", good[0], other[1]),
        m.tls_secret("granted", *authority.issue("granted.test"), namespace="vault"),
        m.tls_secret("refused", *authority.issue("refused.test"), namespace="vault"),
        grant,
        m.service("v1", ups["v1"].port),
        m.route("r", m.rule("v1")),
    )
    ca = str(authority.certificate)
    for name in ("good.test", "granted.test"):
        assert ask(port, host=name, tls=ca, server_name=name).status == 200, name
    for name in [*bad, "kind", "refused"]:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            ask(port, host=f"{name}.test", tls=ca, server_name=f"{name}.test")
            pytest.fail(name)
    log = gateway.log()
    assert log.count("InvalidCertificateRef") >= 5 and "RefNotPermitted" in log, log
