// A streamed answer, put together while it comes.

import { type ContentBlock, Message, Role } from "./gen/bedrock/inference/v1/content.js";
import type { StreamInvokeResponse } from "./gen/bedrock/inference/v1/inference_service.js";
import type { TokenUsage } from "./gen/bedrock/inference/v1/metadata.js";
import { text } from "./conversation.js";

export interface ToolUse {
  id: string;
  name: string;
  input: string;
}

/** What has come so far. It is complete when `usage` is set: `metadata` ends every stream that is OK. */
export class Answer {
  text = "";
  deltas = 0;
  toolUses = new Map<number, ToolUse>();
  stopReason = "";
  usage?: TokenUsage;

  async read(events: AsyncIterable<StreamInvokeResponse>, onText: (token: string) => void = () => {}): Promise<this> {
    for await (const { event } of events) {
      switch (event?.$case) {
        case "contentBlockStart": {
          const { contentBlockIndex, start } = event.value;
          if (start?.$case === "toolUse") {
            this.toolUses.set(contentBlockIndex, { id: start.value.toolUseId, name: start.value.name, input: "" });
          }
          break;
        }
        case "contentBlockDelta": {
          const { contentBlockIndex, delta } = event.value;
          if (delta?.$case === "text") {
            this.text += delta.value;
            this.deltas++;
            onText(delta.value);
          } else if (delta?.$case === "toolUse") {
            // Fragments of JSON: they can be parsed only together.
            const use = this.toolUses.get(contentBlockIndex);
            if (use) use.input += delta.value.input;
          }
          break;
        }
        case "contentBlockStop": {
          const use = this.toolUses.get(event.value.contentBlockIndex);
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
        // Heartbeats, and what a later version of the API brings.
      }
    }
    return this;
  }

  /** The answer as a turn of the conversation, to be sent back with the next one. */
  message(): Message {
    const content: ContentBlock[] = this.text ? [text(this.text)] : [];
    for (const { id, name, input } of this.toolUses.values()) {
      content.push({
        content: { $case: "toolUse", value: { toolUseId: id, name, input: { $case: "inputJson", value: input } } },
      });
    }
    return Message.create({ role: Role.ROLE_ASSISTANT, content });
  }
}
