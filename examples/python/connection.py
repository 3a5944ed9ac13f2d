"""A channel to the gateway, configured as docs/clients.md recommends."""

import collections
import os
import pathlib

import grpc
from bedrock.inference.v1 import inference_service_pb2_grpc, model_service_pb2_grpc

SERVICE_CONFIG = pathlib.Path(__file__).parent.parent / "service_config.json"
MAX_ANSWER_BYTES = 32 << 20


def open_channel(address: str, *, service_config: str | None = None, keepalive_seconds: int = 30) -> grpc.Channel:
    """Use `dns:///NAME:PORT` of a headless Service to spread calls over its pods."""
    channel = grpc.insecure_channel(
        address,
        options=[
            # Deadline, retries and round_robin.
            ("grpc.service_config", service_config or SERVICE_CONFIG.read_text()),
            # One delta of a tool's input, or an image, can be larger than the default of 4 MB.
            ("grpc.max_receive_message_length", MAX_ANSWER_BYTES),
            # A dead connection is detected after both times together.
            ("grpc.keepalive_time_ms", keepalive_seconds * 1000),
            ("grpc.keepalive_timeout_ms", 10_000),
            # Without this option, grpcio waits for a minute, and ignores the timeout above.
            ("grpc.http2.ping_timeout_ms", 10_000),
            ("grpc.http2.max_pings_without_data", 0),
        ],
    )
    file = os.environ.get("BEDROCK_GRPC_TOKEN_FILE")
    return grpc.intercept_channel(channel, TokenFile(file)) if file else channel


class CallDetails(
    collections.namedtuple("CallDetails", ("method", "timeout", "metadata", "credentials", "wait_for_ready", "compression")),
    grpc.ClientCallDetails,
):
    pass


class TokenFile(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor):
    """Sends the token in a file. The file is replaced before the token expires, so each call reads it.

    With TLS, grpc.metadata_call_credentials does the same.
    """

    def __init__(self, file: str):
        self.file = pathlib.Path(file)

    def intercept_unary_unary(self, continuation, details, request):
        token = ("authorization", f"Bearer {self.file.read_text().strip()}")
        own = [getattr(details, field, None) for field in CallDetails._fields]
        return continuation(CallDetails(*own)._replace(metadata=[*(details.metadata or ()), token]), request)

    intercept_unary_stream = intercept_unary_unary


def inference(channel: grpc.Channel) -> inference_service_pb2_grpc.InferenceServiceStub:
    return inference_service_pb2_grpc.InferenceServiceStub(channel)


def models(channel: grpc.Channel) -> model_service_pb2_grpc.ModelServiceStub:
    return model_service_pb2_grpc.ModelServiceStub(channel)
