"""The table: what is called, by binding and version, with what parameters. ASK stands for the id of a task that waits for input,
DONE for one that is complete, GONE for none. (name, call) in the order in which they are made."""

PUSH = "http://hooks.example/told"


def new_message(text, **more):
    return {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": text}], **more}


def old_message(text, **more):
    return {"kind": "message", "messageId": "m", "role": "user", "parts": [{"kind": "text", "text": text}], **more}


def old_proto_message(text, **more):
    return {"messageId": "m", "role": "ROLE_USER", "content": [{"text": text}], **more}


SENT = {"message": "Ada", "task": "task 2", "failing task": "fail", "task that asks": "ask"}
IDS = ("DONE", "GONE")


def sends(send, stream, message, wrap="message"):
    """send and stream: the two calls as (method, path or None)."""
    for name, text in SENT.items():
        yield f"send: {name}", (*send, {wrap: message(text)})
    yield "send: no parts", (*send, {wrap: {"messageId": "m"}})
    yield "send: unknown task", (*send, {wrap: message("Ada", taskId="GONE")})
    yield "send: task that is over", (*send, {wrap: message("Ada", taskId="DONE")})
    yield "send: history of none", (*send, {wrap: message("task 1"), "configuration": {"historyLength": 0}})
    for name, text in SENT.items():
        yield f"stream: {name}", (*stream, {wrap: message(text)})
    yield "stream: unknown task", (*stream, {wrap: message("Ada", taskId="GONE")})


def json_rpc_1_0():
    yield from sends(("SendMessage",), ("SendStreamingMessage",), new_message)
    for which in ("ASK", *IDS):
        yield f"get {which}", ("GetTask", {"id": which})
    yield "get: no id", ("GetTask", {})
    yield "get: history of one", ("GetTask", {"id": "DONE", "historyLength": 1})
    yield "list: by context", ("ListTasks", {"contextId": "CONTEXT"})
    yield "list: page too large", ("ListTasks", {"pageSize": 1000})
    yield "list: strange token", ("ListTasks", {"pageToken": "strange"})
    yield "push: create", ("CreateTaskPushNotificationConfig", {"taskId": "ASK", "id": "p", "url": PUSH, "token": "t"})
    yield "push: create, no task", ("CreateTaskPushNotificationConfig", {"taskId": "GONE", "id": "p", "url": PUSH})
    yield "push: get", ("GetTaskPushNotificationConfig", {"taskId": "ASK", "id": "p"})
    yield "push: get, no config", ("GetTaskPushNotificationConfig", {"taskId": "ASK", "id": "q"})
    yield "push: list", ("ListTaskPushNotificationConfigs", {"taskId": "ASK"})
    yield "push: delete", ("DeleteTaskPushNotificationConfig", {"taskId": "ASK", "id": "p"})
    yield "push: list again", ("ListTaskPushNotificationConfigs", {"taskId": "ASK"})
    for which in IDS:
        yield f"subscribe {which}", ("SubscribeToTask", {"id": which})
    for which in ("ASK", *IDS):
        yield f"cancel {which}", ("CancelTask", {"id": which})
    yield "extended card", ("GetExtendedAgentCard", {})
    yield "unknown method", ("NoSuchMethod", {})


def json_rpc_0_3():
    yield from sends(("message/send",), ("message/stream",), old_message)
    for which in ("ASK", *IDS):
        yield f"get {which}", ("tasks/get", {"id": which})
    yield "get: no id", ("tasks/get", {})
    yield "get: history of one", ("tasks/get", {"id": "DONE", "historyLength": 1})
    config = {"id": "p", "url": PUSH, "token": "t"}
    yield "push: set", ("tasks/pushNotificationConfig/set", {"taskId": "ASK", "pushNotificationConfig": config})
    yield "push: set, no task", ("tasks/pushNotificationConfig/set", {"taskId": "GONE", "pushNotificationConfig": config})
    yield "push: get", ("tasks/pushNotificationConfig/get", {"id": "ASK", "pushNotificationConfigId": "p"})
    yield "push: list", ("tasks/pushNotificationConfig/list", {"id": "ASK"})
    yield "push: delete", ("tasks/pushNotificationConfig/delete", {"id": "ASK", "pushNotificationConfigId": "p"})
    yield "push: list again", ("tasks/pushNotificationConfig/list", {"id": "ASK"})
    for which in IDS:
        yield f"resubscribe {which}", ("tasks/resubscribe", {"id": which})
    for which in ("ASK", *IDS):
        yield f"cancel {which}", ("tasks/cancel", {"id": which})
    yield "extended card", ("agent/getAuthenticatedExtendedCard", None)
    yield "unknown method", ("no/such", {})


def http_json(root, message):
    """(method, path, body)"""
    yield from sends(("POST", f"{root}/message:send"), ("POST", f"{root}/message:stream"), message)
    for which in ("ASK", *IDS):
        yield f"get {which}", ("GET", f"{root}/tasks/{which}", None)
    yield "get: history of one", ("GET", f"{root}/tasks/DONE?historyLength=1", None)
    yield "no such path", ("GET", f"{root}/tasks/DONE/nothing", None)
    yield "push: get, no config", ("GET", f"{root}/tasks/ASK/pushNotificationConfigs/q", None)
    yield "push: list", ("GET", f"{root}/tasks/ASK/pushNotificationConfigs", None)


def http_json_ends(root):
    for which in IDS:
        yield f"subscribe {which}", ("POST", f"{root}/tasks/{which}:subscribe", None)
    for which in ("ASK", *IDS):
        yield f"cancel {which}", ("POST", f"{root}/tasks/{which}:cancel", {})


def http_json_1_0():
    yield from http_json("", new_message)
    yield "list: by context", ("GET", "/tasks?contextId=CONTEXT", None)
    yield "list: page too large", ("GET", "/tasks?pageSize=1000", None)
    configs = "/tasks/ASK/pushNotificationConfigs"
    yield "push: create", ("POST", configs, {"id": "p", "url": PUSH, "token": "t"})
    yield "push: get", ("GET", f"{configs}/p", None)
    yield "push: list of one", ("GET", configs, None)
    yield "push: delete", ("DELETE", f"{configs}/p", None)
    yield "push: list again", ("GET", configs, None)
    yield from http_json_ends("")
    yield "extended card", ("GET", "/extendedAgentCard", None)


def http_json_0_3():
    yield from http_json("/v1", old_proto_message)
    configs = "/v1/tasks/ASK/pushNotificationConfigs"
    config = {"name": "tasks/ASK/pushNotificationConfigs/p", "pushNotificationConfig": {"id": "p", "url": PUSH, "token": "t"}}
    yield "push: create", ("POST", configs, {"parent": "tasks/ASK", "configId": "p", "config": config})
    yield "push: get", ("GET", f"{configs}/p", None)
    yield "push: list of one", ("GET", configs, None)
    yield from http_json_ends("/v1")
    yield "extended card", ("GET", "/v1/card", None)


def grpc_1_0():
    for name, call in json_rpc_1_0():
        if call[0] != "NoSuchMethod":
            yield name, call


def grpc_0_3():
    yield from sends(("SendMessage",), ("SendStreamingMessage",), old_proto_message, wrap="request")
    for which in ("ASK", *IDS):
        yield f"get {which}", ("GetTask", {"name": f"tasks/{which}"})
    yield "get: no name", ("GetTask", {})
    name = "tasks/ASK/pushNotificationConfigs/p"
    config = {"name": name, "pushNotificationConfig": {"id": "p", "url": PUSH, "token": "t"}}
    yield "push: create", ("CreateTaskPushNotificationConfig", {"parent": "tasks/ASK", "configId": "p", "config": config})
    yield "push: get", ("GetTaskPushNotificationConfig", {"name": name})
    yield "push: list", ("ListTaskPushNotificationConfig", {"parent": "tasks/ASK"})
    yield "push: delete", ("DeleteTaskPushNotificationConfig", {"name": name})
    for which in IDS:
        yield f"subscribe {which}", ("TaskSubscription", {"name": f"tasks/{which}"})
    for which in ("ASK", *IDS):
        yield f"cancel {which}", ("CancelTask", {"name": f"tasks/{which}"})
    yield "extended card", ("GetAgentCard", {})
