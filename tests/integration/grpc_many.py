"""Conversations that are all open at the same time, for a process of its own: grpc_many.py PORT STREAMS CHANNELS"""

import asyncio
import sys

import grpc


async def conversation(channel, number, all_open):
    call = channel.stream_stream("/test.Echo/Chat")()
    await call.write(b"%d" % number)
    assert await call.read() == b"re:%d" % number
    await all_open.wait()
    await call.write(b"bye")
    assert await call.read() == b"re:bye"
    await call.done_writing()
    assert await call.read() == grpc.aio.EOF
    assert await call.code() == grpc.StatusCode.OK


async def run(port, streams, channels):
    options = [("grpc.use_local_subchannel_pool", 1)]
    made = [grpc.aio.insecure_channel(f"127.0.0.1:{port}", options) for _ in range(channels)]
    all_open = asyncio.Barrier(streams)
    await asyncio.gather(*(conversation(made[i % channels], i, all_open) for i in range(streams)))
    print(streams)


if __name__ == "__main__":
    asyncio.run(asyncio.wait_for(run(*map(int, sys.argv[1:4])), 100))
