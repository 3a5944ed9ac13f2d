// A form for the results of the tools that the model used.

import { create } from "@bufbuild/protobuf";
import { type ContentBlock, ContentBlockSchema } from "../../gen/bedrock/inference/v1/content_pb";
import { ToolResultStatus } from "../../gen/bedrock/inference/v1/tool_pb";
import type { ToolUseBlock } from "../answer";
import { isObject } from "../json";
import { growing, h } from "./dom";

export class ToolResults {
  readonly element: HTMLFormElement;
  private readonly answers: { tool: ToolUseBlock; result: HTMLTextAreaElement; failed: HTMLInputElement }[];
  private static count = 0;

  constructor(tools: ToolUseBlock[], send: () => void) {
    this.answers = tools.map((tool) => ({
      tool,
      result: h("textarea", {
        id: `result-${++ToolResults.count}`,
        className: "code",
        rows: 2,
        required: true,
        spellcheck: false,
        placeholder: '{"celsius": 21}',
      }),
      failed: h("input", { id: `failed-${ToolResults.count}`, type: "checkbox" }),
    }));
    this.element = h(
      "form",
      {
        className: "card results",
        "aria-label": "Results of the tools",
        onsubmit: (event: SubmitEvent) => {
          event.preventDefault();
          send();
        },
        onkeydown: (event: KeyboardEvent) => {
          if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
            event.preventDefault();
            this.element.requestSubmit();
          }
        },
      },
      ...this.answers.map(({ tool, result, failed }) =>
        h(
          "div",
          { className: "field" },
          h("label", { for: result.id }, "Result of ", h("code", {}, tool.name), h("span", { className: "note" }, " a JSON object, or text")),
          result,
          h("label", { className: "check" }, failed, "The call failed"),
        ),
      ),
      h("button", { type: "submit" }, tools.length > 1 ? "Send the results" : "Send the result"),
    );
    for (const { result } of this.answers) {
      growing(result);
    }
  }

  focus(): void {
    this.answers[0]?.result.focus({ preventScroll: true });
  }

  /** Returns whether every tool has a result; if not, marks those without. */
  check(): boolean {
    return this.element.reportValidity();
  }

  content(): ContentBlock[] {
    return this.answers.map(({ tool, result, failed }) =>
      create(ContentBlockSchema, {
        content: {
          case: "toolResult",
          value: {
            toolUseId: tool.id,
            content: [{ content: { case: isObject(result.value) ? "json" : "text", value: result.value } }],
            ...(failed.checked && { status: ToolResultStatus.ERROR }),
          },
        },
      }),
    );
  }
}
