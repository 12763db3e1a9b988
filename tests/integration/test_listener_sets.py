"""ListenerSets (rule 33): who may add listeners to a Gateway, what they win and lose, and who serves on them.

Each test runs on manifests that the gateway reads, and again over a controller that feeds it."""

import socket
import ssl
from types import SimpleNamespace

import pytest

import manifests as m
from certificates import Authority
from client import ask
from controller import Controller
from gateway import eventually
from ports import free_port, free_ports
from rules import https, served_by

OLD, NEW = "2024-01-01T00:00:00Z", "2025-01-01T00:00:00Z"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("sets-ca"))


@pytest.fixture(params=["files", "controller"])
def serve_sets(request, start_gateway, tmp_path_factory, ups):
    """serve_sets(gateway, *objects): says() has the findings, apply() brings other objects. Services v1, v2, v3 are there."""
    services = [m.service(name, up.port, namespace=ns) for name, up in ups.items() for ns in (m.NAMESPACE, "apps")]
    controllers = []

    def start(*objects):
        if request.param == "files":
            gateway = start_gateway(services, *objects)
            return SimpleNamespace(says=gateway.log, apply=lambda *new: gateway.apply(services, *new))
        controller = Controller(tmp_path_factory.mktemp("controller"), {"all.yaml": [services, *objects]})
        controllers.append(controller)
        start_gateway(xds=controller.port)
        return SimpleNamespace(says=controller.log, apply=lambda *new: controller.write("all.yaml", [services, *new]))

    yield start
    assert not any([controller.stop() for controller in controllers]), controllers[-1].log()[-4000:]


def refused(port):
    with pytest.raises(ConnectionError):
        ask(port)


@pytest.mark.parametrize("sets, allowed", [(None, ""), ("None", ""), ("Same", "test"), ("All", "test apps")])
def test_rule_33_allowed_listeners(serve_sets, sets, allowed):
    own, same, other = free_ports(3)
    site = serve_sets(
        m.gateway(own, sets=sets),
        m.listener_set("same", m.listener(same)),
        m.listener_set("other", m.listener(other), namespace="apps"),
        m.route("own", m.rule("v1")),
        m.route("same", m.rule("v2"), parents=m.set_parent("same")),
        m.route("other", m.rule("v3"), parents=m.set_parent("other", "apps"), namespace="apps"),
    )
    eventually(lambda: served_by(own) == "v1")
    for port, namespace, name in ((same, "test", "v2"), (other, "apps", "v3")):
        if namespace in allowed.split():
            assert served_by(port) == name
        else:
            refused(port)
    assert ("NotAllowed" in site.says()) == (allowed != "test apps")


def test_rule_33_allowed_by_selector_and_revoked(serve_sets):
    own, port = free_ports(2)
    chosen = {"from": "Selector", "selector": {"matchLabels": {"team": "a"}}}

    def objects(team):
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "apps", "labels": {"team": team}}}
        listeners = m.listener_set("s", m.listener(port), namespace="apps")
        route = m.route("r", m.rule("v1"), parents=m.set_parent("s", "apps"), namespace="apps")
        return [m.gateway(own, sets=chosen), namespace, listeners, route]

    site = serve_sets(objects("a"))
    eventually(lambda: served_by(port) == "v1")
    site.apply(objects("b"))

    def closed():
        try:
            ask(port)
        except ConnectionError:
            return True
        return False

    eventually(closed)
    site.apply(objects("a"))
    eventually(lambda: not closed() and served_by(port) == "v1")


def test_rule_33_precedence_and_conflicts(serve_sets):
    """The Gateway's own, then the older set, then the one that the alphabet puts first; losers come in when winners go."""
    port, other = free_ports(2)
    gateway = m.gateway(listeners=[m.listener(port, "own", "own.test")], sets="All")
    old = m.listener_set("z-old", m.listener(port, "a", "own.test"), m.listener(port, "b", "shared.test"), created=OLD)
    new = m.listener_set("a-new", m.listener(port, "b", "shared.test"), m.listener(port, "c", "c.test"), created=NEW)
    last = m.listener_set("b-new", m.listener(port, "b", "c.test"), m.tcp_listener(port), m.listener(other, "d"), created=NEW)
    routes = [
        m.route("own", m.rule("v1")),
        m.route("old", m.rule("v2"), parents=m.set_parent("z-old")),
        m.route("new", m.rule("v3"), parents=m.set_parent("a-new")),
        m.route("last", m.rule("v2"), parents=m.set_parent("b-new")),
    ]
    site = serve_sets(gateway, old, new, last, routes)
    expected = {"own.test": "v1", "shared.test": "v2", "c.test": "v3", "d.test": 404}
    eventually(lambda: {host: served_by(port, host=host) for host in expected} == expected)
    assert served_by(other) == "v2"
    assert "HostnameConflict" in site.says() and "ProtocolConflict" in site.says()
    site.apply(gateway, new, last, routes)
    expected["shared.test"] = "v3"
    eventually(lambda: {host: served_by(port, host=host) for host in expected} == expected)


def test_rule_33_conflicts_name_nobody_else(serve_sets):
    """Whoever wrote a set learns that a port or hostname is taken, not by whom."""
    port = free_port()
    secret = m.listener_set("secret-plan", m.listener(port, "a", "taken.test"), namespace="secret-place", created=OLD)
    site = serve_sets(
        m.gateway(port, sets="All"),
        secret,
        m.listener_set("late", m.listener(port, "a", "taken.test"), created=NEW),
        m.route("own", m.rule("v1")),
    )
    line = next(line for line in site.says().splitlines() if "HostnameConflict" in line)
    assert "test/late" in line and "secret" not in line, line


def test_rule_33_port_of_another_gateway(start_gateway, ups):
    mine, theirs = free_ports(2)
    gateway = start_gateway(
        [m.service(name, up.port) for name, up in ups.items()],
        m.gateway(mine, sets="All"),
        m.gateway(theirs, name="theirs"),
        m.listener_set("s", m.listener(theirs), m.listener(mine, "two", "two.test")),
        m.route("r", m.rule("v1"), parents=m.set_parent("s")),
        m.route("their", m.rule("v2"), parents=[{"name": "theirs"}]),
    )
    assert served_by(theirs) == "v2" and served_by(mine, host="two.test") == "v1"
    assert "PortUnavailable" in gateway.log()


def test_rule_33_routes_stay_with_their_parent(serve_sets):
    """A route of the Gateway is on none of the set's listeners, one of the set on none of the Gateway's, of one name or not."""
    port, extra = free_ports(2)
    site = serve_sets(
        m.gateway(listeners=[m.listener(port, "web", "own.test")], sets="All"),
        m.listener_set("s", m.listener(port, "web", "set.test"), m.listener(extra, "more")),
        m.listener_set("t", m.listener(port, "web", "t.test"), namespace="apps"),
        m.route("own", m.rule("v1")),
        m.route("s", m.rule("v2"), parents=m.set_parent("s", sectionName="web")),
        m.route("both", m.rule("v3", matches=[m.prefix("/both")]), parents=[{"name": "gw"}, *m.set_parent("s", port=extra)]),
        m.route("nowhere", m.rule("v3"), parents=[{"name": "gw", "sectionName": "more"}, *m.set_parent("s", sectionName="no")]),
        m.route("t", m.rule("v3"), parents=m.set_parent("t", "apps"), namespace="apps"),
    )
    eventually(lambda: served_by(port, host="own.test") == "v1")
    assert served_by(port, host="set.test") == "v2"
    assert served_by(port, host="t.test") == "v3"
    assert served_by(port, "/both", host="own.test") == "v3"
    assert served_by(port, "/both", host="set.test") == "v2"
    assert served_by(extra, "/both") == "v3"
    assert served_by(extra, "/") == 404
    assert site.says().count("NoMatchingParent") == 2


def test_rule_33_allowed_routes_are_about_the_sets_namespace(serve_sets):
    port = free_port()
    grpc_only = m.listener(port, "grpc", "grpc.test")
    grpc_only["allowedRoutes"]["kinds"] = [{"kind": "GRPCRoute"}]
    site = serve_sets(
        m.gateway(listeners=[m.listener(port, "own", "own.test")], sets="All"),
        m.listener_set("s", m.listener(port, "same", "same.test", allowed="Same"), grpc_only, namespace="apps"),
        m.route("mine", m.rule("v1"), parents=m.set_parent("s", "apps"), namespace="apps"),
        m.route("foreign", m.rule("v2", matches=[m.prefix("/x")]), parents=m.set_parent("s", "apps")),
    )
    eventually(lambda: served_by(port, host="same.test") == "v1")
    assert served_by(port, "/x", host="same.test") == "v1"
    assert served_by(port, host="grpc.test") == 404
    assert "NotAllowedByListeners" in site.says()


def test_rule_33_grants_are_the_sets_own(serve_sets, authority):
    """What is granted to the Gateway is not granted to its sets, nor the other way round."""
    port = free_port()

    def far(name, secret):
        made = https(port, name, f"{name}.test", secret)
        made["tls"]["certificateRefs"][0]["namespace"] = "vault"
        return made

    grants = [
        m.grant("vault", m.NAMESPACE, kind="Secret", name="gateways", from_kind="Gateway"),
        m.grant("vault", m.NAMESPACE, kind="Secret", name="sets", from_kind="ListenerSet"),
    ]
    grants[1]["metadata"]["name"] = "other"
    names = ["own", "own-no", "set", "set-no", "near"]
    pair = authority.issue(*(f"{name}.test" for name in names))
    site = serve_sets(
        m.gateway(listeners=[far("own", "gateways"), far("own-no", "sets")], sets="All"),
        m.listener_set("s", far("set", "sets"), far("set-no", "gateways")),
        m.listener_set("near", https(port, "near", "near.test", "near"), namespace="apps"),
        [m.tls_secret(name, *pair, namespace="vault") for name in ("gateways", "sets")],
        m.tls_secret("near", *pair, namespace="apps"),
        grants,
        m.route("own", m.rule("v1")),
        m.route("set", m.rule("v2"), parents=m.set_parent("s")),
        m.route("near", m.rule("v3"), parents=m.set_parent("near", "apps"), namespace="apps"),
    )
    ca = str(authority.certificate)

    def over_tls(name):
        try:
            return ask(port, host=f"{name}.test", tls=ca, server_name=f"{name}.test").json()["name"]
        except (ssl.SSLError, ConnectionError):
            return None

    assert {name: over_tls(name) for name in names} == {"own": "v1", "own-no": None, "set": "v2", "set-no": None, "near": "v3"}
    assert site.says().count("RefNotPermitted") == 2


def test_rule_33_connections_too(serve_sets, start_tcp):
    """TCPRoutes attach to a set's listener."""
    port, tcp = free_ports(2)
    server = start_tcp()
    route = m.l4_route("TCPRoute", "r", "tcp")
    route["spec"]["parentRefs"] = m.set_parent("s")
    serve_sets(m.gateway(port, sets="Same"), m.listener_set("s", m.tcp_listener(tcp)), m.service("tcp", server.port), route)

    def echoed():
        with socket.create_connection(("127.0.0.1", tcp), 10) as connection:
            connection.sendall(b"hello")
            return connection.recv(5) == b"hello"

    eventually(echoed)


def marks(value):
    return {"headerModifiers": {"response": {"set": [{"name": "X-Mark", "value": value}]}}}


def test_policies_of_a_set(serve_sets):
    """A Gateway's policy reaches its sets; a set's comes before it, a set's listener's before that; neither reaches the Gateway."""
    port = free_port()
    serve_sets(
        m.gateway(listeners=[m.listener(port, "web", "own.test")], sets="All"),
        m.listener_set("s", m.listener(port, "web", "s.test"), m.listener(port, "more", "more.test")),
        m.listener_set("t", m.listener(port, "web", "t.test")),
        m.policy("g", [m.target("Gateway", "gw")], marks("gateway")),
        m.policy("s", [m.target("ListenerSet", "s")], marks("set")),
        m.policy("l", [m.target("ListenerSet", "s", "more")], marks("section")),
        m.route("r", m.rule("v1"), parents=[{"name": "gw"}, *m.set_parent("s"), *m.set_parent("t")]),
    )
    expected = {"own.test": "gateway", "s.test": "set", "more.test": "section", "t.test": "gateway"}
    eventually(lambda: {host: ask(port, host=host).get("x-mark") for host in expected} == expected)


def test_policies_of_selected_sets(serve_sets):
    port = free_port()
    chosen = m.listener_set("s", m.listener(port, "web", "s.test"))
    chosen["metadata"]["labels"] = {"team": "a"}
    selector = {"group": "gateway.networking.k8s.io", "kind": "ListenerSet", "matchLabels": {"team": "a"}}
    serve_sets(
        m.gateway(port, sets="All"),
        chosen,
        m.listener_set("t", m.listener(port, "web", "t.test")),
        m.policy("p", selectors=[selector], traffic=marks("chosen")),
        m.route("r", m.rule("v1"), parents=[*m.set_parent("s"), *m.set_parent("t")]),
    )
    eventually(lambda: ask(port, host="s.test").get("x-mark") == "chosen")
    assert ask(port, host="t.test").get("x-mark") is None


def test_labels_tell_sets_apart(start_gateway, ups):
    port = free_port()
    gateway = start_gateway(
        m.gateway(listeners=[m.listener(port, "web", "own.test")], sets="All"),
        m.listener_set("s", m.listener(port, "web", "s.test")),
        m.service("v1", ups["v1"].port),
        m.route("r", m.rule("v1"), parents=[{"name": "gw"}, *m.set_parent("s")]),
    )
    assert [served_by(port, host=host) for host in ("own.test", "s.test", "s.test")] == ["v1"] * 3
    counts = {label: gateway.metric("agentgateway_requests_total", listener=label) for label in ("test/gw/web", "test/gw/test/s/web")}
    assert counts == {"test/gw/web": 1, "test/gw/test/s/web": 2}
