// The blocks of an answer, updated as they grow.

import type { Block, ImageBlock, ReasoningBlock, TextBlock, ToolResultBlock, ToolUseBlock } from "../answer";
import type { Citation } from "../../gen/bedrock/inference/v1/citation_pb";
import { sizeText } from "../figures";
import { pretty } from "../json";
import { h } from "./dom";

/** A block on the page. */
export interface BlockView {
  readonly element: HTMLElement;
  /** Shows what has arrived since the last update. */
  update(): void;
}

/** How much of a tool's input is shown: more would not be read, and its layout would be slow. */
const MOST_SHOWN = 20_000;

/** A text that only grows: existing parts are never changed. */
class Growing {
  private readonly node = document.createTextNode("");
  constructor(parent: HTMLElement) {
    parent.append(this.node);
  }

  show(text: string): void {
    if (text.length > this.node.length) {
      this.node.appendData(text.slice(this.node.length));
    }
  }
}

/** `cite` gives a source its number. */
export function blockView(block: Block, cite: (citation: Citation) => number): BlockView {
  switch (block.kind) {
    case "text":
      return textView(block, cite);
    case "reasoning":
      return reasoningView(block);
    case "toolUse":
      return toolUseView(block);
    case "toolResult":
      return toolResultView(block);
    case "image":
      return imageView(block);
  }
}

function textView(block: TextBlock, cite: (citation: Citation) => number): BlockView {
  const words = h("span");
  const marks = h("span");
  const element = h("span", { className: "text" }, words, marks);
  const text = new Growing(words);
  let cited = 0;
  return {
    element,
    update() {
      text.show(block.text);
      for (; cited < block.citations.length; cited++) {
        const citation = block.citations[cited];
        if (citation) {
          const number = String(cite(citation));
          marks.append(h("sup", {}, h("span", { className: "sr" }, " source "), number));
        }
      }
    },
  };
}

function reasoningView(block: ReasoningBlock): BlockView {
  const body = h("div");
  const element = h("details", { className: "reasoning", open: true }, h("summary", {}, "Reasoning"), body);
  const text = new Growing(body);
  return {
    element,
    update() {
      text.show(block.text);
      if (block.complete && block.text === "") {
        const encrypted = block.redacted.length > 0;
        body.textContent = encrypted ? `Encrypted by the provider: ${sizeText(block.redacted.length)}` : "The model does not show its reasoning";
      }
    },
  };
}

function toolUseView(block: ToolUseBlock): BlockView {
  const input = h("pre", { tabIndex: 0, role: "region", "aria-label": `Input of ${block.name}` });
  const where = block.type === "server_tool_use" ? " (run by Bedrock)" : "";
  const element = h("div", { className: "card tool-use" }, h("p", { className: "title" }, "Calls ", h("code", {}, block.name), where), input);
  return {
    element,
    update() {
      const text = block.complete ? pretty(block.input || "{}") : block.input;
      input.textContent = text.length > MOST_SHOWN ? `${text.slice(0, MOST_SHOWN)} … ${sizeText(block.input.length)} in all` : text;
    },
  };
}

function toolResultView(block: ToolResultBlock): BlockView {
  const output = h("pre", { tabIndex: 0, role: "region", "aria-label": "Result of a tool that Bedrock ran" });
  const element = h("div", { className: "card" }, h("p", { className: "title" }, "Result of a tool that Bedrock ran"), output);
  return {
    element,
    update() {
      output.textContent = block.parts
        .map((part) => part.value)
        .join("\n")
        .slice(0, MOST_SHOWN);
    },
  };
}

function imageView(block: ImageBlock): BlockView {
  const element = h("div", { className: "image" });
  return {
    element,
    update() {
      if (block.error !== undefined) {
        element.textContent = `The model could not generate the image: ${block.error}`;
      } else if (block.complete && block.bytes) {
        element.replaceChildren(picture(block.bytes, `image/${block.format}`, "Image from the model"));
      }
    },
  };
}

export function picture(bytes: Uint8Array, type: string, alt: string): HTMLImageElement {
  const url = URL.createObjectURL(new Blob([bytes.slice()], { type }));
  return h("img", { src: url, alt, onload: () => URL.revokeObjectURL(url) });
}

/** A source, as text. */
export function sourceText(citation: Citation): { title: string; passage: string; place: string } {
  const passage = citation.sourceContent.map(({ content }) => content.value ?? "").join(" … ");
  return { title: citation.title || citation.source || "Source", passage, place: placeText(citation) };
}

function placeText({ location }: Citation): string {
  const place = location?.location;
  switch (place?.case) {
    case "web":
      return place.value.url ?? place.value.domain ?? "";
    case "documentChar":
      return `characters ${place.value.start ?? 0}–${place.value.end ?? ""}`;
    case "documentPage":
      return `pages ${place.value.start ?? 0}–${place.value.end ?? ""}`;
    case "documentChunk":
      return `chunks ${place.value.start ?? 0}–${place.value.end ?? ""}`;
    case "searchResultLocation":
      return `blocks ${place.value.start ?? 0}–${place.value.end ?? ""}`;
    default:
      return "";
  }
}
