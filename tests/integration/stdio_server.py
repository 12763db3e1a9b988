"""An MCP server on standard input and output, for tests. What it does beside answering is said by its arguments and tools."""

import json
import os
import subprocess
import sys
import time


def send(message):
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def facts(arguments):
    return {
        "pid": os.getpid(),
        "group": os.getpgrp(),
        "fds": sorted(int(fd) for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{fd}")),
        "environment": dict(os.environ),
        "arguments": sys.argv[1:],
    }


def spawn(arguments):
    child = subprocess.Popen(["sleep", "1000"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return {"pid": child.pid}


def say(arguments):
    sys.stderr.write(arguments["text"])
    sys.stderr.flush()
    return {}


def flood(arguments):
    sys.stdout.write("x" * arguments["bytes"])
    sys.stdout.flush()
    time.sleep(60)


def sleep(arguments):
    time.sleep(arguments["seconds"])
    return {}


def noise(arguments):
    sys.stdout.write("not a message\n\n[1, 2]\n\r\n")
    return {}


def notify(arguments):
    send({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": arguments["token"], "progress": 1}})
    return {}


TOOLS = {
    "facts": facts,
    "spawn": spawn,
    "say": say,
    "flood": flood,
    "sleep": sleep,
    "noise": noise,
    "notify": notify,
    "echo": lambda arguments: arguments,
    "exit": lambda arguments: os._exit(arguments["code"]),
    "close": lambda arguments: (os.close(1), time.sleep(60)),
}


def result(call):
    if call["method"] == "initialize":
        version = call["params"]["protocolVersion"]
        return {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": {"name": "stdio", "version": "1"}}
    if call["method"] == "tools/list":
        return {"tools": [{"name": name, "inputSchema": {"type": "object"}} for name in TOOLS]}
    if call["method"] == "tools/call":
        value = TOOLS[call["params"]["name"]](call["params"].get("arguments", {}))
        return {"content": [], "structuredContent": value}
    return {}


if "die" in sys.argv:
    sys.stderr.write("no reason to live\n")
    sys.exit(3)
if "stubborn" in sys.argv:
    import signal

    signal.signal(signal.SIGTERM, signal.SIG_IGN)
for line in sys.stdin:
    call = json.loads(line)
    if "id" in call and "method" in call:
        send({"jsonrpc": "2.0", "id": call["id"], "result": result(call)})
if "stubborn" in sys.argv:
    time.sleep(1000)
