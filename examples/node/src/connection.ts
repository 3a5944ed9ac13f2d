// A connection to the gateway, configured as docs/clients.md recommends.

import { readFileSync } from "node:fs";
import { type Client, credentials, InterceptingCall, type Interceptor } from "@grpc/grpc-js";
import { InferenceServiceClient } from "./gen/bedrock/inference/v1/inference_service.js";
import { ModelServiceClient } from "./gen/bedrock/inference/v1/model_service.js";

const SERVICE_CONFIG = readFileSync(new URL("../../service_config.json", import.meta.url), "utf8");
const MAX_ANSWER_BYTES = 32 << 20;
const TOKEN_FILE = process.env.BEDROCK_GRPC_TOKEN_FILE;
const INTERCEPTORS = TOKEN_FILE ? [withToken(TOKEN_FILE)] : [];

/** Use `dns:///NAME:PORT` of a headless Service to spread calls over its pods. */
export function connect(address: string, { serviceConfig = SERVICE_CONFIG, keepaliveSeconds = 30 } = {}): InferenceServiceClient {
  return new InferenceServiceClient(address, credentials.createInsecure(), {
    // Deadline, retries and round_robin.
    "grpc.service_config": serviceConfig,
    // One delta of a tool's input, or an image, can be larger than the default of 4 MB.
    "grpc.max_receive_message_length": MAX_ANSWER_BYTES,
    // A dead connection is detected after both times together.
    "grpc.keepalive_time_ms": keepaliveSeconds * 1000,
    "grpc.keepalive_timeout_ms": 10_000,
    "grpc.keepalive_permit_without_calls": 1,
    interceptors: INTERCEPTORS,
  });
}

/** A client of ModelService over the channel of another client. */
export function models(client: Client): ModelServiceClient {
  return new ModelServiceClient("", credentials.createInsecure(), { channelOverride: client.getChannel(), interceptors: INTERCEPTORS });
}

/** Sends the token in a file, which is replaced before it expires: each call reads it. */
function withToken(file: string): Interceptor {
  return (options, nextCall) =>
    new InterceptingCall(nextCall(options), {
      start(metadata, listener, next) {
        metadata.set("authorization", `Bearer ${readFileSync(file, "utf8").trim()}`);
        next(metadata, listener);
      },
    });
}
