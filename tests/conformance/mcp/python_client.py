"""Walks through one MCP server with the official Python client and prints what it saw as one JSON object.

python_client.py URL legacy|auto [PREFIX [URI-PREFIX]]: the tools are the fixture's; a URL that ends in /sse is of HTTP+SSE."""

import asyncio
import json
import sys

import mcp.types as types
from mcp.client import Client
from mcp.client.sse import sse_client

seen = {"logs": [], "asked": []}


async def sample(context, params):
    seen["asked"].append(f"sampling: {params.messages[0].content.text}")
    content = types.TextContent(type="text", text="Paris")
    return types.CreateMessageResult(role="assistant", content=content, model="m", stop_reason="endTurn")


async def elicit(context, params):
    seen["asked"].append(f"elicitation: {params.message}")
    return types.ElicitResult(action="accept", content={"name": "Ada", "username": "ada", "email": "a@b.example"})


async def roots(context):
    seen["asked"].append("roots")
    return types.ListRootsResult(roots=[types.Root(uri="file:///here", name="here")])


async def log(params):
    seen["logs"].append(f"{params.level}: {params.data}")


def shown(item):
    return getattr(item, "text", None) or getattr(item, "mime_type", None) or str(getattr(item, "resource", item))


async def outcome(call):
    try:
        return await call
    except Exception as error:
        return {"error": getattr(getattr(error, "error", None), "code", type(error).__name__)}


class Walk:
    def __init__(self, client, prefix, uri_prefix):
        self.client, self.prefix, self.uri_prefix = client, prefix, uri_prefix

    def uri(self, uri):
        return self.uri_prefix + uri

    async def call(self, name, arguments=None, **options):
        result = await outcome(self.client.call_tool(self.prefix + name, arguments or {}, **options))
        if isinstance(result, dict):
            return result
        return [shown(item).replace(self.uri_prefix, "") if self.uri_prefix else shown(item) for item in result.content] + [
            bool(result.is_error)
        ]

    def mine(self, names, prefix):
        return sorted(name.removeprefix(prefix) for name in names if name.startswith(prefix))

    async def pages(self, method, key):
        found, cursor = [], None
        while True:
            page = await method(cursor=cursor) if cursor else await method()
            found += getattr(page, key)
            cursor = page.next_cursor
            if not cursor:
                return found

    async def lists(self):
        seen["tools"] = self.mine([t.name for t in await self.pages(self.client.list_tools, "tools")], self.prefix)
        seen["prompts"] = self.mine([p.name for p in await self.pages(self.client.list_prompts, "prompts")], self.prefix)
        resources = await self.pages(self.client.list_resources, "resources")
        seen["resources"] = self.mine([str(r.uri) for r in resources], self.uri_prefix)
        templates = await self.pages(self.client.list_resource_templates, "resource_templates")
        seen["templates"] = self.mine([t.uri_template for t in templates], self.uri_prefix)

    async def calls(self):
        for name in "simple_text", "image_content", "audio_content", "multiple_content_types", "error_handling":
            seen[name] = await self.call(f"test_{name}")
        seen["unknown"] = await self.call("test_of_nobody")
        progress = []

        async def told(done, total, message):
            progress.append([done, total])

        seen["with_progress"] = await self.call("test_tool_with_progress", progress_callback=told)
        seen["progress"] = progress

    async def others(self):
        got = await self.client.get_prompt(self.prefix + "test_prompt_with_arguments", {"arg1": "a", "arg2": "b"})
        seen["prompt"] = [shown(message.content) for message in got.messages]
        read = await self.client.read_resource(self.uri("test://static-text"))
        seen["read"] = [shown(content) for content in read.contents]
        read = await self.client.read_resource(self.uri("test://template/7/data"))
        seen["read_template"] = [shown(content) for content in read.contents]
        gone = await outcome(self.client.read_resource(self.uri("test://of-nobody")))
        seen["read_unknown"] = gone if isinstance(gone, dict) else "read"
        ref = types.PromptReference(type="ref/prompt", name=self.prefix + "test_prompt_with_arguments")
        done = await self.client.complete(ref, {"name": "arg1", "value": "t"})
        seen["completion"] = done.completion.values

    async def legacy(self):
        await self.client.send_ping()
        await self.client.set_logging_level("debug")
        seen["logging"] = await self.call("test_tool_with_logging")
        seen["sampled"] = await self.call("test_sampling", {"prompt": "capital?"})
        seen["elicited"] = await self.call("test_elicitation", {"message": "who?"})
        await self.client.subscribe_resource(self.uri("test://watched-resource"))
        await self.client.unsubscribe_resource(self.uri("test://watched-resource"))

    async def modern(self):
        seen["logging"] = await self.call("test_logging_tool")
        for name in "sampling", "elicitation", "list_roots", "request_state", "multiple_inputs", "multi_round":
            seen[name] = await self.call(f"test_input_required_result_{name}")
        async with self.client.listen(tools_list_changed=True) as changes:
            await self.call("test_trigger_tool_change")
            seen["event"] = type(await asyncio.wait_for(anext(aiter(changes)), 10)).__name__


async def main(url, mode, prefix="", uri_prefix=""):
    server = sse_client(url) if url.endswith("/sse") else url
    options = {"sampling_callback": sample, "elicitation_callback": elicit, "list_roots_callback": roots, "logging_callback": log}
    async with Client(server, mode=mode, log_level="debug", **options) as client:
        walk = Walk(client, prefix, uri_prefix)
        seen["version"] = client.protocol_version
        seen["capabilities"] = sorted(client.server_capabilities.model_dump(exclude_none=True))
        await walk.lists()
        await walk.calls()
        await walk.others()
        await (walk.modern() if seen["version"] >= "2026" else walk.legacy())
    seen["logs"].sort()
    print(json.dumps(seen))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
