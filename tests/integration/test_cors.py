"""CORS: rule 23 of test_rules. Preflights are the gateway's; of all others the answer says who may read it."""

import manifests as m
from client import ask
from ports import free_port
from rules import cors, modifier, redirect

FOO = "https://www.foo.com"


def allowed(answer):
    """The fields of CORS, without their common beginning."""
    return {name[15:]: value for name, value in answer.headers if name.startswith("access-control-")}


def preflight(port, path, origin, method="GET", names=None):
    headers = [("Origin", origin), ("Access-Control-Request-Method", method)]
    if names:
        headers.append(("Access-Control-Request-Headers", names))
    return ask(port, "OPTIONS", path, headers)


def test_preflight_is_answered_by_the_gateway(serve, ups):
    full = cors(
        allowOrigins=[FOO, "https://*.bar.com"],
        allowMethods=["GET", "OPTIONS"],
        allowHeaders=["x-header-1", "x-header-2"],
        exposeHeaders=["x-header-3", "x-header-4"],
        allowCredentials=True,
        maxAge=3600,
    )
    site = serve(
        m.route(
            "r",
            m.rule("v1", matches=[m.prefix("/full")], filters=[full]),
            m.rule("v1", matches=[m.prefix("/methods")], filters=[cors(allowOrigins=[FOO], allowMethods=["*"])]),
            m.rule("v1", matches=[m.prefix("/any")], filters=[cors(allowOrigins=["*"], allowMethods=["PUT"])]),
            m.rule(
                "v1",
                matches=[m.prefix("/echo")],
                filters=[cors(allowOrigins=["*"], allowMethods=["*"], allowHeaders=["*"], allowCredentials=True)],
            ),
            m.rule("v1"),
        )
    )
    ups["v1"].clear()
    common = {
        "allow-methods": "GET, OPTIONS",
        "allow-headers": "x-header-1, x-header-2",
        "expose-headers": "x-header-3, x-header-4",
        "allow-credentials": "true",
        "max-age": "3600",
    }
    for origin in (FOO, "https://www.bar.com", "https://xpto.www.bar.com"):
        answer = preflight(site.port, "/full", origin, names="x-header-1, x-header-2")
        assert (answer.status, answer.body) == (200, b"")
        assert allowed(answer) == {**common, "allow-origin": origin}
        assert answer.get("vary") == "origin"
    for origin in ("https://foobar.com", "https://bar.com", "http://www.foo.com", "https://www.foo.com:8443"):
        answer = preflight(site.port, "/full", origin)
        assert (answer.status, allowed(answer)) == (200, {}), origin
    assert allowed(preflight(site.port, "/methods", FOO, "POST")) == {
        "allow-origin": FOO,
        "allow-methods": "*",
        "max-age": "5",
    }
    answer = preflight(site.port, "/any", "https://foobar.com:12345", "PUT")
    assert allowed(answer) == {"allow-origin": "*", "allow-methods": "PUT", "max-age": "5"}
    assert answer.get("vary") is None
    assert allowed(preflight(site.port, "/echo", FOO, "PATCH", "X-One, X-Two")) == {
        "allow-origin": FOO,
        "allow-methods": "PATCH",
        "allow-headers": "X-One, X-Two",
        "allow-credentials": "true",
        "max-age": "5",
    }
    assert ups["v1"].requests == []
    # Without a filter, and without what makes a preflight, OPTIONS is a method as any other.
    assert preflight(site.port, "/", FOO).json()["method"] == "OPTIONS"
    assert ask(site.port, "OPTIONS", "/full", [("Origin", FOO)]).json()["method"] == "OPTIONS"
    assert ask(site.port, "OPTIONS", "/full", [("Access-Control-Request-Method", "GET")]).json()["method"] == "OPTIONS"


def test_rule_23_preflight_goes_where_its_request_will(serve, ups):
    """A match by method takes the preflight of that method too, if its rule has CORS, by a filter or a policy."""
    only_put = {**m.prefix("/filter"), "method": "PUT"}
    with_policy = m.route("by-policy", m.rule("v1", matches=[{**m.prefix("/policy"), "method": "PUT"}]))
    site = serve(
        m.route(
            "r",
            m.rule("v1", matches=[only_put], filters=[cors(allowOrigins=[FOO], allowMethods=["PUT"])]),
            m.rule("v2", matches=[{**m.prefix("/plain"), "method": "PUT"}]),
            m.rule("v3", matches=[m.prefix("/filter/any")]),
        ),
        with_policy,
        m.policy("p", [m.target("HTTPRoute", "by-policy")], {"cors": {"allowOrigins": [FOO], "allowMethods": ["PUT"]}}),
    )
    for up in ups.values():
        up.clear()
    for path in ("/filter", "/policy"):
        answer = preflight(site.port, path, FOO, "PUT")
        assert (answer.status, allowed(answer)) == (200, {"allow-origin": FOO, "allow-methods": "PUT", "max-age": "5"})
        assert preflight(site.port, path, FOO, "DELETE").status == 404  # so would the request itself be
        assert ask(site.port, "OPTIONS", path).status == 404
        assert ask(site.port, "PUT", path, [("Origin", FOO)]).get("access-control-allow-origin") == FOO
    assert preflight(site.port, "/plain", FOO, "PUT").status == 404
    assert preflight(site.port, "/filter/any", FOO, "PUT").json()["name"] == "v3"  # the longer path, as for the request
    assert [request.method for request in ups["v1"].requests] == ["PUT", "PUT"] and ups["v2"].requests == []


def test_answers_say_who_may_read_them(serve, ups):
    """The backend's own word does not count; the client's Origin does, whatever filters make of it on the way."""

    def loose(request, stream):
        stream.respond(200, "{}", [("Access-Control-Allow-Origin", "*"), ("Vary", "accept")])

    ups["v1"].on("/loose", loose)
    filters = [
        cors(allowOrigins=[FOO], exposeHeaders=["x-a"]),
        modifier("RequestHeaderModifier", set={"Origin": "https://other.com"}),
        modifier("ResponseHeaderModifier", set={"Access-Control-Allow-Origin": "https://other.com"}),
    ]
    site = serve(
        m.route(
            "r",
            m.rule("v1", matches=[m.prefix("/loose")], filters=filters),
            m.rule("missing", matches=[m.prefix("/error")], filters=[cors(allowOrigins=[FOO])]),
            m.rule(matches=[m.prefix("/away")], filters=[cors(allowOrigins=[FOO]), redirect(hostname="x.test")]),
        )
    )
    answer = ask(site.port, path="/loose", headers=[("Origin", FOO)])
    assert allowed(answer) == {"allow-origin": FOO, "expose-headers": "x-a"}
    assert answer.all("vary") == ["accept", "origin"]
    for headers in ([("Origin", "https://foobar.com")], [("Origin", "null")], []):
        answer = ask(site.port, path="/loose", headers=headers)
        assert (answer.status, allowed(answer), answer.all("vary")) == (200, {}, ["accept", "origin"])
    # An error or a redirect can be read by who may read the answer.
    for path, status in (("/error", 500), ("/away", 302)):
        answer = ask(site.port, path=path, headers=[("Origin", FOO)])
        assert (answer.status, allowed(answer)) == (status, {"allow-origin": FOO}), path


def test_cors_in_front_of_mcp(start_gateway, start_upstream):
    """A browser's MCP client asks first, and may read also what the gateway's own endpoint says."""
    port = free_port()
    filters = [cors(allowOrigins=[FOO], allowMethods=["POST"], exposeHeaders=["mcp-session-id"])]
    start_gateway(
        m.gateway(port),
        m.mcp_backend("tools", {"one": start_upstream("one").port}),
        m.route("r", m.rule(m.agentgateway_ref("tools"), matches=[m.prefix("/mcp")], filters=filters)),
    )
    assert allowed(preflight(port, "/mcp", FOO, "POST"))["allow-origin"] == FOO
    answer = ask(port, "POST", "/mcp", [("Origin", FOO), ("Content-Type", "application/json")], b"not json")
    assert answer.status == 406
    assert allowed(answer) == {"allow-origin": FOO, "expose-headers": "mcp-session-id"}
