"""Reads streams at the same time with grpcio, as an application would.

client.py ADDRESS STREAMS TOKENS COALESCE_MS prints the deltas and the CPU time of a stream as JSON.
"""

import concurrent.futures
import json
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "examples" / "python"))

from answer import Answer
from bedrock.inference.v1.inference_service_pb2 import StreamInvokeRequest
from connection import inference, open_channel
from conversation import conversation, text, user

address, (streams, tokens, coalesce_ms) = sys.argv[1], map(int, sys.argv[2:])
client = inference(open_channel(address))
request = StreamInvokeRequest(target="claude", input=conversation(user(text("Why is the sky blue?"))))
request.coalesce.FromMilliseconds(coalesce_ms)


def read(_):
    answer = Answer().read(client.StreamInvoke(request))
    if answer.usage.output_tokens != tokens:
        raise RuntimeError(f"{answer.usage.output_tokens} tokens instead of {tokens}")
    return answer.deltas


with concurrent.futures.ThreadPoolExecutor(streams) as pool:
    # Connects, and loads what the first call needs.
    read(0)
    cpu = time.process_time()
    deltas = list(pool.map(read, range(streams)))
    cpu = time.process_time() - cpu
print(json.dumps({"deltas": sum(deltas) / streams, "cpu_ms": cpu * 1e3 / streams}))
