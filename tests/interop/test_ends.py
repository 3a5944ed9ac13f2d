"""How calls end early: cancelled, out of time, failed."""

import grpc
import pytest
from bedrock.inference.v1 import error_pb2
from gateway import MODEL, TIMEOUT_S, details, failure, faulty, kinds, pushback, stream_request, text_of, unary_request


def one_is_open(calls):
    return len(calls) == 1 and calls[0]["end"] is None


def all_ended(calls):
    return calls and all(call["end"] for call in calls)


@pytest.mark.parametrize("method", ["Invoke", "StreamInvoke"])
def test_cancel_after_begin(gateway, emulator, method):
    if method == "Invoke":
        call = gateway.inference.Invoke.future(unary_request(faulty("stall-before-headers")), timeout=TIMEOUT_S)
    else:
        call = gateway.inference.StreamInvoke(stream_request(faulty("stall-before-headers")), timeout=TIMEOUT_S)
    emulator.until(one_is_open)
    call.cancel()
    assert call.code() is grpc.StatusCode.CANCELLED
    [seen] = emulator.until(all_ended)
    assert seen["end"] == "ClientGone"


def test_cancel_at_once(gateway, emulator):
    call = gateway.inference.StreamInvoke(stream_request(faulty("stall-before-headers")), timeout=TIMEOUT_S)
    call.cancel()
    assert call.code() is grpc.StatusCode.CANCELLED
    # The earlier call may or may not have reached Bedrock, but this one certainly does.
    list(gateway.inference.StreamInvoke(stream_request(), timeout=TIMEOUT_S))
    ends = [seen["end"] for seen in emulator.until(all_ended)]
    assert ends in (["Completed"], ["ClientGone", "Completed"])


def test_cancel_after_first_response(gateway, emulator):
    call = gateway.inference.StreamInvoke(stream_request(faulty("stall-after-3")), timeout=TIMEOUT_S)
    assert next(call).WhichOneof("event") == "message_start"
    emulator.until(one_is_open)
    call.cancel()
    with pytest.raises(grpc.RpcError) as failed:
        list(call)
    assert failed.value.code() is grpc.StatusCode.CANCELLED
    [seen] = emulator.until(all_ended)
    assert seen["end"] == "ClientGone"


def test_cancel_leaves_other_streams_alone(gateway):
    stays = gateway.inference.StreamInvoke(stream_request(), timeout=TIMEOUT_S)
    goes = gateway.inference.StreamInvoke(stream_request(), timeout=TIMEOUT_S)
    next(goes)
    goes.cancel()
    assert text_of(stays) == "1, 2, 3, 4, 5, 6, 7, 8, 9, 10."


@pytest.mark.parametrize("method", ["Invoke", "StreamInvoke"])
def test_timeout_on_sleeping_server(gateway, emulator, method):
    with pytest.raises(grpc.RpcError) as failed:
        if method == "Invoke":
            gateway.inference.Invoke(unary_request(faulty("stall-before-headers")), timeout=0.3)
        else:
            list(gateway.inference.StreamInvoke(stream_request(faulty("stall-before-headers")), timeout=0.3))
    assert failed.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    [seen] = emulator.until(all_ended)
    assert seen["end"] == "ClientGone"


def test_deadline_in_mid_stream(gateway, emulator):
    came, error = failure(gateway.inference.StreamInvoke(stream_request(faulty("stall-after-3")), timeout=1))
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert kinds(came) == ["message_start", "content_block_start"] + ["content_block_delta"] * 3
    [seen] = emulator.until(all_ended)
    assert seen["end"] == "ClientGone"


@pytest.mark.parametrize("method", ["Invoke", "StreamInvoke"])
def test_throttling(gateway, method):
    target = faulty("throttling-x-amz-retry-after")
    with pytest.raises(grpc.RpcError) as failed:
        if method == "Invoke":
            gateway.inference.Invoke(unary_request(target), timeout=TIMEOUT_S)
        else:
            list(gateway.inference.StreamInvoke(stream_request(target), timeout=TIMEOUT_S))
    error = failed.value
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert pushback(error) == 1500
    found = details(error)
    info = found["google.rpc.ErrorInfo"]
    assert (info.domain, info.reason) == ("bedrock-grpc", "UPSTREAM_THROTTLED")
    assert found["google.rpc.RetryInfo"].retry_delay.ToMilliseconds() == 1500
    assert target in found["google.rpc.QuotaFailure"].violations[0].subject
    upstream = found["bedrock.inference.v1.UpstreamError"]
    assert (upstream.exception, upstream.http_status, upstream.retryable) == ("ThrottlingException", 429, True)
    assert upstream.phase == error_pb2.UPSTREAM_PHASE_BEFORE_FIRST_EVENT
    assert upstream.bedrock_request_id
    assert [attempt.failure_reason for attempt in upstream.attempts][-1] == "UPSTREAM_THROTTLED"


@pytest.mark.parametrize(
    ("fault", "code", "reason", "detail"),
    [
        ("validation", "INVALID_ARGUMENT", "UPSTREAM_VALIDATION", None),
        ("input-too-long", "INVALID_ARGUMENT", "CONTEXT_TOO_LONG", None),
        ("profile-required", "FAILED_PRECONDITION", "INFERENCE_PROFILE_REQUIRED", "google.rpc.Help"),
        ("access-denied", "PERMISSION_DENIED", "UPSTREAM_ACCESS_DENIED", None),
        ("expired-token", "INTERNAL", "UPSTREAM_CREDENTIALS", None),
        ("resource-not-found", "NOT_FOUND", "UPSTREAM_RESOURCE", "google.rpc.ResourceInfo"),
        ("model-timeout", "DEADLINE_EXCEEDED", "MODEL_TIMEOUT", None),
        ("model-error", "UNAVAILABLE", "MODEL_ERROR", "google.rpc.RetryInfo"),
        ("quota", "RESOURCE_EXHAUSTED", "UPSTREAM_QUOTA", "google.rpc.QuotaFailure"),
        ("model-not-ready", "UNAVAILABLE", "MODEL_NOT_READY", "google.rpc.RetryInfo"),
        ("internal", "INTERNAL", "UPSTREAM_INTERNAL", None),
        ("service-unavailable", "UNAVAILABLE", "UPSTREAM_UNAVAILABLE", "google.rpc.RetryInfo"),
    ],
)
def test_refusals(gateway, fault, code, reason, detail):
    came, error = failure(gateway.inference.StreamInvoke(stream_request(faulty(fault)), timeout=TIMEOUT_S))
    assert came == []
    assert error.code() is grpc.StatusCode[code]
    found = details(error)
    assert found["google.rpc.ErrorInfo"].reason == reason
    assert found["bedrock.inference.v1.UpstreamError"].exception
    assert found["google.rpc.RequestInfo"].request_id == dict(error.trailing_metadata())["x-request-id"]
    # A retry hint for calls that may be retried; a veto for the others.
    assert (pushback(error) > 0) == ("google.rpc.RetryInfo" in found)
    assert detail is None or detail in found


@pytest.mark.parametrize(
    ("fault", "code", "reason"),
    [
        ("stream-throttling-after-3", "RESOURCE_EXHAUSTED", "UPSTREAM_THROTTLED"),
        ("stream-model-stream-error-after-3", "UNAVAILABLE", "MODEL_STREAM_ERROR"),
        ("stream-internal-after-3", "INTERNAL", "UPSTREAM_INTERNAL"),
        ("end-without-message-stop-after-3", "UNAVAILABLE", "UPSTREAM_TRUNCATED"),
        ("bad-crc-after-3", "DATA_LOSS", "UPSTREAM_CORRUPT"),
        ("cut-in-frame-after-3", "UNAVAILABLE", "UPSTREAM_TRUNCATED"),
        ("reset-after-3", "UNAVAILABLE", "UPSTREAM_TRUNCATED"),
    ],
)
def test_failures_in_mid_stream(gateway, fault, code, reason):
    came, error = failure(gateway.inference.StreamInvoke(stream_request(faulty(fault)), timeout=TIMEOUT_S))
    # The client keeps the output that arrived.
    assert kinds(came) == ["message_start", "content_block_start"] + ["content_block_delta"] * 3
    assert error.code() is grpc.StatusCode[code]
    found = details(error)
    assert found["google.rpc.ErrorInfo"].reason == reason
    upstream = found["bedrock.inference.v1.UpstreamError"]
    assert upstream.phase == error_pb2.UPSTREAM_PHASE_MID_STREAM
    assert upstream.bedrock_request_id == came[0].message_start.bedrock_request_id
    assert pushback(error) == -1


def test_unknown_target_names_what_there_is(gateway):
    _, error = failure(gateway.inference.StreamInvoke(stream_request("claud"), timeout=TIMEOUT_S))
    assert error.code() is grpc.StatusCode.NOT_FOUND
    assert "claude" in error.details()
    found = details(error)
    assert found["google.rpc.ResourceInfo"].resource_name == "claud"


@pytest.mark.parametrize("text", ["☺ beyond ASCII, 😈 beyond the BMP", "percent %41 and % alone", "quotes \" and \\ backslash"])
def test_special_status_message(gateway, text):
    # The message quotes the rejected value, which HTTP carries percent-encoded.
    request = stream_request()
    request.input.request_metadata[f"\t{text}\r\n!"] = ""
    _, error = failure(gateway.inference.StreamInvoke(request, timeout=TIMEOUT_S))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert text in error.details().replace('\\"', '"').replace("\\\\", "\\")
    # The header and the details say the same: `details` compares them.
    [violation] = details(error)["google.rpc.BadRequest"].field_violations
    assert violation.field in error.details()


def test_what_bedrock_says_comes_through(gateway):
    _, error = failure(gateway.inference.StreamInvoke(stream_request(faulty("profile-required")), timeout=TIMEOUT_S))
    assert "isn\u2019t supported" in error.details()
    assert "isn\u2019t supported" in details(error)["bedrock.inference.v1.UpstreamError"].message


def test_many_violations_still_fit(gateway):
    request = stream_request()
    for n in range(300):
        request.input.messages[0].content.add(text="")
        request.input.request_metadata[f"key ü {n}"] = "value"
    _, error = failure(gateway.inference.StreamInvoke(request, timeout=TIMEOUT_S))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "more, see the details" in error.details()
    assert details(error)["google.rpc.BadRequest"].field_violations
