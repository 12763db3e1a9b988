"""HTTP APIs as MCP targets, by their OpenAPI documents: raw clients of both eras and the official one."""

import base64
import json

import jsonschema
import pytest
import yaml

import manifests as m
import mcp_schema
from client import Connection, ask
from gateway import eventually
from mcp_upstream import McpClient, McpUpstream
from ports import free_port
from servers import run_script
from upstream import Upstream

NEW = "2026-07-28"
PET = {"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}, "tag": {"type": "string", "nullable": True}}}


def parameter(name, where, kind="string", **fields):
    return {"name": name, "in": where, "schema": {"type": kind}, "required": where == "path", **fields}


def document(version="3.0.3"):
    pet = PET if version < "3.1" else {**PET, "properties": {**PET["properties"], "tag": {"type": ["string", "null"]}}}
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Pet"}}}
    ok = {"200": {"description": "ok", "content": content}}
    anything = {"200": {"description": "ok"}}
    return {
        "openapi": version,
        "info": {"title": "Pets", "version": "7", "description": "All about pets."},
        "servers": [{"url": "https://elsewhere.example/v1/"}],
        "paths": {
            "/pets/{id}": {
                "parameters": [parameter("id", "path")],
                "get": {
                    "operationId": "getPet",
                    "summary": "One pet",
                    "parameters": [parameter("fields", "query", "array"), parameter("X-Trace", "header"), parameter("flavour", "cookie")],
                    "responses": ok,
                },
            },
            "/pets": {"post": {"requestBody": {"required": True, "content": content}, "responses": {"201": {"description": "made"}}}},
            "/missing": {"get": {"operationId": "missing", "responses": anything}},
            "/plain": {"get": {"operationId": "plain", "responses": anything}},
            "/image": {"get": {"operationId": "image", "responses": anything}},
            "/large": {"get": {"operationId": "large", "responses": anything}},
            "/list": {"get": {"operationId": "list", "responses": anything}},
        },
        "components": {"schemas": {"Pet": pet}},
    }


def serve(request, stream):
    path = request.path.split("?")[0]
    if path == "/v1/missing":
        stream.respond(404, b'{"error":"no such pet"}', [("Content-Type", "application/json")], "Not Found")
    elif path == "/v1/plain":
        stream.respond(200, "Grüße".encode(), [("Content-Type", "text/plain; charset=utf-8")])
    elif path == "/v1/image":
        stream.respond(200, b"\x89PNG\x00", [("Content-Type", "image/png")])
    elif path == "/v1/large":
        stream.respond(200, b"a" * ((2 << 20) + 1), [("Content-Type", "text/plain")])
    elif path == "/v1/list":
        stream.respond(200, b"[1,\n2]", [("Content-Type", "application/json")])
    else:
        seen = {"id": 1, "method": request.method, "path": request.path, "body": request.body.decode(), "headers": dict(request.headers)}
        stream.respond(200, json.dumps(seen).encode(), [("Content-Type", "application/json")])


def target(port, text, **fields):
    return {"openapi": {"host": "127.0.0.1", "port": port, "document": text, **fields}}


def objects(port, targets):
    return [m.gateway(port), m.mcp_backend("tools", targets), m.route("mcp", m.rule(m.agentgateway_ref("tools")))]


@pytest.fixture(scope="module")
def site(start_module_gateway):
    api, other, ports = Upstream(), McpUpstream("other", ["echo"]), {}
    api.on("/v1/", serve)
    texts = {"json": json.dumps(document()), "yaml": yaml.safe_dump(document("3.1.0"))}
    gateways = {}
    for kind, targets in {
        "json": {"pets": target(api.port, texts["json"])},
        "yaml": {"pets": target(api.port, texts["yaml"], policies={"auth": {"key": "ours"}})},
        "down": {"pets": target(free_port(), texts["json"])},
        "both": {"pets": target(api.port, texts["json"]), "other": other.port},
    }.items():
        ports[kind] = free_port()
        gateways[kind] = start_module_gateway(objects(ports[kind], targets))
    ports["gateway"], ports["objects"] = gateways["both"], lambda text: objects(ports["both"], {"pets": target(api.port, text), "other": other.port})
    yield ports
    api.close()
    other.close()


def modern(port, method, params=None, name=None):
    meta = {"io.modelcontextprotocol/protocolVersion": NEW, "io.modelcontextprotocol/clientCapabilities": {}}
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**(params or {}), "_meta": meta}}
    head = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream", "MCP-Protocol-Version": NEW}
    head |= {"Mcp-Method": method} | ({"Mcp-Name": name} if name else {})
    answer = ask(port, "POST", "/mcp", head, json.dumps(body).encode())
    assert answer.status == 200, answer
    return json.loads(answer.body)


class Legacy:
    def __init__(self, port):
        self.connection = Connection(port)
        self.client = McpClient(self.connection)
        self.client.initialize()

    def list(self):
        return self.client.result("tools/list")["tools"]

    def call(self, name, **arguments):
        return self.client.result("tools/call", {"name": name, "arguments": arguments})


class Modern:
    def __init__(self, port):
        self.port = port

    def list(self):
        return modern(self.port, "tools/list")["result"]["tools"]

    def call(self, name, **arguments):
        return modern(self.port, "tools/call", {"name": name, "arguments": arguments}, name)["result"]


@pytest.fixture(params=[(Legacy, "json"), (Modern, "json"), (Legacy, "yaml"), (Modern, "yaml")], ids=lambda p: f"{p[0].__name__}-{p[1]}")
def client(request, site):
    made, kind = request.param
    return made(site[kind])


def test_operations_are_tools(client):
    tools = {tool["name"]: tool for tool in client.list()}
    assert set(tools) == {"getPet", "post_pets", "missing", "plain", "image", "large", "list"}
    got = tools["getPet"]
    assert got["annotations"] == {"readOnlyHint": True} and got["description"] == "One pet"
    assert got["inputSchema"]["required"] == ["path"]
    assert got["outputSchema"]["$defs"]["Pet"]["properties"]["tag"] == {"type": ["string", "null"]}
    assert tools["post_pets"]["inputSchema"]["properties"]["body"] == {"$ref": "#/$defs/Pet"}


def test_a_call_is_one_request(client):
    seen = client.call("getPet", path={"id": "a/b c"}, query={"fields": ["x&y", 2]}, header={"x-trace": "t"}, cookie={"flavour": "a;b"})
    assert json.loads(seen["content"][0]["text"]) == seen["structuredContent"]
    seen = seen["structuredContent"]
    assert (seen["method"], seen["path"]) == ("GET", "/v1/pets/a%2Fb%20c?fields=x%26y&fields=2")
    assert seen["headers"]["x-trace"] == "t" and seen["headers"]["cookie"] == "flavour=a%3Bb"
    assert not {"mcp-session-id", "mcp-method", "mcp-protocol-version", "content-type"} & set(seen["headers"])
    seen = client.call("post_pets", body={"id": 5, "tag": None})["structuredContent"]
    assert (seen["method"], seen["path"], json.loads(seen["body"])) == ("POST", "/v1/pets", {"id": 5, "tag": None})
    assert seen["headers"]["content-type"] == "application/json"


def test_answers_of_other_kinds(client):
    missing = client.call("missing")
    assert missing["isError"] and missing["content"][0]["text"] == 'HTTP 404 Not Found\n{"error":"no such pet"}'
    assert client.call("plain")["content"] == [{"type": "text", "text": "Grüße"}]
    image = client.call("image")["content"][0]
    assert (image["type"], image["mimeType"], base64.b64decode(image["data"])) == ("image", "image/png", b"\x89PNG\x00")
    assert client.call("list")["structuredContent"] == {"data": [1, 2]}


def test_an_answer_that_is_too_large_and_none_at_all(site):
    large = Modern(site["json"]).call("large")
    assert large["isError"] and large["content"][0]["text"] == "the answer has more than 2 MiB"
    client = Legacy(site["down"])
    assert client.list()
    call = {"jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": {"name": "plain", "arguments": {}}}
    answer = client.client.post(call)
    assert answer.status == 503 and answer.json()["error"]["message"] == "target pets: connection refused"


def test_whose_credentials_the_api_gets(site):
    for kind, got in ("json", None), ("yaml", "Bearer ours"):
        connection = Connection(site[kind])
        client = McpClient(connection)
        client.initialize()
        call = {"jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": {"name": "getPet", "arguments": {"path": {"id": "1"}}}}
        answer = client.post(call, {"Authorization": "Bearer theirs", "Cookie": "theirs=1"})
        assert answer.status == 200, answer
        text = answer.body.decode()
        assert "theirs" not in text and (got is None or got in text)
        connection.close()


@pytest.mark.parametrize(
    "arguments, reason",
    [
        ({}, "path.id is required"),
        ({"path": {"id": ".."}}, "path.id must not have"),
        ({"path": {"id": "x/../../admin"}}, "path.id must not have"),
        ({"path": {"id": "x"}, "header": {"x-trace": "a\r\nHost: evil"}}, "header.x-trace is no value"),
        ({"path": {"id": "x"}, "header": {"host": "evil"}}, "there is no argument header.host"),
        ({"path": {"id": "x"}, "header": {"authorization": "b"}}, "there is no argument header.authorization"),
        ({"path": {"id": "x"}, "extra": {}}, "arguments are"),
    ],
)
def test_arguments_that_are_refused(site, arguments, reason):
    for client in Legacy(site["json"]), Modern(site["json"]):
        answer = client.call("getPet", **arguments)
        assert answer["isError"] and answer["content"][0]["text"].startswith(reason)


def test_beside_a_server(site):
    for client in Legacy(site["both"]), Modern(site["both"]):
        names = {tool["name"] for tool in client.list()}
        assert "pets_getPet" in names and any(name.startswith("other_") for name in names)
        assert client.call("pets_getPet", path={"id": 1})["structuredContent"]["path"] == "/v1/pets/1"


def test_a_broken_document_is_refused_with_its_place_and_the_old_one_serves(site):
    gateway = site["gateway"]
    gateway.apply(*site["objects"](json.dumps({"openapi": "3.0.0", "paths": {"b": {}}})))
    reason = "backend/test/tools: target pets: openapi.document: #/paths/b: must begin with /"
    eventually(lambda: reason in gateway.log())
    for client in Legacy(site["both"]), Modern(site["both"]):
        assert client.call("pets_getPet", path={"id": 1})["structuredContent"]["id"] == 1
        assert client.call("other_echo")["content"][0]["text"] == "other:echo"


def test_the_official_clients(site):
    seen = run_script("openapi.mjs", f"http://127.0.0.1:{site['json']}/mcp")
    for era in "old", "modern":
        assert seen[era]["got"]["structuredContent"]["path"] == "/v1/pets/a%20b?fields=x"
        assert seen[era]["missing"]["isError"] and seen[era]["server"]["name"] == "Pets"
        assert "getPet" in seen[era]["tools"] and seen[era]["instructions"] == "All about pets."


def test_every_schema_is_one(site):
    for kind in "json", "yaml":
        for tool in Modern(site[kind]).list():
            for schema in tool["inputSchema"], tool.get("outputSchema", {}):
                jsonschema.Draft202012Validator.check_schema(schema)


@mcp_schema.needed
def test_what_a_client_of_new_gets_validates(site):
    for method, params, name in [
        ("server/discover", None, "DiscoverResult"),
        ("tools/list", None, "ListToolsResult"),
        ("tools/call", {"name": "getPet", "arguments": {"path": {"id": "1"}}}, "CallToolResult"),
        ("tools/call", {"name": "missing"}, "CallToolResult"),
        ("tools/call", {"name": "image"}, "CallToolResult"),
    ]:
        mcp_schema.validate_result(NEW, modern(site["json"], method, params, params and params["name"]), name)
