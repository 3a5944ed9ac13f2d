// The content of a failed call: a code, a stable reason, when to retry, and Bedrock's own error.

import { type ServiceError, status } from "@grpc/grpc-js";
import { UpstreamError, upstreamPhaseToJSON } from "./gen/bedrock/inference/v1/error.js";
import { BadRequest, ErrorInfo, RetryInfo } from "./gen/google/rpc/error_details.js";
import { Status } from "./gen/google/rpc/status.js";

export interface Failure {
  code: string;
  message: string;
  reason: string;
  retryDelayMs?: number;
  fields: string[];
  upstream?: { exception: string; phase: string; requestId: string };
}

export function failureOf(error: unknown): Failure {
  if (!isServiceError(error)) throw error;
  const failure: Failure = { code: status[error.code], message: error.details, reason: "", fields: [] };
  // A cancel or deadline of the client itself has no details, because the gateway is not involved.
  const [encoded] = error.metadata.get("grpc-status-details-bin");
  if (!Buffer.isBuffer(encoded)) return failure;
  const { message, details } = Status.decode(encoded);
  // grpc-js leaves some characters of `error.details` percent-encoded.
  failure.message = message;
  for (const { typeUrl, value } of details) {
    switch (typeUrl.slice(typeUrl.lastIndexOf("/") + 1)) {
      case "google.rpc.ErrorInfo":
        failure.reason = ErrorInfo.decode(value).reason;
        break;
      case "google.rpc.RetryInfo": {
        const delay = RetryInfo.decode(value).retryDelay;
        if (delay) failure.retryDelayMs = delay.seconds * 1000 + delay.nanos / 1e6;
        break;
      }
      case "google.rpc.BadRequest":
        failure.fields = BadRequest.decode(value).fieldViolations.map(({ field }) => field);
        break;
      case "bedrock.inference.v1.UpstreamError": {
        const { exception, phase, bedrockRequestId } = UpstreamError.decode(value);
        failure.upstream = { exception, phase: upstreamPhaseToJSON(phase), requestId: bedrockRequestId };
        break;
      }
    }
  }
  return failure;
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && "code" in error && "metadata" in error;
}
