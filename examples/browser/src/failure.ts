// The content of a failed call: a code, a stable reason, when to retry, and Bedrock's own error.

import { Code, ConnectError } from "@connectrpc/connect";
import { UpstreamErrorSchema, UpstreamPhaseSchema } from "./gen/bedrock/inference/v1/error_pb";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "./gen/google/rpc/error_details_pb";

export interface Failure {
  code: string;
  message: string;
  reason: string;
  retryDelayMs?: number;
  fields: string[];
  upstream?: { exception: string; phase: string; requestId: string };
}

export function failureOf(error: unknown): Failure {
  // A cancel or deadline of the page itself also becomes a failure. It has no details, because the
  // gateway is not involved.
  const it = ConnectError.from(error);
  const [info] = it.findDetails(ErrorInfoSchema);
  const [retry] = it.findDetails(RetryInfoSchema);
  const [badRequest] = it.findDetails(BadRequestSchema);
  const [upstream] = it.findDetails(UpstreamErrorSchema);
  const delay = retry?.retryDelay;
  return {
    code: codeName(it.code),
    message: it.rawMessage,
    reason: info?.reason ?? "",
    retryDelayMs: delay && Number(delay.seconds) * 1000 + delay.nanos / 1e6,
    fields: badRequest?.fieldViolations.map(({ field }) => field) ?? [],
    upstream: upstream && {
      exception: upstream.exception,
      phase: UpstreamPhaseSchema.value[upstream.phase]?.name ?? "",
      requestId: upstream.bedrockRequestId,
    },
  };
}

/** The code as gRPC writes it: DEADLINE_EXCEEDED, where Connect has DeadlineExceeded. */
export function codeName(code: Code): string {
  if (code === Code.Canceled) return "CANCELLED";
  return Code[code].replace(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase();
}
