"""HTTPRoute filters and timeouts where implementations differ: the rules of test_rules, 15 and 18 to 26."""

import threading
import time

import pytest
import yaml

import manifests as m
from certificates import Authority
from client import Connection, ask
from gateway import run
from ports import free_ports
from rules import cors, https, modifier, redirect, replace_prefix, rewrite, served_by, shares


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("rules-ca"))


def test_backend_filters_come_after_the_rules(serve, ups):
    own = [
        modifier("RequestHeaderModifier", set={"X-Set": "backend"}, add={"X-Add": "backend"}, remove=["X-Drop"]),
        modifier("ResponseHeaderModifier", set={"X-Out": "backend"}, add={"X-Trail": "backend"}),
    ]
    common = [
        modifier("RequestHeaderModifier", set={"X-Set": "rule", "X-Drop": "rule"}, add={"X-Add": "rule"}),
        modifier("ResponseHeaderModifier", set={"X-Out": "rule"}, add={"X-Trail": "rule"}),
    ]
    twice = [m.ref("v1", filters=[modifier("ResponseHeaderModifier", set={"X-Way": way})]) for way in "12"]
    away = m.ref("v2", filters=[redirect(hostname="away.test", statusCode=301)])
    site = serve(
        m.route(
            "r",
            m.rule(m.ref("v1", filters=own), "v3", matches=[m.prefix("/two")], filters=common),
            m.rule(away, matches=[m.prefix("/away")]),
            m.rule(*twice, matches=[m.prefix("/twice")]),
        )
    )
    seen = set()
    with Connection(site.port) as connection:
        for _ in range(40):
            answer = connection.ask(path="/two", headers=[("X-Add", "client")])
            echo = answer.json()
            added = ",".join(value for key, value in echo["headers"] if key == "x-add")
            headers = dict(echo["headers"])
            seen.add(
                (echo["name"], headers["x-set"], added, headers.get("x-drop"), answer.get("x-out"), ",".join(answer.all("x-trail")))
            )
    assert seen == {
        ("v1", "backend", "client,rule,backend", None, "backend", "rule,backend"),
        ("v3", "rule", "client,rule", "rule", "rule", "rule"),
    }
    ways = {(a.get("x-way"), a.status) for a in (ask(site.port, path="/twice") for _ in range(30))}
    assert ways == {("1", 200), ("2", 200)}
    answer = ask(site.port, path="/away/x?q")
    assert (answer.status, answer.get("location")) == (301, f"http://away.test:{site.port}/away/x?q")


def test_header_filters_on_one_name(serve, ups):
    """Set, then add, then remove: set replaces every line, a name in all three is gone."""
    request = modifier(
        "RequestHeaderModifier",
        set={"X-Lines": "one", "X-Both": "set", "X-All": "set"},
        add={"x-both": "added", "X-ALL": "added"},
        remove=["x-all"],
    )
    site = serve(m.route("r", m.rule("v1", filters=[request])))
    ups["v1"].clear()
    ask(site.port, headers=[("X-Lines", "a"), ("x-lines", "b"), ("X-Both", "client"), ("X-All", "client")])
    seen = ups["v1"].requests[-1]
    assert seen.all("x-lines") == ["one"]
    assert ",".join(seen.all("x-both")) == "set,added"
    assert seen.all("x-all") == []


def test_response_filter_on_answers_of_the_gateway(serve, ups):
    """A redirect and an error carry the headers that the rule promises, as an upstream's answer does."""
    mark = modifier("ResponseHeaderModifier", set={"X-Mark": "yes"})
    gone = modifier("ResponseHeaderModifier", set={"X-Mark": "yes"}, remove=["Content-Type"])
    gate = threading.Event()
    ups["v1"].on("/late", lambda request, stream: gate.wait(15) and False)
    site = serve(
        m.service("asleep", 1, ready=False),
        m.route(
            "r",
            m.rule(matches=[m.prefix("/redirect")], filters=[redirect(hostname="x.test"), mark]),
            m.rule("missing", matches=[m.prefix("/missing")], filters=[mark]),
            m.rule("asleep", matches=[m.prefix("/asleep")], filters=[gone]),
            m.rule("v1", matches=[m.prefix("/late")], filters=[mark], timeouts={"request": "200ms"}),
        ),
    )
    found = {}
    for path in ("/redirect", "/missing", "/asleep", "/late"):
        answer = ask(site.port, path=path)
        found[path] = (answer.status, answer.get("x-mark"))
    gate.set()
    assert found == {"/redirect": (302, "yes"), "/missing": (500, "yes"), "/asleep": (503, "yes"), "/late": (504, "yes")}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_statuses(serve, ups, status):
    """Of a rule and of a backend, for a request with a body too: nothing of it reaches a backend."""
    away = redirect(hostname="away.test", port=80, statusCode=status)
    site = serve(
        m.route(
            "r",
            m.rule(matches=[m.prefix("/rule")], filters=[away]),
            m.rule(m.ref("v1", filters=[away]), matches=[m.prefix("/backend")]),
        )
    )
    ups["v1"].clear()
    for path in ("/rule", "/backend"):
        for method, body in (("GET", None), ("HEAD", None), ("POST", b"x" * 5000)):
            answer = ask(site.port, method, f"{path}/a%20b?q=%2F&r", body=body)
            assert (answer.status, answer.get("location")) == (status, f"http://away.test{path}/a%20b?q=%2F&r")
    assert ups["v1"].requests == []


def test_redirect_on_https(start_gateway, authority):
    port, plain = free_ports(2)
    rules = {
        "/same": ({}, f"https://a.test:{port}/same?q=1"),
        "/port": ({"port": 443}, "https://a.test/port?q=1"),
        "/http": ({"scheme": "http"}, "http://a.test/http?q=1"),
        "/both": ({"scheme": "http", "port": 8080}, "http://a.test:8080/both?q=1"),
        "/eighty": ({"port": 80}, "https://a.test:80/eighty?q=1"),
        "/odd": ({"scheme": "http", "port": 443}, "http://a.test:443/odd?q=1"),
        "/path": ({"path": replace_prefix("/")}, f"https://a.test:{port}/x?q=1"),
    }
    start_gateway(
        m.gateway(listeners=[https(port, "https", "a.test", "cert"), m.listener(plain, "plain")]),
        m.tls_secret("cert", *authority.issue("a.test")),
        m.route(
            "r", *(m.rule(matches=[m.prefix(path)], filters=[redirect(**spec)]) for path, (spec, _) in rules.items())
        ),
    )
    with Connection(port, tls=str(authority.certificate), server_name="a.test") as connection:
        for path, (_, location) in rules.items():
            target = path + ("/x?q=1" if path == "/path" else "?q=1")
            answer = connection.ask(path=target, host=f"a.test:{port}")
            assert (answer.status, answer.get("location")) == (302, location), path
    # The same route on the plain listener speaks of that listener.
    assert ask(plain, path="/same").get("location") == f"http://test:{plain}/same"
    assert ask(plain, path="/same", host="[::1]:99").get("location") == f"http://[::1]:{plain}/same"


def test_redirect_without_a_host(serve):
    """HTTP/1.0 need not name a host: an URL without one would lead nowhere."""
    site = serve(
        m.route(
            "r",
            m.rule(matches=[m.prefix("/a")], filters=[redirect(scheme="https")]),
            m.rule(matches=[m.prefix("/b")], filters=[redirect(hostname="b.test")]),
        )
    )
    for path, status, location in [("/a", 400, None), ("/b", 302, f"http://b.test:{site.port}/b")]:
        with Connection(site.port) as connection:
            connection.send(f"GET {path} HTTP/1.0\r\n\r\n")
            answer = connection.response()
            assert (answer.status, answer.get("location")) == (status, location)


@pytest.mark.parametrize(
    "match, replacement, cases",
    [
        ("/foo", "/xyz", {"/foo/bar": "/xyz/bar", "/foo": "/xyz", "/foo/": "/xyz/", "/foo?q=/foo": "/xyz?q=/foo"}),
        ("/foo", "/xyz/", {"/foo/bar": "/xyz/bar", "/foo//bar": "/xyz//bar"}),
        ("/foo/", "/xyz", {"/foo/bar": "/xyz/bar", "/foo": "/xyz"}),
        ("/foo", "", {"/foo/bar": "/bar", "/foo": "/", "/foo/": "/", "/foo?q": "/?q"}),
        ("/foo", "/", {"/foo/bar": "/bar", "/foo/": "/", "/foo": "/", "/foo/b%2Fr": "/b%2Fr"}),
        ("/", "/", {"/": "/", "/x/": "/x/"}),
        ("/a/b", "/c", {"/a/b/c/d": "/c/c/d", "/a/./b/c": "/c/c"}),
    ],
)
def test_prefix_rewrite_joins_with_one_slash(serve, match, replacement, cases):
    change = rewrite(path=replace_prefix(replacement))
    site = serve(m.route("r", m.rule("v1", matches=[m.prefix(match)], filters=[change])))
    assert {path: ask(site.port, path=path).json()["path"] for path in cases} == cases


def test_rewrite_and_header_filters_of_one_rule(serve):
    filters = [
        rewrite(hostname="new.test", path={"type": "ReplaceFullPath", "replaceFullPath": "/full"}),
        modifier("RequestHeaderModifier", set={"X-Set": "yes"}),
        modifier("ResponseHeaderModifier", set={"X-Out": "yes"}),
    ]
    site = serve(m.route("r", m.rule("v1", matches=[m.exact("/a"), m.prefix("/b")], filters=filters)))
    for path in ("/a?q=1", "/b/c?q=1"):
        answer = ask(site.port, path=path)
        echo = answer.json()
        headers = dict(echo["headers"])
        assert (echo["path"], headers["host"], headers["x-set"], answer.get("x-out")) == ("/full?q=1", "new.test", "yes", "yes")


def test_host_of_a_named_backend(serve, ups):
    """A backend known by name is sent its name; a rewrite says otherwise; a Service is sent the client's."""
    port = ups["v1"].port
    site = serve(
        m.backend("named", {"static": {"host": "localhost", "port": port}}),
        m.backend("fixed", {"static": {"host": "127.0.0.1", "port": port}}),
        m.route(
            "r",
            m.rule(m.agentgateway_ref("named"), matches=[m.prefix("/rewritten")], filters=[rewrite(hostname="new.test")]),
            m.rule(m.agentgateway_ref("named"), matches=[m.prefix("/named")]),
            m.rule(m.agentgateway_ref("fixed"), matches=[m.prefix("/fixed")]),
            m.rule("v1", matches=[m.prefix("/service")]),
        ),
    )
    found = {}
    for path in ("/rewritten", "/named", "/fixed", "/service"):
        found[path] = dict(ask(site.port, path=path, host="client.test:99").json()["headers"])["host"]
    assert found == {
        "/rewritten": "new.test",
        "/named": f"localhost:{port}",
        "/fixed": "client.test:99",
        "/service": "client.test:99",
    }


def test_unserved_filter_of_a_backend_costs_only_its_share(serve):
    auth = {"type": "ExternalAuth", "externalAuth": {}}
    site = serve(
        m.route(
            "r",
            m.rule(m.ref("v1", filters=[auth]), "v3", matches=[m.prefix("/share")]),
            m.rule("v1", matches=[m.prefix("/rule")], filters=[auth]),
            m.rule(matches=[m.prefix("/redirect")], filters=[redirect(hostname="x.test"), auth]),
            m.rule("v1"),
        )
    )
    assert set(shares(site.port, "/share", 60)) == {500, "v3"}
    assert served_by(site.port, "/rule") == 500
    assert served_by(site.port, "/redirect") == 500
    assert served_by(site.port) == "v1"
    assert "ExternalAuth" in site.gateway.log()


EXTENSION = {"type": "ExtensionRef", "extensionRef": {"group": "example.com", "kind": "Thing", "name": "x"}}
AUTH = {"type": "ExternalAuth", "externalAuth": {"protocol": "HTTP", "backendRef": {"name": "v2", "port": 80}}}


@pytest.mark.parametrize("unserved, said", [(EXTENSION, 'kind Thing of group "example.com"'), (AUTH, "ExternalAuth")])
def test_rule_26_nothing_gets_round_a_filter_that_is_not_served(serve, ups, unserved, said):
    """Neither another filter of the rule, nor a policy aimed at the route, nor a preflight is answered in its place."""
    open_door = cors(allowOrigins=["https://a.test"], allowMethods=["PUT"])
    site = serve(
        m.route(
            "r",
            m.rule("v1", matches=[m.prefix("/x")], filters=[open_door, unserved]),
            m.rule("v1", matches=[{**m.prefix("/put"), "method": "PUT"}], filters=[open_door, unserved]),
            m.rule("v1", filters=[modifier("RequestHeaderModifier", set={"X-A": "1"})]),
        ),
        m.policy("p", [m.target("HTTPRoute", "r")], {"headerModifiers": {"response": {"set": [{"name": "X-Mark", "value": "1"}]}}}),
        m.policy("d", [m.target("Gateway", "gw")], {"directResponse": {"status": 200, "body": "open"}}),
    )
    for up in ups.values():
        up.clear()
    preflight = [("Origin", "https://a.test"), ("Access-Control-Request-Method", "PUT")]
    for method, path, headers in [("GET", "/x", ()), ("OPTIONS", "/x", preflight), ("PUT", "/put", ()), ("POST", "/x/y", ())]:
        answer = ask(site.port, method, path, headers)
        assert (answer.status, answer.body) == (500, b"a filter of this route is not served\n"), (method, path)
    assert not any(up.requests for up in ups.values())
    assert said in site.gateway.log()


def test_rule_26_an_extension_must_name_something(tmp_path):
    broken = {"type": "ExtensionRef", "extensionRef": {"group": "example.com", "name": "x"}}
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(m.route("r", m.rule("v1", filters=[broken]))))
    result = run("-f", str(tmp_path), "--validate")
    assert result.returncode == 1 and "extensionRef.kind: is required" in result.stdout + result.stderr


# --- timeouts ---


def test_timeout_of_0s_is_none(serve, ups):
    ups["v1"].on("/slow", lambda request, stream: time.sleep(0.7) or stream.respond(200, '{"name": "v1"}'))
    site = serve(
        m.route(
            "r",
            m.rule("v1", matches=[m.prefix("/slow/off")], timeouts={"request": "0s", "backendRequest": "0s"}),
            m.rule("v1", matches=[m.prefix("/slow/half")], timeouts={"request": "0s", "backendRequest": "200ms"}),
            m.rule("v1", matches=[m.prefix("/slow/long")], timeouts={"request": "1m0s500ms", "backendRequest": "20s"}),
        )
    )
    assert served_by(site.port, "/slow/off") == "v1"
    assert served_by(site.port, "/slow/half") == 504
    assert served_by(site.port, "/slow/long") == "v1"


def test_timeout_covers_the_body(serve, ups):
    """Once the head is out a 504 cannot be said: the connection ends, so that the answer is not taken for whole."""
    gate = threading.Event()

    def half(request, stream):
        stream.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        gate.wait(15)
        return False

    ups["v1"].on("/half", half)
    site = serve(m.route("r", m.rule("v1", timeouts={"request": "300ms"})))
    with Connection(site.port) as connection:
        connection.request(path="/half")
        assert connection.head().status == 200
        started = time.monotonic()
        try:
            assert len(connection.stream.read(10)) < 10
        except ConnectionResetError:
            pass
        assert time.monotonic() - started < 10
    gate.set()
