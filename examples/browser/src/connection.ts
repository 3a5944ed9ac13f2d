// A connection to the gateway over gRPC-Web, which every browser's fetch supports.

import { type Client, createClient } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import serviceConfig from "../../service_config.json";
import { InferenceService } from "./gen/bedrock/inference/v1/inference_service_pb";
import { type ServiceConfig, withServiceConfig } from "./service_config";

export type InferenceClient = Client<typeof InferenceService>;

/** Deadline and retries come from the file that clients in all languages load. */
export function connect(baseUrl: string, config: ServiceConfig = serviceConfig): InferenceClient {
  return createClient(InferenceService, withServiceConfig(createGrpcWebTransport({ baseUrl }), config));
}
