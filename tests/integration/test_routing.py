"""HTTPRoute: which rule wins, what its filters do, where its backends are, and who may point at whom."""

import threading
from collections import Counter
from types import SimpleNamespace

import pytest

import manifests as m
from client import Connection, ask
from gateway import eventually
from ports import free_port, free_ports

NAMES = ["v1", "v2", "v3"]


@pytest.fixture(scope="module")
def ups(start_module_upstream):
    return {name: start_module_upstream(name) for name in NAMES}


@pytest.fixture
def serve(start_gateway, ups):
    """serve(*objects): a gateway on a free port in front of the Services v1, v2 and v3; returns the port."""

    def start(*objects, listeners=None, **options):
        port = free_port()
        services = [m.service(name, up.port) for name, up in ups.items()]
        gateway = start_gateway(m.gateway(port, listeners), services, *objects, **options)
        return SimpleNamespace(port=port, gateway=gateway)

    return start


def name_of(answer):
    return answer.json()["name"] if answer.status == 200 else answer.status


def served_by(port, path="/", host="test", method="GET", headers=()):
    return name_of(ask(port, method, path, headers, host=host))


# --- matching ---


def test_paths_match_by_element_and_the_longest_prefix_wins(serve):
    site = serve(
        m.route(
            "paths",
            m.rule("v1", matches=[m.prefix("/match/")]),
            m.rule("v2", matches=[m.prefix("/match/longer")]),
            m.rule("v3", matches=[m.exact("/match/longer/exact"), m.exact("/exact")]),
        )
    )
    for path, expected in {
        "/match": "v1",
        "/match/": "v1",
        "/match/x": "v1",
        "/match?q": "v1",
        "/matchx": 404,
        "/match/longer": "v2",
        "/match/longer/x": "v2",
        "/match/longerx": "v1",
        "/match/longer/exact": "v3",
        "/match/longer/exact/": "v2",
        "/match/longer/exact?q=1": "v3",
        "/exact": "v3",
        "/exact/": 404,
        "/EXACT": 404,
        "/": 404,
    }.items():
        assert served_by(site.port, path) == expected, path


def test_regular_expression_matches_the_whole_path(serve):
    expression = {"path": {"type": "RegularExpression", "value": "/v[0-9]+/users"}}
    site = serve(m.route("r", m.rule("v1", matches=[expression])))
    assert served_by(site.port, "/v12/users") == "v1"
    assert served_by(site.port, "/v12/users/3") == 404
    assert served_by(site.port, "/x/v12/users") == 404


def test_precedence_method_then_headers_then_query(serve):
    one = {"headers": [{"name": "version", "value": "one"}]}
    two = {"headers": [{"name": "version", "value": "one"}, {"name": "color", "value": "blue"}]}
    query = {"queryParams": [{"name": "a", "value": "1"}]}
    site = serve(
        m.route(
            "precedence",
            m.rule("v1", matches=[{**m.prefix("/"), **one}]),
            m.rule("v2", matches=[{**m.prefix("/"), **two}]),
            m.rule("v3", matches=[{**m.prefix("/"), "method": "PUT"}]),
            m.rule("v1", matches=[{**m.prefix("/q"), **query}]),
            m.rule("v2", matches=[m.prefix("/q")]),
        )
    )
    assert served_by(site.port, headers={"Version": "one"}) == "v1"
    assert served_by(site.port, headers={"VERSION": "one", "Color": "blue"}) == "v2"
    assert served_by(site.port, headers={"version": "ONE"}) == 404
    assert served_by(site.port, method="PUT", headers={"version": "one", "color": "blue"}) == "v3"
    assert served_by(site.port, "/q?a=1") == "v1"
    assert served_by(site.port, "/q?b=1&a=1") == "v1"
    assert served_by(site.port, "/q?a=2&a=1") == "v2"
    assert served_by(site.port, "/q") == "v2"


def test_oldest_route_wins_then_the_name(serve):
    old, new = "2024-01-01T00:00:00Z", "2025-01-01T00:00:00Z"
    site = serve(
        m.route("a-new", m.rule("v1", matches=[m.prefix("/age")]), created=new),
        m.route("z-old", m.rule("v2", matches=[m.prefix("/age")]), created=old),
        m.route("b", m.rule("v3", matches=[m.prefix("/name")]), created=old),
        m.route("a", m.rule("v1", matches=[m.prefix("/name")]), created=old),
        m.route("twice", m.rule("v2", matches=[m.prefix("/order")]), m.rule("v3", matches=[m.prefix("/order")])),
    )
    assert served_by(site.port, "/age") == "v2"
    assert served_by(site.port, "/name") == "v1"
    assert served_by(site.port, "/order") == "v2"


def test_host_is_decided_before_the_path(serve):
    site = serve(
        m.route("exact", m.rule("v1", matches=[m.prefix("/")]), hostnames=["very.specific.com"]),
        m.route("wild", m.rule("v2", matches=[m.exact("/exact")]), hostnames=["*.specific.com"]),
        m.route("any", m.rule("v3")),
    )
    for host, path, expected in [
        ("very.specific.com", "/exact", "v1"),
        ("very.specific.com:1234", "/", "v1"),
        ("VERY.specific.COM", "/", "v1"),
        ("a.specific.com", "/exact", "v2"),
        ("a.b.specific.com", "/exact", "v2"),
        ("specific.com", "/exact", "v3"),
        ("other.org", "/", "v3"),
    ]:
        assert served_by(site.port, path, host) == expected, (host, path)


def test_listener_hostname_and_route_hostnames_intersect(serve, start_gateway, ups):
    port = free_port()
    listeners = [
        m.listener(port, "narrow", "very.specific.com"),
        m.listener(port, "wild", "*.wildcard.io"),
        m.listener(port, "wider", "*.anotherwildcard.io"),
    ]
    start_gateway(
        m.gateway(listeners=listeners),
        [m.service(name, up.port) for name, up in ups.items()],
        m.route("one", m.rule("v1"), hostnames=["non.matching.com", "*.nonmatching.io", "very.specific.com"]),
        m.route("two", m.rule("v2"), hostnames=["foo.wildcard.io", "bar.wildcard.io", "wildcard.io"]),
        m.route("three", m.rule("v3"), hostnames=["*.io"]),
    )
    for host, expected in {
        "very.specific.com": "v1",
        "non.matching.com": 404,
        "foo.nonmatching.io": 404,
        "foo.wildcard.io": "v2",
        "bar.wildcard.io": "v2",
        "wildcard.io": 404,
        "a.anotherwildcard.io": "v3",
        "a.b.anotherwildcard.io": "v3",
        "other.wildcard.io": "v3",
    }.items():
        assert served_by(port, host=host) == expected, host


def test_request_stays_with_the_most_specific_listener(serve, start_gateway, ups):
    port = free_port()
    listeners = [
        m.listener(port, "empty"),
        m.listener(port, "wild", "*.example.com"),
        m.listener(port, "foo", "*.foo.example.com"),
        m.listener(port, "abc", "abc.foo.example.com"),
    ]

    def parent(section):
        return [{"name": "gw", "sectionName": section}]

    start_gateway(
        m.gateway(listeners=listeners),
        [m.service(name, up.port) for name, up in ups.items()],
        m.route("empty", m.rule("v1", matches=[m.prefix("/empty")]), parents=parent("empty")),
        m.route("wild", m.rule("v1", matches=[m.prefix("/wild")]), parents=parent("wild")),
        m.route("foo", m.rule("v2", matches=[m.prefix("/foo")]), parents=parent("foo")),
        m.route("abc", m.rule("v3", matches=[m.prefix("/abc")]), parents=parent("abc")),
    )
    homes = {"bar.com": "/empty", "bar.example.com": "/wild", "x.foo.example.com": "/foo", "abc.foo.example.com": "/abc"}
    for host, home in homes.items():
        for path in ("/empty", "/wild", "/foo", "/abc"):
            found = served_by(port, path, host)
            assert (found != 404) == (path == home), (host, path, found)


def test_parent_reference_by_port_and_section(start_gateway, ups):
    one, two = free_ports(2)
    start_gateway(
        m.gateway(listeners=[m.listener(one, "one"), m.listener(two, "two")]),
        [m.service(name, up.port) for name, up in ups.items()],
        m.route("both", m.rule("v1", matches=[m.prefix("/both")])),
        m.route("by-port", m.rule("v2", matches=[m.prefix("/port")]), parents=[{"name": "gw", "port": two}]),
        m.route("by-name", m.rule("v3", matches=[m.prefix("/name")]), parents=[{"name": "gw", "sectionName": "one"}]),
        m.route(
            "neither",
            m.rule("v3", matches=[m.prefix("/neither")]),
            parents=[{"name": "gw", "sectionName": "one", "port": two}],
        ),
    )
    found = {(port, path): served_by(port, path) for port in (one, two) for path in ("/both", "/port", "/name", "/neither")}
    assert found == {
        (one, "/both"): "v1",
        (two, "/both"): "v1",
        (one, "/port"): 404,
        (two, "/port"): "v2",
        (one, "/name"): "v3",
        (two, "/name"): 404,
        (one, "/neither"): 404,
        (two, "/neither"): 404,
    }


def test_route_of_another_namespace_needs_the_listeners_permission(start_gateway, ups):
    same, every = free_ports(2)
    start_gateway(
        m.gateway(listeners=[m.listener(same, "same", allowed="Same"), m.listener(every, "every", allowed="All")]),
        m.service("v1", ups["v1"].port, namespace="other"),
        m.route("r", m.rule("v1"), namespace="other"),
    )
    assert served_by(every) == "v1"
    assert served_by(same) == 404


# --- backends ---


def test_weights_are_kept(serve):
    backends = [m.ref("v1", weight=70), m.ref("v2", weight=30), m.ref("v3", weight=0)]
    site = serve(m.route("weighted", m.rule(*backends)))
    with Connection(site.port) as connection:
        seen = Counter(connection.ask().json()["name"] for _ in range(500))
    assert seen["v3"] == 0
    assert abs(seen["v1"] - 350) <= 50, seen


def test_backends_that_cannot_serve(serve):
    unknown = {"group": "example.com", "kind": "Thing", "name": "x"}
    site = serve(
        m.service("asleep", 1, ready=False),
        m.service("nothing-there", free_port()),
        m.route(
            "broken",
            m.rule(matches=[m.exact("/none")]),
            m.rule("missing", matches=[m.exact("/missing")]),
            m.rule(unknown, matches=[m.exact("/unknown")]),
            m.rule(m.ref("v1", weight=0), matches=[m.exact("/zero")]),
            m.rule(m.ref("v1", port=81), matches=[m.exact("/port")]),
            m.rule("asleep", matches=[m.exact("/asleep")]),
            m.rule("nothing-there", matches=[m.exact("/refused")]),
            m.rule(m.ref("v1", weight=1), m.ref("missing", weight=1), matches=[m.exact("/half")]),
        ),
    )
    expected = {"/none": 500, "/missing": 500, "/unknown": 500, "/zero": 500, "/port": 500, "/asleep": 503}
    assert {path: served_by(site.port, path) for path in expected} == expected
    assert served_by(site.port, "/refused") in (502, 503)
    with Connection(site.port) as connection:
        seen = Counter(connection.ask(path="/half").status for _ in range(200))
    assert set(seen) == {200, 500} and abs(seen[200] - 100) <= 40, seen


def test_reference_to_another_namespace_needs_a_grant(serve, ups):
    service = m.service("far", ups["v1"].port, namespace="far-away")
    route = m.route("r", m.rule(m.ref("far", namespace="far-away")))
    site = serve(service, route)
    assert served_by(site.port) == 500

    def with_grant(*arguments, **options):
        services = [m.service(name, up.port) for name, up in ups.items()]
        site.gateway.apply(m.gateway(site.port), services, service, route, *arguments, **options)

    with_grant(m.grant("far-away", m.NAMESPACE))
    eventually(lambda: served_by(site.port) == "v1")
    with_grant(m.grant("far-away", "somebody-else"))
    eventually(lambda: served_by(site.port) == 500)
    with_grant(m.grant("far-away", m.NAMESPACE, name="far"))
    eventually(lambda: served_by(site.port) == "v1")
    with_grant(m.grant("far-away", m.NAMESPACE, name="other"))
    eventually(lambda: served_by(site.port) == 500)
    with_grant(m.grant("far-away", m.NAMESPACE))
    eventually(lambda: served_by(site.port) == "v1")
    with_grant()
    eventually(lambda: served_by(site.port) == 500)


def test_service_port_is_resolved_by_name_in_all_slices(serve, ups):
    service, first = m.service("two-slices", ups["v1"].port)
    first["ports"].append({"name": "other", "port": 1})
    second = m.service("two-slices", ups["v2"].port)[1]
    second["metadata"]["name"] = "two-slices-2"
    site = serve(service, first, second, m.route("r", m.rule("two-slices")))
    with Connection(site.port) as connection:
        seen = Counter(connection.ask().json()["name"] for _ in range(60))
    assert set(seen) == {"v1", "v2"}


def test_static_backend(serve, ups):
    site = serve(
        m.backend("fixed", {"static": {"host": "127.0.0.1", "port": ups["v2"].port}}),
        m.backend("named", {"static": {"host": "localhost", "port": ups["v3"].port}}),
        m.route(
            "r",
            m.rule(m.agentgateway_ref("fixed"), matches=[m.prefix("/fixed")]),
            m.rule(m.agentgateway_ref("named"), matches=[m.prefix("/named")]),
        ),
    )
    assert served_by(site.port, "/fixed") == "v2"
    assert served_by(site.port, "/named") == "v3"


# --- filters ---


def headers_filter(kind, **changes):
    spec = {"set": [], "add": [], "remove": []}
    spec.update({key: [{"name": n, "value": v} for n, v in value.items()] for key, value in changes.items() if key != "remove"})
    spec["remove"] = changes.get("remove", [])
    key = kind[0].lower() + kind[1:]
    return {"type": kind, key: {name: value for name, value in spec.items() if value}}


def test_request_header_filter(serve, ups):
    change = headers_filter(
        "RequestHeaderModifier", set={"X-Set": "set"}, add={"X-Add": "added", "X-New": "new"}, remove=["x-REMOVE"]
    )
    site = serve(m.route("r", m.rule("v1", filters=[change])))
    ups["v1"].clear()
    ask(site.port, headers=[("X-Set", "was"), ("X-Add", "first"), ("X-Remove", "1"), ("X-Keep", "2")])
    request = ups["v1"].requests[-1]
    assert request.all("x-set") == ["set"]
    assert ",".join(request.all("x-add")) == "first,added"
    assert request.get("x-new") == "new" and request.get("x-keep") == "2" and request.get("x-remove") is None


def test_response_header_filter(serve, ups):
    change = headers_filter("ResponseHeaderModifier", set={"X-Set": "set"}, add={"X-Add": "added"}, remove=["X-Remove"])
    site = serve(m.route("r", m.rule("v1", matches=[m.prefix("/rh")], filters=[change])))
    headers = [("X-Set", "was"), ("X-Add", "first"), ("X-Remove", "1")]
    ups["v1"].on("/rh", lambda request, stream: stream.respond(200, "x", headers))
    answer = ask(site.port, path="/rh")
    assert answer.all("x-set") == ["set"]
    assert ",".join(answer.all("x-add")) == "first,added"
    assert answer.get("x-remove") is None


def test_backend_filters_apply_to_that_backend_alone(serve, ups):
    backends = [m.ref(name, filters=[headers_filter("RequestHeaderModifier", set={"X-Who": name})]) for name in ("v1", "v2")]
    rule = m.rule(*backends, filters=[headers_filter("RequestHeaderModifier", set={"X-Rule": "yes"})])
    site = serve(m.route("r", rule))
    for up in ups.values():
        up.clear()
    with Connection(site.port) as connection:
        for _ in range(30):
            connection.ask()
    for name in ("v1", "v2"):
        assert ups[name].requests
        assert all(request.get("x-who") == name and request.get("x-rule") == "yes" for request in ups[name].requests)


def rewrite(**spec):
    return [{"type": "URLRewrite", "urlRewrite": spec}]


@pytest.mark.parametrize(
    "match, replacement, path, expected",
    [
        ("/strip-prefix", "/", "/strip-prefix/three", "/three"),
        ("/strip-prefix", "/", "/strip-prefix", "/"),
        ("/strip-prefix", "/", "/strip-prefix/", "/"),
        ("/a", "/b", "/a/c?q=1", "/b/c?q=1"),
        ("/a", "/b/", "/a/c", "/b/c"),
        ("/a/", "/b", "/a/c/", "/b/c/"),
        ("/a", "/b/d", "/a?x", "/b/d?x"),
        ("/", "/base", "/x", "/base/x"),
    ],
)
def test_prefix_rewrite(serve, match, replacement, path, expected):
    change = {"type": "ReplacePrefixMatch", "replacePrefixMatch": replacement}
    site = serve(m.route("r", m.rule("v1", matches=[m.prefix(match)], filters=rewrite(path=change))))
    assert ask(site.port, path=path).json()["path"] == expected


def test_full_path_and_host_rewrite(serve):
    change = {"type": "ReplaceFullPath", "replaceFullPath": "/one"}
    site = serve(
        m.route(
            "r",
            m.rule("v1", matches=[m.prefix("/full")], filters=rewrite(path=change, hostname="new.example")),
            m.rule("v1"),
        )
    )
    echo = ask(site.port, path="/full/of/it?q=1").json()
    assert echo["path"] == "/one?q=1"
    assert dict(echo["headers"])["host"] == "new.example"
    assert dict(ask(site.port, host="kept.example").json()["headers"])["host"] == "kept.example"


@pytest.mark.parametrize(
    "spec, status, location",
    [
        ({"hostname": "example.org"}, 302, "http://example.org:{port}/hostname-redirect?q=1"),
        ({"scheme": "https"}, 302, "https://host.test/hostname-redirect?q=1"),
        ({"scheme": "https", "hostname": "example.org", "port": 8443}, 302, "https://example.org:8443/hostname-redirect?q=1"),
        ({"scheme": "https", "port": 443}, 302, "https://host.test/hostname-redirect?q=1"),
        ({"scheme": "http", "port": 80}, 302, "http://host.test/hostname-redirect?q=1"),
        ({"port": 8083, "statusCode": 301}, 301, "http://host.test:8083/hostname-redirect?q=1"),
        ({"path": {"type": "ReplaceFullPath", "replaceFullPath": "/x"}}, 302, "http://host.test:{port}/x?q=1"),
        (
            {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/y"}, "statusCode": 307},
            307,
            "http://host.test:{port}/y?q=1",
        ),
    ],
)
def test_redirect(serve, spec, status, location):
    redirect = [{"type": "RequestRedirect", "requestRedirect": spec}]
    site = serve(m.route("r", m.rule(matches=[m.prefix("/hostname-redirect")], filters=redirect)))
    answer = ask(site.port, path="/hostname-redirect?q=1", host="host.test:1234")
    assert (answer.status, answer.get("location")) == (status, location.format(port=site.port))


# --- timeouts ---


def test_timeouts(serve, ups):
    gate = threading.Event()
    ups["v1"].on("/never", lambda request, stream: gate.wait(15) and False)
    site = serve(
        m.route(
            "r",
            m.rule("v1", matches=[m.prefix("/never/request")], timeouts={"request": "300ms"}),
            m.rule("v1", matches=[m.prefix("/never/backend")], timeouts={"backendRequest": "300ms"}),
            m.rule("v1", matches=[m.prefix("/off")], timeouts={"request": "0s"}),
        )
    )
    assert ask(site.port, path="/never/request").status == 504
    assert ask(site.port, path="/never/backend").status == 504
    assert served_by(site.port, "/off") == "v1"
    gate.set()


def test_h2c_service_is_spoken_to_in_http2(serve, ups):
    """The gateway is its own HTTP/2 upstream: /outer goes to its own listener over h2c, and from there on to v1."""
    site = serve(m.route("inner", m.rule("v1")))
    services = [m.service(name, up.port) for name, up in ups.items()]
    outer = m.rule("self", matches=[m.prefix("/outer")], filters=rewrite(path={"type": "ReplacePrefixMatch", "replacePrefixMatch": "/in"}))
    site.gateway.apply(
        m.gateway(site.port),
        services,
        m.service("self", site.port, app_protocol="kubernetes.io/h2c"),
        m.route("inner", m.rule("v1")),
        m.route("outer", outer),
    )
    eventually(lambda: ask(site.port, path="/outer/x").json()["path"] == "/in/x")
    answer = ask(site.port, "POST", "/outer/x", body=b"b" * 100_000)
    assert answer.json()["body"] == "b" * 100_000


def test_unknown_filter_is_never_skipped(serve):
    unknown = [{"type": "ExtensionRef", "extensionRef": {"group": "example.com", "kind": "Thing", "name": "x"}}]
    site = serve(m.route("r", m.rule("v1", matches=[m.prefix("/x")], filters=unknown), m.rule("v1")))
    assert served_by(site.port, "/x") == 500
    assert served_by(site.port, "/y") == "v1"
