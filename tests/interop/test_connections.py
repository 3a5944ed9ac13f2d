"""Connections: load balancers that close silent ones, and messages larger than libraries accept by
default.
"""

import socket
import time

import grpc
import pytest
from gateway import TIMEOUT_S, failure, faulty, kinds, stream_request, text_of
from load_balancer import LoadBalancer

# Much longer than a busy machine can delay a heartbeat, which is sent once a second.
IDLE_S = 5
LARGE = "giant-tool-delta"


@pytest.fixture
def behind(gateway):
    """A client behind a load balancer, which ignores the client's pings."""
    with LoadBalancer(gateway.address, IDLE_S) as balancer:
        pings = {"keepalive_time_ms": 1000, "http2.max_pings_without_data": 0, "keepalive_permit_without_calls": 1}
        gateway.address = balancer.address
        with gateway.with_options(**pings) as behind:
            yield behind


def silent(heartbeat_seconds):
    request = stream_request(faulty("stall-after-3"))
    request.heartbeat_interval.FromSeconds(heartbeat_seconds)
    return request


def test_a_load_balancer_cuts_what_is_silent(behind):
    begun = time.monotonic()
    came, error = failure(behind.inference.StreamInvoke(silent(0), timeout=3 * TIMEOUT_S))
    assert text_of(came) == "1, 2"
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    # The call ends neither because of its deadline nor too early.
    assert IDLE_S <= time.monotonic() - begun < 2 * TIMEOUT_S


def test_heartbeats_keep_a_silent_stream(behind):
    begun, silence = time.monotonic(), IDLE_S + 2
    call = behind.inference.StreamInvoke(silent(1), timeout=3 * TIMEOUT_S)
    for event in call:
        if time.monotonic() - begun > silence:
            break
    assert kinds([event]) == ["heartbeat"]
    call.cancel()


def test_a_large_event_needs_a_larger_limit(gateway):
    # gRPC's libraries accept at most 4 MiB unless configured otherwise.
    _, error = failure(gateway.inference.StreamInvoke(stream_request(faulty(LARGE)), timeout=TIMEOUT_S))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    with gateway.with_options(max_receive_message_length=32 << 20) as allowing:
        events = list(allowing.inference.StreamInvoke(stream_request(faulty(LARGE)), timeout=TIMEOUT_S))
    assert kinds(events)[-1] == "metadata"


def test_any_number_of_pings_is_answered(gateway):
    host, port = gateway.address.rsplit(":", 1)
    settings, ping, goaway, ack, pings = 4, 6, 7, 1, 1000

    def frame(kind, payload, flags=0):
        return len(payload).to_bytes(3, "big") + bytes([kind, flags, 0, 0, 0, 0]) + payload

    with socket.create_connection((host, int(port)), timeout=TIMEOUT_S) as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(settings, b""))
        read, answered = connection.makefile("rb"), 0
        for n in range(pings):
            connection.sendall(frame(ping, n.to_bytes(8, "big")))
            while answered <= n:
                header = read.read(9)
                read.read(int.from_bytes(header[:3], "big"))
                assert header[3] != goaway
                answered += header[3] == ping and header[4] == ack
