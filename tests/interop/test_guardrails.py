"""GuardrailService.ApplyGuardrail."""

import grpc
import pytest
from bedrock.inference.v1 import guardrail_pb2, guardrail_service_pb2, guardrail_service_pb2_grpc
from gateway import MODEL, TIMEOUT_S, details


@pytest.fixture
def apply(gateway):
    stub = guardrail_service_pb2_grpc.GuardrailServiceStub(gateway.channel)

    def call(text, identifier="gr1", **more):
        block = guardrail_pb2.GuardrailConverseContentBlock(text=guardrail_pb2.GuardrailConverseTextBlock(text=text))
        request = guardrail_service_pb2.ApplyGuardrailRequest(
            target=MODEL,
            guardrail_identifier=identifier,
            guardrail_version="1",
            source=guardrail_service_pb2.GUARDRAIL_CONTENT_SOURCE_OUTPUT,
            content=[block],
            **more,
        )
        return stub.ApplyGuardrail(request, timeout=TIMEOUT_S)

    return call


def test_content_is_masked(apply):
    answer = apply("Write to ann@example.com", output_scope=guardrail_service_pb2.GUARDRAIL_OUTPUT_SCOPE_FULL)
    assert answer.action == guardrail_service_pb2.GUARDRAIL_ACTION_GUARDRAIL_INTERVENED
    assert [output.text for output in answer.outputs] == ["Write to {EMAIL}"]
    [assessment] = answer.assessments
    assert assessment.sensitive_information_policy.pii_entities[0].type == "EMAIL"
    assert answer.usage.sensitive_information_policy_units == 1
    assert answer.guardrail_coverage.text_characters.guarded == 24
    assert (answer.guardrail_identifier, answer.guardrail_version) == ("gr1", "1")
    assert answer.target.model_id == MODEL
    assert answer.bedrock_request_id
    assert len(answer.attempts) == 1


def test_content_passes(apply):
    answer = apply("Hello")
    assert answer.action == guardrail_service_pb2.GUARDRAIL_ACTION_NONE
    assert not answer.outputs


def test_what_is_no_guardrail(apply):
    with pytest.raises(grpc.RpcError) as failed:
        apply("", identifier="Not a guardrail")
    assert failed.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    found = details(failed.value)
    assert found["google.rpc.ErrorInfo"].reason == "INVALID_REQUEST"
    fields = [violation.field for violation in found["google.rpc.BadRequest"].field_violations]
    assert fields == ["guardrail_identifier", "content[0].text.text"]
