"""A way to the gateway that dies without a word, as when a node is gone: connections stay open, and nothing passes any more."""

import asyncio
import contextlib
import threading

DATA = 0
FRAME_HEADER = 9


class Frozen:
    """Listens on `address`. Each connection is passed on until the gateway has sent the first message of an answer."""

    def __init__(self, gateway: str):
        self.host, self.port = gateway.rsplit(":", 1)
        self.ready, self.loop = threading.Event(), asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        self.thread.start()
        self.ready.wait()
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.stop.set)
        self.thread.join()

    def run(self):
        with asyncio.Runner(loop_factory=lambda: self.loop) as runner:
            runner.run(self.serve())

    async def serve(self):
        self.stop = asyncio.Event()
        server = await asyncio.start_server(self.connection, "127.0.0.1", 0)
        self.address = "127.0.0.1:{}".format(server.sockets[0].getsockname()[1])
        self.ready.set()
        await self.stop.wait()

    async def connection(self, reader, writer):
        up_reader, up_writer = await asyncio.open_connection(self.host, self.port)
        frozen = asyncio.Event()
        answers = asyncio.create_task(self.answers(up_reader, writer, frozen))
        with contextlib.suppress(ConnectionError):
            # As long as the client keeps the connection, so does the other end.
            await self.requests(reader, up_writer, frozen)
        answers.cancel()
        await asyncio.wait([answers])
        up_writer.close()
        writer.close()

    async def requests(self, reader, writer, frozen):
        # Once frozen, what comes is thrown away: to the client it was sent.
        while received := await reader.read(65536):
            if not frozen.is_set():
                writer.write(received)
                await writer.drain()

    async def answers(self, reader, writer, frozen):
        while True:
            header = await reader.readexactly(FRAME_HEADER)
            writer.write(header + await reader.readexactly(int.from_bytes(header[:3], "big")))
            await writer.drain()
            if header[3] == DATA:
                frozen.set()
                return
