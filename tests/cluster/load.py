"""Clients under load: streams that are always open, over grpcio's own resolver, round_robin and retries.

    load.py TARGET SERVICE-CONFIG STREAMS

Each line on standard input asks for a report of what clients saw since the last one: `report`, or `last`, after which no stream begins and the open
ones end first. A report is a line of JSON."""

import asyncio
import collections
import json
import pathlib
import random
import sys

import grpc
from bedrock.inference.v1 import content_pb2, converse_pb2, inference_service_pb2, inference_service_pb2_grpc

MODEL = "claude"
CLIENTS = 8
# At two tokens a second: 10 to 40 s.
SHORTEST, LONGEST = 20, 80


class Load:
    def __init__(self, target, service_config, streams):
        options = [
            ("grpc.service_config", service_config),
            ("grpc.enable_retries", 1),
            # Without a separate pool, all channels would share connections.
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.keepalive_time_ms", 30_000),
            ("grpc.keepalive_timeout_ms", 10_000),
        ]
        self.channels = [grpc.aio.insecure_channel(target, options=options) for _ in range(CLIENTS)]
        self.ending = asyncio.Event()
        self.open = 0
        self.tally = self._nothing()
        self.callers = [asyncio.create_task(self._forever(self.channels[number % CLIENTS])) for number in range(streams)]

    @staticmethod
    def _nothing():
        return {"ended_well": 0, "broken": collections.Counter(), "failed": collections.Counter()}

    def report(self):
        """What clients saw since the last report."""
        taken, self.tally = self.tally, self._nothing()
        return {**taken, "open": self.open}

    async def last(self):
        self.ending.set()
        await asyncio.gather(*self.callers)
        for channel in self.channels:
            await channel.close()
        return self.report()

    async def _forever(self, channel):
        stub = inference_service_pb2_grpc.InferenceServiceStub(channel)
        while not self.ending.is_set():
            tokens = random.randint(SHORTEST, LONGEST)
            began = False
            try:
                call = stub.StreamInvoke(self._request(tokens))
                deltas, end = 0, None
                async for response in call:
                    end = response.WhichOneof("event")
                    if end == "message_start":
                        began = True
                        self.open += 1
                    deltas += end == "content_block_delta"
                if (deltas, end) == (tokens, "metadata"):
                    self.tally["ended_well"] += 1
                else:
                    self.tally["broken"][f"OK after {deltas} of {tokens} tokens and {end}"] += 1
            except grpc.aio.AioRpcError as error:
                self.tally["broken" if began else "failed"][f"{error.code().name}: {error.details()}"] += 1
                # Real clients do not call a stopped service in a tight loop.
                await asyncio.sleep(0.1)
            finally:
                self.open -= began

    @staticmethod
    def _request(tokens):
        message = content_pb2.Message(role=content_pb2.ROLE_USER, content=[content_pb2.ContentBlock(text="Count as far as you may.")])
        ask = converse_pb2.ConverseInput(messages=[message], inference_config=converse_pb2.InferenceConfiguration(max_tokens=tokens))
        return inference_service_pb2.StreamInvokeRequest(target=MODEL, input=ask)


async def main():
    target, service_config, streams = sys.argv[1:]
    load = Load(target, pathlib.Path(service_config).read_text(encoding="utf-8"), int(streams))
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := (await lines.readline()).decode().strip():
        print(json.dumps(await load.last() if line == "last" else load.report()), flush=True)
        if line == "last":
            return


asyncio.run(main())
