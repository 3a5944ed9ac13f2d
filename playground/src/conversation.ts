// The turns of the conversation, and which of them the next request repeats.

import type { Message } from "../gen/bedrock/inference/v1/content_pb";
import type { StreamInvokeRequest } from "../gen/bedrock/inference/v1/inference_service_pb";
import { Answer, repeated, type ToolUseBlock } from "./answer";
import type { Failure } from "./failure";
import { Stopwatch } from "./figures";

export type Outcome = "running" | "done" | "stopped" | { failure: Failure };

/** A question and its answer. */
export class Exchange {
  readonly answer = new Answer();
  readonly stopwatch = new Stopwatch();
  outcome: Outcome = "running";

  constructor(
    /** The caller's message. */
    readonly message: Message,
    /** What was sent: the conversation so far, and the message. */
    readonly request: StreamInvokeRequest,
  ) {}

  /**

   * The answer as the next request repeats it. Without an answer, the question is not repeated

   * either, because roles must alternate.

   */
  repeated(): Message | undefined {
    return repeated(this.answer, this.outcome === "done");
  }
}

export class Conversation {
  exchanges: Exchange[] = [];

  /** The messages that the next request begins with. */
  history(): Message[] {
    return this.exchanges.flatMap((exchange) => {
      const answer = exchange.repeated();
      return answer ? [exchange.message, answer] : [];
    });
  }

  /** The exchange whose tool results the next message must contain, and these tools. */
  awaiting(): { exchange: Exchange; tools: ToolUseBlock[] } | undefined {
    if (this.exchanges.at(-1)?.outcome === "running") {
      return undefined;
    }
    const exchange = this.exchanges.findLast((exchange) => exchange.repeated() !== undefined);
    const ids = new Set(
      exchange?.repeated()?.content.flatMap(({ content }) => (content.case === "toolUse" ? [content.value.toolUseId] : [])),
    );
    const tools = exchange?.answer.toolUses().filter((tool) => ids.has(tool.id)) ?? [];
    return exchange && tools.length > 0 ? { exchange, tools } : undefined;
  }

  /** Removes an exchange and all later ones. */
  rewind(exchange: Exchange): void {
    const index = this.exchanges.indexOf(exchange);
    if (index >= 0) {
      this.exchanges.length = index;
    }
  }
}
