// The request as a grpcurl command.

import { toJsonString } from "@bufbuild/protobuf";
import { type StreamInvokeRequest, StreamInvokeRequestSchema } from "../../gen/bedrock/inference/v1/inference_service_pb";

const METHOD = "bedrock.inference.v1.InferenceService/StreamInvoke";
/** Linux accepts no argument of more than 128 KiB. */
const LONGEST_ARGUMENT = 100_000;

export function json(request: StreamInvokeRequest): string {
  return toJsonString(StreamInvokeRequestSchema, request);
}

/** `isFile`: the request is too long for a command line and must be in `request.json`. */
export function grpcurl(request: StreamInvokeRequest, gateway: URL): { line: string; isFile: boolean } {
  const plaintext = gateway.protocol === "https:" ? "" : "-plaintext ";
  const address = `${gateway.hostname}:${gateway.port || (gateway.protocol === "https:" ? "443" : "80")}`;
  const data = json(request);
  const isFile = data.length > LONGEST_ARGUMENT;
  const line = isFile
    ? `grpcurl ${plaintext}-d @ ${address} ${METHOD} <request.json`
    : `grpcurl ${plaintext}-d '${data.replaceAll("'", "'\\''")}' ${address} ${METHOD}`;
  return { line, isFile };
}
