// A question and its answer on the page.

import type { Block, ToolUseBlock } from "../answer";
import type { Message } from "../../gen/bedrock/inference/v1/content_pb";
import { DocumentFormat, ImageFormat } from "../../gen/bedrock/inference/v1/media_pb";
import { ToolResultStatus } from "../../gen/bedrock/inference/v1/tool_pb";
import { fileNameOf } from "../attachment";
import type { Exchange } from "../conversation";
import { sizeText } from "../figures";
import { AnswerView } from "./answer";
import { picture } from "./blocks";
import { h } from "./dom";
import { failureCard, figures, particulars } from "./outcome";
import { ToolResults } from "./tool_results";

/** The actions on an exchange. */
export interface Actions {
  edit(): void;
  retry(): void;
  showCode(): void;
  sendResults(): void;
  shown(): void;
}

export class ExchangeView {
  readonly element: HTMLElement;
  private readonly answer: AnswerView;
  private readonly turn: HTMLElement;
  private results: ToolResults | undefined;

  constructor(
    private readonly exchange: Exchange,
    private readonly actions: Actions,
  ) {
    this.answer = new AnswerView(() => actions.shown());
    const edit = h("button", { type: "button", className: "quiet small edit", onclick: () => actions.edit() }, "Edit");
    this.turn = h("article", { className: "turn model", "aria-busy": "true" }, h("h2", {}, exchange.request.target), this.answer.element);
    this.element = h(
      "div",
      { className: "exchange" },
      h("article", { className: "turn you" }, h("h2", {}, "You"), h("div", { className: "answer" }, ...said(exchange.message)), edit),
      this.turn,
    );
  }

  update(block: Block): void {
    this.answer.update(block);
  }

  /** Shows how the call ended. */
  end(): void {
    const { outcome, answer } = this.exchange;
    this.answer.end();
    this.turn.removeAttribute("aria-busy");
    if (typeof outcome === "object") {
      this.answer.element.append(failureCard(outcome.failure, answer.blocks.length > 0, () => this.actions.retry()));
    }
    const code = h("button", { type: "button", className: "quiet small", onclick: () => this.actions.showCode() }, "Code");
    const more = particulars(this.exchange);
    this.turn.append(h("footer", {}, figures(this.exchange), h("div", { className: "row" }, more, code)));
  }

  /** Shows or hides the form for tool results. */
  await(tools: ToolUseBlock[]): ToolResults | undefined {
    if (tools.length === 0) {
      this.results?.element.remove();
      this.results = undefined;
    } else if (!this.results) {
      this.results = new ToolResults(tools, () => this.actions.sendResults());
      this.answer.element.append(this.results.element);
    }
    return this.results;
  }
}

/** The caller's message. */
function said(message: Message): HTMLElement[] {
  return message.content.flatMap(({ content }) => {
    switch (content.case) {
      case "text":
        return [h("div", { className: "prose" }, content.value)];
      case "image": {
        const { source, format } = content.value;
        const bytes = source?.source.case === "bytes" ? source.source.value : new Uint8Array();
        const name = fileNameOf(bytes) ?? "Image";
        return [h("figure", {}, picture(bytes, `image/${(ImageFormat[format] ?? "").toLowerCase()}`, name))];
      }
      case "document": {
        const { name, format, source, citations } = content.value;
        const bytes = source?.source.case === "bytes" ? source.source.value.length : 0;
        const cited = citations?.enabled ? ", to be cited" : "";
        return [h("p", { className: "document" }, name, h("span", { className: "note" }, ` ${DocumentFormat[format] ?? ""}, ${sizeText(bytes)}${cited}`))];
      }
      case "toolResult": {
        const { status, content: parts } = content.value;
        const text = parts.map(({ content: part }) => (part.case === "text" || part.case === "json" ? part.value : "")).join("\n");
        const title = status === ToolResultStatus.ERROR ? "Tool failed" : "Tool result";
        return [h("div", { className: "card" }, h("p", { className: "title" }, title), h("pre", { tabIndex: 0, role: "region", "aria-label": title }, text))];
      }
      default:
        return [];
    }
  });
}
