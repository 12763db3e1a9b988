"""A real gRPC server (grpcio) whose methods do what tests ask for; messages are plain bytes. Run as a program it serves
until it is killed: grpc_server.py PORT [NAME]"""

import asyncio
import json
import sys

import grpc

SERVICE = "test.Echo"
OPTIONS = [
    ("grpc.max_metadata_size", 64 << 10),
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.so_reuseport", 0),
]


class Echo:
    def __init__(self, name):
        self.name = name
        self.cancelled = 0

    async def unary(self, request, context):
        """Sends the request back, and what came with it as metadata."""
        sent = [(key, value) for key, value in context.invocation_metadata() if key.startswith("x-")]
        await context.send_initial_metadata([("x-server", self.name), *sent])
        context.set_trailing_metadata([("x-trailer", "last"), ("x-trailer-bin", bytes(range(256)))])
        return request

    async def fail(self, request, context):
        """{"code": number, "details": text}"""
        asked = json.loads(request)
        codes = {code.value[0]: code for code in grpc.StatusCode}
        context.set_trailing_metadata([("x-why", "asked")])
        await context.abort(codes[asked["code"]], asked["details"])

    async def stall(self, request, context):
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return b""

    async def cancelled_count(self, request, context):
        return str(self.cancelled).encode()

    async def down(self, request, context):
        """{"count": messages, "size": bytes each, "stall": seconds before the end}"""
        asked = json.loads(request)
        for number in range(asked["count"]):
            yield number.to_bytes(4, "big") + bytes(asked.get("size", 0))
        try:
            await asyncio.sleep(asked.get("stall", 0))
        except asyncio.CancelledError:
            self.cancelled += 1
            raise

    async def up(self, requests, context):
        count = size = 0
        async for request in requests:
            count += 1
            size += len(request)
        return json.dumps([count, size]).encode()

    async def chat(self, requests, context):
        async for request in requests:
            yield b"re:" + request


async def serve(port, name):
    echo = Echo(name)
    methods = {
        "Unary": grpc.unary_unary_rpc_method_handler(echo.unary),
        "Other": grpc.unary_unary_rpc_method_handler(echo.unary),
        "Fail": grpc.unary_unary_rpc_method_handler(echo.fail),
        "Stall": grpc.unary_unary_rpc_method_handler(echo.stall),
        "Cancelled": grpc.unary_unary_rpc_method_handler(echo.cancelled_count),
        "Down": grpc.unary_stream_rpc_method_handler(echo.down),
        "Up": grpc.stream_unary_rpc_method_handler(echo.up),
        "Chat": grpc.stream_stream_rpc_method_handler(echo.chat),
    }
    server = grpc.aio.server(options=OPTIONS)
    services = [SERVICE, "test.Echo2", "other.Service"]
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, methods) for service in services])
    assert server.add_insecure_port(f"127.0.0.1:{port}") == port
    await server.start()
    print("ready", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "up"))
