// The input: messages, images, tools.

import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type ContentBlockSchema, type Message, MessageSchema, Role } from "./gen/bedrock/inference/v1/content_pb";
import { type ConverseInput, ConverseInputSchema } from "./gen/bedrock/inference/v1/converse_pb";
import { ImageFormat } from "./gen/bedrock/inference/v1/media_pb";
import { type Tool, ToolSchema } from "./gen/bedrock/inference/v1/tool_pb";

export type Block = MessageInitShape<typeof ContentBlockSchema>;

export function user(...content: Block[]): Message {
  return create(MessageSchema, { role: Role.USER, content });
}

export function text(value: string): Block {
  return { content: { case: "text", value } };
}

/** The raw bytes of the file, not base64. */
export function png(bytes: Uint8Array): Block {
  const source = { source: { case: "bytes" as const, value: bytes } };
  return { content: { case: "image", value: { format: ImageFormat.PNG, source } } };
}

/**

 * The schema is an object, which keeps its key order. It reaches the model as this text, so prompt

 * caches hit.

 */
export function tool(name: string, description: string, inputSchema: object): Tool {
  const schema = { case: "json" as const, value: JSON.stringify(inputSchema) };
  return create(ToolSchema, { tool: { case: "toolSpec", value: { name, description, inputSchema: { schema } } } });
}

export function toolResult(toolUseId: string, result: unknown): Block {
  const content = [{ content: { case: "json" as const, value: JSON.stringify(result) } }];
  return { content: { case: "toolResult", value: { toolUseId, content } } };
}

export function conversation(messages: Message[], tools: Tool[] = []): ConverseInput {
  return create(ConverseInputSchema, { messages, toolConfig: tools.length > 0 ? { tools } : undefined });
}
