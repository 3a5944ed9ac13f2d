// Builds the request from the state of the page.

import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { Message } from "../gen/bedrock/inference/v1/content_pb";
import { type ConverseInputSchema, type Effort, type InferenceConfigurationSchema, type PerformanceConfigLatency, type ServiceTierType } from "../gen/bedrock/inference/v1/converse_pb";
import type { GuardrailStreamConfigurationSchema } from "../gen/bedrock/inference/v1/guardrail_pb";
import { type StreamInvokeRequest, StreamInvokeRequestSchema } from "../gen/bedrock/inference/v1/inference_service_pb";
import type { ToolChoiceSchema, ToolConfigurationSchema } from "../gen/bedrock/inference/v1/tool_pb";

/** A tool while the user edits it. */
export interface ToolDraft {
  name: string;
  description: string;
  /** JSON text, sent unchanged. */
  schema: string;
}

/** Everything except the conversation. Absent or empty means the model's default. */
export interface Settings {
  target: string;
  system: string;
  maxTokens: number | undefined;
  temperature: number | undefined;
  topP: number | undefined;
  stopSequences: string[];
  effort: Effort;
  tools: ToolDraft[];
  /** `auto`, `any`, or `tool:` and a tool's name. */
  toolChoice: string;
  serviceTier: ServiceTierType;
  latency: PerformanceConfigLatency;
  guardrailId: string;
  guardrailVersion: string;
  /** JSON text. */
  additionalFields: string;
}

export function requestOf(settings: Settings, messages: Message[]): StreamInvokeRequest {
  const input: MessageInitShape<typeof ConverseInputSchema> = {
    messages,
    ...(settings.system.trim() !== "" && { system: [{ content: { case: "text" as const, value: settings.system } }] }),
    ...optional("inferenceConfig", inferenceConfig(settings)),
    ...optional("toolConfig", toolConfig(settings)),
    ...optional("guardrailConfig", guardrail(settings)),
    ...(settings.additionalFields.trim() !== "" && {
      additionalModelRequestFields: { case: "additionalModelRequestFieldsJson" as const, value: settings.additionalFields.trim() },
    }),
    ...(settings.latency !== 0 && { performanceConfig: { latency: settings.latency } }),
    ...(settings.serviceTier !== 0 && { serviceTier: { type: settings.serviceTier } }),
    ...(settings.effort !== 0 && { outputConfig: { effort: settings.effort } }),
  };
  return create(StreamInvokeRequestSchema, { target: settings.target, input });
}

function optional<K extends string, V>(key: K, value: V | undefined): { [P in K]?: V } {
  return value === undefined ? {} : ({ [key]: value } as { [P in K]: V });
}

function inferenceConfig({ maxTokens, temperature, topP, stopSequences }: Settings): MessageInitShape<typeof InferenceConfigurationSchema> | undefined {
  const config = {
    ...optional("maxTokens", maxTokens),
    ...optional("temperature", temperature),
    ...optional("topP", topP),
    ...(stopSequences.length > 0 && { stopSequences }),
  };
  return Object.keys(config).length > 0 ? config : undefined;
}

function toolConfig({ tools, toolChoice }: Settings): MessageInitShape<typeof ToolConfigurationSchema> | undefined {
  if (tools.length === 0) {
    return undefined;
  }
  return {
    tools: tools.map(({ name, description, schema }) => ({
      tool: {
        case: "toolSpec" as const,
        value: {
          name,
          ...(description !== "" && { description }),
          inputSchema: { schema: { case: "json" as const, value: schema } },
        },
      },
    })),
    ...optional("toolChoice", choice(toolChoice)),
  };
}

function choice(toolChoice: string): MessageInitShape<typeof ToolChoiceSchema> | undefined {
  const name = toolChoice.startsWith("tool:") ? toolChoice.slice("tool:".length) : undefined;
  if (name !== undefined) {
    return { choice: { case: "tool" as const, value: { name } } };
  }
  return toolChoice === "any" ? { choice: { case: "any" as const, value: {} } } : undefined;
}

function guardrail({ guardrailId, guardrailVersion }: Settings): MessageInitShape<typeof GuardrailStreamConfigurationSchema> | undefined {
  if (guardrailId === "" && guardrailVersion === "") {
    return undefined;
  }
  return {
    ...(guardrailId !== "" && { guardrailIdentifier: guardrailId }),
    ...(guardrailVersion !== "" && { guardrailVersion }),
  };
}
