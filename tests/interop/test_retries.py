"""The retry policy of a service config, which is how gRPC clients retry (gRFC A6)."""

import json
import time

import grpc
import pytest
from gateway import SERVICE, TIMEOUT_S, details, failure, faulty, kinds, pushback, stream_request, unary_request


@pytest.fixture
def retrying(gateway):
    """A client that makes at most three attempts, and retries nearly every code."""
    policy = {
        "maxAttempts": 3,
        "initialBackoff": "0.01s",
        "maxBackoff": "0.01s",
        "backoffMultiplier": 1,
        "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED", "INVALID_ARGUMENT", "INTERNAL"],
    }
    config = {"methodConfig": [{"name": [{"service": SERVICE}], "retryPolicy": policy}]}
    with gateway.with_options(service_config=json.dumps(config), enable_retries=1) as retrying:
        yield retrying


def attempts(gateway, target, method="StreamInvoke"):
    """The failure of a call, the number of attempts, and the total time."""
    before = sum(gateway.ended().values())
    begun = time.monotonic()
    if method == "Invoke":
        with pytest.raises(grpc.RpcError) as failed:
            gateway.inference.Invoke(unary_request(target), timeout=TIMEOUT_S)
        came, error = [], failed.value
    else:
        came, error = failure(gateway.inference.StreamInvoke(stream_request(target), timeout=TIMEOUT_S))
    took = time.monotonic() - begun
    return came, error, sum(gateway.ended().values()) - before, took


@pytest.mark.parametrize("method", ["Invoke", "StreamInvoke"])
@pytest.mark.parametrize("fault", ["service-unavailable", "stream-service-unavailable-after-0"])
def test_before_the_first_event(retrying, emulator, fault, method):
    came, error, tried, took = attempts(retrying, faulty(fault), method)
    assert came == []
    assert tried == 3
    assert len(emulator.calls()) >= 3
    # Twice the wait that the gateway requests, instead of the policy's 10 ms.
    assert took > 2 * pushback(error) / 1000 > 1


def test_a_veto_is_honoured(retrying, emulator):
    came, error, tried, _ = attempts(retrying, faulty("validation"))
    assert came == []
    assert pushback(error) == -1
    assert tried == 1
    assert len(emulator.calls()) == 1


def test_never_in_mid_stream(retrying, emulator):
    came, error, tried, _ = attempts(retrying, faulty("stream-service-unavailable-after-3"))
    assert kinds(came) == ["message_start", "content_block_start"] + ["content_block_delta"] * 3
    assert details(error)["google.rpc.ErrorInfo"].reason == "UPSTREAM_UNAVAILABLE"
    assert tried == 1
    assert len(emulator.calls()) == 1


def test_a_unary_call_that_had_begun_to_be_answered(retrying, emulator):
    # The client has seen nothing of the answer, but Bedrock bills for it: the caller decides
    # whether to retry.
    _, error, tried, _ = attempts(retrying, faulty("stream-service-unavailable-after-3"), "Invoke")
    assert pushback(error) == -1
    assert tried == 1
    assert len(emulator.calls()) == 1
