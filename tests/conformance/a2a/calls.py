"""Makes the calls of the table and writes down the answers so that those of two places can be compared."""

import http.client
import json
import re

import grpc
from a2a.compat.v0_3 import a2a_v0_3_pb2
from a2a.types import a2a_pb2
from google.protobuf import json_format, message_factory

SECONDS = 20
ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|agw\.[\w-]+")  # an agent's own, or as the gateway seals it
TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+(?:Z|\+00:00)")
PROTOS = {"1.0": a2a_pb2, "0.3": a2a_v0_3_pb2}


class Names:
    """Ids and addresses of one place by the order in which they turn up: equal answers become equal."""

    def __init__(self, bases):
        self.bases = bases
        self.seen = {}

    def _text(self, text):
        for base in self.bases:
            text = re.sub(re.escape(base) + r"(?=/|$)/?", "BASE/", text)
        if " " in text:  # for people: what an agent writes there of ids is its own business
            return TIME.sub("TIME", ID.sub("ID", text))
        text = ID.sub(lambda found: self.seen.setdefault(found[0], f"id{len(self.seen)}"), text)
        return TIME.sub("TIME", text)

    def of(self, value):
        if isinstance(value, dict):
            return {self._text(key): self.of(value[key]) for key in sorted(value)}
        if isinstance(value, list):
            return [self.of(item) for item in value]
        return self._text(value) if isinstance(value, str) else value


def read(answer):
    """What came of a body; the SDK's agent breaks streams off that it cannot serve."""
    lines = []
    try:
        while line := answer.readline():
            lines.append(line)
    except (http.client.HTTPException, OSError):
        pass
    return b"".join(lines).decode()


def http_call(port, method, path, headers, body):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        kind = (answer.getheader("Content-Type") or "").partition(";")[0]
        text = read(answer)
    finally:
        connection.close()
    if kind == "text/event-stream":
        return answer.status, kind, [json.loads(data) for data in re.findall(r"^data: ?(.*)$", text, re.M)]
    try:
        return answer.status, kind, json.loads(text)
    except ValueError:
        return answer.status, kind, text


def headers_of(version):
    return {"Content-Type": "application/json", **({"A2A-Version": version} if version != "0.3" else {})}


class JsonRpc:
    def __init__(self, version, port, path):
        self.version, self.port, self.path = version, port, path

    def call(self, method, params):
        body = {"jsonrpc": "2.0", "id": "q", "method": method, **({} if params is None else {"params": params})}
        return http_call(self.port, "POST", self.path, headers_of(self.version), json.dumps(body))


class HttpJson:
    def __init__(self, version, port, path):
        self.version, self.port, self.path = version, port, path.rstrip("/") + "/rest"

    def call(self, method, tail, body):
        text = None if body is None else json.dumps(body)
        return http_call(self.port, method, self.path + tail, headers_of(self.version), text)


class Grpc:
    def __init__(self, version, port, _):
        self.version = version
        self.service = PROTOS[version].DESCRIPTOR.services_by_name["A2AService"]
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}")

    def call(self, method, params):
        method = self.service.methods_by_name[method]
        request = json_format.ParseDict(params, message_factory.GetMessageClass(method.input_type)())
        open_call = self.channel.unary_stream if method.server_streaming else self.channel.unary_unary
        answer = message_factory.GetMessageClass(method.output_type)
        send = open_call(f"/{self.service.full_name}/{method.name}", type(request).SerializeToString, answer.FromString)
        metadata = (("a2a-version", self.version),) if self.version != "0.3" else ()
        told = []
        try:
            result = send(request, metadata=metadata, timeout=SECONDS)
            for message in result if method.server_streaming else [result]:
                told.append(json_format.MessageToDict(message))
            return "OK", "", told
        except grpc.RpcError as error:
            # A header field's value has no space around it (RFC 9110 section 5.5); this agent's has, and the gateway cuts it off.
            return error.code().name, error.details().rstrip(), told


def gist(answer):
    """What two versions of one agent agree on: the events or the error's code, without what is left out as a default in one."""

    def of(value):
        if isinstance(value, dict):
            found = {key: of(item) for key, item in value.items() if key not in ("data", "final", "history")}
            return {key: item for key, item in found.items() if item not in (None, False, "", [], {})}
        return [of(item) for item in value] if isinstance(value, list) else value

    status, _, told = answer
    if status != 200:
        return status
    found = [of(event) for event in (told if isinstance(told, list) else [told])]
    for event in found:
        if isinstance(event, dict) and "error" in event:
            code = event["error"]["code"]
            return {"error": -32602 if code == -32600 else code}  # the SDK's 0.3 has one code for both
    return found


def fill(value, ids):
    """|value| with the ids in the places of their names."""
    if isinstance(value, dict):
        return {key: fill(item, ids) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(fill(item, ids) for item in value)
    return re.sub("ASK|DONE|GONE|CONTEXT", lambda found: ids[found[0]], value) if isinstance(value, str) else value


def ids_in(answer):
    """The task's id and its context's in an answer to a sent message, whatever the binding."""
    told = json.dumps(answer)
    task = re.search(rf'"id": "({ID.pattern})"', told)
    context = re.search(rf'"contextId": "({ID.pattern})"', told)
    assert task and context, f"no task in {told}"
    return task[1], context[1]


def answers(binding, cases, bases):
    """{name: (outcome, kind, content)} of all |cases|, made in order."""
    by_name = dict(cases)
    names = Names(bases)
    ids = {"GONE": "no-such-task"}
    ids["ASK"], ids["CONTEXT"] = ids_in(binding.call(*by_name["send: task that asks"]))
    ids["DONE"], _ = ids_in(binding.call(*by_name["send: task"]))
    return {name: names.of(list(binding.call(*fill(call, ids)))) for name, call in by_name.items()}
