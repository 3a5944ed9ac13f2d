// The gateway that serves this page, over gRPC-Web.

import { createClient } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { InferenceService, type StreamInvokeRequest } from "../gen/bedrock/inference/v1/inference_service_pb";
import { TargetService, type Target } from "../gen/bedrock/inference/v1/target_service_pb";
import { Credential } from "./credential";

// The page's own origin: no CORS, and nothing to configure.
const credential = new Credential();
const transport = createGrpcWebTransport({ baseUrl: location.origin, interceptors: [credential.authorize] });
const inference = createClient(InferenceService, transport);
const targetService = createClient(TargetService, transport);

/** Sets the API key or token that is sent with each call. */
export function useKey(text: string): void {
  credential.set(text);
}

/** The targets of the gateway. */
export interface Routes {
  targets: Target[];
  /** Patterns of the model IDs that callers may also name. */
  allowedModelIds: string[];
}

export async function listTargets(): Promise<Routes> {
  const targets: Target[] = [];
  let pageToken = "";
  for (;;) {
    const page = await targetService.listTargets({ pageSize: 1000, pageToken });
    targets.push(...page.targets);
    if (page.nextPageToken === "") {
      return { targets, allowedModelIds: page.allowedModelIds };
    }
    pageToken = page.nextPageToken;
  }
}

export function streamInvoke(request: StreamInvokeRequest, signal: AbortSignal) {
  return inference.streamInvoke(request, { signal });
}
