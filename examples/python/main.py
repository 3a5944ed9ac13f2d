"""A client of bedrock-grpc: python main.py stream|cancel|deadline|tools|image|embed|errors|scenario"""

import json
import os
import pathlib
import sys

import grpc
import scenario
from answer import Answer
from bedrock.inference.v1.inference_service_pb2 import StreamInvokeRequest
from connection import inference, models, open_channel
from conversation import conversation, png, text, tool, tool_result, user
from embedding import nearest
from failure import Failure

EXAMPLES = pathlib.Path(__file__).parent.parent
# A model that is slow, or fails: `bedrock-grpc emulate --help` lists all faults.
FAULT = "us.amazon.nova-lite-v1:0.fault-"


def show(token: str) -> None:
    print(token, end="", flush=True)


def stream(client, question="Why is the sky blue?"):
    """Prints tokens as they arrive."""
    request = StreamInvokeRequest(target="claude", input=conversation(user(text(question))))
    answer = Answer().read(client.StreamInvoke(request), show)
    print(f"\n{answer.stop_reason}, {answer.usage.total_tokens} tokens")


def cancel(client):
    """Stops after three tokens. The gateway closes the call to Bedrock, so that the model can stop."""
    request = StreamInvokeRequest(target="claude", input=conversation(user(text("Count to 100"))))
    call, answer = client.StreamInvoke(request), Answer()
    try:
        answer.read(call, lambda token: (show(token), answer.deltas == 3 and call.cancel()))
    except grpc.RpcError as error:
        print(f"\n{error.code().name}")


def deadline(client):
    """Allows one second for the whole call. Output that arrived until then is kept."""
    request = StreamInvokeRequest(target=FAULT + "stall-after-3", input=conversation(user(text("Count to 100"))))
    answer = Answer()
    try:
        answer.read(client.StreamInvoke(request, timeout=1), show)
    except grpc.RpcError as error:
        print(f"\n{error.code().name} after {answer.text!r}")


def tools(client):
    """The model uses a tool, the client runs it, the model continues."""
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    weather = tool("get_weather", "The weather in a city", schema)
    asked = conversation(user(text("What is the weather in Paris?")), tools=[weather])
    while True:
        answer = Answer().read(client.StreamInvoke(StreamInvokeRequest(target="claude", input=asked)), show)
        if answer.stop_reason != "tool_use":
            break
        results = []
        for use in answer.tool_uses:
            print(f"[{use.name} {use.input_json}]")
            results.append(tool_result(use.tool_use_id, {"city": json.loads(use.input_json)["city"], "celsius": 21}))
        asked.messages.extend([answer.message(), user(*results)])
    print()


def image(client):
    """Sends an image with the question."""
    picture = png((EXAMPLES / "image.png").read_bytes())
    request = StreamInvokeRequest(target="claude", input=conversation(user(picture, text("What is this?"))))
    Answer().read(client.StreamInvoke(request), show)
    print()


def embed(client):
    """Prints which of two texts is nearer to a third one. The client is of ModelService."""
    print(nearest(client, "embed", "ships look for the lighthouse", ["quarterly tax report", "a lighthouse by the sea"]))


def errors(client):
    """Shows a rate limit, an error in mid-stream, and an invalid request."""
    for target in FAULT + "throttling-x-amz-retry-after", FAULT + "stream-model-stream-error-after-3", "claud":
        request = StreamInvokeRequest(target=target, input=conversation(user(text("Count to 10"))))
        try:
            Answer().read(client.StreamInvoke(request))
        except grpc.RpcError as error:
            print(Failure.of(error))


def main(name="stream", *arguments):
    address = os.environ.get("GATEWAY_GRPC", "localhost:50051")
    if name == "scenario":
        return scenario.run(address, *arguments)
    with open_channel(address) as channel:
        if name == "embed":
            return embed(models(channel))
        {f.__name__: f for f in (stream, cancel, deadline, tools, image, errors)}[name](inference(channel), *arguments)


if __name__ == "__main__":
    main(*sys.argv[1:])
