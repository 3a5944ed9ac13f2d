// The input: messages, images, tools.

import { type ContentBlock, Message, Role } from "./gen/bedrock/inference/v1/content.js";
import { ConverseInput } from "./gen/bedrock/inference/v1/converse.js";
import { ImageFormat } from "./gen/bedrock/inference/v1/media.js";
import { Tool } from "./gen/bedrock/inference/v1/tool.js";

export function user(...content: ContentBlock[]): Message {
  return Message.create({ role: Role.ROLE_USER, content });
}

export function text(value: string): ContentBlock {
  return { content: { $case: "text", value } };
}

/** The raw bytes of the file, not base64. */
export function png(bytes: Uint8Array): ContentBlock {
  const source = { source: { $case: "bytes" as const, value: bytes } };
  return { content: { $case: "image", value: { format: ImageFormat.IMAGE_FORMAT_PNG, formatName: "", source } } };
}

/**

 * The schema is an object, which keeps its key order. It reaches the model as this text, so prompt

 * caches hit.

 */
export function tool(name: string, description: string, inputSchema: object): Tool {
  const schema = { $case: "json" as const, value: JSON.stringify(inputSchema) };
  return Tool.create({ tool: { $case: "toolSpec", value: { name, description, inputSchema: { schema } } } });
}

export function toolResult(toolUseId: string, result: unknown): ContentBlock {
  const content = [{ content: { $case: "json" as const, value: JSON.stringify(result) } }];
  return { content: { $case: "toolResult", value: { toolUseId, content, status: 0 } } };
}

export function conversation(messages: Message[], tools: Tool[] = []): ConverseInput {
  return ConverseInput.create({ messages, toolConfig: tools.length > 0 ? { tools } : undefined });
}
