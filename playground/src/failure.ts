// The content of a failed call: the status, and the details that the gateway sends with each.

import { Code, ConnectError } from "@connectrpc/connect";
import { UpstreamErrorSchema } from "../gen/bedrock/inference/v1/error_pb";
import type { Attempt } from "../gen/bedrock/inference/v1/target_pb";
import { BadRequestSchema, ErrorInfoSchema, HelpSchema, QuotaFailureSchema, RequestInfoSchema, RetryInfoSchema } from "../gen/google/rpc/error_details_pb";
import { milliseconds } from "./figures";

export interface Failure {
  /** The gRPC code's name. */
  code: string;
  /** The gateway's stable reason. Empty for errors of gRPC and of the connection to the gateway. */
  reason: string;
  message: string;
  /** When to retry, in milliseconds. Undefined if the gateway does not ask for a retry. */
  retryAfter: number | undefined;
  phase: string;
  /** The invalid fields of the request. */
  violations: { field: string; description: string }[];
  /** The quota that is used up. */
  quotas: { subject: string; description: string }[];
  links: { description: string; url: string }[];
  upstream: { exception: string; httpStatus: number; message: string; requestId: string } | undefined;
  attempts: Attempt[];
  requestId: string;
}

export function failureOf(thrown: unknown): Failure {
  const error = ConnectError.from(thrown);
  const [info] = error.findDetails(ErrorInfoSchema);
  const [retry] = error.findDetails(RetryInfoSchema);
  const [upstream] = error.findDetails(UpstreamErrorSchema);
  const [request] = error.findDetails(RequestInfoSchema);
  return {
    code: codeName(error.code),
    reason: info?.reason ?? "",
    message: unreachable(error) ? "The gateway can't be reached. Check that it is running." : error.rawMessage,
    retryAfter: retry ? milliseconds(retry.retryDelay) : undefined,
    phase: info?.metadata["phase"] ?? "",
    violations: error.findDetails(BadRequestSchema).flatMap((detail) => detail.fieldViolations),
    quotas: error.findDetails(QuotaFailureSchema).flatMap((detail) => detail.violations),
    links: error.findDetails(HelpSchema).flatMap((detail) => detail.links),
    upstream: upstream && {
      exception: upstream.exception,
      httpStatus: upstream.httpStatus,
      message: upstream.message,
      requestId: upstream.bedrockRequestId,
    },
    attempts: upstream?.attempts ?? [],
    requestId: request?.requestId ?? error.metadata.get("x-request-id") ?? "",
  };
}

/** `fetch` reports only that it failed. */
function unreachable(error: ConnectError): boolean {
  return error.cause instanceof TypeError;
}

/** As gRPC writes it: `RESOURCE_EXHAUSTED`. */
function codeName(code: Code): string {
  if (code === Code.Canceled) {
    return "CANCELLED";
  }
  return (Code[code] ?? String(code)).replace(/(?<=[a-z])[A-Z]/g, "_$&").toUpperCase();
}
