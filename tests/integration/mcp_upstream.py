"""An MCP server in a few lines, scripted by a test and counting what the gateway does to it."""

import json

from upstream import Upstream


def events(*messages):
    return "".join(f"event: message\r\ndata: {json.dumps(message)}\r\n\r\n" for message in messages)


class McpUpstream(Upstream):
    """methods: {method: params -> result}; sse answers with an event stream instead of JSON, which begins with |first|."""

    def __init__(self, name, tools=(), sse=False, first="", **methods):
        super().__init__(name)
        self.sse = sse
        self.first = first
        self.calls = []
        self.ended = []
        self.session = f"{name}-session"
        self.forgotten = set()
        self.methods = {
            "initialize": self._initialize,
            "ping": lambda params: {},
            "tools/list": lambda params: {"tools": [{"name": t, "inputSchema": {"type": "object"}} for t in tools]},
            "tools/call": lambda params: {"content": [{"type": "text", "text": f"{name}:{params['name']}"}]},
            **{key.replace("_", "/"): value for key, value in methods.items()},
        }
        self.on("/mcp", self._handle)

    def forget(self):
        """Sessions so far are unknown from now on."""
        self.forgotten.add(self.session)
        self.session += "+"

    def count(self, method):
        return sum(call["method"] == method for call in self.calls if "method" in call)

    def params(self, method):
        return [call.get("params") for call in self.calls if call.get("method") == method]

    def _initialize(self, params):
        return {
            "protocolVersion": params["protocolVersion"],
            "capabilities": {"tools": {}, "resources": {}, "prompts": {}},
            "serverInfo": {"name": self.name, "version": "1"},
        }

    def _handle(self, request, stream):
        if request.method == "DELETE":
            self.ended.append(request.get("mcp-session-id"))
            return stream.respond(200)
        if request.method != "POST":
            return stream.respond(405)
        if request.get("mcp-session-id") in self.forgotten:
            return stream.respond(404)
        call = json.loads(request.body)
        self.calls.append(call)
        if "id" not in call or "method" not in call:
            return stream.respond(202, reason="Accepted")
        headers = [("Mcp-Session-Id", self.session)] if call["method"] == "initialize" else []
        return self._answer(call, self._result(call), headers, stream)

    def _result(self, call):
        method = self.methods.get(call["method"])
        if not method:
            return {"error": {"code": -32601, "message": "Method not found"}}
        result = method(call.get("params", {}))
        return result if "error" in result else {"result": result}

    def _answer(self, call, outcome, headers, stream):
        answer = {"jsonrpc": "2.0", "id": call["id"], **outcome}
        if self.sse:
            return stream.respond(200, self.first + events(answer), [("Content-Type", "text/event-stream"), *headers])
        return stream.respond(200, json.dumps(answer), [("Content-Type", "application/json"), *headers])


class McpClient:
    """A client that says what it is told to, over one kept connection."""

    def __init__(self, connection, version="2025-06-18", path="/mcp", host="test"):
        self.connection = connection
        self.path = path
        self.host = host
        self.version = version
        self.session = None
        self._id = 0

    def post(self, message, headers=None):
        own = {
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
        }
        if self.session:
            own |= {"Mcp-Session-Id": self.session, "MCP-Protocol-Version": self.version}
        body = message if isinstance(message, bytes) else json.dumps(message).encode()
        return self.connection.ask("POST", self.path, own | (headers or {}), body, self.host)

    def initialize(self):
        params = {"protocolVersion": self.version, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
        answer = self.post({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params})
        assert answer.status == 200, answer
        self.session = answer.get("mcp-session-id")
        accepted = self.post({"jsonrpc": "2.0", "method": "notifications/initialized"})
        assert accepted.status == 202 and accepted.body == b"", accepted
        return messages_of(answer)[-1]["result"]

    def call(self, method, params=None, id=None):
        """The messages of the answer; the last one is the response."""
        self._id += 1
        wanted = self._id if id is None else id
        request = {"jsonrpc": "2.0", "id": wanted, "method": method}
        if params is not None:
            request["params"] = params
        answer = self.post(request)
        assert answer.status == 200, answer
        messages = messages_of(answer)
        assert messages[-1]["id"] == wanted
        return messages

    def result(self, method, params=None):
        response = self.call(method, params)[-1]
        assert "result" in response, response
        return response["result"]


def messages_of(answer):
    if answer.get("content-type", "").startswith("text/event-stream"):
        events_in = answer.body.decode().replace("\r\n", "\n").split("\n\n")
        data = ["\n".join(l[5:].lstrip(" ") for l in e.split("\n") if l.startswith("data:")) for e in events_in]
        return [json.loads(text) for text in data if text]
    return [json.loads(answer.body)]
