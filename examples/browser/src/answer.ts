// A streamed answer, combined as it arrives.

import { create } from "@bufbuild/protobuf";
import { type Message, MessageSchema, Role } from "./gen/bedrock/inference/v1/content_pb";
import type { ContentBlockDeltaEvent } from "./gen/bedrock/inference/v1/event_pb";
import type { StreamInvokeResponse } from "./gen/bedrock/inference/v1/inference_service_pb";
import type { TokenUsage } from "./gen/bedrock/inference/v1/metadata_pb";
import { type Block, text } from "./conversation";

export interface ToolUse {
  id: string;
  name: string;
  input: string;
}

/** A content block: text, reasoning, or a tool use. */
interface AnswerBlock {
  text: string;
  reasoning: string;
  signature: string;
  redacted: Uint8Array[];
  toolUse?: ToolUse;
}

/**

 * What has arrived so far. It is complete when `usage` is set: `metadata` ends every successful

 * stream.

 */
export class Answer {
  text = "";
  deltas = 0;
  stopReason = "";
  usage?: TokenUsage;
  /** By index, which is their order. */
  private readonly blocks = new Map<number, AnswerBlock>();

  async read(events: AsyncIterable<StreamInvokeResponse>, onText: (token: string) => void = () => {}): Promise<this> {
    for await (const { event } of events) {
      switch (event.case) {
        case "contentBlockStart": {
          const { contentBlockIndex, start } = event.value;
          if (start.case === "toolUse") {
            this.block(contentBlockIndex).toolUse = { id: start.value.toolUseId, name: start.value.name, input: "" };
          }
          break;
        }
        case "contentBlockDelta":
          this.append(this.block(event.value.contentBlockIndex), event.value.delta, onText);
          break;
        case "contentBlockStop": {
          const use = this.blocks.get(event.value.contentBlockIndex)?.toolUse;
          // A tool that takes no input gets no fragments.
          if (use) use.input ||= "{}";
          break;
        }
        case "messageStop":
          this.stopReason = event.value.stopReasonName;
          break;
        case "metadata":
          this.usage = event.value.metadata?.usage;
          break;
        // Heartbeats, and events that a later version of the API adds.
      }
    }
    return this;
  }

  private append(block: AnswerBlock, delta: ContentBlockDeltaEvent["delta"], onText: (token: string) => void): void {
    switch (delta.case) {
      case "text":
        block.text += delta.value;
        this.text += delta.value;
        this.deltas++;
        onText(delta.value);
        break;
      case "toolUse":
        // Fragments of JSON: parse them only when all have arrived.
        if (block.toolUse) block.toolUse.input += delta.value.input;
        break;
      case "reasoningContent": {
        const piece = delta.value.delta;
        if (piece.case === "text") block.reasoning += piece.value;
        else if (piece.case === "signature") block.signature += piece.value;
        else if (piece.case === "redactedContent") block.redacted.push(piece.value);
      }
    }
  }

  private block(index: number): AnswerBlock {
    const block = this.blocks.get(index) ?? { text: "", reasoning: "", signature: "", redacted: [] };
    this.blocks.set(index, block);
    return block;
  }

  toolUses(): ToolUse[] {
    return [...this.blocks.values()].flatMap(({ toolUse }) => toolUse ?? []);
  }

  /**
   * The answer as a turn of the conversation, to send with the next request. It includes the
   * reasoning, unchanged and in its place: Claude rejects a tool result without the signed
   * reasoning before the tool use.
   */
  message(): Message {
    const ordered = [...this.blocks.entries()].sort(([a], [b]) => a - b);
    const content = ordered.flatMap(([, block]) => contentOf(block) ?? []);
    return create(MessageSchema, { role: Role.ASSISTANT, content });
  }
}

function contentOf({ text: written, reasoning, signature, redacted, toolUse }: AnswerBlock): Block | undefined {
  if (toolUse) {
    const { id, name, input } = toolUse;
    return { content: { case: "toolUse", value: { toolUseId: id, name, input: { case: "inputJson", value: input } } } };
  }
  if (redacted.length > 0) {
    const bytes = new Uint8Array(redacted.flatMap((piece) => [...piece]));
    return { content: { case: "reasoningContent", value: { content: { case: "redactedContent", value: bytes } } } };
  }
  if (reasoning || signature) {
    const value = { text: reasoning, signature: signature || undefined };
    return { content: { case: "reasoningContent", value: { content: { case: "reasoningText", value } } } };
  }
  // Bedrock rejects empty texts.
  return written ? text(written) : undefined;
}
