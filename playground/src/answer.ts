// Combines the events of a stream, and turns an answer into a part of the next request.

import { create } from "@bufbuild/protobuf";
import type { Citation } from "../gen/bedrock/inference/v1/citation_pb";
import { type ContentBlock, ContentBlockSchema, type Message, MessageSchema, Role } from "../gen/bedrock/inference/v1/content_pb";
import type { ContentBlockDeltaEvent, ContentBlockStartEvent, MessageStartEvent, MessageStopEvent, UnknownEvent } from "../gen/bedrock/inference/v1/event_pb";
import type { StreamInvokeResponse } from "../gen/bedrock/inference/v1/inference_service_pb";
import type { ConverseStreamMetadata } from "../gen/bedrock/inference/v1/metadata_pb";
import type { RawMember } from "../gen/bedrock/inference/v1/raw_member_pb";
import type { ToolResultStatus } from "../gen/bedrock/inference/v1/tool_pb";
import { jsonProblem } from "./json";

interface Common {
  /** Whether the block is complete. */
  complete: boolean;
}

export interface TextBlock extends Common {
  kind: "text";
  text: string;
  citations: Citation[];
}

export interface ReasoningBlock extends Common {
  kind: "reasoning";
  text: string;
  signature: string;
  redacted: Uint8Array;
}

export interface ToolUseBlock extends Common {
  kind: "toolUse";
  id: string;
  name: string;
  type: string | undefined;
  input: string;
}

export interface ToolResultBlock extends Common {
  kind: "toolResult";
  id: string;
  type: string | undefined;
  status: ToolResultStatus;
  parts: { case: "text" | "json"; value: string }[];
}

export interface ImageBlock extends Common {
  kind: "image";
  format: string;
  bytes: Uint8Array | undefined;
  error: string | undefined;
}

export type Block = TextBlock | ReasoningBlock | ToolUseBlock | ToolResultBlock | ImageBlock;

/** An answer, as far as it has arrived. */
export class Answer {
  /** In the order in which they began. */
  readonly blocks: Block[] = [];
  /** What this version of the page cannot display. */
  readonly unknown: (UnknownEvent | RawMember)[] = [];
  start: MessageStartEvent | undefined;
  stop: MessageStopEvent | undefined;
  metadata: ConverseStreamMetadata | undefined;

  private readonly byIndex = new Map<number, Block>();

  /** Processes the next event. Returns the content block that changed, if any. */
  apply(response: StreamInvokeResponse): Block | undefined {
    this.unknown.push(...response.rawMembers);
    const { event } = response;
    switch (event.case) {
      case "messageStart":
        this.start = event.value;
        return undefined;
      case "contentBlockStart":
        return this.begin(event.value);
      case "contentBlockDelta":
        return this.append(event.value);
      case "contentBlockStop": {
        const block = this.byIndex.get(event.value.contentBlockIndex);
        if (block) {
          block.complete = true;
        }
        return block;
      }
      case "messageStop":
        this.stop = event.value;
        return undefined;
      case "metadata":
        this.metadata = event.value.metadata;
        return undefined;
      case "unknown":
        this.unknown.push(event.value);
        return undefined;
      default:
        return undefined;
    }
  }

  /** The tools that the caller must run before the conversation can continue. */
  toolUses(): ToolUseBlock[] {
    return this.blocks.filter((block) => block.kind === "toolUse").filter(isCallers);
  }

  private begin({ contentBlockIndex, start }: ContentBlockStartEvent): Block | undefined {
    const block = blockOf(start);
    if (block) {
      this.byIndex.set(contentBlockIndex, block);
      this.blocks.push(block);
    }
    return block;
  }

  private append({ contentBlockIndex, delta }: ContentBlockDeltaEvent): Block | undefined {
    const block = this.byIndex.get(contentBlockIndex);
    if (!block) {
      return undefined;
    }
    if (block.kind === "text" && delta.case === "text") {
      block.text += delta.value;
    } else if (block.kind === "text" && delta.case === "citation") {
      block.citations.push(delta.value);
    } else if (block.kind === "toolUse" && delta.case === "toolUse") {
      block.input += delta.value.input;
    } else if (block.kind === "toolResult" && delta.case === "toolResult") {
      for (const { content } of delta.value.content) {
        if (content.case) {
          block.parts.push({ case: content.case, value: content.value });
        }
      }
    } else if (block.kind === "reasoning" && delta.case === "reasoningContent") {
      const piece = delta.value.delta;
      if (piece.case === "text") {
        block.text += piece.value;
      } else if (piece.case === "signature") {
        block.signature += piece.value;
      } else if (piece.case === "redactedContent") {
        block.redacted = joined(block.redacted, piece.value);
      }
    } else if (block.kind === "image" && delta.case === "image") {
      const source = delta.value.source?.source;
      if (source?.case === "bytes") {
        block.bytes = joined(block.bytes ?? new Uint8Array(), source.value);
      }
      block.error = delta.value.error ? (delta.value.error.message ?? "the model gave no reason") : block.error;
    }
    return block;
  }
}

function blockOf(start: ContentBlockStartEvent["start"]): Block | undefined {
  const complete = false;
  switch (start.case) {
    case "text":
    case "citationsContent":
      return { kind: "text", complete, text: "", citations: [] };
    case "reasoningContent":
      return { kind: "reasoning", complete, text: "", signature: "", redacted: new Uint8Array() };
    case "toolUse": {
      const { toolUseId, name, type } = start.value;
      return { kind: "toolUse", complete, id: toolUseId, name, type, input: "" };
    }
    case "toolResult": {
      const { toolUseId, type, status } = start.value;
      return { kind: "toolResult", complete, id: toolUseId, type, status, parts: [] };
    }
    case "image":
      return { kind: "image", complete, format: start.value.formatName, bytes: undefined, error: undefined };
    default:
      return undefined;
  }
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}

function isCallers(block: ToolUseBlock): boolean {
  return block.type === undefined || block.type === "tool_use";
}

/**
 * Returns what the next request repeats of an answer, or undefined if nothing may be repeated. Tool
 * uses of an answer that ended early are left out, because their tools were not run.
 */
export function repeated(answer: Answer, whole: boolean): Message | undefined {
  const content = answer.blocks.map((block) => contentOf(block, whole)).filter((block) => block !== undefined);
  return content.length > 0 ? create(MessageSchema, { role: Role.ASSISTANT, content }) : undefined;
}

function contentOf(block: Block, whole: boolean): ContentBlock | undefined {
  const content = (content: NonNullable<Parameters<typeof create<typeof ContentBlockSchema>>[1]>["content"]) =>
    create(ContentBlockSchema, content ? { content } : {});
  switch (block.kind) {
    case "text":
      if (block.text === "") {
        return undefined;
      }
      if (block.citations.length === 0) {
        return content({ case: "text", value: block.text });
      }
      return content({
        case: "citationsContent",
        value: { content: [{ content: { case: "text", value: block.text } }], citations: block.citations },
      });
    case "reasoning":
      if (block.redacted.length > 0) {
        return content({ case: "reasoningContent", value: { content: { case: "redactedContent", value: block.redacted } } });
      }
      // Models that sign their reasoning require the signature; other models reject reasoning.
      if (block.signature === "") {
        return undefined;
      }
      return content({
        case: "reasoningContent",
        value: { content: { case: "reasoningText", value: { text: block.text, signature: block.signature } } },
      });
    case "toolUse": {
      if (!whole || jsonProblem(block.input) !== "") {
        return undefined;
      }
      const { id, name, type, input } = block;
      return content({
        case: "toolUse",
        value: { toolUseId: id, name, input: { case: "inputJson", value: input || "{}" }, ...(type === undefined ? {} : { type }) },
      });
    }
    case "toolResult": {
      const { id, type, status, parts } = block;
      return whole
        ? content({
            case: "toolResult",
            value: { toolUseId: id, status, content: parts.map((part) => ({ content: part })), ...(type === undefined ? {} : { type }) },
          })
        : undefined;
    }
    // Images from models cannot be sent back.
    case "image":
      return undefined;
  }
}
