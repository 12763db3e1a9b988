"""Cards at random, of all versions: each address in what a client gets is the gateway's and leads to where the agent meant."""

import json
import random
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import manifests as m
from client import Connection, ask
from ports import free_port

SEED, CARDS = 20261126, 120
PATHS = ("/.well-known/agent-card.json", "/.well-known/agent.json", "/rest/extendedAgentCard", "/extendedAgentCard", "/v1/card")
MOUNTS = {"/bare": "/bare", "/strip": "", "/moved/here": "/deep/down"}  # the client's prefix: the agent's
ENDS = ("", "/", "/rest", "/rpc/v1", "/a%20b", "/x?y=z", "/bare", "/deep")


class Agent(BaseHTTPRequestHandler):
    """Serves the card that the test put there; tells the path it was asked for elsewhere."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one write
    card = b""

    def do_GET(self):
        known = self.path.endswith(PATHS)
        body = Agent.card if known else json.dumps({"path": self.path}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def port(start_module_gateway):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Agent)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = free_port()

    def to(path):
        return [{"type": "URLRewrite", "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": path or "/"}}}]

    rules = [m.rule("agent", matches=[m.prefix(at)], filters=None if at == own else to(own)) for at, own in MOUNTS.items()]
    service = m.service("agent", server.server_address[1], app_protocol="agentgateway.dev/a2a")
    start_module_gateway(m.gateway(port), *service, m.route("agents", *rules), args=("--trusted-proxies", "127.0.0.0/8"))
    yield port
    server.shutdown()
    server.server_close()


def interface(draw, own, key):
    host = draw.choice(("agent.internal", "127.0.0.1:1", "[::1]:8", "user.example:8443", "AGENT"))
    url = f"{draw.choice(('http', 'https', 'HTTP'))}://{host}{own}{draw.choice(ENDS)}"
    return {"url": url, key: draw.choice(("JSONRPC", "HTTP+JSON")), **({"protocolVersion": "1.0"} if key == "protocolBinding" else {})}


def card(draw, own):
    """Of 0.2 (one url), 0.3 (more interfaces), 1.0 (a list of them), or of both."""
    made = {"name": draw.choice(("a", "ü", '"')), "skills": [], "capabilities": {}, "documentationUrl": "https://docs.example/x"}
    kind = draw.choice(("0.2", "0.3", "1.0", "both"))
    if kind != "1.0":
        first = interface(draw, own, "transport")
        made |= {"url": first["url"], "protocolVersion": "0.2.6" if kind == "0.2" else "0.3.0"}
        made |= {} if kind == "0.2" else {"preferredTransport": first["transport"]}
    if kind in ("0.3", "both"):
        made["additionalInterfaces"] = [interface(draw, own, "transport") for _ in range(draw.randrange(4))]
    if kind in ("1.0", "both"):
        made["supportedInterfaces"] = [interface(draw, own, "protocolBinding") for _ in range(draw.randrange(1, 5))]
    if draw.random() < 0.2:
        made["signatures"] = [{"protected": "e30", "signature": "e30"}]
    items = list(made.items())
    draw.shuffle(items)
    return dict(items)


def urls(card):
    lists = card.get("additionalInterfaces", []) + card.get("supportedInterfaces", [])
    return [*([card["url"]] if "url" in card else []), *(i["url"] for i in lists)]


def path_of(url):
    rest = url.partition("://")[2]
    return rest[rest.index("/") :] if "/" in rest else "/"


def test_no_address_leads_past_the_gateway(port):
    draw = random.Random(SEED)
    reached = {}
    with Connection(port) as connection:
        for n in range(CARDS):
            at, own = draw.choice(list(MOUNTS.items()))
            sent = card(draw, own)
            Agent.card = json.dumps(sent, ensure_ascii=draw.random() < 0.5).encode()
            scheme, host = draw.choice((("http", "gw.example"), ("https", "gw.example:8443")))
            forwarded = {"X-Forwarded-Proto": scheme, "X-Forwarded-Host": host} if draw.random() < 0.5 else {}
            base = f"{scheme}://{host}" if forwarded else "http://direct.example"
            got = connection.ask(path=at + draw.choice(PATHS), headers=forwarded, host="direct.example").json()
            assert "signatures" not in got and got["documentationUrl"] == sent["documentationUrl"], n
            found = urls(got)
            assert all(url.startswith(base + at) for url in found), (n, sent, got)
            for path in {path_of(url) for url in found} - reached.keys():
                reached[path] = ask(port, path=path).json()["path"]
            meant = {path_of(url).rstrip("/") for url in urls(sent)}
            assert {reached[path_of(url)].rstrip("/") for url in found} == meant, (n, sent, got)
