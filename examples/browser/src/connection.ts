// A connection to the gateway over gRPC-Web, which every browser's fetch supports.

import { type Client, createClient, type Transport } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import serviceConfig from "../../service_config.json";
import { InferenceService } from "./gen/bedrock/inference/v1/inference_service_pb";
import { ModelService } from "./gen/bedrock/inference/v1/model_service_pb";
import { type ServiceConfig, withServiceConfig } from "./service_config";

export type InferenceClient = Client<typeof InferenceService>;
export type ModelClient = Client<typeof ModelService>;

/** Deadline and retries come from the file that clients in all languages load. */
function transport(baseUrl: string, config: ServiceConfig = serviceConfig): Transport {
  return withServiceConfig(createGrpcWebTransport({ baseUrl }), config);
}

export function connect(baseUrl: string, config?: ServiceConfig): InferenceClient {
  return createClient(InferenceService, transport(baseUrl, config));
}

export function connectModels(baseUrl: string): ModelClient {
  return createClient(ModelService, transport(baseUrl));
}
