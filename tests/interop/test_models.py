"""CountTokens, and the methods of ModelService."""

import json

import grpc
import pytest
from bedrock.inference.v1 import inference_service_pb2, model_service_pb2, model_service_pb2_grpc
from gateway import MODEL, TIMEOUT_S, details, question

# An inference profile of a model that counts tokens.
COUNTS = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
TITAN = b'{"inputText": "How do I return a parcel?", "dimensions": 256}'
CLAUDE = json.dumps({
    "anthropic_version": "bedrock-2023-05-31",
    "max_tokens": 50,
    "messages": [{"role": "user", "content": "Count to 10"}],
}).encode()


@pytest.fixture
def models(gateway):
    return model_service_pb2_grpc.ModelServiceStub(gateway.channel)


def test_tokens_are_counted(gateway):
    request = inference_service_pb2.CountTokensRequest(target=COUNTS, input=question())
    answer = gateway.inference.CountTokens(request, timeout=TIMEOUT_S)
    assert answer.input_tokens > 0
    assert (answer.target.model_id, answer.counted_by) == (COUNTS, COUNTS.removeprefix("us."))
    assert answer.bedrock_request_id
    assert len(answer.attempts) == 1


def test_a_model_that_cannot_count(gateway):
    request = inference_service_pb2.CountTokensRequest(target=MODEL, input=question())
    with pytest.raises(grpc.RpcError) as failed:
        gateway.inference.CountTokens(request, timeout=TIMEOUT_S)
    assert failed.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert details(failed.value)["google.rpc.ErrorInfo"].reason == "COUNT_TOKENS_UNSUPPORTED"


def test_a_body_is_answered(models):
    answer = models.InvokeModel(model_service_pb2.InvokeModelRequest(target="embed", body=TITAN), timeout=TIMEOUT_S)
    assert len(json.loads(answer.body)["embedding"]) == 256
    assert answer.content_type == "application/json"
    assert answer.usage.input_tokens > 0
    assert answer.bedrock_request_id
    assert len(answer.attempts) == 1


def test_a_body_is_answered_by_a_stream(models):
    request = model_service_pb2.StreamInvokeModelRequest(target="claude", body=CLAUDE)
    events = list(models.StreamInvokeModel(request, timeout=TIMEOUT_S))
    kinds = [event.WhichOneof("event") for event in events]
    assert kinds[0] == "start"
    assert kinds[-1] == "metadata"
    assert events[0].start.bedrock_request_id
    chunks = [json.loads(event.chunk) for event in events if event.WhichOneof("event") == "chunk"]
    assert [chunk["type"] for chunk in (chunks[0], chunks[-1])] == ["message_start", "message_stop"]
    assert events[-1].metadata.metadata.usage.output_tokens > 0


@pytest.mark.parametrize("method", ["InvokeModel", "StreamInvokeModel"])
def test_targets_without_invoke_model_refuse(models, method):
    request = getattr(model_service_pb2, f"{method}Request")(target="nova", body=b"{}")
    with pytest.raises(grpc.RpcError) as failed:
        list(getattr(models, method)(request, timeout=TIMEOUT_S))
    assert failed.value.code() is grpc.StatusCode.PERMISSION_DENIED
