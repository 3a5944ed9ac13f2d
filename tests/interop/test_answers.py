"""Answers: unary, token by token, empty, large, compressed."""

import itertools
import json
import time
from base64 import b64decode

import grpc
import pytest
from bedrock.inference.v1 import content_pb2, converse_pb2, inference_service_pb2, media_pb2, target_service_pb2
from gateway import MODEL, TIMEOUT_S, details, kinds, question, stream_request, text_of, unary_request

MIB = 1 << 20
TO_TEN = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10."


def images(count, size):
    """A question with this many images of this many bytes."""
    ask = question("What is on these?")
    for _ in range(count):
        source = media_pb2.MediaSource(bytes=bytes(size))
        image = media_pb2.ImageBlock(format=media_pb2.IMAGE_FORMAT_PNG, source=source)
        ask.messages[0].content.append(content_pb2.ContentBlock(image=image))
    return ask


def test_stream(gateway, emulator):
    events = list(gateway.inference.StreamInvoke(stream_request(), timeout=TIMEOUT_S))
    names = kinds(events)
    assert names[:2] == ["message_start", "content_block_start"]
    assert set(names[2:-3]) == {"content_block_delta"}
    assert names[-3:] == ["content_block_stop", "message_stop", "metadata"]
    assert text_of(events) == TO_TEN
    usage = events[-1].metadata.metadata.usage
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens > 0
    [call] = emulator.until(lambda calls: all(call["end"] for call in calls))
    assert call["end"] == "Completed"
    assert call["requestId"] == events[0].message_start.bedrock_request_id


def test_tokens_arrive_apart(gateway):
    arrived = []
    for event in gateway.inference.StreamInvoke(stream_request(), timeout=TIMEOUT_S):
        if event.WhichOneof("event") == "content_block_delta":
            arrived.append(time.monotonic())
    # The model writes 40 tokens a second. Other load on the machine may delay some of them, never
    # all.
    apart = [later - earlier for earlier, later in itertools.pairwise(arrived)]
    assert len(apart) >= 10
    assert sum(gap > 0.010 for gap in apart) > len(apart) / 2
    assert arrived[-1] - arrived[0] > 0.020 * len(apart)


def test_unary(gateway):
    answer, call = gateway.inference.Invoke.with_call(
        unary_request(), timeout=TIMEOUT_S, metadata=[("x-request-id", "interop-1")]
    )
    assert [block.text for block in answer.message.content] == [TO_TEN]
    assert answer.message.role == content_pb2.ROLE_ASSISTANT
    assert answer.stop_reason_name == "end_turn"
    assert answer.request_id == dict(call.initial_metadata())["x-request-id"] == "interop-1"
    assert answer.target.source_region == "us-east-1"


def test_many_streams_share_a_connection(gateway):
    asks = [stream_request(ask=question(f"Count to {n}")) for n in range(2, 52)]
    streams = [gateway.inference.StreamInvoke(ask, timeout=TIMEOUT_S) for ask in asks]
    for n, stream in zip(range(2, 52), streams, strict=True):
        assert text_of(stream) == ", ".join(str(i) for i in range(1, n + 1)) + "."


def test_compressed_requests_are_refused_by_default(gateway):
    with pytest.raises(grpc.RpcError) as failed:
        gateway.inference.Invoke(unary_request(), timeout=TIMEOUT_S, compression=grpc.Compression.Gzip)
    assert failed.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert "limits.max_compression_ratio" in failed.value.details()


def test_answers_are_never_compressed(gateway, emulator):
    ask = question("Count to 3. " + "Never mind this. " * 1000)
    answer, call = gateway.inference.Invoke.with_call(unary_request(ask=ask), timeout=TIMEOUT_S)
    assert answer.message.content[0].text == "1, 2, 3."
    assert "grpc-encoding" not in dict(call.initial_metadata())
    for sent in emulator.calls():
        assert json.loads(b64decode(sent["body"]))["messages"][0]["content"] == [{"text": ask.messages[0].content[0].text}]


def test_unknown_compression(gateway):
    with pytest.raises(grpc.RpcError) as failed:
        gateway.inference.Invoke(unary_request(), timeout=TIMEOUT_S, compression=grpc.Compression.Deflate)
    assert failed.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert "use one of identity" in failed.value.details()


def test_twenty_mib(gateway, emulator):
    ask = images(6, 20 * MIB // 6)
    answer = gateway.inference.Invoke(unary_request(ask=ask), timeout=TIMEOUT_S)
    assert answer.message.content
    [call] = emulator.calls()
    assert len(b64decode(call["body"])) > 20 * MIB * 4 // 3


def test_an_image_that_the_model_refuses(gateway, emulator):
    # The maximum size of an image depends on the model, so Bedrock checks it, not the gateway.
    target = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
    with pytest.raises(grpc.RpcError) as failed:
        gateway.inference.Invoke(unary_request(target, images(1, 10 * MIB)), timeout=TIMEOUT_S)
    assert failed.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert details(failed.value)["google.rpc.ErrorInfo"].reason == "UPSTREAM_VALIDATION"
    assert len(emulator.calls()) == 1


@pytest.mark.parametrize("method", ["Invoke", "StreamInvoke"])
def test_a_message_beyond_the_limit(gateway, emulator, method):
    ask = images(10, 3 * MIB + MIB // 2)
    with pytest.raises(grpc.RpcError) as failed:
        if method == "Invoke":
            gateway.inference.Invoke(unary_request(ask=ask), timeout=TIMEOUT_S)
        else:
            list(gateway.inference.StreamInvoke(stream_request(ask=ask), timeout=TIMEOUT_S))
    assert failed.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert details(failed.value)["google.rpc.ErrorInfo"].reason == "MESSAGE_TOO_LARGE"
    assert emulator.calls() == []


def test_a_large_message_of_a_stream(gateway):
    target = f"{MODEL}.fault-giant-tool-delta"
    # grpcio itself accepts 4 MiB, unless configured otherwise.
    with gateway.with_options(max_receive_message_length=64 * MIB) as wide:
        events = list(wide.inference.StreamInvoke(stream_request(target), timeout=TIMEOUT_S))
    assert max(len(event.content_block_delta.tool_use.input) for event in events) >= 4 * MIB
    assert kinds(events)[-1] == "metadata"


def test_empty_messages(gateway):
    for call in (
        lambda: gateway.inference.Invoke(inference_service_pb2.InvokeRequest(), timeout=TIMEOUT_S),
        lambda: list(gateway.inference.StreamInvoke(inference_service_pb2.StreamInvokeRequest(), timeout=TIMEOUT_S)),
        lambda: gateway.targets.GetTarget(target_service_pb2.GetTargetRequest(), timeout=TIMEOUT_S),
        lambda: gateway.inference.Invoke(unary_request(ask=converse_pb2.ConverseInput()), timeout=TIMEOUT_S),
    ):
        with pytest.raises(grpc.RpcError) as failed:
            call()
        assert failed.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert details(failed.value)["google.rpc.ErrorInfo"].reason == "INVALID_REQUEST"
    # A valid empty request.
    answer = gateway.targets.ListTargets(target_service_pb2.ListTargetsRequest(), timeout=TIMEOUT_S)
    assert [target.name for target in answer.targets] == ["claude", "embed", "nova"]
