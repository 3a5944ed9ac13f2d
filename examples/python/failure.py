"""The content of a failed call: a code, a stable reason, when to retry, and Bedrock's own error."""

from dataclasses import dataclass, field
from typing import Self

import grpc
from bedrock.inference.v1 import error_pb2
from google.rpc import error_details_pb2
from grpc_status import rpc_status


@dataclass
class Failure:
    code: grpc.StatusCode
    message: str
    reason: str = ""
    retry_delay_ms: int | None = None
    fields: list[str] = field(default_factory=list)
    upstream: error_pb2.UpstreamError | None = None

    @classmethod
    def of(cls, error: grpc.RpcError) -> Self:
        failure = cls(error.code(), error.details())
        # A cancel or deadline of the client itself has no details, because the gateway is not
        # involved.
        status = rpc_status.from_call(error)
        for detail in status.details if status else []:
            if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
                failure.reason = error_details_pb2.ErrorInfo.FromString(detail.value).reason
            elif detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
                info = error_details_pb2.RetryInfo.FromString(detail.value)
                failure.retry_delay_ms = info.retry_delay.ToMilliseconds()
            elif detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
                violations = error_details_pb2.BadRequest.FromString(detail.value).field_violations
                failure.fields = [violation.field for violation in violations]
            elif detail.Is(error_pb2.UpstreamError.DESCRIPTOR):
                failure.upstream = error_pb2.UpstreamError.FromString(detail.value)
        return failure

    def __str__(self) -> str:
        lines = [f"{self.code.name} {self.reason}: {self.message}"]
        if self.retry_delay_ms is not None:
            lines.append(f"  try again in {self.retry_delay_ms} ms")
        if self.upstream:
            phase = error_pb2.UpstreamPhase.Name(self.upstream.phase).removeprefix("UPSTREAM_PHASE_")
            lines.append(f"  Bedrock: {self.upstream.exception} ({phase}), request {self.upstream.bedrock_request_id}")
        return "\n".join(lines)
