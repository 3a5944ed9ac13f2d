// A connection to the gateway: gRPC-Web, which every browser's fetch can carry.

import { type CallOptions, type Client, createClient } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { InferenceService, type StreamInvokeRequestSchema, type StreamInvokeResponse } from "./gen/bedrock/inference/v1/inference_service_pb";
import { failureOf } from "./failure";

const MAX_ATTEMPTS = 3;
const TIMEOUT_MS = 600_000;

export type InferenceClient = Client<typeof InferenceService>;

export function connect(baseUrl: string): InferenceClient {
  return createClient(InferenceService, createGrpcWebTransport({ baseUrl, defaultTimeoutMs: TIMEOUT_MS }));
}

/** A stream that is asked for again if nothing of it came and the gateway says when: what a service config's retry policy does elsewhere. */
export async function* streamInvoke(
  client: InferenceClient,
  request: MessageInitShape<typeof StreamInvokeRequestSchema>,
  options?: CallOptions,
): AsyncGenerator<StreamInvokeResponse> {
  for (let attempt = 1; ; attempt++) {
    let begun = false;
    try {
      for await (const response of client.streamInvoke(request, options)) {
        begun = true;
        yield response;
      }
      return;
    } catch (error) {
      const { code, retryDelayMs } = failureOf(error);
      if (begun || code !== "UNAVAILABLE" || retryDelayMs === undefined || attempt === MAX_ATTEMPTS) throw error;
      await new Promise((resolve) => setTimeout(resolve, retryDelayMs));
    }
  }
}
