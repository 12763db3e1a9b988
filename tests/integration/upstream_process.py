"""A backend of its own process, so that a test can kill it: python3 upstream_process.py NAME PORT.

It answers each request with its name, after the milliseconds that the path ends in ("/20").
"""

import asyncio
import subprocess
import sys

import client
from gateway import eventually


class Process:
    def __init__(self, name, port):
        self.name, self.port = name, port
        self.process = None
        self.start()

    def start(self):
        command = [sys.executable, __file__, self.name, str(self.port)]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        eventually(lambda: client.ask(self.port, path="/0").status == 200)

    def kill(self):
        self.process.kill()
        self.process.wait()


async def serve(name, reader, writer):
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            lines = head.decode("latin-1").split("\r\n")
            length = next((int(line.split(":")[1]) for line in lines if line.lower().startswith("content-length:")), 0)
            if length:
                await reader.readexactly(length)
            delay = lines[0].split(" ")[1].rpartition("/")[2]
            if delay.isdigit():
                await asyncio.sleep(int(delay) / 1000)
            writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(name)}\r\n\r\n{name}".encode())
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main(name, port):
    server = await asyncio.start_server(lambda r, w: serve(name, r, w), "127.0.0.1", int(port), backlog=512)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
