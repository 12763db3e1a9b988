"""An agent of the official Python SDK: JSON-RPC at /, HTTP+JSON at /rest, gRPC on a port of its own.
agent.py HTTP-PORT GRPC-PORT both|new: both speaks 0.3, too. Its log has a line a request that it got."""

import asyncio
import sys

import grpc
import uvicorn
from a2a.compat.v0_3 import a2a_v0_3_pb2_grpc
from a2a.compat.v0_3.grpc_handler import CompatGrpcHandler
from a2a.helpers.proto_helpers import new_task_from_user_message, new_text_message, new_text_part
from a2a.server.agent_execution import AgentExecutor
from a2a.server.request_handlers import DefaultRequestHandler, GrpcHandler
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes, create_rest_routes
from a2a.server.tasks import InMemoryPushNotificationConfigStore, InMemoryTaskStore, TaskUpdater
from a2a.types import a2a_pb2 as pb
from a2a.types import a2a_pb2_grpc
from starlette.applications import Starlette


class Talker(AgentExecutor):
    """"task N": a task with N artifacts; "ask": one that waits for input; "fail": one that fails; else a message."""

    async def execute(self, context, event_queue):
        text = context.get_user_input()
        word, _, more = text.partition(" ")
        if word not in ("task", "ask", "fail") and not context.current_task:
            await event_queue.enqueue_event(new_text_message(f"You said: {text}", context_id=context.context_id))
            return
        task = context.current_task or new_task_from_user_message(context.message)
        if not context.current_task:
            await event_queue.enqueue_event(task)
        updater = TaskUpdater(event_queue, task.id, task.context_id)
        await updater.start_work()
        if word == "ask":
            await updater.requires_input(updater.new_agent_message([new_text_part("Which one?")]))
        elif word == "fail":
            await updater.failed()
        else:
            for n in range(int(more or 1)):
                await updater.add_artifact([new_text_part(f"part {n}")], artifact_id=f"a{n}", name="answer")
            await updater.complete()

    async def cancel(self, context, event_queue):
        await TaskUpdater(event_queue, context.task_id, context.context_id).cancel()


def card_of(port, grpc_port, versions, name="Talker"):
    urls = {"JSONRPC": f"http://127.0.0.1:{port}/", "HTTP+JSON": f"http://127.0.0.1:{port}/rest", "GRPC": f"127.0.0.1:{grpc_port}"}
    return pb.AgentCard(
        name=name,
        description="says what it is told",
        version="1",
        default_input_modes=["text/plain"],
        default_output_modes=["text/plain"],
        capabilities=pb.AgentCapabilities(streaming=True, push_notifications=True, extended_agent_card=True),
        skills=[pb.AgentSkill(id="talk", name="talk", description="talks", tags=["talk"])],
        supported_interfaces=[
            pb.AgentInterface(url=url, protocol_binding=binding, protocol_version=version)
            for version in versions
            for binding, url in urls.items()
        ],
    )


class Log:
    """ASGI: a line to standard output a request, before it is served."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http":
            print("asked", scope["method"], scope["path"], flush=True)
        await self.app(scope, receive, send)


async def main(port, grpc_port, speaks):
    old = speaks == "both"
    versions = ["1.0", "0.3"] if old else ["1.0"]
    card = card_of(port, grpc_port, versions)
    handler = DefaultRequestHandler(
        Talker(),
        InMemoryTaskStore(),
        card,
        push_config_store=InMemoryPushNotificationConfigStore(),
        extended_agent_card=card_of(port, grpc_port, versions, "Talker, extended"),
    )
    server = grpc.aio.server()
    a2a_pb2_grpc.add_A2AServiceServicer_to_server(GrpcHandler(handler), server)
    if old:
        a2a_v0_3_pb2_grpc.add_A2AServiceServicer_to_server(CompatGrpcHandler(handler), server)
    server.add_insecure_port(f"127.0.0.1:{grpc_port}")
    await server.start()
    routes = [
        *create_agent_card_routes(card),
        *create_jsonrpc_routes(handler, "/", enable_v0_3_compat=old),
        *create_rest_routes(handler, enable_v0_3_compat=old, path_prefix="/rest"),
    ]
    config = uvicorn.Config(Log(Starlette(routes=routes)), host="127.0.0.1", port=port, log_level="warning")
    await uvicorn.Server(config).serve()
    await server.stop(0)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
