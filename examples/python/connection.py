"""A channel to the gateway, configured as docs/clients.md recommends."""

import pathlib

import grpc
from bedrock.inference.v1 import inference_service_pb2_grpc

SERVICE_CONFIG = pathlib.Path(__file__).parent.parent / "service_config.json"
MAX_ANSWER_BYTES = 32 << 20


def open_channel(address: str, *, service_config: str | None = None, keepalive_seconds: int = 30) -> grpc.Channel:
    """Use `dns:///NAME:PORT` of a headless Service to spread calls over its pods."""
    return grpc.insecure_channel(
        address,
        options=[
            # Deadline, retries and round_robin.
            ("grpc.service_config", service_config or SERVICE_CONFIG.read_text()),
            # One delta of a tool's input, or an image, can be larger than the default of 4 MB.
            ("grpc.max_receive_message_length", MAX_ANSWER_BYTES),
            # A dead connection is detected after both times together.
            ("grpc.keepalive_time_ms", keepalive_seconds * 1000),
            ("grpc.keepalive_timeout_ms", 10_000),
            # Without it, grpcio waits a minute, whatever the line above says.
            ("grpc.http2.ping_timeout_ms", 10_000),
            ("grpc.http2.max_pings_without_data", 0),
        ],
    )


def inference(channel: grpc.Channel) -> inference_service_pb2_grpc.InferenceServiceStub:
    return inference_service_pb2_grpc.InferenceServiceStub(channel)
