"""The gateway from the view of a Python client, and the emulator behind it."""

import json
import re
import time
import urllib.request

import grpc
from bedrock.inference.v1 import (
    content_pb2,
    converse_pb2,
    error_pb2,
    inference_service_pb2,
    inference_service_pb2_grpc,
    target_service_pb2_grpc,
)
from google.rpc import error_details_pb2
from grpc_status import rpc_status

SERVICE = "bedrock.inference.v1.InferenceService"
MODEL = "us.amazon.nova-lite-v1:0"
# Far longer than any call of these tests: a call that hangs fails its own test, and not the whole
# run.
TIMEOUT_S = 20

# Returns a detail of a status, found by the name in its type URL.
DETAILS = {
    "google.rpc.BadRequest": error_details_pb2.BadRequest,
    "google.rpc.ErrorInfo": error_details_pb2.ErrorInfo,
    "google.rpc.Help": error_details_pb2.Help,
    "google.rpc.QuotaFailure": error_details_pb2.QuotaFailure,
    "google.rpc.RequestInfo": error_details_pb2.RequestInfo,
    "google.rpc.ResourceInfo": error_details_pb2.ResourceInfo,
    "google.rpc.RetryInfo": error_details_pb2.RetryInfo,
    "bedrock.inference.v1.UpstreamError": error_pb2.UpstreamError,
}


class Gateway:
    """A connection to the gateway. Options are those of a grpcio channel."""

    def __init__(self, address, admin, **options):
        self.address, self.admin = address, admin
        self.channel = grpc.insecure_channel(
            address,
            # Without its own subchannel pool, grpcio shares connections between channels.
            options=[("grpc.use_local_subchannel_pool", 1), *((f"grpc.{k}", v) for k, v in options.items())],
        )
        self.inference = inference_service_pb2_grpc.InferenceServiceStub(self.channel)
        self.targets = target_service_pb2_grpc.TargetServiceStub(self.channel)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.channel.close()

    def with_options(self, **options):
        """Another connection to the same gateway."""
        return Gateway(self.address, self.admin, **options)

    def ended(self):
        """The number of ended calls, by code, from the gateway's metrics."""
        with urllib.request.urlopen(f"http://{self.admin}/metrics", timeout=TIMEOUT_S) as answer:
            metrics = answer.read().decode()
        counts = {}
        for labels, count in re.findall(r"^bedrock_grpc_calls_total\{(.*)\} (\d+)$", metrics, re.MULTILINE):
            code = re.search(r'code="([A-Z_]+)"', labels).group(1)
            counts[code] = counts.get(code, 0) + int(count)
        return counts


class Emulator:
    """The emulator's log of calls."""

    def __init__(self, url):
        self.url = f"{url}/_emulator/calls"

    def calls(self):
        with urllib.request.urlopen(self.url, timeout=TIMEOUT_S) as answer:
            # The gateway also looks up inference profiles.
            return [call for call in json.load(answer)["calls"] if call["operation"] == "ConverseStream"]

    def forget(self):
        urllib.request.urlopen(urllib.request.Request(self.url, method="DELETE"), timeout=TIMEOUT_S).close()

    def until(self, enough):
        """Waits for this many calls and returns them: they reach Bedrock with a delay."""
        give_up = time.monotonic() + TIMEOUT_S
        while not enough(calls := self.calls()):
            assert time.monotonic() < give_up, f"the calls did not arrive in time: {calls}"
            time.sleep(0.01)
        return calls


def faulty(fault):
    """A model whose calls get this fault of the emulator."""
    return f"{MODEL}.fault-{fault}"


def question(text="Count to 10", **more):
    """The input, for both methods."""
    message = content_pb2.Message(role=content_pb2.ROLE_USER, content=[content_pb2.ContentBlock(text=text)])
    return converse_pb2.ConverseInput(messages=[message], **more)


def stream_request(target=MODEL, ask=None):
    return inference_service_pb2.StreamInvokeRequest(target=target, input=ask or question())


def unary_request(target=MODEL, ask=None):
    return inference_service_pb2.InvokeRequest(target=target, input=ask or question())


def kinds(events):
    return [event.WhichOneof("event") for event in events]


def text_of(events):
    return "".join(event.content_block_delta.text for event in events)


def failure(stream):
    """The output of a stream that must fail, and its failure."""
    came = []
    try:
        for event in stream:
            came.append(event)
    except grpc.RpcError as error:
        return came, error
    raise AssertionError(f"the stream ended successfully: {kinds(came)}")


def details(error):
    """The decoded details of a failed call, by name. Raises for unexpected details."""
    status = rpc_status.from_call(error)
    assert status is not None, f"no details: {error}"
    assert status.code == error.code().value[0]
    assert status.message == error.details()
    found = {}
    for detail in status.details:
        name = detail.type_url.removeprefix("type.googleapis.com/")
        assert name not in found, f"{name} twice"
        found[name] = DETAILS[name].FromString(detail.value)
    return found


def pushback(error):
    """The pushback for a client's retry policy, in milliseconds."""
    return int(dict(error.trailing_metadata())["grpc-retry-pushback-ms"])
