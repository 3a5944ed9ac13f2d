"""Proxies for effects that the emulator cannot have: connections that die, that get a GOAWAY, or that are
spread over pods.
"""

import asyncio
import contextlib
import pathlib
import tempfile
import threading

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
FRAME_HEADER = 9
DATA, HEADERS, GOAWAY = 0, 1, 7
END_STREAM = 1


class Way:
    """Forwards connections, HTTP/2 frame by frame."""

    takes_one_call = False

    def __init__(self, gateway):
        self.gateway = gateway
        self.calls = 0

    async def listen(self, host="127.0.0.1", port=0):
        self.server = await asyncio.start_server(self.connection, host, port)
        host, port = self.server.sockets[0].getsockname()
        self.address = f"{host}:{port}"
        return port

    async def connection(self, reader, writer):
        up_reader, up_writer = await asyncio.open_connection(*self.gateway.rsplit(":", 1))
        dead = asyncio.Event()
        answers = asyncio.create_task(self.answers(up_reader, writer, dead))
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            # The connection to the gateway stays open for as long as the client's connection.
            await self.requests(reader, up_writer, writer, dead)
        answers.cancel()
        await asyncio.wait([answers])
        up_writer.close()
        writer.close()

    async def requests(self, reader, writer, back, dead):
        writer.write(await reader.readexactly(len(PREFACE)))
        last_call = None
        while True:
            frame = await read_frame(reader)
            if frame[3] == HEADERS:
                if last_call and self.takes_one_call:
                    back.write(goaway(last_call))
                    await back.drain()
                    # Closing a connection with unread data resets it, and can lose the GOAWAY.
                    await reader.read()
                    return
                last_call = int.from_bytes(frame[5:FRAME_HEADER], "big")
                self.calls += 1
            # Bytes that are sent into a dead connection are lost.
            if not dead.is_set():
                writer.write(frame)
                await writer.drain()

    async def answers(self, reader, writer, dead):
        while not dead.is_set():
            frame = await read_frame(reader)
            self.answering(frame)
            writer.write(frame)
            self.answered(frame, writer, dead)
            await writer.drain()

    def answering(self, frame):
        """Called before a frame of an answer is forwarded."""

    def answered(self, frame, writer, dead):
        """Called when a frame of an answer was forwarded."""


class Frozen(Way):
    """Dies silently after the first message of an answer, as when a node is lost.

    The connection stays open, but nothing is forwarded.
    """

    def answered(self, frame, writer, dead):
        if frame[3] == DATA:
            dead.set()


class GoAway(Way):
    """Sends the client a GOAWAY after every call, as a gateway does for old connections.

    Open calls are still answered.
    """

    def answered(self, frame, writer, dead):
        if frame[3] == HEADERS and frame[4] & END_STREAM:
            writer.write(goaway(0x7FFFFFFF))


class Crossing(Way):
    """Sends the client a GOAWAY when its next call is already in transit: that call is not accepted."""

    takes_one_call = True


class Rotating(Way):
    """Replaces the client's token when a call has ended, before the client knows of it."""

    # The file of the token, and the tokens that come next.
    file, tokens = None, []

    def answering(self, frame):
        if frame[3] == HEADERS and frame[4] & END_STREAM and self.tokens:
            replace(self.file, self.tokens.pop(0))


def replace(file, text):
    """Replaces a file at once, as Kubernetes does."""
    new = file.with_suffix(".new")
    new.write_text(text)
    new.rename(file)


def goaway(last_call):
    return bytes([0, 0, 8, GOAWAY, 0, 0, 0, 0, 0]) + last_call.to_bytes(4, "big") + bytes(4)


async def read_frame(reader):
    header = await reader.readexactly(FRAME_HEADER)
    return header + await reader.readexactly(int.from_bytes(header[:3], "big"))


class Ways:
    """All proxies, while the context lasts. `environment` tells the clients their addresses."""

    def __init__(self, gateway, identifying):
        self.gateway = gateway
        self.rotating = Rotating(identifying)
        self.ready, self.loop = threading.Event(), asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.thread.start()
        self.ready.wait()
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.stop.set)
        self.thread.join()
        self.folder.cleanup()

    def run(self):
        with asyncio.Runner(loop_factory=lambda: self.loop) as runner:
            runner.run(self.serve())

    def give_token(self, file, first, *others):
        """Writes a token to a file, which gets another one after each call at GATEWAY_TOKENS."""
        replace(file, first)
        self.rotating.file, self.rotating.tokens = file, list(others)

    def both(self, how, port):
        """Both pods that listen on a port, in the form that a library accepts."""
        addresses = f"127.0.0.1:{port},127.0.0.2:{port}"
        return {
            "dns": f"dns://127.0.0.1:{self.dns_port}/{Dns.NAME}:{port}",
            # With PODS_HOSTS.
            "hosts": f"dns:///{Dns.NAME}:{port}",
            "ipv4": f"ipv4:{addresses}",
            "commas": addresses,
        }[how]

    async def serve(self):
        self.stop = asyncio.Event()
        frozen, go_away, crossing, *self.pods = (kind(self.gateway) for kind in [Frozen, GoAway, Crossing, Way, Way])
        await frozen.listen()
        await go_away.listen()
        await crossing.listen()
        await self.rotating.listen()
        port = await self.pods[0].listen()
        # Every address of 127.0.0.0/8 belongs to this machine.
        await self.pods[1].listen("127.0.0.2", port)
        dns = await self.loop.create_datagram_endpoint(Dns, local_addr=("127.0.0.1", 0))
        dns_port = dns[0].get_extra_info("sockname")[1]
        hosts = pathlib.Path(self.folder.name) / "hosts"
        hosts.write_text(f"127.0.0.1 {Dns.NAME}\n127.0.0.2 {Dns.NAME}\n")
        self.environment = {
            "GATEWAY_FROZEN": frozen.address,
            "GATEWAY_GO_AWAY": go_away.address,
            "GATEWAY_CROSSING": crossing.address,
            "GATEWAY_TOKENS": self.rotating.address,
            "PODS_HOSTS": str(hosts),
        }
        self.port, self.dns_port = port, dns_port
        self.ready.set()
        await self.stop.wait()


class Dns(asyncio.DatagramProtocol):
    """Resolves a name to both pods, as a headless Service does."""

    NAME = "pods.test"

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, query, sender):
        # The question: labels up to an empty one, then type and class.
        end = query.index(0, 12) + 5
        question, kind = query[12:end], query[end - 4 : end - 2]
        answers = [bytes([127, 0, 0, 1]), bytes([127, 0, 0, 2])] if kind == b"\0\1" and question.startswith(b"\4pods\4test\0") else []
        header = query[:2] + b"\x81\x80\0\1" + len(answers).to_bytes(2, "big") + bytes(4)
        records = b"".join(b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4" + address for address in answers)
        self.transport.sendto(header + question + records, sender)
