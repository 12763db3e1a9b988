"""AgentgatewayPolicy: which requests a policy of a Gateway, a listener, a route or a rule is for, and who wins."""

import time

import pytest
import yaml

import manifests as m
from client import Connection, ask
from gateway import eventually, run
from rules import cors, modifier, rewrite, served_by

FOO = "https://www.foo.com"


def marks(value):
    return {"headerModifiers": {"response": {"set": [{"name": "X-Mark", "value": value}]}}}


def test_more_specific_target_wins(serve):
    site = serve(
        m.policy("on-gateway", [m.target("Gateway", "gw")], marks("gateway")),
        m.policy("on-route", [m.target("HTTPRoute", "two")], marks("route")),
        m.policy("on-rule", [m.target("HTTPRoute", "two", "named")], marks("rule")),
        m.route("one", m.rule("v1", matches=[m.prefix("/one")])),
        m.route(
            "two",
            m.rule("v1", matches=[m.prefix("/two")]),
            m.rule("v1", matches=[m.prefix("/two/named")], name="named"),
            m.rule(
                "v1",
                matches=[m.prefix("/two/filter")],
                filters=[modifier("ResponseHeaderModifier", set={"X-Mark": "filter"})],
            ),
        ),
    )
    found = {path: ask(site.port, path=path).get("x-mark") for path in ("/one", "/two", "/two/named", "/two/filter")}
    assert found == {"/one": "gateway", "/two": "route", "/two/named": "rule", "/two/filter": "filter"}


def test_override_is_not_replaced(serve):
    site = serve(
        m.policy("on-gateway", [m.target("Gateway", "gw")], marks("gateway"), inheritance="Override"),
        m.policy("on-route", [m.target("HTTPRoute", "r")], {**marks("route"), "hostRewrite": {"mode": "None"}}),
        m.route("r", m.rule("v1", filters=[modifier("ResponseHeaderModifier", set={"X-Mark": "filter"})])),
    )
    assert ask(site.port).get("x-mark") == "gateway"


def test_selector_and_reload(serve, ups):
    labelled = m.route("labelled", m.rule("v1", matches=[m.prefix("/labelled")]))
    labelled["metadata"]["labels"] = {"team": "a"}
    selector = {"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "matchLabels": {"team": "a"}}
    objects = [labelled, m.route("other", m.rule("v1")), [m.service(name, up.port) for name, up in ups.items()]]
    site = serve(m.policy("p", selectors=[selector], traffic=marks("a")), *objects[:2])
    assert ask(site.port, path="/labelled").get("x-mark") == "a"
    assert ask(site.port, path="/").get("x-mark") is None
    site.gateway.apply(m.gateway(site.port), m.policy("p", selectors=[selector], traffic=marks("b")), *objects)
    eventually(lambda: ask(site.port, path="/labelled").get("x-mark") == "b")
    site.gateway.apply(m.gateway(site.port), *objects)
    eventually(lambda: ask(site.port, path="/labelled").get("x-mark") is None)


def test_cors_and_retry_by_policy(serve, ups):
    ups["v1"].on("/fails", lambda request, stream: stream.respond(503))
    ups["v1"].clear()
    traffic = {
        "cors": {"allowOrigins": [FOO], "allowMethods": ["GET"]},
        "retry": {"codes": [503], "attempts": 1, "backoff": "1ms"},
    }
    site = serve(
        m.policy("p", [m.target("Gateway", "gw")], traffic),
        m.route(
            "r",
            m.rule("v1"),
            m.rule("v1", matches=[m.prefix("/own")], filters=[cors(allowOrigins=["https://own.com"])]),
        ),
    )
    assert ask(site.port, path="/", headers=[("Origin", FOO)]).get("access-control-allow-origin") == FOO
    assert ask(site.port, path="/own", headers=[("Origin", FOO)]).get("access-control-allow-origin") is None
    assert ask(site.port, path="/fails").status == 503
    assert [r.get("x-retry-attempt") for r in ups["v1"].seen("/fails")] == [None, "1"]


def test_direct_response(serve):
    """Instead of any backend, behind what the rule says of requests; with the rule's response filters."""
    shut = {"directResponse": {"status": 410, "body": "moved out"}}
    site = serve(
        m.policy("shut", [m.target("HTTPRoute", "r", "shut")], shut),
        m.policy("empty", [m.target("HTTPRoute", "r", "empty")], {"directResponse": {"status": 204}}),
        m.route(
            "r",
            m.rule("v1"),
            m.rule(
                matches=[m.prefix("/shut")],
                name="shut",
                filters=[modifier("ResponseHeaderModifier", set={"X-Mark": "yes"})],
            ),
            m.rule("v1", matches=[m.prefix("/empty")], name="empty"),
        ),
    )
    with Connection(site.port) as connection:
        answer = connection.ask(path="/shut")
        assert (answer.status, answer.body, answer.get("x-mark")) == (410, b"moved out", "yes")
        answer = connection.ask("HEAD", "/shut")
        assert (answer.status, answer.get("content-length")) == (410, "9")
        answer = connection.ask(path="/empty")
        assert (answer.status, answer.get("content-length")) == (204, None)
        assert connection.ask(path="/").json()["name"] == "v1"
    assert ask(site.port, "POST", "/empty", body=b"x" * 1000).status == 204


def test_timeouts_of_a_policy(serve, ups):
    ups["v1"].on("/slow", lambda request, stream: time.sleep(0.6) or stream.respond(200, '{"name": "v1"}'))
    site = serve(
        m.policy("p", [m.target("Gateway", "gw")], {"timeouts": {"request": "200ms"}}),
        m.route(
            "r",
            m.rule("v1"),
            m.rule("v1", matches=[m.prefix("/slow/own")], timeouts={"request": "5s"}),
        ),
    )
    assert served_by(site.port, "/slow") == 504
    assert served_by(site.port, "/slow/own") == "v1"


@pytest.mark.parametrize("duration", ["300", "300ms"])
def test_delay(serve, ups, duration):
    """The request waits; so does what is behind it in the order, not what is before; the timeout counts it."""
    delay = {"delay": {"duration": duration}}
    site = serve(
        m.policy("p", [m.target("HTTPRoute", "r")], delay),
        m.policy("short", [m.target("HTTPRoute", "short")], {"delay": {"duration": "10s"}}),
        m.policy("answers", [m.target("HTTPRoute", "answers")], {**delay, "directResponse": {"status": 204}}),
        m.route("r", m.rule("v1", filters=[rewrite(hostname="new.test")])),
        m.route("short", m.rule("v1", matches=[m.prefix("/short")], timeouts={"request": "200ms"})),
        m.route("answers", m.rule(matches=[m.prefix("/answers")])),
    )
    for path, method, body, expected in (("/", "GET", None, 200), ("/", "POST", b"x" * 100000, 200), ("/answers", "GET", None, 204)):
        started = time.monotonic()
        answer = ask(site.port, method, path, body=body)
        assert answer.status == expected
        assert 0.29 <= time.monotonic() - started < 3
        if expected == 200:
            echo = answer.json()
            assert (dict(echo["headers"])["host"], len(echo["body"])) == ("new.test", len(body or b""))
            # Once, though the step ran twice.
            assert dict(echo["headers"])["x-forwarded-for"] == "127.0.0.1"
    started = time.monotonic()
    assert ask(site.port, path="/short").status == 504
    assert time.monotonic() - started < 3


def test_client_that_leaves_during_a_delay(serve, ups):
    ups["v1"].clear()
    site = serve(m.policy("p", [m.target("HTTPRoute", "r")], {"delay": {"duration": "400ms"}}), m.route("r", m.rule("v1")))
    with Connection(site.port) as connection:
        connection.request(path="/left")
        time.sleep(0.1)
    time.sleep(0.6)
    assert ups["v1"].seen("/left") == []


def test_delay_that_is_no_time_is_refused(tmp_path):
    objects = [
        m.gateway(8080),
        m.policy("p", [m.target("HTTPRoute", "r")], {"delay": {"duration": "random() * 5"}}),
        m.route("r", m.rule()),
    ]
    (tmp_path / "objects.yaml").write_text(yaml.safe_dump_all(m.flat(objects)))
    result = run("-f", str(tmp_path), "--validate")
    assert result.returncode == 1
    assert "policy delay: duration: \"random() * 5\"" in result.stdout + result.stderr
