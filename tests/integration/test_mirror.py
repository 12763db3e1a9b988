"""Mirrors: rule 22 of test_rules. Whatever becomes of a copy, the client does not notice."""

import threading
import time

import manifests as m
from client import Connection, ask
from gateway import eventually
from ports import free_port
from rules import mirror, modifier, replace_prefix, rewrite, served_by


def heard(upstream, path, n=1):
    eventually(lambda: len(upstream.seen(path)) >= n)
    return upstream.seen(path)[-1]


def test_copies_are_like_the_request(serve, ups):
    """Path, headers and body as the rule's filters made them; several mirrors; the backend's own filters are its own."""
    filters = [
        modifier("RequestHeaderModifier", set={"X-Rule": "yes"}),
        rewrite(hostname="new.test", path=replace_prefix("/new")),
        mirror("v2"),
        mirror("v3"),
    ]
    own = m.ref("v1", filters=[modifier("RequestHeaderModifier", set={"X-Own": "yes"})])
    site = serve(m.route("r", m.rule(own, matches=[m.prefix("/old")], filters=filters)))
    for name in ups:
        ups[name].clear()
    for size in (0, 1, 100000):
        body = bytes(i % 251 for i in range(size))
        path = f"/new/{size}?q=1"
        answer = ask(site.port, "POST", f"/old/{size}?q=1", [("X-Client", "yes")], body)
        assert (answer.status, answer.json()["name"]) == (200, "v1")
        for name in ("v2", "v3"):
            copy = heard(ups[name], path)
            assert (copy.method, copy.body, copy.get("host")) == ("POST", body, "new.test")
            assert (copy.get("x-client"), copy.get("x-rule"), copy.get("x-own")) == ("yes", "yes", None)
            assert copy.get("x-forwarded-for") == "127.0.0.1"
        assert ups["v1"].seen(path)[0].get("x-own") == "yes"
    with Connection(site.port) as connection:
        connection.send("PUT /old/chunked HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        time.sleep(0.1)
        connection.send("4\r\ndefg\r\n0\r\n\r\n")
        assert connection.response("PUT").status == 200
    assert heard(ups["v2"], "/new/chunked").body == b"abcdefg"


def test_mirrors_of_a_backend_are_its_own(serve, ups):
    site = serve(m.route("r", m.rule(m.ref("v1", filters=[mirror("v3")]), "v2")))
    for name in ups:
        ups[name].clear()
    with Connection(site.port) as connection:
        for _ in range(40):
            assert connection.ask(path="/b").status == 200
    expected = len(ups["v1"].seen("/b"))
    assert 0 < expected < 40
    eventually(lambda: len(ups["v3"].seen("/b")) == expected)


def test_share_of_copies(serve, ups):
    site = serve(
        m.route(
            "r",
            m.rule("v1", matches=[m.prefix("/percent")], filters=[mirror("v2", percent=20)]),
            m.rule("v1", matches=[m.prefix("/part")], filters=[mirror("v2", fraction={"numerator": 1, "denominator": 2})]),
            m.rule("v1", matches=[m.prefix("/none")], filters=[mirror("v2", percent=0)]),
            m.rule("v1", matches=[m.prefix("/all")], filters=[mirror("v2")]),
        )
    )
    ups["v2"].clear()
    with Connection(site.port) as connection:
        for path in ("/percent", "/part", "/none", "/all"):
            for _ in range(500):
                assert connection.ask(path=path).status == 200
    eventually(lambda: len(ups["v2"].seen("/all")) == 500)
    # Three times the standard deviation; a slow upstream may have some of them in its threads still.
    eventually(lambda: abs(len(ups["v2"].seen("/percent")) - 100) <= 27)
    eventually(lambda: abs(len(ups["v2"].seen("/part")) - 250) <= 34)
    assert ups["v2"].seen("/none") == []
    copies = len(ups["v2"].requests)
    eventually(lambda: site.gateway.metric("agentgateway_mirrors_total") == copies)
    assert site.gateway.metric("agentgateway_mirrors_dropped_total") == 0


def test_bad_mirrors_cost_nothing(serve, ups):
    """Errors, resets, silence, nobody there, no such Service: the answer is the backend's, and as quick."""
    gate = threading.Event()
    ups["v2"].on("/error", lambda request, stream: stream.respond(500, "no"))
    ups["v2"].on("/reset", lambda request, stream: False)
    ups["v2"].on("/silent", lambda request, stream: gate.wait(20) and False)
    ups["v2"].on("/endless", lambda request, stream: stream.send("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"))
    site = serve(
        m.service("nobody", free_port()),
        m.service("empty", 1, ready=False),
        m.route(
            "r",
            m.rule("v1", filters=[mirror("v2")]),
            m.rule("v1", matches=[m.prefix("/many")], filters=[mirror("nobody"), mirror("missing"), mirror("empty"), mirror("v2")]),
        ),
    )
    ups["v2"].clear()
    started = time.monotonic()
    with Connection(site.port) as connection:
        for path in ("/error", "/reset", "/silent", "/endless", "/many"):
            for _ in range(5):
                assert connection.ask(path=path).json()["name"] == "v1", path
    assert time.monotonic() - started < 3
    heard(ups["v2"], "/many", 5)
    assert "BackendNotFound" in site.gateway.log() and "nothing is mirrored to it" in site.gateway.log()
    gate.set()


def test_slow_mirror_does_not_slow_the_request(serve, ups):
    """It does not read, the body is large: the copy is dropped, the gateway holds little of it."""
    gate = threading.Event()
    ups["v2"].on("/slow", lambda request, stream: gate.wait(30) and False, read_body=False)
    ups["v1"].on("/slow", lambda request, stream: stream.respond(200, str(len(request.body))))
    site = serve(m.route("r", m.rule("v1", filters=[mirror("v2")])))
    before = site.gateway.memory()
    size = 32 << 20
    answer = ask(site.port, "POST", "/slow", body=bytes(size))
    assert (answer.status, answer.body) == (200, str(size).encode())
    assert site.gateway.memory() - before < 16 << 20
    eventually(lambda: site.gateway.metric("agentgateway_mirrors_dropped_total") == 1)
    gate.set()
    assert served_by(site.port) == "v1"


def test_request_that_breaks_off_breaks_its_copies(serve, ups):
    whole = []

    def read(request, stream):
        try:
            stream.read_body(request)
            whole.append(request.body)
        except (ValueError, OSError):
            whole.append(None)
        return False

    ups["v2"].on("/broken", read, read_body=False)
    site = serve(m.route("r", m.rule("v1", filters=[mirror("v2")])))
    with Connection(site.port) as connection:
        connection.send("POST /broken HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nhalf")
        heard(ups["v2"], "/broken")
    eventually(lambda: whole)
    assert whole == [None]
